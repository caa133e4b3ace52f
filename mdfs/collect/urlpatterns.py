"""URL patterns of a selection: as an expression over URLs, and as ranges of SURT keys by which an index is sorted.

A SURT key is a URL with its host turned round, `cn,example)/news/1`, so that all pages under a domain stand together,
and the statistics of a row group tell whether it can hold any of them.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from mdfs.errors import UsageError

#: Marks a pattern that is an expression.
_EXPRESSION = "re:"
#: Host names lose this at the front of a SURT key.
_WWW = re.compile(r"^www\d*\.")
_HOST = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+")


def expression(patterns: tuple[str, ...]) -> str:
    """One RE2 expression that is found in a URL if and only if one of the patterns fits it.

    Raises:
        UsageError: a pattern that is none.
    """
    found = "|".join(f"(?:{_one(pattern)})" for pattern in patterns)
    try:
        pc.match_substring_regex(pa.array([""]), found)
    except pa.ArrowInvalid as error:
        raise UsageError(f"URL patterns {', '.join(patterns)}: no RE2 expression ({error})") from None
    return found


def surt_ranges(patterns: tuple[str, ...]) -> list[tuple[str, str]] | None:
    """Half-open ranges of SURT keys outside which no URL fits; None where they may lie anywhere."""
    ranges = []
    for pattern in patterns:
        if pattern.startswith(_EXPRESSION):
            return None
        host, _ = _parts(pattern)
        if not host:
            return None
        reversed_host = ",".join(reversed(_WWW.sub("", host).split(".")))
        # A host's own keys go on with ")", those of hosts under it with ",", those with a port with ":", before ";".
        ranges.append((reversed_host + ")", reversed_host + ";"))
    return ranges


def _one(pattern: str) -> str:
    if pattern.startswith(_EXPRESSION):
        return pattern.removeprefix(_EXPRESSION)
    host, path = _parts(pattern)
    start = r"(?i:^https?://(?:[^/?#@]*@)?"
    hosts = rf"(?:[^/?#@:]*\.)?{re.escape(host)}" if host else "[^/?#@:]*"
    rest = "(?:[/?#]|$)" if not path else "".join(".*" if c == "*" else re.escape(c) for c in path) + "$"
    return rf"{start}{hosts}(?::\d+)?){rest}"


def _parts(pattern: str) -> tuple[str, str]:
    """Host in lower case and ASCII ("" for any) and path ("" for any, else with its slash).

    Raises:
        UsageError: neither is a host's name.
    """
    bare = re.sub(r"^https?://", "", pattern.strip())
    host, slash, path = bare.partition("/")
    host = host.removeprefix("*.").lower()
    if host == "*":
        return "", slash + path
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        hint = "write example.cn, *.gov.cn, example.cn/news/* or re:EXPRESSION"
        raise UsageError(f"URL pattern {pattern!r}: begins with no host; {hint}")
    return host, slash + path
