# SPDX-License-Identifier: Apache-2.0
"""Attention over the cells of masks, on NumPy arrays and torch tensors in the CPU's memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._core import Mask

if TYPE_CHECKING:
    from types import ModuleType

HeadMasks = Mask | Sequence[Mask | None] | None
MaskLike = HeadMasks | Sequence[HeadMasks]

_loaded: ModuleType | None = None


class AttentionWork(NamedTuple):
    """What a call did, summed over heads."""

    visible_pairs: int  # pairs of a query and a key token whose score counts
    computed_pairs: int  # pairs whose score was computed
    tiles: int  # tiles of 64 queries x 16 keys with a visible pair
    key_tokens: int  # key tokens read, counted once for each group of queries that shared the reading


def _engine() -> ModuleType:
    """The extension module, imported with the first call: it loads OpenMP's run-time library."""
    global _loaded
    if _loaded is None:
        try:
            _loaded = import_module("roarmask._attention")
        except ModuleNotFoundError as error:
            raise ImportError("this roarmask was built without attention (CMake's ROARMASK_BUILD_ATTENTION)") from error
    return _loaded


def _is_compiling() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def _is_torch(tensor: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(tensor, torch.Tensor)


def _outputs(query: Any, others: tuple[Any, ...], out: Any, want_lse: bool) -> tuple[Any, Any]:
    """Tensors of query's library for the output and the log-sum-exp."""
    if not _is_torch(query):
        if not isinstance(query, np.ndarray):
            raise TypeError(f"query must be a NumPy array or a torch tensor, not {type(query).__name__}")
        lse = np.empty(query.shape[:-1], np.float32) if want_lse else None
        return np.empty_like(query) if out is None else out, lse
    torch = sys.modules["torch"]
    if torch.is_grad_enabled() and (query.requires_grad or any(getattr(t, "requires_grad", False) for t in others)):
        raise NotImplementedError("roarmask's attention has no backward pass: call it under torch.no_grad()")
    lse = torch.empty(query.shape[:-1], dtype=torch.float32) if want_lse else None
    return torch.empty_like(query) if out is None else out, lse


def _per_head(values: Any) -> Any:
    """float32, contiguous: one number a head."""
    if values is None:
        return None
    if _is_torch(values):
        return values.detach().float().contiguous()
    return np.ascontiguousarray(values, np.float32)


def _options(
    mask: MaskLike,
    block: int | tuple[int, int],
    causal: bool,
    scale: float | None,
    soft_cap: float | None,
    alibi_slopes: Any,
    sinks: Any,
    threads: int | None,
    reference: bool,
) -> Any:
    if scale == 0:
        raise ValueError("a scale of 0 leaves nothing of the scores; None stands for 1 / sqrt(head_dim)")
    pair = (block, block) if isinstance(block, int) else (int(block[0]), int(block[1]))
    if min(pair) < 1:
        raise ValueError(f"a block has at least one token each way, not {pair[0]} x {pair[1]}")
    if alibi_slopes is not None:
        alibi_slopes = _per_head(alibi_slopes)
    if sinks is not None:
        sinks = _per_head(sinks)
    return _engine().Options(mask, pair, causal, scale or 0.0, soft_cap or 0.0, alibi_slopes, sinks, threads or 0, reference)


def attention(
    query: Any,
    key: Any,
    value: Any,
    mask: MaskLike = None,
    *,
    block: int | tuple[int, int] = 1,
    causal: bool = False,
    scale: float | None = None,
    soft_cap: float | None = None,
    alibi_slopes: Any = None,
    sinks: Any = None,
    first_position: int | Sequence[int] | Any = None,
    key_lens: Any = None,
    cu_seqlens: Any = None,
    cu_seqlens_k: Any = None,
    out: Any = None,
    return_lse: bool = False,
    threads: int | None = None,
    reference: bool = False,
    stats: list[AttentionWork] | None = None,
) -> Any:
    """Exact softmax attention over the cells of a mask. Time and memory traffic go with the visible keys.

    Tensors are NumPy arrays or torch tensors in the CPU's memory: float32, bfloat16 (torch, ml_dtypes) or float16. Nothing is copied, and
    any strides will do as long as the last dimension is contiguous. Arithmetic is float32.

    Args:
        query: [batch, heads, tokens, head_dim], or packed [tokens, heads, head_dim] with sequences one after another.
        key, value: [batch, kv_heads, key_tokens, head_dim] or [key_tokens, kv_heads, head_dim]. heads is a multiple of kv_heads.
        mask: the query at position i sees key j where the cell (i // block, j // block) is in the mask. None is dense; a list has a mask or
            None for each KV head, or for each head; a list of such lists has one for each batch entry or sequence.
        block: tokens a cell, or (query tokens, key tokens). 1 is for token-exact masks.
        causal: key j is seen only from positions i >= j.
        scale: of the products; 1 / sqrt(head_dim) unless given.
        soft_cap: scores become soft_cap * tanh(score / soft_cap).
        alibi_slopes: [heads]; slope * (j - i) is added to the scores.
        sinks: [heads]; a score that every row has once more, with a value of zeros.
        first_position: position of the first query among the keys, one for all or one for each batch entry. Unless given the queries are
            the last of the keys, as in chunked prefill and decoding. (scaled_dot_product_attention's is_causal begins at 0.)
        key_lens: int32 [batch]; only that many of the keys are there. With 4 dimensions.
        cu_seqlens, cu_seqlens_k: int32 [sequences + 1]; where the packed sequences of query and of key begin, and the last one ends. One
            sequence unless given; cu_seqlens is for both unless there is a cu_seqlens_k.
        out: tensor of query's shape to write to, which may not overlap the others.
        return_lse: also return the log-sum-exp of each row's scores, float32 in query's shape less the last dimension: see merge_attention.
        threads: as many as torch or OpenMP use unless given. The result is the same for any number.
        reference: plain loops in float64 instead, as an oracle.
        stats: gets an AttentionWork appended.

    Returns:
        out, or (out, lse). Rows that see no key are zeros, and their log-sum-exp is minus infinity. Tokens of out outside of the sequences
        are left as they are.

    Raises:
        TypeError: for what is no such tensor or mask.
        ValueError: where shapes, strides or numbers do not go together.
        IndexError: for a mask whose grid does not cover the tokens.
        NotImplementedError: for torch tensors whose gradients are recorded.
    """
    if _is_compiling():
        if out is not None or stats is not None:
            raise NotImplementedError("in what torch.compile compiles, out and stats cannot be given")
        from . import _torch

        options = {
            "block": block, "causal": causal, "scale": scale, "soft_cap": soft_cap, "alibi_slopes": alibi_slopes, "sinks": sinks,
            "first_position": first_position, "key_lens": key_lens, "cu_seqlens": cu_seqlens, "cu_seqlens_k": cu_seqlens_k,
            "return_lse": return_lse, "threads": threads, "reference": reference,
        }  # fmt: skip
        return _torch.compiled(query, key, value, mask, options)
    options = _options(mask, block, causal, scale, soft_cap, alibi_slopes, sinks, threads, reference)
    out, lse = _outputs(query, (key, value), out, return_lse)
    if query.ndim == 4:
        if cu_seqlens is not None or cu_seqlens_k is not None:
            raise ValueError("cu_seqlens is for packed tensors, [tokens, heads, head_dim]")
        if isinstance(first_position, int):
            first_position = [first_position] * query.shape[0]
        _check_positions(first_position)
        work = _loaded.batched(query, key, value, out, lse, first_position, key_lens, options)  # type: ignore[union-attr]
    else:
        if key_lens is not None:
            raise ValueError("key_lens is for [batch, heads, tokens, head_dim]; packed tensors have cu_seqlens_k")
        if cu_seqlens is None:
            if cu_seqlens_k is not None:
                raise ValueError("cu_seqlens_k is there, and cu_seqlens is not")
            cu_seqlens, cu_seqlens_k = [0, query.shape[0]], [0, key.shape[0]]
        elif cu_seqlens_k is None:
            cu_seqlens_k = cu_seqlens
        if isinstance(first_position, int):
            first_position = [first_position] * (len(cu_seqlens) - 1)
        _check_positions(first_position)
        work = _loaded.packed(query, key, value, out, lse, cu_seqlens, cu_seqlens_k, first_position, options)  # type: ignore[union-attr]
    if stats is not None:
        stats.append(AttentionWork(*work))
    return (out, lse) if return_lse else out


def _check_positions(first_position: Any) -> None:
    if first_position is not None and any(int(at) < 0 for at in first_position):
        raise ValueError("first_position must be 0 or more")


def paged_attention(
    query: Any,
    key_cache: Any,
    value_cache: Any,
    block_table: Any,
    seq_lens: Any,
    query_start_loc: Any,
    mask: MaskLike = None,
    *,
    block: int | tuple[int, int] = 1,
    key_columns: bool = False,
    causal: bool = True,
    scale: float | None = None,
    soft_cap: float | None = None,
    alibi_slopes: Any = None,
    sinks: Any = None,
    out: Any = None,
    return_lse: bool = False,
    threads: int | None = None,
    reference: bool = False,
    stats: list[AttentionWork] | None = None,
) -> Any:
    """Attention over a paged cache: prefill, chunks of it and decode steps in one call. What is not said here is as in attention.

    Only pages with visible keys are read.

    Args:
        query: [tokens, heads, head_dim]; sequences one after another, each the last tokens of its sequence.
        key_cache: [pages, kv_heads, page_tokens, head_dim], or [pages, kv_heads, head_dim, page_tokens] with key_columns.
        value_cache: [pages, kv_heads, page_tokens, head_dim]. The first two dimensions may have any strides: see split_cache.
        block_table: int32 [sequences, max_pages], logical to physical; what comes after a sequence's last page is not read.
        seq_lens: int32 [sequences], tokens of each sequence, the query's included.
        query_start_loc: int32 [sequences + 1], where each sequence's queries begin, and the last one's end.
        mask: rows and columns are logical blocks; a list of lists has masks for each sequence.

    Returns:
        out [tokens, heads, head_dim], or (out, lse [tokens, heads]). Rows past query_start_loc[-1] are left as they are.

    Raises:
        IndexError: also for a page outside of the cache.
    """
    options = _options(mask, block, causal, scale, soft_cap, alibi_slopes, sinks, threads, reference)
    out, lse = _outputs(query, (key_cache, value_cache), out, return_lse)
    work = _loaded.paged(  # type: ignore[union-attr]
        query, key_cache, value_cache, out, lse, block_table, seq_lens, query_start_loc, key_columns, options
    )
    if stats is not None:
        stats.append(AttentionWork(*work))
    return (out, lse) if return_lse else out


def split_cache(kv_cache: Any) -> tuple[Any, Any]:
    """Views of vLLM's CPU cache for paged_attention with key_columns=True.

    Args:
        kv_cache: [blocks, kv_heads, block_size, 2 * head_dim]. Each block and head holds all of its keys, head_dim x block_size, then all
            of its values, block_size x head_dim.

    Returns:
        (key_cache [blocks, kv_heads, head_dim, block_size], value_cache [blocks, kv_heads, block_size, head_dim])
    """
    blocks, heads, size, twice = kv_cache.shape
    halves = kv_cache.reshape(blocks, heads, 2, size * (twice // 2)) if not _is_torch(kv_cache) else kv_cache.view(blocks, heads, 2, -1)
    keys, values = halves[:, :, 0], halves[:, :, 1]
    if _is_torch(kv_cache):
        return keys.view(blocks, heads, twice // 2, size), values.view(blocks, heads, size, twice // 2)
    return keys.reshape(blocks, heads, twice // 2, size), values.reshape(blocks, heads, size, twice // 2)


def merge_attention(out: Any, lse: Any, other: Any, other_lse: Any) -> None:
    """Merges two results over disjoint keys in place: out and lse become those of both.

    Args:
        out, other: contiguous float32 [..., head_dim].
        lse, other_lse: contiguous float32 [...]: what return_lse gave. At most one of the two may have been made with sinks.
    """
    _engine().merge(out, lse, other, other_lse)
