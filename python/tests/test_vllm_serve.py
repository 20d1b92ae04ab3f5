# SPDX-License-Identifier: Apache-2.0
"""`serve` with the flag, as a user runs it: answers, /metrics, the log, mixed load with cancelled and malformed requests.

ROARMASK_SOAK_SECONDS is how long the load goes on, 20 unless given.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# With them comes what says why these tests are skipped.
from test_vllm_engine import BLOCK_SIZE, check_against_oracle, prompts, pytestmark  # noqa: F401

SECONDS = float(os.environ.get("ROARMASK_SOAK_SECONDS", "20"))
TOKENS = 40  # of an answer: more than a block of the cache, so that some do not find the next one free
PARTS = 10  # after each, memory is looked at
MASKS = f"""
block = {BLOCK_SIZE}
default = "sink(1) | window(3)"
[layers]
"0" = "dense"
"1" = ["dense", "window(2)", "sink(2) | window(2)"]
"""


class Server:
    def __init__(self, folder: str, work: Path, *flags: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.log = work / "log"
        # Of the longest requests two do not fit in at once: some are preempted.
        sizes = ["--max-model-len", "2048", "--block-size", str(BLOCK_SIZE), "--kv-cache-memory-bytes", "100000000", "--max-num-seqs", "6"]
        command = [sys.executable, "-m", "roarmask_vllm", "serve", folder, "--served-model-name", "m"]
        command += ["--dtype", "float32", "--enforce-eager"]
        # Loopback only.
        command += ["--host", "127.0.0.1", "--port", str(self.port), *sizes, *flags]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_LOG_STATS_INTERVAL": "2"}
        environment.setdefault("OMP_NUM_THREADS", "1")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/health")[0] == 200
        except OSError:
            return False

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def answer(self, prompt: list[int], tokens: int, **more: Any) -> Any:
        """The one choice of so many greedy tokens."""
        body = {
            "model": "m",
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "return_token_ids": True,
            **more,
        }
        status, answer = self.request("POST", "/v1/completions", body)
        assert status == 200, answer
        return json.loads(answer)["choices"][0]

    def cancel(self, prompt: list[int], after: int) -> None:
        """Asks for a stream and hangs up after so many bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        body = {"model": "m", "prompt": prompt, "max_tokens": 500, "temperature": 0, "stream": True}
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read(after)
        connection.close()

    def resident(self) -> list[int]:
        """Bytes of each of the server's processes."""
        import psutil

        server = psutil.Process(self.process.pid)
        return [process.memory_info().rss for process in [server, *server.children(recursive=True)]]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    work = tmp_path_factory.mktemp("serve")
    (work / "masks.toml").write_text(MASKS)
    # Two API servers, whose /metrics is another than one's: test_vllm_engine.py and `make vllm` look at that.
    started = Server(model, work, f"--use-roaring-attention-masks={work / 'masks.toml'}", "--api-server-count", "2")
    try:
        for _ in range(600):
            if started.process.poll() is not None or started.is_ready():
                break
            time.sleep(0.5)
        assert started.process.poll() is None, started.log.read_text()[-4000:]
        yield started
    finally:
        started.stop()


def metrics(server: Server, prefix: str = "roarmask:") -> dict[str, float]:
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith(prefix))}


