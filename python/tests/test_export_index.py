# SPDX-License-Identifier: Apache-2.0
"""FlashInfer, FlashAttention-4 and vLLM: the tensors read by plain loops over their written definitions."""

import numpy as np
import pytest

from roarmask import Mask
from roarmask.export import fa4_block_sparse, flashinfer_bsr, flashinfer_paged, from_flashinfer_bsr, vllm_block_table

PATTERNS = ["causal", "causal & (sink(5) | window(37))", "causal & documents(20, 47, 30)", "prefix(33)", "random(0.1)", "full", "none"]
PATTERNS += ["global(8) | window(9, 9) | random(0.02)", "causal & dilated(64, 4)", "causal & (columns(3, 50, 90) | diagonals(0, 20, 64))"]
GRIDS = [(97, 97), (64, 64), (1, 1), (31, 80), (80, 31)]


def parse(expression, shape):
    if "documents" in expression:
        expression = expression.replace("documents(20, 47, 30)", f"documents({shape[0]})" if shape[0] != 97 else "documents(20, 47, 30)")
        if shape[0] != shape[1]:
            expression = "causal"
    return Mask.parse(expression, *shape)


def bsr_dense(indptr, indices, mask, M, N, R, C):
    """Block row i has the key blocks indices[indptr[i]:indptr[i + 1]]; a block's cells are mask[n], or all."""
    dense = np.zeros((M, N), bool)
    for i in range(M // R):
        seen = -1
        for n in range(indptr[i], indptr[i + 1]):
            j = indices[n]
            assert seen < j < N // C, "strictly increasing and in range"
            seen = j
            for r in range(R):
                for c in range(C):
                    dense[i * R + r, j * C + c] = True if mask is None else mask[n, r, c]
    return dense


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("expression", PATTERNS)
def test_flashinfer_bsr(expression, shape):
    mask = parse(expression, shape)
    for block in ((16, 8), 16, (1, 1), (3, 5)):
        bsr = flashinfer_bsr(mask, block)
        assert bsr.indptr.dtype == bsr.indices.dtype == np.int32
        assert bsr.M % bsr.R == 0
        assert bsr.N % bsr.C == 0
        dense = bsr_dense(bsr.indptr, bsr.indices, bsr.mask, bsr.M, bsr.N, bsr.R, bsr.C)
        assert (dense[: shape[0], : shape[1]] == mask.to_dense()).all()
        assert not dense[shape[0] :].any()
        assert not dense[:, shape[1] :].any()
        assert from_flashinfer_bsr(bsr.indptr, bsr.indices, bsr.N // bsr.C) == mask.coarsen_any_all(bsr.R, bsr.C)[0]


def test_flashinfer_bsr_of_whole_blocks_needs_no_mask():
    assert flashinfer_bsr(Mask.parse("causal", 8), 16, unit=16).mask is None
    assert flashinfer_bsr(Mask.parse("causal", 128), 16).mask is not None


@pytest.mark.parametrize("unit", [1, 2, 8])
def test_flashinfer_bsr_per_head(unit):
    masks = [[Mask.parse("causal", 24), None], [Mask.parse("random(0.2)", 24), Mask.parse("causal", 24)]]
    bsr = flashinfer_bsr(masks, 16, unit=unit)
    rows = -(-24 * unit // 16)
    assert bsr.indptr.shape == (2, 2, rows + 1)
    assert bsr.indptr[0, 0, 0] == 0
    assert bsr.indptr[-1, -1, -1] == len(bsr.indices)
    for b, h in np.ndindex(2, 2):
        dense = bsr_dense(bsr.indptr[b, h], bsr.indices, bsr.mask, bsr.M, bsr.N, 16, 16)
        wanted = np.ones((24, 24), bool) if masks[b][h] is None else masks[b][h].to_dense()
        assert (dense[: 24 * unit, : 24 * unit] == np.kron(wanted, np.ones((unit, unit), bool))).all()
    back = from_flashinfer_bsr(bsr.indptr, bsr.indices, rows)
    assert back[0][0] == back[1][1] == masks[0][0].refine(unit).coarsen_any_all(16, 16)[0]
    again = flashinfer_bsr(masks, 16, unit=unit, out=bsr)
    assert again.indptr is bsr.indptr
    assert np.shares_memory(again.indices, bsr.indices)
    fewer = flashinfer_bsr([[m] * 2 for m in (masks[0][0], masks[0][0])], 16, unit=unit, out=bsr)
    assert len(fewer.indices) < len(bsr.indices) or rows == 2
    assert from_flashinfer_bsr(fewer.indptr, fewer.indices, rows)[0][1] == back[0][0]


def packed_dense(bsr, indptr, mask_indptr):
    """A block row is a matrix of R queries x (its blocks * C) keys; key k is key k % C of its block k // C. The kernel looks for the bit of
    query q and key k at byte (q * keys + k) // 8 behind the block row's first byte, lowest bits first."""
    dense = np.zeros((bsr.M, bsr.N), bool)
    for i in range(bsr.M // bsr.R):
        keys = (indptr[i + 1] - indptr[i]) * bsr.C
        assert mask_indptr[i + 1] - mask_indptr[i] == -(-bsr.R * keys // 8)
        for q in range(bsr.R):
            for k in range(keys):
                at = q * keys + k
                j = bsr.indices[indptr[i] + k // bsr.C]
                dense[i * bsr.R + q, j * bsr.C + k % bsr.C] = bsr.packed_mask[mask_indptr[i] + at // 8] >> (at % 8) & 1
    return dense


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("expression", PATTERNS)
def test_flashinfer_packed_mask(expression, shape):
    mask = parse(expression, shape)
    for block in ((16, 8), (3, 5), (7, 16), 40):
        bsr, plain = flashinfer_bsr(mask, block, packed=True), flashinfer_bsr(mask, block)
        assert bsr.mask is None
        assert bsr.indptr.tolist() == plain.indptr.tolist()
        assert bsr.indices.tolist() == plain.indices.tolist()
        if plain.mask is None:
            assert bsr.packed_mask is bsr.mask_indptr is None
            continue
        assert bsr.packed_mask.dtype == np.uint8
        assert bsr.mask_indptr.dtype == np.int32
        assert bsr.mask_indptr[0] == 0
        assert bsr.mask_indptr[-1] == len(bsr.packed_mask)
        dense = packed_dense(bsr, bsr.indptr, bsr.mask_indptr)
        assert (dense[: shape[0], : shape[1]] == mask.to_dense()).all()
        assert not dense[shape[0] :].any()
        assert not dense[:, shape[1] :].any()
        segments = []  # the same out of the bools, in FlashInfer's words: blocks [n, R, C] become [R, n, C], each block row packed
        for i in range(len(bsr.indptr) - 1):
            blocks = plain.mask[bsr.indptr[i] : bsr.indptr[i + 1]]
            segments.append(np.packbits(blocks.transpose(1, 0, 2).reshape(-1), bitorder="little"))
        assert (np.concatenate(segments) == bsr.packed_mask).all(), "padding as well"


@pytest.mark.parametrize("unit", [1, 2, 8])
def test_flashinfer_packed_mask_per_head(unit):
    masks = [[Mask.parse("causal", 24), None], [Mask.parse("random(0.2)", 24), Mask.parse("causal", 24)]]
    bsr = flashinfer_bsr(masks, 16, unit=unit, packed=True)
    assert bsr.mask_indptr.shape == bsr.indptr.shape
    assert bsr.mask_indptr[0, 0, 0] == 0
    assert bsr.mask_indptr[-1, -1, -1] == len(bsr.packed_mask)
    for b, h in np.ndindex(2, 2):
        dense = packed_dense(bsr, bsr.indptr[b, h], bsr.mask_indptr[b, h])
        wanted = np.ones((24, 24), bool) if masks[b][h] is None else masks[b][h].to_dense()
        assert (dense[: 24 * unit, : 24 * unit] == np.kron(wanted, np.ones((unit, unit), bool))).all()
    before = bsr.packed_mask.copy()
    bsr.packed_mask[:] = 0xA5
    again = flashinfer_bsr(masks, 16, unit=unit, packed=True, out=bsr)
    assert again.mask_indptr is bsr.mask_indptr
    assert np.shares_memory(again.packed_mask, bsr.packed_mask)
    assert (again.packed_mask == before).all()
    with pytest.raises(ValueError, match=r"out\['packed_mask'\] must have room"):
        flashinfer_bsr(masks, 16, unit=unit, packed=True, out={"packed_mask": before[:-1]})


def test_too_many_packed_bits_are_refused():
    with pytest.raises(OverflowError, match="2\\^31 - 1 bytes"):
        flashinfer_bsr(Mask.parse("causal", 1 << 19), 128, packed=True)
    with pytest.raises(OverflowError, match="2\\^31 - 1 bytes"):
        flashinfer_bsr([Mask.parse("causal", 1 << 16)] * 9, 128, packed=True)


@pytest.mark.parametrize(("indptr", "indices"), [([], []), ([1, 2], [0, 1]), ([0, 2, 1], [0, 1]), ([0, 3], [0, 1]), ([[0, 1]], [0])])
def test_bad_block_rows_are_refused(indptr, indices):
    with pytest.raises(ValueError, match="indptr must"):
        from_flashinfer_bsr(indptr, indices, 4)


def test_key_blocks_out_of_range_are_refused():
    """FlashInfer's own check lets the index NB through."""
    with pytest.raises((ValueError, IndexError)):
        from_flashinfer_bsr([0, 1], [4], 4)
    with pytest.raises((ValueError, IndexError)):
        from_flashinfer_bsr([0, 1], [-1], 4)


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("expression", PATTERNS)
def test_fa4_block_sparse(expression, shape):
    masks = [parse(expression, shape), Mask.parse("causal", *shape)]
    tensors = fa4_block_sparse(masks, (32, 16))
    assert tensors.block_size == (32, 16)
    for h, mask in enumerate(masks):
        dense = mask.to_dense()
        for i in range(-(-shape[0] // 32)):
            partial, full = [], []
            for j in range(-(-shape[1] // 16)):
                tile = dense[i * 32 : (i + 1) * 32, j * 16 : (j + 1) * 16]
                if tile.all():
                    full.append(j)
                elif tile.any():
                    partial.append(j)
            assert tensors.mask_block_idx[0, h, i, : tensors.mask_block_cnt[0, h, i]].tolist() == partial
            assert tensors.full_block_idx[0, h, i, : tensors.full_block_cnt[0, h, i]].tolist() == full
    assert tensors.mask_block_idx.shape[3] == tensors.mask_block_cnt.max()
    assert tensors.full_block_idx.shape[3] == tensors.full_block_cnt.max()


def test_fa4_reuses_wider_lists():
    wide = fa4_block_sparse(Mask.parse("full", 512), (64, 64))
    mask = Mask.parse("causal & window(70)", 512)
    room = {"full_block_idx": wide.full_block_idx}
    tensors = fa4_block_sparse(mask, (64, 64), out=room)
    assert tensors.full_block_idx is wide.full_block_idx
    same = fa4_block_sparse(mask, (64, 64))
    for i, count in enumerate(same.full_block_cnt[0, 0]):
        assert tensors.full_block_cnt[0, 0, i] == count
        assert tensors.full_block_idx[0, 0, i, :count].tolist() == same.full_block_idx[0, 0, i, :count].tolist()
    with pytest.raises(ValueError, match="rows have room for 1"):
        fa4_block_sparse(mask, (64, 64), out={"mask_block_idx": np.zeros((1, 1, 8, 1), np.int32)})


def cache(seed, requests=6, pages=40, page=16):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, pages * page + 1, requests).astype(np.int32)
    table = rng.permutation(requests * pages).astype(np.int32).reshape(requests, pages)
    masks = [Mask.from_dense(rng.random((pages, pages)) < 0.4) for _ in range(requests)]
    return lengths, table, masks, page


def kept_pages(mask, table, length, page):
    """Logical pages before the query's own that its row has, and its own; all full but the last."""
    own = (length - 1) // page
    logical = [p for p in range(own) if (own, p) in mask] + [own]
    return [int(table[p]) for p in logical], (len(logical) - 1) * page + (length - own * page)


@pytest.mark.parametrize("seed", range(5))
def test_vllm_block_table(seed):
    lengths, table, masks, page = cache(seed)
    compact, seq_lens = vllm_block_table(masks, table, lengths, page)
    for i, mask in enumerate(masks):
        pages, tokens = kept_pages(mask, table[i], int(lengths[i]), page)
        assert seq_lens[i] == tokens
        assert compact[i, : -(-tokens // page)].tolist() == pages
    again = vllm_block_table(masks, table, lengths, page, out=(compact, seq_lens))
    assert again[0] is compact
    assert again[1] is seq_lens


@pytest.mark.parametrize("seed", range(5))
def test_flashinfer_paged(seed):
    lengths, table, masks, page = cache(seed)
    made = flashinfer_paged(masks, table, lengths, page)
    for i, mask in enumerate(masks):
        pages, tokens = kept_pages(mask, table[i], int(lengths[i]), page)
        assert made.indices[made.indptr[i] : made.indptr[i + 1]].tolist() == pages
        assert (made.indptr[i + 1] - made.indptr[i] - 1) * page + made.last_page_len[i] == tokens
    again = flashinfer_paged(masks, table, lengths, page, out=made)
    assert again.indptr is made.indptr
    assert again.indices.tolist() == made.indices.tolist()
    one = flashinfer_paged(Mask.parse("causal", 40), table, lengths, page)
    assert (np.diff(one.indptr) == -(-lengths // page)).all()


def test_bad_pages_are_refused():
    lengths, table, masks, page = cache(0)
    for arguments in (
        (masks[1:], table, lengths, page),
        (masks, table[1:], lengths, page),
        (masks, table[0], lengths, page),
        (masks, table, lengths, 0),
    ):
        with pytest.raises(ValueError, match=r"."):
            vllm_block_table(*arguments)
    with pytest.raises(ValueError, match="rows are"):
        vllm_block_table(masks, table, lengths, page, rows=[1])
    with pytest.raises(IndexError):
        vllm_block_table(masks, table, lengths * 0, page, rows=lengths * 0)
    with pytest.raises(IndexError):
        vllm_block_table(masks, table, lengths * 0 + 40 * 16 + 1, page, rows=lengths * 0)
