# SPDX-License-Identifier: Apache-2.0
"""The profile of a model: its attention is streamed through the model's own layers, one at a time, into block masses."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checkpoint import attention_by, load, plain_attention, tokens_of
from .._core import Atlas, Mask
from .._progress import Progress
from ._masses import Masses, block_masses
from ._sets import Cells, jaccard_table, kept_by_density, mean_of_pairs, parts, smallest, smallest_rows, step_traffic, visible

SHARES = (0.9, 0.95, 0.99)
PARTS = ("sink", "window", "columns", "diagonals", "remainder")
DENSITIES = np.array([0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])


@dataclass(frozen=True)
class Wanted:
    """What is profiled, and how."""

    model: Path
    texts: list[Path]
    tokens: int = 4096
    skip: int = 0
    block: int = 16
    keep: float = 0.95
    by: str = "row"  # or "head"
    heads: str = "query"  # or "kv"
    steps: int = 64
    sink: int = 1
    window: int = 8
    heavy: float = 0.01
    quiet: bool = False


@dataclass(frozen=True)
class Streamed:
    """Of one text: masses float32 [layers, heads, rows, cols], and the traffic of the last steps of each layer."""

    masses: Masses
    traffic: list[dict[str, float]]


def stream(model: Any, ids: Any, wanted: Wanted, what: str) -> Streamed:
    """Runs the model over one text: torch int64 [1, tokens]."""
    import torch

    masses: list[Masses] = []
    traffic: list[dict[str, float]] = []
    with Progress(what, model.config.num_hidden_layers, wanted.quiet) as bar:

        def observe(layer: int, query: Any, key: Any, value: Any, scale: float, window: int | None) -> Any:
            masses.append(block_masses(query, key, scale, wanted.block, window))
            last = block_masses(query[:, -wanted.steps :], key, scale, wanted.block, window, rows_per_token=True)
            traffic.append(step_traffic(smallest_rows(last, wanted.keep)))
            out = plain_attention(query, key, value, scale, window)
            bar.step()
            return out

        with torch.inference_mode(), attention_by(model, observe):
            model.model(ids, use_cache=False)  # no logits: they would be the largest tensor by far
    return Streamed(np.stack(masses), traffic)


def cells_of(masses: Masses, keep: float, by: str) -> Cells:
    """The kept cells of each head, and each row's own block: bool, of the shape of masses."""
    heads = masses.reshape(-1, *masses.shape[-2:])
    cells = smallest_rows(heads, keep) if by == "row" else np.stack([smallest(mass, keep) for mass in heads])
    rows, cols = masses.shape[-2:]
    cells |= np.eye(rows, cols, cols - rows, dtype=bool)
    return cells.reshape(masses.shape)


