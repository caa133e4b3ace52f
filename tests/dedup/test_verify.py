"""Similarities of pairs whose documents lie in many row groups of many parts, sent from group to group."""

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from dedup_corpus import ALL, MINHASH, doc, grams, jaccard, make_run, prose
from run_folder import Inline

from mdfs import parts
from mdfs.dedup import keys, minhash, sortedfiles, verify
from mdfs.dedup.keys import ROW_BITS

STEP = verify.Step("dedup/work/candidates", "dedup/work/wanted", verify.FOLDER)


def texts():
    rng = random.Random(2)
    base = prose(rng, 200)
    found = [base[rng.randrange(60) :] + prose(rng, rng.randrange(0, 300, 10)) for _ in range(58)]
    return [*found, "", "，", "你好", "一二三四五" * 20]


def measured(run, owners, others, together):
    """Similarities as the two maps leave them: {(a, b): similarity}."""
    part = [file.path for file in run.files("rules", "kept")]
    run.store.write_json(verify.PARTS, part)
    order = np.argsort(owners)
    columns = {"owner": owners[order], "other": others[order]}
    sortedfiles.write(run.store, f"{STEP.candidates}/1.parquet", columns)
    order = np.argsort(others)
    columns = {"node": others[order], "group": (owners[order] >> ROW_BITS) // together}
    sortedfiles.write(run.store, f"{STEP.wanted}/1.parquet", columns)
    count = verify.run_step(run, STEP, together, "digest")
    found = {}
    for path in sortedfiles.paths(run.store, verify.FOLDER):
        rows = verify.read_tables(run.store, [path]).to_pylist()
        found |= {(row["a"], row["b"]): row["similarity"] for row in rows}
    return count, found


def nodes(many, of_parts):
    size = -(-many // of_parts)
    return np.array([((i // size) << ROW_BITS) + i % size for i in range(many)])


@pytest.mark.parametrize("held", [1, 2_000, verify.HELD_HASHES])
@pytest.mark.parametrize("together", [1, 2, 7])
def test_similarities_are_those_of_sets(tmp_path, monkeypatch, held, together):
    monkeypatch.setattr(parts, "GROUP_ROWS", 5)
    monkeypatch.setattr(verify, "HELD_HASHES", held)
    monkeypatch.setattr(verify, "GROUP_HASHES", held)
    rng, docs = random.Random(3), texts()
    run = make_run(tmp_path, ALL, [doc(str(i), text) for i, text in enumerate(docs)], parts=7, with_engine=Inline())
    node = nodes(len(docs), 7)
    drawn = [(rng.randrange(62), rng.randrange(62)) for _ in range(300)]
    pairs = np.array([pair for pair in drawn if pair[0] != pair[1]] + [(58, 59), (58, 60), (3, 60), (3, 60)])
    count, found = measured(run, node[pairs[:, 0]], node[pairs[:, 1]], together)
    sets = [grams(text) for text in docs]
    ends = {(min(node[x], node[y]), max(node[x], node[y])): jaccard(sets[x], sets[y]) for x, y in pairs.tolist()}
    assert found == pytest.approx(ends, abs=1e-6)
    assert count == len({tuple(pair) for pair in pairs.tolist()})


def test_by_signature_similarity_is_the_share_of_equal_values(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "NUMBER_ROWS", 5)
    dedup = replace(ALL, minhash=replace(MINHASH, verify="signature"))
    docs = texts()
    run = make_run(tmp_path, dedup, [doc(str(i), text) for i, text in enumerate(docs)], parts=4, with_engine=Inline())
    run.map(keys.STAGE, keys.work, keys.units(run.files("rules", "kept")), (keys.FOLDER,))
    node = nodes(len(docs), 4)
    drawn = random.Random(4).sample(range(62), 60)
    pairs = np.array(list(zip(drawn[:30], drawn[30:], strict=True)))
    for file in run.files("rules", "kept"):
        run.store.delete(file.path)  # no text is read again
        run.store.write_bytes(file.path, b"")
    _, found = measured(run, node[pairs[:, 0]], node[pairs[:, 1]], 2)
    said = dedup.minhash
    signed = minhash.signatures(pa.array(docs), ngram=said.ngram, num_perm=said.num_perm, seed=said.seed)
    ends = {
        (min(node[x], node[y]), max(node[x], node[y])): float((signed[x] == signed[y]).mean())
        for x, y in pairs.tolist()
    }
    assert found == pytest.approx(ends, abs=1e-9)
    assert len(set(ends.values())) > 3


def test_no_pairs(tmp_path):
    run = make_run(tmp_path, ALL, [doc("1", "文")], with_engine=Inline())
    none = np.zeros(0, np.int64)
    assert measured(run, none, none, 1) == (0, {})


def test_groups_are_of_parts_one_after_another(tmp_path):
    docs = [doc(str(i), "文" * 1_000) for i in range(200)]
    run = make_run(tmp_path, ALL, docs, parts=200)
    files = run.files("rules", "kept")
    assert verify.parts_together(files) == 4
    assert verify.parts_together([replace(file, text_bytes=1 << 29) for file in files]) == 2
    assert verify.parts_together([replace(file, text_bytes=1 << 40) for file in files]) == 1
