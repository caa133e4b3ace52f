"""The stage on part files: what stays of each source is the same on both engines, with any number of workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folder

from mdfs import engine, recipe
from mdfs.classify import stage
from mdfs.errors import RunError
from mdfs.options import Classify
from mdfs.parts import read_part
from mdfs.progress import Progress
from mdfs.stage import Run
from mdfs.storage import Store

PIECES = (
    "市气象台今晨发布消息，本周后期将有一次降水过程，山区局地可达八十毫米。",
    "前期墒情偏差的地块可以趁雨补种，低洼菜地要提前清沟排水。",
    "厂家直销破碎机，价格优惠，欢迎来电咨询订购！",
    "首页 新闻 论坛 登录 注册 返回顶部\n上一页 下一页",
    "老人坐在河边的树下，谈论今年的收成和雨水。",
)
OPEN = Classify(model="starter-fasttext", keep=("high", "low", "ad"))


def texts(count: int, salt: int) -> list[str]:
    """Texts of mixed quality, each with its own number."""
    return [f"{salt}-{i}。" + "".join(PIECES[(i * (j + 1) + salt) % 5] for j in range(1 + i % 7)) for i in range(count)]


def make(folder: Path, said: Classify, worker, parts: int = 3, sizes=(("web", 240), ("news", 120))) -> Run:
    """A run's folder in which rules is done: the documents of each source dealt out to so many parts."""
    store = Store(str(folder))
    for source, count in sizes:
        every = run_folder.documents(source, texts(count, len(source)))
        for number in range(parts):
            part = every.take(pa.array(range(number, count, parts)))
            name = f"part-{source}-{number}"
            files = run_folder.write(store, f"rules/kept/{name}.parquet", "kept", source, part)
            run_folder.commit(store, "rules", name, part.num_rows, files)
    made = replace(recipe.load("plain"), classify=said)
    return Run(store, made, worker, Progress(quiet=True))


