"""An evaluation, and a card, as Markdown; a reliability diagram as SVG. Names from data are escaped: they are text."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SIDE, MARGIN = 360, 48
"""Pixels of the diagram's square, and around it."""


def write(found: dict[str, Any], folder: Path) -> list[str]:
    """Write `evaluation.md` and `reliability.svg`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.svg").write_text(
        reliability_svg(found["calibration"]["reliability"], found["calibration"]["expected_error"]), encoding="utf-8"
    )
    (folder / "evaluation.md").write_text(evaluation(found, image="reliability.svg"), encoding="utf-8")
    return [str(folder / name) for name in ("evaluation.md", "reliability.svg")]


def evaluation(found: Mapping[str, Any], image: str = "") -> str:
    """Markdown of what `mdfs.classifiers.evaluate.evaluation` found, with the comparison where there is one."""
    said = found["bootstrap"]
    drawn = f"In brackets are 95% intervals ({said['resamples']:,} resamples of {said['over']}, seed {said['seed']})."
    blocks = [
        f"# {_text(found.get('artifact', 'Classifier'))}\n",
        f"{found['docs']:,} documents in {found['groups']:,} groups{_speed(found)}. {drawn}\n",
        f"Accuracy {_with(found['accuracy'])}, macro F1 {_with(found['macro_f1'])}.\n",
        _by_label(found["by_label"]),
        _confusion(found["labels"], found["confusion"]),
        f"## Calibration\n\nExpected calibration error {found['calibration']['expected_error']}.\n",
        f"![reliability]({image})\n" if image else "",
        _table(
            ("best score", "documents", "mean score", "share right"),
            [
                (f"{row['from']:g} to {row['to']:g}", f"{row['docs']:,}", row["confidence"], row["accuracy"])
                for row in found["calibration"]["reliability"]
            ],
        ),
        *(
            f"## {title}\n\n" + _table((what, "documents", "accuracy", "macro F1"), _slices(found[key]))
            for key, title, what in (
                ("by_source", "By source", "source"),
                ("by_length", "By length", "characters"),
            )
        ),
    ]
    if "against" in found:
        blocks.append(comparison(found["against"]))
    return "\n".join(block for block in blocks if block)


def _speed(found: Mapping[str, Any]) -> str:
    return f", {found['docs_per_second']:,} documents a second" if "docs_per_second" in found else ""


def comparison(said: Mapping[str, Any]) -> str:
    """Markdown of what `mdfs.classifiers.evaluate.compare` found."""
    test, gain = said["mcnemar"], said["bootstrap"]
    low, high = gain["interval"]
    return (
        f"## Against {_text(said.get('artifact', 'the other'))}\n\n"
        f"They agree on {said['agreement']:.1%} of the documents. Right alone: this one {test['only_first']:,} times, "
        f"the other {test['only_second']:,} times (McNemar's exact test: p = {test['p']:g}). The other's macro F1 is "
        f"{gain['macro_f1_difference']:+.4f} against this one's ({low:+.4f} to {high:+.4f}, paired bootstrap).\n"
    )


def _slices(found: Mapping[str, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(name, f"{row['docs']:,}", row["accuracy"], row["macro_f1"]) for name, row in found.items()]


def _with(said: Mapping[str, Any]) -> str:
    low, high = said["interval"]
    return f"{said['value']:.4f} ({low:.4f} to {high:.4f})"


def _by_label(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (label, f"{row['docs']:,}", *(_with(row[name]) for name in ("precision", "recall", "f1")))
        for label, row in found.items()
    ]
    return _table(("label", "documents", "precision", "recall", "F1"), rows)


def _confusion(labels: Sequence[str], table: Sequence[Sequence[int]]) -> str:
    rows = [(label, *(f"{n:,}" for n in row)) for label, row in zip(labels, table, strict=True)]
    return "## Confusion\n\nRows are what documents are, columns what they were said to be.\n\n" + _table(
        ("", *labels), rows
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(_text, head)) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    """A value that is no markup, on one line."""
    said = " ".join(str(value).split())
    for mark in "\\`*_|[]":
        said = said.replace(mark, f"\\{mark}")
    return html.escape(said, quote=False)


def reliability_svg(rows: Sequence[Mapping[str, Any]], error: float) -> str:
    """A reliability diagram: the share right against the mean score of each bin, circles by how many documents.

    On the diagonal scores mean what they say; under it the classifier is too sure of itself.
    """
    whole = max(1, sum(row["docs"] for row in rows))
    size = SIDE + 2 * MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}"'
    parts = [
        f'{head} font-family="sans-serif" font-size="12" role="img">',
        f"<title>Reliability: expected calibration error {error:g}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        f'<line x1="{_x(0):g}" y1="{_y(0):g}" x2="{_x(1):g}" y2="{_y(1):g}" stroke="#888" stroke-dasharray="4 4"/>',
    ]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(f'<text x="{_x(tick):g}" y="{_y(0) + 18:g}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{_x(0) - 8:g}" y="{_y(tick) + 4:g}" text-anchor="end">{tick:g}</text>')
    points = " ".join(f"{_x(row['confidence']):.1f},{_y(row['accuracy']):.1f}" for row in rows)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#1f6fb2" stroke-width="2"/>')
    for row in rows:
        radius = 3 + 9 * (row["docs"] / whole) ** 0.5
        parts.append(
            f'<circle cx="{_x(row["confidence"]):.1f}" cy="{_y(row["accuracy"]):.1f}" r="{radius:.1f}" fill="#1f6fb2" '
            f'fill-opacity="0.5"><title>{row["docs"]:,} documents: score {row["confidence"]:g}, '
            f"right {row['accuracy']:g}</title></circle>"
        )
    middle = MARGIN + SIDE / 2
    parts.append(f'<text x="{middle:g}" y="{size - 8}" text-anchor="middle">mean of the best score</text>')
    parts.append(
        f'<text x="14" y="{middle:g}" text-anchor="middle" transform="rotate(-90 14 {middle:g})">share right</text>'
    )
    parts.append(f'<text x="{middle:g}" y="28" text-anchor="middle">expected calibration error {error:g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(share: float) -> float:
    return MARGIN + share * SIDE


def _y(share: float) -> float:
    return MARGIN + (1 - share) * SIDE


def card(fields: Mapping[str, Any], digest: str) -> str:
    """Markdown of a card: what is in it, in the order in which a reader asks; unknown fields come last, as they are."""
    name = fields.get("name") or f"{fields['kind']} classifier"
    first = ("kind", "labels", "task", "licence", "created_by", "mdfs_version")
    known = {*first, "name", "schema_version", "files", "metrics", "training"}
    blocks = [f"# {_text(name)}\n", _list({key: fields[key] for key in first if key in fields} | {"digest": digest})]
    if "limits" in fields:
        blocks.append(f"## Limits\n\n{_text(fields['limits'])}\n")
    blocks += [f"## {_text(key.replace('_', ' ').capitalize())}\n\n{_list(value)}" for key, value in
               (("training", fields.get("training")),) if value]  # fmt: skip
    for part, said in fields.get("metrics", {}).items():
        blocks.append(f"## Measured: {_text(part.replace('_', ' '))}\n")
        full = isinstance(said, Mapping) and "bootstrap" in said
        blocks.append(_demoted(evaluation(said)) if full else _list(said))
    for key, value in fields.items():
        if key not in known and key != "limits":
            blocks.append(f"## {_text(key.replace('_', ' ').capitalize())}\n\n{_list(value)}")
    files = [(path, f"{said['bytes']:,}", said["sha256"]) for path, said in fields.get("files", {}).items()]
    blocks.append("## Files\n\n" + _table(("file", "bytes", "sha256"), files))
    return "\n".join(blocks)


def _demoted(markdown: str) -> str:
    """An evaluation without its title, as part of a longer text."""
    return markdown.split("\n", 2)[2].replace("\n## ", "\n### ")


def _list(value: Any, depth: int = 0) -> str:
    """Nested bullets of plain data."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        lines = [
            f"{indent}- {_key(key)}:\n{_list(item, depth + 1)}" if _nested(item) else
            f"{indent}- {_key(key)}: {_flat(item)}\n"
            for key, item in value.items()
        ]  # fmt: skip
        return "".join(lines)
    if isinstance(value, list):
        return "".join(_item(item, depth) for item in value)
    return f"{indent}{_flat(value)}\n"


def _key(name: str) -> str:
    return _text(name.replace("_", " "))


def _item(value: Any, depth: int) -> str:
    """An item of a list; a table goes under its name."""
    indent = "  " * depth
    if not _nested(value):
        return f"{indent}- {_flat(value)}\n"
    head = value.get("name", "") if isinstance(value, Mapping) else ""
    rest = {key: item for key, item in value.items() if key != "name"} if isinstance(value, Mapping) else value
    return f"{indent}- {_text(head)}\n{_list(rest, depth + 1)}"


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(v, Mapping | list) for v in value))


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)
