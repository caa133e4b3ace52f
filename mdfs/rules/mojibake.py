"""Pairs of characters that arise when Chinese is decoded wrongly, computed from the commonest characters.

中 in UTF-8 is E4 B8 AD: read as Windows-1252 it is ä¸ and a soft hyphen. 的话 in UTF-8, read as GBK, is three rare
characters. Such neighbours practically never stand beside each other in text, so their share measures the damage.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

from mdfs.rules.characters import BLANKS, LINE_BREAKS
from mdfs.rules.phrases import mix, place

#: The 500 commonest Chinese characters or so, from general knowledge of frequency lists, and the commonest marks.
COMMON = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学"
    "如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将"
    "两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及"
    "比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区"
    "保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传"
    "师观清今切院让识候带导争运笑飞风步改收根干造言联持组每济车亲极林服快办议往元英士证近失转夫令准布始怎呢存未远叫台单影具罗字爱击流备兵连"
    "调深商算质团集百需价花党华城石级整府离况亚请技际约示复病息究线似官火断精满支视消越器容照须九增研写称企八功吗包片史委乎查轻易早曾除农找"
    "装广显吧阿李标谈吃图念六引历首医局突专费号尽另周较注语仅考落青随选列武红响虽推势参希古众构房半节土投某案黑维革划敌致陈律足态护七兴派孩"
    "，。、：“”（）"
)


def _shapes(text: str, read_as: str) -> set[str]:
    """What is left of `text` when its UTF-8 is read as another encoding; undecodable bytes and controls fall away."""
    decoded = text.encode("utf-8").decode(read_as, errors="ignore")
    return {decoded, "".join(c for c in decoded if c.isprintable() and not c.isspace())}


@functools.cache
def pairs() -> frozenset[str]:
    """All two-character strings that give wrong decoding away."""
    readings: set[str] = set()
    for character in COMMON:
        for single_byte in ("latin-1", "cp1252"):
            readings |= _shapes(character, single_byte)
            readings.add(character.encode("gbk").decode(single_byte, errors="ignore"))
    readings |= _gbk_readings()
    found = (text[k : k + 2] for text in readings for k in range(len(text) - 1))
    return frozenset(pair for pair in found if not (pair.isascii() or _is_plain(pair) or _has_white_space(pair)))


def _gbk_readings() -> set[str]:
    """The first two of the three GBK characters that two Chinese characters in UTF-8, six bytes, turn into."""
    leads = {character.encode()[:1] for character in COMMON}
    pairs = itertools.product(COMMON, leads)
    readings = {(first.encode() + lead).decode("gbk", errors="ignore") for first, lead in pairs}
    return readings | {("\ufffd" * 4).encode().decode("gbk")}


def _has_white_space(pair: str) -> bool:
    """Pairs that the kernel never sees, and text has too: a no-break space beside a fraction."""
    return any(c in LINE_BREAKS + BLANKS for c in pair)


def _is_plain(pair: str) -> bool:
    """Pairs that text has too: two common characters or marks, or a mark beside one."""
    return all(c in COMMON or not c.isalnum() for c in pair)


@functools.cache
def table() -> npt.NDArray[np.uint64]:
    """The set of pairs as the kernel's open-addressing table of mixed keys `first << 16 | second`."""
    found = sorted(pairs())
    keys = np.zeros(1 << (4 * len(found)).bit_length(), np.uint64)
    for pair in found:
        place(keys, mix(ord(pair[0]) << 16 | ord(pair[1])))
    keys.flags.writeable = False
    return keys
