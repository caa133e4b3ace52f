"""The source of one sample document: a UTF-8 file with a few header lines, `---`, and the body.

The body is kept as the author wrote it; `samplekit.site` turns it into HTML and `samplekit.dumps` into text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

INTO = ("web", "sogou", "wiki", "jsonl", "template")
"""Where a page goes. `template` pages are packed nowhere; only derive.toml makes documents of them."""

EXPECT = ("high", "low", "ad")


@dataclass(frozen=True)
class Page:
    """One document to be packed. `key` is `<kind>/<slug>`, for a derived one with `~<derivation>` behind it."""

    key: str
    title: str
    url: str
    body: str
    site: str = "plain"
    charset: str = "utf-8"
    declared: str = ""  # charset of the HTTP header: "" = same as charset, "none" = not declared
    meta_charset: str = ""  # charset the page claims in itself; "" = same as charset, "none" = no meta tag
    date: str = "2020-01-01"
    expect: str = "high"
    into: str = "web"
    lang: str = ""  # zh-Hans, zh-Hant, en, ja; "" = by the host's top-level domain
    ns: str = "0"  # MediaWiki namespace, for into: wiki
    derived_from: str = ""
    derivation: str = ""

    def number(self, below: int, salt: str = "") -> int:
        """A number in [0, below) that depends on the key only, so that adding a page moves no other page."""
        # Under a tracking URL a site serves the very same page, so it is dressed by the key of its source.
        return _hash(f"{salt}\0{self.derived_from if self.derivation == 'tracking' else self.key}") % below

    def site_number(self, below: int) -> int:
        """A number in [0, below) that all pages of the host share."""
        return _hash(self.host) % below

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self.url.split("/")[2]

    @property
    def language(self) -> str:
        """The language of the site's own words (navigation, footer), as a BCP 47 tag."""
        return self.lang or ("zh-Hant" if self.host.endswith((".tw", ".hk")) else "zh-Hans")

    @property
    def paragraphs(self) -> list[str]:
        """The body's non-empty lines."""
        return [line for line in self.body.split("\n") if line.strip()]


def _hash(text: str) -> int:
    """A 64-bit number, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


HEADERS = ("title", "url", "site", "charset", "declared", "meta_charset", "date", "expect", "into", "lang", "ns")


def read(path: Path) -> Page:
    """Parse one source file. Raises ValueError, naming the file, on a header this format does not have."""
    head, found, body = path.read_text("utf-8").partition("\n---\n")
    if not found:
        raise ValueError(f"{path}: no line `---` between headers and body")
    fields = {}
    for line in head.split("\n"):
        name, _, value = line.partition(":")
        if name.strip() not in HEADERS:
            raise ValueError(f"{path}: unknown header {name.strip()!r}; known: {', '.join(HEADERS)}")
        fields[name.strip()] = value.strip()
    return check(Page(key=f"{path.parent.name}/{path.stem}", body=body.strip("\n"), **fields))


def check(page: Page) -> Page:
    """Return the page, or raise ValueError where a header has no meaning."""
    if not page.title or not page.url.startswith(("http://", "https://")):
        raise ValueError(f"{page.key}: needs a title and an http(s) url")
    if page.into not in INTO or page.expect not in EXPECT:
        raise ValueError(f"{page.key}: into must be one of {INTO} and expect one of {EXPECT}")
    "".encode(page.charset)  # LookupError here is clearer than one from the packing
    return page


def read_all(folder: Path) -> list[Page]:
    """All pages under folder/*/*.txt, in the order of their keys."""
    return sorted((read(path) for path in folder.glob("*/*.txt")), key=lambda page: page.key)
