# SPDX-License-Identifier: Apache-2.0
"""Policies: which blocks of keys a head should read, from its queries and keys and a budget. NumPy only. See docs/policies.md.

>>> import numpy as np
>>> from roarmask.policies import streaming, topk_blocks
>>> rng = np.random.default_rng(0)
>>> queries, keys = rng.standard_normal((64, 8), np.float32), rng.standard_normal((64, 8), np.float32)
>>> streaming(block=16).mask(queries, keys, budget=2).to_dense().astype(int)
array([[1, 0, 0, 0],
       [1, 1, 0, 0],
       [1, 0, 1, 0],
       [1, 0, 0, 1]])
>>> topk_blocks(block=16).mask(queries, keys, budget=2).nnz
7
"""

from ._base import Budget, Policy
from ._fixed import from_atlas, intersect_of, streaming, union_of
from ._scored import heavy_hitters, quest, sampled_queries, topk_blocks, topp_blocks, vertical_slash, xattention
from ._steps import Step, Steps

__all__ = [
    "Budget",
    "Policy",
    "Step",
    "Steps",
    "from_atlas",
    "heavy_hitters",
    "intersect_of",
    "quest",
    "sampled_queries",
    "streaming",
    "topk_blocks",
    "topp_blocks",
    "union_of",
    "vertical_slash",
    "xattention",
]
