# SPDX-License-Identifier: Apache-2.0
"""FlexAttention: a torch BlockMask, and the way back."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import (
    MaskLike,
    block_pair,
    buffer,
    bytes_of_tile,
    full_and_partial,
    map_distinct,
    masks_per_head,
    tile_sides,
    write_padded,
    write_tile_bits,
)

if TYPE_CHECKING:
    import torch
    from torch.nn.attention.flex_attention import BlockMask

_HUGE_PAGE = 1 << 21


def flex_block_mask(
    mask: MaskLike,
    block_size: int | tuple[int, int] = 128,
    *,
    unit: int = 1,
    device: Any = "cpu",
    out: Any = None,
) -> BlockMask:
    """A torch BlockMask for flex_attention: full tiles need no mask function, partial ones get one that reads the mask's bits.

    Args:
        mask: token-exact with unit=1; [heads] or [batch][heads] of masks for more than one.
        block_size: the kernel's tile in tokens, (query, key).
        out: an earlier BlockMask on the CPU, or `kv_num_blocks`, `kv_indices`, `full_kv_num_blocks`, `full_kv_indices`, to write into.

    Shapes: kv_num_blocks int32 [B, H, M], kv_indices int32 [B, H, M, N], the full ones likewise. For the forward pass: the transposed
    tensors that training wants are `BlockMask.from_kv_blocks(..., compute_q_blocks=True)` of these.

    On the CPU compile flex_attention with dynamic=False: with a second mask torch 2.13 goes on to dynamic shapes, and its kernel's C++ does
    not compile then.
    """
    import torch
    from torch.nn.attention.flex_attention import BlockMask

    masks = masks_per_head(mask, unit)
    block = block_pair(block_size)
    sides = tile_sides(block, unit)
    tiles = map_distinct(lambda m: full_and_partial(m, sides), masks)
    batch, heads = len(masks), len(masks[0])
    rows, cols = tiles[0][0][0].shape
    if rows == 0 or cols == 0:
        raise ValueError(f"a mask of {masks[0][0].rows} x {masks[0][0].cols} has no tiles")
    arrays = {}
    for prefix, which in (("kv", 1), ("full_kv", 0)):
        counts = arrays[f"{prefix}_num_blocks"] = buffer(out, f"{prefix}_num_blocks", (batch, heads, rows))
        indices = arrays[f"{prefix}_indices"] = buffer(out, f"{prefix}_indices", (batch, heads, rows, cols), zeros=_sparse_zeros)
        write_padded([[t[which] for t in h] for h in tiles], counts, indices)
    is_exact = not any(t[1].nnz for h in tiles for t in h) and all(t[0].nnz == rows * cols for h in tiles for t in h)
    return BlockMask.from_kv_blocks(
        **{name: torch.from_numpy(array).to(device) for name, array in arrays.items()},
        BLOCK_SIZE=block,
        mask_mod=None if is_exact else _mask_mod(masks, tiles, block, unit, device),
        seq_lengths=(masks[0][0].rows * unit, masks[0][0].cols * unit),
        compute_q_blocks=False,
    )


def _sparse_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that take memory only where they are written, page by page: NumPy's own come in huge pages, so that a few entries in each
    row of a wide array would map all of it."""
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if num_bytes < _HUGE_PAGE or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros(shape, dtype)
    pages = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a system that has no huge pages
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


_NONE, _FULL = 0, 1  # slots of tiles without and with all cells; those of partial ones follow
_CELLS_AT_ONCE = 1 << 20  # what is listed of the tiles at a time is little beside the table


