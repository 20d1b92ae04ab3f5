# SPDX-License-Identifier: Apache-2.0
"""Whether a mask can be said in a format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._flashmask import flashmask
from ._minference import minference_vertical_slash
from ._shared import MaskLike


@dataclass(frozen=True)
class Fit:
    """Whether a mask can be said in a format. True or false by itself; `reason` says what is in the way."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


_ALWAYS = ("flex", "flashinfer", "fa4", "magi", "dense", "vllm")
_EXPORTERS = {
    "flex_block_mask": "flex",
    "flashinfer_bsr": "flashinfer",
    "flashinfer_paged": "vllm",
    "fa4_block_sparse": "fa4",
    "magi_slices": "magi",
    "minference_vertical_slash": "vertical_slash",
    "minference": "vertical_slash",
    "vllm_block_table": "vllm",
    "dense_bool": "dense",
    "additive_bias": "dense",
}


def fits(mask: MaskLike, format: str, *, unit: int = 1) -> Fit:
    """Answers beforehand whether `mask` fits "flashmask" or "vertical_slash"; "flex", "flashinfer", "fa4", "magi", "vllm" and "dense" take
    all. The names of the exporters are understood as well."""
    name = _EXPORTERS.get(format, format)
    if name in _ALWAYS:
        return Fit(True)
    exporters: dict[str, Callable[..., Any]] = {"flashmask": flashmask, "vertical_slash": minference_vertical_slash}
    exporter = exporters.get(name)
    if exporter is None:
        raise ValueError(f"unknown format {format!r}; there are {', '.join([*_ALWAYS, 'flashmask', 'vertical_slash'])}")
    try:
        exporter(mask, unit=unit)
    except ValueError as reason:
        return Fit(False, str(reason))
    return Fit(True)
