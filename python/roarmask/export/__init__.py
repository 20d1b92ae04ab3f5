# SPDX-License-Identifier: Apache-2.0
"""One mask, every attention kernel's own tensors.

Words: a mask's cells stand for `unit` x `unit` tokens (1: token-exact). A kernel works on tiles of query tokens x key tokens. Where an
exporter takes `block_size`, it coarsens the mask to those tiles; a tile whose every cell is in the mask is full, one with some is partial.

Where a MaskLike is taken, a list of masks is one for each head, a list of such lists one for each batch entry, and None a dense head;
`layer_heads` makes that list of an Atlas. Equal masks are worked on once. Arrays are NumPy's; `torch.from_numpy` takes them without a copy.
With `out` results go into memory that you own and can reuse: what an earlier call returned, or a dict of arrays (or CPU tensors) by name.
"""

from ._fa4 import BlockSparseTensors, fa4_block_sparse
from ._fits import Fit, fits
from ._flashinfer import Bsr, flashinfer_bsr, from_flashinfer_bsr
from ._flashmask import flashmask, from_flashmask
from ._flex import flex_block_mask, from_flex
from ._magi import MagiSlices, from_magi_slices, magi_slices
from ._minference import VerticalSlash, VerticalSlashTiles, from_vertical_slash, minference_tiles, minference_vertical_slash
from ._paged import PagedIndices, flashinfer_paged, vllm_block_table
from ._plain import additive_bias, dense_bool
from ._shared import MaskLike, layer_heads

__all__ = [
    "BlockSparseTensors",
    "Bsr",
    "Fit",
    "MagiSlices",
    "MaskLike",
    "PagedIndices",
    "VerticalSlash",
    "VerticalSlashTiles",
    "additive_bias",
    "dense_bool",
    "fa4_block_sparse",
    "fits",
    "flashinfer_bsr",
    "flashinfer_paged",
    "flashmask",
    "flex_block_mask",
    "from_flashinfer_bsr",
    "from_flashmask",
    "from_flex",
    "from_magi_slices",
    "from_vertical_slash",
    "layer_heads",
    "magi_slices",
    "minference_tiles",
    "minference_vertical_slash",
    "vllm_block_table",
]
