# SPDX-License-Identifier: Apache-2.0
"""The profile as a page: where the mass lies, what sets have in common, and pictures of the masks themselves."""

from __future__ import annotations

from html import escape
from typing import Any

from .._charts import cards, curves, figure, heat, legend, page, picture, stacked, table
from .._core import Atlas
from ._run import PARTS, SHARES


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _pictures(report: dict[str, Any], atlas: Atlas) -> str:
    cells = ["<span></span>", *(f"<span>{report['masks_of']} head {head}</span>" for head in range(atlas.heads))]
    for layer in range(atlas.layers):
        cells.append(f"<span>layer {layer}</span>")
        for head in range(atlas.heads):
            mask = atlas[layer, head]
            if mask is None:
                cells.append("<span>dense</span>")
            else:
                share = mask.nnz / (mask.rows * (mask.rows + 1) / 2)
                cells.append(picture(mask, f"layer {layer}, head {head}: {_percent(share)} of the causal blocks, {mask.nbytes:,} bytes"))
    return f'<div class="masks" style="grid-template-columns:52px repeat({atlas.heads},1fr)">{"".join(cells)}</div>'


def draw(report: dict[str, Any], atlas: Atlas) -> str:
    """The page of what `run` gave."""
    mean, layers, overlap = report["mean"], report["layers"], report["overlap"]
    of_layers = [{part: sum(h["parts"][part] for h in layer["heads"]) / len(layer["heads"]) for part in PARTS} for layer in layers]
    density = [[head["density"] for head in layer["heads"]] for layer in layers]
    steps, first = mean["steps"], report["texts"][0]["file"]
    sets = table(
        ["mass kept", "blocks, every row", "blocks, every head"],
        [[f"{100 * s:.0f}%", _percent(mean["density_by_row"][f"{s}"]), _percent(mean["density_by_head"][f"{s}"])] for s in SHARES],
    )
    common = [
        ["query heads of a group", f"{mean['group_jaccard']:.2f}"],
        ["all heads of a layer", f"{mean['head_jaccard']:.2f}"],
        ["heads of different layers", f"{mean['layer_jaccard']:.2f}"],
        ["neighbouring decode steps", f"{steps['jaccard']:.2f}"],
    ]
    texts = ""
    for text, jaccard, kept in zip(overlap["texts"], mean["text_jaccard"], mean["text_mass_kept"], strict=True):
        common.append([f"the same head on {text['file']}", f"{jaccard:.2f}"])
        texts += f"<p>The masks of {escape(first)} keep {_percent(kept)} of the attention on {escape(text['file'])}.</p>"
    overview = cards(
        [
            (_percent(mean["density"]), f"of the causal blocks hold {_percent(mean['mass_kept'])} of the attention"),
            (
                f"{atlas.nbytes / 1e6:.2f} MB",
                f"the atlas of {report['distinct_masks']} different masks, {atlas.layers} × {atlas.heads} entries",
            ),
            (_percent(mean["parts"]["sink"] + mean["parts"]["window"]), "of the attention goes to the sink and the window"),
            (f"{steps['new']:.1f} of {steps['blocks']:.1f}", "blocks that a decode step reads were not read by the step before"),
        ]
    )
    sizes = report["parts"]
    return page(
        f"Where the attention of {report['model']} goes",
        f"<p>{report['layers_count']} layers, {report['heads']} query and {report['kv_heads']} KV heads over {report['tokens']:,} tokens "
        f"of "
        f"{escape(first)}, in blocks of {report['block']} tokens. The masks keep {_percent(report['keep'])} of the attention of every "
        f"{report['by']}.</p>"
        f'<p class="soft"><code>{escape(report["command"])}</code> · {report["seconds"]:.0f} s, peak memory '
        f"{report['peak_rss_bytes'] / 1e9:.1f} GB</p>{overview}"
        "<h2>How few blocks</h2><p>The smallest sets of blocks, as a share of the causal ones; means over all layers and heads.</p><div "
        'class="charts">'
        + figure(
            "mass kept against density, best set of each head",
            curves({"mean": list(zip(report["densities"], mean["kept_by_density"], strict=True))}, "share of the causal blocks", "mass"),
        )
        + figure("density of the masks: a row for each layer, a column for each query head", heat(density, max(map(max, density))))
        + f"</div>{sets}<h2>What kind of blocks</h2><p>Sink: the first {sizes['sink']} block. Window: the last {sizes['window']} blocks. "
        f"Columns and diagonals: "
        f"those of at least {_percent(sizes['heavy'])} of their rows’ mass on average. Remainder: all else.</p>{legend(PARTS)}"
        f'<div class="charts">{figure("mass in each layer", stacked(of_layers, PARTS))}'
        + figure("overlap of heads (Jaccard): layer against layer", heat(overlap["layers"]))
        + f"</div><h2>What sets have in common</h2><p>Mean Jaccard overlap, cells in both over cells in "
        f"either.</p>{table(['of', 'overlap'], common)}{texts}"
        f"<h2>The masks</h2><p>Rows are blocks of queries, columns blocks of keys.</p>{_pictures(report, atlas)}",
    )
