"""States that are not known yet, by deflation (Farrell, Birkisson and Funke 2015).

    M(Psi) F(Psi) = 0,    M = prod over known states (1 / |Psi - Psi_k|^2 + 1)

has the zeros of F but for the known ones, which Newton's method can no longer reach. Its step is
that of F times a number: with J d = -F and the slope m of log M,

    step = d / (1 - m.d)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nepfield.steady.branches.bordered import bordered
from nepfield.steady.branches.family import Family
from nepfield.steady.linear import SharedPreconditioner

_MOST = 60  # Newton steps
_LONGEST = 1.0  # of a step, in units of the size of the states
_SAME = 1e-5  # of that size: two states that are nearer are the same
_GUESSES = 8  # random ones beside the known states and the vacuum
_AMOUNTS = (0.3, 1.0)  # of the disturbance, in units of that size
_SHORTEST = 2.0**-6


def deflated_states(
    family: Family, value: float, known: list[np.ndarray], tolerance: float, seed: int = 0
) -> Iterator[np.ndarray]:
    """States at a value of the parameter beside those that are known, each of shape (ndof,).

    Parameters
    ----------
    family : Family
    value : float
    known : list of ndarray
    tolerance : float
        Of the residual, relative to the strongest drive.
    seed : int
        Of the random starts.
    """
    found = list(known)
    size = max((_norm(family, state) for state in found), default=0.0) or 1.0
    for guess in _guesses(family, value, known, size, seed):
        while True:
            state = _deflated_newton(family, value, guess, found, size, tolerance)
            if state is None:
                break
            found.append(state)
            yield state


def _norm(family: Family, state: np.ndarray) -> float:
    return float(np.sqrt(family.space.population(state)))


def _guesses(
    family: Family, value: float, known: list[np.ndarray], size: float, seed: int
) -> Iterator[np.ndarray]:
    """The vacuum, the known states, and these disturbed by smooth random fields."""
    n = family.space.ndof
    yield np.zeros(n, dtype=complex)
    yield from (1.001 * state for state in known)
    rng = np.random.default_rng(seed)
    smooth = family.at(value)[0].linear_part.vacuum_factorisation
    for k in range(_GUESSES):
        noise = rng.normal(size=(n, 2)) @ np.array([1, 1j])
        noise = smooth.solve(family.space.mass @ noise)
        around = known[k % len(known)] if known else np.zeros(n)
        yield around + _AMOUNTS[k % 2] * size / _norm(family, noise) * noise


def _deflated_newton(
    family: Family,
    value: float,
    state: np.ndarray,
    known: list[np.ndarray],
    size: float,
    tolerance: float,
) -> np.ndarray | None:
    """A state beside the known ones, or None."""
    empty = np.zeros((len(state), 0), dtype=complex)
    preconditioner = SharedPreconditioner()
    force = family.residual(state, value)
    for _ in range(_MOST):
        if family.size(force) <= tolerance:
            near = min((_norm(family, state - one) for one in known), default=np.inf)
            return state if near > _SAME * size else None
        linear = family.linearise(state, value)
        try:
            system = bordered(linear, empty, empty, np.zeros((0, 0)), preconditioner)
        except np.linalg.LinAlgError:
            return None
        step, _ = system.solve(-force, np.zeros(0))
        step = step / _factor(family, state, step, known, size)
        step = step * min(1.0, _LONGEST * size / max(_norm(family, step), 1e-300))
        before = family.size(force) * _weight(family, state, known, size)
        length = 1.0
        while True:
            tried = state + length * step
            force = family.residual(tried, value)
            if (
                length <= _SHORTEST
                or family.size(force) * _weight(family, tried, known, size)
                <= (1 - 1e-4 * length) * before
            ):
                break
            length /= 2
        state = tried
    return None


def _weight(family: Family, state: np.ndarray, known: list[np.ndarray], size: float) -> float:
    """M."""
    squares = [max((_norm(family, state - one) / size) ** 2, 1e-12) for one in known]
    return float(np.prod([1 / square + 1 for square in squares]))


def _factor(
    family: Family, state: np.ndarray, step: np.ndarray, known: list[np.ndarray], size: float
) -> float:
    """``1 - m.d``, kept away from 0."""
    slope = 0.0
    for one in known:
        apart = state - one
        square = max((_norm(family, apart) / size) ** 2, 1e-12)
        product = float(np.vdot(apart, family.space.mass @ step).real) / size**2
        slope -= 2 * product / (square * (1 + square))
    factor = 1 - slope
    return factor if abs(factor) > 1e-3 else np.copysign(1e-3, factor)
