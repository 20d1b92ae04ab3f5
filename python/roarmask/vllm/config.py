# SPDX-License-Identifier: Apache-2.0
"""What a user asks of the plugin: which mask each layer and KV head gets. Knows nothing of vLLM.

The value of `--use-roaring-attention-masks`, or of "roarmask" in vLLM's additional_config, is one of

- an expression of the pattern language, for all layers: "sink(4) | window(64)";
- the path of an atlas, whose entries are the layers' and KV heads';
- the path of a configuration file, .toml or .json, or the same as a JSON object or a dict:

      block = 16                          # tokens of a cell's side; 16 unless given
      default = "sink(4) | window(64)"    # layers that `layers` does not name
      atlas = "masks.atlas"               # beside the configuration file
      decode = "auto"                     # or "table", "kernel": how decode steps are computed
      prefill = "auto"                    # likewise
      [layers]
      "0-1" = "dense"                     # vLLM's own attention, untouched
      "2,5-9" = "sink(4) | window(32)"
      "10" = ["dense", "window(64)", "atlas(3, 0)"]    # one for each KV head
      "11-20" = "atlas"                   # the atlas's entry of the same layer and KV head
      "21-29" = "sink(1) | quest(32)"     # chosen in each step by a policy: see chosen.py

Row r of a mask are the query tokens of block r, column c the key tokens of block c. A token never sees later ones, and always
its own block up to itself, whatever the mask says.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._core import Atlas, Mask
from .._errors import FormatError
from . import chosen
from .chosen import Chosen

DEFAULT_BLOCK = 16
DEFAULT_EXPRESSION = "sink(4) | window(64)"
DENSE = "dense"
PATHS = ("auto", "table", "kernel")
_ENTRY = re.compile(r"atlas(?:\(\s*(\d+)\s*,\s*(\d+)\s*\))?")
_KEYS = ("block", "default", "atlas", "layers", "decode", "prefill")

# The masks of one layer, or how they are chosen, one for each KV head; None where the whole layer is dense.
LayerMasks = tuple[Mask | Chosen, ...] | None


def chooses(layer: LayerMasks) -> bool:
    """Some KV head's masks are chosen step by step."""
    return layer is not None and any(isinstance(how, Chosen) for how in layer)


class ConfigError(ValueError):
    """What is wrong with the configuration, in one line."""


