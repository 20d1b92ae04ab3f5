# SPDX-License-Identifier: Apache-2.0
"""Which masks a call is about, their tiles, and the arrays that results go to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _core
from .._core import Atlas, Mask

INT32 = np.dtype(np.int32)
INT32_MAX = 2**31 - 1
MaskLike = Mask | Atlas | Sequence[Mask | None] | Sequence[Sequence[Mask | None]]


def layer_heads(atlas: Atlas, layer: int) -> list[Mask]:
    """The masks of an atlas's layer, one for each head; a dense head's is the full one."""
    full = Mask.parse("full", atlas.rows, atlas.cols)
    return [full if m is None else m for m in (atlas[layer, head] for head in range(atlas.heads))]


def is_nested(mask: MaskLike) -> bool:
    """Whether there is a list for each batch entry."""
    return not isinstance(mask, Mask | Atlas) and len(mask) > 0 and not (mask[0] is None or isinstance(mask[0], Mask))


def masks_per_head(mask: MaskLike, unit: int = 1) -> list[list[Mask]]:
    """The masks as [batch][head], all of one grid and equal ones one object; None becomes the full mask."""
    if unit < 1:
        raise ValueError(f"a cell stands for at least one token, not {unit}")
    if isinstance(mask, Mask):
        return [[mask]]
    if isinstance(mask, Atlas):
        if mask.layers != 1:
            raise ValueError(f"an atlas of {mask.layers} layers has no tensor for all of them: export layer_heads(atlas, layer)")
        mask = layer_heads(mask, 0)
    batch: list[list[Any]] = [list(heads) for heads in mask] if is_nested(mask) else [list(mask)]  # type: ignore[arg-type]
    present = [m for heads in batch for m in heads if m is not None]
    if not all(isinstance(m, Mask) for m in present):
        raise TypeError("a mask is a Mask, a list of masks and None for the heads, or a list of such lists for the batch")
    if not present:
        raise ValueError("there is no mask: every head is dense")
    shapes = sorted({m.shape for m in present})
    if len(shapes) > 1:
        raise ValueError(f"masks of one call have one grid: {shapes}")
    if len({len(heads) for heads in batch}) != 1:
        raise ValueError("every batch entry has the same number of heads")
    full = Mask.parse("full", *shapes[0])
    distinct: dict[int, list[Mask]] = {}

    def one(m: Mask) -> Mask:
        alike = distinct.setdefault(m.nnz, [])
        for other in alike:
            if m is other or m == other:
                return other
        alike.append(m)
        return m

    return [[one(full if m is None else m) for m in heads] for heads in batch]


def map_distinct(function: Callable[[Mask], Any], masks: list[list[Mask]]) -> list[list[Any]]:
    """function(mask) of each, called once for each distinct one."""
    if len(masks) == 1 and len(masks[0]) == 1:
        return [[function(masks[0][0])]]
    done: dict[int, Any] = {}
    return [[done[id(m)] if id(m) in done else done.setdefault(id(m), function(m)) for m in heads] for heads in masks]


def token_exact(mask: Mask, unit: int) -> Mask:
    return mask if unit == 1 else mask.refine(unit)


def block_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if min(pair) < 1:
        raise ValueError(f"a block has at least one token each way, not {pair[0]} x {pair[1]}")
    return pair


def tile_sides(block: tuple[int, int], unit: int) -> tuple[int, int]:
    """How many of a mask's cells a tile has each way."""
    q, kv = block
    if unit < 1 or q % unit or kv % unit:
        raise ValueError(f"blocks of {q} x {kv} tokens are not made of cells of {unit} x {unit}: both must be multiples")
    return q // unit, kv // unit


def full_and_partial(mask: Mask, sides: tuple[int, int]) -> tuple[Mask, Mask]:
    return (mask, Mask.parse("none", *mask.shape)) if sides == (1, 1) else mask.coarsen(*sides)


def write_padded(tiles: list[list[Mask]], counts: np.ndarray, indices: np.ndarray) -> None:
    for b, heads in enumerate(tiles):
        for h, mask in enumerate(heads):
            _core._padded(mask, counts[b, h], indices[b, h])


def write_tile_bits(mask: Mask, tiles: Mask, sides: tuple[int, int], bits: np.ndarray) -> None:
    """The cells of tiles, uint8 [tiles, bytes of a tile]."""
    _core._tile_bits(mask, tiles, *sides, bits.reshape(-1))


def bytes_of_tile(sides: tuple[int, int]) -> int:
    return -(-sides[0] * sides[1] // 8)


def given_array(out: Any, name: str) -> Any:
    if out is None:
        return None
    return out.get(name) if isinstance(out, dict) else getattr(out, name, None)


def _checked(array: np.ndarray, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    flags = array.flags
    if array.shape != shape or array.dtype != dtype or not flags.c_contiguous or not flags.writeable:
        wanted = f"a contiguous, writable {np.dtype(dtype)} array {list(shape)}"
        raise ValueError(f"out[{name!r}] must be {wanted}, not {array.dtype} {list(array.shape)}")
    return array


def buffer(
    out: Any, name: str, shape: tuple[int, ...], dtype: Any = INT32, zeros: Callable[..., np.ndarray] = np.zeros
) -> np.ndarray:
    """The caller's array of that name, checked, or a new one."""
    given = given_array(out, name)
    return zeros(shape, dtype) if given is None else _checked(np.asarray(given), name, shape, dtype)


def list_buffer(out: Any, name: str, length: int, dtype: Any = INT32) -> np.ndarray:
    """The first `length` entries of the caller's array, which may be longer."""
    given = given_array(out, name)
    if given is None:
        return np.zeros(length, dtype)
    array = np.asarray(given)
    if array.ndim != 1 or len(array) < length:
        raise ValueError(f"out[{name!r}] must have room for {length} entries, not {list(array.shape)}")
    return _checked(array[:length], name, (length,), dtype)
