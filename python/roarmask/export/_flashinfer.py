# SPDX-License-Identifier: Apache-2.0
"""FlashInfer: block-sparse rows, and the way back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import (
    INT32_MAX,
    MaskLike,
    block_pair,
    buffer,
    bytes_of_tile,
    list_buffer,
    map_distinct,
    masks_per_head,
    tile_sides,
    token_exact,
    write_tile_bits,
)


class Bsr(NamedTuple):
    """Arguments of flashinfer's BlockSparseAttentionWrapper.plan; for several heads block_indptr and block_indices of its per-head
    wrappers."""

    indptr: np.ndarray  # int32 [M / R + 1], or [B, H, M / R + 1] of places in the one list of indices
    indices: np.ndarray  # int32 [blocks], ascending in each row
    M: int  # query tokens
    N: int  # key tokens
    R: int  # query tokens of a block
    C: int  # key tokens of a block
    mask: np.ndarray | None  # bool [blocks, R, C], or None where every block is full, or where they are packed
    packed_mask: np.ndarray | None = None  # uint8 [bytes]: each block row's [R, its blocks * C] bits, little-endian, from a whole byte on
    mask_indptr: np.ndarray | None = None  # int32, of indptr's shape: where in packed_mask each block row begins, in bytes


def flashinfer_bsr(
    mask: MaskLike, block_size: int | tuple[int, int], *, unit: int = 1, packed: bool = False, out: Any = None
) -> Bsr:
    """FlashInfer's block-sparse rows. `mask` is coarsened to blocks; where some are partial, the result's `mask` has the cells of all.

    M and N are rounded up to whole blocks, whose surplus is masked. One mask makes indptr [rows + 1]; heads make it [B, H, rows + 1], with
    places in the one list of indices. `out` may give `indptr`, `indices`, `mask_indptr` and `packed_mask`, the lists of any length that
    suffices.

    With packed=True the cells come as an eighth of the memory in `packed_mask` and `mask_indptr`, what plan() makes of `mask` (its
    convert_bsr_mask_layout and segment_packbits). FlashInfer up to 0.6 takes the starts in a packed mask that it is given to be bits: after
    plan(packed_mask=...) of more than one block row set the wrapper's `_mask_indptr_buf` to `mask_indptr`.
    """
    masks = masks_per_head(mask, unit)
    q, kv = block = block_pair(block_size)
    sides = tile_sides(block, unit)
    tiles = map_distinct(lambda m: (m, m) if sides == (1, 1) else m.coarsen_any_all(*sides), masks)
    rows, cols = tiles[0][0][0].shape
    flat = [(m, *t) for heads, h in zip(masks, tiles, strict=True) for m, t in zip(heads, h, strict=True)]
    counts = [any_.nnz for _, any_, _ in flat]
    total = sum(counts)
    if total > INT32_MAX:
        raise OverflowError(f"int32 places reach 2^31 - 1 blocks, not {total}")
    shape = (rows + 1,) if isinstance(mask, Mask) else (len(masks), len(masks[0]), rows + 1)
    indptr, indices = buffer(out, "indptr", shape), list_buffer(out, "indices", total)
    at = 0
    for starts, (_, any_, _), count in zip(indptr.reshape(-1, rows + 1), flat, counts, strict=True):
        _core._bsr(any_, starts, indices[at : at + count])
        if at:
            starts += np.int32(at)
        at += count
    made = Bsr(indptr, indices, rows * q, cols * kv, q, kv, None)
    if sides == (1, 1):
        return made
    is_partial = any(full.nnz != count for (_, _, full), count in zip(flat, counts, strict=True))
    if not (is_partial or masks[0][0].rows % sides[0] or masks[0][0].cols % sides[1]):
        return made
    if not packed:
        return made._replace(mask=_cells(flat, sides, unit, total))
    mask_indptr = buffer(out, "mask_indptr", shape)
    return made._replace(packed_mask=_packed_cells(flat, block, unit, mask_indptr.reshape(-1, rows + 1), out), mask_indptr=mask_indptr)


def _cells(flat: list[tuple[Mask, Mask, Mask]], sides: tuple[int, int], unit: int, total: int) -> np.ndarray:
    """The cells of all blocks, bool [blocks, tokens, tokens]."""
    bits, at = np.zeros((total, bytes_of_tile(sides)), np.uint8), 0
    for m, tiles, _ in flat:
        write_tile_bits(m, tiles, sides, bits[at : at + tiles.nnz])
        at += tiles.nnz
    cells = np.unpackbits(bits, axis=1, count=sides[0] * sides[1], bitorder="little").reshape(len(bits), *sides).view(bool)
    return cells if unit == 1 else cells.repeat(unit, axis=1).repeat(unit, axis=2)


def _packed_cells(flat: list[tuple[Mask, Mask, Mask]], sides: tuple[int, int], unit: int, starts: np.ndarray, out: Any) -> np.ndarray:
    """The bits of all block rows, and in `starts` [masks, rows + 1] where they begin."""
    exact: dict[int, Mask] = {}
    for (m, tiles, _), places in zip(flat, starts, strict=True):
        _core._packed_mask(exact.setdefault(id(m), token_exact(m, unit)), tiles, *sides, places)
    lengths = [int(places[-1]) for places in starts]
    if sum(lengths) > INT32_MAX:
        raise OverflowError(f"int32 places reach 2^31 - 1 bytes of bits, not {sum(lengths)}")
    bits, at = list_buffer(out, "packed_mask", sum(lengths), np.uint8), 0
    for (m, tiles, _), places, length in zip(flat, starts, lengths, strict=True):
        _core._packed_mask(exact[id(m)], tiles, *sides, places, bits[at : at + length])
        if at:
            places += np.int32(at)
        at += length
    return bits


def from_flashinfer_bsr(indptr: Any, indices: Any, cols: int) -> Any:
    """The tile mask of block-sparse rows, or [batch][heads] of them; `cols` is the number of key blocks. Any order within a row."""
    starts, index = np.asarray(indptr, np.int64), np.asarray(indices, np.int32)
    if starts.ndim == 3:
        return [[_from_bsr(head, index, cols) for head in heads] for heads in starts]
    if starts.ndim != 1 or len(starts) < 1 or starts[0] != 0:
        raise ValueError("indptr must begin with 0 and have one dimension, or three: [batch, heads, rows + 1]")
    return _from_bsr(starts, index, cols)


def _from_bsr(starts: np.ndarray, indices: np.ndarray, cols: int) -> Mask:
    if len(starts) < 1 or starts[0] < 0 or (np.diff(starts) < 0).any() or starts[-1] > len(indices):
        raise ValueError("indptr must never decrease, and end within the indices")
    rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return Mask.from_coo(rows, np.ascontiguousarray(indices[starts[0] : starts[-1]]), len(starts) - 1, cols)
