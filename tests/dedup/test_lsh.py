"""Bands from threshold and recall, and their hashes."""

import numpy as np
import pytest

from mdfs.dedup.lsh import band_hashes
from mdfs.dedup.shape import shape
from mdfs.errors import UsageError


@pytest.mark.parametrize(
    ("num_perm", "threshold", "recall", "wanted"),
    [(128, 0.8, 0.95, (18, 7)), (128, 0.8, 0.9, (16, 8)), (256, 0.8, 0.95, (28, 9)), (1, 0.9, 0.5, (1, 1))],
)
def test_the_most_rows_that_reach_the_recall(num_perm, threshold, recall, wanted):
    bands, rows = shape(num_perm, threshold, recall)
    assert (bands, rows) == wanted
    assert 1 - (1 - threshold**rows) ** bands >= recall
    assert all(1 - (1 - threshold**r) ** (num_perm // r) < recall for r in range(rows + 1, num_perm + 1))


def test_a_recall_out_of_reach_is_a_usage_error():
    with pytest.raises(UsageError, match="raise num_perm"):
        shape(4, 0.1, 0.99)


def test_a_band_hash_is_equal_where_the_band_is_and_only_there():
    draw = np.random.default_rng(1)
    one = draw.integers(0, 2**32, (50, 20), dtype=np.uint32)
    other = one.copy()
    other[:, 7] += np.uint32(1)
    same = band_hashes(one, 6, 3) == band_hashes(other, 6, 3)
    assert same.all(axis=0).tolist() == [True, True, False, True, True, True]
    assert not same[:, 2].any()


def test_equal_values_in_different_bands_have_different_hashes():
    found = band_hashes(np.full((1, 12), 5, np.uint32), 4, 3)
    assert found.dtype == np.int64
    assert len(set(found[0].tolist())) == 4


def test_short_signatures_are_refused():
    with pytest.raises(ValueError, match="no 4 bands"):
        band_hashes(np.zeros((1, 11), np.uint32), 4, 3)
