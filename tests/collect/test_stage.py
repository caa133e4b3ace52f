"""The stage: files of documents, the account of them, and the same output whatever the circumstances."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from mdfs.collect import stage, streams
from mdfs.collect.documents import doc_id
from mdfs.errors import RunError, UsageError
from mdfs.pool import heartbeat
from mdfs.recipe import Collect, Recipe, Source
from mdfs.schema import DOCUMENT, QUARANTINE
from mdfs.stage import Job, Unit
from mdfs.storage import InputFile, Store
from tests.collect.kit import ARTICLE, gzipped, outcomes, page, reasons, record

RECIPE = Recipe("test")


def unit(path: Path, source: str = "s", **more: object) -> Unit:
    data = {
        "uri": str(path),
        "source": source,
        "path": path.name,
        "size": path.stat().st_size,
        "reader": "",
        "fields": {},
    }
    return Unit(stage.unit_id(source, path.name), data, **more)  # type: ignore[arg-type]


def archive(path: Path, count: int = 5) -> Path:
    records = [record(page(title=f"第{i}页"), url=f"http://a.example/{i}", number=i) for i in range(count)]
    records.append(record(b"gone", status="404 Not Found"))
    records.append(record(b"x: y", kind="warcinfo", mime="application/warc-fields"))
    path.write_bytes(gzipped(records) + b"\x1f\x8b\x08 broken")
    return path


def test_a_file_becomes_parts_quarantine_and_a_row(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    row = stage.work(Job("collect", store, RECIPE), one := unit(archive(tmp_path / "a.warc.gz")))
    assert (row.docs_in, row.docs_out, row.docs_dropped, row.quarantined) == (7, 5, 1, 1)
    assert (row.dropped, row.quarantine_reasons) == ({"http_status": 1}, {"broken_archive": 1})
    assert row.skipped == {"warcinfo": 1}
    assert [(f.path, f.kind, f.rows) for f in row.files] == [
        (f"collect/part-{one.id}-0000.parquet", "kept", 5),
        (f"quarantine/collect-{one.id}.parquet", "quarantine", 2),
    ]
    kept = pq.read_table(tmp_path / "out" / row.files[0].path)
    assert kept.schema.names == DOCUMENT.names
    assert kept["doc_id"][0].as_py() == doc_id("s", "a.warc.gz", "0")
    rest = pq.read_table(tmp_path / "out" / row.files[1].path)
    assert rest.schema.names == QUARANTINE.names
    assert rest["disposition"].to_pylist() == ["dropped", "quarantined"]


def test_parts_roll_over_and_hold_the_same_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"{i} {ARTICLE[0]}"}) + "\n" for i in range(25)))
    tables = []
    for limits in (Collect(), Collect(part_documents=10), Collect(part_bytes=1_000)):
        out = tmp_path / f"out{len(tables)}"
        row = stage.work(Job("collect", Store(str(out)), Recipe("r", collect=limits)), unit(path))
        tables.append([r for f in row.files for r in pq.read_table(out / f.path).to_pylist()])
        assert [f.path[-12:-8] for f in row.files] == [f"{i:04}" for i in range(len(row.files))]
    assert [f.rows for f in row.files][:2] == [7, 7]
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) == 25


def test_texts_that_are_empty_or_too_long() -> None:
    output = stage._Output(
        Store("memory"), Unit("u", {"source": "s", "path": "p", "size": 0}), Collect(max_text_chars=10)
    )
    for found in outcomes(b'{"text": " \\u3000\\n\\u200b"}\n{"text": ""}\n{"text": "' + b"x" * 11 + b'"}\n', "a.jsonl"):
        output.take(found)
    row = output.row("collect")
    assert (row.dropped, row.quarantine_reasons, row.docs_in) == ({"no_text": 2}, {"text_too_long": 1}, 3)


def test_records_that_killed_a_worker_are_left_out(tmp_path: Path) -> None:
    raw = gzipped([record(page(), number=i) for i in range(4)])
    found = outcomes(raw, "a.warc.gz", skip=(1, 3))
    assert reasons(found) == ["killed_worker", "killed_worker"]


def test_the_heartbeat_says_where_and_how_far(tmp_path: Path) -> None:
    raw = gzipped([record(page(), number=i) for i in range(4)])
    before = heartbeat.read()
    seen = []
    source = streams.Source(io.BytesIO(raw))
    for _ in stage.outcomes(source, Unit("u", {"path": "a.warc.gz", "source": "s"}), Collect()):
        seen.append(heartbeat.read()[0])
    after = heartbeat.read()
    assert seen == [0, 1, 2, 3]
    assert (after[1] - before[1], after[2] - before[2]) == (4, len(raw))


def run(recipe: Recipe, *inputs: InputFile) -> SimpleNamespace:
    return SimpleNamespace(recipe=recipe, inputs=list(inputs))


def test_units_are_named_after_source_and_path_alone() -> None:
    here = stage.units(run(RECIPE, InputFile("/here/a", "s", "x/a", 1, 5, "in")))  # type: ignore[arg-type]
    there = stage.units(run(RECIPE, InputFile("s3://there/a", "s", "x/a", 9, 7, "other")))  # type: ignore[arg-type]
    assert here[0].id == there[0].id == stage.unit_id("s", "x/a")
    assert here[0].cost == 1


def test_the_same_source_and_path_twice_is_bad_usage() -> None:
    files = InputFile("/a/x/p", "x", "p", 1, 0, "x"), InputFile("/b/x/p", "x", "p", 1, 0, "x")
    with pytest.raises(UsageError, match=r"`\[\[source\]\] name`"):
        stage.units(run(RECIPE, *files))  # type: ignore[arg-type]


def test_a_recipe_names_reader_and_fields() -> None:
    recipe = Recipe("r", source=(Source(match="in/**/*.dump", reader="jsonl", fields={"text": "body"}),))
    (one,) = stage.units(run(recipe, InputFile("/in/a.dump", "in", "a.dump", 1, 0, "in")))  # type: ignore[arg-type]
    assert (one.data["reader"], one.data["fields"]) == ("jsonl", {"text": "body"})
    wrong = Recipe("r", source=(Source(reader="jsonll"),))
    with pytest.raises(UsageError, match="did you mean 'jsonl'"):
        stage.units(run(wrong, InputFile("/in/a", "in", "a", 1, 0, "in")))  # type: ignore[arg-type]


class Failing(io.BytesIO):
    """Storage that fails behind the first 100,000 bytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 100_000:
            raise OSError("connection reset")
        return super().read(size)


