# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, checks its answers, and draws a page that needs nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_quick_benchmark(tmp_path):
    for name in ("torch", "scipy", "pyroaring"):
        pytest.importorskip(name)
    ended = subprocess.run([sys.executable, BENCH, "--quick", "--out", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    report = json.loads((tmp_path / "python.json").read_text())
    methods = report["presets"]["seed"]["methods"]
    assert set(methods) == {"dense", "scipy", "pyroaring", "sets", "roarmask"}
    assert not any("failed" in result for result in methods.values())
    assert all(result["bytes"] > 0 and result["cells"] == methods["dense"]["cells"] for result in methods.values())
    assert 1e6 <= methods["dense"]["bytes"] < 1.2e6
    assert min(methods, key=lambda name: methods[name]["bytes"]) == "roarmask"
    assert set(report["context"]) == {"create_block_mask", "dense", "scipy", "pyroaring", "sets", "roarmask"}
    page = (tmp_path / "index.html").read_text()
    sources = re.findall(r"(?:src|href)=[\"']?([^\"'\s>]*)", page)
    assert sources
    assert all(source.startswith("data:") for source in sources), "the page is self-contained"
    assert "url(" not in page
    for result in [*methods.values(), *report["exporters"].values(), report["calls"]]:
        assert result["command"] in page


def test_attention_benchmark(tmp_path):
    """Without FlexAttention, whose compiler takes longer than all else."""
    pytest.importorskip("torch")
    pytest.importorskip("roarmask._attention")
    command = [sys.executable, BENCH / "attention.py", "--quick", "--methods", "sdpa,sdpa_bias,roarmask,roarmask_paged", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    report = json.loads((tmp_path / "attention.json").read_text())
    assert {"mask", "tokens", "head_dim", "mode", "method", "ms", "command"} <= set.intersection(*map(set, report["rows"]))
    assert all(row["ms"] > 0 and row["max_error"] < 1e-4 for row in report["rows"])
    found = {(row["mode"], row["mask"], row["method"]) for row in report["rows"]}
    for mode, methods in (("prefill", ["roarmask"]), ("decode", ["roarmask", "roarmask_paged"])):
        masks = ["causal", "window + sink", "random 10%"]
        assert {(mode, mask, method) for mask in masks for method in ["sdpa_bias", *methods]} <= found
        assert {(mode, "dense", method) for method in ["sdpa", *methods]} <= found
    assert report["memory"][0]["peak"] > 0
    page = (tmp_path / "attention.html").read_text()
    assert all(source.startswith("data:") for source in re.findall(r"(?:src|href)=[\"']?([^\"'\s>]*)", page)), "the page is self-contained"
    assert "url(" not in page
    subprocess.run([sys.executable, BENCH / "attention.py", "--page", "--out", tmp_path], capture_output=True, check=True)
    assert (tmp_path / "attention.html").read_text() == page


def test_unknown_names_are_refused(tmp_path):
    ended = subprocess.run([sys.executable, BENCH, "--preset", "2m", "--out", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "unknown name '2m'" in ended.stderr


def test_gpu_benchmark(tmp_path):
    """On the stand-in for a device, for the sake of the program; without one it measures nothing and succeeds."""
    pytest.importorskip("torch")
    stand_in = BENCH.parents[1] / "build/tests/cuda/libroarmask-cuda-host.so"
    command = [sys.executable, BENCH / "gpu.py", "--out", tmp_path, "--least", "0.001"]
    if not stand_in.exists():
        pytest.skip("build/tests/cuda/libroarmask-cuda-host.so is not there: make test builds it")
    environment = {**os.environ, "ROARMASK_CUDA_LIBRARY": str(stand_in)}
    ended = subprocess.run([*command, "--stand-in"], capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert {"card", "masks", "block_masks", "decode"} <= report.keys()
    sys.path.insert(0, str(BENCH))
    try:
        import page

        assert "On a GPU" in page.gpu_section(report)
    finally:
        sys.path.remove(str(BENCH))
    environment["ROARMASK_CUDA_LIBRARY"] = "/nowhere"
    ended = subprocess.run([*command, "--out", tmp_path / "none"], capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0
    assert "nothing is measured" in ended.stderr
    assert not (tmp_path / "none").exists()
