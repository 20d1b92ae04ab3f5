# SPDX-License-Identifier: Apache-2.0
"""What the installed plugin costs a server that nobody asked for masks: engines with it and without any plugin, in turns.

    python python/bench/vllm_idle.py --model models/smollm2

Each engine is a process of its own; the spread of the ratios of the pairs is that of the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

KINDS = ("installed", "none")


def answer_prompts(folder: str) -> None:
    """Prints the seconds that an engine takes to start, and for each of a few batches of prompts."""
    from vllm import LLM, SamplingParams

    begin = time.perf_counter()
    llm = LLM(
        folder, dtype="float32", enforce_eager=True, max_model_len=1024, block_size=32, kv_cache_memory_bytes=200_000_000, max_num_seqs=4
    )  # fmt: skip
    start = time.perf_counter() - begin
    parameters = SamplingParams(temperature=0, max_tokens=32, ignore_eos=True)
    seconds, tokens = [], []
    for batch in range(6):
        prompts = [{"prompt_token_ids": [(37 * i + 11 * number + batch) % 40000 + 1 for i in range(400)]} for number in range(4)]
        begin = time.perf_counter()
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        seconds.append(time.perf_counter() - begin)
        tokens.append([list(output.outputs[0].token_ids) for output in outputs])
    print("ANSWERED", json.dumps({"start": start, "batches": seconds[1:], "tokens": tokens}), flush=True)


def run(kind: str, folder: str) -> dict[str, list[float]]:
    settings = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    if kind == "none":
        settings["VLLM_PLUGINS"] = ""
    command = [sys.executable, __file__, "--model", folder, "--answer"]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERED ")]
    if not lines:
        raise SystemExit(f"vllm_idle: an engine ended early: {done.stderr[-2000:]}")
    return json.loads(lines[0].removeprefix("ANSWERED "))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of the checkpoint")
    parser.add_argument("--pairs", type=int, default=5, help="engines of each kind (5)")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not (Path(arguments.model) / "config.json").exists():
        parser.error(f"{arguments.model} is no checkpoint: it has no config.json (python -m roarmask.model --out FOLDER makes one)")
    if arguments.pairs < 1:
        parser.error("--pairs is at least 1")
    if arguments.answer:
        answer_prompts(arguments.model)
        return
    runs: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in KINDS}
    for number in range(arguments.pairs):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            print(f"pair {number + 1} of {arguments.pairs}: plugin {kind}", file=sys.stderr, flush=True)
            runs[kind].append(run(kind, arguments.model))
    if any(one["tokens"] != runs["none"][0]["tokens"] for kind in KINDS for one in runs[kind]):
        raise SystemExit("vllm_idle: the tokens differ")
    medians = {kind: [statistics.median(one["batches"]) for one in runs[kind]] for kind in KINDS}
    for kind in KINDS:
        print(f"plugin {kind:10} start {spread([one['start'] for one in runs[kind]])}, four prompts {spread(medians[kind])}")
    pairs = [one / other for one, other in zip(medians["installed"], medians["none"], strict=True)]
    print(f"installed over none, pair by pair: median {statistics.median(pairs):.3f} ({min(pairs):.3f} to {max(pairs):.3f})")


if __name__ == "__main__":
    main()
