"""Measurements of size, script, language and damage."""

from __future__ import annotations

import numpy as np

from mdfs.rules import language
from mdfs.rules.registry import Measured, Values, divide, integer, ratio, word

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
def units_per_line(m: Measured) -> Values:
    """Reading units a non-empty line; null without lines (FineWeb drops under 3.3, 0.3 line ends a word)."""
    return m.share("units", "lines")


@ratio
def mean_line_chars(m: Measured) -> Values:
    """Characters without white space a non-empty line; null without lines."""
    return m.share("chars", "lines")


@integer
def median_line_chars(m: Measured) -> Values:
    """Characters without white space in the median line, the lower one of two; at most 1,023; null without lines."""
    return Values(m.counts["median_line"], m.counts["lines"] == 0)


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


@ratio
def traditional_ratio(m: Measured) -> Values:
    """Traditional-only among characters that only one form of Chinese has, 0 to 1; null where a text has none.

    See `mdfs.rules.characters.variants`: 0 is simplified, 1 traditional Chinese, and between lie mixed pages. After
    the `simplify` edit it is about 0. Never a reason to drop by itself: good text is written in either.
    """
    return divide(m.counts["traditional"], m.counts["traditional"] + m.counts["simplified"])


@word
def lang(m: Measured) -> Values:
    """The language as a code, `zh`, `en`, `ja`, `ko` and so on; null without letters, as nothing can be said there.

    `zh` is Chinese in either script, which `traditional_ratio` tells apart. Scripts decide for Chinese, Japanese and
    Korean, the recipe's model for the rest, by its own codes (fastText's lid.176 has ISO 639). Without a model, which
    languages of the rest there are cannot be told but for English: `und-Latn` is any other in Latin letters, `und` one
    in other scripts or a mixture (`und`, undetermined, is ISO 639-2's). See `mdfs.rules.language`.
    """
    return Values(*language.named(m.counts, m.identified))


@ratio
def lang_zh(m: Measured) -> Values:
    """How surely the text is Chinese, 0 to 1; null without letters.

    1 or 0 by script where that tells (half Han and little kana; kana; Hangul), else the probability that the fastText
    model of `[language] model` gives to Chinese, 0 where the recipe names none. See `mdfs.rules.language`.
    """
    return Values(*language.sureness(m.counts, m.identified, "zh"))


@ratio
def lang_en(m: Measured) -> Values:
    """How surely the text is English, 0 to 1; null without letters.

    0 where scripts tell Chinese, Japanese or Korean, else the model's probability; without a model 1 where half of the
    words are in Latin letters and 7% of these are the, be, to, of, and, that, have or with, and 0 elsewhere.
    """
    return Values(*language.sureness(m.counts, m.identified, "en"))


@ratio
def lang_confidence(m: Measured) -> Values:
    """The model's probability for its first guess at the language, 0 to 1; null where the recipe names no model.

    CCNet (arXiv:1911.00359) keeps 0.5 and more.
    """
    if m.identified is None:
        return Values(np.zeros(len(m.counts["chars"])), np.ones(len(m.counts["chars"]), np.bool_))
    return Values(m.identified[1])


@ratio
def foreign_line_ratio(m: Measured) -> Values:
    """Characters in lines of 20 or more with under a tenth Han, 0 to 1; null without characters.

    What is not Chinese in a mixed page, line by line: English paragraphs, code, tables of figures.
    """
    return m.share("foreign_line_chars", "chars")


@ratio
def number_ratio(m: Measured) -> Values:
    """Numbers among reading units, 0 to 1; null without units (Gopher: 80% of the words have a letter)."""
    return m.share("digit_words", "units")


@integer
def stop_word_kinds(m: Measured) -> Values:
    """How many of the, be, to, of, and, that, have, with occur (Gopher, arXiv:2112.11446, wants 2 in English)."""
    return m.count("stop_word_kinds")


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
