"""From a batch of documents to the same batch with edited texts and `signals`: Arrow buffers in, Arrow buffers out."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mdfs.recipe import Edits, Recipe
from mdfs.rules import (
    addresses,
    compression,
    kernel,
    language,
    matching,
    mojibake,
    personal,
    phrases,
    registry,
    repetition,
    signals,
    simplify,
)
from mdfs.rules import characters as ch
from mdfs.rules import edits as text_edits

Counters = dict[str, npt.NDArray[np.int64]]
#: Bytes of text that are measured at once: their reading units stay in the cache.
CHUNK = 2 << 20


def measured(batch: pa.RecordBatch, recipe: Recipe) -> pa.RecordBatch:
    """Return `batch` with the recipe's edits applied to `text` and the column `signals` added.

    Personal data are counted before and replaced after everything else is measured.
    """
    edits = recipe.edits
    texts, counts = _edited(batch.column("text"), edits)
    offsets, data = _buffers(texts)
    lists = phrases.categories(recipe)
    counts |= _counters(offsets, data, _buffers(batch.column("title")), batch.column("source"), lists)
    counts |= _addresses(batch.column("url"), recipe)
    counts |= _compressed(offsets, data, recipe)
    found = _identified(texts, recipe)
    offsets, data, personal_data = personal.scan(offsets, data, edits.pii, edits.pii_tokens)
    counts |= _columns(personal.COUNTERS, personal_data)
    counts["edited_personal"] = personal_data[:, [kind in edits.pii for kind in personal.TOKENS]].sum(axis=1)
    if counts["edited_personal"].any():
        texts = _strings(offsets, data)
    place = batch.schema.get_field_index("text")
    batch = batch.set_column(place, batch.schema.field(place), texts)
    values = signals.measure_all(registry.Measured(counts, found))
    return batch.append_column(pa.field("signals", signals.SIGNALS, nullable=False), values)


def _addresses(urls: pa.StringArray, recipe: Recipe) -> Counters:
    paths = tuple(recipe.path(entry) for entry in recipe.urls.listed)
    return _columns(addresses.COUNTERS, addresses.measure(urls, *_buffers(urls), recipe.urls, paths))


def _compressed(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], recipe: Recipe) -> Counters:
    """Bytes of the texts, and of what zlib makes of them; -1 where the recipe does not ask for it."""
    found = compression.sizes(offsets, data) if compression.asked(recipe) else np.full(len(offsets) - 1, -1)
    return {"text_bytes": np.diff(offsets).astype(np.int64), "compressed_bytes": found}


def _identified(texts: pa.StringArray, recipe: Recipe) -> tuple[list[str], npt.NDArray[np.float64]] | None:
    model = recipe.language.model
    return language.identified(texts, recipe.path(model)) if model else None


def _edited(texts: pa.StringArray, edits: Edits) -> tuple[pa.StringArray, Counters]:
    """Texts after the edits that are made before measuring, and what these did."""
    offsets, data = _buffers(texts)
    did = np.zeros((len(texts), len(text_edits.COUNTERS)), np.int64)
    simplified = np.zeros(len(texts), np.int64)
    if text_edits.any_of(edits):
        texts = _strings(*text_edits.edit(offsets, data, edits, did))
    if edits.simplify:
        texts, simplified = simplify.simplified(texts, simplify.worth(*_buffers(texts)))
    return texts, _columns(text_edits.COUNTERS, did) | {"edited_simplified": simplified}


def _columns(names: tuple[str, ...], table: npt.NDArray[np.int64]) -> Counters:
    return {name: np.ascontiguousarray(table[:, k]) for k, name in enumerate(names)}


def counters(texts: pa.Array, titles: pa.Array | None = None) -> Counters:
    """The counters for an array of strings, by name, without any edit and with the shipped word lists."""
    titles = pa.array([""] * len(texts), pa.string()) if titles is None else titles
    sources = pa.array([""] * len(texts), pa.string())
    return _counters(*_buffers(texts), _buffers(titles), sources, phrases.categories(Recipe("")))


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
def tables() -> tuple[npt.NDArray[Any], ...]:
    """Everything that the kernel looks up, built once in a process.

    classes: uint8[0x110000]. table: uint16[0x10000], class and flags of the basic plane. marks: uint8[0x10000].
    broken: uint64[2^k], the set of pairs of wrong decoding. stop_words: uint64[32], the set of English stop words, and
    stop_bits: int64[32], a bit for each. logs: int64[LOGS], c·log2(c) in millionths.
    """
    classes = ch.classes()
    table = classes[:0x10000].astype(np.uint16)
    traditional, simplified = ch.variants()
    flags = {
        ch.F_STOP: ch.STOP + ch.CLASSICAL, ch.F_CLASSICAL: ch.CLASSICAL, ch.F_END: ch.END_MARKS,
        ch.F_CLOSER: ch.CLOSERS, ch.F_SENTENCE: ch.SENTENCE_MARKS, ch.F_TRADITIONAL: traditional,
        ch.F_SIMPLIFIED: simplified, ch.F_CODE: ch.CODE_MARKS, ch.F_BULLET: ch.BULLETS, ch.F_BREAK: ch.LINE_BREAKS,
        ch.F_BROKEN_1: "".join({pair[0] for pair in mojibake.pairs()}),
        ch.F_BROKEN_2: "".join({pair[1] for pair in mojibake.pairs()}),
    }  # fmt: skip
    for flag, characters in flags.items():
        ch.mark(table, characters, flag)
    stop_words, stop_bits = np.zeros(32, np.uint64), np.zeros(32, np.int64)
    for k, word in enumerate(ch.STOP_WORDS):
        stop_bits[phrases.place(stop_words, phrases.mix(phrases.units_of(word)[0]))] = 1 << k
    times = np.arange(kernel.LOGS)
    logs = np.rint(times * np.log2(np.maximum(times, 1)) * 1e6).astype(np.int64)
    return tuple(map(_frozen, (classes, table, ch.marks(), mojibake.table(), stop_words, stop_bits, logs)))


def _counters(
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
    titles: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]],
    sources: pa.StringArray,
    lists: tuple[phrases.Category, ...],
) -> Counters:
    """All counters of texts by name, chunk by chunk. Categories that are exempt for a document's source are -1."""
    n = len(offsets) - 1
    table = np.zeros((n, len(kernel.COUNTERS)), np.int64)
    repeated = np.zeros((n, len(repetition.COUNTERS)), np.int64)
    words = np.zeros((n, len(lists)), np.int64)
    times, touched = np.zeros(0x110000, np.int32), np.empty(0x110000, np.int32)
    sorts = list(_by_words(sources, lists))
    for begin, end in _chunks(offsets):
        bounds, units = np.zeros(end - begin + 1, np.int64), np.empty(int(offsets[end] - offsets[begin]) + 1, np.uint64)
        part = _frozen(offsets[begin : end + 1])
        kernel.measure(part, data, _frozen(titles[0][begin : end + 1]), titles[1], tables(), times, touched, bounds,
                       units, table[begin:end])  # fmt: skip
        repetition.count(bounds, units, repeated[begin:end])
        for rows, trie in sorts:
            found = words[begin:end] if rows is None else np.zeros_like(words[begin:end])
            matching.count(bounds, units, trie.starts, trie.keys, trie.nodes, trie.lists, found)
            if rows is not None:
                words[begin:end][rows[begin:end]] = found[rows[begin:end]]
    _exempt(words, sources, lists)
    counts = _columns(kernel.COUNTERS, table) | _columns(repetition.COUNTERS, repeated)
    severe = [category.severity >= phrases.SEVERE for category in lists]
    counts["severe"] = np.maximum(words[:, severe], 0).sum(axis=1)
    return counts | _columns(tuple(phrases.CATEGORIES), words)


