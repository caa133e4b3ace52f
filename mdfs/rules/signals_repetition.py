"""Measurements of variety and repetition."""

from __future__ import annotations

import numpy as np

from mdfs.rules.registry import Measured, Values, divide, integer, ratio


@integer
def unique_chars(m: Measured) -> Values:
    """Different characters, white space left out."""
    return m.count("unique_chars")


@ratio
def unique_char_ratio(m: Measured) -> Values:
    """Different characters among characters, 0 to 1; null without. Long texts have less (MAP-CC: over 0.1)."""
    return m.share("unique_chars", "chars")


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
    """Reading units in the commonest pair that comes twice, 0 to 1; null under 2 units (Gopher drops over 0.20)."""
    return _top(m, 2)


@ratio
def top_3gram_ratio(m: Measured) -> Values:
    """Reading units in the commonest run of 3 that comes twice, 0 to 1; null under 3 units (Gopher drops over 0.18)."""
    return _top(m, 3)


@ratio
def top_4gram_ratio(m: Measured) -> Values:
    """Reading units in the commonest run of 4 that comes twice, 0 to 1; null under 4 units (Gopher drops over 0.16)."""
    return _top(m, 4)


@ratio
def duplicate_5gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 5 that stood before, 0 to 1; null under 5 units (Gopher drops over 0.15, in words)."""
    return _repeated(m, 5)


@ratio
def duplicate_6gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 6 that stood before, 0 to 1; null under 6 units (Gopher drops over 0.14, in words)."""
    return _repeated(m, 6)


@ratio
def duplicate_7gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 7 that stood before, 0 to 1; null under 7 units (Gopher drops over 0.13, in words)."""
    return _repeated(m, 7)


@ratio
def duplicate_8gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 8 that stood before, each counted once, 0 to 1; null under 8 units.

    Eight characters are about five Chinese words (Gopher's duplicate 5-grams). Looked for inside windows of 16,384
    units, so that a book is not counted as repetitive for being long.
    """
    return _repeated(m, 8)


@ratio
def duplicate_9gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 9 that stood before, 0 to 1; null under 9 units (Gopher drops over 0.11, in words)."""
    return _repeated(m, 9)


@ratio
def duplicate_10gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 10 that stood before, 0 to 1; null under 10 units (Gopher drops over 0.10, in words)."""
    return _repeated(m, 10)


@ratio
def duplicate_13gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 13 that stood before, 0 to 1; null under 13 units.

    The internal repetition of ChineseWebText (arXiv:2311.01149), which drops over 0.5.
    """
    return _repeated(m, 13)


@ratio
def duplicate_16gram_ratio(m: Measured) -> Values:
    """Reading units in runs of 16 that stood before, 0 to 1; null under 16 units (Gopher's duplicate 10-grams)."""
    return _repeated(m, 16)


def _top(m: Measured, n: int) -> Values:
    units = m.counts["units"]
    # Occurrences may overlap (哈哈哈), hence at most all units.
    return Values(divide(np.minimum(m.counts[f"top_{n}gram"] * n, units), units).values, units < n)


def _repeated(m: Measured, n: int) -> Values:
    return Values(divide(m.counts[f"duplicate_{n}gram"], m.counts["units"]).values, m.counts["units"] < n)


@ratio
def compression_ratio(m: Measured) -> Values:
    """Bytes of the text as zlib compresses it (level 6) a byte of UTF-8; null where a recipe does not ask for it.

    It takes longer than all other measurements together, so it is made only where the recipe limits it or prefers
    copies by it; null without text too. Low in text that repeats itself, high in noise, and over 1 in texts of a
    sentence. The range to keep is found on good text of the same language (Compel, OpenReview KFafeqE5fe): a Han
    character has three bytes, which compress further than three letters.
    """
    return m.share("compressed_bytes", "text_bytes")
