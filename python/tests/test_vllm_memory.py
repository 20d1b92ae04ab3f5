# SPDX-License-Identifier: Apache-2.0
"""Memory in use after many requests: with masks it grows as it does without, for which vLLM alone is answerable.

Both engines get the same requests, of ever new lengths, in one process each. What malloc has handed out is compared, which does not
depend on how pages are kept.
"""

import ctypes
import gc
import json
import os
import random
import subprocess
import sys
from typing import Any

from test_vllm_engine import BLOCK_SIZE, pytestmark  # noqa: F401

WARM, ROUNDS, REQUESTS = 8, 20, 3
MOST = 5e5  # bytes more than without masks, after more than 100 steps
MASKS: dict[str, Any] = {
    "block": BLOCK_SIZE,
    "default": "sink(1) | window(5)",
    "layers": {"0": "dense", "1": ["dense", "window(2)", "sink(2) | window(2)"], "2-9": "quest(3)"},
}


class MallInfo(ctypes.Structure):
    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names)


def in_use() -> int:
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = MallInfo
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


def serve(folder: str, masks: Any) -> int:
    """Bytes by which the engine grows between the first rounds and the last."""
    from vllm import LLM, SamplingParams

    more = {} if masks is None else {"additional_config": {"roarmask": masks}}
    llm = LLM(
        folder, dtype="float32", enforce_eager=True, max_model_len=1024, block_size=BLOCK_SIZE, kv_cache_memory_bytes=100_000_000,
        max_num_seqs=REQUESTS, **more,
    )  # fmt: skip
    draw = random.Random(1)
    parameters = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True)
    begin = 0
    for number in range(ROUNDS):
        lengths = [draw.randrange(3, 700) for _ in range(REQUESTS)]
        prompts = [{"prompt_token_ids": [draw.randrange(1, 40000) for _ in range(length)]} for length in lengths]
        llm.generate(prompts, parameters, use_tqdm=False)
        if number == WARM - 1:
            gc.collect()
            begin = in_use()
    gc.collect()
    return in_use() - begin


def grown(folder: str, masks: Any) -> int:
    settings = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    settings["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    command = [sys.executable, __file__, folder, json.dumps(masks)]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith("GROWN ")]
    if not lines:
        raise RuntimeError(done.stdout[-4000:] + done.stderr[-8000:])
    return int(lines[0].removeprefix("GROWN "))


def test_masks_add_nothing_to_what_grows(model: str) -> None:
    without, with_masks = grown(model, None), grown(model, MASKS)
    requests = REQUESTS * (ROUNDS - WARM)
    print(f"in use after {requests} requests: {without / 1e6:+.2f} MB without masks, {with_masks / 1e6:+.2f} MB with them")
    assert with_masks - without < MOST


if __name__ == "__main__":
    print("GROWN", serve(sys.argv[1], json.loads(sys.argv[2])), flush=True)
