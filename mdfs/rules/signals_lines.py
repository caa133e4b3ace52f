"""Measurements of lines and paragraphs."""

from __future__ import annotations

from mdfs.rules.registry import Measured, Values, divide, integer, ratio


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


@ratio
def end_mark_line_ratio(m: Measured) -> Values:
    """Lines that end with an end mark among non-empty lines, 0 to 1; null without lines (FineWeb drops under 0.12)."""
    return divide(m.counts["wide_end_lines"] + m.counts["ascii_end_lines"], m.counts["lines"])


@ratio
def wide_end_line_ratio(m: Measured) -> Values:
    """Lines that end with a Chinese end mark (。！？…；：” …) among non-empty lines, 0 to 1; null without lines."""
    return m.share("wide_end_lines", "lines")


@ratio
def ascii_end_line_ratio(m: Measured) -> Values:
    """Lines that end with an ASCII end mark (.!?;:"') among non-empty lines, 0 to 1; null without lines."""
    return m.share("ascii_end_lines", "lines")


@integer
def long_lines(m: Measured) -> Values:
    """Lines of 200 characters or more (mC4, arXiv:2010.11934, wants three in a page)."""
    return m.count("long_lines")


@ratio
def line_under_30_ratio(m: Measured) -> Values:
    """Lines of at most 30 characters among non-empty lines, 0 to 1; null without lines (FineWeb drops over 0.67)."""
    return m.share("lines_under_30", "lines")


@integer
def paragraphs(m: Measured) -> Values:
    """Runs of lines with no empty line between them. The `whitespace` edit drops empty lines, which makes it one."""
    return m.count("paragraphs")


@ratio
def duplicate_paragraph_ratio(m: Measured) -> Values:
    """Paragraphs equal to an earlier one among paragraphs, 0 to 1; null without paragraphs (Gopher drops over 0.3)."""
    return m.share("duplicate_paragraphs", "paragraphs")


@ratio
def duplicate_paragraph_char_ratio(m: Measured) -> Values:
    """Characters in paragraphs equal to an earlier one, 0 to 1; null without characters (Gopher drops over 0.2)."""
    return m.share("duplicate_paragraph_chars", "chars")


def _line_share(m: Measured, part: str) -> Values:
    """A share of lines that needs several: of a text in one line, as many sources store it, it would say 0 or 1."""
    share = m.share(part, "lines")
    return Values(share.values, m.counts["lines"] < 5)
