"""Build tests/sample/corpus/ and tests/sample/expected.jsonl from the readable sources beside this file.

python tests/sample/build.py              write the files
python tests/sample/build.py --check      exit 1 if the committed files are not what the sources give
python tests/sample/build.py --out DIR    write DIR/corpus/ and DIR/expected.jsonl
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from samplekit import derive, dumps, page, warc  # noqa: E402  (samplekit stands beside this script)
from samplekit.page import Page  # noqa: E402

FILES = {"web": "web.warc.gz", "sogou": "news.dat", "wiki": "wiki.xml", "jsonl": "articles.jsonl"}
BOOK = "book.txt"


def documents() -> list[Page]:
    """Every document of the sample except the book: the pages, then what derive.toml makes of them."""
    sources = page.read_all(HERE / "pages")
    return [p for p in [*sources, *derive.derive_all(HERE / "derive.toml", sources)] if p.into != "template"]


def build(out: Path) -> None:
    """Write out/corpus/ and out/expected.jsonl."""
    corpus = out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    pages = documents()
    by_file = {into: [p for p in pages if p.into == into] for into in FILES}
    warc.pack(by_file["web"], HERE / "responses.toml", corpus / FILES["web"])
    dumps.pack_sogou(by_file["sogou"], corpus / FILES["sogou"])
    dumps.pack_wiki(by_file["wiki"], corpus / FILES["wiki"])
    dumps.pack_jsonl(by_file["jsonl"], corpus / FILES["jsonl"])
    dumps.pack_book(HERE / "book", corpus / BOOK)
    dumps.write_rows(expectations(pages), out / "expected.jsonl")


def expectations(pages: list[Page]) -> list[dict[str, object]]:
    """One row a document: where it stands and what a careful person would say of it."""
    bodies = {p.key: p.body for p in pages}
    rows = [_expectation(p, bodies.get(p.derived_from)) for p in pages]
    book = {"page": "book", "key": BOOK, "url": None, "file": BOOK, "expect": "high"}
    return [*rows, book | dict.fromkeys(("derived_from", "derivation", "similarity"))]


def _expectation(p: Page, source: str | None) -> dict[str, object]:
    keys = {"web": p.url, "sogou": dumps.docno(p), "wiki": str(dumps.wiki_id(p)), "jsonl": dumps.jsonl_id(p)}
    return {
        "page": p.key,
        "key": keys[p.into],
        "url": p.url,
        "file": FILES[p.into],
        "expect": p.expect,
        "derived_from": p.derived_from or None,
        "derivation": p.derivation or None,
        "similarity": round(similarity(p.body, source), 4) if source else None,
    }


def similarity(a: str, b: str, n: int = 5) -> float:
    """Jaccard similarity of the sets of character n-grams, of the bodies as written, newlines included."""
    grams_a, grams_b = ({text[i : i + n] for i in range(len(text) - n + 1)} for text in (a, b))
    return len(grams_a & grams_b) / max(1, len(grams_a | grams_b))


def differences(one: Path, other: Path) -> list[str]:
    """The files of the sample that differ between two folders."""
    names = [*(f"corpus/{name}" for name in [*FILES.values(), BOOK]), "expected.jsonl"]
    return [name for name in names if content(one / name) != content(other / name)]


def content(path: Path) -> bytes:
    """A file's bytes, unpacked where it is gzip: another zlib may pack the same bytes differently."""
    if not path.exists():
        return b""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and build or check; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: beside this script)")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with what stands there")
    arguments = parser.parse_args(argv)
    if not arguments.check:
        build(arguments.out)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        stale = differences(Path(folder), arguments.out)
    for name in stale:
        print(f"{name} is not what the sources give; run python tests/sample/build.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
