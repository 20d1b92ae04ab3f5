# SPDX-License-Identifier: Apache-2.0
"""Decoding by a policy: a mask that grows by a row a step, and what each step has to fetch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Mask
from ._base import Budget, Floats, Policy, Rows
from ._scored import column_masses, heavy_hitters

_CHUNK = 256  # queries of a prompt whose probabilities exist at a time


class Step(NamedTuple):
    """One decode step of one head, in blocks."""

    columns: NDArray[np.int32]  # that the step reads, ascending
    held: int  # there to be read
    new: int  # read, and not read by the step before (and-not)


class Steps:
    """steps = Steps(policy, budget); step = steps.step(query, keys) for each new token.

    Attributes:
        mask: a row for each step so far, or None before the first. It grows by appending: earlier masks stay as they were.
        read, new, held: sums over the steps, in blocks.
    """

    def __init__(self, policy: Policy, budget: Budget) -> None:
        self.policy, self.budget = policy, budget
        self.mask: Mask | None = None
        self.read = self.new = self.held = 0
        self._before: Mask | None = None
        self._sums: NDArray[np.float64] = np.zeros(0)

    def start(self, queries: ArrayLike, keys: ArrayLike) -> None:
        """The prompt's queries [n, dim], the last n of its tokens, and its keys [tokens, dim]. Only running sums look at them."""
        if isinstance(self.policy, heavy_hitters):
            one, two = np.asarray(queries, np.float32), np.asarray(keys, np.float32)
            positions = np.arange(len(two) - len(one), len(two))
            for begin in range(0, len(one), _CHUNK):
                part = slice(begin, begin + _CHUNK)
                self._add(column_masses(one[part], two, positions[part], self.policy.block).sum(axis=0))

    def step(self, query: ArrayLike, keys: ArrayLike) -> Step:
        """query: [dim] or [1, dim], the last token's; keys: [tokens, dim], the new one's included."""
        last, known = np.asarray(query, np.float32).reshape(1, -1), np.asarray(keys, np.float32)
        if isinstance(self.policy, heavy_hitters):
            row = self._heavy(self.policy, last, known)
        else:
            row = self.policy.mask(last, known, self.budget, per_token=True)
        columns, new = row[0], row.nnz
        if self.mask is None or self._before is None:
            self.mask = row
        else:
            before = self._before if self._before.cols == row.cols else Mask.from_rows([self._before[0]], row.cols)
            new = row.combine_count(before, 4)  # row - before
            self.mask = self.mask.append_rows(row, cols=row.cols)
        self._before = row
        self.read, self.new, self.held = self.read + len(columns), self.new + new, self.held + row.cols
        return Step(columns, row.cols, new)

    def _add(self, masses: NDArray[np.floating]) -> None:
        self._sums = np.pad(self._sums, (0, len(masses) - len(self._sums)))
        self._sums += masses

    def _heavy(self, policy: heavy_hitters, query: Floats, keys: Floats) -> Mask:
        """By the sums so far; then the step's own probabilities, over what it reads, are added."""
        block = policy.block
        cols = -(-len(keys) // block)
        self._add(np.zeros(cols))
        position = np.array([len(keys) - 1])
        row = policy.by_mass(self._sums[None, :], self.budget, Rows(block, cols, position, np.zeros(1, np.int64), position // block))
        columns = row[0].astype(np.int64)
        tokens = (columns[:, None] * block + np.arange(block)[None, :]).ravel()
        tokens = tokens[tokens < len(keys)]
        # All blocks but the last are whole, so that those of the tokens that are read are the columns in their order.
        self._sums[columns] += column_masses(query, keys[tokens], np.array([len(tokens) - 1]), block)[0]
        return row
