"""Re-checks a finished run's folder from its files: every digest, every count, and that no document vanished.

Nothing is believed because the ledger or the manifest says so: rows, tokens, contents, ids and reasons are counted
again from the Parquet files, one row group at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import manifest as manifests
from mdfs.errors import RunError
from mdfs.ledger import File, Ledger, Row, total
from mdfs.manifest import STAGES, Manifest, Shard, content_digest
from mdfs.schema import SHARD, conform
from mdfs.storage import Store
from mdfs.tokenize.shards import MODULUS, content, list_lengths

#: Document ids held at once when equal ones are looked for: 16 bytes each, so 256 MB. A corpus of more documents is
#: gone through once for each so many, reading no column but the ids.
IDS_AT_ONCE = 1 << 24
#: Bytes read at once for SHA-256.
BLOCK = 1 << 20
#: Folders in which a file that the ledger does not name is out of place.
FOLDERS = ("collect", "rules", "dedup/duplicates", "classify", "shards", "quarantine")
#: Equal document ids that are named; there may be millions.
NAMED = 3

_DOCUMENT_KINDS = ("kept", "dropped", "duplicates", "shard")


@dataclass
class _Counted:
    """What the files of a row or a stage hold. `ids` are sums of document ids modulo 2^64 (two halves), by kind;
    `whole` is false where a file could not be read, so that the rest is no count."""

    rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    quarantine_reasons: Counter[str] = field(default_factory=Counter)
    ids: dict[str, np.ndarray] = field(default_factory=dict)
    whole: bool = True

    def add(self, other: _Counted) -> None:
        """Take another's counts in."""
        self.rows.update(other.rows)
        self.reasons.update(other.reasons)
        self.quarantine_reasons.update(other.quarantine_reasons)
        for kind, value in other.ids.items():
            self.ids[kind] = self.ids.get(kind, np.zeros(2, np.uint64)) + value
        self.whole &= other.whole

    def id_sum(self, *kinds: str) -> tuple[int, ...]:
        """Sum of the ids in files of some kinds."""
        summed = sum((self.ids[kind] for kind in kinds if kind in self.ids), np.zeros(2, np.uint64))
        return tuple(int(half) for half in summed)


def verify(store: Store) -> list[str]:
    """Everything that is off in a finished run's folder, one line each; empty where all is well.

    Memory is bounded by a row group and `IDS_AT_ONCE`, not by the corpus.

    Raises:
        UsageError: there is no such folder or no manifest in it.
    """
    try:
        manifest = manifests.read(store)
        rows = {stage: list(Ledger(store).rows(stage).values()) for stage in STAGES}
    except (RunError, TypeError, KeyError, AttributeError) as error:
        message = str(error) if isinstance(error, RunError) else f"ledger: a row is damaged ({error})"
        return [message]
    problems: list[str] = []
    shards = {shard.path: _shard(store, shard, manifest, problems) for shard in manifest.shards}
    counted = {stage: _stage(store, rows[stage], shards, problems) for stage in STAGES}
    problems += _chain(rows, counted)
    problems += _sums(manifest)
    problems += _against_ledger(manifest, rows)
    problems += _strays(store, rows, manifest)
    problems += _equal_ids(
        store, [path for path, found in shards.items() if found.whole], counted["tokenize"].rows["shard"]
    )
    return list(dict.fromkeys(problems))


def _stage(store: Store, rows: list[Row], shards: dict[str, _Counted], problems: list[str]) -> _Counted:
    """Check each row of a stage against its own files; what is in `shards` was gone through already."""
    counted = _Counted()
    for row in rows:
        name = f"ledger/{row.stage}/{row.unit}"
        if row.docs_in != row.docs_out + row.docs_dropped + row.quarantined:
            problems.append(
                f"{name}: {row.docs_in} documents in, but {row.docs_out} out + {row.docs_dropped} dropped"
                f" + {row.quarantined} quarantined"
            )
        of_row = _Counted()
        for file in row.files:
            of_row.add(shards.get(file.path) or _file(store, file, problems))
        if of_row.whole:
            problems += _row(name, row, of_row)
        counted.add(of_row)
    return counted


