"""Which batches are solved in blocks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nepfield.errors import InputError
from nepfield.space.linalg import DENSE_LIMIT


class Reference(NamedTuple):
    """What the samples of a batch share: fields a, of which factors of H + a are made. Parts of a
    batch that are given the same find the same states.

    Attributes
    ----------
    warm : ndarray or None
        For samples that start from a state.
    path : tuple of ndarray or None
        For samples that start from the vacuum: in each step in which the pump is turned up, and
        after the last.
    """

    warm: np.ndarray | None
    path: tuple[np.ndarray | None, ...]


LEAST = 32
"""Samples from which on a batch is solved in blocks; smaller ones go through Newton's method."""


def response_accuracy(shape: tuple[int, ...], options: Mapping[str, Any], alone: float) -> float:
    """Residual, relative to the nudge, that an answer to it may keep.

    Parameters
    ----------
    shape : tuple of int
        (ndof, nsamples).
    options : mapping
        Of the solver. "response_tolerance" is taken as it is; else large batches take what a
        gradient needs where the states have a residual of "tolerance": 3e-5, an error below 3e-4
        in the gradient even near a resonance, at 1e-6; 3e-9 at 1e-10.
    alone : float
        For small batches.
    """
    given: float | None = options.get("response_tolerance")
    if given is not None:
        return given
    if not in_blocks(shape):
        return alone
    return min(3e-5, 30 * options.get("tolerance", 1e-10))


def check_response_tolerance(value: float | None) -> None:
    """InputError if it is no tolerance."""
    if value is not None and not 0 < value < 1:
        raise InputError(f"response_tolerance = {value}: it must lie between 0 and 1.")


def in_blocks(shape: tuple[int, ...]) -> bool:
    """Whether a batch, (ndof, nsamples), is so large, and compiled code is to be had."""
    ndof, nsamples = shape
    return nsamples >= LEAST and ndof > DENSE_LIMIT and _compiles()


@cache
def _compiles() -> bool:
    """Whether Numba compiles here; if not, it is said once."""
    try:
        from nepfield.steady.batches import trial

        trial.run()
    except Exception as error:  # what is missing or broken there has no common type
        warnings.warn(
            f"Numba cannot compile here ({type(error).__name__}: {error}), so large batches are "
            "solved without it: the same results, several times slower.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
