# SPDX-License-Identifier: Apache-2.0
"""A progress bar on the standard error: one line that is redrawn on a terminal, a line every tenth elsewhere."""

from __future__ import annotations

import sys
import time


class Progress:
    """with Progress("layers", 30) as bar: ... bar.step()"""

    def __init__(self, what: str, total: int, quiet: bool = False) -> None:
        self.what, self.total, self.quiet = what, max(1, total), quiet
        self.done = 0
        self.begin = time.monotonic()

    def __enter__(self) -> Progress:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.quiet and sys.stderr.isatty():
            print(file=sys.stderr)

    def step(self) -> None:
        self.done += 1
        self._draw()

    def _draw(self) -> None:
        if self.quiet:
            return
        spent = time.monotonic() - self.begin
        left = f", about {spent / self.done * (self.total - self.done):.0f} s left" if 0 < self.done < self.total else ""
        line = f"{self.what} {self.done}/{self.total}, {spent:.0f} s{left}"
        if sys.stderr.isatty():
            full = 30 * self.done // self.total
            print(f"\r[{'#' * full}{'.' * (30 - full)}] {line}\x1b[K", end="", file=sys.stderr, flush=True)
        elif self.done * 10 // self.total != (self.done - 1) * 10 // self.total:
            print(line, file=sys.stderr, flush=True)
