"""A wave equation with one real number left open: F(Psi, p) = 0.

Continuation knows an equation by its residual and its linearisation, as the other solvers do, and
asks for it again at each value p. How F depends on p is found by differences, which is exact where
p enters linearly, as pumps, detuning, loss and nonlinearity do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nepfield.steady.equation import Equation
from nepfield.steady.linearisation import Linearisation

Vary = Callable[[float], tuple[Equation, np.ndarray]]
"""Gives for a value the equation and its drive in weak form, shape (ndof, 1)."""

_STEP = 1e-5  # of the range, for the difference by the parameter
_KEPT = 12  # equations that are remembered


class Family:
    """The equations of all values of a parameter.

    Parameters
    ----------
    vary : callable
        Gives for a value the equation and its drive, shape (ndof, 1).
    start, stop : float
        Ends of the range, in either order; no other values are asked for.
    """

    def __init__(self, vary: Vary, start: float, stop: float) -> None:
        self._vary = vary
        self._known: dict[float, tuple[Equation, np.ndarray]] = {}
        self.low, self.high = min(start, stop), max(start, stop)
        self.width = self.high - self.low
        equation, drive = self.at(start)
        self.space = equation.space
        self.scale = max(
            float(self.space.residual_norm(each)[0]) for each in (drive, self.at(stop)[1])
        )
        if self.scale == 0:
            self.scale = 1.0

    def at(self, value: float) -> tuple[Equation, np.ndarray]:
        """The equation and its drive at a value."""
        value = min(max(float(value), self.low), self.high)
        found = self._known.pop(value, None)
        while len(self._known) >= _KEPT:  # the one that was not asked for longest
            del self._known[next(iter(self._known))]
        self._known[value] = self._vary(value) if found is None else found
        return self._known[value]

    def inside(self, value: float) -> bool:
        """Whether a value lies in the range."""
        return self.low <= value <= self.high

    def residual(self, state: np.ndarray, value: float) -> np.ndarray:
        """F in weak form, shape (ndof,), of a state of shape (ndof,)."""
        equation, drive = self.at(value)
        return equation.residual(state[:, None], drive)[:, 0]

    def size(self, residual: np.ndarray) -> float:
        """Norm of a residual relative to the strongest drive."""
        return float(self.space.residual_norm(residual[:, None])[0]) / self.scale

    def slope(self, state: np.ndarray, value: float) -> np.ndarray:
        """dF/dp, shape (ndof,), by a central difference (one-sided at the ends of the range)."""
        step = _STEP * self.width
        low, high = max(value - step, self.low), min(value + step, self.high)
        return (self.residual(state, high) - self.residual(state, low)) / (high - low)

    def linearise(self, state: np.ndarray, value: float) -> Linearisation:
        """The linearisation of F by the state, for one sample."""
        return self.at(value)[0].linearise(state[:, None])
