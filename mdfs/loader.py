"""Reads a finished corpus for training: fixed-length sequences, shared out among ranks, resumable to the sequence.

    stream = TokenStream("out/manifest.json", sequence_length=4096, rank=rank, world_size=world_size)
    for batch in stream:
        train(batch["input_ids"])

An epoch goes like this. The row groups of all shards are put into an order by hash of the seed and the epoch. They are
dealt to teams of ranks, in turn. A team reads `shuffle_groups` of them at a time, a window; orders the window's
documents by hash; and deals them to its ranks, in turn. A rank's documents, each with its end-of-document token, are
one stream, cut every `sequence_length` tokens. What is left at the end of an epoch begins the first sequence of the
next one, and what is left at the end of the last epoch is dropped. So in an epoch each document goes to exactly one
rank, and the place in the stream is four numbers.

A team is one rank where there are row groups enough, so that each is read once an epoch; where there are few, ranks
team up and each reads what its team reads. Orders are made of 64-bit hashes written down here, not of a library's
random numbers, so they are the same on every machine and with every version. Needs pyarrow and numpy only.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mdfs import manifest
from mdfs.errors import RunError, UsageError
from mdfs.ledger import fingerprint
from mdfs.storage import Store

#: Row groups that each team has in an epoch at the least (but for a team of all ranks): with n of them shared out, one
#: rank reads up to 1/n more than another.
GROUPS_A_TEAM = 64
#: Files kept open, for their metadata.
OPEN_FILES = 32

_STATE_VERSION = 1


@dataclasses.dataclass
class _Place:
    """Where a stream is: the epoch, the window in it, the documents that the team has dealt in this epoch before the
    window, the tokens of the window that this rank has handed out; and the sequences handed out so far."""

    epoch: int = 0
    window: int = 0
    dealt: int = 0
    offset: int = 0
    sequences: int = 0


class TokenStream:
    """An iterator of `{"input_ids": uint32[sequence_length], "epoch": int, "sequence": int}` for one rank.

    `epoch` is that of the sequence's first token, `sequence` counts this rank's sequences from 0. The array is the
    caller's own. Iterating again goes on where the last iteration stopped.

    Args:
        manifest_uri: a manifest.json or the folder that holds it: a path or URI.
        sequence_length: tokens in a sequence.
        rank, world_size: of the training process; the ranks of one job give the same other arguments.
        seed: of all orders.
        epochs: how often the corpus is gone through; None: without end.
        shuffle: false reads shards and documents as they lie.
        sources: None: every document once an epoch. Names: only these sources, each of their documents once. A mapping
            from name to weight: an epoch has about as many tokens as these sources have, of which each source gives
            its share by weight; a source is repeated or sampled, document by document, to fit.
        shuffle_groups: row groups (about 1 M tokens, 4 MB each) that are read and mixed at a time.

    Raises:
        UsageError: no such manifest or source, an argument out of range, or fewer than one sequence a rank.
        RunError: the manifest is damaged; while iterating: a shard is missing or not what the manifest says.
    """

    def __init__(
        self,
        manifest_uri: str,
        *,
        sequence_length: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        epochs: int | None = None,
        shuffle: bool = True,
        sources: str | Sequence[str] | Mapping[str, float] | None = None,
        shuffle_groups: int = 8,
    ) -> None:
        _check_arguments(sequence_length, rank, world_size, epochs, shuffle_groups)
        self.manifest_uri, self.sequence_length = manifest_uri, sequence_length
        self.rank, self.world_size = rank, world_size
        self.seed, self.epochs, self.shuffle, self.shuffle_groups = seed, epochs, shuffle, shuffle_groups
        self.sources = [sources] if isinstance(sources, str) else sources
        self._files = _Files(manifest.locate(manifest_uri))
        read = manifest.read(self._files.store)
        self.eod_id, self.vocab_size, self.content_digest = read.eod_id, read.vocab_size, read.content_digest
        self._shards = [shard for shard in read.shards if shard.tokens]
        self._layout = fingerprint([[shard.path, shard.sha256] for shard in self._shards])
        repeats = _repeats(read.shards, self.sources)
        self._repeats = np.array([repeats.get(shard.source, 0.0) for shard in self._shards])
        self._check_size()
        self._place = _Place()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        place, size = dataclasses.replace(self._place), self.sequence_length
        buffer, filled, began = np.empty(size, np.uint32), 0, place.epoch
        for epoch, tokens, documents in self._windows(place):
            while len(tokens) - place.offset >= size - filled:
                began = began if filled else epoch
                stop = place.offset + size - filled
                buffer[filled:] = tokens[place.offset : stop]
                place.offset, place.sequences, filled = stop, place.sequences + 1, 0
                self._place = handed_out = dataclasses.replace(place)
                yield {"input_ids": buffer, "epoch": began, "sequence": place.sequences - 1}
                if self._place is not handed_out:
                    raise UsageError(
                        "the stream was moved while it was read (load_state_dict, another iterator): iterate anew"
                    )
                buffer = np.empty(size, np.uint32)
            rest = tokens[place.offset :]
            began = began if filled else epoch
            buffer[filled : filled + len(rest)] = rest
            filled += len(rest)
            place.window, place.dealt, place.offset = place.window + 1, place.dealt + documents, 0
        self._place = place

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is, as plain data for JSON (under 1 kB): behind the last sequence that it gave."""
        return {
            "version": _STATE_VERSION,
            "content_digest": self.content_digest,
            "layout": self._layout,
            "arguments": self._arguments(),
            "place": dataclasses.asdict(self._place),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where `state_dict` was taken; the next sequence is the one that would have come next there.

        Raises:
            UsageError: the state is of another corpus, of the same one cut into other shards, or of a stream with
                other arguments (`epochs` may differ).
        """
        if not isinstance(state, Mapping) or state.get("version") != _STATE_VERSION:
            raise UsageError(f"not the state of a TokenStream of version {_STATE_VERSION}")
        if state["content_digest"] != self.content_digest:
            raise UsageError(
                f"the state belongs to another corpus than {self.manifest_uri}: its content_digest differs"
            )
        if state["layout"] != self._layout:
            raise UsageError(
                f"the shards of {self.manifest_uri} were written anew since the state was taken; begin an epoch anew"
            )
        ours, theirs = self._arguments(), state["arguments"]
        for name in ours:
            if ours[name] != theirs.get(name):
                raise UsageError(
                    f"the state is of a stream with {name}={theirs.get(name)!r}, this one has {ours[name]!r}"
                )
        self._place = _Place(**state["place"])

    def for_worker(self, worker: int, workers: int) -> TokenStream:
        """The stream of one of `workers` loader processes of this rank (a PyTorch DataLoader's worker_info): they share
        its documents out as ranks do. Keep one state for each."""
        return TokenStream(
            self.manifest_uri, **self._arguments() | {"epochs": self.epochs, "sources": self.sources,
            "rank": self.rank * workers + worker, "world_size": self.world_size * workers},
        )  # fmt: skip

    def _arguments(self) -> dict[str, Any]:
        """What a state holds for, as plain data."""
        sources = self.sources
        plain = dict(sorted(sources.items())) if isinstance(sources, Mapping) else sources and sorted(sources)
        names = ("sequence_length", "rank", "world_size", "seed", "shuffle", "shuffle_groups")
        return {name: getattr(self, name) for name in names} | {"sources": plain}

    def _windows(self, place: _Place) -> Iterator[tuple[int, np.ndarray, int]]:
        """From `place` on: the epoch, this rank's tokens of a window, and how many documents the team dealt in it.

        The caller moves `place` from window to window; this moves it from epoch to epoch.
        """
        while self.epochs is None or place.epoch < self.epochs:
            order, found = self._order(place.epoch), place.window > 0
            while place.window * self.shuffle_groups < len(order):
                start = place.window * self.shuffle_groups
                tokens, documents = self._window(order[start : start + self.shuffle_groups], place)
                found = found or len(tokens) > 0
                yield place.epoch, tokens, documents
            if not found:
                raise UsageError(
                    f"{self.manifest_uri}: too few documents for rank {self.rank} of {self.world_size}; use fewer"
                )
            place.epoch, place.window, place.dealt = place.epoch + 1, 0, 0

    def _order(self, epoch: int) -> np.ndarray:
        """This rank's team's row groups of an epoch, int64[n, 3]: shard, row group in it, and which copy it is.

        16 bytes a row group of the corpus while it is made.
        """
        groups = np.array([shard.groups for shard in self._shards], np.int64)
        copies = np.repeat(np.ceil(self._repeats).astype(np.int64), groups)
        shards = np.repeat(np.arange(len(groups)), groups)
        places = np.arange(len(shards)) - np.repeat(np.cumsum(groups) - groups, groups)
        copy = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
        entries = np.stack([np.repeat(shards, copies), np.repeat(places, copies), copy], axis=1)
        if self.shuffle:
            entries = entries[np.argsort(_hash(self.seed, epoch, *entries.T), kind="stable")]
        return entries[self.rank // self._team :: self.world_size // self._team]

    @functools.cached_property
    def _team(self) -> int:
        """Ranks in a team: the fewest that divide the ranks and give each team `GROUPS_A_TEAM` row groups, else all."""
        groups = sum(shard.groups * int(np.ceil(r)) for shard, r in zip(self._shards, self._repeats, strict=True))
        sizes = (size for size in range(1, self.world_size) if self.world_size % size == 0)
        return next((size for size in sizes if groups * size >= GROUPS_A_TEAM * self.world_size), self.world_size)

    def _window(self, part: np.ndarray, place: _Place) -> tuple[np.ndarray, int]:
        """This rank's tokens (uint32) of some row groups in their order, and the number of documents in them."""
        lists, keys = [], []
        for shard, group, copy in part.tolist():
            documents = self._files.read(self._shards[shard], group)
            rows = np.arange(len(documents))
            chosen = rows
            share = self._repeats[shard] - copy
            if share < 1:
                drawn = _hash(self.seed, place.epoch, shard, group, copy, rows, 1)
                chosen = rows[drawn.astype(np.float64) < share * 2.0**64]
            lists.append(documents if len(chosen) == len(rows) else documents.take(pa.array(chosen)))
            keys.append(_hash(self.seed, place.epoch, shard, group, copy, chosen, 0))
        total = sum(map(len, lists))
        order = np.argsort(np.concatenate(keys), kind="stable") if self.shuffle else np.arange(total)
        team = self._team
        mine = order[(self.rank % team - place.dealt) % team :: team]
        return pa.concat_arrays(lists).take(pa.array(mine)).flatten().to_numpy(), total

    def _check_size(self) -> None:
        documents = sum(shard.rows * repeat for shard, repeat in zip(self._shards, self._repeats, strict=True))
        tokens = sum(shard.tokens * repeat for shard, repeat in zip(self._shards, self._repeats, strict=True))
        if tokens * (self.epochs or 1) < self.sequence_length * self.world_size or documents < self.world_size:
            raise UsageError(
                f"{self.manifest_uri}: {documents:,.0f} documents of {tokens:,.0f} tokens are less than one sequence "
                f"of {self.sequence_length:,} for each of {self.world_size} ranks; use shorter ones or fewer ranks"
            )


class _Files:
    """Row groups of shards; the files read last are kept open. A copy in another process opens its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._open: collections.OrderedDict[str, pq.ParquetFile] = collections.OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self.store, "_open": collections.OrderedDict()}

    def read(self, shard: manifest.Shard, group: int) -> pa.ListArray:
        """The `input_ids` of a row group.

        Raises:
            RunError: the file is missing, or is not the shard that the manifest names.
        """
        try:
            file = self._file(shard.path)
            if file.num_row_groups != shard.groups:
                raise ValueError(f"{file.num_row_groups} row groups, not {shard.groups}")
            column = file.read_row_group(group, columns=["input_ids"], use_threads=False).column(0)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RunError(
                f"{self.store.uri}/{shard.path}: cannot be read ({error}); `mdfs verify` tells what is off"
            ) from None
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

    def _file(self, path: str) -> pq.ParquetFile:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        self._open[path] = pq.ParquetFile(self.store.open(path))
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close(force=True)
        return self._open[path]


def _hash(*parts: Any) -> np.ndarray:
    """A 64-bit hash of integers (scalars or arrays, broadcast together), uint64: SplitMix64's finalizer over each part
    in turn (Steele, Lea, Flood 2014)."""
    mixed = np.zeros(1, np.uint64)
    for part in parts:
        mixed = mixed ^ np.atleast_1d(np.asarray(part, np.int64)).astype(np.uint64)
        mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def _repeats(shards: Sequence[manifest.Shard], sources: Sequence[str] | Mapping[str, float] | None) -> dict[str, float]:
    """How often an epoch goes through each source."""
    tokens: collections.Counter[str] = collections.Counter()
    for shard in shards:
        tokens[shard.source] += shard.tokens
    if sources is None:
        return dict.fromkeys(tokens, 1.0)
    for name in sources:
        if name not in tokens:
            raise UsageError(f"no source is called {name!r}; the corpus has {', '.join(sorted(tokens))}")
    if not isinstance(sources, Mapping):
        return dict.fromkeys(sources, 1.0)
    weights = {name: float(weight) for name, weight in sources.items() if weight}
    if not weights or not all(0 < weight < float("inf") for weight in weights.values()):
        raise UsageError(
            f"weights of sources must be positive numbers or 0, and one at least positive, not {dict(sources)}"
        )
    total = sum(tokens[name] for name in weights)
    whole = sum(weights.values())
    # Rounded, so that weights equal to the shares give each document exactly once.
    return {name: round(weight / whole * total / tokens[name], 9) for name, weight in weights.items()}


def _check_arguments(sequence_length: int, rank: int, world_size: int, epochs: int | None, shuffle_groups: int) -> None:
    for name, value, least in (
        ("sequence_length", sequence_length, 1),
        ("world_size", world_size, 1),
        ("epochs", 1 if epochs is None else epochs, 1),
        ("shuffle_groups", shuffle_groups, 1),
    ):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, not {value}")
    if not 0 <= rank < world_size:
        raise UsageError(f"rank must be from 0 to world_size - 1 = {world_size - 1}, not {rank}")
