# SPDX-License-Identifier: Apache-2.0
"""The machine and the versions that figures come from."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import roarmask


def machine() -> dict[str, str]:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine())
    versions = {name: _version(name) for name in ("numpy", "scipy", "torch", "pyroaring")}
    return {"cpu": cpu, "cores": str(os.cpu_count()), "python": platform.python_version(), "roarmask": roarmask.__version__,
            "simd": roarmask.simd_tier(), **versions}  # fmt: skip


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def available_gigabytes() -> int:
    with open("/proc/meminfo") as info:
        free = next(int(line.split()[1]) for line in info if line.startswith("MemAvailable"))
    return max(2, min(16, int(free * 0.8 / (1 << 20))))
