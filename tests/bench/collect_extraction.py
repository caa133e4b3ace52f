"""How fast main text is extracted, as a share of bare resiliparse's speed on the same pages in the same run.

    python tests/bench/collect_extraction.py [--data FOLDER]

FOLDER holds `pages/*.html` and, for figures of quality, `gold/*.txt` with the main text of the page of that name.
Without it the pages are those of the project's own sample, whose text is known. Times are of this process's CPU, the
best of several turns, each page by both in turn, so that a busy machine slows both alike. Quality is the mean over
pages of precision, recall and F1 of character 4-grams without white space.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import HTMLTree

from mdfs.collect import html

TURNS = 7
SAMPLE = Path(__file__).parent.parent / "sample"


def bare(page: bytes) -> str:
    """What resiliparse alone gives."""
    tree = HTMLTree.parse(bytes_to_str(page, detect_encoding(page)))
    text: str = extract_plain_text(
        tree, main_content=True, alt_texts=False, links=False, form_fields=False, noscript=False, comments=False,
        list_bullets=False,
    )  # fmt: skip
    return text


def ours(page: bytes) -> str:
    return html.extract(page).text


def given(folder: Path) -> list[tuple[bytes, str]]:
    """Pages of a folder with their gold text, "" where there is none."""
    found = []
    for page in sorted((folder / "pages").glob("*.html")):
        gold = folder / "gold" / f"{page.stem}.txt"
        found.append((page.read_bytes(), gold.read_text(errors="replace") if gold.exists() else ""))
    return found


def sample() -> list[tuple[bytes, str]]:
    """The sample's web pages with the text that was put into them."""
    sys.path.insert(0, str(SAMPLE))
    spec = importlib.util.spec_from_file_location("sample_build", SAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    from samplekit import site

    marks = re.compile(r"^(?:@@ .*|```.*|\|--.*)$|^(?:## |- )|\|", re.MULTILINE)
    pages = [page for page in build.documents() if page.into == "web" and page.derivation != "mojibake"]
    return [(site.render(page).encode(page.charset, "replace"), marks.sub("", page.body)) for page in pages]


def grams(text: str) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[i : i + 4] for i in range(len(text) - 3))


def quality(extract: Callable[[bytes], str], pages: list[tuple[bytes, str]]) -> str:
    scores = []
    for page, gold in pages:
        if len(gold.strip()) < 50:
            continue
        got, wanted = grams(extract(page)), grams(gold)
        common = (got & wanted).total()
        precision, recall = common / max(1, got.total()), common / max(1, wanted.total())
        scores.append((precision, recall, 2 * precision * recall / max(1e-9, precision + recall)))
    mean = [sum(column) / len(scores) for column in zip(*scores, strict=True)]
    return f"precision {mean[0]:.4f}  recall {mean[1]:.4f}  F1 {mean[2]:.4f}  ({len(scores)} pages)" if scores else ""


def seconds(extract: Callable[[bytes], str], page: bytes) -> float:
    start = time.thread_time()
    extract(page)
    return time.thread_time() - start


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", type=Path)
    folder = asked.parse_args().data
    pages = given(folder) if folder else sample()
    total = {ours: 0.0, bare: 0.0}
    for page, _ in pages:
        turns = [(seconds(ours, page), seconds(bare, page)) for _ in range(TURNS)]
        total[ours] += min(turn[0] for turn in turns)
        total[bare] += min(turn[1] for turn in turns)
    megabytes = sum(len(page) for page, _ in pages) / 1e6
    print(f"{len(pages)} pages, {megabytes:.1f} MB")
    for name, extract in (("mdfs", ours), ("resiliparse", bare)):
        print(f"{name:12} {len(pages) / total[extract]:7.0f} pages/s  {quality(extract, pages)}")
    print(f"mdfs has {total[bare] / total[ours]:.2f} of the speed of bare resiliparse")


if __name__ == "__main__":
    main()
