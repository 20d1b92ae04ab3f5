# SPDX-License-Identifier: Apache-2.0
"""Hypothesis repeats the same examples in every run, unless asked for new ones: --hypothesis-profile=explore."""

from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("repeat")
