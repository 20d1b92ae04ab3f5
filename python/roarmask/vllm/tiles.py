# SPDX-License-Identifier: Apache-2.0
"""Masked attention on a paged cache by FlexAttention: tiles of queries by blocks of the cache. Knows nothing of vLLM.

The queries of a step are laid out anew in tiles of TILE slots, each of one request and beginning at a position that is a multiple of
TILE; slots without a query of the step are left out of the result. So a row of the mask in tiles says which logical blocks a tile
reads, and the request's block table where they are. The keys are the whole cache, one block after the other, and the mask function
gets places in it: an inverse of the block table leads back to positions.

Everything after `Tiles.of` happens on the device of the block table and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

from .._core import Mask
from .step import Int32, cut

TILE = 64


class TileMask(NamedTuple):
    """A mask on a device, as bits."""

    cells: torch.Tensor  # uint8 [rows, bytes]
    cell: int  # tokens of a cell's side
    window: int | None  # and of the model's own window, which the cells know nothing of
    some: torch.Tensor  # uint8 [tiles, bytes]: blocks of which some query of the tile sees some key
    every: torch.Tensor  # likewise: all queries all keys, but for those that are later

    @staticmethod
    def of(
        given: Mask, cell: int, window: int | None, exact: Mask, exact_cell: int, block_size: int, max_tokens: int, device: torch.device
    ) -> TileMask:
        """`exact` is `given` within the window, in cells of `exact_cell` tokens; the same mask where there is none."""
        unit = gcd(exact_cell, TILE, block_size)
        side = -(-max_tokens // unit)
        times = exact_cell // unit
        fine = exact.refine(times, times, min(exact.rows * times, side), min(exact.cols * times, side))
        bits = (given.to_bits(), *(mask.to_bits() for mask in fine.coarsen_any_all(TILE // unit, block_size // unit)))
        cells, some, every = (torch.from_numpy(array).to(device) for array in bits)
        return TileMask(cells, cell, window, some, every)


@dataclass
class Tiles:
    """The tiles of a step, on the device.

    Attributes:
        request, start, end: int32 [tiles]; the tile's queries are at positions from start on, and before end.
        slots: int64 [tokens], the slot of each query.
        queries: int64 [tiles * TILE], the query of each slot; that of an empty one is the first.
        block_table: int32 [requests, blocks], physical blocks; of meaning where seq_lens, int32 [requests], reaches.
    """

    request: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor
    slots: torch.Tensor
    queries: torch.Tensor
    block_table: torch.Tensor
    seq_lens: torch.Tensor
    block_size: int
    _logical: dict[int, torch.Tensor] = field(default_factory=dict)
    _block_masks: dict[Any, BlockMask] = field(default_factory=dict)

    @staticmethod
    def of(query_start_loc: Int32, seq_lens: Int32, block_table: torch.Tensor, block_size: int, to_device: Callable[..., Any]) -> Tiles:
        """The tiles of requests whose queries are the last ones of their sequences.

        Args:
            query_start_loc: int32 [requests + 1].
            seq_lens: int32 [requests], the step's own tokens included.
            block_table: int32 [requests or more, max_blocks], on the device.
            to_device: makes a tensor there from an array.
        """
        pieces = cut(query_start_loc, seq_lens, TILE)
        lengths = np.diff(pieces.query_start)
        first_slot = np.arange(len(lengths)) * TILE + pieces.end - lengths - pieces.row * TILE
        slots = np.repeat(first_slot - pieces.query_start[:-1] + pieces.query_start[0], lengths) + np.arange(lengths.sum())
        # Two at least of everything: torch.compile makes another kernel for one.
        num_tiles, num_requests = max(len(lengths), 2), max(len(seq_lens), 2)
        queries = np.zeros(num_tiles * TILE, np.int64)
        queries[slots] = np.arange(len(slots))
        columns = np.zeros((3, num_tiles), np.int32)
        columns[:, : len(lengths)] = pieces.request, pieces.row * TILE, pieces.end
        lens = np.zeros(num_requests, np.int32)
        lens[: len(seq_lens)] = seq_lens
        num_blocks = max(-(-int(lens.max()) // block_size), 1)
        table = block_table[: len(seq_lens), :num_blocks]
        if len(table) < num_requests:
            table = torch.cat((table, table.new_zeros((num_requests - len(table), num_blocks))))
        request, start, end = to_device(columns)
        return Tiles(request, start, end, to_device(slots), to_device(queries), table, to_device(lens), block_size)

    def logical(self, num_blocks: int) -> torch.Tensor:
        """int32 [requests, num_blocks + 1]: which of a request's blocks a physical one is, -1 where it is none of them."""
        if num_blocks not in self._logical:
            blocks = torch.arange(self.block_table.shape[1], dtype=torch.int32, device=self.block_table.device)
            used = blocks * self.block_size < self.seq_lens[:, None]
            # What is behind the end of a sequence may be any number: it goes where nobody looks.
            physical = torch.where(used, self.block_table, num_blocks).to(torch.int64)
            inverse = blocks.new_full((len(physical), num_blocks + 1), -1)
            self._logical[num_blocks] = inverse.scatter_(1, physical, blocks.expand(physical.shape))
        return self._logical[num_blocks]

    def block_mask(self, key: Any, mask: TileMask, num_blocks: int) -> BlockMask:
        """The mask of a cache of `num_blocks` for all heads, made once for each `key`."""
        if key not in self._block_masks:
            self._block_masks[key] = self._make_block_mask(mask, num_blocks)
        return self._block_masks[key]

    def _make_block_mask(self, mask: TileMask, num_blocks: int) -> BlockMask:
        width, start = self.block_table.shape[1], self.start[:, None]
        rows = (self.start // TILE).to(torch.int64)
        some, every = (_unpacked(bits[rows], width) for bits in (mask.some, mask.every))
        first_key = torch.arange(0, width * self.block_size, self.block_size, dtype=torch.int32, device=start.device)
        full = every & (first_key + self.block_size <= start)
        partial = some & ~full & (first_key < self.end[:, None])
        physical = self.block_table[self.request.to(torch.int64)]
        (counts, indices), (full_counts, full_indices) = (_listed(blocks, physical) for blocks in (partial, full))
        return BlockMask.from_kv_blocks(
            counts,
            indices,
            full_counts,
            full_indices,
            BLOCK_SIZE=(TILE, self.block_size),
            mask_mod=self._mask_mod(mask, self.logical(num_blocks)),
            seq_lengths=(len(self.queries), num_blocks * self.block_size),
            compute_q_blocks=False,
        )

    def _mask_mod(self, mask: TileMask, logical: torch.Tensor) -> Callable[..., torch.Tensor]:
        """Exact to the token. Kernels ask about the blocks that `kv_indices` lists, torch's plain version about all."""
        request, start, block_size = self.request, self.start, self.block_size
        cells, cell, window = mask.cells, mask.cell, mask.window
        last_row = len(cells) - 1

        def mask_mod(b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor) -> torch.Tensor:
            tile = q_idx // TILE
            block = logical[request[tile], kv_idx // block_size]
            key = block * block_size + kv_idx % block_size
            query = start[tile] + q_idx % TILE
            column = key.clamp(min=0) // cell
            byte = cells[(query // cell).clamp(max=last_row), column // 8].to(torch.int32)
            seen = (block >= 0) & (key <= query) & (((byte >> (column % 8)) & 1) == 1)
            return seen if window is None else seen & (query - key < window)

        return mask_mod


def _unpacked(bits: torch.Tensor, width: int) -> torch.Tensor:
    """bool [rows, width] of uint8 [rows, bytes]"""
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return ((bits[:, :, None] >> places) & 1).flatten(1)[:, :width].to(torch.bool)


def _listed(blocks: torch.Tensor, physical: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """kv_num_blocks int32 [1, 1, tiles] and kv_indices int32 [1, 1, tiles, width + 1] of bool [tiles, width].

    Kernels fetch the entry behind the last one of a tile as well: there always is one, and it is a block of the cache.
    """
    width = blocks.shape[1]
    place = torch.where(blocks, blocks.cumsum(1) - 1, width)
    indices = physical.new_zeros((len(blocks), width + 1)).scatter_(1, place, physical)
    indices[:, width] = 0
    return blocks.sum(1, dtype=torch.int32)[None, None], indices[None, None]


def _capped(cap: float) -> Callable[..., torch.Tensor]:
    def score_mod(score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, q_idx: torch.Tensor, kv_idx: torch.Tensor) -> torch.Tensor:
        return cap * torch.tanh(score / cap)

    return score_mod


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    tiles: Tiles,
    block_mask: BlockMask,
    out: torch.Tensor,
    *,
    scale: float,
    soft_cap: float | None = None,
    sinks: torch.Tensor | None = None,
    flex: Callable[..., Any] = flex_attention,
    kernel_options: Any = None,
) -> None:
    """Masked attention of the queries of a step.

    Args:
        query, out: [tokens, heads, head_size].
        keys, values: [tokens of the cache, KV heads, head_size].
        soft_cap: scores become soft_cap * tanh(score / soft_cap).
        sinks: [heads], a score that takes its share and has no value.
        flex, kernel_options: the kernel, torch's plain one unless given, and what it is told.
    """
    result = flex(
        query[tiles.queries].transpose(0, 1)[None],
        keys.transpose(0, 1)[None],
        values.transpose(0, 1)[None],
        None if soft_cap is None else _capped(soft_cap),
        block_mask,
        scale,
        enable_gqa=query.shape[1] != keys.shape[1],
        kernel_options=kernel_options,
        return_aux=None if sinks is None else AuxRequest(lse=True),
    )
    if sinks is not None:
        result, aux = result
        result = result * torch.sigmoid(aux.lse - sinks[:, None].to(aux.lse.dtype))[..., None].to(result.dtype)
    out.copy_(result[0].transpose(0, 1)[tiles.slots])
