"""Small corpora for the tests of dedup: part files as rules leave them, made texts, and an exact oracle."""

import functools
import hashlib
import itertools
import random
import re

import pyarrow as pa

from mdfs.ledger import Ledger, Row
from mdfs.parts import PartWriter, read_part
from mdfs.progress import Progress
from mdfs.recipe import Dedup, MinHash, Recipe, Source
from mdfs.schema import DOCUMENT, DROP_REASONS
from mdfs.stage import Run
from mdfs.storage import Store

SIGNALS = pa.field("signals", pa.struct([pa.field("end_mark_ratio", pa.float32())]))
KEPT = pa.schema([*DOCUMENT, SIGNALS, DROP_REASONS])
HAN = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]
MINHASH = MinHash()
ALL = Dedup(url=True, exact=True, minhash=MINHASH, prefer=("end_mark_ratio",))


def doc(key, text, *, url="", source="web", ratio=None):
    """One document; its doc_id depends on `key` alone."""
    return {
        "doc_id": hashlib.blake2b(key.encode(), digest_size=16).hexdigest(), "source": source, "source_key": key,
        "url": url, "fetched_at": None, "title": "", "text": text, "meta": [], "signals": {"end_mark_ratio": ratio},
        "drop_reasons": [],
    }  # fmt: skip


def prose(rng, length):
    """Random Chinese characters with a comma every ten."""
    return "，".join("".join(rng.choices(HAN, k=10)) for _ in range(length // 10))


def edited(rng, text, edits):
    """The text with so many characters replaced, far apart."""
    letters = list(text)
    for i in range(edits):
        letters[(i * len(letters)) // max(1, edits) + rng.randrange(3)] = rng.choice(HAN)
    return "".join(letters)


def sample(seed=7):
    """Unrelated texts, and clusters of every kind: near-copies, exact copies, same addresses, chains, short texts."""
    rng = random.Random(seed)
    docs = [doc(f"single-{i}", prose(rng, rng.randrange(50, 900)), url=f"http://a.cn/{i}") for i in range(60)]
    for c in range(12):
        base = prose(rng, 600)
        docs += [doc(f"near-{c}-{i}", edited(rng, base, i), ratio=rng.choice([None, 0.5, 0.501])) for i in range(4)]
    for c in range(6):
        base = prose(rng, 300)
        docs += [doc(f"exact-{c}-{i}", base.replace("，", "。" * i)) for i in range(5)]
        docs += [doc(f"url-{c}-{i}", prose(rng, 200), url=f"http://B.cn/{c}?utm_source={i}") for i in range(3)]
    for c in range(4):
        base, step = prose(rng, 700), []
        for _ in range(4):
            base = base[55:] + prose(rng, 55)
            step.append(base)
        docs += [doc(f"chain-{c}-{i}", text) for i, text in enumerate(step)]
    docs += [doc(f"short-{i}", text) for i, text in enumerate(["你好！", "你好", "你好啊", "……", "……", "!!", "", ""])]
    rng.shuffle(docs)
    return docs


def make_run(folder, dedup, docs, *, parts=3, sources=(), with_engine=None):
    """A run whose rules stage is done: `docs` in `parts` part files, in their order."""
    store = Store(str(folder))
    recipe = Recipe(name="test", source=tuple(sources), dedup=dedup)
    size = -(-len(docs) // parts) if docs else 1
    for number, start in enumerate(range(0, len(docs), size)):
        rows = docs[start : start + size]
        with PartWriter(store, f"rules/kept/part-{number:05d}.parquet", KEPT, kind="kept") as part:
            part.write(pa.RecordBatch.from_pylist(rows, schema=KEPT))
        Ledger(store).commit(
            Row("rules", f"part-{number:05d}", files=part.files, docs_in=len(rows), docs_out=len(rows))
        )
    return Run(store, recipe, with_engine, Progress(quiet=True))


def duplicates(run):
    """What the stage wrote: doc_id → (duplicate_of, kind, similarity)."""
    batches = (batch for file in run.files("dedup", "duplicates") for batch in read_part(run.store, file.path))
    rows = (row for batch in batches for row in batch.to_pylist())
    return {row["doc_id"]: (row["duplicate_of"], row["kind"], round(row["similarity"], 4)) for row in rows}


def grams(text, n=5):
    """The gold: character n-grams of the text without `[\\W_]`."""
    text = re.sub(r"[\W_]+", "", text)
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))} if text else set()


def jaccard(one, other):
    return len(one & other) / len(one | other) if one | other else 1.0


def oracle(docs, dedup, sources=()):
    """The duplicates by looking at all pairs; canonical URLs and folding are those of the made texts only."""
    rank = {source.name: source.priority for source in sources}
    sets = {d["doc_id"]: grams(d["text"]) for d in docs}
    group = {d["doc_id"]: d["doc_id"] for d in docs}

    words = {d["doc_id"]: re.sub(r"[\W_]+", "", d["text"]) for d in docs}
    long = {i: bool(dedup.minhash) and len(w) - 4 >= dedup.minhash.min_shingles for i, w in words.items()}
    text = {d["doc_id"]: words[d["doc_id"]].lower() or d["text"].encode() for d in docs}
    page = {d["doc_id"]: d["url"].lower().split("?")[0] for d in docs}

    def kind_of(x, y):
        one, other = x["doc_id"], y["doc_id"]
        if dedup.url and page[one] and page[one] == page[other]:
            return "url", 1.0
        short = dedup.minhash and not (long[one] or long[other])
        if (dedup.exact or short) and text[one] == text[other]:
            return "exact", 1.0
        return "minhash", jaccard(sets[x["doc_id"]], sets[y["doc_id"]])

    for x, y in itertools.combinations(docs, 2):
        kind, similarity = kind_of(x, y)
        enough = long[x["doc_id"]] and long[y["doc_id"]]
        if kind != "minhash" or (enough and similarity >= dedup.minhash.threshold):
            old, new = group[x["doc_id"]], group[y["doc_id"]]
            group = {id_: new if g == old else g for id_, g in group.items()}
    found = {}
    for g in set(group.values()):
        members = [d for d in docs if group[d["doc_id"]] == g]
        ratio = (lambda d: d["signals"]["end_mark_ratio"]) if dedup.prefer else lambda d: None
        best = min(
            members,
            key=lambda d: (
                -rank.get(d["source"], 0), ratio(d) is None, -round(ratio(d) or 0, 2), -len(d["text"]), d["doc_id"],
            ),
        )  # fmt: skip
        for d in members:
            if d is not best:
                kind, similarity = kind_of(d, best)
                found[d["doc_id"]] = (best["doc_id"], kind, round(similarity, 4))
    return found


@functools.cache
def sample_oracle(dedup):
    """The oracle's answer for `sample()`."""
    return oracle(sample(), dedup)


def source(name, priority):
    return Source(match=f"{name}/**", name=name, priority=priority)