def kept(run: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in run.files("classify", "kept"):
        for batch in read_part(run.store, file.path, ["doc_id", "source"]):
            for row in batch.to_pylist():
                found.setdefault(row["source"], set()).add(row["doc_id"])
    return found


@pytest.fixture(scope="module")
def local():
    made = engine.create("local", workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["local", pytest.param("spark", marks=pytest.mark.spark)])
def worker(request):
    if request.param == "local":
        yield request.getfixturevalue("local")
        return
    made = engine.create("spark")
    yield made
    made.close()


SHARED = replace(OPEN, top_share={"web": 0.25, "new*": 0.5})


def test_the_best_share_of_each_source_stays_whatever_engine_and_parts(tmp_path, worker) -> None:
    run = make(tmp_path / "a", SHARED, worker)
    stage.run(run)
    other = make(tmp_path / "b", SHARED, run_folder.Inline(backwards=True), parts=7)
    stage.run(other)
    assert kept(run) == kept(other)
    assert len(kept(run)["web"]) == pytest.approx(60, abs=3)
    assert len(kept(run)["news"]) == pytest.approx(60, abs=3)
    rows = [row for file in run.files("classify", "kept") + run.files("classify", "dropped")
            for batch in read_part(run.store, file.path) for row in batch.to_pylist() if row["source"] == "web"]  # fmt: skip
    best = sorted(rows, key=lambda row: -row["scores"]["high"])
    sure = {row["doc_id"] for row in best[:50]}
    assert sure <= kept(run)["web"], "those far above the bar stay"
    assert Counter(reason for row in rows for reason in row["drop_reasons"]).keys() == {"top_share"}


def test_shared_and_plain_runs_score_alike_and_account_for_all(tmp_path, local) -> None:
    shared, plain = make(tmp_path / "a", SHARED, local), make(tmp_path / "b", OPEN, local)
    stage.run(shared)
    stage.run(plain)

    def scored(run: Run) -> dict[str, tuple]:
        files = run.files("classify", "kept") + run.files("classify", "dropped")
        rows = [row for file in files for batch in read_part(run.store, file.path) for row in batch.to_pylist()]
        assert len(rows) == 360
        return {row["doc_id"]: (row["scores"], row["label"], row["decided_by"]) for row in rows}

    assert scored(shared) == scored(plain)
    done = shared.ledger.rows("classify").values()
    assert sum(row.docs_in for row in done) == 360 == sum(row.docs_out + row.docs_dropped for row in done)


def test_a_rerun_does_nothing_and_without_the_share_the_scores_go(tmp_path, local) -> None:
    run = make(tmp_path, SHARED, local)
    stage.run(run)
    before = {path: run.store.read_bytes(path) for path in run.store.list("")}
    stage.run(run)
    assert {path: run.store.read_bytes(path) for path in run.store.list("")} == before
    again = replace(run, recipe=replace(run.recipe, classify=OPEN))
    stage.run(again)
    assert not run.store.list("scores")
    assert sum(map(len, kept(again).values())) == 360


def test_a_share_that_changes_moves_the_bar(tmp_path, local) -> None:
    run = make(tmp_path, SHARED, local)
    stage.run(run)
    few = kept(run)["web"]
    more = replace(run, recipe=replace(run.recipe, classify=replace(OPEN, top_share={"web": 0.5})))
    stage.run(more)
    assert few < kept(more)["web"]
    assert len(kept(more)["news"]) == 120, "a source that no glob fits keeps all"


def test_scores_of_other_documents_are_refused(tmp_path, local) -> None:
    run = make(tmp_path, SHARED, run_folder.Inline())
    stage.run(run)
    path = "scores/documents/part-web-0.parquet"
    table = pq.read_table(tmp_path / path)
    pq.write_table(table.take(list(range(table.num_rows))[::-1]), tmp_path / path)
    run.ledger.forget("classify", ["part-web-0"])
    with pytest.raises(RunError, match="not those of the part"):
        stage.run(run)


def test_the_pareto_draw_is_the_same_in_any_parts(tmp_path, local) -> None:
    said = replace(OPEN, pareto_alpha=3.0)
    run, other = make(tmp_path / "a", said, local), make(tmp_path / "b", said, run_folder.Inline(), parts=5)
    stage.run(run)
    stage.run(other)
    assert kept(run) == kept(other)
    reasons = Counter()
    for row in run.ledger.rows("classify").values():
        reasons.update(row.dropped)
    assert set(reasons) == {"pareto"}
    assert 0 < reasons["pareto"] < 360


def test_sources_mixed_in_one_part_have_bars_of_their_own(tmp_path, local) -> None:
    store = Store(str(tmp_path))
    both = pa.concat_batches([run_folder.documents("web", texts(100, 3)), run_folder.documents("news", texts(100, 4))])
    files = run_folder.write(store, "rules/kept/part-0.parquet", "kept", "", both)
    run_folder.commit(store, "rules", "part-0", 200, files)
    said = replace(OPEN, top_share={"web": 0.1, "news": 0.8})
    run = Run(store, replace(recipe.load("plain"), classify=said), local, Progress(quiet=True))
    stage.run(run)
    assert {source: len(ids) for source, ids in kept(run).items()} == pytest.approx({"web": 10, "news": 80}, abs=2)


def test_a_part_of_copies_alone_has_no_scores(tmp_path, local) -> None:
    """Dedup may take out all documents of a part."""
    run = make(tmp_path, SHARED, run_folder.Inline(), parts=1, sizes=(("web", 40), ("news", 4)))
    ids = [
        i for batch in read_part(run.store, "rules/kept/part-news-0.parquet", ["doc_id"]) for i in batch[0].to_pylist()
    ]
    copies = pa.RecordBatch.from_pylist(
        [{"doc_id": i, "duplicate_of": ids[0], "kind": "exact", "similarity": 1.0} for i in ids],
        schema=stage_duplicate(),
    )
    files = run_folder.write(run.store, "dedup/duplicates/part-news-0.parquet", "duplicates", "news", copies)
    run_folder.commit(run.store, "dedup", "part-news-0", 4, files, docs_dropped=4)
    stage.run(run)
    assert set(kept(run)) == {"web"}


def stage_duplicate() -> pa.Schema:
    from mdfs.schema import DUPLICATE

    return DUPLICATE
