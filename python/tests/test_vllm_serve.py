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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# With them comes what says why these tests are skipped.
from test_vllm_engine import BLOCK_SIZE, model, prompts, pytestmark  # noqa: F401

SECONDS = float(os.environ.get("ROARMASK_SOAK_SECONDS", "20"))
MASKS = f"""
block = {BLOCK_SIZE}
default = "sink(1) | window(3)"
[layers]
"0" = "dense"
"1" = ["dense", "window(2)", "sink(2) | window(2)"]
"""


class Server:
    def __init__(self, folder: str, work: Path, flag: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.log = work / "log"
        sizes = ["--max-model-len", "2048", "--block-size", str(BLOCK_SIZE), "--kv-cache-memory-bytes", "300000000", "--max-num-seqs", "6"]
        command = [sys.executable, "-m", "roarmask_vllm", "serve", folder, "--served-model-name", "m"]
        command += ["--dtype", "float32", "--enforce-eager"]
        # Loopback only.
        command += ["--host", "127.0.0.1", "--port", str(self.port), *sizes, flag]
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

    def answer(self, prompt: list[int]) -> str:
        status, body = self.request("POST", "/v1/completions", {"model": "m", "prompt": prompt, "max_tokens": 12, "temperature": 0})
        assert status == 200, body
        return str(json.loads(body)["choices"][0]["text"])

    def cancel(self, prompt: list[int]) -> None:
        """Asks for a stream and hangs up after its first bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        body = {"model": "m", "prompt": prompt, "max_tokens": 500, "temperature": 0, "stream": True}
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read(10)
        connection.close()

    def resident(self) -> int:
        """Bytes of the server's processes."""
        import psutil

        server = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in [server, *server.children(recursive=True)])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: F811
    work = tmp_path_factory.mktemp("serve")
    (work / "masks.toml").write_text(MASKS)
    started = Server(model, work, f"--use-roaring-attention-masks={work / 'masks.toml'}")
    try:
        for _ in range(600):
            if started.process.poll() is not None or started.is_ready():
                break
            time.sleep(0.5)
        assert started.process.poll() is None, started.log.read_text()[-4000:]
        yield started
    finally:
        started.stop()


def metrics(server: Server) -> dict[str, float]:
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith("roarmask:"))}


def test_metrics_and_log_tell_what_was_read(server: Server, model: str) -> None:  # noqa: F811
    before = metrics(server)
    assert before['roarmask:masked{layer="0"}'] == 0
    assert before['roarmask:density{layer="0"}'] == 1
    assert before['roarmask:masked{layer="2"}'] == 1
    assert 0 < before['roarmask:density{layer="2"}'] < 0.2
    assert before['roarmask:mask_bytes{layer="2"}'] > 0
    server.answer(prompts(model, [640])[0])
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


def test_mixed_load(server: Server, model: str) -> None:  # noqa: F811
    asked = prompts(model, [3, 31, 64, 200, 450, 900])
    expected = [server.answer(prompt) for prompt in asked]
    malformed: list[Any] = [b"{", b"\xff\x00", {"model": "m", "prompt": [10**9]}, {"model": "m", "max_tokens": -1}]
    malformed.append({"model": "m", "prompt": [1] * 5000})
    failures: list[str] = []
    counts = [0, 0, 0]
    end = time.monotonic() + SECONDS

    def load(seed: int) -> None:
        draw = random.Random(seed)
        try:
            while time.monotonic() < end:
                kind, which = draw.choice([0, 0, 1, 2]), draw.randrange(len(asked))
                counts[kind] += 1
                if kind == 0:
                    assert server.answer(asked[which]) == expected[which]
                elif kind == 1:
                    server.cancel(asked[which])
                else:
                    assert 400 <= server.request("POST", "/v1/completions", draw.choice(malformed))[0] < 500
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")

    resident = []
    for _ in range(2):
        # The first half may still grow: pools that fill for the first time.
        end = time.monotonic() + SECONDS / 2
        threads = [threading.Thread(target=load, args=(seed,)) for seed in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        resident.append(server.resident())
    assert not failures
    assert min(counts) > 0
    assert server.process.poll() is None
    assert [server.answer(prompt) for prompt in asked] == expected
    assert resident[1] < resident[0] + 100e6
    assert "Roaring attention masks: read " in server.log.read_text()


def test_a_mask_that_does_not_parse_ends_the_start(model: str, tmp_path: Path) -> None:  # noqa: F811
    server = Server(model, tmp_path, "--use-roaring-attention-masks=window(")
    try:
        assert server.process.wait(timeout=300) != 0
    finally:
        server.stop()
    assert "roaring attention masks: default: " in server.log.read_text()
