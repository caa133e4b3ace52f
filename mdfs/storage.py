"""Files, wherever they are: a local folder or any store that `pyarrow.fs` reaches (s3, gs, hdfs).

Everything that a run writes goes through `Store.create`: under a temporary name, then put in place at once, so that a
file that is there is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import posixpath
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from pyarrow import fs

from mdfs import objectstore
from mdfs.errors import RunError, UsageError

#: Part of the name of every file that is not whole yet; `Store.sweep` removes what a killed run left.
TEMPORARY = ".tmp-"

_ENDINGS = r"(?i)\.(gz|zst|bz2|lz4|xz|warc|wet|wat|arc|jsonl|json|ndjson|parquet|csv|tsv|txt|dat|xml|epub)$"


@dataclass(frozen=True)
class Written:
    """A file put in place: `path` relative to its store, its length in bytes and the SHA-256 of its content."""

    path: str
    bytes: int
    sha256: str


class Store:
    """A folder that a run reads and writes, by `/`-separated paths relative to it. Picklable."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @functools.cached_property
    def _located(self) -> tuple[fs.FileSystem, str]:
        return locate(self.uri)

    def __getstate__(self) -> dict[str, str]:
        return {"uri": self.uri}

    @property
    def filesystem(self) -> fs.FileSystem:
        """The pyarrow filesystem that holds the folder."""
        return self._located[0]

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a disk of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def full(self, path: str) -> str:
        """The path inside the filesystem (no scheme)."""
        _safe(path)
        return posixpath.join(self._located[1], path) if path else self._located[1]

    def spark_uri(self, path: str) -> str:
        """The path as an engine's session reads it."""
        return self.full(path) if self.is_local else join(self.uri, path).partition("?")[0]

    def exists(self, path: str = "") -> bool:
        """Whether a file or folder stands there."""
        return bool(self.filesystem.get_file_info(self.full(path)).type != fs.FileType.NotFound)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading, seekable."""
        return cast(BinaryIO, self.filesystem.open_input_file(self.full(path)))

    def read_bytes(self, path: str) -> bytes:
        """The whole content of a (small) file."""
        with self.filesystem.open_input_stream(self.full(path), compression=None) as stream:
            return bytes(stream.read())

    def read_json(self, path: str) -> Any:
        """A JSON file's content.

        Raises:
            RunError: the file is not JSON.
        """
        try:
            return json.loads(self.read_bytes(path))
        except ValueError as error:
            where = f"{self.uri}/{path}"
            raise RunError(f"{where} is not JSON ({error}); restore it or run again into a new folder") from None

    def list(self, folder: str) -> list[str]:
        """Paths of all files under a folder, at any depth, sorted; empty where there is no such folder."""
        selector = fs.FileSelector(self.full(folder), allow_not_found=True, recursive=True)
        root = self._located[1].rstrip("/") + "/"
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.path.removeprefix(root) for info in infos if info.type == fs.FileType.File)

    def delete(self, path: str) -> None:
        """Remove a file; no error where it is gone already."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self.full(path))

    def delete_folder(self, folder: str) -> None:
        """Remove a folder and all in it; no error where it is gone already."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_dir(self.full(folder))

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[Sink]:
        """Write a file that appears whole or not at all.

        On a disk: under a temporary name, flushed, then renamed. An object store shows an object only when its upload
        is complete, and there an upload that fails is deleted.
        """
        final = self.full(path)
        staged = posixpath.join(posixpath.dirname(final), f"{TEMPORARY}{uuid.uuid4().hex}") if self.is_local else final
        if self.is_local:
            os.makedirs(posixpath.dirname(final), exist_ok=True)
        sink = Sink(path, self.filesystem.open_output_stream(staged, compression=None))
        try:
            yield sink
            sink.close()
        except BaseException:
            with contextlib.suppress(OSError):
                sink.abandon()
                self.filesystem.delete_file(staged)
            raise
        if self.is_local:
            os.replace(staged, final)

    def write_bytes(self, path: str, content: bytes) -> Written:
        """Put a small file in place."""
        with self.create(path) as sink:
            sink.write(content)
        return sink.written()

    def write_json(self, path: str, value: Any) -> Written:
        """Put a JSON file in place: UTF-8, indented, keys in the order given."""
        return self.write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())

    def sweep(self, folder: str, keep: set[str]) -> None:
        """Remove every file under `folder` that is not named in `keep`: what a killed or an older run left there."""
        for path in self.list(folder):
            if path not in keep:
                self.delete(path)

    def sweep_temporary(self) -> None:
        """Remove the files that a killed run had begun and not put in place."""
        if self.is_local:
            for path in self.list(""):
                if posixpath.basename(path).startswith(TEMPORARY):
                    self.delete(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of a local folder meanwhile; the lock goes with the process, however it ends.

        Raises:
            UsageError: another run is at work there, or the folder cannot be written.
        """
        if not self.is_local:
            yield
            return
        path = self.full("ledger/lock")
        try:
            os.makedirs(posixpath.dirname(path), exist_ok=True)
            lock = open(path, "w")  # noqa: SIM115  (closed below; an error inside the block is not one of opening)
        except OSError as error:
            raise UsageError(f"{self.uri}: cannot be written ({error.strerror}); choose another --output") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                hint = "wait for it or choose another --output"
                raise UsageError(f"{self.uri}: another run is writing there; {hint}") from None
            yield


