# SPDX-License-Identifier: Apache-2.0
"""FlashMask: masked row intervals of each key column, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import MaskLike, buffer, map_distinct, masks_per_head, token_exact


def flashmask(mask: MaskLike, *, causal: bool | None = None, num_bounds: int | None = None, unit: int = 1, out: Any = None) -> np.ndarray:
    """FlashMask's startend_row_indices: int32 [B, heads, key tokens, c], one masked row interval for each key column and triangle.

    `mask` is square. causal=None takes the causal form where no mask has a cell above the diagonal, num_bounds=None the
    smallest c that fits: causal 1 (rows >= r1 are masked) or 2 (rows [r1, r2)), otherwise 2 (lower >= r1, upper < r2) or 4 (lower [r1, r2),
    upper [r3, r4)). ValueError names the column and the rows of it that do not fit, and why. `out` may be an earlier result.
    """
    masks = map_distinct(lambda m: token_exact(m, unit), masks_per_head(mask, unit))
    side = masks[0][0].cols
    if causal is None:
        causal = _is_causal(masks)
    if isinstance(out, np.ndarray):
        out = {"startend_row_indices": out}
    choices = [num_bounds] if num_bounds is not None else [1, 2] if causal else [2, 4]
    for bounds in choices:
        array = buffer(out, "startend_row_indices", (len(masks), len(masks[0]), side, bounds))
        try:
            for b, heads in enumerate(masks):
                for h, m in enumerate(heads):
                    _core._flashmask(m, causal, bounds, array[b, h].reshape(-1))
        except ValueError:
            if bounds == choices[-1]:
                raise
        else:
            return array
    raise AssertionError("the last choice returns or raises")


def _is_causal(masks: list[list[Mask]]) -> bool:
    limit = Mask.parse("causal", *masks[0][0].shape)
    return all(m <= limit for heads in masks for m in heads)


def from_flashmask(startend_row_indices: Any, *, causal: bool) -> Any:
    """The token-exact masks of FlashMask's tensor [B, heads, key tokens, c], as [batch][heads], or the mask itself for one head."""
    array = np.ascontiguousarray(startend_row_indices, np.int32)
    if array.ndim != 4:
        raise ValueError(f"startend_row_indices is [batch, heads, key tokens, bounds], not {list(array.shape)}")
    tokens, bounds = array.shape[2:]
    result = [[_core._from_flashmask(tokens, causal, bounds, head.reshape(-1)) for head in heads] for heads in array]
    return result[0][0] if array.shape[:2] == (1, 1) else result
