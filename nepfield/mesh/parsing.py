"""Numbers in the text of a file, taken piece by piece, so that no text asks for more than it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_PIECE = 2**20
_LONGEST = 400  # signs that a number may have; 1e-300 in full has 302 digits


def numbers_in(text: bytes, dtype: np.dtype) -> NDArray:
    """The numbers of a text that blanks separate, (n,).

    Raises
    ------
    ValueError
        Where something else stands there, a number of more than 400 signs, or one that the type
        does not hold; its message says what.
    """
    whole = dtype.kind in "iu"
    parts = [_converted(words, dtype, int if whole else float) for words in _words(text)]
    return np.concatenate([np.zeros(0, dtype), *parts])


def _words(text: bytes) -> Iterator[list[bytes]]:
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):  # not within a number
            blank = re.compile(rb"\s").search(text, end, end + _LONGEST + 1)
            if blank is None:
                raise ValueError(f"a number has more than {_LONGEST} signs")
            end = blank.start()
        yield text[start:end].split()
        start = end


def _converted(words: list[bytes], dtype: np.dtype, convert: type) -> NDArray:
    if max(map(len, words), default=0) > _LONGEST:
        raise ValueError(f"a number has more than {_LONGEST} signs")
    try:
        return np.fromiter(map(convert, words), dtype, len(words))
    except (OverflowError, ValueError):
        for word in words:  # which one
            shown = word[:20].decode(errors="replace")
            try:
                np.array(convert(word), dtype)
            except (OverflowError, ValueError):
                raise ValueError(f"{shown!r} is no number of type {dtype.name}") from None
        raise


def whole_number(text: str) -> int:
    """A count of at most 18 digits in an attribute of a file; ValueError for anything else."""
    if not re.fullmatch(r"\s*\d{1,18}\s*", text, re.ASCII):
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text)
