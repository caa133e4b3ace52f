"""The kernel that finds the phrases of all word lists in one walk over a document's reading units."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdfs.rules.jit import inlined, kernel

_U0, _U1, _U29, _U32, _U48 = (np.uint64(n) for n in (0, 1, 29, 32, 48))
_WORD, _MIX, _FNV = np.uint64(1 << 63), np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3)


@inlined
def _child(keys: Any, mask: Any, node: Any, unit: Any) -> Any:
    """The slot of the transition from `node` by `unit`, free where there is none."""
    key = unit * _MIX + np.uint64(node)
    key = (key ^ (key >> _U32)) * _MIX
    key = max(key ^ (key >> _U29), _U1)
    at = key & mask
    while keys[at] != key and keys[at] != _U0:
        at = (at + _U1) & mask
    return np.int64(at)


@kernel
def count(bounds: Any, units: Any, starts: Any, keys: Any, nodes: Any, lists: Any, out: Any) -> None:
    """Count phrases by list: from left to right the longest that fits, without overlap.

    Args:
        bounds: int64[n + 1], where documents begin in `units`, uint64.
        starts, keys, nodes, lists: the phrases (`mdfs.rules.phrases.Trie`).
        out: int64[n, number of lists], zeros; filled.
    """
    mask = np.uint64(keys.size - 1)
    for d in range(bounds.size - 1):
        i, n = bounds[d], bounds[d + 1]
        while i < n:
            # `starts` says of most pairs of units that no phrase begins with them; a word may be a phrase alone.
            pair = (units[i] * _FNV + units[i + 1]) * _MIX if i + 1 < n else _U0
            if units[i] < _WORD and (i + 1 == n or not starts[np.int64(pair >> _U48)]):
                i += 1
                continue
            node, j, end = np.int64(0), i, i
            found: Any = -1
            while j < n:
                at = _child(keys, mask, node, units[j])
                if keys[at] == _U0:
                    break
                node = np.int64(nodes[at])
                j += 1
                if lists[node] >= 0:
                    found, end = np.int64(lists[node]), j
            if found >= 0:
                out[d, found] += 1
                i = end
            else:
                i += 1
