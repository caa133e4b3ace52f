"""Word lists and domain lists: a recipe's own in place of the shipped ones, severity, exemptions, digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules
from mdfs.errors import UsageError
from mdfs.recipe import Limit, Recipe, Urls, WordList
from mdfs.rules import phrases


def signals(texts: list[str], given: Recipe, **columns: list[str]) -> list[dict[str, Any]]:
    return [row["signals"] for row in rules.annotate(batch(texts, **columns), given).to_pylist()]


def test_a_list_by_path_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    """One entry a line; commas at the end, comments, empty lines and a byte order mark are no part of entries."""
    (tmp_path / "mine.txt").write_text("\ufeff甲乙,\r\n# 不是词\r\n\r\n  Some Words  \r\n", "utf-8")
    given = Recipe(name="r", lists={"gambling": WordList(words=(str(tmp_path / "mine.txt"),))})
    assert signals(["甲 乙，some words，六合彩"], given)[0]["gambling_words"] == 2
    both = Recipe(name="r", lists={"gambling": WordList(words=("gambling", str(tmp_path / "mine.txt")))})
    assert signals(["甲 乙，some words，六合彩"], both)[0]["gambling_words"] == 3


def test_severity_says_what_counts_as_sensitive() -> None:
    """A category may be made severe, or mild."""
    text = "六合彩，厂家直销"
    given = Recipe(name="r", lists={"gambling": WordList(severity=1), "advertising": WordList(severity=3)})
    mild = signals([text], given)[0]
    assert (mild["gambling_words"], mild["ad_phrases"], mild["severe_words"]) == (1, 1, 1)


def test_a_word_in_two_categories_counts_in_the_more_severe(tmp_path: Path) -> None:
    """Each occurrence counts once."""
    (tmp_path / "mine.txt").write_text("厂家直销", "utf-8")
    given = Recipe(name="r", lists={"custom_3": WordList(words=(str(tmp_path / "mine.txt"),))})
    row = signals(["厂家直销"], given)[0]
    assert (row["custom_3_words"], row["ad_phrases"]) == (1, 0)


def test_a_category_may_be_exempt_for_a_source() -> None:
    """It is not counted there: null, so that no limit breaks; elsewhere it is."""
    lists = {"medical": WordList(exempt=("medicine*",)), "gambling": WordList(exempt=("law",))}
    given = Recipe(name="r", lists=lists, rules={"medical_ads": Limit(max=0)})
    out = rules.annotate(batch(["祖传秘方，六合彩"] * 3, sources=["medicine-2021", "law", "web"]), given).to_pylist()
    assert [row["signals"]["medical_ads"] for row in out] == [None, 1, 1]
    assert [row["signals"]["medical_ads_per_kchar"] is None for row in out] == [True, False, False]
    assert [row["signals"]["severe_words"] for row in out] == [1, 0, 1]
    assert [row["drop_reasons"] for row in out] == [[], ["medical_ads.max"], ["medical_ads.max"]]


def test_an_entry_may_be_exempt_for_a_source() -> None:
    """The other entries of the category still count there."""
    lists = {"gambling": WordList(exempt_words={"news": ("六合彩",)})}
    rows = signals(["六合彩，百家乐"] * 3, Recipe(name="r", lists=lists), sources=["web", "news", "web"])
    assert [row["gambling_words"] for row in rows] == [2, 1, 2]


@pytest.mark.parametrize(
    ("content", "says"), [("好\n甲乙", "'好' would be found everywhere"), ("。。\n", "found everywhere")]
)
def test_entries_that_are_too_short_are_told(content: str, says: str, tmp_path: Path) -> None:
    """A single character would be found in every text."""
    (tmp_path / "mine.txt").write_text(content, "utf-8")
    with pytest.raises(UsageError, match=says):
        phrases.categories(Recipe(name="r", lists={"custom_1": WordList(words=(str(tmp_path / "mine.txt"),))}))


def test_missing_and_unreadable_lists_are_told(tmp_path: Path) -> None:
    """By name or path, with what would be right."""
    (tmp_path / "gbk.txt").write_bytes("中文".encode("gbk"))
    for path, says in ((str(tmp_path / "gbk.txt"), "UTF-8"), ("no-such", "neither a shipped list")):
        with pytest.raises(UsageError, match=says):
            phrases.categories(Recipe(name="r", lists={"custom_1": WordList(words=(path,))}))
    with pytest.raises(UsageError, match="did you mean 'gambling'"):
        recipe.from_dict({"name": "r", "lists": {"gamblin": {}}})


def test_the_digest_changes_with_the_entries_and_not_with_their_place(tmp_path: Path) -> None:
    """Paths in a recipe start at its folder; what counts is what stands in the file."""
    digests = []
    for folder, words in (("a", "甲乙"), ("b", "甲乙"), ("c", "甲丙")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.txt").write_text(words, "utf-8")
        (tmp_path / folder / "r.toml").write_text('[lists.custom_1]\nwords = ["./w.txt"]\n', "utf-8")
        loaded = recipe.load(tmp_path / folder / "r.toml")
        digests.append(loaded.stage_digest("rules"))
        (tmp_path / "again.toml").write_text(loaded.to_toml(), "utf-8")
        assert recipe.load(tmp_path / "again.toml").stage_digest("rules") == digests[-1]
    assert digests[0] == digests[1] != digests[2]


def test_domains_match_themselves_and_what_is_under_them(tmp_path: Path) -> None:
    """A file of domains, or UT1's folders; labels are whole, and neither ports nor names in the path matter."""
    (tmp_path / "ut1/gambling").mkdir(parents=True)
    (tmp_path / "ut1/gambling/domains").write_text("bad.example\n#c.example\nOther.Example \n", "utf-8")
    (tmp_path / "more.txt").write_text("www.bad.example\r\n", "utf-8")
    given = Recipe(name="r", urls=Urls(listed=(str(tmp_path / "ut1"), str(tmp_path / "more.txt"))))
    urls = {
        "http://bad.example/": 1, "https://a.b.BAD.example:8080/x?y": 1, "http://www.bad.example": 2, "http://notbad.example/": 0,
        "http://good.example/bad.example/": 0, "http://bad.example.cn/": 0, "http://user@other.example/": 1, "bad.example/x": 1,
        "http://example/": 0, "http://c.example/": 0, "http://good.example/?u=http://bad.example/": 0,
    }  # fmt: skip
    rows = signals([PROSE] * len(urls), given, urls=list(urls))
    assert {url: row["url_listed"] for url, row in zip(urls, rows, strict=True)} == urls


def test_missing_domain_lists_are_told(tmp_path: Path) -> None:
    """Also a folder that holds none."""
    for path in (tmp_path, tmp_path / "no-such"):
        with pytest.raises(UsageError, match="named `domains`"):
            Recipe(name="r", urls=Urls(listed=(str(path),))).stage_digest("rules")


def test_patterns_fit_whole_addresses() -> None:
    """A star is any run of characters, and a dot is a dot."""
    given = Recipe(name="r", urls=Urls(patterns=("*/tag/*", "http://a.example/?")))
    rows = signals([PROSE] * 4, given, urls=["http://b.example/tag/1", "http://a.example/x", "http://aXexample/x", ""])
    assert [row["url_patterns"] for row in rows] == [1, 1, 0, None]
