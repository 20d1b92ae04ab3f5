# SPDX-License-Identifier: Apache-2.0
"""Summaries of blocks of keys, kept for a cache, and the scores of queries against them: what policies that rank blocks look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._attend import _engine

Floats = NDArray[np.float32]
Int32 = NDArray[np.int32]


def summarize_keys(
    key: Any, which: Int32, num_tokens: Int32, block: int, kind: str, numbers: Floats, *, key_columns: bool = False, threads: int = 0
) -> None:
    """Makes the summaries of some blocks anew.

    Args:
        key: [entries, KV heads, tokens, dim], or [entries, KV heads, dim, tokens] with key_columns: pages, or sequences.
        which: int32 [n], each once: entry * (blocks of an entry) + block of the entry.
        num_tokens: int32 [n], from 1 to block: the keys that count, the block's first.
        kind: "means", or "bounds": the greatest of the keys in each dimension, then the least.
        numbers: float32 [all blocks, KV heads, dim or 2 * dim], contiguous; written to.

    Raises:
        ValueError, IndexError
    """
    _engine().summarize(key, key_columns, which, num_tokens, block, kind == "bounds", numbers, threads)


def score_keys(
    query: Any,
    starts: Int32,
    numbers: Floats,
    table: Int32,
    list_of: Int32,
    num_blocks: Int32,
    kind: str,
    scale: float,
    *,
    threads: int = 0,
) -> Floats:
    """How well rows of queries go with blocks.

    Args:
        query: [tokens, heads, dim]; row i are the tokens from starts[i] to starts[i + 1].
        starts: int32 [rows + 1].
        numbers: as summarize_keys made them.
        table: int32 [lists, most blocks]: blocks in the order in which they are to be scored.
        list_of: int32 [rows], each row's list; num_blocks: int32 [rows], how many of its blocks count.
        scale: above 0.

    Returns:
        float32 [rows, heads, most blocks]: `scale` times the product of the row's mean query with a mean, or the greatest possible one of
        its queries with a key within the bounds. Behind a row's blocks, and where it is not a number, minus infinity.

    Raises:
        ValueError, IndexError
    """
    scores = np.full((len(list_of), query.shape[1], table.shape[1]), -np.inf, np.float32)
    _engine().score(query, starts, numbers, table, list_of, num_blocks, kind == "bounds", scale, scores, threads)
    return scores
