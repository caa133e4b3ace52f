"""Crawls deduplicated one after another against an index leave what one run over all of them leaves."""

import random
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from dedup_corpus import ALL, MINHASH, doc, duplicates, edited, prose, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from index_kit import SIGNED, all_at_once, crawl, ids, one_after_another, superseded

from mdfs import engine
from mdfs.dedup import index, index_add, index_join, index_scan, stage
from mdfs.errors import RunError, UsageError
from mdfs.recipe import Dedup, MinHash
from mdfs.storage import Store

ENGINES = ["local", pytest.param("spark", marks=pytest.mark.spark)]


@pytest.fixture(scope="module", params=ENGINES)
def worker(request):
    if request.param == "local":
        yield request.getfixturevalue("local")
        return
    made = engine.create(request.param, workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def local():
    made = engine.create("local", workers=2)
    yield made
    made.close()


def split(docs, shares, seed=1):
    """Documents dealt out to crawls by shares."""
    rng = random.Random(seed)
    crawls = [[] for _ in shares]
    for one in docs:
        crawls[rng.choices(range(len(shares)), shares)[0]].append(one)
    return crawls


@pytest.mark.parametrize("shares", [(1, 1), (9, 1), (1, 9), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("old_stays", [True, False], ids=["old stays", "best stays"])
def test_kept_is_what_one_run_keeps(worker, tmp_path, shares, old_stays):
    dedup = replace(SIGNED, old_stays=old_stays)
    crawls = split(sample(), shares)
    kept, _ = one_after_another(tmp_path, dedup, crawls, worker)
    assert kept == all_at_once(tmp_path, dedup, crawls, worker, ranked=old_stays)[0]


@settings(max_examples=12)
@given(st.data())
def test_kept_is_what_one_run_keeps_for_any_split(local, tmp_path_factory, data):
    docs = sample(data.draw(st.integers(0, 3)))
    number = data.draw(st.integers(2, 3))
    crawls = [[] for _ in range(number)]
    for one, place in zip(docs, data.draw(st.lists(st.integers(0, number - 1), min_size=len(docs), max_size=len(docs))),
                          strict=True):  # fmt: skip
        crawls[place].append(one)
    crawls = [of_crawl or [doc(f"lonely-{i}", "山高月小，水落石出。")] for i, of_crawl in enumerate(crawls)]
    old_stays = data.draw(st.booleans())
    dedup, folder = replace(SIGNED, old_stays=old_stays), tmp_path_factory.mktemp("split")
    kept, _ = one_after_another(folder, dedup, crawls, local)
    assert kept == all_at_once(folder, dedup, crawls, local, ranked=old_stays)[0]


@pytest.mark.parametrize("dedup", [Dedup(url=True), Dedup(exact=True), Dedup(url=True, exact=True, prefer=("end_mark_ratio",))],
                         ids=["url", "exact", "both"])  # fmt: skip
def test_without_minhash(local, tmp_path, dedup):
    crawls = split(sample(), (1, 1))
    kept, _ = one_after_another(tmp_path, dedup, crawls, local)
    assert kept == all_at_once(tmp_path, dedup, crawls, local, ranked=True)[0]


def test_with_old_texts_rows_are_those_of_one_run(local, tmp_path):
    """Exact similarity where the old runs' folders are given: the rows are equal to the last digit, but for copies of
    a new document, whose similarity is estimated where its cluster was tied by an old one."""
    crawls = split(sample(), (1, 1))
    kept, rows = one_after_another(tmp_path, ALL, crawls, local, exact=True)
    joint, expected = all_at_once(tmp_path, ALL, crawls, local, ranked=True)
    assert kept == joint
    second = ids(crawls[1])
    verified = [name for name in rows.keys() & expected.keys() & second if expected[name][2] >= MINHASH.threshold]
    assert sum(rows[name][1] == "minhash" for name in verified) > 10
    assert {name: rows[name] for name in verified} == {name: expected[name] for name in verified}


def test_signatures_say_the_same_in_both(local, tmp_path):
    """Verified by signature, every row is that of one run, similarity included, and no old text is read."""
    crawls = split(sample(), (1, 1))
    _, rows = one_after_another(tmp_path, SIGNED, crawls, local)
    _, expected = all_at_once(tmp_path, SIGNED, crawls, local, ranked=True)
    second = ids(crawls[1]) & expected.keys()
    assert second
    assert {name: rows[name] for name in second} == {name: expected[name] for name in second}


def test_estimates_from_eight_bits_are_near(local, tmp_path):
    rng = random.Random(3)
    bases = [prose(rng, 800) for _ in range(40)]
    first = [doc(f"old-{i}", text) for i, text in enumerate(bases)]
    second = [doc(f"new-{i}", edited(rng, text, 6)) for i, text in enumerate(bases)]
    _, rows = one_after_another(tmp_path, ALL, [first, second], local)
    _, exact = all_at_once(tmp_path, ALL, [first, second], local, ranked=True)
    new = ids(second)
    found = {name: row for name, row in rows.items() if name in new}
    assert found.keys() == exact.keys() & new
    assert all(row[:2] == exact[name][:2] for name, row in found.items())
    errors = [abs(row[2] - exact[name][2]) for name, row in found.items()]
    assert max(errors) < 0.15
    assert sum(errors) / len(errors) < 0.04


def test_a_removed_copy_ties_a_new_text_to_its_cluster(local, tmp_path):
    """base ~ middle ~ end, but not base ~ end: of the first crawl middle is removed, and end is like it alone."""
    rng = random.Random(4)
    base = prose(rng, 700)
    middle = base[55:] + prose(rng, 50)
    end = middle[55:] + prose(rng, 50)
    first = [doc("base", base + prose(rng, 20)), doc("middle", middle)]
    old = crawl(tmp_path / "a", ALL, first, local)
    assert list(duplicates(old)) == [first[1]["doc_id"]]
    index_add.add(old, str(tmp_path / "index"))
    new = crawl(tmp_path / "b", ALL, [doc("end", end)], local, index=str(tmp_path / "index"))
    (row,) = duplicates(new).values()
    assert row[:2] == (first[0]["doc_id"], "minhash")


def test_a_bridge_between_two_old_clusters_is_listed(local, tmp_path):
    rng = random.Random(5)
    text = prose(rng, 300)
    first = [doc("by-text", text), doc("by-url", prose(rng, 300), url="http://a.cn/1")]
    index_add.add(crawl(tmp_path / "a", ALL, first, local), str(tmp_path / "index"))
    bridge = doc("bridge", text, url="http://a.cn/1")
    new = crawl(tmp_path / "b", ALL, [bridge], local, index=str(tmp_path / "index"))
    gone = superseded(new)
    assert len(gone) == 1
    assert gone.keys() | set(gone.values()) == ids(first)
    index_add.add(new, str(tmp_path / "index"))
    # The two are one cluster from now on: a copy of either is a copy of the one that stays.
    later = [doc("again", text + "。"), doc("again-2", prose(rng, 200), url="http://a.cn/1")]
    third = crawl(tmp_path / "c", ALL, later, local, index=str(tmp_path / "index"))
    assert {row[0] for row in duplicates(third).values()} == set(gone.values())
    assert len(duplicates(third)) == 2
    assert not superseded(third)


def test_the_old_stays_or_the_best(local, tmp_path):
    text = prose(random.Random(6), 300)
    old, better = doc("old", text, ratio=0.1), doc("new", text, ratio=0.9)
    index_add.add(crawl(tmp_path / "a", ALL, [old], local), str(tmp_path / "index"))
    stays = crawl(tmp_path / "b", ALL, [better], local, index=str(tmp_path / "index"))
    assert duplicates(stays) == {better["doc_id"]: (old["doc_id"], "exact", 1.0)}
    assert not superseded(stays)
    best = crawl(tmp_path / "c", replace(ALL, old_stays=False), [better], local, index=str(tmp_path / "index"))
    assert not duplicates(best)
    assert superseded(best) == {old["doc_id"]: better["doc_id"]}


def test_the_same_run_twice_changes_nothing(local, tmp_path):
    docs = sample()
    run = crawl(tmp_path / "a", ALL, docs[:100], local)
    store = Store(str(tmp_path / "index"))
    first, new = index_add.add(run, store.uri)
    assert new
    assert first.version == 1
    assert first.documents == 100
    before = {path: store.read_bytes(path) for path in store.list("")}
    again, new = index_add.add(run, store.uri)
    assert not new
    assert again == first
    assert {path: store.read_bytes(path) for path in store.list("")} == before


def test_a_run_that_was_added_is_no_copy_of_itself(local, tmp_path):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:100], local), uri)
    run = crawl(tmp_path / "b", ALL, docs[100:], local, index=uri)
    rows = duplicates(run)
    index_add.add(run, uri)
    index_add.add(crawl(tmp_path / "c", ALL, [doc("later", "别的文章")], local, index=uri), uri)
    stage.run(run)
    assert duplicates(run) == rows
    # In another folder, where nothing of it is left, too.
    assert duplicates(crawl(tmp_path / "again", ALL, docs[100:], local, index=uri)) == rows
    first = crawl(tmp_path / "first", ALL, docs[:100], local, index=uri)
    assert not duplicates(first).keys() - ids(docs[:100])
    assert not first.store.exists(index_join.RECORD)


