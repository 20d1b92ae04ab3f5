# SPDX-License-Identifier: Apache-2.0
"""HTML pages that need nothing else: a frame with its style, and charts in SVG."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from ._core import Mask
from ._picture import png

COLOURS = ("#0f9d76", "#2f6fb0", "#c2410c", "#8b5cb4", "#a8842c", "#d14d72", "#5c6570", "#3aa6b9", "#7a9e1f", "#444b54", "#e08e0b")
_STYLE = """
:root{--ink:#1a1d21;--soft:#5c6570;--line:#dfe3e8;--paper:#fff;--tint:#f5f7f9;--accent:#0f9d76}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa3ad;--line:#343a41;--paper:#15181b;--tint:#1d2125;--accent:#2cc79b}
.mask{filter:invert(.88)}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:44px 28px 80px}
h1{font-size:32px;line-height:1.15;margin:0 0 10px}h2{font-size:22px;margin:52px 0 6px}
p{margin:6px 0 14px;max-width:78ch}.soft,figcaption{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(215px,1fr));gap:14px;margin:24px 0}
.card{background:var(--tint);border-radius:10px;padding:15px 18px}.card b{display:block;font-size:26px;line-height:1.2;color:var(--accent)}
.card span{font-size:14px;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:22px 30px}
figure{margin:0}figcaption{font-size:13.5px;margin-bottom:4px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .grid{stroke:var(--line)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14.5px}
th{font-weight:600;text-align:right;padding:6px 12px;border-bottom:2px solid var(--line)}
td{text-align:right;padding:5px 12px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}.scroll{overflow-x:auto}
.legend{font-size:14px;max-width:none}.legend span{margin-right:18px;white-space:nowrap}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}
.masks{display:grid;gap:3px;align-items:center;font-size:11px;color:var(--soft)}
.mask{width:100%;aspect-ratio:1;border:1px solid var(--line);image-rendering:pixelated;display:block}
code{font:12.5px/1.5 ui-monospace,Menlo,monospace;background:var(--tint);padding:1px 5px;border-radius:4px;overflow-wrap:anywhere}
"""


def page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>\n"
    )


def cards(values: Sequence[tuple[str, str]]) -> str:
    return '<div class="cards">' + "".join(f'<div class="card"><b>{a}</b><span>{b}</span></div>' for a, b in values) + "</div>"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def legend(names: Sequence[str]) -> str:
    return (
        '<p class="legend">'
        + "".join(f'<span><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(n)}</span>' for i, n in enumerate(names))
        + "</p>"
    )


def figure(caption: str, chart: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def picture(mask: Mask, about: str) -> str:
    return f'<img class="mask" loading="lazy" alt="{escape(about)}" title="{escape(about)}" '
    f'src="data:image/png;base64,{base64.b64encode(png(mask)).decode()}">'


def stacked(columns: Sequence[Mapping[str, float]], names: Sequence[str]) -> str:
    """A column of shares, which sum to 1, for each entry; numbered from 0."""
    left, height, step = 34, 180, 440 / max(1, len(columns))
    parts = [f'<svg viewBox="0 0 480 {height + 24}" role="img">']
    for share in (0, 0.5, 1):
        y = 4 + height * (1 - share)
        parts.append(
            f'<line class="grid" x1="{left}" y1="{y}" x2="476" y2="{y}"/><text x="{left - 5}" y="{y + 4}" '
            f'text-anchor="end">{share:.0%}</text>'
        )
    for i, column in enumerate(columns):
        top = 4.0 + height
        for j, name in enumerate(names):
            size = height * column[name]
            top -= size
            parts.append(
                f'<rect x="{left + i * step + 1:.1f}" y="{top:.2f}" width="{step - 2:.1f}" height="{size:.2f}" '
                f'fill="{COLOURS[j]}"><title>{i}: {name} {column[name]:.1%}</title></rect>'
            )
        if i % max(1, len(columns) // 10) == 0:
            parts.append(f'<text x="{left + (i + 0.5) * step:.1f}" y="{height + 20}" text-anchor="middle">{i}</text>')
    return "".join([*parts, "</svg>"])


def heat(values: Sequence[Sequence[float]], high: float = 1.0) -> str:
    """A field for each value [rows][columns], darker up to `high`; numbered from 0 on both sides."""
    rows, cols = len(values), max(1, len(values[0]))
    side = min(24.0, 446 / cols, 340 / rows)
    parts = [f'<svg viewBox="0 0 480 {rows * side + 22:.0f}" role="img">']
    for r, row in enumerate(values):
        if r % max(1, rows // 10) == 0:
            parts.append(f'<text x="26" y="{r * side + side / 2 + 4:.1f}" text-anchor="end">{r}</text>')
        for c, value in enumerate(row):
            parts.append(
                f'<rect x="{32 + c * side:.1f}" y="{r * side:.1f}" width="{side - 0.6:.1f}" height="{side - 0.6:.1f}" fill="{COLOURS[0]}" '
                f'fill-opacity="{min(1.0, max(0.02, value / high)):.3f}"><title>{r}, {c}: {value:.3f}</title></rect>'
            )
    parts += [
        f'<text x="{32 + (c + 0.5) * side:.1f}" y="{rows * side + 15:.1f}" text-anchor="middle">{c}</text>'
        for c in range(0, cols, max(1, cols // 10))
    ]
    return "".join([*parts, "</svg>"])


def curves(series: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, flat: float | None = None, percent: bool = True) -> str:
    """Lines with points over linear axes, the x axis from 0 in per cent. flat: a dashed level."""
    points = [p for s in series.values() for p in s] + ([(0.0, flat)] if flat is not None else [])
    right = max(p[0] for p in points) or 1.0
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    high = high if high > low else low + 1
    left, width, height = 50, 410, 250
    parts = [f'<svg viewBox="0 0 480 {height + 44}" role="img">']

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return left + width * point[0] / right, 4 + height * (1 - (point[1] - low) / (high - low))

    for i in range(5):
        value, across = low + (high - low) * i / 4, right * i / 4
        level, over = at((0, value))[1], at((across, low))[0]
        parts.append(f'<line class="grid" x1="{left}" y1="{level:.1f}" x2="{left + width}" y2="{level:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{level + 4:.1f}" text-anchor="end">{f"{value:.0%}" if percent else f"{value:.3g}"}</text>')
        parts.append(f'<text x="{over:.1f}" y="{height + 20}" text-anchor="middle">{across:.0%}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{height + 38}" text-anchor="middle">{escape(x)}</text><title>{escape(y)}</title>')
    if flat is not None:
        level = at((0, flat))[1]
        parts.append(
            f'<line x1="{left}" y1="{level:.1f}" x2="{left + width}" y2="{level:.1f}" stroke="var(--soft)" stroke-dasharray="5 4"/>'
        )
    for i, (name, line) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        drawn = [at(p) for p in line]
        parts.append(
            f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in drawn)}" fill="none" stroke="{colour}" stroke-width="2.2"/>'
        )
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.4" fill="{colour}"><title>{escape(name)}: {p[0]:.1%}, {p[1]:.4g}</title></circle>'
            for (a, b), p in zip(drawn, line, strict=True)
        ]
    return "".join([*parts, "</svg>"])
