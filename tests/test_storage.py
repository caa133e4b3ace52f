"""Files appear whole or not at all; inputs are found by path, folder and glob."""

import os

import pytest

from mdfs.errors import RunError, UsageError
from mdfs.storage import TEMPORARY, Store, base_name, find_inputs, glob_match


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(KeyError), store.create("a/b.bin") as sink:
        sink.write(b"half")
        assert not store.exists("a/b.bin")
        raise KeyError
    assert store.list("") == []
    written = store.write_bytes("a/b.bin", b"whole")
    assert store.read_bytes("a/b.bin") == b"whole"
    assert written.bytes == 5
    assert written.path == "a/b.bin"


def test_the_digest_is_that_of_the_bytes(tmp_path):
    import hashlib

    written = Store(str(tmp_path)).write_bytes("x", b"abc")
    assert written.sha256 == hashlib.sha256(b"abc").hexdigest()


def test_a_path_may_not_leave_the_folder(tmp_path):
    for path in ("../x", "a/../../x", "/etc/x"):
        with pytest.raises(RunError, match="leave the folder"):
            Store(str(tmp_path)).write_bytes(path, b"")


def test_sweep_removes_what_is_not_kept(tmp_path):
    store = Store(str(tmp_path))
    for name in ("s/a", "s/b", "t/c", f"s/{TEMPORARY}1", f"{TEMPORARY}2"):
        store.write_bytes(name, b"")
    store.sweep("s", {"s/a"})
    assert store.list("s") == ["s/a"]
    store.sweep_temporary()
    assert store.list("") == ["s/a", "t/c"]


def test_two_runs_do_not_share_a_folder(tmp_path):
    with Store(str(tmp_path)).locked():
        with pytest.raises(UsageError, match="another run"), Store(str(tmp_path)).locked():
            raise AssertionError("locked twice")
    with Store(str(tmp_path)).locked():
        assert True, "free again"


def test_a_broken_json_file_is_told_in_one_line(tmp_path):
    store = Store(str(tmp_path))
    store.write_bytes("x.json", b"{")
    with pytest.raises(RunError, match="not JSON"):
        store.read_json("x.json")


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b.gz", "a/*.gz", True),
        ("a/c/b.gz", "a/*.gz", False),
        ("a/c/b.gz", "a/**/*.gz", True),
        ("a/b.gz", "a/**/*.gz", True),
        ("a/b1", "a/b?", True),
        ("a/b/", "a/b?", False),
        ("a/x.txt", "a/[xy].txt", True),
        ("a/z.txt", "a/[xy].txt", False),
        ("a/z.txt", "a/[!xy].txt", True),
        ("a/5", "a/[0-9]", True),
        ("a.b", "a?b", True),
        ("aXb", "a.b", False),
    ],
)
def test_glob(path, pattern, fits):
    assert glob_match(path, pattern) is fits


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("/d/web.warc.gz", "web"),
        ("news.dat", "news"),
        ("/d/text/", "text"),
        ("s3://b/crawl-2021", "crawl-2021"),
        ("a.b.jsonl.zst", "a.b"),
        (".gz", ".gz"),
    ],
)
def test_base_name(uri, name):
    assert base_name(uri) == name


def test_inputs_by_file_folder_and_glob(tmp_path):
    for name in ("d/a.txt", "d/e/b.txt", "d/.hidden/c.txt", "d/_SUCCESS", "d/.x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    folder = [item[1:3] for item in find_inputs([str(tmp_path / "d")])]
    assert folder == [("d", "a.txt"), ("d", "e/b.txt")]
    assert [item[1:3] for item in find_inputs([str(tmp_path / "d/a.txt")])] == [("a", "a.txt")]
    assert [item[1:3] for item in find_inputs([f"{tmp_path}/d/**/*.txt"])] == folder
    assert [item[1:3] for item in find_inputs([f"file://{tmp_path}/d"])] == folder


@pytest.mark.parametrize("uri", ["nothing", "nothing/*.gz", "no-such-scheme://x/y"])
def test_an_input_that_means_nothing_is_an_error(uri, tmp_path):
    os.chdir(tmp_path)
    with pytest.raises(UsageError, match=uri.split("/")[0].split(":")[0]):
        find_inputs([uri])
