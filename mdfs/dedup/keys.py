"""First step: what is compared of each document, without its text.

A document's number, `node`, is the number of its part among all parts times 2^32 plus its row, so that a worker finds
its text again. Nothing is decided by it: ties are broken by `h`, which comes from doc_id alone, so that a document more
or less elsewhere, or other part sizes, change no decision.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mdfs.dedup import exact, lsh, minhash, urls
from mdfs.dedup.shape import shape
from mdfs.errors import RunError
from mdfs.ledger import File, Row
from mdfs.parts import PartWriter, read_part, string_bytes
from mdfs.pool import heartbeat
from mdfs.recipe import Dedup, Recipe
from mdfs.stage import Job, Unit
from mdfs.storage import glob_match

STAGE = "dedup-keys"
FOLDER = "dedup/keys"
#: Bits of a node that are its row.
ROW_BITS = 32
#: Decimals to which preferred signals are compared.
DECIMALS = 2
_BAD_ID = "a doc_id is not 32 hex digits; run collect again with this version of mdfs"


def schema(dedup: Dedup) -> pa.Schema:
    """Columns of a keys file.

    `url_*` and `exact_*` are the halves of 128-bit keys, null where that key is not asked for. `shingles` counts them,
    `sketch` is a hash of the whole signature and `band_<i>` the hashes of its bands, 0 for texts too short for it: a
    column each, so that a few bands are read at a time. `signature` is there where similarity is estimated from it.
    `prefer_<i>` are the recipe's preferred signals.
    """
    fields = [("node", pa.int64()), ("doc_id", pa.string()), ("h", pa.int64()), ("priority", pa.int64())]
    fields += [(name, pa.float64()) for name in prefer_columns(dedup)]
    fields += [(name, pa.int64()) for name in ("length", "url_1", "url_2", "exact_1", "exact_2", "shingles", "sketch")]
    fields += [(name, pa.int64()) for name in band_columns(dedup)]
    if by_signature(dedup) and dedup.minhash is not None:
        fields.append(("signature", pa.binary(4 * dedup.minhash.num_perm)))
    return pa.schema(fields)


def band_columns(dedup: Dedup) -> list[str]:
    """Names of the columns that hold the hashes of bands."""
    said = dedup.minhash
    return [f"band_{i}" for i in range(shape(said.num_perm, said.threshold, said.recall)[0])] if said else []


def by_signature(dedup: Dedup) -> bool:
    """Whether similarity is estimated from signatures."""
    return dedup.minhash is not None and dedup.minhash.verify == "signature"


def prefer_columns(dedup: Dedup) -> list[str]:
    """Names of the columns that hold `dedup.prefer`, in its order."""
    return [f"prefer_{i}" for i in range(len(dedup.prefer))]


def path(name: str) -> str:
    """The keys file of a part of that name."""
    return f"{FOLDER}/{name}.parquet"


def units(parts: list[File]) -> list[Unit]:
    """A unit for each part; its number is its place in the list."""
    return [
        Unit(part_name(part.path), {"path": part.path, "sha256": part.sha256, "number": i}, part.text_bytes)
        for i, part in enumerate(parts)
    ]


def part_name(path: str) -> str:
    """A part file's name without folder and ending."""
    return posixpath.splitext(posixpath.basename(path))[0]


def work(job: Job, unit: Unit) -> Row:
    """Write the keys file of one part."""
    dedup = job.recipe.dedup
    columns = ["doc_id", "source", "url", "text", *(f"signals.{name}" for name in dedup.prefer)]
    node = int(unit.data["number"]) << ROW_BITS
    row = Row(STAGE, unit.id)
    with PartWriter(job.store, path(unit.id), schema(dedup), kind="keys", numbers=True) as part:
        for batch in read_part(job.store, unit.data["path"], columns):
            part.write(of_batch(batch, job.recipe, node + row.docs_in))
            size = string_bytes(batch.column("text"))
            heartbeat.did(docs=batch.num_rows, bytes=size)
            row.docs_in += batch.num_rows
            row.bytes_in += size
    row.docs_out = row.docs_in
    row.files = part.files
    return row


def of_batch(batch: pa.RecordBatch, recipe: Recipe, node: int) -> pa.RecordBatch:
    """Keys of documents that are numbered from `node` on.

    Raises:
        RunError: a doc_id that is not 32 hex digits, or a preferred signal that the documents do not have.
    """
    dedup, texts = recipe.dedup, batch.column("text")
    shingles, sketch, banded = _sketches(texts, dedup)
    columns: dict[str, pa.Array] = {
        "node": pa.array(np.arange(node, node + batch.num_rows, dtype=np.int64)),
        "doc_id": batch.column("doc_id"),
        "h": pa.array(_tie_breaks(batch.column("doc_id"))),
        "priority": _priorities(batch.column("source"), recipe),
        "length": pc.utf8_length(texts).cast(pa.int64()),
        "shingles": pa.array(shingles),
        "sketch": pa.array(sketch),
        **banded,
    }
    columns |= dict(zip(prefer_columns(dedup), _preferred(batch, dedup), strict=True))
    columns |= _halves("url", *_url_keys(batch.column("url"), dedup))
    columns |= _halves("exact", *_exact_keys(texts, shingles, dedup))
    order = schema(dedup)
    return pa.RecordBatch.from_arrays([columns[name] for name in order.names], schema=order)


