"""`mdfs dedup explain`: clusters of every kind of copy, who stays and by what, shared stretches, nothing obeyed."""

import json
import random
from dataclasses import replace

import pytest
from conftest import mdfs
from dedup_corpus import ALL, MINHASH, doc, duplicates, edited, grams, jaccard, make_run, prose, source

from mdfs import engine
from mdfs.about import ABOUT
from mdfs.dedup import explain, sidebyside, stage
from mdfs.errors import UsageError
from mdfs.funnel import width
from mdfs.storage import Store

RNG = random.Random(11)
BASE = prose(RNG, 600)
STEPS = [BASE]
for _ in range(3):
    STEPS.append(STEPS[-1][66:] + prose(RNG, 60))
EXACT = prose(RNG, 300)
DOCS = [
    doc("alone", prose(RNG, 300), url="http://a.cn/alone"),
    *(doc(f"near-{i}", edited(RNG, prose(random.Random(2), 600), i), ratio=[0.5, 0.9, None][i]) for i in range(3)),
    *(doc(f"exact-{i}", EXACT.replace("，", "。" * (1 + i)), source="book" if i == 2 else "web") for i in range(40)),
    *(doc(f"url-{i}", prose(RNG, 200), url=f"http://B.cn/p?utm_source={i}") for i in range(2)),
    *(doc(f"chain-{i}", text) for i, text in enumerate(STEPS)),
    doc("evil-0", BASE[::-1] + "\x1b[31m\u202e", url="http://a.cn/\x1b[2J"),
    doc("evil-1", BASE[::-1]),
]
IDS = {entry["source_key"]: entry["doc_id"] for entry in DOCS}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = engine.create("local", workers=1)
    run = make_run(
        tmp_path_factory.mktemp("explain") / "out", replace(ALL, minhash=replace(MINHASH, threshold=0.7)), DOCS,
        parts=4, sources=[source("book", 1)], with_engine=made,
    )  # fmt: skip
    stage.run(run)
    about = {"mdfs_version": "0", "recipe": run.recipe.to_dict(), "recipe_digest": "", "stages": {}}
    run.store.write_json(ABOUT, about)
    made.close()
    return run


def look(run, key, **options):
    found = explain.explain(Store(run.store.uri), IDS.get(key, key), **options)
    json.dumps(found)
    return found


def test_the_preferred_signal_decides(run):
    found = look(run, "near-0")
    assert found["keeper"]["doc_id"] == IDS["near-1"]
    assert found["order"] == ["priority", "end_mark_ratio", "length", "doc_id"]
    assert found["keeper"]["values"] == {"priority": 0, "end_mark_ratio": 0.9, "length": len(DOCS[2]["text"])}
    assert {row["doc_id"]: (row["kind"], row["decided_by"]) for row in found["members"]} == {
        IDS["near-0"]: ("minhash", "end_mark_ratio"),
        IDS["near-2"]: ("minhash", "end_mark_ratio"),
    }
    (pair,) = found["pairs"]
    assert pair["documents"] == [IDS["near-1"], IDS["near-0"]]
    assert pair["left"]["shared"] < pair["left"]["chars"] == 659


def test_what_is_said_is_what_dedup_said(run):
    for doc_id, (keeper, kind, similarity) in duplicates(run).items():
        if doc_id in (IDS["near-0"], IDS["exact-5"], IDS["url-0"], IDS["url-1"], IDS["chain-0"], IDS["chain-3"]):
            found = look(run, doc_id)
            assert found["keeper"]["doc_id"] == keeper
            said = next(row for row in found["members"] if row["doc_id"] == doc_id)
            assert (said["kind"], round(said["similarity"], 4)) == (kind, similarity)


def test_priority_of_the_source_decides_and_the_list_is_bounded(run):
    found = look(run, "exact-39", members=3)
    assert found["keeper"]["doc_id"] == IDS["exact-2"]
    assert found["copies"] == 39
    assert found["kinds"] == {"exact": 39}
    listed = [row["doc_id"] for row in found["members"]]
    smallest = sorted(doc_id for key, doc_id in IDS.items() if key.startswith("exact-") and key != "exact-2")[:3]
    assert listed == sorted({*smallest, IDS["exact-39"]})
    assert {row["decided_by"] for row in found["members"]} == {"priority"}
    assert f"{39 - len(listed)} more are not listed" in explain.render(found)


