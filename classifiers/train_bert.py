"""Fine-tune a BERT classifier: any Hugging Face encoder folder in, a folder that `mdfs.classify` loads out."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from mdfs.classifiers import checkpoints
from mdfs.classifiers.datasets import LABELS, Doc

from mdfs.classify import encoders
from mdfs.classify.encoders import Pooling
from mdfs.classify.tokens import Windows, WindowTokenizer
from mdfs.classify.torch_scorer import padded
from mdfs.errors import UsageError

Row = npt.NDArray[np.int64]
Targets = npt.NDArray[np.float32]

STEP = 64
"""Rows are padded to a multiple of this many tokens: on a CPU each new shape is planned and cached anew, which with
every length a shape of its own took three times as long and 5 GB."""

VOCABULARIES = ("vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "spm.model")
"""Files of which transformers can make a tokenizer where a folder has no tokenizer.json."""

CHECKPOINT_SECONDS = 600.0
"""Between two checkpoints within an epoch: what a kill costs at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to fine-tune.

    `learning_rate` is the peak of a linear warm-up and decay; `token_budget` the padded tokens of a batch;
    `smoothing` the label smoothing (the derived labels are sure to be noisy). `dropout` acts inside the encoder; on a
    CPU it and fused attention make a step ten times as dear (3.6 against 0.37 s for 2,048 tokens, 4 layers), so both
    are off there. Where `minutes` is not 0, training ends after that time and the learning rate falls accordingly: for
    a machine without a GPU. `freeze` lowest layers, and with them the embeddings, stay as they are; `balanced` weighs
    each label by 1 / its share; after `patience` epochs without a lower loss on held-out documents training ends, 0
    never; `precision` is that of the matrix products, "bfloat16" (weights stay float32) or "float32". With `layers`
    nothing is tuned: `probe` trains a head on the states behind these, and of the rest only the seed and `balanced`
    count.
    """

    epochs: int = 1
    learning_rate: float = 1e-4
    token_budget: int = 4096
    warm_up: float = 0.08
    smoothing: float = 0.05
    weight_decay: float = 0.01
    pooling: Pooling = "mean"
    dropout: float = 0.0
    minutes: float = 0.0
    seed: int = 1
    freeze: int = 0
    balanced: bool = False
    patience: int = 0
    precision: str = "bfloat16"
    layers: tuple[int, ...] = ()


def make_model(folder: Path, labels: int, pooling: Pooling, dropout: float) -> Any:
    """A torch module (ids, mask) -> logits: the encoder of `folder`, pooled, with a fresh linear head.

    Raises:
        UsageError: the folder holds no encoder that mdfs knows, or its weights are no model.safetensors.
    """
    import torch
    from safetensors.torch import load_file

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            attention = "sdpa" if torch.cuda.is_available() else "eager"
            self.encoder = encoders.build(folder, pooling, dropout, attention)
            self.dropout = torch.nn.Dropout(0.1)
            width = encoders.width(self.encoder.config.hidden_size, pooling)
            self.classifier = torch.nn.Linear(width, labels)

        def forward(self, ids: Any, mask: Any) -> Any:
            result = self.encoder(input_ids=ids, attention_mask=mask)
            return self.classifier(self.dropout(encoders.pooled(result, mask, pooling)))

    path = folder / "model.safetensors"
    if not path.exists():
        raise UsageError(f"{folder}: no model.safetensors; pickled weights are not read, save them as safetensors")
    model = Pooled()
    encoders.load_weights(model.encoder, {name: value.float() for name, value in load_file(path).items()}, folder)
    return model


def save_tokenizer(folder: Path, out: Path) -> None:
    """Write `out/tokenizer.json`: the folder's own, else one that transformers makes of its vocabulary.

    Raises:
        UsageError: the folder has neither.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (folder / name).exists() and out.resolve() != folder.resolve():
            shutil.copyfile(folder / name, out / name)
    if (out / "tokenizer.json").exists():
        return
    if not any((folder / name).exists() for name in VOCABULARIES):  # transformers would make one of no pieces
        raise UsageError(f"{folder}: no tokenizer.json and no {VOCABULARIES[0]}; get the whole folder of the model")
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        made.backend_tokenizer.save(str(out / "tokenizer.json"))
    except (OSError, ValueError, AttributeError, ImportError) as error:
        line = " ".join(str(error).split())[:200]
        raise UsageError(f"{folder}: no tokenizer.json, and none could be made of its vocabulary ({line})") from None


