# SPDX-License-Identifier: Apache-2.0
"""The ways to hold a mask that Python's users have. Each is built from the same compressed rows, and answers with int32 arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Rows = tuple[np.ndarray, np.ndarray]  # indptr int64 [rows + 1], indices int32


class Method(NamedTuple):
    about: str
    build: Callable[[Rows, int], Any]
    row: Callable[[Any, int], np.ndarray]
    intersection: Callable[[Any, int, int], np.ndarray]
    both: Callable[[Any, Any], Any]
    export: Callable[[Any], tuple[np.ndarray, np.ndarray]]  # FlashInfer's indptr and indices, int32


def starts_of(counts: Any) -> np.ndarray:
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    return starts


def dense() -> Method:
    import torch

    def build(rows: Rows, side: int) -> Any:
        indptr, indices = rows
        cells = torch.zeros(side, side, dtype=torch.bool)
        view = cells.numpy()
        for row in range(side):
            view[row, indices[indptr[row] : indptr[row + 1]]] = True
        return cells

    def export(cells: Any) -> tuple[np.ndarray, np.ndarray]:
        parts = [cells[row].nonzero()[:, 0].to(torch.int32).numpy() for row in range(len(cells))]
        return starts_of([len(p) for p in parts]), np.concatenate(parts)

    return Method(
        "torch.bool [n, n]",
        build,
        lambda cells, row: cells[row].nonzero()[:, 0].to(torch.int32).numpy(),
        lambda cells, a, b: (cells[a] & cells[b]).nonzero()[:, 0].to(torch.int32).numpy(),
        lambda a, b: a & b,
        export,
    )


def scipy_csr() -> Method:
    from scipy.sparse import csr_array

    def build(rows: Rows, side: int) -> Any:
        indptr, indices = rows
        return csr_array((np.ones(len(indices), bool), indices.copy(), indptr.astype(np.int32)), shape=(side, side))

    def row(m: Any, r: int) -> np.ndarray:
        return m.indices[m.indptr[r] : m.indptr[r + 1]].copy()

    return Method(
        "scipy.sparse.csr_array of bool",
        build,
        row,
        lambda m, a, b: np.intersect1d(row(m, a), row(m, b), assume_unique=True),
        lambda a, b: a.multiply(b),
        lambda m: (m.indptr.copy(), m.indices.copy()),
    )


def pyroaring() -> Method:
    from pyroaring import BitMap

    def build(rows: Rows, side: int) -> Any:
        indptr, indices = rows
        made = [BitMap(indices[indptr[r] : indptr[r + 1]].astype(np.uint32)) for r in range(side)]
        for bitmap in made:
            bitmap.run_optimize()
            bitmap.shrink_to_fit()
        return made

    def columns(bitmap: Any) -> np.ndarray:
        return np.frombuffer(bitmap.to_array(), np.uint32).astype(np.int32)

    def export(m: Any) -> tuple[np.ndarray, np.ndarray]:
        return starts_of([len(bitmap) for bitmap in m]), np.concatenate([columns(bitmap) for bitmap in m])

    return Method(
        "a pyroaring.BitMap a row, run-optimised",
        build,
        lambda m, r: columns(m[r]),
        lambda m, a, b: columns(m[a] & m[b]),
        lambda a, b: [x & y for x, y in zip(a, b, strict=True)],
        export,
    )


def sets() -> Method:
    def build(rows: Rows, side: int) -> Any:
        indptr, indices = rows
        return {r: set(indices[indptr[r] : indptr[r + 1]].tolist()) for r in range(side)}

    def columns(members: set[int]) -> np.ndarray:
        return np.array(sorted(members), np.int32)

    def export(m: Any) -> tuple[np.ndarray, np.ndarray]:
        return starts_of([len(m[r]) for r in range(len(m))]), np.concatenate([columns(m[r]) for r in range(len(m))])

    return Method(
        "a dict of Python sets",
        build,
        lambda m, r: columns(m[r]),
        lambda m, a, b: columns(m[a] & m[b]),
        lambda a, b: {r: a[r] & b[r] for r in a},
        export,
    )


def roarmask() -> Method:
    from roarmask import Mask
    from roarmask.export import flashinfer_bsr

    return Method(
        "roarmask.Mask",
        lambda rows, side: Mask.from_csr(*rows, side),
        lambda m, r: m[r],
        lambda m, a, b: m.intersection(a, b),
        lambda a, b: a & b,
        lambda m: flashinfer_bsr(m, 1)[:2],
    )


METHODS: dict[str, Callable[[], Method]] = {
    "dense": dense,
    "scipy": scipy_csr,
    "pyroaring": pyroaring,
    "sets": sets,
    "roarmask": roarmask,
}
