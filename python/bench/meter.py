# SPDX-License-Identifier: Apache-2.0
"""Bytes that the allocators say they have handed out, peaks of the process, and times."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def _python_bytes() -> int:
    """Bytes in the blocks that Python's own allocator of small objects has handed out: it tells them on the standard error only."""
    with tempfile.TemporaryFile("w+") as told:
        kept = os.dup(2)
        try:
            os.dup2(told.fileno(), 2)
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        told.seek(0)
        found = re.search(r"# bytes in allocated blocks\s*=\s*([\d,]+)", told.read())
    return int(found[1].replace(",", "")) if found else 0


def held_bytes() -> int:
    """All that malloc and Python's allocator have handed out and not got back: tensors, arrays, C structures and Python objects."""
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd + _python_bytes())


def peak_rss() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def limit_memory(num_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (num_bytes, num_bytes))


def seconds(work: Callable[[], Any], least: float, rounds: int = 5) -> float:
    """The median time of `work`: at least so many rounds and so much time, but one round suffices where that takes two seconds."""
    times: list[float] = []
    while len(times) < rounds or sum(times) < least:
        start = time.perf_counter()
        kept = work()
        times.append(time.perf_counter() - start)
        del kept
        if sum(times) > 2 or len(times) >= 1000:
            break
    return statistics.median(times)
