"""New documents meet old ones: by id (an error), URL, exact text and bands; then pairs of bands are measured.

A new document's number is its part's among all parts times 2^32 plus its row; an old one's is the same with the number
of the index's file and its row among those that the scan let through.

Of the documents of one band, new and old together, each is paired with the one that the band draws and with its
neighbour in length, as in `mdfs.dedup.pairs`; of these pairs those of a new and an old document are looked at here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import index, index_ids, keys, minhash
from mdfs.dedup.index_ids import Ids
from mdfs.dedup.keys import ROW_BITS, band_columns
from mdfs.errors import RunError
from mdfs.ledger import File, Row, fingerprint
from mdfs.options import Dedup
from mdfs.parts import PartWriter, read_part, string_bytes
from mdfs.pool import heartbeat
from mdfs.stage import Job, Unit
from mdfs.storage import Store

SKETCHES = "dedup/sketches"
#: Pairs whose signatures are held at once: 128 MB of them.
PAIRS_AT_ONCE = 1 << 19

PAIRS = pa.schema([("new", pa.int64()), ("old", pa.int64())])
#: What of a part's documents hangs together with what of the index: the id of the new cluster's keeper, and an old row.
TIES = pa.schema([("cluster", pa.binary(16)), ("old", pa.int64())])
SIMILAR = pa.schema([*PAIRS, ("similarity", pa.float64())])

Numbers = NDArray[np.int64]


def sketch(job: Job, unit: Unit) -> Row:
    """Write the signatures of one part's documents, as the index keeps them, row by row."""
    dedup, row = job.recipe.dedup, Row(job.stage, unit.id)
    said = dedup.minhash
    assert said is not None
    width = index.signature_width(dedup)
    schema = pa.schema([("signature", pa.binary(width * said.num_perm))])
    with PartWriter(job.store, sketches_path(unit.id), schema, kind="sketches", numbers=True) as part:
        for batch in read_part(job.store, unit.data["path"], ["text"]):
            texts = batch.column("text")
            found = minhash.signatures(texts, ngram=said.ngram, num_perm=said.num_perm, seed=said.seed)
            part.write(pa.RecordBatch.from_arrays([kept_values(found, dedup)], schema=schema))
            heartbeat.did(docs=batch.num_rows, bytes=string_bytes(texts))
            row.docs_in += batch.num_rows
    row.docs_out, row.files = row.docs_in, part.files
    return row


def kept_values(signatures: NDArray[np.uint32], dedup: Dedup) -> pa.Array:
    """What the index keeps of signatures (uint32[n, num_perm]): a binary value each."""
    values = np.ascontiguousarray(signatures if index.signature_width(dedup) == 4 else signatures.astype(np.uint8))
    width = values.shape[1] * values.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(values)])


def sketches_path(part: str) -> str:
    """The file of a part's signatures."""
    return f"{SKETCHES}/{part}.parquet"


def units(dedup: Dedup, key_files: Sequence[File], scanned: Sequence[File]) -> list[Unit]:
    """A unit for each key by which documents meet: h, url_1, exact_1 and the bands."""
    names = ["h", *(["url_1"] if dedup.url else []), "exact_1", *band_columns(dedup)]
    data = {
        "new": [file.path for file in key_files], "old": [file.path for file in scanned],
        "of": fingerprint([file.sha256 for file in (*key_files, *scanned)]),
    }  # fmt: skip
    return [Unit(name, data | {"key": name}) for name in names] if scanned else []


def work(job: Job, unit: Unit) -> Row:
    """Write the pairs that meet by one key, sorted by the new document.

    Raises:
        RunError: a new document has the id of an old one.
    """
    name = unit.data["key"]
    columns = {"url_1": ["url_2"], "exact_1": ["exact_2"]}.get(name, ["h", "length"])
    old = _old_rows(job.store, unit.data["old"], name, columns)
    new = _new_rows(job.store, unit.data["new"], name, columns, np.unique(old[1]))
    if name == "h":
        _refuse_equal_ids(job.store, unit, new[0], old[0], new[1], old[1])
        return Row(job.stage, unit.id)
    pairs = _proposed(new, old) if name.startswith("band_") else _equal(new, old)
    order = np.lexsort((pairs[1], pairs[0]))
    with PartWriter(job.store, f"dedup/index/pairs/{unit.id}.parquet", PAIRS, kind="pairs", numbers=True) as part:
        part.write(pa.RecordBatch.from_arrays([pa.array(ends[order]) for ends in pairs], schema=PAIRS))
    return Row(job.stage, unit.id, files=part.files)


