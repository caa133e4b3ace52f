"""Labelled files: formats, groups that no split parts, labels of any set."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import generated
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mdfs.classifiers import labelled, unlabelled
from mdfs.classifiers.datasets import Doc

from mdfs.errors import UsageError

RNG = random.Random(3)
LONG = "".join(chr(0x4E00 + RNG.randrange(5000)) for _ in range(600))
OTHER = "".join(chr(0x4E00 + RNG.randrange(5000)) for _ in range(600))


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "parquet"])
def test_formats_say_the_same(tmp_path: Path, form: str) -> None:
    rows = generated.rows(5)
    path = tmp_path / f"x.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        raw = "\n".join(json.dumps(row) for row in rows).encode()
        path.write_bytes(gzip.compress(raw) if form.endswith("gz") else raw)
    found = labelled.read([path])
    assert [(d.text, d.label, d.source) for d in found.docs] == [(r["text"], r["label"], r["source"]) for r in rows]
    assert found.files[0]["rows"] == found.files[0]["used"] == 15
    assert len(found.files[0]["sha256"]) == 64


def test_rows_without_a_label_or_with_another_are_counted(tmp_path: Path) -> None:
    rows = [{"text": "一", "label": "a"}, {"text": "二", "label": None}, {"text": "三", "label": "b"}, {"text": "四"}]
    found = labelled.read([generated.write(tmp_path / "x.jsonl", rows)], ("a",))
    assert [d.label for d in found.docs] == ["a"]
    assert found.skipped == {"no label": 2, "label b": 1}


def groups(rows: list[dict[str, str]], tmp_path: Path) -> list[str]:
    return [d.group for d in labelled.read([generated.write(tmp_path / "x.jsonl", rows)]).docs]


def test_what_hangs_together_is_one_group(tmp_path: Path) -> None:
    rows = [
        {"text": "一", "label": "a", "url": "http://h.example/1"},
        {"text": "二", "label": "b", "host": "h.example"},
        {"text": "三", "label": "a", "group": "g"},
        {"text": "四", "label": "a", "group": "g", "url": "http://other.example/"},
        {"text": "五", "label": "a", "url": "http://other.example/9"},
        {"text": "。五！", "label": "b"},
        {"text": LONG, "label": "a"},
        {"text": "前言。" + LONG[100:400] + OTHER[:50], "label": "b"},
        {"text": OTHER[300:], "label": "b", "url": "http://["},
        {"text": "六", "label": "a", "url": ""},
    ]
    g = groups(rows, tmp_path)
    assert g[0] == g[1], "one host"
    assert g[2] == g[3] == g[4] == g[5], "group, then host, then the same characters"
    assert g[6] == g[7], "a passage"
    assert len({g[0], g[2], g[6], g[8], g[9]}) == 5


def test_a_host_named_like_a_group_is_not_that_group(tmp_path: Path) -> None:
    rows = [{"text": "一", "label": "a", "host": "x"}, {"text": "二", "label": "b", "group": "x"}]
    assert len(set(groups(rows, tmp_path))) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{\n", "x.jsonl:1: no JSON"),
        (b"[]\n", "x.jsonl:1: a list and no object"),
        (b'{"label": "a"}\n', "row 1 has no text"),
        (b'{"text": 3, "label": "a"}\n', "row 1 has no text"),
        (b'{"text": "x"}\n', "no labelled document"),
        (b"", "no labelled document"),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        labelled.read([tmp_path / "x.jsonl"])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="cannot be read"):
        labelled.read([tmp_path / "x.parquet"])


def docs(count: int, per_group: int = 4, labels: str = "abc") -> list[Doc]:
    return [
        Doc(f"{i}", f"t{i}", labels[(i // per_group) % len(labels)], "s", f"g{i // per_group}") for i in range(count)
    ]


def test_no_group_is_on_two_sides_and_shares_are_kept() -> None:
    given = docs(4000)
    parts = labelled.split(given, (0.2, 0.1), seed=5)
    names = [{d.group for d in part} for part in parts]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert not names[1] & names[2]
    assert [len(part) / 4000 for part in parts] == pytest.approx([0.2, 0.1, 0.7], abs=0.05)


def test_a_group_keeps_its_side_when_documents_are_added() -> None:
    few, many = labelled.split(docs(2000), (0.2, 0.1), 5), labelled.split(docs(4000), (0.2, 0.1), 5)
    for before, after in zip(few, many, strict=True):
        assert {d.id for d in before} <= {d.id for d in after}
    assert {d.id for d in few[0]} != {d.id for d in labelled.split(docs(2000), (0.2, 0.1), 6)[0]}


def test_every_part_has_every_label_or_one_is_told() -> None:
    for seed in range(20):
        for part in labelled.split(docs(36), (0.1, 0.1), seed):
            assert {d.label for d in part} == set("abc")
    with pytest.raises(UsageError, match="label 'a' has 1 groups"):
        labelled.split(docs(12), (0.1, 0.1), 1)


def test_shingles_are_those_of_the_words_alone() -> None:
    spaced = "，".join(LONG)
    np.testing.assert_array_equal(labelled.shingles(spaced), labelled.shingles(LONG))
    assert 40 < len(labelled.shingles(LONG)) < 110, "one in eight of 581"
    assert len(labelled.shingles("短")) == 0


def test_a_description_is_of_content_not_of_order() -> None:
    given = docs(12)
    assert labelled.describe(given) == labelled.describe(given[::-1])
    assert labelled.describe(given)["largest_group"] == 4
    assert labelled.describe(given)["sha256"] != labelled.describe(given[1:])["sha256"]


def test_unlabelled_texts_come_from_files_and_run_folders(tmp_path: Path) -> None:
    generated.write(tmp_path / "x.jsonl", [{"text": "一"}, {"text": None}, {"title": "无"}])
    for stage, said in (("rules/kept", "二"), ("collect", "三")):
        (tmp_path / "out" / stage).mkdir(parents=True)
        pq.write_table(pa.table({"text": [said]}), tmp_path / "out" / stage / "part-0.parquet")
    assert list(unlabelled.texts([tmp_path / "x.jsonl", tmp_path / "out"])) == ["一", "二"]
    with pytest.raises(UsageError, match="no texts here"):
        list(unlabelled.texts([tmp_path / "out" / "empty"]))
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "y.parquet")
    with pytest.raises(UsageError, match="no column `text`"):
        list(unlabelled.texts([tmp_path / "y.parquet"]))


def test_a_sample_is_the_same_in_any_order_and_different_by_seed(tmp_path: Path) -> None:
    rows = [{"text": f"第{i}篇"} for i in range(300)]
    one, other = generated.write(tmp_path / "a.jsonl", rows), generated.write(tmp_path / "b.jsonl", rows[::-1] * 2)
    found = unlabelled.sample([one], 50, 1)
    assert found == unlabelled.sample([other], 50, 1)
    assert len(set(found)) == 50
    assert found != unlabelled.sample([one], 50, 2)
    assert len(unlabelled.sample([other], 1000, 1)) == 300, "each text once"
