# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.fidelity --model DIR --text FILE -o OUT.json`: is the model still itself when it reads only some blocks?

Dense beside each policy at each budget, on text that no mask was learned from: perplexity, the share of positions where the most likely
token is the dense one, the share of the attention that the masks keep, and, generating, the share of identical greedy tokens. Keys outside
of a mask are not read by roarmask.attention; without it torch's attention gets the mask as a bias. See docs/fidelity.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import policies as known
from ._charts import curves, figure, legend, page, table
from ._checkpoint import CheckpointError, attention_by, load, plain_attention, tokens_of
from ._core import Atlas, Mask
from ._progress import Progress
from .policies import Policy, Steps

Maker = Callable[[int, int], Policy]  # of a layer and a query head

# Shares: for topp_blocks, xattention and sampled_queries of the estimated attention, for the others of the blocks. With the last one of
# each the greedy tokens are written.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "streaming": (0.2, 0.6),
    "vertical_slash": (0.4, 0.8),
    "topk_blocks": (0.4, 0.8),
    "topp_blocks": (0.8, 0.99),
    "quest": (0.4, 0.7),
    "xattention": (0.8, 0.99),
    "sampled_queries": (0.8, 0.9, 0.95),
    "heavy_hitters": (0.4, 0.7),
}


def makers(names: Sequence[str], atlas: Atlas | None, block: int) -> dict[str, Maker]:
    """A maker for each name: a class of roarmask.policies, or "atlas" for from_atlas."""
    made: dict[str, Maker] = {}
    for name in names:
        if name == "atlas":
            if atlas is None:
                raise CheckpointError("the policy atlas needs --atlas FILE")
            made[name] = functools.partial(known.from_atlas, atlas, block=block)
        else:
            policy: Policy = getattr(known, name)(block)
            made[name] = functools.partial(_always, policy)
    return made


def _always(policy: Policy, _layer: int, _head: int) -> Policy:
    return policy


class Masked:
    """Attention that reads what the policies choose: a prompt in one go, then tokens one by one."""

    def __init__(self, maker: Maker | None, budget: float, block: int, masses: list[Any] | None = None) -> None:
        self.maker, self.budget, self.block = maker, budget, block
        self.masses = masses
        self.cells = self.causal = 0
        self.kept: list[float] = []
        self.choosing = self.attending = 0.0
        self.steps: dict[tuple[int, int], Steps] = {}
        self.generating = False

    def __call__(self, layer: int, query: Any, key: Any, value: Any, scale: float, window: int | None) -> Any:
        begin = time.perf_counter()
        if self.maker is None:
            out = plain_attention(query, key, value, scale, window)
            self.attending += time.perf_counter() - begin
            return out
        group = len(query) // len(key)
        masks = []
        for head in range(len(query)):
            queries, keys = query[head].numpy(), key[head // group].numpy()
            masks.append(self._step(layer, head, queries, keys) if len(queries) == 1 else self._prompt(layer, head, queries, keys))
        chosen = time.perf_counter()
        out = attend(query, key, value, masks, self.block, scale, window)
        self.choosing += chosen - begin
        self.attending += time.perf_counter() - chosen
        return out

    def _prompt(self, layer: int, head: int, queries: Any, keys: Any) -> Mask:
        assert self.maker is not None
        policy = self.maker(layer, head)
        mask = policy.mask(queries, keys, self.budget)
        self.cells += mask.nnz
        self.causal += mask.rows * (mask.rows + 1) // 2
        if self.masses is not None:
            mass = self.masses[layer][head]
            self.kept.append(float((mass * mask.to_dense()).sum() / mass.sum()))
        if self.generating:
            self.steps[layer, head] = Steps(policy, self.budget)
            self.steps[layer, head].start(queries, keys)
        return mask

    def _step(self, layer: int, head: int, query: Any, keys: Any) -> Mask:
        columns = self.steps[layer, head].step(query, keys).columns
        return Mask.from_rows([columns], -(-len(keys) // self.block))


def attend(query: Any, key: Any, value: Any, masks: list[Mask], block: int, scale: float, window: int | None) -> Any:
    """query [heads, n, dim], key and value [kv_heads, tokens, dim]: all tokens, or the last one alone; a mask for each head."""
    import torch

    count, tokens = query.shape[1], key.shape[1]
    if count not in (1, tokens):
        raise ValueError("a prompt in one go, then tokens one by one")
    if kernel_is_there() and (window is None or window >= tokens):
        from . import attention

        rows = block if count > 1 else 1
        return attention(
            query[None], key[None], value[None], [masks], block=(rows, block), causal=count > 1, scale=scale, first_position=0
        )[0]
    columns = torch.arange(tokens) // block
    own = columns if count > 1 else torch.zeros(1, dtype=torch.int64)
    allowed = torch.stack([torch.from_numpy(mask.to_dense())[own][:, columns] for mask in masks])
    return plain_attention(query, key, value, scale, window, allowed)


def kernel_is_there() -> bool:
    """Whether the package was built with its attention."""
    try:
        from . import _attention  # noqa: F401
    except ImportError:
        return False
    return True


def read_text(model: Any, ids: Any, attention: Masked) -> tuple[float, Any]:
    """(mean negative log-likelihood, most likely next tokens [tokens - 1]) of a text, int64 [1, tokens]."""
    import torch

    with torch.inference_mode(), attention_by(model, attention):
        hidden = model.model(ids, use_cache=False).last_hidden_state[0, :-1]
        losses, best = [], []
        for begin in range(0, len(hidden), 256):  # all logits at once would be gigabytes
            logits = model.lm_head(hidden[begin : begin + 256]).float()
            losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:][begin : begin + 256], reduction="none"))
            best.append(logits.argmax(dim=-1))
    return float(torch.cat(losses).mean()), torch.cat(best)


