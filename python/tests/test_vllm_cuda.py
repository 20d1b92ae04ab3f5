# SPDX-License-Identifier: Apache-2.0
"""The tensors of vLLM's CUDA backends, made on the CPU, against plain PyTorch. The kernels of a card are not run here.

The second half, with vLLM's own classes around them, is skipped where vLLM is not installed: docs/vllm.md.
"""

import importlib.util
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from roarmask import Mask

torch = pytest.importorskip("torch")
from torch.nn.attention.flex_attention import flex_attention  # noqa: E402

from roarmask.vllm.stats import FIELDS  # noqa: E402
from roarmask.vllm.tiles import TileMask, Tiles, attend  # noqa: E402

MAX_TOKENS = 400
HEAD_SIZE = 16
SCALE = 0.3
# (tokens of the step, tokens in all) of each request: a whole prompt, chunks that begin and end anywhere, decode, nothing.
MIXED = [(130, 130), (70, 200), (1, 150), (0, 90), (64, 128), (1, 1), (5, 333), (3, 64)]
SAME = [(64, 64)]
DECODE = [(1, 150), (1, 1), (1, 16), (1, 17), (1, 333), (0, 7)]


def made(expression: str, block: int) -> Mask:
    side = -(-MAX_TOKENS // block)
    return (Mask.parse(expression, side) & Mask.parse("causal", side)) | Mask.parse("diagonals(0)", side)


class Cache:
    """Requests whose blocks lie anywhere in a cache full of other values, as vLLM has it: [blocks, KV heads, tokens, keys | values]."""

    def __init__(self, requests: list[tuple[int, int]], block_size: int, num_kv_heads: int, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.block_size = block_size
        counts, lens = zip(*requests, strict=True)
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.lens = np.array(lens, np.int32)
        width = -(-MAX_TOKENS // block_size)
        num_blocks = len(requests) * width + 3
        places = torch.randperm(num_blocks - 1, generator=generator)[: len(requests) * width] + 1
        self.table = places.reshape(-1, width).to(torch.int32)
        for row, length in enumerate(lens):  # what is behind the end means nothing
            self.table[row, -(-length // block_size) :] = torch.tensor([0, 7, 2**30])[torch.arange(width - -(-length // block_size)) % 3]
        # The first block of a prompt that the first two requests have in common.
        if len(requests) > 1 and min(lens[:2]) > block_size:
            self.table[1, 0] = self.table[0, 0]
        memory = torch.randn(num_blocks, block_size, num_kv_heads, 2 * HEAD_SIZE, generator=generator)
        self.kv_cache = memory.transpose(1, 2)

    def flat(self) -> tuple[Any, Any]:
        return self.kv_cache.transpose(1, 2).flatten(0, 1).split(HEAD_SIZE, dim=-1)

    def keys_and_values(self, request: int, head: int) -> tuple[Any, Any]:
        rows = [
            self.kv_cache[int(self.table[request, position // self.block_size]), head, position % self.block_size]
            for position in range(self.lens[request])
        ]
        return torch.stack(rows).double().split(HEAD_SIZE, dim=-1)


def plain(query: Any, cache: Cache, masks: list[Mask], block: int, window: int | None = None, cap: Any = None, sinks: Any = None) -> Any:
    """Masked attention, one query of one head at a time. `masks` has one for each KV head."""
    out = torch.zeros_like(query)
    group = query.shape[1] // len(masks)
    for request in range(len(cache.lens)):
        first, end = int(cache.starts[request]), int(cache.starts[request + 1])
        for head in range(query.shape[1] if end > first else 0):
            keys, values = cache.keys_and_values(request, head // group)
            for i in range(first, end):
                position = int(cache.lens[request]) - (end - i)
                seen = [
                    key
                    for key in range(position + 1)
                    if (position // block, key // block) in masks[head // group] and (window is None or position - key < window)
                ]
                scores = SCALE * (keys[seen] @ query[i, head].double())
                if cap is not None:
                    scores = cap * torch.tanh(scores / cap)
                if sinks is not None:
                    scores = torch.cat((scores, sinks[head].double()[None]))
                out[i, head] = scores.softmax(0)[: len(seen)] @ values[seen]
    return out


def tile_mask(given: Mask, cell: int, block_size: int, window: int | None = None) -> TileMask:
    exact, exact_cell = given, cell
    if window is not None:
        exact = given.refine(cell, cell, MAX_TOKENS, MAX_TOKENS) & Mask.parse(f"window({window})", MAX_TOKENS)
        exact_cell = 1
    return TileMask.of(given, cell, window, exact, exact_cell, block_size, MAX_TOKENS, torch.device("cpu"))


def by_blocks(query: Any, keys: Any, values: Any, score_mod: Any, block_mask: Any, scale: float, **_: Any) -> Any:
    """What a kernel does: the blocks that are listed and no others, and the mask function within the partial ones only. [1, heads, ...]"""
    tile, block_size = block_mask.BLOCK_SIZE
    group = query.shape[1] // keys.shape[1]
    out = torch.zeros_like(query)
    zero = torch.tensor(0)
    for row in range(block_mask.kv_num_blocks.shape[2]):
        q_idx = torch.arange(row * tile, (row + 1) * tile)
        places, seen = [], []
        for counts, indices, is_full in (
            (block_mask.kv_num_blocks, block_mask.kv_indices, False),
            (block_mask.full_kv_num_blocks, block_mask.full_kv_indices, True),
        ):
            assert int(counts[0, 0, row]) < indices.shape[3]  # kernels fetch an entry more
            for block in indices[0, 0, row, : counts[0, 0, row]].tolist():
                kv_idx = torch.arange(block * block_size, (block + 1) * block_size)
                places.append(kv_idx)
                grid = torch.ones(tile, block_size, dtype=torch.bool)
                seen.append(grid if is_full else block_mask.mask_mod(zero, zero, q_idx[:, None], kv_idx[None, :]))
        if places:
            kv_idx, visible = torch.cat(places), torch.cat(seen, 1)
            assert len(set(kv_idx.tolist())) == len(kv_idx)
            for head in range(query.shape[1]):
                scores = scale * query[0, head, q_idx] @ keys[0, head // group, kv_idx].T
                weights = scores.masked_fill(~visible, -torch.inf).softmax(1).nan_to_num()
                out[0, head, q_idx] = weights @ values[0, head // group, kv_idx]
    return out


def tiles_of(cache: Cache) -> Tiles:
    return Tiles.of(cache.starts, cache.lens, cache.table, cache.block_size, lambda array: torch.from_numpy(np.array(array)))


@pytest.mark.parametrize("flex", [flex_attention, by_blocks], ids=["torch", "blocks"])
@pytest.mark.parametrize(
    ("expression", "cell", "block_size", "window"),
    [
        ("full", 16, 16, None),
        ("sink(1) | window(2)", 16, 16, None),
        ("random(0.3, seed=3)", 16, 16, None),
        ("random(0.4, seed=4)", 64, 16, None),
        ("random(0.4, seed=5)", 128, 32, None),
        ("random(0.3, seed=6)", 16, 128, None),
        ("random(0.3, seed=7)", 5, 16, None),
        ("random(0.3, seed=8)", 24, 32, None),
        ("none", 16, 64, None),
        ("random(0.5, seed=9)", 16, 16, 37),
        ("full", 48, 16, 70),
    ],
)
def test_tiles_are_the_mask(flex: Any, expression: str, cell: int, block_size: int, window: int | None) -> None:
    mask = made(expression, cell)
    for requests, seed in ((MIXED, 1), (SAME, 2)):
        cache = Cache(requests, block_size, 2, seed)
        query = torch.randn(int(cache.starts[-1]), 6, HEAD_SIZE)
        tiles = tiles_of(cache)
        out = torch.full_like(query, torch.nan)
        on_device = tile_mask(mask, cell, block_size, window)
        block_mask = tiles.block_mask(mask, on_device, len(cache.kv_cache))
        attend(query, *cache.flat(), tiles, block_mask, out, scale=SCALE, flex=flex)
        torch.testing.assert_close(out, plain(query, cache, [mask, mask], cell, window), atol=2e-5, rtol=1e-4)
        assert tiles.block_mask(mask, on_device, len(cache.kv_cache)) is block_mask


def test_whole_blocks_need_no_mask_function() -> None:
    cache = Cache([(64, 384)], 16, 1)
    tiles = tiles_of(cache)
    mask = made("sink(2) | window(3)", 64)
    block_mask = tiles.block_mask(None, tile_mask(mask, 64, 16), len(cache.kv_cache))
    # The last tile's own cell is causal; the two others of the window and the sinks are whole: 4 blocks to each cell.
    assert block_mask.kv_num_blocks[0, 0, 0] == 4
    assert block_mask.full_kv_num_blocks[0, 0, 0] == 16
    physical = cache.table[0, [*range(8), *range(12, 20)]]
    assert block_mask.full_kv_indices[0, 0, 0, :16].tolist() == physical.tolist()
    assert block_mask.kv_num_blocks[0, 0, 1] == block_mask.full_kv_num_blocks[0, 0, 1] == 0


def test_soft_cap_and_sinks() -> None:
    cache, mask = Cache(MIXED, 16, 1), made("sink(1) | window(2)", 16)
    query, sinks = 9 * torch.randn(int(cache.starts[-1]), 3, HEAD_SIZE), torch.tensor([-1.0, 0.5, 4.0])
    tiles = tiles_of(cache)
    out = torch.empty_like(query)
    block_mask = tiles.block_mask(mask, tile_mask(mask, 16, 16), len(cache.kv_cache))
    attend(query, *cache.flat(), tiles, block_mask, out, scale=SCALE, soft_cap=5.0, sinks=sinks)
    torch.testing.assert_close(out, plain(query, cache, [mask], 16, cap=5.0, sinks=sinks), atol=2e-5, rtol=1e-4)


def test_one_compiled_kernel_is_for_all_steps() -> None:
    """What changes from step to step are sizes: torch.compile must not make a kernel for each."""
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("eager")
    compiled = torch.compile(flex_attention, fullgraph=True, backend=counter)
    mask = made("sink(1) | window(2)", 16)
    on_device = tile_mask(mask, 16, 16)
    for requests in (MIXED, SAME, [(1, 1)], [(200, 300), (1, 5)], [(33, 33)] * 5, MIXED[:3], [(7, 390)]):
        cache = Cache(requests, 16, 2)
        # The cache is as large as it is.
        cache.kv_cache = torch.cat((cache.kv_cache, torch.randn(300 - len(cache.kv_cache), *cache.kv_cache.shape[1:])))
        cache.kv_cache = cache.kv_cache.transpose(1, 2).contiguous().transpose(1, 2)
        query = torch.randn(int(cache.starts[-1]), 4, HEAD_SIZE)
        out, tiles = torch.empty_like(query), tiles_of(cache)
        block_mask = tiles.block_mask(mask, on_device, 300)
        attend(query, *cache.flat(), tiles, block_mask, out, scale=SCALE, flex=compiled)
        torch.testing.assert_close(out, plain(query, cache, [mask, mask], 16), atol=2e-5, rtol=1e-4)
    assert counter.frame_count <= 3


# ---------------------------------------------------------------- with vLLM's own classes

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed (docs/vllm.md)")
LAYERS = {
    "0": "dense",
    "1": "sink(1) | window(2)",
    "2": ["window(2)", "window(2)", "random(0.4, seed=2)", "dense"],
    "3": "random(0.4, seed=3)",
}
NUM_HEADS, NUM_KV_HEADS = 8, 4


class Worker:
    """A model's attention layers and their builder, of vLLM's own classes, with nothing of a model around them."""

    windows: ClassVar[list[int | None]] = [None] * 4

    def __init__(self, backend: Any, monkeypatch: pytest.MonkeyPatch, config: Any, alibi_slopes: Any = None) -> None:
        from vllm.config import CUDAGraphMode
        from vllm.model_executor.layers.attention import Attention
        from vllm.v1.kv_cache_interface import FullAttentionSpec

        from roarmask.vllm import layers

        monkeypatch.setattr(layers, "get_tensor_model_parallel_world_size", lambda: 1)
        monkeypatch.setattr(layers, "get_tensor_model_parallel_rank", lambda: 0)
        monkeypatch.delenv("ROARMASK_VLLM_STATS", raising=False)
        self.layers = {}
        for number, window in enumerate(self.windows):
            impl = backend.get_impl_cls()(NUM_HEADS, HEAD_SIZE, SCALE, NUM_KV_HEADS, alibi_slopes, window, "auto")
            one = self.layers[f"model.layers.{number}.self_attn.attn"] = Attention.__new__(Attention)
            torch.nn.Module.__init__(one)
            one.impl, one.attn_type, one.num_kv_heads = impl, "decoder", NUM_KV_HEADS
            one.sliding_window = window
            one._q_scale = one._k_scale = one._v_scale = torch.ones(())
        self.dense = {name: one.impl for name, one in self.layers.items()}
        parallel = SimpleNamespace(
            world_size=1, rank=0, data_parallel_index=0, decode_context_parallel_size=1, cp_kv_cache_interleave_size=1
        )
        model = SimpleNamespace(
            max_model_len=MAX_TOKENS,
            rswa_window=None,
            is_mm_prefix_lm=False,
            hf_config=SimpleNamespace(model_type="llama"),
            get_total_num_hidden_layers=lambda: 4,
            get_total_num_kv_heads=lambda: NUM_KV_HEADS,
            get_num_kv_heads=lambda parallel: NUM_KV_HEADS,
            get_num_attention_heads=lambda parallel: NUM_HEADS,
            get_head_size=lambda: HEAD_SIZE,
        )
        compilation = SimpleNamespace(
            cudagraph_mode=CUDAGraphMode.PIECEWISE,
            cudagraph_capture_sizes=[1, 2],
            max_cudagraph_capture_size=2,
            static_forward_context=self.layers,
        )
        vllm_config = SimpleNamespace(
            model_config=model,
            parallel_config=parallel,
            compilation_config=compilation,
            cache_config=SimpleNamespace(cache_dtype="auto"),
            attention_config=SimpleNamespace(flash_attn_max_num_splits_for_cuda_graph=32),
            kernel_config=SimpleNamespace(enable_jit_warmup=False),
            scheduler_config=SimpleNamespace(max_num_seqs=64),
            speculative_config=None,
            additional_config={"roarmask": {"block": 16, "layers": LAYERS, **config}},
        )
        spec = FullAttentionSpec(block_size=16, num_kv_heads=NUM_KV_HEADS, head_size=HEAD_SIZE, dtype=torch.float32)
        self.builder = backend.get_builder_cls()(spec, list(self.layers), vllm_config, torch.device("cpu"))

    def build(self, cache: Cache, padding: int = 0) -> Any:
        """Metadata of a step, with requests of no tokens behind its own as padded batches have them."""
        from vllm.v1.attention.backend import CommonAttentionMetadata

        starts = torch.from_numpy(np.pad(cache.starts, (0, padding), "edge"))
        lens = torch.from_numpy(np.pad(cache.lens, (0, padding)))
        tokens = int(starts[-1])
        common = CommonAttentionMetadata(
            query_start_loc=starts,
            query_start_loc_cpu=starts,
            seq_lens=lens,
            seq_lens_cpu_upper_bound=lens,
            num_reqs=len(lens),
            num_actual_tokens=tokens,
            max_query_len=int(starts.diff().max()),
            max_seq_len=int(lens.max()),
            block_table_tensor=torch.cat((cache.table, torch.full((padding, cache.table.shape[1]), 2**30, dtype=torch.int32))),
            slot_mapping=torch.zeros(tokens, dtype=torch.int64),
        )
        return self.builder.build(0, common)


def masks_of_layer(number: int) -> list[Mask]:
    """Of its KV heads, as LAYERS has them."""
    of_heads = LAYERS[str(number)]
    expressions = [of_heads] * NUM_KV_HEADS if isinstance(of_heads, str) else of_heads
    return [made("causal" if one == "dense" else one, 16) for one in expressions]


def paged(**given: Any) -> None:
    """vLLM's paged attention, in plain PyTorch: the last queries of sequences, causal among themselves."""
    q, k, v, out, starts = (given[name] for name in ("q", "k", "v", "out", "cu_seqlens_q"))
    assert given["causal"] is True
    assert k.shape[2] == v.shape[2]
    assert q.shape[1] % k.shape[2] == 0
    assert len(given["seqused_k"]) == len(starts) - 1
    assert given["max_seqlen_q"] == int(starts.diff().max())
    assert given["max_seqlen_k"] == int(given["seqused_k"].max())
    assert given["k_descale"].shape == (len(starts) - 1, k.shape[2])
    group, block_size = q.shape[1] // k.shape[2], k.shape[1]
    for request, length in enumerate(given["seqused_k"].tolist()):
        first, end = int(starts[request]), int(starts[request + 1])
        places = [(int(given["block_table"][request, i // block_size]), i % block_size) for i in range(length)]
        keys, values = (torch.stack([cache[place] for place in places]) for cache in (k, v))
        for i in range(first, end):
            seen = length - (end - i) + 1
            for head in range(q.shape[1]):
                weights = (given["softmax_scale"] * keys[:seen, head // group] @ q[i, head]).softmax(0)
                out[i, head] = weights @ values[:seen, head // group]


def backends() -> list[Any]:
    from roarmask.vllm import cuda

    return [cuda.RoarmaskFlashBackend, cuda.RoarmaskTritonBackend]


@pytest.fixture(params=["FLASH_ATTN", "TRITON_ATTN"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("vllm")
    from vllm.v1.attention.backends import flash_attn, triton_attn

    monkeypatch.setattr(flash_attn, "_FA4_DENSE_ATTENTION_KERNEL", paged)
    monkeypatch.setattr(flash_attn, "get_flash_attn_version", lambda **_: 2)
    monkeypatch.setattr(triton_attn, "unified_attention", paged)
    return next(one for one in backends() if one.get_name() == request.param)


@needs_vllm
@pytest.mark.parametrize("requests", [MIXED, DECODE], ids=["mixed", "decode"])
@pytest.mark.parametrize("config", [{}, {"prefill": "table"}, {"decode": "kernel"}], ids=str)
def test_layers_follow_their_masks(backend: Any, monkeypatch: pytest.MonkeyPatch, requests: Any, config: Any) -> None:
    worker = Worker(backend, monkeypatch, config)
    cache = Cache(requests, 16, NUM_KV_HEADS)
    metadata = worker.build(cache, padding=2)
    is_table = config.get("prefill") == "table" if requests is MIXED else config.get("decode") != "kernel"
    assert (metadata.roarmask_step.tiles is None) == is_table
    query = torch.randn(int(cache.starts[-1]), NUM_HEADS, HEAD_SIZE)
    padded = torch.cat((query, torch.full((3, NUM_HEADS, HEAD_SIZE), torch.nan)))
    for number, (name, layer) in enumerate(worker.layers.items()):
        if number == 0:
            assert layer.impl is worker.dense[name]
            continue
        masks = masks_of_layer(number)
        out = torch.full_like(padded, 7)
        assert layer.impl.forward(layer, padded, None, None, cache.kv_cache, metadata, out) is out
        torch.testing.assert_close(out[: len(query)], plain(query, cache, masks, 16), atol=2e-5, rtol=1e-4)
        assert (out[len(query) :] == 7).all()
        counted = dict(zip(FIELDS, layer.impl.stats._values[number], strict=True))
        assert counted["masked"] == 1
        assert 0 < counted["kv_blocks_read"] <= counted["kv_blocks_held"]
        assert counted["attention_seconds"] > 0
        assert counted["mask_seconds"] > 0


@needs_vllm
def test_what_stays_dense(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.model_executor.layers.attention import Attention

    class Chunked(Attention):
        pass

    worker = Worker(backend, monkeypatch, {}, alibi_slopes=[0.5] * NUM_HEADS)
    assert not worker.builder.mask_sets
    assert all(layer.impl is worker.dense[name] for name, layer in worker.layers.items())
    assert not hasattr(worker.build(Cache(MIXED, 16, NUM_KV_HEADS)), "roarmask_step")
    from roarmask.vllm.layers import reason_to_stay_dense

    layer = next(iter(worker.layers.values()))
    assert reason_to_stay_dense(layer) is None
    layer.__class__ = Chunked
    assert reason_to_stay_dense(layer) == "its Chunked has a pattern of its own"


@needs_vllm
def test_a_models_own_window(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "windows", [45] * 4)
    worker = Worker(backend, monkeypatch, {"layers": {}, "default": "random(0.6, seed=4)"})
    for requests in (MIXED, DECODE):  # the end of a window is no block's: decode steps go through tiles as well
        cache = Cache(requests, 16, NUM_KV_HEADS)
        layer = list(worker.layers.values())[1]
        query = torch.randn(int(cache.starts[-1]), NUM_HEADS, HEAD_SIZE)
        out = layer.impl.forward(layer, query, None, None, cache.kv_cache, worker.build(cache), torch.empty_like(query))
        masks = [made("random(0.6, seed=4)", 16)] * NUM_KV_HEADS
        torch.testing.assert_close(out, plain(query, cache, masks, 16, window=45), atol=2e-5, rtol=1e-4)


@needs_vllm
def test_layers_with_a_window_beside_others(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in models in which every other layer has one: decode steps of the others still go by table."""
    monkeypatch.setattr(Worker, "windows", [None, None, 45, None])
    worker = Worker(backend, monkeypatch, {})
    cache = Cache(DECODE, 16, NUM_KV_HEADS)
    metadata = worker.build(cache)
    layers = list(worker.layers.values())
    assert set(metadata.roarmask_step.calls) == {layers[1].impl.masks, layers[3].impl.masks}
    query = torch.randn(int(cache.starts[-1]), NUM_HEADS, HEAD_SIZE)
    for number, window in ((1, None), (2, 45), (3, None)):
        out = layers[number].impl.forward(layers[number], query, None, None, cache.kv_cache, metadata, torch.empty_like(query))
        masks = masks_of_layer(number)
        torch.testing.assert_close(out, plain(query, cache, masks, 16, window=window), atol=2e-5, rtol=1e-4)


@needs_vllm
def test_vllms_registry_has_our_backends_where_masks_are_asked_for(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import vllm.config
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    import roarmask_vllm

    roarmask_vllm.register()
    entry = AttentionBackendEnum[backend.get_name()]
    monkeypatch.setattr(vllm.config, "get_current_vllm_config_or_none", lambda: SimpleNamespace(additional_config={"roarmask": ""}))
    assert entry.get_class() is backend
    monkeypatch.setattr(vllm.config, "get_current_vllm_config_or_none", lambda: SimpleNamespace(additional_config={}))
    assert entry.get_class() is next(base for base in backend.__mro__ if base.__module__.startswith("vllm."))
    assert ".".join(backend.full_cls_name()) == f"roarmask.vllm.cuda.{backend.__name__}"


@needs_vllm
def test_the_backend_is_one_that_has_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    import vllm.platforms
    from vllm.platforms.interface import DeviceCapability
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    from roarmask.vllm.config import ConfigError
    from roarmask.vllm.setup import choose_backend

    def chosen(asked: Any, dtype: Any, capability: Any, **per_kind: Any) -> str:
        platform = SimpleNamespace(is_cuda=lambda: True, get_device_capability=lambda: DeviceCapability(*capability))
        monkeypatch.setattr(vllm.platforms, "_current_platform", platform)
        settings = SimpleNamespace(backend=asked, backend_per_kind=per_kind)
        model = SimpleNamespace(dtype=dtype, get_head_size=lambda: 128)
        choose_backend(SimpleNamespace(attention_config=settings, model_config=model))
        return str(settings.backend.name)

    assert chosen(None, torch.bfloat16, (9, 0)) == "FLASH_ATTN"
    assert chosen(None, torch.float32, (9, 0)) == "TRITON_ATTN"
    assert chosen(None, torch.float16, (7, 5)) == "TRITON_ATTN"
    assert chosen(AttentionBackendEnum.TRITON_ATTN, torch.bfloat16, (9, 0)) == "TRITON_ATTN"
    with pytest.raises(ConfigError, match="FLASHINFER is not supported: use --attention-backend FLASH_ATTN or TRITON_ATTN"):
        chosen(AttentionBackendEnum.FLASHINFER, torch.bfloat16, (9, 0))
    with pytest.raises(ConfigError, match="FLEX_ATTENTION is not supported"):
        chosen(None, torch.bfloat16, (9, 0), sliding_window=AttentionBackendEnum.FLEX_ATTENTION)


@needs_vllm
def test_what_vllm_is_told(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.v1.attention.backend import AttentionCGSupport
    from vllm.v1.kv_cache_interface import KVCacheLayout

    worker = Worker(backend, monkeypatch, {})
    assert worker.builder.get_cudagraph_support(None, None) == AttentionCGSupport.NEVER
    assert not worker.builder.supports_update_block_table
    assert backend.supported_kv_cache_layouts() == (KVCacheLayout.LBNHC,)
    layer = list(worker.layers.values())[1]
    assert (layer.impl.forward(layer, None, None, None, None, None, torch.full((3,), torch.nan)) == 0).all()
    # A cache in another layout is an error and not a copy.
    cache = Cache(MIXED, 16, NUM_KV_HEADS)
    query = torch.randn(int(cache.starts[-1]), NUM_HEADS, HEAD_SIZE)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        layer.impl.forward(layer, query, None, None, cache.kv_cache.contiguous(), worker.build(cache), query.clone())
    # A second builder for the same layers, as vLLM makes when it measures memory first.
    first = worker.builder
    worker.builder = type(first)(first.kv_cache_spec, list(worker.layers), first.vllm_config, first.device)
    out = layer.impl.forward(layer, query, None, None, cache.kv_cache, worker.build(cache), query.clone())
    torch.testing.assert_close(out, plain(query, cache, masks_of_layer(1), 16), atol=2e-5, rtol=1e-4)

