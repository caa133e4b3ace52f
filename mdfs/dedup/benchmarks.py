"""Test sets: where the texts stand in their files, and reading them. A module without kernels, for recipes' checks."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mdfs.errors import UsageError
from mdfs.recipe import Benchmark, Recipe
from mdfs.storage import find_inputs, locate

#: Test sets, and which of their fields a page may hold: the passages, questions and answers; no labels, and no names
#: that prompts give to labels. As the files of CLUE and FewCLUE (Xu et al. 2020, arXiv:2004.05986; 2021,
#: arXiv:2107.07498), C-Eval (Huang et al. 2023, arXiv:2305.08322), CMMLU (Li et al. 2023, arXiv:2306.09212), LAMBADA
#: (Paperno et al. 2016, as JSON lines by OpenAI) and PIQA (Bisk et al. 2019, arXiv:1911.11641) have them.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "afqmc": ("sentence1", "sentence2"),
    "bustm": ("sentence1", "sentence2"),
    "c3": ("context", "question", "choice"),
    "ceval": ("question", "A", "B", "C", "D", "explanation"),
    "chid": ("content",),
    "cluewsc": ("text",),
    "cmmlu": ("Question", "A", "B", "C", "D"),
    "cmnli": ("sentence1", "sentence2"),
    "csl": ("abst",),
    "csldcp": ("content",),
    "eprstmt": ("sentence",),
    "iflytek": ("sentence",),
    "lambada": ("text",),
    "ocnli": ("sentence1", "sentence2"),
    "piqa": ("goal", "sol1", "sol2"),
    "tnews": ("sentence",),
}

#: Owners of an n-gram are bits of 64.
MOST = 64

#: Fields of CSV may be as long as this; the module's own limit is 128 KiB.
_CSV_FIELD = 16 << 20


def check(benchmarks: Sequence[Benchmark], where: str) -> None:
    """Raise UsageError, which names the entry after `where`, unless all have fields and names of their own."""
    if len(benchmarks) > MOST:
        raise UsageError(f"{where}: decontaminate.benchmarks has {len(benchmarks)} entries, {MOST} are possible")
    for name, count in Counter(benchmark.name for benchmark in benchmarks).items():
        if count > 1:
            raise UsageError(f"{where}: decontaminate.benchmarks names {name!r} {count} times; a glob means many files")
    for benchmark in benchmarks:
        if not benchmark.fields and benchmark.name not in LAYOUTS:
            near = difflib.get_close_matches(benchmark.name, LAYOUTS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known ones are {', '.join(LAYOUTS)}"
            raise UsageError(f"{where}: decontaminate: no layout is called {benchmark.name!r}: give fields; {hint}")


def digests(recipe: Recipe) -> list[dict[str, Any]]:
    """What the recipe's test sets contain, wherever they lie: name, fields and SHA-256 of each file.

    Raises:
        UsageError: a file is missing.
    """
    return [
        {
            "name": benchmark.name,
            "fields": fields(benchmark),
            "files": [hashlib.sha256(content).hexdigest() for _, content in _files(recipe, benchmark)],
        }
        for benchmark in recipe.decontaminate.benchmarks
    ]


def fields(benchmark: Benchmark) -> tuple[str, ...]:
    """The fields whose texts are looked for."""
    return benchmark.fields or LAYOUTS[benchmark.name]


def texts(recipe: Recipe, benchmark: Benchmark) -> Iterator[str]:
    """The texts of a test set, those of a list one by one, in the order of files and lines.

    Raises:
        UsageError: a file is missing, no JSON lines, or no entry of it has any of the fields.
    """
    wanted = fields(benchmark)
    for uri, content in _files(recipe, benchmark):
        found = 0
        for entry in _entries(uri, content):
            values = [value for name in wanted for value in _strings(_field(entry, name))]
            found += len(values)
            yield from values
        if content and not found:
            raise UsageError(f"{uri}: no entry has a text in {', '.join(wanted)}; give decontaminate.benchmarks.fields")


def _files(recipe: Recipe, benchmark: Benchmark) -> Iterator[tuple[str, bytes]]:
    """Each file's URI and content, by path: test sets are small beside a corpus (C-Eval and CMMLU 3 MB)."""
    for uri, _, _, _ in sorted(find_inputs([recipe.benchmark_path(benchmark)]), key=lambda found: found[2]):
        filesystem, path = locate(uri)
        try:
            with filesystem.open_input_stream(path) as stream:
                yield uri, stream.read()
        except OSError as error:
            raise UsageError(f"{uri}: cannot be read ({error})") from None


def _entries(uri: str, content: bytes) -> Iterator[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{uri}: not UTF-8; save it as UTF-8") from None
    if ".csv" in uri.rpartition("/")[2]:
        csv.field_size_limit(_CSV_FIELD)
        yield from csv.DictReader(io.StringIO(text, newline=""))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UsageError(
                    f"{uri}, line {number}: not JSON ({error}); a test set has one object a line"
                ) from None


def _field(entry: Any, name: str) -> Any:
    for key in name.split("."):
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def _strings(value: Any) -> Iterator[str]:
    """A string, or the strings of a list of them (a passage in lines, choices)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
