"""S3 by URI: what stands after `?` reaches inputs, outputs, manifests and sessions."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import crawlkit
import pytest

from mdfs import manifest, objectstore
from mdfs.errors import UsageError
from mdfs.storage import Store, base_name, find_inputs, join


@pytest.fixture
def query(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The options that reach the server without its name in the environment; the bucket `bucket` is there."""
    crawlkit.upload(tmp_path, "bucket")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    return f"?endpoint_override={s3}"


def test_a_store_and_its_files(query: str) -> None:
    store = Store(f"s3://bucket/store{query}")
    store.write_bytes("d/a.txt", b"hello")
    store.write_json("x.json", {"n": 1})
    again = pickle.loads(pickle.dumps(store))  # noqa: S301  (a test's own)
    assert again.list("") == ["d/a.txt", "x.json"]
    assert again.read_json("x.json") == {"n": 1}
    assert again.spark_uri("d/a.txt") == "s3://bucket/store/d/a.txt"
    with pytest.raises(KeyError), store.create("half") as sink:
        sink.write(b"x")
        raise KeyError
    assert not store.exists("half")
    store.delete_folder("d")
    assert store.list("") == ["x.json"]


def test_inputs_keep_how_to_reach_them(query: str) -> None:
    store = Store(f"s3://bucket/in{query}")
    for name in ("x/a.jsonl", "x/y/b.jsonl.gz"):
        store.write_bytes(name, b"{}")
    for asked, inside in (
        (f"s3://bucket/in/x{query}", "y/b.jsonl.gz"),
        (f"s3://bucket/in/**/b*.gz{query}", "x/y/b.jsonl.gz"),
    ):
        uri, _, path, info = find_inputs([asked])[-1]
        assert (uri, path, info.size) == (f"s3://bucket/in/x/y/b.jsonl.gz{query}", inside, 2)
    assert find_inputs([uri])[0][:3] == (uri, "b", "b.jsonl.gz")
    with pytest.raises(UsageError, match="no such file"):
        find_inputs([f"s3://bucket/nothing{query}"])


def test_environment_names_the_server(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    crawlkit.upload(tmp_path, "env")
    Store("s3://env/o").write_bytes("a", b"1")
    assert Store(f"s3://env/o?endpoint_override={s3}&region=us-east-1&anonymous=true").read_bytes("a") == b"1"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    assert Store("s3://env/o").list("") == ["a"]


def test_the_session_reaches_the_same_server(query: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ALLOW_HTTP", "AWS_REGION")
    for name in names:  # so that what is set below goes with the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    objectstore.prepare_session("/local/folder")
    objectstore.prepare_session("s3://bucket/o")
    assert not [name for name in names if name in os.environ]
    objectstore.prepare_session(f"s3://bucket/o{query}")
    assert [os.environ[name] for name in names] == [s3, s3, "true", "us-east-1"]


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://bucket/x?endpoint=http://h", "did you mean 'endpoint_override'"),
        ("s3://bucket/x?anonymous=yes", "anonymous cannot be 'yes'"),
        ("s3://key:secret@bucket/x", "AWS_ACCESS_KEY_ID"),
        ("s3:///x", "no bucket"),
        ("s3://bucket/x?endpoint_override=http://h&scheme=gopher", "cannot be reached"),
    ],
)
def test_a_uri_that_means_nothing_is_told_and_no_secret_with_it(uri: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        Store(uri).list("")
    assert "secret" not in str(told.value)


def test_names_and_paths_go_before_the_options() -> None:
    assert join("s3://bucket/o?region=x", "a/b") == "s3://bucket/o/a/b?region=x"
    assert join("/d/what?", "a") == "/d/what?/a"
    assert base_name("s3://bucket/crawl.warc.gz?region=x") == "crawl"
    assert manifest.locate("s3://bucket/o/manifest.json?region=x").uri == "s3://bucket/o?region=x"
