# SPDX-License-Identifier: Apache-2.0
"""roarmask.cuda, over the C tests' stand-in for a device: the library's own checks and threads' code, run on the host with CPU tensors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roarmask import Atlas, Mask, export

torch = pytest.importorskip("torch")
cuda = pytest.importorskip("roarmask.cuda")

STAND_IN = Path(__file__).parents[2] / "build/tests/cuda/libroarmask-cuda-host.so"
EXPRESSIONS = ["causal & (sink(3) | window(40))", "random(0.05, seed=1)", "causal & (columns(1, 70) | diagonals(0, 9))", "none", "full"]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    if not STAND_IN.exists():
        pytest.skip("build/tests/cuda/libroarmask-cuda-host.so is not there: make test builds it")
    monkeypatch.setenv("ROARMASK_CUDA_LIBRARY", str(STAND_IN))
    cuda._library.cache_clear()
    yield
    cuda._library.cache_clear()


def random_mask(rows=90, cols=170, seed=0, density=0.2):
    return Mask.from_dense(np.random.default_rng(seed).random((rows, cols)) < density)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expansion(expression):
    mask = Mask.parse(expression, 150, 200)
    there = mask.cuda("cpu")
    assert there.shape == mask.shape
    assert there.nnz == mask.nnz
    indptr, indices = cuda.csr(there)
    wanted_ptr, wanted = mask.to_csr()
    assert indptr.dtype == torch.int64
    np.testing.assert_array_equal(indptr, wanted_ptr)
    np.testing.assert_array_equal(indices, wanted)
    indptr, indices = cuda.bsr(there, (20, 90), capacity=mask.nnz)
    assert indptr.dtype == torch.int32
    np.testing.assert_array_equal(indptr, wanted_ptr[20:91] - wanted_ptr[20])
    np.testing.assert_array_equal(indices[: indptr[-1]], wanted[wanted_ptr[20] : wanted_ptr[90]])
    counts, index = cuda.padded(there)
    assert index.shape == mask.shape
    for row in range(mask.rows):
        assert index[row, : counts[row]].tolist() == mask[row].tolist()
        assert not index[row, counts[row] :].any()
    np.testing.assert_array_equal(cuda.dense_bool(there), mask.to_dense())
    np.testing.assert_array_equal(cuda.bits(there), mask.to_bits())
    window = cuda.dense_bool(there, (140, 160), (190, 210))
    np.testing.assert_array_equal(window[:10, :10], mask.to_dense()[140:, 190:])
    assert not window[10:].any()
    assert not window[:, 10:].any()


def test_results_go_where_they_are_wanted():
    mask = random_mask()
    there = mask.cuda("cpu")
    out = (torch.empty(91, dtype=torch.int32), torch.empty(mask.nnz, dtype=torch.int32))
    indptr, indices = cuda.bsr(there, out=out)
    assert indptr.data_ptr() == out[0].data_ptr()
    assert indices.data_ptr() == out[1].data_ptr()
    cells = np.zeros(mask.shape, bool)  # by DLPack
    cuda.dense_bool(there, out=cells)
    np.testing.assert_array_equal(cells, mask.to_dense())
    for wrong in (torch.empty(90, dtype=torch.int32), torch.empty(91), torch.empty(182, dtype=torch.int32)[::2]):
        with pytest.raises(ValueError, match="indptr must be"):
            cuda.bsr(there, out=(wrong, out[1]))


def test_folds():
    masks = [random_mask(seed=seed) for seed in range(4)]
    there = [m.cuda("cpu") for m in masks]
    np.testing.assert_array_equal(cuda.dense_bool(cuda.Fold(there)), (masks[0] | masks[1] | masks[2] | masks[3]).to_dense())
    for function in range(16):
        fold = cuda.Fold(there[:2], function)
        wanted = masks[0].combine(masks[1], function)
        np.testing.assert_array_equal(cuda.csr(fold, capacity=wanted.nnz)[1], wanted.to_csr()[1])
    with pytest.raises(ValueError, match="capacity"):
        cuda.csr(cuda.Fold(there))
    with pytest.raises(ValueError, match="0 masks"):
        cuda.Fold([])
    with pytest.raises(ValueError, match="grids differ"):
        cuda.dense_bool(cuda.Fold([there[0], random_mask(3, 3).cuda("cpu")]))


@pytest.mark.parametrize("sides", [(16, 16), (8, 24), (1, 1), (200, 300)])
def test_tiles(sides):
    masks = [random_mask(150, 200, seed, 0.02) | Mask.parse("causal & window(60)", 150, 200) for seed in range(2)]
    union = masks[0] | masks[1]
    fold = cuda.Fold([m.cuda("cpu") for m in masks])
    full, partial = union.coarsen(*sides) if sides != (1, 1) else (union, Mask.parse("none", 150, 200))
    for which, wanted in (("any", full | partial), ("full", full), ("partial", partial)):
        tiles = fold.tiles(sides, which)
        assert tiles.shape == wanted.shape
        np.testing.assert_array_equal(cuda.dense_bool(tiles), wanted.to_dense())
        indptr, indices = cuda.bsr(tiles, capacity=wanted.nnz)
        np.testing.assert_array_equal(indptr, wanted.to_csr()[0])
        np.testing.assert_array_equal(indices, wanted.to_csr()[1])
        assert cuda.tile_bits(tiles, indptr, indices).shape[0] == wanted.nnz
    if sides == (16, 16):
        wanted = export.flashinfer_bsr(union, sides, packed=True)
        tiles = fold.tiles(sides)
        indptr, indices = cuda.bsr(tiles, capacity=len(wanted.indices))
        starts, bits = cuda.packed_mask(tiles, indptr, indices)
        np.testing.assert_array_equal(starts, wanted.mask_indptr)
        np.testing.assert_array_equal(bits[: starts[-1]], wanted.packed_mask)
        starts, bits = cuda.packed_mask(tiles, *cuda.bsr(tiles, (2, 5), capacity=100), (2, 5))
        np.testing.assert_array_equal(bits[: starts[-1]], wanted.packed_mask[wanted.mask_indptr[2] : wanted.mask_indptr[5]])
    with pytest.raises(ValueError, match="0 x 1"):
        fold.tiles((0, 1))
    with pytest.raises(ValueError, match="some"):
        fold.tiles((1, 1), "some")


@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("heads", [1, 3])
def test_flex_is_that_of_the_host(unit, heads):
    masks = [random_mask(60, 60, seed, 0.02) | Mask.parse("causal & window(30)", 60) for seed in range(heads)]
    if heads > 1:
        masks[1] = masks[0]
    given = masks[0] if heads == 1 else [masks]
    wanted = export.flex_block_mask(given, 16, unit=unit)
    made = cuda.flex_block_mask(given, 16, unit=unit, device="cpu")
    for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices"):
        assert torch.equal(getattr(made, name), getattr(wanted, name)), name
    tokens = torch.arange(60 * unit)
    for h in range(heads):
        cells = made.mask_mod(torch.tensor(0), torch.tensor(h), tokens[:, None], tokens[None, :])
        np.testing.assert_array_equal(cells, masks[h].refine(unit).to_dense())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_flex_of_each_kind(expression):
    mask = Mask.parse(expression, 100, 130)
    made, wanted = cuda.flex_block_mask(mask, 32, device="cpu"), export.flex_block_mask(mask, 32)
    assert torch.equal(made.kv_num_blocks, wanted.kv_num_blocks)
    assert export.from_flex(made, tokens=True) == mask


def test_fa4_width():
    mask = Mask.parse("causal", 200, 300)
    made, narrow = (cuda.fa4_block_sparse(mask, (32, 16), device="cpu", width=w) for w in (None, 3))
    assert narrow.full_block_idx.shape == (1, 1, 7, 3)
    np.testing.assert_array_equal(narrow.full_block_cnt, made.full_block_cnt)
    np.testing.assert_array_equal(narrow.full_block_idx, made.full_block_idx[..., :3])


def test_fa4_is_that_of_the_host():
    mask = random_mask(200, 300, density=0.001) | Mask.parse("causal & window(90)", 200, 300)
    made, wanted = cuda.fa4_block_sparse(mask, (32, 16), device="cpu"), export.fa4_block_sparse(mask, (32, 16))
    for name in ("mask", "full"):
        counts = getattr(made, f"{name}_block_cnt")
        np.testing.assert_array_equal(counts, getattr(wanted, f"{name}_block_cnt"))
        for row, count in enumerate(counts[0, 0].tolist()):
            index = [np.asarray(getattr(t, f"{name}_block_idx"))[0, 0, row, :count] for t in (made, wanted)]
            np.testing.assert_array_equal(*index)


def test_the_decode_step():
    masks = [Mask.parse("causal & (sink(2) | window(5))", 64), random_mask(64, 64)]
    atlas = Atlas([[masks[0], None, masks[1]]])
    table = cuda.MaskTable([m.cuda("cpu") for m in masks])
    rng = np.random.default_rng(3)
    lens = torch.tensor([1, 640, 333, 0, 77, 9999], dtype=torch.int32)
    which = torch.tensor([0, 1, 0, 1, -1, 0], dtype=torch.int32)
    pages = torch.from_numpy(rng.permutation(6 * 64).astype(np.int32).reshape(6, 64))
    kept, counts, tokens = cuda.decode_pages(table, which, pages, lens, 10)
    for r in (0, 1, 2):
        mask = atlas[0, 0] if which[r] == 0 else atlas[0, 2]
        wanted, wanted_lens = export.vllm_block_table(mask, pages[r : r + 1].numpy(), lens[r : r + 1].numpy(), 10)
        assert kept[r, : counts[r]].tolist() == wanted[0, : counts[r]].tolist()
        assert tokens[r] == wanted_lens[0]
    assert counts[3:].tolist() == [0, 8, -1]
    assert tokens[3:].tolist() == [0, 77, 0]
    again = cuda.decode_pages(table, which, pages, lens, 10, rows=torch.zeros(6, dtype=torch.int32), out=(kept, counts, tokens))
    assert again[1].data_ptr() == counts.data_ptr()
    assert counts[2] == len(masks[0][0]) + 1  # row 0, and the newest page
    table, entries = cuda.MaskTable.of_atlas(atlas, "cpu")
    assert entries.tolist() == [[0, -1, 1]]
    of_head = entries[0, torch.tensor([0, 2, 0, 2, 1, 0])]
    assert cuda.decode_pages(table, of_head, pages, lens, 10)[1].tolist() == cuda.decode_pages(table, which, pages, lens, 10)[1].tolist()
    groups = torch.tensor([[[0, 2], [1, 1]]])  # heads of the atlas, two for each KV head
    kept, counts, tokens = cuda.decode_pages(table, entries[0, groups], pages, lens, 10)
    assert kept.shape == (6, 2, 64)
    assert counts.shape == (6, 2)
    wanted, wanted_lens = export.vllm_block_table(masks[0] | masks[1], pages[:3].numpy(), lens[:3].numpy(), 10)
    for r in range(3):
        assert kept[r, 0, : counts[r, 0]].tolist() == wanted[r, : counts[r, 0]].tolist()
        assert tokens[r].tolist() == [wanted_lens[r], lens[r]]
        assert counts[r, 1] == -(-int(lens[r]) // 10)
    by_request = entries[0, groups].expand(6, 2, 2).contiguous()
    assert torch.equal(cuda.decode_pages(table, by_request, pages, lens, 10)[1], counts)
    with pytest.raises(ValueError, match="which must be"):
        cuda.decode_pages(table, which.long(), pages, lens, 10)
    with pytest.raises(ValueError, match="pages of 0 tokens"):
        cuda.decode_pages(table, which, pages, lens, 0)


def test_refusals(monkeypatch):
    mask = random_mask()
    there = mask.cuda("cpu")
    with pytest.raises(IndexError, match="out of range"):
        cuda.padded(there, (0, 91))
    with pytest.raises(ValueError, match="CUDA device"):
        mask.cuda("meta")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="no CUDA device"):
            mask.cuda()


def test_without_the_library(monkeypatch):
    monkeypatch.setenv("ROARMASK_CUDA_LIBRARY", "/nowhere/libroarmask-cuda.so")
    with pytest.raises(ImportError, match="needs libroarmask-cuda"):
        cuda.num_devices()


def test_it_is_loaded_when_it_is_used():
    code = "import sys, roarmask; assert 'roarmask.cuda' not in sys.modules; import roarmask.cuda; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
