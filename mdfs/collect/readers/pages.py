"""A fetched page becomes a document or the reason why there is none; WARC and ARC share this."""

from __future__ import annotations

import re
from typing import NamedTuple

from mdfs.collect import encoding, html, payload
from mdfs.collect.documents import Document, Dropped, Outcome, Quarantined
from mdfs.recipe import Collect

_HTML = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")
_PLAIN = ("text/plain",)
#: Said by servers that do not know.
_UNKNOWN = ("", "application/octet-stream", "text", "unknown", "application/x-unknown-content-type", "no-type")
_MARKUP = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body|meta|title)\b",
    re.IGNORECASE | re.DOTALL,
)
#: First bytes of what is no text, whatever its server says.
_BINARY = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"RIFF", b"\x1f\x8b", b"Rar!", b"\x7fELF") + (
    (b"MZ\x90", b"\xd0\xcf\x11\xe0", b"FWS", b"CWS", b"BZh", b"\0\0\x01\0")
)


class Page(NamedTuple):
    """A response as it was archived. `status` 0: none is known. `mime` and `charset` as the server said them.

    `differs`: it is not what was archived, by the digest that was taken then.
    """

    place: str
    url: str
    key: str
    fetched_at: int | None
    status: int
    mime: str
    charset: str | None
    transfer: str
    content: str
    body: bytes
    differs: bool = False

    def marks(self) -> dict[str, str]:
        """What `meta` says of the record itself."""
        return {"block_digest": "differs"} if self.differs else {}


def outcome(page: Page, limits: Collect) -> Outcome:
    """What becomes of a response."""
    if page.status and page.status != 200:
        return Dropped(page.place, "http_status", str(page.status), page.url, page.key)
    mime = page.mime.strip().lower()
    if page.url.endswith("/robots.txt"):
        return Dropped(page.place, "not_text", "robots.txt", page.url, page.key)
    if mime not in (*_HTML, *_PLAIN, *_UNKNOWN):
        return Dropped(page.place, "not_text", mime, page.url, page.key)
    body, problem, whole = payload.plain(page.body, page.transfer, page.content, limits.max_record_bytes)
    if problem:
        return Quarantined(page.place, problem, f"content-encoding {page.content}", page.url, page.key)
    if body.startswith(_BINARY) or (b"\0" in body[:1024] and not _wide(body)):
        return Dropped(page.place, "not_text", f"{mime or 'no type'}, binary content", page.url, page.key)
    is_html = bool(_MARKUP.match(body[:4096])) or mime in _HTML
    if not is_html and mime in _UNKNOWN:
        return Dropped(page.place, "not_text", mime or "no type", page.url, page.key)
    return (_html if is_html else _plain)(page, body, page.marks() | ({} if whole else {"whole": "no"}))


def _html(page: Page, body: bytes, meta: dict[str, str]) -> Outcome:
    try:
        found = html.extract(body, url=page.url, declared=page.charset)
    except html.TooDeepError as error:
        return Quarantined(page.place, "too_deep", str(error), page.url, page.key)
    meta = {**found.meta, "encoding": found.encoding, "encoding_by": found.encoding_by, **meta}
    return Document(page.place, found.text, found.title, page.url, page.key, page.fetched_at, meta)


def _plain(page: Page, body: bytes, meta: dict[str, str]) -> Outcome:
    found = encoding.decide(body, page.charset)
    meta = {"content_type": "text/plain", "encoding": found.encoding, "encoding_by": found.by, **meta}
    return Document(page.place, found.text.strip(), "", page.url, page.key, page.fetched_at, meta)


def _wide(body: bytes) -> bool:
    """Whether zero bytes are those of UTF-16."""
    return encoding.decide(body[:1024]).encoding.startswith("utf-16")
