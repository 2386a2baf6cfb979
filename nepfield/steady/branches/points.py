"""Points of a branch, how far they are apart, and Newton's method with a border to find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nepfield.space.linalg import one_thread
from nepfield.steady.branches.bordered import Bordered, bordered
from nepfield.steady.branches.family import Family
from nepfield.steady.branches.judged import Judged, judge
from nepfield.steady.branches.neutral import Singular, neutral_modes, nothing
from nepfield.steady.linear import SharedPreconditioner

_MOST = 10  # Newton steps
_WORSE = 30.0  # growth of the residual at which they are given up


@dataclass(frozen=True, eq=False)
class Direction:
    """A change of state and parameter together, (du, dp)."""

    state: np.ndarray
    value: float

    def times(self, factor: float) -> Direction:
        """A multiple of it."""
        return Direction(factor * self.state, factor * self.value)


@dataclass(frozen=True, eq=False)
class Metric:
    """Lengths along a branch: ``ds^2 = int |du|^2 / U^2 + dp^2 / W^2``.

    Attributes
    ----------
    mass : sparse array
    size : float
        U, of the largest state so far.
    width : float
        W, of the range of the parameter.
    """

    mass: Any
    size: float
    width: float

    def row(self, direction: Direction) -> Direction:
        """What the inner product with a direction is taken with."""
        return Direction(
            (self.mass @ direction.state) / self.size**2, direction.value / self.width**2
        )

    def inner(self, first: Direction, second: Direction) -> float:
        """Inner product of two directions."""
        row = self.row(first)
        product = float(np.vdot(row.state, second.state).real)
        return product + row.value * second.value

    def unit(self, direction: Direction) -> Direction:
        """The direction with length 1."""
        return direction.times(1 / np.sqrt(self.inner(direction, direction)))


@dataclass(frozen=True, eq=False)
class Point:
    """A steady state on a branch.

    Attributes
    ----------
    value : float
        Of the parameter.
    state : ndarray, shape (ndof,)
    norm : float
        Square root of the integral of ``|Psi|^2``.
    residual : float
        Relative to the strongest drive on the way.
    iterations : int
    tangent : Direction
        Of length 1 in the metric in which it was found.
    sign, logarithm : float
        Of the determinant of the system bordered by the tangent; the sign changes at branch points.
    neutral : Singular
        Modes that a symmetry leaves free.
    judged : Judged
    special : str
        "", "fold", "Hopf" or "branch point".
    """

    value: float
    state: np.ndarray
    norm: float
    residual: float
    iterations: int
    tangent: Direction
    sign: float
    logarithm: float
    neutral: Singular
    judged: Judged
    special: str = ""

    def named(self, special: str) -> Point:
        """The same as a special point."""
        return replace(self, special=special)

    def minus(self, other: Point) -> Direction:
        """How far it is from another."""
        return Direction(self.state - other.state, self.value - other.value)


class Lost(Exception):
    """Newton's method did not converge: the step was too long."""


class Finder:
    """Finds points of branches of one family.

    Parameters
    ----------
    family : Family
    tolerance : float
        Of the residual, relative to the strongest drive.
    look : bool
        Whether stability is looked at.
    """

    def __init__(self, family: Family, tolerance: float, look: bool) -> None:
        self.family, self.tolerance, self.looks = family, tolerance, look
        self._preconditioner = SharedPreconditioner()

    def find(
        self,
        state: np.ndarray,
        value: float,
        row: Direction,
        beside: float | None = None,
        neutral: Singular | None = None,
        look: bool = True,
    ) -> Point:
        """The steady state near a guess in the plane through it on which ``row`` stands.

        Parameters
        ----------
        state : ndarray, shape (ndof,)
        value : float
            The guess.
        row : Direction
            As `Metric.row` gives it; the tangent that is found points to its side.
        beside : float, optional
            A value nearby at which dF/dp is known already, for the steps.
        neutral : Singular, optional
            Neutral modes of a point nearby; by default they are looked for.
        look : bool
            Whether its stability is wanted.

        Raises
        ------
        Lost
        """
        with one_thread():
            try:
                return self._found(state, value, row, beside, neutral, look)
            except np.linalg.LinAlgError as error:
                raise Lost(str(error)) from None

    def at_value(
        self, state: np.ndarray, value: float, direction: float = 1.0, look: bool = True
    ) -> Point:
        """The steady state at a value of the parameter, near a guess."""
        row = Direction(np.zeros_like(state), direction / self.family.width**2)
        return self.find(state, value, row, look=look)

    def judged(self, point: Point) -> Judged:
        """How stable a point is, if that is looked at."""
        if not self.looks:
            return Judged()
        return judge(self.family.at(point.value)[0], point.state, point.neutral)

    def _found(
        self,
        state: np.ndarray,
        value: float,
        row: Direction,
        beside: float | None,
        neutral: Singular | None,
        look: bool,
    ) -> Point:
        family, iterations, first = self.family, 0, np.inf
        beside = value if beside is None else beside
        while True:
            force = family.residual(state, value)
            size = family.size(force)
            first = size if iterations == 0 else first
            if size <= self.tolerance:
                break
            if iterations == _MOST or not size < _WORSE * max(first, self.tolerance):
                raise Lost(f"residual {size:.1e} after {iterations} steps")
            modes = nothing(len(state)) if neutral is None else neutral
            slope = family.slope(state, beside)
            system = self._bordered(state, value, row, slope, modes)
            step, corner = system.solve(-force, np.zeros(1 + len(modes)))
            state, value = state + step, value + float(corner[0]) * family.width
            if not family.inside(value):
                slack = 1e-9 * family.width
                if not family.low - slack <= value <= family.high + slack:
                    raise Lost("the parameter leaves its range")
                value = min(max(value, family.low), family.high)
            iterations += 1
        return self._evaluated(state, value, size, iterations, row, neutral, look)

    def _evaluated(
        self,
        state: np.ndarray,
        value: float,
        residual: float,
        iterations: int,
        row: Direction,
        neutral: Singular | None,
        look: bool,
    ) -> Point:
        """A point with its tangent, determinant and stability."""
        family = self.family
        slope = family.slope(state, value)
        linear = family.linearise(state, value)
        modes = neutral_modes(linear, neutral)
        system = self._bordered(state, value, row, slope, modes)
        ahead = np.zeros(1 + len(modes))
        ahead[0] = 1.0
        d, q = system.solve(np.zeros_like(state), ahead)
        equation, _ = family.at(value)
        norm = float(np.sqrt(equation.space.population(state)))
        point = Point(
            value, state, norm, residual, iterations, Direction(d, float(q[0]) * family.width),
            system.sign, system.logarithm, modes, Judged(),
        )  # fmt: skip
        return replace(point, judged=self.judged(point)) if look else point

    def _bordered(
        self, state: np.ndarray, value: float, row: Direction, slope: np.ndarray, modes: Singular
    ) -> Bordered:
        """J with the parameter (in units of its range) and the neutral modes as border."""
        linear, width = self.family.linearise(state, value), self.family.width
        columns = np.column_stack([slope * width, modes.left])
        rows = np.column_stack([row.state, linear.space.mass @ modes.right])
        corner = np.zeros((columns.shape[1], columns.shape[1]))
        corner[0, 0] = row.value * width
        return bordered(linear, columns, rows, corner, self._preconditioner)
