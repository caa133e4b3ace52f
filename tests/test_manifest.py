"""The manifest says what the folder holds, by its schema, and its content digest says what the corpus contains."""

from __future__ import annotations

import json
import random
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import run_folder

from mdfs import manifest
from mdfs.errors import RunError, UsageError
from mdfs.storage import Store

PARTS = {"news": [run_folder.texts(30), run_folder.texts(20, "乙")], "百科": [run_folder.texts(12, "丙")]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, Any]]:
    store = Store(str(tmp_path_factory.mktemp("manifest")))
    return store, run_folder.corpus(store, PARTS)


def test_it_validates_by_its_schema(made: tuple[Store, dict[str, Any]]) -> None:
    schema = json.loads((resources.files("mdfs") / "manifest.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(made[0].read_json("manifest.json"), schema)


def test_every_document_is_accounted_for(made: tuple[Store, dict[str, Any]]) -> None:
    stages = made[1]["stages"]
    assert [stage["name"] for stage in stages] == ["collect", "rules", "dedup", "classify", "tokenize"]
    for stage in stages:
        assert stage["docs_in"] == stage["docs_out"] + stage["docs_dropped"] + stage["quarantined"]
    for before, after in zip(stages, stages[1:], strict=False):
        assert after["docs_in"] == before["docs_out"]
    assert stages[-1]["docs_out"] == made[1]["totals"]["docs"] == 62
    assert stages[0]["quarantine_reasons"] == {"truncated": 3}
    assert stages[1]["dropped"] == {"han_ratio.min": 6, "length.min": 6}


def test_sources_and_mixture_add_up(made: tuple[Store, dict[str, Any]]) -> None:
    data = made[1]
    assert [(s["name"], s["docs"]) for s in data["sources"]] == [("news", 50), ("百科", 12)]
    for key in ("docs", "tokens", "bytes"):
        assert sum(source[key] for source in data["sources"]) == data["totals"][key]
    assert sum(entry["weight"] for entry in data["mixture"]) == pytest.approx(1)


def test_written_again_it_stays_as_it_is(made: tuple[Store, dict[str, Any]]) -> None:
    store, data = made
    before = store.read_bytes("manifest.json")
    assert run_folder.finish(store) == data
    assert store.read_bytes("manifest.json") == before


def test_half_a_manifest_is_replaced(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    data = run_folder.corpus(store, {"news": [run_folder.texts(3)]})
    (tmp_path / "manifest.json").write_text('{"sche')
    assert run_folder.finish(store)["content_digest"] == data["content_digest"]
    manifest.read(store)


def test_the_content_digest_is_blind_to_place_sharding_and_order(
    made: tuple[Store, dict[str, Any]], tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "elsewhere"))
    for source, parts in reversed(PARTS.items()):
        for number, texts in enumerate(parts):
            run_folder.fill(store, f"part-{run_folder.doc_id(source)[:6]}-{number:04d}", source, texts)
    other = run_folder.finish(store, shard_tokens=77, backwards=True)
    assert len(other["shards"]) > len(made[1]["shards"])
    assert other["content_digest"] == made[1]["content_digest"]


@pytest.mark.parametrize("change", ["text", "source", "tokenizer", "missing", "twice"])
def test_the_content_digest_sees_a_change(made: tuple[Store, dict[str, Any]], tmp_path: Path, change: str) -> None:
    shards = list(manifest.read(made[0]).shards)
    tokenizer = made[1]["tokenizer"]["digest"]
    assert manifest.content_digest(random.sample(shards, len(shards)), tokenizer) == made[1]["content_digest"]
    if change == "text":
        parts = {**PARTS, "news": [[*PARTS["news"][0][:-1], "改"], PARTS["news"][1]]}
        assert run_folder.corpus(Store(str(tmp_path)), parts)["content_digest"] != made[1]["content_digest"]
        return
    if change == "source":
        shards[0] = manifest.Shard(**{**vars(shards[0]), "source": "other"})
    elif change == "missing":
        shards.pop()
    elif change == "twice":
        shards.append(shards[0])
    else:
        tokenizer = "0" * 64
    assert manifest.content_digest(shards, tokenizer) != made[1]["content_digest"]


def test_a_corpus_of_nothing_has_a_manifest(tmp_path: Path) -> None:
    data = run_folder.finish(Store(str(tmp_path)))
    assert data["shards"] == data["sources"] == data["mixture"] == []
    assert data["totals"] == {"docs": 0, "tokens": 0, "bytes": 0}


def test_a_shard_that_is_gone_is_an_error_not_a_manifest(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    data = run_folder.corpus(store, {"news": [run_folder.texts(3)]})
    store.delete(data["shards"][0]["path"])
    run = run_folder.run_over(store)
    with pytest.raises(RunError, match="cannot be read"):
        manifest.write(run)


def test_errors_of_reading_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        manifest.read(manifest.locate(str(tmp_path / "no" / "manifest.json")))
    with pytest.raises(UsageError, match="not finished"):
        manifest.read(manifest.locate(str(tmp_path)))
    for content in ("[]", "{}", '{"schema_version": 1}', '{"schema_version": 2}'):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(RunError, match="damaged"):
            manifest.read(manifest.locate(str(tmp_path)))


def test_a_folder_and_its_manifest_are_the_same_place() -> None:
    assert manifest.locate("s3://bucket/out/manifest.json").uri == manifest.locate("s3://bucket/out").uri
    assert manifest.locate("manifest.json").uri == "."
