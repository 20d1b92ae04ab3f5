# SPDX-License-Identifier: Apache-2.0
"""The CUDA backends: vLLM's FlashAttention and Triton ones, whose masked layers read only the blocks of the cache that their masks have.

Steps with prefill run through FlexAttention, decode steps through the kernel of vLLM's backend with shorter block tables: a call for
each run of KV heads that share a mask. No CUDA graph holds such attention; graphs of the layers in between do. Importable without
CUDA, and everything but the kernels themselves runs on any device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from vllm.logger import init_logger
from vllm.utils.torch_utils import async_tensor_h2d
from vllm.v1.attention.backend import AttentionCGSupport
from vllm.v1.attention.backends.flash_attn import FlashAttentionBackend, FlashAttentionImpl, FlashAttentionMetadataBuilder
from vllm.v1.attention.backends.flex_attention import flex_attention_compiled, get_kernel_options
from vllm.v1.attention.backends.triton_attn import TritonAttentionBackend, TritonAttentionImpl, TritonAttentionMetadataBuilder
from vllm.v1.kv_cache_interface import KVCacheLayout

from .._core import Mask
from .layers import MaskedLayer, groups_of_heads
from .masked import MaskedBuilder, MaskedImpl, MaskSet
from .stats import WorkerStats
from .step import Int32, Pieces, cut, select
from .tiles import TILE, TileMask, Tiles, attend

logger = init_logger("vllm.roarmask")


@dataclass
class Step:
    """What the masked layers of a step need, beside vLLM's metadata.

    Attributes:
        calls: for each set of masks whose layers go by table vLLM's metadata with shorter ones, for each run of KV heads.
        tiles: of the others, which go through FlexAttention; None where there are none.
        tile_masks: what all layers' masks are on the device.
        num_read: for each set of masks the blocks of the cache that are read, over its KV heads.
        num_held: what dense attention would read.
    """

    calls: dict[MaskSet, list[Any]]
    tiles: Tiles | None
    tile_masks: dict[Any, TileMask]
    num_read: dict[MaskSet, int]
    num_held: int


class CUDAImpl(MaskedImpl):
    """Of a masked layer's attention. Parts are vLLM's own implementation for the heads of a run."""

    num_heads: int
    num_kv_heads: int
    head_size: int
    scale: float
    logits_soft_cap: float
    sinks: torch.Tensor | None
    dense_class: ClassVar[Any]

    def __init__(self, dense: Any, masked: MaskedLayer, number: int, stats: WorkerStats) -> None:
        super().__init__(dense, masked, number, stats)
        self.groups = groups_of_heads(self.masks)
        self.parts = [self._part(group.first, group.end) for group in self.groups]
        self.timed_calls: deque[tuple[Any, Any]] = deque()

    def _heads(self, first: int, end: int) -> slice:
        per_kv_head = self.num_heads // self.num_kv_heads
        return slice(first * per_kv_head, end * per_kv_head)

    def _part(self, first: int, end: int) -> Any:
        heads = self._heads(first, end)
        part = object.__new__(self.dense_class)
        part.__dict__.update(self.__dict__)
        part.num_heads, part.num_kv_heads = heads.stop - heads.start, end - first
        part.sinks = None if self.sinks is None else self.sinks[heads]
        return part

    def attend(self, layer: Any, query: torch.Tensor, kv_cache: torch.Tensor, metadata: Any, output: torch.Tensor) -> None:
        if not query.is_cuda:
            self._attend(layer, query, kv_cache, metadata, output)
            return
        event: Any = torch.cuda.Event
        begin, end = event(enable_timing=True), event(enable_timing=True)
        begin.record()
        self._attend(layer, query, kv_cache, metadata, output)
        end.record()
        self.timed_calls.append((begin, end))

    def _attend(self, layer: Any, query: torch.Tensor, kv_cache: torch.Tensor, metadata: Any, output: torch.Tensor) -> None:
        step: Step = metadata.roarmask_step
        if step.tiles is None or self.masks in step.calls:
            for group, part, call in zip(self.groups, self.parts, step.calls[self.masks], strict=True):
                heads = self._heads(group.first, group.end)
                part.forward(layer, query[:, heads], None, None, kv_cache[:, group.first : group.end], call, output[:, heads])
            return
        num_blocks, num_kv_heads, block_size, _ = kv_cache.shape
        # A view, because the cache is laid out as the backends below want it.
        keys_and_values = kv_cache.transpose(1, 2).view(num_blocks * block_size, num_kv_heads, -1)
        keys, values = keys_and_values[..., : self.head_size], keys_and_values[..., self.head_size :]
        on_card = {"flex": flex_attention_compiled, "kernel_options": get_kernel_options(query, TILE, block_size, False)}
        for group, part in zip(self.groups, self.parts, strict=True):
            heads = self._heads(group.first, group.end)
            attend(
                query[:, heads],
                keys[:, group.first : group.end],
                values[:, group.first : group.end],
                step.tiles,
                step.tiles.block_mask(group.mask, step.tile_masks[group.mask], num_blocks),
                output[:, heads],
                scale=self.scale,
                soft_cap=self.logits_soft_cap or None,
                sinks=part.sinks,
                **(on_card if query.is_cuda else {}),
            )

    def count(self, step: Step, seconds: float) -> None:
        super().count(step, self._device_seconds() if torch.cuda.is_available() else seconds)

    def _device_seconds(self) -> float:
        """Of calls that the device is through with since the last time: it is behind, and nobody waits for it."""
        seconds = 0.0
        while self.timed_calls and self.timed_calls[0][1].query():
            begin, end = self.timed_calls.popleft()
            seconds += begin.elapsed_time(end) / 1000
        return seconds


class CUDABuilder(MaskedBuilder):
    """Of a metadata builder."""

    names_of_paths: ClassVar = {"table": "vLLM's kernel over shortened block tables", "kernel": "FlexAttention"}
    # What is made for a step is made from its block table.
    supports_update_block_table = False

    device: torch.device

    def __init__(self, kv_cache_spec: Any, layer_names: list[str], vllm_config: Any, device: torch.device) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)  # type: ignore[call-arg]
        self.num_kv_heads = kv_cache_spec.num_kv_heads
        self.give_masks()
        self.by_table = {what: self._sets_by_table(what) for what in ("prefill", "decode")} if self.mask_sets else {}
        max_tokens = vllm_config.model_config.max_model_len
        self.tile_masks = {
            mask: TileMask.of(given, self.config.block, layer.window, mask, layer.block, self.block_size, max_tokens, device)
            for layer in self.masked_layers
            for mask, given in zip(layer.masks, layer.given, strict=True)
            if isinstance(mask, Mask) and isinstance(given, Mask)
        }

    def _sets_by_table(self, what: str) -> list[MaskSet]:
        """The sets of masks whose layers go by table, in all steps that only decode, or in all others."""
        asked = getattr(self.config, what)
        if asked == "kernel" or (asked == "auto" and what == "prefill"):
            return []
        fit = [masks for masks in self.mask_sets if all(self.cache_masks[mask].is_exact for mask in masks)]
        if len(fit) < len(self.mask_sets):
            others = sum(len(layers) for masks, layers in self.mask_sets.items() if masks not in fit)
            logger.info_once("Roaring attention masks: %s of %d layers by FlexAttention: their masks cut through blocks.", what, others)
        return fit

    @classmethod
    def get_cudagraph_support(cls, vllm_config: Any, kv_cache_spec: Any) -> AttentionCGSupport:
        # A step's calls differ from the last one's in number and shape.
        return AttentionCGSupport.NEVER

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> Any:
        metadata = super().build(common_prefix_len, common_attn_metadata, fast_build)  # type: ignore[misc]
        self.add_step(metadata, common_attn_metadata)
        return metadata

    def make_step(self, metadata: Any, common_attn_metadata: Any) -> Step:
        num_reqs = common_attn_metadata.num_reqs
        starts = common_attn_metadata.query_start_loc_cpu[: num_reqs + 1].numpy()
        # Steps that only warm up may say nothing of a context.
        seq_lens = np.maximum(self._seq_lens(common_attn_metadata)[:num_reqs], np.diff(starts))
        pieces = cut(starts, seq_lens, self.block_size)
        what = "prefill" if np.diff(starts).max(initial=0) > 1 else "decode"
        block_table = common_attn_metadata.block_table_tensor
        calls = self._calls(self.by_table[what], pieces, block_table, metadata)
        tiles = None
        if len(calls) < len(self.mask_sets):
            tiles = Tiles.of(starts, seq_lens, block_table, self.block_size, self._to_device)
        return Step(calls, tiles, self.tile_masks, *self.count_blocks(pieces))

    def _to_device(self, array: Any) -> torch.Tensor:
        moved: torch.Tensor = async_tensor_h2d(array, self.device)
        return moved

    def _seq_lens(self, common_attn_metadata: Any) -> Int32:
        """On the host. vLLM has them there, but for drafts of which it does not know yet how many hold."""
        known = common_attn_metadata.seq_lens_cpu_upper_bound
        if known is None or self.vllm_config.speculative_config is not None:
            known = common_attn_metadata.seq_lens.cpu()
        lens: Int32 = known.numpy()
        return lens

    def _calls(self, mask_sets: Sequence[MaskSet], pieces: Pieces, block_table: torch.Tensor, metadata: Any) -> dict[MaskSet, list[Any]]:
        """Of these sets of masks."""
        num_blocks = int(pieces.row.max(initial=0)) + 1
        logical = np.broadcast_to(np.arange(num_blocks, dtype=np.int32), (int(pieces.request.max(initial=0)) + 1, num_blocks))
        request = self._to_device(pieces.request)[:, None]
        query_start = self._to_device(pieces.query_start)
        of_masks = {}
        for mask in {mask for masks in mask_sets for mask in masks}:
            table = select(pieces, self.cache_masks[mask].mask, logical, self.block_size)
            max_seq_len = int(table.seq_lens.max(initial=1))
            used = np.ascontiguousarray(table.block_table[:, : -(-max_seq_len // self.block_size)])
            of_masks[mask] = replace(
                metadata,
                num_actual_tokens=int(pieces.query_start[-1]),
                max_query_len=int(np.diff(pieces.query_start).max(initial=1)),
                query_start_loc=query_start,
                max_seq_len=max_seq_len,
                seq_lens=self._to_device(table.seq_lens),
                block_table=block_table[request, self._to_device(used).to(torch.int64)],
                scheduler_metadata=None,
            )
        return {masks: [of_masks[group.mask] for group in groups_of_heads(masks)] for masks in mask_sets}

    def why_dense(self, layer: Any) -> str | None:
        if layer.impl.alibi_slopes is not None:
            return "its ALiBi needs distances, which a shortened block table forgets"
        return super().why_dense(layer)


class FlashImpl(CUDAImpl, FlashAttentionImpl):
    """A masked layer's attention beside FlashAttention's."""

    dense_class: ClassVar = FlashAttentionImpl


class FlashBuilder(CUDABuilder, FlashAttentionMetadataBuilder):
    """vLLM's for FlashAttention, and masks."""

    impl_class: ClassVar = FlashImpl


class TritonImpl(CUDAImpl, TritonAttentionImpl):
    """A masked layer's attention beside Triton's."""

    dense_class: ClassVar = TritonAttentionImpl


class TritonBuilder(CUDABuilder, TritonAttentionMetadataBuilder):
    """vLLM's for Triton, and masks."""

    impl_class: ClassVar = TritonImpl


class CUDABackend:
    """Of a backend: a builder that gives masks to layers. The backend's name is that of the entry that it stands in for."""

    builder_class: ClassVar[Any]

    @classmethod
    def get_builder_cls(cls) -> Any:
        return cls.builder_class

    @classmethod
    def supported_kv_cache_layouts(cls) -> tuple[KVCacheLayout, ...]:
        return (KVCacheLayout.LBNHC,)


class RoarmaskFlashBackend(CUDABackend, FlashAttentionBackend):
    """vLLM's for FlashAttention, and masks."""

    builder_class: ClassVar = FlashBuilder


class RoarmaskTritonBackend(CUDABackend, TritonAttentionBackend):
    """vLLM's for Triton, and masks."""

    builder_class: ClassVar = TritonBuilder
