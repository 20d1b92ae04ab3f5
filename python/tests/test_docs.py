# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/python.md and of README's Python section print what the pages say."""

import doctest
import re
from pathlib import Path

import pytest

import roarmask

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_the_modules_own():
    assert doctest.testmod(roarmask) == (0, 4)


@pytest.mark.parametrize("page", ["docs/python.md", "README.md"])
def test_examples(page, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    text = (ROOT / page).read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples, {}, page, page, 0)
    assert len(test.examples) > 3
    results = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test)
    assert results.failed == 0
