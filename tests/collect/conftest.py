"""Servers that several modules of these tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import crawlkit
import pytest


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of an S3 server."""
    with crawlkit.s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, named in the environment as users do."""
    for name, value in crawlkit.s3_environment(s3_address).items():
        monkeypatch.setenv(name, value)
    return s3_address


@pytest.fixture
def web(tmp_path: Path) -> Iterator[crawlkit.Server]:
    """A web server over an empty folder."""
    (tmp_path / "web").mkdir()
    server = crawlkit.Server(tmp_path / "web")
    yield server
    server.shutdown()
    server.server_close()
