# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask`: the roarmask command that came with the package."""

import os
import sys
from pathlib import Path


def main() -> None:
    command = Path(__file__).with_name("bin") / "roarmask"
    if not command.exists():
        sys.exit("roarmask: this build of the package has no command: jansson, libzip or cairo was missing when it was built")
    os.execv(command, [str(command), *sys.argv[1:]])


if __name__ == "__main__":
    main()
