# SPDX-License-Identifier: Apache-2.0
"""At start-up, in the process that makes vLLM's configuration: the user's settings against the model, and the counters.

What cannot work is refused here, before a model is loaded, in one line.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
from typing import Any

from vllm.logger import init_logger

from roarmask_vllm import KEY

from .._core import Mask
from .config import Config, ConfigError, LayerMasks, chooses
from .stats import PATH_VARIABLE, Stats

logger = init_logger("vllm.roarmask")

CUDA_BACKENDS = ("FLASH_ATTN", "TRITON_ATTN")

_collector: Any = None


def prepare(vllm_config: Any) -> None:
    """Checks additional_config["roarmask"], leaves it in the form that workers take, and makes the counters.

    Raises:
        ConfigError: a ValueError; the message says what to change.
    """
    try:
        config = Config.parse(vllm_config.additional_config[KEY])
        refuse_what_cannot_work(vllm_config)
        choose_backend(vllm_config)
        masks = model_masks(config, vllm_config)
        if any(chooses(layer) for layer in masks):
            refuse_what_cannot_choose(config, vllm_config, vllm_config.cache_config.block_size)
    except ConfigError as error:
        raise ConfigError(f"roaring attention masks: {error}") from None
    vllm_config.additional_config = {**vllm_config.additional_config, KEY: config.as_dict()}
    _count_into_metrics(vllm_config, len(masks))
    distinct = {mask for layer in masks if layer is not None for mask in layer if isinstance(mask, Mask)}
    side = -(-vllm_config.model_config.max_model_len // config.block)
    cells = side * (side + 1) / 2
    fixed = [[mask.nnz for mask in layer if isinstance(mask, Mask)] for layer in masks if layer is not None and not chooses(layer)]
    densities = [sum(counts) / len(counts) / cells for counts in fixed]
    num_choosing = sum(map(chooses, masks))
    if densities or not num_choosing:
        logger.info(
            "Roaring attention masks: %d of %d layers, %d distinct masks of %d bytes, blocks of %d tokens, "
            "%.1f%% of causal attention at %d tokens",
            len(densities),
            len(masks),
            len(distinct),
            sum(mask.nbytes for mask in distinct),
            config.block,
            100 * sum(densities) / max(len(densities), 1),
            vllm_config.model_config.max_model_len,
        )
    if num_choosing:
        logger.info("Roaring attention masks: %d of %d layers have masks that policies choose in each step", num_choosing, len(masks))


def model_masks(config: Config, vllm_config: Any) -> list[LayerMasks]:
    """The masks of every layer and KV head of the model, all ranks'."""
    model = vllm_config.model_config
    return config.masks(model.get_total_num_hidden_layers(), model.get_total_num_kv_heads(), model.max_model_len)


def refuse_what_cannot_choose(config: Config, vllm_config: Any, block_size: int) -> None:
    """Raises ConfigError for an engine in which policies could not choose masks step by step."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        raise ConfigError("policies run on vLLM's CPU platform only")
    if block_size % config.block:
        raise ConfigError(
            f"policies need blocks of the cache, which have {block_size} tokens, that are made of whole blocks of the masks, which have "
            f"{config.block}: set --block-size or `block`"
        )
    if vllm_config.kv_transfer_config is not None:
        raise ConfigError("policies and --kv-transfer-config do not go together: keys that come from elsewhere are in no summary")


def refuse_what_cannot_work(vllm_config: Any) -> None:
    """Raises ConfigError for an engine in which no layer, or not every step, could follow a mask."""
    from vllm.platforms import current_platform

    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    if not (current_platform.is_cpu() or current_platform.is_cuda()):
        name = current_platform.device_name or current_platform.device_type
        raise ConfigError(f"they run on vLLM's CPU and CUDA platforms; this is {name}")
    if model.use_mla:
        raise ConfigError("this model's latent attention (MLA) has no keys that a mask could select")
    if model.is_encoder_decoder:
        raise ConfigError("encoder-decoder models are not supported: cross attention has no positions that a mask could select")
    if getattr(model, "is_mm_prefix_lm", False):
        raise ConfigError("this model looks ahead within images, and masks are causal")
    if vllm_config.cache_config.cache_dtype not in ("auto", "float16", "bfloat16"):
        raise ConfigError(f"a quantised KV cache ({vllm_config.cache_config.cache_dtype}) is not supported: leave --kv-cache-dtype at auto")
    speculative = vllm_config.speculative_config
    if speculative is not None and getattr(speculative, "method", None) not in ("ngram", "suffix"):
        raise ConfigError("speculative decoding with a draft model is not supported: its layers would be taken for the model's")
    if getattr(parallel, "decode_context_parallel_size", 1) > 1 or getattr(parallel, "prefill_context_parallel_size", 1) > 1:
        raise ConfigError("context parallelism is not supported: every worker needs a sequence's whole cache")
    if getattr(parallel, "use_ubatching", False):
        raise ConfigError("steps in two overlapping halves (--enable-dbo) are not supported")
    if getattr(vllm_config.cache_config, "kv_sharing_fast_prefill", False):
        raise ConfigError("--kv-sharing-fast-prefill is not supported: it leaves queries out, whose rows would be taken for others'")


def choose_backend(vllm_config: Any) -> None:
    """On CUDA: one of the backends that masks are written for. vLLM's own choice may be another, which would look at no mask.

    Raises:
        ConfigError: another one is asked for.
    """
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    if not current_platform.is_cuda():
        return
    settings, model = vllm_config.attention_config, vllm_config.model_config
    for asked in (settings.backend, *settings.backend_per_kind.values()):
        if asked is not None and asked.name not in CUDA_BACKENDS:
            raise ConfigError(f"the backend {asked.name} is not supported: use --attention-backend {' or '.join(CUDA_BACKENDS)}")
    if settings.backend is None:
        flash = AttentionBackendEnum.FLASH_ATTN.get_class()
        capability = current_platform.get_device_capability()
        fits = flash.supports_dtype(model.dtype) and flash.supports_head_size(model.get_head_size())
        fits = fits and capability is not None and flash.supports_compute_capability(capability)
        settings.backend = AttentionBackendEnum[CUDA_BACKENDS[0 if fits else 1]]
        logger.info("Roaring attention masks: beside vLLM's %s backend.", settings.backend.name)


def _count_into_metrics(vllm_config: Any, num_layers: int) -> None:
    from prometheus_client import REGISTRY

    global _collector
    parallel = vllm_config.parallel_config
    # Of several API servers the process that starts them has made the file. A server that is started from within another has its own.
    is_child = multiprocessing.parent_process() is not None and PATH_VARIABLE in os.environ
    make = Stats.open if _collector is None and is_child else Stats.create
    stats = make(parallel.world_size * parallel.data_parallel_size, num_layers)
    if _collector is None:
        _join_merged_metrics()
    else:
        REGISTRY.unregister(_collector)
    _collector = stats
    REGISTRY.register(stats)


def _join_merged_metrics() -> None:
    """Several API servers do not answer /metrics from a registry, but with what prometheus_client merges of all their files.

    Ours are the same in each, and in none of those files.
    """
    from prometheus_client.multiprocess import MultiProcessCollector

    merge = MultiProcessCollector.collect

    @functools.wraps(merge)
    def collect(self: Any) -> Any:
        yield from merge(self)
        yield from _collector.collect()

    MultiProcessCollector.collect = collect
