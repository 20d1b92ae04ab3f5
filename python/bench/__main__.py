# SPDX-License-Identifier: Apache-2.0
"""`make bench-python`: roarmask beside what Python's users have today. Every figure comes from a process of its own (child.py), whose
command is kept with it. Writes report/python.json and report/index.html."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import page
from child import CONTEXT
from machine import available_gigabytes, machine
from methods import METHODS
from presets import BY_NAME, DEFAULT, PRESETS

HERE = Path(__file__).resolve().parent
LENGTHS = [1 << k for k in range(14, 21)]


class Runner:
    def __init__(self, least: float, gigabytes: int, patience: float, total: int) -> None:
        self.least, self.gigabytes, self.patience = least, gigabytes, patience
        self.done, self.total, self.start = 0, total, time.monotonic()

    def run(self, *what: str) -> dict[str, Any]:
        self.done += 1
        command = ["python", "python/bench/child.py", *what, f"{self.least:g}", str(self.gigabytes)]
        print(f"[{self.done}/{self.total}] {time.monotonic() - self.start:4.0f} s  {' '.join(what)}", file=sys.stderr, flush=True)
        try:
            ended = subprocess.run(
                [sys.executable, HERE / "child.py", *command[2:]], capture_output=True, text=True, timeout=self.patience, check=False
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done in {self.patience:.0f} s", "command": " ".join(command)}
        lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
        if ended.returncode < 0:
            result = {"failed": "out of memory"}  # the system ended it
        elif ended.returncode or not lines:
            raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr[-2000:]}")
        else:
            result = json.loads(lines[-1])
        return {**result, "command": " ".join(command)}

    def skip(self, why: dict[str, Any]) -> dict[str, Any]:
        self.done += 1
        return {"failed": why["failed"], "command": why["command"], "at": why.get("at")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python python/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: half a minute, for tests")
    known = ", ".join(p.name for p in PRESETS)
    parser.add_argument("--preset", default=",".join(DEFAULT), help=f"of {known}, or all (default: %(default)s)")
    parser.add_argument("--methods", default=",".join(METHODS), help="default: %(default)s")
    parser.add_argument("--max-tokens", type=int, default=LENGTHS[-1], help="longest context, from 16k on (default: %(default)s)")
    parser.add_argument("--gigabytes", type=int, default=0, help="most memory for a process (default: 16, or 80%% of what is free)")
    parser.add_argument("--patience", type=float, default=240, help="most seconds for a process (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for python.json and index.html (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="only draw index.html anew from python.json")
    args = parser.parse_args()
    if args.quick:
        args.preset, args.patience = "seed", 30
    args.names = [p.name for p in PRESETS] if args.preset == "all" else args.preset.split(",")
    args.methods = args.methods.split(",")
    for name, names in [(n, BY_NAME) for n in args.names] + [(m, METHODS) for m in args.methods]:
        if name not in names:
            parser.error(f"unknown name {name!r}: there are {', '.join(names)}")
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    lengths = [2048, 4096] if args.quick else [n for n in LENGTHS if n <= args.max_tokens]
    contexts = [name for name in CONTEXT if name in ("roarmask", "create_block_mask") or name in args.methods]
    exports = ["seed"] if args.quick else ["seed", "1m-structured", "1m"]
    runner = Runner(
        0.02 if args.quick else 0.3,
        args.gigabytes or available_gigabytes(),
        args.patience,
        1 + len(exports) + len(args.names) * len(args.methods) + len(contexts) * len(lengths),
    )
    report: dict[str, Any] = {
        "command": " ".join(["python", "python/bench", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "gigabytes": runner.gigabytes,
        "seconds": {"least": runner.least, "patience": runner.patience},
    }
    report["calls"] = runner.run("calls", "-", "-")
    report["exporters"] = {name: runner.run("exporters", name, "-") for name in exports}
    report["presets"] = {}
    for name in args.names:
        preset = BY_NAME[name]
        results = {method: runner.run("preset", name, method) for method in args.methods}
        report["presets"][name] = {"about": preset.about, "side": preset.side, "expression": preset.expression, "methods": results}
    report["context"] = {}
    for method in contexts:
        results = {}
        failed = None
        for tokens in lengths:
            # What does not fit once will not fit at twice the length.
            result = runner.skip(failed) if failed else runner.run("context", str(tokens), method)
            if "failed" in result and not failed:
                failed = {**result, "at": tokens}
            results[str(tokens)] = result
        report["context"][method] = results
    return report


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    told = args.out / "python.json"
    if args.page:
        report = json.loads(told.read_text())
    else:
        report = measure(args)
        told.write_text(json.dumps(report, indent=1))
    gpu = args.out / "gpu.json"  # of gpu.py
    (args.out / "index.html").write_text(page.draw(report, json.loads(gpu.read_text()) if gpu.exists() else None))
    print(f"{told} and {args.out / 'index.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()
