# SPDX-License-Identifier: Apache-2.0
"""Every policy against plain loops over its written definition; decode steps, their growing mask and their traffic."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roarmask import Atlas, Mask, policies
from roarmask.policies import (
    Policy,
    Steps,
    from_atlas,
    heavy_hitters,
    intersect_of,
    quest,
    sampled_queries,
    streaming,
    topk_blocks,
    topp_blocks,
    union_of,
    vertical_slash,
    xattention,
)

BLOCK = 8
Vectors = NDArray[np.float32]
# A row of a mask as the twins see it: the positions of its queries.
Row = list[int]


def vectors(seed: int, tokens: int, dim: int = 8) -> tuple[Vectors, Vectors]:
    rng = np.random.default_rng(seed)
    queries, keys = rng.standard_normal((2, tokens, dim)).astype(np.float32) * 1.5
    keys[5 % tokens] *= 3  # something to find
    return queries, keys


def rows_of(tokens: int, count: int, per_token: bool) -> list[Row]:
    positions = range(tokens - count, tokens)
    if per_token:
        return [[p] for p in positions]
    return [[p for p in positions if p // BLOCK == b] for b in range(positions[0] // BLOCK, (tokens - 1) // BLOCK + 1)]


def blocks_of(tokens: int) -> list[Row]:
    return [list(range(at, min(at + BLOCK, tokens))) for at in range(0, tokens, BLOCK)]


def dot(one: Vectors, two: Vectors) -> float:
    return float(one.astype(np.float64) @ two.astype(np.float64))


def count_of(budget: float, visible: int) -> int:
    return min(visible, budget) if isinstance(budget, int) else math.ceil(visible * budget - 1e-9)


def top(scores: list[float], own: int, count: int) -> set[int]:
    others = sorted((c for c in range(own)), key=lambda c: (-scores[c], c))
    return {own, *others[: count - 1]}


def fewest(masses: list[float], own: int, share: float) -> set[int]:
    chosen: set[int] = set()
    for c in sorted(range(len(masses)), key=lambda c: (-masses[c], c)):
        if sum(masses[one] for one in chosen) >= share * sum(masses) - 1e-6:
            break
        if masses[c] > 0:
            chosen.add(c)
    return {own, *chosen}


def softmax(scores: list[float]) -> list[float]:
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def mean_scores(queries: Vectors, keys: Vectors, row: Row, first: int) -> list[float]:
    mean = queries[[p - first for p in row]].mean(axis=0)
    own = row[-1] // BLOCK
    return [dot(mean, keys[block].mean(axis=0)) / math.sqrt(keys.shape[1]) for block in blocks_of(len(keys))[: own + 1]]


def chances(query: Vectors, keys: Vectors, position: int) -> list[float]:
    return softmax([dot(query, keys[j]) / math.sqrt(keys.shape[1]) for j in range(position + 1)])


def twin_streaming(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any) -> list[set[int]]:
    count = count_of(budget, rows[-1][-1] // BLOCK + 1)
    window = max(1, count - 1)
    return [{c for c in range(row[-1] // BLOCK + 1) if c < count - window or row[-1] // BLOCK - c < window} for row in rows]


def twin_topk(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any) -> list[set[int]]:
    first = rows[0][0]
    return [top(mean_scores(queries, keys, r, first), r[-1] // BLOCK, count_of(budget, r[-1] // BLOCK + 1)) for r in rows]


def twin_topp(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any) -> list[set[int]]:
    first = rows[0][0]
    return [fewest(softmax(mean_scores(queries, keys, r, first)), r[-1] // BLOCK, budget) for r in rows]


def twin_quest(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any) -> list[set[int]]:
    first, chosen = rows[0][0], []
    for row in rows:
        own = row[-1] // BLOCK
        scores = []
        for block in blocks_of(len(keys))[: own + 1]:
            least, greatest = keys[block].min(axis=0), keys[block].max(axis=0)
            scores.append(
                max(
                    sum(max(float(x) * lo, float(x) * hi) for x, lo, hi in zip(queries[p - first], least, greatest, strict=True))
                    for p in row
                )
            )
        chosen.append(top(scores, own, count_of(budget, own + 1)))
    return chosen


def twin_xattention(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any, stride: int = 4) -> list[set[int]]:
    first, chosen = rows[0][0], []
    for row in rows:
        masses = [0.0] * len(blocks_of(len(keys)))
        for tile in sorted({p // stride for p in row}):
            here = [p for p in row if p // stride == tile]
            scores = []
            for other in range(tile + 1):
                pairs = [(p, other * stride + stride - 1 - p % stride) for p in here]
                products = [dot(queries[p - first], keys[j]) if j < len(keys) else 0.0 for p, j in pairs]
                scores.append(sum(products) / len(here) / math.sqrt(keys.shape[1]))
            for other, chance in enumerate(softmax(scores)):
                masses[other * stride // BLOCK] += chance
        chosen.append(fewest(masses, row[-1] // BLOCK, budget))
    return chosen


def twin_sampled(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any, every: int = 3, window: int = 2) -> list[set[int]]:
    first, chosen = rows[0][0], []
    for row in rows:
        masses = [0.0] * (row[-1] // BLOCK + 1)
        for p in row:
            if p % every == every - 1 or p == row[-1]:
                for j, chance in enumerate(chances(queries[p - first], keys, p)):
                    masses[j // BLOCK] += chance
        own = row[-1] // BLOCK
        chosen.append(fewest(masses, own, budget) | {c for c in range(own + 1) if own - c < window})
    return chosen


def twin_vertical_slash(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any, last: int = 12) -> list[set[int]]:
    first, own = rows[0][0], rows[-1][-1] // BLOCK
    columns, slashes = [0.0] * (own + 1), [0.0] * (own + 1)
    for p in range(max(first, len(keys) - last), len(keys)):
        for j, chance in enumerate(chances(queries[p - first], keys, p)):
            columns[j // BLOCK] += chance
            slashes[p // BLOCK - j // BLOCK] += chance
    count = count_of(budget, own + 1)
    best = sorted(range(own + 1), key=lambda c: (-columns[c], c))[: count // 2]
    distances = [0, *sorted(range(1, own + 1), key=lambda d: (-slashes[d], d))][: count - count // 2]
    return [{c for c in range(r[-1] // BLOCK + 1) if c in best or r[-1] // BLOCK - c in distances} for r in rows]


def twin_heavy_hitters(queries: Vectors, keys: Vectors, rows: list[Row], budget: Any) -> list[set[int]]:
    first, chosen = rows[0][0], []
    running = [0.0] * len(blocks_of(len(keys)))
    for row in rows:
        own = row[-1] // BLOCK
        count = count_of(budget, own + 1)
        recent = {c for c in range(own + 1) if own - c < (count + 1) // 2}
        others = sorted(set(range(own + 1)) - recent, key=lambda c: (-running[c], c))
        chosen.append(recent | set(others[: count - len(recent)]))
        for p in row:
            for j, chance in enumerate(chances(queries[p - first], keys, p)):
                running[j // BLOCK] += chance
    return chosen


Twin = Callable[..., list[set[int]]]
CASES: list[tuple[Policy, Twin, Any]] = [
    (streaming(BLOCK), twin_streaming, 3),
    (streaming(BLOCK), twin_streaming, 1),
    (streaming(BLOCK), twin_streaming, 0.4),
    (topk_blocks(BLOCK), twin_topk, 3),
    (topk_blocks(BLOCK), twin_topk, 0.5),
    (topp_blocks(BLOCK), twin_topp, 0.7),
    (quest(BLOCK), twin_quest, 3),
    (quest(BLOCK), twin_quest, 0.5),
    (xattention(BLOCK, 4), twin_xattention, 0.7),
    (sampled_queries(BLOCK, 3), twin_sampled, 0.7),
    (sampled_queries(BLOCK, 1, 1), lambda *a: twin_sampled(*a, 1, 1), 0.5),
    (vertical_slash(BLOCK, 12), twin_vertical_slash, 4),
    (vertical_slash(BLOCK, 12), twin_vertical_slash, 1),
    (vertical_slash(BLOCK, 12), twin_vertical_slash, 0.5),
    (heavy_hitters(BLOCK), twin_heavy_hitters, 4),
    (heavy_hitters(BLOCK), twin_heavy_hitters, 0.5),
    (union_of([topk_blocks(BLOCK), quest(BLOCK)]), lambda *a: [x | y for x, y in zip(twin_topk(*a), twin_quest(*a), strict=True)], 3),
    (intersect_of([topk_blocks(BLOCK), quest(BLOCK)]), lambda *a: [x & y for x, y in zip(twin_topk(*a), twin_quest(*a), strict=True)], 3),
]


@pytest.mark.parametrize(("policy", "twin", "budget"), CASES, ids=lambda value: type(value).__name__ if isinstance(value, Policy) else None)
@pytest.mark.parametrize(
    ("tokens", "count", "per_token"), [(64, 64, False), (61, 61, False), (61, 22, False), (61, 22, True), (5, 1, True)]
)
def test_definition(policy: Policy, twin: Twin, budget: Any, tokens: int, count: int, per_token: bool) -> None:
    queries, keys = vectors(tokens + count, tokens)
    queries = queries[tokens - count :]
    mask = policy.mask(queries, keys, budget, per_token=per_token)
    rows = rows_of(tokens, count, per_token)
    assert mask.shape == (len(rows), len(blocks_of(tokens)))
    want = twin(queries, keys, rows, budget)
    assert [set(mask[r].tolist()) for r in range(mask.rows)] == want
    assert all(row[-1] // BLOCK in chosen for row, chosen in zip(rows, want, strict=True))


def test_fixed_policies_are_formulas() -> None:
    queries, keys = vectors(1, 4096)
    assert streaming().mask(queries, keys, 16).nbytes < 256
    assert vertical_slash().mask(queries, keys, 8).nbytes < 1024


def test_from_atlas() -> None:
    learned = Mask.parse("causal & (sink(1) | window(2))", 6)
    atlas = Atlas([[learned, None]])
    queries, keys = vectors(2, 8 * BLOCK)
    longer = Mask.parse("causal & (sink(1) | window(2))", 8)
    assert from_atlas(atlas, 0, 0, BLOCK).mask(queries, keys, 1) == longer
    assert from_atlas(atlas, 0, 1, BLOCK).mask(queries, keys, 1) == Mask.parse("causal", 8)
    assert from_atlas(atlas, 0, 0, BLOCK).mask(queries[: 3 * BLOCK], keys[: 3 * BLOCK], 1) == learned[:3, :3]
    assert from_atlas(atlas, 0, 0, BLOCK).mask(queries[-2:], keys, 1, per_token=True) == longer.take_rows([7, 7])


@pytest.mark.parametrize(
    "policy",
    [topk_blocks(BLOCK), quest(BLOCK), streaming(BLOCK), vertical_slash(BLOCK), heavy_hitters(BLOCK)],
    ids=lambda p: type(p).__name__,
)
def test_steps(policy: Policy) -> None:
    """The mask grows by a row a step, earlier ones stay, and the traffic is that of sets."""
    queries, keys = vectors(3, 60)
    steps = Steps(policy, 3)
    steps.start(queries[:20], keys[:20])
    rows: list[set[int]] = []
    grown: list[tuple[Mask, int]] = []
    for t in range(20, 60):
        step = steps.step(queries[t], keys[: t + 1])
        rows.append(set(step.columns.tolist()))
        assert step.held == t // BLOCK + 1
        assert step.new == len(rows[-1] - rows[-2] if len(rows) > 1 else rows[-1])
        if not isinstance(policy, heavy_hitters):
            assert rows[-1] == set(policy.mask(queries[t : t + 1], keys[: t + 1], 3, per_token=True)[0].tolist())
        assert steps.mask is not None
        grown.append((steps.mask, steps.mask.nnz))
    for number, (mask, cells) in enumerate(grown, 1):
        assert mask.rows == number
        assert mask.nnz == cells
        assert [set(mask[r].tolist()) for r in range(number)] == rows[:number]
    assert steps.read == sum(map(len, rows))


def test_heavy_hitters_steps() -> None:
    """Sums of the prompt's probabilities, then of each step's own over the tokens that it read."""
    queries, keys = vectors(4, 60)
    steps = Steps(heavy_hitters(BLOCK), 4)
    steps.start(queries[:30], keys[:30])
    running = [0.0] * 8
    for p in range(30):
        for j, chance in enumerate(chances(queries[p], keys, p)):
            running[j // BLOCK] += chance
    for t in range(30, 60):
        own = t // BLOCK
        recent = {own, own - 1}
        want = recent | set(sorted(set(range(own)) - recent, key=lambda c: (-running[c], c))[:2])
        assert set(steps.step(queries[t], keys[: t + 1]).columns.tolist()) == want
        tokens = [j for j in range(t + 1) if j // BLOCK in want]
        scores = [dot(queries[t], keys[j]) / math.sqrt(8) for j in tokens]
        for j, chance in zip(tokens, softmax(scores), strict=True):
            running[j // BLOCK] += chance


@pytest.mark.parametrize(
    ("policy", "budget", "error"),
    [(topk_blocks(), 0, ValueError), (topk_blocks(), 1.5, ValueError), (topk_blocks(), True, TypeError), (topp_blocks(), 3, TypeError),
     (xattention(), "much", TypeError), (sampled_queries(), 3, TypeError), (streaming(), -0.5, ValueError)],
)  # fmt: skip
def test_budgets_that_make_no_sense(policy: Policy, budget: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        policy.mask(*vectors(5, 32), budget)


def test_shapes_that_make_no_sense() -> None:
    queries, keys = vectors(6, 32)
    for one, two in [(queries, keys[:31]), (queries[:, :4], keys), (queries[0], keys), (queries[:0], keys)]:
        with pytest.raises(ValueError, match="queries"):
            topk_blocks().mask(one, two, 2)
    with pytest.raises(ValueError, match="one block size"):
        union_of([topk_blocks(8), quest(16)])
    with pytest.raises(ValueError, match="strides"):
        xattention(16, 5)
    for every, window in [(0, 2), (4, 0)]:
        with pytest.raises(ValueError, match="at least 1"):
            sampled_queries(16, every, window)


def test_documentation() -> None:
    assert doctest.testmod(policies).failed == 0