def _write_slots(slots: np.ndarray, tiles: Mask, first: int | None) -> None:
    """Into slots [rows, cols] of tiles: `first`, counted on from tile to tile, or _FULL where that is None."""
    rows_at_once = max(1, _CELLS_AT_ONCE // max(tiles.cols, 1))
    for begin in range(0, tiles.rows if tiles.nnz else 0, rows_at_once):
        rows, cols = tiles[begin : begin + rows_at_once].to_coo()
        slots[begin : begin + rows_at_once][rows, cols] = _FULL if first is None else np.arange(first, first + len(rows), dtype=np.int32)
        first = None if first is None else first + len(rows)


def _tile_table(masks: list[Mask], tiles: list[tuple[Mask, Mask]], sides: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Slots int32 [masks, M, N] of all tiles, and the bits of each slot, uint8 [slots, bytes of a tile]."""
    slots = _sparse_zeros((len(masks), *tiles[0][0].shape), np.int32)
    bits = np.empty((2 + sum(partial.nnz for _, partial in tiles), bytes_of_tile(sides)), np.uint8)
    bits[_NONE], bits[_FULL], first = 0, 0xFF, 2
    for mask, (full, partial), own in zip(masks, tiles, slots, strict=True):
        _write_slots(own, full, None)
        _write_slots(own, partial, first)
        write_tile_bits(mask, partial, sides, bits[first : first + partial.nnz])
        first += partial.nnz
    return slots, bits


def _mask_mod(
    masks: list[list[Mask]],
    tiles: list[list[tuple[Mask, Mask]]],
    block_size: tuple[int, int],
    unit: int,
    device: Any,
) -> Callable[..., torch.Tensor]:
    """Looks a token pair's tile up in a table of the grid of tiles, and the pair in the tile's bits. Kernels ask about partial tiles only,
    torch's plain version about all. The table is as large as kv_indices, and like it takes memory only where there are tiles.

    No search, though the tiles are few: torch.compile writes an expression out anew wherever it is used, and so a bisection of 2 steps took
    it a minute, of more steps hours.
    """
    import torch

    flat, flat_tiles = [m for heads in masks for m in heads], [t for heads in tiles for t in heads]
    first = list({id(m): i for i, m in reversed(list(enumerate(flat)))}.values())[::-1]  # where each distinct mask is first
    number = {id(flat[i]): k for k, i in enumerate(first)}
    table = _tile_table([flat[i] for i in first], [flat_tiles[i] for i in first], tile_sides(block_size, unit))
    slots, bits = (torch.from_numpy(array).to(device) for array in table)
    numbers = torch.tensor([number[id(m)] for m in flat], device=device)
    return look_up(slots, bits, numbers, (len(masks), len(masks[0])), block_size, unit)


def look_up(
    slots: torch.Tensor, bits: torch.Tensor, numbers: torch.Tensor, shape: tuple[int, int], block_size: tuple[int, int], unit: int
) -> Callable[..., torch.Tensor]:
    """The mask function over the tensors of _tile_table. `numbers` [batch * heads] says which of its masks each head has, `shape` is
    (batch, heads)."""
    import torch

    (q, kv), (batch, heads) = block_size, shape
    (num_masks, num_rows, num_cols), tile_bytes, tile_cols = slots.shape, bits.shape[1], kv // unit
    slots, bits = slots.reshape(-1), bits.reshape(-1)

    def mask_mod(b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor) -> torch.Tensor:
        tile_row = (q_idx // q).clamp(max=num_rows - 1).to(torch.int64)
        if num_masks > 1:
            entry = (b * heads if batch > 1 else b * 0) + (h if heads > 1 else h * 0)
            tile_row = tile_row + numbers[entry] * num_rows
        slot = slots[tile_row * num_cols + (kv_idx // kv).clamp(max=num_cols - 1)].to(torch.int64)
        bit = (q_idx % q // unit) * tile_cols + kv_idx % kv // unit
        byte = bits[slot * tile_bytes + bit // 8].to(torch.int32)
        return ((byte >> (bit % 8).to(torch.int32)) & 1) == 1

    return mask_mod


def from_flex(block_mask: BlockMask, *, tokens: bool = False) -> Any:
    """The way back: (full, partial) tile masks of a BlockMask, as [batch][heads] of pairs, or of the pair itself for one head.

    With tokens=True one token-exact mask instead of each pair: the mask function is asked about the tokens of every partial tile.
    """
    import torch

    q, kv = block_mask.BLOCK_SIZE
    rows, cols = block_mask.seq_lengths
    grid = (-(-rows // q), -(-cols // kv))

    def tiles_of(counts: torch.Tensor | None, indices: torch.Tensor | None, b: int, h: int) -> Mask:
        if counts is None or indices is None:
            return Mask.parse("none", *grid)
        count, index = counts[b, h].cpu().numpy(), indices[b, h].cpu().numpy()
        return Mask.from_rows([np.sort(index[row, : count[row]]) for row in range(grid[0])], grid[1])

    def one(b: int, h: int) -> Any:
        partial = tiles_of(block_mask.kv_num_blocks, block_mask.kv_indices, b, h)
        full = tiles_of(block_mask.full_kv_num_blocks, block_mask.full_kv_indices, b, h)
        return to_tokens(full, partial, b, h) if tokens else (full, partial)

    def to_tokens(full: Mask, partial: Mask, b: int, h: int) -> Mask:
        device = block_mask.kv_indices.device
        mask = full.refine(q, kv, rows, cols)
        if not partial.nnz:
            return mask
        builder = _core.Builder(rows, cols)
        builder.add_mask(mask)
        index = [torch.tensor(value, device=device) for value in (b, h)]
        for tile_row in range(grid[0]):
            q_idx = torch.arange(tile_row * q, min((tile_row + 1) * q, rows), device=device)[:, None]
            for tile_col in partial[tile_row].tolist():
                kv_idx = torch.arange(tile_col * kv, min((tile_col + 1) * kv, cols), device=device)[None, :]
                cells = torch.as_tensor(block_mask.mask_mod(index[0], index[1], q_idx, kv_idx))
                cells = torch.broadcast_to(cells, (q_idx.shape[0], kv_idx.shape[1])).cpu()
                for i, row in enumerate(cells.numpy()):
                    builder.add(tile_row * q + i, np.flatnonzero(row).astype(np.int32) + np.int32(tile_col * kv))
        return builder.freeze()

    batch, heads = block_mask.kv_num_blocks.shape[:2]
    result = [[one(b, h) for h in range(heads)] for b in range(batch)]
    return result[0][0] if batch == heads == 1 else result
