"""The error that nepfield raises at its border."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what was wrong, where (file, key), and what would be right.
    """


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put the section of a study (or the file) in front of an error's message."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
