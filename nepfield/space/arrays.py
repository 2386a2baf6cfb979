"""Questions about arrays that are asked so often that on small problems their overhead counts."""

from __future__ import annotations

import numpy as np


def all_finite(values: np.ndarray) -> bool:
    """Whether no value is infinite or nan; counting is several times faster than `all`."""
    return bool(np.count_nonzero(np.isfinite(values)) == np.size(values))


def columns_of(mask: np.ndarray) -> slice | np.ndarray:
    """Index of the columns that a mask names; all of them come as a view, which costs nothing."""
    return slice(None) if np.count_nonzero(mask) == len(mask) else np.flatnonzero(mask)


def squared_magnitude(values: np.ndarray) -> np.ndarray:
    """``|z|^2`` of complex values."""
    return np.square(values.real) + np.square(values.imag)


def half_phase(values: np.ndarray) -> np.ndarray:
    """``exp(i phi / 2)`` of complex numbers of phase phi; 1 of 0."""
    size = np.abs(values)
    return np.sqrt(np.where(size > 0, values / np.where(size > 0, size, 1.0), 1.0 + 0j))


def as_parameter(values: np.ndarray, derivative: np.ndarray) -> np.ndarray:
    """A derivative, without its imaginary part where the values that it is by are real."""
    return derivative if np.iscomplexobj(values) else derivative.real
