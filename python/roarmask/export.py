# SPDX-License-Identifier: Apache-2.0
"""One mask, every attention kernel's own tensors.

Words: a mask's cells stand for `unit` x `unit` tokens (1: token-exact). A kernel works on tiles of query tokens x key tokens. Where an
exporter takes `block_size`, it coarsens the mask to those tiles; a tile whose every cell is in the mask is full, one with some is partial.

Where a MaskLike is taken, a list of masks is one for each head, a list of such lists one for each batch entry, and None a dense head;
`layer_heads` makes that list of an Atlas. Equal masks are worked on once. Arrays are NumPy's; `torch.from_numpy` takes them without a copy.
With `out` results go into memory that you own and can reuse: what an earlier call returned, or a dict of arrays (or CPU tensors) by name.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._core import Atlas, Mask

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
    "VerticalSlashTiles",
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
    "from_vertical_slash",
    "layer_heads",
    "magi_slices",
    "minference_tiles",
    "minference_vertical_slash",
    "vllm_block_table",
]

_HUGE_PAGE = 1 << 21
MaskLike = Mask | Atlas | Sequence[Mask | None] | Sequence[Sequence[Mask | None]]


# ---------------------------------------------------------------- masks and tiles


def layer_heads(atlas: Atlas, layer: int) -> list[Mask]:
    """The masks of an atlas's layer, one for each head; a dense head's is the full one."""
    full = Mask.parse("full", atlas.rows, atlas.cols)
    return [full if m is None else m for m in (atlas[layer, head] for head in range(atlas.heads))]


def _nested(mask: MaskLike) -> bool:
    """Whether there is a list for each batch entry."""
    return not isinstance(mask, Mask | Atlas) and len(mask) > 0 and not (mask[0] is None or isinstance(mask[0], Mask))


def _per_head(mask: MaskLike, unit: int = 1) -> list[list[Mask]]:
    """The masks as [batch][head], all of one grid and equal ones one object; None becomes the full mask."""
    if unit < 1:
        raise ValueError(f"a cell stands for at least one token, not {unit}")
    if isinstance(mask, Mask):
        return [[mask]]
    if isinstance(mask, Atlas):
        if mask.layers != 1:
            raise ValueError(f"an atlas of {mask.layers} layers has no tensor for all of them: export layer_heads(atlas, layer)")
        mask = layer_heads(mask, 0)
    batch: list[list[Any]] = [list(heads) for heads in mask] if _nested(mask) else [list(mask)]  # type: ignore[arg-type]
    present = [m for heads in batch for m in heads if m is not None]
    if not all(isinstance(m, Mask) for m in present):
        raise TypeError("a mask is a Mask, a list of masks and None for the heads, or a list of such lists for the batch")
    if not present:
        raise ValueError("there is no mask: every head is dense")
    shapes = sorted({m.shape for m in present})
    if len(shapes) > 1:
        raise ValueError(f"masks of one call have one grid: {shapes}")
    if len({len(heads) for heads in batch}) != 1:
        raise ValueError("every batch entry has the same number of heads")
    full = Mask.parse("full", *shapes[0])
    distinct: dict[int, list[Mask]] = {}

    def one(m: Mask) -> Mask:
        alike = distinct.setdefault(m.nnz, [])
        for other in alike:
            if m is other or m == other:
                return other
        alike.append(m)
        return m

    return [[one(full if m is None else m) for m in heads] for heads in batch]


def _map(function: Callable[[Mask], Any], masks: list[list[Mask]]) -> list[list[Any]]:
    """function(mask) of each, called once for each distinct one."""
    done: dict[int, Any] = {}
    return [[done[id(m)] if id(m) in done else done.setdefault(id(m), function(m)) for m in heads] for heads in masks]


def _to_tokens(mask: Mask, unit: int) -> Mask:
    return mask if unit == 1 else mask.refine(unit)


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


def _full_and_partial(mask: Mask, sides: tuple[int, int]) -> tuple[Mask, Mask]:
    return (mask, Mask.parse("none", *mask.shape)) if sides == (1, 1) else mask.coarsen(*sides)


def _padded(tiles: list[list[Mask]], counts: np.ndarray, indices: np.ndarray) -> None:
    for b, heads in enumerate(tiles):
        for h, mask in enumerate(heads):
            _core._padded(mask, counts[b, h], indices[b, h])


def _tile_bits(mask: Mask, tiles: Mask, sides: tuple[int, int], bits: np.ndarray) -> None:
    """The cells of tiles, uint8 [tiles, bytes of a tile]."""
    _core._tile_bits(mask, tiles, *sides, bits.reshape(-1))


def _bytes_of_tile(sides: tuple[int, int]) -> int:
    return -(-sides[0] * sides[1] // 8)


def _given(out: Any, name: str) -> Any:
    if out is None:
        return None
    return out.get(name) if isinstance(out, dict) else getattr(out, name, None)


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


def _buffer(out: Any, name: str, shape: tuple[int, ...], dtype: Any, zeros: Callable[..., np.ndarray] = np.zeros) -> np.ndarray:
    """The caller's array of that name, checked, or a new one."""
    given = _given(out, name)
    if given is None:
        return zeros(shape, dtype)
    array = np.asarray(given)
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous or not array.flags.writeable:
        wanted = f"a contiguous, writable {np.dtype(dtype)} array {list(shape)}"
        raise ValueError(f"out[{name!r}] must be {wanted}, not {array.dtype} {list(array.shape)}")
    return array