def test_metrics_and_log_tell_what_was_read(server: Server, model: str) -> None:
    before = metrics(server)
    assert before['roarmask:masked{layer="0"}'] == 0
    assert before['roarmask:density{layer="0"}'] == 1
    assert before['roarmask:masked{layer="2"}'] == 1
    assert 0 < before['roarmask:density{layer="2"}'] < 0.2
    assert before['roarmask:mask_bytes{layer="2"}'] > 0
    server.answer(prompts(model, [640])[0], 12)
    after = metrics(server)
    grown = {name: after[name] - before[name] for name in after}
    # 20 pieces of prefill, which have 1 to 20 blocks; of each the sink and three. Then eleven steps of decode at 21 blocks.
    assert grown['roarmask:kv_blocks_held_total{layer="2"}'] == 3 * (20 * 21 // 2 + 11 * 21)
    assert grown['roarmask:kv_blocks_read_total{layer="2"}'] == 3 * (1 + 2 + 3 + 17 * 4 + 11 * 4)
    assert grown['roarmask:kv_blocks_held_total{layer="0"}'] == 0
    assert grown['roarmask:attention_seconds_total{layer="2"}'] > 0
    assert grown['roarmask:mask_seconds_total{layer="2"}'] > 0
    log = server.log.read_text()
    assert "Roaring attention masks: 29 of 30 layers" in log


def test_mixed_load(server: Server, model: str) -> None:
    asked = prompts(model, [3, 31, 64, 200, 450, 900, 1300])
    known = [server.answer(prompt, TOKENS, logprobs=0) for prompt in asked]
    told = [(choice["token_ids"], [], choice["logprobs"]["token_logprobs"]) for choice in known]
    check_against_oracle(model, tomllib.loads(MASKS), asked, told)
    expected = [choice["token_ids"] for choice in known]
    malformed: list[Any] = [b"{", b"\xff\x00", {"model": "m", "prompt": [10**9]}, {"model": "m", "max_tokens": -1}]
    malformed.append({"model": "m", "prompt": [1] * 5000})
    failures: list[str] = []
    counts = [0, 0, 0]
    end = 0.0

    def load(seed: int) -> None:
        draw = random.Random(seed)
        try:
            while time.monotonic() < end and not failures:
                kind, which = draw.choice([0, 0, 1, 2]), draw.randrange(len(asked))
                if kind == 0:
                    assert server.answer(asked[which], TOKENS)["token_ids"] == expected[which]
                elif kind == 1:
                    server.cancel(asked[which], draw.choice([1, 2000, 20000]))
                else:
                    assert 400 <= server.request("POST", "/v1/completions", draw.choice(malformed))[0] < 500
                with lock:
                    counts[kind] += 1
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")

    lock, begin = threading.Lock(), time.monotonic()
    resident, at_half = [], 0
    for part in range(PARTS):
        end = begin + SECONDS * (part + 1) / PARTS
        threads = [threading.Thread(target=load, args=(PARTS * seed + part,)) for seed in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert server.process.poll() is None
        of_processes = server.resident()
        resident.append(sum(of_processes))
        if part < PARTS // 2:
            at_half = sum(counts)
        print(
            f"{time.monotonic() - begin:5.0f} s: {counts[0]} right answers, {counts[1]} cancelled, {counts[2]} refused, "
            f"{sum(metrics(server, 'vllm:num_preemptions_total').values()):.0f} preemptions, resident "
            f"{' + '.join(f'{size / 1e6:.1f}' for size in of_processes)} MB",
            flush=True,
        )
    assert min(counts) > 0
    assert [server.answer(prompt, TOKENS)["token_ids"] for prompt in asked] == expected
    # vLLM itself grows by some 0.4 MB a request on this load, with masks or without: docs/vllm.md.
    asked_for = sum(counts) - at_half
    assert resident[-1] < max(resident[: PARTS // 2]) + 100e6 + 0.5e6 * asked_for, resident
    assert "Roaring attention masks: read " in server.log.read_text()


@pytest.mark.smoke
def test_a_mask_that_does_not_parse_ends_the_start(model: str, tmp_path: Path) -> None:
    server = Server(model, tmp_path, "--use-roaring-attention-masks=window(")
    try:
        assert server.process.wait(timeout=300) != 0
    finally:
        server.stop()
    assert "roaring attention masks: default: " in server.log.read_text()


@pytest.mark.smoke
def test_help_shows_the_flag() -> None:
    """vLLM has found the plugin by its entry point, from its own command line."""
    command = [sys.executable, "-m", "roarmask_vllm", "serve", "--help=AttentionConfig"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    assert "--use-roaring-attention-masks [CONFIG]" in told
    assert "--attention-backend" in told
