"""How fast an archive becomes documents, beside datatrove's WarcReader with Trafilatura on the same file and cores.

    python tests/bench/collect_warc.py ARCHIVE [--processes N] [--copies N] [--venv FOLDER]

The archive is read from N files that hold it `--copies` times each, with a process a file. datatrove gets a virtual
environment of its own in a temporary folder (or the one in FOLDER, made if it is not there). Both are asked for the
same: main text of the pages, written as files. Start-up is counted for neither: it is measured on an archive without
pages and taken off. What is compared is the CPU time of all processes, so that a busy machine favours nobody; the time
on the clock stands beside it.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

DATATROVE = """
import subprocess, sys
from pathlib import Path
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import ParquetWriter
if __name__ == "__main__":
    folder, out, logs, n = sys.argv[1:5]
    if n != "1":  # its own pool hides the CPU time of its processes
        jobs = [subprocess.Popen([sys.executable, __file__, folder, f"{out}/{f.stem}", f"{logs}/{f.stem}", "1", f.name])
                for f in sorted(Path(folder).iterdir())]
        sys.exit(max(job.wait() for job in jobs))
    only = sys.argv[5] if len(sys.argv) > 5 else "*"
    LocalPipelineExecutor([WarcReader(folder, glob_pattern=only), Trafilatura(timeout=10), ParquetWriter(out)],
                          tasks=1, workers=1, logging_dir=logs).run()
"""
OURS = """
import sys
from mdfs.cli import main
if __name__ == "__main__":
    folder, out, logs, n = sys.argv[1:5]
    main(["run", "--recipe", "plain", "--input", folder, "--output", out, "--until", "collect", "--workers", n])
"""
COUNT = """
import sys, glob
import pyarrow.parquet as pq
print(sum(pq.ParquetFile(f).metadata.num_rows for f in glob.glob(sys.argv[1] + "/**/*.parquet", recursive=True)
          if "quarantine" not in f))
"""
#: A gzip member with a warcinfo record: an archive without a page.
EMPTY = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Record-ID: <urn:uuid:0>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\nContent-Length: 0\r\n\r\n\r\n\r\n"


def environment(folder: Path) -> Path:
    """The Python of an environment with datatrove."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        wanted = ["datatrove[io,processing]", "trafilatura", "lxml_html_clean"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def files(folder: Path, content: bytes, copies: int, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        with (folder / f"{number}.warc.gz").open("wb") as out:
            for _ in range(copies):
                out.write(content)
    return folder


class Cost(NamedTuple):
    """What a run took: CPU seconds of its processes, seconds on the clock, and what it gave."""

    cpu: float
    clock: float
    documents: int


def measured(python: Path | str, script: str, source: Path, work: Path, count: int) -> Cost:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "run.py").write_text(script)
    command = [str(python), str(work / "run.py"), str(source), str(work / "out"), str(work / "logs"), str(count)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    rows = subprocess.run([sys.executable, "-c", COUNT, str(work / "out")], capture_output=True, text=True, check=True)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(cpu, clock, int(rows.stdout))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("archive", type=Path)
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--copies", type=int, default=4)
    asked.add_argument("--venv", type=Path)
    said = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        theirs = environment(said.venv or base / "venv")
        count = said.processes
        full = files(base / "full", said.archive.read_bytes(), said.copies, count)
        empty = files(base / "empty", gzip.compress(EMPTY), 1, count)
        speeds = {}
        for name, python, script in (("mdfs", sys.executable, OURS), ("datatrove", theirs, DATATROVE)):
            start = measured(python, script, empty, base / "work", count)
            cost = measured(python, script, full, base / "work", count)
            speeds[name] = said.copies * count / max(1e-3, cost.cpu - start.cpu)
            print(
                f"{name:10} {cost.documents:6} documents  CPU {cost.cpu:6.1f} s, of which {start.cpu:.1f} s to start;"
                f"  clock {cost.clock:.1f} s, {start.clock:.1f} s",
                flush=True,
            )
        print(f"mdfs is {speeds['mdfs'] / speeds['datatrove']:.1f} times as fast")


if __name__ == "__main__":
    main()