def _list_buffer(out: Any, name: str, length: int) -> np.ndarray:
    """The first `length` entries of the caller's int32 array, which may be longer."""
    given = _given(out, name)
    if given is None:
        return np.zeros(length, np.int32)
    array = np.asarray(given)
    if array.ndim != 1 or len(array) < length:
        raise ValueError(f"out[{name!r}] must have room for {length} entries, not {list(array.shape)}")
    return _buffer({name: array[:length]}, name, (length,), np.int32)


# ---------------------------------------------------------------- FlexAttention


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

    masks = _per_head(mask, unit)
    q, kv = _pair(block_size)
    sides = _tile_sides(block_size, unit)
    tiles = _map(lambda m: _full_and_partial(m, sides), masks)
    batch, heads = len(masks), len(masks[0])
    rows, cols = tiles[0][0][0].shape
    if rows == 0 or cols == 0:
        raise ValueError(f"a mask of {masks[0][0].rows} x {masks[0][0].cols} has no tiles")
    arrays = {}
    for prefix, which in (("kv", 1), ("full_kv", 0)):
        counts = arrays[f"{prefix}_num_blocks"] = _buffer(out, f"{prefix}_num_blocks", (batch, heads, rows), np.int32)
        indices = arrays[f"{prefix}_indices"] = _buffer(out, f"{prefix}_indices", (batch, heads, rows, cols), np.int32, _sparse_zeros)
        _padded([[t[which] for t in h] for h in tiles], counts, indices)
    is_exact = not any(t[1].nnz for h in tiles for t in h) and all(t[0].nnz == rows * cols for h in tiles for t in h)
    return BlockMask.from_kv_blocks(
        **{name: torch.from_numpy(array).to(device) for name, array in arrays.items()},
        BLOCK_SIZE=(q, kv),
        mask_mod=None if is_exact else _mask_mod(masks, tiles, (q, kv), unit, device),
        seq_lengths=(masks[0][0].rows * unit, masks[0][0].cols * unit),
        compute_q_blocks=False,
    )


class _TileTable(NamedTuple):
    """The tiles with a cell of several masks, one mask behind the other, and the bits of their partial ones."""

    starts: np.ndarray  # int64 [masks, M + 1]
    cols: np.ndarray  # int32 [tiles + 1], ascending in each row
    slots: np.ndarray  # int32 [tiles + 1]: -1 for a full tile, the place of its bits for a partial one
    bits: np.ndarray  # uint8 [partial tiles or 1, bytes of a tile]


