# SPDX-License-Identifier: Apache-2.0
"""Dense tensors, for kernels that know no better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import MaskLike, buffer, is_nested, map_distinct, masks_per_head, token_exact

if TYPE_CHECKING:
    import torch


def dense_bool(mask: MaskLike, *, unit: int = 1, out: Any = None) -> np.ndarray:
    """bool [rows * unit, cols * unit], or [heads, ...] or [batch, heads, ...]: True may be attended to. `out` may be an earlier result."""
    masks = map_distinct(lambda m: token_exact(m, unit), masks_per_head(mask, unit))
    grid = masks[0][0].shape
    shape = grid if isinstance(mask, Mask) else (*([len(masks)] if is_nested(mask) else []), len(masks[0]), *grid)
    cells = buffer(None if out is None else {"cells": out}, "cells", shape, np.bool_)
    flat = cells.reshape(-1, *grid)
    for i, m in enumerate(m for heads in masks for m in heads):
        _core._dense(m, flat[i].view(np.uint8))
    return cells


def additive_bias(mask: MaskLike, *, unit: int = 1, dtype: Any = None, device: Any = "cpu", out: Any = None) -> torch.Tensor:
    """0 where a query may look and -inf elsewhere: the attn_mask of scaled_dot_product_attention in the queries' dtype (float32).

    A query that may look nowhere has no softmax: its output is not a number. `out` may be an earlier result.
    """
    import torch

    allowed = torch.from_numpy(dense_bool(mask, unit=unit)).to(device)
    bias = torch.empty(allowed.shape, dtype=dtype or torch.float32, device=device) if out is None else out
    if bias.shape != allowed.shape:
        raise ValueError(f"out must be {list(allowed.shape)}, not {list(bias.shape)}")
    return bias.zero_().masked_fill_(~allowed, float("-inf"))
