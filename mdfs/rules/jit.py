"""How the kernels of this package are compiled: on first use, without the GIL, kept on disk where a disk can be written.

Numba looks for a place in `NUMBA_CACHE_DIR`, beside the module, then in the user's cache folder. Where none of them can
be written it refuses to cache; the kernels are then compiled anew in each process, which takes seconds and changes nothing.
A cached kernel is renewed when its own file changes, not when another does: helpers stand in the file that uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def kernel(function: _F) -> _F:
    """Compile `function` lazily with Numba."""
    try:
        compiled: _F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


def inlined(function: _F) -> _F:
    """Compile a helper into each kernel of its file that calls it."""
    compiled: _F = numba.njit(nogil=True)(function)
    return compiled
