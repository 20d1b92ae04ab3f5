# SPDX-License-Identifier: Apache-2.0
"""Hugging Face transformers with masks: importing this module makes attn_implementation="roarmask" known to them.

>>> import roarmask.transformers                                               # doctest: +SKIP
>>> model = AutoModelForCausalLM.from_pretrained(name, attn_implementation="roarmask")   # doctest: +SKIP
>>> roarmask.transformers.set_mask(model, Mask.parse("causal & (sink(4) | window(64))", 4096), block=16)   # doctest: +SKIP

Without set_mask attention is dense. Prefill, chunks of it and decode steps over a cache are the same call; masks must cover the longest
sequence. On the CPU, without gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, masking_utils

from ._attend import HeadMasks, attention
from ._core import Atlas, Mask

NAME = "roarmask"
LayerMasks = Mask | Atlas | Sequence[HeadMasks] | Mapping[int, HeadMasks] | None


def register() -> None:
    """Makes attn_implementation="roarmask" known. Importing this module has done it."""
    AttentionInterface.register(NAME, attention_forward)
    AttentionMaskInterface.register(NAME, padding_mask)


def set_mask(model: torch.nn.Module, mask: LayerMasks, *, block: int | tuple[int, int] = 1) -> None:
    """Gives the attention layers of a model their masks; later calls replace them.

    Args:
        mask: one for all layers; an atlas; or a list with an entry for each layer, or a dict of layers, the others being dense. An entry is
            a Mask, None for a dense layer, or a list of these with one for each KV head or for each head.
        block: tokens a cell, or (query tokens, key tokens).

    Raises:
        ValueError: for a model without attention layers, or masks of another number of layers.
    """
    layers: dict[int, list[torch.nn.Module]] = {}
    for module in model.modules():
        if isinstance(getattr(module, "layer_idx", None), int):
            layers.setdefault(module.layer_idx, []).append(module)  # type: ignore[arg-type]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no attention layers with a layer_idx")
    of_layer = _by_layer(mask, len(layers))
    for layer, modules in layers.items():
        for module in modules:
            module.roarmask = (of_layer.get(layer), block)  # type: ignore[assignment]


def _by_layer(mask: LayerMasks, num_layers: int) -> dict[int, Any]:
    if mask is None or isinstance(mask, Mask):
        return dict.fromkeys(range(num_layers), mask)
    if isinstance(mask, Atlas):
        given: Any = [[mask[layer, head] for head in range(mask.heads)] for layer in range(mask.layers)]
    elif isinstance(mask, Mapping):
        if any(not 0 <= layer < num_layers for layer in mask):
            raise ValueError(f"masks for layers {sorted(mask)}, and the model has {num_layers}")
        return dict(mask)
    else:
        given = list(mask)
    if len(given) != num_layers:
        raise ValueError(f"masks for {len(given)} layers, and the model has {num_layers}")
    return dict(enumerate(given))


@lru_cache(maxsize=64)
def _window(tokens: int, length: int) -> Mask:
    return Mask.parse(f"causal & window({tokens - 1}, 0)", length)


def attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of transformers.

    Shapes: query [batch, heads, tokens, head_dim], key and value [batch, kv_heads, key_tokens, head_dim]. Returns ([batch, tokens, heads,
    head_dim], None).
    """
    if dropout:
        raise NotImplementedError("roarmask's attention has no dropout: call model.eval()")
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    num_keys = key.shape[2]
    mask, block = getattr(module, "roarmask", (None, 1))
    if attention_mask is not None:
        if attention_mask.ndim != 1:
            raise NotImplementedError("an attention mask was given beside roarmask's own")
        # A cache of fixed length of which only a part is filled: padding_mask below.
        num_keys = int(attention_mask)
        key, value = key[:, :, :num_keys], value[:, :, :num_keys]
    if sliding_window is not None and num_keys > sliding_window:
        if mask is not None:
            raise NotImplementedError("a layer with a sliding window of its own takes no mask: put the window into the mask")
        # Lengths by powers of two, so that a decoding loop parses few masks.
        mask, block = _window(sliding_window, 1 << (num_keys - 1).bit_length()), 1
    made = attention(
        query, key, value, mask, block=block, causal=bool(causal), scale=scaling, soft_cap=softcap, sinks=s_aux,
        first_position=None if causal else 0,
    )  # fmt: skip
    return made.transpose(1, 2).contiguous(), None


def padding_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: Any = 0,
    kv_offset: int = 0,
    mask_function: Any = None,
    attention_mask: torch.Tensor | None = None,
    config: Any = None,
    **_: Any,
) -> torch.Tensor | None:
    """What transformers asks for before the first layer: for a cache of fixed length the number of its keys that are filled, else nothing.

    Raises:
        NotImplementedError: for padding, and for more than causal masks and sliding windows.
    """
    if attention_mask is not None and attention_mask.ndim == 1:
        return attention_mask  # generate() asks beforehand, and hands the answer to the model, which asks again
    filled = int(q_offset) + q_length
    if attention_mask is not None and not attention_mask[:, :filled].all():
        raise NotImplementedError('attn_implementation="roarmask" takes sequences of one length: there is padding in attention_mask')
    # While torch.compile traces, transformers always asks for a mask of packed sequences, in vain as a rule.
    plain = (masking_utils.causal_mask_function, getattr(masking_utils, "bidirectional_mask_function", None), None)
    has_window = any(getattr(config, name, None) for name in ("sliding_window", "layer_types"))
    if mask_function not in plain and not has_window and not torch.compiler.is_compiling():
        raise NotImplementedError('attn_implementation="roarmask" knows causal masks and sliding windows, and this model asks for another')
    is_causal = mask_function is not plain[1]
    return torch.tensor([filled]) if is_causal and kv_offset == 0 and filled < kv_length else None


register()
