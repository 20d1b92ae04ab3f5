# SPDX-License-Identifier: Apache-2.0
"""The attention benchmark as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from attention_child import BLOCK, DENSE, HEADS, MASKS, METHODS
from page import COLOURS, NAMES, STYLE, amount, bars, duration, lines, times, tokens_of

from roarmask import Mask
from roarmask._picture import png

Row = dict[str, Any]


def figure(row: Row | None, best: float | None) -> str:
    if row is None:
        return "<td></td>"
    if "failed" in row:
        return f'<td class="no" title="{escape(row["failed"])}">{escape(row["failed"].split(":")[0][:28])}</td>'
    return f"<td{' class=best' if row['ms'] == best else ''}>{duration(row['ms'] / 1e3)}</td>"


def expected_share(row: Row, dense: Row) -> float:
    """Tiles that the mask needs over those of dense attention, at the kernel's own tile size."""
    return float(row["tiles"] / dense["tiles"])


def table(rows: list[Row]) -> str:
    """Masks down, methods across; for ours beside it the speed-up over our own dense attention and the tiles that the mask needs."""
    of = {(row["mask"], row["method"]): row for row in rows}
    methods = [m for m in METHODS if any(row["method"] == m for row in rows)]
    masks = list(dict.fromkeys(row["mask"] for row in rows))
    head = "".join(f"<th>{NAMES[m]}</th>" for m in methods)
    body = []
    dense = of.get((DENSE, "roarmask"))
    for mask in masks:
        known = [of[mask, m]["ms"] for m in methods if "ms" in of.get((mask, m), {})]
        figures = "".join(figure(of.get((mask, m)), min(known, default=None) if mask != DENSE else None) for m in methods)
        ours, shares = of.get((mask, "roarmask"), {}), "<td></td><td></td><td></td>"
        if dense and "ms" in dense and "ms" in ours and mask != DENSE:
            share = expected_share(ours, dense)
            loss = ours["ms"] / (dense["ms"] * share) if share else 0
            shares = f"<td>{times(dense['ms'] / ours['ms'])}</td><td>{100 * share:.3g}%</td><td>{loss:.2f}</td>"
        body.append(f"<tr><td>{escape(mask)}</td>{figures}{shares}</tr>")
    about = (
        "<th>speed-up<small>over roarmask dense</small></th><th>tiles<small>of those of dense</small></th>"
        "<th>time<small>over dense x tiles</small></th>"
    )
    return f'<div class="scroll"><table><tr><th></th>{head}{about}</tr>{"".join(body)}</table></div>'


def charts(rows: list[Row], lengths: list[int]) -> str:
    """A figure for each mask: lines over the lengths, or bars where there is one length."""
    made = []
    dense = [row for row in rows if row["mask"] == DENSE and row["method"] == "sdpa"]
    for mask in dict.fromkeys(row["mask"] for row in rows):
        if mask == DENSE:
            continue
        curves: dict[str, list[tuple[int, float]]] = {}
        for method in METHODS:
            found = dense if method == "sdpa" else [row for row in rows if row["mask"] == mask and row["method"] == method]
            curves[method] = sorted((row["tokens"], row["ms"] / 1e3) for row in found if "ms" in row)
        curves = {method: curve for method, curve in curves.items() if curve}
        if not curves:
            continue
        drawn = lines("ms", curves, lengths) if len(lengths) > 1 else bars("ms", {m: c[-1][1] for m, c in curves.items()})
        made.append(f"<figure><figcaption>{escape(mask)}</figcaption>{drawn}</figure>")
    return f'<div class="charts">{"".join(made)}</div>'


def legend(rows: list[Row]) -> str:
    used = [m for m in METHODS if any(row["method"] == m and "ms" in row for row in rows)]
    return '<p class="legend">' + "".join(f'<span><i style="background:{COLOURS[m]}"></i>{NAMES[m]}</span>' for m in used) + "</p>"


def section(mode: str, head_dim: int, rows: list[Row]) -> str:
    lengths = sorted({row["tokens"] for row in rows})
    what = "all queries of a prompt" if mode == "prefill" else "one query, the last one"
    tables = "".join(f"<h3 class=apart>{tokens_of(n)} tokens</h3>{table([r for r in rows if r['tokens'] == n])}" for n in lengths)
    commands = "<br>".join(f"<code>{escape(c)}</code>" for c in dict.fromkeys(r["command"] for r in rows if "command" in r))
    return (
        f"<h2>{mode.capitalize()}, head dimension {head_dim}</h2><p>{HEADS} heads, {what}, float32. Axes are logarithmic; SDPA without a "
        f"mask is in each figure. A cross is where a method ended.</p>{legend(rows)}{charts(rows, lengths)}{tables}"
        f"<details><summary>The commands that printed these figures</summary>{commands}</details>"
    )


