"""web.warc.gz: pages as a crawler would have stored them, WARC/1.1, one gzip member a record.

Every date and id follows from the page's key, so the same sources give the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import struct
import tomllib
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from samplekit import site
from samplekit.page import Page

NAMESPACE = uuid.UUID("6d646673-0000-5000-8000-73616d706c65")  # "mdfs", "sample" in ASCII
CRAWL_START = datetime(2022, 11, 20, tzinfo=UTC)
SERVERS = ("nginx", "Apache/2.4.6 (CentOS)", "Tengine", "Microsoft-IIS/6.0", "openresty", "nginx/1.18.0")
REVISIT = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

Headers = list[tuple[str, str]]


def pack(pages: list[Page], responses: Path, path: Path) -> None:
    """Write warcinfo, a request and a response for each page, then the other responses of responses.toml."""
    members = [_warcinfo(path.name)]
    for page in pages:
        members += _exchange(page.url, _fetched(page), *_http_of(page))
    for other in tomllib.loads(responses.read_text("utf-8"))["response"]:
        members += _other(other)
    path.write_bytes(b"".join(members))


def _fetched(page: Page) -> datetime:
    return CRAWL_START + timedelta(seconds=page.number(10 * 86400, "fetched"))


def _http_of(page: Page) -> tuple[str, Headers, bytes]:
    """Status line, headers and raw body of the page's HTTP response."""
    body = site.render(page).encode(page.charset, errors="xmlcharrefreplace")
    declared = page.declared or page.charset
    content_type = "text/html" if declared == "none" else f"text/html; charset={declared}"
    headers = [
        ("Server", SERVERS[page.site_number(len(SERVERS))]),
        ("Date", format_datetime(_fetched(page), usegmt=True)),
        ("Content-Type", content_type),
    ]
    if page.number(5, "gzip") == 0:
        body = gzip_stored(body)
        headers.append(("Content-Encoding", "gzip"))
    if page.number(6, "chunked") == 0:
        return "HTTP/1.1 200 OK", [*headers, ("Transfer-Encoding", "chunked")], _chunked(body)
    return "HTTP/1.1 200 OK", [*headers, ("Content-Length", str(len(body)))], body


def _other(other: dict[str, Any]) -> list[bytes]:
    """A response that is no page: an error, a redirect, an image, or a revisit of a page already stored."""
    body = base64.b64decode(other["base64"]) if "base64" in other else other.get("body", "").encode()
    when = datetime.fromisoformat(other["date"])
    headers = [("Server", "nginx"), ("Date", format_datetime(when, usegmt=True)), *other["headers"].items()]
    headers.append(("Content-Length", str(len(body))))
    if "revisit" not in other:
        return _exchange(other["url"], when, other["status"], headers, body)
    extra = [
        ("WARC-Profile", REVISIT),
        ("WARC-Refers-To-Target-URI", other["revisit"]),
        ("WARC-Payload-Digest", digest(body)),
    ]
    block = _http_block(other["status"], headers, b"")
    return [_record("revisit", other["url"], when, "application/http; msgtype=response", block, extra)]


def _exchange(url: str, when: datetime, status: str, headers: Headers, body: bytes) -> list[bytes]:
    host, _, path = url.split("//", 1)[1].partition("/")
    asked = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sample-crawler/1.0\r\nAccept: */*\r\n\r\n"
    block = _http_block(status, headers, body)
    # The payload digest is over the body as sent, chunk marks included: what warcio writes and fastwarc verifies.
    response = [("WARC-Payload-Digest", digest(body))]
    return [
        _record("request", url, when, "application/http; msgtype=request", asked.encode("ascii"), []),
        _record("response", url, when, "application/http; msgtype=response", block, response),
    ]


def _http_block(status: str, headers: Headers, body: bytes) -> bytes:
    head = "\r\n".join([status, *(f"{name}: {value}" for name, value in headers)])
    return head.encode("latin-1") + b"\r\n\r\n" + body


def _warcinfo(filename: str) -> bytes:
    block = b"software: mdfs tests/sample/build.py\r\nformat: WARC File Format 1.1\r\n"
    extra = [("WARC-Filename", filename)]
    return _record("warcinfo", "", CRAWL_START, "application/warc-fields", block, extra)


def _record(kind: str, url: str, when: datetime, content_type: str, block: bytes, extra: Headers) -> bytes:
    stamp = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    record_id = uuid.uuid5(NAMESPACE, f"{kind} {url} {stamp}")
    headers = [("WARC-Type", kind), ("WARC-Record-ID", f"<urn:uuid:{record_id}>"), ("WARC-Date", stamp)]
    if url:
        headers.append(("WARC-Target-URI", url))
    headers += [("WARC-Block-Digest", digest(block)), *extra]
    headers += [("Content-Type", content_type), ("Content-Length", str(len(block)))]
    head = "\r\n".join(["WARC/1.1", *(f"{name}: {value}" for name, value in headers)])
    return gzip.compress(head.encode() + b"\r\n\r\n" + block + b"\r\n\r\n", 9, mtime=0)


def digest(data: bytes) -> str:
    """`sha1:` and the base32 digest, as WARC headers write it."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode("ascii")


def _chunked(body: bytes, size: int = 4096) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def gzip_stored(data: bytes) -> bytes:
    """A valid gzip stream that stores its blocks, so that its bytes (and their digest) hang on no zlib version."""
    blocks = [data[i : i + 65535] for i in range(0, len(data), 65535)]
    out = bytearray(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
    for i, block in enumerate(blocks):
        out += struct.pack("<BHH", i == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
    return bytes(out) + struct.pack("<II", zlib.crc32(data), len(data))
