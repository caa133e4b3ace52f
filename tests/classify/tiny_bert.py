"""A tiny BERT folder with random weights, made without torch: what a user's own Hugging Face folder looks like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

HIDDEN, LAYERS, HEADS, WIDE, POSITIONS = 32, 2, 4, 64, 64
CHARACTERS = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年,。abc0123"
LABELS = ("ad", "high", "low")


def write(folder: Path, *, pooling: str = "pooler", seed: int = 0, layers: int = 0) -> None:
    """Write config.json, tokenizer.json and model.safetensors of a BertForSequenceClassification.

    With `layers`, its head has a layer in between and takes the states of so many layers side by side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {piece: i for i, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *CHARACTERS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": WIDE,
        "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "id2label": {str(i): label for i, label in enumerate(LABELS)},
        "label2id": {label: i for i, label in enumerate(LABELS)},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(_weights(len(vocabulary), pooling, seed, layers), folder / "model.safetensors", metadata={"format": "pt"})


def _weights(pieces: int, pooling: str, seed: int, layers: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out: dict[str, np.ndarray] = {}

    def matrix(name: str, *shape: int) -> None:
        out[name] = rng.normal(0, 0.3, shape).astype(np.float32)

    def linear(name: str, rows: int, columns: int) -> None:
        matrix(f"{name}.weight", rows, columns)
        matrix(f"{name}.bias", rows)

    def norm(name: str) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)

    for name, rows in (("word", pieces), ("position", POSITIONS), ("token_type", 2)):
        matrix(f"bert.embeddings.{name}_embeddings.weight", rows, HIDDEN)
    norm("bert.embeddings.LayerNorm")
    for number in range(LAYERS):
        at = f"bert.encoder.layer.{number}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(f"{at}.{name}", HIDDEN, HIDDEN)
        linear(f"{at}.intermediate.dense", WIDE, HIDDEN)
        linear(f"{at}.output.dense", HIDDEN, WIDE)
        norm(f"{at}.attention.output.LayerNorm")
        norm(f"{at}.output.LayerNorm")
    if pooling == "pooler":
        linear("bert.pooler.dense", HIDDEN, HIDDEN)
    if layers:
        linear("classifier.hidden", WIDE, layers * HIDDEN * (2 if pooling == "statistics" else 1))
    linear("classifier", len(LABELS), WIDE if layers else HIDDEN)
    return out
