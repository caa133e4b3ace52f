"""The limits of yuan1: each drops what it is for, none of them good text; and the recipe says where each comes from."""

from __future__ import annotations

from importlib import resources

import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules

YUAN = recipe.load("yuan1")
LIMITS = [f"{name}.{side}" for name, limit in YUAN.rules.items() for side in ("min", "max") if getattr(limit, side)]

GOOD = {
    "prose": PROSE,
    "encyclopedia": "阿兰·图灵（Alan Turing，1912年6月23日－1954年6月7日），英国数学家、逻辑学家，计算机科学之父。"
    "1936年，他在论文《On Computable Numbers》里描述了一种抽象的机器，后人称之为图灵机（Turing machine）。"
    "第二次世界大战期间，他在布莱切利园（Bletchley Park）参加了对Enigma密码机的破译。1950年，他提出了著名的“图灵测试”。"
    "美国计算机协会（ACM）于1966年设立图灵奖，以纪念他的贡献。",
    "traditional": "臺北盆地位於臺灣北部，四周為山地與丘陵所環繞，淡水河及其支流流經其間。早期居住在這裡的是平埔族人，"
    "後來漢人陸續前來開墾，聚落沿著河岸逐漸形成。十九世紀末，城牆與官署相繼完成，市街也從碼頭向內陸延伸。"
    "到了二十世紀，鐵路與公路把各個聚落連成一體，人口迅速增加，盆地成為全島最熱鬧的地方。"
    "今天人們仍可以在老街上看到當年的店屋與廟宇。",
    "classical": "晋太元中，武陵人捕鱼为业。缘溪行，忘路之远近。忽逢桃花林，夹岸数百步，中无杂树，芳草鲜美，落英缤纷。"
    "渔人甚异之，复前行，欲穷其林。林尽水源，便得一山，山有小口，仿佛若有光。便舍船，从口入。初极狭，才通人。"
    "复行数十步，豁然开朗。土地平旷，屋舍俨然，有良田、美池、桑竹之属。阡陌交通，鸡犬相闻。"
    "其中往来种作，男女衣着，悉如外人。黄发垂髫，并怡然自乐。",
    "wrapped": "\n".join(PROSE[k : k + 35] for k in range(0, len(PROSE), 35)),
}

_ROWS = "\n".join(f"{k} 月 {k * 37 % 101} {k * 7919} {k * 104729}" for k in range(1, 60))
_NAMES = "".join(f"{a}{b}{c}，" for a in "赵钱孙李周吴郑冯" for b in "建国志文春玉海金" for c in "强")
_BROKEN = PROSE.encode().decode("gbk", errors="replace")
JUNK = {
    "chars.min": PROSE[:100],
    "han_ratio.min": "The cat sat on the mat and looked at the moon. " * 5 + "It was late, and nobody came.",
    "digit_ratio.max": _ROWS,
    "punctuation_ratio.min": "".join(c for c in PROSE if c not in "，。、"),
    "punctuation_ratio.max": "——————————，——————————。" * 8 + PROSE[:60],
    "symbol_ratio.max": "★☆★☆★☆" * 8 + PROSE,
    "emoji_ratio.max": "😀🚀" * 30 + PROSE,
    "code_mark_ratio.max": "var a=[1,2];if(b){c(d);}e={f:g[0]};\n" * 12,
    "whitespace_ratio.max": " ".join(PROSE),
    "stop_char_ratio.min": _NAMES,
    "broken_ratio.max": PROSE + "\ufffd" * 20,
    "mojibake_ratio.max": PROSE + _BROKEN[:60],
    "prose_line_ratio.min": "\n".join(f"{PROSE[k : k + 9]}{k}" for k in range(0, 180, 5)),
    "duplicate_line_char_ratio.max": "\n".join([PROSE[:52], *PROSE.split("。")] * 2),
    "char_entropy.min": "好好学习天天向上，" * 30,
    "top_2gram_ratio.max": "".join(f"优惠{c}" for c in PROSE),
    "top_4gram_ratio.max": "".join(f"新春优惠{c}{d}" for c, d in zip(PROSE, PROSE[1:], strict=False)),
    "duplicate_8gram_ratio.max": PROSE * 3,
    "duplicate_16gram_ratio.max": PROSE * 2,
    "urls_per_kchar.max": PROSE + " www.example.com" * 5,
    "phones_per_kchar.max": PROSE + "，13800000000，13900000000，021-00000000。",
    "contact_words_per_kchar.max": PROSE + "加微信，进群，QQ群。",
    "ad_phrases_per_kchar.max": PROSE + "厂家直销，全国包邮，欢迎来电咨询。",
    "gambling_words_per_kchar.max": PROSE + "六合彩，百家乐，时时彩。",
    "adult_words_per_kchar.max": PROSE + "成人网站，激情视频，同城约会。",
    "severe_words.max": "。".join([PROSE, "六合彩", PROSE[::-1], "成人网站", "出售枪支", "百家乐"]),
    "medical_ads_per_kchar.max": PROSE + "祖传秘方，药到病除，无副作用。",
}


def reasons(text: str) -> list[str]:
    found: list[str] = rules.annotate(batch([text]), YUAN).column("drop_reasons")[0].as_py()
    return found


def test_every_limit_has_its_junk() -> None:
    """A new limit comes with a text that breaks it."""
    assert sorted(JUNK) == sorted(LIMITS)


@pytest.mark.parametrize("limit", LIMITS)
def test_junk_breaks_its_limit(limit: str) -> None:
    """The text breaks the limit that it is here for (and may break others)."""
    assert limit in reasons(JUNK[limit])


@pytest.mark.parametrize("sort", GOOD)
def test_good_text_breaks_none(sort: str) -> None:
    """Good text of every sort stays: with Latin names and figures, traditional, classical, wrapped."""
    assert reasons(GOOD[sort]) == []


def test_every_limit_names_its_source() -> None:
    """Each line of the table says why it is so."""
    text = (resources.files("mdfs") / "recipes" / "yuan1.toml").read_text("utf-8")
    table = text.partition("[rules]\n")[2].partition("\n[")[0]
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(YUAN.rules)
    assert [line for line in lines if "#" not in line] == []
