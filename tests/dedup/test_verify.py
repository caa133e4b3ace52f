"""Similarities of pairs whose texts lie in many row groups of many parts."""

import random

import numpy as np
import pytest
from dedup_corpus import ALL, doc, grams, jaccard, make_run, prose

from mdfs import parts
from mdfs.dedup import verify
from mdfs.dedup.keys import ROW_BITS


@pytest.mark.parametrize("held", [1, 2_000, verify.HELD_HASHES])
def test_similarities_are_those_of_sets(tmp_path, monkeypatch, held):
    monkeypatch.setattr(parts, "GROUP_ROWS", 5)
    monkeypatch.setattr(verify, "HELD_HASHES", held)
    rng = random.Random(2)
    base = prose(rng, 200)
    texts = [base[rng.randrange(60) :] + prose(rng, rng.randrange(0, 300, 10)) for _ in range(58)] + ["", "，", "你好"]
    texts += ["一二三四五" * 20]
    run = make_run(tmp_path, ALL, [doc(str(i), text) for i, text in enumerate(texts)], parts=3)
    size = -(-len(texts) // 3)
    node = np.array([((i // size) << ROW_BITS) + i % size for i in range(len(texts))])
    pairs = np.array([(rng.randrange(62), rng.randrange(62)) for _ in range(300)] + [(58, 59), (58, 60), (61, 61)])
    paths = [file.path for file in run.files("rules", "kept")]
    found = verify.similarities(run.store, paths, node[pairs[:, 0]], node[pairs[:, 1]], 5)
    sets = [grams(text) for text in texts]
    assert found == pytest.approx([jaccard(sets[x], sets[y]) for x, y in pairs], abs=1e-6)


def test_no_pairs(tmp_path):
    run = make_run(tmp_path, ALL, [doc("1", "文")])
    none = np.zeros(0, np.int64)
    assert verify.similarities(run.store, ["rules/kept/part-00000.parquet"], none, none, 5).shape == (0,)
