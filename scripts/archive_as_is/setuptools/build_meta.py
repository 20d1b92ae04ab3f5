# SPDX-License-Identifier: Apache-2.0
"""A build backend that builds nothing.

`pip download` asks every source archive for its metadata, which means fetching the archive's build tools and running its
setup script. Only a C file of the archive is wanted here, so this backend answers from the PKG-INFO that lies in it.
"""
import email.parser
import pathlib
import shutil


class _ArchiveAsIs:
    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        info = email.parser.Parser().parsestr(pathlib.Path("PKG-INFO").read_text(encoding="utf-8"), headersonly=True)
        folder = pathlib.Path(metadata_directory, f"{info['Name']}-{info['Version']}.dist-info")
        folder.mkdir()
        shutil.copy("PKG-INFO", folder / "METADATA")
        return folder.name


__legacy__ = _ArchiveAsIs  # the backend's name for archives without a pyproject.toml
