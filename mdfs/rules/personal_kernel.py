"""The kernel that finds personal data (see `mdfs.rules.personal`) in one pass over UTF-8 bytes.

Most bytes of a text are neither ASCII digits nor letters and cost one table look-up. A run of letters, digits and
`._%+-@` is looked at closer; a number in it is read with its groups (138 0013 8000) and tried against one shape after
the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdfs.rules.jit import inlined, kernel

#: Kinds of bytes; 0 is every other byte.
K_DIGIT, K_LETTER, K_SIGN, K_AT = 1, 2, 3, 4
#: Columns of the counts.
PHONE, ID_CARD, BANK_CARD, EMAIL, IM, PLATE, IP = range(7)
#: Lists of words, in the order of `personal._WORDS`. Not plain integers: for each of these Numba would compile every
#: function that they are given to anew, which made the first use take 6 s longer.
(W_BETWEEN, W_EXPLICIT, W_QQ, W_WECHAT, W_PHONE, W_CARD, W_ORDER, W_VERSION, W_IP, W_AMOUNT, W_PROVINCE) = np.arange(11)
#: Groups of digits that are read together.
_GROUPS = 6
_SPACE, _DASH, _PAREN = 1, 2, 3
_NONE: Any = np.int64(-1)


@inlined
def _fold(byte: Any) -> Any:
    """An ASCII capital as a small letter."""
    return byte + 32 if 0x41 <= byte <= 0x5A else byte


@inlined
def _digit(data: Any, i: Any, stop: Any) -> Any:
    return i < stop and 0x30 <= data[i] <= 0x39


@inlined
def _letter(data: Any, i: Any, low: Any, stop: Any) -> Any:
    """Whether an ASCII letter or underscore stands at `i`."""
    return low <= i < stop and (0x61 <= _fold(data[i]) <= 0x7A or data[i] == 0x5F)


@inlined
def _ends(data: Any, low: Any, i: Any, tables: Any, which: Any) -> Any:
    """Bytes of the longest word of a list that ends at `i`; 0 where none does. Latin words begin at a word's begin."""
    flat, bounds, lists = tables[1], tables[2], tables[3]
    for w in range(lists[which], lists[which + 1]):
        size = np.int64(bounds[w + 1] - bounds[w])
        if i - size < low:
            continue
        k = size - 1
        while k >= 0 and _fold(data[i - size + k]) == flat[bounds[w] + k]:
            k -= 1
        if k < 0 and not (_letter(data, i - size, low, i) and _letter(data, i - size - 1, low, i)):
            return size
    return 0


@inlined
def _begins(data: Any, i: Any, stop: Any, tables: Any, which: Any) -> Any:
    """Whether a word of a list begins at `i`."""
    flat, bounds, lists = tables[1], tables[2], tables[3]
    for w in range(lists[which], lists[which + 1]):
        size = np.int64(bounds[w + 1] - bounds[w])
        k = 0
        while k < size and i + k < stop and data[i + k] == flat[bounds[w] + k]:
            k += 1
        if k == size:
            return True
    return False


@inlined
def _context(data: Any, low: Any, i: Any, tables: Any, first: Any, second: Any) -> Any:
    """Which of two lists has a word before `i`, blanks and the like aside: 0 none, 1 or 2; 3 or 4 where a sign such as
    a colon, or 号, stands between."""
    explicit = 0
    for _ in range(8):
        if _ends(data, low, i, tables, first):
            return 1 + explicit
        if second >= 0 and _ends(data, low, i, tables, second):
            return 2 + explicit
        size = _ends(data, low, i, tables, W_EXPLICIT)
        if size:
            explicit = 2
        else:
            size = _ends(data, low, i, tables, W_BETWEEN)
        if not size:
            return 0
        i -= size
    return 0


