"""The encoders of Hugging Face that a BERT artifact may hold: which, how they are built, how a text becomes one vector.

Training (`mdfs.classifiers`) and inference (`mdfs.classify.torch_scorer`) share this, so that both see the same model.
Weights are read from safetensors by ourselves and classes come from the installed transformers alone: a folder's own
code (`auto_map`) is never looked at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mdfs.errors import UsageError

Pooling = Literal["mean", "cls", "pooler", "statistics"]
"""What stands for a text: the mean of its tokens' states, the first token's, what the pooler makes of that, or mean and
standard deviation side by side (statistics pooling, Snyder et al. 2018, "X-Vectors"), which also tell whether a text is
all of a piece or an article among menus."""

LEAST_VARIANCE = 1e-6
"""Added before the root of a variance: a text of one token has none, and the root's slope at 0 is endless."""

ENCODERS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
    "distilbert",
    "ernie",
    "deberta-v2",
    "modernbert",
)
"""Values of `model_type` in config.json: encoders that take (input_ids, attention_mask) and give a vector a token."""

OFFSET = ("roberta", "xlm-roberta", "camembert")
"""Of these, those whose positions start behind the padding id, so that as many places of the table are never used."""

GRAPHS = ("bert", "roberta", "xlm-roberta", "camembert")
"""Of these, those that an ONNX graph is written for."""


def read_config(folder: Path) -> dict[str, Any]:
    """`folder/config.json`, checked.

    Raises:
        UsageError: it is missing, no JSON, or of an encoder that is not in `ENCODERS`.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{folder}: no readable config.json ({type(error).__name__}); name a folder of a Hugging Face encoder"
        ) from None
    if kind not in ENCODERS:
        raise UsageError(f"{folder}: config.json says model_type {kind!r}; supported are {', '.join(ENCODERS)}")
    return dict(config)


def positions(config: dict[str, Any]) -> int:
    """How many tokens a row may have."""
    most = int(config.get("max_position_embeddings", 512))
    return most - int(config.get("pad_token_id") or 0) - 1 if config["model_type"] in OFFSET else most


def build(folder: Path, pooling: Pooling, dropout: float = 0.0, attention: str | None = None) -> Any:
    """The encoder of a folder's config.json without its weights, a torch module in float32.

    `attention` is transformers' name of an implementation; scaled dot product attention (SDPA) where not said and the
    encoder has it. `dropout` acts inside the encoder. Raises UsageError where "pooler" is asked of one without.
    """
    from transformers import AutoConfig, AutoModel

    read_config(folder)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
        if isinstance(getattr(config, name, None), float):
            setattr(config, name, dropout)
    supported = getattr(AutoModel._model_mapping[type(config)], "_supports_sdpa", False)
    attention = (attention or "sdpa") if supported else "eager"
    model = AutoModel.from_config(config, attn_implementation=attention, trust_remote_code=False)
    has_pooler = getattr(model, "pooler", None) is not None
    if pooling == "pooler" and not has_pooler:
        raise UsageError(f"{folder}: a {config.model_type} has no pooler; use pooling mean or cls")
    if pooling != "pooler" and has_pooler:
        model.pooler = None
    return model


def load_weights(model: Any, weights: dict[str, Any], folder: Path) -> None:
    """Put tensors under Hugging Face's names into an encoder, with or without its prefix (`bert.`, `roberta.` …).

    Raises:
        UsageError: one that the encoder needs is missing, or has another shape.
    """
    prefix = f"{model.base_model_prefix}."
    own = {name.removeprefix(prefix): value for name, value in weights.items()}
    own = {name: value for name, value in own.items() if name in model.state_dict()}
    try:
        missing, _ = model.load_state_dict(own, strict=False)
    except RuntimeError as error:  # torch's way to say that shapes differ
        line = " ".join(str(error).split())[:200]
        raise UsageError(f"{folder}: model.safetensors does not fit its config.json: {line}") from None
    lost = [name for name in missing if "position_ids" not in name and "token_type_ids" not in name]
    if lost:
        raise UsageError(f"{folder}: model.safetensors lacks {prefix}{lost[0]}; get the whole folder of the model")


def pooled(result: Any, mask: Any, pooling: Pooling, layers: Sequence[int] = ()) -> Any:
    """One vector a row, float32[rows, hidden] (twice that for "statistics"), of an encoder's result.

    With `layers` (1 is the lowest; the result must hold `hidden_states`) those of the states behind each of them, side
    by side.
    """
    import torch

    if pooling == "pooler":
        return result.pooler_output.float()
    parts = [result.hidden_states[number].float() for number in layers] or [result.last_hidden_state.float()]
    if pooling == "cls":
        return torch.cat([states[:, 0] for states in parts], 1)
    weight = mask.unsqueeze(-1).float()
    share, vectors = weight / weight.sum(1, keepdim=True), []
    for states in parts:
        mean = (states * share).sum(1)
        vectors.append(mean)
        if pooling == "statistics":
            variance = ((states - mean.unsqueeze(1)) ** 2 * share).sum(1)
            vectors.append((variance + LEAST_VARIANCE).sqrt())
    return torch.cat(vectors, 1)


def width(hidden_size: int, pooling: Pooling, layers: Sequence[int] = ()) -> int:
    """How many numbers `pooled` gives for a row."""
    return hidden_size * max(1, len(layers)) * (2 if pooling == "statistics" else 1)


def head(weights: dict[str, Any], folder: Path) -> Any:
    """The classifier over a text's vector, a torch module in float32; its tensors are taken out of `weights`.

    `classifier.*` is a linear layer; where there is a `classifier.hidden.*`, it stands before, with gelu between.

    Raises:
        UsageError: there is none.
    """
    from torch.nn import GELU, Linear, Sequential

    parts: list[Any] = []
    for name in ("classifier.hidden", "classifier"):
        matrix, bias = weights.pop(f"{name}.weight", None), weights.pop(f"{name}.bias", None)
        if matrix is not None and bias is not None:
            linear = Linear(matrix.shape[1], matrix.shape[0])
            linear.load_state_dict({"weight": matrix.float(), "bias": bias.float()})
            parts += [linear] if name == "classifier" else [linear, GELU()]
    if len(parts) % 2 == 0:
        raise UsageError(
            f"{folder}: model.safetensors lacks classifier.weight; `mdfs classifier train` makes such a folder"
        )
    return Sequential(*parts)
