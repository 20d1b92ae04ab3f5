# SPDX-License-Identifier: Apache-2.0
"""`make bench-attention`: attention over masks on the CPU beside torch's own. A process for each length, head dimension and mode
(attention_child.py) checks every answer, then times it. Writes report/attention.json and report/attention.html."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import attention_page
from attention_child import DENSE, MASKS, METHODS
from machine import available_gigabytes, machine

HERE = Path(__file__).resolve().parent
LEFT_OUT = "not in the default run, for its compiler takes seconds a mask: --all"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python python/bench/attention.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2k tokens, three masks, head dimension 64: a minute")
    parser.add_argument("--all", action="store_true", help="FlexAttention also where it is left out otherwise")
    parser.add_argument("--tokens", default="4096,16384,65536", help="default: %(default)s")
    parser.add_argument("--head-dims", default="64,128", help="default: %(default)s")
    parser.add_argument("--modes", default="prefill,decode", help="default: %(default)s")
    parser.add_argument("--masks", default=",".join(MASKS), help="default: %(default)s")
    parser.add_argument("--methods", default=",".join(METHODS), help="default: %(default)s")
    parser.add_argument("--gigabytes", type=int, default=0, help="most memory for a process (default: 16, or 80%% of what is free)")
    parser.add_argument("--patience", type=float, default=15, help="most seconds that a call of a peer may be expected to take")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for attention.json and attention.html")
    parser.add_argument("--page", action="store_true", help="only draw attention.html anew from attention.json")
    args = parser.parse_args()
    if args.quick:
        args.tokens, args.head_dims, args.masks = "2048", "64", "causal,window + sink,random 10%"
    args.masks, args.methods = args.masks.split(","), args.methods.split(",")
    args.tokens, args.head_dims = [int(n) for n in args.tokens.split(",")], [int(n) for n in args.head_dims.split(",")]
    args.modes = args.modes.split(",")
    for name, names in [(n, MASKS) for n in args.masks] + [(m, METHODS) for m in args.methods]:
        if name not in names:
            parser.error(f"unknown name {name!r}: there are {', '.join(names)}")
    if any(n < 128 or n % 128 for n in args.tokens):
        parser.error("lengths are multiples of 128")
    return args


def child(command: list[str], limit: float, show: Any) -> tuple[list[dict[str, Any]], str]:
    """Its rows, and why there are no more of them, if that is so."""
    program = [sys.executable, HERE / "attention_child.py", *command]
    started = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(limit, started.kill)
    timer.start()
    complaints: list[str] = []
    listener = threading.Thread(target=lambda: complaints.extend(started.stderr or ()))
    listener.start()
    rows = []
    for line in started.stdout or ():
        if line.startswith("{"):
            rows.append(json.loads(line))
            show(rows[-1])
    started.wait()
    listener.join()
    late = not timer.is_alive()
    timer.cancel()
    if started.returncode == 0:
        return rows, ""
    if started.returncode == -signal.SIGKILL:
        return rows, f"not done in {limit:.0f} s" if late else "out of memory"  # the system ended it
    raise SystemExit(f"attention_child.py {' '.join(command)} failed:\n{''.join(complaints)[-2000:]}")


def too_slow(rows: list[dict[str, Any]], mode: str, tokens: int, head_dim: int, patience: float) -> dict[str, str]:
    """What of torch would take too long, as METHOD/MASK, and why: the time of prompts goes with the square of the length."""
    reasons = {}
    for row in rows:
        if (row["mode"], row["head_dim"]) != (mode, head_dim) or row["method"] not in ("sdpa_bias", "flex") or "ms" not in row:
            continue
        seconds = row["ms"] / 1e3
        expected = seconds * (tokens / row["tokens"]) ** (2 if mode == "prefill" else 1)
        if expected > patience:
            told = f"{seconds:.1f} s at {row['tokens']} tokens, so some {expected:.0f} s here"
            reasons[f"{row['method']}/{row['mask']}"] = told
    return reasons


def measure(args: argparse.Namespace) -> dict[str, Any]:
    start, gigabytes = time.monotonic(), args.gigabytes or available_gigabytes()
    least = 0.05 if args.quick else 0.3
    report: dict[str, Any] = {
        "command": " ".join(["python", "python/bench/attention.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "rows": [],
    }
    settings = [(mode, n, d) for mode in args.modes for n in args.tokens for d in args.head_dims]
    for number, (mode, tokens, head_dim) in enumerate(settings, 1):

        def show(row: dict[str, Any], number: int = number) -> None:
            told = f"{row['ms']:.3g} ms" if "ms" in row else row["failed"]
            where = f"{row['mode']} {row['tokens']} x {row['head_dim']}"
            print(f"[{number}/{len(settings)}] {time.monotonic() - start:4.0f} s  {where}  {row['mask']}, {row['method']}: {told}",
                  file=sys.stderr, flush=True)  # fmt: skip

        has_flex = args.all or args.quick or (head_dim == 64 or tokens == 16384 if mode == "prefill" else tokens >= 65536)
        methods = [m for m in args.methods if m != "flex" or has_flex]
        masks = [DENSE, *(m for m in args.masks if mode == "decode" or m != "random 5%")]
        left_out = json.dumps(too_slow(report["rows"], mode, tokens, head_dim, args.patience))
        command = [mode, str(tokens), str(head_dim), ",".join(masks), ",".join(methods), f"{least:g}", str(gigabytes), left_out]
        rows, failed = child(command, 1200, show)
        report["rows"] += [{**row, "command": " ".join(["python", "python/bench/attention_child.py", *map(repr, command)])} for row in rows]
        about = {"tokens": tokens, "head_dim": head_dim, "mode": mode}
        if failed:
            report["rows"].append({**about, "mask": masks[-1], "method": "roarmask", "failed": failed})
        if "flex" in args.methods and not has_flex:
            report["rows"] += [{**about, "mask": mask, "method": "flex", "failed": LEFT_OUT} for mask in masks[1:]]
    if "prefill" in args.modes:
        command = ["memory", str(args.tokens[-1]), str(args.head_dims[0]), "window + sink", "-", "0", "0", "{}"]
        report["memory"] = child(command, 600, lambda row: None)[0]
    return report


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    told, drawn = args.out / "attention.json", args.out / "attention.html"
    if args.page:
        report = json.loads(told.read_text())
    else:
        report = measure(args)
        told.write_text(json.dumps(report, indent=1))
    drawn.write_text(attention_page.draw(report))
    print(f"{told} and {drawn}", file=sys.stderr)


if __name__ == "__main__":
    main()
