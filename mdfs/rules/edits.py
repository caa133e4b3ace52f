"""Edits of the text, before it is measured: damage, blanks and the furniture of web pages go, text stays.

One kernel writes the edited bytes and counts what each edit did. `unicode` drops control and invisible characters and
makes full-width ASCII letters and digits half-width; Chinese punctuation stays as it is. `whitespace` makes a run of
blanks one space, trims lines at both ends and drops empty ones. The others drop whole lines: `boilerplate` what is a
copyright notice, a share bar or page navigation (`lists/boilerplate.txt`), `lines` what C4's rules for lines would,
`paragraphs` what stood in the document before.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from mdfs.recipe import Edits
from mdfs.rules import characters as ch
from mdfs.rules.jit import inlined, kernel
from mdfs.rules.phrases import mix, place, read_list

#: What the kernel counts, in the order of its columns.
COUNTERS = ("edited_unicode", "edited_whitespace", "edited_boilerplate", "edited_line", "edited_paragraph")
UNICODE, WHITESPACE, BOILERPLATE, LINES, PARAGRAPHS = range(5)
#: A line with more characters than this is no boilerplate, whatever it begins with.
BOILERPLATE_CHARS = 60
#: A line with fewer characters may come again: a refrain, a heading, an answer in a dialogue.
PARAGRAPH_CHARS = 20
#: Marks that end a sentence at the end of a line: C4's (full stop, exclamation and question mark, quotation mark) and
#: their Chinese counterparts. A colon or semicolon ends none.
TERMINAL = '。！？…．.!?”」』"'
#: Paragraphs of a document that are remembered at once.
_REMEMBERED = 1 << 14

# What is done with a character of the basic plane.
_COPY, _REMOVE, _NARROW, _BREAK, _BLANK, _JOINER = range(6)
# How a line of boilerplate is known: the whole line is the entry, or it begins with it and no letter follows.
_WHOLE, _BEGINNING = 1, 2
# Classes of `mdfs.rules.characters`, which a test compares.
_HAN, _LATIN, _OTHER, _MARK, _SYMBOL, _EMOJI = 1, 4, 6, 7, 10, 11
_U0, _U1, _U29, _U32 = (np.uint64(n) for n in (0, 1, 29, 32))
_FNV, _SEED = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_TERMINAL, _SKIPPED = 1, 2
_MIX = np.uint64(0x9E3779B97F4A7C15)


@functools.cache
def actions() -> npt.NDArray[np.uint8]:
    """What to do with each character: uint8[0x10000].

    Private-use and replacement characters stay: they are evidence of damage, which is measured.
    """
    classes = ch.classes()[:0x10000]
    table = np.full(0x10000, _COPY, np.uint8)
    table[classes == ch.BROKEN] = _REMOVE
    table[0xD800:0xF900] = _COPY
    table[0xFFFD] = _COPY
    for first, last in ((0xFF10, 0xFF19), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A)):
        table[first : last + 1] = _NARROW
    table[[ord(c) for c in ch.LINE_BREAKS]] = _BREAK
    table[[ord(c) for c in ch.BLANKS]] = _BLANK
    table[0x200C:0x200E] = _JOINER
    table.flags.writeable = False
    return table


@functools.cache
def boilerplate() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """The trie of boilerplate lines over letters: keys, nodes, and how an entry ends at a node (0: none does).

    In the list, `entry*` is a beginning. Only letters count, Latin ones in either case, so that 【打 印】 is 打印.
    """
    classes = ch.classes()
    children: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    for entry in read_list("boilerplate"):
        node = 0
        for c in map(ord, entry.lower()):
            if ch.HAN <= classes[c] <= ch.LATIN:
                node = children.setdefault((node, c), len(children) + 1)
        ends[node] = ends.get(node, 0) | (_BEGINNING if entry.endswith("*") else _WHOLE)
    size = 1 << (4 * len(children)).bit_length()
    keys, nodes = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for (node, c), child in children.items():
        nodes[place(keys, mix(node << 21 | c))] = child
    kinds = np.zeros(len(children) + 1, np.uint8)
    for node, kind in ends.items():
        kinds[node] = kind
    return keys, nodes, kinds


@functools.cache
def endings() -> npt.NDArray[np.uint8]:
    """Which characters end a sentence and which may stand after the one that does: uint8[0x10000]."""
    table = np.zeros(0x10000, np.uint8)
    table[[ord(c) for c in TERMINAL]] = _TERMINAL
    table[[ord(c) for c in ch.CLOSERS + ch.BLANKS + "’'"]] = _SKIPPED
    table.flags.writeable = False
    return table


def _joined(words: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Words as bytes in small letters, one after the other, and where each begins."""
    parts = [word.lower().encode() for word in words if word]
    flat, bounds = np.frombuffer(b"".join(parts), np.uint8), np.cumsum([0, *map(len, parts)]).astype(np.int32)
    bounds.flags.writeable = False
    return flat, bounds


