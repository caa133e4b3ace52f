"""What holds at any size: the recall of the S-curve, one result for every budget and engine, hot buckets told of."""

import numpy as np
import pytest
from conftest import Sail
from dedup_corpus import ALL, MINHASH, doc, duplicates, make_run, prose, sample, sample_oracle
from made_signatures import Plan, crawl, doc_ids, pairs_at, signatures, write

from mdfs.dedup import keepers, localpairs, pairs, sortedfiles, stage, verify
from mdfs.dedup.shape import shape
from mdfs.errors import UsageError
from mdfs.ledger import total
from mdfs.progress import Progress
from mdfs.recipe import Dedup, MinHash, Recipe, from_dict
from mdfs.stage import Run
from mdfs.storage import Store

SIGNED = Dedup(minhash=MinHash(verify="signature"))
LEVELS = [0.5, 0.6, 0.7, 0.8, 0.9]


def compared(folder, worker, plan, dedup=SIGNED, memory=0):
    """A run over made signatures, up to its last map."""
    store = Store(str(folder))
    parts = write(store, plan, dedup)
    run = Run(store, Recipe("test", dedup=dedup), worker, Progress(quiet=True), memory=memory)
    stage.compare(run, "digest", parts)
    run.map("dedup", stage.work, stage.final_units(parts, "digest"), ("dedup/duplicates",))
    return run


def outcome(run):
    """What was found, and what the ledger says of it."""
    facts = [run.ledger.rows(name)["all"].facts for name in (pairs.HOT, keepers.CLUSTERS)]
    return duplicates(run), facts


def proposed(run):
    """Pairs of candidates, as a set of 128-bit numbers' halves."""
    owner, other = sortedfiles.read(run.store, sortedfiles.paths(run.store, pairs.CANDIDATES), ["owner", "other"])
    return sortedfiles.distinct_pairs(np.minimum(owner, other), np.maximum(owner, other))


