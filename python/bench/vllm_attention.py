# SPDX-License-Identifier: Apache-2.0
"""One layer's attention on vLLM's paged CPU cache: vLLM's dense kernel, the same over shortened block tables, and libroarmask-attention.

    OMP_NUM_THREADS=1 python python/bench/vllm_attention.py --tokens 8192 --block-size 32 --block 32

Needs vLLM (docs/vllm.md). Results are compared before anything is timed: the kernel without a mask with vLLM's, and with it the two ways
with each other. Milliseconds are medians of runs in turns; the work on tables, once a step for all layers, is a column of its own.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from vllm.platforms import current_platform

from roarmask import Mask, paged_attention
from roarmask._attend import split_cache
from roarmask.vllm import cpu_kernel
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
        # A model has other layers, and what one step reads of them all is more than a processor's caches hold.
        shape = (num_blocks * len(requests), self.kv_heads, self.size, 2 * self.dim)
        self.num_layers = max(1, min(options.layers, int(options.gigabytes * 1e9) // (4 * math.prod(shape))))
        self.caches: list[torch.Tensor] = [torch.randn(shape).to(self.dtype) for _ in range(self.num_layers)]
        self.calls = 0
        self.table = torch.randperm(shape[0]).view(len(requests), num_blocks).int()
        counts, totals = np.array(requests, np.int32).T
        self.starts = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        self.lengths = torch.from_numpy(totals.copy())
        self.query = torch.randn(int(counts.sum()), self.heads, self.dim).to(self.dtype)

    def cache(self) -> torch.Tensor:
        """A layer's, and with the next call the next layer's."""
        self.calls += 1
        return self.caches[self.calls % self.num_layers]

    def schedule(self, starts: torch.Tensor, lengths: torch.Tensor, table: torch.Tensor, kv_heads: int) -> cpu_kernel.Arguments:
        """Arguments of vLLM's kernel for these requests."""
        return cpu_kernel.arguments_of(
            starts,
            lengths,
            table,
            heads=kv_heads * self.heads // self.kv_heads,
            kv_heads=kv_heads,
            head_dim=self.dim,
            dtype=self.dtype,
            isa="vec" if self.size % 32 == 0 and self.dim % 32 == 0 else "vec16",
        )

    def whole(self) -> list[cpu_kernel.Arguments]:
        return [self.schedule(self.starts, self.lengths, self.table, self.kv_heads)]

    def shortened(self, masks: list[Mask]) -> list[cpu_kernel.Arguments]:
        """Arguments of one call for all heads, or of one for each KV head."""
        pieces = cut(self.starts.numpy(), self.lengths.numpy(), self.size)
        tables = [select(pieces, mask, self.table.numpy(), self.size) for mask in masks]
        starts = torch.from_numpy(pieces.query_start)
        return [
            self.schedule(starts, torch.from_numpy(table.seq_lens), torch.from_numpy(table.block_table), self.kv_heads // len(masks))
            for table in tables
        ]

    def by_vllm(self, calls: list[cpu_kernel.Arguments], out: torch.Tensor) -> torch.Tensor:
        cache, kv_heads = self.cache(), self.kv_heads // len(calls)
        for number, arguments in enumerate(calls):
            of_call = slice(number * kv_heads, (number + 1) * kv_heads)
            cpu_kernel.attend(self.query, cache, of_call, arguments, out, scale=self.dim**-0.5)
        return out

    def by_kernel(self, masks: list[Mask] | None, block: int, out: torch.Tensor) -> torch.Tensor:
        keys, values = split_cache(self.cache())
        mask = masks[0] if masks is not None and len(masks) == 1 else masks
        return paged_attention(
            self.query, keys, values, self.table, self.lengths, self.starts, mask, block=block, key_columns=True, out=out
        )


def measure(options: argparse.Namespace, masks: list[Mask], requests: list[tuple[int, int]]) -> dict[str, float]:
    """masks: one for all heads, or one for each KV head."""
    layer = Layer(options, requests)
    cells = [in_cache_blocks(mask, options.block, options.block_size, -(-options.tokens // options.block_size)) for mask in masks]
    dense, out, other = layer.whole(), *(torch.empty_like(layer.query) for _ in range(2))
    tolerance = 1e-5 if layer.dtype == torch.float32 else 2e-2
    num_layers, layer.num_layers = layer.num_layers, 1  # compared on the same one
    torch.testing.assert_close(layer.by_vllm(dense, out), layer.by_kernel(None, 1, other), rtol=tolerance, atol=tolerance)
    functions: dict[str, Callable[[], object]] = {"dense": lambda: layer.by_vllm(dense, out)}
    if all(each.is_exact for each in cells):
        in_blocks = [each.mask for each in cells]
        short = layer.shortened(in_blocks)
        expected = layer.by_kernel(masks, options.block, other)
        torch.testing.assert_close(layer.by_vllm(short, out), expected, rtol=tolerance, atol=tolerance)
        functions["making the table"] = lambda: layer.shortened(in_blocks)
        functions["table"] = lambda: layer.by_vllm(short, out)
    functions["kernel"] = lambda: layer.by_kernel(masks, options.block, out)
    layer.num_layers = num_layers
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
    parser.add_argument("--layers", type=int, default=30, help="whose caches are read in turns")
    parser.add_argument("--gigabytes", type=float, default=1.5, help="most memory for them; fewer layers where they take more")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="requests of the steps of decode")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    current_platform.import_kernels()
    torch.manual_seed(1)
    side, tokens = -(-options.tokens // options.block), options.tokens
    sinks, window = max(64 // options.block, 1), max(round(0.05 * side), 1)
    expression = options.mask or f"sink({sinks}) | window({window})"
    causal, own = Mask.parse("causal", side), Mask.parse("diagonals(0)", side)
    mask = (Mask.parse(expression, side) & causal) | own
    density = mask.nnz / (side * (side + 1) / 2)
    # As dense as that, and different for each head.
    of_heads = [(Mask.parse(f"sink({sinks + k}) | window({max(window - k, 1)})", side) & causal) | own for k in range(options.kv_heads)]
    rows = {
        f"prefill of {tokens}": measure(options, [mask], [(tokens, tokens)]),
        f"the last {tokens // 16} of {tokens}": measure(options, [mask], [(tokens // 16, tokens)]),
    }
    for masks, end in (([mask], ""), (of_heads, ", a mask for each KV head")):
        for count in options.at_once:
            rows[f"decode, {count} at once{end}"] = measure(options, masks, [(1, tokens - 3 - 11 * i) for i in range(count)])
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
