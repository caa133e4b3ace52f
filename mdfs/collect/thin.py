"""A page's markup without what no reader sees: scripts, styles, comments, most attributes, blanks beyond one.

The parser and the search for the main content take most of the time per page, and their time goes with the elements
and characters that they are given. One pass over the page's bytes (a Numba kernel, 500 MB/s) leaves a fifth of them. It
goes through the page as a browser's tokenizer does (WHATWG HTML, section 13.2.5), so that a ">" in an attribute, a tag
in a script or a comment that is never closed are what they are to the parser.

The same pass counts how many elements stand inside each other, by the rules by which a browser closes them (13.2.6): a
parser's time grows with the square of that.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

#: Elements inside each other. Browsers build no deeper trees (Chromium: 512), and the time that the main content takes
#: grows with the square of the depth: 0.3 s at 4,000, 16 s at 20,000.
MAX_DEPTH = 512

#: What is known of an element, by its name. ONE: it stands in no other of its kind but with an element of another kind
#: between, so it makes nothing deep. LOOK: changes the look of words and is dropped. SPECIAL: its end
#: tag closes what is open in it, and no end tag of an ordinary element reaches out of it. SCOPE: no end tag inside it
#: but its own reaches out of it. UNSEEN: it is dropped (but in a table, which `restate` tells from a layout by it).
#: RAW: its content holds no markup. PRE: its white space shows. FOREIGN: XML inside, where "/>" closes. GATE: leads
#: back from XML to HTML. BREAK: ends all XML around it; other elements in XML are no HTML. HEADING: its
#: end tag closes any other heading. ANCHOR: a second one closes the
#: first, and its end tag closes nothing else.
_ONE, _LOOK, _SPECIAL, _SCOPE, _UNSEEN, _RAW, _PRE, _FOREIGN, _GATE, _HEADING, _ANCHOR, _TABLE, _BREAK = (
    1 << i for i in range(13)
)
#: Said of an open element that is XML.
_XML = 1 << 13

_KINDS = (
    (_ONE, "area base br col embed hr img input link meta param source track wbr p li td th tr dd dt option rp rt rb"),
    (_ONE, "rtc html head body form tbody thead tfoot colgroup optgroup frame bgsound keygen frameset basefont"),
    (_LOOK, "b big code em font i nobr s small strike strong tt u"),
    (_ANCHOR, "a"),
    (_SPECIAL, "address applet article aside blockquote button caption center details dir div dl fieldset figcaption"),
    (_SPECIAL, "figure footer header hgroup h1 h2 h3 h4 h5 h6 listing main marquee menu nav noscript object ol pre"),
    (_SPECIAL, "section select summary table template ul svg math search dialog"),
    (_SCOPE, "applet caption table marquee object template svg math"),
    (_UNSEEN, "script style link meta base bgsound"),
    (_TABLE, "table"),
    (_RAW, "script style textarea title xmp iframe noembed noframes"),
    (_PRE, "pre listing"),
    (_FOREIGN, "svg math"),
    (_GATE, "title desc foreignobject annotation-xml mi mo mn ms mtext"),
    (_BREAK, "blockquote body br center dd div dl dt embed h1 h2 h3 h4 h5 h6 head hr img li listing"),
    (_BREAK, "menu meta ol p pre ruby span sub sup table ul var"),
    (_HEADING, "h1 h2 h3 h4 h5 h6"),
)
#: Attributes that the search for the main content looks at.
_KEPT = "class id role style hidden aria-hidden itemprop rel type name"

_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_SLOTS = 1 << 10


def _hashed(name: str) -> int:
    """FNV-1a in 64 bits (Fowler, Noll, Vo)."""
    found = _FNV_OFFSET
    for byte in name.encode():
        found = (found ^ byte) * _FNV_PRIME % (1 << 64)
    return found


def _table(entries: dict[str, int]) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """A hash table with open addresses: keys, 0 where free, and what is said of each."""
    keys, said = np.zeros(_SLOTS, np.uint64), np.zeros(_SLOTS, np.uint16)
    for name, value in entries.items():
        key = _hashed(name)
        slot = key % _SLOTS
        while keys[slot]:
            slot = (slot + 1) % _SLOTS
        keys[slot], said[slot] = key, value
    return keys, said


def _elements() -> dict[str, int]:
    kinds: dict[str, int] = {}
    for kind, names in _KINDS:
        for name in names.split():
            kinds[name] = kinds.get(name, 0) | kind
    return kinds


_NAMES, _KIND = _table(_elements())
_ATTRIBUTES, _NUMBER = _table({name: 1 << i for i, name in enumerate(_KEPT.split())})

_LT, _GT, _SLASH, _BANG, _ASK, _DASH, _EQUALS, _QUOTE, _APOSTROPHE, _BLANK = (ord(char) for char in "<>/!?-=\"' ")
_HEADING_KEY, _SCRIPT_KEY, _MATH_KEY = _hashed("h1"), _hashed("script"), _hashed("math")
#: The end tags that lead out of XML (13.2.6.5).
_P_KEY, _BR_KEY = _hashed("p"), _hashed("br")
_TEX, _LINKED = np.frombuffer(b"math/tex", np.uint8), np.frombuffer(b"ld+json", np.uint8)
_SPACE = np.zeros(256, np.bool_)
_SPACE[[9, 10, 12, 13, 32]] = True
_ESCAPED = np.frombuffer(b"&lt;", np.uint8)
_LETTER = np.zeros(256, np.bool_)
_LETTER[[*range(65, 91), *range(97, 123)]] = True
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32


class Thin(NamedTuple):
    """Thin markup in UTF-8, and what the pass has seen.

    `depth`: how many elements stand inside each other; MAX_DEPTH + 1 for more, and the markup ends there. `formulas`:
    whether there is MathML or a script of MathJax; `linked_data`: a script of JSON-LD.
    """

    markup: bytes
    depth: int
    formulas: bool
    linked_data: bool


def thinned(page: bytes) -> Thin:
    """The markup of a page in UTF-8 without what no reader sees."""
    data = np.frombuffer(page, np.uint8)
    # A "<" before another is written as four bytes; "<<" is counted without overlaps.
    out = np.empty(len(data) + 6 * page.count(b"<<") + 8, np.uint8)
    size, depth, formulas, linked_data = _thin(data, out)
    return Thin(out[:size].tobytes(), depth, formulas, linked_data)


@numba.njit(nogil=True, cache=True, inline="always")
def _lookup(keys: NDArray[np.uint64], said: NDArray[np.uint16], key: np.uint64) -> np.int64:
    slot = np.int64(key & np.uint64(_SLOTS - 1))
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(said[slot])
        slot = (slot + 1) & np.int64(_SLOTS - 1)
    return np.int64(0)


@numba.njit(nogil=True, cache=True)
def _name(data: NDArray[np.uint8], at: int) -> tuple[int, np.uint64]:
    """Where the tag name that begins here ends, and its hash in lower case."""
    key = np.uint64(_FNV_OFFSET)
    while at < data.size:
        byte = data[at]
        if _SPACE[byte] or byte in (_SLASH, _GT):
            break
        key = (key ^ np.uint64(_LOWER[byte])) * np.uint64(_FNV_PRIME)
        at += 1
    return at, key


@numba.njit(nogil=True, cache=True)
def _attributes(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int, keep: bool) -> tuple[int, int, bool]:
    """Past the tag's end, -1 where it has none; where the output goes on; and whether it ends with a slash.

    Of the attributes those that are kept are written, each once.
    """
    seen = 0
    n = data.size
    slash = False
    while at < n:
        byte = data[at]
        if byte == _GT:
            return at + 1, to, slash
        if _SPACE[byte] or byte == _SLASH:
            slash = byte == _SLASH
            at += 1
            continue
        slash = False
        begin = at
        key = np.uint64(_FNV_OFFSET)
        while True:  # an equals sign at the begin is part of the name
            key = (key ^ np.uint64(_LOWER[data[at]])) * np.uint64(_FNV_PRIME)
            at += 1
            if at >= n:
                return -1, to, False
            byte = data[at]
            if _SPACE[byte] or byte in (_SLASH, _GT, _EQUALS):
                break
        name_end = at
        while at < n and _SPACE[data[at]]:
            at += 1
        value = value_end = at
        if at < n and data[at] == _EQUALS:
            at += 1
            while at < n and _SPACE[data[at]]:
                at += 1
            if at >= n:
                return -1, to, False
            value = at
            byte = data[at]
            if byte in (_QUOTE, _APOSTROPHE):
                at += 1
                while at < n and data[at] != byte:
                    at += 1
                if at >= n:
                    return -1, to, False
                at += 1
            else:
                while at < n and data[at] != _GT and not _SPACE[data[at]]:
                    at += 1
            value_end = at
        else:
            at = name_end
        if keep:
            bit = _lookup(_ATTRIBUTES, _NUMBER, key)
            if bit and not seen & bit:
                seen |= bit
                out[to] = _BLANK
                to += 1
                for i in range(begin, name_end):
                    out[to] = data[i]
                    to += 1
                if value_end > value:
                    out[to] = _EQUALS
                    to += 1
                    for i in range(value, value_end):
                        out[to] = data[i]
                        to += 1
    return -1, to, False


@numba.njit(nogil=True, cache=True)
def _past(data: NDArray[np.uint8], at: int) -> int:
    """Past the next ">"."""
    while at < data.size and data[at] != _GT:
        at += 1
    return min(at + 1, data.size)


@numba.njit(nogil=True, cache=True)
def _holds(data: NDArray[np.uint8], begin: int, end: int, words: NDArray[np.uint8]) -> bool:
    """Whether the tag from `begin` to `end` has these small letters in it."""
    for at in range(begin, end - words.size + 1):
        i = 0
        while i < words.size and _LOWER[data[at + i]] == words[i]:
            i += 1
        if i == words.size:
            return True
    return False


@numba.njit(nogil=True, cache=True)
def _comment_end(data: NDArray[np.uint8], at: int) -> int:
    """Past the comment whose "<!--" ends here."""
    n = data.size
    if at < n and data[at] == _GT:
        return at + 1
    if at + 1 < n and data[at] == _DASH and data[at + 1] == _GT:
        return at + 2
    while at + 2 < n:
        if data[at] == _DASH and data[at + 1] == _DASH:
            if data[at + 2] == _GT:
                return at + 3
            if data[at + 2] == _BANG and at + 3 < n and data[at + 3] == _GT:
                return at + 4
        at += 1
    return n


@numba.njit(nogil=True, cache=True)
def _raw_end(data: NDArray[np.uint8], at: int, key: np.uint64, script: bool) -> int:
    """Where the end tag of a raw element begins; the page's end where it has none.

    In a script "<!--" then "<script" hides the next "</script" (WHATWG: script data double escaped state).
    """
    n = data.size
    escaped = double = False
    while at < n:
        if data[at] == _LT and at + 1 < n:
            if data[at + 1] == _SLASH:
                end, found = _name(data, at + 2)
                if found == key and end < n:
                    if not double:
                        return at
                    double = False
            elif script and data[at + 1] == _BANG and at + 3 < n and data[at + 2] == _DASH and data[at + 3] == _DASH:
                escaped = True
                at += 2  # the dashes may be those of the end
                continue
            elif script and escaped and _LETTER[data[at + 1]]:
                end, found = _name(data, at + 1)
                if found == key and end < n:
                    double = True
        elif escaped and data[at] == _DASH and at + 2 < n and data[at + 1] == _DASH and data[at + 2] == _GT:
            escaped = double = False
        at += 1
    return n


@numba.njit(nogil=True, cache=True)
def _closed(keys: NDArray[np.uint64], kinds: NDArray[np.int64], depth: int, key: np.uint64, kind: int) -> int:
    """How many elements are open after an end tag."""
    at = depth - 1
    while at >= 0 and keys[at] != key:
        if kinds[at] & _SCOPE and not kind & _SCOPE:
            return depth
        if kinds[at] & _SPECIAL and not kind & (_SPECIAL | _ANCHOR):
            return depth
        at -= 1
    if at < 0:
        return depth
    if not kind & _ANCHOR:
        return at
    for i in range(at, depth - 1):
        keys[i], kinds[i] = keys[i + 1], kinds[i + 1]
    return depth - 1


@numba.njit(nogil=True, cache=True)
def _copied(data: NDArray[np.uint8], begin: int, end: int, out: NDArray[np.uint8], to: int) -> int:
    """Writes the bytes from `begin` to `end`; where the output ends then."""
    for at in range(begin, end):
        out[to] = data[at]
        to += 1
    return to


@numba.njit(nogil=True, cache=True)
def _declared(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int) -> tuple[int, int]:
    """Past the comment, declaration or instruction at `at`, and where the output ends: only doctypes are written."""
    n = data.size
    if data[at + 1] == _BANG and at + 3 < n and data[at + 2] == _DASH and data[at + 3] == _DASH:
        return _comment_end(data, at + 4), to
    end = _past(data, at + 2)
    if data[at + 1] == _BANG and at + 2 < n and _LOWER[data[at + 2]] == ord("d"):  # it decides how tables are parsed
        to = _copied(data, at, end, out, to)
    return end, to


@numba.njit(nogil=True, cache=True)
def _out_of_xml(kinds: NDArray[np.int64], depth: int) -> int:
    """How many elements are open when those of SVG and MathML are closed."""
    while depth and kinds[depth - 1] & _XML:
        depth -= 1
    return depth


@numba.njit(nogil=True, cache=True)
def _thin(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> tuple[int, int, bool, bool]:
    """Writes the thin markup to `out`; its size, the greatest depth, and whether there are formulas or linked data."""
    n = data.size
    at = to = 0
    keys = np.zeros(MAX_DEPTH + 1, np.uint64)
    kinds = np.zeros(MAX_DEPTH + 1, np.int64)
    depth = deepest = pre = tables = 0
    blank = foreign = formulas = linked_data = False
    while at < n:
        byte = data[at]
        if byte != _LT:
            space = _SPACE[byte] and not pre
            if not (space and blank):
                out[to] = _BLANK if space else byte
                to += 1
            blank = space
            at += 1
            continue
        following = data[at + 1] if at + 1 < n else np.uint8(0)
        closing = following == _SLASH
        if closing:
            following = data[at + 2] if at + 2 < n else np.uint8(0)
            if not _LETTER[following]:
                if at + 2 >= n:  # nothing follows: two characters of text
                    out[to], out[to + 1] = _LT, _SLASH
                    to += 2
                    break
                at = _past(data, at + 2)  # "</>" and bogus comments
                continue
        elif following in (_BANG, _ASK):
            at, to = _declared(data, at, out, to)
            continue
        elif not _LETTER[following]:
            blank = False
            out[to] = byte
            to += 1
            at += 1
            if following == _LT:  # what comes next may be dropped, and then this would begin a tag
                for i in range(4):
                    out[to - 1 + i] = _ESCAPED[i]
                to += 3
            continue
        begin = at + 1 + closing
        end, key = _name(data, begin)
        kind = _lookup(_NAMES, _KIND, key)
        if foreign and not kind & (_BREAK | _GATE | _FOREIGN | _LOOK):
            kind = np.int64(0)
        if foreign and kind & _LOOK:  # it leads out of XML, so the parser must see it
            kind = np.int64(0 if closing else _BREAK)
        if kind & _HEADING:
            key = np.uint64(_HEADING_KEY)
        dropped = kind & _UNSEEN and not (tables > 0 and kind & _RAW)
        shown = not dropped and not kind & _LOOK
        was = to
        if shown:
            blank = False
            out[to] = _LT
            to += 1
            if closing:
                out[to] = _SLASH
                to += 1
            to = _copied(data, begin, end, out, to)
        xml = foreign or kind & _FOREIGN != 0
        keep = shown and not closing and not xml
        at, to, slash = _attributes(data, end, out, to, keep)
        if at < 0:
            to = was
            break
        if shown:
            if slash and xml and not closing:
                out[to] = _SLASH
                to += 1
            out[to] = _GT
            to += 1
        if kind & _TABLE:
            tables += -1 if closing else 1
        if kind & _LOOK:
            continue
        if key == np.uint64(_MATH_KEY):
            formulas = True
        elif key == np.uint64(_SCRIPT_KEY) and not closing:
            formulas |= _holds(data, end, at, _TEX)
            linked_data |= _holds(data, end, at, _LINKED)
        if closing:
            if kind & _PRE and pre:
                pre -= 1
            if foreign and (key == np.uint64(_P_KEY) or key == np.uint64(_BR_KEY)):
                depth = _out_of_xml(kinds, depth)
                foreign = False
            if not kind & _ONE:
                depth = _closed(keys, kinds, depth, key, kind)
                foreign = depth > 0 and kinds[depth - 1] & _XML != 0
            continue
        if kind & _RAW and not foreign:
            end = _raw_end(data, at, key, key == np.uint64(_SCRIPT_KEY))
            if not kind & _UNSEEN:
                to = _copied(data, at, end, out, to)
            at = end
            continue
        if slash and xml:
            continue
        if foreign and kind & _BREAK:
            depth = _out_of_xml(kinds, depth)
            foreign = False
        if kind & _ONE or not shown:
            continue
        if kind & _PRE:
            pre += 1
        if kind & _ANCHOR:
            depth = _closed(keys, kinds, depth, key, kind)
        if kind & _HEADING and depth and keys[depth - 1] == key:
            depth -= 1
        if depth == MAX_DEPTH:
            return to, MAX_DEPTH + 1, formulas, linked_data
        foreign = (foreign or kind & _FOREIGN != 0) and not kind & _GATE
        keys[depth], kinds[depth] = key, kind | (_XML if foreign else 0)
        depth += 1
        deepest = max(deepest, depth)
    return to, deepest, formulas, linked_data
