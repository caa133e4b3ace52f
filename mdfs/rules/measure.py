"""From a batch of documents to the same batch with edited texts and `signals`: Arrow buffers in, Arrow buffers out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mdfs.recipe import Edits
from mdfs.rules import characters as ch
from mdfs.rules import edits as text_edits
from mdfs.rules import kernel, mojibake, phrases, registry, signals


def measured(batch: pa.RecordBatch, edits: Edits) -> pa.RecordBatch:
    """Return `batch` with the recipe's edits applied to `text` and the column `signals` added."""
    offsets, data = _buffers(batch.column("text"))
    counts: dict[str, npt.NDArray[np.int64]] = {}
    edited = np.zeros((batch.num_rows, len(text_edits.COUNTERS)), np.int64)
    if edits != Edits():
        offsets, data = text_edits.edit(offsets, data, edits, edited)
        place = batch.schema.get_field_index("text")
        batch = batch.set_column(place, batch.schema.field(place), _strings(offsets, data))
    table = _count(offsets, data)
    counts |= {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(kernel.COUNTERS)}
    counts |= {name: np.ascontiguousarray(edited[:, k]) for k, name in enumerate(text_edits.COUNTERS)}
    values = signals.measure_all(registry.Measured(counts))
    return batch.append_column(pa.field("signals", signals.SIGNALS, nullable=False), values)


def counters(texts: pa.Array) -> dict[str, npt.NDArray[np.int64]]:
    """The kernel's counters for an array of strings, by name, without any edit."""
    table = _count(*_buffers(texts))
    return {name: table[:, k] for k, name in enumerate(kernel.COUNTERS)}


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Offsets and bytes of a string array, slices included, not copied.

    Raises:
        TypeError: another type than string, or a null, which the schema of documents rules out.
    """
    if not pa.types.is_string(texts.type) or texts.null_count:
        raise TypeError(f"texts must be string without nulls, not {texts.type} with {texts.null_count} nulls")
    if not len(texts):
        return _frozen(np.zeros(1, np.int32)), _frozen(np.zeros(0, np.uint8))
    _, offsets, data = texts.buffers()
    first = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return _frozen(first), _frozen(np.frombuffer(data if data is not None else b"", np.uint8))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A read-only view: Numba compiles a kernel once more for writable input."""
    view = array.view()
    view.flags.writeable = False
    return view


def _strings(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> pa.StringArray:
    """A string array over buffers that start at 0."""
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


@functools.cache
def _tables() -> tuple[npt.NDArray[Any], ...]:
    """Everything that the kernel looks up, built once in a process."""
    classes = ch.classes()
    table = classes[:0x10000].astype(np.uint16)
    flags = {
        ch.F_STOP: ch.STOP + ch.CLASSICAL, ch.F_CLASSICAL: ch.CLASSICAL, ch.F_END: ch.END_MARKS,
        ch.F_CLOSER: ch.CLOSERS, ch.F_SENTENCE: ch.SENTENCE_MARKS,
        ch.F_CODE: ch.CODE_MARKS, ch.F_BULLET: ch.BULLETS, ch.F_BREAK: ch.LINE_BREAKS,
        ch.F_BROKEN_1: "".join({pair[0] for pair in mojibake.pairs()}),
        ch.F_BROKEN_2: "".join({pair[1] for pair in mojibake.pairs()}),
    }  # fmt: skip
    for flag, characters in flags.items():
        ch.mark(table, characters, flag)
    trie = phrases.trie()
    times = np.arange(kernel.LOGS)
    logs = np.rint(times * np.log2(np.maximum(times, 1)) * 1e6).astype(np.int64)
    return tuple(map(_frozen, (classes, table, mojibake.table(), trie.starts, trie.keys, trie.nodes, trie.lists, logs)))


def _count(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The kernel's counters: int64[n_docs, len(COUNTERS)]."""
    out = np.zeros((len(offsets) - 1, len(kernel.COUNTERS)), np.int64)
    times, touched = np.zeros(0x110000, np.int32), np.empty(0x110000, np.int32)
    kernel.measure(_frozen(offsets), _frozen(data), *_tables(), times, touched, out)
    return out
