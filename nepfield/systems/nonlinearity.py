"""Local responses f(n) of a wave to its own density n = |Psi|^2, nep (10).

f_d(n) = g n            density response
f_s(n) = g / (1 + n)    saturation response
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Nonlinearity(Protocol):
    """A local response f(n) to the density n = |Psi|^2, real or complex.

    One that is real may also have ``strongest(most)``, the largest ``|f'(n)| n`` of all densities
    up to `most` (an array): with it a switch-on may be proved to end where it should. One that is
    ``(a + b n) / (1 + c n)`` may have ``fraction``, (a, b, c): large batches are then faster.
    """

    def f(self, n: np.ndarray) -> np.ndarray:
        """The response at density n."""

    def derivative(self, n: np.ndarray) -> np.ndarray:
        """df/dn."""


@dataclass(frozen=True)
class Density:
    """Density response f_d(n) = g n."""

    g: float

    @property
    def fraction(self) -> tuple[float, float, float]:
        """As `nepfield.steady.equation.Response` has it."""
        return 0.0, self.g, 0.0

    def f(self, n: np.ndarray) -> np.ndarray:
        """The response at density n."""
        return self.g * n

    def derivative(self, n: np.ndarray) -> np.ndarray:
        """df/dn."""
        return np.full_like(n, self.g)

    def strongest(self, most: np.ndarray) -> np.ndarray:
        """Largest ``|f'(n)| n`` of all densities up to `most`."""
        return np.zeros_like(most) if self.g == 0 else np.abs(self.g) * most


@dataclass(frozen=True)
class Saturation:
    """Saturation response f_s(n) = g / (1 + n)."""

    g: float

    @property
    def fraction(self) -> tuple[float, float, float]:
        """As `nepfield.steady.equation.Response` has it."""
        return self.g, 0.0, 1.0

    def f(self, n: np.ndarray) -> np.ndarray:
        """The response at density n."""
        return self.g / (1 + n)

    def derivative(self, n: np.ndarray) -> np.ndarray:
        """df/dn."""
        return -self.g / (1 + n) ** 2

    def strongest(self, most: np.ndarray) -> np.ndarray:
        """Largest ``|f'(n)| n`` of all densities up to `most`; g/4 where that is 1 or more."""
        n = np.minimum(most, 1.0)
        return np.abs(self.g) * n / (1 + n) ** 2


@dataclass(frozen=True)
class CustomNonlinearity:
    """Any response, given as f(n) and its derivative df/dn, both acting on arrays.

    Where they are constant they may be numbers.
    """

    response: Callable[[np.ndarray], np.ndarray]
    response_derivative: Callable[[np.ndarray], np.ndarray]

    def f(self, n: np.ndarray) -> np.ndarray:
        """The response at density n."""
        return np.broadcast_to(self.response(n), np.shape(n))

    def derivative(self, n: np.ndarray) -> np.ndarray:
        """df/dn."""
        return np.broadcast_to(self.response_derivative(n), np.shape(n))


def fraction_of(nonlinearity: Nonlinearity) -> tuple[float, float, float] | None:
    """The fraction that a response is, (a, b, c) of ``(a + b n) / (1 + c n)``; None where it has
    none, or an heir has another f."""
    owners = [
        next((kind for kind in type(nonlinearity).__mro__ if name in vars(kind)), None)
        for name in ("f", "fraction")
    ]
    if owners[1] is None or owners[0] is not owners[1]:
        return None
    fraction: tuple[float, float, float] | None = getattr(nonlinearity, "fraction", None)
    return None if np.iscomplexobj(np.array(fraction)) else fraction
