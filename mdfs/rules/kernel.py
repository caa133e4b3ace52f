"""The measuring kernel: one pass over the UTF-8 bytes of a batch, one row of int64 counters a document.

The pass decodes code points, looks each up in a table (class and flags, `mdfs.rules.characters`), and keeps the state
of the line, the word and the digit run that it is in. It writes down the reading units (one Han character, one word,
one number), in which repetition and phrases are looked for afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdfs.rules.jit import inlined, kernel

#: Counters of a document, in the order of the kernel's columns; the first 13 are `characters.CLASSES`.
COUNTERS = (
    "whitespace", "han", "kana", "hangul", "latin", "digit", "other", "mark",
    "cjk_punctuation", "ascii_punctuation", "symbol", "emoji", "broken",
    "chars", "units", "latin_words", "digit_words", "code_marks", "stop_chars", "classical_chars", "mojibake",
    "traditional", "simplified", "stop_words", "stop_word_kinds",
    "lines", "short_lines", "lines_under_30", "long_lines", "end_mark_chars", "wide_end_lines", "ascii_end_lines",
    "prose_chars", "max_line", "median_line", "duplicate_lines", "duplicate_line_chars", "bullet_lines",
    "ellipsis_lines", "foreign_line_chars", "paragraphs", "duplicate_paragraphs", "duplicate_paragraph_chars",
    "sentences", "unique_chars", "entropy_sum", "urls", "phones", "prices", "brackets", "curly_brackets",
    "lenticular_chars", "hashes", "ellipses", "markup_chars", "json_keys", "title_chars", "title_found", "beyond_title",
)  # fmt: skip
(CHARS, UNITS, LATIN_WORDS, DIGIT_WORDS, CODE_MARKS, STOP_CHARS, CLASSICAL_CHARS, MOJIBAKE, TRADITIONAL, SIMPLIFIED,
 STOP_WORDS, STOP_WORD_KINDS, LINES, SHORT_LINES, LINES_UNDER_30, LONG_LINES, END_MARK_CHARS, WIDE_END_LINES,
 ASCII_END_LINES, PROSE_CHARS, MAX_LINE, MEDIAN_LINE, DUPLICATE_LINES, DUPLICATE_LINE_CHARS, BULLET_LINES,
 ELLIPSIS_LINES, FOREIGN_LINE_CHARS, PARAGRAPHS, DUPLICATE_PARAGRAPHS, DUPLICATE_PARAGRAPH_CHARS, SENTENCES,
 UNIQUE_CHARS, ENTROPY_SUM, URLS, PHONES, PRICES, BRACKETS, CURLY_BRACKETS, LENTICULAR_CHARS, HASHES, ELLIPSES,
 MARKUP_CHARS, JSON_KEYS, TITLE_CHARS, TITLE_FOUND, BEYOND_TITLE) = range(13, 59)  # fmt: skip

#: Lines and paragraphs that are remembered at once to find them again.
REMEMBERED = 16_384
#: A line with fewer characters is short: a menu entry or a heading, hardly a sentence.
SHORT_LINE = 12
#: A line with as many characters is running text even without an end mark: books and letters are often wrapped at 34
#: (a screen of 80 columns less a margin) to 60 characters, while titles rarely have more than 30.
LONG_LINE = 32
#: mC4 (arXiv:2010.11934) wants three lines of this length in a page.
MC4_LINE = 200
#: The median is exact for lines up to this length; longer ones count as so long.
MEDIAN_TOP = 1023
#: A line of so many characters with under a tenth Han is in another language or in none.
FOREIGN_LINE = 20
#: Occurrences up to which c·log2(c) stands in a table, in millionths of a bit.
LOGS = 1 << 16
#: Characters that a tag may have between < and >.
TAG = 500

# Numba computes uint64 with int64 in float64, so every constant that meets a hash is uint64.
_U1, _U8, _U29, _U32 = (np.uint64(n) for n in (1, 8, 29, 32))
_U0, _WORD, _MIX = np.uint64(0), np.uint64(1 << 63), np.uint64(0x9E3779B97F4A7C15)
_FNV, _SEED, _PARAGRAPH = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325), np.uint64(0x84222325CBF29CE4)
_ADDRESS, _WWW, _LOW24, _LOW32, _BYTE = (np.uint64(n) for n in (0x3A2F2F, 0x7777772E, 0xFFFFFF, 0xFFFFFFFF, 0xFF))
_SLASH, _THREE_DOTS, _FOUR_DOTS = np.uint64(0x2F), np.uint64(0x2E2E2E), np.uint64(0x2E2E2E2E)

# Classes and flags of `mdfs.rules.characters`, which a test compares.
_WHITE, _HAN, _KANA, _HANGUL, _LATIN, _DIGIT, _OTHER, _MARK, _BROKEN = 0, 1, 2, 3, 4, 5, 6, 7, 12
(_STOP, _CLASSICAL, _TRADITIONAL, _SIMPLIFIED, _END, _CLOSER, _SENTENCE, _CODE, _BULLET, _BROKEN_1, _BROKEN_2,
 _BREAK) = (16 << k for k in range(12))  # fmt: skip
_BRACKET, _CURRENCY, _HASH = 1, 2, 4
# State of the line: see `_start_line`.
_CHARS, _ENDS, _HAN_CHARS, _LAST, _LENTICULAR, _TAG_STATE, _TAG_AT, _PARA_CHARS = range(8)
_NO_TAG, _IN_TAG = 0, 1


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
def _seen_before(key: Any, seen: Any, state: Any) -> bool:
    """Whether the set holds `key`, which it does then. `state[0]` is how many it holds, the rest is where."""
    if state[0] == REMEMBERED:
        seen[:] = _U0
        state[0] = 0
    key = _mix(key)
    at = _slot(seen, np.uint64(seen.size - 1), key)
    if seen[at] == key:
        return True
    seen[at] = key
    state[1 + state[0]] = at
    state[0] += 1
    return False


@inlined
def _line(row: Any, line: Any, dots: bool, key: Any, seen: Any, state: Any, lengths: Any) -> None:
    """Account for a line that has characters."""
    chars, ends = line[_CHARS], line[_ENDS]
    row[LINES] += 1
    row[SHORT_LINES] += chars < SHORT_LINE
    row[LINES_UNDER_30] += chars <= 30
    row[LONG_LINES] += chars >= MC4_LINE
    row[MAX_LINE] = max(row[MAX_LINE], chars)
    lengths[min(chars, MEDIAN_TOP)] += 1
    row[ELLIPSIS_LINES] += dots
    if ends:
        row[END_MARK_CHARS] += chars
        row[WIDE_END_LINES] += ends == 2
        row[ASCII_END_LINES] += ends == 1
    if ends or chars >= LONG_LINE:
        row[PROSE_CHARS] += chars
    if chars >= FOREIGN_LINE and 10 * line[_HAN_CHARS] < chars:
        row[FOREIGN_LINE_CHARS] += chars
    if _seen_before(key, seen, state):
        row[DUPLICATE_LINES] += 1
        row[DUPLICATE_LINE_CHARS] += chars


@inlined
def _paragraph(row: Any, chars: Any, key: Any, seen: Any, state: Any) -> None:
    """Account for a paragraph: lines with no empty one between them."""
    row[PARAGRAPHS] += 1
    if _seen_before(key * _PARAGRAPH, seen, state):
        row[DUPLICATE_PARAGRAPHS] += 1
        row[DUPLICATE_PARAGRAPH_CHARS] += chars


@inlined
def _median(row: Any, lengths: Any) -> None:
    """The lower median of the lines' lengths; the counts by length are cleared."""
    below, middle = 0, (row[LINES] + 1) // 2
    for length in range(1, min(row[MAX_LINE], MEDIAN_TOP) + 1):
        if below < middle <= below + lengths[length]:
            row[MEDIAN_LINE] = length
        below += lengths[length]
        lengths[length] = 0


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
def _title(row: Any, title: Any, data: Any, i: Any, stop: Any, classes: Any, times: Any) -> None:
    """Letters of the title, those that the text has too, and the text's characters after the title at its head."""
    k, chars, begins = 0, 0, True
    while k < title.size:
        c, k = _decode(title, k)
        kind = classes[c]
        if kind == _WHITE:
            continue
        chars += 1
        if _HAN <= kind <= _OTHER:
            row[TITLE_CHARS] += 1
            row[TITLE_FOUND] += times[c] > 0
        while begins and i < stop:
            other, i = _decode(data, i)
            if classes[other] != _WHITE:
                begins = other == c
                break
    row[BEYOND_TITLE] = max(row[CHARS] - chars, 0) if begins else row[CHARS]


