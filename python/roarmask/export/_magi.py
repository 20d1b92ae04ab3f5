# SPDX-License-Identifier: Apache-2.0
"""MagiAttention: slices, and the way back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import MaskLike, map_distinct, masks_per_head, token_exact


class MagiSlices(NamedTuple):
    """MagiAttention's AttnSlices. Types: 0 full, 1 causal, 2 inverse causal, 3 both."""

    q_ranges: np.ndarray  # int32 [n, 2]
    k_ranges: np.ndarray  # int32 [n, 2]
    types: np.ndarray  # int32 [n]


def magi_slices(mask: MaskLike, *, unit: int = 1) -> Any:
    """The slices of a mask: an interval of a strip is one. Every mask fits; irregular ones make a slice for each run of a row.

    MagiAttention has one list for all heads: several masks give [batch][heads] of MagiSlices.
    """
    made = map_distinct(lambda m: MagiSlices(*_core._slices(token_exact(m, unit))), masks_per_head(mask, unit))
    return made[0][0] if isinstance(mask, Mask) else made


def from_magi_slices(q_ranges: Any, k_ranges: Any, types: Any, rows: int, cols: int) -> Mask:
    """The union of slices as a token-exact mask of rows x cols."""
    q, k, kinds = (np.ascontiguousarray(a, np.int32) for a in (q_ranges, k_ranges, types))
    if kinds.ndim != 1 or any(a.size != 2 * len(kinds) for a in (q, k)):
        raise ValueError(f"n slices have ranges [n, 2] and types [n], not {list(q.shape)}, {list(k.shape)} and {list(kinds.shape)}")
    return _core._from_slices(rows, cols, q.reshape(-1), k.reshape(-1), kinds)
