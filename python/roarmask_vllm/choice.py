# SPDX-License-Identifier: Apache-2.0
"""Which class runs attention on the CPU: vLLM's own, unless the configuration of the engine that is being made asks for masks."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "CPUAttentionBackend":
        raise AttributeError(name)
    from vllm.config import get_current_vllm_config_or_none

    from . import wants_masks

    if wants_masks(get_current_vllm_config_or_none()):
        from roarmask.vllm.cpu import RoarmaskCPUBackend

        return RoarmaskCPUBackend
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    return CPUAttentionBackend