def _row(name: str, row: Row, counted: _Counted) -> Iterator[str]:
    """A row's numbers against those counted from its files."""
    pairs = [
        (
            "dropped",
            row.docs_dropped,
            counted.rows["dropped"] + counted.rows["duplicates"] + counted.rows["not a document"],
        ),
        ("quarantined", row.quarantined, counted.rows["quarantined"]),
    ]
    if row.stage != "dedup":  # it leaves its documents where they are
        pairs.append(("out", row.docs_out, counted.rows["kept"] + counted.rows["shard"]))
    for what, said, found in pairs:
        if said != found:
            yield f"{name}: the row says {said} documents {what}, its files hold {found}"
    if _nonzero(row.dropped) != dict(counted.reasons):
        yield f"{name}: the row counts drop reasons {_differing(row.dropped, counted.reasons)} unlike its files"
    if _nonzero(row.quarantine_reasons) != dict(counted.quarantine_reasons):
        differing = _differing(row.quarantine_reasons, counted.quarantine_reasons)
        yield f"{name}: the row counts quarantine reasons {differing} unlike its files"


def _file(store: Store, file: File, problems: list[str]) -> _Counted:
    """Check one file of the ledger and count what is in it."""
    off = _bytes_off(store, file.path, file.bytes, file.sha256)
    counted = _Counted(whole=not off)
    if not off:
        try:
            _count(store, file, counted)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            off = f"{file.path}: cannot be read ({error})"
            counted.whole = False
    rows = sum(counted.rows.values())
    if not off and rows != file.rows:
        off = f"{file.path}: {rows} rows, the ledger says {file.rows}"
    if off:
        problems.append(off)
    return counted


def _count(store: Store, file: File, counted: _Counted) -> None:
    if file.kind in _DOCUMENT_KINDS:
        counted.ids[file.kind] = np.zeros(2, np.uint64)
        why = {"dropped": "drop_reasons", "duplicates": "kind"}.get(file.kind)
        for batch in _batches(store, file.path, ["doc_id", why] if why else ["doc_id"]):
            counted.rows[file.kind] += batch.num_rows
            counted.ids[file.kind] += _id_sum(batch.column("doc_id"))
            if why:
                reasons = batch.column(why)
                counted.reasons.update(_counts(reasons.flatten() if why == "drop_reasons" else reasons))
    elif file.kind == "quarantine":
        for batch in _batches(store, file.path, ["disposition", "reason"]):
            quarantined = pc.equal(batch.column("disposition"), "quarantined")
            other = batch.filter(pc.invert(quarantined))
            counted.rows["quarantined"] += batch.num_rows - other.num_rows
            counted.rows["not a document"] += other.num_rows
            counted.reasons.update(_counts(other.column("reason")))
            counted.quarantine_reasons.update(_counts(batch.filter(quarantined).column("reason")))
    else:
        with store.open(file.path) as handle:
            counted.rows[file.kind] += pq.read_metadata(handle).num_rows


def _chain(rows: dict[str, list[Row]], counted: dict[str, _Counted]) -> Iterator[str]:
    """Whether each stage accounts for exactly the documents that the one before left."""
    sums = [total(rows[stage], stage) for stage in STAGES]
    for before, after in zip(sums, sums[1:], strict=False):
        if after.docs_in != before.docs_out:
            yield f"{after.stage}: {after.docs_in} documents in, but {before.stage} left {before.docs_out}"
    if not all(stage.whole for stage in counted.values()):
        return
    collect, rules, dedup, classify, tokenize = (counted[stage] for stage in STAGES)
    after_dedup = [
        sum(halves) % (1 << 64)
        for halves in zip(dedup.id_sum("duplicates"), classify.id_sum("kept", "dropped"), strict=True)
    ]
    for what, left, found in (
        ("rules", collect.id_sum("kept"), rules.id_sum("kept", "dropped")),
        ("dedup and classify", rules.id_sum("kept"), tuple(after_dedup)),
        ("tokenize", classify.id_sum("kept"), tokenize.id_sum("shard")),
    ):
        if left != found:
            yield f"{what}: the document ids in its files are not those that the stage before left"


