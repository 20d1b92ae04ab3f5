# SPDX-License-Identifier: Apache-2.0
"""A local checkpoint in transformers, with an attention function of ours in place of its own.

Needs torch and transformers: `pip install roarmask[model]`. Nothing is looked up on a hub.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

_NAME = "roarmask_observed"


class CheckpointError(Exception):
    """What is missing or wrong, in one line."""


class Attention(Protocol):
    """What runs in place of a layer's attention."""

    def __call__(self, layer: int, query: Any, key: Any, value: Any, scale: float, window: int | None) -> Any:
        """query [heads, n, dim], key and value [kv_heads, tokens, dim]: torch tensors with rotary positions applied.

        The queries are the last n of the tokens. window: a sliding window of the model's own in tokens, or None.
        Returns [heads, n, dim].
        """


def load(folder: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a checkpoint folder, in float32 on the CPU.

    Raises:
        CheckpointError: torch or transformers is missing, or the folder holds no causal language model.
    """
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise CheckpointError(f"not installed: {', '.join(missing)} (pip install roarmask[model])")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it has no config.json (python -m roarmask.model --out {folder} makes one)")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # whatever a damaged folder makes the libraries raise
        raise CheckpointError(f"cannot load {folder}: {error}") from error
    if not hasattr(model, "model"):
        raise CheckpointError(f"{folder} holds a {type(model).__name__}, which has no decoder named `model`")
    return model, tokenizer


def tokens_of(tokenizer: Any, text: Path, count: int, skip: int = 0) -> Any:
    """Tokens [skip, skip + count) of a text file, plain or .gz: a torch int64 tensor [1, count].

    Raises:
        CheckpointError: the file cannot be read or is too short.
    """
    try:
        data = gzip.decompress(text.read_bytes()) if text.suffix == ".gz" else text.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {text}: {error.strerror or error}") from error
    ids = tokenizer(data.decode("utf-8", "replace"), return_tensors="pt", verbose=False)["input_ids"]
    if ids.shape[1] < skip + count:
        raise CheckpointError(f"{text} has {ids.shape[1]} tokens, {skip + count} are needed")
    return ids[:, skip : skip + count]


@contextmanager
def attention_by(model: Any, attention: Attention) -> Iterator[None]:
    """Within it every layer of the model calls `attention`. One sequence at a time, without padding."""
    from transformers import AttentionInterface

    def run(
        module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float | None = None, sliding_window: int | None = None, **_: Any
    ) -> tuple[Any, None]:
        if query.shape[0] != 1:
            raise ValueError("one sequence at a time")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = attention(module.layer_idx, query[0], key[0], value[0], scale, sliding_window)
        return out.transpose(0, 1)[None].contiguous(), None

    AttentionInterface.register(_NAME, run)
    before = model.config._attn_implementation
    model.config._attn_implementation = _NAME  # set_attn_implementation would ask for a mask function of that name too
    try:
        yield
    finally:
        model.config._attn_implementation = before


def plain_attention(query: Any, key: Any, value: Any, scale: float, window: int | None, allowed: Any = None) -> Any:
    """Causal attention by torch: shapes as in Attention. allowed: bool [heads or 1, n, tokens], or None for all."""
    import torch

    num_queries, num_tokens = query.shape[1], key.shape[1]
    if allowed is None and window is None and num_queries in (1, num_tokens):
        mask = None
    else:
        position = torch.arange(num_tokens - num_queries, num_tokens)[:, None]
        past = position - torch.arange(num_tokens)[None, :]
        mask = (past >= 0 if window is None else (past >= 0) & (past < window))[None]
        mask = (mask if allowed is None else mask & allowed)[None]
    return torch.nn.functional.scaled_dot_product_attention(
        query[None], key[None], value[None], attn_mask=mask, scale=scale, is_causal=mask is None and num_queries > 1, enable_gqa=True
    )[0]
