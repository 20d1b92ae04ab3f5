# SPDX-License-Identifier: Apache-2.0
"""Attention over masks beside torch's own with the dense mask."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("roarmask._attention")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import roarmask  # noqa: E402
from attention_oracle import TOLERANCE, dense_attention, difference, tokens_of  # noqa: E402
from roarmask import Mask, attention, merge_attention, paged_attention, split_cache  # noqa: E402

PATTERNS = [
    "full", "causal", "causal & (sink(1) | window(3))", "causal & (columns(2, 9) | diagonals(0, -4))", "causal & documents(5, 9, 1, 3)",
    "global(1) | window(1, 1) | random(0.1, seed=3)", "random(0.3, seed=4)", "none",
]  # fmt: skip


def random_tensors(batch, heads, kv_heads, num_queries, num_keys, head_dim, dtype=torch.float32, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shapes = (batch, heads, num_queries, head_dim), *[(batch, kv_heads, num_keys, head_dim)] * 2
    return [torch.randn(shape, generator=draw).to(dtype) for shape in shapes]


# ---------------------------------------------------------------- the right answer


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("causal", [False, True])
def test_patterns(pattern, dtype, causal):
    q, k, v = random_tensors(2, 4, 2, 150, 150, 64, dtype)
    mask = Mask.parse(pattern, 10)
    seen = tokens_of(mask, 16, 150, 150, 0, causal)
    made = attention(q, k, v, mask, block=16, causal=causal)
    assert made.dtype == dtype
    assert difference(made, dense_attention(q, k, v, seen)) < TOLERANCE[dtype]


@given(
    heads=st.sampled_from([(1, 1), (2, 2), (6, 2), (9, 3), (8, 1)]),
    num_queries=st.integers(0, 40),
    num_before=st.integers(0, 90),
    head_dim=st.sampled_from([1, 16, 32, 40, 80, 128, 256]),
    block=st.sampled_from([1, 7, 16, (32, 8), (1, 64)]),
    causal=st.booleans(),
    pattern=st.sampled_from(PATTERNS),
    seed=st.integers(0, 99),
)
def test_shapes(heads, num_queries, num_before, head_dim, block, causal, pattern, seed):
    num_keys = num_queries + num_before
    q, k, v = random_tensors(1, *heads, num_queries, num_keys, head_dim, seed=seed)
    sides = [-(-130 // side) for side in ((block, block) if isinstance(block, int) else block)]
    if block not in (1, 7, 16):
        pattern = "random(0.3, seed=4)"  # some of the patterns are for squares
    elif "documents" in pattern:
        pattern += " | window(2)"
    mask = Mask.parse(pattern, *sides)
    made = attention(q, k, v, mask, block=block, causal=causal)
    expected = dense_attention(q, k, v, tokens_of(mask, block, num_queries, num_keys, num_before, causal))
    assert difference(made, expected) < 2e-5
    oracle = attention(q, k, v, mask, block=block, causal=causal, reference=True)
    assert difference(oracle, expected) < 1e-6


def test_masks_for_heads_and_batch_entries():
    masks = [Mask.parse(f"causal & (sink({i}) | window({3 - i}))", 8) for i in range(4)]
    q, k, v = random_tensors(2, 4, 2, 128, 128, 32)

    def expected(of):
        rows = [torch.stack([tokens_of(of(b, h), 16, 128, 128, 0, True) for h in range(4)]) for b in range(2)]
        return dense_attention(q, k, v, torch.stack(rows))

    for given_masks, of in (
        (masks, lambda b, h: masks[h]),
        (masks[:2], lambda b, h: masks[h // 2]),
        (tuple(masks[:1]), lambda b, h: masks[0]),
        ([None, masks[3]], lambda b, h: [None, masks[3]][h // 2]),
        ([masks, masks[::-1]], lambda b, h: masks[h if b == 0 else 3 - h]),
        ([[masks[1]], []], lambda b, h: [masks[1], None][b]),
    ):
        assert difference(attention(q, k, v, given_masks, block=16, causal=True), expected(of)) < 2e-5


def test_heads_with_one_mask_are_worked_together():
    """Bit for bit: lists that say the same give the same."""
    a, b = Mask.parse("causal & window(2)", 8), Mask.parse("causal & sink(1)", 8)
    q, k, v = random_tensors(1, 6, 2, 128, 128, 32)
    one, many = [], []
    first = attention(q, k, v, [a, b], block=16, causal=True, stats=one)
    assert torch.equal(attention(q, k, v, [a] * 3 + [b] * 3, block=16, causal=True, stats=many), first)
    assert one == many


def test_a_decode_step_sees_its_row():
    mask = Mask.parse("causal & (sink(1) | window(4))", 64)
    q, k, v = random_tensors(3, 8, 2, 1, 1000, 64)
    seen = tokens_of(mask, 16, 1, 1000, 999, True)
    assert difference(attention(q, k, v, mask, block=16), dense_attention(q, k, v, seen)) < 2e-5


def test_positions_and_key_lens():
    mask = Mask.parse("causal & (sink(1) | window(2))", 20)
    q, k, v = random_tensors(2, 2, 2, 10, 300, 32)
    made = attention(q, k, v, mask, block=16, causal=True, first_position=[40, 200], key_lens=[90, 300])
    for b, (at, length) in enumerate([(40, 90), (200, 300)]):
        seen = tokens_of(mask, 16, 10, length, at, True)
        assert difference(made[b], dense_attention(q[b], k[b, :, :length], v[b, :, :length], seen)) < 2e-5
    same = attention(q, k, v, mask, block=16, causal=True, first_position=40)
    assert torch.equal(same[0], attention(q[:1], k[:1, :, :90], v[:1, :, :90], mask, block=16, causal=True, first_position=40)[0])


def test_packed_sequences():
    mask = Mask.parse("causal & (sink(1) | window(2))", 20)
    q, k, v = (torch.randn(100, heads, 32) for heads in (4, 2, 2))
    starts = [0, 30, 30, 95]
    out = torch.full_like(q, 7.0)
    assert attention(q, k, v, mask, block=8, causal=True, cu_seqlens=starts, out=out) is out
    for begin, end in itertools.pairwise(starts):
        part = [t[begin:end].transpose(0, 1) for t in (q, k, v)]
        expected = dense_attention(*part, tokens_of(mask, 8, end - begin, end - begin, 0, True))
        assert difference(out[begin:end].transpose(0, 1), expected) < 2e-5
    assert (out[95:] == 7).all()
    # Chunks: two sequences whose queries are their last tokens.
    made = attention(q[:25], k, v, mask, block=8, causal=True, cu_seqlens=torch.tensor([0, 5, 25]), cu_seqlens_k=np.array([0, 40, 100]))
    for rows, keys in (((0, 5), (0, 40)), ((5, 25), (40, 100))):
        n, length = rows[1] - rows[0], keys[1] - keys[0]
        part = [q[slice(*rows)].transpose(0, 1), k[slice(*keys)].transpose(0, 1), v[slice(*keys)].transpose(0, 1)]
        expected = dense_attention(*part, tokens_of(mask, 8, n, length, length - n, True))
        assert difference(made[slice(*rows)].transpose(0, 1), expected) < 2e-5
    assert torch.equal(attention(q, k, v, causal=True), attention(q, k, v, causal=True, cu_seqlens=[0, 100]))


def test_scale_cap_slopes_and_sinks():
    q, k, v = random_tensors(1, 4, 2, 60, 60, 32)
    slopes, sinks = torch.tensor([0.5, 0.25, 0.1, 0.0]), torch.tensor([0.0, 1.0, -1.0, 3.0])
    at = torch.arange(60)
    scores = (q.double() @ k.double().repeat_interleave(2, 1).transpose(2, 3)) * 0.3
    scores = 2.5 * torch.tanh(scores / 2.5) + slopes.double()[:, None, None] * (at[None, :] - at[:, None])
    scores = scores.masked_fill(at[None, :] > at[:, None], -math.inf)
    denominator = torch.logsumexp(torch.cat([scores, sinks.double()[None, :, None, None].expand(1, 4, 60, 1)], -1), -1)
    expected = torch.exp(scores - denominator[..., None]) @ v.double().repeat_interleave(2, 1)
    made, lse = attention(q, k, v, causal=True, scale=0.3, soft_cap=2.5, alibi_slopes=slopes.tolist(), sinks=sinks, return_lse=True)
    assert difference(made, expected) < 2e-5
    assert lse.shape == (1, 4, 60)
    assert (lse.double() - denominator).abs().max() < 1e-5


def test_rows_without_cells_and_parts_that_are_merged():
    whole = Mask.parse("causal - columns(0)", 5)
    left = whole & Mask.parse("columns(1, 2)", 5)
    q, k, v = random_tensors(1, 2, 1, 40, 40, 16)
    out, lse = attention(q, k, v, whole, block=8, return_lse=True)
    assert (out[:, :, :8] == 0).all()
    assert (lse[:, :, :8] == -math.inf).all()
    a, b = (attention(q, k, v, m, block=8, return_lse=True) for m in (left, whole - left))
    merge_attention(*a, *b)
    assert difference(a[0], out) < 1e-6
    assert torch.equal(a[1].isinf(), lse.isinf())
    with pytest.raises(ValueError, match="contiguous float32"):
        merge_attention(a[0].transpose(2, 3), a[1], *b)
    with pytest.raises(ValueError, match="other_lse is float32"):
        merge_attention(*a, b[0], b[1][:, :1])


# ---------------------------------------------------------------- tensors


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_numpy(dtype):
    q, k, v = (t.numpy().astype(dtype) for t in random_tensors(1, 2, 1, 50, 50, 32))
    mask = Mask.parse("causal & window(2)", 7)
    made = attention(q, k, v, mask, block=8, causal=True)
    assert isinstance(made, np.ndarray)
    assert made.dtype == dtype
    expected = dense_attention(*(torch.from_numpy(t) for t in (q, k, v)), tokens_of(mask, 8, 50, 50, 0, True))
    assert difference(made, expected) < (2e-5 if dtype is np.float32 else 3e-3)


def test_numpy_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    tensors = random_tensors(1, 2, 1, 50, 50, 32, torch.bfloat16)
    arrays = [t.float().numpy().astype(ml_dtypes.bfloat16) for t in tensors]
    made, expected = attention(*arrays, causal=True), attention(*tensors, causal=True)
    assert made.dtype == ml_dtypes.bfloat16
    assert np.array_equal(made.astype(np.float32), expected.float().numpy())


def test_any_strides():
    """Views of one fused projection, tokens first, and an output inside something larger."""
    fused = torch.randn(2, 50, 3 + 1 + 1, 32)
    q, k, v = (t.transpose(1, 2) for t in fused.split([3, 1, 1], dim=2))
    room = torch.zeros(2, 50, 8, 40)
    out = room.transpose(1, 2)[:, 2:5, :, 4:36]
    expected = attention(q.contiguous(), k.contiguous(), v.contiguous(), causal=True)
    assert attention(q, k, v, causal=True, out=out) is out
    assert torch.equal(out, expected)
    assert room.count_nonzero() == out.numel()
    heads = q.numpy()[:, ::-1]
    assert difference(attention(heads, k.numpy(), v.numpy(), causal=True), expected.numpy()[:, ::-1]) < 1e-6
    assert difference(attention(q, k.expand(2, 3, 50, 32), v.expand(2, 3, 50, 32), causal=True), expected) < 1e-6


def test_any_number_of_threads_gives_the_same_bits():
    mask = Mask.parse("causal & (sink(1) | window(9)) | random(0.05, seed=1)", 64)
    q, k, v = random_tensors(1, 4, 2, 1000, 1000, 64)
    first = attention(q, k, v, mask, block=16, causal=True, threads=1)
    for threads in (2, 3, 7, None):
        assert torch.equal(attention(q, k, v, mask, block=16, causal=True, threads=threads), first)


def test_stats():
    stats = []
    q, k, v = random_tensors(1, 2, 1, 128, 128, 16)
    attention(q, k, v, causal=True, stats=stats)
    assert stats[0].visible_pairs == 2 * 128 * 129 // 2
    assert stats[0].computed_pairs >= stats[0].visible_pairs


# ---------------------------------------------------------------- pages


def page_cache(sequences, kv_heads, head_dim, page_tokens, dtype=torch.float32, seed=5):
    """Random keys and values of some sequences, in shuffled pages of vLLM's CPU layout whose unused rest is NaN."""
    draw = np.random.default_rng(seed)
    counts = [-(-length // page_tokens) for length in sequences]
    cache = torch.full((sum(counts) + 3, kv_heads, page_tokens, 2 * head_dim), math.nan, dtype=dtype)
    keys, values = split_cache(cache)
    pages = iter(draw.permutation(len(cache)))
    table = np.full((len(sequences), max(counts) + 1), 2**30, np.int32)
    tensors = []
    for row, length in enumerate(sequences):
        key, value = (torch.from_numpy(draw.standard_normal((kv_heads, length, head_dim), np.float32)).to(dtype) for _ in range(2))
        tensors.append((key, value))
        for index in range(counts[row]):
            page = table[row, index] = next(pages)
            tokens = slice(index * page_tokens, min(length, (index + 1) * page_tokens))
            used = tokens.stop - tokens.start
            keys[page, :, :, :used] = key[:, tokens].transpose(1, 2)
            values[page, :, :used] = value[:, tokens]
    return cache, torch.from_numpy(table), tensors


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("page_tokens", [16, 32, 128])
def test_pages(page_tokens, dtype):
    """A chunk, a whole prompt, a decode step and a sequence without a query in one call."""
    lengths, queries = [300, 45, 203, 17], [64, 45, 1, 0]
    cache, table, tensors = page_cache(lengths, 2, 64, page_tokens, dtype)
    starts = np.concatenate([[0], np.cumsum(queries)]).astype(np.int32)
    fused = torch.randn(int(starts[-1]) + 2, 6 + 4, 64).to(dtype)
    q = fused[:, :6]
    mask = Mask.parse("causal & (sink(1) | window(3))", 20)
    out = torch.full((len(q), 6, 64), 7.0, dtype=dtype)
    keys, values = split_cache(cache)
    arguments = (table, torch.tensor(lengths, dtype=torch.int32), torch.from_numpy(starts), mask)
    made, lse = paged_attention(q, keys, values, *arguments, block=16, key_columns=True, out=out, return_lse=True)
    assert made is out
    assert lse.shape == (len(q), 6)
    for i, (length, count) in enumerate(zip(lengths, queries, strict=True)):
        rows = slice(int(starts[i]), int(starts[i + 1]))
        expected = dense_attention(q[rows].transpose(0, 1), *tensors[i], tokens_of(mask, 16, count, length, length - count, True))
        assert difference(made[rows].transpose(0, 1), expected) < TOLERANCE[dtype]
    assert (made[int(starts[-1]) :] == 7).all()
    rows_first = keys.transpose(2, 3).contiguous()
    again = paged_attention(q, rows_first, values, *arguments, block=16)[: int(starts[-1])]
    assert difference(again, made[: int(starts[-1])]) < TOLERANCE[dtype]


def test_pages_of_numpy_and_masks_for_each_sequence():
    cache, table, tensors = page_cache([100, 60], 2, 32, 16)
    keys, values = split_cache(cache.numpy())
    q = torch.randn(2, 4, 32)
    a, b = Mask.parse("causal & window(2)", 7), Mask.parse("causal & sink(1)", 7)
    made = paged_attention(q.numpy(), keys, values, table.numpy().astype(np.int64), [100, 60], [0, 1, 2], [[a, b], [b]],
                           block=16, key_columns=True)  # fmt: skip
    for i, (length, masks) in enumerate([(100, [a, a, b, b]), (60, [b] * 4)]):
        seen = torch.stack([tokens_of(m, 16, 1, length, length - 1, True) for m in masks])
        assert difference(made[i][:, None], dense_attention(q[i][:, None], *tensors[i], seen)) < 2e-5


def test_only_visible_pages_are_read():
    """Where a page is not visible its number may still be checked, but NaN in it does no harm."""
    cache, table, tensors = page_cache([160], 1, 32, 16)
    keys, values = split_cache(cache)
    for index in range(1, 8):
        cache[table[0, index]] = math.nan
    mask = Mask.parse("causal & (sink(1) | window(2))", 10)
    made = paged_attention(torch.ones(1, 1, 32), keys, values, table, [160], [0, 1], mask, block=16, key_columns=True)
    seen = tokens_of(mask, 16, 1, 160, 159, True)
    key, value = tensors[0]
    assert difference(made.transpose(0, 1), dense_attention(torch.ones(1, 1, 32), key, value, seen)) < 2e-5


# ---------------------------------------------------------------- errors


def message_of(error, *arguments, function=attention, **options):
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_errors():
    q, k, v = random_tensors(1, 4, 2, 32, 32, 16)
    mask = Mask.parse("causal", 2)
    assert "query must be a NumPy array or a torch tensor, not list" in message_of(TypeError, [1.0], k, v)
    assert "key must be a NumPy array or a torch tensor, not NoneType" in message_of(TypeError, q, None, v)
    assert "query must be float32, bfloat16 or float16" in message_of(TypeError, q.double(), k, v)
    assert "differ in dtype" in message_of(ValueError, q, k, v.half())
    assert "value is float32 [1, 2, 31, 16], and key is float32 [1, 2, 32, 16]" in message_of(ValueError, q, k, v[:, :, :31])
    assert "batch and head_dim must be the same" in message_of(ValueError, q, k[..., :8], v[..., :8])
    assert "multiple of KV heads" in message_of(ValueError, q[:, :3], k, v)
    assert "query has the stride 2 in its last dimension" in message_of(ValueError, torch.zeros(1, 4, 32, 32)[..., ::2], k, v)
    assert "key has the stride 32 in its last dimension" in message_of(ValueError, q, k.transpose(2, 3).contiguous().transpose(2, 3), v)
    assert "must be [tokens, heads, head_dim], not float32 [32, 16]" in message_of(ValueError, q[0, 0], k[0, 0], v[0, 0])
    assert "out is float32 [1, 4, 31, 16]" in message_of(ValueError, q, k, v, out=torch.empty(1, 4, 31, 16))
    assert "expanded" in message_of(ValueError, q, k, v, out=torch.empty(1, 1, 32, 16).expand(1, 4, 32, 16))
    frozen = np.empty(q.shape, np.float32)
    frozen.flags.writeable = False
    assert "out is read-only" in message_of(ValueError, q.numpy(), k.numpy(), v.numpy(), out=frozen)
    assert "not aligned" in message_of(ValueError, np.zeros(4 * 32 * 16 * 4 + 1, np.int8)[1:].view(np.float32).reshape(q.shape), k, v)
    assert "covers 2 query and 2 key tokens" in message_of(IndexError, q, k, v, mask)
    assert "3 masks" in message_of(ValueError, q, k, v, [mask] * 3, block=16)
    assert "masks of 2 batch entries, and there are 1" in message_of(ValueError, q, k, v, [[mask], [mask]], block=16)
    assert "not str" in message_of(TypeError, q, k, v, "causal")
    assert "at least one token" in message_of(ValueError, q, k, v, mask, block=0)
    assert "scale of 0" in message_of(ValueError, q, k, v, scale=0.0)
    assert "scale is not a finite" in message_of(ValueError, q, k, v, scale=math.nan)
    assert "soft cap" in message_of(ValueError, q, k, v, soft_cap=-1.0)
    assert "threads" in message_of(ValueError, q, k, v, threads=-1)
    assert "sinks must be contiguous float32 [4]" in message_of(ValueError, q, k, v, sinks=[1.0])
    assert "first_position must be 0 or more" in message_of(ValueError, q, k, v, first_position=-3)
    assert "32 queries at the end of 20 keys" in message_of(ValueError, q, k[:, :, :20], v[:, :, :20])
    assert "key_lens[0] is 33" in message_of(ValueError, q, k, v, key_lens=[33])
    assert "key_lens has 2 entries" in message_of(ValueError, q, k, v, key_lens=[3, 3])
    assert "packed tensors" in message_of(ValueError, q, k, v, cu_seqlens=[0, 32])
    flat = [t[0].transpose(0, 1) for t in (q, k, v)]
    assert "must not decrease" in message_of(ValueError, *flat, cu_seqlens=[0, 9, 8])
    assert "32 tokens" in message_of(ValueError, *flat, cu_seqlens=[0, 33])
    assert "cu_seqlens must begin" in message_of(ValueError, *flat, cu_seqlens=[-1, 30])
    assert "key_lens is for" in message_of(ValueError, *flat, key_lens=[3])
    assert "no backward" in message_of(NotImplementedError, q.requires_grad_(), k, v)
    with torch.no_grad():
        attention(q, k, v)


def test_errors_of_pages():
    cache, table, _ = page_cache([100, 60], 2, 32, 16)
    keys, values = split_cache(cache)
    q = torch.randn(2, 4, 32)

    def message(error, keys=keys, values=values, table=table, lengths=(100, 60), starts=(0, 1, 2), **options):
        return message_of(error, q, keys, values, table, list(lengths), list(starts), function=paged_attention, key_columns=True, **options)

    wrong = table.clone()
    wrong[1, 2] = len(cache)
    assert f"entry 2 of sequence 1's block table is page {len(cache)}, but the cache has {len(cache)}" in message(IndexError, table=wrong)
    wrong[1, 2] = -1
    assert "page -1" in message(IndexError, table=wrong)
    assert "sequence 0 has 200 tokens, and its row of block_table holds 8 pages of 16" in message(ValueError, lengths=(200, 60))
    assert "block_table has 1 rows" in message(ValueError, table=table[:1])
    assert "query_start_loc" in message(ValueError, starts=(0, 1))
    assert "query_start_loc" in message(ValueError, starts=(0, 1, 3))
    assert "do not go together" in message(ValueError, keys=keys.transpose(2, 3).contiguous())
    assert "covers" in message(IndexError, mask=Mask.parse("causal", 6), block=16)
    assert "2 queries at the end of 1 keys" in message(ValueError, lengths=(1, 60), starts=(0, 2, 2))


# ---------------------------------------------------------------- the process


def test_masks_alone_load_no_openmp():
    code = "import roarmask, sys; roarmask.Mask.parse('causal', 9); print('gomp' in open('/proc/self/maps').read())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("first", ["import torch", "import roarmask._attention"])
def test_one_openmp_whichever_comes_first(first):
    """torch brings a libgomp.so.1 of its own; the process ends up with one, and both work."""
    code = f"""
import roarmask
{first}
import roarmask._attention, torch, re
q = torch.randn(1, 2, 256, 32)
a = roarmask.attention(q, q, q, causal=True)
b = torch.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
torch.set_num_threads(1)
assert torch.equal(a, roarmask.attention(q, q, q, causal=True))
assert (a - b).abs().max() < 1e-5
print(len(set(re.findall(r"\\S*libgomp\\S*", open("/proc/self/maps").read()))))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"


def test_others_run_meanwhile():
    """The interpreter's lock is not held during the work."""
    import threading

    q = torch.randn(1, 4, 4096, 64)
    worker = threading.Thread(target=lambda: attention(q, q, q, threads=1))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
        worker.join(0.001)
    assert turns > 5


def test_every_name_is_public():
    assert {"attention", "paged_attention", "merge_attention", "split_cache", "AttentionWork"} <= set(roarmask.__all__)
