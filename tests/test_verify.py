"""Verify finds whatever was changed in a finished run's folder, and nothing in an untouched one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folder

from mdfs import manifest, verify
from mdfs.errors import UsageError
from mdfs.schema import SHARD
from mdfs.storage import Store
from mdfs.tokenize.shards import ShardWriter


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "run"
    parts = {"news": [run_folder.texts(30), run_folder.texts(20, "乙")], "百科": [run_folder.texts(12, "丙")]}
    run_folder.corpus(Store(str(folder)), parts, shard_tokens=400)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "run"))


def test_nothing_is_off_in_an_untouched_folder(good: Path) -> None:
    assert verify.verify(Store(str(good))) == []


def edit(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, ensure_ascii=False))


def edit_lines(path: Path, change: Callable[[Any], None]) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def in_manifest(change: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "manifest.json", change)


def in_row(stage: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda folder: edit(min((folder / "ledger" / stage).iterdir()), change)


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


def flip(pattern: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = first(folder, pattern)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return damage


def cut(folder: Path) -> None:
    path = first(folder, "shards/*/*.parquet")
    path.write_bytes(path.read_bytes()[:-1])


def rewrite_shard(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[Path], None]:
    """Change a shard's rows and make size, digests and counts in ledger and manifest fit the new file, as one would
    who wants to hide it."""

    def damage(folder: Path) -> None:
        store = Store(str(folder))
        rows: list[dict[str, Any]] = pq.read_table(first(folder, "shards/*/*.parquet")).to_pylist()
        path = str(first(folder, "shards/*/*.parquet").relative_to(folder))
        change(rows)
        batch = pa.RecordBatch.from_pylist(rows, schema=SHARD)
        with ShardWriter(store, path.removesuffix("-0000.parquet"), "news", 10**9) as shards:
            shards.write(batch, np.zeros(batch.num_rows, np.int64))
        new = vars(shards.files[0])

        def put(entry: dict[str, Any]) -> None:
            if entry["path"] == path:
                entry |= {key: new[key] for key in ("rows", "tokens", "bytes", "sha256", "content")}

        edit_lines(folder / "ledger/tokenize.jsonl", lambda data: [put(file) for file in data["files"]])
        edit(folder / "manifest.json", lambda data: [put(shard) for shard in data["shards"]])
        read = manifest.read(store)
        edit(folder / "manifest.json", lambda data: data.update(
            content_digest=manifest.content_digest(read.shards, read.tokenizer_digest),
            totals=manifest.sums(read.shards), sources=manifest.by_source(read.shards),
            mixture=manifest.mixture(manifest.by_source(read.shards))))  # fmt: skip

    return damage


def again(folder: Path) -> None:
    victim = first(folder, "shards/news/*.parquet")
    shutil.copy(victim, victim.with_name("part-more-0000.parquet"))


def other_columns(folder: Path) -> None:
    path = first(folder, "classify/kept/*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "bit of a shard": (flip("shards/*/*.parquet"), "its bytes have changed"),
    "end of a shard": (cut, "were written"),
    "shard gone": (lambda folder: first(folder, "shards/*/*.parquet").unlink(), "is missing"),
    "shard too many": (again, "neither the ledger nor manifest.json names this file"),
    "bit of a kept part": (flip("classify/kept/*.parquet"), "its bytes have changed"),
    "bit of a dropped part": (flip("rules/dropped/*.parquet"), "its bytes have changed"),
    "bit of the quarantine": (flip("quarantine/*.parquet"), "its bytes have changed"),
    "bit of the duplicates": (flip("dedup/duplicates/*.parquet"), "its bytes have changed"),
    "collected part gone": (lambda folder: first(folder, "collect/*.parquet").unlink(), "is missing"),
    "kept part rewritten": (other_columns, "were written"),
    "settled ledger cut": (lambda folder: (folder / "ledger/tokenize.jsonl").write_text('{"stage'), "is damaged"),
    "settled ledger emptied": (lambda folder: (folder / "ledger/tokenize.jsonl").write_text(""), "tokenize"),
    "ledger row gone": (lambda folder: min((folder / "ledger/rules").iterdir()).unlink(), "documents in, but"),
    "ledger row damaged": (lambda folder: min((folder / "ledger/rules").iterdir()).write_text("{"), "is not JSON"),
    "ledger row emptied": (lambda folder: min((folder / "ledger/rules").iterdir()).write_text("{}"), "is damaged"),
    "row's accounting": (in_row("rules", lambda row: row.update(docs_out=row["docs_out"] - 1)), "documents in, but"),
    "row's drop reasons": (
        in_row("rules", lambda row: row["dropped"].update({"length.min": 1})),
        "length.min (1, files hold 2)",
    ),
    "row's new reason": (
        in_row("classify", lambda row: row["dropped"].update({"label.low": 3})),
        "label.low (3, files hold 0)",
    ),
    "row's quarantine reasons": (
        in_row("collect", lambda row: row.update(quarantine_reasons={"bomb": 1})),
        "bomb (1, files hold 0)",
    ),
    "row's copies": (in_row("dedup", lambda row: row.update(dropped={"exact": 2})), "exact (2, files hold 1)"),
    "row drops fewer": (
        in_row("classify", lambda row: row.update(docs_dropped=0, docs_out=row["docs_out"] + 1)),
        "0 documents dropped, its files hold 1",
    ),
    "row quarantines fewer": (
        in_row("collect", lambda row: row.update(quarantined=0, docs_in=row["docs_in"] - 1)),
        "0 documents quarantined, its files hold 1",
    ),
    "row's file rows": (in_row("rules", lambda row: row["files"][0].update(rows=1)), "rows, the ledger says 1"),
    "manifest cut": (lambda folder: (folder / "manifest.json").write_text('{"schema'), "is not JSON"),
    "manifest without shards": (in_manifest(lambda data: data.pop("shards")), "is damaged"),
    "manifest's version": (in_manifest(lambda data: data.update(schema_version=9)), "schema_version"),
    "shard's rows": (in_manifest(lambda data: data["shards"][0].update(rows=1)), "rows, the manifest says 1"),
    "shard's tokens": (in_manifest(lambda data: data["shards"][0].update(tokens=1)), "tokens, the manifest says 1"),
    "shard's groups": (in_manifest(lambda data: data["shards"][0].update(groups=7)), "groups, the manifest says 7"),
    "shard's content": (in_manifest(lambda data: data["shards"][0].update(content="0" * 64)), "give content"),
    "shard's source": (in_manifest(lambda data: data["shards"][0].update(source="x")), "the manifest says source x"),
    "shard left out": (in_manifest(lambda data: data["shards"].pop()), "in the ledger but not in manifest.json"),
    "shard twice": (in_manifest(lambda data: data["shards"].append(data["shards"][0])), "2 times"),
    "shard outside": (in_manifest(lambda data: data["shards"][0].update(path="../x.parquet")), "leave the folder"),
    "totals": (in_manifest(lambda data: data["totals"].update(docs=1)), "totals are"),
    "sources": (in_manifest(lambda data: data["sources"].pop()), "sources are not"),
    "mixture": (in_manifest(lambda data: data["mixture"][0].update(weight=0.9)), "mixture is not"),
    "content digest": (in_manifest(lambda data: data.update(content_digest="0" * 64)), "content_digest is not"),
    "tokenizer": (in_manifest(lambda data: data["tokenizer"].update(digest="0" * 64)), "content_digest is not"),
    "vocabulary": (
        in_manifest(lambda data: data["tokenizer"].update(vocab_size=300)),
        "the vocabulary ends at 299",
    ),
    "end of document": (in_manifest(lambda data: data["tokenizer"].update(eod_id=5)), "end-of-document id 5"),
    "stage's count": (in_manifest(lambda data: data["stages"][2].update(docs_dropped=9)), "stage dedup differs"),
    "stage left out": (in_manifest(lambda data: data["stages"].pop()), "stage tokenize differs"),
    "token changed and hidden": (
        rewrite_shard(lambda rows: rows[0]["input_ids"].__setitem__(0, 0)),
        "end-of-document id",
    ),
    "document twice and hidden": (rewrite_shard(lambda rows: rows.append(rows[0])), "stand in more than one row"),
    "document swapped and hidden": (
        rewrite_shard(lambda rows: rows[0].update(doc_id="f" * 32)),
        "tokenize: the document ids in its files are not those",
    ),
    "document's id and hidden": (rewrite_shard(lambda rows: rows[0].update(doc_id="x")), "is not 32 hex digits"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(folder: Path, name: str) -> None:
    damage, expected = DAMAGE[name]
    damage(folder)
    problems = verify.verify(Store(str(folder)))
    assert any(expected in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_a_flipped_bit_is_one_line(folder: Path) -> None:
    flip("shards/*/*.parquet")(folder)
    assert len(verify.verify(Store(str(folder)))) == 1


def test_a_shard_of_other_columns_is_no_shard(folder: Path) -> None:
    path = first(folder, "shards/*/*.parquet")
    pq.write_table(pa.table({"doc_id": ["a"]}), path)
    written = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    edit(folder / "manifest.json", lambda data: data["shards"][0].update(written))
    assert any("is no shard" in problem for problem in verify.verify(Store(str(folder))))


def test_equal_ids_are_found_range_by_range(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "IDS_AT_ONCE", 7)
    store = Store(str(good))
    paths = [shard.path for shard in manifest.read(store).shards]
    assert list(verify._equal_ids(store, paths, 62)) == []
    (line,) = verify._equal_ids(store, [*paths, paths[0]], 62)
    rows = manifest.read(store).shards[0].rows
    assert line.startswith(f"shards: {rows} document ids stand in more than one row")
    assert line.count(",") == verify.NAMED


def test_a_folder_that_is_no_finished_run_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        verify.verify(Store(str(tmp_path / "nothing")))
    with pytest.raises(UsageError, match="not finished"):
        verify.verify(Store(str(tmp_path)))
