# SPDX-License-Identifier: Apache-2.0
"""Attention in the plainest way: torch's scaled_dot_product_attention in float64 with a dense mask."""

import numpy as np
import torch

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def tokens_of(mask, block, num_queries, num_keys, first_position, causal):
    """bool [num_queries, num_keys] of which token sees which."""
    queries, keys = first_position + np.arange(num_queries), np.arange(num_keys)
    q, k = (block, block) if isinstance(block, int) else block
    seen = np.ones((num_queries, num_keys), bool)
    if mask is not None:
        seen &= mask.to_dense()[np.ix_(queries // q, keys // k)]
    if causal:
        seen &= keys <= queries[:, None]
    return torch.from_numpy(seen)


def dense_attention(query, key, value, seen, scale=None):
    """[..., heads, tokens, head_dim] in float64; `seen` is broadcast. Rows that see nothing are zeros."""
    group = query.shape[-3] // key.shape[-3]
    key, value = (t.double().repeat_interleave(group, -3) for t in (key, value))
    made = torch.nn.functional.scaled_dot_product_attention(query.double(), key, value, seen, scale=scale)
    return torch.where(seen.any(-1, keepdim=True), made, 0.0)


def difference(made, expected):
    """The largest error, relative to the largest number."""
    made, expected = (torch.as_tensor(np.asarray(t, np.float64)) if isinstance(t, np.ndarray) else t.double() for t in (made, expected))
    assert not made.isnan().any()
    return ((made - expected).abs().max() / expected.abs().max().clamp(min=1e-30)).item() if made.numel() else 0.0
