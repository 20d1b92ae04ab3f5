# SPDX-License-Identifier: Apache-2.0
"""Masks that are chosen step by step: policies as a configuration writes them. Knows nothing of vLLM.

quest(32)                          32 blocks for each query head
topp_blocks(0.9)                   a share, of what roarmask.policies says
xattention(0.9, stride=8)          with a setting of the policy's
sink(1) | window(4) | quest(0.1)   with expressions, atlas entries and other policies: | and &
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from .. import policies
from .._core import Mask
from ..policies import Budget, Policy

# What may stand behind the budget of each.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "quest": (),
    "topk_blocks": (),
    "topp_blocks": (),
    "vertical_slash": ("last",),
    "xattention": ("stride",),
    "sampled_queries": ("every", "window"),
    "streaming": ("sink",),
    "heavy_hitters": (),
}
_CALL = re.compile(rf"\b({'|'.join(_SETTINGS)})\s*\(([^()]*)\)")


@dataclass(frozen=True)
class Bound:
    """A policy with its budget."""

    policy: Policy
    budget: Budget


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a KV head reads: the union of the terms, each the intersection of its parts; and always a query's own block.

    Query heads choose for themselves; their KV head reads what any of them chose.
    """

    terms: tuple[tuple[Mask | Bound, ...], ...]


def names_a_policy(entry: str) -> bool:
    return _CALL.search(entry) is not None


def resembles_a_policy(entry: str) -> str | None:
    """The name of one that stands in an entry, however it goes on."""
    match = re.search(rf"\b({'|'.join(_SETTINGS)})\b", entry.lower())
    return match[1] if match else None


def parse(entry: str, block: int, mask_of: Callable[[str], Mask]) -> Chosen | str:
    """An entry with policies in it.

    Args:
        mask_of: makes the mask of an expression or an atlas entry.

    Returns:
        what is to be chosen; or, where nothing depends on queries and keys, the expression that it comes down to.

    Raises:
        ValueError: one line.
    """
    entry = _CALL.sub(_formula, entry)
    if not names_a_policy(entry):
        return entry
    terms = []
    for term in _split(entry, "|"):
        if len(_split(term, "^")) > 1 and names_a_policy(term):
            raise ValueError("policies go together with | and & only")
        parts = _split(term, "&") if names_a_policy(term) else [term]
        terms.append(tuple(_bound(match, block) if (match := _CALL.fullmatch(part)) else mask_of(part) for part in parts))
    return Chosen(tuple(terms))


def _split(text: str, operator: str) -> list[str]:
    """At the operators that no parentheses enclose."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == operator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _arguments(match: re.Match[str]) -> tuple[Budget, dict[str, int]]:
    name, known = match[1], _SETTINGS[match[1]]
    budget: Budget | None = None
    settings: dict[str, int] = {}
    for i, text in enumerate(match[2].split(",")):
        key, _, value = text.rpartition("=")
        try:
            number = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            number = None
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"{name}: {text.strip()!r} is no number")
        if i == 0 and key.strip() in ("", "budget"):
            budget = number
        elif key.strip() in known and isinstance(number, int) and number >= 1:
            settings[key.strip()] = number
        else:
            expected = ", ".join(["a budget", *(f"{setting}=NUMBER" for setting in known)])
            raise ValueError(f"{match[0]!r}: {name} takes {expected}")
    if budget is None:
        raise ValueError(f"{match[0]!r}: {name} takes a budget first")
    if not (budget >= 1 if isinstance(budget, int) else 0 < budget <= 1):
        raise ValueError(f"{match[0]!r}: a budget is a number of blocks from 1, or a share above 0 up to 1.0")
    if name in ("topp_blocks", "xattention", "sampled_queries") and isinstance(budget, int):
        raise ValueError(f"{match[0]!r}: the budget of {name} is a share, such as 0.9")
    return budget, settings


def _formula(match: re.Match[str]) -> str:
    """streaming is an expression, the same for sequences of any length."""
    if match[1] != "streaming":
        return match[0]
    budget, settings = _arguments(match)
    if isinstance(budget, float):
        raise ValueError(f"{match[0]!r}: a share of a sequence that is still growing is not known: give a number of blocks")
    window = max(1, budget - settings.get("sink", 1))
    return f"(sink({budget - window}) | window({window}))"


def _bound(match: re.Match[str], block: int) -> Bound:
    if match[1] == "heavy_hitters":
        raise ValueError(f"{match[0]!r}: it adds up the attention of all earlier queries, which are not kept; quest and topk_blocks work")
    budget, settings = _arguments(match)
    return Bound(getattr(policies, match[1])(block, **settings), budget)
