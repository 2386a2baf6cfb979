"""The error that nepfield raises at its border."""

from __future__ import annotations


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what was wrong, where (file, key), and what would be right.
    """
