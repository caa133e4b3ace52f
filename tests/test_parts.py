"""Part files: bounded row groups, nothing where there is nothing."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mdfs import parts
from mdfs.errors import RunError
from mdfs.parts import PartWriter, read_part
from mdfs.schema import DOCUMENT, conform
from mdfs.storage import Store


def documents(texts):
    n = len(texts)
    columns = {
        "doc_id": [f"{i:032x}" for i in range(n)],
        "source": ["s"] * n,
        "source_key": [""] * n,
        "url": [""] * n,
        "fetched_at": [None] * n,
        "title": [""] * n,
        "text": texts,
        "meta": [[("k", "v")]] * n,
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in DOCUMENT], schema=DOCUMENT)


def test_what_is_written_is_read(tmp_path):
    store = Store(str(tmp_path))
    batch = documents(["一", "二" * 10, ""])
    with PartWriter(store, "p/a.parquet", DOCUMENT, kind="kept", source="s") as part:
        part.write(batch)
        part.write(batch.slice(1, 1))
        part.write(batch.slice(0, 0))
    (file,) = part.files
    assert (file.rows, file.kind, file.source, file.text_bytes) == (4, "kept", "s", 3 + 30 + 0 + 30)
    assert file.bytes == (tmp_path / "p/a.parquet").stat().st_size
    rows = pa.Table.from_batches(read_part(store, "p/a.parquet")).to_pylist()
    assert [row["text"] for row in rows] == ["一", "二" * 10, "", "二" * 10]
    assert rows[0]["meta"] == [("k", "v")]


def test_no_rows_no_file(tmp_path):
    store = Store(str(tmp_path))
    with PartWriter(store, "a.parquet", DOCUMENT, kind="kept") as part:
        part.write(documents([]))
    assert part.files == []
    assert store.list("") == []


def test_an_error_leaves_no_file(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(ZeroDivisionError), PartWriter(store, "a.parquet", DOCUMENT, kind="kept") as part:
        part.write(documents(["x"] * (parts.GROUP_ROWS + 1)))
        raise ZeroDivisionError
    assert store.list("") == []


def test_row_groups_are_bounded(tmp_path):
    store = Store(str(tmp_path))
    big = "长" * (parts.GROUP_BYTES // 9)
    with PartWriter(store, "a.parquet", DOCUMENT, kind="kept") as part:
        part.write(documents([big] * 7))
        part.write(documents(["短"] * (2 * parts.GROUP_ROWS + 5)))
    batches = list(read_part(store, "a.parquet"))
    assert sum(batch.num_rows for batch in batches) == 7 + 2 * parts.GROUP_ROWS + 5
    assert all(batch.num_rows <= parts.GROUP_ROWS for batch in batches)
    assert all(batch.nbytes <= parts.GROUP_BYTES * 1.05 for batch in batches)
    assert pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(0).compression == "ZSTD"


def test_one_document_longer_than_a_group_is_a_group(tmp_path):
    store = Store(str(tmp_path))
    with PartWriter(store, "a.parquet", DOCUMENT, kind="kept") as part:
        part.write(documents(["x" * (parts.GROUP_BYTES + 1), "y"]))
    assert [batch.num_rows for batch in read_part(store, "a.parquet")] == [1, 1]


def test_conform_puts_columns_in_order_and_refuses_others():
    batch = documents(["a"])
    shuffled = batch.select(list(reversed(batch.schema.names)))
    assert conform(shuffled, DOCUMENT).schema == DOCUMENT
    with pytest.raises(RunError, match="'text' is missing"):
        conform(batch.select(["doc_id"]), pa.schema([DOCUMENT.field("text")]))
    wrong = pa.RecordBatch.from_pydict({"text": [1]})
    with pytest.raises(RunError, match="is int64, not string"):
        conform(wrong, pa.schema([DOCUMENT.field("text")]))
    holes = pa.RecordBatch.from_pydict({"text": ["a", None]})
    with pytest.raises(RunError, match="1 nulls"):
        conform(holes, pa.schema([DOCUMENT.field("text")]))
