# SPDX-License-Identifier: Apache-2.0
"""One measurement in a process of its own, as a line of JSON: `python python/bench/child.py preset 1m roarmask`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import meter
import numpy as np
from methods import METHODS
from presets import BY_NAME

from roarmask import Mask

TILE, WINDOW = 128, 4096
NUM_QUERIES = 200


# ---------------------------------------------------------------- presets


def preset(name: str, method: str, least: float) -> dict[str, Any]:
    side, expression = BY_NAME[name].side, BY_NAME[name].expression
    mask = Mask.parse(expression, side)
    rows, other_rows = mask.to_csr(), mask.shift(1, 2).to_csr()
    way = METHODS[method]()
    queries = np.random.default_rng(7).integers(0, side, (NUM_QUERIES, 2)).tolist()
    way.row(way.build((np.array([0, 1]), np.array([0], np.int32)), 1), 0)  # imports and first calls
    before = meter.held_bytes()
    start = time.perf_counter()
    held = way.build(rows, side)
    build = time.perf_counter() - start
    num_bytes = meter.held_bytes() - before
    other = way.build(other_rows, side)
    check(way, held, other, rows, other_rows, queries)
    result = {
        "bytes": num_bytes,
        "build": build,
        "row": meter.seconds(lambda: [way.row(held, a) for a, _ in queries], least) / NUM_QUERIES,
        "intersection": meter.seconds(lambda: [way.intersection(held, a, b) for a, b in queries], least) / NUM_QUERIES,
        "and": meter.seconds(lambda: way.both(held, other), least),
        "export": meter.seconds(lambda: way.export(held), least),
        "cells": mask.nnz,
    }
    if method == "roarmask":
        result["parse"] = meter.seconds(lambda: Mask.parse(expression, side), least)
    return result


def check(way: Any, held: Any, other: Any, rows: Any, other_rows: Any, queries: list[list[int]]) -> None:
    """Every answer that is timed, against NumPy's set functions over the rows it was built from."""

    def columns(of: Any, r: int) -> np.ndarray:
        return of[1][of[0][r] : of[0][r + 1]]

    both = way.export(way.both(held, other))
    indptr, indices = way.export(held)
    assert np.array_equal(indptr, rows[0]), "export"
    assert np.array_equal(indices, rows[1]), "export"
    assert indptr.dtype == indices.dtype == np.int32, "export"
    for a, b in queries[:50]:
        assert np.array_equal(way.row(held, a), columns(rows, a)), f"row {a}"
        assert np.array_equal(way.intersection(held, a, b), np.intersect1d(columns(rows, a), columns(rows, b))), f"rows {a} and {b}"
        assert np.array_equal(columns(both, a), np.intersect1d(columns(rows, a), columns(other_rows, a)))


# ---------------------------------------------------------------- context lengths


def block_mask_bytes(block_mask: Any) -> int:
    import torch

    return sum(t.untyped_storage().nbytes() for t in vars(block_mask).values() if isinstance(t, torch.Tensor))


def context_roarmask(tokens: int) -> Callable[[], Any]:
    from roarmask.export import flex_block_mask

    return lambda: flex_block_mask(Mask.parse(f"causal & window({WINDOW})", tokens), TILE)


def context_create_block_mask(tokens: int) -> Callable[[], Any]:
    from torch.nn.attention.flex_attention import create_block_mask

    # Bools only: a difference of positions would take eight times the memory.
    return lambda: create_block_mask(lambda b, h, q, k: (q >= k) & (k > q - WINDOW), 1, 1, tokens, tokens, device="cpu", BLOCK_SIZE=TILE)


def context_dense(tokens: int) -> Callable[[], Any]:
    import torch

    def build() -> Any:
        at = torch.arange(tokens, dtype=torch.int32)
        mask = at[:, None] >= at[None, :]
        return mask.logical_and_(at[None, :] > at[:, None] - WINDOW)

    return build


