"""The report says what the ledger says, at every stage, in the same bytes every time."""

from __future__ import annotations

import html
import re
from pathlib import Path

import hand_run
import pyarrow as pa
import pytest
from hand_run import STAGES, Doc

from mdfs import report
from mdfs.errors import UsageError
from mdfs.funnel import funnel
from mdfs.ledger import Ledger
from mdfs.report import markup, sampling
from mdfs.storage import Store

SECTIONS = {"funnel", "sources", "reasons", "signals", "duplicates", "scores", "tokens", "kept", "dropped", "records"}


def page_of(store: Store) -> str:
    assert report.write(store) == "report.html"
    return store.read_bytes("report.html").decode()


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    assert found, f"no section {name}"
    return found[0]


def table_rows(part: str) -> dict[str, list[str]]:
    """The rows of the tables in a part of the page: heading → cells, markup left out."""
    rows = {}
    for row in re.findall(r'<tr><th scope="row">(.*?)</tr>', part, re.DOTALL):
        head, *cells = re.split(r"</th>|</td>", row)
        name = re.sub(r"<span class=\"soft says\">.*|<[^>]*>", "", head)
        rows[name] = [html.unescape(re.sub(r"<svg.*?</svg>|<[^>]*>", "", cell, flags=re.DOTALL)) for cell in cells]
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return hand_run.write(tmp_path / "out", hand_run.documents())


def test_all_sections_are_there_and_linked(store: Store) -> None:
    """After a whole run every section stands in the page and in its navigation."""
    page = page_of(store)
    assert set(re.findall(r'<section id="(\w+)"', page)) == SECTIONS
    assert set(re.findall(r'href="#(\w+)"', page)) == SECTIONS
    assert "A recipe &lt;for&gt; the tests" in page
    assert "0.0.test" in page


def test_the_funnel_has_the_ledgers_numbers(store: Store) -> None:
    """in, kept, dropped and quarantined of every stage are those of the ledger."""
    rows = table_rows(section(page_of(store), "funnel"))
    for row in funnel(store):
        numbers = [row.docs_in, row.docs_out, row.docs_dropped, row.quarantined]
        assert [int(cell.replace(",", "")) for cell in rows[row.stage][1:5]] == numbers, row.stage


def test_sources_tell_where_documents_went(store: Store) -> None:
    """Documents of each source after each stage; copies are found although their files name no source."""
    rows = table_rows(section(page_of(store), "sources"))
    assert rows["news"][1:-1] == ["3", "3", "2", "2", "100", "66.7%"]
    assert rows["web"][1:-1] == ["8", "5", "4", "3", "150", "37.5%"]


def test_reasons_have_the_ledgers_counts_and_words(store: Store) -> None:
    """Every reason with its count, its share, its limit, and how many documents have no other reason."""
    part = section(page_of(store), "reasons")
    rows = table_rows(part)
    for row in funnel(store):
        for reason, number in (row.dropped | row.quarantine_reasons).items():
            assert rows[reason][1] == str(number), reason
    assert rows["chars.min"][1:-1] == ["2", "66.7%", "18.2%", "50%"]
    assert "<b>under 150</b>: Characters without white space" in part
    assert "most probably ad; the recipe keeps high" in part


def test_histograms_say_limit_sides_and_medians(store: Store) -> None:
    """Limited signals stand outside of <details>, with the limit as a line and words for who does not see it."""
    part = section(page_of(store), "signals")
    shown, hidden = part.split("<details>")
    assert re.findall(r"<b><code>(\w+)</code></b>", shown) == ["chars", "han_ratio"]
    assert "<code>urls_per_kchar</code>" in hidden
    assert shown.count('class="limit"') == 2
    assert "kept: median 0.95" in shown
    assert "not measurable in 11" in hidden


