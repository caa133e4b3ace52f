"""Texts inside longer ones: samples against a reference, who goes against all pairs, on both engines."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from conftest import Sail, mdfs
from dedup_corpus import doc, duplicates, edited, grams, make_run, prose, source
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs import recipe
from mdfs.classify import stage as classify
from mdfs.dedup import containment, sampledgrams, sortedfiles, stage
from mdfs.errors import UsageError
from mdfs.recipe import Containment, Dedup, MinHash
from mdfs.stage import Unit

SAID = Containment(min_chars=200)
DEDUP = Dedup(containment=SAID)
SOURCES = (source("low", 0), source("high", 3))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ab，天地 1", max_size=80), min_size=1, max_size=4))
def test_samples_are_the_same_wherever_a_gram_stands(texts):
    rows, values, words = sampledgrams.samples(pa.array(texts))
    gold = [re.sub(r"[\W_]", "", text) for text in texts]
    assert words.tolist() == [len(text) for text in gold]
    of = [set(values[rows == i].tolist()) for i in range(len(texts))]
    for i, text in enumerate(gold):
        one_by_one = [text[k : k + 12] for k in range(len(text) - 11)]
        alone, _, _ = sampledgrams.samples(pa.array(one_by_one, pa.string())) if one_by_one else (np.zeros(0),) * 3
        assert len(of[i]) == len({one_by_one[int(k)] for k in alone})
        around = sampledgrams.samples(pa.array(["前面" + texts[i] + "后面"]))[1]
        assert of[i] <= set(around.tolist())


def test_one_gram_in_32_is_a_sample():
    text = prose(random.Random(1), 200_000)
    many = len(sampledgrams.samples(pa.array([text]))[1])
    assert 0.9 < many * 32 / (len(text) * 10 / 11) < 1.1


def oracle(docs, said=SAID, gone=frozenset()):
    """doc_id → (in whose favour it goes, share), by looking at all pairs, the longest first."""
    rank = {entry.name: entry.priority for entry in SOURCES}
    sets = {d["doc_id"]: grams(d["text"]) for d in docs}
    words = {d["doc_id"]: len(re.sub(r"[\W_]", "", d["text"])) for d in docs}
    found = {}
    seen = [d for d in docs if d["doc_id"] not in gone and words[d["doc_id"]] >= said.min_chars]
    for d in sorted(seen, key=lambda d: (-len(d["text"]), d["doc_id"])):
        mine, best = sets[d["doc_id"]], None
        for other in seen:
            longer = len(other["text"]) > len(d["text"]) and other["doc_id"] not in found
            if longer and rank.get(other["source"], 0) >= rank.get(d["source"], 0):
                share = len(mine & sets[other["doc_id"]]) / len(mine)
                if share >= said.threshold:
                    best = max(best or (0,), (share, len(other["text"]), other["doc_id"]))
        if best:
            found[d["doc_id"]] = (best[2], "containment", round(best[0], 4))
    return found


def made(seed=5):
    """Releases in pages, with and without edits; chapters in books; chains; short ones; priorities; near-copies."""
    rng = random.Random(seed)
    docs = [doc(f"single-{i}", prose(rng, rng.randrange(100, 900))) for i in range(30)]
    for i in range(10):
        release = prose(rng, 400)
        docs += [doc(f"release-{i}", release)]
        docs += [
            doc(f"page-{i}-{k}", prose(rng, 200) + edited(rng, release, 2 * k) + prose(rng, 300)) for k in range(3)
        ]
    for i in range(3):
        chapters = [prose(rng, 500) for _ in range(6)]
        docs += [doc(f"book-{i}", "\n".join(chapters)), doc(f"half-{i}", "\n".join(chapters[:3]))]
        docs += [
            doc(f"chapter-{i}-{k}", chapter, source=rng.choice(["low", "high"])) for k, chapter in enumerate(chapters)
        ]
    text = prose(rng, 500)
    docs += [doc(f"chain-{i}", text[: len(text) - 14 * i] + prose(rng, 10 * (i % 2))) for i in range(8)]
    docs += [doc("short", text[:60]), doc("empty", ""), doc("just", text[:221]), doc("too-short", text[:218])]
    rng.shuffle(docs)
    return docs


def run_stage(folder, with_engine, docs, dedup=DEDUP, parts=3, memory=0):
    run = make_run(folder, dedup, docs, parts=parts, sources=SOURCES, with_engine=with_engine)
    run.memory = memory
    stage.run(run)
    return run


def test_as_the_oracle_says(worker, tmp_path):
    docs = made()
    wanted = oracle(docs)
    run = run_stage(tmp_path, worker, docs)
    assert duplicates(run) == wanted
    kinds = {d["source_key"].split("-")[0] for d in docs if d["doc_id"] in wanted}
    assert {"release", "half", "chapter", "chain"} <= kinds
    assert not {kept for kept, _, _ in wanted.values()} & set(wanted), "what stays for another stays"
    assert sum(row.dropped.get("containment", 0) for row in run.ledger.rows("dedup").values()) == len(wanted)
    assert not run.store.list("dedup/work")


@pytest.mark.parametrize(("parts", "memory"), [(1, 0), (9, 100_000)])
def test_order_parts_and_memory_change_nothing(local, tmp_path, parts, memory):
    docs = made()
    random.Random(parts).shuffle(docs)
    assert duplicates(run_stage(tmp_path, local, docs, parts=parts, memory=memory)) == oracle(docs)


@pytest.mark.parametrize("minhash", [MinHash(), MinHash(verify="signature")], ids=["exact", "signature"])
def test_behind_near_copies(local, tmp_path, minhash):
    """What is a copy already is not looked at, and its row stays as it was."""
    docs = made()
    rng = random.Random(9)
    docs += [
        d | doc(d["source_key"] + "-copy", edited(rng, d["text"], 1))
        for d in docs
        if d["source_key"].startswith("release")
    ]
    before = duplicates(run_stage(tmp_path / "before", local, docs, Dedup(minhash=minhash)))
    assert len(before) >= 10
    found = duplicates(run_stage(tmp_path / "after", local, docs, Dedup(minhash=minhash, containment=SAID)))
    assert {key: row for key, row in found.items() if row[1] == "minhash"} == before
    assert {key: row for key, row in found.items() if row[1] != "minhash"} == oracle(docs, gone=set(before))


def test_phrases_of_many_documents_are_not_followed(worker, tmp_path):
    rng = random.Random(2)
    text = prose(rng, 200)
    docs = [doc(f"page-{i}", prose(rng, 100) + text + prose(rng, 100)) for i in range(12)] + [doc("inside", text)]
    assert len(duplicates(run_stage(tmp_path / "all", worker, docs))) == 1
    few = Dedup(containment=replace(SAID, max_bucket=12))
    assert duplicates(run_stage(tmp_path / "few", worker, docs, few)) == {}


def test_a_bucket_of_thousands_stays_linear(local, tmp_path):
    value, size = np.zeros(3_000, np.int64), 3_000
    rank = (np.arange(size, 0, -1) << 40).astype(np.int64)
    contained, container = containment._pairs(value, rank, np.zeros(size, np.int64), np.int64(5_000))
    assert len(contained) == sum(min(i, 8) + (i > 8) for i in range(size))
    assert (container < contained).all()
    assert {(i, i - 1) for i in range(1, size)} <= set(zip(contained.tolist(), container.tolist(), strict=True))


def test_a_text_stays_where_the_only_longer_one_goes(local, tmp_path):
    """Of B nine tenths stand in C, and A stands in B; of A less than nine tenths stand in C."""
    rng = random.Random(6)
    a, rest = prose(rng, 1_000), prose(rng, 300)
    docs = [doc("a", a), doc("b", a + rest), doc("c", a[: len(a) - 120] + prose(rng, 300) + rest)]
    found = duplicates(run_stage(tmp_path, local, docs))
    assert found == oracle(docs)
    assert list(found) == [docs[1]["doc_id"]]


def test_a_session_proposes_the_same_candidates(local, tmp_path):
    """Of samples that many documents have: buckets under and over the bound, equal lengths, two priorities."""
    draw = np.random.default_rng(4)
    lengths, drawn, priority = draw.integers(300, 330, 60), draw.permutation(60), draw.integers(0, 2, 60)
    bucket, document = (
        values.ravel() for values in np.nonzero(draw.random((40, 60)) < draw.uniform(0, 0.6, 40)[:, None])
    )
    node = (document % 3 << 32) + document // 3
    columns = np.stack([bucket * 7919 - 99, (lengths << 40 | drawn)[document], node, priority[document]])
    found = []
    for name, with_engine in (("local", local), ("sail", Sail(local))):
        dedup = Dedup(containment=replace(SAID, max_bucket=25))
        run = make_run(tmp_path / name, dedup, [], with_engine=with_engine)
        for number in range(3):
            rows = columns[:, node >> 32 == number]
            containment._write_samples(
                run.store, f"{containment.SAMPLES}/{number}.parquet", rows[:, np.argsort(rows[0])]
            )
        if with_engine.workers:
            run.map(containment.BUCKETS, containment.meet, containment._ranges(run, columns.shape[1], "x"), ())
            units = [Unit(f"group-{i}", {"number": i, "together": 1}) for i in range(3)]
            run.map(containment.CHOOSE, containment.choose, units, ())
        else:
            containment._by_session(run, 1)
        files = sortedfiles.paths(run.store, containment.CANDIDATES)
        pairs = sortedfiles.read(run.store, files, ["owner", "other"])
        found.append(sorted(zip(*(column.tolist() for column in pairs), strict=True)))
    assert found[0] == found[1]
    assert len(found[0]) == len(set(found[0])) > 100


def test_a_rerun_writes_nothing_and_without_the_table_all_is_undone(local, tmp_path):
    docs = made()
    run = run_stage(tmp_path, local, docs)
    before = {path: run.store.read_bytes(path) for path in run.store.list("")}
    stage.run(run)
    assert {path: run.store.read_bytes(path) for path in run.store.list("")} == before
    object.__setattr__(run.recipe, "dedup", Dedup())
    stage.run(run)
    classify.run(run)
    assert duplicates(run) == {}
    assert sum(row.docs_out for row in run.ledger.rows("classify").values()) == len(docs)


@pytest.mark.parametrize("at", [*containment.STEPS, "dedup"])
def test_a_run_that_was_cut_off_goes_on(local, tmp_path, monkeypatch, at):
    docs = made()
    run = make_run(tmp_path, DEDUP, docs, parts=4, sources=SOURCES, with_engine=local)
    inner, seen = run.map, []

    def dying(name, work, units, folders, **said):
        units = list(units)
        if name == at and not seen:
            seen.append(name)
            inner(name, work, units[:1], folders, **said)
            raise KeyboardInterrupt
        return inner(name, work, units, folders, **said)

    monkeypatch.setattr(run, "map", dying)
    with pytest.raises(KeyboardInterrupt):
        stage.run(run)
    stage.run(run)
    assert duplicates(run) == oracle(docs)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("threshold = 1.5", "dedup.containment.threshold must be over 0 and at most 1, not 1.5"),
        ("max_bucket = 1", "dedup.containment.max_bucket must be at least 2, not 1"),
        ("min_chars = 0", "dedup.containment.min_chars must be at least 1, not 0"),
    ],
)
def test_tables_that_are_wrong(tmp_path, table, says):
    path = tmp_path / "mine.toml"
    path.write_text(f"[dedup.containment]\n{table}\n", "utf-8")
    with pytest.raises(UsageError, match=re.escape(says)):
        recipe.load(path)


def test_an_index_is_refused(local, tmp_path):
    run = make_run(tmp_path / "out", DEDUP, made(), with_engine=local)
    run.index, run.index_new = str(tmp_path / "index"), True
    with pytest.raises(UsageError, match="leave out --index"):
        stage.run(run)


def test_end_to_end_all_is_accounted_for(tmp_path):
    docs = made()
    rows = [{"text": d["text"], "url": f"http://a.cn/{d['source_key']}", "id": d["source_key"]} for d in docs]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "mine.toml").write_text('base = "plain"\n[dedup.containment]\n', "utf-8")
    out = tmp_path / "out"
    finished = mdfs("run", "-r", tmp_path / "mine.toml", "-i", tmp_path / "in.jsonl", "-o", out, "--json")
    assert finished.returncode == 0, finished.stderr
    checked = mdfs("verify", out)
    assert checked.returncode == 0, checked.stdout
    told = mdfs("why", out, "http://a.cn/release-1").stdout
    assert "containment copy of" in told, told
    explained = mdfs("dedup", "explain", out, "http://a.cn/release-1")
    assert explained.returncode == 0, explained.stderr