@dataclass(frozen=True)
class Config:
    """A checked configuration; the masks themselves are made for a model by `masks`."""

    block: int = DEFAULT_BLOCK
    default: Any = DEFAULT_EXPRESSION
    atlas: str | None = None
    layers: Mapping[str, Any] = field(default_factory=dict)
    decode: str = "auto"
    prefill: str = "auto"

    @staticmethod
    def parse(value: object, folder: Path | None = None) -> Config:
        """The configuration that a flag or additional_config names.

        Args:
            value: None, True or "" for the default masks, a str, or a dict (see the module).
            folder: what relative paths in a dict start from; the working directory unless given.

        Raises:
            ConfigError
        """
        if value is None or value is True or value == "":
            return Config()
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                return Config.parse(json.loads(value), folder)
            except json.JSONDecodeError as error:
                raise ConfigError(f"this is no JSON: {error}") from error
        if isinstance(value, str):
            path = Path(value)
            if path.suffix in (".toml", ".json"):
                return Config.parse(_read(path), path.parent)
            if path.suffix == ".atlas" or path.is_file():
                return Config.parse({"default": "atlas", "atlas": value, "block": _noted_block(_open_atlas(value)) or DEFAULT_BLOCK})
            return Config.parse({"default": value})
        if not isinstance(value, Mapping):
            raise ConfigError(f"masks are an expression, a path or a table of settings, not {type(value).__name__}")
        unknown = sorted(set(map(str, value)) - set(_KEYS))
        if unknown:
            raise ConfigError(f"unknown setting {unknown[0]!r}; there are {', '.join(_KEYS)}")
        config = Config(**{str(key): item for key, item in value.items()})
        config._check()
        if config.atlas is not None and not Path(config.atlas).is_absolute():
            return Config(**{**config.as_dict(), "atlas": str((folder or Path()).resolve() / config.atlas)})
        return config

    def as_dict(self) -> dict[str, Any]:
        """What parse takes to make the same configuration in another process: JSON, with absolute paths."""
        return {key: dict(self.layers) if key == "layers" else getattr(self, key) for key in _KEYS}

    def _check(self) -> None:
        if isinstance(self.block, bool) or not isinstance(self.block, int) or not 1 <= self.block <= 65536:
            raise ConfigError(f"block is a number of tokens from 1 to 65536, not {self.block!r}")
        for name in ("decode", "prefill"):
            if getattr(self, name) not in PATHS:
                raise ConfigError(f"{name} is one of {', '.join(PATHS)}, not {getattr(self, name)!r}")
        if self.atlas is not None and not isinstance(self.atlas, str):
            raise ConfigError(f"atlas is a path, not {self.atlas!r}")
        if not isinstance(self.layers, Mapping):
            raise ConfigError("layers is a table of layer numbers and masks")
        for where, entry in [("default", self.default), *self.layers.items()]:
            for one in entry if isinstance(entry, (list, tuple)) else [entry]:
                if not isinstance(one, str):
                    raise ConfigError(f"{where}: a mask is an expression, 'atlas', 'atlas(LAYER, HEAD)', a policy or 'dense', not {one!r}")

    def masks(self, num_layers: int, num_kv_heads: int, max_tokens: int) -> list[LayerMasks]:
        """The masks of a model: for each layer None (dense) or one for each KV head, causal and with every query's own block.

        Equal ones are one object. Grids have ceil(max_tokens / block) rows and columns.

        Raises:
            ConfigError: a layer or entry that does not exist, an expression that does not parse, a file that cannot be read.
        """
        maker = _Maker(self, num_layers, -(-max_tokens // self.block))
        entries: list[tuple[str, Any]] = [("default", self.default)] * num_layers
        for where, entry in self.layers.items():
            for layer in _layer_numbers(where, num_layers):
                entries[layer] = (f"layers {where}" if not where.isdigit() else f"layer {where}", entry)
        return [maker.layer(where, entry, layer, num_kv_heads) for layer, (where, entry) in enumerate(entries)]


class _Maker:
    """Makes each mask once."""

    def __init__(self, config: Config, num_layers: int, side: int) -> None:
        self.num_layers, self.side, self.block = num_layers, side, config.block
        self.causal = Mask.parse("causal", side)
        self.own = Mask.parse("diagonals(0)", side)
        self.made: dict[Any, Any] = {}
        self.atlas: Atlas | None = None
        if config.atlas is not None:
            self.atlas = _open_atlas(config.atlas)
            if (noted := _noted_block(self.atlas) or config.block) != config.block:
                raise ConfigError(
                    f"atlas {config.atlas}: its note says that it was made for blocks of {noted} tokens, and `block` is {config.block}"
                )
            if min(self.atlas.rows, self.atlas.cols) < side:
                covered = min(self.atlas.rows, self.atlas.cols) * config.block
                raise ConfigError(
                    f"atlas {config.atlas}: its grid of {self.atlas.rows} x {self.atlas.cols} blocks of {config.block} tokens covers "
                    f"{covered} tokens, and the model's longest sequence has up to {side * config.block}: set `block` or --max-model-len"
                )

    def layer(self, where: str, entry: Any, layer: int, num_kv_heads: int) -> LayerMasks:
        given = [entry] * num_kv_heads if isinstance(entry, str) else list(entry)
        if len(given) != num_kv_heads:
            raise ConfigError(f"{where}: {len(given)} masks, and the model has {num_kv_heads} KV heads")
        masks = [self.head(where, one.strip(), layer, head, num_kv_heads) for head, one in enumerate(given)]
        if all(mask is None for mask in masks):
            return None
        return tuple(self.finished(self.causal) if mask is None else mask for mask in masks)

    def head(self, where: str, entry: str, layer: int, head: int, num_kv_heads: int) -> Mask | Chosen | None:
        if entry == DENSE:
            return None
        if not chosen.names_a_policy(entry):
            return self.mask(where, entry, layer, head, num_kv_heads)

        def part(text: str) -> Mask:
            mask = self.mask(where, text, layer, head, num_kv_heads)
            return self.finished(self.causal) if mask is None else mask

        # Heads whose masks are chosen in one way are chosen for at once: equal ones are one object.
        key = (entry, layer, head) if _ENTRY.search(entry) else entry
        if key not in self.made:
            try:
                made = chosen.parse(entry, self.block, part)
            except ConfigError:
                raise
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from error
            self.made[key] = part(made) if isinstance(made, str) else made
        how: Mask | Chosen = self.made[key]
        return how

    def mask(self, where: str, entry: str, layer: int, head: int, num_kv_heads: int) -> Mask | None:
        """Of an expression or an atlas entry; None is a dense one."""
        match = _ENTRY.fullmatch(entry)
        if match is None:
            try:
                return self.finished(Mask.parse(entry, self.side), entry)
            except (ValueError, OSError) as error:
                if policy := chosen.resembles_a_policy(entry):
                    raise ConfigError(
                        f"{where}: {entry!r}: the policy {policy} is written with its budget, such as {policy}(0.5)"
                    ) from error
                raise ConfigError(f"{where}: {error}") from error
        if self.atlas is None:
            raise ConfigError(f"{where}: {entry!r} needs `atlas`, the path of one")
        if match[1] is None and self.atlas.heads not in (1, num_kv_heads):
            raise ConfigError(
                f"{where}: the atlas has {self.atlas.heads} heads a layer, and the model {num_kv_heads} KV heads; of query heads "
                "python -m roarmask.advise makes those of KV heads"
            )
        if match[1] is None and (self.atlas.layers > self.num_layers or layer >= self.atlas.layers):
            raise ConfigError(f"{where}: the atlas has {self.atlas.layers} layers, and the model {self.num_layers}")
        which = (layer, head if self.atlas.heads > 1 else 0) if match[1] is None else (int(match[1]), int(match[2]))
        if which[0] >= self.atlas.layers or which[1] >= self.atlas.heads:
            raise ConfigError(f"{where}: the atlas has {self.atlas.layers} layers of {self.atlas.heads} heads, and no entry {which}")
        mask = self.atlas[which]
        return None if mask is None else self.finished(mask)

    def finished(self, mask: Mask, key: Any = None) -> Mask:
        """Cut to the model's grid, causal, with every query's own block: attention that is defined for every query."""
        key = mask if key is None else key
        if key not in self.made:
            part = mask if mask.shape == (self.side, self.side) else mask[: self.side, : self.side]
            part = (part & self.causal) | self.own
            self.made[key] = self.made.setdefault(part, part)
        made: Mask = self.made[key]
        return made


def _open_atlas(path: str) -> Atlas:
    try:
        return Atlas.open(path)
    except (OSError, FormatError) as error:
        raise ConfigError(getattr(error, "strerror", None) or str(error)) from error


def _noted_block(atlas: Atlas) -> int | None:
    """Tokens of a cell's side, where the atlas's note says so, as that of roarmask.profile does."""
    try:
        note = json.loads(atlas.note)
    except ValueError:
        return None
    block = note.get("block") if isinstance(note, dict) else None
    return block if isinstance(block, int) and block >= 1 else None


def _layer_numbers(where: str, num_layers: int) -> Sequence[int]:
    numbers: list[int] = []
    for part in where.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise ConfigError(f"layers {where!r}: layers are numbers and ranges, such as 0,4-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= num_layers:
            raise ConfigError(f"layers {where!r}: the model has layers 0 to {num_layers - 1}")
        numbers.extend(range(first, last + 1))
    return numbers


def _read(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # of both parsers, and of text that is not UTF-8
        raise ConfigError(f"{path}: {error}") from error
