"""The report in a real browser: hostile text does not run, and nothing is fetched but the page itself."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))

import hand_run

from mdfs import report

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium (apt install chromium)"
)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server of a folder on this machine: its address, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(folder), **options)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def opened(address: str, profile: Path) -> str:
    """The document as it stands when the browser has loaded it and run what it would run."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    command = [str(CHROMIUM), *flags, f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", address]
    # A session of its own: a browser that hangs is ended with all its children.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as browser:
        try:
            return browser.communicate(timeout=120)[0].decode()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            shutil.rmtree(profile, ignore_errors=True)


def test_hostile_text_does_nothing(tmp_path: Path) -> None:
    """Scripts, event handlers, pictures, frames, styles and links in crawled text stay letters."""
    folder = tmp_path / "out"
    with served(folder) as (address, asked):
        report.write(hand_run.write(folder, hand_run.documents(beacon=address)))
        page = opened(f"{address}/report.html", tmp_path / "profile")
    assert "<title>mdfs report: hand</title>" in page, "a script has changed the title"
    assert asked == ["/report.html"]
    assert "document.title='OWNED'" in page, "the attack was not in the page"
    for element in ("script", "img", "iframe", "form", "base"):
        assert f"<{element}" not in page.lower()


def test_the_browser_would_have_run_it(tmp_path: Path) -> None:
    """The same attack in a page without our escaping runs and fetches: the test above can fail."""
    folder = tmp_path / "out"
    folder.mkdir()
    with served(folder) as (address, asked):
        attack = hand_run.hostile(address)[0].text
        (folder / "plain.html").write_text(f"<!DOCTYPE html><title>mdfs</title><body><p>{attack}", "utf-8")
        page = opened(f"{address}/plain.html", tmp_path / "profile")
    assert "<title>OWNED</title>" in page
    assert "/img" in asked
