# SPDX-License-Identifier: Apache-2.0
"""`make bench-cuda`: what masks cost on a GPU. Uploading them in each form; expanding them there, beside the card's own copy; the whole way
from a new mask to ready tensors, beside create_block_mask and FlashInfer's plan; the decode step; the mask's share of attention. Writes
report/gpu.json, and a section of report/index.html where python.json is. Without a GPU it says so, and measures nothing."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import page
from machine import machine
from presets import BY_NAME, SEED, Preset

from roarmask import Mask

RANDOM_10 = Preset("random-10", "262k tokens: 10% random", 16384, f"random(0.1, seed={SEED})")
PRESETS = [BY_NAME[name] for name in ("1m-structured", "1m", "bigbird", "1m-vertical-slash", "random-1")] + [RANDOM_10]
STEPS = {16: 1, 128: 8}  # tokens a block: blocks of the preset, which are of 16 tokens, on a side
GIGABYTE = 1 << 30


class Bench:
    def __init__(self, args: argparse.Namespace) -> None:
        import torch

        self.torch, self.args = torch, args
        self.device = torch.device("cpu" if args.stand_in else "cuda")
        self.is_gpu = self.device.type == "cuda"
        self.most_bytes = 1 << 24 if args.stand_in else args.gigabytes * GIGABYTE

    def wait(self) -> None:
        if self.is_gpu:
            self.torch.cuda.synchronize()

    def seconds(self, call: Callable[[], Any]) -> float:
        """The median time from calling to the device being done. A first call is not counted."""
        call()
        times: list[float] = []
        start = time.perf_counter()
        while len(times) < 5 or (time.perf_counter() - start < self.args.least and len(times) < 200):
            self.wait()
            before = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - before)
        return statistics.median(times)

    def seconds_there(self, call: Callable[[], Any]) -> float:
        """The time on the device alone: calls one behind the other, so that launching is hidden where it is shorter."""
        if not self.is_gpu:
            return self.seconds(call)
        call()
        rounds = []
        for _ in range(7):
            begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(10):
                call()
            end.record()
            end.synchronize()
            rounds.append(begin.elapsed_time(end) / 1e4)
        return statistics.median(rounds)

    # ---------------------------------------------------------------- the card

    def card(self) -> dict[str, Any]:
        torch = self.torch
        num_bytes = min(2 * GIGABYTE, self.most_bytes)
        source, to = (torch.zeros(num_bytes, dtype=torch.uint8, device=self.device) for _ in range(2))
        facts = {"name": "stand-in"}
        if self.is_gpu:
            facts = {"name": torch.cuda.get_device_name(), "driver": _driver(), "cuda": str(torch.version.cuda)}
        # A copy reads and writes as many bytes; filling writes only.
        copy, fill = self.seconds_there(lambda: to.copy_(source)), self.seconds_there(lambda: to.fill_(1))
        return {**facts, "copy_bytes_a_second": num_bytes / copy, "write_bytes_a_second": num_bytes / fill}

    # ---------------------------------------------------------------- one mask

    def uploads(self, mask: Mask) -> dict[str, Any]:
        torch = self.torch
        forms: dict[str, list[Any]] = {"csr": list(mask.to_csr()), "roarmask": [np.frombuffer(mask.tobytes(), np.uint8).copy()]}
        if mask.rows * mask.cols <= self.most_bytes:
            forms["dense"] = [mask.to_dense()]
        if mask.rows * mask.cols <= 8 * self.most_bytes:
            forms["bitset"] = [mask.to_bits()]
        results: dict[str, Any] = {}
        for name, arrays in forms.items():
            pageable = [torch.from_numpy(array) for array in arrays]
            there = [torch.empty_like(tensor, device=self.device) for tensor in pageable]
            result: dict[str, Any] = {"bytes": sum(array.nbytes for array in arrays)}
            for how in ("pageable", "pinned") if self.is_gpu else ("pageable",):
                here = pageable if how == "pageable" else [tensor.pin_memory() for tensor in pageable]
                result[how] = self.seconds(lambda h=here, t=there: [a.copy_(b, non_blocking=True) for a, b in zip(t, h, strict=True)])
            results[name] = result
            del pageable, there
        return results

    def expansions(self, mask: Mask, card: dict[str, Any]) -> dict[str, Any]:
        from roarmask import _core, cuda

        torch = self.torch
        there = mask.cuda(self.device)
        indptr, indices = cuda.bsr(there)
        wanted_ptr, wanted = mask.to_csr()
        if not (np.array_equal(indptr.cpu().numpy(), wanted_ptr) and np.array_equal(indices.cpu().numpy(), wanted)):
            raise SystemExit("the device's rows are not those of the host")
        width = max(_core._max_row_count(mask), 1)
        results = {}
        out = (indptr, indices)
        calls = {"bsr": (lambda: cuda.bsr(there, out=out), 4 * (mask.nnz + mask.rows))}
        if 4 * width * mask.rows <= self.most_bytes:
            compact = cuda.padded(there, width=width)
            calls["padded"] = (lambda: cuda.padded(there, out=compact), 4 * (mask.nnz + mask.rows))
        rows = int(min(mask.rows, self.most_bytes // max(mask.cols, 1)))
        if rows > 0:
            cells = torch.empty((rows, mask.cols), dtype=torch.bool, device=self.device)
            calls["dense"] = (lambda: cuda.dense_bool(there, (0, rows), out=cells), rows * mask.cols)
        for name, (call, num_bytes) in calls.items():
            seconds = self.seconds_there(call)
            share = num_bytes / seconds / card["write_bytes_a_second"]
            results[name] = {"bytes": num_bytes, "seconds": seconds, "of_write_bandwidth": share}
        return results

    def whole_way(self, mask: Mask) -> dict[str, Any]:
        """From a mask on the host to compressed rows on the device."""
        from roarmask import cuda

        torch = self.torch
        out = tuple(torch.empty(length, dtype=torch.int32, device=self.device) for length in (mask.rows + 1, mask.nnz))
        indptr, indices = mask.to_csr()
        there = [torch.empty_like(torch.from_numpy(array), device=self.device) for array in (indptr, indices)]

        def upload() -> None:
            for tensor, array in zip(there, (indptr, indices), strict=True):
                tensor.copy_(torch.from_numpy(array))

        return {
            "roarmask": self.seconds(lambda: cuda.bsr(mask.cuda(self.device), out=out)),
            "uploading ready CSR": self.seconds(upload),
            "FlashInfer plan": self.flashinfer_plan(mask, indptr, indices),
        }

    def tiles(self, mask: Mask, side: int) -> dict[str, Any]:
        """From a mask on the host to compressed rows of its tiles on the device, made there or here."""
        from roarmask import cuda

        def made_here() -> Mask:
            full, partial = mask.coarsen(side)
            return full | partial

        wanted = made_here()
        out = tuple(self.torch.empty(length, dtype=self.torch.int32, device=self.device) for length in (wanted.rows + 1, wanted.nnz))
        cuda.bsr(mask.cuda(self.device).tiles((side, side)), out=out)
        if not all(np.array_equal(tensor.cpu().numpy(), array) for tensor, array in zip(out, wanted.to_csr(), strict=True)):
            raise SystemExit("the device's tiles are not those of the host")
        there = mask.cuda(self.device)
        return {
            "on the device": self.seconds(lambda: cuda.bsr(mask.cuda(self.device).tiles((side, side)), out=out)),
            "on the device, uploaded before": self.seconds_there(lambda: cuda.bsr(there.tiles((side, side)), out=out)),
            "on the host": self.seconds(lambda: cuda.bsr(made_here().cuda(self.device), out=out)),
        }

    def flashinfer_plan(self, mask: Mask, indptr: np.ndarray, indices: np.ndarray) -> Any:
        try:
            import flashinfer
        except ImportError:
            return "not installed"
        torch = self.torch
        workspace = torch.empty(256 << 20, dtype=torch.uint8, device=self.device)
        wrapper = flashinfer.BlockSparseAttentionWrapper(workspace)
        starts, index = torch.from_numpy(indptr.astype(np.int32)).to(self.device), torch.from_numpy(indices).to(self.device)
        try:
            return self.seconds(lambda: wrapper.plan(starts, index, 16 * mask.rows, 16 * mask.cols, 16, 16, 32, 8, 128))
        except (RuntimeError, ValueError) as error:
            return f"failed: {error}"[:200]

    # ---------------------------------------------------------------- whole kernels

    def block_masks(self, lengths: list[int]) -> dict[str, Any]:
        """Token-exact causal windows with sinks as a BlockMask."""
        from roarmask import cuda

        torch = self.torch
        from torch.nn.attention.flex_attention import create_block_mask

        def allowed(b: Any, h: Any, q: Any, kv: Any) -> Any:
            return (kv <= q) & ((kv < 1024) | (q - kv < 8192))

        create = torch.compile(create_block_mask) if self.is_gpu else create_block_mask
        results: dict[str, Any] = {}
        alive = True
        for tokens in lengths:
            mask = Mask.parse("causal & (sink(1024) | window(8192))", tokens)
            result: dict[str, Any] = {"roarmask": self.seconds(lambda m=mask: cuda.flex_block_mask(m, 128, device=self.device))}
            if alive:
                try:
                    result["create_block_mask"] = self.seconds(lambda n=tokens: create(allowed, None, None, n, n, device=self.device.type))
                except RuntimeError as error:  # out of memory among them
                    alive, result["create_block_mask"] = False, f"failed: {error}"[:200]
            results[str(tokens)] = result
        return results

    def attention(self, lengths: list[int]) -> dict[str, Any]:
        """FlexAttention with our BlockMask beside dense SDPA: 8 heads of 128, bfloat16, forward."""
        from roarmask import cuda

        torch = self.torch
        from torch.nn.attention.flex_attention import flex_attention

        flex = torch.compile(flex_attention, dynamic=False)
        results = {}
        for tokens in lengths:
            q, k, v = (torch.randn(1, 8, tokens, 128, dtype=torch.bfloat16, device=self.device) for _ in range(3))
            mask = Mask.parse("causal & (sink(1024) | window(8192))", tokens)
            block_mask = cuda.flex_block_mask(mask, 128, device=self.device)
            results[str(tokens)] = {
                "mask": self.seconds(lambda m=mask: cuda.flex_block_mask(m, 128, device=self.device)),
                "flex": self.seconds(lambda a=(q, k, v), b=block_mask: flex(*a, block_mask=b)),
                "dense": self.seconds(lambda a=(q, k, v): torch.nn.functional.scaled_dot_product_attention(*a, is_causal=True)),
            }
        return results

    def decode(self, requests: int, tokens: int) -> dict[str, Any]:
        from roarmask import cuda

        torch = self.torch
        pages = tokens // 16
        results: dict[str, Any] = {}
        for name in ("1m-structured", "1m"):
            mask = Mask.parse(BY_NAME[name].expression, pages)
            table = cuda.MaskTable([mask.cuda(self.device)])
            which = torch.zeros(requests, dtype=torch.int32, device=self.device)
            lens = torch.arange(tokens - requests + 1, tokens + 1, dtype=torch.int32, device=self.device)
            blocks = torch.arange(pages, dtype=torch.int32, device=self.device).expand(requests, pages).contiguous()
            out = cuda.decode_pages(table, which, blocks, lens, 16)
            if int(out[1].min()) < 1:
                raise SystemExit("the decode step refuses its requests")

            def step(given: Any = (table, which, blocks, lens, 16), out: Any = out) -> None:
                cuda.decode_pages(*given, out=out)

            result = {"call": self.seconds_there(step)}
            if self.is_gpu:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    step()
                result["graph"] = self.seconds_there(graph.replay)
            results[name] = result
        return {"requests": requests, "tokens": tokens, **results}


def _driver() -> str:
    file = Path("/proc/driver/nvidia/version")
    return file.read_text().splitlines()[0] if file.exists() else "unknown"


def _masks(args: argparse.Namespace) -> Iterator[tuple[str, str, Mask, Mask, int]]:
    """Names, what they are, masks of tiles, and what they are tiles of, so many blocks on a side."""
    for preset in PRESETS:
        if args.preset != "all" and preset.name not in args.preset.split(","):
            continue
        side = min(preset.side, 2000) if args.stand_in else preset.side
        if args.stand_in and preset.name == "1m-vertical-slash":
            continue  # its columns are beyond a small grid
        mask = Mask.parse(preset.expression, side)
        for tokens, step in STEPS.items():
            full, partial = mask.coarsen(step)
            yield f"{preset.name}, {tokens} tokens a block", preset.about, full | partial, mask, step


def measure(args: argparse.Namespace) -> dict[str, Any]:
    bench = Bench(args)
    command = " ".join(["python", "python/bench/gpu.py", *sys.argv[1:]])
    report: dict[str, Any] = {"command": command, "date": time.strftime("%Y-%m-%d"), "machine": machine()}
    report["card"] = card = bench.card()
    report["masks"] = {}
    for name, about, mask, blocks, step in _masks(args):
        print(name, file=sys.stderr, flush=True)
        result: dict[str, Any] = {"about": about, "rows": mask.rows, "cells": mask.nnz}
        result |= {"upload": bench.uploads(mask), "expand": bench.expansions(mask, card), "whole": bench.whole_way(mask)}
        if step > 1:
            result["tiles"] = bench.tiles(blocks, step)
        report["masks"][name] = result
    print("block masks, attention, decoding", file=sys.stderr, flush=True)
    report["block_masks"] = bench.block_masks([1024] if args.stand_in else [1 << k for k in range(14, 21)])
    report["attention"] = {} if args.stand_in else bench.attention([1 << k for k in range(14, 18)])
    report["decode"] = bench.decode(3, 16000) if args.stand_in else bench.decode(256, 1_000_000)
    return report


def why_not(args: argparse.Namespace) -> str | None:
    """What is missing, in words."""
    try:
        import torch

        from roarmask import cuda

        devices = cuda.num_devices()
    except ImportError as error:
        return str(error)
    if args.stand_in or (devices and torch.cuda.is_available()):
        return None
    return "there is no CUDA device" if not devices else "PyTorch sees no CUDA device: it may be built without CUDA"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python python/bench/gpu.py", description=__doc__)
    parser.add_argument("--preset", default="all", help="of " + ", ".join(p.name for p in PRESETS) + ", or all (default: %(default)s)")
    parser.add_argument("--least", type=float, default=0.3, help="seconds for each figure (default: %(default)s)")
    parser.add_argument("--gigabytes", type=int, default=5, help="largest form of a mask that is made (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for gpu.json (default: %(default)s)")
    parser.add_argument("--stand-in", action="store_true", help="for tests: small masks on the tests' stand-in; its figures mean nothing")
    args = parser.parse_args()
    missing = why_not(args)
    if missing:
        print(f"bench-cuda: nothing is measured: {missing}", file=sys.stderr)
        return
    report = measure(args)
    args.out.mkdir(parents=True, exist_ok=True)
    told, others = args.out / "gpu.json", args.out / "python.json"
    told.write_text(json.dumps(report, indent=1))
    if others.exists():
        (args.out / "index.html").write_text(page.draw(json.loads(others.read_text()), report))
    print(told, file=sys.stderr)


if __name__ == "__main__":
    main()
