"""The index: what is known of the documents of earlier runs, so that a new run is compared with them and no old text is
read. A folder on any store:

    head.json               the newest version: parameters, runs, files, history; written last, at once
    versions/000003.json    the head of each version, as it was
    documents/…parquet      one row for each document that dedup saw, kept or not
    deletes/…parquet        rows of one of those files that are removed
    merges/…parquet         clusters that a later run brought together: the keeper's id before, and now

A file is never changed. A new version names other files; a reader holds on to the head that it read, so it sees one
version whole, and what a killed writer left is named by no head. Documents that were removed as copies are in the
index too: a new text may hang together with an old cluster by one of its removed copies alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from mdfs import __version__
from mdfs.dedup.keys import band_columns, by_signature, prefer_columns
from mdfs.dedup.shape import shape
from mdfs.errors import RunError, UsageError
from mdfs.ledger import fingerprint
from mdfs.options import Dedup
from mdfs.recipe import Recipe
from mdfs.storage import Store

HEAD = "head.json"
#: Raised when a reader of older indexes would misread a new one.
SCHEMA_VERSION = 1
#: Raised when the same text or URL gets another key than before: other word characters, folding, hashes or URLs.
NORMALISATION = 1
#: Documents in a file: 80 MB for the defaults.
FILE_ROWS = 1 << 18

_LOCKS = "locks"
_FOLDERS = ("documents", "deletes", "merges")


@dataclass(frozen=True)
class IndexFile:
    """A file of documents: `path`, its `rows`, `bytes` and `sha256`; and the file of its removed rows, where some are:
    `deletes`, `deletes_sha256`, and how many (`deleted`)."""

    path: str
    rows: int
    bytes: int
    sha256: str
    deletes: str = ""
    deletes_sha256: str = ""
    deleted: int = 0


@dataclass(frozen=True)
class Merges:
    """A file of merged clusters and its digest."""

    path: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Head:
    """One version of an index.

    Attributes:
        id: of the index, drawn when it was made. `version`: 1, 2, 3 ….
        parameters: what keys and signatures depend on (`parameters_of`).
        runs: of each run that was added: `id` (`run_id`), `uri`, `name` of its recipe, `generation` (its rank among the
            added, from 1), `docs`, `kept`, and `against`: version and digest of the index that it was compared with.
        files, merges: see the module.
        history: one entry a version: `version`, `kind`, `created`, and what was done.
    """

    id: str
    version: int
    parameters: dict[str, Any]
    runs: tuple[dict[str, Any], ...] = ()
    files: tuple[IndexFile, ...] = ()
    merges: tuple[Merges, ...] = ()
    history: tuple[dict[str, Any], ...] = field(default=())

    @property
    def digest(self) -> str:
        """32 hex digits over what a run is compared with."""
        files = [(file.sha256, file.deletes_sha256) for file in self.files]
        return fingerprint(self.parameters, files, [merge.sha256 for merge in self.merges])

    @property
    def documents(self) -> int:
        """Documents in it, removed rows left out."""
        return sum(file.rows - file.deleted for file in self.files)

    @property
    def generation(self) -> int:
        """The rank of the last run that was added; 0 where there is none."""
        return max((int(run["generation"]) for run in self.runs), default=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        said = {"index_schema": SCHEMA_VERSION, "mdfs_version": __version__}
        return said | {"id": self.id, "version": self.version, "parameters": self.parameters} | {
            "documents": self.documents, "runs": list(self.runs), "files": [asdict(file) for file in self.files],
            "merges": [asdict(merge) for merge in self.merges], "history": list(self.history),
        }  # fmt: skip


def schema(dedup: Dedup) -> pa.Schema:
    """Columns of a file of documents.

    `generation` and `run` say which run brought it (`run` is a place in `Head.runs`), `part` and `row` where its text
    lies in that run's folder. `kept`: whether dedup kept it, and `keeper`: in whose favour it was removed, or its own
    id. `url_*`, `exact_*` and `band_*` are as in `mdfs.dedup.keys`. `signature` holds a value for each permutation:
    its low 8 bits (b-bit minwise hashing, Li and König 2010, arXiv:0910.3349: at similarity 0.8 the error grows by less
    than 1% of itself), or all 32 where the recipe verifies by signature, so that both are the same number.
    """
    fields: list[Any] = [("doc_id", pa.binary(16)), ("source", pa.string()), ("generation", pa.int32())]
    fields += [("run", pa.int32()), ("part", pa.string()), ("row", pa.int64()), ("kept", pa.bool_())]
    fields += [("keeper", pa.binary(16)), ("priority", pa.int64())]
    fields += [(name, pa.float64()) for name in prefer_columns(dedup)]
    fields += [(name, pa.int64()) for name in ("length", "url_1", "url_2", "exact_1", "exact_2")]
    fields += [(name, pa.int64()) for name in band_columns(dedup)]
    if dedup.minhash is not None:
        fields.append(("signature", pa.binary(signature_width(dedup) * dedup.minhash.num_perm)))
    return pa.schema(fields)


def signature_width(dedup: Dedup) -> int:
    """Bytes that the index keeps of each value of a signature."""
    return 4 if by_signature(dedup) else 1


def parameters_of(dedup: Dedup) -> dict[str, Any]:
    """What must be equal for documents of two runs to be compared."""
    found: dict[str, Any] = {"normalisation": NORMALISATION, "url": dedup.url, "exact": dedup.exact}
    found["prefer"] = ", ".join(dedup.prefer)
    said = dedup.minhash
    found["minhash"] = said is not None
    if said is not None:
        names = ("ngram", "num_perm", "seed", "threshold", "min_shingles", "verify")
        found |= {f"minhash.{name}": getattr(said, name) for name in names}
        found["minhash.bands"], found["minhash.rows"] = shape(said.num_perm, said.threshold, said.recall)
    return found


def check_parameters(store: Store, head: Head, recipe: Recipe) -> None:
    """Refuse a recipe whose keys are not those of the index.

    Raises:
        UsageError: names every difference.
    """
    ours = parameters_of(recipe.dedup)
    names = sorted({*ours, *head.parameters})
    differing = [
        f"{name} is {head.parameters.get(name)} there and {ours.get(name)} in recipe {recipe.name}"
        for name in names
        if head.parameters.get(name) != ours.get(name)
    ]
    if differing:
        hint = "use the index's settings, or begin a new index"
        raise UsageError(f"index {store.uri} was made with other settings of dedup: {'; '.join(differing)}: {hint}")


def new(parameters: dict[str, Any]) -> Head:
    """The head of an index that holds nothing; it is no version yet."""
    return Head(uuid.uuid4().hex, 0, parameters)


def exists(store: Store) -> bool:
    """Whether an index stands there."""
    return store.exists(HEAD)


def read(store: Store, version: int | None = None) -> Head:
    """The newest version, or another one.

    Raises:
        UsageError: there is no index, or no such version any more.
        RunError: its head is damaged, or was written by a newer mdfs.
    """
    if not exists(store):
        raise UsageError(f"{store.uri}: no index of documents there; `mdfs index add {store.uri} OUT` makes one")
    path = HEAD if version is None else _version_path(version)
    if not store.exists(path):
        raise UsageError(
            f"{store.uri}: version {version} is not there any more; `mdfs index show` names those that are"
        )
    data = store.read_json(path)
    try:
        if data["index_schema"] != SCHEMA_VERSION:
            raise ValueError(f"index_schema is {data['index_schema']!r}, this mdfs reads {SCHEMA_VERSION}")
        return Head(
            data["id"], int(data["version"]), dict(data["parameters"]), tuple(data["runs"]),
            tuple(IndexFile(**entry) for entry in data["files"]), tuple(Merges(**entry) for entry in data["merges"]),
            tuple(data["history"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        hint = f"copy the newest good file of {store.uri}/versions over it"
        raise RunError(f"{store.uri}/{path} is damaged ({error}); {hint}") from None


def commit(store: Store, before: Head, after: Head, kind: str, **said: Any) -> Head:
    """Put a new version in place, its head last. The caller holds the lock.

    Raises:
        RunError: the head is not the one that the new version was made from.
    """
    now = read(store).version if exists(store) else 0
    if now != before.version:
        raise RunError(
            f"index {store.uri} went from version {before.version} to {now} meanwhile; start the command again"
        )
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    entry = {"version": before.version + 1, "kind": kind, "created": created, "documents": after.documents} | said
    head = replace(after, version=before.version + 1, history=(*before.history, entry))
    store.write_json(_version_path(head.version), head.to_dict())
    store.write_json(HEAD, head.to_dict())
    return head


def sweep(store: Store, *, only_newest: bool = False) -> None:
    """Remove files that no version names, as a killed writer leaves them; `only_newest` forgets older versions, too.
    The caller holds the lock."""
    newest = read(store) if exists(store) else None
    keep = {HEAD}
    for path in store.list("versions"):
        number = int(path.rpartition("/")[2].partition(".")[0])
        if newest is None or number > newest.version or (only_newest and number < newest.version):
            store.delete(path)
            continue
        head = read(store, number)
        keep |= {name for file in head.files for name in (file.path, file.deletes)} | {m.path for m in head.merges}
    for folder in _FOLDERS:
        store.sweep(folder, keep)


def fresh(folder: str, version: int) -> str:
    """The start of names for files of a version to come; no other writer has the same."""
    return f"{folder}/{version:06d}-{uuid.uuid4().hex[:8]}"


def _version_path(version: int) -> str:
    return f"versions/{version:06d}.json"


@contextlib.contextmanager
def locked(store: Store) -> Iterator[None]:
    """Keep other writers out meanwhile; readers need no lock.

    On a disk the lock goes with the process. On an object store each writer puts an object and then looks whether
    there is another's: stores list what was put before (S3 does since 2020), so of two at least one sees the other.

    Raises:
        UsageError: another writer is at work, or the folder cannot be written.
    """
    with _file_lock(store) if store.is_local else _object_lock(store):
        yield


@contextlib.contextmanager
def _file_lock(store: Store) -> Iterator[None]:
    path = store.full("lock")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = open(path, "w")  # noqa: SIM115  (closed below; an error inside the block is not one of opening)
    except OSError as error:
        raise UsageError(f"{store.uri}: cannot be written ({error.strerror}); choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"index {store.uri}: another command is writing to it; wait for it and try again"
            ) from None
        yield


@contextlib.contextmanager
def _object_lock(store: Store) -> Iterator[None]:
    path = f"{_LOCKS}/{uuid.uuid4().hex}.json"
    since = datetime.now(UTC).isoformat(timespec="seconds")
    store.write_json(path, {"host": socket.gethostname(), "pid": os.getpid(), "since": since})
    try:
        others = [name for name in store.list(_LOCKS) if name != path]
        if others:
            who = store.read_json(others[0])
            raise UsageError(
                f"index {store.uri}: another command is writing to it since {who['since']} (process {who['pid']} on "
                f"{who['host']}); wait for it, or if it is dead, delete {others[0]} and try again"
            )
        yield
    finally:
        store.delete(path)