class Sink:
    """A file in the making: counts and hashes what goes through. Parquet and JSON writers write into it."""

    def __init__(self, path: str, stream: Any) -> None:
        self.path = path
        self._stream = stream
        self._bytes = 0
        self._hash = hashlib.sha256()
        self.closed = False
        self.mode = "wb"

    def write(self, data: Any) -> int:
        """Append bytes."""
        self._stream.write(data)
        self._hash.update(data)
        length = memoryview(data).nbytes
        self._bytes += length
        return length

    def tell(self) -> int:
        """Bytes written so far."""
        return self._bytes

    def flush(self) -> None:
        """Hand buffered bytes to the filesystem."""
        self._stream.flush()

    def close(self) -> None:
        """Finish the file."""
        if not self.closed:
            self.closed = True
            self._stream.close()

    def abandon(self) -> None:
        """Close without a claim that the file is whole."""
        self.close()

    def readable(self) -> bool:
        """Never: a sink is written only."""
        return False

    def writable(self) -> bool:
        """Always, until closed."""
        return not self.closed

    def seekable(self) -> bool:
        """Never."""
        return False

    def written(self) -> Written:
        """Path, length and digest of the finished file."""
        return Written(self.path, self._bytes, self._hash.hexdigest())


@dataclass(frozen=True)
class InputFile:
    """A file to be collected.

    Attributes:
        uri: where it lies.
        source: name of its documents' source.
        path: its path relative to the input that named it (the file's own name where the input is the file).
        size: bytes. `stamp`: changes when the file is replaced (modification time in ns; never part of any output).
        input: base name of the input that named it; recipes match `<input>/<path>`.
    """

    uri: str
    source: str
    path: str
    size: int
    stamp: int
    input: str


def locate(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem and the path inside it that a URI or a local path means.

    Raises:
        UsageError: a scheme that pyarrow does not know or cannot reach.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
    if objectstore.is_s3(uri):
        return objectstore.s3(uri)
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (ValueError, OSError, ImportError) as error:
        raise UsageError(f"{uri}: cannot be reached ({error}); use a path, file://, s3://, gs:// or hdfs://") from None
    return filesystem, path.rstrip("/")


def join(uri: str, path: str) -> str:
    """The URI of a file under the folder that `uri` means; what follows `?` stays at the end."""
    head, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.join(head, path) + mark + query if path else uri


def glob_match(path: str, pattern: str) -> bool:
    """Whether a `/`-separated path fits a glob; `*` and `?` stay inside a folder, `**` crosses folders."""
    return re.fullmatch(_glob_regex(pattern), path) is not None


@functools.lru_cache(maxsize=256)
def _glob_regex(pattern: str) -> str:
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and "]" in pattern[i + 2 :]:
            end = pattern.index("]", i + 2)
            members = pattern[i + 1 : end]
            negated = "^" if members[0] in "!^" else ""
            out, i = out + f"[{negated}{re.escape(members.lstrip('!^'))}]".replace(r"\-", "-"), end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return out


def base_name(uri: str) -> str:
    """What an input is called: its last name, without the endings that say only how a file is stored."""
    bare = uri.partition("?")[0] if "://" in uri else uri
    name = posixpath.basename(bare.rstrip("/")) or "input"
    while (shorter := re.sub(_ENDINGS, "", name)) not in (name, ""):
        name = shorter
    return name


def find_inputs(uris: list[str]) -> list[tuple[str, str, str, fs.FileInfo]]:
    """All files that inputs mean, as (URI, base name of the input, path inside it, file information), sorted.

    An input is a file, a folder (all files in it, hidden ones left out) or a glob.

    Raises:
        UsageError: an input that means no file.
    """
    found: list[tuple[str, str, str, fs.FileInfo]] = []
    for uri in uris:
        matches = list(_expand(uri))
        if not matches:
            raise UsageError(f"input {uri}: no such file, no file in that folder, or nothing fits the glob; check it")
        found += matches
    return sorted(found, key=lambda item: item[:3])


def _expand(uri: str) -> Iterator[tuple[str, str, str, fs.FileInfo]]:
    filesystem, path = locate(uri)
    scheme = uri[: uri.index("://") + 3] if "://" in uri else ""
    query = "?" + uri.partition("?")[2] if objectstore.is_s3(uri) and "?" in uri else ""
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.File:
        yield scheme + info.path + query, base_name(path), posixpath.basename(path), info
    elif info.type == fs.FileType.Directory:
        for inside, item in _files(filesystem, path):
            yield scheme + item.path + query, base_name(path), inside, item
    elif re.search(r"[*?\[]", path):
        root = re.split(r"[*?\[]", path, maxsplit=1)[0].rpartition("/")[0]
        for inside, item in _files(filesystem, root):
            if glob_match(item.path, path):
                yield scheme + item.path + query, base_name(root), inside, item


def _files(filesystem: fs.FileSystem, root: str) -> Iterator[tuple[str, fs.FileInfo]]:
    selector = fs.FileSelector(root or "/", recursive=True, allow_not_found=True)
    for info in filesystem.get_file_info(selector):
        inside = info.path[len(root) :].lstrip("/")
        hidden = any(part.startswith((".", "_")) for part in inside.split("/"))
        if info.type == fs.FileType.File and not hidden:
            yield inside, info


def _safe(path: str) -> None:
    """Paths come from our own code, yet names in them come from inputs: nothing may leave the folder."""
    if path.startswith("/") or ".." in path.split("/"):
        raise RunError(f"path {path!r} would leave the folder")
