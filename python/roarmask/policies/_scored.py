# SPDX-License-Identifier: Apache-2.0
"""Policies that score blocks of keys by the queries. What each computes is written in its docstring; the tests hold it to that."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from .._core import Mask
from ._base import Budget, Cells, Floats, Policy, Rows, blocks_of, enough, heaviest, key_blocks, scale_of, share_of, softmax

_CHUNK = 256  # queries whose probabilities exist at a time


def column_masses(queries: Floats, keys: Floats, positions: NDArray[np.int64], block: int) -> Floats:
    """Each query's causal softmax, summed over blocks of keys: [queries, cols]."""
    scores = queries @ keys.T
    scores *= scale_of(keys)
    chances = softmax(scores, np.arange(len(keys))[None, :] <= positions[:, None])
    return np.asarray(np.add.reduceat(chances, np.arange(0, len(keys), block), axis=1))


class Ranked(Policy):
    """Scores blocks by summaries of their keys alone, so that who keeps the summaries needs no keys.

    Attributes:
        summary: "means" or "bounds": see summaries_of.
    """

    summary: str

    def __init__(self, block: int = 16) -> None:
        self.block = block

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        scores = row_scores(queries, rows.starts(), summaries_of(keys, rows.block, self.summary), self.summary)
        return Mask.from_dense(self.pick(scores * scale_of(keys), rows.own, budget))

    @abstractmethod
    def pick(self, scores: Floats, own: NDArray[np.int64], budget: Budget) -> Cells:
        """The cells of rows [...] with these scores [..., cols], scaled, whose last query lies in column `own` [...]."""


def summaries_of(keys: Floats, block: int, kind: str) -> Floats:
    """What Ranked policies know of each block of keys [tokens, dim].

    Returns:
        "means" float32 [cols, dim], or "bounds" [cols, 2 * dim]: the greatest of the keys in each dimension, then the least.
    """
    if kind == "bounds":
        return np.concatenate([key_blocks(keys, block, -np.inf).max(axis=1), key_blocks(keys, block, np.inf).min(axis=1)], axis=1)
    blocks = key_blocks(keys, block, 0.0)
    sizes = np.full((len(blocks), 1), block, np.float32)
    sizes[-1] = len(keys) - (len(blocks) - 1) * block
    return np.asarray(blocks.sum(axis=1) / sizes)


def row_scores(queries: Floats, starts: NDArray[np.int64], summaries: Floats, kind: str) -> Floats:
    """The product of a row's mean query with the means, or the largest possible one of a query of the row with a key within the bounds.

    Args:
        queries: [..., n, dim]; row i are those from starts[i] to starts[i + 1].
        summaries: [..., cols, dim or 2 * dim].

    Returns:
        float32 [..., rows, cols], not scaled
    """
    turned = np.swapaxes(summaries, -1, -2)
    if kind == "bounds":
        # max(q * least, q * greatest) is q * greatest where q > 0, and q * least elsewhere.
        signs = np.concatenate([np.maximum(queries, 0), np.minimum(queries, 0)], axis=-1)
        return np.maximum.reduceat(signs @ turned, starts, axis=-2)
    counts = np.diff(np.append(starts, queries.shape[-2]))[:, None].astype(np.float32)
    return np.asarray(np.add.reduceat(queries, starts, axis=-2) / counts @ turned)


class topk_blocks(Ranked):
    """The blocks whose mean key has the largest product with the row's mean query.

    An int budget is blocks a row, a share is of those the row sees; the row's own block counts, and is always read.
    """

    summary = "means"

    def pick(self, scores: Floats, own: NDArray[np.int64], budget: Budget) -> Cells:
        return heaviest(scores, own, blocks_of(budget, own))


class topp_blocks(Ranked):
    """The fewest blocks with a share of the softmax of those products, over the blocks that the row sees. The budget is that share."""

    summary = "means"

    def pick(self, scores: Floats, own: NDArray[np.int64], budget: Budget) -> Cells:
        return enough(softmax(scores, np.arange(scores.shape[-1]) <= own[..., None]), own, share_of(budget))


class quest(Ranked):
    """The blocks with the largest possible product of a query with a key inside their bounds (Quest).

    A block's bounds are the least and the greatest of its keys in each dimension; its score for a query is the sum over the dimensions of
    max(query * least, query * greatest), and for a row the largest of its queries'. Budget as for topk_blocks.
    """

    summary = "bounds"

    def pick(self, scores: Floats, own: NDArray[np.int64], budget: Budget) -> Cells:
        return heaviest(scores, own, blocks_of(budget, own))


