# SPDX-License-Identifier: Apache-2.0
"""The entropy bound against counting all sets, and sums over an atlas."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

import roarmask
from roarmask import Atlas, Mask
from roarmask.profile.costs import FIGURES, METHODS, entropy_bytes, main


def the_command() -> Path:
    places = [Path(roarmask.__file__).parent / "bin" / "roarmask", Path(__file__).parents[2] / "build" / "roarmask"]
    found = next((place for place in places if place.exists()), None) or shutil.which("roarmask")
    if found is None:
        pytest.skip("no roarmask command")
    return Path(found)


def test_entropy() -> None:
    mask = Mask.from_rows([[0], [1], [0, 2], [0, 1, 2, 3], [], [5, 6]], cols=7)
    # Columns to choose from: causal ones, the last row seeing the last column.
    free = [2, 3, 4, 5, 6, 7]
    counts = [1, 1, 2, 4, 0, 2]
    assert entropy_bytes(mask) == pytest.approx(sum(math.log2(math.comb(n, k)) for n, k in zip(free, counts, strict=True)) / 8)
    assert entropy_bytes(Mask.parse("causal", 50)) == pytest.approx(0)
    assert entropy_bytes(Mask.parse("full", 50)) == pytest.approx(0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = Mask.parse("(causal & random(0.2)) | diagonals(0)", 64), Mask.parse("causal & window(3)", 64)
    Atlas([[one, two], [one, None]]).save(tmp_path / "a.atlas")
    assert main([str(tmp_path / "a.atlas"), "--command", str(the_command()), "-o", str(tmp_path / "c.json"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"3 masks, {2 * one.nnz + two.nnz:,} cells")
    report = json.loads((tmp_path / "c.json").read_text())
    first, second = (layer["methods"] for layer in report["layers"])
    for method in set(METHODS) - {"croaring"}:
        assert report["total"]["methods"][method]["memory_bytes"] == first[method]["memory_bytes"] + second[method]["memory_bytes"]
        assert set(first[method]) == set(FIGURES)
        assert second[method]["query_ns"] > 0
    assert second["roarmask"]["serialized_bytes"] == one.nbytes
    assert report["total"]["entropy_bytes"] == pytest.approx(2 * entropy_bytes(one) + entropy_bytes(two))
    for smaller in report["smaller_than_roarmask"]:
        assert smaller["bytes"] < smaller["roarmask"]


def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Atlas([[Mask.parse("causal", 8, 9)]]).save(tmp_path / "a.atlas")
    for arguments in ([str(tmp_path / "none.atlas")], [str(tmp_path / "a.atlas")], [str(tmp_path / "a.atlas"), "--command", "nowhere"]):
        assert main([*arguments, *([] if "--command" in arguments else ["--command", str(the_command())])]) == 1
        assert capsys.readouterr().err.startswith("roarmask: ")
