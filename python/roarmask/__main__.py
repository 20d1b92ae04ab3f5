# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask`: the roarmask command that came with the package, and the commands that are Python's."""

import os
import runpy
import sys
from pathlib import Path

_PYTHON = ("advise", "fidelity", "model", "profile")


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in _PYTHON:
        del sys.argv[0]
        runpy.run_module(f"roarmask.{sys.argv[0]}", run_name="__main__", alter_sys=True)
        return
    command = Path(__file__).with_name("bin") / "roarmask"
    if not command.exists():
        sys.exit("roarmask: this build of the package has no command: jansson, libzip or cairo was missing when it was built")
    os.execv(command, [str(command), *sys.argv[1:]])


if __name__ == "__main__":
    main()
