# SPDX-License-Identifier: Apache-2.0
"""flex_attention on the CPU with our BlockMask, with create_block_mask, and plain attention with the dense mask."""

import numpy as np
import pytest

from roarmask import Atlas, Mask
from roarmask.export import additive_bias, dense_bool, flex_block_mask, from_flex

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # small tensors
from torch.nn.attention.flex_attention import create_block_mask, create_mask, flex_attention  # noqa: E402

PATTERNS = {
    "causal": "causal",
    "window_sink": "causal & (sink(5) | window(37))",
    "documents": "causal & documents(20, 47, 63)",
    "prefix": "prefix(33)",
    "bigbird": "global(8) | window(9, 9) | random(0.02)",
    "dilated": "causal & (window(8) | dilated(64, 4))",
    "vertical_slash": "causal & (columns(3, 50, 99) | diagonals(0, 20, 64))",
    "random": "random(0.1) | diagonals(0)",
    "full": "full",
}


def attention(q, k, v, dense):
    """Plain attention; rows that may look nowhere are 0, as flex_attention has them."""
    bias = torch.where(torch.as_tensor(dense), 0.0, float("-inf"))
    return torch.nan_to_num(torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias), nan=0.0)


def tensors(batch, heads, rows, cols, seed=0):
    generator = torch.Generator().manual_seed(seed)
    make = lambda n: torch.randn(batch, heads, n, 16, generator=generator)  # noqa: E731
    return make(rows), make(cols), make(cols)


def check(masks, block, unit=1):
    """masks: [batch][heads]"""
    dense = torch.from_numpy(np.array(dense_bool(masks, unit=unit)))
    batch, heads, rows, cols = dense.shape
    q, k, v = tensors(batch, heads, rows, cols)
    theirs = create_block_mask(lambda b, h, i, j: dense[b, h, i, j], batch, heads, rows, cols, device="cpu", BLOCK_SIZE=block)
    ours = flex_block_mask(masks, block, unit=unit)
    assert ours.seq_lengths == (rows, cols)
    wanted = attention(q, k, v, dense)
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=ours), wanted)
    torch.testing.assert_close(flex_attention(q, k, v, block_mask=theirs), wanted)
    asked = create_mask(ours.mask_mod, batch, heads, rows, cols, device="cpu")
    assert (asked == dense).all(), "mask_mod is exact on every pair"
    assert ((ours.to_dense() > 0) == (theirs.to_dense() > 0)).all()
    check_tiles(ours, dense.numpy(), *((block, block) if isinstance(block, int) else block))
    return ours


def check_tiles(ours, dense, q, kv):
    """Full tiles have all of their cells in the grid, partial ones some and not all; each list ascends."""
    names = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices")
    counts, indices, full_counts, full_indices = (getattr(ours, name).numpy() for name in names)
    for b, h, i in np.ndindex(counts.shape):
        partial, full = [], []
        for j in range(indices.shape[-1]):
            tile = dense[b, h, i * q : (i + 1) * q, j * kv : (j + 1) * kv]
            if tile.all():
                full.append(j)
            elif tile.any():
                partial.append(j)
        assert indices[b, h, i, : counts[b, h, i]].tolist() == partial
        assert full_indices[b, h, i, : full_counts[b, h, i]].tolist() == full


@pytest.mark.parametrize("block", [16, (32, 16), 128])
@pytest.mark.parametrize("name", PATTERNS)
def test_same_output_as_create_block_mask_and_sdpa(name, block):
    check([[Mask.parse(PATTERNS[name], 130)]], block)


@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (130, 33), (64, 64), (1, 100)])
def test_other_query_and_key_lengths(shape):
    for expression in ("causal", "random(0.3)", "sink(3) | window(4)", "full", "none"):
        check([[Mask.parse(expression, *shape)]], (16, 32))


def test_rows_that_may_look_nowhere():
    dense = np.random.default_rng(1).random((70, 70)) < 0.2
    dense[:20] = False
    dense[40] = False
    check([[Mask.from_dense(dense)]], 16)


def test_several_heads_and_batches():
    names = list(PATTERNS.values())
    masks = [[Mask.parse(e, 80) for e in names[b * 3 : b * 3 + 2]] + [None] for b in range(3)]
    check(masks, 16)
    check([masks[0]], 32)
    check([[m] for m in masks[1][:2]], 16)
    shared = [[Mask.parse("causal", 80), Mask.parse("causal", 80), Mask.parse("none", 80)]]
    check(shared, 16)


@pytest.mark.parametrize("unit", [2, 4, 16, 32])
@pytest.mark.parametrize("name", ["causal", "bigbird", "vertical_slash"])
def test_cells_of_several_tokens(name, unit):
    check([[Mask.parse(PATTERNS[name], 12)]], 32, unit)


