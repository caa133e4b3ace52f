"""Make a small BERT out of a larger one: fewer layers, fewer positions, and only the pieces that the texts need."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from mdfs.classifiers.datasets import read_rows


def piece_counts(tokenizer_json: Path, texts: Sequence[str]) -> Counter[int]:
    """How often each token id occurs in `texts` (at most 4,000 characters of each are read)."""
    from tokenizers import Tokenizer

    counts: Counter[int] = Counter()
    for coded in Tokenizer.from_file(str(tokenizer_json)).encode_batch([t[:4000] for t in texts]):
        counts.update(coded.ids)
    return counts


def pieces_to_keep(table: dict[str, Any], counts: Counter[int], size: int) -> list[int]:
    """The ids kept of a Unigram tokenizer, ascending: specials, single ASCII and GB2312 level 1 characters, then the
    likeliest.

    How likely a piece is, is the mean of its share in the texts and of the tokenizer's own probability, so that
    everyday pieces that these texts happen to lack (web furniture, above all) stay.
    """
    vocab = table["model"]["vocab"]
    special = {t["id"] for t in table["added_tokens"]}
    always = set(map(chr, range(33, 127))) | {"▁"} | set(_gb2312_level_1())
    kept = {i for i, (piece, _) in enumerate(vocab) if i in special or piece in always}
    scores = np.array([score for _, score in vocab], np.float64)
    prior = np.exp(scores) * (scores < 0)
    seen = np.array([counts.get(i, 0) for i in range(len(vocab))], np.float64)
    rank = np.argsort(-(seen / max(1.0, seen.sum()) + prior / prior.sum()), kind="stable")
    for i in rank:
        if len(kept) >= size:
            break
        kept.add(int(i))
    return sorted(kept)


def _gb2312_level_1() -> Iterable[str]:
    """The 3,755 most used simplified characters: rows 16 to 55 of GB2312."""
    for row in range(0xB0, 0xD8):
        for cell in range(0xA1, 0xFF):
            yield bytes([row, cell]).decode("gb2312", "ignore")


def prune(model_dir: Path, out_dir: Path, texts: Sequence[str], pieces: int, layers: int, positions: int) -> None:
    """Write to `out_dir` the first `layers` layers of the BERT in `model_dir` with `pieces` pieces and `positions`
    positions.

    The lowest layers are kept, since dropping the top ones loses least (Sajjad et al. 2020, "Poor Man's BERT"). Only
    Unigram tokenizers can be pruned; another raises ValueError.
    """
    from safetensors.numpy import load_file, save_file

    table = json.loads((model_dir / "tokenizer.json").read_text(encoding="utf-8"))
    if table["model"]["type"] != "Unigram":
        raise ValueError(f"{model_dir}: only Unigram tokenizers can be pruned, this one is {table['model']['type']}")
    kept = pieces_to_keep(table, piece_counts(model_dir / "tokenizer.json", texts), pieces)
    state = {k: v.astype(np.float32) for k, v in load_file(model_dir / "model.safetensors").items()}
    small = {name: _cut(name, value, kept, positions) for name, value in state.items() if _layer(name) < layers}
    out_dir.mkdir(parents=True, exist_ok=True)
    save_file(small, out_dir / "model.safetensors", metadata={"format": "pt"})
    _write_tokenizer(table, kept, out_dir)
    config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    config |= {"num_hidden_layers": layers, "vocab_size": len(kept), "max_position_embeddings": positions}
    (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tokenizer_config = json.loads((model_dir / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer_config["model_max_length"] = positions
    (out_dir / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n", encoding="utf-8")


def _layer(name: str) -> int:
    parts = name.split(".")
    return int(parts[parts.index("layer") + 1]) if "layer" in parts else -1


def _cut(name: str, value: np.ndarray[Any, Any], kept: list[int], positions: int) -> np.ndarray[Any, Any]:
    if name.endswith("word_embeddings.weight"):
        return np.ascontiguousarray(value[kept])
    if name.endswith("position_embeddings.weight"):
        return np.ascontiguousarray(value[:positions])
    return value


def _write_tokenizer(table: dict[str, Any], kept: list[int], out_dir: Path) -> None:
    new_id = {old: new for new, old in enumerate(kept)}
    table["model"]["vocab"] = [table["model"]["vocab"][i] for i in kept]
    table["model"]["unk_id"] = new_id[table["model"]["unk_id"]]
    for token in table["added_tokens"]:
        token["id"] = new_id[token["id"]]
    for token in table["post_processor"]["special_tokens"].values():
        token["ids"] = [new_id[i] for i in token["ids"]]
    (out_dir / "tokenizer.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")


@click.command(epilog="Example: python -m mdfs.classifiers.prune --model e5-small-zh --texts docs.jsonl --out small")
@click.option(
    "--model", type=click.Path(exists=True, path_type=Path), required=True, help="A Hugging Face BERT folder."
)
@click.option(
    "--texts", type=click.Path(exists=True, path_type=Path), required=True, help="JSON lines with a text each."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--pieces", default=9000, show_default=True, help="Pieces of the vocabulary to keep.")
@click.option("--layers", default=4, show_default=True, help="Layers to keep, from the bottom.")
@click.option("--positions", default=256, show_default=True, help="The longest row of tokens.")
def main(model: Path, texts: Path, out: Path, pieces: int, layers: int, positions: int) -> None:
    """Cut a BERT down to fewer layers and to the pieces that a set of texts needs."""
    prune(model, out, [row["text"] for row in read_rows(texts)], pieces, layers, positions)


if __name__ == "__main__":
    main()
