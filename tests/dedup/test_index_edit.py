"""Documents removed from an index, compaction, merging, and an index on an object store."""

import json
import random

import crawlkit
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from dedup_corpus import ALL, doc, duplicates, prose, sample
from index_kit import crawl, ids

from mdfs import engine
from mdfs.cli import cli
from mdfs.dedup import index, index_add, index_edit
from mdfs.errors import UsageError
from mdfs.storage import Store


@pytest.fixture(scope="module")
def local():
    made = engine.create("local", workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def s3_address():
    with crawlkit.s3_server() as address:
        yield address


def two_sources():
    """Documents of `press`, each with a copy of `web` that loses to it, and a few more of `web`."""
    rng = random.Random(11)
    texts = [prose(rng, 300) for _ in range(6)]
    press = [doc(f"press-{i}", text + "记者", source="press") for i, text in enumerate(texts[:4])]
    web = [doc(f"web-{i}", text, source="web") for i, text in enumerate(texts)]
    again = [doc(f"again-{i}", text + "转载") for i, text in enumerate(texts)]
    return press + web, again


def indexed(folder, docs, worker):
    """An index of one crawl."""
    store = Store(str(folder / "index"))
    index_add.add(crawl(folder / "first", ALL, docs, worker), store.uri)
    return store


def test_removed_documents_are_new_when_they_come_again(local, tmp_path):
    docs, again = two_sources()
    store = indexed(tmp_path, docs, local)
    assert len(duplicates(crawl(tmp_path / "before", ALL, again, local, index=store.uri))) == 6
    found = index_edit.remove(store, ["press"], [docs[8]["doc_id"], "0" * 32])
    assert (found.documents, found.unknown, found.head.version) == (5, ("0" * 32,), 2)
    assert found.head.documents == 5
    rows = duplicates(crawl(tmp_path / "after", ALL, again, local, index=store.uri))
    # The web's copies of press are in the index still, and are no reason to leave out a new one: none of them is kept.
    assert rows.keys() == {again[5]["doc_id"]}
    assert index.read(store, 1).documents == 10


def test_compaction_forgets_the_removed_and_changes_no_result(local, tmp_path):
    docs, again = two_sources()
    store = indexed(tmp_path, docs, local)
    index_edit.remove(store, ["press"], [])
    index_edit.remove(store, [], [docs[9]["doc_id"]])
    before = duplicates(crawl(tmp_path / "a", ALL, again, local, index=store.uri))
    head, less = index_edit.compact(store)
    assert less > 0
    assert head.documents == 5
    assert all(not file.deletes for file in head.files)
    assert duplicates(crawl(tmp_path / "b", ALL, again, local, index=store.uri)) == before
    assert store.list("versions") == [f"versions/{head.version:06d}.json"]
    assert not store.list("deletes")
    names = [row for path in store.list("documents") for row in pq.read_table(store.full(path)).to_pylist()]
    assert {row["doc_id"].hex() for row in names} == ids(docs[4:9])
    with pytest.raises(UsageError, match="version 1 is not there any more"):
        index.read(store, 1)


def test_a_merge_that_was_folded_by_compaction(local, tmp_path):
    rng = random.Random(12)
    text = prose(rng, 300)
    store = indexed(tmp_path, [doc("by-text", text), doc("by-url", prose(rng, 300), url="http://a.cn/1")], local)
    bridge = crawl(tmp_path / "bridge", ALL, [doc("bridge", text, url="http://a.cn/1")], local, index=store.uri)
    assert index_add.add(bridge, store.uri)[0].merges
    later = [doc("later", text + "。"), doc("later-2", prose(rng, 200), url="http://a.cn/1")]
    before = duplicates(crawl(tmp_path / "a", ALL, later, local, index=store.uri))
    assert len(before) == 2
    assert not index_edit.compact(store)[0].merges
    assert duplicates(crawl(tmp_path / "b", ALL, later, local, index=store.uri)) == before


def test_two_indexes_made_one(local, tmp_path):
    docs = sample()
    one, other, both = (Store(str(tmp_path / name)) for name in ("one", "other", "both"))
    shared, left, right, new = docs[:40], docs[40:80], docs[80:120], docs[120:]
    for store, rest in ((one, left), (other, right)):
        index_add.add(crawl(tmp_path / f"{store.uri}-shared", ALL, shared, local), store.uri)
        index_add.add(crawl(tmp_path / f"{store.uri}-rest", ALL, rest, local, index=store.uri), store.uri)
    head = index_edit.merge(one, other, both)
    assert head.documents == 120
    assert [run["generation"] for run in head.runs] == [1, 2, 4]
    found = index_edit.find(both, head, [docs[0]["doc_id"], docs[100]["doc_id"]])
    assert {entry["doc_id"] for entry in found} == {docs[0]["doc_id"], docs[100]["doc_id"]}
    against = {name: set(duplicates(crawl(tmp_path / f"new-{name}", ALL, new, local, index=store.uri)))
               for name, store in (("one", one), ("other", other), ("both", both))}  # fmt: skip
    assert against["both"] == against["one"] | against["other"]
    assert against["one"] != against["other"]
    with pytest.raises(UsageError, match="stands there already"):
        index_edit.merge(one, other, both)


def test_an_index_on_an_object_store(local, tmp_path, s3_address, monkeypatch):
    for name, value in crawlkit.s3_environment(s3_address).items():
        monkeypatch.setenv(name, value)
    crawlkit.upload(tmp_path, "indexes")
    worker = engine.create("local", workers=1)  # its processes know the server
    docs, again = two_sources()
    store = Store("s3://indexes/all")
    index_add.add(crawl(tmp_path / "first", ALL, docs, worker), store.uri)
    with index.locked(store), pytest.raises(UsageError, match="another command is writing to it since") as error:
        index_edit.remove(store, ["press"], [])
    assert "delete locks/" in str(error.value)
    assert not store.list("locks")
    assert len(duplicates(crawl(tmp_path / "new", ALL, again, worker, index=store.uri))) == 6
    assert index_edit.remove(store, ["press"], []).head.documents == 6
    assert index_edit.compact(store)[0].documents == 6
    worker.close()


def test_commands(local, tmp_path):
    docs, _ = two_sources()
    store = indexed(tmp_path, docs, local)

    def said(*arguments):
        done = CliRunner().invoke(cli, ["index", *arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == 0
        return json.loads(done.output)

    shown = said("show", store.uri)
    assert shown["documents"] == 10
    assert shown["parameters"]["minhash.ngram"] == 5
    name = docs[5]["doc_id"]
    (entry,) = said("show", store.uri, "--doc", name)
    assert (entry["doc_id"], entry["source"], entry["kept"]) == (name, "web", False)
    assert entry["keeper"] == docs[1]["doc_id"]
    wanted = tmp_path / "ids.txt"
    wanted.write_text("\n".join(sorted(ids(docs[:2]))))
    asked = ["remove", store.uri, "--file", str(wanted)]
    assert said(*asked, "--dry-run")["removed"] == 2
    assert index.read(store).version == 1
    assert said(*asked) == {"index": store.uri, "version": 2, "removed": 2, "unknown": [], "dry_run": False}
    assert said("compact", store.uri)["documents"] == 8
    text = CliRunner().invoke(cli, ["index", "show", store.uri]).output
    assert "compact" in text
    assert "8 documents" in text
    for arguments, says in (
        ([store.uri], "nothing to remove"),
        ([store.uri, "--doc", "abc"], "no doc_id"),
        ([store.uri, "--source", "nobody"], "holds no document"),
    ):
        with pytest.raises(UsageError, match=says):
            CliRunner().invoke(cli, ["index", "remove", *arguments], catch_exceptions=False, standalone_mode=False)
