"""`mdfs why` tells the fate of a document that each stage decided on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hand_run
import pyarrow.parquet as pq
import pytest
from hand_run import Doc

from mdfs.errors import UsageError
from mdfs.report import why
from mdfs.storage import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return hand_run.write(tmp_path_factory.mktemp("why") / "out", hand_run.documents())


def one(store: Store, asked: str) -> dict[str, Any]:
    found = why.explain(store, asked)
    assert len(found["documents"]) == 1
    assert json.loads(json.dumps(found)) == found, "not plain data"
    document: dict[str, Any] = found["documents"][0]
    return document


def test_kept(store: Store) -> None:
    """A kept document: where it was collected, its measurements, its scores, and the place of its tokens."""
    doc = one(store, "http://news.example.cn/2")
    assert doc["fate"] == "kept: it is in the shards"
    assert doc["collect"]["part"] == "collect/part-news.parquet"
    assert (doc["collect"]["row"], doc["collect"]["encoding"]) == (1, "gb18030")
    chars = {"name": "chars", "value": 251, "min": 150.0, "max": None, "any_of": None, "none_of": None,
             "broke": [], "margin": (251 - 150) / 150}  # fmt: skip
    assert chars in doc["rules"]["signals"]
    assert doc["rules"]["closest"] == ["han_ratio", "chars"]
    assert doc["rules"]["diff"] == []
    assert doc["dedup"]["duplicate_of"] is None
    assert doc["classify"]["label"] == "high"
    assert doc["tokenize"] == {"shard": "shards/news/part-news-0000.parquet", "row": 1, "tokens": 50, "first_token": 50}


def test_tokens_stand_where_it_says(store: Store) -> None:
    """Row and first token lead to the document's tokens, behind a row group's border too."""
    for doc in (d for d in hand_run.documents() if not d.reasons and not d.copy_of and d.label == "high"):
        said = one(store, doc.doc_id)["tokenize"]
        with store.open(said["shard"]) as handle:
            shard = pq.read_table(handle).combine_chunks()
        assert shard.column("doc_id")[said["row"]].as_py() == doc.doc_id
        flat = shard.column("input_ids").combine_chunks().flatten().to_pylist()
        assert flat[said["first_token"] : said["first_token"] + said["tokens"]] == hand_run.tokens(doc)


def test_dropped_by_rules(store: Store) -> None:
    """All limits that it broke are named, and later stages say nothing."""
    doc = one(store, "http://web.example.cn/en")
    assert doc["fate"] == "dropped at rules: chars.min, han_ratio.min"
    broke = {signal["name"]: signal["broke"] for signal in doc["rules"]["signals"] if signal["broke"]}
    assert broke == {"chars": ["chars.min"], "han_ratio": ["han_ratio.min"]}
    assert doc["dedup"] is doc["classify"] is doc["tokenize"] is None


@pytest.mark.parametrize(
    ("url", "kind", "similarity"),
    [("http://news.example.cn/3", "exact", 1.0), ("http://web.example.cn/near", "minhash", 0.8125)],
)
def test_copy(store: Store, url: str, kind: str, similarity: float) -> None:
    """A copy: of what, how alike, and what the one that stays is called, also from another part file."""
    doc = one(store, url)
    keeper = Doc("http://news.example.cn/1").doc_id
    assert doc["fate"] == f"dropped at dedup: a copy ({kind}) of {keeper}"
    assert doc["dedup"]["similarity"] == similarity
    assert doc["dedup"]["keeper"]["title"] == "晨渡"


def test_classified_away(store: Store) -> None:
    """An advertisement: its label, who decided and the probabilities."""
    doc = one(store, "http://web.example.cn/ad")
    assert doc["fate"] == "dropped at classify: label.ad"
    assert (doc["classify"]["label"], doc["classify"]["decided_by"]) == ("ad", "bert")
    assert doc["classify"]["scores"]["ad"] == pytest.approx(0.8)


@pytest.mark.parametrize("asked", ["http://web.example.cn/bomb", "<urn:uuid:2>"])
def test_quarantined(store: Store, asked: str) -> None:
    """A record without a document is found by its URL or its key."""
    found = why.explain(store, asked)
    assert not found["documents"]
    assert [(r["disposition"], r["reason"], r["place"]) for r in found["records"]] == [("quarantined", "bomb", "8192")]
    assert "=> quarantined at collect: bomb" in why.render(found)


def test_a_prefix_is_enough(store: Store) -> None:
    """Eight hex digits of a doc_id name a document; a blank around them does no harm."""
    doc = Doc("http://news.example.cn/1")
    assert one(store, f" {doc.doc_id[:8]} ")["url"] == doc.url


def test_by_the_sources_own_key(store: Store) -> None:
    """Books and tables have keys and no URLs."""
    assert one(store, "key:茶铺")["url"] == "http://news.example.cn/2"


def test_a_key_that_looks_like_an_id(tmp_path: Path) -> None:
    """A source whose keys are MD5 sums is looked through by key where no doc_id is called so."""
    key = "d41d8cd98f00b204e9800998ecf8427e"
    keyed = hand_run.write(tmp_path / "out", [Doc("http://web.example.cn/1", key=key)], until="collect")
    assert one(keyed, key)["url"] == "http://web.example.cn/1"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("http://nowhere.example/", "letter by letter"),
        ("abc123", "at least 8 hex digits"),
        ("0" * 32, "a doc_id"),
        ("nothing like it", "a URL with its scheme"),
        ("  ", "give a doc_id"),
    ],
)
def test_not_found(store: Store, asked: str, hint: str) -> None:
    """What cannot be found is bad usage, with the next thing to try."""
    with pytest.raises(UsageError, match=hint):
        why.explain(store, asked)


def test_no_runs_folder(tmp_path: Path) -> None:
    """A folder that no run has written."""
    with pytest.raises(UsageError, match="no run has written there"):
        why.explain(Store(str(tmp_path)), "abcdef0123")


def test_before_the_end(tmp_path: Path) -> None:
    """In a run that stopped early the fate is the next stage."""
    early = hand_run.write(tmp_path / "out", hand_run.documents(), until="rules")
    assert one(early, "http://news.example.cn/1")["fate"] == "on its way: dedup has not been done yet"
    assert one(early, "http://web.example.cn/short")["fate"] == "dropped at rules: chars.min"


def test_nothing_collected(tmp_path: Path) -> None:
    """A run that has done nothing yet."""
    empty = hand_run.write(tmp_path / "out", [], until="")
    with pytest.raises(UsageError, match="run `mdfs collect` first"):
        why.explain(empty, "http://news.example.cn/1")


def test_many_with_one_url(tmp_path: Path) -> None:
    """A URL that stands in a corpus often gives 20 stories and says how many more there are."""
    docs = [Doc("http://web.example.cn/same", source=f"s{n:02d}", reasons=("chars.min",)) for n in range(25)]
    found = why.explain(hand_run.write(tmp_path / "out", docs, until="rules"), docs[0].url)
    assert (len(found["documents"]), found["more"]) == (20, 5)
    assert why.render(found).endswith("and 5 more")


def test_rendered(store: Store) -> None:
    """The text for a terminal names every stage, broken limits first."""
    text = why.render(why.explain(store, "http://web.example.cn/en"))
    assert "=> dropped at rules: chars.min, han_ratio.min" in text
    lines = text.splitlines()
    assert lines[lines.index("  rules     dropped: chars.min, han_ratio.min") + 1].endswith("BROKEN by 93%")
    kept = why.render(why.explain(store, "http://news.example.cn/1"))
    for word in (
        "collect   source news",
        "encoding gb18030",
        "no copy",
        "high (decided by bert)",
        "50 tokens in shards/",
    ):
        assert word in kept


def test_a_terminal_is_not_attacked(store: Store) -> None:
    """Escape sequences and direction characters of a page are spelt out."""
    for doc in hand_run.hostile("http://beacon.example"):
        text = why.render(why.explain(store, doc.url))
        assert not set(text) & set("\x00\x07\x1b\u202e\u2066"), doc.url


def test_margins_of_a_dropped_document(tmp_path: Path) -> None:
    """How far beyond its limit, how far the others were, and nothing for what could not be measured."""
    docs = [Doc("http://web.example.cn/half", reasons=("han_ratio.min",), signals={"han_ratio": 0.3}),
            Doc("http://web.example.cn/null", signals={"han_ratio": None})]  # fmt: skip
    made = hand_run.write(tmp_path / "out", docs, until="rules")
    dropped = one(made, docs[0].url)["rules"]
    assert {s["name"]: s["margin"] for s in dropped["signals"] if s["broke"]} == {"han_ratio": -0.5}
    assert dropped["closest"] == ["chars"]
    assert "BROKEN by 50%" in why.render(why.explain(made, docs[0].url))
    assert one(made, docs[1].url)["rules"]["closest"] == ["chars"]


def test_closest_calls_of_a_kept_document(store: Store) -> None:
    """Why it survived: it broke none, and these were the nearest."""
    text = why.render(why.explain(store, "http://news.example.cn/2"))
    assert "it broke none; nearest to one: han_ratio (58% inside), chars (67% inside)" in text
    assert "  edits     none" in text


def test_words_beside_their_limit(tmp_path: Path) -> None:
    """A measurement that is a word stands among the limited ones, without a margin."""
    docs = [Doc("http://web.example.cn/ru", reasons=("lang.none_of",), signals={"lang": "ru"})]
    made = hand_run.write(tmp_path / "out", docs, until="rules", said={"rules": {"lang": {"none_of": ["ru", "und"]}}})
    said = one(made, docs[0].url)["rules"]
    assert [(s["value"], s["none_of"], s["any_of"], s["margin"]) for s in said["signals"] if s["broke"]] == [
        ("ru", ["ru", "und"], None, None)
    ]
    text = why.render(why.explain(made, docs[0].url))
    assert re.search(r"lang +ru +limit none of ru, und +BROKEN", text)


def test_edits_as_a_diff(tmp_path: Path) -> None:
    """Removed lines and replaced pieces, with what pages say made harmless."""
    said = "首页 > 新闻\n一样\n联系电话：13800138000，欢迎\n\x1b[31m版权所有"
    doc = Doc("http://web.example.cn/edited", text=said, edited="一样\n联系电话：<PHONE>，欢迎",
              signals={"edited_boilerplate_chars": 12})  # fmt: skip
    made = hand_run.write(tmp_path / "out", [doc], until="rules")
    assert [entry["op"] for entry in one(made, doc.url)["rules"]["diff"]] == ["removed", "same", "changed", "removed"]
    text = why.render(why.explain(made, doc.url))
    assert "            - 首页 > 新闻\n              … 1 line unchanged\n" in text
    assert "~ 联系电话：[-13800138000-]{+<PHONE>+}，欢迎" in text
    assert "\x1b" not in text


def test_edits_of_a_real_run(sample_run: Path) -> None:
    """Documents that the edits touched have a difference, and those that they did not have none."""
    from mdfs.ledger import Ledger
    from mdfs.parts import read_part

    real = Store(str(sample_run))
    file = next(f for row in Ledger(real).rows("rules").values() for f in row.files if f.source == "web")
    rows = next(read_part(real, file.path, ["doc_id", "signals"])).to_pylist()[:12]
    for row in rows:
        said = one(real, row["doc_id"])["rules"]
        assert bool(said["diff"]) == any(said["edits"].values()), row["doc_id"]
