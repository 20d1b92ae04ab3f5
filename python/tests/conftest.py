# SPDX-License-Identifier: Apache-2.0
"""Hypothesis repeats the same examples in every run, unless asked for new ones: --hypothesis-profile=explore.

And models to try things on.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("repeat")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a real model: ROARMASK_MODEL, or SmolLM2 out of its package."""
    import torch

    # What runs the model to compare with, too: threads that wait for each other on cores that others use wait for long.
    torch.set_num_threads(1)
    if "ROARMASK_MODEL" in os.environ:
        return os.environ["ROARMASK_MODEL"]
    from roarmask import model as roarmask_model

    out = tmp_path_factory.mktemp("model") / "smollm2"
    roarmask_model.convert(roarmask_model.packaged_gguf(), out)
    return str(out)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A Mistral of random weights and a text whose tokens are single bytes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        vocab_size=256, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, sliding_window=96,
    )  # fmt: skip
    model = transformers.MistralForCausalLM(config)
    for name, weights in model.named_parameters():
        if "q_proj" in name or "k_proj" in name:
            weights.data *= 40  # random weights attend to all tokens alike otherwise
    model.save_pretrained(folder / "checkpoint")
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(sorted(letters))}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder / "checkpoint")
    rng = np.random.default_rng(5)
    for name in ("one.txt", "two.txt"):
        (folder / name).write_text("".join(rng.choice(list("abcdefgh "), 300)))
    return {"model": folder / "checkpoint", "one": folder / "one.txt", "two": folder / "two.txt"}