def _tile_table(masks: list[Mask], tiles: list[tuple[Mask, Mask]], sides: tuple[int, int]) -> _TileTable:
    num_tiles, num_partial = sum(f.nnz + p.nnz for f, p in tiles), sum(p.nnz for _, p in tiles)
    # One entry more than there are, so that look-ups that find nothing have something to read.
    table = _TileTable(
        np.empty((len(masks), tiles[0][0].rows + 1), np.int64),
        np.zeros(num_tiles + 1, np.int32),
        np.full(num_tiles + 1, -1, np.int32),
        np.zeros((max(num_partial, 1), _bytes_of_tile(sides)), np.uint8),
    )
    tile, slot = 0, 0
    for i, (mask, (full, partial)) in enumerate(zip(masks, tiles, strict=True)):
        indptr, indices = (full | partial).to_csr()
        end = tile + len(indices)
        table.starts[i] = indptr + tile
        table.cols[tile:end] = indices
        table.slots[tile:end][_places_in(partial, indptr, indices)] = np.arange(slot, slot + partial.nnz, dtype=np.int32)
        _tile_bits(mask, partial, sides, table.bits[slot : slot + partial.nnz])
        tile, slot = end, slot + partial.nnz
    return table


def _places_in(part: Mask, indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Where in compressed rows the cells of a mask are that is part of them."""
    part_rows, part_cols = part.to_coo()
    rows = np.repeat(np.arange(part.rows, dtype=np.int64), np.diff(indptr))
    return np.searchsorted(rows * part.cols + indices, part_rows.astype(np.int64) * part.cols + part_cols)


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
    flat, flat_tiles = [m for heads in masks for m in heads], [t for heads in tiles for t in heads]
    first = list({id(m): i for i, m in reversed(list(enumerate(flat)))}.values())[::-1]  # where each distinct mask is first
    number = {id(flat[i]): k for k, i in enumerate(first)}
    table = _tile_table([flat[i] for i in first], [flat_tiles[i] for i in first], sides)
    steps = max(int(np.diff(table.starts, axis=1).max(initial=1)), 1).bit_length()
    batch, heads, num_rows, tile_bytes = len(masks), len(masks[0]), flat_tiles[0][0].rows, table.bits.shape[1]
    starts, cols, slots, bits = (torch.from_numpy(array.reshape(-1)).to(device) for array in table)
    numbers = torch.tensor([number[id(m)] for m in flat], device=device)
    tile_cols = sides[1]

    def mask_mod(b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor) -> torch.Tensor:
        tile_row, tile_col = (q_idx // q).clamp(max=num_rows - 1), kv_idx // kv
        if len(first) > 1:
            entry = (b * heads if batch > 1 else b * 0) + (h if heads > 1 else h * 0)
            tile_row = tile_row + numbers[entry] * (num_rows + 1)
        low, end = starts[tile_row], starts[tile_row + 1]
        high = end
        for _ in range(steps):  # the first of the row's tiles at or right of tile_col, by bisection
            middle = (low + high) // 2
            is_left = (low < high) & (cols[middle] < tile_col)
            low, high = torch.where(is_left, middle + 1, low), torch.where(is_left, high, middle)
        found = (low < end) & (cols[low] == tile_col)
        slot = slots[low].to(torch.int64)
        bit = (q_idx % q // unit) * tile_cols + kv_idx % kv // unit
        byte = bits[slot.clamp(min=0) * tile_bytes + bit // 8].to(torch.int32)
        is_set = ((byte >> (bit % 8).to(torch.int32)) & 1) == 1
        return found & ((slot < 0) | is_set)

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


# ---------------------------------------------------------------- FlashInfer


class Bsr(NamedTuple):
    """Arguments of flashinfer's BlockSparseAttentionWrapper.plan; for several heads block_indptr and block_indices of its per-head
    wrappers."""

    indptr: np.ndarray  # int32 [M / R + 1], or [B, H, M / R + 1] of places in the one list of indices
    indices: np.ndarray  # int32 [blocks], ascending in each row
    M: int  # query tokens
    N: int  # key tokens
    R: int  # query tokens of a block
    C: int  # key tokens of a block
    mask: np.ndarray | None  # bool [blocks, R, C], or None where every block is full


def flashinfer_bsr(mask: MaskLike, block_size: int | tuple[int, int], *, unit: int = 1, out: Any = None) -> Bsr:
    """FlashInfer's block-sparse rows. `mask` is coarsened to blocks; where some are partial, the result's `mask` has the cells of all.

    M and N are rounded up to whole blocks, whose surplus is masked. One mask makes indptr [rows + 1]; heads make it [B, H, rows + 1], with
    places in the one list of indices. `out` may give `indptr` and `indices`, the latter of any length that suffices.
    """
    masks = _per_head(mask, unit)
    q, kv = _pair(block_size)
    sides = _tile_sides(block_size, unit)
    tiles = _map(lambda m: (m, m) if sides == (1, 1) else m.coarsen_any_all(*sides), masks)
    rows, cols = tiles[0][0][0].shape
    total = sum(t[0].nnz for h in tiles for t in h)
    if total > np.iinfo(np.int32).max:
        raise OverflowError(f"int32 places reach 2^31 - 1 blocks, not {total}")
    shape = (rows + 1,) if isinstance(mask, Mask) else (len(masks), len(masks[0]), rows + 1)
    indptr, indices = _buffer(out, "indptr", shape, np.int32), _list_buffer(out, "indices", total)
    is_partial = any(full.nnz != any_.nnz for h in tiles for any_, full in h) or masks[0][0].rows % sides[0] or masks[0][0].cols % sides[1]
    bits = np.zeros((total, _bytes_of_tile(sides)), np.uint8) if is_partial else None
    flat = [(m, t[0]) for heads, h in zip(masks, tiles, strict=True) for m, t in zip(heads, h, strict=True)]
    at = 0
    for starts, (m, any_) in zip(indptr.reshape(-1, rows + 1), flat, strict=True):
        _core._bsr(any_, starts, indices[at : at + any_.nnz])
        if at:
            starts += np.int32(at)
        if bits is not None:
            _tile_bits(m, any_, sides, bits[at : at + any_.nnz])
        at += any_.nnz
    return Bsr(indptr, indices, rows * q, cols * kv, q, kv, None if bits is None else _cells_of_bits(bits, sides, unit))


def _cells_of_bits(bits: np.ndarray, sides: tuple[int, int], unit: int) -> np.ndarray:
    cells = np.unpackbits(bits, axis=1, count=sides[0] * sides[1], bitorder="little").reshape(len(bits), *sides).view(bool)
    return cells if unit == 1 else cells.repeat(unit, axis=1).repeat(unit, axis=2)


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


class PagedIndices(NamedTuple):
    """Arguments of flashinfer's BatchDecodeWithPagedKVCacheWrapper.plan."""

    indptr: np.ndarray  # int32 [requests + 1]
    indices: np.ndarray  # int32 [pages]: physical pages
    last_page_len: np.ndarray  # int32 [requests]


def _page_arguments(masks: Mask | Sequence[Mask], rows: Any, block_table: Any, seq_lens: Any, page_size: int) -> tuple[Any, ...]:
    if page_size < 1:
        raise ValueError(f"a page has at least one token, not {page_size}")
    lengths = np.ascontiguousarray(seq_lens, np.int32)
    table = np.ascontiguousarray(block_table, np.int32)
    requests = len(lengths)
    list_of_masks = [masks] * requests if isinstance(masks, Mask) else list(masks)
    if lengths.ndim != 1 or len(list_of_masks) != requests or table.ndim != 2 or len(table) != requests:
        given = f"{requests} sequence lengths, {len(list_of_masks)} masks and a block table {list(table.shape)}"
        raise ValueError(f"{given} do not go together")
    # The query of a decode step is the newest token: its row is its block's.
    which = np.ascontiguousarray((lengths - 1) // page_size if rows is None else rows, np.int32)
    if which.shape != lengths.shape:
        raise ValueError(f"rows are {list(which.shape)}, and there are {requests} requests")
    return list_of_masks, which, table, lengths


def vllm_block_table(
    masks: Mask | Sequence[Mask],
    block_table: Any,
    seq_lens: Any,
    block_size: int,
    *,
    rows: Any = None,
    out: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The compacted block table of a decode step: each request keeps the pages that its row of the mask has, and its newest one.

    Args:
        masks: one mask for all requests, or one each; key blocks are the cache's blocks.
        block_table: int32 [requests, max_blocks], logical to physical.
        seq_lens: int32 [requests], the newest token included.
        rows: the query's row in each mask; that of its newest token's block unless given.
        out: an earlier result, or a dict with `block_table` and `seq_lens`.

    Returns:
        (block_table int32 [requests, max_blocks], seq_lens int32 [requests]). Entries past a request's last page are not part of it.
    """
    arguments = _page_arguments(masks, rows, block_table, seq_lens, block_size)
    if isinstance(out, tuple):
        out = dict(zip(("block_table", "seq_lens"), out, strict=True))
    table = _buffer(out, "block_table", arguments[2].shape, np.int32)
    lengths = _buffer(out, "seq_lens", arguments[3].shape, np.int32)
    counts = np.empty_like(lengths)
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], block_size, table, counts, lengths)
    return table, lengths


def flashinfer_paged(
    masks: Mask | Sequence[Mask], block_table: Any, seq_lens: Any, page_size: int, *, rows: Any = None, out: Any = None
) -> PagedIndices:
    """FlashInfer's page list of a decode step; arguments as in vllm_block_table. `out`: an earlier result, with as many indices or more."""
    arguments = _page_arguments(masks, rows, block_table, seq_lens, page_size)
    table = np.empty(arguments[2].shape, np.int32)
    requests = len(table)
    indptr, last = _buffer(out, "indptr", (requests + 1,), np.int32), _buffer(out, "last_page_len", (requests,), np.int32)
    counts = np.empty(requests, np.int32)
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], page_size, table, counts, last)
    last -= (counts - 1) * np.int32(page_size)
    indptr[0] = 0
    np.cumsum(counts, out=indptr[1:])
    indices = _list_buffer(out, "indices", int(indptr[-1]))
    indices[:] = table[np.arange(table.shape[1])[None, :] < counts[:, None]]
    return PagedIndices(indptr, indices, last)


# ---------------------------------------------------------------- FlashAttention-4


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
    masks = _per_head(mask, unit)
    sides = _tile_sides(block_size, unit)
    tiles = _map(lambda m: _full_and_partial(m, sides), masks)
    batch, heads, rows = len(masks), len(masks[0]), tiles[0][0][0].rows
    made: dict[str, np.ndarray] = {}
    for name, which in (("mask", 1), ("full", 0)):
        lists = [[t[which] for t in h] for h in tiles]
        given = _given(out, f"{name}_block_idx")
        width = max((_core._max_row_count(m) for h in lists for m in h), default=0) if given is None else np.shape(given)[-1]
        counts = made[f"{name}_block_cnt"] = _buffer(out, f"{name}_block_cnt", (batch, heads, rows), np.int32)
        indices = made[f"{name}_block_idx"] = _buffer(out, f"{name}_block_idx", (batch, heads, rows, width), np.int32)
        _padded(lists, counts, indices)
    return BlockSparseTensors(**made, block_size=_pair(block_size))


# ---------------------------------------------------------------- FlashMask


def flashmask(mask: MaskLike, *, causal: bool | None = None, num_bounds: int | None = None, unit: int = 1, out: Any = None) -> np.ndarray:
    """FlashMask's startend_row_indices: int32 [B, heads, key tokens, c], one masked row interval for each key column and triangle.

    `mask` is square. causal=None takes the causal form where no mask has a cell above the diagonal, num_bounds=None the
    smallest c that fits: causal 1 (rows >= r1 are masked) or 2 (rows [r1, r2)), otherwise 2 (lower >= r1, upper < r2) or 4 (lower [r1, r2),
    upper [r3, r4)). ValueError names the column and the rows of it that do not fit, and why. `out` may be an earlier result.
    """
    masks = _map(lambda m: _to_tokens(m, unit), _per_head(mask, unit))
    side = masks[0][0].cols
    if causal is None:
        causal = _is_causal(masks)
    if isinstance(out, np.ndarray):
        out = {"startend_row_indices": out}
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


# ---------------------------------------------------------------- MagiAttention


class MagiSlices(NamedTuple):
    """MagiAttention's AttnSlices. Types: 0 full, 1 causal, 2 inverse causal, 3 both."""

    q_ranges: np.ndarray  # int32 [n, 2]
    k_ranges: np.ndarray  # int32 [n, 2]
    types: np.ndarray  # int32 [n]


def magi_slices(mask: MaskLike, *, unit: int = 1) -> Any:
    """The slices of a mask: an interval of a strip is one. Every mask fits; irregular ones make a slice for each run of a row.

    MagiAttention has one list for all heads: several masks give [batch][heads] of MagiSlices.
    """
    made = _map(lambda m: MagiSlices(*_core._slices(_to_tokens(m, unit))), _per_head(mask, unit))
    return made[0][0] if isinstance(mask, Mask) else made


def from_magi_slices(q_ranges: Any, k_ranges: Any, types: Any, rows: int, cols: int) -> Mask:
    """The union of slices as a token-exact mask of rows x cols."""
    q, k, kinds = (np.ascontiguousarray(a, np.int32) for a in (q_ranges, k_ranges, types))
    if kinds.ndim != 1 or any(a.size != 2 * len(kinds) for a in (q, k)):
        raise ValueError(f"n slices have ranges [n, 2] and types [n], not {list(q.shape)}, {list(k.shape)} and {list(kinds.shape)}")
    return _core._from_slices(rows, cols, q.reshape(-1), k.reshape(-1), kinds)


# ---------------------------------------------------------------- MInference


class VerticalSlash(NamedTuple):
    """MInference's pattern of a causal mask: whole key columns, and whole diagonals."""

    v_idx: np.ndarray  # int32 [B, H, V], ascending key columns
    s_idx: np.ndarray  # int32 [B, H, S], descending distances q - k


def minference_vertical_slash(mask: MaskLike, *, unit: int = 1) -> VerticalSlash:
    """The columns and diagonals that a square, causal mask is the union of. ValueError where it is not.

    Heads with fewer columns than others are filled up with the number of tokens, which is no column; with fewer diagonals by repeating the
    last one. The kernels take both as nothing.
    """
    found = _map(_vertical_slash, _map(lambda m: _to_tokens(m, unit), _per_head(mask, unit)))
    n = (mask if isinstance(mask, Mask) else next(m for heads in _per_head(mask) for m in heads)).rows * unit
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
        _buffer(out, "block_count", shape, np.int32),
        _buffer(out, "block_offset", (*shape, s.shape[2]), np.int32),
        _buffer(out, "column_count", shape, np.int32),
        _buffer(out, "column_index", (*shape, v.shape[2]), np.int32),
    )
    for b in range(shape[0]):
        for h in range(shape[1]):
            _core._vertical_slash(v[b, h], s[b, h], num_tokens, block_size, *(array[b, h].reshape(-1) for array in made))
    return made


# ---------------------------------------------------------------- does it fit?


@dataclass(frozen=True)
class Fit:
    """Whether a mask can be said in a format. True or false by itself; `reason` says what is in the way."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


_ALWAYS = ("flex", "flashinfer", "fa4", "magi", "dense", "vllm")
_EXPORTERS = {
    "flex_block_mask": "flex",
    "flashinfer_bsr": "flashinfer",
    "flashinfer_paged": "vllm",
    "fa4_block_sparse": "fa4",
    "magi_slices": "magi",
    "minference_vertical_slash": "vertical_slash",
    "minference": "vertical_slash",
    "vllm_block_table": "vllm",
    "dense_bool": "dense",
    "additive_bias": "dense",
}


def fits(mask: MaskLike, format: str, *, unit: int = 1) -> Fit:
    """Answers beforehand whether `mask` fits "flashmask" or "vertical_slash"; "flex", "flashinfer", "fa4", "magi", "vllm" and "dense" take
    all. The names of the exporters are understood as well."""
    name = _EXPORTERS.get(format, format)
    if name in _ALWAYS:
        return Fit(True)
    exporters: dict[str, Callable[..., Any]] = {"flashmask": flashmask, "vertical_slash": minference_vertical_slash}
    exporter = exporters.get(name)
    if exporter is None:
        raise ValueError(f"unknown format {format!r}; there are {', '.join([*_ALWAYS, 'flashmask', 'vertical_slash'])}")
    try:
        exporter(mask, unit=unit)
    except ValueError as reason:
        return Fit(False, str(reason))
    return Fit(True)


# ---------------------------------------------------------------- plain tensors


def dense_bool(mask: MaskLike, *, unit: int = 1, out: Any = None) -> np.ndarray:
    """bool [rows * unit, cols * unit], or [heads, ...] or [batch, heads, ...]: True may be attended to. `out` may be an earlier result."""
    masks = _map(lambda m: _to_tokens(m, unit), _per_head(mask, unit))
    grid = masks[0][0].shape
    shape = grid if isinstance(mask, Mask) else (*([len(masks)] if _nested(mask) else []), len(masks[0]), *grid)
    cells = _buffer(None if out is None else {"cells": out}, "cells", shape, np.bool_)
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
