# SPDX-License-Identifier: Apache-2.0
"""Masked attention in plain PyTorch inside the transformers model: what the plugin's engine is compared with."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM

from roarmask import Mask

_NAME = "roarmask_oracle"
# Of the call that is under way: for each layer None or bool [KV heads, tokens, tokens].
_visible: list[torch.Tensor | None] = []


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **settings: Any
) -> tuple[torch.Tensor, None]:
    tokens, per_head = query.shape[2], query.shape[1] // key.shape[1]
    visible = _visible[module.layer_idx]
    if visible is None:
        visible = torch.ones(key.shape[1], tokens, tokens, dtype=torch.bool).tril()
    visible = visible.repeat_interleave(per_head, dim=0)
    scores = query @ key.repeat_interleave(per_head, dim=1).transpose(2, 3) * settings["scaling"]
    weights = scores.masked_fill(~visible, float("-inf")).softmax(dim=-1)
    return (weights @ value.repeat_interleave(per_head, dim=1)).transpose(1, 2), None


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, lambda *_, **__: None)


def load(folder: Any) -> Any:
    """The model in float32, with the attention above."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=_NAME)


def log_probabilities(model: Any, tokens: Sequence[int], masks: Sequence[Sequence[Any] | None], block: int) -> torch.Tensor:
    """float32 [tokens, vocabulary]: row i is about the token behind token i.

    masks: for each layer None (dense) or one for each KV head, in blocks of `block` tokens.
    """
    num, made = len(tokens), {}
    causal = torch.ones(num, num, dtype=torch.bool).tril()

    def expand(mask: Mask) -> torch.Tensor:
        if mask not in made:
            cells = torch.from_numpy(mask.to_dense())
            side = torch.arange(num) // block
            made[mask] = cells[side][:, side] & causal
        return made[mask]

    visible = [None if of_layer is None else torch.stack([expand(mask) for mask in of_layer]) for of_layer in masks]
    return log_probabilities_of(model, tokens, visible)


def log_probabilities_of(model: Any, tokens: Sequence[int], visible: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """The same with what each token sees: for each layer None or bool [KV heads, tokens, tokens]."""
    _visible[:] = visible
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([list(tokens)])).logits[0]
    return logits.log_softmax(dim=-1)