@inlined
def _pair_is_broken(broken: Any, first: Any, second: Any) -> Any:
    key = _mix(np.uint64(first << 16 | second))
    return broken[_slot(broken, np.uint64(broken.size - 1), key)] == key


@inlined
def _end_word(row: Any, kind: Any, word: Any, stop_words: Any, stop_bits: Any, kinds: Any) -> Any:
    """Account for a word or number; which of the stop words occurred is a bit each in the value given back."""
    row[LATIN_WORDS] += kind == _LATIN
    row[DIGIT_WORDS] += kind == _DIGIT
    if kind == _LATIN:
        key = _mix(word | _WORD)
        at = _slot(stop_words, np.uint64(stop_words.size - 1), key)
        if stop_words[at] == key:
            row[STOP_WORDS] += 1
            return kinds | stop_bits[at]
    return kinds


@inlined
def _mark(row: Any, c: Any, beside: Any, line: Any, recent: Any, marks: Any) -> None:
    """Account for a mark, symbol or other sign, which stands in the line already."""
    row[BRACKETS] += marks[c] & _BRACKET
    row[HASHES] += (marks[c] & _HASH) != 0
    row[CURLY_BRACKETS] += c == 0x7B or c == 0x7D
    row[JSON_KEYS] += c == 0x3A and line[_LAST] == 0x22
    row[ELLIPSES] += c == 0x2026 and line[_LAST] != 0x2026
    row[ELLIPSES] += c == 0x2E and recent & _LOW24 == _THREE_DOTS and recent & _LOW32 != _FOUR_DOTS
    if c == 0x3010 and not line[_LENTICULAR]:
        line[_LENTICULAR] = line[_CHARS]
    elif c == 0x3011 and line[_LENTICULAR]:
        row[LENTICULAR_CHARS] += line[_CHARS] - 1 - line[_LENTICULAR]
        line[_LENTICULAR] = 0
    if c == 0x2F:
        row[URLS] += recent & _LOW24 == _ADDRESS
    elif c == 0x2E:
        row[URLS] += recent & _LOW32 == _WWW and (recent >> _U32) & _BYTE != _SLASH
    if c == 0x3E and line[_TAG_STATE] == _IN_TAG:
        size = line[_CHARS] - line[_TAG_AT] + 1
        row[MARKUP_CHARS] += size if size <= TAG else 0
    if c == 0x3C or c == 0x3E:
        line[_TAG_STATE] = _NO_TAG


