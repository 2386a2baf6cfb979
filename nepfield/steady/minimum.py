"""Minima of energies by a damped Newton method that accepts nothing else, batched over samples.

    dE/dx = 0,   d^2E/dx^2 positive definite

A step solves ``(H + shift) step = -dE/dx`` with the smallest shift of a ladder for which Cholesky
succeeds, is capped, never crosses a pole of a nudge, and is halved until the energy does not grow.
A point without slope whose Hessian is not positive definite is a saddle: it is left along the
direction of its lowest curvature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

import numpy as np

from nepfield.errors import InputError
from nepfield.steady.energy import Added, Energy, Landscape
from nepfield.steady.hessians import Hessian
from nepfield.steady.steady import Steady

_FIRST_SHIFT, _SHIFT_FACTOR = 1e-2, 4.0  # relative to the largest curvature
_HALVINGS = 40
_KICK = 0.1  # of the largest step
_ROUNDING = 1e-13  # by which an energy may seem to grow
_FREE = 1e-9  # curvature, relative to the largest, below which a direction counts as free


class _End(IntEnum):
    """How the search for a sample ended."""

    UNDER_WAY = 0
    MINIMUM = 1
    FLAT = 2
    STUCK = 3


_REASONS = {
    _End.UNDER_WAY: "not converged: residual {residual:.1e} after {steps} steps; allow more of "
    "them (max_iterations), or start elsewhere",
    _End.MINIMUM: "converged",
    _End.FLAT: "converged to a minimum with a free direction, along which the energy does not "
    "change",
    _End.STUCK: "not converged: residual {residual:.1e} after {steps} steps, and no step lowers "
    "the energy; near the tolerance that is rounding (raise it), at a pole of the nudge there is "
    "no minimum (nudge towards the target, or less)",
}


def minimum(
    energy: Energy,
    start: np.ndarray,
    nudge: Added | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
    largest_step: float = 1.0,
    curvature: bool = True,
) -> Steady:
    """The minimum of an energy that each sample reaches from its start.

    Parameters
    ----------
    energy : Energy
    start : ndarray, shape (n, nsamples)
        Held rows as they stay.
    nudge : Nudge or FieldNudge, optional
        An energy that is added.
    tolerance : float
        Bound on the largest component of dE/dx, relative to the largest curvature times
        `largest_step`: about the distance to the minimum in units of `largest_step`.
    max_iterations : int
        Newton steps.
    largest_step : float
        By which a component may change in one step: 1 rad for phases.
    curvature : bool
        Whether to find the lowest curvature too.

    Returns
    -------
    Steady
        With ``lowest_curvature`` in its `extra`: the lowest eigenvalue of the Hessian. A direction
        along which the energy does not change, such as a common rotation of oscillators that
        nothing holds, is no failure: the sample has converged, and its reason says so.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance}: it must lie between 0 and 1.")
    if not isinstance(max_iterations, int | np.integer) or max_iterations < 0:
        raise InputError(f"max_iterations = {max_iterations}: it must be a whole number >= 0.")
    nsamples = start.shape[1]
    state, residual = np.array(start, dtype=float), np.full(nsamples, np.inf)
    iterations, ended = np.zeros(nsamples, dtype=int), np.full(nsamples, _End.UNDER_WAY)
    land = Landscape(energy, nudge, np.arange(nsamples))
    here, value = state.copy(), land.energy(state)
    for steps in range(max_iterations + 1):
        force, hessian = land.force(here), land.hessian(here)
        scale = hessian.scale()
        unit = np.where(scale > 0, scale, 1.0)
        size = np.abs(force).max(axis=0, initial=0.0) / (unit * largest_step)
        step, definite = hessian.solve(-force)
        # A nudged sample takes one step at least: near the end of training the nudge is smaller
        # than the tolerance, but the contrast is all that counts.
        level = (size <= tolerance) & ((nudge is None) | (steps > 0) | (size == 0))
        ends = np.where(level & definite, _End.MINIMUM, _End.UNDER_WAY)
        _leave_saddles(hessian, level & ~definite, force, largest_step, step, ends)
        _raise_shift(hessian, ~level & ~definite, force, unit, step)
        step *= np.minimum(
            1.0, largest_step / np.maximum(np.abs(step).max(axis=0, initial=0), 1e-300)
        )
        going = np.flatnonzero(ends == _End.UNDER_WAY)
        columns = land.columns
        residual[columns], iterations[columns], ended[columns] = size, steps, ends
        state[:, columns] = here
        if not len(going) or steps == max_iterations:
            break
        if len(going) < len(columns):
            land, here, step = land.samples(going), here[:, going], step[:, going]
            value, unit = value[going], unit[going]
        slack = _ROUNDING * (unit * largest_step**2 + np.abs(value))
        here, value, lowered = _descend(land, here, step, value, slack)
        if not lowered.all():
            ended[land.columns[~lowered]] = _End.STUCK
            kept = np.flatnonzero(lowered)
            if not len(kept):
                break
            land, here, value = land.samples(kept), here[:, kept], value[kept]
    converged = (ended == _End.MINIMUM) | (ended == _End.FLAT)
    extra = {}
    if curvature and nsamples:
        whole = Landscape(energy, nudge, np.arange(nsamples)).hessian(state)
        extra["lowest_curvature"] = whole.lowest()
        flat = extra["lowest_curvature"] <= _FREE * whole.scale()
        ended[converged & flat] = _End.FLAT
    reason = [_REASONS[_End.MINIMUM]] * nsamples
    for k in np.flatnonzero(ended != _End.MINIMUM):
        text = _REASONS[_End(ended[k])]
        reason[k] = text.format(residual=residual[k], steps=iterations[k])
    return Steady(state, converged, residual, iterations, tuple(reason), extra)


