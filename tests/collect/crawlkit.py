"""A small Common Crawl made of the sample's archive: its columnar index, and servers that hold both."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecordType

from mdfs.collect.encoding import decode
from mdfs.ledger import Row
from mdfs.pool import Watcher
from mdfs.progress import Progress
from mdfs.recipe import Recipe
from mdfs.stage import Job, Run, Unit, Work
from mdfs.storage import Store, locate

CRAWL = "CC-MAIN-2021-31"
SAMPLE = Path(__file__).resolve().parents[1] / "sample" / "corpus" / "web.warc.gz"
#: As long as the names of a real crawl, and in two segments.
WARCS = [f"crawl-data/{CRAWL}/segments/162704615{i}.4/warc/CC-MAIN-20210723-0000{i}.warc.gz" for i in range(2)]
INDEX = pa.schema(
    [
        ("url_surtkey", pa.string()),
        ("url", pa.string()),
        ("url_host_name", pa.string()),
        ("fetch_time", pa.timestamp("ms")),
        ("fetch_status", pa.int16()),
        ("content_digest", pa.string()),
        ("content_mime_type", pa.string()),
        ("content_mime_detected", pa.string()),
        ("content_languages", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)


def build(root: Path, *, group: int = 40) -> list[dict]:
    """Write two archives (the sample's, twice) and the index of both under `root`; the rows of the index."""
    raw = SAMPLE.read_bytes()
    rows = []
    for name in WARCS:
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
        rows += [{**row, "warc_filename": name} for row in _rows(raw)]
    rows.sort(key=lambda row: (row["url_surtkey"], row["warc_filename"]))
    folder = root / "index" / f"crawl={CRAWL}" / "subset=warc"
    folder.mkdir(parents=True)
    names = [f"part-0000{number}-aaaa.c000.gz.parquet" for number in range(3)]
    for number, name in enumerate(names):
        some = rows[number * len(rows) // 3 : (number + 1) * len(rows) // 3]
        pq.write_table(pa.Table.from_pylist(some, INDEX), folder / name, compression="gzip", row_group_size=group)
    listed = "".join(f"index/crawl={CRAWL}/subset={s}/{n}\n" for s in ("robotstxt", "warc") for n in names)
    (root / f"crawl-data/{CRAWL}/cc-index-table.paths.gz").write_bytes(gzip.compress(listed.encode()))
    return rows


def _rows(raw: bytes) -> list[dict]:
    found, starts = [], []
    for record in ArchiveIterator(io.BytesIO(raw), parse_http=True):
        starts.append(record.stream_pos)
        if record.record_type != WarcRecordType.response:
            continue
        body = decode(record.reader.read(), record.http_charset)[0] if record.http_content_type == "text/html" else ""
        url = record.headers["WARC-Target-URI"]
        found.append(
            {
                "url_surtkey": surt(url),
                "url": url,
                "fetch_status": record.http_headers.status_code,
                "content_digest": record.headers.get("WARC-Payload-Digest"),
                "content_mime_type": record.http_content_type,
                "content_mime_detected": record.http_content_type,
                "content_languages": language(body) if record.http_content_type == "text/html" else None,
                "warc_record_offset": record.stream_pos,
            }
        )
    starts.append(len(raw))
    for row in found:
        row["warc_record_length"] = starts[starts.index(row["warc_record_offset"]) + 1] - row["warc_record_offset"]
    return found


def surt(url: str) -> str:
    """The key by which the index is sorted."""
    host, _, path = url.partition("://")[2].partition("/")
    return ",".join(reversed(re.sub(r"^www\d*\.", "", host).split("."))) + ")/" + path


def language(page: str) -> str:
    """Codes as CLD2 gives them, guessed from the letters of a page."""
    text = re.sub(r"<[^>]*>", "", page)
    counts = Counter("kana" if "\u3040" <= c <= "\u30ff" else "han" if "\u4e00" <= c <= "\u9fff" else "" for c in text)
    if counts["kana"] > 20:
        return "jpn"
    if counts["han"] > 50:
        return "zho,eng" if len(re.findall(r"[a-z]{4,}", text)) > 10 else "zho"
    return "eng"


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """moto's S3 server in a process of its own; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _await(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _await(address: str, process: subprocess.Popen) -> None:
    for _ in range(200):
        assert process.poll() is None, "the S3 server ended; is moto[server] installed?"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/", timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError("the S3 server does not answer")


class Server(ThreadingHTTPServer):
    """Serves a folder by ranges and misbehaves where `faults` says so: path → what the next answers are."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.faults: dict[str, list[object]] = {}
        self.asked: list[tuple[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that the other side gave up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
        pass

    def do_GET(self) -> None:
        self.server.connections.add(self.client_address)
        path = self.path.lstrip("/")
        self.server.asked.append((path, self.headers.get("Range", "")))
        waiting = self.server.faults.get(path, [])
        fault = waiting.pop(0) if waiting else None
        if callable(fault):
            fault(self)
        elif isinstance(fault, int):
            self.answer(fault)
        else:
            self._range(path)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _range(self, path: str) -> None:
        file = self.server.folder / urllib.parse.unquote(path)
        if not file.is_file():
            self.answer(404, b"no such file")
            return
        size = file.stat().st_size
        first, last = (int(n) for n in re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        if first >= size:
            self.answer(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        with file.open("rb") as handle:
            handle.seek(first)
            body = handle.read(last - first + 1)
        self.answer(206, body, {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{size}"})


def s3_environment(address: str) -> dict[str, str]:
    """What a user sets to reach an S3 server of their own."""
    return {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


def upload(folder: Path, bucket: str) -> None:
    """Copy a folder into a new bucket of the server that the environment names."""
    filesystem, _ = locate(f"s3://{bucket}?allow_bucket_creation=true")
    filesystem.create_dir(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = f"{bucket}/{path.relative_to(folder).as_posix()}"
            with filesystem.open_output_stream(name, compression=None) as sink:
                sink.write(path.read_bytes())


class Inline:
    """An engine that does units here and now, and fails at the unit number `fails_at`."""

    name = "inline"

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.done: list[Row] = []

    def map(
        self, work: Work, job: Job, units: Sequence[Unit], *, isolated: bool, gpu: bool, bar: Watcher
    ) -> Iterator[Row]:
        for unit in units:
            if job.stage == "collect" and len(self.done) == self.fails_at:
                raise KeyboardInterrupt
            row = work(job, unit)
            if job.stage == "collect":
                self.done.append(row)
            yield row


def inline(out: Path, recipe: Recipe, engine: Inline | None = None) -> Run:
    """A run over `out` that does its units here."""
    return Run(Store(str(out)), recipe, engine or Inline(), Progress(quiet=True))


def documents(out: Path) -> dict[str, dict]:
    """All collected documents by id."""
    found: dict[str, dict] = {}
    for path in sorted((out / "collect").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            assert row["doc_id"] not in found
            found[row["doc_id"]] = row
    return found
