# SPDX-License-Identifier: Apache-2.0
"""torch.compile and Hugging Face transformers over attention with masks."""

import copy
import importlib

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("roarmask._attention")

import roarmask  # noqa: E402
from attention_oracle import tokens_of  # noqa: E402
from roarmask import Atlas, Mask  # noqa: E402

MASK = Mask.parse("causal & (sink(1) | window(3))", 13)
OTHER = Mask.parse("causal & window(2)", 13)


class Layer(torch.nn.Module):
    def __init__(self, mask, **options):
        super().__init__()
        self.project, self.mask, self.options = torch.nn.Linear(32, 32), mask, options

    def forward(self, x):
        query = self.project(x)
        made = roarmask.attention(query * 2, query, x, self.mask, block=16, causal=True, **self.options)
        return (made[0] + 1, made[1]) if isinstance(made, tuple) else made + 1


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend):
    torch._dynamo.reset()
    layer = Layer(MASK)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    with torch.no_grad():
        for mask in (MASK, OTHER, None, [MASK, OTHER, None, MASK], [[MASK], [OTHER]]):
            layer.mask = mask
            for tokens in (200, 90):
                x = torch.randn(2, 4, tokens, 32)
                torch.testing.assert_close(compiled(x), layer(x), rtol=1e-5, atol=1e-5)


def test_compile_with_options():
    torch._dynamo.reset()
    x = torch.randn(1, 4, 100, 32)
    sinks = torch.tensor([0.0, 1.0, 2.0, 3.0])
    for options in (
        {"return_lse": True, "sinks": sinks, "scale": 0.3, "soft_cap": 4.0},
        {"alibi_slopes": [0.1, 0.2, 0.3, 0.4], "key_lens": [80], "first_position": 20},
    ):
        layer = Layer(MASK, **options)
        with torch.no_grad():
            torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))


def test_operator():
    from roarmask import _torch

    q, k, v = torch.randn(2, 50, 4, 32).transpose(1, 2), torch.randn(2, 2, 50, 32), torch.randn(2, 2, 50, 32)
    rest = (_torch._place_of(MASK), (16, 16), True, None, None, None, None, None, None, None, None, True, 0, False)
    torch.library.opcheck(torch.ops.roarmask.attention.default, (q, k, v, *rest))
    made = torch.ops.roarmask.attention(q, k, v, *rest)
    assert torch.equal(made[0], roarmask.attention(q, k, v, MASK, block=16, causal=True))
    assert _torch._place_of(Mask.parse("causal & (sink(1) | window(3))", 13)) == rest[0]
    with pytest.raises(NotImplementedError, match="no backward"):
        torch.ops.roarmask.attention(q.requires_grad_(), k, v, *rest)


# ---------------------------------------------------------------- transformers


@pytest.fixture(scope="module")
def models():
    """The same random Llama twice: with roarmask's attention, and eager."""
    transformers = pytest.importorskip("transformers")
    importlib.import_module("roarmask.transformers")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
    )  # fmt: skip
    eager = transformers.LlamaForCausalLM(config).eval()
    ours = copy.deepcopy(eager)
    ours.set_attn_implementation("roarmask")
    assert ours.config._attn_implementation == "roarmask"
    return ours, eager


def additive(mask, block, num_queries, num_keys):
    seen = tokens_of(mask, block, num_queries, num_keys, num_keys - num_queries, True)
    return torch.zeros(1, 1, num_queries, num_keys).masked_fill(~seen, torch.finfo(torch.float32).min)


@pytest.mark.parametrize("mask", [None, MASK], ids=["dense", "mask"])
def test_llama(models, mask):
    """A prompt, a chunk and decode steps over a cache, beside eager attention with the dense mask."""
    ours, eager = models
    roarmask.transformers.set_mask(ours, mask, block=16)
    ids = torch.randint(3, 97, (2, 150), generator=torch.Generator().manual_seed(2))
    caches = [None, None]
    with torch.no_grad():
        for begin, end in ((0, 90), (90, 140), (140, 141), (141, 142), (142, 150)):
            made = ours(ids[:, begin:end], past_key_values=caches[0], use_cache=True)
            expected = eager(
                ids[:, begin:end], past_key_values=caches[1], use_cache=True, attention_mask=additive(mask, 16, end - begin, end)
            )
            torch.testing.assert_close(made.logits, expected.logits, rtol=1e-4, atol=1e-5)
            caches = [made.past_key_values, expected.past_key_values]


