"""GPUs: how many this machine has, and which of them a process is to use. Needs no GPU library."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

DEVICE_VARIABLE = "MDFS_DEVICE"
"""Environment variable with torch's name of the device a process scores on: cpu, cuda, or cuda:1. The engines set it
where they give each process a GPU of its own; not set, torch's first GPU is used where there is one."""


def gpus() -> int:
    """GPUs that this process may hand out: those that CUDA_VISIBLE_DEVICES names, else the machine's NVIDIA devices.

    0 where torch is not installed or MDFS_DEVICE says cpu.
    """
    if os.environ.get(DEVICE_VARIABLE) == "cpu" or importlib.util.find_spec("torch") is None:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return len([name for name in names if name and not name.startswith("-")])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])


def environment(number: int, cores: int) -> dict[str, str]:
    """What a process is told that has the GPU of this number to itself, and with it so many cores for tokenising."""
    return {DEVICE_VARIABLE: f"cuda:{number}", "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": str(cores)}
