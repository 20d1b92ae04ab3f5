# SPDX-License-Identifier: Apache-2.0
"""The source archive has every file of the package and of the engine, and none that is not needed."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys; from scikit_build_core.build import build_sdist; print(build_sdist(sys.argv[1]))"


def test_source_archive(tmp_path):
    pytest.importorskip("scikit_build_core")
    run = subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with tarfile.open(next(tmp_path.glob("roarmask-*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"PKG-INFO", "LICENSE", "README.md", "VERSION", "pyproject.toml", "CMakeLists.txt", "python/CMakeLists.txt"} <= names
    package = ROOT / "python" / "roarmask"
    sources = [*package.rglob("*.py"), package / "py.typed", *(ROOT / "python" / "src").rglob("*.[ch]*"), *(ROOT / "src").rglob("*.[ch]")]
    sources += [*(ROOT / "include").rglob("*.h"), *(ROOT / "programs").rglob("*.[ch]")]
    assert not {str(path.relative_to(ROOT)) for path in sources} - names
    assert not [name for name in names if name.startswith(("python/tests", "tests/", "docs/", "build")) or name.endswith((".so", ".pyc"))]