def _old_rows(store: Store, paths: list[str], name: str, more: list[str]) -> list[Numbers]:
    """Numbers, keys and further columns of old documents that have the key."""
    found: list[list[Numbers]] = [[np.zeros(0, np.int64)] for _ in range(2 + len(more))]
    for path in paths:
        with store.open(path) as handle:
            names = ["doc_id", *(column for column in (name, *more) if column != "h")]
            table = pq.read_table(handle, columns=names, use_threads=False)
        table = table.append_column("h", pa.array(index_ids.tie_breaks(index_ids.from_arrow(table.column("doc_id")))))
        number = int(posixpath.basename(path).removeprefix("index-").partition(".")[0])
        _collect(found, table, number, [name, *more], None)
    return [np.concatenate(values) for values in found]


def _new_rows(store: Store, paths: list[str], name: str, more: list[str], wanted: Numbers) -> list[Numbers]:
    """The same of new documents, those only whose key is among some (sorted)."""
    found: list[list[Numbers]] = [[np.zeros(0, np.int64)] for _ in range(2 + len(more))]
    for number, path in enumerate(paths if wanted.size else []):
        with store.open(path) as handle:
            table = pq.read_table(handle, columns=list(dict.fromkeys([name, *more])), use_threads=False)
        _collect(found, table, number, [name, *more], wanted)
        heartbeat.did(docs=0, bytes=table.nbytes)
    return [np.concatenate(values) for values in found]


def _collect(
    found: list[list[Numbers]], table: pa.Table, number: int, names: list[str], wanted: Numbers | None
) -> None:
    values = [table.column(name).fill_null(0).to_numpy() for name in names]
    has = table.column(names[0]).is_valid().to_numpy() & ((values[0] != 0) | (names[0] == "h"))
    if wanted is not None:
        at = np.minimum(np.searchsorted(wanted, values[0]), wanted.size - 1)
        has &= wanted[at] == values[0]
    rows = np.flatnonzero(has)
    for collected, column in zip(found, [rows + (number << ROW_BITS), *(v[rows] for v in values)], strict=True):
        collected.append(column)


def _refuse_equal_ids(store: Store, unit: Unit, new: Numbers, old: Numbers, new_h: Numbers, old_h: Numbers) -> None:
    """Look at the ids of documents whose first 8 bytes are those of an old one's; there are next to none."""
    at = np.isin(old_h, new_h)
    known: set[str] = set()
    for number in np.unique(old[at] >> ROW_BITS).tolist():
        path = next(p for p in unit.data["old"] if p.endswith(f"index-{number:05d}.parquet"))
        rows = old[at & (old >> ROW_BITS == number)] - (number << ROW_BITS)
        known |= set(index_ids.to_hex(index_ids.from_arrow(index_ids.rows(store, path, rows, ["doc_id"]).column(0))))
    for number in np.unique(new >> ROW_BITS).tolist():
        rows = new[new >> ROW_BITS == number] - (number << ROW_BITS)
        path = unit.data["new"][number]
        equal = known & set(index_ids.rows(store, path, rows, ["doc_id"]).column(0).to_pylist())
        if equal:
            hint = "leave its input out, or `mdfs index remove` that source or document first"
            raise RunError(f"document {min(equal)} is in the index already: the same input was added before; {hint}")


def _equal(new: list[Numbers], old: list[Numbers]) -> tuple[Numbers, Numbers]:
    """Each new document with the first old one of its key, both halves of it."""
    order = np.lexsort((old[0], old[2], old[1]))
    ours, first = np.stack([new[1], new[2]], 1), np.stack([old[1], old[2]], 1)[order]
    at = np.searchsorted(_pair(first), _pair(ours))
    at = np.minimum(at, max(0, len(first) - 1))
    hit = (first[at] == ours).all(axis=1) if len(first) else np.zeros(0, bool)
    return new[0][hit], old[0][order][at[hit]]


def _pair(halves: Numbers) -> NDArray[Any]:
    """Two numbers a row as one value that sorts by the first, then the second."""
    kind = np.dtype([("a", np.int64), ("b", np.int64)])
    return np.ascontiguousarray(halves).view(kind).reshape(-1)


