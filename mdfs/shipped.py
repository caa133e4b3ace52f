"""Files that come with mdfs (models, tokenizer), as real files even where mdfs itself is imported from a zip."""

from __future__ import annotations

import functools
import tempfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path


@functools.cache
def folder(name: str) -> Path | None:
    """The folder `name` (as `classify/artifacts/starter`) inside the package, or None where there is none.

    spark-submit ships mdfs as a zip, and model libraries read files: then the folder is unpacked, once a process, into
    a temporary folder that goes with the process.
    """
    entry: Traversable = resources.files("mdfs")
    for part in name.split("/"):
        entry = entry / part
    if isinstance(entry, Path):
        return entry if entry.is_dir() else None
    if not entry.is_dir():
        return None
    target = Path(_temporary().name) / name
    _unpack(entry, target)
    return target


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mdfs-")


def _unpack(entry: Traversable, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for child in entry.iterdir():
        if child.is_dir():
            _unpack(child, target / child.name)
        else:
            (target / child.name).write_bytes(child.read_bytes())