def context_scipy(tokens: int) -> Callable[[], Any]:
    from scipy.sparse import csr_array

    def build() -> Any:
        at = np.arange(tokens, dtype=np.int64)
        counts = np.minimum(at + 1, WINDOW)
        indptr = np.zeros(tokens + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        indices = np.empty(indptr[-1], np.int32)
        for row in range(tokens):
            indices[indptr[row] : indptr[row + 1]] = np.arange(row + 1 - counts[row], row + 1, dtype=np.int32)
        return csr_array((np.ones(len(indices), bool), indices, indptr), shape=(tokens, tokens))

    return build


def context_pyroaring(tokens: int) -> Callable[[], Any]:
    from pyroaring import BitMap

    return lambda: [BitMap(range(max(0, row + 1 - WINDOW), row + 1)) for row in range(tokens)]


def context_sets(tokens: int) -> Callable[[], Any]:
    return lambda: {row: set(range(max(0, row + 1 - WINDOW), row + 1)) for row in range(tokens)}


CONTEXT = {
    "create_block_mask": context_create_block_mask,
    "dense": context_dense,
    "scipy": context_scipy,
    "pyroaring": context_pyroaring,
    "sets": context_sets,
    "roarmask": context_roarmask,
}


def context(tokens: str, method: str, least: float) -> dict[str, Any]:
    """The token-exact causal window as each would hold it; of the two that make a BlockMask, all of that, first call and later ones."""
    work = CONTEXT[method](int(tokens))
    CONTEXT[method](256)()  # imports and first calls
    base = meter.peak_rss()
    start = time.perf_counter()
    held = work()
    first = time.perf_counter() - start
    result = {"peak": meter.peak_rss() - base, "first": first, "time": first}
    if method in ("create_block_mask", "roarmask"):
        check_tiles(held, int(tokens))
        result["tensors"] = block_mask_bytes(held)
        if first < 2:
            del held
            result["time"] = meter.seconds(work, least)
    return result


def check_tiles(block_mask: Any, tokens: int) -> None:
    """The window's tiles by arithmetic, in sampled rows."""
    tiles = -(-tokens // TILE)
    for row in np.random.default_rng(3).integers(0, tiles, 20).tolist():
        queries = np.arange(row * TILE, min(tokens, (row + 1) * TILE))
        low, high = max(0, int(queries[0]) - WINDOW + 1) // TILE, row
        count = int(block_mask.kv_num_blocks[0, 0, row]), int(block_mask.full_kv_num_blocks[0, 0, row])
        found = [*block_mask.kv_indices[0, 0, row, : count[0]].tolist(), *block_mask.full_kv_indices[0, 0, row, : count[1]].tolist()]
        assert sorted(found) == list(range(low, high + 1)), f"tile row {row}"


# ---------------------------------------------------------------- exporters


def interleaved(works: list[Callable[[], Any]], rounds: int) -> list[float]:
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, list_ in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            list_.append(time.perf_counter() - start)
    return [statistics.median(list_) for list_ in times]


def exporters(name: str, _: str, least: float) -> dict[str, Any]:
    """Exporters into reused buffers beside a copy of as many bytes."""
    from roarmask.export import fa4_block_sparse, flashinfer_bsr

    side = BY_NAME[name].side
    mask = Mask.parse(BY_NAME[name].expression, side)
    if max(mask.row_count(r) for r in range(min(64, side))) > side // 2:
        padded = Mask.parse(BY_NAME[name].expression.replace("global(64)", "sink(64)"), side)  # rows that see all would pad all others
    else:
        padded = mask
    rounds = 5 if least < 0.1 else 15
    result = {}
    for label, work, num_cells in (
        ("flashinfer_bsr", lambda out: flashinfer_bsr(mask, 16, unit=16, out=out), mask.nnz),
        ("fa4_block_sparse", lambda out: fa4_block_sparse(padded, 16, unit=16, out=out), padded.nnz),
    ):
        out = work(None)
        source, target = np.ones(num_cells, np.int32), np.zeros(num_cells, np.int32)
        export, copy = interleaved([lambda work=work, out=out: work(out), lambda s=source, t=target: np.copyto(t, s)], rounds)
        result[label] = {"bytes": 4 * num_cells, "export": export, "copy": copy, "ratio": copy / export}
    return result


def calls(_: str, __: str, least: float) -> dict[str, Any]:
    """What a call costs where the work is little; exporters write into reused buffers."""
    import torch

    from roarmask import attention
    from roarmask.export import fa4_block_sparse, flashinfer_bsr, flex_block_mask

    n = 62500
    a, b = Mask.parse("causal & (sink(64) | window(512))", n), Mask.parse("causal & window(128)", n)
    small = Mask.parse("window(8)", n)

    def each(work: Callable[[], Any]) -> float:
        def many() -> None:
            for _ in range(10000):
                work()

        return meter.seconds(many, least) / 10000

    tiny = Mask.parse("causal", 4)
    query, key = torch.randn(1, 8, 1, 64), torch.randn(1, 2, 64, 64)
    bsr, fa4, flex = flashinfer_bsr(tiny, 16, unit=16), fa4_block_sparse(tiny, 16, unit=16), flex_block_mask(tiny, 16, unit=16)
    return {
        "a & b": each(lambda: a & b),
        "mask[r], 8 columns": each(lambda: small[30000]),
        "mask[r], 576 columns": each(lambda: a[30000]),
        "flashinfer_bsr, 4 x 4": each(lambda: flashinfer_bsr(tiny, 16, unit=16, out=bsr)),
        "fa4_block_sparse, 4 x 4": each(lambda: fa4_block_sparse(tiny, 16, unit=16, out=fa4)),
        "attention, 1 query, 64 keys": each(lambda: attention(query, key, key, tiny, block=16, threads=1)),
        "flex_block_mask, 4 x 4": each(lambda: flex_block_mask(tiny, 16, unit=16, out=flex)),
    }


# ---------------------------------------------------------------- main


def main() -> None:
    kind, first, second = sys.argv[1:4]
    least = float(sys.argv[4]) if len(sys.argv) > 4 else 0.3
    meter.limit_memory(int(float(sys.argv[5]) if len(sys.argv) > 5 else 16) << 30)
    try:
        result = {"preset": preset, "context": context, "exporters": exporters, "calls": calls}[kind](first, second, least)
    except MemoryError:
        result = {"failed": "out of memory"}
    except RuntimeError as failure:
        if "allocate memory" not in str(failure) and "out of memory" not in str(failure):
            raise
        result = {"failed": "out of memory"}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