def test_atlas_layer():
    heads = [Mask.parse("causal", 48), None, Mask.parse("window(5)", 48)]
    ours = flex_block_mask(Atlas([heads]), 16)
    same = flex_block_mask(heads, 16)
    assert (ours.to_dense() == same.to_dense()).all()
    with pytest.raises(ValueError, match="layer_heads"):
        flex_block_mask(Atlas([heads, heads]), 16)


def test_buffers_are_reused():
    first = flex_block_mask(Mask.parse("full", 100), 16)
    second = flex_block_mask(Mask.parse("causal & window(20)", 100), 16, out=first)
    assert second.kv_indices.data_ptr() == first.kv_indices.data_ptr()
    again = {name: getattr(first, name) for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices")}
    third = flex_block_mask(Mask.parse("causal & window(20)", 100), 16, out=again)
    assert third.full_kv_num_blocks.data_ptr() == first.full_kv_num_blocks.data_ptr()
    dense = Mask.parse("causal & window(20)", 100).to_dense()
    check_tiles(third, dense[None, None], 16, 16)
    with pytest.raises(ValueError, match=r"out\['kv_num_blocks'\] must be"):
        flex_block_mask(Mask.parse("causal", 300), 16, out=first)
    with pytest.raises(ValueError, match="int32 array"):
        flex_block_mask(Mask.parse("causal", 100), 16, out={"kv_indices": np.zeros((1, 1, 7, 7), np.int64)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 16), "no mask"),
        (((None, None), 16), "every head is dense"),
        ((Mask.parse("causal", 0), 16), "no tiles"),
        ((Mask.parse("causal", 8), 0), "at least one token"),
        ((Mask.parse("causal", 8), (16, 0)), "at least one token"),
        (([Mask.parse("causal", 8), Mask.parse("causal", 9)], 16), "one grid"),
        (([[Mask.parse("causal", 8)], [None, None]], 16), "same number of heads"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        flex_block_mask(*arguments)


def test_units_must_divide_the_block():
    with pytest.raises(ValueError, match="both must be multiples"):
        flex_block_mask(Mask.parse("causal", 8), 16, unit=3)
    with pytest.raises(ValueError, match="at least one token"):
        flex_block_mask(Mask.parse("causal", 8), 16, unit=0)
    with pytest.raises(TypeError, match="a list of masks"):
        flex_block_mask([Mask.parse("causal", 8), "causal"], 16)


@pytest.mark.parametrize("name", PATTERNS)
def test_way_back(name):
    mask = Mask.parse(PATTERNS[name], 77)
    block_mask = flex_block_mask(mask, (16, 32))
    full, partial = from_flex(block_mask)
    assert (full, partial) == mask.coarsen(16, 32)
    assert from_flex(block_mask, tokens=True) == mask


def test_way_back_from_torchs_own():
    mask = Mask.parse("causal & window(20)", 100)
    theirs = create_block_mask(lambda b, h, i, j: (i >= j) & (i - j < 20 + 5 * h), 2, 2, 100, 100, device="cpu", BLOCK_SIZE=16)
    heads = from_flex(theirs, tokens=True)
    assert heads == [[mask, Mask.parse("causal & window(25)", 100)]] * 2


def test_compiled():
    """The kernel that torch.compile makes for the CPU, which skips tiles and asks mask_mod inside of the others. Rows have so many tiles
    that a mask_mod which grows with them, as a search would, is not compiled within minutes."""
    mask = Mask.parse("causal & (sink(5) | window(370))", 512)
    q, k, v = tensors(1, 1, 512, 512)
    try:
        got = torch.compile(flex_attention)(q, k, v, block_mask=flex_block_mask(mask, 32))
    except Exception as failure:
        if "InvalidCxxCompiler" in repr(failure):
            pytest.skip("torch.compile finds no C++ compiler")
        raise
    torch.testing.assert_close(got, attention(q, k, v, dense_bool([[mask]])), rtol=1e-4, atol=1e-5)


def test_plain_tensors():
    mask = Mask.parse("causal & window(3)", 6)
    assert (dense_bool(mask) == mask.to_dense()).all()
    assert dense_bool([mask, None]).shape == (2, 6, 6)
    assert dense_bool([[mask], [None]]).shape == (2, 1, 6, 6)
    assert (dense_bool(mask, unit=2) == np.kron(mask.to_dense(), np.ones((2, 2), bool))).all()
    room = dense_bool([mask, None])
    assert dense_bool([None, mask], out=room) is room
    assert (room[1] == mask.to_dense()).all()
    bias = additive_bias(mask, dtype=torch.float64)
    assert bias.dtype == torch.float64
    assert ((bias == 0).numpy() == mask.to_dense()).all()
    assert (bias[~torch.from_numpy(mask.to_dense())] == float("-inf")).all()
    assert additive_bias(~mask, out=bias) is bias
    assert ((bias == 0).numpy() == ~mask.to_dense()).all()
    with pytest.raises(ValueError, match="out must be"):
        additive_bias(Mask.parse("causal", 7), out=bias)
