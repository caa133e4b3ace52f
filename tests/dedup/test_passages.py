"""Passages that repeat: kernels against all windows, what is cut against an oracle, on both engines."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from conftest import mdfs
from dedup_corpus import doc, make_run, prose, source
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs import cuts, recipe
from mdfs.classify import stage as classify
from mdfs.dedup import passages, stage, windows
from mdfs.errors import UsageError
from mdfs.parts import read_part
from mdfs.recipe import Dedup, Lines, Substring


def all_windows(text, size):
    """The gold: (start, end) of the shortest runs of characters of `size` bytes or more."""
    found, end = [], 0
    for start in range(len(text)):
        end = max(end, start)
        while end < len(text) and len(text[start:end].encode()) < size:
            end += 1
        if len(text[start:end].encode()) < size:
            break
        found.append((start, end))
    return found


TEXTS = st.lists(st.text("aé天𠀀", max_size=60), max_size=5)


@settings(deadline=None)
@given(TEXTS, st.integers(30, 34))
def test_equal_windows_share_a_sample_and_are_found(texts, size):
    array = pa.array(texts, pa.string())
    found, counts = np.unique(windows.samples(array, size=size), return_counts=True)
    places = [(i, start, end) for i, text in enumerate(texts) for start, end in all_windows(text, size)]
    everything = windows.find(array, found, size=size)
    got = list(zip(everything.document.tolist(), everything.start.tolist(), everything.end.tolist(), strict=True))
    assert got == places
    spelt = [texts[i][start:end] for i, start, end in places]
    for column in (everything.hashes, everything.checks):
        by_hash = dict(zip(column.tolist(), spelt, strict=True))
        assert [by_hash[value] for value in column.tolist()] == spelt
        assert len(by_hash) == len(set(spelt))
    shared = windows.find(array, found[counts > 1], size=size)
    some = set(zip(shared.document.tolist(), shared.start.tolist(), shared.end.tolist(), strict=True))
    assert some <= set(places)
    assert {place for place, text in zip(places, spelt, strict=True) if spelt.count(text) > 1} <= some
    hashes = dict(zip(got, everything.hashes.tolist(), strict=True))
    for place, value in zip(zip(shared.document, shared.start, shared.end, strict=True), shared.hashes, strict=True):
        assert hashes[tuple(map(int, place))] == value


def test_samples_are_few():
    text = prose(random.Random(1), 60_000)
    assert len(windows.samples(pa.array([text]), size=225)) < len(text) / 15
    assert len(windows.samples(pa.array(["天" * 9_000]), size=225)) == 3


def order(docs, dedup, sources=()):
    """The keeper order: the oracle's, as in dedup_corpus."""
    rank = {entry.name: entry.priority for entry in sources}

    def key(d):
        ratio = d["signals"]["end_mark_ratio"] if dedup.prefer else None
        return (-rank.get(d["source"], 0), ratio is None, -round(ratio or 0, 2), -len(d["text"]), d["doc_id"])

    return sorted(docs, key=key)


def oracle(docs, dedup, sources=()):
    """source_key → the spans that stand somewhere before, by looking at all windows in order."""
    first, found = {}, {}
    for d in order(docs, dedup, sources):
        text, spans = d["text"], []
        for start, end in all_windows(text, 3 * dedup.substring.span_chars):
            owner, before = first.setdefault(text[start:end], (d["doc_id"], end))
            if owner != d["doc_id"] or before <= start:
                if spans and start <= spans[-1][1]:
                    spans[-1][1] = end
                else:
                    spans.append([start, end])
        if spans:
            found[d["source_key"]] = spans
    return found


def left(d, spans, said):
    """The text after the cuts, None where it is dropped."""
    edges = zip([0, *(end for _, end in spans)], [*(start for start, _ in spans), len(d["text"])], strict=True)
    pieces = [d["text"][start:end] for start, end in edges if start < end]
    return cuts.BETWEEN.join(pieces) if sum(map(len, pieces)) >= max(1, said.min_chars) else None


def made(seed=11):
    """Texts that share passages in all ways: in the middle, at the ends, overlapping, twice in one text, in runs."""
    rng = random.Random(seed)
    shared = [prose(rng, 120) for _ in range(6)]
    docs = []
    for i in range(40):
        parts = [prose(rng, rng.choice([20, 60, 120]))]
        for _ in range(rng.randrange(3)):
            passage = rng.choice(shared)
            start = rng.choice([0, 0, 30])
            parts += [passage[start : start + rng.choice([40, 70, 200])], prose(rng, rng.choice([0, 10, 60]))]
        docs.append(doc(f"doc-{i}", "".join(parts), source=rng.choice("ab"), ratio=rng.choice([None, 0.5, 0.7])))
    docs += [doc("run", prose(rng, 50) + "哈" * 150), doc("laugh", "哈" * 90 + prose(rng, 60)), doc("all", shared[0])]
    docs += [doc("english", "the quick brown fox jumps over the lazy dog and so on " * 4), doc("empty", "")]
    docs += [
        doc(
            "mixed",
            prose(rng, 40)
            + "the quick brown fox jumps over the lazy dog and so on the quick brown fox jumps over the lazy d" * 2,
        )
    ]
    rng.shuffle(docs)
    return docs


