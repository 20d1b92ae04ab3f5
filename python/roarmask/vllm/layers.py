# SPDX-License-Identifier: Apache-2.0
"""Which attention layers of a worker run with which masks, and which stay dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size
from vllm.logger import init_logger
from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.attention.backend import AttentionType

from .._core import Mask
from .config import LayerMasks

logger = init_logger("vllm.roarmask")


class HeadGroup(NamedTuple):
    """KV heads next to each other that share a mask."""

    first: int  # of this worker's KV heads
    end: int
    mask: Mask


def masks_of_layer(name: str, layer: Any, masks: Sequence[LayerMasks], num_kv_heads: int, max_tokens: int) -> tuple[Mask, ...] | None:
    """The masks of this worker's KV heads of a layer, or None where it stays dense; says why, once, if masks were asked for.

    Args:
        name: of the layer in the model, with its number.
        layer: vLLM's Attention.
        masks: of all layers and KV heads.
        num_kv_heads: of the layer, on all workers.
        max_tokens: the longest sequence that the engine takes.
    """
    of_layer = masks[extract_layer_index(name)]
    if of_layer is None:
        return None
    reason = _reason_to_stay_dense(layer, max_tokens)
    if reason is not None:
        logger.warning("Layer %s stays dense: %s.", name, reason)
        return None
    workers, rank = get_tensor_model_parallel_world_size(), get_tensor_model_parallel_rank()
    # With more workers than KV heads, neighbours hold copies of one.
    first: int = rank * num_kv_heads // workers
    end: int = first + layer.num_kv_heads
    return tuple(of_layer[first:end])


def _reason_to_stay_dense(layer: Any, max_tokens: int) -> str | None:
    if layer.attn_type != AttentionType.DECODER:
        return f"its attention is of type {layer.attn_type}, and masks are for causal self-attention"
    # A window that no sequence reaches the end of is none.
    if layer.sliding_window is not None and layer.sliding_window < max_tokens:
        lift = "--hf-overrides '{\"sliding_window\": null}' lifts it"
        return f"the model gives it a sliding window of {layer.sliding_window} tokens; {lift}"
    if layer.impl.is_fp8_kv_cache:
        return "its KV cache is quantised"
    return None


def groups_of_heads(masks: Sequence[Mask]) -> list[HeadGroup]:
    """Runs of equal masks. Equal masks of a configuration are one object."""
    groups: list[HeadGroup] = []
    for head, mask in enumerate(masks):
        if groups and groups[-1].mask is mask:
            groups[-1] = groups[-1]._replace(end=head + 1)
        else:
            groups.append(HeadGroup(head, head + 1, mask))
    return groups
