# SPDX-License-Identifier: Apache-2.0
"""Attention masks in vLLM: the plugin behind `vllm serve MODEL --use-roaring-attention-masks`. See docs/vllm.md.

`roarmask_vllm` is what vLLM loads; nothing here is imported before a configuration asks for masks.

- config: what the user writes, and the masks that come of it
- chosen: policies as the configuration writes them
- setup: checks it against the model, in the process that makes vLLM's configuration
- layers: which layers of a worker run with which masks
- masked: what the backends share
- step: what one step of the engine reads of the cache
- choosing: the masks that policies choose for a step
- tiles: FlexAttention on a paged cache
- cpu, cuda: the backends
- cpu_kernel: how vLLM's kernel for the CPU is called
- stats: counters, and how they reach /metrics

Only setup, layers, masked, cpu, cpu_kernel and cuda import vLLM.
"""
