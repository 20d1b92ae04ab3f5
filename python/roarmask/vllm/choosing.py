# SPDX-License-Identifier: Apache-2.0
"""A layer's masks of one step, chosen by policies from its queries and the paged cache. Knows nothing of vLLM.

The queries of a step are cut where a block of the mask ends; such a piece is a row of the mask. What a policy says is exactly

    policy.mask(queries of the step, all keys of the sequence so far, budget)

for each request and query head. Policies that rank blocks by summaries of their keys read no keys: summaries are kept for every block
of the cache's pages, and made anew for the blocks that a step writes into, before anything is chosen from them. A key gets into a
page by a step only, and that step makes its block's summary from what stands there now, up to the sequence's end: pages that are
shared, freed, given to others and overwritten cannot leave old ones behind.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .._core import Mask
from .._key_blocks import score_keys, summarize_keys
from ..policies import Policy
from ..policies._base import Cells, Floats
from ..policies._scored import Ranked
from .chosen import Bound, Chosen
from .step import Int32, cut

_MOST_SCORES = 1 << 22  # scores, of all heads and rows, that exist at a time


class Choice(NamedTuple):
    """What was chosen in a step."""

    masks: list[list[Mask | None]]  # of each request and KV head, as paged_attention takes them
    read: int  # blocks, over KV heads and pieces
    held: int  # those that dense attention would read
    decode_read: int  # the same, of requests with one query
    decode_new: int  # of these, blocks that no decode step of the step before read
    seconds: float


class Shape:
    """A step in blocks of the masks: made once for all layers.

    Args:
        query_start_loc, seq_lens, block_table: as vLLM's.
        page: tokens of a page of the cache, a multiple of block.
    """

    def __init__(self, query_start_loc: Int32, seq_lens: Int32, block_table: Int32, page: int, block: int) -> None:
        self.block, self.page = block, page
        self.seq_lens, self.query_start_loc, self.block_table = seq_lens, query_start_loc, block_table
        self.pieces = cut(query_start_loc, seq_lens, block)
        # The blocks of the mask that each request has in the cache, in order: int32 [requests, cols].
        self.cols = int(self.pieces.row.max(initial=0)) + 1
        logical = np.arange(self.cols)
        times = page // block
        # Entries past a sequence's end mean nothing.
        self.blocks = np.ascontiguousarray(block_table[:, logical // times] * times + logical % times, np.int32)
        self.piece_starts = np.searchsorted(self.pieces.request, np.arange(len(seq_lens) + 1))
        # Where the step writes: the blocks of its pieces, and how many keys are in them now.
        self.written = self.blocks[self.pieces.request, self.pieces.row]
        self.filled = self.pieces.end - self.pieces.row * block
        self._static: dict[Mask, Cells] = {}

    def rows_of(self, mask: Mask) -> Cells:
        """bool [pieces, cols]: the pieces' rows of a mask of whole sequences."""
        if mask not in self._static:
            self._static[mask] = mask.take_rows(self.pieces.row)[:, : self.cols].to_dense()
        return self._static[mask]


