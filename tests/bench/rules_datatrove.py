"""Our rules beside the originals: datatrove's filters on English texts, EvalWeb's definitions on Chinese ones.

    python tests/bench/rules_datatrove.py [--each 60] [--seed 1] [--data FILE.jsonl ...] [--venv FOLDER]

Texts are those of the sample that are English, generated ones (`english_texts.py`), and those of FILEs ("text" on each
line). datatrove runs in an environment of its own, made in FOLDER, a temporary one if none is named. Printed as
Markdown: for each measurement how alike the two are and how often they fall on the same side of the limit, and for each
recipe the decisions. docs/rules-against-datatrove.md explains the differences.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from pathlib import Path
from typing import Any

import evalweb
import pyarrow.parquet as pq
from agreement import HEAD, batch, compared, numbers, table
from english_texts import texts as generated

from mdfs import recipe, rules
from mdfs.recipe import Recipe

PINNED = ("datatrove[processing]==0.10.1", "spacy==3.8.18")
ORIGINAL = Path(__file__).with_name("rules_datatrove_original.py")
SAMPLE = Path(__file__).resolve().parents[1] / "sample" / "corpus"
#: What is compared, and the recipe whose limit it is held against.
COMPARED = {
    "gopher": ["units", "mean_word_chars", "hash_ratio", "ellipsis_ratio", "bullet_line_ratio", "ellipsis_line_ratio",
               "number_ratio", "stop_word_kinds", "duplicate_line_ratio", "duplicate_paragraph_ratio",
               "duplicate_line_char_ratio", "duplicate_paragraph_char_ratio", "top_2gram_ratio", "top_3gram_ratio",
               "top_4gram_ratio", *(f"duplicate_{n}gram_ratio" for n in range(5, 11))],
    "c4": ["sentences", "curly_brackets"],
    "fineweb": ["end_mark_line_ratio", "line_under_30_ratio", "duplicate_line_char_ratio", "units_per_line"],
}  # fmt: skip
#: Languages are told apart before datatrove's filters, by another filter; all texts here are English.
ASIDE = ("lang_en",)


def sample_texts() -> list[str]:
    """The texts of the sample corpus, as collected."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = [part for path in sorted(SAMPLE.iterdir()) for part in ("--input", str(path))]
        subprocess.run([sys.executable, "-m", "mdfs", "collect", "-q", *inputs, "--output", folder], check=True)
        parts = sorted(Path(folder).glob("collect/*.parquet"))
        return [text for path in parts for text in pq.read_table(path, columns=["text"]).column(0).to_pylist()]


def is_english(text: str) -> bool:
    """Mostly letters of the Latin alphabet."""
    return sum(char.isascii() and char.isalpha() for char in text) > 0.6 * len(text)


def theirs(texts: list[str], folder: Path) -> list[dict[str, Any]]:
    """What datatrove says of each text."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([python, ORIGINAL], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measurement_table(texts: list[str], said: list[dict[str, Any]]) -> str:
    """Every measurement that both have, on the texts as they are: the recipes' edits are left out."""
    struct = rules.annotate(batch(texts), Recipe("bare")).column("signals")
    rows = []
    for name, measured in COMPARED.items():
        limits = recipe.load(name).rules
        for signal in measured:
            ours = numbers(struct.field(signal).to_pylist())
            if signal == "units_per_line":
                ours, limit, key = 1 / ours, recipe.Limit(max=0.3), "line_ends_per_word"
            else:
                limit, key = limits[signal], signal
            original = numbers([entry["measured"][key] for entry in said])
            bound = " to ".join(f"{value:g}" for value in (limit.min, limit.max) if value is not None)
            rows.append([f"{name}: {key}", bound, *compared(ours, original, limit)])
    return table(f"measurement | limit | {HEAD}", rows)


def decision_table(texts: list[str], said: list[dict[str, Any]]) -> str:
    """Whole recipes against whole filter chains, and what those disagree about say."""
    rows = []
    for name in ("gopher", "c4", "c4 (code)", "fineweb"):
        decided = rules.annotate(batch(texts), recipe.load(name.partition(" ")[0])).column("drop_reasons").to_pylist()
        ours = [[why for why in reasons if why.rpartition(".")[0] not in ASIDE] for reasons in decided]
        original = [entry["decided"][name] for entry in said]
        pairs = [(bool(mine), bool(their)) for mine, their in zip(ours, original, strict=True)]
        only = Counter(why for mine, (here, there) in zip(ours, pairs, strict=True) if here > there for why in mine)
        other = Counter(why for why, (here, there) in zip(original, pairs, strict=True) if there > here)
        counts = [pairs.count(both) for both in ((False, False), (True, True), (True, False), (False, True))]
        rows.append([name, *map(str, counts), f"{(counts[0] + counts[1]) / len(pairs):.1%}", words(only), words(other)])
    return table("recipe | both keep | both drop | only ours drops | only theirs | agree | ours for | theirs for", rows)


def words(counted: Counter[str]) -> str:
    return ", ".join(f"{why} {many}" for why, many in counted.most_common(4)) or "–"


def same_lines(texts: list[str], said: list[dict[str, Any]]) -> str:
    """Of the texts that datatrove's C4 keeps: how many have the same lines after our edits."""
    edited = rules.annotate(batch(texts), recipe.load("c4")).column("text").to_pylist()
    both = [(mine, entry["c4_text"]) for mine, entry in zip(edited, said, strict=True) if entry["c4_text"] is not None]
    same = sum(mine.split() == their.split() for mine, their in both)
    return f"C4's line rules leave the same words in {same:,} of the {len(both):,} texts that datatrove keeps."


def main() -> None:
    """Both sides, and the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=60, help="generated texts of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--venv", type=Path)
    options = parser.parse_args()
    given = [json.loads(line)["text"] for path in options.data for line in path.read_text("utf-8").splitlines() if line]
    real = [*sample_texts(), *given]
    texts = [*filter(is_english, real), *generated(options.each, options.seed)]
    chinese = [text for text in real if not is_english(text)] + evalweb.generated(options.each, options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        said = theirs(texts, options.venv or Path(temporary) / "venv")
    print(f"{len(texts):,} English texts, {', '.join(PINNED)}\n\n{measurement_table(texts, said)}\n")
    print(f"{decision_table(texts, said)}\n\n{same_lines(texts, said)}\n")
    print(f"{len(chinese):,} Chinese texts, EvalWeb\n\n{evalweb.tables(chinese)}")


if __name__ == "__main__":
    main()
