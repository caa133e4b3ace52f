"""The stage on small corpora, on both engines, against an oracle that looks at all pairs."""

import random
from dataclasses import replace

import numpy as np
import pytest
from dedup_corpus import ALL, MINHASH, doc, duplicates, make_run, oracle, prose, sample, sample_oracle, source

from mdfs.dedup import components, keys, stage
from mdfs.errors import RunError
from mdfs.recipe import Dedup, Recipe


class NoSession:
    """An engine of which a session must not be asked."""

    def __init__(self, inner):
        self.map, self.workers = inner.map, inner.workers

    def session(self):
        raise AssertionError("a session was started")


def files(run):
    """Every file of the run's folder with its content."""
    return {path: run.store.read_bytes(path) for path in run.store.list("")}


RECIPES = {
    "all": ALL,
    "minhash": Dedup(minhash=MINHASH),
    "exact": Dedup(exact=True),
    "url and exact": Dedup(url=True, exact=True, prefer=("end_mark_ratio",)),
}


@pytest.mark.parametrize("name", RECIPES)
def test_as_the_oracle_says(worker, tmp_path, name):
    docs = sample()
    run = make_run(tmp_path, RECIPES[name], docs, with_engine=worker)
    stage.run(run)
    found = duplicates(run)
    assert found == sample_oracle(RECIPES[name])
    assert found
    total = sum(row.docs_dropped for row in run.ledger.rows("dedup").values())
    assert total == len(found)
    assert sum(row.docs_in for row in run.ledger.rows("dedup").values()) == len(docs)
    assert not run.store.list("dedup/work")


def test_components_of_a_session_are_those_of_union_find(worker, tmp_path, monkeypatch):
    docs = sample()
    monkeypatch.setattr(stage, "_driver_edges", lambda run: 0)
    run = make_run(tmp_path, ALL, docs, with_engine=worker)
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)


@pytest.mark.parametrize("shape", ["path", "star", "random", "pair"])
def test_contraction_of_hard_graphs(worker, tmp_path, shape):
    draw = np.random.default_rng(3)
    order = draw.permutation(300).astype(np.int64) << 32
    a, b = {
        "path": (order[:-1], order[1:]),
        "star": (np.full(299, order[0]), order[1:]),
        "random": (draw.integers(0, 300, 200), draw.integers(0, 300, 200)),
        "pair": (order[:1], order[1:2]),
    }[shape]
    a, b = a[a != b], b[a != b]
    run = make_run(tmp_path, ALL, [], with_engine=worker)
    frame = worker.session().createDataFrame([(int(x), int(y)) for x, y in zip(a, b, strict=True)], "a long, b long")
    components.write_by_contraction(run, frame)
    rows = worker.session().read.parquet(run.store.spark_uri(components.FOLDER)).orderBy("node").collect()
    nodes, roots = components.union_find(a, b)
    assert [tuple(row) for row in rows] == list(zip(nodes.tolist(), roots.tolist(), strict=True))


def test_contraction_that_does_not_settle_is_an_error(local, tmp_path, monkeypatch):
    monkeypatch.setattr(components, "ROUNDS", 1)
    run = make_run(tmp_path, ALL, [], with_engine=local)
    edges = [(i * 37 % 101, (i + 1) * 37 % 101) for i in range(100)]
    with pytest.raises(RunError, match="did not settle"):
        components.write_by_contraction(run, local.session().createDataFrame(edges, "a long, b long"))


def test_union_find_against_labels_spread_by_hand():
    draw = np.random.default_rng(5)
    for _ in range(50):
        a, b = draw.integers(0, 40, (2, 25))
        labels = {int(x): int(x) for x in np.concatenate([a, b])}
        for _ in range(40):
            for x, y in zip(a.tolist(), b.tolist(), strict=True):
                labels[x] = labels[y] = min(labels[x], labels[y])
        nodes, roots = components.union_find(a, b)
        assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == labels


@pytest.mark.parametrize(
    "change",
    [
        ("turned round", lambda docs: (docs[::-1], 3)),
        ("more parts", lambda docs: (docs, 11)),
        ("one part", lambda docs: (docs, 1)),
        ("one more", lambda docs: ([doc("stranger", prose(random.Random(99), 400)), *docs], 3)),
    ],
    ids=lambda change: change[0],
)
def test_order_parts_and_strangers_change_nothing(local, tmp_path, change):
    docs, parts = change[1](sample())
    run = make_run(tmp_path, ALL, docs, parts=parts, with_engine=local)
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)


def test_the_keeper_is_the_best_by_the_declared_order(local, tmp_path):
    text = prose(random.Random(1), 300)
    docs = [
        doc("1", text, source="low", ratio=0.9),
        doc("2", text, source="high", ratio=0.10),
        doc("3", text, source="high", ratio=0.304),
        doc("4", text + "。", source="high", ratio=0.296),
        doc("5", text, source="high", ratio=None),
        doc("6", text, source="high", ratio=float("nan")),
    ]
    sources = [source("low", 1), source("high", 2)]
    run = make_run(tmp_path, ALL, docs, sources=sources, with_engine=local)
    stage.run(run)
    assert {kept for kept, _, _ in duplicates(run).values()} == {docs[3]["doc_id"]}
    equal = [doc("7", text), doc("8", text)]
    run = make_run(tmp_path / "equal", ALL, equal, with_engine=local)
    stage.run(run)
    small, large = sorted(d["doc_id"] for d in equal)
    assert duplicates(run) == {large: (small, "exact", 1.0)}