def test_words_are_bars(tmp_path: Path) -> None:
    """A measurement that is a word shows its commonest values, its limit, and what broke it; rare ones are together."""
    docs = [Doc(f"http://web.example.cn/{k}", signals={"lang": f"x{k}"}) for k in range(20)]
    docs += [Doc("http://web.example.cn/zh", signals={"lang": "zh"}), Doc("http://web.example.cn/z2")]
    docs += [
        Doc("http://web.example.cn/no", signals={"lang": None}),
        Doc("http://web.example.cn/n2", signals={"lang": None}),
    ]
    docs += [Doc("http://web.example.cn/ru", reasons=("lang.any_of",), signals={"lang": "ru"})]
    made = hand_run.write(tmp_path / "out", docs, said={"rules": {"lang": {"any_of": ["zh", "<b>"]}}})
    part = section(page_of(made), "signals").split("<details>")[0]
    assert "keeps one of zh, &lt;b&gt;" in part
    for said in ("zh: 2 · 8.0%, of them 2 kept", "not measurable: 2", "11 others: 11 · 44.0%, of them 11 kept"):
        assert said in part
    assert "none of zh, &lt;b&gt;" in section(page_of(made), "reasons")
    assert "lang ru, any_of zh, &lt;b&gt;" in section(page_of(made), "dropped")


def test_copies_are_shown_as_pairs(store: Store) -> None:
    """Both kinds are counted, and each has a pair with both titles, found across part files."""
    part = section(page_of(store), "duplicates")
    rows = table_rows(part)
    assert (rows["exact"][1], rows["minhash"][1]) == ("1", "1")
    for word in ("minhash, similarity 0.812", "exact, similarity 1.000", "晨渡（改）", "转载：晨渡", "threshold 0.8"):
        assert word in part


def test_examples_show_what_broke(store: Store) -> None:
    """A dropped example carries the measurement beside its limit."""
    part = section(page_of(store), "dropped")
    assert "chars 10, min 150" in part
    assert "han_ratio 0, min 0.6" in part
    assert "low 0.15" in part
    assert "http://web.example.cn/short" in part


def test_records_without_a_document_are_listed(store: Store) -> None:
    """Quarantined and dropped records by reason, their details escaped."""
    part = section(page_of(store), "records")
    assert "http://web.example.cn/404" in part
    assert "&lt;b&gt;1 GB out of 1 kB&lt;/b&gt;" in part


def test_nothing_of_a_page_becomes_markup(store: Store) -> None:
    """Only our own elements and attributes are in the page, no link leads out of it, and nothing is loaded."""
    page = page_of(store)
    elements = set(re.findall(r"<([a-zA-Z]+)", page))
    assert not elements & {"script", "img", "iframe", "object", "embed", "form", "base", "image", "use"}
    assert set(re.findall(r'<a [^>]*href="([^"]*)"', page)) == {f"#{name}" for name in SECTIONS}
    attributes = set(re.findall(r"<[a-zA-Z][^<>]*?\s([a-z-]+)=", page))
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset", "xlink")]
    assert page.count("</section>") == len(SECTIONS)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]


def test_characters_that_mislead_are_spelt_out(store: Store) -> None:
    """No control, direction or NUL character of a page reaches the browser."""
    page = page_of(store)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page)
    assert "⟨U+202E⟩level⟨U+202C⟩" in page
    assert "⟨U+0000⟩NUL⟨U+0007⟩⟨U+001B⟩[31mred" in page


