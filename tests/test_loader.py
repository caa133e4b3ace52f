"""Each document goes to one rank once an epoch, in the same order everywhere, and resuming is exact to the sequence."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import run_folder

from mdfs import loader, manifest
from mdfs.errors import RunError, UsageError
from mdfs.loader import TokenStream
from mdfs.schema import SHARD
from mdfs.storage import Store
from mdfs.tokenize import shards

EOD = 0


def write_corpus(
    folder: Path, documents: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch, group_rows: int = 4
) -> str:
    """A manifest over shards of made-up documents: source → lengths. Each token is the document's own number (from 1),
    and the last is the end of the document, so that a sequence shows what it is made of."""
    monkeypatch.setattr(shards, "GROUP_ROWS", group_rows)
    store, found, number = Store(str(folder)), [], itertools.count(1)
    for source, lengths in documents.items():
        rows = [
            {"doc_id": run_folder.doc_id(n), "input_ids": [n] * (length - 1) + [EOD]}
            for length, n in zip(lengths, number, strict=False)
        ]
        with shards.ShardWriter(store, f"shards/{source}/u", source, 400) as writer:
            writer.write(pa.RecordBatch.from_pylist(rows, schema=SHARD), np.ones(len(rows)))
        found += writer.files
    listed = manifest._shards(store, found)
    store.write_json("manifest.json", {
        "schema_version": 1, "content_digest": manifest.content_digest(listed, "t"), "stages": [],
        "tokenizer": {"digest": "t", "vocab_size": 10_000, "eod_id": EOD}, "totals": manifest.sums(listed),
        "sources": manifest.by_source(listed), "shards": [vars(shard) for shard in listed],
    })  # fmt: skip
    return str(folder)


LENGTHS = [2 + i * 7 % 23 for i in range(150)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("corpus")
        return write_corpus(folder, {"a": LENGTHS[:100], "b": LENGTHS[100:]}, patch)


def ids(stream: TokenStream, count: int | None = None) -> list[list[int]]:
    return [item["input_ids"].tolist() for item in itertools.islice(stream, count)]


def counted(sequences: list[list[int]]) -> Counter[int]:
    return Counter(itertools.chain.from_iterable(sequences))


def all_tokens(uri: str, sources: tuple[str, ...] = ("a", "b")) -> Counter[int]:
    read = manifest.read(manifest.locate(uri))
    tokens: Counter[int] = Counter()
    store = manifest.locate(uri)
    for shard in read.shards:
        if shard.source in sources:
            for group in range(shard.groups):
                tokens.update(loader._Files(store).read(shard, group).flatten().to_pylist())
    return tokens


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 6, 16])
@pytest.mark.parametrize("groups_a_team", [2, 64])
def test_ranks_together_read_every_document_once(
    corpus: str, monkeypatch: pytest.MonkeyPatch, world_size: int, groups_a_team: int
) -> None:
    monkeypatch.setattr(loader, "GROUPS_A_TEAM", groups_a_team)
    length = 5
    of_ranks = [
        ids(TokenStream(corpus, sequence_length=length, rank=rank, world_size=world_size, epochs=1))
        for rank in range(world_size)
    ]
    together, everything = counted(list(itertools.chain(*of_ranks))), all_tokens(corpus)
    assert not together - everything, "nothing is read twice"
    assert (everything - together).total() < length * world_size, "less than a sequence a rank is left out"
    documents = [set(itertools.chain(*sequences)) - {EOD} for sequences in of_ranks]
    assert all(not one & other for one, other in itertools.combinations(documents, 2))
    assert all(documents)


def test_documents_stay_whole_and_in_one_piece(corpus: str) -> None:
    flat = list(itertools.chain(*ids(TokenStream(corpus, sequence_length=7, epochs=1))))
    documents = [list(group) for end, group in itertools.groupby(flat, lambda token: token == EOD) if not end]
    assert all(len(set(document)) == 1 for document in documents)
    assert len(documents) in (149, 150)


def test_the_same_seed_gives_the_same_order_everywhere(corpus: str) -> None:
    """The numbers were written down once: another machine or library version must give them too."""
    first = next(iter(TokenStream(corpus, sequence_length=40, seed=3)))["input_ids"]
    assert first.dtype == np.uint32
    assert first.tolist() == [19] * 12 + [EOD] + [82] * 16 + [EOD] + [131] * 10
    assert ids(TokenStream(corpus, sequence_length=12, seed=3), 20) == ids(
        TokenStream(corpus + "/manifest.json", sequence_length=12, seed=3), 20
    )
    assert ids(TokenStream(corpus, sequence_length=12, seed=4), 5) != ids(
        TokenStream(corpus, sequence_length=12, seed=3), 5
    )
    assert loader._hash(1, 2, np.arange(2)).tolist() == [16613338946343043936, 13264548337748323810]


def test_epochs_differ_in_order_and_carry_the_rest_over(corpus: str) -> None:
    stream = TokenStream(corpus, sequence_length=10, epochs=2)
    items = list(stream)
    epochs = [item["epoch"] for item in items]
    assert epochs == sorted(epochs)
    assert [item["sequence"] for item in items] == list(range(len(items)))
    everything = all_tokens(corpus)
    assert len(items) == 2 * everything.total() // 10
    flat = list(itertools.chain(*(item["input_ids"].tolist() for item in items)))
    first, second = flat[: everything.total()], flat[everything.total() :]
    assert Counter(first) == everything, "the first sequence of epoch 1 begins with what epoch 0 left"
    assert first[: len(second)] != second
    assert list(stream) == []


def test_unshuffled_it_reads_as_it_lies(corpus: str) -> None:
    flat = list(itertools.chain(*ids(TokenStream(corpus, sequence_length=10, shuffle=False, epochs=1))))
    order = [token for token, _ in itertools.groupby(token for token in flat if token != EOD)]
    assert order == sorted(order)


@pytest.mark.parametrize(("rank", "world_size", "groups"), [(0, 1, 8), (1, 3, 2), (2, 4, 1)])
def test_resume_at_every_place_equals_going_on(corpus: str, rank: int, world_size: int, groups: int) -> None:
    def stream() -> TokenStream:
        return TokenStream(
            corpus, sequence_length=37, rank=rank, world_size=world_size, shuffle_groups=groups, epochs=2
        )

    whole, states = [], []
    running = stream()
    states.append(json.dumps(running.state_dict()))
    for item in running:
        whole.append((item["input_ids"].tolist(), item["epoch"], item["sequence"]))
        states.append(json.dumps(running.state_dict()))
    assert len(whole) > 10
    assert max(map(len, states)) < 1000
    for k, state in enumerate(states):
        resumed = stream()
        resumed.load_state_dict(json.loads(state))
        assert [(i["input_ids"].tolist(), i["epoch"], i["sequence"]) for i in resumed] == whole[k:]


def test_iterating_again_goes_on(corpus: str) -> None:
    whole = ids(TokenStream(corpus, sequence_length=10), 12)
    stream = TokenStream(corpus, sequence_length=10)
    assert ids(stream, 5) + ids(stream, 7) == whole
    fresh = pickle.loads(pickle.dumps(stream))
    assert ids(fresh, 3) == ids(stream, 3)


def test_a_sequence_is_the_callers_own(corpus: str) -> None:
    stream = iter(TokenStream(corpus, sequence_length=10))
    first = next(stream)["input_ids"]
    first[:] = 9
    assert next(stream)["input_ids"].tolist() != first.tolist()
    assert first.tolist() == [9] * 10


def test_moving_a_stream_while_it_is_read_is_an_error(corpus: str) -> None:
    stream = TokenStream(corpus, sequence_length=10)
    start = stream.state_dict()
    reading = iter(stream)
    next(reading)
    stream.load_state_dict(start)
    with pytest.raises(UsageError, match="iterate anew"):
        next(reading)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sequence_length": 11}, "sequence_length=10, this one has 11"),
        ({"seed": 5}, "seed=0"),
        ({"rank": 1}, "rank=0"),
        ({"world_size": 3}, "world_size=2"),
        ({"shuffle": False}, "shuffle=True"),
        ({"shuffle_groups": 3}, "shuffle_groups=8"),
        ({"sources": ["a"]}, "sources=None"),
    ],
)
def test_a_state_of_other_arguments_is_an_error(corpus: str, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"sequence_length": 10, "world_size": 2}
    state = TokenStream(corpus, **arguments).state_dict()
    with pytest.raises(UsageError, match=message):
        TokenStream(corpus, **arguments | changed).load_state_dict(state)


def test_a_state_of_another_corpus_or_layout_is_an_error(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = TokenStream(corpus, sequence_length=10).state_dict()
    other = write_corpus(tmp_path / "other", {"a": LENGTHS}, monkeypatch)
    with pytest.raises(UsageError, match="another corpus"):
        TokenStream(other, sequence_length=10).load_state_dict(state)
    anew = write_corpus(tmp_path / "anew", {"a": LENGTHS[:100], "b": LENGTHS[100:]}, monkeypatch, group_rows=9)
    with pytest.raises(UsageError, match="written anew"):
        TokenStream(anew, sequence_length=10).load_state_dict(state)
    for broken in ({}, {"version": 99}, [1]):
        with pytest.raises(UsageError, match="not the state"):
            TokenStream(corpus, sequence_length=10).load_state_dict(broken)  # type: ignore[arg-type]


def test_sources_by_name(corpus: str) -> None:
    for sources in ("b", ["b"], {"b": 7, "a": 0}):
        read = counted(ids(TokenStream(corpus, sequence_length=3, sources=sources, epochs=1)))
        assert (all_tokens(corpus, ("b",)) - read).total() < 3
        assert not read - all_tokens(corpus, ("b",))


def test_weights_equal_to_the_shares_give_each_document_once(corpus: str) -> None:
    by_source = {s["name"]: s["tokens"] for s in manifest.read(manifest.locate(corpus)).data["sources"]}
    read = counted(ids(TokenStream(corpus, sequence_length=1, sources=by_source, epochs=1)))
    assert read == all_tokens(corpus)


def test_weights_repeat_and_sample_sources(corpus: str) -> None:
    total, epochs = all_tokens(corpus).total(), 20
    sequences = ids(TokenStream(corpus, sequence_length=1, sources={"a": 1, "b": 4}, epochs=epochs))
    documents = counted(sequences)
    of_b = sum(count for token, count in documents.items() if token > 100)
    of_a = sum(count for token, count in documents.items() if 0 < token <= 100)
    assert len(sequences) == pytest.approx(total * epochs, rel=0.05)
    assert of_b / (of_a + of_b) == pytest.approx(0.8, abs=0.02)
    whole = all_tokens(corpus)
    repeats = {token: documents[token] / whole[token] / epochs for token in whole if token}
    assert max(repeats.values()) < 4
    assert min(repeats[token] for token in range(101, 151)) >= 2, "0.8 / the share of b is above 2: each at least twice"


def test_workers_of_a_rank_share_its_documents(corpus: str) -> None:
    rank = TokenStream(corpus, sequence_length=5, epochs=1, seed=9)
    parts = [ids(rank.for_worker(worker, 3)) for worker in range(3)]
    whole = all_tokens(corpus)
    read = counted(list(itertools.chain(*parts)))
    assert not read - whole
    assert (whole - read).total() < 3 * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence_length": 100_000}, "less than one sequence of 100,000"),
        ({"sequence_length": 100, "world_size": 64}, "for each of 64 ranks"),
        ({"sequence_length": 1, "world_size": 151}, "150 documents"),
        ({"sequence_length": 0}, "sequence_length must be at least 1"),
        ({"sequence_length": 8, "rank": 2, "world_size": 2}, "rank must be from 0 to world_size - 1 = 1"),
        ({"sequence_length": 8, "epochs": 0}, "epochs must be at least 1"),
        ({"sequence_length": 8, "shuffle_groups": 0}, "shuffle_groups must be"),
        ({"sequence_length": 8, "sources": ["c"]}, "no source is called 'c'; the corpus has a, b"),
        ({"sequence_length": 8, "sources": {"a": -1.0}}, "weights of sources"),
        ({"sequence_length": 8, "sources": {"a": 0}}, "weights of sources"),
    ],
)
def test_bad_arguments_say_what_is_wrong(corpus: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TokenStream(corpus, **arguments)


def test_a_folder_without_a_manifest_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not finished"):
        TokenStream(str(tmp_path), sequence_length=4)


def test_a_shard_that_is_not_what_the_manifest_names_is_an_error(corpus: str, tmp_path: Path) -> None:
    corpus = str(shutil.copytree(corpus, tmp_path / "copy"))
    shard = manifest.read(manifest.locate(corpus)).shards[0]
    path = Path(corpus) / shard.path
    content = path.read_bytes()
    for damaged in (b"", content[:-9]):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="mdfs verify"):
            ids(TokenStream(corpus, sequence_length=4, epochs=1))
    path.unlink()
    stream = TokenStream(corpus, sequence_length=4, epochs=1, shuffle=False)
    with pytest.raises(RunError, match="mdfs verify"):
        ids(stream)
    path.write_bytes(content)
    assert ids(stream) == ids(TokenStream(corpus, sequence_length=4, epochs=1, shuffle=False)), "nothing was lost"


def test_few_files_are_kept_open(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ids(TokenStream(corpus, sequence_length=10, epochs=1))
    monkeypatch.setattr(loader, "OPEN_FILES", 1)
    stream = TokenStream(corpus, sequence_length=10, epochs=1)
    assert ids(stream) == whole
    assert len(stream._files._open) == 1


def test_a_real_run_is_read(tmp_path: Path) -> None:
    data = run_folder.corpus(
        Store(str(tmp_path)), {"news": [run_folder.texts(30)], "百科": [run_folder.texts(9, "乙")]}
    )
    stream = TokenStream(str(tmp_path / "manifest.json"), sequence_length=16, epochs=1)
    tokens = list(itertools.chain(*ids(stream)))
    assert len(tokens) == data["totals"]["tokens"] // 16 * 16
    assert stream.vocab_size == data["tokenizer"]["vocab_size"]
    assert tokens.count(stream.eod_id) in (38, 39)


def test_it_needs_pyarrow_and_numpy_only() -> None:
    code = "import sys; import mdfs.loader; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tokenizers", "numba", "pyspark", "pysail", "torch", "click", "onnxruntime"} & set(loaded)
