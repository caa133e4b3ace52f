"""The counters once more, slowly, over Python strings: regular expressions and sets in place of the kernel's state."""

from __future__ import annotations

import math
import re
from collections import Counter

from mdfs.rules import characters as ch
from mdfs.rules import mojibake, phrases

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
    entries = {tuple(u for _, u in words(entry)): name for name in phrases.LISTS for entry in phrases.read_list(name)}
    longest = max(map(len, entries))
    counts, k = dict.fromkeys(phrases.LISTS, 0), 0
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


def count(text: str) -> dict[str, int]:
    """All counters of a text, by name."""
    by_class = Counter(kinds(text))
    row = {name: by_class[number] for number, name in enumerate(ch.CLASSES)}
    solid = [c for c in text if _CLASS[ord(c)] != ch.WHITESPACE]
    units = words(text)
    row |= {
        "chars": len(solid),
        "units": len(units),
        "latin_words": sum(kind == ch.LATIN for kind, _ in units),
        "code_marks": sum(c in ch.CODE_MARKS for c in text),
        "stop_chars": sum(c in ch.STOP + ch.CLASSICAL for c in text),
        "classical_chars": sum(c in ch.CLASSICAL for c in text),
        "mojibake": mojibake_chars(text),
        "sentences": sentences(text),
        "urls": urls(text),
        "phones": phones(text),
        "unique_chars": len(set(solid)),
        "entropy_sum": sum(round(n * math.log2(n) * 1e6) for n in Counter(solid).values()),
    }
    return row | lines(text) | repetition([unit for _, unit in units])


def lines(text: str) -> dict[str, int]:
    split = [line for line in _BREAKS.split(text) if line.strip(_WHITE)]
    bare = [re.sub(f"[{_WHITE}]", "", line) for line in split]
    copies = [line for k, line in enumerate(bare) if line in bare[:k]]
    done = [len(line) for line in bare if ends(line)]
    return {
        "lines": len(bare),
        "short_lines": sum(len(line) < 12 for line in bare),
        "end_mark_chars": sum(done),
        "prose_chars": sum(len(line) for line in bare if ends(line) or len(line) >= 32),
        "max_line": max(map(len, bare), default=0),
        "duplicate_lines": len(copies),
        "duplicate_line_chars": sum(map(len, copies)),
        "bullet_lines": sum(line[0] in ch.BULLETS for line in bare),
        "ellipsis_lines": sum(line.endswith(("…", "...")) for line in bare),
    }


def repetition(units: list[str]) -> dict[str, int]:
    row = dict.fromkeys(("top_2gram", "top_4gram", "duplicate_8gram", "duplicate_16gram", *phrases.LISTS), 0)
    for window in windows(units):
        row["top_2gram"] += top(window, 2)
        row["top_4gram"] += top(window, 4)
        row["duplicate_8gram"] += repeated(window, 8)
        row["duplicate_16gram"] += repeated(window, 16)
        for name, n in phrase_counts(window).items():
            row[name] += n
    return row