def generate(model: Any, ids: Any, count: int, attention: Masked) -> list[int]:
    """The greedy tokens after a prompt, int64 [1, tokens]; an end of text does not end it."""
    import torch

    attention.generating = True
    tokens: list[int] = []
    with torch.inference_mode(), attention_by(model, attention):
        cache = None
        for _ in range(count):
            result = model.model(ids, past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            tokens.append(int(model.lm_head(result.last_hidden_state[:, -1]).argmax()))
            ids = torch.tensor([[tokens[-1]]])
    return tokens


def masses_of(model: Any, ids: Any, block: int) -> list[Any]:
    """The dense block masses of each layer: float32 [heads, rows, cols]."""
    import torch

    from .profile import block_masses

    masses: list[Any] = []

    def observe(layer: int, query: Any, key: Any, value: Any, scale: float, window: int | None) -> Any:
        masses.append(block_masses(query, key, scale, block, window))
        return plain_attention(query, key, value, scale, window)

    with torch.inference_mode(), attention_by(model, observe):
        model.model(ids, use_cache=False)
    return masses


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures as the JSON has them, once more after each run.

    Raises:
        CheckpointError: the model, the text or the atlas cannot be used.
    """
    model, tokenizer = load(options.model)
    ids = tokens_of(tokenizer, options.text, options.tokens, options.skip)
    try:
        atlas = None if options.atlas is None else Atlas.open(options.atlas)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {options.atlas}: {error}") from error
    runs: list[tuple[str, Maker | None, float, bool]] = [("dense", None, 1.0, True)]
    for policy, make in makers(options.policies, atlas, options.block).items():
        budgets = options.budgets or DEFAULTS.get(policy, (1.0,))
        runs += [(policy, make, budget, bool(options.budgets) or budget == budgets[-1]) for budget in budgets]
    masses = masses_of(model, ids, options.block)
    prompt = ids[:, : options.prompt]
    results: list[dict[str, Any]] = []
    about = {
        "model": model.config.architectures[0],
        "text": options.text.name,
        "skip": options.skip,
        "tokens": options.tokens,
        "prompt": options.prompt,
        "steps": options.steps,
        "block": options.block,
        "attention": "roarmask.attention" if kernel_is_there() else "torch with the mask as a bias",
    }
    with Progress("fidelity of", len(runs), options.quiet) as bar:
        for name, maker, budget, writes in runs:
            reading = Masked(maker, budget, options.block, masses)
            begin = time.perf_counter()
            loss, best = read_text(model, ids, reading)
            entry: dict[str, Any] = {
                "policy": name,
                "budget": budget,
                "density": reading.cells / reading.causal if reading.causal else 1.0,
                "mass_kept": float(np.mean(reading.kept)) if reading.kept else 1.0,
                "perplexity": math.exp(loss),
                "seconds": time.perf_counter() - begin,
                "choosing_seconds": reading.choosing,
                "attention_seconds": reading.attending,
            }
            if name == "dense":
                dense_best, dense_loss = best, loss
            entry["perplexity_ratio"] = math.exp(loss - dense_loss)
            entry["same_next"] = float((best == dense_best).float().mean())
            if options.steps and writes:
                writing = Masked(maker, budget, options.block)
                begin = time.perf_counter()
                tokens = generate(model, prompt, options.steps, writing)
                if name == "dense":
                    dense_tokens = tokens
                same = [a == b for a, b in zip(tokens, dense_tokens, strict=True)]
                entry["identical"] = sum(same) / len(same)
                entry["first_difference"] = same.index(False) if False in same else None
                entry["generate_seconds"] = time.perf_counter() - begin
                taken = writing.steps.values()
                held = sum(one.held for one in taken)
                entry["step_read"] = sum(one.read for one in taken) / held if held else 1.0
                entry["step_new"] = sum(one.new for one in taken) / held if held else 1.0
            results.append(entry)
            yield {**about, "runs": results}
            bar.step()


_HEAD = (
    "policy",
    "budget",
    "density",
    "mass kept",
    "perplexity",
    "to dense",
    "same next",
    "identical",
    "read a step",
    "new a step",
    "attention",
)


def rows_of(report: dict[str, Any]) -> list[list[str]]:
    """The table's rows, as text."""
    rows = []
    for run in report["runs"]:
        steps = [f"{run[key]:.1%}" if key in run else "" for key in ("identical", "step_read", "step_new")]
        rows.append(
            [
                run["policy"], f"{run['budget']:g}", f"{run['density']:.1%}", f"{run['mass_kept']:.1%}", f"{run['perplexity']:.3f}",
                f"{100 * (run['perplexity_ratio'] - 1):+.2f}%", f"{run['same_next']:.1%}", *steps, f"{run['attention_seconds']:.2f} s",
            ]
        )  # fmt: skip
    return rows


def draw(report: dict[str, Any]) -> str:
    """The page: quality against density and against time."""
    names = list(dict.fromkeys(run["policy"] for run in report["runs"] if run["policy"] != "dense"))
    dense = report["runs"][0]

    def series(x: str, y: str) -> dict[str, list[tuple[float, float]]]:
        return {name: sorted((run[x], run[y]) for run in report["runs"] if run["policy"] == name and y in run) for name in names}

    longest = max(run["attention_seconds"] for run in report["runs"])
    report = {**report, "runs": [{**run, "attention_share": run["attention_seconds"] / longest} for run in report["runs"]]}
    charts = [
        figure("perplexity to dense", curves(series("density", "perplexity_ratio"), "density", "ratio", 1.0, percent=False)),
        figure("share of the attention that is kept", curves(series("density", "mass_kept"), "density", "mass", 1.0)),
        figure("positions with dense’s most likely next token", curves(series("density", "same_next"), "density", "share", 1.0)),
        figure("perplexity to dense against time in attention (100% is the slowest run)",
               curves(series("attention_share", "perplexity_ratio"), "time", "ratio", 1.0, percent=False)),
    ]  # fmt: skip
    if "identical" in dense:
        charts.append(figure("identical greedy tokens", curves(series("density", "identical"), "density", "share", 1.0)))
    return page(
        f"Is {report['model']} still itself?",
        f"<p>{report['tokens']:,} tokens of {report['text']}, blocks of {report['block']}; {report['steps']} greedy tokens after a prompt "
        f"of "
        f"{report['prompt']:,}. Dense perplexity {dense['perplexity']:.3f}. Attention by {report['attention']}.</p>"
        f'<p class="soft"><code>{report["command"]}</code></p>{legend(names)}<div class="charts">{"".join(charts)}</div>'
        f"<h2>Figures</h2>{table(_HEAD, rows_of(report))}",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roarmask.fidelity", description="Perplexity and greedy tokens of a model under each policy, beside dense attention."
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a local checkpoint")
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="held-out text, plain or .gz")
    parser.add_argument("--tokens", type=int, default=1024, metavar="N", help="of the text (%(default)s)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="tokens to leave out at the beginning (%(default)s)")
    parser.add_argument("--block", type=int, default=16, metavar="N", help="tokens a block (%(default)s)")
    parser.add_argument(
        "--policies", type=lambda text: text.split(","), default=list(DEFAULTS), metavar="A,B,...",
        help="of roarmask.policies, and atlas (all but atlas)",
    )  # fmt: skip
    parser.add_argument(
        "--budgets", type=lambda text: [int(one) if one.isdigit() else float(one) for one in text.split(",")], metavar="B,...",
        help="for every policy (some shares for each)",
    )  # fmt: skip
    parser.add_argument("--atlas", type=Path, metavar="FILE", help="of roarmask.profile, with a mask for each query head")
    parser.add_argument("--prompt", type=int, default=512, metavar="N", help="tokens of the text before the greedy ones (%(default)s)")
    parser.add_argument(
        "--steps", type=int, default=256, metavar="N",
        help="greedy tokens, without --budgets only with each policy's last one; 0 for none (%(default)s)",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.json", help="beside it: .html")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.policies if name not in (*DEFAULTS, "atlas")]
    if unknown:
        parser.error(f"no policy {unknown[0]!r}; there are {', '.join(DEFAULTS)}, atlas")
    if not 2 <= options.prompt <= options.tokens or options.block < 1 or options.steps < 0:
        parser.error("at least two tokens of prompt, and no more than the text has; blocks of a token or more")
    command = shlex.join(["python", "-m", "roarmask.fidelity", *(sys.argv[1:] if arguments is None else arguments)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    try:
        for report in measure(options):  # what an interrupted run has measured stays
            report["command"] = command
            options.out.write_text(json.dumps(report, indent=1) + "\n")
            options.out.with_suffix(".html").write_text(draw(report))
    except (CheckpointError, ValueError, TypeError) as error:
        print(f"roarmask: {error}", file=sys.stderr)
        return 1
    rows = [list(_HEAD), *rows_of(report)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