def _shard(store: Store, shard: Shard, manifest: Manifest, problems: list[str]) -> _Counted:
    """Check one shard of the manifest from its file."""
    counted = _Counted(ids={"shard": np.zeros(2, np.uint64)})
    found = _bytes_off(store, shard.path, shard.bytes, shard.sha256)
    if not found:
        try:
            problems += _shard_rows(store, shard, manifest, counted)
        except (OSError, ValueError, RunError, pa.ArrowException) as error:
            found = f"{shard.path}: is no shard ({error})"
    if found:
        problems.append(found)
        counted.whole = False
    return counted


def _shard_rows(store: Store, shard: Shard, manifest: Manifest, counted: _Counted) -> list[str]:
    """Go through a shard's documents; what they do not agree in with the manifest."""
    tokens = summed = groups = greatest = 0
    ended = True
    for batch in _batches(store, shard.path):
        batch = conform(batch, SHARD)
        lengths, ids = list_lengths(batch.column("input_ids")), batch.column("input_ids").flatten().to_numpy()
        groups += 1
        tokens += len(ids)
        greatest = max(greatest, int(ids.max(initial=0)))
        summed = (summed + content(batch)) % MODULUS
        ended &= bool(lengths.all()) and bool(
            np.array_equal(np.flatnonzero(ids == manifest.eod_id), np.cumsum(lengths) - 1)
        )
        counted.rows["shard"] += batch.num_rows
        counted.ids["shard"] += _id_sum(batch.column("doc_id"))
    rows = counted.rows["shard"]
    pairs = (("rows", rows, shard.rows), ("tokens", tokens, shard.tokens), ("row groups", groups, shard.groups))
    off = [f"{shard.path}: {found} {what}, the manifest says {said}" for what, found, said in pairs if found != said]
    if f"{summed:064x}" != shard.content:
        off.append(f"{shard.path}: its documents give content {summed:064x}, the manifest says {shard.content}")
    if greatest >= manifest.vocab_size:
        off.append(f"{shard.path}: token id {greatest}, but the vocabulary ends at {manifest.vocab_size - 1}")
    if not ended:
        off.append(f"{shard.path}: not every document ends with the one end-of-document id {manifest.eod_id} in it")
    return off


def _sums(manifest: Manifest) -> Iterator[str]:
    """The manifest against itself: totals, sources, mixture, accounting, content digest."""
    shards = manifest.shards
    if manifest.data["totals"] != manifests.sums(shards):
        yield f"manifest.json: totals are {manifest.data['totals']}, its shards add up to {manifests.sums(shards)}"
    sources = manifests.by_source(shards)
    if manifest.data["sources"] != sources:
        yield "manifest.json: sources are not what its shards add up to"
    if manifest.data.get("mixture") != manifests.mixture(sources):
        yield "manifest.json: mixture is not the share of each source in the tokens"
    if manifest.content_digest != content_digest(shards, manifest.tokenizer_digest):
        yield "manifest.json: content_digest is not that of its shards and tokenizer"
    for path, count in Counter(shard.path for shard in shards).items():
        if count > 1:
            yield f"manifest.json: names {path} {count} times"


def _against_ledger(manifest: Manifest, rows: dict[str, list[Row]]) -> Iterator[str]:
    """The manifest against the ledger: stages and shards."""
    said = {stage["name"]: stage for stage in manifest.data["stages"]}
    for name in STAGES:
        summed = manifests.stage_entry(rows[name], name)
        if said.get(name) != summed:
            keys = [key for key in summed if said.get(name, {}).get(key) != summed[key]]
            yield f"manifest.json: stage {name} differs from the ledger in {', '.join(keys)}"
    in_ledger = {file.path: file for row in rows["tokenize"] for file in row.files if file.kind == "shard"}
    in_manifest = {shard.path: shard for shard in manifest.shards}
    for path in sorted(in_ledger.keys() ^ in_manifest.keys()):
        where = "manifest.json but not in the ledger" if path in in_manifest else "the ledger but not in manifest.json"
        yield f"{path}: named in {where}"
    for path in sorted(in_ledger.keys() & in_manifest.keys()):
        shard, file = in_manifest[path], in_ledger[path]
        for key in ("source", "rows", "tokens", "bytes", "sha256", "content", "language"):
            if getattr(shard, key) != getattr(file, key):
                yield f"{path}: the manifest says {key} {getattr(shard, key)}, the ledger {getattr(file, key)}"