def test_long_words_and_texts_are_cut(store: Store) -> None:
    """20,000 letters without a blank are 300 in the page, and 400 empty lines at most ten."""
    page = page_of(store)
    assert max(len(run) for run in re.findall("W+", page)) == 300
    assert "\n" * 10 not in page


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two folders with the same run, in different places, have equal reports; and so has one written twice."""
    first, second = (hand_run.write(tmp_path / name / "out", hand_run.documents()) for name in ("a", "b"))
    assert page_of(first) == page_of(second) == page_of(first)
    assert str(tmp_path) not in page_of(first)


@pytest.mark.parametrize("until", STAGES)
def test_a_run_that_is_not_over(tmp_path: Path, until: str) -> None:
    """After any stage the report is written, shows the stages done, and names those that are not."""
    page = page_of(hand_run.write(tmp_path / "out", hand_run.documents(), until=until))
    done = STAGES[: STAGES.index(until) + 1]
    assert set(table_rows(section(page, "funnel"))) == set(done)
    for stage in STAGES[len(done) :]:
        assert re.search(f"Not done yet: .*{stage}", page), stage
    assert f"examples after {[s for s in done if s not in ('dedup', 'tokenize')][-1]}" in page


def test_a_run_that_has_done_nothing(tmp_path: Path) -> None:
    """A folder with a recipe and no finished unit has a report that says so."""
    page = page_of(hand_run.write(tmp_path / "out", [], until=""))
    assert "No stage has been finished yet" in page


def test_a_run_over_nothing(tmp_path: Path) -> None:
    """Stages that saw no document give a page without a division by zero."""
    store = hand_run.write(tmp_path / "out", [Doc("http://web.example.cn/1", text="", reasons=("chars.min",))])
    page = page_of(store)
    assert table_rows(section(page, "funnel"))["tokenize"][-2] == "–"


def test_no_runs_folder(tmp_path: Path) -> None:
    """A folder that no run has written is refused and left as it was."""
    with pytest.raises(UsageError, match="no run has written there"):
        report.write(Store(str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_a_sample_is_called_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all row groups are read, the page says how many documents its pictures are drawn from."""
    monkeypatch.setattr(sampling.read, "__defaults__", (1,))
    part = section(page_of(hand_run.write(tmp_path / "out", hand_run.documents())), "signals")
    assert "a sample of 3 of 8 documents" in part


def test_row_groups_are_taken_evenly(tmp_path: Path) -> None:
    """A sample of 10 of 100 part files spans them all and is the same every time."""
    docs = [Doc(f"http://web.example.cn/{n}", source=f"s{n:03d}") for n in range(100)]
    store = hand_run.write(tmp_path / "out", docs, until="collect")
    rows = Ledger(store).rows("collect").values()
    files = sorted((file for row in rows for file in row.files if file.kind == "kept"), key=lambda file: file.path)
    sample = sampling.read(store, files, ["source"], 10)
    assert sample.table.column("source").to_pylist() == [f"s{n:03d}" for n in range(0, 100, 10)]
    assert not sample.whole
    assert sample.rows == 100


def test_many_parts_are_not_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened does not grow with the number of part files: at most a sample for each part of the page."""
    docs = [Doc(f"http://web.example.cn/{n}", source=f"s{n:03d}", reasons=("chars.min",) * (n % 2)) for n in range(300)]
    store = hand_run.write(tmp_path / "out", docs)
    opened: list[str] = []
    really = Store.open
    monkeypatch.setattr(Store, "open", lambda self, path: opened.append(path) or really(self, path))
    page = page_of(store)
    samples = 4  # measurements of kept and dropped, reasons, scores
    assert len(opened) <= samples * sampling.GROUPS + 30
    assert "in 8 of 150 part files" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<b>", "&lt;b&gt;"),
        ("a\"b'c", "a&quot;b&#x27;c"),
        ("\ufeff\u200b\u00ad", "⟨U+FEFF⟩⟨U+200B⟩⟨U+00AD⟩"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("línea\tuno\n", "línea\tuno\n"),
        ("\ue40c\U000e0041", "⟨U+E40C⟩⟨U+E0041⟩"),
    ],
)
def test_text_as_markup(value: str, shown: str) -> None:
    """Escaped and spelt out; joined emoji, tabs and line ends stay."""
    assert markup.text(value) == shown


def test_attributes_cannot_be_left() -> None:
    """A value with quotes stays inside of its attribute."""
    assert markup.tag("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'


@pytest.mark.parametrize(
    ("number", "words"),
    [(950, "950"), (9_999, "9,999"), (12_345, "12.3 K"), (4_560_000, "4.56 M"), (245.7e9, "246 G"), (0, "0")],
)
def test_short_numbers(number: float, words: str) -> None:
    """Counts for the tiles, in three figures from 10,000 on."""
    assert markup.short(number) == words


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    """A sample of no file, or of columns no file has, is empty and no error."""
    store = hand_run.write(tmp_path / "out", hand_run.documents(), until="collect")
    assert sampling.read(store, [], ["signals"]).table.num_rows == 0
    assert isinstance(sampling.read(store, [], []).table, pa.Table)
