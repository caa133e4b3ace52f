"""Measurements of what stands around the text: its title, its address, and what the edits did."""

from __future__ import annotations

from mdfs.rules.registry import Measured, Values, divide, integer, ratio


@ratio
def title_overlap(m: Measured) -> Values:
    """The title's letters and digits that the text has too, 0 to 1; null without a title."""
    return m.share("title_found", "title_chars")


@integer
def chars_beyond_title(m: Measured) -> Values:
    """Characters that the text has besides the title at its head, all where it does not begin with it; null without.

    About 0 is a page that is its title only.
    """
    return Values(m.counts["beyond_title"], m.counts["title_chars"] == 0)


@integer
def url_chars(m: Measured) -> Values:
    """Characters of the address; null without one."""
    return _of_url(m, "url_chars")


@ratio
def url_host_digit_ratio(m: Measured) -> Values:
    """Digits among letters and digits of the host, 0 to 1; null without either.

    Hosts of lottery sites are strings such as 8828cc; those of others have few digits.
    """
    letters = m.counts["url_host_digits"] + m.counts["url_host_letters"]
    return divide(m.counts["url_host_digits"], letters)


@integer
def url_host_labels(m: Measured) -> Values:
    """Labels of the host, 3 in www.example.com; null without an address. Spam farms chain many."""
    return _of_url(m, "url_host_labels")


@integer
def url_path_depth(m: Measured) -> Values:
    """Names in the path, 2 in /news/1.html; null without an address."""
    return _of_url(m, "url_path_depth")


@integer
def url_query_params(m: Measured) -> Values:
    """Parameters of the query; null without an address."""
    return _of_url(m, "url_query_params")


@integer
def url_lures(m: Measured) -> Values:
    """Parts of gambling and adult sites' names in the host (`mdfs.rules.addresses.LURES`); null without an address."""
    return _of_url(m, "url_lures")


@integer
def url_listed(m: Measured) -> Values:
    """How many of `[urls] listed` hold the host or a parent of it; null where none is given or without an address."""
    return _of_url(m, "url_listed")


@integer
def url_patterns(m: Measured) -> Values:
    """How many of `[urls] patterns` the address fits; null where none is given or without an address."""
    return _of_url(m, "url_patterns")


def _of_url(m: Measured, name: str) -> Values:
    return Values(m.counts[name], (m.counts["url_chars"] == 0) | (m.counts[name] < 0))


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


@integer
def edited_line_chars(m: Measured) -> Values:
    """Characters in lines that `end_marks`, `min_line_units` and `drop_lines_with` removed."""
    return m.count("edited_line")


@integer
def edited_paragraph_chars(m: Measured) -> Values:
    """Characters in lines that the `paragraphs` edit removed, since they stood before."""
    return m.count("edited_paragraph")


@integer
def edited_simplified_chars(m: Measured) -> Values:
    """Traditional characters that the `simplify` edit replaced."""
    return m.count("edited_simplified")


@integer
def edited_personal(m: Measured) -> Values:
    """Personal data that the `pii` edit replaced by tokens, in pieces (see `phone_numbers` and those after it)."""
    return m.count("edited_personal")
