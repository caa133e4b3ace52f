"""The ledger: rows while a stage is under way and when it is done, read alike."""

import pytest

from mdfs.errors import RunError
from mdfs.ledger import File, Ledger, Row, fingerprint, total
from mdfs.storage import Store


@pytest.fixture
def ledger(tmp_path):
    return Ledger(Store(str(tmp_path)))


def row(unit, **counts):
    return Row("rules", unit, "f", [File("a", "kept", 1, 2, "0")], dropped={"x": 1}, **counts)


def test_rows_come_back_as_they_were_before_and_after_settling(ledger):
    rows = {unit: row(unit, docs_in=3) for unit in ("b", "a")}
    for each in rows.values():
        ledger.commit(each)
    assert list(ledger.rows("rules").items()) == sorted(rows.items())
    ledger.settle("rules")
    assert ledger.store.list("ledger") == ["ledger/rules.jsonl"]
    assert list(ledger.rows("rules").items()) == sorted(rows.items())
    assert ledger.rows("dedup") == {}


def test_a_units_own_row_goes_before_its_settled_line(ledger):
    ledger.commit(row("a", docs_in=1))
    ledger.settle("rules")
    ledger.commit(row("a", docs_in=2))
    assert ledger.rows("rules")["a"].docs_in == 2
    ledger.settle("rules")
    assert ledger.rows("rules")["a"].docs_in == 2


def test_what_is_forgotten_is_gone_from_both(ledger):
    for unit in "abc":
        ledger.commit(row(unit))
    ledger.settle("rules")
    ledger.commit(row("d"))
    ledger.forget("rules", ["a", "d", "z"])
    assert list(ledger.rows("rules")) == ["b", "c"]


def test_settling_twice_writes_nothing(ledger):
    ledger.commit(row("a"))
    ledger.settle("rules")
    path = ledger.store.full("ledger/rules.jsonl")
    before = ledger.store.filesystem.get_file_info(path).mtime_ns
    ledger.settle("rules")
    assert ledger.store.filesystem.get_file_info(path).mtime_ns == before


@pytest.mark.parametrize("content", [b"{", b"[]\n", b'{"stage": "rules"}\n', b'{"nonsense": 1}\n'])
def test_a_damaged_ledger_is_told_in_one_line(ledger, content):
    ledger.store.write_bytes("ledger/rules.jsonl", content)
    with pytest.raises(RunError, match="rules.jsonl is damaged"):
        ledger.rows("rules")


def test_totals_add_up():
    summed = total([row("a", docs_in=3, docs_out=2, docs_dropped=1), row("b", docs_in=1, docs_dropped=1)], "rules")
    assert (summed.docs_in, summed.docs_out, summed.docs_dropped, summed.dropped) == (4, 2, 2, {"x": 2})


def test_fingerprints_differ_with_their_parts():
    assert fingerprint("a", {"b": 1, "c": 2}) == fingerprint("a", {"c": 2, "b": 1})
    assert fingerprint("a", "b") != fingerprint("ab")
