# SPDX-License-Identifier: Apache-2.0
"""What the vLLM plugin's users write, without vLLM."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roarmask import Atlas, Mask
from roarmask.vllm.config import Config, ConfigError

SIDE = 20


def expected(expression: str, side: int = SIDE) -> Mask:
    return (Mask.parse(expression, side) & Mask.parse("causal", side)) | Mask.parse("diagonals(0)", side)


def layers(value: Any, num_layers: int = 3, heads: int = 2, tokens: int = SIDE * 16) -> Any:
    return Config.parse(value).masks(num_layers, heads, tokens)


@pytest.mark.parametrize("value", [None, True, "", {}])
def test_nothing_said_is_a_sink_and_a_window(value: Any) -> None:
    assert layers(value) == [(expected("sink(4) | window(64)"),) * 2] * 3


def test_an_expression_is_for_all_layers_and_made_once() -> None:
    made = layers("sink(1) | window(3)")
    assert made == [(expected("sink(1) | window(3)"),) * 2] * 3
    assert len({id(mask) for layer in made for mask in layer}) == 1


def test_masks_are_causal_and_have_the_own_block() -> None:
    ((mask, _),) = layers("full - diagonals(0)", num_layers=1)
    assert np.array_equal(mask.to_dense(), np.tri(SIDE, dtype=bool))
    ((mask, _),) = layers("none", num_layers=1)
    assert mask == Mask.parse("diagonals(0)", SIDE)


def test_grids_cover_the_longest_sequence() -> None:
    assert layers("window(2)", tokens=17)[0][0].shape == (2, 2)
    assert layers({"block": 32, "default": "window(2)"}, tokens=33)[0][0].shape == (2, 2)


def test_a_file_gives_each_layer_and_head_its_own(tmp_path: Path) -> None:
    atlas = Atlas([[Mask.parse(f"window({3 + layer + head})", 24) for head in range(2)] for layer in range(5)])
    atlas.save(tmp_path / "masks.atlas")
    (tmp_path / "masks.toml").write_text(
        """
        default = "sink(1)"
        atlas = "masks.atlas"
        decode = "table"
        [layers]
        "0,2" = "dense"
        "3" = ["dense", "window(2)"]
        "4-5" = "atlas"
        "5" = ["atlas(1, 1)", "dense"]
        """
    )
    made = layers(str(tmp_path / "masks.toml"), num_layers=6)
    causal = expected("causal")
    assert made[0] is made[2] is None
    assert made[1] == (expected("sink(1)"),) * 2
    assert made[3] == (causal, expected("window(2)"))
    assert made[4] == (expected("window(7)"), expected("window(8)"))
    assert made[5] == (expected("window(5)"), causal)
    # The same in JSON, and in the form in which it travels to the workers.
    config = Config.parse(str(tmp_path / "masks.toml"))
    assert config.decode == "table"
    assert Config.parse(json.loads(json.dumps(config.as_dict()))).masks(6, 2, SIDE * 16) == made
    assert Config.parse(json.dumps(config.as_dict())) == config
    (tmp_path / "masks.json").write_text(json.dumps({**config.as_dict(), "atlas": "masks.atlas"}))
    assert layers(str(tmp_path / "masks.json"), num_layers=6) == made


def test_an_atlas_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.atlas"
    Atlas([[Mask.parse("window(2)", SIDE), None], [None, None]]).save(path)
    assert layers(str(path), num_layers=2) == [(expected("window(2)"), expected("causal")), None]
    # One mask a layer is for all its heads.
    Atlas([[Mask.parse("window(2)", SIDE)]]).save(path)
    assert layers(str(path), num_layers=1, heads=3) == [(expected("window(2)"),) * 3]


def test_an_atlas_says_what_blocks_it_is_for(tmp_path: Path) -> None:
    path = str(tmp_path / "a.atlas")
    Atlas([[Mask.parse("window(2)", SIDE)] * 2] * 3, note='{"block": 32}').save(path)
    config = Config.parse(path)
    assert config.block == 32
    assert config.masks(3, 2, 32 * SIDE) == [(expected("window(2)"),) * 2] * 3
    with pytest.raises(ConfigError, match="made for blocks of 32 tokens, and `block` is 16"):
        layers({"default": "atlas", "atlas": path})
    for note in ("", "written by hand", "[32]", '{"block": "32"}'):
        Atlas([[Mask.parse("window(2)", SIDE)] * 2] * 3, note=note).save(path)
        assert Config.parse(path).block == 16


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("window(", "default: "),
        (7, "masks are an expression, a path or a table of settings, not int"),
        ('{"default": ', "this is no JSON: "),
        ({"windows": "sink(1)"}, "unknown setting 'windows'; there are block, default, atlas, layers, decode, prefill"),
        ({"block": 0}, "block is a number of tokens from 1 to 65536, not 0"),
        ({"block": True}, "block is a number of tokens"),
        ({"block": "16"}, "not '16'"),
        ({"decode": "fast"}, "decode is one of auto, table, kernel, not 'fast'"),
        ({"default": 3}, "default: a mask is an expression, 'atlas', 'atlas(LAYER, HEAD)', a policy or 'dense', not 3"),
        ({"default": "atlas"}, "default: 'atlas' needs `atlas`, the path of one"),
        ({"layers": ["dense"]}, "layers is a table"),
        ({"layers": {"x": "dense"}}, "layers 'x': layers are numbers and ranges, such as 0,4-7"),
        ({"layers": {"2-3": "dense"}}, "layers '2-3': the model has layers 0 to 2"),
        ({"layers": {"2-1": "dense"}}, "layers '2-1': the model has layers 0 to 2"),
        ({"layers": {"1": ["dense"]}}, "layer 1: 1 masks, and the model has 2 KV heads"),
        ({"layers": {"1": "no_such(1)"}}, "layer 1: "),
        ("missing.toml", "missing.toml: No such file or directory"),
        ("missing.atlas", "cannot open missing.atlas: No such file or directory"),
        ("quest", "default: 'quest': the policy quest is written with its budget, such as quest(0.5)"),
        ({"layers": {"1": "sink(1) | Quest(4"}}, "layer 1: 'sink(1) | Quest(4': the policy quest is written with its budget"),
        ("windw(4)", "default: unknown pattern 'windw' at position 0; expected one of full, "),
        ({"default": "atlas", "atlas": "missing.atlas"}, "missing.atlas: "),
    ],
)
def test_one_line_says_what_is_wrong(value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        layers(value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "small.atlas"
    Atlas([[Mask.parse("causal & window(2)", SIDE - 1)] * 3] * 3).save(path)
    for value, message in (
        (str(path), "covers 304 tokens, and the model's longest sequence has up to 320: set `block` or --max-model-len"),
        ({"block": 32, "default": "atlas", "atlas": str(path)}, "default: the atlas has 3 heads a layer, and the model 2 KV heads"),
        ({"block": 32, "default": "atlas(3, 0)", "atlas": str(path)}, "the atlas has 3 layers of 3 heads, and no entry (3, 0)"),
    ):
        with pytest.raises(ConfigError, match=r".*") as error:
            layers(value)
        assert message in str(error.value)
    Atlas([[Mask.parse("causal & window(2)", SIDE)] * 2] * 4).save(tmp_path / "longer.atlas")
    Atlas([[Mask.parse("causal & window(2)", SIDE)] * 2] * 2).save(tmp_path / "shorter.atlas")
    for name, number in (("longer", 4), ("shorter", 2)):
        for value in (str(tmp_path / f"{name}.atlas"), {"default": "atlas", "atlas": str(tmp_path / f"{name}.atlas")}):
            with pytest.raises(ConfigError, match=f"default: the atlas has {number} layers, and the model 3"):
                layers(value)
    # Entries that are named are whoever's they are.
    assert layers({"default": "atlas(3, 1)", "atlas": str(tmp_path / "longer.atlas")})[0] == (expected("window(2)"),) * 2
    (tmp_path / "bad.toml").write_text("layers = [")
    (tmp_path / "bad.json").write_bytes(b"\xff")
    path.write_bytes(b"damaged")
    for name in ("bad.toml", "bad.json", "small.atlas"):
        with pytest.raises(ConfigError, match=name):
            layers(str(tmp_path / name))


def test_the_door_imports_no_engine() -> None:
    # vLLM imports it in every process, masks or not.
    program = "import sys, roarmask_vllm; assert not any(name == 'roarmask' or name.startswith('roarmask.') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
