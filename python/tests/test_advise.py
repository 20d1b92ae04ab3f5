# SPDX-License-Identifier: Apache-2.0
"""Formulas against exhaustive search, and advice against exhaustive measurement."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from roarmask import Atlas, Mask
from roarmask.advise import KINDS, Advice, AdviceError, Bench, Cost, advise, choose, config_text, formula_of, main, of_kv_heads, totals


@pytest.mark.parametrize(
    "expression",
    ["causal", "causal & sink(2)", "causal & window(3)", "causal & (sink(1) | window(4))", "causal & (columns(0,7) | diagonals(0,5))",
     "causal & (sink(2) | columns(9) | window(2) | diagonals(6,11))"],
)  # fmt: skip
def test_formulas_are_found(expression: str) -> None:
    mask = Mask.parse(expression, 24)
    found = formula_of(mask)
    assert found is not None
    assert found[1]
    assert Mask.parse(found[0], 24) == mask


@pytest.mark.parametrize("seed", range(8))
def test_the_smallest_sink_and_window(seed: int) -> None:
    mask = Mask.parse(f"(causal & random(0.1, seed={seed})) | diagonals(0)", 20)
    found = formula_of(mask)
    assert found is not None
    assert not found[1]
    cover = Mask.parse(found[0], 20)
    assert mask <= cover
    all_covers = (Mask.parse(f"causal & (sink({s}) | window({w}))", 20) for s in range(21) for w in range(21))
    assert cover.nnz == min(one.nnz for one in all_covers if mask <= one)


def test_no_formula() -> None:
    assert formula_of(Mask.parse("full", 8)) is None
    assert formula_of(Mask.parse("causal", 8, 9)) is None
    assert formula_of(Mask.parse("none", 8)) is None


def test_choice() -> None:
    assert choose({"dense": Cost(0, 10), "formula": Cost(184, 5.1), "roarmask": Cost(900, 5.0), "indices": Cost(4000, 4.9)}) == "formula"
    assert choose({"dense": Cost(0, 10), "formula": Cost(184, 9), "roarmask": Cost(900, 5.0), "indices": Cost(4000, 4.9)}) == "roarmask"
    assert choose({"dense": Cost(0, 10), "roarmask": Cost(900, 10.2), "indices": Cost(4000, 9.8)}) == "dense"
    assert choose({"dense": Cost(0, 10), "roarmask": Cost(900, 6.0), "indices": Cost(4000, 5.0)}) == "indices"


def test_groups() -> None:
    masks = [Mask.parse(f"causal & window({w})", 8) for w in (1, 4, 2, 3)]
    united = of_kv_heads(Atlas([masks, [masks[0], None, masks[1], masks[0]]]), 2)
    assert (united[0, 0], united[0, 1], united[1, 0], united[1, 1]) == (masks[1], masks[3], None, masks[1])
    with pytest.raises(AdviceError):
        of_kv_heads(united, 3)


def an_atlas(side: int) -> Atlas:
    window = Mask.parse("causal & (sink(1) | window(6))", side)
    scattered = Mask.parse("(causal & random(0.04, seed=3)) | diagonals(0)", side)
    nearly_all = Mask.parse("causal - (random(0.01, seed=4) - diagonals(0))", side)
    return Atlas([[window, scattered], [nearly_all, None]], note=json.dumps({"block": 16, "heads": 2, "kv_heads": 2, "head_dim": 32}))


def test_advice_is_what_is_measured() -> None:
    """Each way is measured once more for every entry: what was advised is no slower than the best, but for noise."""
    pytest.importorskip("roarmask._attention")
    atlas = an_atlas(256)
    advice, even = advise(atlas, 16, 32, 2)
    assert 0.2 < even <= 1
    assert [(one.layer, one.head) for one in advice] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    bench = Bench(256, 16, 32, 2, rounds=25)
    for one in advice:
        mask = atlas[one.layer, one.head]
        if mask is None:
            assert one.choice == "dense"
            continue
        assert one.formula is not None
        times = bench.times(bench.candidates(Mask.parse(one.formula, 256), mask))
        assert set(times) == set(one.costs) == set(KINDS)
        assert times[one.choice] <= 2 * min(times.values())
        assert one.costs["roarmask"].bytes == mask.nbytes
        assert one.costs["indices"].bytes == 8 * 257 + 4 * mask.nnz
        assert one.density == pytest.approx(mask.nnz / (256 * 257 / 2))
    assert advice[0].choice != "dense"
    assert advice[1].choice in ("roarmask", "indices")
    sums = totals(advice)
    assert sums["advice"].us == pytest.approx(sum(one.costs[one.choice].us for one in advice))
    assert sums["advice"].us <= 1.25 * min(sums[kind].us for kind in KINDS)


def test_the_ways_compute_the_same() -> None:
    """Reading a mask's pages through the mask and through their indices is the same attention, which dense is not."""
    pytest.importorskip("roarmask._attention")
    mask = an_atlas(64)[0, 1]
    assert mask is not None
    bench = Bench(64, 16, 32, 3)
    for row in bench.rows:
        outputs = {}
        for name, way in bench.candidates(mask, mask).items():
            way(row)
            outputs[name] = bench.out.copy()
        np.testing.assert_allclose(outputs["roarmask"], outputs["indices"], atol=1e-5)
        np.testing.assert_allclose(outputs["roarmask"], outputs["formula"], atol=1e-5)
        assert np.abs(outputs["roarmask"] - outputs["dense"]).max() > 1e-3


