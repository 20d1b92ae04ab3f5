# SPDX-License-Identifier: Apache-2.0
"""What one step of the engine reads of a paged cache: vLLM's metadata and a mask in, a shorter block table out. Knows nothing of vLLM.

The queries of every request are cut into pieces where a block of the cache ends. All queries of a piece lie in one block, so one
row of the mask, in blocks of the cache, says for all of them which earlier blocks they see, and the block of their own comes last,
read causally. A kernel for dense causal attention that is given each piece as a request of its own, with the blocks of that row
as its block table, so computes exactly the masked attention: positions are in the rotated keys and not in the table. A decode step
is a piece of one query.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._core import Mask

Int32 = NDArray[np.int32]


class Pieces(NamedTuple):
    """The pieces of a step's queries, in the order of the queries."""

    request: NDArray[np.int64]  # [pieces]
    row: Int32  # [pieces]: the cache's block in which the piece lies, counted from its sequence's start
    end: Int32  # [pieces]: position behind its last query
    query_start: Int32  # [pieces + 1]: its queries are query_start[i] to query_start[i + 1]


class Table(NamedTuple):
    """The blocks that every piece reads."""

    block_table: Int32  # [pieces, max_blocks]; a row's first blocks, and nothing of meaning behind them
    seq_lens: Int32  # [pieces]: tokens on them


class CacheMask(NamedTuple):
    """A mask with blocks of the cache as its cells."""

    mask: Mask  # (row, col): some query of block row sees some key of block col
    is_exact: bool  # and then all of them do, but for later keys of the block of their own
    row_counts: NDArray[np.int64]  # [rows]: blocks that the queries of a block read


def cut(query_start_loc: Int32, seq_lens: Int32, block_size: int) -> Pieces:
    """The pieces of requests whose queries are the last ones of their sequences.

    Args:
        query_start_loc: int32 [requests + 1].
        seq_lens: int32 [requests], the step's own tokens included. A request without queries has no pieces.
    """
    counts = np.diff(query_start_loc)
    begin = seq_lens - counts
    first = begin // block_size
    num_pieces = np.where(counts > 0, (seq_lens - 1) // block_size - first + 1, 0)
    request = np.repeat(np.arange(len(counts)), num_pieces)
    within = np.arange(len(request)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    row = (first[request] + within).astype(np.int32)
    end = np.minimum((row + 1) * block_size, seq_lens[request]).astype(np.int32)
    lengths = end - np.maximum(row * block_size, begin[request])
    query_start = np.zeros(len(request) + 1, np.int32)
    np.cumsum(lengths, out=query_start[1:])
    query_start += query_start_loc[0]
    return Pieces(request, row, end, query_start)


def select(pieces: Pieces, mask: Mask, block_table: Int32, block_size: int) -> Table:
    """The blocks that the pieces read under a mask whose cells are blocks of the cache.

    Args:
        block_table: int32 [requests, max_blocks], physical blocks.
    """
    width = int(pieces.row.max(initial=0)) + 1
    tables = np.ascontiguousarray(block_table[:, :width])[pieces.request]
    out = np.zeros_like(tables)
    counts, lengths = np.empty_like(pieces.end), np.empty_like(pieces.end)
    _core._pages([mask] * len(counts), pieces.row, tables, pieces.end, block_size, out, counts, lengths)
    return Table(out, lengths)


def in_cache_blocks(mask: Mask, block: int, block_size: int, num_blocks: int) -> CacheMask:
    """A causal mask of blocks of `block` tokens, in blocks of the cache.

    Args:
        num_blocks: rows and columns of the result, at most as many tokens as the mask's.
    """
    common = gcd(block, block_size)
    times, tile = block // common, block_size // common
    sides = (min(mask.rows * times, num_blocks * tile), min(mask.cols * times, num_blocks * tile))
    fine = mask if times == 1 else mask.refine(times, times, *sides)
    cells = fine if tile == 1 else fine.coarsen_any_all(tile)[0]
    cells = cells & Mask.parse("causal", cells.rows)
    return CacheMask(cells, tile == 1, np.fromiter(map(cells.row_count, range(cells.rows)), np.int64, cells.rows))
