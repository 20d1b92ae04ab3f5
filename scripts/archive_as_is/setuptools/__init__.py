# SPDX-License-Identifier: Apache-2.0
"""Stands in for setuptools while setup.sh downloads a source archive; see build_meta.py."""
