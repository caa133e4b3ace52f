"""How the kernels of this package are compiled: on first use, without the GIL, and kept on disk where that can be.

Numba looks for a place in `NUMBA_CACHE_DIR`, beside the module, then in the user's cache folder. Where none of them can
be written it refuses to cache; the kernels are then compiled anew in each process, which takes seconds and changes
nothing. A cached kernel is renewed when its own file changes, not when another does: helpers stand in the file that
uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` lazily with Numba."""
    try:
        compiled: Callable[..., Any] = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a helper with each kernel of its file that calls it."""
    compiled: Callable[..., Any] = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled
