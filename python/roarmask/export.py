# SPDX-License-Identifier: Apache-2.0
"""One mask, every attention kernel's own tensors.

Words: a mask's cells stand for `unit` x `unit` tokens (1: token-exact). A kernel works on tiles of query tokens x key tokens. Where an
exporter takes `block_size`, it coarsens the mask to those tiles; a tile whose every cell is in the mask is full, one with some is partial.

Wherever one mask is taken, a list of masks is one for each head, and a list of such lists one batch entry each; None is a dense head.
Arrays are NumPy's; `torch.from_numpy` takes them without a copy. With `out` results go into buffers that you own and can reuse:
the dict or tuple that an earlier call of the same shape returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._core import Mask

if TYPE_CHECKING:
    import torch
    from torch.nn.attention.flex_attention import BlockMask

__all__ = [
    "BlockSparseTensors",
    "Bsr",
    "Fit",
    "MagiSlices",
    "PagedIndices",
    "VerticalSlash",
    "additive_bias",
    "dense_bool",
    "fa4_block_sparse",
    "fits",
    "flashinfer_bsr",
    "flashinfer_paged",
    "flashmask",
    "flex_block_mask",
    "from_flashinfer_bsr",
    "from_flashmask",
    "from_flex",
    "from_magi_slices",
    "magi_slices",
    "minference_vertical_slash",
    "vllm_block_table",
]

MaskLike = Mask | Sequence[Mask | None] | Sequence[Sequence[Mask | None]]


# ---------------------------------------------------------------- masks and tiles


def _per_head(mask: MaskLike) -> list[list[Mask]]:
    """The masks as [batch][head], all of one grid; None becomes the full mask."""
    if isinstance(mask, Mask):
        return [[mask]]
    batch = [list(mask)] if not mask or mask[0] is None or isinstance(mask[0], Mask) else [list(heads) for heads in mask]  # type: ignore[arg-type]
    present = [m for heads in batch for m in heads if m is not None]
    if not present:
        raise ValueError("there is no mask: every head is dense")
    shape = present[0].shape
    if any(m.shape != shape for m in present):
        raise ValueError(f"masks of one call have one grid: {sorted({m.shape for m in present})}")
    if len({len(heads) for heads in batch}) != 1:
        raise ValueError("every batch entry has the same number of heads")
    full = Mask.parse("full", *shape)
    return [[full if m is None else m for m in heads] for heads in batch]


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if min(pair) < 1:
        raise ValueError(f"a block has at least one token each way, not {pair[0]} x {pair[1]}")
    return pair


def _tile_sides(block_size: int | tuple[int, int], unit: int) -> tuple[int, int]:
    """How many of a mask's cells a tile has each way."""
    q, kv = _pair(block_size)
    if unit < 1 or q % unit or kv % unit:
        raise ValueError(f"blocks of {q} x {kv} tokens are not made of cells of {unit} x {unit}: both must be multiples")
    return q // unit, kv // unit


def _coarsen(masks: list[list[Mask]], sides: tuple[int, int]) -> list[list[tuple[Mask, Mask]]]:
    """(full, partial) of each mask; the same mask is coarsened once."""
    done: dict[int, tuple[Mask, Mask]] = {}
    return [[done[id(m)] if id(m) in done else done.setdefault(id(m), m.coarsen(*sides)) for m in heads] for heads in masks]


def _padded(tiles: list[list[Mask]], width: int, counts: np.ndarray, indices: np.ndarray) -> None:
    for b, heads in enumerate(tiles):
        for h, mask in enumerate(heads):
            _core._padded(mask, counts[b, h], indices[b, h, :, :width])


def _buffer(out: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The caller's array of that name, checked, or a new one. New ones are zeros, which the system maps only where they are written."""
    given = None if out is None else out.get(name)
    if given is None:
        return np.zeros(shape, dtype)
    array = np.asarray(given)
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous or not array.flags.writeable:
        raise ValueError(f"out[{name!r}] must be a contiguous, writable {np.dtype(dtype)} array {list(shape)}, not {array.dtype} {list(array.shape)}")
    return array


# ---------------------------------------------------------------- FlexAttention


def flex_block_mask(
    mask: MaskLike,
    block_size: int | tuple[int, int] = 128,
    *,
    unit: int = 1,
    device: Any = "cpu",
    out: dict[str, Any] | None = None,
) -> BlockMask:
    """A torch BlockMask for flex_attention: full tiles need no mask function, partial ones get one that reads the mask's bits.

    Args:
        mask: token-exact with unit=1; [heads] or [batch][heads] of masks for more than one.
        block_size: the kernel's tile in tokens, (query, key).
        out: `kv_num_blocks`, `kv_indices`, `full_kv_num_blocks`, `full_kv_indices` to write into: contiguous int32 on the CPU.

    Shapes: kv_num_blocks int32 [B, H, M], kv_indices int32 [B, H, M, N], the full ones likewise.
    """
    import torch
    from torch.nn.attention.flex_attention import BlockMask

    masks = _per_head(mask)
    q, kv = _pair(block_size)
    tiles = _coarsen(masks, _tile_sides(block_size, unit))
    batch, heads = len(masks), len(masks[0])
    rows, cols = tiles[0][0][0].shape
    if rows == 0 or cols == 0:
        raise ValueError(f"a mask of {masks[0][0].rows} x {masks[0][0].cols} has no tiles")
    arrays = {
        name: _buffer(out, name, (batch, heads, rows, *([cols] if name.endswith("indices") else [])), np.int32)
        for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices")
    }
    _padded([[t[1] for t in h] for h in tiles], cols, arrays["kv_num_blocks"], arrays["kv_indices"])
    _padded([[t[0] for t in h] for h in tiles], cols, arrays["full_kv_num_blocks"], arrays["full_kv_indices"])
    on_device = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    has_partial = any(t[1].nnz for h in tiles for t in h)
    return BlockMask.from_kv_blocks(
        **on_device,
        BLOCK_SIZE=(q, kv),
        mask_mod=_mask_mod(masks, tiles, (q, kv), unit, device) if has_partial else None,
        seq_lengths=(masks[0][0].rows * unit, masks[0][0].cols * unit),
        compute_q_blocks=False,
    )


def _mask_mod(
    masks: list[list[Mask]],
    tiles: list[list[tuple[Mask, Mask]]],
    block_size: tuple[int, int],
    unit: int,
    device: Any,
) -> Callable[..., torch.Tensor]:
    """Looks a token pair's tile up among those with a cell, and the pair in the tile's bits where it is partial. Kernels ask about partial
    tiles only, torch's plain version about all. What this holds grows with the tiles that have a cell, not with the grid."""
    import torch

    q, kv = block_size
    sides = _tile_sides(block_size, unit)
    words = -(-sides[0] * sides[1] // 8)
    starts, cols, slots, bits, num_tiles, num_partial = [], [], [], [], 0, 0
    for b, row_of_masks in enumerate(masks):
        for h, mask in enumerate(row_of_masks):
            full, partial = tiles[b][h]
            indptr, indices = (full | partial).to_csr()
            starts.append(indptr + num_tiles)
            cols.append(indices)
            # -1 for a full tile, the place of its bits for a partial one.
            slot = np.full(len(indices), -1, np.int32)
            slot[_cells_in(partial, indptr, indices)] = np.arange(num_partial, num_partial + partial.nnz, dtype=np.int32)
            slots.append(slot)
            packed = np.zeros(partial.nnz * words, np.uint8)
            if sides[0] * sides[1] % 8 == 0:
                _core._tile_bits(mask, partial, *sides, packed)
            else:
                _pack_small_tiles(mask, partial, sides, words, packed)
            bits.append(packed)
            num_tiles += len(indices)
            num_partial += partial.nnz
    heads, num_rows = len(masks[0]), tiles[0][0][1].rows
    longest = max(int(np.diff(s).max(initial=0)) for s in starts)
    steps = max(longest, 1).bit_length()
    none = np.zeros(1, np.int32)  # so that look-ups that find nothing have something to read
    starts_t = torch.from_numpy(np.stack(starts)).to(device)
    cols_t = torch.from_numpy(np.concatenate([*cols, none])).to(device)
    slots_t = torch.from_numpy(np.concatenate([*slots, none])).to(device)
    bits_t = torch.from_numpy(np.concatenate([*bits, none.astype(np.uint8)])).to(device)
    is_batched = len(masks) > 1

    def mask_mod(b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor) -> torch.Tensor:
        entry = (b if is_batched else b * 0) * heads + (h if heads > 1 else h * 0)
        tile_row, tile_col = (q_idx // q).clamp(max=num_rows - 1), kv_idx // kv
        low, end = starts_t[entry, tile_row], starts_t[entry, tile_row + 1]
        high = end
        for _ in range(steps):  # the first of the row's tiles at or right of tile_col, by bisection
            middle = (low + high) // 2
            is_left = (low < high) & (cols_t[middle] < tile_col)
            low, high = torch.where(is_left, middle + 1, low), torch.where(is_left, high, middle)
        found = (low < end) & (cols_t[low] == tile_col)
        slot = slots_t[low].to(torch.int64)
        bit = (q_idx % q // unit) * sides[1] + kv_idx % kv // unit
        byte = bits_t[torch.where(slot < 0, 0, slot) * words + bit // 8 * (slot >= 0)].to(torch.int32)
        is_set = ((byte >> (bit % 8).to(torch.int32)) & 1).to(torch.bool)
        return found & ((slot < 0) | is_set)

    return mask_mod


def _cells_in(tiles: Mask, indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Which entries of compressed rows are cells of a mask that is part of them. bool [entries]."""
    rows = np.repeat(np.arange(tiles.rows, dtype=np.int64), np.diff(indptr))
    part_rows, part_cols = tiles.to_coo()
    keys, part = rows * tiles.cols + indices, part_rows.astype(np.int64) * tiles.cols + part_cols
    return np.isin(keys, part, assume_unique=True)


def _pack_small_tiles(mask: Mask, tiles: Mask, sides: tuple[int, int], words: int, packed: np.ndarray) -> None:
    """Tiles whose cells are no whole bytes, padded to bytes."""
    at = 0
    for tile_row in range(tiles.rows):
        for tile_col in tiles[tile_row]:
            row, col = tile_row * sides[0], int(tile_col) * sides[1]
            cells = np.zeros(sides, bool)
            part = mask.slice(row, min(row + sides[0], mask.rows), col, min(col + sides[1], mask.cols)).to_dense()
            cells[: part.shape[0], : part.shape[1]] = part
            packed[at : at + words] = np.packbits(cells, bitorder="little")
            at += words


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
        return _to_tokens(full, partial, b, h) if tokens else (full, partial)

    def _to_tokens(full: Mask, partial: Mask, b: int, h: int) -> Mask:
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
                cells = block_mask.mask_mod(*index, q_idx, kv_idx)
                cells = torch.broadcast_to(torch.as_tensor(cells), (q_idx.shape[0], kv_idx.shape[1])).cpu().numpy()
                for i, row in enumerate(cells):
                    builder.add(tile_row * q + i, np.flatnonzero(row).astype(np.int32) + np.int32(tile_col * kv))
        return builder.freeze()

    batch, heads = block_mask.kv_num_blocks.shape[:2]
    result = [[one(b, h) for h in range(heads)] for b in range(batch)]
    return result[0][0] if batch == heads == 1 else result


# ---------------------------------------------------------------- FlashInfer


class Bsr(NamedTuple):
    """Arguments of flashinfer's BlockSparseAttentionWrapper.plan."""

    indptr: np.ndarray  # int32 [M / R + 1]
    indices: np.ndarray  # int32 [blocks]
    M: int  # query tokens
    N: int  # key tokens
    R: int  # query tokens of a block
    C: int  # key tokens of a block
    mask: np.ndarray | None  # bool [blocks, R, C], or None where every block is full


def flashinfer_bsr(mask: Mask, block_size: int | tuple[int, int], *, unit: int = 1, out: dict[str, Any] | None = None) -> Bsr:
    """FlashInfer's block-sparse rows. `mask` is coarsened to blocks; where some are partial, `mask` has the bits of all.

    M and N are rounded up to whole blocks, whose surplus is masked. `out` may give `indptr` and `indices`.
    """
    q, kv = _pair(block_size)
    sides = _tile_sides(block_size, unit)
    tiles, full = mask.coarsen_any_all(*sides)
    indptr = _buffer(out, "indptr", (tiles.rows + 1,), np.int32)
    indices = _buffer(out, "indices", (tiles.nnz,), np.int32)
    _core._bsr(tiles, indptr, indices)
    cells = None
    if full.nnz != tiles.nnz or mask.rows % sides[0] or mask.cols % sides[1]:
        words = -(-sides[0] * sides[1] // 8)
        packed = np.zeros(tiles.nnz * words, np.uint8)
        if sides[0] * sides[1] % 8 == 0:
            _core._tile_bits(mask, tiles, *sides, packed)
        else:
            _pack_small_tiles(mask, tiles, sides, words, packed)
        cells = np.unpackbits(packed.reshape(tiles.nnz, words), axis=1, count=sides[0] * sides[1], bitorder="little")
        cells = cells.reshape(tiles.nnz, *sides).view(bool)
        if unit > 1:
            cells = cells.repeat(unit, axis=1).repeat(unit, axis=2)
    return Bsr(indptr, indices, tiles.rows * q, tiles.cols * kv, q, kv, cells)


def from_flashinfer_bsr(indptr: Any, indices: Any, cols: int) -> Mask:
    """The tile mask of block-sparse rows; `cols` is the number of key blocks. Columns may come in any order within a row."""
    starts, index = np.asarray(indptr, np.int64), np.asarray(indices, np.int32)
    if starts.ndim != 1 or len(starts) < 1 or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(index):
        raise ValueError("indptr must begin with 0, never decrease, and end within the indices")
    rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return Mask.from_coo(rows, index[: starts[-1]], len(starts) - 1, cols)


class PagedIndices(NamedTuple):
    """Arguments of flashinfer's BatchDecodeWithPagedKVCacheWrapper.plan."""

    indptr: np.ndarray  # int32 [requests + 1]
    indices: np.ndarray  # int32 [pages]: physical pages
    last_page_len: np.ndarray  # int32 [requests]


def _page_arguments(masks: Mask | Sequence[Mask], rows: Any, block_table: Any, seq_lens: Any, page_size: int) -> tuple[Any, ...]:
    lengths = np.ascontiguousarray(seq_lens, np.int32)
    table = np.ascontiguousarray(block_table, np.int32)
    requests = len(lengths)
    list_of_masks = [masks] * requests if isinstance(masks, Mask) else list(masks)
    if len(list_of_masks) != requests or table.ndim != 2 or len(table) != requests:
        raise ValueError(f"{requests} sequence lengths, {len(list_of_masks)} masks and a block table {list(table.shape)} do not go together")
    # The query of a decode step is the newest token: its row is its block's.
    which = (lengths - 1) // page_size if rows is None else np.ascontiguousarray(rows, np.int32)
    return list_of_masks, np.ascontiguousarray(which, np.int32), table, lengths


def vllm_block_table(
    masks: Mask | Sequence[Mask],
    block_table: Any,
    seq_lens: Any,
    block_size: int,
    *,
    rows: Any = None,
    out: dict[str, Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The compacted block table of a decode step: each request keeps the pages that its row of the mask has, and its newest one.

    Args:
        masks: one mask for all requests, or one each; key blocks are the cache's blocks.
        block_table: int32 [requests, max_blocks], logical to physical.
        seq_lens: int32 [requests], the newest token included.
        rows: the query's row in each mask; that of its newest token's block unless given.

    Returns:
        (block_table int32 [requests, max_blocks], seq_lens int32 [requests]). Entries past a request's last page are not part of it.
    """
    arguments = _page_arguments(masks, rows, block_table, seq_lens, block_size)
    table = _buffer(out, "block_table", arguments[2].shape, np.int32)
    lengths = _buffer(out, "seq_lens", arguments[3].shape, np.int32)
    counts = np.empty_like(lengths)
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], block_size, table, counts, lengths)
    return table, lengths


def flashinfer_paged(masks: Mask | Sequence[Mask], block_table: Any, seq_lens: Any, page_size: int, *, rows: Any = None) -> PagedIndices:
    """FlashInfer's page list of a decode step; arguments as in vllm_block_table."""
    arguments = _page_arguments(masks, rows, block_table, seq_lens, page_size)
    table = np.empty(arguments[2].shape, np.int32)
    counts, lengths = np.empty_like(arguments[3]), np.empty_like(arguments[3])
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], page_size, table, counts, lengths)
    indptr = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=indptr[1:])
    kept = np.arange(table.shape[1])[None, :] < counts[:, None]
    return PagedIndices(indptr, table[kept], lengths - (counts - 1) * np.int32(page_size))


# ---------------------------------------------------------------- FlashAttention-4


class BlockSparseTensors(NamedTuple):
    """FlashAttention-4's BlockSparseTensorsTorch: counts int32 [B, H, M], indices int32 [B, H, M, K]."""

    mask_block_cnt: np.ndarray
    mask_block_idx: np.ndarray
    full_block_cnt: np.ndarray
    full_block_idx: np.ndarray
    block_size: tuple[int, int]


def fa4_block_sparse(
    mask: MaskLike, block_size: int | tuple[int, int] = (256, 128), *, unit: int = 1, out: dict[str, Any] | None = None
) -> BlockSparseTensors:
    """Compact block lists: K is the longest row, not the number of key blocks. `out` may give the four arrays, of any K that suffices."""
    masks = _per_head(mask)
    tiles = _coarsen(masks, _tile_sides(block_size, unit))
    batch, heads, rows = len(masks), len(masks[0]), tiles[0][0][0].rows
    made: dict[str, np.ndarray] = {}
    for name, which in (("mask", 1), ("full", 0)):
        lists = [[t[which] for t in h] for h in tiles]
        width = max((_core._max_row_count(m) for h in lists for m in h), default=0)
        given = None if out is None else out.get(f"{name}_block_idx")
        if given is not None and np.asarray(given).shape[-1] >= width:
            width = np.asarray(given).shape[-1]
        made[f"{name}_block_cnt"] = _buffer(out, f"{name}_block_cnt", (batch, heads, rows), np.int32)
        made[f"{name}_block_idx"] = _buffer(out, f"{name}_block_idx", (batch, heads, rows, width), np.int32)
        _padded(lists, width, made[f"{name}_block_cnt"], made[f"{name}_block_idx"])
    return BlockSparseTensors(**made, block_size=_pair(block_size))


# ---------------------------------------------------------------- FlashMask


def flashmask(mask: MaskLike, *, causal: bool | None = None, num_bounds: int | None = None, out: dict[str, Any] | None = None) -> np.ndarray:
    """FlashMask's startend_row_indices: int32 [B, heads, key tokens, c], one masked row interval for each key column and triangle.

    `mask` is token-exact and square. causal=None takes the causal form where no mask has a cell above the diagonal, num_bounds=None the
    smallest c that fits: causal 1 (rows >= r1 are masked) or 2 (rows [r1, r2)), otherwise 2 (lower >= r1, upper < r2) or 4 (lower [r1, r2),
    upper [r3, r4)). ValueError names the column that does not fit, and why. `out` may give `startend_row_indices`.
    """
    masks = _per_head(mask)
    side = masks[0][0].rows
    if causal is None:
        limit = Mask.parse("causal", *masks[0][0].shape)
        causal = all(m <= limit for heads in masks for m in heads)
    choices = [num_bounds] if num_bounds is not None else [1, 2] if causal else [2, 4]
    for bounds in choices:
        array = _buffer(out, "startend_row_indices", (len(masks), len(masks[0]), side, bounds), np.int32)
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


def from_flashmask(startend_row_indices: Any, *, causal: bool) -> Any:
    """The token-exact masks of FlashMask's tensor [B, heads, key tokens, c], as [batch][heads], or the mask itself for one head."""
    array = np.ascontiguousarray(startend_row_indices, np.int32)
    if array.ndim != 4:
        raise ValueError(f"startend_row_indices is [batch, heads, key tokens, bounds], not {list(array.shape)}")
    tokens, bounds = array.shape[2:]
    result = [[_core._from_flashmask(tokens, causal, bounds, head.reshape(-1)) for head in heads] for heads in array]
    return result[0][0] if array.shape[:2] == (1, 1) else result


# ---------------------------------------------------------------- MagiAttention


class MagiSlices(NamedTuple):
    """MagiAttention's AttnSlices. Types: 0 full, 1 causal, 2 inverse causal, 3 both."""

    q_ranges: np.ndarray  # int32 [n, 2]
    k_ranges: np.ndarray  # int32 [n, 2]
    types: np.ndarray  # int32 [n]


def magi_slices(mask: Mask) -> MagiSlices:
    """The slices of a token-exact mask: an interval of a strip is one. Every mask fits; irregular ones make a slice for each run of a row."""
    return MagiSlices(*_core._slices(mask))


def from_magi_slices(q_ranges: Any, k_ranges: Any, types: Any, rows: int, cols: int) -> Mask:
    """The union of slices as a token-exact mask of rows x cols."""
    flat = [np.ascontiguousarray(a, np.int32).reshape(-1) for a in (q_ranges, k_ranges, types)]
    return _core._from_slices(rows, cols, *flat)


# ---------------------------------------------------------------- MInference


class VerticalSlash(NamedTuple):
    """MInference's pattern of a causal mask: whole key columns, and whole diagonals."""

    v_idx: np.ndarray  # int32 [V], ascending key columns
    s_idx: np.ndarray  # int32 [S], descending distances q - k


def minference_vertical_slash(mask: Mask) -> VerticalSlash:
    """The columns and diagonals that a token-exact, square, causal mask is the union of. ValueError where it is not."""
    if mask.rows != mask.cols:
        raise ValueError(f"vertical-slash is for square masks, not {mask.rows} x {mask.cols}")
    n = mask.rows
    if n == 0:
        return VerticalSlash(np.empty(0, np.int32), np.empty(0, np.int32))
    # Whole columns and whole diagonals all have a cell in the last row.
    last = mask[n - 1]
    by_column = mask.transpose()
    columns = np.array([c for c in last.tolist() if by_column.row_count(c) == n - c and (c, c) in mask], np.int32)
    diagonals = np.array([n - 1 - c for c in last.tolist() if _has_diagonal(mask, n - 1 - c)], np.int32)
    pieces = [f"columns({', '.join(map(str, columns))})"] if len(columns) else []
    pieces += [f"diagonals({', '.join(map(str, np.sort(diagonals)))})"] if len(diagonals) else []
    union = Mask.parse(f"causal & ({' | '.join(pieces)})" if pieces else "none", n)
    if union != mask:
        row = next(r for r in range(n) if not np.array_equal(mask[r], union[r]))
        cells = np.setxor1d(mask[row], union[row])
        raise ValueError(f"the mask is no union of whole columns and diagonals: row {row} differs in {len(cells)} cells, first in column {cells[0]}")
    return VerticalSlash(columns, np.sort(diagonals)[::-1].copy())


def _has_diagonal(mask: Mask, distance: int) -> bool:
    """Probes a diagonal at a few places: what a probe misses the comparison of the whole finds."""
    length = mask.rows - distance
    return all((distance + at, at) in mask for at in {0, length // 3, length // 2, length - 1})


# ---------------------------------------------------------------- does it fit?


@dataclass(frozen=True)
class Fit:
    """Whether a mask can be said in a format. True or false by itself; `reason` says what is in the way."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


_ALWAYS = ("flex", "flashinfer", "fa4", "magi", "dense")


def fits(mask: Mask, format: str) -> Fit:
    """Answers beforehand whether `mask` fits "flashmask" or "vertical_slash"; "flex", "flashinfer", "fa4", "magi" and "dense" take all."""
    if format in _ALWAYS:
        return Fit(True)
    exporter = {"flashmask": flashmask, "vertical_slash": minference_vertical_slash}.get(format)
    if exporter is None:
        raise ValueError(f"unknown format {format!r}; there are {', '.join([*_ALWAYS, 'flashmask', 'vertical_slash'])}")
    try:
        exporter(mask)
    except ValueError as reason:
        return Fit(False, str(reason))
    return Fit(True)


# ---------------------------------------------------------------- plain tensors


def dense_bool(mask: MaskLike, *, unit: int = 1) -> np.ndarray:
    """bool [rows * unit, cols * unit], or [heads, ...] or [batch, heads, ...]: True may be attended to."""
    masks = _per_head(mask)
    made = [[(m if unit == 1 else m.refine(unit)).to_dense() for m in heads] for heads in masks]
    if isinstance(mask, Mask):
        return made[0][0]
    is_batched = not (mask[0] is None or isinstance(mask[0], Mask))
    return np.array(made) if is_batched else np.array(made[0])


def additive_bias(mask: MaskLike, *, unit: int = 1, dtype: Any = None, device: Any = "cpu") -> torch.Tensor:
    """0 where a query may look and -inf elsewhere: the attn_mask of scaled_dot_product_attention in the queries' dtype (float32)."""
    import torch

    allowed = torch.from_numpy(dense_bool(mask, unit=unit)).to(device)
    bias = torch.zeros(allowed.shape, dtype=dtype or torch.float32, device=device)
    return bias.masked_fill_(~allowed, float("-inf"))
