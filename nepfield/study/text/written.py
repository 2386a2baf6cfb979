"""Checks of values that may be written in several forms: one check, one message, for people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

LARGEST_INTEGER = 2**63 - 1
"""Of a study: what NumPy and files of results can hold."""


def finite_number(value: Any) -> float | None:
    """A number of a TOML file as a float; None for anything else, and where it is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # TOML integers have no largest one
        return None


def wrong(message: str) -> PydanticCustomError:
    """Error whose message stands as it is, braces included."""
    return PydanticCustomError("form", "{message}", {"message": message})


@dataclass(frozen=True, slots=True)
class Written(PlainValidator):
    """A check of a value that may be written in several forms, with these forms in words.

    Attributes
    ----------
    right : str
    study : str
        Name of the method of a study class that lists what is right, where that depends on it.
    """

    right: str = ""
    study: str = ""


def form(check: Callable[[Any], Any], right: str) -> PlainValidator:
    """Validator that says `right` where `check` returns None."""

    def validate(value: Any) -> Any:
        result = check(value)
        if result is None:
            raise wrong(f"must be {right}")
        return result

    return Written(validate, right=right)
