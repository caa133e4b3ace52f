"""Lines and paragraphs: the kernel against a reference, what goes against an oracle, on both engines."""

import json
import random
import re
from collections import Counter
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from conftest import mdfs
from dedup_corpus import doc, make_run, prose
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mdfs import cuts, recipe
from mdfs.classify import stage as classify
from mdfs.dedup import boilerplate, lines, stage
from mdfs.errors import UsageError
from mdfs.parts import read_part
from mdfs.recipe import Dedup, Lines

BLANKS = " \t\r\u00a0\u3000"


def normal(text):
    """The gold: what a line is compared by."""
    found = []
    for char in text:
        if "！" <= char <= "～":
            char = chr(ord(char) - 0xFEE0)
        if re.match(r"[^\W_]", char):
            found.append("0" if "0" <= char <= "9" else char.lower() if char.isascii() else char)
    return "".join(found)


def split(text, paragraphs):
    """The gold: lines with their ends, or paragraphs and blank lines."""
    found = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        blank = not line.strip(BLANKS + "\n")
        if found and paragraphs and not blank and found[-1].strip(BLANKS + "\n"):
            found[-1] += line
        else:
            found.append(line)
    return found


TEXTS = st.text(st.sampled_from("ab 1９Ａ天地，\n\n\u3000\t{=_:"), max_size=60)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_lines_as_the_reference_says(texts, paragraphs):
    found = lines.find(pa.array(texts, pa.string()), paragraphs=paragraphs)
    wanted = [(i, line) for i, text in enumerate(texts) for line in split(text, paragraphs)]
    places = zip(found.document.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    assert [(i, texts[i][start:end]) for i, start, end in places] == wanted
    gold = [normal(line) for _, line in wanted]
    assert found.letters.tolist() == [sum(not "0" <= char <= "9" for char in line) for line in gold]
    assert ((found.flags & lines.BLANK) > 0).tolist() == [not line.strip(BLANKS + "\n") for _, line in wanted]
    assert ((found.flags & lines.ASCII) > 0).tolist() == [
        all(char.isascii() or char in BLANKS for char in line) for _, line in wanted
    ]
    by_hash = {}
    for value, text in zip(found.hashes.tolist(), gold, strict=True):
        assert by_hash.setdefault(value, text) == text
    assert len(by_hash) == len(set(gold))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("if (x) {\nreturn\n}\n", [1, 1, 1]),
        ("import numpy as np\nx = np.zeros(3)\nprint it\n", [1, 1, 1]),
        ("Read more about us\nand one a = b\nand a third\nand a fourth\n", [0, 1, 0, 0]),
        ("    indented\nnot\n\nnot\nnot\n", [1, 0, 0, 0, 0]),
        ("x = 1\n这是说明\nplain words\n", [1, 0, 0]),
        ("（全文）：\n", [0]),
        ("see also:\n版权所有 = 我\n", [1, 0]),
    ],
)
def test_code_is_told_from_prose(text, code):
    found = lines.find(pa.array([text]), paragraphs=False)
    assert ((found.flags & lines.CODE) > 0).astype(int).tolist() == code


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("a\nb\nc", "b", "a\nc"),
        ("a\nb\nc", "a", "b\nc"),
        ("a\nb\nc", "c", "a\nb"),
        ("a\nb\nc\n", "c", "a\nb"),
        ("a\nb\nc\n", "b", "a\nc\n"),
        ("a\n\nb\n\nc", "b", "a\n\nc"),
        ("a\nb\n\nc", "b", "a\n\nc"),
        ("a\n\nb\nc", "b", "a\n\nc"),
        ("a\n\n\nb", "b", "a"),
        ("b\n\na", "b", "a"),
        ("a\n\nb\n\nb\n\nc", "b", "a\n\nc"),
        ("a\n\n\n\nc\nb", "b", "a\n\n\n\nc"),
        ("b\n\nb", "b", ""),
    ],
)
def test_pieces_that_stay(text, gone, left):
    found = lines.find(pa.array([text]), paragraphs=False)
    mask = np.array([text[s:e].strip() == gone for s, e in zip(found.start, found.end, strict=True)])
    pieces = lines.pieces(found.start, found.end, found.flags, mask).tolist()
    assert "".join(text[start:end] for start, end in pieces) == left


@settings(deadline=None)
@given(st.text("ab\n", max_size=30), st.integers(0, 2**30))
@example("a\n\nb\n", 0b10)
def test_no_other_line_goes_and_none_grows(text, mask):
    found = lines.find(pa.array([text]), paragraphs=False)
    gone = np.array([bool(mask >> i & 1) for i in range(found.start.size)], bool)
    gone &= found.flags & lines.BLANK == 0
    pieces = lines.pieces(found.start, found.end, found.flags, gone).tolist()
    left = "".join(text[start:end] for start, end in pieces)
    wanted = [line for line, out in zip(split(text, False), gone, strict=True) if line.strip() and not out]
    assert [line for line in left.split("\n") if line.strip()] == [line.strip("\n") for line in wanted]
    if not gone.any():
        assert left == text


