"""The command line: help with an example everywhere, errors in one line, the right exit status."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner
from conftest import CORPUS, mdfs

from mdfs import __version__
from mdfs.cli import cli


def commands(group=cli, path=("mdfs",)):
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_help_with_an_example(path, command):
    shown = CliRunner().invoke(cli, [*path[1:], "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output
    example = shown.output.split("Example:")[1].split()
    assert example[: len(path)] == list(path)
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_every_command_stands_in_the_readme():
    readme = (CORPUS.parents[2] / "README.md").read_text("utf-8")
    missing = [" ".join(path) for path, _ in commands() if " ".join(path) not in readme]
    assert not missing


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["run", "--recipe", "no-such", "--input", "{data}", "--output", "{tmp}/x"],
            "neither a shipped recipe nor a file",
        ),
        (["run", "--recipe", "yuan1", "--input", "{tmp}/nothing", "--output", "{tmp}/x"], "nothing fits"),
        (["run", "--recipe", "yuan1", "--output", "{tmp}/x"], "--input"),
        (["run", "--input", "{data}", "--output", "{tmp}/x", "--engine", "flink"], "flink"),
        (["run", "--input", "{data}", "--output", "{tmp}/x", "--until", "lunch"], "stages are collect"),
        (["run", "--input", "{data}", "--output", "{tmp}/x", "--workers", "0"], "workers"),
        (["rules", "--output", "{tmp}/x"], "run `mdfs collect` first"),
        (["why", "{tmp}/nothing", "doc"], "no run has written there"),
        (["verify", "{tmp}/nothing"], "{tmp}/nothing"),
        (["report", "{tmp}/nothing"], "no run has written there"),
        (["recipe", "show", "yaun1"], "did you mean 'yuan1'"),
        (["runn"], "runn"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments, says, tmp_path):
    filled = [argument.format(tmp=tmp_path, data=CORPUS) for argument in arguments]
    finished = mdfs(*filled)
    assert finished.returncode == 2, finished.stdout
    assert says.format(tmp=tmp_path) in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith("mdfs: ")
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("output", ["{tmp}/a-file", "/proc/no-such"])
def test_an_output_that_cannot_be_written_is_one_line_and_status_2(output, tmp_path):
    (tmp_path / "a-file").write_text("")
    finished = mdfs("run", "-r", "plain", "-i", CORPUS / "articles.jsonl", "-o", output.format(tmp=tmp_path))
    assert finished.returncode == 2
    assert "cannot be written" in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_json_is_one_object_and_nothing_else(tmp_path):
    finished = mdfs("run", "--recipe", "plain", "--input", CORPUS / "articles.jsonl", "--output", tmp_path, "--json")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert [stage["stage"] for stage in result["stages"]][0] == "collect"
    assert result["totals"]["docs"] > 0
    assert finished.stderr == ""


def test_quiet_says_nothing(tmp_path):
    finished = mdfs("run", "--recipe", "plain", "--input", CORPUS / "articles.jsonl", "--output", tmp_path, "-q")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_without_a_terminal_lines_are_plain(tmp_path):
    finished = mdfs("run", "--recipe", "plain", "--input", CORPUS / "articles.jsonl", "--output", tmp_path)
    assert "\x1b" not in finished.stderr + finished.stdout
    assert "\r" not in finished.stderr
    assert "collect" in finished.stderr
    assert "kept of in" in finished.stdout
    assert f"{tmp_path}/manifest.json" in finished.stdout


@pytest.mark.parametrize("what", ["recipe", "source", "rule"])
def test_lists_are_for_people_and_programs(what):
    shown = mdfs(what, "list")
    listed = json.loads(mdfs(what, "list", "--json").stdout)
    assert shown.returncode == 0
    assert len(listed) >= 2
    assert all(str(next(iter(row.values()))) in shown.stdout for row in listed)


def test_recipe_check_prints_the_digest():
    from mdfs import recipe

    assert recipe.load("yuan1").digest() in mdfs("recipe", "check", "yuan1").stdout


def test_version():
    assert __version__ in mdfs("--version").stdout