class xattention(Policy):
    """The fewest blocks with a share of the mass that sums along antidiagonals estimate (XAttention). The budget is that share.

    In a tile of `stride` queries and `stride` keys the pairs (i, j) with i + j = stride - 1 are taken; the tile's score is the mean of
    their scaled products over the queries that are there, a key past the end giving 0. Softmax over the tiles of a row of tiles up to its
    own, then sums over the tiles of each block. block is a multiple of stride.
    """

    def __init__(self, block: int = 16, stride: int = 8) -> None:
        if block % stride:
            raise ValueError(f"blocks of {block} tokens are not made of strides of {stride}")
        self.block, self.stride = block, stride

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        share, stride, dim = share_of(budget), self.stride, keys.shape[1]
        # A row of tiles is the queries of one stride that are in one row of the mask.
        tile_row = np.cumsum((np.diff(rows.row_of, prepend=-1) != 0) | (rows.positions % stride == 0)) - 1
        starts = np.flatnonzero(np.diff(tile_row, prepend=-1))
        tiles = np.zeros((len(starts), stride, dim), np.float32)
        tiles[tile_row, stride - 1 - rows.positions % stride] = queries
        there = np.diff(np.append(starts, len(queries)))
        facing = key_blocks(keys, stride, 0.0)
        scores = tiles.reshape(len(starts), -1) @ facing.reshape(len(facing), -1).T
        scores *= scale_of(keys) / there[:, None].astype(np.float32)
        chances = softmax(scores, np.arange(len(facing))[None, :] <= (rows.positions[starts] // stride)[:, None])
        of_blocks = np.add.reduceat(chances, np.arange(0, len(facing), rows.block // stride), axis=1)
        masses = np.add.reduceat(of_blocks, np.flatnonzero(np.diff(rows.row_of[starts], prepend=-1)), axis=0)
        return Mask.from_dense(enough(masses, rows.own, share))


class sampled_queries(Policy):
    """The fewest blocks with a share of the attention of some of a row's queries (SampleAttention), and the last blocks.

    The budget is that share. Of a row's queries those at positions p with p % every = every - 1 are taken, and the last one. A block's
    mass is the sum of their causal softmax over its keys. The row's own block and the window - 1 before it are always read: queries that
    are not taken look at keys just before them. A decode step has one query, so its masses are exact: all keys are read for them, and only
    the chosen values.
    """

    def __init__(self, block: int = 16, every: int = 4, window: int = 2) -> None:
        if every < 1 or window < 1:
            raise ValueError(f"every {every}th query and a window of {window} blocks make no sense: both are at least 1")
        self.block, self.every, self.window = block, every, window

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        share = share_of(budget)
        is_last = np.diff(rows.row_of, append=rows.row_of[-1] + 1) != 0
        taken = np.flatnonzero((rows.positions % self.every == self.every - 1) | is_last)
        masses = np.zeros(rows.seen.shape, np.float32)
        for begin in range(0, len(taken), _CHUNK):
            part = taken[begin : begin + _CHUNK]
            np.add.at(masses, rows.row_of[part], column_masses(queries[part], keys, rows.positions[part], rows.block))
        distance = rows.own[:, None] - np.arange(rows.cols)[None, :]
        return Mask.from_dense(enough(masses, rows.own, share) | ((distance >= 0) & (distance < self.window)))


class vertical_slash(Policy):
    """Whole columns and diagonals of blocks, estimated from the last queries (MInference).

    The causal softmax of the last `last` queries is summed over each column of blocks and over each distance in blocks. Of the budget, half
    (rounded down) goes to the heaviest columns, the rest to the heaviest diagonals, of which the main one always is; of equals the first. A
    share is of the last row's blocks.
    """

    def __init__(self, block: int = 16, last: int = 64) -> None:
        self.block, self.last = block, last

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        count = int(rows.blocks(budget)[-1])
        positions = rows.positions[-self.last :]
        masses = column_masses(queries[-self.last :], keys, positions, rows.block)
        distances = np.maximum(positions[:, None] // rows.block - np.arange(rows.cols)[None, :], 0)
        slashes = np.bincount(distances.ravel(), weights=masses.ravel(), minlength=rows.cols)
        slashes[0] = np.inf
        chosen = {
            "columns": np.argsort(-masses.sum(axis=0), kind="stable")[: count // 2],
            "diagonals": np.argsort(-slashes, kind="stable")[: count - count // 2],
        }
        terms = [f"{name}({','.join(map(str, which))})" for name, which in chosen.items() if len(which)]
        return rows.take(Mask.parse(f"causal & ({' | '.join(terms)})", rows.cols))


class heavy_hitters(Policy):
    """The latest blocks, and those that had the most attention so far (H2O).

    Of a row's budget, half (rounded up) are the row's own block and those before it; the rest are the blocks with the largest sum of the
    probabilities of all queries before the row, of equals the first. Budget as for topk_blocks. Of queries that are not given nothing is
    known: give all of them, or take `Steps`, which keep the sums.
    """

    def __init__(self, block: int = 16) -> None:
        self.block = block

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        running = np.zeros((len(rows.own) + 1, rows.cols))
        for begin in range(0, len(queries), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            np.add.at(running, rows.row_of[part] + 1, column_masses(queries[part], keys, rows.positions[part], rows.block))
        return self.by_mass(np.cumsum(running[:-1], axis=0), budget, rows)

    def by_mass(self, running: NDArray[np.float64], budget: Budget, rows: Rows) -> Mask:
        """running [rows, cols]: what each block has had before the row."""
        counts = rows.blocks(budget)
        distance = rows.own[:, None] - np.arange(rows.cols)[None, :]
        recent = (distance >= 0) & (distance < ((counts + 1) // 2)[:, None])
        return Mask.from_dense(heaviest(np.where(recent, np.finfo(running.dtype).max, running), rows.own, counts))
