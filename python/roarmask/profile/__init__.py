# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.profile`: where a real model's attention goes, and the masks that keep most of it. See docs/profile.md.

>>> from roarmask.profile import smallest_rows
>>> import numpy as np
>>> smallest_rows(np.array([[0.9, 0.06, 0.04]], np.float32), 0.95).tolist()
[[True, True, False]]
"""

from ._masses import block_masses
from ._sets import jaccard_table, kept_by_density, largest, parts, smallest, smallest_rows, step_traffic, visible

__all__ = ["block_masses", "jaccard_table", "kept_by_density", "largest", "parts", "smallest", "smallest_rows", "step_traffic", "visible"]
