"""How a signature is cut into bands. A module without kernels, so that recipes are checked quickly."""

from __future__ import annotations

from mdfs.errors import UsageError


def shape(num_perm: int, threshold: float, recall: float) -> tuple[int, int]:
    """Bands and rows: the most rows, hence the fewest false candidates, with which pairs at `threshold` are proposed
    with probability `recall` or more.

    Two texts of Jaccard similarity s share at least one of `bands` bands of `rows` values with probability
    1 - (1 - s^rows)^bands (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4).

    Args:
        num_perm: values in a signature; up to rows - 1 of them are left over.
        threshold: Jaccard similarity, between 0 and 1.
        recall: between 0 and 1.

    Returns:
        (bands, rows); (18, 7) for 128 permutations, threshold 0.8 and recall 0.95.

    Raises:
        UsageError: not even bands of one row are enough.
    """
    for rows in range(num_perm, 0, -1):
        bands = num_perm // rows
        if 1 - (1 - threshold**rows) ** bands >= recall:
            return bands, rows
    raise UsageError(
        f"dedup.minhash: {num_perm} permutations cannot find pairs of similarity {threshold} with recall {recall}; "
        "raise num_perm or lower recall"
    )
