# SPDX-License-Identifier: Apache-2.0
"""`python python/bench/key_blocks.py`: what policies spend on summaries of keys and scores, beside torch and NumPy doing the same.

SmolLM2's shape: 9 query and 3 KV heads of 64, 8192 tokens, a cache of pages of 32 tokens, blocks of 16, one thread, float32. Medians of
rounds in which the two take turns, in microseconds. Answers are compared first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from roarmask._key_blocks import score_keys, summarize_keys
from roarmask.policies._scored import row_scores

KV_HEADS, GROUP, DIM, PAGE, BLOCK, TOKENS = 3, 3, 64, 32, 16, 8192
TIMES, PAGES = PAGE // BLOCK, TOKENS // PAGE


def in_turns(rounds: int, *ways: Callable[[], Any]) -> list[float]:
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, of_way in zip(ways, times, strict=True):
            begin = time.perf_counter()
            way()
            of_way.append(time.perf_counter() - begin)
    return [1e6 * statistics.median(of_way) for of_way in times]


def show(name: str, ours: float, theirs: float) -> None:
    print(f"{name:34} {ours:10.0f} {theirs:10.0f} {theirs / ours:6.1f} times")


def by_torch(keys: torch.Tensor, which: Any, filled: Any, kind: str, out: Any) -> None:
    places, there = torch.from_numpy(which).long(), (torch.arange(BLOCK) < torch.from_numpy(filled)[:, None])[:, None, None]
    of_blocks = keys.view(PAGES, KV_HEADS, DIM, TIMES, BLOCK)[places // TIMES, :, :, places % TIMES]
    if kind == "bounds":
        parts = [of_blocks.masked_fill(~there, -np.inf).amax(-1), of_blocks.masked_fill(~there, np.inf).amin(-1)]
        out[which] = torch.cat(parts, -1).numpy()
    else:
        out[which] = (of_blocks.masked_fill(~there, 0).sum(-1) / torch.from_numpy(filled)[:, None, None]).numpy()


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    keys = torch.from_numpy(rng.standard_normal((PAGES, KV_HEADS, DIM, PAGE), np.float32))
    table = (rng.permutation(PAGES)[:, None] * TIMES + np.arange(TIMES)).reshape(1, -1).astype(np.int32)
    cols = table.shape[1]
    print(f"{'':34} {'C':>10} {'NumPy':>10}")
    for kind in ("means", "bounds"):
        numbers = np.zeros((PAGES * TIMES, KV_HEADS, DIM * (1 + (kind == "bounds"))), np.float32)
        other = np.zeros_like(numbers)
        for name, count in (("of a decode step", 1), ("of 2048 tokens", 128), ("of 8192 tokens", cols)):
            which = table[0, -count:]
            filled = np.full(count, BLOCK, np.int32)

            def ours(which: Any = which, filled: Any = filled, kind: str = kind, numbers: Any = numbers) -> None:
                summarize_keys(keys, which, filled, BLOCK, kind, numbers, key_columns=True, threads=1)

            def theirs(which: Any = which, filled: Any = filled, kind: str = kind, other: Any = other) -> None:
                by_torch(keys, which, filled, kind, other)

            ours()
            theirs()
            np.testing.assert_allclose(numbers, other, atol=1e-5)
            show(f"{kind} {name}", *in_turns(15, ours, theirs))
        for name, count in (("a decode step", 1), ("512 queries", 512), ("2048 queries", 2048)):
            query = torch.from_numpy(rng.standard_normal((count, KV_HEADS * GROUP, DIM), np.float32))
            rows = -(-count // BLOCK)
            starts = np.minimum(np.arange(rows + 1) * BLOCK, count).astype(np.int32)
            ends, list_of = np.arange(cols - rows + 1, cols + 1).astype(np.int32), np.zeros(rows, np.int32)

            def scores(
                query: Any = query, starts: Any = starts, ends: Any = ends, list_of: Any = list_of, k: str = kind, n: Any = numbers
            ) -> Any:
                return score_keys(query, starts, n, table, list_of, ends, k, 0.125, threads=1)

            def in_numpy(query: Any = query, starts: Any = starts, k: str = kind, n: Any = numbers) -> Any:
                queries = query.view(-1, KV_HEADS, GROUP, DIM).permute(1, 2, 0, 3).numpy()
                return row_scores(queries, starts[:-1].astype(np.int64), n[table[0]].transpose(1, 0, 2)[:, None], k) * np.float32(0.125)

            one, two = scores(), in_numpy().transpose(2, 0, 1, 3).reshape(rows, KV_HEADS * GROUP, cols)
            np.testing.assert_allclose(one[np.isfinite(one)], two[np.isfinite(one)], atol=1e-3)
            show(f"{kind}: scores of {name}", *in_turns(7, scores, in_numpy))


if __name__ == "__main__":
    main()
