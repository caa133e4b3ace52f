"""Training sets: groups, near-duplicates, contamination, splits."""

from __future__ import annotations

import json
from pathlib import Path

from mdfs.classifiers.datasets import Doc, decontaminate, describe, join_near_duplicates, read_labelled, split

LONG = "".join(chr(0x4E00 + i * 7 % 5000) for i in range(400))
OTHER = "".join(chr(0x4E00 + i * 13 % 4900) for i in range(400))


def doc(name: str, text: str, label: str = "high") -> Doc:
    return Doc(name, text, label, "set", name)


def test_a_host_is_a_group(tmp_path: Path) -> None:
    rows = [
        {"text": "一", "label": "ad", "url": "http://a.example/1"},
        {"text": "二", "label": "low", "url": "http://a.example/2"},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text(
        "".join(json.dumps(r) + "\n" for r in [*rows, {"text": "三", "label": None}, {"text": "四", "label": "high"}])
    )
    docs = read_labelled(path)
    assert [d.group for d in docs] == ["a.example", "a.example", "x#3"]


def test_near_duplicates_become_one_group() -> None:
    docs = join_near_duplicates([doc("a", LONG), doc("b", OTHER), doc("c", LONG[100:] + "尾")])
    groups = {d.id: d.group for d in docs}
    assert groups["a"] == groups["c"] != groups["b"]


def test_what_shares_a_passage_with_a_test_text_is_dropped() -> None:
    docs = [doc("a", OTHER[:50] + LONG[:200] + OTHER[50:60]), doc("b", OTHER)]
    assert [d.id for d in decontaminate(docs, [LONG])] == ["b"]


def test_a_group_is_on_one_side_and_the_same_on_every_run() -> None:
    docs = [Doc(f"{i}", "x", "high", "s", f"g{i // 5}") for i in range(1000)]
    rest, held = split(docs, 0.3, "salt")
    assert not {d.group for d in rest} & {d.group for d in held}
    assert 200 < len(held) < 400
    assert split(docs[::-1], 0.3, "salt")[1][::-1] == held


def test_a_description_depends_on_content_not_on_order() -> None:
    docs = [doc("a", "一", "ad"), doc("b", "二", "low")]
    assert describe(docs) == describe(docs[::-1])
    assert describe(docs)["by_label"] == {"ad": 1, "high": 0, "low": 1}
    assert describe(docs)["sha256"] != describe([doc("a", "一", "low"), doc("b", "二", "ad")])["sha256"]