def test_the_one_that_stays_is_beside_some_of_its_copies(run):
    found = look(run, "exact-2")
    assert [pair["documents"][0] for pair in found["pairs"]] == [IDS["exact-2"]] * explain.PAIRS
    assert "=> stays; 39 removed in its favour: 39 by exact" in explain.render(found)


def test_a_chain_says_how_its_ends_came_together(run):
    ends = grams(STEPS[0]), grams(STEPS[3])
    assert jaccard(*ends) < 0.7
    found = look(run, "chain-0")
    assert found["copies"] == 3
    assert "tied to it by way of other copies" in explain.render(found)


def test_a_url_names_its_cluster(run):
    found = look(run, "http://B.cn/p?utm_source=1")
    assert found["kinds"] == {"url": 1}
    assert all(side["shared"] == 0 for pair in found["pairs"] for side in (pair["left"], pair["right"]))


def test_alone_not_found_ambiguous_and_prefixes(run):
    assert explain.render(look(run, "http://a.cn/alone")).endswith("stays; dedup found no copy of it")
    assert look(run, IDS["near-0"][:8])["doc_id"] == IDS["near-0"]
    for asked in ("", "http://nowhere.cn/", "0" * 32):
        with pytest.raises(UsageError, match="dedup saw no document"):
            look(run, asked)


def test_one_url_of_several_clusters_is_refused(tmp_path):
    made = engine.create("local", workers=1)
    same = [doc(f"s-{i}", prose(RNG, 300), url="http://a.cn/") for i in range(2)]
    run = make_run(tmp_path / "out", replace(ALL, url=False), same, with_engine=made)
    stage.run(run)
    run.store.write_json(ABOUT, {"mdfs_version": "0", "recipe": run.recipe.to_dict(), "recipe_digest": ""})
    made.close()
    with pytest.raises(UsageError, match="several clusters; give one doc_id"):
        explain.explain(run.store, "http://a.cn/")


def test_nothing_is_obeyed_by_a_terminal(run):
    shown = explain.render(look(run, "evil-0"))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "⟨U+001B⟩" in shown
    assert max(width(row) for row in shown.split("\n") if " | " in row) <= 2 * sidebyside.COLUMNS + 3


@pytest.mark.parametrize(
    ("left", "right", "spans"),
    [
        ("甲乙丙丁戊", "甲乙丙丁戊", [(0, 5)]),
        ("，甲乙，丙丁戊。", "甲乙丙丁戊", [(1, 7)]),
        ("子甲乙丙丁戊丑寅卯辰巳甲乙丙丁戊", "甲乙丙丁戊", [(1, 6), (11, 16)]),
        ("甲乙丙丁", "甲乙丙丁戊", []),
        ("甲乙", "甲，乙", [(0, 2)]),
        ("𠀀甲乙丙丁\ud800戊", "𠀀甲乙丙丁", [(0, 5)]),
        ("……", "……", []),
        ("", "甲", []),
    ],
)
def test_shared_stretches(left, right, spans):
    assert sidebyside.shared(left, right, 5)[0] == spans


def test_long_texts_and_many_pieces_are_bounded():
    left = "".join(f"{prose(RNG, 10)}甲乙丙丁戊己" for _ in range(3000))
    pair = sidebyside.compare(left, "甲乙丙丁戊己", 5)
    assert pair["left"]["compared"] == sidebyside.COMPARED < pair["left"]["chars"]
    assert len(pair["left"]["pieces"]) == sidebyside.PIECES
    assert pair["left"]["more"] > 0
    (whole,) = sidebyside.compare(left, left, 5)["left"]["pieces"]
    assert whole[0] == "shared"
    assert len(whole[1]) < 100


def test_the_command_beside_the_stage(run):
    """`mdfs dedup explain` needs no --output, `mdfs dedup` does."""
    shown = mdfs("dedup", "explain", run.store.uri, IDS["near-0"])
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "[=" in shown.stdout
    told = json.loads(mdfs("dedup", "explain", run.store.uri, IDS["near-0"], "--json").stdout)
    assert told["keeper"]["doc_id"] == IDS["near-1"]
    without = mdfs("dedup")
    assert without.returncode == 2
    assert without.stderr == "mdfs: Missing option '--output' / '-o'. See `mdfs dedup --help`.\n"
