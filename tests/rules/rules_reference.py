"""The counters once more, slowly, over Python strings: regular expressions and sets in place of the kernel's state."""

from __future__ import annotations

import math
import re
from collections import Counter

from mdfs.rules import characters as ch
from mdfs.rules import mojibake, phrases
from mdfs.rules import repetition as kernels

WINDOW = 16_384
_CLASS = ch.classes()
_BREAKS = re.compile(f"[{ch.LINE_BREAKS}]")
_WHITE = ch.LINE_BREAKS + ch.BLANKS


def kinds(text: str) -> list[int]:
    return [int(_CLASS[ord(c)]) for c in text]


def words(text: str) -> list[tuple[int, str]]:
    """Reading units as (class, string)."""
    found: list[tuple[int, str]] = []
    open_run = False
    for c, kind in zip(text, kinds(text), strict=True):
        if kind in (ch.HAN, ch.KANA, ch.HANGUL):
            found.append((kind, c))
            open_run = False
        elif kind in (ch.LATIN, ch.DIGIT, ch.OTHER):
            # ASCII letters are compared without case.
            letter = c.lower() if c.isascii() else c
            if open_run and found[-1][0] == kind:
                found[-1] = (kind, found[-1][1] + letter)
            else:
                found.append((kind, letter))
            open_run = True
        elif kind != ch.MARK:
            open_run = False
    return found


def windows(units: list) -> list[list]:
    return [units[k : k + WINDOW] for k in range(0, len(units), WINDOW)]


def top(units: list, n: int) -> int:
    grams = Counter(tuple(units[k : k + n]) for k in range(len(units) - n + 1))
    best = max(grams.values(), default=0)
    return best if best > 1 else 0


def repeated(units: list, n: int) -> int:
    seen, covered = set(), set()
    for k in range(len(units) - n + 1):
        gram = tuple(units[k : k + n])
        if gram in seen:
            covered.update(range(k, k + n))
        seen.add(gram)
    return len(covered)


def phrase_counts(units: list[str]) -> dict[str, int]:
    severe = sorted(
        phrases.LISTS, key=lambda name: phrases.CATEGORIES[name]
    )  # the more severe one comes last and stays
    entries = {tuple(u for _, u in words(entry)): name for name in severe for entry in phrases.read_list(name)}
    longest = max(map(len, entries))
    counts, k = dict.fromkeys(phrases.CATEGORIES, 0), 0
    while k < len(units):
        fits = [n for n in range(1, longest + 1) if tuple(units[k : k + n]) in entries and k + n <= len(units)]
        if fits:
            counts[entries[tuple(units[k : k + fits[-1]])]] += 1
        k += fits[-1] if fits else 1
    return counts


def ends(line: str) -> bool:
    """Whether a line without white space ends with an end mark, closing brackets aside."""
    return line.rstrip(ch.CLOSERS)[-1:] in set(ch.END_MARKS)


def phones(text: str) -> int:
    count = 0
    for match in re.finditer(r"[0-9０-９](?:-?[0-9０-９])*", text):
        digits = "".join(str(ord(c) & 15) for c in match[0] if c != "-")
        mobile = re.fullmatch(r"1[3-9]\d{9}", digits)
        service = re.fullmatch(r"[48]00\d{7}", digits)
        landline = re.fullmatch(r"0\d{9,11}", digits) and "-" in match[0] + text[match.end() :][:1]
        count += bool(mobile or service or landline)
    return count


def sentences(text: str) -> int:
    marks = re.findall(f"[{re.escape(ch.SENTENCE_MARKS)}]+", text)
    stops = re.findall(rf"[A-Za-z]\.(?=[{_WHITE}]|\Z)", text)
    return len(marks) + len(stops)


def mojibake_chars(text: str) -> int:
    pairs, hit = mojibake.pairs(), set()
    for k in range(len(text) - 1):
        if text[k : k + 2] in pairs:
            hit |= {k, k + 1}
    return len(hit)


def urls(text: str) -> int:
    bare = [re.sub(f"[{_WHITE}]", "", line) for line in _BREAKS.split(text)]
    return sum(line.count("://") + len(re.findall(r"(?<!/)www\.", line)) for line in bare)


def prices(text: str) -> int:
    runs = re.finditer(r"[0-9０-９]+", text)
    cur = set(ch.CURRENCY)
    return sum(text[r.start() - 1 : r.start()] in cur or text[r.end() : r.end() + 1] in set("元块圆") for r in runs)


def stop_words(units: list[tuple[int, str]]) -> list[str]:
    return [word for kind, word in units if kind == ch.LATIN and word in ch.STOP_WORDS]


def bare_lines(text: str) -> list[str]:
    return [re.sub(f"[{_WHITE}]", "", line) for line in _BREAKS.split(text)]