def test_a_rerun_against_an_index_writes_nothing(local, tmp_path):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:100], local), uri)
    run = crawl(tmp_path / "b", ALL, docs[100:], local, index=uri)
    before = {path: run.store.read_bytes(path) for path in run.store.list("")}
    stage.run(run)
    assert {path: run.store.read_bytes(path) for path in run.store.list("")} == before


def test_without_the_index_again_nothing_of_it_is_left(local, tmp_path):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:100], local), uri)
    alone = duplicates(crawl(tmp_path / "alone", ALL, docs[100:], local))
    run = crawl(tmp_path / "b", ALL, docs[100:], local, index=uri)
    assert duplicates(run) != alone
    run.index = ""
    stage.run(run)
    assert duplicates(run) == alone
    assert not [path for path in run.store.list("dedup") if "index" in path or "alone" in path or "superseded" in path]


class CutError(Exception):
    """The run is killed here."""


@pytest.mark.parametrize("at", ["dedup-alone", "dedup-sketches", "dedup-scan", "dedup-meet", "dedup-ties", "dedup-keepers",
                                "dedup"])  # fmt: skip
def test_a_run_that_was_cut_off_goes_on(local, tmp_path, monkeypatch, at):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:100], local), uri)
    expected = duplicates(crawl(tmp_path / "whole", ALL, docs[100:], local, index=uri))
    run = crawl(tmp_path / "b", ALL, docs[100:], local)
    run.index, done = uri, run.map

    def cut(name, *rest, **options):
        if name == at:
            raise CutError
        return done(name, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(CutError):
        patch.setattr(run, "map", cut)
        stage.run(run)
    stage.run(run)
    assert duplicates(run) == expected


@pytest.mark.parametrize("at", ["documents", "merges", "versions", "head.json"])
def test_a_killed_writer_leaves_the_index_as_it_was(local, tmp_path, monkeypatch, at):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", replace(ALL, old_stays=False), docs[:100], local), uri)
    run = crawl(tmp_path / "b", replace(ALL, old_stays=False), docs[100:], local, index=uri)
    create = Store.create

    def killed(self, path):
        if self.uri == uri and path.startswith(at):
            raise CutError
        return create(self, path)

    with monkeypatch.context() as patch, pytest.raises(CutError):
        patch.setattr(Store, "create", killed)
        inline = replace_engine(run)
        index_add.add(inline, uri)
    assert index.read(Store(uri)).version == 1
    head, new = index_add.add(run, uri)
    assert new
    assert head.version == 2
    assert head.documents == len(docs)
    named = {file.path for file in head.files} | {merge.path for merge in head.merges}
    assert {path for path in Store(uri).list("") if path.endswith(".parquet")} == named


def replace_engine(run):
    """The run with an engine that works in this process, where `Store.create` is patched."""

    class Inline:
        workers = 1

        def map(self, work, job, units, **_):
            return (work(job, unit) for unit in units)

    return replace(run, engine=Inline())


def test_two_writers_at_once(local, tmp_path):
    store = Store(str(tmp_path / "index"))
    run = crawl(tmp_path / "a", ALL, sample()[:50], local)
    with index.locked(store), pytest.raises(UsageError, match="another command is writing") as error:
        index_add.add(run, store.uri)
    assert "\n" not in str(error.value)
    assert index_add.add(run, store.uri)[1]


def test_a_version_that_changed_under_the_writer_is_refused(local, tmp_path):
    store = Store(str(tmp_path / "index"))
    index_add.add(crawl(tmp_path / "a", ALL, sample()[:50], local), store.uri)
    head = index.read(store)
    index.commit(store, head, head, "compact")
    with pytest.raises(RunError, match="version 1 to 2 meanwhile"):
        index.commit(store, head, head, "compact")


@pytest.mark.parametrize("other", [
    replace(ALL, minhash=MinHash(ngram=6)), replace(ALL, minhash=MinHash(seed=2)), replace(ALL, minhash=MinHash(threshold=0.7)),
    replace(ALL, url=False), Dedup(exact=True), SIGNED, replace(ALL, prefer=()),
], ids=["ngram", "seed", "threshold", "url", "minhash", "verify", "prefer"])  # fmt: skip
def test_other_settings_are_refused_in_one_line(local, tmp_path, request, other):
    uri = str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, sample()[:50], local), uri)
    with pytest.raises(UsageError, match="other settings of dedup") as error:
        crawl(tmp_path / "b", other, sample()[50:], local, index=uri)
    assert request.node.callspec.id.split("-")[0] in str(error.value)
    with pytest.raises(UsageError, match="other settings of dedup"):
        index_add.add(crawl(tmp_path / "c", other, sample()[50:], local), uri)


