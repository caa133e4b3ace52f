"""The head over an encoder's states: its weights stand for the network that was trained."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def made(texts: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of very different scales, of which two numbers say the label together (exclusive or)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (texts, 6)) * [1, 1, 30, 0.01, 5, 1] + [0, 0, 100, 3, -7, 0]
    wanted = (x[:, 0] > 0) ^ (x[:, 1] > 0)
    return x.astype(np.float32), np.eye(2, dtype=np.float32)[wanted.astype(int)]


def logits(head: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    import torch

    inside = torch.nn.functional.gelu(
        torch.from_numpy(x @ head["classifier.hidden.weight"].T + head["classifier.hidden.bias"])
    )
    return inside.numpy() @ head["classifier.weight"].T + head["classifier.bias"]


def test_it_learns_what_no_linear_head_can() -> None:
    from mdfs.classifiers import probe

    x, targets = made()
    head = probe.fit(
        x, targets, np.ones(len(x), np.float32), probe.Settings(epochs=120, learning_rate=0.01, dropout=(0, 0))
    )
    other, wanted = made(seed=1)
    assert (logits(head, other).argmax(1) == wanted.argmax(1)).mean() > 0.95


def test_several_networks_are_one_whose_logits_are_their_mean() -> None:
    from mdfs.classifiers import probe

    x, targets = made()
    weights = np.ones(len(x), np.float32)
    settings = {"epochs": 3, "hidden": 8}
    both = probe.fit(x, targets, weights, probe.Settings(heads=2, seed=5, **settings))
    alone = [probe.fit(x, targets, weights, probe.Settings(heads=1, seed=seed, **settings)) for seed in (5, 6)]
    mean = np.mean([logits(head, x) for head in alone], axis=0)
    np.testing.assert_allclose(logits(both, x), mean, atol=1e-3)


def test_a_text_without_weight_teaches_nothing() -> None:
    from mdfs.classifiers import probe

    x, targets = made()
    wrong = np.concatenate([targets, targets[:, ::-1]])
    weights = np.repeat(np.array([1, 0], np.float32), len(x))
    settings = probe.Settings(epochs=120, learning_rate=0.01, dropout=(0, 0), heads=1)
    head = probe.fit(np.concatenate([x, x]), wrong, weights, settings)
    assert (logits(head, x).argmax(1) == targets.argmax(1)).mean() > 0.95
