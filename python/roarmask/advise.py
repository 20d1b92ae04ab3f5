# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.advise ATLAS -o CONFIG.toml`: dense, formula, roarmask or plain indices, for each layer and KV head, by measurement.

Every candidate is timed in a decode step of paged attention on this machine; nothing is modelled. What is written is the configuration of
`vllm serve --use-roaring-attention-masks=CONFIG.toml`, with an atlas of the KV heads' masks beside it. See docs/advise.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._attend import paged_attention
from ._core import Atlas, Mask
from ._progress import Progress

KINDS = ("dense", "formula", "roarmask", "indices")
TOLERANCE = 0.05  # times closer than this are equal, and fewer bytes decide
_MOST_CELLS = 1 << 26  # of grids that are expanded to look for a formula


class AdviceError(Exception):
    """What stopped it, in one line."""


@dataclass(frozen=True)
class Cost:
    """bytes of the mask, and microseconds of a decode step that uses it, the mean of the sampled rows."""

    bytes: int
    us: float


@dataclass(frozen=True)
class Advice:
    """Of one layer and KV head."""

    layer: int
    head: int
    density: float  # of the causal cells
    choice: str
    formula: str | None  # has at least the mask's cells
    exact: bool  # the formula has the mask's cells and no others
    costs: dict[str, Cost]


