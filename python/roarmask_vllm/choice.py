# SPDX-License-Identifier: Apache-2.0
"""Which class runs attention: vLLM's own, unless the configuration of the engine that is being made asks for masks."""

from importlib import import_module
from typing import Any

# Of each entry of vLLM's registry that there are masks for: its module and class, and ours.
CLASSES = {
    "CPU_ATTN": ("vllm.v1.attention.backends.cpu_attn", "CPUAttentionBackend", "roarmask.vllm.cpu", "RoarmaskCPUBackend"),
    "FLASH_ATTN": ("vllm.v1.attention.backends.flash_attn", "FlashAttentionBackend", "roarmask.vllm.cuda", "RoarmaskFlashBackend"),
    "TRITON_ATTN": ("vllm.v1.attention.backends.triton_attn", "TritonAttentionBackend", "roarmask.vllm.cuda", "RoarmaskTritonBackend"),
}


def __getattr__(name: str) -> Any:
    """The class of an entry."""
    if name not in CLASSES:
        raise AttributeError(name)
    from vllm.config import get_current_vllm_config_or_none

    from . import wants_masks

    own_module, own_class, module, masked_class = CLASSES[name]
    if wants_masks(get_current_vllm_config_or_none()):
        return getattr(import_module(module), masked_class)
    return getattr(import_module(own_module), own_class)