def with_labels(config: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A config.json's table that names the labels, as Hugging Face does."""
    names = {str(i): label for i, label in enumerate(labels)}
    return config | {"id2label": names, "label2id": {label: i for i, label in enumerate(labels)}}


def batches(lengths: Sequence[int], budget: int, rng: random.Random) -> list[list[int]]:
    """Indices in batches of one padded length whose size stays within `budget` tokens, in random order."""
    by_length: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        by_length.setdefault(-(-length // STEP) * STEP, []).append(i)
    out = []
    for long, members in sorted(by_length.items()):
        rng.shuffle(members)
        count = max(1, budget // long)
        out += [members[i : i + count] for i in range(0, len(members), count)]
    rng.shuffle(out)
    return out


class Trainer:
    """One fine-tuning run; on a GPU where torch sees one, in bfloat16 autocast on either unless settings say not."""

    def __init__(self, model_dir: Path, windows: Windows, labels: Sequence[str], settings: Settings) -> None:
        import torch

        torch.manual_seed(settings.seed)
        self.torch, self.settings, self.labels = torch, settings, list(labels)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.folder = model_dir
        self.model = make_model(model_dir, len(labels), settings.pooling, settings.dropout).to(self.device)
        freeze(self.model.encoder, settings.freeze)
        with tempfile.TemporaryDirectory() as made:
            save_tokenizer(model_dir, Path(made))
            self.tokenizer = WindowTokenizer(Path(made) / "tokenizer.json", windows, threads=0)
        self.run: dict[str, Any] = {}
        self.pad_id = self.model.encoder.config.pad_token_id or 0

    def _logits(self, rows: Sequence[Row]) -> Any:
        ids, mask = padded(rows, self.pad_id, STEP)
        half = self.settings.precision == "bfloat16"
        with self.torch.autocast(self.device, self.torch.bfloat16, enabled=half):
            return self.model(*(self.torch.from_numpy(a).to(self.device) for a in (ids, mask))).float()

    def fit(
        self,
        texts: Sequence[str],
        targets: Targets,
        held: tuple[Sequence[str], Targets] | None = None,
        keep: checkpoints.Keeper | None = None,
    ) -> None:
        """Train on texts and their label distributions, float32[texts, labels] (one-hot, or a teacher's).

        With `held` and a `patience`, the loss on held-out texts is looked at after each epoch and the best state stays.
        With `keep`, training goes on from its checkpoint where it has one, to the same end as without the break.
        """
        s = self.settings
        rows, rng = self.tokenizer.rows(texts), random.Random(s.seed)  # noqa: S311 (no secret)
        epochs = [batches([len(r) for r in rows], s.token_budget, rng) for _ in range(s.epochs)]
        plan = [batch for epoch in epochs for batch in epoch]
        ends = set(np.cumsum([len(epoch) for epoch in epochs]).tolist())
        watched = (self.tokenizer.rows(held[0]), held[1]) if held is not None and s.patience else None
        state = checkpoints.State(self.torch, self.model, self._optimizer())
        if keep is not None:
            keep.restore(state)
        started, saved = time.monotonic() - state.seconds, time.monotonic()
        weight = self._weights(targets)
        self.model.train()
        for step in range(state.step, len(plan)):
            loss = self._step([rows[i] for i in plan[step]], targets[plan[step]], weight, state.optimizer)
            state.step, state.seconds = step + 1, time.monotonic() - started
            done = max(state.step / len(plan), state.seconds / (s.minutes * 60 or float("inf")))
            if step % 50 == 0:
                click.echo(f"step {step}/{len(plan)} loss {loss:.4f} done {done:.0%}", err=True)
            self._learning_rate(state.optimizer, done)
            if watched is not None and state.step in ends:
                state.judge(self._loss(*watched))
                click.echo(f"held-out loss {state.losses[-1]:.4f}, best {state.best:.4f}", err=True)
            over = done >= 1 or (bool(s.patience) and state.since >= s.patience)
            if keep is not None and not over and (state.step in ends or time.monotonic() - saved > CHECKPOINT_SECONDS):
                keep.save(state)
                saved = time.monotonic()
            if over:
                break
        state.take_best()
        self.run = {"documents": len(rows), "batches_planned": len(plan), "batches_trained": state.step}
        if state.losses:
            self.run["held_out_losses"] = [round(loss, 4) for loss in state.losses]

    def _optimizer(self) -> Any:
        s = self.settings
        trained = [value for value in self.model.parameters() if value.requires_grad]
        return self.torch.optim.AdamW(trained, s.learning_rate * s.warm_up / 10, weight_decay=s.weight_decay)

    def _learning_rate(self, optimizer: Any, done: float) -> None:
        s = self.settings
        for group in optimizer.param_groups:
            group["lr"] = s.learning_rate * max(0.0, min(done / s.warm_up, (1 - done) / (1 - s.warm_up)))

    def _weights(self, targets: Targets) -> Any:
        return self.torch.from_numpy(label_weights(targets)).to(self.device) if self.settings.balanced else None

    def _step(self, rows: Sequence[Row], targets: Targets, weight: Any, optimizer: Any) -> float:
        torch, s = self.torch, self.settings
        smooth = targets * (1 - s.smoothing) + s.smoothing / len(self.labels)
        wanted = torch.from_numpy(smooth.astype(np.float32)).to(self.device)
        loss = torch.nn.functional.cross_entropy(self._logits(rows), wanted, weight=weight)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _loss(self, rows: Sequence[Row], targets: Targets) -> float:
        """Mean cross entropy on held-out rows, without smoothing."""
        logits = self._evaluated(rows).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-(targets * logs).sum(axis=1).mean())

    def _evaluated(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        out = np.zeros((len(rows), len(self.labels)), np.float32)
        training = self.model.training
        self.model.eval()
        with self.torch.no_grad():
            for batch in batches([len(r) for r in rows], self.settings.token_budget, random.Random(0)):  # noqa: S311
                out[batch] = self._logits([rows[i] for i in batch]).cpu().numpy()
        self.model.train(training)
        return out

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32[texts, labels]; in evaluation mode, in the order of the texts."""
        return self._evaluated(self.tokenizer.rows(texts))

    def save(self, model_dir: Path, out_dir: Path) -> None:
        """Write a Hugging Face folder: config with labels, tokenizer, float32 weights under Hugging Face's names."""
        from safetensors.numpy import save_file

        out_dir.mkdir(parents=True, exist_ok=True)
        prefix = self.model.encoder.base_model_prefix
        state = {
            name.replace("encoder.", f"{prefix}.", 1) if name.startswith("encoder.") else name: value
            for name, value in self.model.state_dict().items()
            if "position_ids" not in name
        }
        arrays = {name: value.detach().float().cpu().numpy().copy() for name, value in state.items()}
        save_file(arrays, out_dir / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
        config.pop("auto_map", None)
        if config["model_type"] == "bert":
            pooler = self.settings.pooling == "pooler"
            config["architectures"] = ["BertForSequenceClassification" if pooler else "BertModel"]
        text = json.dumps(with_labels(config, self.labels), indent=2) + "\n"
        (out_dir / "config.json").write_text(text, encoding="utf-8")
        save_tokenizer(model_dir, out_dir)


def freeze(encoder: Any, layers: int) -> None:
    """Let the embeddings and the `layers` lowest layers of an encoder stay as they are; 0 freezes nothing.

    Raises:
        UsageError: the encoder has fewer layers.
    """
    import torch

    if not layers:
        return
    depth = encoder.config.num_hidden_layers
    stacks = [m for m in encoder.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    if not stacks or layers > depth:
        raise UsageError(f"--freeze {layers}: this encoder has {depth} layers")
    for part in (encoder.embeddings, *stacks[0][:layers]):
        part.requires_grad_(False)


def label_weights(targets: Targets) -> npt.NDArray[np.float32]:
    """1 / share of each label, float32[labels], scaled so that the mean document weighs 1."""
    share = targets.mean(axis=0)
    weights: npt.NDArray[np.float32] = np.where(share > 0, 1 / np.maximum(share, 1e-9) / len(share), 0)
    return weights.astype(np.float32)


def one_hot(docs: Sequence[Doc], labels: Sequence[str] = LABELS) -> Targets:
    """float32[docs, labels]."""
    return np.eye(len(labels), dtype=np.float32)[[labels.index(d.label) for d in docs]]


def fine_tune(
    model_dir: Path,
    out_dir: Path,
    docs: Sequence[Doc],
    windows: Windows,
    settings: Settings,
    *,
    labels: Sequence[str] = LABELS,
    held: Sequence[Doc] = (),
    keep: checkpoints.Keeper | None = None,
) -> Trainer:
    """Fine-tune the encoder in `model_dir` on `docs`, write the classifier to `out_dir` and return the run."""
    lacking = set(labels) - set(Counter(d.label for d in docs))
    if lacking:
        raise UsageError(f"no document to train on has the label {sorted(lacking)[0]!r}")
    trainer = Trainer(model_dir, windows, labels, settings)
    started = time.monotonic()
    watched = ([d.text for d in held], one_hot(held, labels)) if held else None
    trainer.fit([d.text for d in docs], one_hot(docs, labels), watched, keep)
    click.echo(f"{len(docs)} documents x {settings.epochs} in {time.monotonic() - started:.0f} s", err=True)
    trainer.save(model_dir, out_dir)
    return trainer
