"""The measuring kernel: one pass over the UTF-8 bytes of a batch, one row of int64 counters a document.

The pass decodes code points, looks each up in a table (class and flags, `mdfs.rules.characters`), and keeps the state
of the line, the word and the digit run that it is in. It hands on reading units (one Han character, one word, one
number) in windows of `WINDOW`; repetition and phrases are looked for in a window, so that scratch memory stays at 1 MB
however long a text is and a long book does not count as repetitive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdfs.rules.jit import inlined, kernel

#: Counters of a document, in the order of the kernel's columns; the first 13 are `characters.CLASSES`.
COUNTERS = (
    "whitespace", "han", "kana", "hangul", "latin", "digit", "other", "mark",
    "cjk_punctuation", "ascii_punctuation", "symbol", "emoji", "broken",
    "chars", "units", "latin_words", "code_marks", "stop_chars", "classical_chars", "mojibake",
    "lines", "short_lines", "end_mark_chars", "prose_chars", "max_line", "duplicate_lines", "duplicate_line_chars",
    "bullet_lines", "ellipsis_lines", "sentences", "unique_chars", "entropy_sum",
    "top_2gram", "top_4gram", "duplicate_8gram", "duplicate_16gram", "urls", "phones",
    "advertising", "gambling", "adult", "medical", "contact",
)  # fmt: skip
(CHARS, UNITS, LATIN_WORDS, CODE_MARKS, STOP_CHARS, CLASSICAL_CHARS, MOJIBAKE,
 LINES, SHORT_LINES, END_MARK_CHARS, PROSE_CHARS, MAX_LINE, DUPLICATE_LINES, DUPLICATE_LINE_CHARS,
 BULLET_LINES, ELLIPSIS_LINES, SENTENCES, UNIQUE_CHARS, ENTROPY_SUM,
 TOP_2, TOP_4, DUPLICATE_8, DUPLICATE_16, URLS, PHONES, PHRASES) = range(13, 39)  # fmt: skip

#: Reading units in which repetition is looked for at once: 48 kB of Chinese, whose tables fit the L2 cache.
WINDOW = 16_384
#: Slots of a hash table over a window: a power of two, at most half full.
SLOTS = 2 * WINDOW
#: A line with fewer characters is short: a menu entry or a heading, hardly a sentence.
SHORT_LINE = 12
#: A line with as many characters is running text even without an end mark: books and letters are often wrapped at 34
#: (a screen of 80 columns less a margin) to 60 characters, while titles rarely have more than 30.
LONG_LINE = 32
#: Occurrences up to which c·log2(c) stands in a table, in millionths of a bit.
LOGS = 1 << 16

# Numba computes uint64 with int64 in float64, so every constant that meets a hash is uint64.
_U1, _U8, _U29, _U32, _U48 = (np.uint64(n) for n in (1, 8, 29, 32, 48))
_U0, _WORD, _MIX = np.uint64(0), np.uint64(1 << 63), np.uint64(0x9E3779B97F4A7C15)
_FNV, _SEED = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_ADDRESS, _WWW, _LOW24, _LOW32, _BYTE = (np.uint64(n) for n in (0x3A2F2F, 0x7777772E, 0xFFFFFF, 0xFFFFFFFF, 0xFF))
_LOW16, _HIGH48 = np.uint64(0xFFFF), np.uint64(0xFFFFFFFFFFFF0000)
_SLASH, _THREE_DOTS = np.uint64(0x2F), np.uint64(0x2E2E2E)

# Classes and flags of `mdfs.rules.characters`, which a test compares.
_WHITE, _HAN, _KANA, _HANGUL, _LATIN, _DIGIT, _OTHER, _MARK, _BROKEN = 0, 1, 2, 3, 4, 5, 6, 7, 12
_STOP, _CLASSICAL, _END, _CLOSER, _SENTENCE, _CODE, _BULLET, _BROKEN_1, _BROKEN_2, _BREAK = (16 << k for k in range(10))


@inlined
def _decode(data: Any, i: Any) -> Any:
    """The code point at byte `i` of valid UTF-8 and the place after it."""
    lead = np.int64(data[i])
    if lead < 0x80:
        return lead, i + 1
    if lead >= 0xF0:
        high = (lead & 7) << 18 | (np.int64(data[i + 1]) & 63) << 12
        return high | (np.int64(data[i + 2]) & 63) << 6 | np.int64(data[i + 3]) & 63, i + 4
    if lead >= 0xE0:
        return (lead & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63, i + 3
    return (lead & 31) << 6 | np.int64(data[i + 1]) & 63, i + 2


@inlined
def _mix(key: Any) -> Any:
    """A 64-bit key spread over its bits, never 0, which marks a free slot."""
    key = (key ^ (key >> _U32)) * _MIX
    key = key ^ (key >> _U29)
    return key if key != _U0 else _U1


@inlined
def _slot(keys: Any, mask: Any, key: Any) -> Any:
    """Where `key` stands in an open-addressing table, or the free slot where it would."""
    at = key & mask
    while keys[at] != key and keys[at] != _U0:
        at = (at + _U1) & mask
    return np.int64(at)


@inlined
def _pair(first: Any, second: Any) -> Any:
    """A key for two units; its high bits are spread."""
    return (first * _FNV + second) * _MIX


@inlined
def _size(items: int) -> int:
    """The smallest power of two that is at least twice `items`."""
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@inlined
def _top(units: Any, n: int, length: int, keys: Any) -> Any:
    """How often the commonest run of `length` (2 or 4) units occurs, 0 where none occurs twice.

    An entry of the table is 48 bits of the key and 16 bits of the count, which is at most `WINDOW`.
    """
    size = _size(n)
    mask = np.uint64(size - 1)
    keys[:size] = _U0
    best = _U1
    for i in range(n - length + 1):
        key = units[i] * _FNV + units[i + 1]
        if length == 4:
            key = (key * _FNV + units[i + 2]) * _FNV + units[i + 3]
        key = _mix(key) & _HIGH48
        at = (key >> _U32) & mask
        while keys[at] != _U0 and keys[at] & _HIGH48 != key:
            at = (at + _U1) & mask
        keys[at] = (key if keys[at] == _U0 else keys[at]) + _U1
        best = max(best, keys[at] & _LOW16)
    return np.int64(best) if best > _U1 else 0


@inlined
def _repeated(units: Any, n: int, length: int, keys: Any) -> int:
    """Units covered by runs of `length` units that occurred before in the window."""
    size = _size(n)
    mask = np.uint64(size - 1)
    keys[:size] = _U0
    leaving = _U1
    for _ in range(length):
        leaving = leaving * _FNV
    rolling = _U0
    covered, count = 0, 0
    for i in range(n):
        rolling = rolling * _FNV + units[i]
        if i >= length:
            rolling = rolling - units[i - length] * leaving
        if i < length - 1:
            continue
        key = _mix(rolling)
        at = _slot(keys, mask, key)
        if keys[at] == key:
            count += i + 1 - max(covered, i + 1 - length)
            covered = i + 1
        keys[at] = key
    return count


@inlined
def _phrases(units: Any, n: int, starts: Any, trie_keys: Any, trie_nodes: Any, trie_lists: Any, row: Any) -> None:
    """Count phrases by list: from left to right the longest that fits, without overlap."""
    mask = np.uint64(trie_keys.size - 1)
    i = 0
    while i < n:
        # `starts` says of most pairs of units that no phrase begins with them; a word may be a phrase alone.
        if units[i] < _WORD and (i + 1 == n or not starts[np.int64(_pair(units[i], units[i + 1]) >> _U48)]):
            i += 1
            continue
        node, j, end = np.int64(0), i, i
        found: Any = -1
        while j < n:
            at = _slot(trie_keys, mask, _mix(units[j] * _MIX + np.uint64(node)))
            if trie_keys[at] == _U0:
                break
            node = np.int64(trie_nodes[at])
            j += 1
            if trie_lists[node] >= 0:
                found, end = np.int64(trie_lists[node]), j
        if found >= 0:
            row[PHRASES + found] += 1
            i = end
        else:
            i += 1


@inlined
def _window(units: Any, n: int, keys: Any, starts: Any, trie_keys: Any, trie_nodes: Any, trie_lists: Any,
            row: Any) -> None:  # fmt: skip
    """All that is measured on reading units."""
    row[UNITS] += n
    row[TOP_2] += _top(units, n, 2, keys)
    row[TOP_4] += _top(units, n, 4, keys)
    row[DUPLICATE_8] += _repeated(units, n, 8, keys)
    row[DUPLICATE_16] += _repeated(units, n, 16, keys)
    _phrases(units, n, starts, trie_keys, trie_nodes, trie_lists, row)


@inlined
def _line(row: Any, chars: int, ends: bool, dots: bool, key: Any, seen: Any, state: Any) -> None:
    """Account for a line of `chars` characters. `seen` is the set of lines, `state[0]` how many it holds."""
    row[LINES] += 1
    row[SHORT_LINES] += chars < SHORT_LINE
    row[MAX_LINE] = max(row[MAX_LINE], chars)
    row[ELLIPSIS_LINES] += dots
    if ends:
        row[END_MARK_CHARS] += chars
    if ends or chars >= LONG_LINE:
        row[PROSE_CHARS] += chars
    if state[0] == WINDOW:
        seen[:] = _U0
        state[0] = 0
    key = _mix(key)
    at = _slot(seen, np.uint64(SLOTS - 1), key)
    if seen[at] == key:
        row[DUPLICATE_LINES] += 1
        row[DUPLICATE_LINE_CHARS] += chars
    else:
        seen[at] = key
        state[1 + state[0]] = at
        state[0] += 1


@inlined
def _is_phone(value: int, digits: int, dashes: int) -> bool:
    """Mobile (11 digits, 13 to 19), area code and number with a dash (021-…), or 400-/800-."""
    if digits == 11 and 13_000_000_000 <= value < 20_000_000_000:
        return True
    if digits == 10 and value // 10_000_000 in (400, 800):
        return True
    return 10 <= digits <= 12 and dashes > 0 and value < 10 ** (digits - 1)


@inlined
def _entropy(row: Any, times: Any, touched: Any, different: int, logs: Any) -> None:
    """Sum c·log2(c) over the characters, in millionths of a bit, and clear the counts."""
    total: Any = 0
    for k in range(different):
        count = times[touched[k]]
        times[touched[k]] = 0
        total += logs[count] if count < LOGS else np.int64(np.rint(count * np.log2(count) * 1e6))
    row[UNIQUE_CHARS] = different
    row[ENTROPY_SUM] = total


@inlined
def _pair_is_broken(broken: Any, first: Any, second: Any) -> Any:
    key = _mix(np.uint64(first << 16 | second))
    return broken[_slot(broken, np.uint64(broken.size - 1), key)] == key


@kernel
def measure(offsets: Any, data: Any, classes: Any, table: Any, broken: Any, starts: Any, trie_keys: Any,
            trie_nodes: Any, trie_lists: Any, logs: Any, times: Any, touched: Any, out: Any) -> None:  # fmt: skip
    """Count everything in every document.

    Args:
        offsets: int32[n + 1], where documents begin in `data`, uint8, valid UTF-8.
        classes: uint8[0x110000]. `table`: uint16[0x10000], class and flags of the basic plane.
        broken: uint64[2^k], the set of pairs of wrong decoding.
        starts, trie_keys, trie_nodes, trie_lists: the phrases (`mdfs.rules.phrases.Trie`).
        logs: int64[LOGS]. `times`: int32[0x110000] zeros, `touched`: int32[0x110000], both scratch.
        out: int64[n, len(COUNTERS)], zeros; filled.
    """
    units = np.empty(WINDOW + 1, np.uint64)
    keys = np.zeros(SLOTS, np.uint64)
    seen = np.zeros(SLOTS, np.uint64)
    state = np.zeros(WINDOW + 1, np.int64)
    for d in range(offsets.size - 1):
        _document(offsets[d], offsets[d + 1], data, classes, table, broken, starts, trie_keys, trie_nodes, trie_lists,
                  logs, times, touched, units, keys, seen, state, out[d])  # fmt: skip


@inlined
def _document(i: Any, stop: Any, data: Any, classes: Any, table: Any, broken: Any, starts: Any, trie_keys: Any,
              trie_nodes: Any, trie_lists: Any, logs: Any, times: Any, touched: Any, units: Any, keys: Any,
              seen: Any, state: Any, row: Any) -> None:  # fmt: skip
    """Count everything in one document: bytes `i` to `stop` of `data`."""
    n, different = 0, 0  # units in the window; different characters
    in_word: Any = -1  # class of the word or number that the pass is in, -1 outside
    word = _SEED  # its hash
    number: Any = 0  # value, digits and dashes of the digit run
    digits, dashes = 0, 0
    line_chars, line_key, ends = 0, _SEED, False  # of the line, without white space
    last: Any = 0  # the character before in the line, white space left out, and the last 8 as bytes, 0xFF beyond ASCII
    recent = _U0
    dot, in_marks = False, False  # whether a full stop after a letter, or sentence marks, stand right before
    beside: Any = 0  # the character right before, and whether it is counted as one of a broken pair
    beside_flags: Any = 0
    counted = False
    while i < stop:
        c, i = _decode(data, i)
        flags = np.int64(table[c]) if c < 0x10000 else np.int64(classes[c])
        kind = flags & 15
        row[kind] += 1
        if in_word >= 0 and kind != in_word and kind != _MARK:
            units[n] = word | _WORD
            n += 1
            row[LATIN_WORDS] += in_word == _LATIN
            in_word, word = -1, _SEED
        if digits and kind != _DIGIT:
            if c == 0x2D and beside != c:
                dashes += 1
            else:
                row[PHONES] += _is_phone(number, digits, dashes)
                number, digits, dashes = 0, 0, 0
        if kind == _WHITE:
            row[SENTENCES] += dot
            dot, in_marks, beside, beside_flags, counted = False, False, c, 0, False
            if flags & _BREAK:
                if line_chars:
                    dots = last == 0x2026 or recent & _LOW24 == _THREE_DOTS
                    _line(row, line_chars, ends, dots, line_key, seen, state)
                line_chars, line_key, ends, last, recent = 0, _SEED, False, 0, _U0
        else:
            if times[c] == 0:
                touched[different] = c
                different += 1
            times[c] += 1
            if flags & _BULLET and line_chars == 0:
                row[BULLET_LINES] += 1
            line_chars += 1
            line_key = (line_key ^ np.uint64(c)) * _FNV
            if kind <= _HANGUL:
                units[n] = np.uint64(c)
                n += 1
                row[STOP_CHARS] += (flags & _STOP) != 0
                row[CLASSICAL_CHARS] += (flags & _CLASSICAL) != 0
            elif kind <= _OTHER:
                in_word = kind
                word = (word ^ np.uint64(c + 32 if 0x41 <= c <= 0x5A else c)) * _FNV
                if kind == _DIGIT:
                    digits += 1
                    number = number * 10 + (c & 15) if digits <= 12 else number
            dot = c == 0x2E and 0x61 <= beside | 32 <= 0x7A
            if flags >= _END:
                row[CODE_MARKS] += (flags & _CODE) != 0
                row[SENTENCES] += (flags & _SENTENCE) != 0 and not in_marks
                if flags & _BROKEN_2 and beside_flags & _BROKEN_1 and _pair_is_broken(broken, beside, c):
                    row[MOJIBAKE] += 1 if counted else 2
                    counted = True
                else:
                    counted = False
            else:
                counted = False
            in_marks = (flags & _SENTENCE) != 0
            ends = (flags & _END) != 0 or (ends and (flags & _CLOSER) != 0)
            recent = recent << _U8 | (np.uint64(c) if c < 0x80 else _BYTE)
            if c == 0x2F:
                row[URLS] += recent & _LOW24 == _ADDRESS
            elif c == 0x2E:
                row[URLS] += recent & _LOW32 == _WWW and (recent >> _U32) & _BYTE != _SLASH
            last, beside, beside_flags = c, c, flags
        if n >= WINDOW:  # one more where a character ended a word
            _window(units, WINDOW, keys, starts, trie_keys, trie_nodes, trie_lists, row)
            units[0] = units[WINDOW]
            n -= WINDOW
    if in_word >= 0:
        units[n] = word | _WORD
        n += 1
        row[LATIN_WORDS] += in_word == _LATIN
    if digits:
        row[PHONES] += _is_phone(number, digits, dashes)
    row[SENTENCES] += dot
    if line_chars:
        _line(row, line_chars, ends, last == 0x2026 or recent & _LOW24 == _THREE_DOTS, line_key, seen, state)
    if n:
        _window(units, n, keys, starts, trie_keys, trie_nodes, trie_lists, row)
    row[CHARS] = row[1 : _BROKEN + 1].sum()
    _entropy(row, times, touched, different, logs)
    for k in range(state[0]):
        seen[state[1 + k]] = _U0
    state[0] = 0
