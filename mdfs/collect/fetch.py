"""Byte ranges of files that lie far away: over http(s), and wherever `pyarrow.fs` reaches.

A range is asked for until it comes whole: what a server says when it is busy (429, 5xx), a time-out, a broken
connection, a short body or another range than asked cost a pause and another try. Common Crawl serves a few thousand
requests a second to all the world and asks its readers to slow down at every 4xx and 5xx
(https://status.commoncrawl.org); hence the exponential pauses, the `Retry-After` that is honoured, and the `User-Agent`
that says who asks.
"""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import io
import posixpath
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from mdfs import __version__
from mdfs.errors import RunError, UsageError
from mdfs.storage import locate

#: Requests that one worker has under way at once. The first byte takes 0.1 to 0.2 s (Amazon's S3 performance guide), in
#: which a page of 20 kB could have come many times. Eight give 40 to 80 requests a second, which is what a worker that
#: takes 5 to 10 ms a page can use; 20 workers are then 1,000 to 1,600 of the few thousand that Common Crawl can serve.
CONNECTIONS = 8
#: Bytes taken from a connection at once, and of an error's text that are looked at.
_CHUNK = 1 << 16

T = TypeVar("T")
R = TypeVar("R")


class MissingError(Exception):
    """There is no such file, or nobody may read it."""


class AgainError(Exception):
    """What may go better next time; `after`: seconds that the server asks to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


@dataclass(frozen=True)
class Policy:
    """How patient to be.

    Attributes:
        attempts: tries of one range. `first_delay`: seconds before the second; doubled each time up to `longest_delay`.
        timeout: seconds without a byte after which a connection counts as lost.
        total: seconds after which a range is given up, pauses included. Eight tries with these pauses take a minute.
    """

    attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 30.0
    timeout: float = 60.0
    total: float = 600.0

    def delay(self, attempt: int, key: str) -> float:
        """Seconds before try `attempt` + 1: half to all of the doubled delay, spread by a hash so that workers part."""
        hashed = hashlib.blake2b(f"{key}:{attempt}".encode(), digest_size=4).digest()
        spread = 0.5 + int.from_bytes(hashed, "little") / (1 << 33)
        return min(self.longest_delay, self.first_delay * float(2**attempt)) * spread


class Transport(Protocol):
    """One try at a range of a file below a root.

    Raises MissingError where there is no such file, AgainError where another try may help, RunError where none will.
    """

    def get(self, path: str, offset: int, length: int) -> bytes:
        """The bytes; fewer only where the file ends."""

    def size(self, path: str) -> int:
        """The file's length in bytes."""