def recall_is_the_s_curves(folder, worker, docs):
    """Of planted pairs at each level, the share that is proposed is what bands and rows predict, within 4 sigma.

    `pytest -s` shows the shares.
    """
    plan = pairs_at(docs, LEVELS)
    run = compared(folder, worker, plan)
    said = SIGNED.minhash
    bands, rows = shape(said.num_perm, said.threshold, said.recall)
    node = (np.arange(docs) // 20_000 << 32) + np.arange(docs) % 20_000
    copies = np.flatnonzero(plan.original != np.arange(docs))
    a, b = (function(node[copies], node[plan.original[copies]]) for function in (np.minimum, np.maximum))
    found_a, found_b = proposed(run)
    key = lambda x, y: np.searchsorted(node, x) * np.int64(docs) + np.searchsorted(node, y)  # noqa: E731
    met = sortedfiles.among(key(a, b), key(found_a, found_b))
    for level in LEVELS:
        of_level = met[plan.similarity[copies] == level]
        predicted = 1 - (1 - level**rows) ** bands
        sigma = np.sqrt(predicted * (1 - predicted) / of_level.size)
        print(
            f"{level}: {of_level.size} pairs, {of_level.mean():.5f} found, {predicted:.5f} predicted, sigma {sigma:.5f}"
        )
        assert abs(of_level.mean() - predicted) <= 4 * sigma, (level, of_level.mean(), predicted)
    # Unrelated documents share no band, and what stays is decided by signatures.
    assert found_a.size == met.sum()
    signed = signatures(plan, said.num_perm, rows)
    alike = (signed[copies] == signed[plan.original[copies]]).mean(axis=1) >= said.threshold
    assert total(run.ledger.rows("dedup").values(), "dedup").docs_dropped == (met & alike).sum()


def test_recall_of_planted_pairs(local, tmp_path):
    recall_is_the_s_curves(tmp_path, local, 60_000)


@pytest.mark.long
def test_recall_of_planted_pairs_among_five_million(local, tmp_path):
    recall_is_the_s_curves(tmp_path, local, 5_000_000)


HOT = Dedup(minhash=MinHash(verify="signature", max_bucket=300))


def test_every_budget_and_engine_finds_the_same(local, tmp_path, monkeypatch):
    plan = crawl(45_000)
    expected = outcome(compared(tmp_path / "whole", local, plan, HOT))
    assert len(expected[0]) > 3_000
    for memory in (6_000_000, 60_000_000):
        run = compared(tmp_path / str(memory), local, plan, HOT, memory)
        assert outcome(run) == expected
        ranges = [row.unit.rpartition("-")[2] for row in run.ledger.rows(localpairs.BANDS).values()]
        assert (max(map(int, ranges)) > 1) == (memory == 6_000_000)
    assert outcome(compared(tmp_path / "session", Sail(local), plan, HOT)) == expected
    monkeypatch.setattr(pairs, "SESSION_BYTES", 1_000)
    assert outcome(compared(tmp_path / "bands", Sail(local), plan, HOT, 200_000_000)) == expected


def test_a_budget_changes_nothing_for_texts(local, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_driver_edges", lambda run: 1 << 40)
    run = make_run(tmp_path, ALL, sample(), with_engine=local)
    run.memory = 20_000
    stage.run(run)
    assert duplicates(run) == sample_oracle(ALL)
    assert len(run.ledger.rows(localpairs.LINKS)) > 3


def test_bands_of_a_session_go_by_the_budget():
    assert pairs.band_groups(ALL, 1_000, 0) == [list(range(18))]
    groups = pairs.band_groups(ALL, 1_000_000, 5 * 1_000_000 * pairs.SESSION_BYTES)
    assert [len(group) for group in groups] == [5, 5, 5, 3]
    assert [band for group in groups for band in group] == list(range(18))
    assert len(pairs.band_groups(ALL, 1_000_000, 1)) == 18


def test_hot_buckets_are_told_of_and_lose_no_document(local, tmp_path):
    many = 400
    plan = Plan(np.where(np.arange(1_000) < many, 0, np.arange(1_000)), np.ones(1_000))
    run = compared(tmp_path, local, plan, Dedup(minhash=MinHash(verify="signature", max_bucket=many - 1)))
    hot = run.ledger.rows(pairs.HOT)["all"].facts
    assert {key: hot[key] for key in ("buckets", "documents", "largest")} == {
        "buckets": 18, "documents": 18 * many, "largest": many,
    }  # fmt: skip
    named = {key: value for key, value in hot.items() if key.startswith("band ")}
    assert sorted(int(key.split()[1]) for key in named) == list(range(18))
    assert set(named.values()) == {many}
    assert len(duplicates(run)) == many - 1
    clusters = run.ledger.rows(keepers.CLUSTERS)["all"].facts
    assert clusters == {"clusters": 1, "largest": many, "256": 1}
    calm = compared(tmp_path / "calm", local, plan, Dedup(minhash=MinHash(verify="signature", max_bucket=many)))
    assert calm.ledger.rows(pairs.HOT)["all"].facts == {"buckets": 0, "documents": 0, "largest": 0}
    assert outcome(calm)[0] == outcome(run)[0]


def test_a_hot_bucket_proposes_one_pair_a_document(local, tmp_path):
    plan = Plan(np.arange(3_000), np.ones(3_000), template=3_000)
    run = compared(tmp_path, local, plan, HOT)
    owner, _ = sortedfiles.read(run.store, sortedfiles.paths(run.store, pairs.CANDIDATES), ["owner", "other"])
    assert owner.size == 2_999
    assert np.unique(owner).size == 2_999
    assert duplicates(run) == {}


def test_by_signature_the_estimate_decides(local, tmp_path):
    plan = pairs_at(8_000, [0.7, 0.75, 0.85, 0.95])
    run = compared(tmp_path, local, plan)
    found, ids = duplicates(run), doc_ids(0, plan.docs)
    place = {doc_id: i for i, doc_id in enumerate(ids)}
    signed = signatures(plan, 128, 7)
    assert len(found) > 600
    for copy, (kept, kind, similarity) in found.items():
        estimate = (signed[place[copy]] == signed[place[kept]]).mean()
        assert kind == "minhash"
        assert similarity == round(float(np.float32(estimate)), 4) >= 0.8


def test_verify_is_exact_or_signature():
    table = {"name": "x", "dedup": {"minhash": {"verify": "roughly"}}}
    with pytest.raises(UsageError, match='must be "exact" or "signature", not \'roughly\''):
        from_dict(table)
    with pytest.raises(UsageError, match="max_bucket must be at least 1"):
        from_dict({"name": "x", "dedup": {"minhash": {"max_bucket": 0}}})


def test_texts_by_signature_are_found_as_their_signatures_say(local, tmp_path):
    import random

    rng = random.Random(5)
    base = [prose(rng, 500) for _ in range(30)]
    docs = [doc(f"{i}-{k}", text + "一二三"[k]) for i, text in enumerate(base) for k in range(3)]
    dedup = Dedup(minhash=MinHash(verify="signature"))
    run = make_run(tmp_path, dedup, docs, with_engine=local)
    stage.run(run)
    assert len(duplicates(run)) == 60
    assert verify.STAGE in {row.stage for row in run.ledger.rows(verify.STAGE).values()}
    assert MINHASH.verify == "exact"
