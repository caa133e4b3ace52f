"""Bytes to text: what a page says of its own encoding is a hint, what its bytes say decides.

Valid UTF-8 is UTF-8, whatever was declared: other text is valid UTF-8 by accident only when it is very short. Anything
else is decoded under each encoding that is in use for it, and the decoding whose characters are the most plausible is
taken: common Chinese characters, kana, hangul, letters, full-width punctuation. Broken bytes become U+FFFD and lose
nothing else.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdfs.collect import euctw
from mdfs.collect.common_hanzi import COMMON_HANZI

#: Bytes by which an encoding is decided. 500 bytes of Chinese would do; pages begin with code and names.
_SAMPLE = 1 << 15
#: Bytes from the first one outside ASCII on by which a page is decided at once, if so many of them are outside ASCII
#: and the encoding is beyond doubt. Decoders of two-byte encodings take longer than all else here.
_PROBE, _ENOUGH = 1 << 11, 600
#: A declaration wins over another encoding that is more plausible by less than this (plausibility is up to 1).
_TRUST = 0.08
#: From this plausibility on an encoding is taken without a look at the others. Chinese in its own encoding has 0.5 to
#: 0.9, in another one 0.0 to 0.25.
_SURE = 0.45
_CHINESE = ("gb18030", "big5hkscs", "utf-16-le", "utf-16-be")
_WIDE = ("utf-16-le", "utf-16-be")
#: Broken places up to which the best way on is looked for at each; more is noise.
_MAX_BREAKS = 100
#: Bytes after a broken place by which the way on is decided.
_AHEAD = 24
#: Broken sequences in UTF-8 per good one from which it is called something else.
_BROKEN_UTF8 = 0.2

#: Tried in this order where nothing is declared; of equals the first wins.
_CANDIDATES = (
    "gb18030",
    "big5hkscs",
    "utf-16-le",
    "utf-16-be",
    "euc_tw",
    "cp949",
    "cp932",
    "euc_jp",
    "cp1251",
    "koi8-r",
    "cp1252",
)

#: Labels that mean more than they say (WHATWG Encoding, section 4.2), and those that Python does not know.
_LABELS = {
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "cp936", "ms936", "windows-936", "chinese", "gb", "euc-cn",
                     "csgb2312", "gb_2312", "gb18030-2005", "zh-cn", "hz-gb2312"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs", "big5hkscs", "cn-big5", "x-x-big5", "csbig5", "cp950", "ms950", "big-5",
                     "windows-950", "zh-tw"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii", "iso8859-1", "windows-1252"), "cp1252"),
    **dict.fromkeys(("utf8", "unicode", "utf-8-sig", "unicode-1-1-utf-8"), "utf-8"),
    **dict.fromkeys(("utf-16", "ucs-2", "utf-16le", "iso-10646-ucs-2"), "utf-16-le"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "windows-949", "ksc5601"), "cp949"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "ms_kanji"), "cp932"),
    **dict.fromkeys(("hz-gb-2312", "hz"), "hz"),
    **dict.fromkeys(("iso-2022-jp", "csiso2022jp"), "iso2022_jp"),
    **dict.fromkeys(("euc-tw", "x-euc-tw", "cns11643", "x-cns11643", "eten"), "euc_tw"),
    "x-euc-jp": "euc_jp",
}  # fmt: skip
#: What a declaration may name. Python's other codecs are no text encodings, or hide text from a look at the bytes.
_KNOWN = re.compile(
    r"utf-8|utf-16-(?:le|be)|gb18030|big5hkscs|cp949|cp932|euc_jp|euc_tw|euc_jisx0213|iso2022_(?:jp|kr)|hz|johab|koi8-[rtu]"
    r"|cp12\d\d|cp8\d\d|cp437|iso8859-\d+|tis-620|mac-\w+|cp10007"
)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)

#: Where Python's big5hkscs differs from Windows and browsers in symbols that are usual: A14E, A1C2, A1E3, A1F2, A1F3.
_BIG5_SYMBOLS = str.maketrans("､‾∼♁☉", "﹑¯～⊕⊙")

#: First and last code point → weight in `plausibility`: what is usual in text is worth the bytes that it takes.
_SPANS = (
    (0x80, 0x9F, -4.0),  # C1 controls: the sign of a wrong guess
    (0xA0, 0xBF, 0.1),
    (0xC0, 0xFF, 0.45),  # letters of Western Europe
    (0x100, 0x17F, 0.3),
    (0x391, 0x3C9, 0.4),  # Greek
    (0x410, 0x42F, 0.1),  # Cyrillic capitals, which are the small letters of KOI8-R read as Windows-1251
    (0x430, 0x44F, 0.5),  # Cyrillic
    (0x2010, 0x2027, 1.0),  # dashes and quotes
    (0x3001, 0x3011, 2.0),  # Chinese full stop, comma, brackets
    (0x3041, 0x3096, 0.8),  # hiragana
    (0x30A1, 0x30FC, 0.8),  # katakana; both are in GB18030 at the places of EUC-JP too, so they prove little
    (0x3400, 0x4DBF, -0.5),  # rare Chinese characters
    (0x4E00, 0x9FFF, 0.15),  # Chinese characters; the common ones get 2.0
    (0xAC00, 0xD7A3, 1.1),  # hangul
    (0xD800, 0xDFFF, -4.0),  # surrogates
    (0xE000, 0xF8FF, -2.0),  # private use
    (0xFF01, 0xFF5E, 2.0),  # full-width forms
    (0xFF61, 0xFF9F, -0.3),  # half-width katakana
    (0xFFFD, 0xFFFD, -4.0),  # what could not be decoded
)

_META = re.compile(
    rb"""<meta\b[^>]{0,400}?\bcharset\s*=\s*["']?\s*([A-Za-z0-9_:.\-]{2,40})"""
    rb"""|<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9_:.\-]{2,40})""",
    re.IGNORECASE,
)


