"""Ranges come whole or not at all, whatever the server does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import crawlkit
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mdfs.collect import fetch
from mdfs.collect.fetch import MissingError, Policy, Root
from mdfs.errors import RunError, UsageError

DATA = bytes(range(256)) * 40
QUICK = Policy(attempts=4, first_delay=0.001, longest_delay=0.01, timeout=0.3, total=5)


@pytest.fixture
def root(web: crawlkit.Server) -> Root:
    """A server with one file."""
    (web.folder / "d").mkdir()
    (web.folder / "d/a b.bin").write_bytes(DATA)
    return Root(f"{web.uri}/d", QUICK)


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[crawlkit._Handler], None]:
    """A fault: this answer."""
    return lambda handler: handler.answer(status, body, {name.replace("_", "-"): v for name, v in headers.items()})


def broken_off(handler: crawlkit._Handler) -> None:
    """Half of the body, then the connection ends."""
    handler.answer(206, DATA[10:15], {"Content-Range": f"bytes 10-19/{len(DATA)}", "Content-Length": "10"})
    handler.close_connection = True


def slow(handler: crawlkit._Handler) -> None:
    """No answer for longer than anybody waits."""
    time.sleep(0.6)
    handler.close_connection = True


def dripping(handler: crawlkit._Handler) -> None:
    """A byte now and then, each in time."""
    handler.answer(206, b"", {"Content-Range": f"bytes 10-19/{len(DATA)}", "Content-Length": "10"})
    for byte in DATA[10:20]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.15)


def test_ranges_over_one_connection(root: Root, web: crawlkit.Server) -> None:
    for offset in (0, 100, 9_000, 10_230):
        assert root.read("a b.bin", offset, 50) == DATA[offset : offset + 50]
    assert root.read("a b.bin", 20_000, 5) == b""
    assert root.size("a b.bin") == len(DATA)
    assert (root.requests, root.bytes) == (5, 160)
    # An answer without a body that we trust, as 416, costs the connection.
    assert len(web.connections) == 2


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([503, 503], id="503 twice"),
        pytest.param([429, 500, 403], id="429, 500, 403 of a rate limit"),
        pytest.param([broken_off], id="breaks off"),
        pytest.param([answer(206, DATA[10:15], Content_Range=f"bytes 10-19/{len(DATA)}")], id="short body"),
        pytest.param([answer(206, DATA[10:40], Content_Range=f"bytes 10-19/{len(DATA)}")], id="long body"),
        pytest.param([answer(206, DATA[0:10], Content_Range=f"bytes 0-9/{len(DATA)}")], id="other range"),
        pytest.param([answer(206, DATA[10:20])], id="no Content-Range"),
        pytest.param([answer(206, DATA[10:20], Content_Range="bytes ten-20/*")], id="no numbers"),
        pytest.param([slow], id="slow"),
    ],
)
def test_what_goes_wrong_once_is_tried_again(root: Root, web: crawlkit.Server, faults: list[object]) -> None:
    web.faults["d/a%20b.bin"] = [*faults]
    assert root.read("a b.bin", 10, 10) == DATA[10:20]
    assert len(web.asked) == len(faults) + 1


def test_what_goes_wrong_always_ends_with_one_line(root: Root, web: crawlkit.Server) -> None:
    web.faults["d/a%20b.bin"] = [503] * 10
    with pytest.raises(RunError, match=r"a b\.bin at 10 cannot be read after 4 tries \(the server says 503\).*again"):
        root.read("a b.bin", 10, 10)
    assert len(web.asked) == 4


def test_a_server_that_drips_is_given_up(web: crawlkit.Server) -> None:
    (web.folder / "a").write_bytes(DATA)
    web.faults["a"] = [dripping]
    with pytest.raises(RunError, match="bytes came in 0 s"):
        Root(web.uri, Policy(attempts=2, first_delay=0.001, timeout=0.4, total=0.3)).read("a", 10, 10)


def test_a_server_that_asks_for_a_pause_gets_it(
    root: Root, web: crawlkit.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(fetch.time, "sleep", pauses.append)
    later = "Wed, 01 Jan 2999 00:00:00 GMT"
    web.faults["d/a%20b.bin"] = [answer(503, Retry_After=said) for said in ("3", "soon", later)]
    patient = Root(root.uri, Policy(total=10_000))
    assert patient.read("a b.bin", 0, 4) == DATA[:4]
    assert pauses[0] == 3
    assert pauses[1] <= 1
    assert pauses[2] == 300


@pytest.mark.parametrize(
    "fault", [404, 410, answer(403, b"<Error><Code>AccessDenied</Code></Error>")], ids=["404", "410", "403 of S3"]
)
def test_what_is_not_there_is_not_asked_for_again(root: Root, web: crawlkit.Server, fault: object) -> None:
    web.faults["d/a%20b.bin"] = [fault]
    with pytest.raises(MissingError):
        root.read("a b.bin", 0, 4)
    assert len(web.asked) == 1


@pytest.mark.parametrize(("fault", "says"), [(answer(200, DATA), "no ranges"), (answer(301, Location="/x"), "301 /x")])
def test_a_wrong_root_is_told_at_once(root: Root, web: crawlkit.Server, fault: object, says: str) -> None:
    web.faults["d/a%20b.bin"] = [fault]
    with pytest.raises(RunError, match=says):
        root.read("a b.bin", 0, 4)
    assert len(web.asked) == 1


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RunError, match="cannot be read after 4 tries"):
        Root("http://127.0.0.1:9", QUICK).read("a", 0, 1)
    for uri in ("http://", "https://user@host/", "http://h/a?b=c"):
        with pytest.raises(UsageError, match="a server and a folder"):
            Root(uri)


def test_pauses_grow_part_and_are_always_the_same() -> None:
    policy = Policy()
    pauses = [policy.delay(attempt, "a at 1") for attempt in range(8)]
    assert pauses == [policy.delay(attempt, "a at 1") for attempt in range(8)]
    assert all(min(30, 0.5 * 2**n) / 2 <= pause <= min(30, 0.5 * 2**n) for n, pause in enumerate(pauses))
    assert len({policy.delay(3, f"a at {n}") for n in range(100)}) == 100


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    root = Root(str(tmp_path), QUICK)
    assert root.read("a", 5, 10) == DATA[5:15]
    assert root.read("a", 10_230, 99) == DATA[10_230:]
    assert root.read("a", 99_999, 9) == b""
    assert root.size("a") == len(DATA)
    with pytest.raises(MissingError):
        root.read("b", 0, 1)
    with pytest.raises(RunError, match="cannot be read"):
        root.read("", 0, 1)


def test_s3(s3: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    crawlkit.upload(tmp_path, "fetch")
    for uri in ("s3://fetch", f"s3://fetch?endpoint_override={s3}&anonymous=true"):
        root = Root(uri, QUICK)
        assert root.read("a", 5, 10) == DATA[5:15]
        assert root.read("a", 10_230, 99) == DATA[10_230:]
        with pytest.raises(MissingError):
            root.size("b")


def test_parquet_by_ranges(root: Root, web: crawlkit.Server) -> None:
    table = pa.table({"a": range(10_000), "b": [f"{n * 7919 % 10_007:060}" for n in range(10_000)]})
    pq.write_table(table, web.folder / "d/t.parquet", row_group_size=1_000, compression="none")
    web.faults["d/t.parquet"] = [503, broken_off]
    with pq.ParquetFile(root.open("t.parquet")) as file:
        assert file.read_row_group(3, columns=["a"])["a"].to_pylist() == list(range(3_000, 4_000))
        assert root.bytes < (web.folder / "d/t.parquet").stat().st_size / 2
        assert file.read().equals(table)
    (web.folder / "d/t.parquet").write_bytes(b"")
    file = root.open("a b.bin")
    (web.folder / "d/a b.bin").write_bytes(DATA[:100])
    assert file.seek(-50, 2) == len(DATA) - 50
    with pytest.raises(RunError, match="became shorter"):
        file.read()
    (web.folder / "d/a b.bin").unlink()
    with pytest.raises(RunError, match="went away"):
        file.read(3)


def test_in_order_and_never_too_many_at_once() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(n: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.001 * (7 - n % 7))
        with lock:
            now -= 1
        return n

    assert list(fetch.in_order(work, range(50), 4)) == list(range(50))
    assert 2 <= most <= 4
    with pytest.raises(ZeroDivisionError):
        list(fetch.in_order(lambda n: 1 // n, [2, 1, 0, 1], 2))
