# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing else: tables, bars and lines in SVG, pictures of the masks."""

from __future__ import annotations

import base64
import math
from html import escape
from pathlib import Path
from typing import Any

from methods import METHODS

from roarmask import Mask
from roarmask._picture import png

NAMES = {
    "dense": "torch dense",
    "create_block_mask": "create_block_mask",
    "scipy": "scipy CSR",
    "pyroaring": "pyroaring rows",
    "sets": "dict of sets",
    "sdpa": "SDPA, dense",
    "sdpa_bias": "SDPA + mask",
    "flex": "FlexAttention",
    "roarmask": "roarmask",
    "roarmask_paged": "roarmask, paged",
}
COLOURS = {
    "dense": "#8a8f98",
    "create_block_mask": "#c2410c",
    "scipy": "#2f6fb0",
    "pyroaring": "#8b5cb4",
    "sets": "#a8842c",
    "sdpa": "#8a8f98",
    "sdpa_bias": "#2f6fb0",
    "flex": "#c2410c",
    "roarmask": "#0f9d76",
    "roarmask_paged": "#5fbf9f",
}
OPERATIONS = [
    ("bytes", "memory", "what the allocators hand out for the mask"),
    ("build", "build", "from compressed rows"),
    ("row", "row", "one row as int32"),
    ("intersection", "two rows", "the columns that both have"),
    ("and", "mask & mask", "with the mask moved by (1, 2)"),
    ("export", "export", "FlashInfer's indptr and indices"),
]
VERSIONS = {"Python": "python", "roarmask": "roarmask", "torch": "torch", "NumPy": "numpy", "SciPy": "scipy", "pyroaring": "pyroaring"}
STYLE = (Path(__file__).parent / "page.css").read_text()


# ---------------------------------------------------------------- numbers


def amount(value: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} B" if unit == "B" else f"{_three(value)} {unit}"
        value /= 1000
    raise AssertionError


def duration(value: float) -> str:
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if value * scale < 999.5:
            return f"{_three(value * scale)} {unit}"
    return f"{_three(value)} s"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def shown(key: str, value: float) -> str:
    return amount(value) if key in ("bytes", "peak", "tensors") else duration(value)


def times(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 9.5 else f"{ratio:.1f}×"


def tokens_of(length: int) -> str:
    return "1M" if length == 1 << 20 else f"{length >> 10}k"


# ---------------------------------------------------------------- charts


def _decades(low: float, high: float) -> tuple[int, int]:
    return math.floor(math.log10(low)), max(math.ceil(math.log10(high)), math.floor(math.log10(low)) + 1)


def bars(key: str, values: dict[str, float | None]) -> str:
    """A bar a method on a log axis; shorter is better."""
    known = [v for v in values.values() if v]
    if not known:
        return ""
    low, high = _decades(min(known) / 1.5, max(known))
    left, width, step = 112, 150, 21
    height = step * len(values) + 22
    parts = [f'<svg viewBox="0 0 325 {height}" role="img">']
    for decade in range(low, high + 1):
        if (decade - low) % max(1, -(-(high - low) // 3)):
            continue
        x = left + width * (decade - low) / (high - low)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height - 18}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 4}" text-anchor="middle">{_axis(key, 10.0**decade)}</text>')
    for i, (name, value) in enumerate(values.items()):
        y = i * step
        parts.append(f'<text class="name" x="{left - 8}" y="{y + 15}" text-anchor="end">{NAMES[name]}</text>')
        if value:
            length = max(2.0, width * (math.log10(value) - low) / (high - low))
            parts.append(f'<rect x="{left}" y="{y + 4}" width="{length:.1f}" height="14" rx="2" fill="{COLOURS[name]}"/>')
            parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 15}">{shown(key, value)}</text>')
        else:
            parts.append(f'<text x="{left + 6}" y="{y + 15}" font-style="italic">no figure</text>')
    return "".join([*parts, "</svg>"])


def _axis(key: str, value: float) -> str:
    return shown(key, value).replace(".00", "").replace(".0 ", " ")


