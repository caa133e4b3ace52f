"""Sizes as people write them, and the machine's own."""

import pytest
from conftest import mdfs

from mdfs import memory
from mdfs.errors import UsageError


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("8GB", 8 * 10**9), ("6GiB", 6 << 30), ("512m", 512 * 10**6), ("1.5 g", 1_500_000_000), ("300000000", 300_000_000),
     ("1TiB", 1 << 40)],
)  # fmt: skip
def test_sizes(said, wanted):
    assert memory.parse(said) == wanted


@pytest.mark.parametrize("said", ["8 apples", "GB", "-1GB", "8GBB", "1e9"])
def test_what_is_no_size_is_a_usage_error(said):
    with pytest.raises(UsageError, match="is no size; write 8GB"):
        memory.parse(said)


def test_too_little_is_a_usage_error():
    with pytest.raises(UsageError, match="at least 256 MiB"):
        memory.parse("255MiB")


def test_half_of_the_machine_where_nothing_is_said(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMITS", (str(limit),))
    whole = memory.available()
    assert memory.parse("") == whole // 2
    limit.write_text("max\n")
    assert memory.available() == whole
    limit.write_text(f"{1 << 30}\n")
    assert memory.parse("") == 1 << 29


def test_a_command_says_in_one_line_what_is_wrong(tmp_path):
    finished = mdfs("dedup", "--recipe", "plain", "--output", tmp_path, "--memory", "some")
    assert finished.returncode == 2
    assert finished.stderr == "mdfs: --memory 'some' is no size; write 8GB, 512MB or the like\n"
