# SPDX-License-Identifier: Apache-2.0
"""Counters that cross processes: workers count into a small shared file, the API server's /metrics reads it.

vLLM's workers have no way of their own to hand numbers to the Prometheus endpoint, which lives in another process. The file is
float64 [workers, layers, fields], made by the process that makes the configuration; its path travels in the environment, which the
processes that vLLM starts inherit. Each worker writes its own rows only. Knows nothing of vLLM.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PATH_VARIABLE = "ROARMASK_VLLM_STATS"

# name: (kind, what it says). Counters only grow.
FIELDS = {
    "masked": ("gauge", "1 where the layer runs with masks, 0 where it is dense"),
    "density": (
        "gauge",
        "Cells of the layer's masks over those of causal attention, the mean of its KV heads; where policies choose, blocks read over held",
    ),
    "mask_bytes": ("gauge", "Bytes of the layer's masks; layers that share a mask each count it"),
    "kv_blocks_read": ("counter", "Blocks of the KV cache that attention read, a KV head and piece of query at a time"),
    "kv_blocks_held": ("counter", "Blocks that dense causal attention would have read in the same steps"),
    "attention_seconds": ("counter", "Time in attention of the layer"),
    "mask_seconds": ("counter", "Time in work on masks: selecting blocks, making tables"),
    "choosing_seconds": ("counter", "Time in policies: summaries of keys, scores, masks"),
    "decode_blocks_read": ("counter", "Blocks that decode steps read of what policies chose, in blocks of the KV cache"),
    "decode_blocks_new": ("counter", "Of these, blocks that no decode step just before had read: what had to be fetched"),
}
_COLUMN = {name: index for index, name in enumerate(FIELDS)}


class Stats:
    """The counters of one worker, or of all.

    Attributes:
        values: float64 [workers, layers, fields].
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    @staticmethod
    def create(num_workers: int, num_layers: int) -> Stats:
        """A new file, named in this process's environment and removed when it ends."""
        # Memory where there is such a folder: nothing here needs a disk.
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        handle, name = tempfile.mkstemp(prefix="roarmask-vllm-", dir=folder)
        os.close(handle)
        owner = os.getpid()

        def remove() -> None:
            if os.getpid() == owner:
                Path(name).unlink(missing_ok=True)

        atexit.register(remove)
        os.environ[PATH_VARIABLE] = name
        values = np.memmap(name, np.float64, "w+", shape=(num_workers, num_layers, len(FIELDS)))
        return Stats(values)

    @staticmethod
    def open(num_workers: int, num_layers: int) -> Stats:
        """The file that the environment names, or counters that nobody else sees where there is none that fits.

        Args:
            num_workers: the first ones of the file.
        """
        shape = (num_workers, num_layers, len(FIELDS))
        with contextlib.suppress(KeyError, OSError, ValueError):
            return Stats(np.memmap(os.environ[PATH_VARIABLE], np.float64, "r+", shape=shape))
        return Stats(np.zeros(shape))

    def worker(self, rank: int) -> WorkerStats:
        return WorkerStats(self.values[rank])

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks of a collector. Workers of one layer are added up; gauges are their mean."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        # A layer that a worker has is never without density.
        num_workers = np.maximum((self.values[:, :, _COLUMN["density"]] > 0).sum(axis=0), 1)
        for name, (kind, text) in FIELDS.items():
            family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(f"roarmask:{name}", text, labels=["layer"])
            of_layers = self.values[:, :, _COLUMN[name]].sum(axis=0)
            for layer, value in enumerate(of_layers / num_workers if kind == "gauge" else of_layers):
                family.add_metric([str(layer)], float(value))
            yield family


class WorkerStats:
    """The rows of one worker."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def add(self, layer: int, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._values[layer, _COLUMN[name]] += amount

    def set(self, layer: int, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._values[layer, _COLUMN[name]] = amount

    def get(self, layer: int, name: str) -> float:
        return float(self._values[layer, _COLUMN[name]])

    def total(self, name: str) -> float:
        return float(self._values[:, _COLUMN[name]].sum())
