"""Fine-tune a BERT classifier: any Hugging Face BERT encoder folder in, a folder that `mdfs.classify` loads out."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from mdfs.classifiers.datasets import LABELS, Doc, read_labelled, split

from mdfs.classify.tokens import Windows, WindowTokenizer

Row = npt.NDArray[np.int64]

STEP = 64
"""Rows are padded to a multiple of this many tokens: on a CPU each new shape is planned and cached anew, which with
every length a shape of its own took three times as long and 5 GB."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to fine-tune.

    `learning_rate` is the peak of a linear warm-up and decay; `token_budget` the padded tokens of a batch;
    `smoothing` the label smoothing (the derived labels are sure to be noisy); `pooling` is "mean" or "pooler".
    `dropout` acts inside the encoder; on a CPU it and fused attention make a step ten times as dear (3.6 against 0.37
    s for 2,048 tokens, 4 layers), so both are off there. Where `minutes` is not 0,
    training ends after that time and the learning rate falls accordingly: for a machine without a GPU.
    """

    epochs: int = 1
    learning_rate: float = 1e-4
    token_budget: int = 4096
    warm_up: float = 0.08
    smoothing: float = 0.05
    weight_decay: float = 0.01
    pooling: str = "mean"
    dropout: float = 0.0
    minutes: float = 0.0
    seed: int = 1


def make_model(folder: Path, labels: int, pooling: str, dropout: float) -> Any:
    """A torch module (ids, mask) -> logits: the BERT of `folder`, pooled, with a fresh linear head."""
    import torch
    from transformers import BertModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = BertModel.from_pretrained(
                folder,
                add_pooling_layer=pooling == "pooler",
                attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
            )
            self.dropout = torch.nn.Dropout(0.1)
            self.classifier = torch.nn.Linear(self.bert.config.hidden_size, labels)

        def forward(self, ids: Any, mask: Any) -> Any:
            out = self.bert(input_ids=ids, attention_mask=mask)
            if pooling == "pooler":
                pooled = out.pooler_output
            else:
                weight = mask.unsqueeze(-1).to(out.last_hidden_state.dtype)
                pooled = (out.last_hidden_state * weight).sum(1) / weight.sum(1)
            return self.classifier(self.dropout(pooled).float())

    return Pooled()


def pad(rows: Sequence[Row], pad_id: int) -> tuple[Row, Row]:
    """(ids, mask), int64[rows, longest rounded up to `STEP`]."""
    ids = np.full((len(rows), _rounded(max(map(len, rows)))), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def _rounded(length: int) -> int:
    return -(-length // STEP) * STEP


def batches(lengths: Sequence[int], budget: int, rng: random.Random) -> list[list[int]]:
    """Indices in batches of one padded length whose size stays within `budget` tokens, in random order."""
    by_length: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        by_length.setdefault(_rounded(length), []).append(i)
    out = []
    for padded, members in sorted(by_length.items()):
        rng.shuffle(members)
        count = max(1, budget // padded)
        out += [members[i : i + count] for i in range(0, len(members), count)]
    rng.shuffle(out)
    return out


class Trainer:
    """One fine-tuning run; on a GPU where torch sees one, in bfloat16 autocast on either."""

    def __init__(self, model_dir: Path, windows: Windows, labels: Sequence[str], settings: Settings) -> None:
        import torch

        torch.manual_seed(settings.seed)
        self.torch, self.settings, self.labels = torch, settings, list(labels)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = make_model(model_dir, len(labels), settings.pooling, settings.dropout).to(self.device)
        self.tokenizer = WindowTokenizer(model_dir / "tokenizer.json", windows, threads=0)
        self.run: dict[str, int] = {}
        self.pad_id = self.model.bert.config.pad_token_id or 0

    def _logits(self, rows: Sequence[Row]) -> Any:
        ids, mask = pad(rows, self.pad_id)
        with self.torch.autocast(self.device, self.torch.bfloat16):
            return self.model(*(self.torch.from_numpy(a).to(self.device) for a in (ids, mask)))

    def fit(self, texts: Sequence[str], targets: npt.NDArray[np.float32]) -> None:
        """Train on texts and their label distributions, float32[texts, labels] (one-hot, or a teacher's)."""
        torch, s = self.torch, self.settings
        rows, rng = self.tokenizer.rows(texts), random.Random(s.seed)  # noqa: S311 (no secret)
        plan = [b for _ in range(s.epochs) for b in batches([len(r) for r in rows], s.token_budget, rng)]
        smooth = targets * (1 - s.smoothing) + s.smoothing / len(self.labels)
        optimizer = torch.optim.AdamW(
            self.model.parameters(), s.learning_rate * s.warm_up / 10, weight_decay=s.weight_decay
        )
        started = time.monotonic()
        self.model.train()
        for step, loss in self._steps(plan, rows, smooth, optimizer):
            done = max((step + 1) / len(plan), (time.monotonic() - started) / (s.minutes * 60 or float("inf")))
            if step % 50 == 0:
                click.echo(f"step {step}/{len(plan)} loss {loss:.4f} done {done:.0%}", err=True)
            self.run = {"documents": len(rows), "batches_planned": len(plan), "batches_trained": step + 1}
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = s.learning_rate * min(done / s.warm_up, (1 - done) / (1 - s.warm_up))

    def _steps(
        self, plan: list[list[int]], rows: list[Row], targets: npt.NDArray[np.float32], optimizer: Any
    ) -> Iterator[tuple[int, float]]:
        torch = self.torch
        for step, batch in enumerate(plan):
            target = torch.from_numpy(targets[batch]).to(self.device)
            loss = torch.nn.functional.cross_entropy(self._logits([rows[i] for i in batch]), target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield step, float(loss.detach())

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32[texts, labels]; in evaluation mode, in the order of the texts."""
        rows = self.tokenizer.rows(texts)
        out = np.zeros((len(rows), len(self.labels)), np.float32)
        self.model.eval()
        with self.torch.no_grad():
            for batch in batches([len(r) for r in rows], self.settings.token_budget, random.Random(0)):  # noqa: S311
                if batch:
                    out[batch] = self._logits([rows[i] for i in batch]).float().cpu().numpy()
        return out

    def save(self, model_dir: Path, out_dir: Path) -> None:
        """Write a Hugging Face folder: config with labels, tokenizer, float32 weights under
        BertForSequenceClassification's names."""
        from safetensors.numpy import save_file

        out_dir.mkdir(parents=True, exist_ok=True)
        state = {k: v.detach().float().cpu().numpy().copy() for k, v in self.model.state_dict().items()}
        save_file(
            {k: v for k, v in state.items() if "position_ids" not in k},
            out_dir / "model.safetensors",
            metadata={"format": "pt"},
        )
        config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
        config["architectures"] = [
            "BertForSequenceClassification" if self.settings.pooling == "pooler" else "BertModel"
        ]
        config["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
        config["label2id"] = {label: i for i, label in enumerate(self.labels)}
        (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (model_dir / name).exists() and out_dir != model_dir:
                shutil.copyfile(model_dir / name, out_dir / name)


def one_hot(docs: Sequence[Doc], labels: Sequence[str] = LABELS) -> npt.NDArray[np.float32]:
    """float32[docs, labels]."""
    return np.eye(len(labels), dtype=np.float32)[[labels.index(d.label) for d in docs]]


def fine_tune(model_dir: Path, out_dir: Path, docs: Sequence[Doc], windows: Windows, settings: Settings) -> Trainer:
    """Fine-tune the encoder in `model_dir` on `docs`, write the classifier to `out_dir` and return the run."""
    trainer = Trainer(model_dir, windows, LABELS, settings)
    started = time.monotonic()
    trainer.fit([d.text for d in docs], one_hot(docs))
    click.echo(f"{len(docs)} documents x {settings.epochs} in {time.monotonic() - started:.0f} s", err=True)
    trainer.save(model_dir, out_dir)
    return trainer


@click.command(
    epilog="Example: python -m mdfs.classifiers.train_bert --model bert-base-chinese --data docs.jsonl --out mine"
)
@click.option(
    "--model", type=click.Path(exists=True, path_type=Path), required=True, help="A Hugging Face BERT folder."
)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    multiple=True,
    help="JSON lines: text, label; may have group or url.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The artifact folder to write.")
@click.option("--epochs", default=2, show_default=True)
@click.option("--learning-rate", default=5e-5, show_default=True)
@click.option("--pooling", type=click.Choice(["mean", "pooler"]), default="mean", show_default=True)
@click.option(
    "--window",
    "window",
    type=int,
    nargs=3,
    default=(112, 56, 84),
    show_default=True,
    help="Tokens of head, middle and tail.",
)
@click.option("--held-out", default=0.1, show_default=True, help="Share of the groups kept for calibration.")
@click.option("--seed", default=1, show_default=True)
def main(
    model: Path,
    data: tuple[Path, ...],
    out: Path,
    epochs: int,
    learning_rate: float,
    pooling: str,
    window: tuple[int, int, int],
    held_out: float,
    seed: int,
) -> None:
    """Fine-tune a BERT folder on labelled documents, calibrate it on held-out groups and write an artifact with its
    card."""
    from mdfs.classifiers.evaluate import fit_temperature, report, softmax

    from mdfs.classify.artifact import seal

    docs = [d for path in data for d in read_labelled(path)]
    train, held = split(docs, held_out, f"train_bert {seed}")
    settings = Settings(epochs=epochs, learning_rate=learning_rate, pooling=pooling, seed=seed)
    trainer = fine_tune(model, out, train, Windows(*window), settings)
    logits, wanted = trainer.logits([d.text for d in held]), [LABELS.index(d.label) for d in held]
    temperature = fit_temperature(logits, wanted)
    seal(
        out,
        kind="bert",
        labels=LABELS,
        fields={
            "created_by": "classifiers/train_bert.py",
            "settings": asdict(settings),
            "preprocessing": {"windows": Windows(*window).as_dict(), "pooling": pooling},
            "calibration": {"temperature": temperature},
            "metrics": {"held_out": report(wanted, softmax(logits / temperature), LABELS)},
        },
    )


if __name__ == "__main__":
    main()