def pictures(masks: list[str]) -> str:
    side = 512
    made = []
    for name in masks:
        mask = Mask.parse(MASKS[name](side), side)
        data = base64.b64encode(png(mask)).decode()
        made.append(
            f'<figure><img class="picture" alt="{escape(name)}" src="data:image/png;base64,{data}"><figcaption>{escape(name)}, '
            f"{100 * mask.density:.3g}%</figcaption></figure>"
        )
    style = "display:flex;flex-wrap:wrap;gap:18px"
    return f'<h2>Masks</h2><p>In blocks of {BLOCK} tokens; here for {side * BLOCK:,} tokens.</p><div style="{style}">{"".join(made)}</div>'


def cards(report: dict[str, Any]) -> str:
    rows = {(r["mode"], r["tokens"], r["head_dim"], r["mask"], r["method"]): r for r in report["rows"] if "ms" in r}
    made = []
    best: tuple[float, tuple[Any, ...]] | None = None
    for key, row in rows.items():
        mode, tokens, head_dim, mask, method = key
        dense = rows.get((mode, tokens, head_dim, DENSE, "sdpa"))
        is_ours = mode == "prefill" and method == "roarmask" and mask != DENSE and row["tiles"]
        if is_ours and dense and (best is None or dense["ms"] / row["ms"] > best[0]):
            best = dense["ms"] / row["ms"], key
    if best:
        _, tokens, _, mask, _ = best[1]
        made.append((times(best[0]), f"faster than dense SDPA: a prompt of {tokens_of(tokens)} tokens with “{mask}”"))
    ahead = [(rows[k]["ms"], rows[(*k[:4], "flex")]["ms"]) for k in rows if k[4] == "roarmask" and (*k[:4], "flex") in rows]
    if ahead:
        won = sum(ours <= flex for ours, flex in ahead)
        made.append((f"{won} of {len(ahead)}", "settings in which roarmask is ahead of compiled FlexAttention"))
    for row in report.get("memory", []):
        what = f"peak memory over inputs and output, {amount(row['bytes'])} at {tokens_of(row['tokens'])} tokens"
        made += [(f"{row['peak'] / row['bytes']:.3f}×", what)]
    return '<div class="cards">' + "".join(f'<div class="card"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in made) + "</div>"


def draw(report: dict[str, Any]) -> str:
    of, rows = report["machine"], report["rows"]
    versions = f"Python {of['python']}, roarmask {of['roarmask']}, torch {of['torch']}"
    about = f"{report['date']} · {of['cpu']}, {of['cores']} cores ({of['simd']}) · {versions}"
    methods = "".join(f"<tr><td>{NAMES[m]}</td><td style='text-align:left'>{escape(text)}</td></tr>" for m, text in METHODS.items())
    failures = dict.fromkeys((NAMES[r["method"]], r["failed"]) for r in rows if "failed" in r)
    failed = "".join(f"<tr><td>{name}</td><td style='text-align:left'>{escape(why)}</td></tr>" for name, why in failures)
    settings = dict.fromkeys((row["mode"], row["head_dim"]) for row in rows)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>roarmask: attention on the CPU</title><style>{STYLE}</style><main><h1>Attention over masks, on the CPU</h1>"
        "<p>roarmask beside torch. Answers are checked against float64 in sampled rows before they are timed; times are medians, and "
        "making the masks’ tensors is not in them.</p>"
        f'<p class="soft">{escape(about)} · <code>{escape(report["command"])}</code></p>{cards(report)}'
        f"{pictures([m for m in dict.fromkeys(r['mask'] for r in rows) if m != DENSE])}"
        f"{''.join(section(m, d, [r for r in rows if (r['mode'], r['head_dim']) == (m, d)]) for m, d in settings)}"
        f"<h2>Methods</h2><table class=narrow>{methods}</table>"
        + (f"<h2>What there is no figure for</h2><table class=narrow>{failed}</table>" if failed else "")
        + "</main></html>\n"
    )