def test_llama_with_masks_for_layers_and_heads(models):
    ours, eager = models
    ids = torch.randint(3, 97, (1, 150), generator=torch.Generator().manual_seed(3))

    def logits():
        with torch.no_grad():
            return ours(ids).logits

    roarmask.transformers.set_mask(ours, [MASK, MASK, MASK], block=16)
    same = logits()
    roarmask.transformers.set_mask(ours, Atlas([[MASK] * 4] * 3), block=16)
    torch.testing.assert_close(logits(), same, rtol=1e-4, atol=1e-5)
    roarmask.transformers.set_mask(ours, {1: [MASK, OTHER]}, block=16)
    some = logits()
    assert not torch.allclose(some, same)
    roarmask.transformers.set_mask(ours, [None, [MASK, MASK, OTHER, OTHER], None], block=16)
    torch.testing.assert_close(logits(), some, rtol=1e-4, atol=1e-5)
    roarmask.transformers.set_mask(ours, None)
    with torch.no_grad():
        torch.testing.assert_close(logits(), eager(ids).logits, rtol=1e-4, atol=1e-5)
    for wrong in ([MASK], Atlas([[MASK]]), {3: MASK}):
        with pytest.raises(ValueError, match="and the model has 3"):
            roarmask.transformers.set_mask(ours, wrong)
    with pytest.raises(ValueError, match="no attention layers"):
        roarmask.transformers.set_mask(torch.nn.Linear(2, 2), MASK)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generate(models, cache):
    ours, eager = models
    roarmask.transformers.set_mask(ours, Mask.parse("causal", 30), block=16)
    ids = torch.randint(3, 97, (2, 20), generator=torch.Generator().manual_seed(4))
    options = {"max_new_tokens": 12, "do_sample": False, "attention_mask": torch.ones_like(ids), "cache_implementation": cache}
    assert torch.equal(ours.generate(ids, **options), eager.generate(ids, **options))
    padded = torch.ones_like(ids)
    padded[0, :3] = 0
    with pytest.raises(NotImplementedError, match="padding"):
        ours.generate(ids, **{**options, "attention_mask": padded})


def test_sliding_window(models):
    transformers = pytest.importorskip("transformers")
    config = transformers.MistralConfig(
        vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        sliding_window=20, max_position_embeddings=512, attn_implementation="eager",
    )  # fmt: skip
    eager = transformers.MistralForCausalLM(config).eval()
    ours = copy.deepcopy(eager)
    ours.set_attn_implementation("roarmask")
    ids = torch.randint(3, 97, (1, 100), generator=torch.Generator().manual_seed(5))
    caches = [None, None]
    with torch.no_grad():
        for begin, end in ((0, 60), (60, 61), (61, 62), (62, 100)):
            made, expected = (
                m(ids[:, begin:end], past_key_values=c, use_cache=True) for m, c in zip((ours, eager), caches, strict=True)
            )
            torch.testing.assert_close(made.logits, expected.logits, rtol=1e-4, atol=1e-5)
            caches = [made.past_key_values, expected.past_key_values]
        roarmask.transformers.set_mask(ours, MASK, block=16)
        with pytest.raises(NotImplementedError, match="sliding window of its own"):
            ours(ids)


def test_compiled_llama(models):
    ours, _ = models
    roarmask.transformers.set_mask(ours, MASK, block=16)
    ids = torch.randint(3, 97, (1, 100), generator=torch.Generator().manual_seed(6))
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(ours.model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(ids, use_cache=False)[0], ours.model(ids, use_cache=False)[0], rtol=1e-4, atol=1e-5)