@pytest.mark.parametrize("name", ["a.warc.gz", "a.jsonl.gz", "a.jsonl", "a.txt", "a.warc"])
def test_storage_that_fails_is_no_fault_of_the_file(name: str) -> None:
    raw = b"".join(record(page([f"{i}，{ARTICLE[0]}"]), number=i) for i in range(400))
    if "jsonl" in name:
        raw = b"".join(json.dumps({"text": f"{i * 7919 % 10007} {i}"}).encode() + b"\n" for i in range(100_000))
    if name.endswith(".gz"):
        raw = b"".join(gzip.compress(raw[i : i + 700], 1) for i in range(0, len(raw), 700))
    source = streams.Source(Failing(raw))
    with pytest.raises(OSError, match="connection reset"):
        list(stage.outcomes(source, Unit("u", {"path": name, "source": "s"}), Collect()))


def test_failing_storage_fails_the_unit_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "x"}\n' * 50_000)

    class FileSystem:
        def open_input_file(self, _: str) -> Failing:
            return Failing(path.read_bytes())

    monkeypatch.setattr(stage, "locate", lambda uri: (FileSystem(), uri))
    with pytest.raises(RunError, match="run again when the storage answers"):
        stage.work(Job("collect", Store(str(tmp_path / "out")), RECIPE), unit(path))
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_the_same_bytes_give_the_same_files(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = archive(tmp_path / name / "a.warc.gz")
        row = stage.work(Job("collect", Store(str(tmp_path / name / "out")), RECIPE), unit(path))
        digests.append([f.sha256 for f in row.files])
    assert digests[0] == digests[1]
