"""Matrices in 8 and in 4 bits: what comes back, what stays as it was, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mdfs.classifiers.quantise import eight, four, quantise
from safetensors.numpy import load_file, save_file

from mdfs.classify.weights import BLOCK, pack, read_weights, unpack, widen
from mdfs.errors import UsageError

NAME = "bert.encoder.layer.0.output.dense.weight"


def stored(folder: Path, shape: tuple[int, int], bits: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(the state as it was, what is in the file after quantising it to `folder`/small)."""
    rng = np.random.default_rng(0)
    state = {
        NAME: rng.normal(0, 0.1, shape).astype(np.float32),
        "bert.embeddings.position_embeddings.weight": rng.normal(0, 0.1, (64, 128)).astype(np.float32),
        "classifier.weight": np.ones((3, 64), np.float32),
        "classifier.bias": np.ones(3, np.float32),
    }
    save_file(state, folder / "model.safetensors")
    quantise(folder, folder / "small", bits)  # type: ignore[arg-type]
    return state, load_file(folder / "small" / "model.safetensors")


@pytest.mark.parametrize(("bits", "kind"), [(8, np.int8), (4, np.uint8)])
def test_large_matrices_shrink_and_the_rest_stays(tmp_path: Path, bits: int, kind: type) -> None:
    state, file = stored(tmp_path, (64, 128), bits)
    assert file[NAME].dtype == kind
    assert sum(value.nbytes for name, value in file.items() if name.startswith(NAME)) <= 64 * 128 * (bits + 0.5) / 8
    wide = read_weights(tmp_path / "small")
    assert wide.keys() == state.keys()
    for name in state.keys() - {NAME}:
        assert file[name].dtype == np.float32
        np.testing.assert_array_equal(wide[name], state[name])


def test_in_eight_bits_a_weight_moves_by_half_a_step_of_its_row(tmp_path: Path) -> None:
    state, _ = stored(tmp_path, (64, 128), 8)
    step = np.abs(state[NAME]).max(axis=1, keepdims=True) / 127
    assert (np.abs(read_weights(tmp_path / "small")[NAME] - state[NAME]) <= step / 2 + 1e-7).all()


def test_in_four_bits_a_weight_moves_by_a_step_of_its_block_at_most(tmp_path: Path) -> None:
    state, _ = stored(tmp_path, (64, 128), 4)
    moved = np.abs(read_weights(tmp_path / "small")[NAME] - state[NAME]).reshape(64, -1, BLOCK)
    step = np.abs(state[NAME]).reshape(64, -1, BLOCK).max(axis=2) / 8
    # Half a step, and at the far end of a block's other side, where 8 would be wanted and 7 is most, a whole one.
    assert (moved.max(axis=2) <= step * 1.001).all()
    assert np.median(moved / step[..., None]) < 0.3


@given(arrays(np.int8, array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6), elements=st.integers(-8, 7)))
def test_four_bit_numbers_come_back_from_their_bytes(numbers: np.ndarray) -> None:
    even = np.concatenate([numbers, numbers], axis=-1)
    packed = pack(even)
    assert packed.dtype == np.uint8
    assert packed.shape[-1] * 2 == even.shape[-1]
    np.testing.assert_array_equal(unpack(packed), even)


@given(
    arrays(np.int8, (3, 2, BLOCK), elements=st.integers(-8, 7)),
    arrays(np.float16, (3, 2), elements=st.floats(-4, 4, width=16).filter(lambda d: abs(d) > 1e-3)),
)
def test_what_was_in_four_bits_is_stored_as_it_was(numbers: np.ndarray, scale: np.ndarray) -> None:
    numbers[..., 5] = -8  # as Q4_0 has it: the farthest from 0
    matrix = (numbers * scale[..., None].astype(np.float32)).reshape(3, -1)
    np.testing.assert_array_equal(widen(*four(matrix)), matrix)


def test_a_block_of_zeros_and_a_row_of_zeros_stay_zeros() -> None:
    nothing = np.zeros((2, 2 * BLOCK), np.float32)
    for packed in (four(nothing), eight(nothing)):
        np.testing.assert_array_equal(widen(*packed), nothing)


def test_again_changes_nothing(tmp_path: Path) -> None:
    for bits in (8, 4):
        folder = tmp_path / str(bits)
        folder.mkdir()
        _, first = stored(folder, (64, 128), bits)
        quantise(folder / "small", folder / "again", bits)
        again = load_file(folder / "again" / "model.safetensors")
        np.testing.assert_array_equal(again[NAME], first[NAME])


def test_rows_that_are_no_multiple_of_a_block_are_refused_in_four_bits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are 100 long, 4 bits want a multiple of 32"):
        stored(tmp_path, (64, 100), 4)
