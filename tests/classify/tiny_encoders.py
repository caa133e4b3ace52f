"""Tiny encoders of any kind with random weights, made with transformers: what a Hugging Face folder looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_bert
from safetensors.numpy import save_file

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 72,
    "vocab_size": 64,
    "pad_token_id": 0,  # as in the tokenizer: RoBERTa counts positions by it
}
OWN: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "modernbert": {"local_attention": 16, "global_attn_every_n_layers": 2},
}
"""What a kind's config needs besides `SIZES`."""


def write(folder: Path, kind: str, *, labels: int = 0, seed: int = 0) -> None:
    """Write config.json, tokenizer.json and model.safetensors of an encoder; with `labels` also a linear head."""
    import torch
    from transformers import AutoConfig, AutoModel

    tiny_bert.write(folder)  # for its tokenizer
    said = SIZES | OWN.get(kind, {})
    config = AutoConfig.for_model(kind, **said)
    torch.manual_seed(seed)
    model = AutoModel.from_config(config)
    for value in model.parameters():  # as spread as trained weights, so that texts differ
        torch.nn.init.normal_(value, 0, 0.15) if value.ndim > 1 else None
    state = {f"{model.base_model_prefix}.{name}": value.numpy() for name, value in model.state_dict().items()}
    if labels:
        head = torch.nn.Linear(said["hidden_size"], labels)
        state |= {f"classifier.{name}": value.numpy() for name, value in head.state_dict().items()}
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"id2label": _labels(labels or 2)}))
    save_file({name: value.copy() for name, value in state.items()}, folder / "model.safetensors")


def _labels(count: int) -> dict[str, str]:
    return {str(i): name for i, name in enumerate(("ad", "high", "low")[:count])}
