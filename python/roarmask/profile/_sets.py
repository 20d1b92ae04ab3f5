# SPDX-License-Identifier: Apache-2.0
"""What block masses say: the smallest sets, where the mass lies, and how much sets have in common. NumPy only.

A head's masses are a float array [rows, cols] whose rows sum to 1; the last row sees the last column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Masses = NDArray[np.float32]
Cells = NDArray[np.bool_]

_ROUNDING = 1e-6  # of float32 sums of probabilities


def visible(rows: int, cols: int) -> Cells:
    """The causal cells: bool [rows, cols], the last row seeing all."""
    return np.asarray(np.tri(rows, cols, cols - rows, dtype=bool))


def largest(values: NDArray[np.floating], counts: NDArray[np.integer]) -> Cells:
    """In each row the `counts` columns with the largest values, of equals the first.

    Args:
        values: [..., cols]
        counts: [...], from 1 to cols.

    Returns:
        bool [..., cols]
    """
    # Sorting values alone is many times faster than sorting places by them.
    last = np.take_along_axis(np.sort(values, axis=-1), values.shape[-1] - counts[..., None], -1)
    above, level = values > last, values == last
    missing = counts[..., None] - above.sum(axis=-1, keepdims=True)
    return np.asarray(above | (level & (np.cumsum(level, axis=-1) <= missing)))


def smallest_rows(mass: Masses, share: float) -> Cells:
    """In each row the fewest columns that hold `share` of the row's mass, the heaviest first. bool, of mass's shape [..., cols]."""
    running = np.cumsum(-np.sort(-mass, axis=-1), axis=-1, dtype=np.float64)
    needed = (running < share * running[..., -1:] - _ROUNDING).sum(axis=-1) + 1
    return np.asarray(largest(mass, np.minimum(needed, mass.shape[-1])) & (mass > 0))


def smallest(mass: Masses, share: float) -> Cells:
    """The fewest cells of the whole head that hold `share` of its mass. bool [rows, cols]"""
    return smallest_rows(mass.reshape(1, -1), share).reshape(mass.shape)


def kept_by_density(mass: Masses, densities: NDArray[np.float64]) -> list[float]:
    """The most mass that so many of the head's causal cells can hold, for each density from 0 to 1."""
    rows, cols = mass.shape
    causal = int(visible(rows, cols).sum())
    running = np.concatenate([[0.0], np.cumsum(-np.sort(-mass, axis=None), dtype=np.float64)])
    return [float(running[min(round(d * causal), mass.size)] / running[-1]) for d in densities]


def parts(mass: Masses, sink: int = 1, window: int = 8, heavy: float = 0.01) -> dict[str, Any]:
    """Where a head's mass lies. Each cell counts once, for the first of these that has it:

    - sink: the first `sink` columns
    - window: the row's own block and the `window` - 1 before it
    - columns: columns whose mean over the rows below their window is at least `heavy`
    - diagonals: distances whose mean over their rows is at least `heavy`, in what is left
    - remainder

    Columns and diagonals that fewer than eight rows see are not counted as such.

    Returns:
        the five shares, which sum to 1, and `column_list` and `diagonal_list`, in blocks.
    """
    rows, cols = mass.shape
    distance = (np.arange(rows)[:, None] + cols - rows) - np.arange(cols)[None, :]
    left = np.where(distance >= 0, mass, 0).astype(np.float64)
    total = left.sum()
    shares: dict[str, Any] = {}

    def take(name: str, cells: Cells) -> None:
        shares[name] = float(left[cells].sum() / total)
        left[cells] = 0

    take("sink", np.broadcast_to(np.arange(cols)[None, :] < sink, mass.shape))
    take("window", (distance >= 0) & (distance < window))
    seen = (distance >= window).sum(axis=0)
    columns = np.flatnonzero((seen >= 8) & (left.sum(axis=0) >= heavy * seen))
    take("columns", np.isin(np.arange(cols), columns)[None, :] & (distance >= 0))
    flat = np.where(distance >= 0, distance, cols).ravel()
    seen = np.bincount(flat, minlength=cols + 1)[:cols]
    sums = np.bincount(flat, weights=left.ravel(), minlength=cols + 1)[:cols]
    diagonals = np.flatnonzero((seen >= 8) & (sums >= heavy * np.maximum(seen, 1)))
    take("diagonals", np.isin(distance, diagonals))
    shares["remainder"] = float(left.sum() / total)
    shares["column_list"], shares["diagonal_list"] = columns.tolist(), diagonals.tolist()
    return shares


def jaccard_table(sets: Cells) -> NDArray[np.float64]:
    """Cells in both over cells in either, of every pair of sets. bool [n, ...] -> float64 [n, n]; 1 where both are empty."""
    flat = sets.reshape(len(sets), -1).astype(np.float32)
    both = (flat @ flat.T).astype(np.float64)
    sizes = flat.sum(axis=1, dtype=np.float64)
    either = sizes[:, None] + sizes[None, :] - both
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0))


def mean_of_pairs(table: NDArray[np.float64]) -> float:
    """The mean of a symmetric table without its diagonal; 1 where it has one entry."""
    n = len(table)
    return float((table.sum() - np.trace(table)) / (n * (n - 1))) if n > 1 else 1.0


def step_traffic(steps: Cells) -> dict[str, float]:
    """What consecutive decode steps have in common: bool [heads, steps, cols], a set for each head and step.

    Returns:
        blocks: read a step; new: of these, the ones that the step before did not read (and-not); jaccard: of neighbours. Means over
        heads and steps.
    """
    now, before = steps[:, 1:], steps[:, :-1]
    both = (now & before).sum(axis=-1)
    either = (now | before).sum(axis=-1)
    new = (now & ~before).sum(axis=-1)
    return {"blocks": float(now.sum(axis=-1).mean()), "new": float(new.mean()), "jaccard": float((both / np.maximum(either, 1)).mean())}
