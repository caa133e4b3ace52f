"""Personal data in Chinese text: what is found, and the tokens that stand in its place.

Found are mobile and landline numbers, ID-card numbers with a right check digit, bank cards that pass Luhn's check,
e-mail addresses, QQ and WeChat ids behind their keyword, licence plates and public IP addresses. Left alone are
numbers that anybody may know or that only look alike: 110, 12345, 95588, 400- and 800- lines, ISBN, ISSN, dates,
versions, decimals, amounts of money, order numbers, and whatever stands inside a web address.

They are counted in every document and replaced where `[edits] pii` names their kind, after everything is measured: a
page of telephone numbers still measures as one. Full-width digits are found once the `unicode` edit has narrowed them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: Kinds of personal data, in the order of the kernel's columns, and the token that replaces each.
TOKENS = {
    "phone": "<PHONE>", "id_card": "<ID_CARD>", "bank_card": "<BANK_CARD>", "email": "<EMAIL>", "im": "<IM>",
    "plate": "<PLATE>", "ip": "<IP>",
}  # fmt: skip
#: The names of their counts.
COUNTERS = ("phone_numbers", "id_cards", "bank_cards", "emails", "im_ids", "plates", "ip_addresses")

#: Words around numbers, in the order of the kernel's `WORDS_*`. ASCII letters match in either case.
_WORDS: tuple[tuple[str, ...], ...] = (
    # what may stand between a keyword and its number
    (" ", "\u00a0", "\u3000", "为", "是", "加", "群", "id", "#", "“", '"', "'", "「", "及", "也", "同"),
    # what says that a number or name follows
    (":", "：", "=", "号", "号码", "﹕", "账号", "帐号", "(", "（", "[", "【"),
    ("qq", "扣扣", "扣扣号", "企鹅", "企鹅号", "秋秋"),
    ("微信", "薇信", "威信", "徽信", "微心", "v信", "v❤", "wechat", "weixin", "vx", "wx", "微信/qq", "微信qq"),
    ("电话", "手机", "传真", "座机", "电话/传真", "电话/微信", "tel", "fax", "tel.", "电 话", "传 真",
     "联系方式", "手 机"),
    ("卡号", "银行卡", "信用卡", "储蓄卡", "借记卡", "账号", "帐号", "账户", "帐户", "card", "visa", "card no."),
    ("订单", "订单号", "单号", "编号", "流水", "流水号", "货号", "型号", "序号", "序列号", "条码", "条形码", "期号",
     "文号", "isbn", "issn", "证号", "编码", "doi", "￥", "¥", "$", "no.", "专利号", "批号"),
    ("v", "ver", "ver.", "version", "版本", "版", "固件", "章", "节", "oid", "第"),
    ("ip", "ip地址", "ip address", "服务器"),
    # what follows an amount
    ("元", "万", "亿", "美元", "港元", "欧元", "块", "吨", "千", "公", "股", "份", "户", "人", "个", "字", "%", "％",
     "‰", "米", "平方", "年", "次", "条", "件"),
    ("京", "津", "沪", "渝", "冀", "豫", "云", "辽", "黑", "湘", "皖", "鲁", "新", "苏", "浙", "赣", "鄂", "桂", "甘",
     "晋", "蒙", "陕", "吉", "闽", "贵", "粤", "青", "藏", "川", "宁", "琼"),
)  # fmt: skip
#: Mobile numbers begin with one of these: the blocks that the ministry has given out, data cards left out.
_MOBILE = (
    *range(130, 140), *range(145, 150), *range(150, 154), *range(155, 160), 162, 165, 166, 167,
    *range(170, 179), *range(180, 190), *range(190, 194), *range(195, 200),
)  # fmt: skip
#: First two digits of an ID-card number: provinces (GB/T 2260).
_PROVINCES = (
    *range(11, 16), 21, 22, 23, *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83,
)  # fmt: skip


@functools.cache
def tables() -> tuple[npt.NDArray[Any], ...]:
    """What the kernel looks up: byte kinds, the words' bytes with their bounds by list, mobile blocks, provinces."""
    from mdfs.rules import personal_kernel as pk

    kinds = np.zeros(256, np.uint8)
    kinds[[ord(c) for c in "0123456789"]] = pk.K_DIGIT
    kinds[[c for c in range(128) if chr(c).isalpha()]] = pk.K_LETTER
    kinds[[ord(c) for c in "._%+-"]] = pk.K_SIGN
    kinds[ord("@")] = pk.K_AT
    words = [[word.encode() for word in sorted(entry, key=lambda w: -len(w.encode()))] for entry in _WORDS]
    flat = b"".join(word for entry in words for word in entry)
    bounds = np.cumsum([0, *(len(word) for entry in words for word in entry)]).astype(np.int32)
    lists = np.cumsum([0, *map(len, words)]).astype(np.int32)
    mobile, provinces = np.zeros(1000, np.bool_), np.zeros(100, np.bool_)
    mobile[list(_MOBILE)] = True
    provinces[list(_PROVINCES)] = True
    found = (kinds, np.frombuffer(flat, np.uint8), bounds, lists, mobile, provinces)
    for table in found:
        table.flags.writeable = False
    return found


def scan(
    offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], wanted: tuple[str, ...], tokens: Mapping[str, str]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Count personal data by kind, and replace the `wanted` kinds.

    Args:
        offsets: int32[n + 1]. `data`: uint8, valid UTF-8.
        wanted: keys of `TOKENS`. `tokens`: by kind, spellings that replace those of `TOKENS`.

    Returns:
        Offsets and bytes (the given ones where nothing is replaced), and int64[n, 7] counts by `COUNTERS`.

    Raises:
        OverflowError: the new texts need more than 2 GiB; the batch must be smaller.
    """
    from mdfs.rules import personal_kernel as pk  # reading a recipe needs this module's names and no compiler

    spelling = [(TOKENS | dict(tokens))[kind].encode() for kind in TOKENS]
    ends = np.cumsum([0, *map(len, spelling)]).astype(np.int32)
    written = np.frombuffer(b"".join(spelling), np.uint8)
    on = np.array([kind in wanted for kind in TOKENS])
    counts = np.zeros((len(offsets) - 1, len(TOKENS)), np.int64)
    sizes = np.zeros(len(offsets), np.int64)
    nothing = np.empty(0, np.uint8)
    for frozen in (ends, on, written):
        frozen.flags.writeable = False
    pk.scan(offsets, data, tables(), on, written, ends, False, sizes, nothing, counts)
    if not counts[:, on].any():
        return offsets, data, counts
    if sizes[-1] > np.iinfo(np.int32).max:
        raise OverflowError("the replaced texts of a batch need more than 2 GiB")
    out = np.empty(int(sizes[-1]), np.uint8)
    pk.scan(offsets, data, tables(), on, written, ends, True, sizes, out, np.zeros_like(counts))
    return sizes.astype(np.int32), out, counts
