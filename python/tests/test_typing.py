# SPDX-License-Identifier: Apache-2.0
"""The installed package is typed: mypy --strict on it, and on a program that uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

import roarmask

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.parametrize("what", [["-p", "roarmask"], [str(HERE / "typed_consumer.py")]])
def test_mypy(what, tmp_path):
    """What mypy has found out about NumPy and torch, most of the work, is kept between the runs."""
    pytest.importorskip("mypy")
    folder = Path(roarmask.__file__).parent
    if not (folder / "_core.pyi").exists():
        pytest.skip("the stub comes with the installed package")
    # From elsewhere, so that the installed package is meant and not the sources; sources given by PYTHONPATH are found by MYPYPATH.
    path = {} if "site-packages" in folder.parts else {"MYPYPATH": str(folder.parent)}
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / "build-python" / "mypy")]
    command = [sys.executable, "-m", "mypy", *options, *what]
    run = subprocess.run(command, cwd=tmp_path, env={**path, "PATH": "/usr/bin"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