def test_a_chain_has_one_keeper_and_true_similarities(local, tmp_path):
    rng = random.Random(4)
    base, docs = prose(rng, 700), []
    for i in range(8):
        base = base[55:] + prose(rng, 55)
        docs.append(doc(f"link-{i}", base))
    run = make_run(tmp_path, ALL, docs, with_engine=local)
    stage.run(run)
    found = duplicates(run)
    assert len(found) == 7
    assert len({kept for kept, _, _ in found.values()}) == 1
    assert min(similarity for _, _, similarity in found.values()) < MINHASH.threshold
    assert found == oracle(docs, ALL)


def test_a_group_of_thousands_stays_linear(local, tmp_path):
    rng = random.Random(8)
    base = prose(rng, 200)
    docs = [doc(f"copy-{i}", base + "一二三四五六七八九十"[i % 10]) for i in range(3_000)]
    run = make_run(tmp_path, Dedup(minhash=MINHASH), docs, with_engine=local)
    stage.run(run)
    assert len(duplicates(run)) == 2_999
    verified = sum(row.docs_in for row in run.ledger.rows("dedup-verify").values())
    assert verified <= 2 * 18 * 3_000


def test_a_rerun_starts_no_session_and_writes_nothing(local, tmp_path):
    run = make_run(tmp_path, ALL, sample(), with_engine=local)
    stage.run(run)
    before = files(run)
    run.engine = NoSession(local)
    stage.run(run)
    after = files(run)
    assert before == after


def test_more_documents_are_taken_into_account(local, tmp_path):
    docs = sample()
    run = make_run(tmp_path, ALL, docs[:-40], with_engine=local)
    stage.run(run)
    run = make_run(tmp_path, ALL, docs, with_engine=local)
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)


class CutError(Exception):
    """The run is killed here."""


@pytest.mark.parametrize("at", ["dedup-keys", "dedup-verify", "dedup", "removed", "delete"])
def test_a_run_that_was_cut_off_goes_on(local, tmp_path, monkeypatch, at):
    docs = sample()
    run = make_run(tmp_path, ALL, docs, with_engine=local)
    done = run.map

    def cut(name, *rest, **options):
        if name == at:
            raise CutError
        return done(name, *rest, **options)

    def fail(*_):
        raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(run, "map", cut)
        if at == "removed":
            patch.setattr(stage.localkeepers, "write", fail)
        if at == "delete":
            patch.setattr(type(run.store), "delete_folder", fail)
            patch.setattr(
                run.store, "delete_folder", lambda path: None if path != "dedup/work" else fail(), raising=False
            )
        with pytest.raises(CutError):
            stage.run(run)
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)
    assert not run.store.list("dedup/work")


def test_another_recipe_over_a_half_finished_one(local, tmp_path):
    docs = sample()
    run = make_run(tmp_path, ALL, docs, with_engine=local)
    stage.run(run)
    first = duplicates(run)
    run.recipe = replace(run.recipe, dedup=Dedup(exact=True))
    stage.run(run)
    assert duplicates(run) == sample_oracle(Dedup(exact=True))
    run.recipe = replace(run.recipe, dedup=ALL)
    stage.run(run)
    assert duplicates(run) == first


def test_without_switches_nothing_is_removed_and_no_session_starts(local, tmp_path):
    docs = sample()
    run = make_run(tmp_path, Dedup(), docs, with_engine=NoSession(local))
    stage.run(run)
    rows = run.ledger.rows("dedup").values()
    assert duplicates(run) == {}
    assert sum(row.docs_out for row in rows) == sum(row.docs_in for row in rows) == len(docs)
    assert not run.store.list("dedup")


def test_an_empty_corpus(local, tmp_path):
    run = make_run(tmp_path, ALL, [], with_engine=NoSession(local))
    stage.run(run)
    assert duplicates(run) == {}


def test_a_corpus_without_any_pair(local, tmp_path):
    rng = random.Random(6)
    run = make_run(tmp_path, ALL, [doc(str(i), prose(rng, 100)) for i in range(5)], with_engine=local)
    stage.run(run)
    assert duplicates(run) == {}
    assert sum(row.docs_out for row in run.ledger.rows("dedup").values()) == 5


def test_two_equal_ids_are_an_error_that_names_one(worker, tmp_path):
    docs = [*sample(), doc("near-3-1", "另一篇文章")]
    run = make_run(tmp_path, ALL, docs, with_engine=worker)
    with pytest.raises(RunError, match=doc("near-3-1", "")["doc_id"]):
        stage.run(run)


def test_ids_that_are_no_ids_are_an_error(local, tmp_path):
    run = make_run(tmp_path, ALL, [doc("1", "文") | {"doc_id": "x" * 32}], with_engine=local)
    with pytest.raises(RunError, match="32 hex digits"):
        stage.run(run)


def test_a_signal_that_documents_do_not_have_is_an_error(local, tmp_path):
    run = make_run(tmp_path, replace(ALL, prefer=("no_such",)), [doc("1", "文")], with_engine=local)
    with pytest.raises(RunError, match="no_such"):
        stage.run(run)


def test_what_a_killed_worker_left_is_not_read(worker, tmp_path):
    docs = sample()
    run = make_run(tmp_path, ALL, docs, with_engine=worker)
    done = run.map

    def littering(name, *rest, **options):
        rows = done(name, *rest, **options)
        for folder in ("dedup/keys", "dedup/verified"):
            run.store.write_bytes(f"{folder}/.tmp-1234", b"half a file")
        return rows

    run.map = littering
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)


def test_priority_of_a_source():
    known = [source("high", 3), replace(source("x", 5), name="", match="web*/**"), replace(source("x", 7), match="*")]
    recipe = Recipe(name="test", source=tuple(known))
    assert [keys.priority(recipe, name) for name in ("high", "web2", "x", "other")] == [3, 5, 7, 0]