def _proposed(new: list[Numbers], old: list[Numbers]) -> tuple[Numbers, Numbers]:
    """Pairs of new and old documents of one band; see the module."""
    node = np.concatenate([new[0], old[0]])
    is_old = np.arange(node.size) >= new[0].size
    value, h, length = (np.concatenate([new[i], old[i]]) for i in (1, 2, 3))
    met = np.isin(value, new[1])
    node, value, h, length = (column[met] for column in (node, value, h, length))
    is_old = is_old[met]
    if not node.size:
        return node, node
    by_length = np.lexsort((node, is_old, h, length, value))
    same = value[by_length][1:] == value[by_length][:-1]
    first = by_length[1:][same], by_length[:-1][same]
    by_draw = np.lexsort((node, is_old, h ^ value, value))
    starts = np.flatnonzero(np.append(True, value[by_draw][1:] != value[by_draw][:-1]))
    sizes = np.diff(np.append(starts, node.size))
    drawn = np.repeat(by_draw[starts], sizes)
    one, other = np.concatenate([first[0], by_draw]), np.concatenate([first[1], drawn])
    mixed = is_old[one] != is_old[other]
    one, other = one[mixed], other[mixed]
    ours, theirs = np.where(is_old[one], other, one), np.where(is_old[one], one, other)
    found = np.unique(_pair(np.stack([node[ours], node[theirs]], 1)))
    return found["a"], found["b"]


def compare_units(
    recipe_threshold: float, key_files: Sequence[File], alone: dict[str, File], met: Sequence[File],
    scanned: Sequence[File], texts: dict[str, str], parts: Sequence[File],
) -> list[Unit]:  # fmt: skip
    """A unit for each part. `alone`: files of its copies among the new, by the part's name; `texts`: folders of earlier
    runs by their place in the index, whose texts are read."""
    said = {
        "pairs": [file.path for file in met], "old": [file.path for file in scanned], "texts": texts,
        "threshold": recipe_threshold, "of": fingerprint([file.sha256 for file in (*met, *scanned)]),
    }  # fmt: skip
    units = []
    for number, (file, part) in enumerate(zip(key_files, parts, strict=True)):
        name = keys.part_name(file.path)
        copies = alone.get(name)
        data = {"keys": file.path, "sha256": file.sha256, "part": part.path, "number": number}
        data |= {"alone": copies.path, "alone_sha256": copies.sha256} if copies else {"alone": ""}
        units.append(Unit(name, said | data, file.bytes))
    return units if met else []


def compare(job: Job, unit: Unit) -> Row:
    """Measure the pairs of one part; write its `TIES` and, for those that were measured, `SIMILAR`."""
    links, proposed = _pairs_of(job.store, unit)
    row = Row(job.stage, unit.id, docs_in=len(links) + len(proposed), docs_out=len(links) + len(proposed))
    similarity = _measured(job, unit, proposed)
    near = similarity >= unit.data["threshold"]
    tied = np.concatenate([links, proposed[near]])
    if not len(tied):
        return row
    clusters = _clusters(job.store, unit)[tied[:, 0] - (unit.data["number"] << ROW_BITS)]
    kind = np.dtype([("cluster", "S16"), ("old", np.int64)])
    ties = np.empty(len(tied), kind)
    ties["cluster"], ties["old"] = clusters, tied[:, 1]
    ties = np.unique(ties)
    with PartWriter(job.store, f"dedup/index/ties/{unit.id}.parquet", TIES, kind="ties", numbers=True) as part:
        columns = [index_ids.to_arrow(ties["cluster"]), pa.array(ties["old"])]
        part.write(pa.RecordBatch.from_arrays(columns, schema=TIES))
    with PartWriter(job.store, f"dedup/index/similar/{unit.id}.parquet", SIMILAR, kind="similar", numbers=True) as said:
        columns = [pa.array(proposed[near][:, side]) for side in (0, 1)]
        said.write(pa.RecordBatch.from_arrays([*columns, pa.array(similarity[near])], schema=SIMILAR))
    row.files = part.files + said.files
    return row


def _pairs_of(store: Store, unit: Unit) -> tuple[Numbers, Numbers]:
    """int64[n, 2] each: pairs of one part that are copies by URL or text, and those that bands propose, each once."""
    low, high = unit.data["number"] << ROW_BITS, (unit.data["number"] + 1) << ROW_BITS
    found: dict[bool, list[Numbers]] = {True: [np.zeros((0, 2), np.int64)], False: [np.zeros((0, 2), np.int64)]}
    for path in unit.data["pairs"]:
        with store.open(path) as handle:
            table = pq.read_table(handle, use_threads=False, filters=[("new", ">=", low), ("new", "<", high)])
        banded = posixpath.basename(path).startswith("band_")
        found[banded].append(np.stack([table.column(name).to_numpy() for name in ("new", "old")], 1))
    links = np.unique(np.concatenate(found[False]), axis=0)
    proposed: Numbers = np.unique(np.concatenate(found[True]), axis=0)
    return links, proposed[~np.isin(_pair(proposed), _pair(links))]


