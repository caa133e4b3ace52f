"""Documents taken out of a finished run's folder: the shards, the texts, the accounting, and a command that is killed."""

from __future__ import annotations

import shutil

import pyarrow.parquet as pq
import pytest
import run_folder
from run_folder import documents, texts

from mdfs import manifest, pipeline, report, withdraw
from mdfs.errors import UsageError
from mdfs.ledger import Ledger
from mdfs.parts import read_part
from mdfs.storage import Store
from mdfs.verify import verify

WEB, NEWS = texts(40, "网"), texts(25, "报")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A finished run's folder with two sources; it has no measurements, so the report is a stub that reads nothing."""
    store = Store(str(tmp_path / "out"))
    run_folder.corpus(store, {"web": [WEB[:20], WEB[20:]], "news": [NEWS]}, shard_tokens=150)
    monkeypatch.setattr(report, "write", lambda store: store.write_bytes("report.html", b"made anew") and "report.html")
    assert not verify(store)
    return store


def unit(source, number=0):
    return f"part-{run_folder.doc_id(source)[:6]}-{number:04d}"


def doc_ids(source, count, number=0):
    kept = documents(source, [""] * count, unit(source, number))
    return kept.column("doc_id").to_pylist()


def every_text(store):
    """All texts of all part files with their ids, and the ids that the shards hold."""
    found, held = {}, set()
    for path in store.list(""):
        if not path.endswith(".parquet"):
            continue
        names = pq.read_schema(store.open(path)).names
        for batch in read_part(store, path):
            if "text" in names:
                for row in batch.to_pylist():
                    found.setdefault(row["doc_id"], []).append(
                        (path, row["text"], row["title"], row["url"], row["meta"])
                    )
            if path.startswith("shards/"):
                held |= set(batch.column("doc_id").to_pylist())
    return found, held


def test_a_source_goes_and_verify_passes(store):
    before = manifest.read(store)
    texts_before, held_before = every_text(store)
    found = withdraw.command(store, ["news"], [])
    assert found["in_shards"] == 25
    assert verify(store) == []
    after = manifest.read(store)
    assert after.content_digest == found["content_digest"] != before.content_digest == found["content_digest_before"]
    assert [source["name"] for source in after.data["sources"]] == ["web"]
    texts_after, held = every_text(store)
    gone = {
        doc_id
        for doc_id, rows in texts_before.items()
        if any("part-" + run_folder.doc_id("news")[:6] in row[0] for row in rows)
    }
    assert held == held_before - gone
    assert texts_after.keys() == texts_before.keys()
    for doc_id, rows in texts_after.items():
        assert all(row[1:] == ("", "", "", []) for row in rows) == (doc_id in gone)
        if doc_id not in gone:
            assert rows == texts_before[doc_id]
    classify = next(stage for stage in after.data["stages"] if stage["name"] == "classify")
    assert classify["dropped"]["withdrawn"] == 25
    assert store.read_bytes("report.html") == b"made anew"


def test_what_is_left_is_the_corpus_without_them(store, tmp_path):
    """The content digest is that of a run in which these documents never came to the shards."""
    ids = [*doc_ids("web", 20)[3:7], doc_ids("news", 25)[0]]
    withdraw.command(store, [], ids)
    other = Store(str(tmp_path / "other"))
    fill = run_folder.fill
    for number, part in enumerate([WEB[:20], WEB[20:]]):
        fill(other, unit("web", number), "web", part)
    fill(other, unit("news"), "news", NEWS)
    for name in (unit("web"), unit("news")):
        path = f"classify/kept/{name}.parquet"
        table = pq.read_table(other.full(path))
        left = table.filter([doc_id not in ids for doc_id in table.column("doc_id").to_pylist()])
        row = Ledger(other).rows("classify")[name]
        kept = run_folder.write(other, path, "kept", row.files[0].source, left.combine_chunks().to_batches()[0])
        row.files = kept + [file for file in row.files if file.kind != "kept"]
        Ledger(other).commit(row)
    expected = run_folder.finish(other, 150)
    assert manifest.read(store).content_digest == expected["content_digest"]
    assert verify(store) == []


