# SPDX-License-Identifier: Apache-2.0
"""FlashAttention-4: compact lists of full and partial blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ._shared import MaskLike, block_pair, buffer, full_and_partial, given_array, map_distinct, masks_per_head, tile_sides, write_padded


class BlockSparseTensors(NamedTuple):
    """FlashAttention-4's BlockSparseTensorsTorch: counts int32 [B, H, M], indices int32 [B, H, M, K]."""

    mask_block_cnt: np.ndarray
    mask_block_idx: np.ndarray
    full_block_cnt: np.ndarray
    full_block_idx: np.ndarray
    block_size: tuple[int, int]


def fa4_block_sparse(
    mask: MaskLike, block_size: int | tuple[int, int] = (256, 128), *, unit: int = 1, out: Any = None
) -> BlockSparseTensors:
    """Compact block lists: K is the longest row, not the number of key blocks. `out` may give the four arrays, of any K that suffices.

    `BlockSparseTensorsTorch(**{name: torch.from_numpy(a) ... })` takes them by these names. Partial blocks need a mask_mod of the kernel.
    """
    masks = masks_per_head(mask, unit)
    block = block_pair(block_size)
    sides = tile_sides(block, unit)
    tiles = map_distinct(lambda m: full_and_partial(m, sides), masks)
    batch, heads, rows = len(masks), len(masks[0]), tiles[0][0][0].rows
    made: dict[str, np.ndarray] = {}
    for name, which in (("mask", 1), ("full", 0)):
        lists = [[t[which] for t in h] for h in tiles]
        given = given_array(out, f"{name}_block_idx")
        width = max((_core._max_row_count(m) for h in lists for m in h), default=0) if given is None else np.shape(given)[-1]
        counts = made[f"{name}_block_cnt"] = buffer(out, f"{name}_block_cnt", (batch, heads, rows))
        indices = made[f"{name}_block_idx"] = buffer(out, f"{name}_block_idx", (batch, heads, rows, width))
        write_padded(lists, counts, indices)
    return BlockSparseTensors(**made, block_size=block)
