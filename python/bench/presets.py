# SPDX-License-Identifier: Apache-2.0
"""The configurations of `roarmask bench --preset`, as expressions."""

from __future__ import annotations

import random
from typing import NamedTuple

SEED = 42


class Preset(NamedTuple):
    name: str
    about: str
    side: int  # blocks
    expression: str


def published(side: int, window: int, global_blocks: int, sparsity: float) -> str:
    """Row q sees [q - w / 2, q + w / 2), the first g rows and columns see and are seen by all, plus random columns."""
    count = int((1 - sparsity) * side / 10 + 1e-9)
    terms = [f"global({global_blocks})", f"window({window // 2}, {window // 2 - 1})"]
    terms += [f"random({(count + 0.5) / side:.9f}, seed={SEED})"] if count else []
    return " | ".join(terms)


def vertical_slash(side: int) -> str:
    draw = random.Random(SEED)
    columns, diagonals = sorted(draw.sample(range(side), 1000)), sorted({0, *draw.sample(range(side), 199)})
    return f"causal & (columns({', '.join(map(str, columns))}) | diagonals({', '.join(map(str, diagonals))}))"


def documents(side: int) -> str:
    draw, lengths, left = random.Random(SEED), [], side
    while left:
        octave = 1 << draw.randrange(9)
        lengths.append(min(left, octave + draw.randrange(octave) + 1))
        left -= lengths[-1]
    return f"causal & documents({', '.join(map(str, lengths))})"


PRESETS = [
    Preset("seed", "16k tokens: window 128, 16 global, 0.1% random", 1000, published(1000, 128, 16, 0.99)),
    Preset("100k", "100k tokens: window 128, 16 global, 0.1% random", 6250, published(6250, 128, 16, 0.99)),
    Preset("1m-structured", "1M tokens: window 512, 64 global", 62500, published(62500, 512, 64, 1)),
    Preset("1m", "1M tokens: window 512, 64 global, 0.1% random", 62500, published(62500, 512, 64, 0.99)),
    Preset("1m-vertical-slash", "1M tokens: 1,000 columns, 200 diagonals, causal", 62500, vertical_slash(62500)),
    Preset("bigbird", "262k tokens: 2 global, window 3, 3 random a row", 16384, "global(2) | window(1, 1) | random(0.0002)"),
    Preset("longformer", "262k tokens: 1 global, window 33", 16384, "global(1) | window(16, 16)"),
    Preset("dilated", "262k tokens: window 8, every 4th of 1,024", 16384, "window(8) | dilated(256, 4)"),
    Preset("documents", "262k tokens: packed documents, causal in each", 16384, documents(16384)),
    Preset("random-1", "262k tokens: 1% random", 16384, f"random(0.01, seed={SEED})"),
    Preset("random-5", "262k tokens: 5% random", 16384, f"random(0.05, seed={SEED})"),
]
BY_NAME = {preset.name: preset for preset in PRESETS}
DEFAULT = ["seed", "100k", "1m-structured", "1m", "1m-vertical-slash", "documents", "random-1"]
