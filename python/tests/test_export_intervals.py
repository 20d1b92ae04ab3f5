# SPDX-License-Identifier: Apache-2.0
"""FlashMask, MagiAttention and MInference: the tensors read by plain loops over their written definitions."""

import numpy as np
import pytest

from roarmask import Mask
from roarmask.export import (
    fits,
    flashmask,
    from_flashmask,
    from_magi_slices,
    magi_slices,
    minference_vertical_slash,
)

SIZES = [1, 2, 5, 24, 61]
INTERVALS = [
    "causal",
    "full",
    "none",
    "window(5)",
    "window(3, 4)",
    "causal & (sink(2) | window(6))",
    "causal & documents(2, 1, 7, 100)",
    "documents(4, 3, 9, 100)",
    "prefix(4)",
    "global(2) | window(2, 2)",
]
IRREGULAR = ["random(0.3)", "causal & dilated(5, 3)", "causal & (columns(1, 4) | diagonals(0, 3))", "strided(3)", "(local(4) & causal) | random(0.05)"]


def documents(expression, n):
    """The expressions' document lists cut to the grid."""
    return Mask.parse(expression, n) if "documents" not in expression else Mask.parse("documents(%d)" % n if n < 13 else expression.replace("100", str(max(1, n))), n)


def flashmask_dense(bounds, causal):
    """Row r may look at column c unless an interval of c's masks r."""
    n, width = bounds.shape
    dense = np.ones((n, n), bool)
    for c in range(n):
        b = bounds[c]
        for r in range(n):
            below = r >= c
            if causal:
                masked = not below or (r >= b[0] if width == 1 else b[0] <= r < b[1])
            elif width == 2:
                masked = r >= b[0] if below else r < b[1]
            else:
                masked = b[0] <= r < b[1] if below else b[2] <= r < b[3]
            dense[r, c] = not masked
    return dense


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("expression", INTERVALS + IRREGULAR)
def test_flashmask_says_the_mask_or_refuses(expression, n):
    mask = documents(expression, n)
    dense = mask.to_dense()
    causal = not np.triu(dense, 1).any()
    if not fits(mask, "flashmask"):
        assert needs_more_intervals(dense, causal)
        with pytest.raises(ValueError, match="column .* does not fit"):
            flashmask(mask)
        return
    bounds = flashmask(mask)
    assert bounds.dtype == np.int32
    assert bounds.shape[:3] == (1, 1, n)
    assert (flashmask_dense(bounds[0, 0], causal) == dense).all()
    assert from_flashmask(bounds, causal=causal) == mask
    widest = flashmask(mask, causal=causal, num_bounds=2 if causal else 4)
    assert (flashmask_dense(widest[0, 0], causal) == dense).all()


def runs(flags):
    return int(flags[:1].sum() + (flags[1:] & ~flags[:-1]).sum()) if len(flags) else 0


def needs_more_intervals(dense, causal):
    n = len(dense)
    for c in range(n):
        masked = ~dense[:, c]
        if runs(masked[c:]) > 1 or (not causal and runs(masked[:c]) > 1):
            return True
    return False


def test_flashmask_of_several_heads():
    heads = [Mask.parse("causal", 16), Mask.parse("causal & window(4)", 16)]
    bounds = flashmask(heads)
    assert bounds.shape == (1, 2, 16, 1)
    assert from_flashmask(bounds, causal=True)[0] == heads
    reused = flashmask(heads[::-1], out={"startend_row_indices": bounds})
    assert reused is bounds
    assert from_flashmask(bounds, causal=True)[0] == heads[::-1]


@pytest.mark.parametrize("bad", [[[5, 3]], [[-1, 2]], [[0, 99]]])
def test_flashmask_refuses_bad_bounds(bad):
    with pytest.raises((ValueError, IndexError), match="column 0"):
        from_flashmask(np.array([[bad * 8]], np.int32), causal=True)


def slices_dense(q_ranges, k_ranges, types, rows, cols):
    counts = np.zeros((rows, cols), int)
    for (q0, q1), (k0, k1), kind in zip(q_ranges, k_ranges, types, strict=True):
        for r in range(q0, q1):
            for c in range(k0, k1):
                causal = c - k1 <= r - q1  # aligned at the bottom right corner
                inverse = c - k0 >= r - q0  # aligned at the top left corner
                counts[r, c] += {0: True, 1: causal, 2: inverse, 3: causal and inverse}[int(kind)]
    return counts


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (24, 24), (13, 30), (30, 13)])
@pytest.mark.parametrize("expression", [e for e in INTERVALS + IRREGULAR if "documents" not in e])
def test_magi_slices_cover_the_mask_once(expression, shape):
    mask = Mask.parse(expression, *shape)
    slices = magi_slices(mask)
    assert (slices_dense(*slices, *shape) == mask.to_dense()).all()
    assert from_magi_slices(*slices, *shape) == mask


def test_magi_slices_of_structured_masks_are_few():
    assert len(magi_slices(Mask.parse("causal", 1 << 20)).types) == 1
    assert len(magi_slices(Mask.parse("causal & (sink(4) | window(4096))", 1 << 20)).types) <= 4


@pytest.mark.parametrize("n", [1, 2, 9, 40])
@pytest.mark.parametrize(
    ("columns", "diagonals"), [([], []), ([0], [0]), ([0, 3], [0, 1, 5]), ([2, 7, 8], []), ([], [0, 2, 6]), ([1], list(range(9)))]
)
def test_vertical_slash_is_found_again(columns, diagonals, n):
    columns, diagonals = [c for c in columns if c < n], [d for d in diagonals if d < n]
    dense = np.zeros((n, n), bool)
    for r in range(n):
        for c in range(r + 1):
            dense[r, c] = c in columns or r - c in diagonals
    mask = Mask.from_dense(dense)
    found = minference_vertical_slash(mask)
    assert list(found.v_idx) == sorted(found.v_idx)
    assert list(found.s_idx) == sorted(found.s_idx, reverse=True)
    again = np.zeros((n, n), bool)
    for r in range(n):
        for c in range(r + 1):
            again[r, c] = c in found.v_idx or r - c in found.s_idx
    assert (again == dense).all()


@pytest.mark.parametrize("expression", ["random(0.2)", "full", "causal & window(3) & sink(9)"])
def test_what_is_no_vertical_slash_is_refused(expression):
    mask = Mask.parse(expression, 30)
    fit = fits(mask, "vertical_slash")
    assert not fit
    assert "no union of whole columns and diagonals" in fit.reason
