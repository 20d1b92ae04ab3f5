# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.profile.costs ATLAS`: what the masks of an atlas cost, each held in every way that `roarmask bench` knows.

Runs the roarmask command once for each distinct mask and adds up, per layer and in all. Beside it the entropy bound: with k of the n causal
blocks of a row set, no code that knows k takes less than log2 C(n, k) bits for all such rows, whatever their structure.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import lgamma, log
from pathlib import Path
from typing import Any

from .._core import Atlas, Mask
from .._progress import Progress

METHODS = ("dense", "bitset", "csr", "croaring", "roarmask")
FIGURES = ("memory_bytes", "serialized_bytes", "build_rows_ns", "query_ns", "intersection_ns", "mask_and_ns", "export_ns")


class CostsError(Exception):
    """What stopped it, in one line."""


def entropy_bytes(mask: Mask) -> float:
    """The bound above, in bytes; cells behind the diagonal are free like all others of a row that has them."""
    bits = 0.0
    for row in range(mask.rows):
        columns = mask[row]
        free = max(row + mask.cols - mask.rows, int(columns[-1]) if len(columns) else 0) + 1
        bits += (lgamma(free + 1) - lgamma(len(columns) + 1) - lgamma(free - len(columns) + 1)) / log(2)
    return bits / 8


def measure(mask: Mask, command: Path, folder: Path) -> dict[str, dict[str, float]]:
    """The figures of one mask, which `roarmask bench` checks against each other first.

    Raises:
        CostsError: the command failed.
    """
    mask.save(folder / "mask.rmask")
    arguments = [
        str(command), "bench", "--pattern", 'file("mask.rmask")', "--num-blocks", str(mask.rows), "--methods", ",".join(METHODS),
        "--min-time", "0.005", "--rounds", "5", "--queries", str(max(1, min(256, mask.rows))), "--json", "-",
    ]  # fmt: skip
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CostsError(f"{shlex.join(arguments)}: {done.stderr.strip()}")
    methods = json.loads(done.stdout)["methods"]
    return {one["name"]: {key: one[key] for key in FIGURES} for one in methods if one["measured"]}


def costs(atlas: Atlas, command: Path, quiet: bool = True) -> dict[str, Any]:
    """Bytes of all entries and mean times, per layer and in all; equal masks count once for each entry that has them.

    Raises:
        CostsError
    """
    if atlas.rows != atlas.cols:
        raise CostsError("roarmask bench takes square grids")
    known: dict[Mask, tuple[dict[str, dict[str, float]], float]] = {}
    layers = []
    every: list[Mask] = []
    with tempfile.TemporaryDirectory() as folder, Progress("costs of layer", atlas.layers, quiet) as bar:
        for layer in range(atlas.layers):
            masks = [mask for head in range(atlas.heads) if (mask := atlas[layer, head]) is not None]
            for mask in masks:
                if mask not in known:
                    known[mask] = measure(mask, command, Path(folder)), entropy_bytes(mask)
            every += masks
            layers.append({"layer": layer, **summed([known[mask] for mask in masks])})
            bar.step()
    smaller = [
        {"layer": one["layer"], "method": name, "bytes": one["methods"][name]["memory_bytes"], "roarmask": ours}
        for one in layers
        if one["methods"]
        for ours in [one["methods"]["roarmask"]["memory_bytes"]]
        for name in METHODS
        if name in one["methods"] and one["methods"][name]["memory_bytes"] < ours
    ]
    return {
        "masks": len(every),
        "cells": sum(mask.nnz for mask in every),
        "total": summed([known[mask] for mask in every]),
        "layers": layers,
        "smaller_than_roarmask": smaller,
    }


def summed(entries: list[tuple[dict[str, dict[str, float]], float]]) -> dict[str, Any]:
    """Bytes summed, times averaged."""
    names = [name for name in METHODS if entries and all(name in figures for figures, _ in entries)]
    fold = {key: sum if key.endswith("bytes") else statistics.fmean for key in FIGURES}
    return {
        "entropy_bytes": sum(bound for _, bound in entries),
        "methods": {name: {key: fold[key]([figures[name][key] for figures, _ in entries]) for key in FIGURES} for name in names},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roarmask.profile.costs", description="What the masks of an atlas cost, held in every way."
    )
    parser.add_argument("atlas", type=Path, metavar="ATLAS")
    packaged = Path(__file__).parents[1] / "bin" / "roarmask"
    parser.add_argument("--command", type=Path, metavar="ROARMASK", help="the roarmask command (the package's own, or that in the path)")
    parser.add_argument("-o", "--out", type=Path, metavar="OUT.json", help="write the figures as JSON too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    command = options.command or (packaged if packaged.exists() else shutil.which("roarmask"))
    try:
        if command is None or not Path(command).exists():
            raise CostsError("no roarmask command: name it with --command, such as build/roarmask")
        report = costs(Atlas.open(options.atlas), Path(command).resolve(), options.quiet)
    except (CostsError, OSError, ValueError) as error:
        print(f"roarmask: {error}", file=sys.stderr)
        return 1
    print(f"{report['masks']} masks, {report['cells']:,} cells; entropy bound {report['total']['entropy_bytes']:,.0f} bytes")
    print("bytes of layer    entropy" + "".join(f"{name:>12}" for name in METHODS))
    for name, part in [*((f"{one['layer']}", one) for one in report["layers"]), ("all", report["total"])]:
        cells = "".join(f"{part['methods'][m]['memory_bytes']:12,.0f}" if m in part["methods"] else f"{'':12}" for m in METHODS)
        print(f"{name:>14}{part['entropy_bytes']:11,.0f}{cells}")
    for key, label in (("serialized_bytes", "as bytes"), *((k, k.removesuffix("_ns") + ", ns") for k in FIGURES if k.endswith("_ns"))):
        methods = report["total"]["methods"]
        print(f"{label:>25}" + "".join(f"{methods[m][key]:12,.0f}" if m in methods else f"{'':12}" for m in METHODS))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
