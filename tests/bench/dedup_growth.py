"""How time and memory of finding copies grow with the corpus: candidates, verification, components, keepers, duplicates.

Usage: python tests/bench/dedup_growth.py [--docs 1,2,5,10] [--memory 4GB] [--engine local|sail|spark] [--folder DIR]

Each size (millions of documents) is made by `tests/dedup/made_signatures.py`, signatures and no texts, a fifth of them
copies, hot buckets included, and done in a process of its own. Pairs are verified by signature. Figures: CPU seconds of
the driver and its workers, seconds by the clock, and the peak of their resident memory together, looked at ten times a
second (pages that processes share, of Python and its libraries, are counted in each, so it is too high if anything).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "dedup")]

import made_signatures  # noqa: E402

from mdfs import engine  # noqa: E402
from mdfs.dedup import stage  # noqa: E402
from mdfs.ledger import total  # noqa: E402
from mdfs.memory import parse  # noqa: E402
from mdfs.progress import Progress  # noqa: E402
from mdfs.recipe import Dedup, MinHash, Recipe  # noqa: E402
from mdfs.stage import Run  # noqa: E402
from mdfs.storage import Store  # noqa: E402

DEDUP = Dedup(minhash=MinHash(verify="signature"))


class Peak(threading.Thread):
    """Watches the resident memory of this process and all that come from it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0

    def run(self) -> None:
        while True:
            self.bytes = max(self.bytes, sum(map(resident, family(os.getpid()))))
            time.sleep(0.1)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def cpu() -> float:
    """CPU seconds of this process and the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(docs: int, memory: int, name: str, folder: str) -> dict[str, object]:
    """The figures for one size, in this process."""
    store = Store(folder)
    parts = made_signatures.write(store, made_signatures.crawl(docs), DEDUP)
    worker = engine.create("local" if name == "sail" else name, workers=2)
    if name == "sail":
        worker.workers = 0
    peak, begun, before = Peak(), time.monotonic(), cpu()
    peak.start()
    run = Run(store, Recipe("bench", dedup=DEDUP), worker, Progress(quiet=True), memory=memory)
    stage.compare(run, "bench", parts)
    seconds = {step: total(run.ledger.rows(step).values(), step).seconds for step in (*stage.STEPS, "dedup-verify")}
    run.map("dedup", stage.work, stage.final_units(parts, "bench"), ("dedup/duplicates",))
    found = total(run.ledger.rows("dedup").values(), "dedup")
    verified = total(run.ledger.rows("dedup-verify").values(), "dedup-verify").docs_in
    hot = run.ledger.rows("dedup-pairs")["all"].facts
    wall = time.monotonic() - begun
    worker.close()
    return {
        "million_docs": docs / 1e6, "cpu_s": round(cpu() - before, 1), "wall_s": round(wall, 1),
        "peak_gb": round(peak.bytes / 1e9, 2), "pairs": verified, "removed": found.docs_dropped,
        "hot_buckets": hot["buckets"], "workers_s": {step: round(value, 1) for step, value in seconds.items() if value},
    }  # fmt: skip


def main() -> None:
    """Print a line of JSON a size, and the growth from the first to the last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--docs", default="1,2,5,10")
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--engine", default="local", choices=["local", "sail", "spark"])
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--one", type=int)
    said = parser.parse_args()
    folder = os.path.join(said.folder, "mdfs-dedup-growth")
    if said.one:
        print(json.dumps(measure(said.one, parse(said.memory), said.engine, folder)))
        return
    rows = []
    for size in said.docs.split(","):
        shutil.rmtree(folder, ignore_errors=True)
        one = ["--one", str(round(float(size) * 1e6)), "--memory", said.memory, "--engine", said.engine]
        command = [sys.executable, __file__, *one, "--folder", said.folder]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(json.dumps(rows[-1]), flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    growth = {
        f"x_{key}": round(rows[-1][key] / rows[0][key], 2) for key in ("million_docs", "cpu_s", "wall_s", "peak_gb")
    }
    print(json.dumps({"growth": growth}))


if __name__ == "__main__":
    main()
