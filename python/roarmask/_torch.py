# SPDX-License-Identifier: Apache-2.0
"""The torch operator roarmask::attention, which torch.compile keeps in its graphs.

Operators take tensors and numbers. Masks are therefore numbers to it: places in a table of the masks that graphs were made with, which
lives as long as the process, as graphs may. For torch.compile a mask is a constant: a graph is made anew for a mask with other cells.
"""

from __future__ import annotations

from typing import Any

import torch
import torch._dynamo
from torch.utils import _pytree

from . import _attend
from ._core import Mask

_SCHEMA = (
    "attention(Tensor query, Tensor key, Tensor value, int mask, int[2] block, bool causal, float? scale, float? soft_cap, "
    "Tensor? alibi_slopes, Tensor? sinks, SymInt[]? first_position, Tensor? key_lens, Tensor? cu_seqlens, Tensor? cu_seqlens_k, "
    "bool return_lse, int threads, bool reference) -> (Tensor, Tensor)"
)

_masks: list[Any] = [None]
_places: dict[Any, int] = {None: 0}


def _place_of(mask: Any) -> int:
    """The number that stands for a mask, or for tuples of masks. Equal ones have one number."""
    place = _places.get(mask)
    if place is None:
        _masks.append(mask)
        place = _places[mask] = len(_masks) - 1
    return place


def _run(
    query: Any, key: Any, value: Any, mask: int, block: Any, causal: bool, scale: Any, soft_cap: Any, alibi_slopes: Any, sinks: Any,
    first_position: Any, key_lens: Any, cu_seqlens: Any, cu_seqlens_k: Any, return_lse: bool, threads: int, reference: bool,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    if first_position is not None and len(first_position) == 1:
        first_position = first_position[0]
    made = _attend.attention(
        query, key, value, _masks[mask], block=tuple(block), causal=causal, scale=scale, soft_cap=soft_cap, alibi_slopes=alibi_slopes,
        sinks=sinks, first_position=first_position, key_lens=key_lens, cu_seqlens=cu_seqlens, cu_seqlens_k=cu_seqlens_k,
        return_lse=return_lse, threads=threads, reference=reference,
    )  # fmt: skip
    return made if return_lse else (made, query.new_empty(0, dtype=torch.float32))


def _fake(query: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return_lse = rest[13]
    lse = query.new_empty(query.shape[:-1], dtype=torch.float32) if return_lse else query.new_empty(0, dtype=torch.float32)
    return torch.empty_like(query), lse


_library = torch.library.Library("roarmask", "DEF")  # type: ignore[no-untyped-call]
_library.define(_SCHEMA)  # type: ignore[no-untyped-call]
_library.impl("attention", _run, "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("roarmask::attention", _fake, lib=_library)
_pytree.register_constant(Mask)


def _tensor(values: Any) -> torch.Tensor | None:
    return values if values is None or isinstance(values, torch.Tensor) else torch.as_tensor(values)


def _marked(mask: Any) -> Any:
    """The mask or lists of masks with False for None, which the tracer does not take."""
    if isinstance(mask, list | tuple):
        return [_marked(entry) for entry in mask]
    return False if mask is None else mask


def _unmarked(mask: Any) -> Any:
    if isinstance(mask, list | tuple):
        return tuple(_unmarked(entry) for entry in mask)
    return None if mask is False else mask


@torch._dynamo.nonstrict_trace
def _traced(query: Any, key: Any, value: Any, mask: Any, options: dict[str, Any]) -> Any:
    given = options.get
    block, first_position, return_lse = options["block"], given("first_position"), options["return_lse"]
    if first_position is not None and not isinstance(first_position, list | tuple):
        first_position = [first_position]
    made = torch.ops.roarmask.attention(
        query, key, value, _place_of(_unmarked(mask)), (block, block) if isinstance(block, int) else block, options["causal"],
        given("scale"), given("soft_cap"), _tensor(given("alibi_slopes")), _tensor(given("sinks")), first_position,
        _tensor(given("key_lens")), _tensor(given("cu_seqlens")), _tensor(given("cu_seqlens_k")), return_lse,
        given("threads", 0), options["reference"],
    )  # fmt: skip
    return made if return_lse else made[0]


def compiled(query: Any, key: Any, value: Any, mask: Any, options: dict[str, Any]) -> Any:
    """attention within torch.compile."""
    return _traced(query, key, value, _marked(mask), {name: option for name, option in options.items() if option is not None})
