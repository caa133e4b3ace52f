"""Kept documents become shards: grouped by source, rolled over by tokens, the same whatever the order of work."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs import verify
from mdfs.ledger import File
from mdfs.schema import SHARD
from mdfs.storage import Store
from mdfs.tokenize import shards, stage, tokenizer


def part(source: str, name: str, text_bytes: int) -> File:
    return File(f"classify/kept/{name}.parquet", "kept", 1, 1, name, source, text_bytes)


def names(unit: Any) -> list[str]:
    return [entry["sha256"] for entry in unit.data["parts"]]


def test_parts_of_one_source_are_grouped_up_to_a_shard() -> None:
    files = [
        part("b", "p3", 10),
        part("a", "p1", 30),
        part("a", "p0", 10),
        part("a", "p2", 10),
        part("a", "p4", 500),
        part("a", "p5", 1),
    ]
    units = stage.units(files, shard_tokens=10)
    assert [(unit.data["source"], names(unit)) for unit in units] == [
        ("a", ["p0", "p1"]), ("a", ["p2"]), ("a", ["p4"]), ("a", ["p5"]), ("b", ["p3"]),
    ]  # fmt: skip
    assert [unit.cost for unit in units] == [40, 10, 500, 1, 10]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90)), max_size=30), st.integers(1, 20), st.randoms())
def test_grouping_keeps_every_part_once_whatever_the_order(
    sizes: list[tuple[str, int]], tokens: int, random: Any
) -> None:
    files = [part(source, f"p{i:03d}", size) for i, (source, size) in enumerate(sizes)]
    units = stage.units(files, tokens)
    assert sorted(name for unit in units for name in names(unit)) == [file.sha256 for file in files]
    assert len({unit.id for unit in units}) == len(units)
    assert all(unit.cost <= tokens * stage.BYTES_PER_TOKEN or len(names(unit)) == 1 for unit in units)
    random.shuffle(files)
    assert stage.units(files, tokens) == units


def test_units_of_two_sources_never_share_a_name() -> None:
    units = stage.units([part("a", "p", 1), part("b", "p", 1)], 10)
    assert len({unit.id for unit in units}) == 2


@pytest.mark.parametrize("source", ["wiki", "news.2024", "a-b_c"])
def test_a_plain_source_is_its_own_folder(source: str) -> None:
    assert stage.folder(source) == source


def test_no_two_sources_share_a_folder_and_none_leaves_the_output() -> None:
    sources = [
        "News",
        "news",
        "新闻",
        "新聞",
        "a/b",
        "a_b",
        "a b",
        "..",
        ".",
        "",
        "/etc",
        "a\\b",
        "a\nb",
        "x" * 300,
        "x" * 301,
        "con:",
    ]
    sources += [stage.folder("News"), stage.folder("新闻")]
    folders = [stage.folder(source) for source in sources]
    assert len({folder.lower() for folder in folders}) == len(sources)
    assert all(
        re.fullmatch(r"[\w.-]+", folder) and folder.strip(".") and len(folder.encode()) < 200 for folder in folders
    )


def batch(lengths: list[int], salt: str = "") -> pa.RecordBatch:
    rows = [{"doc_id": run_folder.doc_id(salt, i), "input_ids": [i % 9 + 1] * n} for i, n in enumerate(lengths)]
    return pa.RecordBatch.from_pylist(rows, schema=SHARD)


def write(tmp_path: Path, batches: list[pa.RecordBatch], limit: int) -> list[File]:
    with shards.ShardWriter(Store(str(tmp_path)), "shards/s/u", "s", limit) as writer:
        for one in batches:
            writer.write(one, np.full(one.num_rows, 3))
    return writer.files


def test_a_shard_is_closed_before_it_holds_too_many_tokens(tmp_path: Path) -> None:
    files = write(tmp_path, [batch([4, 4, 4]), batch([3, 25, 1, 9, 1], "b")], 10)
    assert [file.tokens for file in files] == [8, 7, 25, 10, 1]
    assert [file.rows for file in files] == [2, 2, 1, 2, 1]
    assert [file.text_bytes for file in files] == [6, 6, 3, 6, 3]
    assert [Path(file.path).name for file in files] == [f"u-{i:04d}.parquet" for i in range(5)]
    lengths = [len(ids) for file in files for ids in pq.read_table(tmp_path / file.path)["input_ids"].to_pylist()]
    assert lengths == [4, 4, 4, 3, 25, 1, 9, 1]
    assert all(file.bytes == (tmp_path / file.path).stat().st_size for file in files)


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "GROUP_TOKENS", 16)
    monkeypatch.setattr(shards, "GROUP_ROWS", 4)
    (file,) = write(tmp_path, [batch([5] * 9 + [40] + [1] * 9)], 10**6)
    metadata = pq.read_metadata(tmp_path / file.path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == 19
    assert max(sizes) <= 4
    with pq.ParquetFile(tmp_path / file.path) as read:
        for i, rows in enumerate(sizes):
            assert rows == 1 or len(read.read_row_group(i)["input_ids"].combine_chunks().flatten()) <= 16


def test_an_error_leaves_no_half_shard(tmp_path: Path) -> None:
    def broken() -> None:
        with shards.ShardWriter(Store(str(tmp_path)), "shards/s/u", "s", 10) as writer:
            writer.write(batch([4, 4, 4]), np.ones(3))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert [path.name for path in (tmp_path / "shards").rglob("*.*")] == ["u-0000.parquet"]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=20), st.randoms())
def test_content_is_blind_to_order_and_additive(lengths: list[int], random: Any) -> None:
    rows = batch(lengths)
    whole = shards.content(rows)
    order = list(range(len(lengths)))
    random.shuffle(order)
    assert shards.content(rows.take(pa.array(order))) == whole
    cut = len(lengths) // 2
    assert (shards.content(rows[:cut]) + shards.content(rows[cut:])) % shards.MODULUS == whole
    assert shards.content(pa.concat_batches([rows, rows[:1]])) != whole


def test_content_is_what_its_definition_says() -> None:
    import hashlib

    rows = pa.RecordBatch.from_pylist([{"doc_id": "0" * 32, "input_ids": [1, 70000]}], schema=SHARD)
    said = b"0" * 32 + (1).to_bytes(4, "little") + (70000).to_bytes(4, "little")
    assert shards.content(rows) == int.from_bytes(hashlib.blake2b(said, digest_size=32).digest(), "big")


def test_a_run_gives_the_same_shards_in_any_order_of_work(tmp_path: Path) -> None:
    parts = [run_folder.texts(25, salt) for salt in "甲乙丙丁"]
    made = []
    for name, backwards in (("one", False), ("two", True)):
        store = Store(str(tmp_path / name))
        for number, texts in enumerate(parts):
            run_folder.fill(store, f"part-{number:04d}", "来源", texts)
        made.append(run_folder.finish(store, 600, backwards=backwards)["shards"])
    assert made[0] == made[1]
    assert len(made[0]) > 2


def test_documents_are_their_texts_with_the_end_of_document(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    texts = ["第一篇。\n<|endoftext|>不是结尾", "", "第三篇"]
    data = run_folder.corpus(store, {"news": [texts]})
    loaded = tokenizer.load("starter", "<|endoftext|>")
    table = pq.read_table(tmp_path / data["shards"][0]["path"])
    assert table.schema.remove_metadata().names == SHARD.names
    ids = table["input_ids"].to_pylist()
    assert [loaded.decode(one) for one in ids] == texts
    assert all(one[-1] == loaded.eod_id and one.count(loaded.eod_id) == 1 for one in ids)
    assert data["stages"][-1]["docs_in"] == data["stages"][-1]["docs_out"] == 3


def test_a_second_run_does_nothing_and_other_tokens_a_shard_do_it_anew(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    run_folder.corpus(store, {"news": [run_folder.texts(40)]}, 10_000)
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in store.list("shards")}
    run_folder.finish(store, 10_000)
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in store.list("shards")} == before
    data = run_folder.finish(store, 200)
    assert sorted(store.list("shards")) == [shard["path"] for shard in data["shards"]]
    assert len(data["shards"]) > len(before)


def parted(folder: Path, languages: list[str | None], *, partition: bool) -> tuple[Store, dict[str, Any]]:
    """A finished run over one part of a source whose documents have these languages."""
    store = Store(str(folder))
    run_folder.fill(store, "part-a", "web", run_folder.texts(len(languages)), languages)
    return store, run_folder.finish(store, 200, partition=partition)


def test_shards_are_parted_by_language_and_the_corpus_stays_the_same(tmp_path: Path) -> None:
    """Each shard has one language, which the manifest names; what the corpus contains is what it is in one folder."""
    languages = ["zh", "en", None, "und-Latn", "zh", "../x"] * 9
    store, data = parted(tmp_path / "parted", languages, partition=True)
    _, together = parted(tmp_path / "together", languages, partition=False)
    assert data["content_digest"] == together["content_digest"]
    assert data["totals"]["docs"] == len(languages)
    assert not [shard for shard in together["shards"] if "language" in shard]
    schema = json.loads((resources.files("mdfs") / "manifest.schema.json").read_text("utf-8"))
    jsonschema.validate(data, schema)
    said = dict(zip([run_folder.doc_id("web", "part-a", k) for k in range(54)], languages, strict=True))
    for shard in data["shards"]:
        with store.open(shard["path"]) as handle:
            ids = pq.ParquetFile(handle).read(["doc_id"])["doc_id"].to_pylist()
        assert {said[doc] or "und" for doc in ids} == {shard["language"]}
        assert shard["path"].split("/")[:3] == ["shards", "web", f"lang={stage.folder(shard['language'])}"]
    rows = Counter({shard["language"]: 0 for shard in data["shards"]})
    for shard in data["shards"]:
        rows[shard["language"]] += shard["rows"]
    assert rows == {"zh": 18, "en": 9, "und": 9, "und-Latn": 9, "../x": 9}
    assert len([shard for shard in data["shards"] if shard["language"] == "zh"]) > 1, "closed by tokens as well"
    assert verify.verify(store) == []


def test_a_changed_language_is_found(tmp_path: Path) -> None:
    """The manifest's language is that of the ledger."""
    store, data = parted(tmp_path, ["zh", "en"] * 5, partition=True)
    data["shards"][0]["language"] = "fr"
    store.write_json("manifest.json", data)
    assert any("says language fr, the ledger en" in problem for problem in verify.verify(store))


def test_a_measurement_that_is_not_there_stops_the_unit(tmp_path: Path) -> None:
    """Parts without `lang` are not quietly put into one folder."""
    store = Store(str(tmp_path))
    run_folder.fill(store, "part-a", "web", run_folder.texts(3))
    with pytest.raises(KeyError, match="signals"):
        run_folder.finish(store, partition=True)
