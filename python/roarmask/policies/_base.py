# SPDX-License-Identifier: Apache-2.0
"""The interface of all policies, and what they share: where rows lie, what a budget means, how cells become a mask."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Mask
from ..profile import largest, smallest_rows

Floats = NDArray[np.float32]
Cells = NDArray[np.bool_]
Budget = int | float


@dataclass(frozen=True)
class Rows:
    """Where the rows of a mask lie: a row for each block of queries, or for each query."""

    block: int
    cols: int
    positions: NDArray[np.int64]  # of the queries, consecutive
    row_of: NDArray[np.int64]  # row of each query, from 0
    own: NDArray[np.int64]  # the column in which each row's last query lies

    @property
    def seen(self) -> Cells:
        """bool [rows, cols]: columns that begin no later than the row's own."""
        return np.asarray(np.arange(self.cols)[None, :] <= self.own[:, None])

    def starts(self) -> NDArray[np.int64]:
        """The first query of each row."""
        return np.flatnonzero(np.diff(self.row_of, prepend=-1))

    def take(self, square: Mask) -> Mask:
        """These rows of a mask of cols x cols blocks."""
        first = int(self.own[0])
        if len(self.own) == self.cols - first and (np.diff(self.own) == 1).all():
            return square[first:]
        return square.take_rows(self.own)

    def blocks(self, budget: Budget) -> NDArray[np.int64]:
        """How many columns each row may have: int64 [rows]."""
        return blocks_of(budget, self.own)


def blocks_of(budget: Budget, own: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many columns rows may have whose last query lies in column `own`: int64, of own's shape."""
    visible = own + 1
    if isinstance(budget, (int, np.integer)) and not isinstance(budget, bool):
        if budget < 1:
            raise ValueError("a budget has at least one block: the row's own")
        return np.minimum(visible, int(budget))
    return np.asarray(np.ceil(visible * share_of(budget) - 1e-9).astype(np.int64))


def share_of(budget: Budget) -> float:
    """A budget that is a share."""
    if isinstance(budget, bool) or not isinstance(budget, (float, np.floating)):
        raise TypeError(f"a share of 1.0 or less is wanted, not {budget!r}")
    if not 0 < budget <= 1:
        raise ValueError(f"a share lies above 0 and is at most 1.0, which {budget} does not")
    return float(budget)


class Policy(ABC):
    """Turns one head's queries and keys, with rotary positions applied, and a budget into an ordinary mask.

    Attributes:
        block: tokens a block.
    """

    block: int

    def mask(self, queries: ArrayLike, keys: ArrayLike, budget: Budget, per_token: bool = False) -> Mask:
        """The blocks that the queries read.

        Args:
            queries: [n, dim], the last n of the tokens.
            keys: [tokens, dim].
            budget: an int is blocks a row, a float a share; of what, the policy says.
            per_token: a row for each query, as decode steps want it, instead of one for each block of queries.

        Returns:
            A mask of ceil(tokens / block) columns. Its first row is the block, or token, of the first query. No row reads a block that
            begins after its last query, and every row reads its own.

        Raises:
            ValueError, TypeError: for shapes and budgets that make no sense.
        """
        one, two = np.asarray(queries, np.float32), np.asarray(keys, np.float32)
        if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1]:
            raise ValueError("queries are [n, dim] and keys [tokens, dim]")
        if not 1 <= len(one) <= len(two):
            raise ValueError(f"{len(one)} queries cannot be the last of {len(two)} tokens")
        positions = np.arange(len(two) - len(one), len(two))
        side = 1 if per_token else self.block
        row_of = positions // side - positions[0] // side
        last = np.append(np.flatnonzero(np.diff(row_of)), len(one) - 1)
        rows = Rows(self.block, -(-len(two) // self.block), positions, row_of, positions[last] // self.block)
        return self.choose(one, two, budget, rows)

    @abstractmethod
    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        """The mask of checked arguments, which has rows.seen's shape."""


def key_blocks(keys: Floats, block: int, fill: float) -> Floats:
    """[tokens, dim] -> [cols, block, dim], the last block filled up."""
    tokens, dim = keys.shape
    cols = -(-tokens // block)
    if cols * block == tokens:
        return keys.reshape(cols, block, dim)
    padded = np.full((cols * block, dim), fill, np.float32)
    padded[:tokens] = keys
    return padded.reshape(cols, block, dim)


def heaviest(scores: NDArray[np.floating], own: NDArray[np.int64], counts: NDArray[np.int64]) -> Cells:
    """In each row its own column and the best of those before it, `counts` in all; of equals the first.

    Args:
        scores: [..., cols]. What is not a number counts least.
        own, counts: int64 [...].

    Returns:
        bool [..., cols]
    """
    columns, lowest = np.arange(scores.shape[-1]), scores.dtype.type(-np.inf)
    ranked = np.where((columns < own[..., None]) & (scores > lowest), scores, lowest)
    return largest(np.where(columns == own[..., None], scores.dtype.type(np.inf), ranked), counts)


def enough(masses: Floats, own: NDArray[np.int64], share: float) -> Cells:
    """In each row the fewest columns with that share of its masses, the heaviest first, and its own. Shapes as in `heaviest`."""
    return np.asarray(smallest_rows(masses, share) | (np.arange(masses.shape[-1]) == own[..., None]))


def softmax(scores: Floats, seen: Cells) -> Floats:
    """Over the columns that are seen; the others are 0. [..., cols]"""
    ranked = np.where(seen, scores, np.float32(-np.inf))
    powers = np.exp(ranked - ranked.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def scale_of(keys: Floats) -> np.float32:
    return np.float32(1 / math.sqrt(keys.shape[1]))
