"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mdfs import engine

CORPUS = Path(__file__).parent / "sample" / "corpus"

#: Workers of Spark import `unit_workers` by its name; they inherit this from the JVM, whichever test starts it.
os.environ["PYTHONPATH"] = str(Path(__file__).parent)

# No test fails for being slow: the first example of many a property compiles a kernel.
settings.register_profile("mdfs", deadline=None)
settings.load_profile("mdfs")


def mdfs(*arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a user does."""
    command = [sys.executable, "-m", "mdfs", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def run_sample(output: Path, *more: str | Path, recipe: str = "yuan1") -> subprocess.CompletedProcess[str]:
    """`mdfs run` over the sample corpus into `output`."""
    inputs = [argument for path in sorted(CORPUS.iterdir()) for argument in ("--input", path)]
    return mdfs("run", "--recipe", recipe, "--output", output, *inputs, *more)


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished yuan1 run over the sample. Shared: look, do not change (copy it to change it)."""
    output = tmp_path_factory.mktemp("sample") / "out"
    finished = run_sample(output)
    assert finished.returncode == 0, finished.stderr
    return output


class Sail:
    """Units by the local pool, the rest by the plans that run on Spark: on Sail, which needs no Java."""

    name, workers = "sail", 0

    def __init__(self, inner: engine.Engine) -> None:
        self.map, self.session, self.functions, self.window = inner.map, inner.session, inner.functions, inner.window


@pytest.fixture(scope="module")
def local() -> Iterator[engine.Engine]:
    """The local engine with two workers."""
    made = engine.create("local", workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["local", "sail", pytest.param("spark", marks=pytest.mark.spark)])
def worker(request: pytest.FixtureRequest) -> Iterator[engine.Engine | Sail]:
    """Each way in which a stage may be run: all want the same rows."""
    if request.param == "spark":
        made = engine.create("spark", workers=2)
        yield made
        made.close()
    else:
        local = request.getfixturevalue("local")
        yield local if request.param == "local" else Sail(local)
