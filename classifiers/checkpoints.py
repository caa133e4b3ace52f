"""Checkpoints of a fine-tuning: a run that is killed goes on from the last one, to the same weights."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdfs.errors import UsageError

NAME = "checkpoint.pt"


@dataclass
class State:
    """What a training is at: `step` batches done in `seconds`, the losses on held-out documents after each epoch, the
    `best` of them with its weights, and how many epochs ago (`since`) that was."""

    torch: Any
    model: Any
    optimizer: Any
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    best: float = float("inf")
    since: int = 0
    best_weights: dict[str, Any] | None = None

    def judge(self, loss: float) -> None:
        """Take in the loss after an epoch."""
        self.losses.append(loss)
        self.since = 0 if loss < self.best else self.since + 1
        if loss < self.best:
            self.best = loss
            self.best_weights = {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def take_best(self) -> None:
        """Put the weights of the best epoch back, where epochs were judged."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


@dataclass(frozen=True)
class Keeper:
    """Keeps one checkpoint in a folder; `fingerprint` is of the data and settings, which must be the same to go on."""

    folder: Path
    fingerprint: str

    def save(self, state: State) -> None:
        """Write the checkpoint, the old one staying until the new one is whole."""
        torch = state.torch
        self.folder.mkdir(parents=True, exist_ok=True)
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        data = {
            "fingerprint": self.fingerprint,
            "model": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": cuda,
            "best_weights": state.best_weights,
            **{name: getattr(state, name) for name in ("step", "seconds", "losses", "best", "since")},
        }
        torch.save(data, self.folder / f"{NAME}.tmp")
        os.replace(self.folder / f"{NAME}.tmp", self.folder / NAME)

    def restore(self, state: State) -> None:
        """Go on from the checkpoint, where there is one; nothing in it is run (`weights_only`).

        Raises:
            UsageError: it is of other data or settings, or damaged.
        """
        path, torch = self.folder / NAME, state.torch
        if not path.exists():
            return
        try:
            data = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch has no one kind for a damaged file
            raise UsageError(f"{path}: cannot be read ({type(error).__name__}); remove it to start anew") from error
        if data["fingerprint"] != self.fingerprint:
            raise UsageError(f"{path}: is of other data or settings; remove it, or leave out --resume")
        state.model.load_state_dict(data["model"])
        state.optimizer.load_state_dict(data["optimizer"])
        torch.set_rng_state(data["random"])
        if data["random_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(data["random_cuda"])
        state.best_weights = data["best_weights"]
        for name in ("step", "seconds", "losses", "best", "since"):
            setattr(state, name, data[name])

    def remove(self) -> None:
        """Remove the checkpoint of a training that is done."""
        (self.folder / NAME).unlink(missing_ok=True)
