# SPDX-License-Identifier: Apache-2.0
"""Block masses: how much of the attention of a block of queries goes to each block of keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 256  # queries at a time: their rows of one group of heads stay within some megabytes

Masses = NDArray[np.float32]


def block_masses(query: Any, key: Any, scale: float, block: int, window: int | None = None, rows_per_token: bool = False) -> Masses:
    """The mean softmax probability that the queries of block r give to the keys of block c, summed over those keys.

    A row sums to 1. Only a chunk of queries is worked out at a time, up to its last key.

    Args:
        query: torch float tensor [heads, n, dim], the last n of the tokens.
        key: torch float tensor [kv_heads, tokens, dim], heads being a multiple of kv_heads.
        scale: of the scores before the softmax.
        block: tokens a block.
        window: the model's sliding window in tokens, or None.
        rows_per_token: a row for each query instead of each block of queries.

    Returns:
        float32 [heads, rows, ceil(tokens / block)]. Row 0 is the block that the first query lies in.
    """
    import torch

    heads, num_queries, dim = query.shape
    kv_heads, num_tokens, _ = key.shape
    group = heads // kv_heads
    first = num_tokens - num_queries
    num_cols = -(-num_tokens // block)
    side = 1 if rows_per_token else block
    first_row = first // side
    num_rows = -(-num_tokens // side) - first_row
    masses = torch.zeros(heads, num_rows, num_cols)
    chunk = max(_CHUNK // side, 1) * side
    for begin in range(first_row * side, num_tokens, chunk):
        low, end = max(begin, first), min(begin + chunk, num_tokens)
        position = torch.arange(low, end)
        keys_end = -(-end // block) * block
        past = position[:, None] - torch.arange(end)[None, :]
        hidden = past < 0 if window is None else (past < 0) | (past >= window)
        row_of = position // side - first_row
        weight = 1.0 / torch.bincount(row_of, minlength=num_rows).clamp(min=1)
        for kv_head in range(kv_heads):
            own = slice(kv_head * group, (kv_head + 1) * group)
            scores = query[own, low - first : end - first].reshape(-1, dim) @ key[kv_head, :end].T
            scores = scores.mul_(scale).view(group, end - low, end).masked_fill_(hidden, float("-inf"))
            chances = torch.softmax(scores, dim=-1)
            if keys_end > end:
                chances = torch.nn.functional.pad(chances, (0, keys_end - end))
            sums = chances.view(group, end - low, keys_end // block, block).sum(-1) * weight[row_of][None, :, None]
            masses[own, :, : keys_end // block].index_add_(1, row_of, sums)
    return masses.numpy()