class Chooser:
    """Of one layer.

    Args:
        heads: of each KV head its mask, or how it is chosen.
        group: query heads of a KV head.
        scale: of the model's scores.
    """

    def __init__(self, heads: Sequence[Mask | Chosen], group: int, scale: float) -> None:
        self.heads, self.group, self.scale = heads, group, scale
        self.by_choice: dict[Chosen, list[int]] = {}
        for head, how in enumerate(heads):
            if isinstance(how, Chosen):
                self.by_choice.setdefault(how, []).append(head)
        bounds = [part for how in self.by_choice for term in how.terms for part in term if isinstance(part, Bound)]
        self.kinds = sorted({one.policy.summary for one in bounds if isinstance(one.policy, Ranked)})
        self.chosen_heads = sorted(head for heads_of in self.by_choice.values() for head in heads_of)
        self._cache: Any = None
        self.summaries: dict[str, Floats] = {}
        self._last: list[Int32] = []
        self._was_read: Cells = np.zeros((0, 0), bool)

    def choose(self, query: torch.Tensor, keys: torch.Tensor, shape: Shape) -> Choice:
        """Args:
        query: [tokens, heads, dim], any floating type.
        keys: [pages, KV heads, dim, page], the step's own among them.
        """
        begin = time.perf_counter()
        self._prepare(keys, shape)
        for kind in self.kinds:
            summarize_keys(keys, shape.written, shape.filled, shape.block, kind, self.summaries[kind], key_columns=True)
        cells = _Step(self, query, keys, shape).cells() if len(shape.pieces.request) else np.zeros((0, len(self.heads), shape.cols), bool)
        masks = self._masks(cells, shape)
        read, held, decode_read, decode_new = self._count(cells, shape)
        return Choice(masks, read, held, decode_read, decode_new, time.perf_counter() - begin)

    def _prepare(self, keys: torch.Tensor, shape: Shape) -> None:
        """Room for the summaries of a cache that was not seen before. The system gives memory to what is written to only."""
        where = (keys.data_ptr(), keys.shape)
        if where == self._cache:
            return
        self._cache = where
        num_blocks, num_heads, dim = keys.shape[0] * (shape.page // shape.block), keys.shape[1], keys.shape[2]
        self.summaries = {kind: np.zeros((num_blocks, num_heads, dim * (1 + (kind == "bounds"))), np.float32) for kind in self.kinds}
        self._was_read = np.zeros((len(self.heads), num_blocks), bool)
        self._last = [np.zeros(0, np.int32)] * len(self.heads)

    def _masks(self, cells: Cells, shape: Shape) -> list[list[Mask | None]]:
        masks: list[list[Mask | None]] = []
        for request, length in enumerate(shape.seq_lens):
            of_heads: list[Mask | None] = [how if isinstance(how, Mask) else None for how in self.heads]
            pieces = slice(shape.piece_starts[request], shape.piece_starts[request + 1])
            if pieces.stop > pieces.start:
                first, cols = int(shape.pieces.row[pieces.start]), -(-int(length) // shape.block)
                for head in self.chosen_heads:
                    rows = cells[pieces, head, :cols]
                    starts = np.zeros(first + len(rows) + 1, np.int64)
                    np.cumsum(rows.sum(axis=1), out=starts[first + 1 :])
                    of_heads[head] = Mask.from_csr(starts, rows.nonzero()[1].astype(np.int32), cols)
            masks.append(of_heads)
        return masks

    def _count(self, cells: Cells, shape: Shape) -> tuple[int, int, int, int]:
        held = (int(shape.pieces.row.sum()) + len(shape.pieces.row)) * len(self.heads)
        static = {how: int(shape.rows_of(how).sum()) for how in set(self.heads) if isinstance(how, Mask)}
        read = int(cells.sum()) + sum(static[how] for how in self.heads if isinstance(how, Mask))
        decodes = np.flatnonzero((np.diff(shape.query_start_loc) == 1)[shape.pieces.request])
        decode_read = decode_new = 0
        for head, how in enumerate(self.heads):
            of_head = shape.rows_of(how)[decodes] if isinstance(how, Mask) else cells[decodes, head]
            piece, col = of_head.nonzero()
            now = shape.blocks[shape.pieces.request[decodes[piece]], col]
            was = self._was_read[head]
            decode_read += len(now)
            decode_new += len(now) - int(was[now].sum())
            was[self._last[head]] = False
            was[now] = True
            self._last[head] = now
        return read, held, decode_read, decode_new


class _Step:
    """One layer's choosing in one step."""

    def __init__(self, chooser: Chooser, query: torch.Tensor, keys: torch.Tensor, shape: Shape) -> None:
        self.chooser, self.keys, self.shape = chooser, keys, shape
        self.own = shape.pieces.row.astype(np.int64)
        self.tokens = query
        # The scores made last: their kind, the first piece that they are of, and they.
        self.known: tuple[str, int, Floats] = ("", 0, np.zeros(0, np.float32))
        tokens, heads, dim = query.shape
        num_kv_heads = heads // chooser.group
        # As [KV heads, query heads of each, tokens, dim].
        self.query: Floats = query.float().view(tokens, num_kv_heads, chooser.group, dim).permute(1, 2, 0, 3).numpy()

    def cells(self) -> Cells:
        """bool [pieces, KV heads, cols]; nothing for heads whose masks are not chosen."""
        shape, chooser = self.shape, self.chooser
        cells = np.zeros((len(self.own), len(chooser.heads), shape.cols), bool)
        at_once = max(1, _MOST_SCORES // (len(chooser.heads) * chooser.group * shape.cols))
        for request in range(len(shape.seq_lens)):
            for begin in range(shape.piece_starts[request], shape.piece_starts[request + 1], at_once):
                pieces = slice(begin, min(begin + at_once, shape.piece_starts[request + 1]))
                cols = int(self.own[pieces.stop - 1]) + 1
                columns, own = np.arange(cols), self.own[pieces, None]
                for how, heads in chooser.by_choice.items():
                    # Query heads choose for themselves, and their KV head reads what any of them chose.
                    chosen = np.swapaxes(self._terms(how, heads, request, pieces, cols).any(axis=1), 0, 1)
                    cells[pieces, heads, :cols] = (chosen & (columns <= own)[:, None]) | (columns == own)[:, None]
        return cells

    def _terms(self, how: Chosen, heads: list[int], request: int, pieces: slice, cols: int) -> Cells:
        """bool [heads, query heads of each, pieces, cols], as all that it is made of; 1 where heads do not differ."""
        union: Any = False
        for term in how.terms:
            both: Any = True
            for part in term:
                if isinstance(part, Mask):
                    both = both & self.shape.rows_of(part)[None, None, pieces, :cols]
                elif isinstance(part.policy, Ranked):
                    both = both & self._ranked(part.policy, part, heads, request, pieces, cols)
                else:
                    both = both & self._others(part.policy, part, heads, request, pieces, cols)
            union = union | both
        return np.asarray(union)

    def _ranked(self, policy: Ranked, bound: Bound, heads: list[int], request: int, pieces: slice, cols: int) -> Cells:
        scores = self._scores(policy.summary, request, pieces, cols)
        of_heads = scores.reshape(len(scores), -1, self.chooser.group, cols)[:, heads].transpose(1, 2, 0, 3)
        return policy.pick(of_heads, self.own[None, None, pieces], bound.budget)

    def _scores(self, kind: str, request: int, pieces: slice, cols: int) -> Floats:
        """float32 [pieces, query heads, cols] of a request."""
        if self.known[:2] != (kind, pieces.start):
            all_pieces, list_of = self.shape.pieces, np.zeros(pieces.stop - pieces.start, np.int32)
            starts, ends = all_pieces.query_start[pieces.start : pieces.stop + 1], all_pieces.row[pieces] + np.int32(1)
            table, summaries = self.shape.blocks[request : request + 1, :cols], self.chooser.summaries[kind]
            made = score_keys(self.tokens, starts, summaries, table, list_of, ends, kind, self.chooser.scale)
            self.known = (kind, pieces.start, made)
        return self.known[2]

    def _others(self, policy: Policy, bound: Bound, heads: list[int], request: int, pieces: slice, cols: int) -> Cells:
        """Policies that look at the keys themselves: a step's queries together, as they are defined."""
        shape = self.shape
        whole = slice(shape.piece_starts[request], shape.piece_starts[request + 1])
        tokens = slice(*shape.query_start_loc[request : request + 2])
        length = int(shape.seq_lens[request])
        pages = torch.from_numpy(shape.block_table[request, : -(-length // shape.page)].astype(np.int64))
        cells = np.zeros((len(heads), self.chooser.group, whole.stop - whole.start, -(-length // shape.block)), bool)
        # These policies scale by 1 / sqrt(dim).
        factor = np.float32(self.chooser.scale * math.sqrt(self.query.shape[-1]))
        for i, head in enumerate(heads):
            keys = self.keys[pages, head].transpose(1, 2).flatten(0, 1)[:length].float().numpy()
            for j, queries in enumerate(self.query[head, :, tokens]):
                cells[i, j] = policy.mask(queries * factor, keys, bound.budget).to_dense()
        return cells[:, :, pieces.start - whole.start : pieces.stop - whole.start, :cols]