def oracle(docs, said):
    """What each document is to become: its text, or None where it is dropped."""

    def free(d):
        return any(re.fullmatch(glob.replace("*", ".*"), d["source"]) for glob in said.exempt)

    def compared(line):
        letters = sum(not "0" <= char <= "9" for char in normal(line))
        return letters >= said.min_line_chars and normal(line)

    seen, hosts = Counter(), {}
    for d in docs:
        for line in {normal(line) for line in split(d["text"], said.unit == "paragraph") if compared(line)}:
            if not free(d):
                seen[line] += 1
                hosts.setdefault(line, set()).add(urlsplit(d["url"]).hostname or " " + d["source"])
    bad = {line for line, many in seen.items() if many > said.max_documents and len(hosts[line]) >= said.min_hosts}
    found = {}
    for d in docs:
        parts = split(d["text"], said.unit == "paragraph")
        left = [part for part in parts if free(d) or not compared(part) or normal(part) not in bad]
        text = "".join(left)
        if parts and left and len(left) < len(parts) and left[-1] is not parts[-1]:
            text = text.removesuffix("\n")
        found[d["source_key"]] = None if len(left) < len(parts) and len(text) < said.min_chars else text
    return found


def made(seed=3):
    """Documents of their own text and lines of sites: menus, notices of many sites, verse, code; one that is all menu."""
    rng = random.Random(seed)
    menus = {f"site{i}.cn": [prose(rng, 20) for _ in range(3)] for i in range(5)}
    notice = "本网站所刊登的各种新闻信息均为本报版权所有，未经授权不得转载 2024"
    docs = []
    for i in range(60):
        host = f"site{i % 5}.cn"
        body = [prose(rng, 60) for _ in range(6)]
        text = [*rng.sample(menus[host], 2), *body, notice.replace("2024", f"{i:04d}")]
        if i % 4 == 0:
            text.insert(4, "床前明月光，疑是地上霜。")
        if i % 6 == 0:
            text.insert(5, "public static void main(String[] args) {")
        docs.append(doc(f"page-{i}", "\n".join(text), url=f"http://{host}/{i}", source="web"))
    docs += [
        doc(f"menu-{i}", "\n".join([*menus["site1.cn"], prose(rng, 20)]), url="http://site1.cn/m") for i in range(3)
    ]
    docs += [doc(f"verse-{i}", prose(rng, 300) + "\n" + notice, source="poetry") for i in range(9)]
    docs += [doc("empty", ""), doc("blank", "\n \n")]
    rng.shuffle(docs)
    return docs


SAID = Lines()
VARIANTS = {
    "default": SAID,
    "hosts": replace(SAID, min_hosts=3),
    "exempt": replace(SAID, exempt=("poe*",), max_documents=5),
    "short": replace(SAID, min_line_chars=8, min_chars=30),
    "paragraphs": replace(SAID, unit="paragraph", max_documents=1),
    "code too": replace(SAID, code=False, min_chars=0),
}


def run_stages(folder, with_engine, docs, dedup, parts=3, memory=0):
    run = make_run(folder, dedup, docs, parts=parts, with_engine=with_engine)
    run.memory = memory
    stage.run(run)
    classify.run(run)
    return run


def result(run):
    """source_key → text, None where it is dropped; every document stands in one of the two."""
    found = {}
    for kind in ("kept", "dropped"):
        for file in run.files("classify", kind):
            for batch in read_part(run.store, file.path):
                for row in batch.to_pylist():
                    assert row["source_key"] not in found
                    assert (row["drop_reasons"] == [boilerplate.TOO_SHORT]) == (kind == "dropped")
                    found[row["source_key"]] = row["text"] if kind == "kept" else None
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_as_the_oracle_says(worker, tmp_path, name):
    docs, said = made(), VARIANTS[name]
    if name == "paragraphs":
        docs = [d | {"text": d["text"].replace("\n", "\n\n")} for d in docs]
    if name != "code too":
        docs = [d for d in docs if "main(" not in d["text"]]
    run = run_stages(tmp_path, worker, docs, Dedup(lines=said))
    wanted = oracle(docs, said)
    found = result(run)
    if name == "paragraphs":  # the blank lines that go with a paragraph are tested above
        wanted, found = (
            {key: text and re.sub(r"\n+", "\n", text).strip() for key, text in side.items()} for side in (wanted, found)
        )
        assert {key for key in wanted if wanted[key] is None} == {key for key in found if found[key] is None}
    assert found == wanted
    before = {d["source_key"]: d["text"] for d in docs}
    assert sum(text != before[key] for key, text in found.items()) >= 9
    assert not run.store.list("dedup/lines")
    assert not run.ledger.rows(boilerplate.ROWS)
    facts = [row.facts for row in run.ledger.rows(boilerplate.CUTS).values()]
    assert sum(fact.get("dropped", 0) for fact in facts) == sum(text is None for text in found.values())
    removed = sum(len(before[key]) - len(text) for key, text in found.items() if text is not None)
    assert name == "paragraphs" or sum(fact.get("chars_removed", 0) for fact in facts) == removed


