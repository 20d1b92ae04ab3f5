# SPDX-License-Identifier: Apache-2.0
"""The command that comes with the package, and what is said where there is none."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import roarmask
import roarmask.__main__

COMMAND = Path(roarmask.__file__).with_name("bin") / "roarmask"
needs_command = pytest.mark.skipif(not COMMAND.exists(), reason="built without the command")


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True)


@needs_command
def test_module_and_script_are_the_command(tmp_path):
    path = str(tmp_path / "x.rmask")
    assert run(sys.executable, "-m", "roarmask", "build", "causal", "--rows", "5", "-o", path).returncode == 0
    assert roarmask.Mask.open(path) == roarmask.Mask.parse("causal", 5)
    said = run(COMMAND, "row", path, "3")
    assert said.stdout
    assert run(sys.executable, "-m", "roarmask", "row", path, "3").stdout == said.stdout
    script = shutil.which("roarmask", path=str(Path(sys.executable).parent))
    if script:
        assert run(script, "row", path, "3").stdout == said.stdout
    wrong = run(sys.executable, "-m", "roarmask", "nothing")
    assert wrong.returncode != 0
    assert "unknown command 'nothing'" in wrong.stderr


def test_without_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(roarmask.__main__, "__file__", str(tmp_path / "__main__.py"))
    with pytest.raises(SystemExit, match="this build of the package has no command"):
        roarmask.__main__.main()


def test_versions_agree():
    assert roarmask.__version__ == (Path(__file__).parents[2] / "VERSION").read_text().strip()
    if COMMAND.exists():
        assert roarmask.__version__ in run(COMMAND, "--version").stdout
    if "site-packages" in COMMAND.parts:
        assert importlib.metadata.version("roarmask") == roarmask.__version__