def test_only_the_shards_concerned_are_written_anew(store):
    before = {path: store.read_bytes(path) for path in store.list("shards")}
    assert len(before) > 4
    found = withdraw.command(store, [], [doc_ids("web", 20)[0]])
    changed = {path for path, content in before.items() if not store.exists(path) or store.read_bytes(path) != content}
    assert changed == set(found["files"]["tokenize"])
    assert len(changed) == 1
    entries = {file.path: file for row in Ledger(store).rows("tokenize").values() for file in row.files}
    assert sum(file.text_bytes for file in entries.values()) == sum(len(text.encode()) for text in [*WEB, *NEWS][1:])


def test_a_dry_run_says_what_would_change_and_changes_nothing(store):
    before = {path: store.read_bytes(path) for path in store.list("")}
    ids = doc_ids("web", 20)[:2]
    said = withdraw.command(store, [], [*ids, "f" * 32], dry_run=True)
    assert {path: store.read_bytes(path) for path in store.list("")} == before
    assert said["unknown"] == ["f" * 32]
    done = withdraw.command(store, [], ids)
    assert done["files"] == said["files"]


def test_the_record_holds_ids_and_no_text(store):
    ids = doc_ids("web", 20)[:2]
    withdraw.command(store, [], ids)
    assert store.list(withdraw.RECORDS) == ["withdrawn/0001.json", "withdrawn/0001.parquet"]
    assert pq.read_table(store.full("withdrawn/0001.parquet")).column("doc_id").to_pylist() == sorted(ids)
    assert WEB[0][:6].encode() not in b"".join(store.read_bytes(path) for path in store.list(withdraw.RECORDS))
    withdraw.command(store, [], doc_ids("news", 25)[:1])
    assert len(store.list(withdraw.RECORDS)) == 4
    assert verify(store) == []


def test_copies_are_named_and_go_too_where_asked(store):
    (copied,) = documents("web", ["转载"], (unit("web"), "copied")).column("doc_id").to_pylist()
    found = withdraw.command(store, [], [copied], dry_run=True)
    assert found["copies"] > 0
    found = withdraw.command(store, [], [copied], copies=True)
    assert found["documents"] == 3  # one copy in each part, all of one document that is elsewhere
    assert verify(store) == []


class KilledError(Exception):
    """The command is killed here."""


def writes(store):
    """How many files a whole withdrawal puts in place."""
    return sum(1 for _ in store.list(""))


@pytest.mark.parametrize("after", range(0, 24, 2))
def test_killed_anywhere_it_goes_on(store, tmp_path, monkeypatch, after):
    ids = [*doc_ids("web", 20), *doc_ids("news", 25)[:3]]
    whole = Store(str(tmp_path / "whole"))
    shutil.copytree(store.uri, whole.uri)
    withdraw.command(whole, [], ids)
    create, done = Store.create, [0]

    def killed(self, path):
        done[0] += 1
        if done[0] > after:
            raise KilledError
        return create(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "create", killed)
        try:
            withdraw.command(store, [], ids)
            finished = True
        except KilledError:
            finished = False
    if not finished and not store.list(withdraw.RECORDS):
        assert verify(store) == []  # nothing had begun
        return
    assert finished or withdraw.resume(store) is not None or manifest.read(store)
    assert verify(store) == []
    left = {path: store.read_bytes(path) for path in store.list("shards")}
    if store.exists("withdrawn/0001.json"):
        assert left == {path: whole.read_bytes(path) for path in whole.list("shards")}
        assert every_text(store) == every_text(whole)


def test_a_run_does_not_bring_them_back(store):
    withdraw.command(store, ["news"], [])
    run = run_folder.run_over(store)
    with pytest.raises(UsageError, match="were withdrawn from this folder"):
        pipeline.through(run)


@pytest.mark.parametrize(
    ("sources", "ids", "says"),
    [
        ([], [], "nothing to withdraw"),
        (["nobody"], [], "saw no document of 'nobody'"),
        ([], ["0" * 32], "saw no document"),
    ],
)
def test_what_is_not_there_is_one_line(store, sources, ids, says):
    with pytest.raises(UsageError, match=says):
        withdraw.command(store, sources, ids)
    store.delete("manifest.json")
    with pytest.raises(UsageError, match=r"no manifest\.json|nothing to withdraw"):
        withdraw.command(store, sources, ids)