def _chunks(offsets: npt.NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Runs of documents of about `CHUNK` bytes; a longer document is one by itself."""
    begin, n = 0, len(offsets) - 1
    while begin < n:
        end = int(np.searchsorted(offsets, offsets[begin] + CHUNK, "right")) - 1
        end = min(max(end, begin + 1), n)
        yield begin, end
        begin = end


def _by_words(
    sources: pa.StringArray, lists: tuple[phrases.Category, ...]
) -> Iterator[tuple[npt.NDArray[np.bool_] | None, phrases.Trie]]:
    """Rows whose sources count the same words, and the trie of these; None where all rows do."""
    severities = tuple(category.severity for category in lists)
    if not any(category.exempt_words for category in lists):
        yield None, phrases.trie(tuple(category.words for category in lists), severities)
        return
    named = np.array(sources.to_pylist(), object)
    for source in dict.fromkeys(named):
        yield named == source, phrases.trie(phrases.words_for(lists, source), severities)


def _exempt(words: npt.NDArray[np.int64], sources: pa.StringArray, lists: tuple[phrases.Category, ...]) -> None:
    """Put -1 for categories that do not count in documents of a source."""
    for k, category in enumerate(lists):
        if category.exempt:
            spared = {s for s in pc.unique(sources).to_pylist() if phrases.exempted(category, s)}
            rows = pc.is_in(sources, pa.array(sorted(spared), pa.string()))
            words[rows.to_numpy(zero_copy_only=False), k] = -1