def lines(key: str, curves: dict[str, list[tuple[int, float]]], lengths: list[int]) -> str:
    """Both axes logarithmic: a straight line is a power of the context's length. A cross is where a method ended."""
    known = [v for curve in curves.values() for _, v in curve]
    low, high = _decades(min(known), max(known))
    left, top, width, height = 58, 8, 430, 270

    def x(length: int) -> float:
        return left + width * (math.log2(length / lengths[0]) / max(1.0, math.log2(lengths[-1] / lengths[0])))

    def y(value: float) -> float:
        return top + height * (1 - (math.log10(value) - low) / (high - low))

    parts = [f'<svg viewBox="0 0 520 {top + height + 26}" role="img">']
    for decade in range(low, high + 1):
        parts.append(f'<line class="grid" x1="{left}" y1="{y(10.0**decade):.1f}" x2="{left + width}" y2="{y(10.0**decade):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(10.0**decade) + 4:.1f}" text-anchor="end">{_axis(key, 10.0**decade)}</text>')
    parts += [f'<text x="{x(n):.1f}" y="{top + height + 18}" text-anchor="middle">{tokens_of(n)}</text>' for n in lengths]
    for name, curve in curves.items():
        if not curve:
            continue
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in curve)
        wide = 3.5 if name == "roarmask" else 2
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="{wide}" stroke-linejoin="round"/>')
        end_x, end_y = x(curve[-1][0]), y(curve[-1][1])
        if curve[-1][0] == lengths[-1]:
            parts.append(f'<circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="4" fill="{COLOURS[name]}"/>')
        else:
            parts.append(
                f'<path d="M{end_x - 5:.1f},{end_y - 5:.1f}l10,10m0,-10l-10,10" stroke="{COLOURS[name]}" stroke-width="2.5" fill="none"/>'
            )
    return "".join([*parts, "</svg>"])


# ---------------------------------------------------------------- sections


def commands(results: dict[str, Any]) -> str:
    listed = "<br>".join(f"<code>{escape(r['command'])}</code>" for r in results.values() if "command" in r)
    return f"<details><summary>The commands that printed these figures</summary>{listed}</details>"


def preset_section(name: str, preset: dict[str, Any]) -> str:
    methods, side = preset["methods"], preset["side"]
    picture = base64.b64encode(png(Mask.parse(preset["expression"], side))).decode()
    cells = next((r["cells"] for r in methods.values() if "cells" in r), 0)
    expression = preset["expression"] if len(preset["expression"]) < 160 else preset["expression"][:150] + " …"
    head = "".join(f"<th>{label}<small>{about}</small></th>" for _, label, about in OPERATIONS)
    best = {key: min((r[key] for r in methods.values() if key in r), default=None) for key, _, _ in OPERATIONS}
    body = []
    for method, result in methods.items():
        if "failed" in result:
            figures = f'<td class="no" colspan="{len(OPERATIONS)}">{escape(result["failed"])}</td>'
        else:
            figures = "".join(
                f"<td{' class=best' if result[key] == best[key] else ''}>{shown(key, result[key])}</td>" for key, _, _ in OPERATIONS
            )
        body.append(f"<tr{' class=ours' if method == 'roarmask' else ''}><td>{NAMES[method]}</td>{figures}</tr>")
    parse = methods.get("roarmask", {}).get("parse")
    note = f'<p class="soft">From its expression roarmask builds it in {duration(parse)}.</p>' if parse else ""
    charts = "".join(
        f"<figure><figcaption>{label}</figcaption>{bars(key, {m: r.get(key) for m, r in methods.items()})}</figure>"
        for key, label, _ in OPERATIONS
    )
    return (
        f'<section class="preset"><div class="head"><img class="picture" alt="the mask" src="data:image/png;base64,{picture}"><div>'
        f'<h3>{name}</h3><p>{escape(preset["about"])}</p><p class="soft">{side:,} × {side:,} blocks, {cells:,} cells, '
        f"{100 * cells / side**2:.3g}%</p><p><code>{escape(expression)}</code></p></div></div>"
        f'<div class="scroll"><table><tr><th></th>{head}</tr>{"".join(body)}</table></div>{note}'
        f'<div class="charts">{charts}</div>{commands(methods)}</section>'
    )


