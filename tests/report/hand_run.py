"""A small run's folder written by hand, with every fate a document can have and text that attacks whoever shows it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mdfs import schema
from mdfs.ledger import File, Ledger, Row
from mdfs.parts import PartWriter
from mdfs.rules.signals import SIGNALS
from mdfs.storage import Store

MEASURED = pa.schema([*schema.DOCUMENT, pa.field("signals", SIGNALS, nullable=False), schema.DROP_REASONS])
JUDGED = pa.schema([*MEASURED, schema.SCORES, schema.LABEL, schema.DECIDED_BY])
STAGES = ("collect", "rules", "dedup", "classify", "tokenize")

#: Two limits, and nothing that another part of mdfs ships but the tokenizer.
RECIPE: dict[str, Any] = {
    "name": "hand",
    "title": "A recipe <for> the tests",
    "rules": {"chars": {"min": 150}, "han_ratio": {"min": 0.6}},
    "dedup": {"exact": True, "minhash": {"threshold": 0.8}},
}

PROSE = "清晨的河面上浮着薄雾，渡船慢慢离岸。老人把竹篙一撑，水声便远了。岸边的茶铺刚刚开门，炉火映红了窗纸。" * 5


@dataclass
class Doc:
    """A document and its fate: kept, or the stage's word for why it went."""

    url: str
    title: str = "标题"
    text: str = PROSE
    source: str = "web"
    reasons: tuple[str, ...] = ()
    copy_of: str = ""
    kind: str = "minhash"
    similarity: float = 1.0
    scores: tuple[float, float, float] = (0.9, 0.06, 0.04)
    signals: dict[str, float | str | None] = field(default_factory=dict)
    key: str = ""
    edited: str = ""  # what the rules made of the text, where they changed it

    @property
    def doc_id(self) -> str:
        return hashlib.blake2b(self.url.encode(), digest_size=16).hexdigest()

    @property
    def label(self) -> str:
        return ("high", "low", "ad")[self.scores.index(max(self.scores))]


def hostile(beacon: str) -> list[Doc]:
    """Documents that try to run, to fetch `beacon`, to break out of their element or to mislead the eye."""
    attack = (
        f"<script>document.title='OWNED'</script><img src={beacon}/img onerror=\"document.title='OWNED'\">"
        f"</p></article></details></section><style>@import '{beacon}/css';</style><svg onload=document.title='OWNED'>"
        f"<iframe src='{beacon}/frame'></iframe><link rel=stylesheet href={beacon}/link>&lt;b&gt; <!-- "
    )
    bidi = "access \u202elevel\u202c user\u2066admin\u2069 \x00NUL\x07\x1b[31mred"
    return [
        Doc("javascript:document.title='OWNED'", attack, attack + PROSE),  # a link to it would run it
        Doc("http://a.example/\"onmouseover=\"document.title='OWNED'", bidi, bidi + "\n" * 400 + PROSE),
        Doc("http://b.example/'><script>document.title='OWNED'</script>", "长" * 5000, "W" * 20_000),
        Doc(
            "data:text/html,<script>1</script>", attack, attack, reasons=("han_ratio.min",), signals={"han_ratio": 0.1}
        ),
    ]


def documents(beacon: str = "http://beacon.example") -> list[Doc]:
    """Two parts' worth of documents of two sources."""
    first = Doc("http://news.example.cn/1", "晨渡", source="news")
    return [
        first,
        Doc("http://news.example.cn/2", "茶铺", PROSE + "二", source="news", scores=(0.7, 0.2, 0.1)),
        Doc("http://news.example.cn/3", "转载：晨渡", source="news", copy_of=first.url, kind="exact"),
        Doc("http://web.example.cn/near", "晨渡（改）", PROSE[:-30] + "变了。", copy_of=first.url, similarity=0.8125),
        Doc("http://web.example.cn/short", "短", "太短。", reasons=("chars.min",), signals={"chars": 3}),
        Doc("http://web.example.cn/en", "English", "Not Chinese", reasons=("chars.min", "han_ratio.min"),
            signals={"chars": 10, "han_ratio": 0.0}),
        Doc("http://web.example.cn/ad", "特价", "加微信领取优惠" * 40, scores=(0.05, 0.15, 0.8)),
        *hostile(beacon),
    ]  # fmt: skip


def records() -> list[dict[str, str]]:
    """Records that gave no document."""
    base = {"stage": "collect", "source": "web", "path": "web.warc.gz"}
    return [
        {**base, "place": "4096", "source_key": "<urn:uuid:1>", "url": "http://web.example.cn/404",
         "disposition": "dropped", "reason": "http.404", "detail": ""},
        {**base, "place": "8192", "source_key": "<urn:uuid:2>", "url": "http://web.example.cn/bomb",
         "disposition": "quarantined", "reason": "bomb", "detail": "<b>1 GB out of 1 kB</b>"},
    ]  # fmt: skip


def write(folder: Path, docs: list[Doc], *, until: str = "tokenize", said: dict[str, Any] | None = None) -> Store:
    """A run's folder after the stage `until` ("" for a run that has done nothing yet), one part file a source.

    `said`: tables that its recipe has beside or instead of those of `RECIPE`.
    """
    store = Store(str(folder))
    written = {**RECIPE, **(said or {})}
    store.write_json("ledger/run.json", {"mdfs_version": "0.0.test", "recipe": written, "recipe_digest": "0" * 64})
    done = STAGES[: STAGES.index(until) + 1] if until else ()
    for source in sorted({doc.source for doc in docs}):
        part = Part(store, source, [doc for doc in docs if doc.source == source])
        for stage in done:
            getattr(part, stage)()
    return store


