"""What the tests of collection share: small files made on the spot, and everything that a file gives."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from pathlib import Path

from mdfs.collect import stage, streams
from mdfs.collect.documents import Document, Dropped, Outcome, Quarantined, Skipped
from mdfs.recipe import Collect
from mdfs.stage import Unit

PARAGRAPH = "青禾桥位于样城东郊，始建于清朝乾隆年间，横跨沙湾江的支流。据县志记载，溪上原有木桥，每遇春涨便被水冲毁。"
ARTICLE = [
    PARAGRAPH,
    "乾隆十九年，里人集资改建石桥，历时三年完工；桥身以花岗岩砌筑，迎水一面砌成尖形，可以减轻水流的冲击。",
]


def outcomes(raw: bytes, path: str, *, limits: Collect | None = None, **data: object) -> list[Outcome]:
    """Everything that a file with these bytes and this name gives."""
    skip = data.pop("skip", ())
    unit = Unit("u", {"path": path, "source": "s", **data}, skip=skip)  # type: ignore[arg-type]
    return list(stage.outcomes(streams.Source(io.BytesIO(raw)), unit, limits or Collect()))


def documents(raw: bytes, path: str, **more: object) -> list[Document]:
    """The documents alone; nothing may be quarantined."""
    found = outcomes(raw, path, **more)  # type: ignore[arg-type]
    assert not [o for o in found if isinstance(o, Quarantined)]
    return [o for o in found if isinstance(o, Document)]


def reasons(found: Iterable[Outcome]) -> list[str]:
    """Why records gave no document: dropped, quarantined and skipped ones, in order."""
    return [o.kind if isinstance(o, Skipped) else o.reason for o in found if not isinstance(o, Document)]


def quarantined(found: Iterable[Outcome]) -> list[Quarantined]:
    """The quarantined ones."""
    return [o for o in found if isinstance(o, Quarantined)]


def dropped(found: Iterable[Outcome]) -> list[Dropped]:
    """The dropped ones."""
    return [o for o in found if isinstance(o, Dropped)]


def page(paragraphs: Iterable[str] = ARTICLE, *, title: str = "青禾桥", head: str = "") -> bytes:
    """A page with a menu, an article and a footer."""
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    menu = "".join(f'<li><a href="/{i}">栏目{i}</a></li>' for i in range(8))
    return (
        f"<!DOCTYPE html><html lang='zh-CN'><head><title>{title}</title>{head}</head><body><ul>{menu}</ul>"
        f"<div>{body}</div><div>版权所有 © 样城日报 ICP备00000000号</div></body></html>"
    ).encode()


def record(
    body: bytes, *, kind: str = "response", url: str = "http://www.example.com/1", status: str = "200 OK",
    mime: str = "text/html", headers: str = "", number: int = 1,
) -> bytes:  # fmt: skip
    """One WARC record; a response gets an HTTP header."""
    if kind == "response":
        body = f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n{headers}\r\n".encode() + body
        mime = "application/http; msgtype=response"
    lines = (
        "WARC/1.0", f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "WARC-Date: 2021-05-06T07:08:09Z",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>", f"Content-Type: {mime}",
        f"Content-Length: {len(body)}",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def gzipped(records: Iterable[bytes]) -> bytes:
    """A gzip member for each record, as Common Crawl has them."""
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def golden(path: Path) -> str:
    """A golden file's text."""
    return path.read_text("utf-8")
