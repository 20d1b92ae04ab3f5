# SPDX-License-Identifier: Apache-2.0
"""Policies that look at no scores: streaming, an atlas that was learned before, and sets of other policies."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence

from .._core import Atlas, Mask
from ._base import Budget, Floats, Policy, Rows


class streaming(Policy):
    """The first blocks and the last ones (StreamingLLM): `sink` of the budget is for the first. A share is of the last row's blocks."""

    def __init__(self, block: int = 16, sink: int = 1) -> None:
        self.block, self.sink = block, sink

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        count = int(rows.blocks(budget)[-1])
        window = max(1, count - self.sink)
        return rows.take(Mask.parse(f"causal & (sink({count - window}) | window({window}))", rows.cols))


class from_atlas(Policy):
    """One entry of an atlas. The budget is not looked at.

    Behind its grid the mask goes on as the strip of its last row does: sinks, columns, windows and diagonals; single cells do not.
    """

    def __init__(self, atlas: Atlas, layer: int, head: int, block: int = 16) -> None:
        self.block = block
        self.entry = atlas[layer, head]

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        causal = Mask.parse("causal", rows.cols)
        if self.entry is None:
            return rows.take(causal)
        mask = self.entry
        if mask.rows < rows.cols:
            mask = mask.extend(rows.cols - mask.rows, cols=max(rows.cols, mask.cols))
        return rows.take((mask[: rows.cols, : rows.cols] & causal) | Mask.parse("diagonals(0)", rows.cols))


class _Several(Policy):
    def __init__(self, policies: Sequence[Policy]) -> None:
        sizes = {policy.block for policy in policies}
        if len(sizes) != 1:
            raise ValueError(f"policies of one block size are wanted, not of {sorted(sizes)}")
        self.block = sizes.pop()
        self.policies = tuple(policies)

    def choose(self, queries: Floats, keys: Floats, budget: Budget, rows: Rows) -> Mask:
        masks = [policy.choose(queries, keys, budget, rows) for policy in self.policies]
        return functools.reduce(self.combine, masks)

    @abstractmethod
    def combine(self, one: Mask, two: Mask) -> Mask: ...


class union_of(_Several):
    """What any of the policies reads. Each gets the whole budget."""

    def combine(self, one: Mask, two: Mask) -> Mask:
        return one | two


class intersect_of(_Several):
    """What all of the policies read. Each gets the whole budget."""

    def combine(self, one: Mask, two: Mask) -> Mask:
        return one & two