def union_of_groups(cells: Cells, kv_heads: int) -> Cells:
    """[layers, heads, ...] -> [layers, kv_heads, ...]: what any query head of a group reads."""
    layers, heads = cells.shape[:2]
    return np.asarray(cells.reshape(layers, kv_heads, heads // kv_heads, *cells.shape[2:]).any(axis=2))


def atlas_of(cells: Cells, facts: dict[str, Any]) -> Atlas:
    """An atlas of bool [layers, heads, rows, cols], whose note is the facts as JSON."""
    return Atlas([[Mask.from_dense(head) for head in layer] for layer in cells], note=json.dumps(facts))


def run(wanted: Wanted) -> tuple[Atlas, dict[str, Any], Streamed]:
    """The atlas of the first text, all figures as JSON would have them, and the first text's masses.

    Raises:
        CheckpointError: the model or a text cannot be used.
    """
    begin = time.monotonic()
    model, tokenizer = load(wanted.model)
    config = model.config
    texts = [tokens_of(tokenizer, text, wanted.tokens, wanted.skip) for text in wanted.texts]
    streamed = [stream(model, ids, wanted, f"attention of {path.name}: layer") for ids, path in zip(texts, wanted.texts, strict=True)]
    kv_heads = config.num_key_value_heads
    facts = {
        "roarmask": "profile",
        "model": config.architectures[0],
        "tokens": wanted.tokens,
        "block": wanted.block,
        "keep": wanted.keep,
        "by": wanted.by,
        "heads": config.num_attention_heads,
        "kv_heads": kv_heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
    }
    masses = streamed[0].masses
    cells = cells_of(masses, wanted.keep, wanted.by)
    kept = union_of_groups(cells, kv_heads) if wanted.heads == "kv" else cells
    atlas = atlas_of(kept, facts)
    report: dict[str, Any] = {
        **facts,
        "layers_count": config.num_hidden_layers,
        "sliding_window": getattr(config, "sliding_window", None),
        "masks_of": wanted.heads,
        "texts": [
            {"file": path.name, "skip": wanted.skip, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in wanted.texts
        ],
        "parts": {"sink": wanted.sink, "window": wanted.window, "heavy": wanted.heavy},
        "densities": DENSITIES.tolist(),
        "atlas_bytes": atlas.nbytes,
        "distinct_masks": len(atlas.masks),
    }
    with Progress("figures of layer", len(masses), wanted.quiet) as bar:
        report["layers"] = []
        for layer in range(len(masses)):
            report["layers"].append(layer_figures(layer, masses[layer], cells[layer], atlas, wanted))
            bar.step()
    report["overlap"] = overlaps(cells, streamed, wanted, config.num_attention_heads // kv_heads)
    report["mean"] = means(report)
    report["seconds"] = time.monotonic() - begin
    report["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return atlas, report, streamed[0]


def layer_figures(layer: int, masses: Masses, cells: Cells, atlas: Atlas, wanted: Wanted) -> dict[str, Any]:
    """masses [heads, rows, cols] of one layer -> its JSON object."""
    causal = visible(*masses.shape[1:])
    heads = []
    for head, mass in enumerate(masses):
        rows = {f"{share}": float(smallest_rows(mass, share).sum() / causal.sum()) for share in SHARES}
        whole = {f"{share}": float(smallest(mass, share).sum() / causal.sum()) for share in SHARES}
        entry = atlas[layer, head if wanted.heads == "query" else head * atlas.heads // len(masses)]
        heads.append(
            {
                "head": head,
                "density_by_row": rows,
                "density_by_head": whole,
                "kept_by_density": kept_by_density(mass, DENSITIES),
                "parts": parts(mass, wanted.sink, wanted.window, wanted.heavy),
                "mass_kept": float((mass * cells[head]).sum() / mass.sum()),
                "density": float(cells[head].sum() / causal.sum()),
                "mask_bytes": 0 if entry is None else entry.nbytes,
            }
        )
    return {"layer": layer, "heads": heads}


def overlaps(cells: Cells, streamed: list[Streamed], wanted: Wanted, group: int) -> dict[str, Any]:
    """Jaccard overlaps of the kept cells [layers, heads, rows, cols]: 1 is equal, 0 apart."""
    layers, heads = cells.shape[:2]
    table = jaccard_table(cells.reshape(layers * heads, -1)).reshape(layers, heads, layers, heads)
    of_heads = [table[layer, :, layer, :] for layer in range(layers)]
    between: NDArray[np.float64] = table.mean(axis=(1, 3))
    for layer in range(layers):
        between[layer, layer] = mean_of_pairs(of_heads[layer])
    result: dict[str, Any] = {
        "heads": [mean_of_pairs(one) for one in of_heads],
        "group": [
            float(np.mean([mean_of_pairs(one[at : at + group, at : at + group]) for at in range(0, heads, group)])) for one in of_heads
        ],
        "layers": np.round(between, 4).tolist(),
        "steps": streamed[0].traffic,
        "texts": [],
    }
    for other, path in zip(streamed[1:], wanted.texts[1:], strict=True):
        theirs = cells_of(other.masses, wanted.keep, wanted.by)
        either, both = (cells | theirs).sum(axis=(2, 3)), (cells & theirs).sum(axis=(2, 3))
        result["texts"].append(
            {
                "file": path.name,
                "jaccard": [float(j) for j in (both / np.maximum(either, 1)).mean(axis=1)],
                # What the first text's masks keep of this text's attention.
                "mass_kept": [float(m) for m in (other.masses * cells).sum(axis=(2, 3)).mean(axis=1) / other.masses.shape[2]],
            }
        )
    return result


def means(report: dict[str, Any]) -> dict[str, Any]:
    """Over all layers and heads."""
    heads = [head for layer in report["layers"] for head in layer["heads"]]
    steps = report["overlap"]["steps"]
    return {
        "density": float(np.mean([head["density"] for head in heads])),
        "mass_kept": float(np.mean([head["mass_kept"] for head in heads])),
        "density_by_row": {f"{s}": float(np.mean([head["density_by_row"][f"{s}"] for head in heads])) for s in SHARES},
        "density_by_head": {f"{s}": float(np.mean([head["density_by_head"][f"{s}"] for head in heads])) for s in SHARES},
        "kept_by_density": np.mean([head["kept_by_density"] for head in heads], axis=0).tolist(),
        "parts": {part: float(np.mean([head["parts"][part] for head in heads])) for part in PARTS},
        "steps": {key: float(np.mean([step[key] for step in steps])) for key in ("blocks", "new", "jaccard")},
        "group_jaccard": float(np.mean(report["overlap"]["group"])),
        "head_jaccard": float(np.mean(report["overlap"]["heads"])),
        "layer_jaccard": mean_of_pairs(np.array(report["overlap"]["layers"])),
        "text_jaccard": [float(np.mean(text["jaccard"])) for text in report["overlap"]["texts"]],
        "text_mass_kept": [float(np.mean(text["mass_kept"])) for text in report["overlap"]["texts"]],
    }
