"""How fast the coarse rules are on one core, in all and by part, beside a yardstick measured in the same run.

    python tests/bench/rules_speed.py DOCUMENTS.jsonl ...

The files hold one document a line under "text". The yardstick is what a single naive rule costs in plain Python: one
regular expression that finds the Han characters. Texts are cut to 1,500 characters, the length of a web page.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from mdfs import recipe, rules, schema
from mdfs.rules import decide, edits, measure, personal

PAGE = 1_500


def texts(paths: list[str]) -> list[str]:
    lines = (line for path in paths for line in Path(path).read_text("utf-8").split("\n") if line)
    whole = (json.loads(line)["text"] for line in lines)
    return [text[k : k + PAGE] for text in whole for k in range(0, len(text), PAGE)]


def batch(pages: list[str]) -> pa.RecordBatch:
    n = len(pages)
    columns = {"text": pages, "fetched_at": [None] * n, "meta": [[]] * n}
    arrays = [pa.array(columns.get(field.name, [""] * n), field.type) for field in schema.DOCUMENT]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.DOCUMENT)


def best(function: Callable[[], object], repeat: int = 5) -> float:
    function()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main(paths: list[str]) -> None:
    pages = texts(paths)
    documents, yuan = batch(pages), recipe.load("yuan1")
    megabytes = sum(len(page.encode()) for page in pages) / 1e6
    column = documents.column("text")
    offsets, data = measure._buffers(column)
    measured = measure.measured(documents, yuan)
    han = re.compile("[\u4e00-\u9fff]")
    parts = {
        "annotate": lambda: rules.annotate(documents, yuan),
        "  edits": lambda: edits.edit(offsets, data, yuan.edits, np.zeros((len(pages), len(edits.COUNTERS)), np.int64)),
        "  kernel": lambda: measure.counters(column),
        "  personal": lambda: personal.scan(offsets, data, yuan.edits.pii, {}),
        "  decide": lambda: decide.drop_reasons(measured.column("signals"), yuan.rules),
        "yardstick": lambda: [len(han.findall(page)) for page in pages],
    }
    seconds = {name: best(function) for name, function in parts.items()}
    print(f"{len(pages):,} pages, {megabytes:.1f} MB")
    for name, taken in seconds.items():
        print(f"{name:12} {megabytes / taken:9.1f} MB/s")
    print(f"annotate is {seconds['yardstick'] / seconds['annotate']:.2f} times as fast as the yardstick")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
