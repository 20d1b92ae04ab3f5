# SPDX-License-Identifier: Apache-2.0
"""Pictures of masks from their rasters: how many cells lie in each field. No mask is expanded for it."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from ._core import Mask

_SHADES = " ░▒▓█"
_SIDE = 320


def _shares(mask: Mask, height: int, width: int) -> NDArray[np.float64]:
    """The share of each field that is in the mask, from 0 to 1. float64 [height, width]."""
    rows, cols = mask.shape
    height, width = max(1, min(height, rows)), max(1, min(width, cols))
    counts = mask.raster(height, width)
    row_edges = np.arange(height + 1, dtype=np.int64) * rows // height
    col_edges = np.arange(width + 1, dtype=np.int64) * cols // width
    cells = np.diff(row_edges)[:, None] * np.diff(col_edges)[None, :]
    return np.asarray(counts / np.maximum(cells, 1), np.float64)


def show(mask: Mask, width: int = 64, height: int = 32) -> None:
    """Prints the mask with a character a field; a field with any cell is never blank, one with a hole never full."""
    shares = _shares(mask, height, width)
    levels = np.clip(np.ceil(shares * 4), 0, 4).astype(int)
    levels[(levels == 4) & (shares < 1)] = 3
    print(repr(mask))
    for row in levels:
        print("".join(_SHADES[level] for level in row))


def png(mask: Mask) -> bytes:
    """A greyscale PNG, darker where denser, at most 320 pixels a side."""
    shares = _shares(mask, _SIDE, _SIDE)
    # The square root keeps a few scattered cells visible beside full fields.
    pixels = (255 - np.ceil(np.sqrt(shares) * 235)).astype(np.uint8)
    zoom = max(1, _SIDE // max(pixels.shape))
    pixels = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)
    lines[:, 1:] = pixels

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def html(mask: Mask) -> str:
    """The picture with the mask's facts, for notebooks."""
    picture = base64.b64encode(png(mask)).decode()
    facts = f"{mask.rows:,} × {mask.cols:,} blocks · {mask.nnz:,} cells · {100 * mask.density:.4g}% · {mask.nbytes:,} bytes"
    return (
        f'<figure style="margin:0"><img alt="mask" style="border:1px solid #888;image-rendering:pixelated" '
        f'src="data:image/png;base64,{picture}"><figcaption>{facts}</figcaption></figure>'
    )