class Decoded(NamedTuple):
    """Text, the encoding that gave it, and what decided: `bom`, `declared`, `meta`, `utf-8` or `bytes`.

    `raw`: the text in UTF-8 where the bytes it came from are just that, else None.
    """

    text: str
    encoding: str
    by: str
    raw: bytes | None = None


def decode(raw: bytes, declared: str | None = None) -> tuple[str, str]:
    """The text in `raw` and the name of its encoding (Python's spelling). Never raises.

    Args:
        raw: bytes of a whole text. A broken end or single broken bytes become U+FFFD.
        declared: the encoding that someone says it has; any spelling, also none that exists.
    """
    found = decide(raw, declared)
    return found.text, found.encoding


def decide(raw: bytes, declared: str | None = None, meta: str | None = None) -> Decoded:
    """As `decode`, with two declarations (HTTP's `declared` goes before the page's own `meta`) and what decided."""
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return Decoded(raw[len(mark) :].decode(name, "replace"), name, "bom")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _from_bytes(raw, known(declared), known(meta))
    if text.isascii() and (escaped := _escaped(raw, known(declared) or known(meta))):
        return escaped
    if "\0" in text and (wide := _wide(raw)):
        return wide
    return Decoded(text, "utf-8", "utf-8", raw)


def meta_charset(page: bytes) -> str | None:
    """The encoding that a page declares in its first 4 kB, as it spells it. UTF-16 there means UTF-8, as in HTML."""
    found = _META.search(page, 0, 4096)
    if not found:
        return None
    label = (found[1] or found[2]).decode("ascii")
    return "utf-8" if label.lower().startswith("utf-16") else label


@functools.lru_cache(maxsize=1024)
def known(label: str | None) -> str | None:
    """Python's name for a declared encoding, widened to what the label means in practice; None for no encoding."""
    if not label:
        return None
    label = label.strip().strip("\"'").lower()[:40]
    if label in _LABELS:
        return _LABELS[label]
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    name = _LABELS.get(name, name)
    return name if _KNOWN.fullmatch(name) else None