@kernel
def measure(offsets: Any, data: Any, title_offsets: Any, titles: Any, tables: Any, times: Any, touched: Any,
            bounds: Any, units: Any, out: Any) -> None:  # fmt: skip
    """Count everything in every document.

    Args:
        offsets: int32[n + 1], where documents begin in `data`, uint8, valid UTF-8; the same of their titles.
        tables: what `mdfs.rules.measure.tables` gives.
        times: int32[0x110000] zeros, `touched`: int32[0x110000], both scratch.
        bounds: int64[n + 1], filled with where documents begin in `units`, uint64, which is long enough for a unit a
            byte.
        out: int64[n, len(COUNTERS)], zeros; filled.
    """
    seen, state = np.zeros(2 * REMEMBERED, np.uint64), np.zeros(REMEMBERED + 1, np.int64)
    lengths, line = np.zeros(MEDIAN_TOP + 1, np.int32), np.zeros(8, np.int64)
    bounds[0] = 0
    for d in range(offsets.size - 1):
        title = titles[title_offsets[d] : title_offsets[d + 1]]
        bounds[d + 1] = _document(np.int64(offsets[d]), np.int64(offsets[d + 1]), data, title, tables, times, touched,
                                  units, bounds[d], seen, state, lengths, line, out[d])  # fmt: skip


