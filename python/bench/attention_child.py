# SPDX-License-Identifier: Apache-2.0
"""Attention of one length and head dimension in a process of its own, as a line of JSON for each mask and method:
`python python/bench/attention_child.py prefill 16384 64 MASK,.. METHOD,.. SECONDS GIGABYTES {}`

Every answer is checked in sampled rows before it is timed."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import meter
import numpy as np
import torch
from presets import SEED, documents

import roarmask
from roarmask import Mask

BLOCK = 16  # tokens a cell
HEADS = 2
PAGE = 128  # tokens a page
SAMPLES = 16


def vertical_slash(side: int) -> str:
    draw = random.Random(SEED)
    columns = ", ".join(map(str, sorted(draw.sample(range(side), side // 32))))
    diagonals = ", ".join(map(str, sorted({0, *draw.sample(range(side), side // 64)})))
    return f"causal & (columns({columns}) | diagonals({diagonals}))"


MASKS: dict[str, Callable[[int], str]] = {
    "causal": lambda side: "causal",
    "window + sink": lambda side: "causal & (sink(4) | window(64))",
    "bigbird": lambda side: f"causal & (global(4) | window(32) | random(0.01, seed={SEED}))",
    "vertical-slash": vertical_slash,
    "documents": lambda side: f"causal & documents({documents(side).split('documents(')[1]}",
    "random 1%": lambda side: f"random(0.01, seed={SEED})",
    "random 5%": lambda side: f"random(0.05, seed={SEED})",
    "random 10%": lambda side: f"random(0.1, seed={SEED})",
}
DENSE = "dense"  # every key up to the query's own


class Setting:
    """Tensors of one length, and what each method makes of them and a mask."""

    def __init__(self, mode: str, tokens: int, head_dim: int) -> None:
        self.tokens, self.head_dim = tokens, head_dim
        self.stats: list[roarmask.AttentionWork] = []
        self.num_queries = tokens if mode == "prefill" else 1
        draw = torch.Generator().manual_seed(SEED)
        self.query = torch.randn(1, HEADS, self.num_queries, head_dim, generator=draw)
        self.key, self.value = (torch.randn(1, HEADS, tokens, head_dim, generator=draw) for _ in range(2))
        if mode == "decode":
            self.keys, self.values = (
                t[0].view(HEADS, tokens // PAGE, PAGE, head_dim).transpose(0, 1).contiguous() for t in (self.key, self.value)
            )
            self.table = torch.randperm(tokens // PAGE, generator=draw).to(torch.int32)
            inverse = torch.argsort(self.table)
            self.keys, self.values = self.keys[inverse].contiguous(), self.values[inverse].contiguous()

    def mask(self, name: str) -> Mask | None:
        return None if name == DENSE else Mask.parse(MASKS[name](self.tokens // BLOCK), self.tokens // BLOCK)

    def seen(self, mask: Mask | None, query: int) -> torch.Tensor:
        """Positions of the keys that a query sees."""
        at = self.tokens - self.num_queries + query
        if mask is None:
            return torch.arange(at + 1)
        return (torch.from_numpy(mask[at // BLOCK]).long()[:, None] * BLOCK + torch.arange(BLOCK)).flatten()

    def check(self, made: torch.Tensor, mask: Mask | None) -> float:
        """The largest error in sampled rows against float64."""
        worst = 0.0
        for query in sorted({0, self.num_queries - 1, *np.random.default_rng(SEED).integers(0, self.num_queries, SAMPLES).tolist()}):
            keys = self.seen(mask, query)
            scores = (self.key[0][:, keys].double() @ self.query[0, :, query].double()[..., None])[..., 0] / math.sqrt(self.head_dim)
            expected = (torch.softmax(scores, -1)[:, None] @ self.value[0][:, keys].double())[:, 0]
            worst = max(worst, (made[0, :, query].double() - expected).abs().max().item())
        assert worst < 1e-4, f"an error of {worst}"
        return worst

    # Each gives the work to be timed; what can be prepared once for a mask is not in it.

    def roarmask(self, mask: Mask | None) -> Callable[[], torch.Tensor]:
        options: dict[str, Any] = {"block": BLOCK, "causal": mask is None, "out": torch.empty_like(self.query), "stats": self.stats}
        return lambda: roarmask.attention(self.query, self.key, self.value, mask, **options)

    def roarmask_paged(self, mask: Mask | None) -> Callable[[], torch.Tensor]:
        query = self.query[0].transpose(0, 1).contiguous()
        out, table = torch.empty_like(query), self.table[None]
        lengths, starts = torch.tensor([self.tokens], dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32)
        options: dict[str, Any] = {"block": BLOCK, "causal": mask is None, "out": out}
        return lambda: roarmask.paged_attention(
            query, self.keys, self.values, table, lengths, starts, mask, **options
        ).transpose(0, 1)[None]

    def sdpa(self, mask: Mask | None) -> Callable[[], torch.Tensor]:
        causal = self.num_queries > 1
        return lambda: torch.nn.functional.scaled_dot_product_attention(self.query, self.key, self.value, is_causal=causal)

    def sdpa_bias(self, mask: Mask | None) -> Callable[[], torch.Tensor]:
        assert mask is not None
        rows = mask if self.num_queries > 1 else mask[mask.rows - 1 : mask.rows, 0 : mask.cols]
        cells = torch.from_numpy(rows.to_dense())[-(-self.num_queries // BLOCK) * -1 :]
        bias = torch.zeros(cells.shape).masked_fill_(~cells, -math.inf)
        bias = bias.repeat_interleave(BLOCK, 0)[: self.num_queries].repeat_interleave(BLOCK, 1)
        return lambda: torch.nn.functional.scaled_dot_product_attention(self.query, self.key, self.value, bias)

    def flex(self, mask: Mask | None) -> Callable[[], torch.Tensor]:
        from torch.nn.attention.flex_attention import flex_attention

        from roarmask.export import flex_block_mask

        assert mask is not None
        torch._dynamo.reset()  # or the second mask makes shapes dynamic, which the CPU's kernel does not compile with
        compiled = torch.compile(flex_attention, dynamic=False)
        if self.num_queries == 1:
            row = mask[mask.rows - 1 : mask.rows, 0 : mask.cols].refine(BLOCK, BLOCK)
            made = flex_block_mask(row[0:1, 0 : self.tokens], 128)
        else:
            made = flex_block_mask(mask, 128, unit=BLOCK)
        return lambda: compiled(self.query, self.key, self.value, block_mask=made)


METHODS = {
    "sdpa": "torch scaled_dot_product_attention, dense (prefill: is_causal)",
    "sdpa_bias": "torch scaled_dot_product_attention with the mask as a bias of minus infinity, made beforehand",
    "flex": "torch FlexAttention, compiled, with the BlockMask of roarmask.export.flex_block_mask in tiles of 128",
    "roarmask": "roarmask.attention",
    "roarmask_paged": f"roarmask.paged_attention over pages of {PAGE} tokens",
}


def is_about(method: str, mask: str, mode: str) -> bool:
    """Whether there is such a row: dense methods are measured once, with the mask "dense"."""
    if method == "roarmask_paged":
        return mode == "decode"
    if method == "roarmask":
        return True
    return (method == "sdpa") == (mask == DENSE)


def expected_bytes(method: str, mode: str, tokens: int) -> int:
    """What a method needs beside the tensors."""
    return 5 * tokens * tokens if method == "sdpa_bias" and mode == "prefill" else 0


def measure(setting: Setting, mode: str, name: str, method: str, mask: Mask | None, least: float) -> dict[str, Any]:
    start = time.perf_counter()
    work = getattr(setting, method)(mask)
    made = work()
    error = setting.check(made, mask)
    del made
    first = time.perf_counter() - start
    row: dict[str, Any] = {"ms": 1e3 * meter.seconds(work, least, rounds=3), "max_error": error, "first_ms": 1e3 * first}
    if method == "roarmask":
        row |= setting.stats[-1]._asdict()
    return row


def memory(tokens: int, head_dim: int, name: str) -> dict[str, Any]:
    """The peak of resident memory while inputs are made and attention runs, above what there was before, over their bytes."""
    small = torch.randn(1, HEADS, 256, head_dim)
    roarmask.attention(small, small, small, causal=True)
    mask = Mask.parse(MASKS[name](tokens // BLOCK), tokens // BLOCK)
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the peak begins anew
    before = meter.peak_rss()
    query, key, value, out = (torch.empty(1, HEADS, tokens, head_dim).fill_(0.5) for _ in range(4))
    roarmask.attention(query, key, value, mask, block=BLOCK, out=out)
    num_bytes = 4 * query.nbytes
    return {"mask": name, "tokens": tokens, "head_dim": head_dim, "bytes": num_bytes, "peak": meter.peak_rss() - before}


def main() -> None:
    mode, tokens, head_dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    names, methods = sys.argv[4].split(","), sys.argv[5].split(",")
    least, gigabytes, left_out = float(sys.argv[6]), float(sys.argv[7]), json.loads(sys.argv[8])
    torch.set_grad_enabled(False)
    if mode == "memory":
        print(json.dumps(memory(tokens, head_dim, names[0])), flush=True)
        return
    meter.limit_memory(int(gigabytes * (1 << 30)))
    setting = Setting(mode, tokens, head_dim)
    for name in names:
        mask = setting.mask(name)
        for method in methods:
            if not is_about(method, name, mode):
                continue
            row: dict[str, Any] = {"mask": name, "tokens": tokens, "head_dim": head_dim, "mode": mode, "method": method}
            needed = expected_bytes(method, mode, tokens)
            if needed > gigabytes * (1 << 30) * 0.8:
                row["failed"] = f"needs {needed / 1e9:.1f} GB for scores of {tokens} x {tokens}"
            elif f"{method}/{name}" in left_out:
                row["failed"] = left_out[f"{method}/{name}"]
            else:
                try:
                    row |= measure(setting, mode, name, method, mask, least)
                except AssertionError:
                    raise
                except Exception as failure:  # a compiler's, torch's for lack of memory: what a peer cannot do is a result
                    row["failed"] = f"{type(failure).__name__}: {str(failure).strip().splitlines()[0][:160]}"
            if mask is not None:
                row["density"] = mask.density
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
