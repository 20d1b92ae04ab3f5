# SPDX-License-Identifier: Apache-2.0
"""vLLM's attention kernel for the CPU, causal and without a window: its arguments, in one place."""

from __future__ import annotations

import torch
from vllm import _custom_ops as ops
from vllm import envs

Arguments = dict[str, torch.Tensor]


def arguments_of(
    query_start: torch.Tensor,
    seq_lens: torch.Tensor,
    block_table: torch.Tensor,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int,
    dtype: torch.dtype,
    isa: str,
) -> Arguments:
    """What calls on these requests share.

    Args:
        query_start: int32 [requests + 1], where each request's queries begin.
        seq_lens: int32 [requests], tokens in all.
        block_table: int32 [requests, blocks].
        heads: query heads of a call.
        kv_heads: likewise.
        head_dim: of both.
        dtype: of queries and cache.
        isa: vLLM's name for how keys lie in a block.
    """
    schedule = ops.cpu_attn_get_scheduler_metadata(
        num_reqs=len(seq_lens),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        seq_lens=seq_lens,
        dtype=dtype,
        query_start_loc=query_start,
        causal=True,
        sliding_window_size=-1,
        isa=isa,
        enable_kv_split=envs.VLLM_CPU_ATTN_SPLIT_KV,
    )
    return {"query_start_loc": query_start, "seq_lens": seq_lens, "block_table": block_table, "scheduler_metadata": schedule}


def attend(
    query: torch.Tensor,
    kv_cache: torch.Tensor,
    kv_heads: slice,
    arguments: Arguments,
    output: torch.Tensor,
    *,
    scale: float,
    soft_cap: float = 0.0,
    sinks: torch.Tensor | None = None,
) -> None:
    """Attention of the query heads that belong to some KV heads.

    Args:
        query: [tokens, heads, head_dim], of all heads.
        kv_cache: [blocks, KV heads, block_size, 2 * head_dim].
        kv_heads: those of the call.
        arguments: of `arguments_of`.
        output: as query; the other heads stay as they are.
        scale: of scores.
        soft_cap: 0 for none.
        sinks: [heads], bfloat16 or float32.
    """
    num_blocks, num_kv_heads, block_size, _ = kv_cache.shape
    keys, values = kv_cache.view(num_blocks, num_kv_heads, 2 * block_size, -1).chunk(2, dim=2)
    group = query.shape[1] // num_kv_heads
    heads = slice(kv_heads.start * group, kv_heads.stop * group)
    out = output[:, heads]
    # The kernel writes tokens next to each other.
    whole = out.shape == output.shape
    target = out if whole else torch.empty(out.shape, dtype=out.dtype)
    ops.cpu_attention_with_kv_cache(
        query=query[:, heads],
        key_cache=keys[:, kv_heads],
        value_cache=values[:, kv_heads],
        output=target,
        scale=scale,
        causal=True,
        alibi_slopes=None,
        sliding_window=-1,
        softcap=soft_cap,
        s_aux=None if sinks is None else sinks[heads],
        **arguments,
    )
    if not whole:
        out.copy_(target)
