"""What edits did to a text: lines that went, lines that changed and in what, and long unchanged stretches as a count.

Texts are strangers', so work is bounded: so many lines are compared, and of a changed line so many pieces.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mdfs.report.markup import visible
from mdfs.report.terminal import fold, line

#: Lines compared of either text, after equal ones at both ends; comparing takes the square of them in the worst case.
LINES = 500
#: Pieces (words, numbers, other characters) of a changed line that are compared.
PIECES = 200
#: Entries of a difference; what follows is counted.
ENTRIES = 60
#: Lines of a run of removed ones that are shown, and characters of each.
SHOWN, CHARS = 5, 200
#: Characters of an unchanged stretch in a changed line that are shown beside a change.
CONTEXT = 10

_BLANKS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_PIECE = re.compile(r"[0-9A-Za-z@._+<>-]+|\s+|.", re.DOTALL)
Entry = dict[str, Any]


def diff(old: str, new: str) -> list[Entry]:
    """The difference of two texts as plain data, in their order; empty where they are equal.

    An entry's `op` is `same` (so many `lines`), `blanks` (in so many `lines` only blanks, invisible characters or the
    width of letters changed), `removed` or `added` (so many `lines`, the first of them in `text`), `changed` (a line;
    `pieces` are pairs of same, removed or added and the piece), or `rest` (so many `lines` that are left out).
    """
    if old == new:
        return []
    before, after = old.splitlines(), new.splitlines()
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    before, after = before[head : len(before) - tail], after[head : len(after) - tail]
    entries = [_lines("same", head), *_compared(before[:LINES], after[:LINES])]
    rest = max(len(before), len(after)) - LINES
    joined = _joined([*entries, _lines("rest", max(0, rest)), _lines("same", tail)])
    if len(joined) <= ENTRIES:
        return joined
    return [*joined[:ENTRIES], _lines("rest", sum(entry["lines"] for entry in joined[ENTRIES:]))]


def render(entries: Sequence[Entry], columns: int = 100) -> Iterator[str]:
    """The same for a terminal: `-` removed, `+` added, `~` changed as `[-old-]{+new+}`, with nothing it obeys."""
    for entry in entries:
        op, many = entry["op"], _many(entry["lines"])
        if op == "changed":
            yield from _marked("~", "".join(_piece(kind, text) for kind, text in entry["pieces"]), columns)
        elif op in ("removed", "added"):
            sign = "-" if op == "removed" else "+"
            for text in entry["text"]:
                yield from _marked(sign, line(text, CHARS) or "(empty line)", columns)
            if entry["lines"] > len(entry["text"]):
                yield f"{sign} … and {_many(entry['lines'] - len(entry['text']))} more"
        else:
            yield {"same": f"  … {many} unchanged", "blanks": f"~ {many}: only blanks, invisible marks or widths",
                   "rest": f"  … {many} not shown"}[op]  # fmt: skip


def _many(lines: int) -> str:
    return f"{lines:,} line" if lines == 1 else f"{lines:,} lines"


def _marked(sign: str, text: str, columns: int) -> Iterator[str]:
    for place, part in enumerate(fold(text, columns - 2)):
        yield f"{sign if not place else ' '} {part}"


def _piece(kind: str, text: str) -> str:
    shown = visible(re.sub(r"\s", " ", text))
    return {"same": shown, "removed": f"[-{shown}-]", "added": f"{{+{shown}+}}"}[kind]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """How many elements two sequences have in common at their beginning."""
    many = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        many += 1
    return many


def _lines(op: str, lines: int, text: Sequence[str] = ()) -> Entry:
    entry: Entry = {"op": op, "lines": lines}
    return entry | {"text": [part[:CHARS] for part in text[:SHOWN]]} if op in ("removed", "added") else entry


def _compared(before: list[str], after: list[str]) -> Iterator[Entry]:
    """Entries of lines that are compared: those are the same that differ in blanks and widths only."""
    keys = [[_key(text) for text in side] for side in (before, after)]
    matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    for op, i, end_i, j, end_j in matcher.get_opcodes():
        if op == "equal":
            for one, other in zip(before[i:end_i], after[j:end_j], strict=True):
                yield _lines("same" if one == other else "blanks", 1)
        else:
            yield from _replaced(before[i:end_i], after[j:end_j])


def _key(text: str) -> str:
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text))


def _replaced(before: list[str], after: list[str]) -> Iterator[Entry]:
    """Each new line beside the old one that it was made of; old ones between them were removed.

    Edits add no lines: where as many are left on both sides, each is its counterpart's.
    """
    at = 0
    for done, new in enumerate(after):
        even = len(before) - at == len(after) - done
        found = at if even else next((k for k in range(at, len(before)) if _akin(before[k], new)), None)
        if found is None:
            yield _lines("added", 1, [new])
            continue
        if found > at:
            yield _lines("removed", found - at, before[at:found])
        yield {"op": "changed", "lines": 1, "pieces": _pieces(before[found], new)}
        at = found + 1
    if at < len(before):
        yield _lines("removed", len(before) - at, before[at:])


def _akin(old: str, new: str) -> bool:
    """Whether a line may have been made of another: half of its characters stand there, or both ends are alike."""
    old, new = old.strip()[:PIECES], new.strip()[:PIECES]
    if not old or not new:
        return False
    shared = sum((Counter(old) & Counter(new)).values())
    return shared * 2 >= max(len(old), len(new)) or old[:2] == new[:2] or old[-2:] == new[-2:]


def _pieces(old: str, new: str) -> list[list[str]]:
    """A line's stretches that are the same, went or came; long ones that are the same are cut in their middle."""
    left, right = _PIECE.findall(old), _PIECE.findall(new)
    head = _common(left, right)
    tail = _common(left[head:][::-1], right[head:][::-1])
    ends = "".join(left[:head]), "".join(left[len(left) - tail :])
    left, right = left[head : len(left) - tail], right[head : len(right) - tail]
    middle = [("removed", "".join(left)), ("added", "".join(right))]
    if max(len(left), len(right)) <= PIECES:
        middle = []
        for op, i, end_i, j, end_j in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            same = op == "equal"
            middle += [("same", "".join(left[i:end_i]))] if same else [("removed", "".join(left[i:end_i])),
                                                                       ("added", "".join(right[j:end_j]))]  # fmt: skip
    pieces = [("same", ends[0]), *middle, ("same", ends[1])]
    last = len(pieces) - 1
    return [[kind, _cut(kind, text, place == 0, place == last)] for place, (kind, text) in enumerate(pieces) if text]


def _cut(kind: str, text: str, first: bool, last: bool) -> str:
    if kind != "same":
        return text if len(text) <= CHARS else text[:CHARS] + "…"
    before, after = (0 if first else CONTEXT), (0 if last else CONTEXT)
    if len(text) <= before + after + 1:
        return text
    return text[:before] + "…" + text[len(text) - after :]


def _joined(entries: Sequence[Entry]) -> list[Entry]:
    """Neighbours of one kind as one entry."""
    joined: list[Entry] = []
    for entry in entries:
        if not entry["lines"]:
            continue
        if joined and joined[-1]["op"] == entry["op"] and entry["op"] != "changed":
            text = [*joined[-1].get("text", []), *entry.get("text", [])]
            joined[-1] = _lines(entry["op"], joined[-1]["lines"] + entry["lines"], text)
        else:
            joined.append(entry)
    return joined
