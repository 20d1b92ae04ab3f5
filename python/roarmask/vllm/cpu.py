# SPDX-License-Identifier: Apache-2.0
"""The CPU backend: vLLM's own, whose masked layers read only the blocks of the cache that their masks have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from vllm.logger import init_logger
from vllm.v1.attention.backends.cpu_attn import (
    CPUAttentionBackend,
    CPUAttentionBackendImpl,
    CPUAttentionMetadata,
    CPUAttentionMetadataBuilder,
)

from roarmask_vllm import wants_masks

from .._attend import MaskLike, paged_attention, split_cache
from . import cpu_kernel
from .choosing import Chooser, Shape
from .layers import MaskedLayer, groups_of_heads
from .masked import MaskedBuilder, MaskedImpl, MaskSet
from .stats import WorkerStats
from .step import Int32, Pieces, cut, select

logger = init_logger("vllm.roarmask")

# Making a step's table takes from a third of a layer's attention with it to all of it, which gains a fifth on our kernel's at best:
# docs/vllm.md has figures.
_LAYERS_WORTH_A_TABLE = 8


class RoarmaskCPUBackend(CPUAttentionBackend):
    """vLLM's backend with a builder that gives masks to layers. Its name is that of the entry that it stands in for."""

    @staticmethod
    def get_builder_cls() -> type[CPUAttentionMetadataBuilder]:
        return RoarmaskCPUMetadataBuilder


@dataclass
class Call:
    """One call of vLLM's kernel: the pieces of a step as requests of their own, for KV heads that share a mask."""

    first_head: int
    end_head: int
    arguments: cpu_kernel.Arguments


@dataclass
class Step:
    """What the masked layers of a step need, beside vLLM's metadata.

    Attributes:
        calls: for each set of masks whose layers go by table; the others' go through our kernel.
        num_read: for each set of masks the blocks of the cache that are read, over its KV heads.
        num_held: what dense attention would read.
        shape: the step in blocks of the masks, where policies choose.
    """

    calls: dict[MaskSet, list[Call]]
    num_read: dict[MaskSet, int]
    num_held: int
    shape: Shape | None = None


class RoarmaskCPUImpl(MaskedImpl, CPUAttentionBackendImpl):
    """A masked layer's attention."""

    sinks: torch.Tensor | None
    alibi_slopes: torch.Tensor | None

    def attend(self, layer: Any, query: torch.Tensor, kv_cache: torch.Tensor, metadata: Any, output: torch.Tensor) -> None:
        step: Step = metadata.roarmask_step
        # A table forgets the distances that ALiBi is about.
        calls = step.calls.get(self.masks) if self.alibi_slopes is None else None
        if calls is None:
            self._by_kernel(query, kv_cache, metadata, output)
        else:
            self._by_table(query, kv_cache, calls, output)

    def _by_kernel(self, query: torch.Tensor, kv_cache: torch.Tensor, metadata: CPUAttentionMetadata, output: torch.Tensor) -> None:
        keys, values = split_cache(kv_cache)
        paged_attention(
            query,
            keys,
            values,
            metadata.block_table,
            metadata.seq_lens,
            metadata.query_start_loc,
            self.masks_of_step(query, keys, metadata),
            block=self.block,
            key_columns=True,
            scale=self.scale,
            soft_cap=self.logits_soft_cap or None,
            alibi_slopes=self.alibi_slopes,
            sinks=self.sinks,
            out=output,
        )

    def masks_of_step(self, query: torch.Tensor, keys: torch.Tensor, metadata: CPUAttentionMetadata) -> MaskLike:
        """The masks that a step through our kernel follows, as paged_attention takes them: the configured ones.

        query is [tokens, heads, head_size], keys [blocks, KV heads, head_size, block_size] with the step's own.
        """
        return self.masks[0] if self.masks.count(self.masks[0]) == len(self.masks) else self.masks

    def _by_table(self, query: torch.Tensor, kv_cache: torch.Tensor, calls: list[Call], output: torch.Tensor) -> None:
        sinks = self.sinks
        if sinks is not None and sinks.dtype not in (torch.bfloat16, torch.float32):
            sinks = sinks.to(torch.float32)
        for call in calls:
            kv_heads = slice(call.first_head, call.end_head)
            cpu_kernel.attend(
                query, kv_cache, kv_heads, call.arguments, output, scale=self.scale, soft_cap=self.logits_soft_cap, sinks=sinks
            )


