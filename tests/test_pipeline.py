"""The straight line on the sample: accounting, resumption, the same corpus in any order, place and number of workers."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from conftest import CORPUS, mdfs, run_sample

from mdfs import pipeline, recipe
from mdfs.schema import DOCUMENT


def manifest(output):
    return json.loads((output / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("name", recipe.shipped())
def test_columns_of_the_stages_fit_together(name):
    """Each stage finds the columns that it needs, and adds none that is there already but `drop_reasons`."""
    recipe.load(name)
    have: set[str] = set()
    for stage in pipeline.STAGES:
        assert set(stage.needs) <= have, f"{stage.name} needs {set(stage.needs) - have}"
        added = {field.name for field in stage.adds}
        assert not (added & have) - {"drop_reasons"}
        have |= added
    assert set(DOCUMENT.names) <= have


def test_every_document_is_accounted_for(sample_run):
    stages = manifest(sample_run)["stages"]
    assert [stage["name"] for stage in stages] == list(pipeline.names())
    for before, stage in zip([None, *stages], stages, strict=False):
        assert stage["docs_in"] == stage["docs_out"] + stage["docs_dropped"] + stage["quarantined"], stage["name"]
        assert before is None or stage["docs_in"] == before["docs_out"], stage["name"]
    assert manifest(sample_run)["totals"]["docs"] == stages[-1]["docs_out"] > 100


def test_files_lie_where_the_contract_says(sample_run):
    for folder in ("collect", "rules/kept", "rules/dropped", "dedup/duplicates", "classify/kept", "classify/dropped",
                   "shards/web", "quarantine", "ledger"):  # fmt: skip
        assert any((sample_run / folder).iterdir()), folder
    assert (sample_run / "report.html").stat().st_size > 5_000
    assert not [path for path in sample_run.rglob("*") if "tmp" in path.name]
    names = pq.read_schema(next((sample_run / "classify/kept").iterdir())).names
    assert names == [*DOCUMENT.names, "signals", "drop_reasons", "scores", "label", "decided_by"]


def test_doc_ids_are_unique(sample_run):
    tables = [pq.read_table(path, columns=["doc_id"]) for path in (sample_run / "collect").glob("*.parquet")]
    ids = [doc_id for table in tables for doc_id in table["doc_id"].to_pylist()]
    assert len(ids) == len(set(ids))
    assert all(len(doc_id) == 32 and int(doc_id, 16) >= 0 for doc_id in ids)


def test_a_rerun_does_nothing_and_changes_nothing(sample_run, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(sample_run, output)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    start = time.monotonic()
    finished = run_sample(output)
    assert finished.returncode == 0, finished.stderr
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")} == before
    assert manifest(output) == manifest(sample_run)
    assert time.monotonic() - start < 60


def test_order_place_and_workers_change_nothing(sample_run, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(CORPUS, moved)
    inputs = [argument for path in sorted(moved.iterdir(), reverse=True) for argument in ("--input", path)]
    finished = mdfs("run", "--recipe", "yuan1", "--workers", 1, "--output", tmp_path / "out", *inputs)
    assert finished.returncode == 0, finished.stderr
    assert manifest(tmp_path / "out")["content_digest"] == manifest(sample_run)["content_digest"]


def test_stage_by_stage_gives_the_same_corpus(sample_run, tmp_path):
    output = tmp_path / "out"
    inputs = [argument for path in sorted(CORPUS.iterdir()) for argument in ("--input", path)]
    assert mdfs("collect", "--recipe", "yuan1", "--output", output, *inputs).returncode == 0
    for stage in pipeline.names()[1:]:
        assert not (output / "manifest.json").exists()
        finished = mdfs(stage, "--output", output)
        assert finished.returncode == 0, finished.stderr
    assert manifest(output)["content_digest"] == manifest(sample_run)["content_digest"]


def test_a_stage_is_not_done_over_what_another_recipe_left(tmp_path):
    articles = CORPUS / "articles.jsonl"
    assert mdfs("collect", "--recipe", "plain", "--output", tmp_path, "--input", articles).returncode == 0
    stricter = tmp_path / "stricter.toml"
    stricter.write_text('base = "plain"\n[collect]\nmax_text_chars = 400\n', "utf-8")
    finished = mdfs("rules", "--recipe", stricter, "--output", tmp_path)
    assert finished.returncode == 2
    assert "collect was done by another recipe" in finished.stderr
    assert mdfs("rules", "--output", tmp_path).returncode == 0, "the folder's own recipe goes on"
    assert "run `mdfs dedup` first" in mdfs("classify", "--output", tmp_path).stderr


def test_killed_anywhere_it_goes_on_to_the_same_corpus(sample_run, tmp_path):
    output = tmp_path / "out"
    inputs = [argument for path in sorted(CORPUS.iterdir()) for argument in ("--input", str(path))]
    command = [sys.executable, "-m", "mdfs", "run", "-q", "--recipe", "yuan1", "--output", str(output), *inputs]
    chance = random.Random(3)
    for _ in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(timeout=chance.uniform(1, 8))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if (output / "manifest.json").exists():
            assert mdfs("verify", output).returncode == 0
    finished = run_sample(output)
    assert finished.returncode == 0, finished.stderr
    assert manifest(output)["content_digest"] == manifest(sample_run)["content_digest"]
    assert not [path for path in output.rglob("*") if "tmp" in path.name]


def test_another_recipe_in_the_same_folder_redoes_what_it_changes(sample_run, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(sample_run, output)
    stricter = tmp_path / "stricter.toml"
    stricter.write_text('base = "yuan1"\n[rules]\nchars = { min = 400 }\n', "utf-8")
    collected = {path: path.stat().st_mtime_ns for path in (output / "collect").glob("*.parquet")}
    finished = run_sample(output, recipe=str(stricter))
    assert finished.returncode == 0, finished.stderr
    assert manifest(output)["totals"]["docs"] < manifest(sample_run)["totals"]["docs"]
    assert {path: path.stat().st_mtime_ns for path in (output / "collect").glob("*.parquet")} == collected
    assert mdfs("verify", output).returncode == 0


def test_until_stops_there_and_writes_no_manifest(tmp_path):
    finished = run_sample(tmp_path / "out", "--until", "rules")
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "out/rules/kept").exists()
    assert not (tmp_path / "out/dedup").exists()
    assert not (tmp_path / "out/manifest.json").exists()
    assert (tmp_path / "out/report.html").exists()