def formula_of(mask: Mask) -> tuple[str, bool] | None:
    """(expression, whether it is the mask itself): else the smallest sink and window around it. None where the grid is too large."""
    rows, cols = mask.shape
    if rows != cols or rows * cols > _MOST_CELLS or mask.nnz == 0:
        return None
    if mask == Mask.parse("causal", rows):
        return "causal", True
    cells = mask.to_dense()
    if np.triu(cells, 1).any():
        return None
    row, col = np.nonzero(cells)
    distance = row - col
    seen = np.arange(rows, 0, -1)
    whole_columns = np.flatnonzero(np.bincount(col, minlength=cols) == seen)
    whole_diagonals = np.flatnonzero(np.bincount(distance, minlength=cols) == seen)
    terms = [*_run("sink", "columns", whole_columns), *_run("window", "diagonals", whole_diagonals)]
    if terms:
        expression = f"causal & ({' | '.join(terms)})"
        if Mask.parse(expression, rows) == mask:
            return expression, True
    # With a sink of s, the window must reach the farthest cell behind the sink.
    farthest = np.full(cols + 1, -1)
    np.maximum.at(farthest, col, distance)
    reach = np.maximum.accumulate(farthest[::-1])[::-1] + 1
    at = np.arange(rows)[None, :]
    sinks = np.unique(np.concatenate([np.arange(min(cols, 64) + 1), np.arange(0, cols + 1, max(1, cols // 64))]))
    sizes = np.minimum(at + 1, sinks[:, None] + np.minimum(reach[sinks][:, None], at + 1)).sum(axis=1)
    best = int(sinks[np.argmin(sizes)])
    return f"causal & (sink({best}) | window({int(reach[best])}))", False


def _run(head: str, name: str, numbers: NDArray[np.int64]) -> list[str]:
    """Numbers as a run from 0, and a list of those behind it."""
    count = int((numbers == np.arange(len(numbers))).sum())
    behind = ",".join(map(str, numbers[count:]))
    return ([f"{head}({count})"] if count else []) + ([f"{name}({behind})"] if behind else [])


class Bench:
    """Decode steps of one KV head over a paged cache of random numbers, float32."""

    def __init__(self, cols: int, block: int, head_dim: int, queries: int, rounds: int = 9) -> None:
        rng = np.random.default_rng(0)
        self.cols, self.block, self.rounds = cols, block, rounds
        self.keys = rng.standard_normal((cols, 1, block, head_dim), np.float32)
        self.values = rng.standard_normal((cols, 1, block, head_dim), np.float32)
        self.query = rng.standard_normal((1, queries, head_dim), np.float32)
        self.out = np.empty_like(self.query)
        self.table = rng.permutation(cols).astype(np.int32)[None, :]
        self.start = np.array([0, 1], np.int32)
        # A step in the middle of the context, and the last one.
        self.rows = sorted({max(0, cols // 2 - 1), cols - 1})

    def step(self, row: int, mask: Mask | None = None, pages: NDArray[np.int32] | None = None) -> None:
        """The step whose query is the last token of block `row`; pages instead of the whole table are all that it reads."""
        table = self.table if pages is None else self.table[:, pages]
        length = (row + 1 if pages is None else len(pages)) * self.block
        lens = np.array([length], np.int32)
        paged_attention(self.query, self.keys, self.values, table, lens, self.start, mask, block=self.block, out=self.out, threads=1)

    def candidates(self, formula: Mask | None, mask: Mask) -> dict[str, Callable[[int], None]]:
        """What each way does in a step of a row."""
        indptr, indices = mask.to_csr()
        made: dict[str, Callable[[int], None]] = {
            "dense": lambda row: self.step(row),
            "roarmask": lambda row: self.step(row, mask),
            "indices": lambda row: self.step(row, None, indices[indptr[row] : indptr[row + 1]]),
        }
        if formula is not None:
            made["formula"] = lambda row: self.step(row, formula)
        return made

    def times(self, ways: dict[str, Callable[[int], None]]) -> dict[str, float]:
        """Microseconds a step. The ways take turns; the least of the rounds counts, which other programs disturb least."""
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(self.rounds):
            for name, way in ways.items():
                begin = time.perf_counter()
                for row in self.rows:
                    way(row)
                best[name] = min(best[name], (time.perf_counter() - begin) / len(self.rows))
        return {name: 1e6 * seconds for name, seconds in best.items()}


def break_even(bench: Bench) -> float:
    """The density of scattered blocks, measured, from which masks are no faster than reading all; 1 where they always are."""
    before = (0.0, 0.0)
    for density in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        mask = Mask.parse(f"(causal & random({density}, seed=1)) | diagonals(0)", bench.cols)
        times = bench.times({"dense": lambda row: bench.step(row), "roarmask": lambda row, mask=mask: bench.step(row, mask)})  # type: ignore[misc]
        ratio = times["roarmask"] / times["dense"]
        if ratio >= 1:
            return before[0] + (density - before[0]) * (1 - before[1]) / max(ratio - before[1], 1e-9)
        before = (density, ratio)
    return 1.0


def choose(costs: dict[str, Cost]) -> str:
    """The fastest; of those within the tolerance of it the one with the fewest bytes, of equals the first of KINDS."""
    fastest = min(cost.us for cost in costs.values())
    near = [kind for kind in KINDS if kind in costs and costs[kind].us <= fastest * (1 + TOLERANCE)]
    return min(near, key=lambda kind: costs[kind].bytes)


def of_kv_heads(atlas: Atlas, kv_heads: int) -> Atlas:
    """The union of each group's masks: layers x kv_heads."""
    if atlas.heads == kv_heads:
        return atlas
    if atlas.heads % kv_heads:
        raise AdviceError(f"{atlas.heads} heads are not groups of {kv_heads} KV heads")
    group = atlas.heads // kv_heads
    made: list[list[Mask | None]] = []
    for layer in range(atlas.layers):
        made.append([])
        for first in range(0, atlas.heads, group):
            union: Mask | None = atlas[layer, first]
            for head in range(first + 1, first + group):
                other = atlas[layer, head]
                union = None if union is None or other is None else union | other
            made[-1].append(union)
    return Atlas(made, rows=atlas.rows, cols=atlas.cols, note=atlas.note)


def advise(atlas: Atlas, block: int, head_dim: int, queries: int, quiet: bool = True) -> tuple[list[Advice], float]:
    """(advice for each entry of an atlas of KV heads, break-even density).

    Args:
        queries: query heads that share a KV head.

    Raises:
        AdviceError: the grid is not square.
        ImportError: the package was built without attention.
    """
    if atlas.rows != atlas.cols:
        raise AdviceError(f"a grid of {atlas.rows} x {atlas.cols} blocks: decode steps are measured on square ones")
    bench = Bench(atlas.cols, block, head_dim, queries)
    even = break_even(bench)
    causal_cells = atlas.rows * (atlas.rows + 1) / 2
    advice: list[Advice] = []
    known: dict[Mask | None, Advice] = {}
    with Progress("advice for layer", atlas.layers, quiet) as bar:
        for layer in range(atlas.layers):
            for head in range(atlas.heads):
                mask = atlas[layer, head]
                if mask not in known:
                    known[mask] = _of_entry(bench, mask, causal_cells)
                advice.append(Advice(**{**known[mask].__dict__, "layer": layer, "head": head}))
            bar.step()
    for layer in range(atlas.layers):
        own = advice[layer * atlas.heads : (layer + 1) * atlas.heads]
        if float(np.mean([one.density for one in own])) >= even:
            advice[layer * atlas.heads : (layer + 1) * atlas.heads] = [Advice(**{**one.__dict__, "choice": "dense"}) for one in own]
    return advice, even


def _of_entry(bench: Bench, mask: Mask | None, causal_cells: float) -> Advice:
    if mask is None:
        cost = Cost(0, bench.times({"dense": lambda row: bench.step(row)})["dense"])
        return Advice(0, 0, 1.0, "dense", None, False, {"dense": cost})
    found = formula_of(mask)
    formula = None if found is None else Mask.parse(found[0], mask.rows)
    times = bench.times(bench.candidates(formula, mask))
    sizes = {"dense": 0, "roarmask": mask.nbytes, "indices": 8 * (mask.rows + 1) + 4 * mask.nnz}
    if formula is not None:
        sizes["formula"] = formula.nbytes
    costs = {kind: Cost(sizes[kind], times[kind]) for kind in KINDS if kind in times}
    return Advice(0, 0, mask.nnz / causal_cells, choose(costs), found[0] if found else None, bool(found and found[1]), costs)


def config_text(advice: list[Advice], atlas_name: str, block: int) -> str:
    """The plugin's configuration. It has no entry for plain indices: those heads read the atlas."""
    lines = [f"block = {block}", f"atlas = {json.dumps(atlas_name)}", 'default = "dense"', "[layers]"]
    for layer in sorted({one.layer for one in advice}):
        entries = []
        for one in (one for one in advice if one.layer == layer):
            kinds = {"dense": "dense", "formula": one.formula or "", "roarmask": f"atlas({layer}, {one.head})"}
            entries.append(kinds.get(one.choice, kinds["roarmask"]))
        lines.append(f'"{layer}" = ' + ('"dense"' if set(entries) == {"dense"} else json.dumps(entries)))
    return "\n".join(lines) + "\n"


def totals(advice: list[Advice]) -> dict[str, Cost]:
    """Of each way for all heads (dense where a head has no such), and of the advice."""
    made = {kind: [one.costs.get(kind, one.costs["dense"]) for one in advice] for kind in KINDS}
    made["advice"] = [one.costs[one.choice] for one in advice]
    return {name: Cost(sum(c.bytes for c in costs), sum(c.us for c in costs)) for name, costs in made.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roarmask.advise",
        description="Dense, formula, roarmask or plain indices, for each layer and KV head, by measurement.",
    )
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="of roarmask.profile, or any other with a square grid")
    parser.add_argument("--block", type=int, metavar="N", help="tokens a block, where the atlas's note does not say (16)")
    parser.add_argument("--kv-heads", type=int, metavar="N", help="heads are united to so many (from the note, else as they are)")
    parser.add_argument("--heads", type=int, metavar="N", help="query heads of the model (from the note, else one for each KV head)")
    parser.add_argument("--head-dim", type=int, metavar="N", help="(from the note, else 64)")
    parser.add_argument("-o", "--out", type=Path, metavar="CONFIG.toml", help="the plugin's configuration; beside it .atlas and .json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    try:
        atlas = Atlas.open(options.atlas)
        try:
            note = json.loads(atlas.note)
        except ValueError:
            note = {}
        note = note if isinstance(note, dict) else {}
        block = options.block or note.get("block", 16)
        if block != note.get("block", block):
            raise AdviceError(f"--block {block}, and the atlas's note says that it was made for blocks of {note['block']}")
        kv_heads = options.kv_heads or note.get("kv_heads", atlas.heads)
        heads = options.heads or note.get("heads", kv_heads)
        head_dim = options.head_dim or note.get("head_dim", 64)
        if heads % kv_heads or min(block, kv_heads, heads, head_dim) < 1:
            raise AdviceError(f"{heads} query heads, {kv_heads} KV heads, {head_dim} dimensions and blocks of {block} do not go together")
        atlas = of_kv_heads(atlas, kv_heads)
        advice, even = advise(atlas, block, head_dim, heads // kv_heads, options.quiet)
    except (AdviceError, OSError, ValueError, ImportError) as error:
        print(f"roarmask: {error}", file=sys.stderr)
        return 1
    print("layer head  density  advice    " + "".join(f"{kind:>20}" for kind in KINDS))
    for one in advice:
        cells = [f"{one.costs[k].bytes:,} B {one.costs[k].us:7.1f} us" if k in one.costs else "" for k in KINDS]
        print(f"{one.layer:5} {one.head:4} {one.density:8.1%}  {one.choice:9} " + "".join(f"{cell:>20}" for cell in cells))
    for name, cost in totals(advice).items():
        print(f"all {name}: {cost.bytes:,} bytes, {cost.us:,.0f} us a decode step")
    print(f"break-even: scattered blocks of {even:.0%} density take as long as all")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        atlas.save(options.out.with_suffix(".atlas"))
        command = shlex.join(["python", "-m", "roarmask.advise", *(sys.argv[1:] if arguments is None else arguments)])
        figures: dict[str, Any] = {
            "command": command,
            "break_even": even,
            "totals": {name: asdict(cost) for name, cost in totals(advice).items()},
            "advice": [asdict(one) for one in advice],
        }
        options.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
        options.out.write_text(f"# {command}\n" + config_text(advice, options.out.with_suffix(".atlas").name, block))
        print(f"{options.out}: for vllm serve --use-roaring-attention-masks={options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
