"""Commands that make the starter have help with an example. (`mdfs classifier`: test_training.)"""

from __future__ import annotations

import importlib

import pytest
from click.testing import CliRunner

COMMANDS = ["leave_one_out", "make_starter", "prune"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_an_example(name: str) -> None:
    module = importlib.import_module(f"mdfs.classifiers.{name}")
    done = CliRunner().invoke(module.main, ["--help"])
    assert done.exit_code == 0
    assert "Example:" in done.output
    assert f"mdfs.classifiers.{name}" in done.output.replace("\n", "")