def plausibility(text: str, size: int) -> float:
    """How much `text`, decoded from `size` bytes, looks like writing: 1 for common Chinese only, below 0 for rubbish.

    Sums up weights of its characters outside ASCII, by the bytes that they took.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    foreign = codes[codes > 0x7F]
    if not foreign.size:
        return 0.0
    points = float(_weights()[np.minimum(foreign, 0x1FFFF)].sum(dtype=np.float64))
    return (points - _odd_neighbours(codes)) / max(1, size)


def _wide_score(sample: bytes, name: str) -> float:
    """Plausibility as UTF-16. Chinese in two-byte encodings reads as hangul there, and so hangul counts against it."""
    text = sample.decode(name, "replace")
    hangul = len(re.findall("[\uac00-\ud7a3]", text))
    return plausibility(text, len(sample)) - 3.0 * hangul / max(1, len(sample))


def _odd_neighbours(codes: NDArray[np.uint32]) -> int:
    """Pairs that no language has: accented Latin letters in a row, Cyrillic and plain letters in one word."""
    accented = (codes >= 0xC0) & (codes <= 0xFF)
    cyrillic = (codes >= 0x400) & (codes <= 0x45F)
    plain = (codes | 0x20 >= 0x61) & (codes | 0x20 <= 0x7A)
    odd = accented[1:] & accented[:-1] | cyrillic[1:] & plain[:-1] | plain[1:] & cyrillic[:-1]
    return int(np.count_nonzero(odd))


def _from_bytes(raw: bytes, declared: str | None, meta: str | None) -> Decoded:
    """Bytes that are not valid UTF-8."""
    if almost := _broken_utf8(raw):
        return Decoded(almost, "utf-8", "utf-8")
    if certain := _certain(raw, declared, meta):
        return Decoded(*_decoded(raw, certain), _by(certain, declared, meta))
    sample = _sample(raw)
    size = _foreign(sample)
    scores: dict[str, float] = {}
    for name in _order(declared, meta):
        score = _wide_score(sample, name) if name in _WIDE else plausibility(_aligned(sample, name), size)
        trust = _TRUST if name == declared else _TRUST / 2 if name == meta else 0.0
        scores[name] = score + trust
        if score >= _SURE and name in _CHINESE:
            break
    best = max(scores, key=scores.__getitem__)
    return Decoded(*_decoded(raw, best), _by(best, declared, meta))


def _certain(raw: bytes, declared: str | None, meta: str | None) -> str | None:
    """The two-byte Chinese encoding that a short stretch shows beyond doubt."""
    start = _first_foreign(raw)
    probe = raw[start : start + _PROBE]
    if (size := _foreign(probe)) >= _ENOUGH:
        for name in dict.fromkeys((declared, meta, *_CHINESE[:2])):
            if name in _CHINESE[:2] and plausibility(probe.decode(name, "replace"), size) >= _SURE:
                return name
    return None


def _by(name: str, declared: str | None, meta: str | None) -> str:
    return "declared" if name == declared else "meta" if name == meta else "bytes"


def _order(declared: str | None, meta: str | None) -> Iterator[str]:
    """Encodings to try: the declared ones first, UTF-8 never (it is tried before)."""
    names = dict.fromkeys(name for name in (declared, meta, *_CANDIDATES) if name and name != "utf-8")
    yield from names


def _decoded(raw: bytes, name: str) -> tuple[str, str]:
    """Text under one encoding. Big5 is HKSCS with the symbols that browsers show (WHATWG Encoding, index Big5)."""
    text = _aligned(raw, name)
    return (text.translate(_BIG5_SYMBOLS) if name == "big5hkscs" else text), name


def _aligned(raw: bytes, name: str) -> str:
    """Text under one encoding; after a broken place it goes on where it makes sense, if there are few."""
    text = raw.decode(name, "replace")
    return raw.decode(name, _RESYNC) if 0 < text.count("\ufffd") <= _MAX_BREAKS else text


def _resync(error: UnicodeError) -> tuple[str, int]:
    """Go on behind a broken place: one byte on or two, whichever makes better sense of what follows.

    After a broken byte the second byte of its character would be taken for a first one, and so on to the next ASCII.
    A whole character of four bytes that no table has is left behind at once.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding == "euc_tw" and error.end - error.start == euctw.LONG:
        return "\ufffd", error.end
    ways = (error.start + 1, min(error.start + 2, len(error.object)))
    scores = [_sense(error.object[way : way + _AHEAD], error.encoding) for way in ways]
    return "\ufffd", ways[scores[1] > scores[0]]