SAID = Substring(span_chars=30, min_chars=20)
DEDUP = Dedup(substring=SAID, prefer=("end_mark_ratio",))
SOURCES = (source("b", 2),)


def run_stages(folder, with_engine, docs, dedup=DEDUP, parts=3, memory=0):
    run = make_run(folder, dedup, docs, parts=parts, sources=SOURCES, with_engine=with_engine)
    run.memory = memory
    stage.run(run)
    classify.run(run)
    return run


def result(run, reasons=(passages.TOO_SHORT,)):
    """source_key → text, None where it is dropped."""
    found = {}
    for kind in ("kept", "dropped"):
        for file in run.files("classify", kind):
            for batch in read_part(run.store, file.path):
                for row in batch.to_pylist():
                    assert row["source_key"] not in found
                    assert not row["drop_reasons"] or row["drop_reasons"][0] in reasons
                    found[row["source_key"]] = row["text"] if kind == "kept" else None
    return found


def wanted_of(docs, dedup=DEDUP):
    spans = oracle(docs, dedup, SOURCES)
    return {
        d["source_key"]: left(d, spans[d["source_key"]], dedup.substring) if d["source_key"] in spans else d["text"]
        for d in docs
    }


def test_as_the_oracle_says(worker, tmp_path):
    docs = made()
    wanted = wanted_of(docs)
    run = run_stages(tmp_path, worker, docs)
    assert result(run) == wanted
    assert sum(text is None for text in wanted.values()) >= 1
    assert (
        sum(text != d["text"] for text, d in zip(map(wanted.get, (d["source_key"] for d in docs)), docs, strict=True))
        > 15
    )
    assert not run.store.list("dedup/samples") + run.store.list("dedup/windows")


@pytest.mark.parametrize(("parts", "memory"), [(1, 0), (9, 100_000)])
def test_order_parts_and_memory_change_nothing(local, tmp_path, parts, memory):
    docs = made()
    wanted = wanted_of(docs)
    random.Random(parts).shuffle(docs)
    assert result(run_stages(tmp_path, local, docs, parts=parts, memory=memory)) == wanted


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("ab天", max_size=70), min_size=1, max_size=6), st.randoms())
def test_small_texts_as_the_oracle_says(texts, rng):
    """The decisions without files: rows and answers are handed over as the steps do."""
    dedup = Dedup(substring=Substring(span_chars=10, min_chars=0))
    made_of = recipe.Recipe(name="t", dedup=dedup)
    docs = [doc(str(i), text) for i, text in enumerate(texts)]
    batches = [pa.RecordBatch.from_pylist(docs[i::2]) for i in range(2) if docs[i::2]]
    found = np.concatenate([windows.samples(b.column("text"), size=30) for b in batches])
    values, counts = np.unique(found, return_counts=True)
    parts, rows = [], []
    for number, batch in enumerate(batches):
        one, two = passages.keeper_order(batch, made_of)
        seen = windows.find(batch.column("text"), values[counts > 1], size=30)
        parts.append((batch, seen, one, two))
        ends = passages._ends(seen, one[seen.document], two[seen.document])
        rows.append(np.stack([*ends, np.full(ends[0].size, number)]))
    names = ("hash", "check", "order_1", "order_2", "part")
    from mdfs.dedup import tally

    answers = tally._first(dict(zip(names, np.concatenate(rows, axis=1), strict=True)))
    spans = {}
    for number, (batch, seen, one, two) in enumerate(parts):
        mine = [answers[name][answers["part"] == number] for name in names[:4]]
        at = np.argsort(mine[0], kind="stable")
        again = passages._again(seen, one, two, [column[at] for column in mine])
        for document in np.unique(seen.document[again]).tolist():
            here = again & (seen.document == document)
            key = batch.column("source_key")[document].as_py()
            spans[key] = windows.union(seen.start[here], seen.end[here]).tolist()
    assert spans == oracle(docs, dedup)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("ab天地", max_size=80), min_size=2, max_size=5))
def test_what_is_cut_stays_at_its_first_place(texts):
    """Of the oracle itself: every character that is cut stands in a window of which an equal one is before it."""
    dedup = Dedup(substring=Substring(span_chars=10, min_chars=0))
    docs = [doc(str(i), text) for i, text in enumerate(texts)]
    spans = oracle(docs, dedup)
    kept = {d["source_key"]: "".join(left_pieces(d["text"], spans.get(d["source_key"], []))) for d in docs}
    first = order(docs, dedup)[0]
    whole = all_windows(first["text"], 30)
    assert not whole or kept[first["source_key"]][: whole[0][1]] == first["text"][: whole[0][1]]
    letters = {char for d in docs for char in d["text"]}
    assert {char for text in kept.values() for char in text} == letters


def left_pieces(text, spans):
    edges = zip([0, *(end for _, end in spans)], [*(start for start, _ in spans), len(text)], strict=True)
    return [text[start:end] for start, end in edges]


def test_counting_changes_no_text(local, tmp_path):
    docs = made()
    dedup = replace(DEDUP, substring=replace(SAID, action="count"))
    run = run_stages(tmp_path, local, docs, dedup)
    assert result(run) == {d["source_key"]: d["text"] for d in docs}
    spans = oracle(docs, DEDUP, SOURCES)
    rows = {}
    for file in run.files(passages.CUTS, "repeated"):
        for batch in read_part(run.store, file.path):
            rows |= {
                row["doc_id"]: [list(p) for p in zip(row["starts"], row["ends"], strict=True)]
                for row in batch.to_pylist()
            }
    assert rows == {d["doc_id"]: spans[d["source_key"]] for d in docs if d["source_key"] in spans}
    facts = [row.facts for row in run.ledger.rows(passages.CUTS).values()]
    told = {name: sum(fact.get(name, 0) for fact in facts) for name in ("documents", "passages", "chars", "cut")}
    lengths = [end - start for of_doc in spans.values() for start, end in of_doc]
    assert told == {"documents": len(spans), "passages": len(lengths), "chars": sum(lengths), "cut": 0}


def test_it_works_on_what_lines_leave(local, tmp_path):
    rng = random.Random(4)
    notice = prose(rng, 100)
    docs = [doc(f"page-{i}", f"{prose(rng, 200)}\n{notice}\n{prose(rng, 200)}") for i in range(8)]
    passage = prose(rng, 100)
    docs += [
        doc("one", f"{prose(rng, 200)}\n{notice}\n{passage}。"),
        doc("two", f"{prose(rng, 300)}\n{notice}\n{passage}！"),
    ]
    run = run_stages(tmp_path, local, docs, Dedup(lines=Lines(), substring=SAID))
    found = result(run)
    assert not [text for text in found.values() if notice in text]
    assert [passage in found[key] for key in ("one", "two")] == [False, True]
    facts = [row.facts for row in run.ledger.rows(passages.CUTS).values()]
    assert sum(fact.get("passages", 0) for fact in facts) == 1


def test_a_rerun_writes_nothing_and_without_the_table_all_is_undone(local, tmp_path):
    docs = made()
    run = run_stages(tmp_path, local, docs)
    before = {path: run.store.read_bytes(path) for path in run.store.list("")}
    stage.run(run)
    classify.run(run)
    assert {path: run.store.read_bytes(path) for path in run.store.list("")} == before
    object.__setattr__(run.recipe, "dedup", Dedup())
    stage.run(run)
    classify.run(run)
    assert not run.store.list("dedup/passage-cuts") + run.store.list("ledger/dedup-passages")
    assert result(run) == {d["source_key"]: d["text"] for d in docs}


@pytest.mark.parametrize(
    "at", [passages.SAMPLES, "dedup-samples-tally", passages.WINDOWS, "dedup-windows-tally", passages.CUTS]
)
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
    classify.run(run)
    assert result(run) == wanted_of(docs)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('action = "drop"', 'dedup.substring.action must be "cut" or "count", not \'drop\''),
        ("span_chars = 5", "dedup.substring.span_chars must be at least 10, not 5"),
        ("min_chars = -1", "dedup.substring.min_chars must be at least 0, not -1"),
    ],
)
def test_tables_that_are_wrong(tmp_path, table, says):
    path = tmp_path / "mine.toml"
    path.write_text(f"[dedup.substring]\n{table}\n", "utf-8")
    with pytest.raises(UsageError, match=re.escape(says)):
        recipe.load(path)


def test_end_to_end_all_is_accounted_for(tmp_path):
    docs = made()
    rows = [{"text": d["text"], "url": f"http://a.cn/{d['source_key']}", "id": d["source_key"]} for d in docs]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "mine.toml").write_text('base = "plain"\n[dedup.substring]\nspan_chars = 30\nmin_chars = 20\n', "utf-8")
    out = tmp_path / "out"
    finished = mdfs("run", "-r", tmp_path / "mine.toml", "-i", tmp_path / "in.jsonl", "-o", out, "--json")
    assert finished.returncode == 0, finished.stderr
    assert mdfs("verify", out).returncode == 0
    stages = {entry["stage"]: entry for entry in json.loads(finished.stdout)["stages"]}
    dropped = stages["classify"]["dropped"][passages.TOO_SHORT]
    assert dropped == stages["classify"]["docs_dropped"] > 0
    spans = oracle([d | {"source": "in.jsonl"} for d in docs], Dedup(substring=SAID))
    told = [mdfs("why", out, f"http://a.cn/{key}").stdout for key in sorted(spans)[:4]]
    assert any("passages: " in text and "characters cut out (repeats)" in text for text in told), told
    assert "stand elsewhere before, letter by letter" in cuts.Store(str(out)).read_bytes("report.html").decode()
