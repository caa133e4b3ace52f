"""What the report says of clusters, hot buckets and test sets is what the ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hand_run
from test_report import page_of, section, table_rows

from mdfs.ledger import Ledger, Row
from mdfs.storage import Store

SAID: dict[str, Any] = {
    "decontaminate": {
        "benchmarks": [
            {"name": "ceval", "path": "/sets/ceval"},
            {"name": "<b>mine", "path": "/sets/mine.jsonl", "fields": ["q"]},
        ]
    }
}


def store_with(folder: Path, **steps: dict[str, int]) -> Store:
    store = hand_run.write(folder / "out", hand_run.documents(), said=SAID)
    for name, facts in steps.items():
        Ledger(store).commit(Row(name.replace("_", "-"), "all", facts=facts))
    return store


def test_clusters_by_size(tmp_path: Path) -> None:
    facts = {"clusters": 1_246, "largest": 70, "2": 1_200, "4": 40, "64": 6}
    rows = table_rows(section(page_of(store_with(tmp_path, dedup_clusters=facts)), "duplicates"))
    assert {name: cells[-2] for name, cells in rows.items() if name[0].isdigit()} == {
        "2 to 3": "1,200", "4 to 7": "40", "64 to 70": "6",
    }  # fmt: skip


def test_hot_buckets_are_named_the_largest_first(tmp_path: Path) -> None:
    facts = {"buckets": 12, "documents": 300_000, "largest": 90_000}
    facts |= {f"band {i} {i:016x}": 90_000 - i for i in range(12)}
    part = section(page_of(store_with(tmp_path, dedup_pairs=facts)), "duplicates")
    assert "12 buckets hold more than 10,000 documents, 300,000 in all" in part
    assert "Hot buckets, the largest 10" in part
    assert "<code>0000000000000009</code>" in part
    assert "<code>000000000000000a</code>" not in part
    calm = store_with(tmp_path / "calm", dedup_pairs={"buckets": 0, "documents": 0, "largest": 0})
    assert "Hot buckets" not in page_of(calm)


def test_test_sets_with_their_hits(tmp_path: Path) -> None:
    held = {"ceval.texts": 1_346, "ceval.too_short": 673, "ceval.ngrams": 52_000, "<b>mine.texts": 10}
    cut = {"ceval.documents": 17, "ceval.hits": 90, "cut": 15, "dropped": 2, "chars_removed": 5_000, "frequent": 33}
    part = section(page_of(store_with(tmp_path, dedup_benchmarks=held, dedup_cuts=cut)), "duplicates")
    rows = table_rows(part)
    assert rows["ceval"][:6] == ["", "17", "90", "1,346", "50.0%", "52,000"]
    assert rows["&lt;b&gt;mine"][:4] == ["", "0", "0", "10"]
    assert "15 were cut and 2 dropped, 5,000 characters in all. 33 hits were let be" in part


def test_nothing_is_said_of_what_was_not_done(tmp_path: Path) -> None:
    part = section(page_of(store_with(tmp_path)), "duplicates")
    assert "Clusters of copies" not in part
    assert "Hot buckets" not in part
    assert "Test sets" not in part
