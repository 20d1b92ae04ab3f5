# SPDX-License-Identifier: Apache-2.0
"""MInference: whole columns and whole diagonals, and the way back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import MaskLike, buffer, map_distinct, masks_per_head, token_exact


class VerticalSlash(NamedTuple):
    """MInference's pattern of a causal mask: whole key columns, and whole diagonals."""

    v_idx: np.ndarray  # int32 [B, H, V], ascending key columns
    s_idx: np.ndarray  # int32 [B, H, S], descending distances q - k


def minference_vertical_slash(mask: MaskLike, *, unit: int = 1) -> VerticalSlash:
    """The columns and diagonals that a square, causal mask is the union of. ValueError where it is not.

    Heads with fewer columns than others are filled up with the number of tokens, which is no column; with fewer diagonals by repeating the
    last one. The kernels take both as nothing.
    """
    found = map_distinct(_vertical_slash, map_distinct(lambda m: token_exact(m, unit), masks_per_head(mask, unit)))
    n = (mask if isinstance(mask, Mask) else next(m for heads in masks_per_head(mask) for m in heads)).rows * unit
    num_v, num_s = (max(len(f[i]) for heads in found for f in heads) for i in (0, 1))
    v_idx, s_idx = np.full((len(found), len(found[0]), num_v), n, np.int32), np.zeros((len(found), len(found[0]), num_s), np.int32)
    for b, heads in enumerate(found):
        for h, (columns, diagonals) in enumerate(heads):
            v_idx[b, h, : len(columns)] = columns
            s_idx[b, h, : len(diagonals)] = diagonals
            s_idx[b, h, len(diagonals) :] = diagonals[-1] if len(diagonals) else n
    return VerticalSlash(v_idx, s_idx)


def _vertical_slash(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """(columns ascending, distances descending) of a token-exact mask."""
    if mask.rows != mask.cols:
        raise ValueError(f"vertical-slash is for square masks, not {mask.rows} x {mask.cols}")
    n = mask.rows
    if n == 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    # Whole columns and whole diagonals all have a cell in the last row.
    last = mask[n - 1]
    by_column = mask.transpose()
    columns = np.array([c for c in last.tolist() if by_column.row_count(c) == n - c and (c, c) in mask], np.int32)
    diagonals = np.array([n - 1 - c for c in last.tolist() if _has_diagonal(mask, n - 1 - c)], np.int32)
    union = _columns_and_diagonals(columns, diagonals, n)
    if union != mask:
        row = next(r for r in range(n) if not np.array_equal(mask[r], union[r]))
        cells = np.setxor1d(mask[row], union[row])
        difference = f"row {row} differs in {len(cells)} cells, first in column {cells[0]}"
        raise ValueError(f"the mask is no union of whole columns and diagonals: {difference}")
    return columns, diagonals


def _columns_and_diagonals(columns: np.ndarray, diagonals: np.ndarray, n: int) -> Mask:
    pieces = [f"columns({', '.join(map(str, columns))})"] if len(columns) else []
    pieces += [f"diagonals({', '.join(map(str, np.unique(diagonals)))})"] if len(diagonals) else []
    return Mask.parse(f"causal & ({' | '.join(pieces)})" if pieces else "none", n)


def _has_diagonal(mask: Mask, distance: int) -> bool:
    """Probes a diagonal at a few places before it counts all of it."""
    length = mask.rows - distance
    if not all((distance + at, at) in mask for at in {0, length // 3, length // 2, length - 1}):
        return False
    return mask.combine_count(Mask.parse(f"diagonals({distance})", mask.rows) & Mask.parse("causal", mask.rows), 8) == length


def from_vertical_slash(v_idx: Any, s_idx: Any, rows: int) -> Any:
    """The token-exact causal masks of columns [B, H, V] and distances [B, H, S], as [batch][heads], or the mask itself for one head."""
    v, s = np.asarray(v_idx), np.asarray(s_idx)
    if v.ndim != 3 or s.ndim != 3 or v.shape[:2] != s.shape[:2]:
        raise ValueError(f"columns are [batch, heads, V] and distances [batch, heads, S], not {list(v.shape)} and {list(s.shape)}")

    def one(columns: np.ndarray, distances: np.ndarray) -> Mask:
        inside = [np.unique(a[(a >= 0) & (a < rows)]) for a in (columns, distances)]
        return _columns_and_diagonals(inside[0], inside[1], rows)

    result = [[one(v[b, h], s[b, h]) for h in range(v.shape[1])] for b in range(v.shape[0])]
    return result[0][0] if v.shape[:2] == (1, 1) else result


class VerticalSlashTiles(NamedTuple):
    """MInference's converted tensors: for each tile of query rows the key blocks of its diagonals, and the columns outside of those."""

    block_count: np.ndarray  # int32 [B, H, R]
    block_offset: np.ndarray  # int32 [B, H, R, S], first key token of each block
    column_count: np.ndarray  # int32 [B, H, R]
    column_index: np.ndarray  # int32 [B, H, R, V]


def minference_tiles(pattern: VerticalSlash, num_tokens: int, *, block_size: int = 64, out: Any = None) -> VerticalSlashTiles:
    """What MInference's convert_vertical_slash_indexes makes of columns and diagonals: blocks that cover diagonals and cells beside.

    The main diagonal, distance 0, must be there: the kernel looks at columns only left of its last block, and does not compare them with
    the query. R = ceil(num_tokens / block_size). ValueError where distances do not descend or columns do not ascend.
    """
    v, s = (np.ascontiguousarray(a, np.int32) for a in pattern)
    if v.ndim != 3 or s.ndim != 3 or v.shape[:2] != s.shape[:2]:
        raise ValueError(f"columns are [batch, heads, V] and distances [batch, heads, S], not {list(v.shape)} and {list(s.shape)}")
    rows = -(-num_tokens // block_size)
    shape = (*v.shape[:2], rows)
    made = VerticalSlashTiles(
        buffer(out, "block_count", shape),
        buffer(out, "block_offset", (*shape, s.shape[2])),
        buffer(out, "column_count", shape),
        buffer(out, "column_index", (*shape, v.shape[2])),
    )
    for b in range(shape[0]):
        for h in range(shape[1]):
            _core._vertical_slash(v[b, h], s[b, h], num_tokens, block_size, *(array[b, h].reshape(-1) for array in made))
    return made