def test_configuration() -> None:
    cost = Cost(0, 1.0)
    choices = [("dense", None), ("dense", None), ("formula", "causal & window(3)"), ("roarmask", None), ("indices", None), ("dense", None)]
    advice = [Advice(i // 2, i % 2, 0.5, choice, formula, False, {choice: cost}) for i, (choice, formula) in enumerate(choices)]
    text = config_text(advice, 'a "b".atlas', 32)
    assert tomllib.loads(text) == {
        "block": 32,
        "atlas": 'a "b".atlas',
        "default": "dense",
        "layers": {"0": "dense", "1": ["causal & window(3)", "atlas(1, 1)"], "2": ["atlas(2, 0)", "dense"]},
    }


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin reads what the command writes, and gets the masks of the atlas."""
    pytest.importorskip("roarmask._attention")
    from roarmask.vllm.config import Config

    atlas = an_atlas(64)
    atlas.save(tmp_path / "a.atlas")
    assert main([str(tmp_path / "a.atlas"), "-o", str(tmp_path / "c.toml"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "break-even" in told
    assert len([line for line in told.splitlines() if line.lstrip()[:1].isdigit()]) == 4
    figures = json.loads((tmp_path / "c.json").read_text())
    assert [one["layer"] for one in figures["advice"]] == [0, 0, 1, 1]
    masks = Config.parse(str(tmp_path / "c.toml")).masks(2, 2, 64 * 16)
    for one in figures["advice"]:
        layer = masks[one["layer"]]
        mask = None if layer is None else layer[one["head"]]
        if one["choice"] in ("roarmask", "indices"):
            assert mask == atlas[one["layer"], one["head"]]
        elif one["choice"] == "formula":
            assert mask == Mask.parse(one["formula"], 64)


def test_a_policy_written_by_hand_into_what_the_command_wrote(tmp_path: Path) -> None:
    """As docs/advise.md shows: in the place of a layer's entry, or of one KV head's."""
    pytest.importorskip("roarmask._attention")
    from roarmask.vllm.chosen import Bound, Chosen
    from roarmask.vllm.config import Config

    an_atlas(64).save(tmp_path / "a.atlas")
    assert main([str(tmp_path / "a.atlas"), "-o", str(tmp_path / "c.toml"), "--quiet"]) == 0
    lines = (tmp_path / "c.toml").read_text().splitlines()
    assert sum(line.startswith('"1" = ') for line in lines) == 1
    edited = ['"1" = ["atlas(0, 0)", "sink(1) | quest(0.3)"]' if line.startswith('"1" = ') else line for line in lines]
    (tmp_path / "c.toml").write_text("\n".join(edited))
    config = Config.parse(str(tmp_path / "c.toml"))
    _, (fixed, how) = config.masks(2, 2, 64 * 16)  # type: ignore[misc]
    assert fixed == an_atlas(64)[0, 0]
    assert isinstance(how, Chosen)
    (sink,), (quest,) = how.terms
    assert isinstance(sink, Mask)
    assert isinstance(quest, Bound)
    assert quest.budget == 0.3
    assert quest.policy.block == config.block == 16


@pytest.mark.parametrize("arguments", [["missing.atlas"], ["{}", "--kv-heads", "3"], ["{}", "--block", "32"]])
def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    an_atlas(16).save(tmp_path / "a.atlas")
    assert main([one.format(tmp_path / "a.atlas") for one in arguments]) == 1
    assert capsys.readouterr().err.startswith("roarmask: ")


@pytest.mark.parametrize("name", ["advise", "fidelity", "profile", "model"])
def test_the_package_s_command_knows_it(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", "roarmask", name, "--help"], capture_output=True, text=True, check=True)
    assert f"python -m roarmask.{name}" in done.stdout
