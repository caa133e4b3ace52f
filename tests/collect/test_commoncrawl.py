"""Records of a crawl: the right ones, with the same ids as in whole files, by few reads, after anything that happens."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import crawlkit
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CORPUS, mdfs
from crawlkit import CRAWL, WARCS, inline

from mdfs import cli, pipeline
from mdfs.collect import crawlcommand, crawlindex, crawlplan, stage, urlpatterns
from mdfs.collect.ranges import MAX_REQUEST, Request, requests
from mdfs.errors import RunError, UsageError
from mdfs.ledger import Ledger
from mdfs.recipe import CommonCrawl, Recipe, Source, from_dict, load
from mdfs.stage import Job, Unit
from mdfs.storage import Store

Row = dict[str, object]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A crawl's folder, and the rows of its index. Shared: look, do not change."""
    root = tmp_path_factory.mktemp("crawl")
    return root, crawlkit.build(root)


def recipe(root: object, **said: object) -> Recipe:
    """Nothing but that crawl, read without merging what does not touch, unless told otherwise."""
    said = {"crawl": CRAWL, "index": f"{root}/index", "data": str(root), "merge_gap": 0, **said}
    return replace(load("plain"), commoncrawl=CommonCrawl(**said))  # type: ignore[arg-type]


def planned(run: object) -> list[tuple[str, int]]:
    """File and offset of all that is selected, in order."""
    plan = crawlplan.prepare(run)  # type: ignore[arg-type]
    return [
        (row["warc_filename"], row["offset"])
        for group in plan.grouped
        for row in pq.read_table(run.store.full(group.files[0].path)).to_pylist()  # type: ignore[attr-defined]
    ]


def places(rows: list[Row]) -> list[tuple[object, object]]:
    return sorted((row["warc_filename"], row["warc_record_offset"]) for row in rows)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({}, lambda row: row["fetch_status"] == 200),
        ({"status": ()}, lambda row: True),
        ({"status": (404, 301)}, lambda row: row["fetch_status"] in (404, 301)),
        ({"languages": ("jpn",)}, lambda row: row["content_languages"] == "jpn"),
        ({"languages": ("zho", "jpn")}, lambda row: (row["content_languages"] or "")[:3] in ("zho", "jpn")),
        ({"languages": ("eng",)}, lambda row: "eng" in (row["content_languages"] or "") and row["fetch_status"] == 200),
        (
            {"languages": ("eng",), "first_language_only": True},
            lambda row: row["content_languages"] == "eng" and row["fetch_status"] == 200,
        ),
        ({"mime": ("image/*",)}, lambda row: row["content_mime_detected"] == "image/png"),
        ({"mime": ("text/html",), "status": ()}, lambda row: row["content_mime_detected"] == "text/html"),
        ({"urls": ("example.tw",)}, lambda row: re.search(r"[./]example\.tw/", row["url"])),
        ({"urls": ("*.example.cn/gsjj*", "nong.example.com")}, lambda row: re.search(r"/gsjj|/nong\.", row["url"])),
        ({"urls": (r"re:/\d{4}/",)}, lambda row: re.search(r"/\d{4}/", row["url"]) and row["fetch_status"] == 200),
        (
            {"urls": ("example.cn",), "languages": ("zho",)},
            lambda row: "example.cn/" in row["url"] and "zho" in (row["content_languages"] or ""),
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_each_criterion_selects_its_records(
    crawl: tuple[Path, list[Row]], tmp_path: Path, said: dict[str, object], fits: Callable[[Row], object]
) -> None:
    root, rows = crawl
    expected = places([row for row in rows if fits(row)])
    assert expected
    assert planned(inline(tmp_path, recipe(root, **said))) == expected


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("example.cn", "http://example.cn", "http://myexample.cn/"),
        ("example.cn", "https://A.Example.CN:8080/x?y#z", "http://example.cn.evil.com/"),
        ("*.gov.cn", "http://gov.cn/", "http://x.com/?http://gov.cn/"),
        ("a.cn/news/*", "http://www.a.cn/news/1?x=2", "http://a.cn/old/news/1"),
        ("a.cn/", "http://a.cn/", "http://a.cn/x"),
        ("https://a.cn/x*", "http://a.cn/xyz", "http://a.cn/y"),
        ("*/2021/*", "http://b.com/2021/05", "http://b.com/2020/2021"),
        ("中国.cn", "http://www.xn--fiqs8s.cn/", "http://cn/"),
        (r"re:\.pdf$", "http://a.cn/b.pdf", "http://a.cn/b.pdf?x"),
    ],
)
def test_url_patterns(pattern: str, yes: str, no: str) -> None:
    import pyarrow.compute as pc

    found = pc.match_substring_regex(pa.array([yes, no]), urlpatterns.expression((pattern,)))
    assert found.to_pylist() == [True, False]
    ranges = urlpatterns.surt_ranges((pattern,))
    key = crawlkit.surt(re.sub(r":\d+", "", yes.lower()))
    assert ranges is None or any(low <= key < high for low, high in ranges)


