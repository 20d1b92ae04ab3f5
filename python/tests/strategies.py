# SPDX-License-Identifier: Apache-2.0
"""Masks for the property tests, each with the same cells as a NumPy array."""

import numpy as np
from hypothesis import strategies as st

from roarmask import Mask

PATTERNS = ["none", "full", "causal", "window(3)", "causal & (sink(2) | window(4))", "dilated(3, 2)", "local(4)", "random(0.2, seed=3)"]
sides = st.one_of(st.integers(0, 12), st.sampled_from([63, 64, 65, 130]))


@st.composite
def masks(draw, rows=sides, cols=sides):
    """A pair (mask, dense) with structure, without, or with both."""
    shape = draw(rows), draw(cols)
    dense = Mask.parse(draw(st.sampled_from(PATTERNS)), *shape).to_dense()
    cells = st.tuples(*(st.integers(0, max(side - 1, 0)) for side in shape))
    for cell in draw(st.lists(cells, max_size=12 if all(shape) else 0)):
        dense[cell] ^= True
    return Mask.from_dense(dense), dense


@st.composite
def pairs(draw):
    """Two such pairs of one grid."""
    rows, cols = draw(sides), draw(sides)
    return draw(masks(st.just(rows), st.just(cols))), draw(masks(st.just(rows), st.just(cols)))


def cells_of(mask):
    """The cells of a mask, row by row: what mask[r] says."""
    dense = np.zeros(mask.shape, bool)
    for row, cols in enumerate(mask):
        dense[row, cols] = True
    return dense