@inlined
def _in_address(data: Any, low: Any, i: Any) -> bool:
    """Whether `i` lies inside a web address: `://` or `www.` before it without a blank between."""
    for j in range(i - 1, max(low, i - 300) - 1, -1):
        if data[j] <= 0x20 or data[j] >= 0x7F or data[j] == 0x22 or data[j] == 0x3C or data[j] == 0x3E:
            return False
        if data[j] == 0x2F and j - 2 >= low and data[j - 1] == 0x2F and data[j - 2] == 0x3A:
            return True
        if data[j] == 0x2E and j - 3 >= low and data[j - 1] == data[j - 2] == data[j - 3] == 0x77:
            return True
    return False


@inlined
def _groups(data: Any, i: Any, stop: Any, groups: Any) -> Any:
    """Read groups of digits from `i`: rows of start, end and what follows (blank, dash, closing bracket, 0)."""
    n = 0
    while n < _GROUPS:
        groups[n, 0] = i
        while _digit(data, i, stop):
            i += 1
        groups[n, 1], groups[n, 2] = i, 0
        n += 1
        after = i
        if after < stop and data[after] == 0x20:
            groups[n - 1, 2], after = _SPACE, after + 1
        elif after < stop and data[after] == 0x2D:
            groups[n - 1, 2], after = _DASH, after + 1
        elif after < stop and data[after] == 0x29:
            groups[n - 1, 2], after = _PAREN, after + 1
        elif after + 2 < stop and data[after] == 0xEF and data[after + 1] == 0xBC and data[after + 2] == 0x89:
            groups[n - 1, 2], after = _PAREN, after + 3
        if after == i or not _digit(data, after, stop):
            groups[n - 1, 2] = 0
            break
        i = after
    return n


@inlined
def _size(groups: Any, k: Any, n: Any) -> Any:
    return groups[k, 1] - groups[k, 0] if k < n else np.int64(0)


@inlined
def _number(data: Any, groups: Any, k: Any) -> Any:
    """The value of a group's first 18 digits."""
    value = np.int64(0)
    for i in range(groups[k, 0], min(groups[k, 1], groups[k, 0] + 18)):
        value = value * 10 + (np.int64(data[i]) & 15)
    return value


@inlined
def _gather(data: Any, groups: Any, count: Any, digits: Any) -> Any:
    """All digits of the first `count` groups; at most 24."""
    n = 0
    for k in range(count):
        for i in range(groups[k, 0], groups[k, 1]):
            if n < 24:
                digits[n] = data[i] & 15
                n += 1
    return n


@inlined
def _is_id(digits: Any, provinces: Any) -> Any:
    """Province, a date between 1900 and 2099, and the check digit of ISO 7064 MOD 11-2 (GB 11643)."""
    month, day = digits[10] * 10 + digits[11], digits[12] * 10 + digits[13]
    century = digits[6] * 10 + digits[7]
    if not provinces[digits[0] * 10 + digits[1]] or not (century == 19 or century == 20):
        return False
    if not 1 <= month <= 12 or not 1 <= day <= (29 if month == 2 else 31 - (month - 1) % 7 % 2):
        return False
    rest = 0
    for k in range(17):
        rest = (rest + digits[k]) * 2 % 11
    return (rest + digits[17]) % 11 == 1


