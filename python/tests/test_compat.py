# SPDX-License-Identifier: Apache-2.0
"""The published class: names, results and errors, against a plain dict of sets."""

import random

import numpy as np
import pytest

from roarmask import FormatError, RoaringAttentionMask, create_sliding_window_mask


class Twin:
    """The obvious version."""

    def __init__(self, num_blocks):
        self.n = num_blocks
        self.rows = [set() for _ in range(num_blocks)]

    def add(self, row, cols):
        self.rows[row] |= {c for c in cols if 0 <= c < self.n}

    def remove(self, row, cols):
        self.rows[row] -= set(cols)

    def window(self, size, global_tokens):
        for row in range(self.n):
            self.add(row, range(row - size // 2, row + size // 2 + 1))
            if global_tokens:
                self.add(row, range(self.n if row < global_tokens else global_tokens))


def same(mask, twin):
    for row in range(twin.n):
        got = mask.get_active_blocks(row)
        assert got.dtype == np.int32
        assert got.tolist() == sorted(twin.rows[row])
        assert list(mask.masks[row]) == sorted(twin.rows[row])
        assert len(mask.masks[row]) == len(twin.rows[row])
    assert mask.get_density() == sum(map(len, twin.rows)) / twin.n**2


@pytest.mark.parametrize("seed", range(8))
def test_random_calls_agree_with_sets(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 2, 7, 40])
    mask, twin = RoaringAttentionMask(n), Twin(n)
    for _ in range(60):
        row = rng.randrange(n)
        cols = [rng.randrange(-3, n + 3) for _ in range(rng.randrange(6))]
        match rng.randrange(6):
            case 0 | 1:
                mask.add_attention(row, cols)
                twin.add(row, cols)
            case 2:
                mask.remove_attention(row, cols)
                twin.remove(row, cols)
            case 3:
                mask.masks[row].update(cols)
                twin.add(row, cols)
            case 4:
                size, global_tokens = rng.randrange(4), rng.choice([None, 0, 1, n])
                mask.apply_sliding_window(size, global_tokens)
                twin.window(size, global_tokens)
            case 5:
                mask = RoaringAttentionMask.deserialize(mask.serialize())
        a, b = rng.randrange(n), rng.randrange(n)
        assert mask.intersection(a, b).tolist() == sorted(twin.rows[a] & twin.rows[b])
        assert mask.union(a, b).tolist() == sorted(twin.rows[a] | twin.rows[b])
        assert mask.batch_intersection([a, b, row]).tolist() == sorted(twin.rows[a] & twin.rows[b] & twin.rows[row])
        assert mask.has_attention(a, b) == (b in twin.rows[a])
    same(mask, twin)


@pytest.mark.parametrize(("n", "window", "global_tokens"), [(10, 3, 2), (20, 5, 3), (20, 4, 0), (5, 99, 1), (8, 0, 8), (6, 1, 50)])
def test_sliding_windows(n, window, global_tokens):
    twin = Twin(n)
    twin.window(window, min(global_tokens, n))
    same(create_sliding_window_mask(n, window, global_tokens), twin)


def test_errors():
    mask = RoaringAttentionMask(10)
    for row in (10, 99, -1):
        for method in (mask.get_active_blocks, lambda r: mask.add_attention(r, [1]), lambda r: mask.remove_attention(r, [1])):
            with pytest.raises(ValueError, match="out of range"):
                method(row)
        with pytest.raises(ValueError, match="out of range"):
            mask.intersection(0, row)
        assert not mask.has_attention(row, 1)
        assert not mask.has_attention(1, row)
    assert len(mask.batch_intersection([])) == 0
    assert mask.batch_intersection([]).dtype == np.int32
    with pytest.raises(FormatError):
        RoaringAttentionMask.deserialize(b"no mask")


def test_memory_is_what_is_held():
    mask = RoaringAttentionMask(100)
    empty = mask.get_memory_usage_bytes()
    for row in range(10):
        mask.add_attention(row, range(50))
    assert mask.get_memory_usage_bytes() == empty + 10 * 50 * 4
    compressed = mask.mask
    assert mask.get_memory_usage_bytes() == compressed.nbytes < empty + 200


def test_tensors():
    torch = pytest.importorskip("torch")
    mask = RoaringAttentionMask(6)
    mask.add_attention(2, [1, 5, 3])
    tensor = mask.get_active_blocks_tensor(2)
    assert tensor.dtype == torch.int32
    assert tensor.tolist() == [1, 3, 5]
    dense = mask.to_dense_mask()
    assert dense.dtype == torch.bool
    assert dense.nonzero().tolist() == [[2, 1], [2, 3], [2, 5]]
    assert mask.to_dense_mask(torch.float32).dtype == torch.float32


def test_many_edits_are_folded_in():
    n = 3000
    mask = RoaringAttentionMask(n)
    for row in range(n):
        mask.add_attention(row, range(0, n, 2))
    assert mask.get_memory_usage_bytes() < n * n / 2 * 4
    assert mask.get_density() == 0.5
