"""Decontamination: which pieces stay, test sets and their files, and planted test sets through the whole line."""

import gzip
import json
import random
import re

import pyarrow as pa
import pytest
from conftest import CORPUS, mdfs
from dedup_corpus import doc, make_run, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs import cuts, engine, recipe
from mdfs.classify import stage as classify
from mdfs.dedup import benchmarks, stage
from mdfs.dedup.decontaminate import TOO_SHORT, TOO_SPLIT, cut
from mdfs.errors import UsageError
from mdfs.parts import read_part
from mdfs.recipe import Benchmark, Decontaminate, Dedup

SAID = Decontaminate()


@pytest.mark.parametrize(
    ("chars", "hits", "pieces"),
    [
        (1000, [(500, 520)], [(0, 300), (720, 1000)]),
        (1000, [(0, 20)], [(220, 1000)]),
        (1000, [(980, 1000)], [(0, 780)]),
        (1000, [(200, 220)], [(420, 1000)]),
        (1000, [(450, 470), (460, 480), (500, 520)], [(0, 250), (720, 1000)]),
        (2000, [(400, 420), (1000, 1020)], [(0, 200), (620, 800), (1220, 2000)][::2]),
        (2000, [(500, 520), (919, 940)], [(0, 300), (1140, 2000)]),
        (600, [(399, 420)], TOO_SHORT),
        (100, [(10, 30)], TOO_SHORT),
        (9000, [(800 * i, 800 * i + 20) for i in range(1, 10)], [(0, 600), *((800 * i + 220, 800 * i + 600) for i in range(1, 9)), (7420, 9000)]),
        (9800, [(800 * i, 800 * i + 20) for i in range(1, 11)], TOO_SPLIT),
    ],
)  # fmt: skip
def test_pieces_that_stay(chars, hits, pieces):
    found = cut(chars, [start for start, _ in hits], [end for _, end in hits], SAID)
    assert found == (([], pieces) if isinstance(pieces, str) else (pieces, ""))


