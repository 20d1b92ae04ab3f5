# SPDX-License-Identifier: Apache-2.0
"""Fidelity on a small random model: masked attention against torch's with the mask written out, and the figures of the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from roarmask import Mask, fidelity
from roarmask._checkpoint import load, plain_attention, tokens_of
from roarmask.policies import streaming, topk_blocks

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("count", [50, 1])
def test_attend(monkeypatch: pytest.MonkeyPatch, kernel: bool, count: int) -> None:
    if kernel:
        pytest.importorskip("roarmask._attention")
    monkeypatch.setattr(fidelity, "kernel_is_there", lambda: kernel)
    rng = np.random.default_rng(1)
    query, key, value = (torch.from_numpy(rng.standard_normal((h, n, 16), np.float32)) for h, n in ((4, count), (2, 50), (2, 50)))
    square = [Mask.parse(f"causal & (sink(1) | window({w}))", 7) for w in (1, 2, 3, 7)]
    masks = square if count > 1 else [mask[6:] for mask in square]
    got = fidelity.attend(query, key, value, masks, 8, 0.2, None)
    for head in range(4):
        for i in range(count):
            position = 50 - count + i
            seen = [j for j in range(position + 1) if (position // 8, j // 8) in square[head]]
            scores = [0.2 * float(query[head, i] @ key[head // 2, j]) for j in seen]
            powers = [math.exp(s - max(scores)) for s in scores]
            want = sum(p * value[head // 2, j] for p, j in zip(powers, seen, strict=True)) / sum(powers)
            torch.testing.assert_close(got[head, i], want, atol=1e-5, rtol=1e-4)


def test_all_blocks_are_dense(small_model: dict[str, Path]) -> None:
    """A policy that reads all blocks changes nothing: perplexity, tokens, and a model's own sliding window stay."""
    transformers = pytest.importorskip("transformers")
    model, tokenizer = load(small_model["model"])
    ids = tokens_of(tokenizer, small_model["one"], 160)
    with torch.inference_mode():
        plain = transformers.AutoModelForCausalLM.from_pretrained(small_model["model"], attn_implementation="eager").eval()
        want = float(plain(ids, labels=ids).loss)
        greedy = plain.generate(ids[:, :40], max_new_tokens=20, do_sample=False, min_new_tokens=20)[0, 40:].tolist()
    for maker in (None, lambda _layer, _head: topk_blocks(16)):
        loss, _ = fidelity.read_text(model, ids, fidelity.Masked(maker, 1.0, 16))
        assert loss == pytest.approx(want, abs=2e-4)
        assert fidelity.generate(model, ids[:, :40], 20, fidelity.Masked(maker, 1.0, 16)) == greedy


def test_masks_are_read(small_model: dict[str, Path]) -> None:
    """Fewer blocks are another perplexity: that of the same model whose attention gets the mask as a bias."""
    model, tokenizer = load(small_model["model"])
    ids = tokens_of(tokenizer, small_model["one"], 160)
    attention = fidelity.Masked(lambda _layer, _head: streaming(16), 2, 16)
    loss, _ = fidelity.read_text(model, ids, attention)
    mask = Mask.parse("causal & (sink(1) | window(1))", 10).refine(16)
    allowed = torch.from_numpy(mask.to_dense())[None]

    class Biased(fidelity.Masked):
        def __call__(self, layer, query, key, value, scale, window):  # type: ignore[no-untyped-def]
            return plain_attention(query, key, value, scale, window, allowed)

    want, _ = fidelity.read_text(model, ids, Biased(None, 1.0, 16))
    assert loss == pytest.approx(want, abs=1e-4)
    assert loss != pytest.approx(fidelity.read_text(model, ids, fidelity.Masked(None, 1.0, 16))[0], abs=1e-4)
    assert attention.cells / attention.causal == pytest.approx(19 / 55)


def test_command(small_model: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "f.json"
    arguments = [
        "--model",
        str(small_model["model"]),
        "--text",
        str(small_model["two"]),
        "--tokens",
        "160",
        "--block",
        "8",
        "--prompt",
        "60",
    ]
    more = ["--steps", "12", "--quiet", "--policies", "streaming,topp_blocks,heavy_hitters", "--budgets", "0.5,1.0", "-o", str(out)]
    assert fidelity.main([*arguments, *more]) == 0
    report = json.loads(out.read_text())
    runs = {(run["policy"], run["budget"]): run for run in report["runs"]}
    assert len(runs) == 7
    assert len(capsys.readouterr().out.splitlines()) == 8
    for (name, budget), run in runs.items():
        if name != "topp_blocks" and budget == 1.0:  # all blocks; the share of topp's estimate may leave out what rounds to nothing
            assert run["density"] == 1
            assert run["mass_kept"] == pytest.approx(1)
            assert run["identical"] == 1
            assert run["perplexity_ratio"] == pytest.approx(1, abs=1e-4)
        assert 0 < run["step_new"] <= run["step_read"] <= 1
    assert runs["streaming", 0.5]["mass_kept"] < 1
    assert runs["streaming", 0.5]["density"] < 1
    assert (tmp_path / "f.html").read_text().count("<polyline") == 15


@pytest.mark.parametrize(
    ("more", "told"), [(["--policies", "atlas"], "needs --atlas"), (["--policies", "topp_blocks", "--budgets", "3"], "share"),
                       (["--policies", "atlas", "--atlas", "missing.atlas"], "cannot read")]
)  # fmt: skip
def test_command_refuses(
    small_model: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    arguments = ["--model", str(small_model["model"]), "--text", str(small_model["two"]), "--tokens", "100", "--prompt", "60", "--quiet"]
    assert fidelity.main([*arguments, *more, "-o", str(tmp_path / "f.json")]) == 1
    assert told in capsys.readouterr().err