_RESYNC = "mdfs.resync"
codecs.register_error(_RESYNC, _resync)


def _sense(raw: bytes, name: str) -> float:
    text = raw.decode(name, "replace")
    return plausibility(text.removesuffix("\ufffd"), _foreign(raw))


def _broken_utf8(raw: bytes) -> str | None:
    """The text, if it is UTF-8 but for a few broken bytes."""
    start = _first_foreign(raw)
    probe = raw[start : start + _PROBE].decode("utf-8", "replace")
    broken = probe.count("\ufffd")
    if broken > 2 + len(_NOT_ASCII.findall(probe)) - broken:
        return None  # each broken byte takes a microsecond: not for all of a page in another encoding
    text = raw.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    good = len(text) - broken - (len(raw) - _foreign(raw))
    return text if broken <= max(good * _BROKEN_UTF8, 1) and good else None


def _foreign(raw: bytes) -> int:
    """Bytes outside ASCII."""
    return int(np.count_nonzero(np.frombuffer(raw, dtype=np.uint8) & 0x80))


def _sample(raw: bytes) -> bytes:
    """A stretch that begins with the first byte outside ASCII."""
    if len(raw) <= _SAMPLE:
        return raw
    start = _first_foreign(raw)
    return raw[start : start + _SAMPLE]


def _first_foreign(raw: bytes) -> int:
    """Where the first byte outside ASCII is; 0 where there is none."""
    found = _FOREIGN.search(raw)
    return found.start() if found else 0


_FOREIGN = re.compile(rb"[\x80-\xff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def _escaped(raw: bytes, label: str | None) -> Decoded | None:
    """Seven-bit encodings, which look like ASCII: ISO-2022-JP by its escapes, HZ only where it is declared."""
    name = "iso2022_jp" if re.search(rb"\x1b\$[@B]", raw) else "hz" if label == "hz" and b"~{" in raw else None
    return Decoded(raw.decode(name, "replace"), name, "bytes") if name else None


def _wide(raw: bytes) -> Decoded | None:
    """UTF-16 without a mark whose characters are mostly ASCII: every second byte is zero."""
    sample = np.frombuffer(raw[: _SAMPLE & ~1], dtype=np.uint8)
    sample = sample[: sample.size & ~1].reshape(-1, 2)
    if not sample.size:
        return None
    zero = (sample == 0).mean(axis=0)
    name = "utf-16-le" if zero[1] > 0.4 > 0.1 > zero[0] else "utf-16-be" if zero[0] > 0.4 > 0.1 > zero[1] else None
    return Decoded(raw.decode(name, "replace"), name, "bytes") if name else None


@functools.cache
def _weights() -> NDArray[np.float32]:
    """Plausibility of each code point, times the bytes that it takes in the encodings in which it is usual."""
    weights = np.full(0x20000, -1.0, dtype=np.float32)
    for first, last, weight in _SPANS:
        weights[first : last + 1] = weight
    weights[[ord(char) for char in COMMON_HANZI]] = 2.0
    weights[0x3000] = 2.0
    return weights