def test_a_run_that_was_not_compared_with_what_the_index_holds_is_refused(local, tmp_path):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:60], local), uri)
    with pytest.raises(UsageError, match="compared with no index"):
        index_add.add(crawl(tmp_path / "b", ALL, docs[60:], local), uri)
    late = crawl(tmp_path / "late", ALL, docs[60:100], local, index=uri)
    index_add.add(crawl(tmp_path / "c", ALL, docs[100:], local, index=uri), uri)
    with pytest.raises(UsageError, match="was added since"):
        index_add.add(late, uri)
    with pytest.raises(UsageError, match="not with"):
        index_add.add(late, str(tmp_path / "other"))


def test_a_document_that_is_in_the_index_already_is_an_error_that_names_it(local, tmp_path):
    docs, uri = sample(), str(tmp_path / "index")
    index_add.add(crawl(tmp_path / "a", ALL, docs[:60], local), uri)
    again = docs[10] | {"text": "完全不同的一篇文章，讲的是别的事情。"}
    with pytest.raises(RunError, match=f"{again['doc_id']} is in the index already"):
        crawl(tmp_path / "b", ALL, [*docs[60:], again], local, index=uri)


def test_an_index_that_is_not_there_or_is_damaged(local, tmp_path):
    with pytest.raises(UsageError, match="no index of documents there"):
        crawl(tmp_path / "a", ALL, sample()[:20], local, index=str(tmp_path / "nothing"))
    store = Store(str(tmp_path / "index"))
    store.write_json("head.json", {"index_schema": 99})
    with pytest.raises(RunError, match="index_schema is 99"):
        index.read(store)
    with pytest.raises(UsageError, match="holds no such run"):
        index_add.add(crawl(tmp_path / "b", ALL, sample()[:20], local), str(tmp_path / "good"))
        other = crawl(tmp_path / "c", ALL, sample()[20:40], local)
        crawl(tmp_path / "d", ALL, sample()[40:], local, index=str(tmp_path / "good"), old_runs=(other.store.uri,))


def test_merges_are_followed_through_several_runs(tmp_path):
    store = Store(str(tmp_path))
    name = lambda i: bytes([i]) * 16  # noqa: E731
    merges = []
    for number, pairs in enumerate([{1: 2, 5: 6}, {2: 3}, {3: 4, 6: 4}]):
        before, now = (np.array([name(i) for i in side], "S16") for side in zip(*pairs.items(), strict=True))
        with store.create(f"{number}.parquet") as sink:
            pq.write_table(index_scan.merges_table(before, now), sink)
        merges.append(index.Merges(f"{number}.parquet", str(number), len(pairs)))
    before, now = index_scan.merged(store, replace(index.new({}), merges=tuple(merges)))
    found = dict(zip(before.tolist(), now.tolist(), strict=True))
    assert {key[0]: value[0] for key, value in found.items()} == {1: 4, 2: 4, 3: 4, 5: 4, 6: 4}
