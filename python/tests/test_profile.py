# SPDX-License-Identifier: Apache-2.0
"""The profile's figures against loops over their written definitions, and its command on a small random model."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roarmask import Atlas
from roarmask.profile import block_masses, jaccard_table, kept_by_density, parts, smallest, smallest_rows, step_traffic, visible

torch = pytest.importorskip("torch")


def causal_masses(rng: np.random.Generator, rows: int, cols: int) -> NDArray[np.float32]:
    mass = rng.random((rows, cols)) ** 6 * visible(rows, cols)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("tokens", "queries", "block", "window"), [(37, 37, 8, None), (64, 64, 16, 10), (50, 21, 8, None), (600, 600, 16, None)]
)
@pytest.mark.parametrize("per_token", [False, True])
def test_block_masses(tokens: int, queries: int, block: int, window: int | None, per_token: bool) -> None:
    torch.manual_seed(tokens)
    heads, kv_heads, dim = 4, 2, 8
    query, key = torch.randn(heads, queries, dim) * 2, torch.randn(kv_heads, tokens, dim)
    got = block_masses(query, key, 0.3, block, window, rows_per_token=per_token)
    first, side = tokens - queries, 1 if per_token else block
    cols = -(-tokens // block)
    want = np.zeros((heads, -(-tokens // side) - first // side, cols))
    count = np.zeros(want.shape[1])
    for i in range(queries):
        position = first + i
        row = position // side - first // side
        count[row] += 1
        low = 0 if window is None else max(0, position - window + 1)
        for head in range(heads):
            scores = [0.3 * float(query[head, i] @ key[head // 2, j]) for j in range(low, position + 1)]
            total = sum(map(math.exp, scores))
            for j, score in enumerate(scores, low):
                want[head, row, j // block] += math.exp(score) / total
    want /= count[None, :, None]
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=2e-5)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 1.0])
def test_smallest_sets(share: float) -> None:
    """No smaller set holds the share, and the chosen one does: by trying all sets of a small row."""
    mass = causal_masses(np.random.default_rng(1), 7, 7)
    for row, cells in zip(mass, smallest_rows(mass, share), strict=True):
        enough = [
            n
            for n in range(8)
            for some in itertools.combinations(range(7), n)
            if row[list(some)].sum(dtype=np.float64) >= share * row.sum(dtype=np.float64) - 1e-6
        ]
        assert cells.sum() == min(enough)
        assert row[cells].sum() >= share * row.sum() - 1e-5
    whole = smallest(mass, share)
    assert mass[whole].sum() >= share * mass.sum() - 1e-4
    lightest = mass[whole].min()
    assert mass[whole].sum() - lightest < share * mass.sum()
    assert not (mass[~whole] > lightest).any()


def test_kept_by_density() -> None:
    mass = causal_masses(np.random.default_rng(2), 20, 20)
    ranked = sorted(mass.ravel().tolist(), reverse=True)
    got = kept_by_density(mass, np.array([0.0, 0.1, 0.5, 1.0]))
    assert got == pytest.approx([sum(ranked[: round(d * 210)]) / 20 for d in (0, 0.1, 0.5, 1)], abs=1e-5)


def test_parts() -> None:
    rng = np.random.default_rng(3)
    mass = causal_masses(rng, 40, 40)
    mass[:, 11] += 0.2 * visible(40, 40)[:, 11]
    for r in range(20, 40):
        mass[r, r - 20] += 0.3
    mass /= mass.sum(axis=1, keepdims=True)
    got = parts(mass, sink=2, window=3, heavy=0.05)
    columns, diagonals = [], []
    for c in range(2, 40):
        below = [mass[r, c] for r in range(c + 3, 40)]
        if len(below) >= 8 and sum(below) >= 0.05 * len(below):
            columns.append(c)
    for d in range(3, 40):
        along = [mass[r, r - d] for r in range(d, 40) if r - d not in (0, 1, *columns)]
        if 40 - d >= 8 and sum(along) >= 0.05 * (40 - d):
            diagonals.append(d)
    want = dict.fromkeys(("sink", "window", "columns", "diagonals", "remainder"), 0.0)
    for r, c in itertools.product(range(40), range(40)):
        if c <= r:
            kind = (
                "sink"
                if c < 2
                else "window"
                if r - c < 3
                else "columns"
                if c in columns
                else "diagonals"
                if r - c in diagonals
                else "remainder"
            )
            want[kind] += mass[r, c] / 40
    assert (got["column_list"], got["diagonal_list"]) == (columns, diagonals)
    assert 11 in columns
    assert 20 in diagonals
    assert {name: got[name] for name in want} == pytest.approx(want, abs=1e-5)
    assert sum(want.values()) == pytest.approx(1, abs=1e-5)


def test_overlap_and_traffic() -> None:
    rng = np.random.default_rng(4)
    sets = rng.random((3, 6, 9)) < 0.4
    sets[2] = False
    table = jaccard_table(sets)
    for a, b in itertools.product(range(3), range(3)):
        one, two = set(np.flatnonzero(sets[a])), set(np.flatnonzero(sets[b]))
        assert table[a, b] == pytest.approx(len(one & two) / len(one | two) if one | two else 1)
    got = step_traffic(sets[:2])
    news = [len(set(np.flatnonzero(h[t])) - set(np.flatnonzero(h[t - 1]))) for h in sets[:2] for t in range(1, 6)]
    assert got["new"] == pytest.approx(np.mean(news))
    assert got["blocks"] == pytest.approx(sets[:2, 1:].sum(axis=-1).mean())


def run_command(small_model: dict[str, Path], out: Path, *more: str) -> dict[str, Any]:
    from roarmask.profile.__main__ import main

    arguments = ["--model", str(small_model["model"]), "--text", str(small_model["one"]), "--tokens", "200", "--block", "8", "--quiet"]
    assert main([*arguments, "-o", str(out), *more]) == 0
    report: dict[str, Any] = json.loads(out.with_suffix(".json").read_text())
    return report


def test_command(small_model: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The masks are those of the masses that transformers' own attention has, within the model's window."""
    transformers = pytest.importorskip("transformers")
    report = run_command(small_model, tmp_path / "a.atlas", "--text", str(small_model["two"]), "--masses", str(tmp_path / "m.npy"))
    assert "of the attention" in capsys.readouterr().out
    atlas = Atlas.open(tmp_path / "a.atlas")
    assert (atlas.layers, atlas.heads, atlas.rows, atlas.cols) == (3, 4, 25, 25)
    assert json.loads(atlas.note)["kv_heads"] == 2
    model = transformers.AutoModelForCausalLM.from_pretrained(small_model["model"], attn_implementation="eager").eval()
    ids = torch.tensor(
        [transformers.AutoTokenizer.from_pretrained(small_model["model"])(small_model["one"].read_text())["input_ids"][:200]]
    )
    with torch.inference_mode():
        weights = torch.stack(model(ids, output_attentions=True).attentions)[:, 0]
    want = weights.reshape(3, 4, 25, 8, 25, 8).sum(5).mean(3).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "m.npy").astype(np.float32), want, atol=2e-3)
    for layer, head in itertools.product(range(3), range(4)):
        mask = atlas[layer, head]
        assert mask is not None
        cells, mass = mask.to_dense(), want[layer, head]
        assert cells.diagonal().all()
        assert ((mass * cells).sum(axis=1) >= 0.95 - 1e-3).all()
        assert not (cells & (mass == 0)).any()
        told = report["layers"][layer]["heads"][head]
        assert told["mass_kept"] == pytest.approx((mass * cells).sum() / 25, abs=1e-3)
        assert told["density"] == pytest.approx(mask.nnz / 325)
    assert len(report["overlap"]["texts"]) == 1
    page = (tmp_path / "a.html").read_text()
    assert page.count('class="mask"') == 12


def test_command_by_kv_head(small_model: dict[str, Path], tmp_path: Path) -> None:
    run_command(small_model, tmp_path / "q.atlas")
    run_command(small_model, tmp_path / "kv.atlas", "--heads", "kv")
    of_queries, of_groups = Atlas.open(tmp_path / "q.atlas"), Atlas.open(tmp_path / "kv.atlas")
    assert of_groups.heads == 2
    for layer, group in itertools.product(range(3), range(2)):
        one, two = of_queries[layer, 2 * group], of_queries[layer, 2 * group + 1]
        assert one is not None
        assert two is not None
        assert of_groups[layer, group] == one | two


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--model": "nowhere"}, "not a checkpoint"),
        ({"--text": "nowhere.txt"}, "cannot read"),
        ({"--tokens": "4000"}, "tokens, 4000 are needed"),
    ],
)
def test_command_refuses(
    small_model: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], told: str
) -> None:
    from roarmask.profile.__main__ import main

    options = {
        "--model": str(small_model["model"]),
        "--text": str(small_model["one"]),
        "--tokens": "200",
        "-o": str(tmp_path / "x.atlas"),
        **change,
    }
    assert main(["--quiet", *itertools.chain(*options.items())]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "x.atlas").exists()