def _leave_saddles(
    hessian: Hessian,
    chosen: np.ndarray,
    force: np.ndarray,
    largest_step: float,
    step: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Of points without slope: a step off those that are saddles; the others are minima."""
    (where,) = np.nonzero(chosen)
    if not len(where):
        return
    part = hessian.samples(where)
    curvatures, directions = np.linalg.eigh(part.dense())
    flat = curvatures[:, 0] >= -_FREE * part.scale()
    ends[where[flat]] = _End.FLAT
    kick = directions[:, :, 0].T
    ahead = kick * np.sign(kick[np.abs(kick).argmax(axis=0), np.arange(len(where))])
    downhill = np.where(np.sum(ahead * force[:, where], axis=0) > 0, -1.0, 1.0)
    kick = ahead * downhill * (_KICK * largest_step / np.abs(kick).max(axis=0))
    step[:, where[~flat]] = kick[:, ~flat]


def _raise_shift(
    hessian: Hessian, chosen: np.ndarray, force: np.ndarray, unit: np.ndarray, step: np.ndarray
) -> None:
    """Steps where the Hessian is not positive definite: with the first shift that makes it so."""
    (where,) = np.nonzero(chosen)
    shift = _FIRST_SHIFT * unit[where]
    while len(where):
        found, definite = hessian.samples(where).solve(-force[:, where], shift)
        step[:, where[definite]] = found[:, definite]
        # not finite: nothing helps, and the search along the step will say so
        left = ~definite & np.isfinite(force[:, where]).all(axis=0) & (shift < 1e6 * unit[where])
        where, shift = where[left], _SHIFT_FACTOR * shift[left]


def _descend(
    land: Landscape, here: np.ndarray, step: np.ndarray, value: np.ndarray, slack: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The longest of the steps 1, 1/2, 1/4, ... after which the energy has not grown.

    Returns the states, their energies and for which samples there is such a step.
    """
    branch = land.branch(here)

    def refused(
        part: Landscape, there: np.ndarray, energy: np.ndarray, k: np.ndarray
    ) -> np.ndarray:
        worse = ~(energy <= value[k] + slack[k])
        reached = part.branch(there)
        if branch is not None and reached is not None:
            crossed = np.not_equal(reached, branch[..., k])
            worse |= crossed.reshape(-1, len(k)).any(axis=0)
        return worse

    every = np.arange(here.shape[1])
    there = land.moved(here, step)
    energy = land.energy(there)
    (bad,) = np.nonzero(refused(land, there, energy, every))
    lowered = np.ones(len(every), dtype=bool)
    length = 1.0
    while len(bad):
        length /= 2
        if length < 2.0**-_HALVINGS:
            there[:, bad], energy[bad], lowered[bad] = here[:, bad], value[bad], False
            break
        part = land.samples(bad)
        tried = part.moved(here[:, bad], length * step[:, bad])
        reached = part.energy(tried)
        still = refused(part, tried, reached, bad)
        there[:, bad[~still]], energy[bad[~still]] = tried[:, ~still], reached[~still]
        bad = bad[still]
    return there, energy, lowered


def energy_response(
    energy: Energy, state: np.ndarray, nudge: Added
) -> tuple[np.ndarray, np.ndarray]:
    """How a minimum moves with the strength of a nudge.

        dx/dbeta = -H^-1 dC/dx

    Since H is symmetric the derivative of an observable dE/dtheta along it is the exact gradient
    dC/dtheta: the limit beta -> 0 of equilibrium propagation.

    Parameters
    ----------
    energy : Energy
    state : ndarray, shape (n, nsamples)
        Minima of the energy.
    nudge : Nudge or FieldNudge
        Of strength 1.

    Returns
    -------
    direction : ndarray, shape (n, nsamples)
        dx/dbeta; 0 in the rows that are held.
    solved : ndarray of bool, shape (nsamples,)
        False where a direction is free, or the state no minimum.
    """
    samples = np.arange(state.shape[1])
    land = Landscape(energy, None, samples)
    hessian = land.hessian(state)
    pull = -nudge.force(state)[land.rows]
    moved, _ = hessian.solve(pull)
    _, solved = hessian.solve(pull, -_FREE * hessian.scale())  # by more than rounding
    direction = np.zeros(state.shape)
    direction[land.rows] = np.where(solved, moved, 0.0)
    return direction, solved


def derivative_along(
    observables: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    state: np.ndarray,
    direction: np.ndarray,
    length: float = 1e-5,
) -> dict[str, np.ndarray]:
    """Derivatives of observables along a direction, by central differences.

    For systems that do not give them in closed form.

    Parameters
    ----------
    observables : callable
        From a state to arrays (n, nsamples) by name.
    state, direction : ndarray, shape (n, nsamples)
    length : float
        Largest change of a component; its cube root of rounding suits states of order 1.
    """
    size = length / np.maximum(np.abs(direction).max(axis=0, initial=0.0), 1e-300)
    ahead, behind = (observables(state + sign * size * direction) for sign in (1, -1))
    return {name: (ahead[name] - behind[name]) / (2 * size) for name in ahead}