class Part:
    """The files and ledger rows of one source's part file."""

    def __init__(self, store: Store, source: str, docs: list[Doc]) -> None:
        self.store, self.source, self.docs, self.name = store, source, docs, f"part-{source}"
        self.clean = [doc for doc in docs if not doc.reasons]
        self.unique = [doc for doc in self.clean if not doc.copy_of]

    def collect(self) -> None:
        kept = self._file(f"collect/{self.name}.parquet", schema.DOCUMENT, [_document(doc) for doc in self.docs])
        bad = records() if self.source == "web" else []
        files = kept + self._file(f"quarantine/{self.name}.parquet", schema.QUARANTINE, bad, "quarantine")
        self._row("collect", files, len(self.docs) + len(bad), len(self.docs), len(bad) // 2,
                  dropped={"http.404": 1} if bad else {}, quarantined={"bomb": 1} if bad else {})  # fmt: skip

    def rules(self) -> None:
        broken = [doc for doc in self.docs if doc.reasons]
        files = self._file(f"rules/kept/{self.name}.parquet", MEASURED, [_measured(doc) for doc in self.clean])
        files += self._file(
            f"rules/dropped/{self.name}.parquet", MEASURED, [_measured(doc) for doc in broken], "dropped"
        )
        reasons = Counter(reason for doc in broken for reason in doc.reasons)
        self._row("rules", files, len(self.docs), len(self.clean), len(broken), dropped=dict(reasons))

    def dedup(self) -> None:
        copies = [doc for doc in self.clean if doc.copy_of]
        rows = [{"doc_id": doc.doc_id, "duplicate_of": Doc(doc.copy_of).doc_id, "kind": doc.kind,
                 "similarity": doc.similarity} for doc in copies]  # fmt: skip
        files = self._file(f"dedup/duplicates/{self.name}.parquet", schema.DUPLICATE, rows, "duplicates", source="")
        kinds = Counter(doc.kind for doc in copies)
        self._row("dedup", files, len(self.clean), len(self.unique), len(copies), dropped=dict(kinds))

    def classify(self) -> None:
        kept = [doc for doc in self.unique if doc.label == "high"]
        gone = [doc for doc in self.unique if doc.label != "high"]
        files = self._file(f"classify/kept/{self.name}.parquet", JUDGED, [_judged(doc) for doc in kept])
        files += self._file(f"classify/dropped/{self.name}.parquet", JUDGED, [_judged(doc) for doc in gone], "dropped")
        reasons = Counter(f"label.{doc.label}" for doc in gone)
        self._row("classify", files, len(self.unique), len(kept), len(gone), dropped=dict(reasons))

    def tokenize(self) -> None:
        kept = [doc for doc in self.unique if doc.label == "high"]
        table = pa.Table.from_pylist([{"doc_id": d.doc_id, "input_ids": tokens(d)} for d in kept], schema=schema.SHARD)
        path = f"shards/{self.source}/{self.name}-0000.parquet"
        with self.store.create(path) as sink:
            pq.write_table(table, sink, row_group_size=2)
        size, many = sink.written().bytes, sum(len(tokens(doc)) for doc in kept)
        shard = File(path, "shard", len(kept), size, "", self.source, tokens=many)
        self._row("tokenize", [shard], len(kept), len(kept), 0)

    def _file(
        self, path: str, columns: pa.Schema, rows: list[dict[str, Any]], kind: str = "kept", source: str | None = None
    ) -> list[File]:
        said = self.source if source is None else source
        with PartWriter(self.store, path, columns, kind=kind, source=said) as part:
            part.write(pa.RecordBatch.from_pylist(rows, schema=columns))
        return part.files

    def _row(self, stage: str, files: list[File], came: int, stayed: int, went: int, *,
             dropped: dict[str, int] | None = None, quarantined: dict[str, int] | None = None) -> None:  # fmt: skip
        bad = sum((quarantined or {}).values())
        row = Row(stage, self.name, "f", files, came, stayed, went, bad, dropped or {}, quarantined or {})
        assert row.docs_in == row.docs_out + row.docs_dropped + row.quarantined
        Ledger(self.store).commit(row)


def tokens(doc: Doc) -> list[int]:
    """As many tokens as the text has characters, and one that ends it; 50 at most."""
    return [*range(min(len(doc.text), 49)), 2]


def _document(doc: Doc) -> dict[str, Any]:
    return {
        "doc_id": doc.doc_id, "source": doc.source, "source_key": doc.key or f"key:{doc.title[:8]}", "url": doc.url,
        "fetched_at": datetime(2021, 5, 6, tzinfo=UTC), "title": doc.title, "text": doc.text,
        "meta": [("encoding", "gb18030")],
    }  # fmt: skip


def _measured(doc: Doc) -> dict[str, Any]:
    kinds: dict[pa.DataType, float | str] = {pa.int64(): 0, pa.float64(): 0.25, pa.string(): "zh"}
    values: dict[str, float | str | None] = {field.name: kinds[field.type] for field in SIGNALS}
    values |= {"chars": len(doc.text), "han_ratio": 0.95, "mean_word_chars": None, **doc.signals}
    return _document(doc) | {"text": doc.edited or doc.text, "signals": values, "drop_reasons": list(doc.reasons)}


def _judged(doc: Doc) -> dict[str, Any]:
    reasons = [] if doc.label == "high" else [f"label.{doc.label}"]
    scores = dict(zip(("high", "low", "ad"), doc.scores, strict=True))
    return _measured(doc) | {"scores": scores, "label": doc.label, "decided_by": "bert", "drop_reasons": reasons}
