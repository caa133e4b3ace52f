"""The manifest: what a finished run's folder holds, for training code and for whoever checks it.

It is written last, when everything that it names is in place. `manifest.schema.json` describes it.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from mdfs import __version__
from mdfs.errors import RunError, UsageError
from mdfs.ledger import File, Ledger, Row, total
from mdfs.storage import Store

if TYPE_CHECKING:
    from mdfs.recipe import Recipe
    from mdfs.stage import Run

NAME = "manifest.json"
#: Raised when a reader of older manifests would misread a new one.
SCHEMA_VERSION = 1
#: Stages that documents go through, in order; each one's docs_in is the docs_out of the one before.
STAGES = ("collect", "rules", "dedup", "classify", "tokenize")

_COUNTS = ("docs_in", "docs_out", "docs_dropped", "quarantined")
_READERS = 16


@dataclass(frozen=True)
class Shard:
    """A shard as the manifest names it.

    Attributes:
        path: relative to the manifest's folder. `source`: of all its documents.
        rows, tokens: documents and token ids in it. `bytes`, `sha256`: of the file.
        content: digest of its documents whatever their order (`mdfs.tokenize.shards.content`), 64 hex digits.
        groups: Parquet row groups in it, so that readers can share them out without opening the file.
        language: of all its documents; "" where the recipe does not part them, and not in the manifest then.
    """

    path: str
    source: str
    rows: int
    tokens: int
    bytes: int
    sha256: str
    content: str
    groups: int
    language: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The shard's entry in the manifest."""
        return {key: value for key, value in vars(self).items() if key != "language" or value}


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and whose parts have the types that the schema says. `data` is all of it."""

    data: dict[str, Any]
    shards: tuple[Shard, ...]
    content_digest: str
    tokenizer_digest: str
    vocab_size: int
    eod_id: int


def write(run: Run) -> dict[str, Any]:
    """Write the manifest of a run whose stages are all done; one that differs in `created` only stays as it is."""
    data = build(run.store, run.recipe)
    if run.store.exists(NAME):
        try:
            old = run.store.read_json(NAME)
        except RunError:
            old = None  # half a manifest of an older tool: replaced
        if isinstance(old, dict) and {**old, "created": ""} == {**data, "created": ""}:
            return old
    run.store.write_json(NAME, data)
    return data


def build(store: Store, recipe: Recipe) -> dict[str, Any]:
    """The manifest of a folder by its ledger, as plain data.

    Raises:
        RunError: a shard that the ledger names is not there.
    """
    from mdfs.tokenize import tokenizer

    ledger = Ledger(store)
    rows = {stage: ledger.rows(stage) for stage in STAGES}
    shards = _shards(store, [file for row in rows["tokenize"].values() for file in row.files if file.kind == "shard"])
    loaded = tokenizer.load(recipe.path(recipe.tokenize.tokenizer), recipe.tokenize.eod)
    sources = by_source(shards)
    return {
        "schema_version": SCHEMA_VERSION,
        "mdfs_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "content_digest": content_digest(shards, loaded.digest),
        "recipe": {"name": recipe.name, "title": recipe.title, "digest": recipe.digest(), "toml": recipe.to_toml()},
        "tokenizer": {
            "name": loaded.name,
            "digest": loaded.digest,
            "vocab_size": loaded.vocab_size,
            "eod_id": loaded.eod_id,
        },
        "totals": sums(shards),
        "sources": sources,
        "mixture": mixture(sources),
        "stages": [stage_entry(ledger_rows.values(), stage) for stage, ledger_rows in rows.items()],
        "shards": [shard.to_dict() for shard in shards],
    }


def rebuilt(store: Store, before: dict[str, Any]) -> dict[str, Any]:
    """A manifest (`before`) of a folder that holds fewer documents since, by its ledger; the rest stays."""
    ledger = Ledger(store)
    rows = {stage: ledger.rows(stage) for stage in STAGES}
    shards = _shards(store, [file for row in rows["tokenize"].values() for file in row.files if file.kind == "shard"])
    sources = by_source(shards)
    return before | {
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "content_digest": content_digest(shards, before["tokenizer"]["digest"]),
        "totals": sums(shards), "sources": sources, "mixture": mixture(sources),
        "stages": [stage_entry(ledger_rows.values(), stage) for stage, ledger_rows in rows.items()],
        "shards": [shard.to_dict() for shard in shards],
    }  # fmt: skip


def content_digest(shards: Iterable[Shard], tokenizer_digest: str) -> str:
    """64 hex digits over what the corpus contains: for each source the sum of its documents' digests, and the
    tokenizer. Time, place, the order of documents and how they are cut into shards do not change it."""
    sums: dict[str, int] = {}
    for shard in shards:
        sums[shard.source] = (sums.get(shard.source, 0) + int(shard.content, 16)) % (1 << 256)
    said = {"tokenizer": tokenizer_digest, "sources": {name: f"{value:064x}" for name, value in sums.items()}}
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def locate(uri: str) -> Store:
    """The folder that a manifest's path or URI, or its folder's, means."""
    path, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    if posixpath.basename(path) == NAME:
        return Store((posixpath.dirname(path) or ".") + mark + query)
    return Store(uri)


def read(store: Store) -> Manifest:
    """Read a finished run's manifest.

    Raises:
        UsageError: no such folder, or it has no manifest.
        RunError: the manifest is damaged, or of another schema version.
    """
    if not store.exists():
        raise UsageError(f"{store.uri}: no such folder; give the --output folder of a run")
    if not store.exists(NAME):
        raise UsageError(f"{store.uri}: no {NAME}: the run is not finished, or this is no run's folder")
    data = store.read_json(NAME)
    try:
        return _checked(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{store.uri}/{NAME} is damaged ({type(error).__name__}: {error}); run again to write it anew"
        ) from None


def _checked(data: dict[str, Any]) -> Manifest:
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {data['schema_version']!r}, this mdfs reads {SCHEMA_VERSION}")
    shards = tuple(
        Shard(**{name: _typed({"language": "", **shard}, name, kind) for name, kind in _SHARD_TYPES})
        for shard in data["shards"]
    )
    for stage in data["stages"]:
        _typed(stage, "name", str)
        for name in _COUNTS:
            _typed(stage, name, int)
    for entry in (data["totals"], *data["sources"]):
        for name in ("docs", "tokens", "bytes"):
            _typed(entry, name, int)
    tokenizer = data["tokenizer"]
    return Manifest(
        data,
        shards,
        _typed(data, "content_digest", str),
        _typed(tokenizer, "digest", str),
        _typed(tokenizer, "vocab_size", int),
        _typed(tokenizer, "eod_id", int),
    )


_SHARD_TYPES = (
    *((name, str) for name in ("path", "source", "sha256", "content", "language")),
    *((name, int) for name in ("rows", "tokens", "bytes", "groups")),
)


def _typed(entry: dict[str, Any], name: str, kind: type) -> Any:
    value: Any = entry[name]
    negative = isinstance(value, int) and value < 0
    if not isinstance(value, kind) or isinstance(value, bool) or negative:
        raise ValueError(f"{name} is {value!r}")
    return value


def _shards(store: Store, files: list[File]) -> list[Shard]:
    files = sorted(files, key=lambda file: file.path)
    with ThreadPoolExecutor(_READERS) as readers:
        groups = list(readers.map(lambda file: _groups(store, file.path), files))
    return [
        Shard(
            file.path, file.source, file.rows, file.tokens, file.bytes, file.sha256, file.content, count, file.language
        )
        for file, count in zip(files, groups, strict=True)
    ]


def _groups(store: Store, path: str) -> int:
    try:
        with store.open(path) as handle:
            return int(pq.read_metadata(handle).num_row_groups)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{store.uri}/{path}: the ledger names this shard, but it cannot be read ({error}); run again"
        ) from None


def by_source(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """`sums` of each source, by name."""
    names = sorted({shard.source for shard in shards})
    return [{"name": name, **sums([shard for shard in shards if shard.source == name])} for name in names]


def sums(shards: Sequence[Shard]) -> dict[str, int]:
    """Documents, tokens, and bytes of shard files."""
    return {
        "docs": sum(shard.rows for shard in shards),
        "tokens": sum(shard.tokens for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
    }


def mixture(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The share of each source (as `by_source` gives them) in the tokens."""
    tokens = sum(source["tokens"] for source in sources)
    return [{"name": source["name"], "weight": source["tokens"] / max(1, tokens)} for source in sources]


def stage_entry(rows: Iterable[Row], name: str) -> dict[str, Any]:
    """What the manifest says of a stage whose ledger rows these are."""
    summed = total(rows, name)
    counts = {key: getattr(summed, key) for key in _COUNTS}
    reasons = {key: getattr(summed, key) for key in ("dropped", "quarantine_reasons", "skipped")}
    return {"name": name, **counts, **reasons}