def _strays(store: Store, rows: dict[str, list[Row]], manifest: Manifest) -> Iterator[str]:
    """Files that nothing names: a reader that lists a folder would take them for part of the corpus."""
    named = {file.path for of_stage in rows.values() for row in of_stage for file in row.files}
    named |= {shard.path for shard in manifest.shards}
    for folder in FOLDERS:
        for path in store.list(folder):
            if path not in named:
                yield f"{path}: neither the ledger nor manifest.json names this file; remove it"


def _equal_ids(store: Store, paths: list[str], documents: int) -> Iterator[str]:
    """Document ids that stand in the shards more than once, by sorting one range of them at a time."""
    ranges = max(1, -(-documents // IDS_AT_ONCE))
    equal: list[str] = []
    count = 0
    for part in range(ranges):
        ids = np.concatenate([np.empty(0, "S16"), *_ids_in_range(store, paths, part, ranges)])
        ids.sort()
        again = np.unique(ids[1:][ids[1:] == ids[:-1]])
        count += len(again)
        equal += [bytes(one).ljust(16, b"\0").hex() for one in again[: NAMED - len(equal)]]
    if count:
        yield f"shards: {count} document ids stand in more than one row, as {', '.join(equal)}"


def _ids_in_range(store: Store, paths: list[str], part: int, ranges: int) -> Iterator[np.ndarray]:
    for path in paths:
        for batch in _batches(store, path, ["doc_id"]):
            ids = _ids(batch.column("doc_id"))
            leading = ids.view(">u2").reshape(-1, 8)[:, 0].astype(np.int64)
            yield ids[leading * ranges >> 16 == part]


def _ids(column: pa.Array) -> np.ndarray:
    """Document ids as 16 bytes each (dtype S16).

    Raises:
        ValueError: one is not 32 hex digits.
    """
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False)
    if len(column) and not (column.null_count == 0 and (lengths == 32).all()):
        raise ValueError("a doc_id is not 32 hex digits")
    return np.frombuffer(bytes.fromhex("".join(column.to_pylist())), dtype="S16")


def _id_sum(column: pa.Array) -> np.ndarray:
    """Sums of the two halves of document ids, modulo 2^64; uint64[2]."""
    halves: np.ndarray = _ids(column).view(">u8").reshape(-1, 2).astype(np.uint64).sum(axis=0)
    return halves


def _batches(store: Store, path: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A file's rows, one batch a row group (none for a group without rows)."""
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=columns, use_threads=False).combine_chunks().to_batches()


def _bytes_off(store: Store, path: str, size: int, sha256: str) -> str:
    """What is off with a file's bytes; "" where nothing is."""
    hashed, length = hashlib.sha256(), 0
    try:
        with store.open(path) as handle:
            while block := handle.read(BLOCK):
                hashed.update(block)
                length += len(block)
    except FileNotFoundError:
        return f"{path}: is missing"
    except (OSError, RunError) as error:
        return f"{path}: cannot be read ({error})"
    if length != size:
        return f"{path}: {length} bytes, {size} were written"
    return "" if hashed.hexdigest() == sha256 else f"{path}: its bytes have changed (SHA-256 differs)"


def _counts(column: pa.Array) -> Counter[str]:
    return Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()})


def _nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count}


def _differing(said: dict[str, int], found: dict[str, int]) -> str:
    names: Iterable[str] = sorted(key for key in {*said, *found} if said.get(key, 0) != found.get(key, 0))
    return ", ".join(f"{key} ({said.get(key, 0)}, files hold {found.get(key, 0)})" for key in names)
