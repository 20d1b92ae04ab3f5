# SPDX-License-Identifier: Apache-2.0
"""Paged caches: the pages that a decode step reads, for vLLM and FlashInfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._core import Mask
from ._shared import buffer, list_buffer


class PagedIndices(NamedTuple):
    """Arguments of flashinfer's BatchDecodeWithPagedKVCacheWrapper.plan."""

    indptr: np.ndarray  # int32 [requests + 1]
    indices: np.ndarray  # int32 [pages]: physical pages
    last_page_len: np.ndarray  # int32 [requests]


def _page_arguments(masks: Mask | Sequence[Mask], rows: Any, block_table: Any, seq_lens: Any, page_size: int) -> tuple[Any, ...]:
    if page_size < 1:
        raise ValueError(f"a page has at least one token, not {page_size}")
    lengths = np.ascontiguousarray(seq_lens, np.int32)
    table = np.ascontiguousarray(block_table, np.int32)
    requests = len(lengths)
    list_of_masks = [masks] * requests if isinstance(masks, Mask) else list(masks)
    if lengths.ndim != 1 or len(list_of_masks) != requests or table.ndim != 2 or len(table) != requests:
        given = f"{requests} sequence lengths, {len(list_of_masks)} masks and a block table {list(table.shape)}"
        raise ValueError(f"{given} do not go together")
    # The query of a decode step is the newest token: its row is its block's.
    which = np.ascontiguousarray((lengths - 1) // page_size if rows is None else rows, np.int32)
    if which.shape != lengths.shape:
        raise ValueError(f"rows are {list(which.shape)}, and there are {requests} requests")
    return list_of_masks, which, table, lengths


def vllm_block_table(
    masks: Mask | Sequence[Mask],
    block_table: Any,
    seq_lens: Any,
    block_size: int,
    *,
    rows: Any = None,
    out: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The compacted block table of a decode step: each request keeps the pages that its row of the mask has, and its newest one.

    Args:
        masks: one mask for all requests, or one each; key blocks are the cache's blocks.
        block_table: int32 [requests, max_blocks], logical to physical.
        seq_lens: int32 [requests], the newest token included.
        rows: the query's row in each mask; that of its newest token's block unless given.
        out: an earlier result, or a dict with `block_table` and `seq_lens`.

    Returns:
        (block_table int32 [requests, max_blocks], seq_lens int32 [requests]). Entries past a request's last page are not part of it.
    """
    arguments = _page_arguments(masks, rows, block_table, seq_lens, block_size)
    if isinstance(out, tuple):
        out = dict(zip(("block_table", "seq_lens"), out, strict=True))
    table = buffer(out, "block_table", arguments[2].shape)
    lengths = buffer(out, "seq_lens", arguments[3].shape)
    counts = np.empty_like(lengths)
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], block_size, table, counts, lengths)
    return table, lengths


def flashinfer_paged(
    masks: Mask | Sequence[Mask], block_table: Any, seq_lens: Any, page_size: int, *, rows: Any = None, out: Any = None
) -> PagedIndices:
    """FlashInfer's page list of a decode step; arguments as in vllm_block_table. `out`: an earlier result, with as many indices or more."""
    arguments = _page_arguments(masks, rows, block_table, seq_lens, page_size)
    table = np.empty(arguments[2].shape, np.int32)
    requests = len(table)
    indptr, last = buffer(out, "indptr", (requests + 1,)), buffer(out, "last_page_len", (requests,))
    counts = np.empty(requests, np.int32)
    _core._pages(arguments[0], arguments[1], arguments[2], arguments[3], page_size, table, counts, last)
    last -= (counts - 1) * np.int32(page_size)
    indptr[0] = 0
    np.cumsum(counts, out=indptr[1:])
    indices = list_buffer(out, "indices", int(indptr[-1]))
    indices[:] = table[np.arange(table.shape[1])[None, :] < counts[:, None]]
    return PagedIndices(indptr, indices, last)
