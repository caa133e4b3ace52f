"""What a run says while it works: a bar on a terminal, plain lines elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from mdfs.ledger import Row

#: Seconds between two lines where there is no terminal, and between two drawings of the bar where there is one.
LINE_SECONDS = 15.0
DRAW_SECONDS = 0.2
_BAR = 24


class Progress:
    """Reports to a text stream, standard error by default."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.quiet = quiet
        self.live = not quiet and self.stream.isatty()

    @contextlib.contextmanager
    def stage(self, name: str, size: int, units: int, done_before: int) -> Iterator[Bar]:
        """Follow a stage of `units` units that hold `size` bytes; `done_before` more are in the ledger already."""
        bar = Bar(self, name, size, units, done_before)
        yield bar
        bar.finish()

    def note(self, text: str) -> None:
        """One line, now."""
        if not self.quiet:
            self.clear()
            self.stream.write(text + "\n")
            self.stream.flush()

    def draw(self, text: str) -> None:
        """Replace the line under the cursor (terminals only)."""
        self.stream.write("\r\x1b[K" + text)
        self.stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self.live:
            self.stream.write("\r\x1b[K")


class Bar:
    """One stage's progress."""

    def __init__(self, progress: Progress, name: str, size: int, units: int, done_before: int) -> None:
        self.progress, self.name, self.size, self.units, self.done_before = progress, name, size, units, done_before
        self.docs = self.bytes = self.finished = self.committed_bytes = self.committed_docs = 0
        self._start = self._last = time.monotonic()

    def beat(self, docs: int, bytes: int) -> None:  # noqa: A002  (the unit is the name)
        """Documents and bytes gone through so far, units under way included."""
        self.docs, self.bytes = max(docs, self.committed_docs), max(bytes, self.committed_bytes)
        self._show()

    def unit_done(self, row: Row) -> None:
        """A unit is committed."""
        self.finished += 1
        self.committed_docs += row.docs_in
        self.committed_bytes += row.bytes_in
        self.beat(self.docs, self.bytes)

    def finish(self) -> None:
        """The stage is done: one line stays."""
        seconds = time.monotonic() - self._start
        if self.units == 0 and self.done_before:
            self.progress.note(f"{self.name:<14} nothing to do: {self.done_before} units were done before")
        elif self.units:
            speed = (
                f", {self.committed_bytes / 1e6 / seconds:,.1f} MB/s" if self.committed_bytes and seconds > 0 else ""
            )
            again = f" ({self.done_before} units were done before)" if self.done_before else ""
            self.progress.note(f"{self.name:<14} {self.committed_docs:>9,} documents in {seconds:.1f} s{speed}{again}")

    def _show(self) -> None:
        now = time.monotonic()
        if self.progress.quiet or now - self._last < (DRAW_SECONDS if self.progress.live else LINE_SECONDS):
            return
        self._last = now
        if self.progress.live:
            self.progress.draw(self._line(now))
        else:
            self.progress.note(self._line(now))

    def _line(self, now: float) -> str:
        seconds = now - self._start
        share = min(1.0, self.bytes / self.size if self.size else self.finished / max(1, self.units))
        left = f"{_clock(seconds / share - seconds)} left" if share > 0.01 else "…"
        filled = round(share * _BAR)
        drawn = "█" * filled + "·" * (_BAR - filled)
        return (
            f"{self.name:<14} {drawn} {share:4.0%}  {self.docs:,} documents  "
            f"{self.bytes / 1e6 / max(seconds, 1e-9):,.1f} MB/s  {left}"
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
