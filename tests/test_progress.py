"""Progress: a bar that redraws on a terminal, plain lines elsewhere, nothing when quiet."""

import io

from mdfs import progress
from mdfs.ledger import Row
from mdfs.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def follow(stream, monkeypatch, **options):
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with Progress(stream=stream, **options).stage("rules", 1000, 2, 3) as bar:
        bar.beat(5, 500)
        bar.unit_done(Row("rules", "a", docs_in=10, bytes_in=1000))
    return stream.getvalue()


def test_a_terminal_gets_a_bar_with_share_speed_and_time_left(monkeypatch):
    text = follow(Terminal(), monkeypatch)
    assert "\r\x1b[K" in text
    assert " 50%" in text
    assert "MB/s" in text
    assert "left" in text
    assert text.endswith("(3 units were done before)\n")


def test_elsewhere_plain_lines(monkeypatch):
    text = follow(io.StringIO(), monkeypatch)
    assert "\r" not in text
    assert "\x1b" not in text
    assert "10 documents" in text


def test_quiet(monkeypatch):
    assert follow(io.StringIO(), monkeypatch, quiet=True) == ""


def test_a_clock_reads_as_people_write_it():
    assert [progress._clock(s) for s in (5, 65, 3700)] == ["0:05", "1:05", "1:01:40"]