def context_section(report: dict[str, Any]) -> str:
    context = report["context"]
    lengths = sorted(int(n) for n in context["roarmask"])
    head = "".join(f"<th>{tokens_of(n)}</th>" for n in lengths)

    def table(key: str) -> str:
        body = []
        for method, results in context.items():
            cells = []
            for n in lengths:
                result = results[str(n)]
                cells.append(f"<td>{shown(key, result[key])}</td>" if key in result else f'<td class="no">{_reason(result)}</td>')
            body.append(f"<tr{' class=ours' if method == 'roarmask' else ''}><td>{NAMES[method]}</td>{''.join(cells)}</tr>")
        return f'<div class="scroll"><table><tr><th></th>{head}</tr>{"".join(body)}</table></div>'

    def chart(key: str) -> str:
        return lines(key, {m: [(n, r[str(n)][key]) for n in lengths if r[str(n)].get(key)] for m, r in context.items()}, lengths)

    legend = "".join(f'<span><i style="background:{COLOURS[m]}"></i>{NAMES[m]}</span>' for m in context)
    every = {f"{m} {n}": result for m, r in context.items() for n, result in r.items() if not result.get("at")}
    return (
        "<h2>Against context length</h2><p>A token-exact causal window of 4,096 tokens. <b>roarmask</b> and <b>create_block_mask</b> "
        "make a BlockMask of 128 × 128 tiles for FlexAttention; the others hold the tokens themselves. Each process may take "
        f"{report['gigabytes']} GB and {report['seconds']['patience']:.0f} s; a cross is the longest context that a method survived.</p>"
        f'<p class="legend">{legend}</p><div class="charts">'
        f"<figure><figcaption>peak memory of the process, less what it had before</figcaption>{chart('peak')}</figure>"
        f"<figure><figcaption>time to build</figcaption>{chart('time')}</figure></div>"
        f"<h3 class=apart>Peak memory</h3>{table('peak')}<h3 class=apart>Time</h3>{table('time')}{commands(every)}"
    )


def _reason(result: dict[str, Any]) -> str:
    return "too long" if "not done" in result["failed"] else "out of memory"


def exporters_section(report: dict[str, Any]) -> str:
    body = "".join(
        f"<tr><td>{label} <span class=soft>{preset}</span></td><td>{amount(r['bytes'])}</td><td>{duration(r['export'])}</td>"
        f"<td>{duration(r['copy'])}</td><td>{100 * r['ratio']:.0f}%</td></tr>"
        for preset, result in report["exporters"].items()
        for label, r in result.items()
        if isinstance(r, dict)
    )
    small = "".join(f"<tr><td>{escape(k)}</td><td>{duration(v)}</td></tr>" for k, v in report["calls"].items() if k != "command")
    return (
        "<h2>Exporters beside memcpy</h2><p>Into reused buffers, taking turns with a copy of as many bytes; medians. Over 100% the "
        "exporter is faster than a copy, which reads as well; what is small enough for the second cache is copied faster than rows can be "
        "put together.</p>"
        '<div class="scroll"><table><tr><th></th><th>written</th><th>export</th><th>copy</th><th>of memcpy’s speed</th></tr>'
        f"{body}</table></div>"
        f"{commands(report['exporters'])}<h2>Small calls</h2><p>On structured masks of 1M tokens (62,500 blocks); exporters of 4 × 4 "
        "blocks, into reused buffers: what a call costs beside what it writes.</p>"
        f"<table class=narrow><tr><th></th><th>a call</th></tr>{small}</table>{commands({'calls': report['calls']})}"
    )


def cards(report: dict[str, Any]) -> str:
    made = []
    ours, theirs = report["context"].get("roarmask", {}), report["context"].get("create_block_mask", {})
    survived = [n for n in theirs if "time" in theirs[n]]
    longest = max((n for n in ours if "time" in ours[n]), key=int, default=None)
    if survived and longest:
        last = max(survived, key=int)
        their, our = theirs[last]["time"], ours[longest]
        spans = f"{tokens_of(int(longest))} tokens ({duration(our['time'])}) than create_block_mask takes at {tokens_of(int(last))}"
        made += [
            (times(their / our["time"]), f"less time for the BlockMask of {spans} ({duration(their)}), the longest it survives here"),
            (amount(our["peak"]), f"peak memory for it; its tensors are {amount(our['tensors'])}, mapped only where they are written"),
        ]
    for name in ("1m", "1m-structured", *report["presets"]):
        methods = report["presets"].get(name, {}).get("methods", {})
        if "bytes" in methods.get("roarmask", {}):
            others = {m: r["bytes"] for m, r in methods.items() if m != "roarmask" and "bytes" in r}
            if others:
                nearest = min(others, key=others.__getitem__)
                own = methods["roarmask"]["bytes"]
                more = f"{NAMES[nearest]}, takes {times(others[nearest] / own)} as much"
                made.append((amount(own), f"for the mask “{name}”; the next smallest, {more}"))
                break
    exports = {name: [r for r in p.values() if isinstance(r, dict)] for name, p in report["exporters"].items()}
    largest = max(exports, key=lambda name: max((r["bytes"] for r in exports[name]), default=0), default=None)
    if largest and exports[largest]:
        slowest = min(r["ratio"] for r in exports[largest])
        made.append((f"{100 * slowest:.0f}%", f"of memcpy’s speed: the slower exporter of the mask “{largest}”"))
    return '<div class="cards">' + "".join(f'<div class="card"><b>{a}</b><span>{b}</span></div>' for a, b in made) + "</div>"