@pytest.mark.parametrize("pattern", ["re:(", "a b.cn", "", "/path", "re:" + "(a{1000}){1000}"])
def test_a_pattern_that_is_none_is_told(pattern: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        urlpatterns.expression((pattern,))


def test_statistics_and_columns_leave_most_of_the_index_unread(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    big = tmp_path / "big/index" / f"crawl={CRAWL}/subset=warc/part-0.parquet"
    big.parent.mkdir(parents=True)
    many = [{**row, "url": f"{row['url']}?{n:0200}", "content_digest": f"{n}" * 40} for n in range(20) for row in rows]
    many.sort(key=lambda row: row["url_surtkey"])  # type: ignore[arg-type,return-value]
    pq.write_table(pa.Table.from_pylist(many, crawlkit.INDEX), big, row_group_size=400, compression="none")

    def read(name: str, **said: object) -> int:
        run = inline(tmp_path / name, recipe(tmp_path / "big", **said))
        with contextlib.suppress(UsageError):  # nothing fits
            planned(run)
        (row,) = run.ledger.rows(crawlindex.STAGE).values()
        return row.bytes_in

    everything, footer = read("all", status=()), 128 << 10
    assert everything < big.stat().st_size + footer
    assert read("tw", urls=("example.tw",)) < everything / 4 + footer
    assert read("errors", status=(599,)) <= footer, "the statistics say that there are none"
    assert read("none", languages=("deu",)) < everything / 4 + footer, "no URL is read where no language fits"


def garbled(out: Path) -> int:
    """Pages of the sample that were decoded wrongly before they were saved."""
    tables = [pq.read_table(path) for path in (out / "quarantine").glob("*.parquet")]
    return sum(table["reason"].to_pylist().count("garbled") for table in tables)


def test_documents_are_those_of_the_whole_file(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    made = recipe(root, languages=("zho",))
    whole = Job("collect", Store(str(tmp_path / "whole")), made)
    for path in WARCS:
        data = {"uri": str(root / path), "source": CRAWL, "path": path, "size": 1}
        stage.work(whole, Unit(stage.unit_id(CRAWL, path), data))
    everything = crawlkit.documents(tmp_path / "whole")
    run = inline(tmp_path / "some", made)
    stage.run(run)
    some = crawlkit.documents(tmp_path / "some")
    wanted = places([row for row in rows if "zho" in (row["content_languages"] or "")])  # type: ignore[operator]
    assert len(some) + garbled(tmp_path / "some") == len(wanted)
    assert some == {key: everything[key] for key in some}
    assert len(everything) > len(some)


def test_how_ranges_are_merged_changes_no_document(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, _ = crawl
    found = {}
    for gap in (0, 3_000, 1 << 30):
        run = inline(tmp_path / str(gap), recipe(root, languages=("zho",), merge_gap=gap))
        stage.run(run)
        (row,) = run.ledger.rows("collect").values()
        found[gap] = (row.facts["requests"], row.bytes_in, crawlkit.documents(tmp_path / str(gap)))
    counts = [found[gap][0] for gap in found]
    sizes = [found[gap][1] for gap in found]
    assert counts[0] > counts[1] > counts[2] == 2
    assert sizes[0] < sizes[1] < sizes[2]
    assert found[0][2] == found[3_000][2] == found[1 << 30][2]
    assert len({recipe(root, merge_gap=gap).digest() for gap in found}) == 1


def test_requests() -> None:
    def of(*records: tuple[int, int], gap: int = 10, longest: int = 1 << 20) -> list[Request]:
        offsets, lengths = (np.array(column, np.int64) for column in zip(*records, strict=True))
        return requests(offsets, lengths, gap, longest)

    assert of((0, 5), (15, 5), (31, 5)) == [Request(0, 20, [0, 1]), Request(31, 36, [2])]
    assert of((0, 50), (10, 5)) == [Request(0, 50, [0, 1])], "one inside the other"
    far = MAX_REQUEST - 5
    assert of((0, far), (far, 5), (far + 5, 5), longest=1 << 30) == [
        Request(0, MAX_REQUEST, [0, 1]),
        Request(MAX_REQUEST, MAX_REQUEST + 5, [2]),
    ]
    assert of((0, 5), (5, 1 << 40), (6, 5)) == [Request(0, 5, [0]), Request(5, 5, [1]), Request(6, 11, [2])]


def test_a_bound_cuts_a_fair_sample_that_is_always_the_same(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    other = tmp_path / "other"
    folder = other / "index" / f"crawl={CRAWL}/subset=warc"
    folder.mkdir(parents=True)
    twice = [*rows[::-1], *rows[:30]]
    pq.write_table(pa.Table.from_pylist(twice, crawlkit.INDEX), folder / "one.parquet", row_group_size=7)
    most = {n: planned(inline(tmp_path / f"n{n}", recipe(root, max_records=n))) for n in (1, 20, 60, 10_000)}
    assert [len(found) for found in most.values()] == [1, 20, 60, 394 - 4]
    assert set(most[1]) < set(most[20]) < set(most[60]) < set(most[10_000])
    assert {path for path, _ in most[20]} == set(WARCS)
    half = len(rows) // 2
    first_half = set(places(rows[:half]))
    assert 15 < len(first_half & set(most[60])) < 45, "hosts of the whole alphabet"
    once = planned(inline(tmp_path / "again", recipe(other, max_records=20)))
    assert len(once) >= 15, "a record that the index has twice takes two places"
    assert set(once) <= set(most[20]), "an index in another order, some rows twice"


def test_a_bound_on_bytes(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    lengths = {place: row["warc_record_length"] for row in rows for place in places([row])}
    every = planned(inline(tmp_path / "all", recipe(root)))
    some = planned(inline(tmp_path / "some", recipe(root, max_bytes=100_000)))
    size = sum(lengths[place] for place in some)  # type: ignore[misc]
    assert 90_000 < size <= 100_000
    assert set(some) < set(every)
    both = planned(inline(tmp_path / "both", recipe(root, max_bytes=100_000, max_records=5)))
    assert len(both) == 5
    assert set(both) < set(some)
    with pytest.raises(UsageError, match="no record fits the selection"):
        planned(inline(tmp_path / "none", recipe(root, max_bytes=1)))


def test_many_runs_groups_and_units_give_the_same(
    crawl: tuple[Path, list[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = crawl
    made = recipe(root)
    stage.run(inline(tmp_path / "one", made))
    monkeypatch.setattr(crawlindex, "RUN_ROWS", 10)
    monkeypatch.setattr(crawlindex, "_BATCH", 8)
    monkeypatch.setattr(crawlplan, "GROUP_ROWS", 10)
    monkeypatch.setattr(crawlplan, "UNIT_BYTES", 1)
    engine = crawlkit.Inline()
    stage.run(inline(tmp_path / "many", made, engine))
    assert len(engine.done) == 2
    assert len(list((tmp_path / "many" / crawlplan.FOLDER).iterdir())) == 4
    assert len(list((tmp_path / "many" / crawlindex.FOLDER).iterdir())) > 20
    assert crawlkit.documents(tmp_path / "many") == crawlkit.documents(tmp_path / "one")
    sample = recipe(root, max_records=15)
    assert len(planned(inline(tmp_path / "sample", sample))) == 15


def test_what_is_missing_cut_short_or_wrong_costs_its_record(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    shutil.copytree(root, tmp_path / "c")
    (tmp_path / "c" / WARCS[1]).unlink()
    archive = tmp_path / "c" / WARCS[0]
    cut = sorted(places(rows))[150][1]
    archive.write_bytes(archive.read_bytes()[: cut + 100])  # type: ignore[operator]
    wrong = [row for row in rows if row["warc_filename"] == WARCS[0] and row["fetch_status"] == 200][:3]
    part = tmp_path / "c/index" / f"crawl={CRAWL}/subset=warc/part-9.parquet"
    bad = [{**wrong[0], "warc_record_offset": 7}, {**wrong[1], "warc_record_length": (1 << 31) - 1}]
    bad[1]["warc_record_offset"] = 8
    pq.write_table(pa.Table.from_pylist(bad, crawlkit.INDEX), part)
    run = inline(tmp_path / "out", recipe(tmp_path / "c", status=(200,)))
    stage.run(run)
    (row,) = run.ledger.rows("collect").values()
    files = [file for file in row.files if file.kind == "quarantine"]
    table = pq.read_table(tmp_path / "out" / files[0].path).to_pylist()
    assert (
        Counter(entry["reason"] for entry in table if entry["disposition"] == "quarantined") == row.quarantine_reasons
    )
    assert {e["place"] for e in table if e["path"] == WARCS[1] and e["reason"] == "not_found"} == {
        str(place) for path, place in places([r for r in rows if r["fetch_status"] == 200]) if path == WARCS[1]
    }
    reasons = {(e["path"], e["place"].rstrip("!")): e["reason"] for e in table}
    assert reasons[WARCS[0], str(cut)] == "truncated"
    assert reasons[WARCS[0], "8"] == "too_long"
    assert reasons[WARCS[0], "7"] in ("no_record", "broken_archive")
    assert all(entry["url"] for entry in table if entry["reason"] in ("not_found", "too_long"))
    assert row.docs_out > 50


def test_rows_that_lead_nowhere_are_left_out_and_counted(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    good = next(row for row in rows if row["fetch_status"] == 200)
    names = ["../../etc/passwd", "/etc/passwd", "a/./b", "a//b", "", None, "a\\b", "x" * 2_000]
    bad = [{**good, "warc_filename": name} for name in names]
    bad += [{**good, "warc_record_offset": -1}, {**good, "warc_record_length": 0}, {**good, "warc_record_offset": None}]
    part = tmp_path / "index" / f"crawl={CRAWL}/subset=warc/part-0.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([*bad, good, good], crawlkit.INDEX), part)
    run = inline(tmp_path / "out", recipe(tmp_path))
    assert planned(run) == places([good])
    found = crawlcommand.dry_run(run)
    assert (found["records"], found["unusable"]) == (1, len(bad))
    assert "left out" in crawlcommand.render(found)


def test_a_record_that_kills_workers_is_left_out(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, _ = crawl
    run = inline(tmp_path, recipe(root, languages=("zho",)))
    plan = crawlplan.prepare(run)
    (unit,) = crawlplan.units(run, plan)
    row = stage.work(Job("collect", run.store, run.recipe), replace(unit, skip=(1, 5)))
    assert row.quarantine_reasons["killed_worker"] == 2


def test_wrong_crawls_and_indexes_are_told(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, rows = crawl
    with pytest.raises(UsageError, match="has no index of it"):
        planned(inline(tmp_path / "a", recipe(root, crawl="CC-MAIN-1999-01")))
    with pytest.raises(UsageError, match=r"has no crawl-data.*--crawl-data"):
        stage.run(inline(tmp_path / "b", recipe(root, data=str(tmp_path))))
    part = tmp_path / "old/index" / f"crawl={CRAWL}/subset=warc/part-0.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, crawlkit.INDEX).drop_columns(["content_languages"]), part)
    with pytest.raises(UsageError, match="CC-MAIN-2018-39"):
        planned(inline(tmp_path / "c", recipe(tmp_path / "old", languages=("zho",))))
    assert len(planned(inline(tmp_path / "d", recipe(tmp_path / "old")))) == 390
    pq.write_table(pa.table({"url": ["http://a.cn/"]}), part)
    with pytest.raises(UsageError, match="no column warc_filename"):
        planned(inline(tmp_path / "e", recipe(tmp_path / "old")))
    part.write_bytes(b"PAR1")
    with pytest.raises(RunError, match="no index file"):
        planned(inline(tmp_path / "f", recipe(tmp_path / "old")))
    for said, says in (({"languages": ["zh"]}, "zho"), ({"crawl": "../x"}, "an id"), ({"max_bytes": -1}, "negative")):
        with pytest.raises(UsageError, match=says):
            from_dict({"name": "r", "commoncrawl": {"crawl": CRAWL, **said}})


def test_the_digest_tells_what_is_selected_and_not_from_where(crawl: tuple[Path, list[Row]]) -> None:
    plain = load("plain")
    one = recipe("/x")
    assert one.digest() == recipe("/y").digest() != plain.digest()
    assert replace(plain, commoncrawl=CommonCrawl(languages=("zho",))).digest() == plain.digest()
    different = [{"languages": ("zho",)}, {"urls": ("a.cn",)}, {"mime": ("a",)}, {"status": ()}, {"max_records": 5}]
    assert len({recipe("/x", **said).digest() for said in different} | {one.digest()}) == 6
    assert from_dict(one.to_dict()) == replace(one, folder="")


def test_a_source_of_the_recipe_names_the_documents(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, _ = crawl
    said = (Source(match=f"{CRAWL}/**/*00000.warc.gz", name="first"),)
    stage.run(inline(tmp_path, replace(recipe(root, languages=("jpn",)), source=said)))
    assert {d["source"] for d in crawlkit.documents(tmp_path).values()} == {"first", CRAWL}


def test_another_recipe_takes_the_plan_away(crawl: tuple[Path, list[Row]], tmp_path: Path) -> None:
    root, _ = crawl
    stage.run(inline(tmp_path, recipe(root, languages=("jpn",))))
    stage.run(inline(tmp_path, load("plain")))
    assert not list(tmp_path.rglob("*.parquet"))
    assert not Ledger(Store(str(tmp_path))).rows("collect")


def arguments(root: object, out: object, *more: str) -> list[str]:
    return [
        *("--recipe", "plain", "--crawl", CRAWL, "--crawl-index", f"{root}/index", "--crawl-data", str(root)),
        *("--output", str(out), *more),
    ]


def test_a_dry_run_says_what_the_run_then_reads(
    crawl: tuple[Path, list[Row]], web: crawlkit.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, rows = crawl
    web.folder = root
    chosen = arguments(web.uri, tmp_path / "out", "--language", "zho", "--max-records", "50", "--json")
    said = mdfs("collect", *chosen, "--dry-run")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert not [path for path, _ in web.asked if path in WARCS]
    asked = len(web.asked)
    done = mdfs("collect", *chosen)
    assert done.returncode == 0, done.stderr
    (row,) = Ledger(Store(str(tmp_path / "out"))).rows("collect").values()
    assert (row.docs_in, row.bytes_in, row.facts["requests"]) == (50, found["bytes"], found["requests"])
    assert found["records"] == 50
    assert found["warc_files"] == 2
    assert found["status"] == {"200": 50}
    assert set(found["languages"]) == {"zho"}
    assert found["crawl_records"] == len(rows)
    again = [path for path, _ in web.asked[asked:]]
    assert not [path for path in again if path.endswith(".parquet")], "the plan is there already"
    assert len([path for path in again if path in WARCS]) == found["requests"] + 1, "one look at the root"
    with pytest.raises(SystemExit, match="0"):
        cli.main(["collect", *chosen[:-1], "--dry-run"])
    told = capsys.readouterr().out
    assert f"{'requests':<14} {found['requests']:,}" in told
    assert "zho 50" in told


def test_records_of_many_files_are_asked_for_at_once(
    crawl: tuple[Path, list[Row]], web: crawlkit.Server, tmp_path: Path
) -> None:
    root, _ = crawl
    web.folder = root
    run = inline(tmp_path, recipe(root, languages=("zho",), merge_gap=1 << 30))
    (unit,) = crawlplan.units(run, crawlplan.prepare(run))
    meet = threading.Barrier(2, timeout=10)

    def wait(handler: crawlkit._Handler) -> None:
        meet.wait()
        handler._range(handler.path.lstrip("/"))

    web.faults = {path: [wait] for path in WARCS}
    row = stage.work(Job("collect", run.store, recipe(web.uri, merge_gap=1 << 30)), unit)
    assert row.facts == {"requests": 2}
    assert row.docs_in > 100
    assert set(row.quarantine_reasons) <= {"garbled"}


def test_a_killed_run_goes_on(crawl: tuple[Path, list[Row]], web: crawlkit.Server, tmp_path: Path) -> None:
    root, _ = crawl
    web.folder = root
    chosen = arguments(web.uri, tmp_path / "out", "--language", "zho", "--quiet")
    web.faults[WARCS[1]] = [lambda handler: time.sleep(60)] * 9
    command = [sys.executable, "-m", "mdfs", "collect", *chosen]
    process = subprocess.Popen(command)
    while not [path for path, _ in web.asked if path == WARCS[1]]:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert not (tmp_path / "out/manifest.json").exists()
    web.faults.clear()
    asked = len(web.asked)
    assert mdfs("collect", *chosen).returncode == 0
    assert not [path for path, _ in web.asked[asked:] if path.endswith(".parquet")]
    stage.run(inline(tmp_path / "clean", recipe(root, languages=("zho",))))
    assert crawlkit.documents(tmp_path / "out") == crawlkit.documents(tmp_path / "clean")


def test_a_broken_off_run_does_what_is_left(
    crawl: tuple[Path, list[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = crawl
    monkeypatch.setattr(crawlplan, "UNIT_BYTES", 1)
    made = recipe(root, languages=("zho",))
    with pytest.raises(KeyboardInterrupt):
        stage.run(inline(tmp_path, made, crawlkit.Inline(fails_at=1)))
    engine = crawlkit.Inline()
    stage.run(inline(tmp_path, made, engine))
    assert len(engine.done) == 1
    stage.run(inline(tmp_path, replace(made, commoncrawl=replace(made.commoncrawl, data=f"file://{root}")), engine))
    assert len(engine.done) == 1, "another mirror is no other work"


def test_from_s3_to_s3(crawl: tuple[Path, list[Row]], s3: str, tmp_path: Path) -> None:
    root, _ = crawl
    (tmp_path / "in").mkdir()
    shutil.copy(CORPUS / "articles.jsonl", tmp_path / "in")
    crawlkit.upload(root, "commoncrawl")
    crawlkit.upload(tmp_path / "in", "corpus")
    there = f"s3://corpus/out?endpoint_override={s3}"
    # Anonymous for the crawl, with keys for the output, as at Amazon.
    data = f"s3://commoncrawl?endpoint_override={s3}&anonymous=true"
    few = ("--language", "zho", "--max-records", "60", "--workers", "1")
    chosen = arguments("s3://commoncrawl", there, *few, "--json")
    chosen[chosen.index("--crawl-data") + 1] = data
    done = mdfs("run", *chosen, "--input", f"s3://corpus/articles.jsonl?endpoint_override={s3}")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["manifest.json"] == f"s3://corpus/out/manifest.json?endpoint_override={s3}"
    checked = mdfs("verify", "s3://corpus/out")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    here = tmp_path / "here"
    local = mdfs("run", *arguments(root, here, *few, "--quiet"), "--input", CORPUS / "articles.jsonl")
    assert local.returncode == 0, local.stderr
    digests = [Store(uri).read_json("manifest.json")["content_digest"] for uri in (there, str(here))]
    assert digests[0] == digests[1]
    assert [entry["name"] for entry in Store(there).read_json("manifest.json")["sources"]] == [CRAWL, "articles"]
    assert result["totals"]["docs"] > 40


@pytest.mark.spark
def test_on_spark(crawl: tuple[Path, list[Row]], s3: str, tmp_path: Path) -> None:
    root, _ = crawl
    crawlkit.upload(root, "for-spark")
    # Executors may be older than this test, and know nothing of its environment.
    said = f"endpoint_override={s3}&region=us-east-1&anonymous=true"
    index, data = f"s3://for-spark/index?{said}", f"s3://for-spark?{said}"
    made = recipe("s3://for-spark", languages=("zho",), index=index, data=data)
    with pipeline.opened(made, str(tmp_path / "spark"), [], engine_name="spark") as run:
        pipeline.only(run, "collect")
    stage.run(inline(tmp_path / "clean", recipe(root, languages=("zho",))))
    assert crawlkit.documents(tmp_path / "spark") == crawlkit.documents(tmp_path / "clean")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dry-run"], "give --crawl"),
        (["--language", "zho"], "give --crawl"),
        (["--crawl", CRAWL, "--max-bytes", "much"], "500GB"),
        (["--crawl", CRAWL, "--language", "chinese"], "ISO 639-3"),
        (["--crawl", CRAWL, "--url", "re:("], "RE2"),
    ],
)
def test_options_that_mean_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["collect", "--recipe", "plain", "--output", str(tmp_path / "out"), *options])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "number"), [("5000", 5_000), ("500GB", 500 * 10**9), ("2TiB", 2 << 40), ("1.5k", 1_500), (None, 0)]
)
def test_sizes(said: str | None, number: int) -> None:
    import click

    command = click.Command("c", params=[click.Option(["--size"], callback=crawlcommand.size)])
    assert command.make_context("c", [f"--size={said}"] if said else []).params["size"] == number
