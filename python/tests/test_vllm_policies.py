# SPDX-License-Identifier: Apache-2.0
"""Policies in the real engine with the real model, in float32. Skipped where they are not installed: docs/vllm.md.

Of each engine two things are asked. The masks that it chose are those that the policies' definitions give on the same queries and keys
(vllm_recorder.py, in the worker). And its tokens' probabilities are those of plain PyTorch attention with these masks.
"""

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from test_vllm_engine import BLOCK_SIZE, MAX_TOKENS, TOLERANCE, oracle_of, prompts, pytestmark, run

__all__ = ["pytestmark"]  # what the tests are skipped for

BLOCK = 16
EVERY_POLICY = {
    "block": BLOCK,
    "default": "quest(6)",
    "layers": {
        "0": "dense",
        "1": "topk_blocks(5)",
        "2": ["window(2)", "quest(4)", "dense"],
        "3": "sink(1) | topp_blocks(0.5)",
        "4": "streaming(4)",
        "5": "vertical_slash(4)",
        "6": "xattention(0.6, stride=4) & window(20)",
        "7-9": "topp_blocks(0.6)",
        "10": "sampled_queries(0.7, every=3)",
        "14": "quest(0.2)",
    },
}


class Record:
    """What the worker wrote down: for each request its steps in order."""

    def __init__(self, path: Path) -> None:
        self.steps: dict[int, list[tuple[int, int, dict[int, Any]]]] = defaultdict(list)
        self.checked = self.wrong = 0
        with path.open("rb") as file:
            while file.peek(1):
                for request, layer, begin, end, rows, checked, wrong in pickle.load(file):
                    steps = self.steps[request]
                    if not steps or layer in steps[-1][2]:
                        steps.append((begin, end, {}))
                    assert steps[-1][:2] == (begin, end)
                    steps[-1][2][layer] = rows
                    self.checked, self.wrong = self.checked + checked, self.wrong + wrong