def gpu_section(gpu: dict[str, Any]) -> str:
    """The figures of python/bench/gpu.py."""
    uploads, expansions, ways = "", "", ""
    for name, mask in gpu["masks"].items():
        for form, r in mask["upload"].items():
            pinned = duration(r["pinned"]) if "pinned" in r else ""
            uploads += _row(escape(name), form, amount(r["bytes"]), duration(r["pageable"]), pinned)
        for what, r in mask["expand"].items():
            share = f"{100 * r['of_write_bandwidth']:.0f}%"
            expansions += _row(escape(name), what, amount(r["bytes"]), duration(r["seconds"]), share)
        ways += _row(escape(name), *map(_seconds, mask["whole"].values()))
    lengths = "".join(
        _row(tokens_of(int(n)), _seconds(r["roarmask"]), _seconds(r.get("create_block_mask", ""))) for n, r in gpu["block_masks"].items()
    )
    attention = "".join(
        _row(tokens_of(int(n)), *(duration(r[key]) for key in ("mask", "flex", "dense"))) for n, r in gpu["attention"].items()
    )
    steps = "".join(
        _row(escape(name), duration(r["call"]), _seconds(r.get("graph", ""))) for name, r in gpu["decode"].items() if isinstance(r, dict)
    )
    card = gpu["card"]
    about = f"{gpu['date']} · {card['name']} · {card.get('driver', '')} · torch {gpu['machine']['torch']}"
    bandwidth = f"it writes {amount(card['write_bytes_a_second'])} a second, and copies {amount(card['copy_bytes_a_second'])}"

    tables = [
        ("Uploading", ["", "form", "bytes", "pageable", "pinned"], uploads),
        ("Expanding on the device", ["", "tensor", "written", "time", "of the write bandwidth"], expansions),
        ("From a mask on the host to rows on the device", ["", "roarmask", "uploading ready CSR", "FlashInfer’s plan"], ways),
        ("BlockMask", ["tokens", "roarmask", "create_block_mask, compiled"], lengths),
        ("The mask’s share of attention", ["tokens", "mask", "FlexAttention", "dense SDPA"], attention),
        (
            f"A decode step of {gpu['decode']['requests']} requests of {gpu['decode']['tokens']:,} tokens",
            ["mask", "called", "in a graph"],
            steps,
        ),
    ]
    made = "".join(
        f'<h3>{title}</h3><div class="scroll"><table><tr>{"".join(f"<th>{h}</th>" for h in head)}</tr>{body}</table></div>'
        for title, head, body in tables
        if body
    )
    command = f"<code>{escape(gpu['command'])}</code>"
    return f'<h2>On a GPU</h2><p class="soft">{escape(about)} · {command}</p><p>Measured on this card: {bandwidth}.</p>{made}'


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _seconds(value: Any) -> str:
    return duration(value) if isinstance(value, float) else escape(str(value))


def draw(report: dict[str, Any], gpu: dict[str, Any] | None = None) -> str:
    of = report["machine"]
    methods = "".join(f"<tr><td>{NAMES[m]}</td><td style='text-align:left'>{escape(METHODS[m]().about)}</td></tr>" for m in METHODS)
    versions = ", ".join(f"{name} {of[key]}" for name, key in VERSIONS.items())
    about = f"{report['date']} · {of['cpu']}, {of['cores']} cores ({of['simd']}) · {versions}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>roarmask in Python: benchmark</title><style>{STYLE}</style><main><h1>Attention masks in Python</h1>"
        "<p>roarmask beside what its users have today. Every figure comes from a process of its own, every answer is checked before it is "
        "timed, and bytes are what the allocators have handed out.</p>"
        f'<p class="soft">{escape(about)} · <code>{escape(report["command"])}</code></p>'
        f"{cards(report)}{context_section(report)}<h2>Masks of blocks</h2><p>The presets of <code>roarmask bench</code>. Bars have log "
        "axes, and shorter is better; the best of each column is marked. Random columns, diagonals and documents have fixed seeds.</p>"
        f"{''.join(preset_section(n, p) for n, p in report['presets'].items())}{exporters_section(report)}"
        f"{gpu_section(gpu) if gpu else ''}"
        f"<h2>Methods</h2><table class=narrow>{methods}</table></main></html>\n"
    )
