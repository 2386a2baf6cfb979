"""Errors that nepfield raises at its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nepfield.steady.newton import Steady


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what was wrong, where (file, key), and what would be right.
    """


class NotConverged(RuntimeError):
    """A steady state was not found.

    Attributes
    ----------
    steady : Steady
        The last iterate with its per-sample certificate.
    """

    def __init__(self, message: str, steady: Steady) -> None:
        super().__init__(message)
        self.steady = steady