class ChoosingCPUImpl(RoarmaskCPUImpl):
    """The attention of a layer whose masks policies choose, in each step for each request."""

    def __init__(self, dense: Any, masked: MaskedLayer, number: int, stats: WorkerStats) -> None:
        super().__init__(dense, masked, number, stats)
        self.chooser = Chooser(masked.masks, self.num_queries_per_kv, self.scale)

    def masks_of_step(self, query: torch.Tensor, keys: torch.Tensor, metadata: CPUAttentionMetadata) -> MaskLike:
        self.choice = self.chooser.choose(query, keys, metadata.roarmask_step.shape)
        return self.choice.masks

    def count(self, step: Step, seconds: float) -> None:
        """Blocks of the masks are counted as the parts of the cache's blocks that they are."""
        assert step.shape is not None
        choice, share = self.choice, self.block / step.shape.page
        self.stats.add(
            self.number,
            kv_blocks_read=choice.read * share,
            kv_blocks_held=choice.held * share,
            decode_blocks_read=choice.decode_read * share,
            decode_blocks_new=choice.decode_new * share,
            choosing_seconds=choice.seconds,
            attention_seconds=seconds - choice.seconds,
        )
        read, held = (self.stats.get(self.number, name) for name in ("kv_blocks_read", "kv_blocks_held"))
        self.stats.set(self.number, density=read / max(held, share))


class RoarmaskCPUMetadataBuilder(MaskedBuilder, CPUAttentionMetadataBuilder):
    """vLLM's, and a layout of the cache that our kernel reads."""

    names_of_paths: ClassVar = {"table": "vLLM's kernel over shortened block tables", "kernel": "libroarmask-attention"}
    impl_class: ClassVar = RoarmaskCPUImpl
    choosing_class: ClassVar = ChoosingCPUImpl

    # Keys as head_dim x tokens within a block: what our kernel reads, and one of vLLM's on every processor.
    _ISAS: ClassVar[tuple[str, ...]] = ("vec", "vec16")
    isa: str

    def __init__(self, kv_cache_spec: Any, layer_names: list[str], vllm_config: Any, device: torch.device) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        self.give_masks()
        self.by_table = {what: self._sets_by_table(what) for what in ("prefill", "decode")} if self.mask_sets or self.choosing else {}

    def _sets_by_table(self, what: str) -> list[MaskSet]:
        """The sets of masks whose layers go by table, in all steps that only decode, or in all others."""
        if self.paths[what] == "kernel":
            return []
        if getattr(self.config, what) == "table":
            return list(self.mask_sets)
        worth = [
            masks for masks, layers in self.mask_sets.items() if len(groups_of_heads(masks)) == 1 and len(layers) >= _LAYERS_WORTH_A_TABLE
        ]
        others = sum(len(layers) for masks, layers in self.mask_sets.items() if masks not in worth)
        if others > 0:
            logger.info_once(
                "Roaring attention masks: %s of %d layers by %s: too few share their masks, or their heads differ.",
                what,
                others,
                self.names_of_paths["kernel"],
            )
        return worth

    def _set_isa_to_layers(self, layer_names: list[str]) -> None:
        if self.isa not in self._ISAS and wants_masks(self.vllm_config):
            self.isa = "vec" if self.block_size % 32 == 0 and self.head_dim % 32 == 0 else "vec16"
            logger.info_once("Keys and values are kept in the layout of the %s kernels, which masks need.", self.isa)
        super()._set_isa_to_layers(layer_names)

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> CPUAttentionMetadata:
        metadata = super().build(common_prefix_len, common_attn_metadata, fast_build)
        self.add_step(metadata, common_attn_metadata)
        return metadata

    def make_step(self, metadata: CPUAttentionMetadata, common_attn_metadata: Any) -> Step:
        num_reqs = common_attn_metadata.num_reqs
        query_start, seq_lens = metadata.query_start_loc[: num_reqs + 1].numpy(), metadata.seq_lens[:num_reqs].numpy()
        block_table = metadata.block_table[:num_reqs].numpy()
        pieces = cut(query_start, seq_lens, self.block_size)
        by_table = self.by_table["prefill" if metadata.max_query_len > 1 else "decode"]
        shape = Shape(query_start, seq_lens, block_table, self.block_size, self.config.block) if self.choosing else None
        return Step(self._calls(by_table, pieces, block_table), *self.count_blocks(pieces), shape)

    def _calls(self, mask_sets: Sequence[MaskSet], pieces: Pieces, block_table: Int32) -> dict[MaskSet, list[Call]]:
        """Of these sets of masks."""
        query_start = torch.from_numpy(pieces.query_start)
        needed = {mask for masks in mask_sets for mask in masks}
        tables = {mask: select(pieces, self.cache_masks[mask].mask, block_table, self.block_size) for mask in needed}
        calls: dict[MaskSet, list[Call]] = {}
        for masks in mask_sets:
            calls[masks] = []
            for group in groups_of_heads(masks):
                num_heads = group.end - group.first
                arguments = cpu_kernel.arguments_of(
                    query_start,
                    torch.from_numpy(tables[group.mask].seq_lens),
                    torch.from_numpy(tables[group.mask].block_table),
                    heads=num_heads * self.num_heads // self.num_kv_heads,
                    kv_heads=num_heads,
                    head_dim=self.head_dim,
                    dtype=self.dtype,
                    isa=self.isa,
                )
                calls[masks].append(Call(group.first, group.end, arguments))
        return calls
