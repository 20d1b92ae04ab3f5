# SPDX-License-Identifier: Apache-2.0
"""FlashMask, MagiAttention and MInference: the tensors read by plain loops over their written definitions."""

import numpy as np
import pytest

from roarmask import Mask
from roarmask.export import (
    VerticalSlash,
    fits,
    flashmask,
    from_flashmask,
    from_magi_slices,
    from_vertical_slash,
    magi_slices,
    minference_tiles,
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
IRREGULAR = [
    "random(0.3)",
    "causal & dilated(5, 3)",
    "causal & (columns(1, 4) | diagonals(0, 3))",
    "strided(3)",
    "(local(4) & causal) | random(0.05)",
]


def documents(expression, n):
    """The expressions' document lists cut to the grid."""
    if "documents" in expression:
        expression = f"documents({n})" if n < 13 else expression.replace("100", str(n))
    return Mask.parse(expression, n)


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
        with pytest.raises(ValueError, match=r"column .* does not fit"):
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


def vertical_slash_dense(v_idx, s_idx, n):
    dense = np.zeros((n, n), bool)
    for r in range(n):
        for c in range(r + 1):
            dense[r, c] = c in v_idx or r - c in s_idx
    return dense


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
    assert found.v_idx.shape[:2] == found.s_idx.shape[:2] == (1, 1)
    assert found.v_idx.dtype == found.s_idx.dtype == np.int32
    v_idx, s_idx = found.v_idx[0, 0].tolist(), found.s_idx[0, 0].tolist()
    assert v_idx == sorted(set(v_idx))
    assert s_idx == sorted(set(s_idx), reverse=True)
    assert (vertical_slash_dense(v_idx, s_idx, n) == dense).all()
    assert from_vertical_slash(*found, n) == mask


@pytest.mark.parametrize("expression", ["random(0.2)", "full", "causal & window(3) & sink(9)"])
def test_what_is_no_vertical_slash_is_refused(expression):
    mask = Mask.parse(expression, 30)
    fit = fits(mask, "vertical_slash")
    assert not fit
    assert "no union of whole columns and diagonals" in fit.reason


def test_a_diagonal_of_crossings_is_none():
    """Columns may fill a diagonal wherever one would probe it."""
    n, distance = 60, 20
    length = n - distance
    columns = sorted({0, 7, length // 3, length // 2, length - 1})
    mask = Mask.parse(f"causal & columns({', '.join(map(str, columns))})", n)
    found = minference_vertical_slash(mask)
    assert distance not in found.s_idx
    assert from_vertical_slash(*found, n) == mask


def test_heads_of_a_pattern_are_filled_up():
    n = 90
    patterns = ["columns(2, 50) | diagonals(0, 30, 41)", "diagonals(0)", "columns(1, 3, 4)"]
    masks = [[Mask.parse(f"causal & ({p})", n) for p in patterns], [Mask.parse("causal & diagonals(0, 5)", n)] * 3]
    found = minference_vertical_slash(masks)
    assert found.v_idx.shape[:2] == found.s_idx.shape[:2] == (2, 3)
    assert from_vertical_slash(*found, n) == masks
    for b, h in np.ndindex(2, 3):
        assert (vertical_slash_dense(found.v_idx[b, h].tolist(), found.s_idx[b, h].tolist(), n) == masks[b][h].to_dense()).all()


def slash_tiles(v_idx, s_idx, n, tile):
    """One head by the words of the original: ranges of a tile's width that end where a diagonal leaves the tile, in the order of descending
    distances; one that begins at most a tile behind the last makes that longer by a tile; columns outside of the ranges."""
    lists = []
    for begin in range(0, n, tile):
        end, ranges = begin + tile, []
        for distance in s_idx:
            if distance >= end:
                continue
            stop = max(end - distance, tile)
            if not ranges or stop > ranges[-1][1] + tile:
                ranges.append([stop - tile, stop])
            elif stop > ranges[-1][1]:
                ranges[-1][1] += tile
        offsets = [start for low, high in ranges for start in range(low, high, tile)]
        covered = {token for low, high in ranges for token in range(low, high)}
        lists.append((offsets, [c for c in v_idx if c < ranges[-1][1] and c not in covered]))
    return lists


@pytest.mark.parametrize("seed", range(30))
def test_minference_tiles_are_those_of_the_original(seed):
    rng = np.random.default_rng(seed)
    n, tile = int(rng.integers(1, 400)), 64 if seed % 2 else int(rng.integers(1, 40))
    heads = []
    for _ in range(2):
        v = np.unique(rng.integers(0, n, 12))
        s = np.unique(np.append(rng.integers(0, n, 9), 0))[::-1]
        heads.append((v.tolist() + [n] * (12 - len(v)), s.tolist() + [0] * (10 - len(s))))
    pattern = VerticalSlash(np.array([[h[0] for h in heads]], np.int32), np.array([[h[1] for h in heads]], np.int32))
    made = minference_tiles(pattern, n, block_size=tile)
    again = minference_tiles(pattern, n, block_size=tile, out=made)
    assert all(a is b for a, b in zip(made, again, strict=True))
    rows = -(-n // tile)
    assert made.block_offset.shape == (1, 2, rows, 10)
    assert made.column_index.shape == (1, 2, rows, 12)
    for h, (v, s) in enumerate(heads):
        for r, (offsets, columns) in enumerate(slash_tiles(v, s, n, tile)):
            assert made.block_offset[0, h, r, : made.block_count[0, h, r]].tolist() == offsets
            assert made.column_index[0, h, r, : made.column_count[0, h, r]].tolist() == columns


def test_minference_tiles_need_the_main_diagonal():
    with pytest.raises(ValueError, match="main diagonal"):
        minference_tiles(minference_vertical_slash(Mask.parse("causal & columns(3)", 100)), 100)
    with pytest.raises(ValueError, match="batch, heads"):
        minference_tiles((np.zeros(3, np.int32), np.zeros(3, np.int32)), 100)


def test_cells_of_several_tokens():
    mask = Mask.parse("causal & window(3)", 6)
    tokens = mask.refine(4)
    assert from_flashmask(flashmask(mask, unit=4), causal=False) == tokens
    assert from_magi_slices(*magi_slices(mask, unit=4), 24, 24) == tokens
    assert fits(mask, "flashmask", unit=4)
    assert not fits(mask, "vertical_slash", unit=4)
    assert fits(Mask.parse("causal", 6), "minference_vertical_slash")


def test_slices_of_several_heads():
    heads = [Mask.parse("causal", 9), Mask.parse("window(2, 1)", 9)]
    made = magi_slices(heads)
    assert [from_magi_slices(*m, 9, 9) for m in made[0]] == heads


def test_what_fits():
    top_k = Mask.parse("random(0.2)", 64)
    for name in ("flex", "flashinfer", "fa4", "magi", "dense", "vllm", "flex_block_mask", "flashinfer_bsr", "additive_bias"):
        assert fits(top_k, name)
    fit = fits(top_k, "flashmask")
    assert not fit
    assert "rows [" in fit.reason
    assert "column" in fit.reason
    assert not fits(Mask.parse("causal", 4, 5), "flashmask")
    with pytest.raises(ValueError, match="unknown format"):
        fits(top_k, "flash")


@pytest.mark.parametrize("arguments", [(np.zeros((2, 2)), np.zeros((1, 2)), np.zeros(2)), (np.zeros(2), np.zeros(2), np.zeros((1, 1)))])
def test_slices_of_bad_shapes_are_refused(arguments):
    with pytest.raises(ValueError, match="n slices have"):
        from_magi_slices(*arguments, 4, 4)