def any_of(edits: Edits) -> bool:
    """Whether a recipe asks for an edit that `edit` makes."""
    return edits != Edits(simplify=edits.simplify, pii=edits.pii, pii_tokens=edits.pii_tokens)


def edit(
    offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], edits: Edits, counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Apply the edits of a recipe to texts and return the new offsets, from 0, and bytes.

    Args:
        offsets: int32[n + 1]. `data`: uint8, valid UTF-8.
        counts: int64[n, 5], zeros; filled with what `COUNTERS` names, in characters.
    """
    new_offsets = np.zeros(offsets.size, np.int32)
    new_data = np.empty(int(offsets[-1] - offsets[0]), np.uint8)  # no edit makes a text longer
    lines = edits.end_marks or edits.min_line_units > 0 or bool(edits.drop_lines_with)
    switches = np.array([edits.unicode, edits.whitespace, edits.boilerplate, lines, edits.paragraphs])
    words = (*_joined(edits.drop_lines_with), endings(), edits.end_marks, edits.min_line_units)
    _edit(offsets, data, switches, actions(), ch.classes(), boilerplate(), words, new_offsets, new_data, counts)
    return new_offsets, new_data[: new_offsets[-1]]


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
def _child(keys: Any, nodes: Any, node: Any, c: Any) -> Any:
    """The trie's node after `node` and `c`, or -1."""
    key = np.uint64(node << 21 | c)
    key = (key ^ (key >> _U32)) * _MIX
    key = key ^ (key >> _U29)
    mask = np.uint64(keys.size - 1)
    at = key & mask
    while keys[at] != _U0:
        if keys[at] == key:
            return np.int64(nodes[at])
        at = (at + _U1) & mask
    return -1


@inlined
def _is_boilerplate(line: Any, classes: Any, keys: Any, nodes: Any, kinds: Any) -> bool:
    """Whether a line, as bytes, is boilerplate as a whole."""
    node, i, begun = np.int64(0), 0, False
    while i < line.size:
        c, i = _decode(line, i)
        if not _HAN <= classes[c] <= _LATIN:
            if kinds[node] & _BEGINNING:
                return True
            continue
        node = _child(keys, nodes, node, c + 32 if 0x41 <= c <= 0x5A else c)
        begun = True
        if node < 0:
            return False
    return begun and kinds[node] != 0


@inlined
def _chars(data: Any, start: int, stop: int) -> int:
    """Characters in bytes `start` to `stop`: bytes that are no continuation."""
    count = 0
    for i in range(start, stop):
        count += data[i] & 0xC0 != 0x80
    return count


@inlined
def _is_sentence(line: Any, endings: Any) -> bool:
    """Whether a line, as bytes, ends in a mark that ends a sentence, brackets and blanks after it aside."""
    i = line.size
    while i > 0:
        i -= 1
        while i > 0 and line[i] & 0xC0 == 0x80:
            i -= 1
        c, _ = _decode(line, i)
        kind = endings[c] if c < 0x10000 else 0
        if kind != _SKIPPED:
            return kind == _TERMINAL
    return False


@inlined
def _has_units(line: Any, classes: Any, wanted: int) -> bool:
    """Whether a line, as bytes, has as many reading units: characters of Han, kana and Hangul, words, numbers."""
    i, units, word = 0, 0, 0
    while i < line.size and units < wanted:
        c, i = _decode(line, i)
        kind = classes[c]
        if kind == _MARK:
            continue
        letter = _HAN <= kind <= _OTHER
        units += letter and (kind < _LATIN or kind != word)
        word = kind if letter else 0
    return units >= wanted


@inlined
def _has_word(line: Any, flat: Any, bounds: Any) -> bool:
    """Whether a line, as bytes, holds one of the words, ASCII letters in either case."""
    for w in range(bounds.size - 1):
        size = bounds[w + 1] - bounds[w]
        for i in range(line.size - size + 1):
            k = 0
            while k < size and (line[i + k] + 32 * (0x41 <= line[i + k] <= 0x5A)) == flat[bounds[w] + k]:
                k += 1
            if k == size:
                return True
    return False


@inlined
def _stood_before(line: Any, seen: Any, state: Any) -> bool:
    """Whether the same bytes were asked for before in this document. `state[0]` is how many lines are remembered."""
    key = _SEED
    for byte in line:
        key = (key ^ np.uint64(byte)) * _FNV
    key = (key ^ (key >> _U32)) * _MIX
    key = max(key ^ (key >> _U29), _U1)
    mask = np.uint64(seen.size - 1)
    at = key & mask
    while seen[at] != _U0:
        if seen[at] == key:
            return True
        at = (at + _U1) & mask
    if state[0] < _REMEMBERED:
        seen[at] = key
        state[1 + state[0]] = at
        state[0] += 1
    return False


