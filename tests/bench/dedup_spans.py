"""What it costs to compare parts of texts: `[dedup.lines]`, `[dedup.substring]` and `[dedup.containment]`.

Usage: python tests/bench/dedup_spans.py [--mb 50,200] [--workers 1] [--engine local|sail] [--kinds lines,substring,…]

Each kind is done alone, in a process of its own, over made pages of 1,000 Chinese characters in lines of 50: a site's
menu on each, a passage of 200 characters that others have on three in ten, so that 5% of the text repeats (7% in C4 by Lee
et al. 2022, table 2), and for containment a twentieth stand inside another page. Figures:
MB of text for each CPU second of the driver and its workers (start and compiled code included, so larger is truer),
bytes of rows that were sorted or shuffled as a share of the text, the peak of resident memory of all processes together
(as in dedup_growth.py), and what was found, which the script checks against what was planted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "dedup"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from dedup_corpus import KEPT, doc  # noqa: E402
from dedup_growth import Peak  # noqa: E402

from mdfs import engine  # noqa: E402
from mdfs.dedup import stage  # noqa: E402
from mdfs.ledger import Ledger, Row  # noqa: E402
from mdfs.memory import parse  # noqa: E402
from mdfs.parts import PartWriter  # noqa: E402
from mdfs.progress import Progress  # noqa: E402
from mdfs.recipe import Containment, Dedup, Lines, Recipe, Substring  # noqa: E402
from mdfs.stage import Run  # noqa: E402
from mdfs.storage import Store  # noqa: E402

KINDS = {
    "lines": Dedup(lines=Lines()),
    "substring": Dedup(substring=Substring()),
    "substring, counted": Dedup(substring=Substring(action="count")),
    "containment": Dedup(containment=Containment()),
}
PART_DOCS = 10_000


def han(draw: np.random.Generator, count: int) -> str:
    """Characters about as frequent as in Chinese: the n-th most frequent as 1 / n."""
    places = (3_000 ** draw.random(count)).astype(np.uint32)
    return bytes((places + 0x4E00).astype("<u4")).decode("utf-32-le")


def lines(text: str) -> str:
    """A text in lines of 50 characters."""
    return "。\n".join(text[i : i + 50] for i in range(0, len(text), 50))


def write(folder: str, megabytes: int, inside: bool) -> tuple[int, dict[str, int]]:
    """Part files as rules leave them; bytes of text and what was planted."""
    draw, store, size, number = np.random.default_rng(1), Store(folder), 0, 0
    menus = [han(draw, 30) for _ in range(300)]
    passages = [lines(han(draw, 200)) for _ in range(2_000)]
    planted = {"menus": 0, "passages": 0, "inside": 0}
    while size < megabytes * 1_000_000:
        rows, last = [], ""
        for i in range(PART_DOCS):
            site, kind = int(draw.integers(300)), draw.random()
            body = lines(han(draw, 900 if kind < 0.3 else 1_100))
            if kind < 0.3:
                at = body.index("\n", len(body) // 2) + 1
                body = body[:at] + passages[int(draw.integers(2_000))] + "\n" + body[at:]
                planted["passages"] += 1
            elif inside and kind < 0.35 and last:
                body, last = last[last.index("\n") + 1 : last.rindex("\n")], ""
                planted["inside"] += 1
            else:
                last = body
            planted["menus"] += 1
            text = f"{menus[site]}\n{body}"
            size += len(text.encode())
            rows.append(doc(f"{number}-{i}", text, url=f"http://site{site}.cn/{number}/{i}"))
        with PartWriter(store, f"rules/kept/part-{number:05d}.parquet", KEPT, kind="kept") as part:
            part.write(pa.RecordBatch.from_pylist(rows, schema=KEPT))
        row = Row("rules", f"part-{number:05d}", files=part.files, docs_in=len(rows), docs_out=len(rows))
        Ledger(store).commit(row)
        number += 1
    return size, planted


class Sail:
    """Units by the local pool, the rest by the plans that run on Spark."""

    name, workers = "sail", 0

    def __init__(self, inner: engine.Engine) -> None:
        self.map, self.session, self.functions, self.window = inner.map, inner.session, inner.functions, inner.window


def measure(folder: str, kind: str, engine_name: str, workers: int, memory: str) -> dict[str, float]:
    """Do one kind; what it took."""
    local = engine.create("local", workers)
    run = Run(Store(folder), Recipe(name="bench", dedup=KINDS[kind]), local, Progress(quiet=True))
    if engine_name == "sail":
        run.engine = Sail(local)  # type: ignore[assignment]
    run.memory = parse(memory)
    deleted: dict[str, int] = {}
    inner = Store.delete_folder

    def delete(store: Store, path: str) -> None:
        for name in store.list(path):
            if name.endswith(".parquet"):
                deleted[name] = (Path(folder) / name).stat().st_size
        inner(store, path)

    Store.delete_folder = delete  # type: ignore[method-assign]
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    stage.run(run)
    seconds = time.perf_counter() - start
    local.close()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    facts: dict[str, int] = {}
    for step in ("dedup-line-cuts", "dedup-passage-cuts"):
        for row in Ledger(run.store).rows(step).values():
            for name, value in row.facts.items():
                facts[name] = facts.get(name, 0) + value
    gone = sum(row.docs_dropped for row in Ledger(run.store).rows("dedup").values())
    cpu = sum(entry.ru_utime + entry.ru_stime for entry in used)
    return {"cpu": cpu, "wall": seconds, "peak": peak.bytes, "rows": sum(deleted.values()), "gone": gone, **facts}


def check(kind: str, told: dict[str, float], planted: dict[str, int]) -> None:
    """What was planted is what was found: a passage's first place stays, and near all that stand inside go."""
    if kind == "lines":
        assert told["cut"] + told.get("dropped", 0) == planted["menus"], told
    elif kind == "containment":
        assert 0.995 * planted["inside"] <= told["gone"] <= planted["inside"], told
    else:
        assert told["documents"] >= planted["passages"] - 2_000, told


def main() -> None:
    """Measure, or be the process that is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", default="50,200")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--engine", default="local", choices=["local", "sail"])
    parser.add_argument("--kinds", default=";".join(KINDS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.one:
        print(json.dumps(measure(*said.one, said.engine, said.workers, said.memory)))
        return
    print("| text | kind | MB a CPU second | rows, of the text | peak memory | seconds |\n|---|---|---|---|---|---|")
    for megabytes in map(int, said.mb.split(",")):
        for kind in said.kinds.split(";"):
            with tempfile.TemporaryDirectory() as folder:
                size, planted = write(folder, megabytes, kind == "containment")
                options = ["--engine", said.engine, "--workers", str(said.workers), "--memory", said.memory]
                command = [sys.executable, __file__, *options, "--one", folder, kind]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                told = json.loads(done.stdout)
                check(kind, told, planted)
            speed, share = size / 1e6 / told["cpu"], told["rows"] / size
            print(
                f"| {size / 1e6:.0f} MB | {kind} | {speed:.0f} | {share:.1%} | {told['peak'] / 1e6:.0f} MB | {told['wall']:.0f} |"
            )


if __name__ == "__main__":
    main()
