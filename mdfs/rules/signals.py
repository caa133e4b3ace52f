"""The measurements: a rule is one function, its name the signal's name, its docstring its documentation.

Rules are vectorised over a batch: each turns the kernel's counters, one row a document, into one value a document. They
measure and never decide; limits stand in the recipe. What cannot be measured is null.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mdfs.rules.registry import Measured, Values, describe, divide, integer, measure_all, names, ratio, struct

__all__ = ["SIGNALS", "describe", "measure_all", "names"]

# ---- size


@integer
def chars(m: Measured) -> Values:
    """Characters without white space, after the edits."""
    return m.count("chars")


@integer
def units(m: Measured) -> Values:
    """Reading units: each Han, kana or Hangul character, each run of other letters and each run of digits is one.

    It is the count that Chinese word processors show; punctuation, symbols and white space are no units.
    """
    return m.count("units")


@integer
def lines(m: Measured) -> Values:
    """Lines with something other than white space in them."""
    return m.count("lines")


@integer
def sentences(m: Measured) -> Values:
    """Runs of 。！？!?… and full stops after a Latin letter before white space."""
    return m.count("sentences")


@ratio
def mean_line_chars(m: Measured) -> Values:
    """Characters without white space a non-empty line; null without lines."""
    return m.share("chars", "lines")


@integer
def max_line_chars(m: Measured) -> Values:
    """Characters without white space in the longest line."""
    return m.count("max_line")


@ratio
def sentences_per_kchar(m: Measured) -> Values:
    """Sentence ends (see `sentences`) per 1,000 characters; null without characters. Chinese prose has 10 to 60."""
    return m.share("sentences", "chars", 1000.0)


@ratio
def mean_word_chars(m: Measured) -> Values:
    """Letters a word, of words in Latin letters; null without words (Gopher, arXiv:2112.11446: 3 to 10 for English)."""
    return m.share("latin", "latin_words")


# ---- what it is written in


@ratio
def han_ratio(m: Measured) -> Values:
    """Han characters a reading unit, 0 to 1; null without units.

    The denominator is what a reader would count as text (see `units`): a Latin name or a figure weighs as much as
    one character, and punctuation nothing. PanGu-α (arXiv:2104.12369) drops pages under 60%.
    """
    return m.share("han", "units")


@ratio
def kana_ratio(m: Measured) -> Values:
    """Kana a reading unit, 0 to 1; null without units. Japanese prose has about one half."""
    return m.share("kana", "units")


@ratio
def hangul_ratio(m: Measured) -> Values:
    """Hangul syllables and letters a reading unit, 0 to 1; null without units."""
    return m.share("hangul", "units")


@ratio
def latin_ratio(m: Measured) -> Values:
    """Latin letters among characters, 0 to 1; null without characters."""
    return m.share("latin", "chars")


@ratio
def digit_ratio(m: Measured) -> Values:
    """Digits among characters, 0 to 1; null without characters."""
    return m.share("digit", "chars")


@ratio
def other_letter_ratio(m: Measured) -> Values:
    """Letters that are neither Han, kana, Hangul nor Latin among characters, 0 to 1; null without characters."""
    return m.share("other", "chars")


@ratio
def punctuation_ratio(m: Measured) -> Values:
    """Punctuation, Chinese and ASCII, among characters, 0 to 1; null without characters."""
    return divide(m.counts["cjk_punctuation"] + m.counts["ascii_punctuation"], m.counts["chars"])


@ratio
def symbol_ratio(m: Measured) -> Values:
    """Symbols (signs, arrows, boxes; not emoji) among characters, 0 to 1; null without characters."""
    return m.share("symbol", "chars")


@ratio
def emoji_ratio(m: Measured) -> Values:
    """Emoji among characters, 0 to 1; null without characters."""
    return m.share("emoji", "chars")


@ratio
def code_mark_ratio(m: Measured) -> Values:
    """Marks of program text, such as {}();=<>[]_|, among characters, 0 to 1; null without characters."""
    return m.share("code_marks", "chars")


@ratio
def whitespace_ratio(m: Measured) -> Values:
    """White space among all characters, 0 to 1; null for an empty text."""
    return divide(m.counts["whitespace"], m.counts["whitespace"] + m.counts["chars"])


@ratio
def stop_char_ratio(m: Measured) -> Values:
    """Function characters (的一是不了在…, 之其而者…) among Han characters, 0 to 1; null without Han.

    Lists of names, keywords and goods have few; it is for Chinese what Gopher's stop words are for English.
    """
    return m.share("stop_chars", "han")


@ratio
def classical_char_ratio(m: Measured) -> Values:
    """Function characters of classical Chinese (之乎者也而其於矣焉…) among Han characters, 0 to 1; null without Han."""
    return m.share("classical_chars", "han")


# ---- damage


@ratio
def broken_ratio(m: Measured) -> Values:
    """Control, private-use, invisible and replacement characters among characters, 0 to 1; null without characters."""
    return m.share("broken", "chars")


@ratio
def mojibake_ratio(m: Measured) -> Values:
    """Characters in pairs that wrong decoding gives, among characters, 0 to 1; null without characters.

    The pairs are computed from the 500 commonest characters (`mdfs.rules.mojibake`): UTF-8 read as Latin-1,
    Windows-1252 or GBK, and GBK read as Latin-1 or Windows-1252.
    """
    return m.share("mojibake", "chars")


# ---- lines


@ratio
def end_mark_ratio(m: Measured) -> Values:
    """Characters in lines that end with an end mark (。！？…；：” …), 0 to 1; null without characters."""
    return m.share("end_mark_chars", "chars")


@ratio
def prose_line_ratio(m: Measured) -> Values:
    """Characters in lines that end with an end mark or have 32 characters or more, 0 to 1; null without characters.

    Low in lists of links, goods and headings; unlike `end_mark_ratio` it stays high where running text is wrapped.
    """
    return m.share("prose_chars", "chars")


@ratio
def short_line_ratio(m: Measured) -> Values:
    """Non-empty lines of under 12 characters among non-empty lines, 0 to 1; null under 5 lines."""
    return _line_share(m, "short_lines")


@ratio
def duplicate_line_ratio(m: Measured) -> Values:
    """Lines equal to an earlier one among non-empty lines, 0 to 1; null without lines (Gopher drops over 0.3)."""
    return m.share("duplicate_lines", "lines")


@ratio
def duplicate_line_char_ratio(m: Measured) -> Values:
    """Characters in lines equal to an earlier one, 0 to 1; null without characters (Gopher drops over 0.2)."""
    return m.share("duplicate_line_chars", "chars")


@ratio
def bullet_line_ratio(m: Measured) -> Values:
    """Lines that begin with a bullet among non-empty lines, 0 to 1; null under 5 lines (Gopher drops over 0.9)."""
    return _line_share(m, "bullet_lines")


@ratio
def ellipsis_line_ratio(m: Measured) -> Values:
    """Lines that end with … or ... among non-empty lines, 0 to 1; null under 5 lines (Gopher drops over 0.3)."""
    return _line_share(m, "ellipsis_lines")


def _line_share(m: Measured, part: str) -> Values:
    """A share of lines that needs several: of a text in one line, as many sources store it, it would say 0 or 1."""
    share = m.share(part, "lines")
    return Values(share.values, m.counts["lines"] < 5)


# ---- repetition


@integer
def unique_chars(m: Measured) -> Values:
    """Different characters, white space left out."""
    return m.count("unique_chars")


@ratio
def char_entropy(m: Measured) -> Values:
    """Entropy of the characters in bits a character, white space left out; null without characters.

    It grows with length: about 8 for 1,000 characters of Chinese prose.
    """
    n = m.counts["chars"].astype(np.float64)
    held = np.maximum(n, 1.0)
    # The kernel's sum is in millionths of a bit; rounding hides the last digit in which mathematics libraries differ.
    bits = np.log2(held) - m.counts["entropy_sum"] / 1e6 / held
    return Values(np.round(np.maximum(bits, 0.0), 4) + 0.0, n == 0)


@ratio
def top_2gram_ratio(m: Measured) -> Values:
    """Reading units in the commonest pair that comes twice, 0 to 1; null under 2 units (Gopher's top 2-gram)."""
    return _top(m, 2)


@ratio
def top_4gram_ratio(m: Measured) -> Values:
    """Reading units in the commonest run of 4 that comes twice, 0 to 1; null under 4 units (Gopher's top 4-gram)."""
    return _top(m, 4)


@ratio
def duplicate_8gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 8 that stood before, each counted once, 0 to 1; null under 8 units.

    Eight characters are about five Chinese words (Gopher's duplicate 5-grams). Looked for inside windows of 16,384
    units, so that a book is not counted as repetitive for being long.
    """
    return Values(divide(m.counts["duplicate_8gram"], m.counts["units"]).values, m.counts["units"] < 8)


@ratio
def duplicate_16gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 16 that stood before, 0 to 1; null under 16 units (Gopher's duplicate 10-grams)."""
    return Values(divide(m.counts["duplicate_16gram"], m.counts["units"]).values, m.counts["units"] < 16)


def _top(m: Measured, n: int) -> Values:
    units = m.counts["units"]
    # Occurrences may overlap (哈哈哈), hence at most all units.
    return Values(divide(np.minimum(m.counts[f"top_{n}gram"] * n, units), units).values, units < n)


# ---- contacts and phrases


@ratio
def urls_per_kchar(m: Measured) -> Values:
    """Web addresses (`://`, `www.`) per 1,000 characters; null without characters."""
    return m.share("urls", "chars", 1000.0)


@ratio
def phones_per_kchar(m: Measured) -> Values:
    """Digit runs shaped like Chinese telephone numbers per 1,000 characters; null without characters."""
    return m.share("phones", "chars", 1000.0)


@ratio
def contact_words_per_kchar(m: Measured) -> Values:
    """Invitations to get in touch (加微信 …: `lists/contact.txt`) per 1,000 characters; null without characters."""
    return m.share("contact", "chars", 1000.0)


@ratio
def ad_phrases_per_kchar(m: Measured) -> Values:
    """Phrases of sales talk (`lists/advertising.txt`) per 1,000 characters; null without characters."""
    return m.share("advertising", "chars", 1000.0)


@ratio
def gambling_words_per_kchar(m: Measured) -> Values:
    """Words of online gambling (`lists/gambling.txt`) per 1,000 characters; null without characters."""
    return m.share("gambling", "chars", 1000.0)


@ratio
def adult_words_per_kchar(m: Measured) -> Values:
    """Lures of adult sites (`lists/adult.txt`) per 1,000 characters; null without characters."""
    return m.share("adult", "chars", 1000.0)


@ratio
def medical_ads_per_kchar(m: Measured) -> Values:
    """Phrases of medical promotion (`lists/medical.txt`) per 1,000 characters; null without characters."""
    return m.share("medical", "chars", 1000.0)


# ---- what the edits did


@integer
def edited_unicode_chars(m: Measured) -> Values:
    """Characters that the `unicode` edit removed or replaced."""
    return m.count("edited_unicode")


@integer
def edited_whitespace_chars(m: Measured) -> Values:
    """White space that the `whitespace` edit removed, or replaced by a plain space."""
    return m.count("edited_whitespace")


@integer
def edited_boilerplate_chars(m: Measured) -> Values:
    """Characters in lines that the `boilerplate` edit removed."""
    return m.count("edited_boilerplate")


#: The type of the column `signals`.
SIGNALS: pa.StructType = struct()
