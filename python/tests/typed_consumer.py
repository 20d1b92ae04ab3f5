# SPDX-License-Identifier: Apache-2.0
"""Never run: mypy --strict reads it as a user's program (test_typing.py)."""

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import roarmask
from roarmask import Atlas, Builder, Mask, RoaringAttentionMask

mask = Mask.parse("causal", 5)
assert_type(mask, Mask)
assert_type(mask[0], NDArray[np.int32])
assert_type(mask[np.int64(0)], NDArray[np.int32])
assert_type(mask[1:], Mask)
assert_type(mask[1:, :3], Mask)
assert_type(mask & ~mask | mask ^ mask - mask, Mask)
assert_type(mask == mask, bool)
assert_type(mask == 3, bool)
assert_type(mask <= mask, bool)
assert_type(mask.shape, tuple[int, int])
assert_type(mask.T, Mask)
assert_type(mask.coarsen(2, 3), tuple[Mask, Mask])
assert_type(mask.to_csr(), tuple[NDArray[np.int64], NDArray[np.int32]])
assert_type(mask.to_dense(), NDArray[np.bool_])
assert_type(mask.intersection(1, [2, 3]), NDArray[np.int32])
assert_type(mask.append_rows([[1, 2], np.array([3])]), Mask)
assert_type(mask.append_rows(mask, cols=9), Mask)
assert_type(mask.tobytes(), bytes)
assert_type(mask.stats(), dict[str, int])
assert_type(next(iter(mask)), NDArray[np.int32])
assert_type((1, 2) in mask, bool)
mask.save("x.rmask")
assert_type(Mask.open(Path("x.rmask")), Mask)
assert_type(Mask.from_rows(mask, 5), Mask)

builder = Builder(5)
builder.add(0, [1, 2])
assert_type(builder.freeze(), Mask)
atlas = Atlas([[mask, None]])
assert_type(atlas[0, 1], Mask | None)
assert_type(atlas.masks, list[Mask])
assert_type(roarmask.__version__, str)
published = RoaringAttentionMask(5)
assert_type(published.get_active_blocks(1), NDArray[np.int32])

mask["1"]  # type: ignore[call-overload]
mask & 3  # type: ignore[operator]
mask.rows = 5  # type: ignore[misc]
Mask.parse("causal", 1.5)  # type: ignore[arg-type]