def _clusters(store: Store, unit: Unit) -> Ids:
    """For each document of a part the id of the one that stays of its copies among the new, else its own."""
    ids = part_ids(store, unit.data["keys"])
    if unit.data["alone"]:
        order = np.argsort(ids)
        clusters = ids.copy()
        for batch in read_part(store, unit.data["alone"], ["doc_id", "duplicate_of"]):
            gone, keepers = (index_ids.from_hex(column.to_pylist()) for column in batch.columns)
            clusters[order[np.searchsorted(ids[order], gone)]] = keepers
        return clusters
    return ids


def part_ids(store: Store, path: str) -> Ids:
    """The ids in a keys file, in its order."""
    columns = [batch.column(0).to_pylist() for batch in read_part(store, path, ["doc_id"])]
    return index_ids.from_hex([name for column in columns for name in column])


def _measured(job: Job, unit: Unit, pairs: Numbers) -> NDArray[np.float64]:
    """The similarity of each pair: by signatures, or by the texts where the old run's folder is given."""
    from mdfs.dedup import index_texts

    found = np.zeros(len(pairs))
    new_path, first = sketches_path(unit.id), unit.data["number"] << ROW_BITS
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        piece = pairs[start : start + PAIRS_AT_ONCE]
        ours, at = np.unique(piece[:, 0] - first, return_inverse=True)
        mine = index_ids.rows(job.store, new_path, ours, ["signature"]).column(0)
        theirs, old_at = np.unique(piece[:, 1], return_inverse=True)
        held = pa.concat_arrays([chunk for _, table in old_tables(job.store, unit.data["old"], theirs, ["signature"])
                                 for chunk in table.column(0).chunks])  # fmt: skip
        found[start : start + len(piece)] = agreement(mine, at, held, old_at, job.recipe.dedup)
        heartbeat.did(docs=0, bytes=mine.nbytes)
    if unit.data["texts"] and len(pairs):
        found = index_texts.measured(job, unit, pairs, found)
    return found


def old_tables(store: Store, paths: list[str], olds: Numbers, columns: list[str]) -> Iterator[tuple[Numbers, pa.Table]]:
    """The numbers (sorted) and columns of some old documents, one file of the scan after another."""
    by_number = {int(posixpath.basename(path).removeprefix("index-").partition(".")[0]): path for path in paths}
    numbers = olds >> ROW_BITS
    for number in np.unique(numbers).tolist():
        mine = olds[numbers == number]
        yield mine, index_ids.rows(store, by_number[number], mine - (number << ROW_BITS), columns)


def agreement(
    left: pa.Array | pa.ChunkedArray,
    left_at: Numbers,
    right: pa.Array | pa.ChunkedArray,
    right_at: Numbers,
    dedup: Dedup,
) -> NDArray[np.float64]:
    """The similarity that two columns of signatures let expect, for pairs of their rows: float64[n].

    Of 32-bit values it is the share that agree, as in `mdfs.dedup.verify`. Of their low 8 bits a share of 1/256 agrees
    by chance, which is taken out (Li and König 2010, equation 5 for sets far smaller than the universe).
    """
    assert dedup.minhash is not None
    one, other = (_values(column, dedup) for column in (left, right))
    shared = _agreements(one, left_at, other, right_at) / dedup.minhash.num_perm
    chance = 0 if index.signature_width(dedup) == 4 else 1 / 256
    found: NDArray[np.float64] = np.clip((shared - chance) / (1 - chance), 0, 1)
    return found


def _values(column: pa.Array | pa.ChunkedArray, dedup: Dedup) -> NDArray[Any]:
    assert dedup.minhash is not None
    kind = np.uint32 if index.signature_width(dedup) == 4 else np.uint8
    return np.ascontiguousarray(index_ids.from_arrow(column)).view(kind).reshape(-1, dedup.minhash.num_perm)


@numba.njit(nogil=True, cache=True)
def _agreements(left, left_at, right, right_at):  # type: ignore[no-untyped-def]
    """int64[n]: how many values agree of the rows left_at[k] and right_at[k] of two matrices."""
    found = np.zeros(left_at.size, np.int64)
    for k in range(left_at.size):
        one, other = left[left_at[k]], right[right_at[k]]
        for i in range(one.size):
            found[k] += one[i] == other[i]
    return found
