# SPDX-License-Identifier: Apache-2.0
"""The package's own failures. Both are ValueErrors, so that callers need not know them."""


class FormatError(ValueError):
    """Bytes that claim to be a mask are not one. The message names the byte offset of the fault."""

    __module__ = "roarmask"


class ExpressionError(ValueError):
    """An expression of the pattern language does not parse.

    Attributes:
        position: byte offset of the fault in the expression.
    """

    __module__ = "roarmask"

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message, position)
        self.position = position

    def __str__(self) -> str:
        return str(self.args[0])