def test_code_and_verse_stay_and_notices_go(local, tmp_path):
    found = result(run_stages(tmp_path, local, made(), Dedup(lines=SAID)))
    kept = [text for text in found.values() if text]
    assert sum("public static void main" in text for text in kept) == 10
    assert sum("床前明月光" in text for text in kept) == 15
    assert not [text for text in kept if "版权所有" in text]
    assert {key for key, text in found.items() if text is None} == {"menu-0", "menu-1", "menu-2"}


@pytest.mark.parametrize("parts", [1, 11])
def test_order_parts_and_memory_change_nothing(local, tmp_path, parts):
    docs = made()
    wanted = result(run_stages(tmp_path / "one", local, docs, Dedup(lines=VARIANTS["hosts"])))
    random.Random(parts).shuffle(docs)
    run = run_stages(tmp_path / "two", local, docs, Dedup(lines=VARIANTS["hosts"]), parts, memory=40_000)
    assert result(run) == wanted


def test_copies_do_not_count(local, tmp_path):
    line = "这一行只在一篇文章里出现过，不过那篇文章有很多份拷贝。"
    body = prose(random.Random(1), 300) + "\n" + line
    docs = [doc(f"copy-{i}", body + "。" * i) for i in range(9)] + [
        doc("other", prose(random.Random(2), 300) + "\n" + line)
    ]
    for exact, stays in ((True, 2), (False, 0)):
        found = result(run_stages(tmp_path / str(exact), local, docs, Dedup(exact=exact, lines=SAID)))
        assert sum(line in (text or "") for text in found.values()) == stays


def test_a_rerun_writes_nothing_and_without_the_table_all_is_undone(local, tmp_path):
    docs = made()
    run = run_stages(tmp_path, local, docs, Dedup(lines=SAID))
    before = {path: run.store.read_bytes(path) for path in run.store.list("")}
    stage.run(run)
    classify.run(run)
    assert {path: run.store.read_bytes(path) for path in run.store.list("")} == before
    object.__setattr__(run.recipe, "dedup", Dedup())
    stage.run(run)
    classify.run(run)
    assert not run.store.list("dedup/line-cuts") + run.store.list("ledger/dedup-lines")
    assert result(run) == {d["source_key"]: d["text"] for d in docs}


@pytest.mark.parametrize("at", [boilerplate.ROWS, "dedup-lines-tally", boilerplate.CUTS])
def test_a_run_that_was_cut_off_goes_on(local, tmp_path, monkeypatch, at):
    docs = made()
    wanted = result(run_stages(tmp_path / "whole", local, docs, Dedup(lines=SAID)))
    run = make_run(tmp_path / "cut", Dedup(lines=SAID), docs, parts=4, with_engine=local)
    inner, seen = run.map, []

    def dying(name, work, units, folders, **said):
        units = list(units)
        if name == at and not seen:
            seen.append(name)
            inner(name, work, units[:1], folders, **said)
            raise KeyboardInterrupt
        return inner(name, work, units, folders, **said)

    monkeypatch.setattr(run, "map", dying)
    with pytest.raises(KeyboardInterrupt):
        stage.run(run)
    stage.run(run)
    classify.run(run)
    assert result(run) == wanted


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('unit = "sentence"', 'dedup.lines.unit must be "line" or "paragraph", not \'sentence\''),
        ("max_documents = 0", "dedup.lines.max_documents must be at least 1, not 0"),
        ("min_chars = -1", "dedup.lines.min_chars must be at least 0, not -1"),
        ("max_document = 3", "did you mean 'max_documents'"),
    ],
)
def test_tables_that_are_wrong(tmp_path, table, says):
    path = tmp_path / "mine.toml"
    path.write_text(f"[dedup.lines]\n{table}\n", "utf-8")
    with pytest.raises(UsageError, match=re.escape(says)):
        recipe.load(path)


def test_a_recipe_without_the_table_keeps_its_digest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[dedup.lines]\nmax_documents = 6\n", "utf-8")
    loaded = recipe.load(path)
    assert recipe.from_dict(loaded.to_dict()).digest() == loaded.digest()
    assert "lines" not in recipe.Recipe(name="x").to_dict()["dedup"]


def test_end_to_end_all_is_accounted_for(tmp_path):
    docs = made()
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"text": d["text"], "url": d["url"], "id": d["source_key"]}) + "\n" for d in docs), "utf-8"
    )
    (tmp_path / "mine.toml").write_text('base = "plain"\n[dedup.lines]\n', "utf-8")
    out = tmp_path / "out"
    finished = mdfs("run", "-r", tmp_path / "mine.toml", "-i", tmp_path / "in.jsonl", "-o", out, "--json")
    assert finished.returncode == 0, finished.stderr
    assert mdfs("verify", out).returncode == 0
    told = mdfs("why", out, "http://site1.cn/1")
    assert "lines" in told.stdout
    assert "版权所有" in told.stdout, told.stdout
    store = cuts.Store(str(out))
    assert "Repeated lines and passages" in store.read_bytes("report.html").decode()
