"""A worker's memory does not grow with the archive that it reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.collect.kit import ARTICLE, page, record

#: Resident memory at a tenth of the archive and at its end, in a process of its own.
READ = """
import sys
from mdfs.collect import stage, streams
from mdfs.recipe import Collect
from mdfs.stage import Job, Unit
from mdfs.storage import Store
from mdfs.recipe import Recipe

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

path, out, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
take, seen = stage._Output.take, []
def watched(self, outcome):
    take(self, outcome)
    watched.count += 1
    if watched.count in (size // 10, size):
        seen.append(resident())
watched.count = 0
stage._Output.take = watched
data = {"uri": path, "source": "s", "path": "a.warc", "size": 1, "reader": "", "fields": {}}
stage.work(Job("collect", Store(out), Recipe("r")), Unit("u", data))
print(*seen)
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_is_flat_over_a_gigabyte(tmp_path: Path) -> None:
    one = record(page([f"第{i}段。{ARTICLE[i % 2]}" for i in range(400)]))
    count = (1 << 30) // len(one)
    with (tmp_path / "a.warc").open("wb") as file:
        for _ in range(count):
            file.write(one)
    command = [sys.executable, "-c", READ, str(tmp_path / "a.warc"), str(tmp_path / "out"), str(count)]
    early, late = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    print(f"{count} pages, 1 GiB: {early / 1024:.0f} MiB after a tenth, {late / 1024:.0f} MiB at the end")
    assert late < early + 64 * 1024
