"""What kind of character a code point is, and which characters the rules look for.

The classes are ranges of whole Unicode blocks written down here, so that a newer Python with newer Unicode data gives
the same measurements; characters that no range names (scripts we do not tell apart, unassigned ones) are other letters.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

#: Classes, by number. The kernel counts class `k` in counter `k`.
CLASSES = (
    "whitespace", "han", "kana", "hangul", "latin", "digit", "other", "mark",
    "cjk_punctuation", "ascii_punctuation", "symbol", "emoji", "broken",
)  # fmt: skip
WHITESPACE, HAN, KANA, HANGUL, LATIN, DIGIT, OTHER, MARK, WIDE_PUNCTUATION, ASCII_PUNCTUATION, SYMBOL, EMOJI, BROKEN = (
    tuple(range(len(CLASSES)))
)

#: Inclusive ranges of code points, later ones over earlier ones.
_RANGES: dict[int, str] = {
    SYMBOL: """A0-BF D7 F7 2C2-2C5 2D2-2DF 2E5-2FF 2044 2052 2070-208E 20A0-20CF 2100-214F 2190-2BFF 3004 3012-3013 3020
        3036-3037
        303E-303F 3190-319F 31C0-31EF 3200-33FF 4DC0-4DFF A700-A71F FFE0-FFE6 FFE8-FFEE 1D000-1D3FF 1F100-1F2FF
        1F700-1F8FF""",
    LATIN: """41-5A 61-7A AA BA C0-D6 D8-F6 F8-2AF 1D00-1DBF 1E00-1EFF 212A-212B 2C60-2C7F A722-A7FF AB30-AB6F FB00-FB06
        FF21-FF3A FF41-FF5A""",
    DIGIT: "30-39 FF10-FF19",
    HAN: "2E80-2FDF 3005-3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAFF 20000-3FFFD",
    KANA: "3041-3096 309D-309F 30A1-30FA 30FC-30FF 31F0-31FF FF66-FF9D 1AFF0-1B16F",
    HANGUL: "1100-11FF 3130-318F A960-A97F AC00-D7FF FFA0-FFDC",
    MARK: """300-36F 483-489 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 610-61A 64B-65F 670 6D6-6DC 6DF-6E4 6E7-6E8 6EA-6ED
        1AB0-1AFF 1DC0-1DFF 200C-200D 20D0-20FF 302A-302F 3099-309A FE00-FE0F FE20-FE2F 1F3FB-1F3FF E0100-E01EF""",
    WIDE_PUNCTUATION: """A1 A7 AB B6-B7 BB BF 589-58A 5BE 5C0 5C3 5C6 5F3-5F4 60C 61B 61D-61F 66A-66D 6D4 964-965
        E4F E5A-E5B 2010-2027 2030-2043 2045-2051 2053-205E 2E00-2E7F 3001-3003 3008-3011 3014-301F 3030 303D
        309B-309C 30A0 30FB FE10-FE1F FE30-FE6F FF01-FF0F FF1A-FF20 FF3B-FF40 FF5B-FF65""",
    ASCII_PUNCTUATION: "21-2F 3A-40 5B-60 7B-7E",
    EMOJI: "1F000-1F0FF 1F1E6-1F1FF 1F300-1F3FA 1F400-1F6FF 1F7E0-1F7EB 1F900-1FAFF",
    BROKEN: """0-8 E-1F 7F-84 86-9F AD 61C 180E 200B 200E-200F 202A-202E 2060-206F D800-F8FF FDD0-FDEF FEFF FFF0-FFFF
        E0000-E00FF F0000-10FFFF""",
    WHITESPACE: "9-D 20 85 A0 1680 2000-200A 2028-2029 202F 205F 3000",
}  # fmt: skip
# Symbols that stand among the punctuation blocks.
_LATE = {SYMBOL: "24 2B 3C-3E 5E 60 7C 7E FF04 FF0B FF1C-FF1E FF3E FF40 FF5C FE62 FE64-FE66 FE69", MARK: "200C-200D"}

#: White space that ends a line; the rest are blanks.
LINE_BREAKS = "\n\r\v\f\x85\u2028\u2029"
#: Blanks: white space inside a line.
BLANKS = "\t \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"

# Function characters, from any frequency table of modern Chinese (both scripts), and those of the classical language.
STOP = (
    "的一是不了在有人我他她它这中来上大个国到说们为和地也子时道出得着要下以会可后就对过自能之那用与及或等并被把从但很都还没又"
    "這來個國說們為時著會後對過與從還沒於"
)
CLASSICAL = "之乎者也而其於矣焉曰吾汝爾哉兮耳夫盖蓋乃遂豈岂欤歟弗勿"
# A line that ends in one of these says something to its end. Closing brackets after them change nothing.
END_MARKS = '。！？…；：．.!?;:”」』"’'
CLOSERS = ")）】》〉〕］]】}"
SENTENCE_MARKS = "。！？!?…"
BRACKETS = "()[]{}（）［］｛｝【】〖〗〔〕《》〈〉"
CURRENCY = "$¥￥€£＄"
HASHES = "#＃"
# Gopher's (arXiv:2112.11446, table A1): an English text has at least two of them.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
CODE_MARKS = "{}();=<>[]_|\\&$+*/#@"
BULLETS = "·•●○■□◆◇★☆※▪►▶→▲△◎*＊-・"

#: Flags that stand above the class (4 bits) in `table()`.
CLASS_BITS = 15
(F_STOP, F_CLASSICAL, F_TRADITIONAL, F_SIMPLIFIED, F_END, F_CLOSER, F_SENTENCE, F_CODE, F_BULLET, F_BROKEN_1,
 F_BROKEN_2, F_BREAK) = (16 << k for k in range(12))  # fmt: skip
#: Bits of `marks()`.
M_BRACKET, M_CURRENCY, M_HASH = 1, 2, 4


def _spans(text: str) -> list[tuple[int, int]]:
    pairs = [item.split("-") for item in text.split()]
    return [(int(pair[0], 16), int(pair[-1], 16)) for pair in pairs]


@functools.cache
def classes() -> npt.NDArray[np.uint8]:
    """The class of every code point: uint8[0x110000]."""
    table = np.full(0x110000, OTHER, np.uint8)
    for ranges in (_RANGES, _LATE):
        for number, text in ranges.items():
            for first, last in _spans(text):
                table[first : last + 1] = number
    table.flags.writeable = False
    return table


@functools.cache
def variants() -> tuple[str, str]:
    """Han characters of which only traditional, and of which only simplified Chinese makes use.

    They are those that only one of the two old standards holds: Big5 (Taiwan, 13,000 characters, all traditional) and
    GB 2312 (the mainland, 6,763 characters, all simplified). Characters in both (的 在 中) and in neither say nothing.
    Some of Big5's rare characters are in common use nowhere; they are rare enough to change nothing.
    """
    han = [chr(c) for c in range(0x4E00, 0xA000)]
    traditional = {c for c in han if _encodes(c, "big5")}
    simplified = {c for c in han if _encodes(c, "gb2312")}
    return "".join(sorted(traditional - simplified)), "".join(sorted(simplified - traditional))


def _encodes(character: str, encoding: str) -> bool:
    try:
        return bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False


@functools.cache
def marks() -> npt.NDArray[np.uint8]:
    """What a mark or symbol of the basic plane is, in bits: uint8[0x10000]."""
    table = np.zeros(0x10000, np.uint8)
    for bit, characters in ((M_BRACKET, BRACKETS), (M_CURRENCY, CURRENCY), (M_HASH, HASHES)):
        table[[ord(c) for c in characters]] |= bit
    table.flags.writeable = False
    return table


def mark(table: npt.NDArray[np.uint16], characters: str, flag: int) -> None:
    """Set a flag for each of the characters, which lie in the basic plane."""
    table[[ord(character) for character in characters]] |= np.uint16(flag)
