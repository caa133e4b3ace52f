"""The funnel: what came in, what stayed and why the rest went, stage by stage; read from the ledger."""

from __future__ import annotations

import unicodedata

from mdfs.ledger import Ledger, Row, total
from mdfs.storage import Store

#: Stages that documents go through, in order; a run may have gone through the first few only.
STAGES = ("collect", "rules", "dedup", "classify", "tokenize")


def funnel(store: Store) -> list[Row]:
    """One summed row a stage, for the stages that have been done."""
    ledger = Ledger(store)
    by_stage = ((stage, ledger.rows(stage)) for stage in STAGES)
    return [total(rows.values(), stage) for stage, rows in by_stage if rows]


def render(rows: list[Row], reasons: int = 5) -> str:
    """The funnel as a text table, with the `reasons` most frequent reasons of each stage under it."""
    lines = [f"{'stage':<10} {'in':>11} {'kept':>11} {'dropped':>11} {'quarantined':>11}  kept of in"]
    for row in rows:
        share = f"{row.docs_out / row.docs_in:6.1%}" if row.docs_in else "     –"
        lines.append(
            f"{row.stage:<10} {row.docs_in:>11,} {row.docs_out:>11,} {row.docs_dropped:>11,} {row.quarantined:>11,}"
            f"  {share}"
        )
        why = sorted((row.dropped | row.quarantine_reasons).items(), key=lambda item: (-item[1], item[0]))
        if why:
            more = f", and {len(why) - reasons} more" if len(why) > reasons else ""
            lines.append("           " + ", ".join(f"{reason} {count:,}" for reason, count in why[:reasons]) + more)
    return "\n".join(lines)


def width(text: str) -> int:
    """Columns that a text takes on a terminal: two for wide East Asian characters."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
