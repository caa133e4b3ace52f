"""How much memory a run may take: what `--memory` says, or a share of what this machine has."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mdfs.errors import UsageError

#: Of the machine's memory, where nothing is said: what is left is for the driver's other work and the page cache.
SHARE = 0.5
#: The least that can be asked for: interpreters and libraries of the driver and one worker take half of it.
LEAST = 256 << 20

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parse(size: str) -> int:
    """Bytes of a size such as "8GB", "512M" or "6GiB"; "" is `SHARE` of this machine's memory.

    Raises:
        UsageError: not a size, or less than `LEAST`.
    """
    if not size:
        return max(LEAST, int(available() * SHARE))
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", size.lower())
    if not found:
        raise UsageError(f"--memory {size!r} is no size; write 8GB, 512MB or the like")
    number, unit, binary = found.groups()
    scale = 1 << (10 * list(_UNITS).index(unit)) if binary else _UNITS[unit]
    size_in_bytes = int(float(number) * scale)
    if size_in_bytes < LEAST:
        raise UsageError(f"--memory {size} is too little; give at least {LEAST >> 20} MiB")
    return size_in_bytes


def available() -> int:
    """Bytes of memory that this machine or container has."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in map(Path, _LIMITS):
        text = limit.read_text().strip() if limit.exists() else ""
        if text.isdigit():
            found.append(int(text))
    return min(found)