HITS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.integers(1, 80), HITS, st.integers(0, 9), st.integers(1, 9), st.integers(1, 4))
def test_pieces_as_the_reference_says(chars, hits, around, least, splits):
    """The reference strikes characters out one by one."""
    hits = sorted({(start, min(start + 1 + length, chars)) for start, length in hits if start < chars}) or [(0, 1)]
    ends = [max(end for _, end in hits[: i + 1]) for i in range(len(hits))]
    struck = "".join(
        "x" if any(s - around <= i < e + around for (s, _), e in zip(hits, ends, strict=True)) else "."
        for i in range(chars)
    )
    runs = [match.span() for match in re.finditer(r"\.+", struck)]
    long = [run for run in runs if run[1] - run[0] >= least]
    said = Decontaminate(around=around, min_chars=least, max_splits=splits)
    reason = TOO_SPLIT if len(runs) > splits else "" if long else TOO_SHORT
    assert cut(chars, [start for start, _ in hits], ends, said) == ([] if reason else long, reason)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=3)))
)
def test_cuts_are_applied_to_their_documents_alone(rows):
    ids = [f"{number:032x}" for number in range(len(rows))]
    texts = [text.encode("utf-8", "replace").decode() for text, _ in rows]
    batch = pa.RecordBatch.from_pydict({"doc_id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())})
    pieces = {doc_id: spans for doc_id, (_, spans) in zip(ids, rows, strict=True) if spans}
    done = cuts.applied(batch, cuts.Cuts(pieces, {})).column("text").to_pylist()
    assert done == [
        cuts.BETWEEN.join(text[start:end] for start, end in pieces[doc_id]) if doc_id in pieces else text
        for doc_id, text in zip(ids, texts, strict=True)
    ]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def texts(*entries):
    made = recipe.Recipe(name="t", decontaminate=Decontaminate(tuple(entries)))
    return [list(benchmarks.texts(made, entry)) for entry in entries]


def test_layouts_and_field_maps(tmp_path):
    piqa = jsonl(tmp_path / "piqa.jsonl", [{"goal": "g", "sol1": "a", "sol2": "b", "label": "no"}])
    own = jsonl(tmp_path / "own.jsonl", [{"q": {"text": "一"}, "options": ["二", "三", 4], "no": None}, {"q": 3}])
    (tmp_path / "subjects").mkdir()
    (tmp_path / "subjects/b.csv").write_text('﻿id,question,A,B,C,D\n0,"谁,\n何",甲,乙,丙,丁\n', "utf-8")
    (tmp_path / "subjects/a.csv").write_text("id,question,A,B,C,D\n0,几,,,,\n", "utf-8")
    (tmp_path / "l.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n\n'))
    assert texts(
        Benchmark("piqa", piqa),
        Benchmark("own", own, ("q.text", "options")),
        Benchmark("ceval", str(tmp_path / "subjects")),
        Benchmark("lambada", str(tmp_path / "*.gz")),
    ) == [["g", "a", "b"], ["一", "二", "三"], ["几", "", "", "", "", "谁,\n何", "甲", "乙", "丙", "丁"], ["x"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [("not json\n", "line 1: not JSON"), ('{"other": 1}\n', "no entry has a text in sentence"), (b"\xff\xfe", "UTF-8")],
)
def test_files_that_are_no_test_set(tmp_path, content, says):
    path = tmp_path / "tnews.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=says):
        texts(Benchmark("tnews", str(path)))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('benchmarks = [{ name = "tnew", path = "x" }]', "did you mean 'tnews'"),
        ('benchmarks = [{ name = "mine", path = "x" }]', "give fields"),
        ('benchmarks = [{ name = "csl", path = "x" }, { name = "csl", path = "y" }]', "names 'csl' 2 times"),
        ("chars = 0", "chars must be at least 1"),
        ("around = -1", "around must not be negative"),
    ],
)
def test_tables_that_are_wrong(tmp_path, table, says):
    path = tmp_path / "mine.toml"
    path.write_text(f"[decontaminate]\n{table}\n", "utf-8")
    with pytest.raises(UsageError, match=says):
        recipe.load(path)


def test_the_digest_is_of_the_contents(tmp_path):
    """A test set that moves changes nothing; one that changes does; none leaves every digest as it was."""
    entry = [{"sentence": "一"}]
    digests = []
    for folder, rows in (("a", entry), ("b", entry), ("c", [*entry, {"sentence": "二"}])):
        (tmp_path / folder).mkdir()
        jsonl(tmp_path / folder / "tnews.jsonl", rows)
        mine = tmp_path / folder / "mine.toml"
        mine.write_text('[decontaminate]\nbenchmarks = [{ name = "tnews", path = "tnews.jsonl" }]\n', "utf-8")
        loaded = recipe.load(mine)
        digests.append(loaded.digest())
        assert recipe.from_dict(loaded.to_dict()).digest() == loaded.digest()
    assert digests[0] == digests[1] != digests[2]


@pytest.fixture(scope="module")
def local():
    made = engine.create("local", workers=1)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["local", pytest.param("spark", marks=pytest.mark.spark)])
def worker(request):
    if request.param == "local":
        yield request.getfixturevalue("local")
        return
    made = engine.create(request.param, workers=2)
    yield made
    made.close()


def planted(rng):
    """Questions, and documents that hold them: in the middle, whole, often, as sayings in 11 documents, as a copy."""
    questions = [prose(rng, 60) for _ in range(6)]
    docs = [doc(f"clean-{i}", prose(rng, 500)) for i in range(20)]
    docs += [doc("middle", prose(rng, 600) + questions[0] + prose(rng, 600))]
    docs += [doc("whole", questions[1])]
    docs += [doc("often", "".join(prose(rng, 600) + questions[2] for _ in range(12)))]
    docs += [doc(f"saying-{i}", prose(rng, 300) + questions[3]) for i in range(11)]
    text = prose(rng, 500) + questions[4]
    docs += [doc(f"copy-{i}", text + "。" * i) for i in range(14)]
    return questions, docs


def run_stages(folder, local, docs, said, parts=3):
    run = make_run(folder, Dedup(exact=True), docs, parts=parts, with_engine=local)
    object.__setattr__(run.recipe, "decontaminate", said)
    stage.run(run)
    classify.run(run)
    return run


def result(run, kind):
    batches = (batch for file in run.files("classify", kind) for batch in read_part(run.store, file.path))
    return {row["source_key"]: row for batch in batches for row in batch.to_pylist()}


def test_planted_questions_go(tmp_path, worker):
    questions, docs = planted(random.Random(5))
    path = jsonl(tmp_path / "q.jsonl", [{"sentence": text} for text in [*questions, "短"]])
    said = Decontaminate((Benchmark("tnews", path),))
    run = run_stages(tmp_path / "out", worker, docs, said)
    kept, dropped = result(run, "kept"), result(run, "dropped")
    before = {d["source_key"]: d["text"] for d in docs}
    # A comma stands between the characters of the question and those around it, and is no unit.
    assert (
        kept["middle"]["text"].split(cuts.BETWEEN)[0]
        == before["middle"][: 400 + before["middle"].index(questions[0]) - 600]
    )
    assert len(kept["middle"]["text"]) == len(before["middle"]) - len(questions[0]) - 400 + len(cuts.BETWEEN)
    assert {key: row["drop_reasons"] for key, row in dropped.items()} == {"whole": [TOO_SHORT], "often": [TOO_SPLIT]}
    assert dropped["often"]["text"] == before["often"]
    changed = {key for key, row in kept.items() if row["text"] != before[key]}
    assert changed - {"middle"} == {key for key in kept if key.startswith("copy-")}, "copies count once"
    (told,) = run.ledger.rows("dedup-benchmarks").values()
    assert (told.facts["tnews.texts"], told.facts["tnews.too_short"]) == (7, 1)
    facts = [row.facts for row in run.ledger.rows("dedup-cuts").values()]
    total = {key: sum(fact.get(key, 0) for fact in facts) for key in ("tnews.documents", "cut", "dropped", "frequent")}
    assert total["tnews.documents"] == 4
    assert (total["cut"], total["dropped"]) == (2, 2)
    assert total["frequent"] > 0


def test_with_no_bound_sayings_go_too(tmp_path, local):
    questions, docs = planted(random.Random(5))
    path = jsonl(tmp_path / "q.jsonl", [{"sentence": text} for text in questions])
    said = Decontaminate((Benchmark("tnews", path),), max_documents=0, min_chars=50)
    kept = result(run_stages(tmp_path / "out", local, docs, said), "kept")
    assert not [key for key, row in kept.items() if questions[3] in row["text"]]


def test_parts_order_and_reruns_change_nothing(tmp_path, local):
    questions, docs = planted(random.Random(5))
    path = jsonl(tmp_path / "q.jsonl", [{"sentence": text} for text in questions])
    said = Decontaminate((Benchmark("tnews", path),))
    runs = [run_stages(tmp_path / "one", local, docs, said)]
    random.Random(1).shuffle(docs)
    runs.append(run_stages(tmp_path / "two", local, docs, said, parts=7))
    kept = [{key: row["text"] for key, row in result(run, "kept").items()} for run in runs]
    assert kept[0] == kept[1]
    before = {file: runs[0].store.read_bytes(file) for file in runs[0].store.list("")}
    stage.run(runs[0])
    classify.run(runs[0])
    assert {file: runs[0].store.read_bytes(file) for file in runs[0].store.list("")} == before


def test_without_test_sets_all_is_undone(tmp_path, local):
    questions, docs = planted(random.Random(5))
    path = jsonl(tmp_path / "q.jsonl", [{"sentence": text} for text in questions])
    run = run_stages(tmp_path / "out", local, docs, Decontaminate((Benchmark("tnews", path),)))
    object.__setattr__(run.recipe, "decontaminate", Decontaminate())
    stage.run(run)
    classify.run(run)
    assert not run.store.list("dedup/cuts") + run.store.list("dedup/hits")
    assert result(run, "kept")["whole"]["text"] == questions[1]


def test_planted_in_the_sample_end_to_end(tmp_path):
    """Sentences of the sample's own articles as a test set: they are gone, all is accounted for, the report is made."""
    rows = [json.loads(line) for line in (CORPUS / "articles.jsonl").read_text("utf-8").splitlines()]
    longest = sorted((row["text"] for row in rows), key=lambda text: len(text.encode()) - len(text))[-3:]
    wanted = [text[len(text) // 2 : len(text) // 2 + 40] for text in longest]
    jsonl(tmp_path / "q.jsonl", [{"q": text} for text in wanted])
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'base = "plain"\n[decontaminate]\nbenchmarks = [{ name = "own", path = "q.jsonl", fields = ["q"] }]\n', "utf-8"
    )
    finished = mdfs("run", "-r", mine, "-i", CORPUS / "articles.jsonl", "-o", tmp_path / "out", "--json")
    assert finished.returncode == 0, finished.stderr
    stages = {stage["stage"]: stage for stage in json.loads(finished.stdout)["stages"]}
    classified = stages["classify"]
    assert classified["docs_in"] == classified["docs_out"] + classified["docs_dropped"]
    checked = mdfs("verify", tmp_path / "out")
    assert checked.returncode == 0, checked.stdout
    store = cuts.Store(str(tmp_path / "out"))
    left = [
        text
        for path in store.list("classify/kept")
        for batch in read_part(store, path, ["text"])
        for text in batch.column("text").to_pylist()
    ]
    assert left
    assert not [text for text in left for question in wanted if question in text]
    assert cuts.read(store, store.list("dedup/cuts")[0]) != cuts.Cuts({}, {})
