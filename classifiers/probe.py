"""A head over an encoder that stays as it is: quick to train on a CPU, and what it learns holds on other sites.

Where labelled texts are a few thousand and unlike what the model will meet, tuning the encoder itself teaches it the
style of these texts. Here its states are computed once; on the pooled states of several layers (lower ones know the
form of a text, higher ones its subject) a small network is trained, a few times from different starts, and the mean of
them all is one network again. Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", say why. Measured on 210 pages written after training was done, macro F1: four layers, tuned,
0.89; means of layers 3 and 6 of the untuned encoder 0.93.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mdfs.classifiers.train_bert import STEP, save_tokenizer, with_labels

from mdfs.classify import encoders
from mdfs.classify.encoders import Pooling
from mdfs.classify.tokens import Windows, WindowTokenizer
from mdfs.classify.torch_scorer import padded, token_batches
from mdfs.classify.weights import read_weights
from mdfs.errors import UsageError

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the network is trained: `heads` times `hidden` units, `epochs` over all vectors in batches of `batch`, with
    dropout of the vectors and of the hidden units; `smoothing` is that of the labels."""

    heads: int = 4
    hidden: int = 32
    epochs: int = 30
    batch: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    dropout: tuple[float, float] = (0.2, 0.3)
    smoothing: float = 0.05
    seed: int = 1


def vectors(
    folder: Path,
    windows: Windows,
    layers: Sequence[int],
    pooling: Pooling,
    texts: Sequence[str],
    token_budget: int = 8192,
) -> Vectors:
    """What the encoder in `folder` makes of texts: its states behind `layers`, pooled and side by side.

    float32[texts, n], n as `encoders.width` says.
    Computed in bfloat16, of rows as they are in use.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = encoders.build(folder, pooling)
    weights = {name: torch.from_numpy(value.copy()) for name, value in read_weights(folder).items()}
    encoders.load_weights(encoder, weights, folder)
    encoder, pad = encoder.eval().to(device), encoder.config.pad_token_id or 0
    rows = WindowTokenizer(folder / "tokenizer.json", windows, threads=0).rows(texts)
    out = np.zeros((len(rows), encoders.width(encoder.config.hidden_size, pooling, layers)), np.float32)
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
        for members in token_batches([-(-len(row) // STEP) * STEP for row in rows], token_budget):
            arrays = padded([rows[i] for i in members], pad, STEP)
            ids, mask = (torch.from_numpy(array).to(device) for array in arrays)
            result = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            out[members] = encoders.pooled(result, mask, pooling, layers).cpu().numpy()
    return out


def train(
    encoder: Path,
    out: Path,
    texts: Sequence[str],
    targets: Vectors,
    weights: Vectors,
    *,
    windows: Windows,
    layers: Sequence[int],
    pooling: Pooling,
    labels: Sequence[str],
    settings: Settings,
) -> None:
    """Write `encoder` up to the highest of `layers` to `out`, with a head that is trained on the texts.

    Raises:
        UsageError: the encoder has fewer layers.
    """
    cut(encoder, out, layers[-1])
    write_head(out, fit(vectors(out, windows, layers, pooling, texts), targets, weights, settings), labels)


def cut(encoder: Path, out: Path, layers: int) -> None:
    """Write the encoder in `encoder` with its lowest `layers` layers alone to `out`, in float32, with its tokenizer.

    Raises:
        UsageError: it has fewer, or does not say how many it has.
    """
    from safetensors.numpy import save_file

    config = encoders.read_config(encoder)
    depth = int(config.get("num_hidden_layers", 0))
    if not 0 < layers <= depth:
        raise UsageError(f"{encoder}: config.json names num_hidden_layers {depth}, and --layers asks for {layers}")
    config.pop("auto_map", None)
    save_tokenizer(encoder, out)
    text = json.dumps(config | {"num_hidden_layers": layers}, indent=2) + "\n"
    (out / "config.json").write_text(text, encoding="utf-8")
    prefix = encoders.build(encoder, "mean").base_model_prefix + "."
    above = [f".{name}.{number}." for name in ("layer", "layers") for number in range(layers, depth)]
    stored = {
        prefix + name.removeprefix(prefix): value
        for name, value in read_weights(encoder).items()
        if not name.startswith("classifier.") and not any(part in f".{name}" for part in above)
    }
    save_file(stored, out / "model.safetensors", metadata={"format": "pt"})


def fit(x: Vectors, targets: Vectors, weights: Vectors, settings: Settings) -> dict[str, Vectors]:
    """Train on vectors, float32[texts, n], and label distributions, float32[texts, labels]; a text counts by its
    weight.

    Returns `classifier.hidden.*` and `classifier.*` as `mdfs.classify` wants them in model.safetensors, for vectors as
    they are: that each number is first brought to mean 0 and deviation 1 is in the weights.
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    scaled = (x - mean) / deviation
    heads = [_one(scaled, targets, weights, settings, settings.seed + n) for n in range(settings.heads)]
    inner = np.concatenate([head["1.weight"] for head in heads]) / deviation
    bias = np.concatenate([head["1.bias"] for head in heads]) - inner @ mean
    return {
        "classifier.hidden.weight": inner.astype(np.float32),
        "classifier.hidden.bias": bias.astype(np.float32),
        "classifier.weight": np.concatenate([head["4.weight"] for head in heads], axis=1) / settings.heads,
        "classifier.bias": np.mean([head["4.bias"] for head in heads], axis=0),
    }


def write_head(folder: Path, tensors: dict[str, Vectors], labels: Sequence[str]) -> None:
    """Put a head beside the encoder's weights in `folder`, and its labels into config.json."""
    from safetensors.numpy import load_file, save_file

    stored = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in stored.items() if not name.startswith("classifier.")}
    heads = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
    save_file(kept | heads, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = json.dumps(with_labels(config, labels), indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def _one(x: Vectors, targets: Vectors, weights: Vectors, s: Settings, seed: int) -> dict[str, Vectors]:
    """The weights of one network."""
    import torch
    from torch.nn import GELU, Dropout, Linear, Sequential
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    labels = targets.shape[1]
    network = Sequential(
        Dropout(s.dropout[0]), Linear(x.shape[1], s.hidden), GELU(), Dropout(s.dropout[1]), Linear(s.hidden, labels)
    )
    optimizer = torch.optim.AdamW(network.parameters(), s.learning_rate, weight_decay=s.weight_decay)
    given: list[Any] = [torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (x, targets, weights)]
    for _ in range(s.epochs):
        for members in torch.randperm(len(x)).split(s.batch):
            some, wanted, weight = (a[members] for a in given)
            losses = cross_entropy(network(some), wanted, reduction="none", label_smoothing=s.smoothing)
            ((losses * weight).sum() / weight.sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}
