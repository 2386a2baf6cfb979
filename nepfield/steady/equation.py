"""What the solvers know of a wave equation: its residual, its linearisation, and their drive.

    M dPsi/dt = -i F(Psi),    F(Psi) = H Psi + (local terms in Psi and conj(Psi)) + i P

H is complex symmetric; what couples components or is not symmetric belongs to the local terms. The
linearisation ``d -> (H + a) d + b conj(d)`` has a and b at every point (`Linearisation.direct` and
`.conjugate`; blocks where a wave has components), from which bounds on growth can be read, and an
equation is a frozen dataclass, so its residual can be asked for at another value of any number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from nepfield.space.space import Space
from nepfield.steady.linearisation import Linearisation, LinearPart

Local = tuple[np.ndarray, ...]
"""What an equation works out of a state at the quadrature points; the last axis is the sample."""


class Response(NamedTuple):
    """f of ``F = H Psi + f(n) Psi + i P`` with n = |Psi|^2.

    Attributes
    ----------
    f : callable
        Of an array of densities.
    fraction : tuple of float, optional
        (a, b, c) of ``f = (a + b n) / (1 + c n)`` where it is that: compiled code then needs no
        Python.
    """

    f: Callable[[np.ndarray], np.ndarray]
    fraction: tuple[float, float, float] | None = None


NO_RESPONSE = Response(np.zeros_like, (0.0, 0.0, 0.0))
"""That of a linear wave."""


class Equation(Protocol):
    """A wave equation, driven and dissipative.

    Attributes
    ----------
    space : Space
        Of the state, all components of the wave together (`nepfield.space.components`).
    linear_part : LinearPart
        H.
    """

    @property
    def space(self) -> Space: ...
    @property
    def linear_part(self) -> LinearPart: ...

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples), of inputs of shape (nsamples, ninputs)."""

    def local(self, state: np.ndarray) -> Local:
        """What residual and linearisation both need of a state of shape (ndof, nsamples)."""

    def residual(
        self, state: np.ndarray, drive: np.ndarray, local: Local | None = None
    ) -> np.ndarray:
        """F in weak form, shape (ndof, nsamples); zero in a steady state."""

    def linearise(self, state: np.ndarray, local: Local | None = None) -> Linearisation:
        """The linearisation of F at a state."""
