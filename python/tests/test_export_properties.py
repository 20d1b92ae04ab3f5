# SPDX-License-Identifier: Apache-2.0
"""Round trips through every format, of any mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roarmask import Mask
from roarmask.export import (
    dense_bool,
    fa4_block_sparse,
    fits,
    flashinfer_bsr,
    flashmask,
    from_flashinfer_bsr,
    from_flashmask,
    from_magi_slices,
    from_vertical_slash,
    magi_slices,
    minference_vertical_slash,
)

PIECES = ["causal", "full", "none", "sink(2)", "window(3)", "window(2, 4)", "global(1)", "dilated(9, 3)"]
PIECES += ["columns(1, 4, 5)", "diagonals(0, 3)", "prefix(5)", "random(0.1)", "random(0.5)", "strided(4)"]
expressions = st.recursive(
    st.sampled_from(PIECES),
    lambda e: st.tuples(e, st.sampled_from(["&", "|", "^", "-"]), e).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=5,
)
sides = st.integers(1, 40)
blocks = st.tuples(st.integers(1, 17), st.integers(1, 17))


@st.composite
def any_masks(draw, square=False):
    rows = draw(sides)
    cols = rows if square else draw(sides)
    if draw(st.booleans()):
        return Mask.parse(draw(expressions), rows, cols)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Mask.from_dense(rng.random((rows, cols)) < draw(st.sampled_from([0.02, 0.3, 0.9])))


@given(any_masks(), blocks)
def test_flashinfer_bsr(mask, block):
    bsr = flashinfer_bsr(mask, block)
    assert from_flashinfer_bsr(bsr.indptr, bsr.indices, bsr.N // bsr.C) == mask.coarsen_any_all(*block)[0]
    if bsr.mask is not None:
        assert bsr.mask.sum() == mask.nnz


@given(any_masks(), blocks)
def test_fa4_block_sparse(mask, block):
    full, partial = mask.coarsen(*block)
    tensors = fa4_block_sparse([mask, None], block)
    for name, tiles in (("mask", partial), ("full", full)):
        counts, indices = getattr(tensors, f"{name}_block_cnt")[0, 0], getattr(tensors, f"{name}_block_idx")[0, 0]
        assert Mask.from_rows([row[:n] for row, n in zip(indices, counts, strict=True)], tiles.cols) == tiles


@given(any_masks())
def test_magi_slices(mask):
    assert from_magi_slices(*magi_slices(mask), *mask.shape) == mask


@given(any_masks(square=True))
def test_flashmask(mask):
    causal = mask <= Mask.parse("causal", *mask.shape)
    if fits(mask, "flashmask"):
        assert from_flashmask(flashmask(mask), causal=causal) == mask
    else:
        with pytest.raises(ValueError, match="does not fit"):
            flashmask(mask)


@given(sides, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_vertical_slash(rows, columns, distances):
    mask = from_vertical_slash(np.array([[sorted(columns)]]), np.array([[sorted(distances)]]), rows)
    found = minference_vertical_slash(mask)
    assert from_vertical_slash(*found, rows) == mask
    assert set(found.v_idx[0, 0].tolist()) >= {c for c in columns if c < rows}
    assert set(found.s_idx[0, 0].tolist()) >= {d for d in distances if d < rows}


@given(any_masks(), st.integers(1, 5))
def test_dense(mask, unit):
    dense = dense_bool(mask, unit=unit)
    assert Mask.from_dense(dense) == mask.refine(unit)


@settings(max_examples=15)
@given(any_masks(), blocks)
def test_flex(mask, block):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from torch.nn.attention.flex_attention import create_mask

    from roarmask.export import flex_block_mask, from_flex

    block_mask = flex_block_mask(mask, block)
    assert from_flex(block_mask) == mask.coarsen(*block)
    assert from_flex(block_mask, tokens=True) == mask
    assert (create_mask(block_mask.mask_mod, 1, 1, *mask.shape, device="cpu").numpy()[0, 0] == mask.to_dense()).all()
