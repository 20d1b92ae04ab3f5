# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask.profile --model DIR --text FILE -o OUT.atlas`"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._checkpoint import CheckpointError
from ._run import Wanted, run


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("a share lies above 0 and is at most 1")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roarmask.profile",
        description="Where a model's attention goes over a real text, and the masks that keep most of it.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a local checkpoint")
    parser.add_argument(
        "--text", type=Path, required=True, action="append", metavar="FILE", help="plain or .gz; further ones are compared with the first"
    )
    parser.add_argument("--tokens", type=_positive, default=4096, metavar="N", help="of each text (%(default)s)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="tokens of each text to leave out at its beginning (%(default)s)")
    parser.add_argument("--block", type=_positive, default=16, metavar="N", help="tokens a block (%(default)s)")
    parser.add_argument("--keep", type=_share, default=0.95, metavar="SHARE", help="of the attention that the masks keep (%(default)s)")
    parser.add_argument("--by", choices=("row", "head"), default="row", help="every row keeps that share, or every head (%(default)s)")
    parser.add_argument("--heads", choices=("query", "kv"), default="query", help="a mask for each query head, or for each KV head's group")
    parser.add_argument("--steps", type=_positive, default=64, metavar="N", help="decode steps that are compared (%(default)s)")
    parser.add_argument("--sink", type=_positive, default=1, metavar="BLOCKS", help="that count as sink (%(default)s)")
    parser.add_argument("--window", type=_positive, default=8, metavar="BLOCKS", help="that count as window (%(default)s)")
    parser.add_argument(
        "--heavy", type=_share, default=0.01, metavar="SHARE", help="mean mass that makes a column or diagonal (%(default)s)"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.atlas", help="beside it: .json and .html of the same name")
    parser.add_argument("--masses", type=Path, metavar="FILE.npy", help="keep the first text's block masses too: float16")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.tokens < 2 * options.block or not 2 <= options.steps <= options.tokens:
        parser.error("at least two blocks of tokens, and from two steps up to all tokens")
    wanted = Wanted(
        model=options.model,
        texts=options.text,
        **{
            name: getattr(options, name)
            for name in ("tokens", "skip", "block", "keep", "by", "heads", "steps", "sink", "window", "heavy", "quiet")
        },
    )
    try:
        atlas, report, streamed = run(wanted)
    except CheckpointError as error:
        print(f"roarmask: {error}", file=sys.stderr)
        return 1
    from ._page import draw

    report["command"] = shlex.join(["python", "-m", "roarmask.profile", *(sys.argv[1:] if arguments is None else arguments)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    atlas.save(options.out)
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    options.out.with_suffix(".html").write_text(draw(report, atlas))
    if options.masses:
        np.save(options.masses, streamed.masses.astype(np.float16))
    mean = report["mean"]
    print(
        f"{options.out}: {report['layers_count']} layers x {atlas.heads} heads, {100 * mean['density']:.1f}% of the causal blocks hold "
        f"{100 * mean['mass_kept']:.1f}% of the attention, {atlas.nbytes / 1e6:.2f} MB"
    )
    for share, density in mean["density_by_row"].items():
        print(
            f"  {100 * float(share):.0f}% kept: {100 * density:.1f}% of the blocks row by row, "
            f"{100 * mean['density_by_head'][share]:.1f}% head by head"
        )
    print("  mass: " + ", ".join(f"{part} {100 * share:.1f}%" for part, share in mean["parts"].items()))
    steps = mean["steps"]
    print(f"  a decode step reads {steps['blocks']:.1f} blocks, {steps['new']:.1f} of them new since the step before")
    print(f"  {report['seconds']:.0f} s, peak memory {report['peak_rss_bytes'] / 1e9:.1f} GB; {options.out.with_suffix('.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