def marks(text: str) -> dict[str, int]:
    lines = bare_lines(text)
    tags = [
        re.sub(f"[{_WHITE}]", "", tag)
        for line in _BREAKS.split(text)
        for tag in re.findall(r"<[A-Za-z/!?][^<>]*>", line)
    ]
    return {
        "brackets": sum(c in ch.BRACKETS for c in text),
        "curly_brackets": sum(c in "{}" for c in text),
        "hashes": sum(c in ch.HASHES for c in text),
        "json_keys": sum(line.count('":') for line in lines),
        "ellipses": sum(len(re.findall(r"…+|\.{3,}", line)) for line in lines),
        "lenticular_chars": sum(len(inside) for line in lines for inside in re.findall("【(.*?)】", line)),
        "markup_chars": sum(len(tag) for tag in tags if len(tag) <= 500),
        "prices": prices(text),
    }


def title_counts(title: str, text: str) -> dict[str, int]:
    letters = [c for c in title if ch.HAN <= _CLASS[ord(c)] <= ch.OTHER]
    head, body = (re.sub(f"[{_WHITE}]", "", part) for part in (title, text))
    begins = body.startswith(head) or head.startswith(body)
    return {
        "title_chars": len(letters),
        "title_found": sum(c in text for c in letters),
        "beyond_title": max(len(body) - len(head), 0) if begins else len(body),
    }


def count(text: str, title: str = "") -> dict[str, int]:
    """All counters of a text, by name."""
    by_class = Counter(kinds(text))
    row = {name: by_class[number] for number, name in enumerate(ch.CLASSES)}
    solid = [c for c in text if _CLASS[ord(c)] != ch.WHITESPACE]
    units = words(text)
    traditional, simplified = ch.variants()
    row |= {
        "chars": len(solid),
        "units": len(units),
        "latin_words": sum(kind == ch.LATIN for kind, _ in units),
        "digit_words": sum(kind == ch.DIGIT for kind, _ in units),
        "code_marks": sum(c in ch.CODE_MARKS for c in text),
        "stop_chars": sum(c in ch.STOP + ch.CLASSICAL for c in text),
        "classical_chars": sum(c in ch.CLASSICAL for c in text),
        "traditional": sum(c in traditional for c in text),
        "simplified": sum(c in simplified for c in text),
        "stop_words": len(stop_words(units)),
        "stop_word_kinds": len(set(stop_words(units))),
        "mojibake": mojibake_chars(text),
        "sentences": sentences(text),
        "urls": urls(text),
        "phones": phones(text),
        "unique_chars": len(set(solid)),
        "entropy_sum": sum(round(n * math.log2(n) * 1e6) for n in Counter(solid).values()),
    }
    return row | lines(text) | marks(text) | title_counts(title, text) | repetition([unit for _, unit in units])


def last_mark(line: str) -> str:
    return line.rstrip(ch.CLOSERS)[-1:]


def paragraphs(text: str) -> list[tuple[str, ...]]:
    found: list[list[str]] = [[]]
    for line in bare_lines(text.replace("\r\n", "\n")):
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [tuple(paragraph) for paragraph in found if paragraph]


def foreign(line: str) -> bool:
    return len(line) >= 20 and 10 * sum(_CLASS[ord(c)] == ch.HAN for c in line) < len(line)


def lines(text: str) -> dict[str, int]:
    bare = [line for line in bare_lines(text) if line]
    copies = [line for k, line in enumerate(bare) if line in bare[:k]]
    done = [line for line in bare if ends(line)]
    whole = paragraphs(text)
    again = [paragraph for k, paragraph in enumerate(whole) if paragraph in whole[:k]]
    sizes = sorted(min(len(line), 1023) for line in bare)
    return {
        "lines": len(bare),
        "short_lines": sum(len(line) < 12 for line in bare),
        "lines_under_30": sum(len(line) <= 30 for line in bare),
        "long_lines": sum(len(line) >= 200 for line in bare),
        "end_mark_chars": sum(map(len, done)),
        "wide_end_lines": sum(last_mark(line) > "\x7f" for line in done),
        "ascii_end_lines": sum(last_mark(line) <= "\x7f" for line in done),
        "prose_chars": sum(len(line) for line in bare if ends(line) or len(line) >= 32),
        "max_line": max(map(len, bare), default=0),
        "median_line": sizes[(len(sizes) - 1) // 2] if sizes else 0,
        "duplicate_lines": len(copies),
        "duplicate_line_chars": sum(map(len, copies)),
        "bullet_lines": sum(line[0] in ch.BULLETS for line in bare),
        "ellipsis_lines": sum(line.endswith(("…", "...")) for line in bare),
        "foreign_line_chars": sum(len(line) for line in bare if foreign(line)),
        "paragraphs": len(whole),
        "duplicate_paragraphs": len(again),
        "duplicate_paragraph_chars": sum(len("".join(paragraph)) for paragraph in again),
    }


def repetition(units: list[str]) -> dict[str, int]:
    row = dict.fromkeys(kernels.COUNTERS, 0)
    for window in windows(units):
        for n in kernels.TOP:
            row[f"top_{n}gram"] += top(window, n)
        for n in kernels.REPEATED:
            row[f"duplicate_{n}gram"] += repeated(window, n)
    found = phrase_counts(units)
    severe = sum(found[name] for name, level in phrases.CATEGORIES.items() if level >= phrases.SEVERE)
    return row | found | {"severe": severe}