def check(model: str, masks: Any, asked: list[list[int]], results: Any, record: Record, prefix_of: dict[int, int], max_tokens: int) -> int:
    """Every token's probability; returns how often a request's cache was made again."""
    import torch

    import vllm_oracle
    from roarmask import Mask
    from roarmask.vllm.config import Config

    assert record.checked > 0
    assert record.wrong == 0
    oracle, config = oracle_of(model), Config.parse(masks)
    made = config.masks(oracle.config.num_hidden_layers, oracle.config.num_key_value_heads, max_tokens)
    seen: dict[int, list[Any]] = {}
    again = 0
    for number, (prompt, (tokens, of_prompt, of_output)) in enumerate(zip(asked, results, strict=True)):
        known = [*prompt, *tokens]
        side = torch.arange(len(known)) // BLOCK
        causal = torch.ones(len(known), len(known), dtype=torch.bool).tril()

        def blank(of_layer: Any, side: Any = side, causal: Any = causal) -> Any:
            """bool [KV heads, tokens, tokens], with the diagonal alone where masks are chosen."""
            if of_layer is None:
                return None
            dense = [mask.to_dense() if isinstance(mask, Mask) else None for mask in of_layer]
            own = torch.eye(len(side), dtype=torch.bool)
            return torch.stack([own if cells is None else torch.from_numpy(cells)[side][:, side] & causal for cells in dense])

        visible = [blank(of_layer) for of_layer in made]
        covered = 0
        emitted: dict[int, Any] = {}
        if number in prefix_of:  # what the cache had from another request was made with that one's masks
            covered = record.steps[number][0][0]
            for layer, of_other in enumerate(seen[prefix_of[number]]):
                if of_other is not None:
                    visible[layer][:, :covered, :covered] = of_other[:, :covered, :covered]
        else:
            assert record.steps[number][0][0] == 0
        pending: list[int] = []

        def settle(pending: list[int] = pending, visible: Any = visible, emitted: Any = emitted, known: Any = known) -> None:
            """What was given out so far, by the masks so far."""
            expected = vllm_oracle.log_probabilities_of(oracle, known, visible)
            emitted.update({position: expected[position] for position in pending})
            pending.clear()

        for begin, end, layers in record.steps[number]:
            if end > len(known):  # a step more than was asked for, which the engine had begun
                continue
            if begin < covered:
                again += 1
                settle()
            covered = end
            for layer, rows in layers.items():
                of_tokens = torch.from_numpy(rows)[:, side[begin:end] - begin // BLOCK][:, :, side[:end]]
                visible[layer][:, begin:end] = False
                visible[layer][:, begin:end, :end] = of_tokens & causal[begin:end, :end]
            if end >= len(prompt) and end - 1 not in emitted and end - 1 not in pending:
                pending.append(end - 1)
            if of_prompt:
                pending.extend(range(begin, min(end, len(prompt) - 1)))
        settle()
        seen[number] = visible
        for i, logprob in enumerate(of_prompt):
            assert abs(emitted[i][prompt[i + 1]] - logprob) < TOLERANCE
        for i, (token, logprob) in enumerate(zip(tokens, of_output, strict=True)):
            row = emitted[len(prompt) - 1 + i]
            assert abs(row[token] - logprob) < TOLERANCE
            assert row[token] > row.max() - TOLERANCE
    return again


@pytest.fixture
def record_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROARMASK_TEST_RECORD", str(tmp_path / "record"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    return tmp_path / "record"


def policy_run(*arguments: Any, **settings: Any) -> Any:
    return run(*arguments, **settings, worker_extension_cls="vllm_recorder.Recorder")


def metric(metrics: str, name: str, layer: int) -> float:
    return next(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(f'roarmask:{name}{{layer="{layer}"}}'))


@pytest.mark.smoke
def test_prompts_in_chunks_and_decoding(model: str, record_path: Path) -> None:
    asked = prompts(model, [5, 33, 200, 500])
    results, _, metrics = policy_run(model, EVERY_POLICY, [asked], 24, prompt_logprobs=True, enable_prefix_caching=False)
    record = Record(record_path)
    assert check(model, EVERY_POLICY, asked, results, record, {}, MAX_TOKENS) == 0
    # The counters, from the same record: layer 20 is quest(6).
    steps = [(begin, end, layers[20]) for of_request in record.steps.values() for begin, end, layers in of_request]
    share = BLOCK / BLOCK_SIZE
    read = sum(int(rows.sum()) for _, _, rows in steps)
    held = sum(3 * sum(range(begin // BLOCK + 1, (end - 1) // BLOCK + 2)) for begin, end, _ in steps)
    assert metric(metrics, "kv_blocks_read_total", 20) == pytest.approx(read * share)
    assert metric(metrics, "kv_blocks_held_total", 20) == pytest.approx(held * share)
    assert metric(metrics, "density", 20) == pytest.approx(read / held)
    decodes = [rows for begin, end, rows in steps if end - begin == 1]
    decoded = sum(int(rows.sum()) for rows in decodes) * share
    assert metric(metrics, "decode_blocks_read_total", 20) == pytest.approx(decoded)
    assert 0 < metric(metrics, "decode_blocks_new_total", 20) < decoded / 2
    assert metric(metrics, "choosing_seconds_total", 20) > 0


def test_prefix_caching(model: str, record_path: Path) -> None:
    masks = {"block": BLOCK_SIZE, "default": "quest(3)", "layers": {"1": "topp_blocks(0.5)"}}
    asked = prompts(model, [96, 330, 500])
    again = [[*prompt, *prompt[:40]] for prompt in asked]
    # The second round's prompts have the first round's as prefixes.
    results, _, _ = policy_run(model, {**masks, "block": BLOCK}, [asked, again], 16, enable_prefix_caching=True)
    record = Record(record_path)
    assert all(record.steps[i][0][0] > 0 for i in (3, 4, 5))
    assert check(model, {**masks, "block": BLOCK}, asked + again, results, record, {3: 0, 4: 1, 5: 2}, MAX_TOKENS) == 0


def test_preemption(model: str, record_path: Path) -> None:
    masks = {"block": BLOCK, "default": "sink(1) | quest(3)", "layers": {"0-1": "dense", "8,14": "quest(4)"}}
    asked = prompts(model, [150, 140, 158, 131, 145, 152])
    # 40 blocks hold these six, and not what they become.
    results, preemptions, _ = policy_run(
        model, masks, [asked], 60, enable_prefix_caching=False, num_gpu_blocks_override=36, max_model_len=1024, max_num_seqs=6
    )
    assert preemptions > 0
    assert check(model, masks, asked, results, Record(record_path), {}, 1024) > 0


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"block": 24, "default": "quest(4)"}, "policies need blocks of the cache, which have 32 tokens, that are made of whole blocks of"),
        ({"default": "heavy_hitters(4)"}, "roaring attention masks: default: 'heavy_hitters(4)': it adds up the attention of all earlier"),
    ],
)
def test_refuses_at_start(model: str, masks: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as error:
        run(model, masks, [], 1)
    assert message in str(error.value)
