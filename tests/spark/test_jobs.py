"""The same pipeline on Spark gives the same corpus, and the jobs run by spark-submit from the zip alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest
from conftest import CORPUS, run_sample

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]


def digest(output: Path) -> str:
    return str(json.loads((output / "manifest.json").read_text("utf-8"))["content_digest"])


def test_spark_gives_the_same_corpus(sample_run, tmp_path):
    finished = run_sample(tmp_path, "--engine", "spark", "-q")
    assert finished.returncode == 0, finished.stderr
    assert digest(tmp_path) == digest(sample_run)


def submit(job: str, tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """spark-submit as on a cluster: mdfs comes from the zip, from nowhere else."""
    zipped = tmp_path / "mdfs.zip"
    if not zipped.exists():
        subprocess.run([sys.executable, "-m", "mdfs.jobs.package", str(zipped)], check=True, capture_output=True)
    command = [
        str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local[2]",
        "--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=4",
        "--py-files", str(zipped), str(ROOT / "jobs" / job), *map(str, arguments),
    ]  # fmt: skip
    # -S keeps the editable install's finder out, so that an import can only come from the zip.
    site = next(path for path in sys.path if path.endswith("site-packages"))
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{site}" exec {sys.executable} -S "$@"\n')
    wrapper.chmod(0o755)
    environment = os.environ | {"PYSPARK_PYTHON": str(wrapper), "PYSPARK_DRIVER_PYTHON": str(wrapper)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=600)


def test_the_pipeline_job_runs_by_spark_submit(sample_run, tmp_path):
    inputs = [argument for path in sorted(CORPUS.iterdir()) for argument in ("--input", path)]
    output = tmp_path / "out"
    finished = submit("pipeline_job.py", tmp_path, "--recipe", "yuan1", "--output", output, *inputs)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert digest(output) == digest(sample_run)


def test_a_single_stage_job_runs_by_spark_submit(tmp_path):
    arguments = ("--recipe", "plain", "--input", CORPUS / "articles.jsonl", "--output", tmp_path / "out", "--json")
    finished = submit("collect_job.py", tmp_path, *arguments)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert json.loads(finished.stdout.strip().splitlines()[-1])["stages"][0]["docs_out"] > 0


def test_bad_usage_ends_a_job_with_one_line_and_status_2(tmp_path):
    finished = submit("collect_job.py", tmp_path, "--recipe", "yaun1", "--input", CORPUS, "--output", tmp_path / "out")
    assert finished.returncode != 0
    said = finished.stdout + finished.stderr  # spark-submit passes both on as one
    assert "did you mean 'yuan1'" in said
    assert "Traceback" not in said