@inlined
def _end_line(out: Any, line: int, o: int, blank: bool, on: Any, classes: Any, trie: Any, words: Any, seen: Any,
              state: Any, count: Any) -> tuple[int, bool]:  # fmt: skip
    """Trim the line `out[line:o]`, or drop it: its new end, and whether it stays with its line break."""
    if blank:
        o -= 1
        count[WHITESPACE] += 1
    if o == line:
        return o, not on[WHITESPACE]
    if not (on[BOILERPLATE] or on[LINES] or on[PARAGRAPHS]):
        return o, True
    text = out[line:o]
    chars = _chars(out, line, o)
    if on[BOILERPLATE] and chars <= BOILERPLATE_CHARS and _is_boilerplate(text, classes, *trie):
        count[BOILERPLATE] += chars
        return line, False
    if on[LINES]:
        flat, bounds, endings, end_marks, units = words
        ends = not end_marks or _is_sentence(text, endings)
        if not ends or not _has_units(text, classes, units) or _has_word(text, flat, bounds):
            count[LINES] += chars
            return line, False
    if on[PARAGRAPHS] and chars >= PARAGRAPH_CHARS and _stood_before(text, seen, state):
        count[PARAGRAPHS] += chars
        return line, False
    return o, True


@inlined
def _takes_joiner(kind: int) -> bool:
    """Joiners shape emoji and scripts such as Persian; after Chinese and Latin letters they only hide words."""
    return kind in (_OTHER, _MARK, _SYMBOL, _EMOJI)


@kernel
def _edit(offsets: Any, data: Any, on: Any, actions: Any, classes: Any, trie: Any, words: Any, new_offsets: Any,
          out: Any, counts: Any) -> None:  # fmt: skip
    """Write every document's edited text to `out`, line by line; see `edit`."""
    seen, state = np.zeros(2 * _REMEMBERED if on[PARAGRAPHS] else 1, np.uint64), np.zeros(_REMEMBERED + 1, np.int64)
    o = np.int64(0)  # not a literal, for which Numba would compile `_document` once more; so with `blank` there
    for d in range(offsets.size - 1):
        o = _document(np.int64(offsets[d]), np.int64(offsets[d + 1]), data, on, actions, classes, trie, words, seen,
                      state, o, out, counts[d])  # fmt: skip
        new_offsets[d + 1] = o
        for k in range(state[0]):
            seen[state[1 + k]] = _U0
        state[0] = 0


@inlined
def _document(i: Any, stop: Any, data: Any, on: Any, actions: Any, classes: Any, trie: Any, words: Any, seen: Any,
              state: Any, o: Any, out: Any, count: Any) -> Any:  # fmt: skip
    """Write one document, bytes `i` to `stop` of `data`, from `out[o]` on; return where it ends."""
    unicode, whitespace = on[UNICODE], on[WHITESPACE]
    # Where the document and the line begin in `out`; whether a blank ends the line; the character before.
    blank: Any = np.bool_(False)
    begin, line, before = o, o, 0
    while i < stop:
        at = i
        c, i = _decode(data, i)
        action = actions[c] if c < 0x10000 else _COPY
        if action == _BREAK and (unicode or c == 10):
            if c == 13 and i < stop and data[i] == 10:
                i += 1
            count[UNICODE] += c != 10
            o, stays = _end_line(out, line, o, blank, on, classes, trie, words, seen, state, count)
            if stays:
                out[o] = 10
                o += 1
            elif o == line:
                count[WHITESPACE] += 1
            line, blank, before = o, False, 10
        elif action == _BLANK and whitespace:
            if o == line or blank:
                count[WHITESPACE] += 1
            else:
                count[WHITESPACE] += c != 32
                out[o] = 32
                o += 1
                blank = True
            before = 32
        elif unicode and (action == _REMOVE or (action == _JOINER and not _takes_joiner(classes[before]))):
            count[UNICODE] += 1
        elif unicode and action == _NARROW:
            out[o] = c - 0xFEE0
            o += 1
            count[UNICODE] += 1
            blank, before = False, c - 0xFEE0
        else:
            for k in range(at, i):
                out[o] = data[k]
                o += 1
            blank, before = False, c
    lost = count[BOILERPLATE:].sum()
    o, _ = _end_line(out, line, o, blank, on, classes, trie, words, seen, state, count)
    if o == line and o > begin and (whitespace or count[BOILERPLATE:].sum() > lost):
        o -= 1  # the break before a last line that is gone
        count[WHITESPACE] += 1
    return o