@inlined
def _document(i: Any, stop: Any, data: Any, title: Any, tables: Any, times: Any, touched: Any, units: Any, n: Any,
              seen: Any, state: Any, lengths: Any, line: Any, row: Any) -> Any:  # fmt: skip
    """Count everything in one document, bytes `i` to `stop`; write its units from `units[n]`, return where they end."""
    classes, table, marks, broken, stop_words, stop_bits, logs = tables
    start, first, different = i, n, 0  # where text and units begin; different characters
    in_word: Any = -1  # class of the word or number that the pass is in, -1 outside
    word, kinds = _SEED, np.int64(0)  # its hash; the stop words so far
    number: Any = 0  # value, digits and dashes of the digit run, and whether a currency sign stands before it
    digits, dashes, priced = 0, 0, False
    line[:] = 0  # of the line, without white space
    line_key, recent = _SEED, _U0  # its hash; the last 8 characters as bytes, 0xFF beyond ASCII
    paragraph_key = _SEED
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
            kinds = _end_word(row, in_word, word, stop_words, stop_bits, kinds)
            in_word, word = -1, _SEED
        if digits and kind != _DIGIT:
            row[PRICES] += beside_flags & 15 == _DIGIT and (priced or c == 0x5143 or c == 0x5757 or c == 0x5713)
            priced = False
            if c == 0x2D and beside != c:
                dashes += 1
            else:
                row[PHONES] += _is_phone(number, digits, dashes)
                number, digits, dashes = 0, 0, 0
        if kind == _WHITE:
            row[SENTENCES] += dot
            if flags & _BREAK:
                if line[_CHARS]:
                    dots = line[_LAST] == 0x2026 or recent & _LOW24 == _THREE_DOTS
                    _line(row, line, dots, line_key, seen, state, lengths)
                    line[_PARA_CHARS] += line[_CHARS]
                    paragraph_key = (paragraph_key ^ line_key) * _FNV
                elif line[_PARA_CHARS] and not (c == 0x0A and beside == 0x0D):
                    _paragraph(row, line[_PARA_CHARS], paragraph_key, seen, state)
                    line[_PARA_CHARS], paragraph_key = 0, _SEED
                line[:_PARA_CHARS] = 0
                line_key, recent = _SEED, _U0
            dot, in_marks, beside, beside_flags, counted = False, False, c, 0, False
        else:
            if times[c] == 0:
                touched[different] = c
                different += 1
            times[c] += 1
            if flags & _BULLET and line[_CHARS] == 0:
                row[BULLET_LINES] += 1
            line[_CHARS] += 1
            line_key = (line_key ^ np.uint64(c)) * _FNV
            if kind <= _HANGUL:
                units[n] = np.uint64(c)
                n += 1
                line[_HAN_CHARS] += kind == _HAN
                row[STOP_CHARS] += (flags & _STOP) != 0
                row[CLASSICAL_CHARS] += (flags & _CLASSICAL) != 0
                row[TRADITIONAL] += (flags & _TRADITIONAL) != 0
                row[SIMPLIFIED] += (flags & _SIMPLIFIED) != 0
            elif kind <= _OTHER:
                in_word = kind
                word = (word ^ np.uint64(c + 32 if 0x41 <= c <= 0x5A else c)) * _FNV
                if kind == _DIGIT:
                    if beside_flags & 15 != _DIGIT:
                        priced = beside < 0x10000 and (marks[beside] & _CURRENCY) != 0
                    digits += 1
                    number = number * 10 + (c & 15) if digits <= 12 else number
            if beside == 0x3C and (0x61 <= c | 32 <= 0x7A or c == 0x2F or c == 0x21 or c == 0x3F):
                line[_TAG_STATE], line[_TAG_AT] = _IN_TAG, line[_CHARS] - 1
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
            if flags & _END:
                line[_ENDS] = 1 + (c > 0x7F)
            elif not flags & _CLOSER:
                line[_ENDS] = 0
            recent = recent << _U8 | (np.uint64(c) if c < 0x80 else _BYTE)
            if kind > _MARK and c < 0x10000:
                _mark(row, c, beside, line, recent, marks)
            line[_LAST], beside, beside_flags = c, c, flags
    if in_word >= 0:
        units[n] = word | _WORD
        n += 1
        kinds = _end_word(row, in_word, word, stop_words, stop_bits, kinds)
    if digits:
        row[PRICES] += priced and beside_flags & 15 == _DIGIT
        row[PHONES] += _is_phone(number, digits, dashes)
    row[SENTENCES] += dot
    if line[_CHARS]:
        _line(row, line, line[_LAST] == 0x2026 or recent & _LOW24 == _THREE_DOTS, line_key, seen, state, lengths)
        paragraph_key = (paragraph_key ^ line_key) * _FNV
    if line[_CHARS] + line[_PARA_CHARS]:
        _paragraph(row, line[_CHARS] + line[_PARA_CHARS], paragraph_key, seen, state)
    row[UNITS] = n - first
    row[CHARS] = row[1 : _BROKEN + 1].sum()
    while kinds:
        row[STOP_WORD_KINDS] += kinds & 1
        kinds >>= 1
    _median(row, lengths)
    _title(row, title, data, start, stop, classes, times)
    _entropy(row, times, touched, different, logs)
    for k in range(state[0]):
        seen[state[1 + k]] = _U0
    state[0] = 0
    return n
