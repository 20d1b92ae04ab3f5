# SPDX-License-Identifier: Apache-2.0
"""What the backends share: builders that give masks to layers and say what each step reads, and the attention of a masked layer.

Both are mixed into vLLM's own classes. Layers that are dense keep vLLM's objects. The others get an implementation of ours when the
cache is there and layers have names. Keys and values are written to the cache by vLLM's code in either case.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from vllm import envs
from vllm.config import get_layers_from_vllm_config
from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.models.utils import extract_layer_index

from roarmask_vllm import KEY, wants_masks

from .._core import Mask
from .config import Config, ConfigError, chooses
from .layers import MaskedLayer, masked_layer, reason_to_stay_dense
from .setup import model_masks, refuse_what_cannot_choose
from .stats import Stats, WorkerStats
from .step import Pieces, in_cache_blocks

logger = init_logger("vllm.roarmask")

# The masks of a worker's KV heads of one layer; layers with equal ones share what is made for a step.
MaskSet = tuple[Mask, ...]


class MaskedBuilder:
    """Of a metadata builder. Makes once a step what all layers with the same masks need.

    Attributes:
        mask_sets: the layers of each set of masks; empty where nobody asked for masks.
        choosing: the layers whose masks policies choose.
        masked_layers: what the layers with fixed masks run with.
        cache_masks: every mask in blocks of the cache.
        paths: "table" or "kernel", for "prefill" and "decode".
    """

    names_of_paths: ClassVar[Mapping[str, str]]
    impl_class: ClassVar[Any]
    choosing_class: ClassVar[Any]  # of layers whose masks policies choose

    vllm_config: Any
    layer_names: list[str]
    block_size: int
    num_kv_heads: int

    def give_masks(self) -> None:
        """To the layers of this builder, once vLLM's constructor is through."""
        self.mask_sets: dict[MaskSet, list[int]] = {}
        self.choosing: list[int] = []
        self.masked_layers: list[MaskedLayer] = []
        if not wants_masks(self.vllm_config):
            return
        config = Config.parse(self.vllm_config.additional_config[KEY])
        model, parallel = self.vllm_config.model_config, self.vllm_config.parallel_config
        masks = model_masks(config, self.vllm_config)
        self.config = config
        worker = parallel.data_parallel_index * parallel.world_size + parallel.rank
        self.stats = Stats.open(worker + 1, len(masks)).worker(worker)
        self.report = _Report(self.stats) if parallel.rank == 0 else None
        blocks: dict[Mask, int] = {}
        for name, layer in get_layers_from_vllm_config(self.vllm_config, Attention, self.layer_names).items():
            masked = masked_layer(name, layer, masks, config.block, model.get_total_num_kv_heads(), model.max_model_len, self.why_dense)
            number = extract_layer_index(name)
            if masked is None:
                self.stats.set(number, density=1)
                continue
            if chooses(masked.masks):
                refuse_what_cannot_choose(config, self.vllm_config, self.block_size)
                layer.impl = self.choosing_class(layer.impl, masked, number, self.stats)
                self.stats.set(number, masked=1)
                self.choosing.append(number)
                continue
            self.masked_layers.append(masked)
            of_layer = tuple(mask for mask in masked.masks if isinstance(mask, Mask))
            self.mask_sets.setdefault(of_layer, []).append(number)
            blocks.update(dict.fromkeys(of_layer, masked.block))
            layer.impl = self.impl_class(layer.impl, masked, number, self.stats)
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
            logger.info_once("Roaring attention masks: prefill by %s, decode by %s.", *map(self.names_of_paths.get, self.paths.values()))

    def _path(self, what: str, asked: str) -> str:
        """ "kernel" or "table", from what the user asked for and what can be."""
        fits = all(cells.is_exact for cells in self.cache_masks.values())
        if asked == "table" and not fits:
            raise ConfigError(
                f'roaring attention masks: {what} = "table" needs masks of whole blocks of the cache, which have {self.block_size} '
                f"tokens: set --block-size or `block`, which is {self.config.block}; a model's own sliding window never is"
            )
        if asked != "auto":
            return asked
        return "table" if what == "decode" and fits else "kernel"

    def add_step(self, metadata: Any, common_attn_metadata: Any) -> None:
        """Makes what the masked layers of a step need, beside vLLM's metadata, and leaves it there as `roarmask_step`."""
        layers = [number for numbers in self.mask_sets.values() for number in numbers] + self.choosing
        if not layers:
            return
        if metadata.causal is not True or getattr(metadata, "dynamic_causal", None) is not None:
            raise RuntimeError("roaring attention masks: this step's attention is not causal")
        begin = time.perf_counter()
        metadata.roarmask_step = self.make_step(metadata, common_attn_metadata)
        share = (time.perf_counter() - begin) / len(layers)
        for number in layers:
            self.stats.add(number, mask_seconds=share)
        if self.report is not None:
            self.report.now_and_then()

    def make_step(self, metadata: Any, common_attn_metadata: Any) -> Any:
        """An object with what count_blocks returns as `num_read` and `num_held`."""
        raise NotImplementedError

    def why_dense(self, layer: Any) -> str | None:
        """Why a layer cannot have a mask, or None where it can."""
        return reason_to_stay_dense(layer)

    def count_blocks(self, pieces: Pieces) -> tuple[dict[MaskSet, int], int]:
        """The blocks of the cache that are read for each set of masks, over its KV heads; and those that dense attention would read."""
        num_read = {mask: int(cells.row_counts[pieces.row].sum()) for mask, cells in self.cache_masks.items()}
        of_sets = {masks: sum(num_read[mask] for mask in masks) for masks in self.mask_sets}
        return of_sets, (int(pieces.row.sum()) + len(pieces.row)) * self.num_kv_heads


class MaskedImpl:
    """Of a masked layer's attention, in the place of vLLM's own."""

    def __init__(self, dense: Any, masked: MaskedLayer, number: int, stats: WorkerStats) -> None:
        # Everything that vLLM's constructor, and the loading of weights since then, put there.
        self.__dict__.update(dense.__dict__)
        # Masks, or where policies choose among them also how.
        self.masks: tuple[Any, ...] = masked.masks
        self.block = masked.block
        self.number = number
        self.stats = stats

    def forward(
        self,
        layer: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: Any,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As vLLM's: query and output [tokens, heads, head_size], kv_cache [blocks, KV heads, block_size, 2 * head_size]."""
        if output_scale is not None or output_block_scale is not None:
            raise NotImplementedError("fused output quantization is not supported with roaring attention masks")
        if attn_metadata is None:  # warming up
            return output.fill_(0)
        begin = time.perf_counter()
        step = attn_metadata.roarmask_step
        num_tokens = attn_metadata.num_actual_tokens
        self.attend(layer, query[:num_tokens], kv_cache, attn_metadata, output[:num_tokens])
        self.count(step, time.perf_counter() - begin)
        return output

    def count(self, step: Any, seconds: float) -> None:
        self.stats.add(self.number, kv_blocks_read=step.num_read[self.masks], kv_blocks_held=step.num_held, attention_seconds=seconds)

    def attend(self, layer: Any, query: torch.Tensor, kv_cache: torch.Tensor, metadata: Any, output: torch.Tensor) -> None:
        raise NotImplementedError


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