class Root:
    """A folder, bucket or web server whose files are read by range. Counts what it reads. For many threads."""

    def __init__(self, uri: str, policy: Policy | None = None) -> None:
        self.uri, self.policy = uri, policy or Policy()
        web = uri.startswith(("http://", "https://"))
        self._transport: Transport = _Web(uri, self.policy.timeout, self.policy.total) if web else _Files(uri)
        self._lock = threading.Lock()
        self.requests = self.bytes = 0

    def read(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the file ends.

        Raises:
            MissingError: there is no such file.
            RunError: the storage did not answer as it should, after all tries.
        """
        data = self._patiently(f"{path} at {offset}", lambda: self._transport.get(path, offset, length))
        with self._lock:
            self.requests += 1
            self.bytes += len(data)
        return data

    def size(self, path: str) -> int:
        """The file's length in bytes; raises what `read` raises."""
        return self._patiently(path, lambda: self._transport.size(path))

    def open(self, path: str) -> RangedFile:
        """The file as one that can be sought in and read."""
        return RangedFile(self, path)

    def _patiently(self, what: str, ask: Callable[[], T]) -> T:
        end = time.monotonic() + self.policy.total
        for attempt in range(self.policy.attempts):
            try:
                return ask()
            except AgainError as error:
                wait = max(error.after, self.policy.delay(attempt, what))
                if attempt + 1 == self.policy.attempts or time.monotonic() + wait > end:
                    raise RunError(
                        f"{self.uri}: {what} cannot be read after {attempt + 1} tries ({error}); start the same command"
                        " again when the storage answers, with fewer --workers if it is busy"
                    ) from error
                time.sleep(wait)
        raise AssertionError("a policy has at least one attempt")


class RangedFile(io.RawIOBase):
    """A file under a `Root`, read range by range as it is asked for; what Parquet's reader needs and no more."""

    def __init__(self, root: Root, path: str) -> None:
        super().__init__()
        self._root, self._path, self._at = root, path, 0
        self.length = root.size(path)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to an offset in bytes."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next `size` bytes, fewer only at the end of the file.

        Raises:
            RunError: the file changed or went away meanwhile, or the storage does not answer.
        """
        left = max(0, self.length - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        try:
            data = self._root.read(self._path, self._at, wanted)
        except MissingError as error:
            raise RunError(f"{self._root.uri}: {self._path} went away while it was read; run again") from error
        if len(data) < wanted:
            raise RunError(f"{self._root.uri}: {self._path} became shorter while it was read; run again")
        self._at += wanted
        return data


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int = CONNECTIONS) -> Iterator[R]:
    """`function` of each item, in order, at most `threads` of them under way or waiting to be taken."""
    under_way: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                if len(under_way) >= threads:
                    yield under_way.popleft().result()
                under_way.append(pool.submit(function, item))
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Files:
    """What `pyarrow.fs` reaches. Files read last stay open: opening one costs a request on an object store."""

    def __init__(self, uri: str) -> None:
        self._filesystem, self._base = locate(uri)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Any, int]] = {}

    def get(self, path: str, offset: int, length: int) -> bytes:
        def ask() -> bytes:
            handle, size = self._handle(path)
            wanted = min(length, max(0, size - offset))
            data = bytes(handle.read_at(wanted, offset)) if wanted else b""
            if len(data) < wanted:
                raise AgainError(f"{len(data)} of {wanted} bytes came")
            return data

        return self._told(path, ask)

    def size(self, path: str) -> int:
        return self._told(path, lambda: self._handle(path)[1])

    def _handle(self, path: str) -> tuple[Any, int]:
        """The open file and its length. Two threads may open one file at once; the later one stays."""
        with self._lock:
            found = self._open.get(path)
        if found is None:
            handle = self._filesystem.open_input_file(posixpath.join(self._base, path))
            found = handle, int(handle.size())
            with self._lock:
                self._open[path] = found
                while len(self._open) > CONNECTIONS:
                    del self._open[next(iter(self._open))]
        return found

    def _told(self, path: str, ask: Callable[[], T]) -> T:
        """Errors by what follows from them. S3 says 403 for a file that is not there where it shows no listing."""
        try:
            return ask()
        except FileNotFoundError as error:
            raise MissingError(str(error)) from error
        except OSError as error:
            with self._lock:
                self._open.pop(path, None)
            if "ACCESS_DENIED" in str(error):
                raise MissingError(str(error)) from error
            raise AgainError(" ".join(str(error).split())[:300]) from error


class _Web:
    """A web server that serves ranges; each thread keeps a connection of its own."""

    def __init__(self, uri: str, timeout: float, total: float) -> None:
        parts = urlsplit(uri)
        if not parts.hostname or parts.query or parts.username:
            raise UsageError(f"{uri}: must be a server and a folder, as https://data.commoncrawl.org/folder")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._timeout, self._total = timeout, total
        self._own = threading.local()

    def get(self, path: str, offset: int, length: int) -> bytes:
        return self._range(path, offset, length)[0]

    def size(self, path: str) -> int:
        return self._range(path, 0, 1)[1]

    def _range(self, path: str, offset: int, length: int) -> tuple[bytes, int]:
        """The bytes, and the length of the whole file."""
        last = offset + length - 1
        headers = {"Range": f"bytes={offset}-{last}", "User-Agent": f"mdfs/{__version__}"}
        connection = self._connection()
        whole = False
        try:
            connection.request("GET", quote(f"{self._base}/{path}"), headers=headers)
            response = connection.getresponse()
            if response.status != 206:
                return self._without(path, response, connection)
            start, end, size = _content_range(response)
            wanted = min(last, size - 1)
            if (start, end) != (offset, wanted):
                raise AgainError(f"bytes {start}-{end} came in place of {offset}-{wanted}")
            body = self._body(response, wanted - offset + 1)
            whole = not response.will_close
            return body, size
        except (OSError, http.client.HTTPException) as error:
            raise AgainError(f"{type(error).__name__}: {error}") from error
        finally:
            if not whole:  # what is left of an answer would be taken for the beginning of the next
                connection.close()

    def _body(self, response: http.client.HTTPResponse, wanted: int) -> bytes:
        """The body, piece by piece, so that a server that gives a byte a minute does not hold the worker for ever."""
        end, body = time.monotonic() + self._total, bytearray()
        while len(body) < wanted and (piece := response.read1(min(_CHUNK, wanted - len(body)))):
            body += piece
            if time.monotonic() > end:
                raise AgainError(f"{len(body)} of {wanted} bytes came in {self._total:.0f} s")
        if len(body) < wanted:
            raise AgainError(f"{len(body)} of {wanted} bytes came")
        if response.read(1):  # at the end, this frees the connection for the next request
            raise AgainError(f"more than the {wanted} bytes that were asked for came")
        return bytes(body)

    def _without(
        self, path: str, response: http.client.HTTPResponse, connection: http.client.HTTPConnection
    ) -> tuple[bytes, int]:
        """What follows from an answer that is no range: nothing where the file ends before it, else an error."""
        status = response.status
        said = response.read(_CHUNK)
        connection.close()
        if status == 416:
            return b"", int((response.getheader("Content-Range") or "*/0").rpartition("/")[2] or 0)
        if status in (404, 410) or (status == 403 and re.search(rb"<Code>(?:AccessDenied|NoSuchKey)<", said)):
            raise MissingError(f"{status} for {path}")
        # 403 without S3's words is how a rate limit in front of the storage speaks: a pause helps, a lost record not.
        if status in (403, 408, 425, 429) or status >= 500:
            raise AgainError(f"the server says {status}", _retry_after(response.getheader("Retry-After") or ""))
        if status == 200:
            raise RunError(f"{self._host}: serves whole files only, no ranges; name another root in the recipe")
        moved = response.getheader("Location") or ""
        raise RunError(f"{path}: the server says {status} {moved}; name the right root in the recipe's [commoncrawl]")

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = self._kind(self._host, self._port, timeout=self._timeout)
        found: http.client.HTTPConnection = self._own.connection
        return found


def _content_range(response: http.client.HTTPResponse) -> tuple[int, int, int]:
    """First and last byte and the whole length, from a header as `bytes 0-99/1234`."""
    said = response.getheader("Content-Range") or ""
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", said.strip())
    if not found:
        raise AgainError(f"Content-Range is {said[:60]!r}")
    start, end, size = (int(number) for number in found.groups())
    return start, end, size


def _retry_after(said: str) -> float:
    """Seconds that a server asks to wait, as a number or a date; at most 5 minutes, 0 where it says nothing."""
    if re.fullmatch(r"\d{1,9}", said.strip()):
        return min(300.0, float(said))
    try:
        moment = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(300.0, max(0.0, (moment - datetime.now(UTC)).total_seconds()))
