# SPDX-License-Identifier: Apache-2.0
"""The door between vLLM and roarmask.vllm: the entry point that vLLM calls in every process, whether anybody wants masks or not.

It is a package of its own so that calling it does not import roarmask: that happens when a configuration asks for masks. Until then
vLLM has one flag more, and everything else is as before.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from .choice import CLASSES

KEY = "roarmask"  # in vLLM's additional_config
FLAG = "--use-roaring-attention-masks"
_ATTRIBUTE = "use_roaring_attention_masks"


def register() -> None:
    """The entry point of the group vllm.general_plugins. May be called any number of times."""
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

        entries = {name: AttentionBackendEnum[name] for name in CLASSES}
    except (ImportError, AttributeError, ValueError) as error:
        # A release that this was not made for must go on working for those who want no masks.
        logging.getLogger("vllm.roarmask").warning("No roaring attention masks in this vLLM: %s", error)
        return
    if getattr(EngineArgs, "_has_roarmask", False):
        return
    EngineArgs._has_roarmask = True
    EngineArgs.add_cli_args = staticmethod(_with_flag(EngineArgs.add_cli_args))
    EngineArgs.from_cli_args = classmethod(_with_value(EngineArgs.from_cli_args.__func__))
    EngineArgs.create_engine_config = _with_masks(EngineArgs.create_engine_config)
    # `choice` hands out vLLM's own class unless the current configuration asks for masks.
    for name, entry in entries.items():
        register_backend(entry, f"roarmask_vllm.choice.{name}")


def wants_masks(vllm_config: Any) -> bool:
    """Whether a VllmConfig (or None) asks for masks."""
    settings = getattr(vllm_config, "additional_config", None)
    return isinstance(settings, dict) and KEY in settings


def _with_flag(add_cli_args: Any) -> Any:
    @functools.wraps(add_cli_args)
    def add(parser: Any) -> Any:
        parser = add_cli_args(parser)
        # `serve --help=AttentionConfig` is where one looks for it.
        groups = [group for group in parser._action_groups if group.title == "AttentionConfig"]
        (groups or [parser])[0].add_argument(
            FLAG,
            nargs="?",
            const="",
            default=None,
            metavar="CONFIG",
            help="Block-sparse attention masks: an expression such as 'sink(4) | window(64)' or a policy such as 'quest(32)' "
            "for all layers, an atlas, or a configuration file (.toml, .json); without a value, a default. "
            "Write --use-roaring-attention-masks=CONFIG.",
        )
        return parser

    return add


def _with_value(from_cli_args: Any) -> Any:
    @functools.wraps(from_cli_args)
    def from_args(cls: Any, args: Any) -> Any:
        value = getattr(args, _ATTRIBUTE, None)
        if value is not None:
            settings = dict(getattr(args, "additional_config", None) or {})
            if KEY in settings:
                raise ValueError(f"{FLAG} and {KEY!r} in --additional-config are two masks: give one")
            args.additional_config = {**settings, KEY: value}
        return from_cli_args(cls, args)

    return from_args


def _with_masks(create_engine_config: Any) -> Any:
    @functools.wraps(create_engine_config)
    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        vllm_config = create_engine_config(self, *args, **kwargs)
        if wants_masks(vllm_config):
            from roarmask.vllm.setup import prepare

            prepare(vllm_config)
        return vllm_config

    return create
