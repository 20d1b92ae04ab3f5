# SPDX-License-Identifier: Apache-2.0
"""The CPU backend: vLLM's own, whose masked layers read only the blocks of the cache that their masks have.

Layers that are dense keep vLLM's objects. The others get an implementation of ours when the cache is there and layers have
names. Keys and values are written to the cache by vLLM's code in either case.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from vllm import _custom_ops as ops
from vllm import envs
from vllm.config import get_layers_from_vllm_config
from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.models.utils import extract_layer_index
from vllm.v1.attention.backends.cpu_attn import (
    CPUAttentionBackend,
    CPUAttentionBackendImpl,
    CPUAttentionMetadata,
    CPUAttentionMetadataBuilder,
)

from roarmask_vllm import KEY, wants_masks

from .._attend import paged_attention, split_cache
from .._core import Mask
from .config import Config, ConfigError
from .layers import MaskedLayer, groups_of_heads, masked_layer
from .setup import model_masks
from .stats import Stats, WorkerStats
from .step import Int32, Pieces, cut, in_cache_blocks, select

logger = init_logger("vllm.roarmask")
_PATHS = {"table": "vLLM's kernel over shortened block tables", "kernel": "libroarmask-attention"}


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
    arguments: dict[str, torch.Tensor]


@dataclass
class Step:
    """What the masked layers of a step need, beside vLLM's metadata.

    Attributes:
        calls: for each set of masks; None where the step runs through our kernel.
        num_read: for each set of masks the blocks of the cache that are read, over its KV heads.
        num_held: what dense attention would read.
    """

    calls: dict[tuple[Mask, ...], list[Call]] | None
    num_read: dict[tuple[Mask, ...], int]
    num_held: int


class RoarmaskCPUMetadataBuilder(CPUAttentionMetadataBuilder):
    """Makes once a step what all layers with the same masks need."""

    # Keys as head_dim x tokens within a block: what our kernel reads, and one of vLLM's on every processor.
    _ISAS: ClassVar[tuple[str, ...]] = ("vec", "vec16")
    isa: str

    def __init__(self, kv_cache_spec: Any, layer_names: list[str], vllm_config: Any, device: torch.device) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        self.mask_sets: dict[tuple[Mask, ...], list[int]] = {}
        if wants_masks(vllm_config):
            self._give_masks(Config.parse(vllm_config.additional_config[KEY]))

    def _give_masks(self, config: Config) -> None:
        model, parallel = self.vllm_config.model_config, self.vllm_config.parallel_config
        masks = model_masks(config, self.vllm_config)
        self.config = config
        self.stats = Stats.open(parallel.world_size, len(masks)).worker(parallel.rank)
        self.report = _Report(self.stats) if parallel.rank == 0 else None
        blocks: dict[Mask, int] = {}
        for name, layer in get_layers_from_vllm_config(self.vllm_config, Attention, self.layer_names).items():
            masked = masked_layer(name, layer, masks, config.block, model.get_total_num_kv_heads(), model.max_model_len)
            number = extract_layer_index(name)
            if masked is None:
                self.stats.set(number, density=1)
                continue
            of_layer = masked.masks
            self.mask_sets.setdefault(of_layer, []).append(number)
            blocks.update(dict.fromkeys(of_layer, masked.block))
            layer.impl = RoarmaskCPUImpl(layer.impl, masked, number, self.stats)
            cells = of_layer[0].rows * (of_layer[0].rows + 1) / 2
            self.stats.set(
                number,
                masked=1,
                density=sum(mask.nnz for mask in of_layer) / len(of_layer) / cells,
                mask_bytes=sum(mask.nbytes for mask in set(of_layer)),
            )
        num_blocks = -(-model.max_model_len // self.block_size)
        self.cache_masks = {mask: in_cache_blocks(mask, block, self.block_size, num_blocks) for mask, block in blocks.items()}
        self.paths = {what: self._path(what, getattr(config, what)) for what in ("prefill", "decode")}
        if self.mask_sets:
            logger.info_once("Roaring attention masks: prefill by %s, decode by %s.", *map(_PATHS.get, self.paths.values()))

    def _path(self, what: str, asked: str) -> str:
        """ "kernel" or "table", from what the user asked for and what can be."""
        fits = all(cells.is_exact for cells in self.cache_masks.values())
        if asked == "table" and not fits:
            raise ConfigError(
                f"roaring attention masks: {what} = \"table\" needs masks of whole blocks of the cache, which have {self.block_size} "
                f"tokens: set --block-size or `block`, which is {self.config.block}; a model's own sliding window never is"
            )
        if asked != "auto":
            return asked
        return "table" if what == "decode" and fits else "kernel"

    def _set_isa_to_layers(self, layer_names: list[str]) -> None:
        if self.isa not in self._ISAS and wants_masks(self.vllm_config):
            self.isa = "vec" if self.block_size % 32 == 0 and self.head_dim % 32 == 0 else "vec16"
            logger.info_once("Keys and values are kept in the layout of the %s kernels, which masks need.", self.isa)
        super()._set_isa_to_layers(layer_names)

    def build(self, common_prefix_len: int, common_attn_metadata: Any, fast_build: bool = False) -> CPUAttentionMetadata:
        metadata = super().build(common_prefix_len, common_attn_metadata, fast_build)
        if self.mask_sets:
            if metadata.causal is not True or metadata.dynamic_causal is not None:
                raise RuntimeError("roaring attention masks: this step's attention is not causal")
            begin = time.perf_counter()
            metadata.roarmask_step = self._step(metadata, common_attn_metadata.num_reqs)
            share = (time.perf_counter() - begin) / sum(map(len, self.mask_sets.values()))
            for number in (number for numbers in self.mask_sets.values() for number in numbers):
                self.stats.add(number, mask_seconds=share)
            if self.report is not None:
                self.report.now_and_then()
        return metadata

    def _step(self, metadata: CPUAttentionMetadata, num_reqs: int) -> Step:
        pieces = cut(metadata.query_start_loc[: num_reqs + 1].numpy(), metadata.seq_lens[:num_reqs].numpy(), self.block_size)
        num_read = {mask: int(cells.row_counts[pieces.row].sum()) for mask, cells in self.cache_masks.items()}
        is_table = self.paths["prefill" if metadata.max_query_len > 1 else "decode"] == "table"
        return Step(
            self._calls(pieces, metadata.block_table[:num_reqs].numpy()) if is_table else None,
            {masks: sum(num_read[mask] for mask in masks) for masks in self.mask_sets},
            (int(pieces.row.sum()) + len(pieces.row)) * self.num_kv_heads,
        )

    def _calls(self, pieces: Pieces, block_table: Int32) -> dict[tuple[Mask, ...], list[Call]]:
        query_start = torch.from_numpy(pieces.query_start)
        tables = {mask: select(pieces, cells.mask, block_table, self.block_size) for mask, cells in self.cache_masks.items()}
        calls: dict[tuple[Mask, ...], list[Call]] = {}
        for masks in self.mask_sets:
            calls[masks] = []
            for group in groups_of_heads(masks):
                num_heads = group.end - group.first
                seq_lens = torch.from_numpy(tables[group.mask].seq_lens)
                schedule = ops.cpu_attn_get_scheduler_metadata(
                    num_reqs=len(seq_lens),
                    num_heads=num_heads * self.num_heads // self.num_kv_heads,
                    num_kv_heads=num_heads,
                    head_dim=self.head_dim,
                    seq_lens=seq_lens,
                    dtype=self.dtype,
                    query_start_loc=query_start,
                    causal=True,
                    sliding_window_size=-1,
                    isa=self.isa,
                    enable_kv_split=envs.VLLM_CPU_ATTN_SPLIT_KV,
                )
                arguments = {
                    "query_start_loc": query_start,
                    "seq_lens": seq_lens,
                    "block_table": torch.from_numpy(tables[group.mask].block_table),
                    "scheduler_metadata": schedule,
                }
                calls[masks].append(Call(group.first, group.end, arguments))
        return calls


class RoarmaskCPUImpl(CPUAttentionBackendImpl):
    """A masked layer's attention, in the place of vLLM's own."""

    sinks: torch.Tensor | None
    alibi_slopes: torch.Tensor | None

    def __init__(self, dense: CPUAttentionBackendImpl, masked: MaskedLayer, number: int, stats: WorkerStats) -> None:
        # Everything that vLLM's constructor, and the loading of weights since then, put there.
        self.__dict__.update(dense.__dict__)
        self.masks, self.block = masked
        self.number = number
        self.stats = stats

    def forward(
        self,
        layer: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: CPUAttentionMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As vLLM's: query and output [tokens, heads, head_size], kv_cache [blocks, KV heads, block_size, 2 * head_size]."""
        if output_scale is not None or output_block_scale is not None:
            raise NotImplementedError("fused output quantization is not supported with roaring attention masks")
        if attn_metadata is None:  # warming up
            return output
        begin = time.perf_counter()
        step: Step = attn_metadata.roarmask_step
        num_tokens = attn_metadata.num_actual_tokens
        # A table forgets the distances that ALiBi is about.
        if step.calls is None or self.alibi_slopes is not None:
            self._by_kernel(query[:num_tokens], kv_cache, attn_metadata, output[:num_tokens])
        else:
            self._by_table(query[:num_tokens], kv_cache, step.calls[self.masks], output[:num_tokens])
        seconds = time.perf_counter() - begin
        self.stats.add(self.number, kv_blocks_read=step.num_read[self.masks], kv_blocks_held=step.num_held, attention_seconds=seconds)
        return output

    def masks_of_step(self, query: torch.Tensor, keys: torch.Tensor, metadata: CPUAttentionMetadata) -> Mask | Sequence[Mask]:
        """The masks that a step through our kernel follows: the configured ones.

        This is the place for masks that are chosen from queries and keys. query is [tokens, heads, head_size], keys [blocks, KV
        heads, head_size, block_size] with the step's own. The result is as roarmask.paged_attention takes it, so it may have
        other masks for each request.
        """
        return self.masks[0] if self.masks.count(self.masks[0]) == len(self.masks) else self.masks

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

    def _by_table(self, query: torch.Tensor, kv_cache: torch.Tensor, calls: list[Call], output: torch.Tensor) -> None:
        num_blocks, num_kv_heads, block_size, _ = kv_cache.shape
        keys, values = kv_cache.view(num_blocks, num_kv_heads, 2 * block_size, -1).chunk(2, dim=2)
        sinks = self.sinks
        if sinks is not None and sinks.dtype not in (torch.bfloat16, torch.float32):
            sinks = sinks.to(torch.float32)
        for call in calls:
            heads = slice(call.first_head * self.num_queries_per_kv, call.end_head * self.num_queries_per_kv)
            out = output[:, heads]
            # The kernel writes tokens next to each other.
            whole = heads == slice(0, self.num_heads)
            target = out if whole else torch.empty(out.shape, dtype=out.dtype)
            ops.cpu_attention_with_kv_cache(
                query=query[:, heads],
                key_cache=keys[:, call.first_head : call.end_head],
                value_cache=values[:, call.first_head : call.end_head],
                output=target,
                scale=self.scale,
                causal=True,
                alibi_slopes=None,
                sliding_window=-1,
                softcap=self.logits_soft_cap,
                s_aux=None if sinks is None else sinks[heads],
                **call.arguments,
            )
            if not whole:
                out.copy_(target)


class _Report:
    """A line in the log as often as vLLM's own, where there is something new to say."""

    def __init__(self, stats: WorkerStats) -> None:
        self.stats = stats
        self.next = time.monotonic() + envs.VLLM_LOG_STATS_INTERVAL
        self.before = self._totals()

    def _totals(self) -> list[float]:
        return [self.stats.total(name) for name in ("kv_blocks_read", "kv_blocks_held", "mask_seconds", "attention_seconds")]

    def now_and_then(self) -> None:
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + envs.VLLM_LOG_STATS_INTERVAL
        totals = self._totals()
        read, held, masking, attention = (a - b for a, b in zip(totals, self.before, strict=True))
        self.before = totals
        if held > 0:
            logger.info(
                "Roaring attention masks: read %.1f%% of %.0f KV blocks; %.2f s in attention, %.1f ms in work on masks",
                100 * read / held,
                held,
                attention,
                1000 * masking,
            )