def priority(recipe: Recipe, source: str) -> int:
    """The priority that a recipe gives to documents of one source.

    A document knows its source's name, not its file's path, so the first `[[source]]` counts that has this name, or
    that has none and whose `match` starts with a folder that fits it.
    """
    for entry in recipe.source:
        first = entry.match.partition("/")[0]
        if entry.name == source or (not entry.name and (entry.match == "*" or glob_match(source, first))):
            return entry.priority
    return 0


def _priorities(sources: pa.Array, recipe: Recipe) -> pa.Array:
    coded = sources.dictionary_encode()
    ranks = [priority(recipe, source) for source in coded.dictionary.to_pylist()]
    return pa.array(ranks, pa.int64()).take(coded.indices)


def _tie_breaks(ids: pa.Array) -> NDArray[np.int64]:
    """The first 8 bytes of each doc_id."""
    spelt = ids.to_pylist()
    if any(len(name) != 32 for name in spelt):
        raise RunError(_BAD_ID)
    try:
        whole = bytes.fromhex("".join(spelt))
    except ValueError:
        raise RunError(_BAD_ID) from None
    return np.frombuffer(whole, ">i8")[::2].astype(np.int64)


def _preferred(batch: pa.RecordBatch, dedup: Dedup) -> Iterator[pa.Array]:
    for name in dedup.prefer:
        place = batch.schema.get_field_index("signals")
        if place < 0 or batch.column(place).type.get_field_index(name) < 0:
            raise RunError(f"documents have no signal {name!r}, which dedup.prefer asks for; run rules again")
        values = pc.struct_field(batch.column(place), name).cast(pa.float64())
        # Zero is added since -0.0 sorts before 0.0 on one engine and not on another; nor do they agree on NaN.
        rounded = pc.add(pc.round(values, ndigits=DECIMALS), 0.0)
        yield pc.if_else(pc.fill_null(pc.is_finite(rounded), False), rounded, pa.scalar(None, pa.float64()))


def _sketches(texts: pa.Array, dedup: Dedup) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, pa.Array]]:
    """Number of shingles, hash of the signature, and the columns of bands and signature."""
    said = dedup.minhash
    if said is None:
        none = np.zeros(len(texts), np.int64)
        return none, none, {}
    bands, rows = shape(said.num_perm, said.threshold, said.recall)
    found, shingles = minhash.sketches(texts, ngram=said.ngram, num_perm=said.num_perm, seed=said.seed)
    sketch = lsh.band_hashes(found, 1, said.num_perm)[:, 0]
    hashes = lsh.band_hashes(found, bands, rows)
    hashes[shingles < max(1, said.min_shingles)] = 0
    columns = {name: pa.array(hashes[:, i]) for i, name in enumerate(band_columns(dedup))}
    if by_signature(dedup):
        kind = pa.binary(4 * said.num_perm)
        content = pa.py_buffer(np.ascontiguousarray(found))
        columns["signature"] = pa.FixedSizeBinaryArray.from_buffers(kind, len(texts), [None, content])
    return shingles, sketch, columns


def _url_keys(addresses: pa.Array, dedup: Dedup) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Keys of canonical URLs, and which documents have one."""
    if not dedup.url:
        return np.zeros((len(addresses), 2), np.int64), np.zeros(len(addresses), bool)
    spelt = [urls.canonical(url) for url in addresses.to_pylist()]
    return exact.string_keys(spelt), np.array([url != "" for url in spelt], bool)


def _exact_keys(
    texts: pa.Array, shingles: NDArray[np.int64], dedup: Dedup
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Keys of texts, and which have one: all, or those too short for MinHash, or none."""
    if dedup.exact:
        return exact.keys(texts), np.ones(len(texts), bool)
    found = np.zeros((len(texts), 2), np.int64)
    if dedup.minhash is None:
        return found, np.zeros(len(texts), bool)
    short = shingles < max(1, dedup.minhash.min_shingles)
    found[short] = exact.keys(texts.filter(pa.array(short)))
    return found, short


def _halves(name: str, found: NDArray[np.int64], valid: NDArray[np.bool_]) -> dict[str, pa.Array]:
    return {f"{name}_{half + 1}": pa.array(found[:, half], mask=~valid) for half in (0, 1)}
