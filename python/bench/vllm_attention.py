# SPDX-License-Identifier: Apache-2.0
"""One layer's attention on vLLM's paged CPU cache: vLLM's dense kernel, the same over shortened block tables, and libroarmask-attention.

    OMP_NUM_THREADS=1 python python/bench/vllm_attention.py --tokens 8192 --block-size 32 --block 32

Needs vLLM (docs/vllm.md). Results are compared before anything is timed: the kernel without a mask with vLLM's, and with it the two ways
with each other. Milliseconds are medians of runs in turns; the work on tables, once a step for all layers, is a column of its own.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from vllm import _custom_ops as ops
from vllm.platforms import current_platform

from roarmask import Mask, paged_attention
from roarmask._attend import split_cache
from roarmask.vllm.step import cut, in_cache_blocks, select


def medians(functions: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Milliseconds of each, in turns for about that long."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < 3:
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begin)
    return {name: 1000 * statistics.median(taken) for name, taken in times.items()}


class Layer:
    """A layer's cache and queries, filled at random, for requests of (tokens of the step, tokens in all)."""

    def __init__(self, options: argparse.Namespace, requests: list[tuple[int, int]]) -> None:
        self.heads, self.kv_heads, self.dim, self.size = options.heads, options.kv_heads, options.head_dim, options.block_size
        self.dtype = getattr(torch, options.dtype)
        num_blocks = -(-max(total for _, total in requests) // self.size)
        self.cache = torch.randn(num_blocks * len(requests), self.kv_heads, self.size, 2 * self.dim).to(self.dtype)
        self.table = torch.randperm(len(self.cache)).view(len(requests), num_blocks).int()
        counts, totals = np.array(requests, np.int32).T
        self.starts = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        self.lengths = torch.from_numpy(totals.copy())
        self.query = torch.randn(int(counts.sum()), self.heads, self.dim).to(self.dtype)

    def schedule(self, starts: torch.Tensor, lengths: torch.Tensor, table: torch.Tensor) -> dict[str, torch.Tensor]:
        """Arguments of vLLM's kernel for these requests."""
        metadata = ops.cpu_attn_get_scheduler_metadata(
            num_reqs=len(lengths),
            num_heads=self.heads,
            num_kv_heads=self.kv_heads,
            head_dim=self.dim,
            seq_lens=lengths,
            dtype=self.dtype,
            query_start_loc=starts,
            causal=True,
            sliding_window_size=-1,
            isa="vec" if self.size % 32 == 0 and self.dim % 32 == 0 else "vec16",
            enable_kv_split=True,
        )
        return {"query_start_loc": starts, "seq_lens": lengths, "block_table": table, "scheduler_metadata": metadata}

    def shortened(self, mask: Mask) -> dict[str, torch.Tensor]:
        pieces = cut(self.starts.numpy(), self.lengths.numpy(), self.size)
        table = select(pieces, mask, self.table.numpy(), self.size)
        return self.schedule(*map(torch.from_numpy, (pieces.query_start, table.seq_lens, table.block_table)))

    def by_vllm(self, arguments: dict[str, torch.Tensor], out: torch.Tensor) -> torch.Tensor:
        keys, values = self.cache.view(len(self.cache), self.kv_heads, 2 * self.size, self.dim).chunk(2, dim=2)
        ops.cpu_attention_with_kv_cache(
            query=self.query,
            key_cache=keys,
            value_cache=values,
            output=out,
            scale=self.dim**-0.5,
            causal=True,
            alibi_slopes=None,
            sliding_window=-1,
            softcap=0.0,
            s_aux=None,
            **arguments,
        )
        return out

    def by_kernel(self, mask: Mask | None, block: int, out: torch.Tensor) -> torch.Tensor:
        keys, values = split_cache(self.cache)
        return paged_attention(
            self.query, keys, values, self.table, self.lengths, self.starts, mask, block=block, key_columns=True, out=out
        )


def measure(options: argparse.Namespace, mask: Mask, requests: list[tuple[int, int]]) -> dict[str, float]:
    layer = Layer(options, requests)
    cells = in_cache_blocks(mask, options.block, options.block_size, -(-options.tokens // options.block_size))
    dense, out, other = layer.schedule(layer.starts, layer.lengths, layer.table), *(torch.empty_like(layer.query) for _ in range(2))
    tolerance = 1e-5 if layer.dtype == torch.float32 else 2e-2
    torch.testing.assert_close(layer.by_vllm(dense, out), layer.by_kernel(None, 1, other), rtol=tolerance, atol=tolerance)
    functions: dict[str, Callable[[], object]] = {"dense": lambda: layer.by_vllm(dense, out)}
    if cells.is_exact:
        short = layer.shortened(cells.mask)
        expected = layer.by_kernel(mask, options.block, other)
        torch.testing.assert_close(layer.by_vllm(short, out), expected, rtol=tolerance, atol=tolerance)
        functions["making the table"] = lambda: layer.shortened(cells.mask)
        functions["table"] = lambda: layer.by_vllm(short, out)
    functions["kernel"] = lambda: layer.by_kernel(mask, options.block, out)
    return medians(functions, options.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=8192, help="of the longest sequence")
    parser.add_argument("--block-size", type=int, default=32, help="tokens in a block of the cache")
    parser.add_argument("--block", type=int, default=32, help="tokens of a cell's side")
    parser.add_argument("--mask", default=None, help="expression; by default sinks of 64 tokens and a window, 10%% of causal attention")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--heads", type=int, default=9)
    parser.add_argument("--kv-heads", type=int, default=3)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    current_platform.import_kernels()
    torch.manual_seed(1)
    side, tokens = -(-options.tokens // options.block), options.tokens
    sinks = max(64 // options.block, 1)
    expression = options.mask or f"sink({sinks}) | window({max(round(0.05 * side), 1)})"
    mask = (Mask.parse(expression, side) & Mask.parse("causal", side)) | Mask.parse("diagonals(0)", side)
    density = mask.nnz / (side * (side + 1) / 2)
    cases = {
        f"prefill of {tokens}": [(tokens, tokens)],
        f"the last {tokens // 16} of {tokens}": [(tokens // 16, tokens)],
        f"decode at {tokens}": [(1, tokens - 3)],
        f"decode at {tokens}, 8 requests": [(1, tokens - 3 - 11 * i) for i in range(8)],
    }
    rows = {name: measure(options, mask, requests) for name, requests in cases.items()}
    if options.json:
        print(json.dumps({"mask": expression, "density": density, "threads": torch.get_num_threads(), "milliseconds": rows}))
        return
    print(f"{expression}, cells of {options.block} tokens, cache blocks of {options.block_size}, {options.dtype}: ", end="")
    print(f"{100 * density:.1f}% of causal attention; {torch.get_num_threads()} threads; milliseconds\n")
    columns = list(next(iter(rows.values())))
    print("| | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 1) + "|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[column]:.3g}" for column in columns) + " |")


if __name__ == "__main__":
    main()