@inlined
def _luhn(digits: Any, n: Any) -> Any:
    total = 0
    for k in range(n):
        digit = digits[n - 1 - k] * (1 + k % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


@inlined
def _is_iin(digits: Any, n: Any, sure: Any) -> Any:
    """First digits of a card: UnionPay, ICBC's old 9558; Visa, Mastercard and JCB only where more speaks for a card."""
    two, four = digits[0] * 10 + digits[1], digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    if two == 62 or (four == 9558 and n == 19):
        return True
    return sure and n == 16 and (digits[0] == 4 or 51 <= two <= 55 or 2221 <= four <= 2720 or 3528 <= four <= 3589)


@inlined
def _plain_end(data: Any, i: Any, stop: Any, tables: Any) -> Any:
    """Whether a number may end at `i`: no letter, decimals or amount follows."""
    if _letter(data, i, i, stop) or (i < stop and data[i] == 0x40):
        return False
    if i + 1 < stop and (data[i] == 0x2E or data[i] == 0x2C) and _digit(data, i + 1, stop):
        return False
    return not _begins(data, i, stop, tables, W_AMOUNT)


@inlined
def _id_card(data: Any, stop: Any, groups: Any, n: Any, digits: Any, provinces: Any) -> Any:
    """The end of an ID-card number in one run or in groups of 6-8-4, or -1."""
    count = 1
    if _size(groups, 0, n) == 6 and _size(groups, 1, n) == 8:
        count = 3
    elif _size(groups, 0, n) == 6 and _size(groups, 1, n) == 4 and _size(groups, 2, n) == 4:
        count = 4
    if count > n:
        return _NONE
    found = _gather(data, groups, count, digits)
    end = groups[count - 1, 1]
    if found == 17 and end < stop and (data[end] == 0x58 or data[end] == 0x78):
        digits[17] = 10
        found, end = 18, end + 1
    fits = found == 18 and _is_id(digits, provinces)
    return end if fits and not _digit(data, end, stop) and not _letter(data, end, end, stop) else _NONE


@inlined
def _mobile(data: Any, groups: Any, k: Any, n: Any, mobile: Any) -> Any:
    """Groups, from `k`, of a mobile number: 11 digits, or 3-4-4 that nothing is joined to; 0 where there is none."""
    if k < n and _size(groups, k, n) == 11 and mobile[_number(data, groups, k) // 100_000_000]:
        return 1
    if k + 2 < n and _size(groups, k, n) == 3 and _size(groups, k + 1, n) == 4 and _size(groups, k + 2, n) == 4:
        alike = groups[k, 2] == groups[k + 1, 2] and groups[k, 2] != _PAREN
        if alike and groups[k + 2, 2] != groups[k, 2] and mobile[_number(data, groups, k)]:
            return 3
    return 0


@inlined
def _is_area(data: Any, groups: Any, k: Any, n: Any, trunk: Any) -> Any:
    """Area codes: 10, 20 to 29 and 3 digits from 310, after the trunk 0 or a country code."""
    code, size = _number(data, groups, k), _size(groups, k, n)
    if size != (2 if code < 100 else 3) + trunk or (trunk and data[groups[k, 0]] != 0x30):
        return False
    return code == 10 or 20 <= code <= 29 or 310 <= code <= 999


@inlined
def _landline(data: Any, groups: Any, k: Any, n: Any, trunk: Any) -> Any:
    """Groups, from `k`, of area code, number and perhaps extension; 0 where there is none."""
    if k + 1 >= n or not _is_area(data, groups, k, n, trunk) or not 0x32 <= data[groups[k + 1, 0]] <= 0x38:
        return 0
    size, count = _size(groups, k + 1, n), 2
    if size < 7 and size + _size(groups, k + 2, n) in (7, 8) and size in (3, 4):
        size, count = size + _size(groups, k + 2, n), 3
    if size != 8 and (size != 7 or _size(groups, k, n) == 2 + trunk):
        return 0
    last = k + count - 1
    if groups[last, 2] == _DASH and last + 1 < n and _size(groups, last + 1, n) <= 5:
        count += 1
    return count


@inlined
def _phone(data: Any, low: Any, groups: Any, n: Any, tables: Any) -> Any:
    """The end of a mobile or landline number that begins with the first group, or -1."""
    first, size = _number(data, groups, 0), _size(groups, 0, n)
    country = 1 if n > 1 and first == 86 and size in (2, 4) else 0
    count = _mobile(data, groups, country, n, tables[4])
    if not count:
        count = _landline(data, groups, country, n, 1 - country)
    if not count and country:
        count = _landline(data, groups, country, n, 1)
    if count:
        return groups[country + count - 1, 1]
    if size == 13 and first // 100_000_000_000 == 86 and tables[4][first // 100_000_000 % 1000]:
        return groups[0, 1]
    alone = groups[0, 2] != _DASH
    local = size in (7, 8) and 0x32 <= data[groups[0, 0]] <= 0x38
    joined = size in (11, 12) and data[groups[0, 0]] == 0x30 and 0x31 <= data[groups[0, 0] + 1] <= 0x39
    if alone and (local or joined) and _context(data, low, groups[0, 0], tables, W_PHONE, _NONE):
        return groups[0, 1]
    return _NONE


@inlined
def _bank_card(data: Any, low: Any, groups: Any, n: Any, digits: Any, tables: Any) -> Any:
    """The end of a card number in one run or in groups of four, or -1."""
    count = 1
    while count < n and _size(groups, 0, n) == 4 and _size(groups, count - 1, n) == 4 and count < 5:
        count += 1
    found = _gather(data, groups, count, digits)
    if (
        not 16 <= found <= 19
        or (count > 1 and count != (found + 3) // 4)
        or (count < n and groups[count - 1, 2] == _DASH)
    ):
        return _NONE
    sure = count > 1
    if not sure and digits[0] != 6 and digits[0] != 9:
        sure = _context(data, low, groups[0, 0], tables, W_CARD, _NONE) > 0
    return groups[count - 1, 1] if _is_iin(digits, found, sure) and _luhn(digits, found) else _NONE


@inlined
def _ipv4(data: Any, low: Any, i: Any, stop: Any, tables: Any) -> Any:
    """The end of four numbers up to 255 with dots between that are a public address and no version, or -1."""
    if i > low and (data[i - 1] == 0x2E or _letter(data, i - 1, low, stop)):
        return _NONE
    begin, digits = i, 0
    first: Any = 0
    second: Any = 0
    for part in range(4):
        value: Any = 0
        size = 0
        while size < 4 and _digit(data, i, stop):
            value = value * 10 + (np.int64(data[i]) & 15)
            i, size = i + 1, size + 1
        if size == 0 or value > 255 or (size > 1 and data[i - size] == 0x30):
            return _NONE
        digits += size
        first = value if part == 0 else first
        second = value if part == 1 else second
        if part < 3:
            if i >= stop or data[i] != 0x2E:
                return _NONE
            i += 1
    if (
        _digit(data, i, stop)
        or _letter(data, i, i, stop)
        or (i + 1 < stop and data[i] == 0x2E and _digit(data, i + 1, stop))
    ):
        return _NONE
    if (
        first in (0, 10, 127)
        or first >= 224
        or (first == 192 and second == 168)
        or (first == 172 and 16 <= second < 32)
    ):
        return _NONE
    if digits < 7 and not _context(data, low, begin, tables, W_IP, _NONE):
        return _NONE
    return _NONE if _context(data, low, begin, tables, W_VERSION, _NONE) else i


@inlined
def _ipv6(data: Any, low: Any, i: Any, stop: Any) -> Any:
    """The end of an address of 8 groups, or with `::` and at least 3, that has a digit and 10 signs or more; or -1."""
    begin, groups, doubled, digits = i, 0, 0, 0
    if i > low and (data[i - 1] == 0x3A or _letter(data, i - 1, low, stop)):
        return _NONE
    while i < stop:
        size = 0
        while i < stop and size < 5 and (_digit(data, i, stop) or 0x61 <= _fold(data[i]) <= 0x66):
            digits += _digit(data, i, stop)
            i, size = i + 1, size + 1
        if size > 4 or size == 0:
            break
        groups += 1
        if i + 1 >= stop or data[i] != 0x3A:
            break
        if data[i + 1] == 0x3A:
            doubled += 1
            i += 1
        if not (_digit(data, i + 1, stop) or (i + 1 < stop and 0x61 <= _fold(data[i + 1]) <= 0x66)):
            break
        i += 1
    fits = groups == 8 if doubled == 0 else doubled == 1 and 3 <= groups <= 7
    return i if fits and digits and i - begin >= 10 and not _letter(data, i, i, stop) else _NONE


@inlined
def _email(data: Any, begin: Any, end: Any, at: Any) -> Any:
    """Where the address around the `@` at `at` begins and ends, inside the run `begin` to `end`; -1 for none."""
    start = begin
    while start < at and not (_digit(data, start, at) or _letter(data, start, start, at)):
        start += 1
    i, dot, top = at + 1, 0, 0
    while i < end and (_digit(data, i, end) or _letter(data, i, i, end) or data[i] == 0x2D or data[i] == 0x2E):
        if data[i] == 0x2E:
            if data[i - 1] == 0x2E or i == at + 1:
                break
            dot = i
        i += 1
    while i > at + 1 and (data[i - 1] == 0x2E or data[i - 1] == 0x2D):
        i -= 1
    dot = 0
    for k in range(at + 1, i):
        if data[k] == 0x2E:
            dot, top = k, 0
        elif dot:
            top += 1 if 0x61 <= _fold(data[k]) <= 0x7A else -100
    if start == at or at - start > 64 or not dot or top < 2:
        return np.int64(_NONE), i
    return start, i


@inlined
def _name(data: Any, low: Any, i: Any, end: Any, tables: Any) -> Any:
    """The end of a WeChat name at `i`, known by the keyword before it, or -1."""
    stop, figures = i, 0
    while stop < end and (_digit(data, stop, end) or _letter(data, stop, i, end) or data[stop] == 0x2D):
        figures += _digit(data, stop, end)
        stop += 1
    if not 6 <= stop - i <= 20:
        return _NONE
    found = _context(data, low, i, tables, W_QQ, W_WECHAT)
    return stop if found == 4 or (found == 2 and figures > 2) else _NONE


@inlined
def _plate(data: Any, low: Any, i: Any, stop: Any, tables: Any) -> Any:
    """The end of a plate whose capital letter stands at `i` after a province's character, or -1."""
    if not 0x41 <= data[i] <= 0x5A or data[i] == 0x49 or data[i] == 0x4F or not _ends(data, low, i, tables, W_PROVINCE):
        return _NONE
    i += 1
    if i + 1 < stop and data[i] == 0xC2 and data[i + 1] == 0xB7:
        i += 2
    size, figures = 0, 0
    while i < stop and size < 7 and (_digit(data, i, stop) or 0x41 <= data[i] <= 0x5A):
        figures += _digit(data, i, stop)
        i, size = i + 1, size + 1
    ends = not _letter(data, i, i, stop) and not (i < stop and data[i] == 0x2D)
    return i if 5 <= size <= 6 and figures >= 3 and ends else _NONE


@inlined
def _figures(data: Any, low: Any, i: Any, stop: Any, tables: Any, groups: Any, digits: Any) -> Any:
    """What the number at `i` is: where it ends, its kind or -1."""
    n = _groups(data, i, stop, groups)
    after = groups[0, 1]
    if after < stop and data[after] == 0x2E and _digit(data, after + 1, stop):
        address = _ipv4(data, low, i, stop, tables)
        if address > 0:
            return address, IP
        while after < stop and (data[after] == 0x2E or _digit(data, after, stop)):
            after += 1
        return after, _NONE
    size = after - i
    if size >= 5 and size <= 11 and data[i] != 0x30 and not (size == 11 and _mobile(data, groups, 0, n, tables[4])):
        found = _context(data, low, i, tables, W_QQ, W_WECHAT)
        if found and not _letter(data, after, after, stop) and not _begins(data, after, stop, tables, W_AMOUNT):
            return after, IM
    joined = i > low and (_letter(data, i - 1, low, stop) or (data[i - 1] == 0x2E and _digit(data, i - 2, stop)))
    end: Any = _NONE
    kind = _NONE
    if not joined:
        end, kind = _id_card(data, stop, groups, n, digits, tables[5]), ID_CARD
        if end < 0:
            end, kind = _phone(data, low, groups, n, tables), PHONE
        if end < 0:
            end, kind = _bank_card(data, low, groups, n, digits, tables), BANK_CARD
        if end > 0 and kind != ID_CARD:
            order = _context(data, low, i, tables, W_ORDER, _NONE)
            if order or not _plain_end(data, end, stop, tables):
                end = _NONE
    if end > 0:
        return (end, _NONE) if _in_address(data, low, i) else (end, kind)
    k = 0
    while k + 1 < n and groups[k, 2] == _DASH:  # one identifier: its parts are no numbers of their own
        k += 1
    return groups[k, 1], _NONE


@inlined
def _find(data: Any, low: Any, i: Any, stop: Any, tables: Any, groups: Any, digits: Any) -> Any:
    """Look at the run that begins at `i`: begin, end and kind of the first find, or kind -1 and where to go on."""
    kinds = tables[0]
    end, at, figures = i, np.int64(0), 0
    while end < stop and kinds[data[end]] and end - i < 320:
        figures += kinds[data[end]] == K_DIGIT
        at = end if kinds[data[end]] == K_AT and not at else at
        end += 1
    if at:
        start, last = _email(data, i, end, at)
        return (start, last, EMAIL) if start >= 0 else (i, max(last, at + 1), _NONE)
    if end < stop and data[end] == 0x3A and end - i <= 4:
        last = _ipv6(data, low, i, stop)
        if last > 0:
            return i, last, IP
    if kinds[data[i]] == K_LETTER:
        if i > low and data[i - 1] >= 0x80 and (figures or (end < stop and data[end] == 0xC2)):
            last = _plate(data, low, i, stop, tables)
            if last > 0:
                return i - 3, last, PLATE
        if end - i >= 6 and i > low and (figures > 2 or data[i - 1] == 0x3A or data[i - 1] >= 0x80):
            last = _name(data, low, i, end, tables)
            if last > 0:
                return i, last, IM
    if not figures:
        return i, end, _NONE
    while not _digit(data, i, end):
        i += 1
    if end - i < 5 and not (end < stop and (data[end] == 0x20 or data[end] == 0x29 or data[end] == 0xEF)):
        return i, end, _NONE
    last, kind = _figures(data, low, i, stop, tables, groups, digits)
    if kind == PHONE and i > low and (data[i - 1] == 0x2B or (groups[0, 2] == _PAREN and data[i - 1] == 0x28)):
        return i - 1, last, kind
    wide = kind == PHONE and groups[0, 2] == _PAREN and i - 3 >= low and data[i - 3] == 0xEF and data[i - 1] == 0x88
    return i - 3 * wide, last, kind


@kernel
def scan(offsets: Any, data: Any, tables: Any, on: Any, tokens: Any, ends: Any, write: bool, sizes: Any, out: Any,
         counts: Any) -> None:  # fmt: skip
    """Count finds by kind and, where `write`, write texts with tokens in place of the kinds that are `on`.

    Args:
        offsets: int32[n + 1]. `data`: uint8, valid UTF-8. `tables`: `personal.tables()`.
        on: bool[7]. `tokens`: uint8, the tokens' bytes one after the other; `ends`: int32[8], where each begins.
        sizes: int64[n + 1], filled with the offsets of the new texts. `out`: uint8[sizes[n]], or empty.
        counts: int64[n, 7], zeros; filled.
    """
    kinds = tables[0]
    groups, digits = np.zeros((_GROUPS, 3), np.int64), np.zeros(24, np.int64)
    o = np.int64(0)
    sizes[0] = 0
    for d in range(offsets.size - 1):
        low, stop = np.int64(offsets[d]), np.int64(offsets[d + 1])
        i, copied = low, low
        while i < stop:
            if not kinds[data[i]]:
                i += 1
                continue
            begin, i, kind = _find(data, low, i, stop, tables, groups, digits)
            if kind < 0:
                continue
            counts[d, kind] += 1
            if on[kind]:
                if write:
                    for k in range(copied, begin):
                        out[o + k - copied] = data[k]
                    for k in range(ends[kind], ends[kind + 1]):
                        out[o + begin - copied + k - ends[kind]] = tokens[k]
                o += begin - copied + ends[kind + 1] - ends[kind]
                copied = i
        if write:
            for k in range(copied, stop):
                out[o + k - copied] = data[k]
        o += stop - copied
        sizes[d + 1] = o
