# SPDX-License-Identifier: Apache-2.0
"""Which attention layers of a worker run with which masks, and which stay dense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size
from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.models.utils import extract_layer_index
from vllm.utils.torch_utils import is_quantized_kv_cache
from vllm.v1.attention.backend import AttentionType

from .._core import Mask
from .chosen import Chosen
from .config import LayerMasks, chooses

logger = init_logger("vllm.roarmask")


class MaskedLayer(NamedTuple):
    """What a layer of a worker runs with."""

    masks: tuple[Mask | Chosen, ...]  # one for each of the worker's KV heads
    block: int  # tokens of their cells' sides
    given: tuple[Mask | Chosen, ...]  # the configured ones, which know nothing of the model's own window
    window: int | None  # that window, if sequences are longer


class HeadGroup(NamedTuple):
    """KV heads next to each other that share a mask."""

    first: int  # of this worker's KV heads
    end: int
    mask: Mask


def masked_layer(
    name: str,
    layer: Any,
    masks: Sequence[LayerMasks],
    block: int,
    num_kv_heads: int,
    max_tokens: int,
    why_dense: Callable[[Any], str | None],
) -> MaskedLayer | None:
    """The masks of this worker's KV heads of a layer, or None where it stays dense; says why, once, if masks were asked for.

    A layer with a sliding window of the model's own has the tokens of both, mask and window.

    Args:
        name: of the layer in the model, with its number.
        layer: vLLM's Attention.
        masks: of all layers and KV heads.
        block: tokens of their cells' sides.
        num_kv_heads: of the layer, on all workers.
        max_tokens: the longest sequence that the engine takes.
        why_dense: says of a layer why it cannot have a mask.
    """
    of_layer = masks[extract_layer_index(name)]
    if of_layer is None:
        return None
    reason = why_dense(layer)
    if reason is not None:
        logger.warning("Layer %s stays dense: %s.", name, reason)
        return None
    workers, rank = get_tensor_model_parallel_world_size(), get_tensor_model_parallel_rank()
    # With more workers than KV heads, neighbours hold copies of one.
    first: int = rank * num_kv_heads // workers
    end: int = first + layer.num_kv_heads
    of_worker = tuple(of_layer[first:end])
    # A window that no sequence reaches the end of is none.
    if layer.sliding_window is None or layer.sliding_window >= max_tokens:
        return MaskedLayer(of_worker, block, of_worker, None)
    if chooses(of_layer):
        logger.warning("Layer %s stays dense: its own sliding window and masks that policies choose do not go together.", name)
        return None
    fixed = tuple(mask for mask in of_worker if isinstance(mask, Mask))
    within = tuple(_within_window(mask, block, layer.sliding_window, max_tokens) for mask in fixed)
    return MaskedLayer(within, 1, fixed, layer.sliding_window)


@cache
def _within_window(mask: Mask, block: int, window: int, tokens: int) -> Mask:
    """Token-exact: a model's window ends where it ends, and not with a block. Equal ones are one object."""
    return mask.refine(block, block, tokens, tokens) & Mask.parse(f"window({window})", tokens)


def reason_to_stay_dense(layer: Any) -> str | None:
    """Why a layer cannot have a mask on any device, or None."""
    if layer.attn_type != AttentionType.DECODER:
        return f"its attention is of type {layer.attn_type}, and masks are for causal self-attention"
    if type(layer) is not Attention:
        return f"its {type(layer).__name__} has a pattern of its own"
    if is_quantized_kv_cache(layer.impl.kv_cache_dtype):
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
