"""Web addresses: their shape, what their hosts give away, and whether a list of domains holds them."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mdfs.errors import UsageError
from mdfs.recipe import Urls
from mdfs.rules.jit import inlined, kernel

#: What the kernel counts, in the order of its columns; -1 stands for what was not asked for.
COUNTERS = (
    "url_chars", "url_host_letters", "url_host_digits", "url_host_labels", "url_path_depth", "url_query_params",
    "url_lures", "url_listed", "url_patterns",
)  # fmt: skip
_CHARS, _LETTERS, _DIGITS, _LABELS, _DEPTH, _PARAMS, _LURES, _LISTED, _PATTERNS = range(9)

#: Parts of the names of gambling and adult sites. Written for mdfs; no part of an ordinary name that we know of.
LURES = (
    "casino", "bet365", "betway", "188bet", "poker", "lottery", "caipiao", "bocai", "liuhecai", "6hecai", "shishicai",
    "baijiale", "yulecheng", "duchang", "pk10", "porn", "xxx", "sex8", "sexy", "hentai", "escort", "avmoo",
    "seqing", "chengren", "huangpian", "yellow91", "91porn", "jizz", "fuck", "nude", "hookup", "adultdat",
)  # fmt: skip

_U0, _U1, _U29, _U32 = (np.uint64(n) for n in (0, 1, 29, 32))
_MIX, _FNV, _SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)


def measure(urls: pa.StringArray, offsets: Any, data: Any, said: Urls, paths: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Counters of every address: int64[n, len(COUNTERS)].

    Args:
        urls: the addresses; `offsets` int32[n + 1] and `data` uint8 are their buffers.
        said: what the recipe says; `paths` are its `listed`, made absolute.
    """
    out = np.zeros((len(urls), len(COUNTERS)), np.int64)
    lures = np.frombuffer("".join(LURES).encode(), np.uint8)
    bounds = np.cumsum([0, *map(len, LURES)]).astype(np.int32)
    bounds.flags.writeable = False
    _measure(offsets, data, lures, bounds, out)
    out[:, _LISTED] = 0 if paths else -1
    for path in paths:
        _look_up(offsets, data, domains(path), out)
    out[:, _PATTERNS] = 0 if said.patterns else -1
    for pattern in said.patterns:
        expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
        out[:, _PATTERNS] += pc.match_substring_regex(urls, f"^{expression}$").to_numpy(zero_copy_only=False)
    return out


def domains(path: str) -> npt.NDArray[np.uint64]:
    """The domains of a list as an open-addressing table of hashes, kept until the files change.

    Raises:
        UsageError: no such file, or a folder without a file `domains`.
    """
    return _domains(tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in _files(path)))


def digest(path: str) -> str:
    """64 hex digits over the files of a list."""
    whole = hashlib.sha256()
    for file in _files(path):
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def _files(path: str) -> list[Path]:
    place = Path(path)
    files = sorted(place.rglob("domains")) if place.is_dir() else [place] if place.is_file() else []
    if not files:
        raise UsageError(f"[urls] listed: {path!r} is neither a file nor a folder that holds files named `domains`")
    return files


@functools.lru_cache(maxsize=32)
def _domains(files: tuple[tuple[str, int, int], ...]) -> npt.NDArray[np.uint64]:
    text = np.frombuffer(b"\n".join(Path(name).read_bytes() for name, _, _ in files), np.uint8)
    lines = int((text == 10).sum()) + 1
    table = np.zeros(1 << (2 * lines).bit_length(), np.uint64)
    _enter(text, table)
    table.flags.writeable = False
    return table


@inlined
def _fold(byte: Any) -> Any:
    return byte + 32 if 0x41 <= byte <= 0x5A else byte


@inlined
def _slot(table: Any, key: Any) -> Any:
    """Where a hash stands in the table, or the free slot where it would."""
    key = (key ^ (key >> _U32)) * _MIX
    key = max(key ^ (key >> _U29), _U1)
    mask = np.uint64(table.size - 1)
    at = key & mask
    while table[at] != key and table[at] != _U0:
        at = (at + _U1) & mask
    return np.int64(at), key


@inlined
def _host(data: Any, i: Any, stop: Any) -> Any:
    """Where the host of the address `data[i:stop]` begins and ends."""
    for k in range(i, min(stop - 2, i + 12)):
        if data[k] == 0x3A and data[k + 1] == 0x2F and data[k + 2] == 0x2F:
            i = k + 3
            break
    end = i
    while end < stop and data[end] != 0x2F and data[end] != 0x3F and data[end] != 0x23:
        if data[end] == 0x40:
            i = end + 1
        end += 1
    for k in range(i, end):
        if data[k] == 0x3A:
            return i, k
    return i, end


@kernel
def _enter(text: Any, table: Any) -> None:
    """Put the domain of every line, hashed from its end, into the table; white space and comments are left out."""
    i = 0
    while i < text.size:
        end = i
        while end < text.size and text[end] != 10:
            end += 1
        begin, last = i, end
        while last > begin and text[last - 1] <= 0x20:
            last -= 1
        while begin < last and (text[begin] <= 0x20 or text[begin] == 0x2E):
            begin += 1
        if begin < last and text[begin] != 0x23:
            key = _SEED
            for k in range(last - 1, begin - 1, -1):
                key = (key ^ np.uint64(_fold(text[k]))) * _FNV
            at, mixed = _slot(table, key)
            table[at] = mixed
        i = end + 1


@kernel
def _look_up(offsets: Any, data: Any, table: Any, out: Any) -> None:
    """Count the list where it holds the host or one of its parents."""
    for d in range(offsets.size - 1):
        begin, end = _host(data, np.int64(offsets[d]), np.int64(offsets[d + 1]))
        key = _SEED
        for k in range(end - 1, begin - 1, -1):
            key = (key ^ np.uint64(_fold(data[k]))) * _FNV
            if k == begin or data[k - 1] == 0x2E:
                at, mixed = _slot(table, key)
                if table[at] == mixed:
                    out[d, _LISTED] += 1
                    break


@kernel
def _measure(offsets: Any, data: Any, lures: Any, bounds: Any, out: Any) -> None:
    """The shape of every address; see `measure`."""
    for d in range(offsets.size - 1):
        start, stop, row = np.int64(offsets[d]), np.int64(offsets[d + 1]), out[d]
        begin, end = _host(data, start, stop)
        for i in range(start, stop):
            row[_CHARS] += data[i] & 0xC0 != 0x80
        row[_LABELS] = begin < end
        for i in range(begin, end):
            row[_LABELS] += data[i] == 0x2E
            row[_DIGITS] += 0x30 <= data[i] <= 0x39
            row[_LETTERS] += 0x61 <= _fold(data[i]) <= 0x7A
            for w in range(bounds.size - 1):
                size, k = bounds[w + 1] - bounds[w], 0
                while k < size and i + k < end and _fold(data[i + k]) == lures[bounds[w] + k]:
                    k += 1
                row[_LURES] += k == size
        i = end
        while i < stop and data[i] != 0x3F and data[i] != 0x23:
            row[_DEPTH] += data[i] != 0x2F and data[i - 1] == 0x2F and i > end
            i += 1
        if i + 1 < stop and data[i] == 0x3F and data[i + 1] != 0x23:
            row[_PARAMS] = 1
            while i < stop and data[i] != 0x23:
                row[_PARAMS] += data[i] == 0x26
                i += 1
