# SPDX-License-Identifier: Apache-2.0
"""Block-sparse attention masks in bytes to megabytes.

>>> import roarmask
>>> mask = roarmask.Mask.parse("causal & (sink(64) | window(512))", 62500)
>>> mask.nnz, mask.nbytes
(35834400, 184)
>>> mask[1000][:3]
array([0, 1, 2], dtype=int32)
"""

from ._attend import AttentionWork, attention, merge_attention, paged_attention, split_cache
from ._compat import RoaringAttentionMask, create_sliding_window_mask
from ._core import MAX_SIDE, Atlas, Builder, Mask, simd_tier
from ._core import VERSION as __version__
from ._errors import ExpressionError, FormatError

__all__ = [
    "MAX_SIDE",
    "Atlas",
    "AttentionWork",
    "Builder",
    "ExpressionError",
    "FormatError",
    "Mask",
    "RoaringAttentionMask",
    "__version__",
    "attention",
    "create_sliding_window_mask",
    "merge_attention",
    "paged_attention",
    "simd_tier",
    "split_cache",
]
