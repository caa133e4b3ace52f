"""What the README shows is what a run prints; its relative links and files exist."""

import re
from pathlib import Path

from mdfs.funnel import funnel, render
from mdfs.storage import Store

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def up_to_the_classifier(table: str) -> str:
    """8-bit scores differ in the last digits between kinds of CPU, so a borderline page may fall to either side."""
    return table.partition("\nclassify ")[0]


def test_the_funnel_in_the_readme_is_that_of_the_sample(sample_run):
    """Where this fails after a change that means to change it, put the new table into README.md."""
    shown = re.search(r"```\n(stage .*?)\n```", README, re.S)
    assert shown is not None
    printed = render(funnel(Store(str(sample_run))))
    assert up_to_the_classifier(shown[1]) == up_to_the_classifier(printed)
    assert [line.split()[0] for line in shown[1].split("\n") if line[0] != " "][-2:] == ["classify", "tokenize"]


def test_files_that_the_readme_names_exist():
    named = set(re.findall(r"`((?:mdfs|jobs|tests|classifiers|notebooks)/[\w./]+)`", README))
    assert len(named) > 10
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
