"""Minima of energies by a damped Newton method that accepts nothing else, batched over samples.

    dE/dx = 0,   d^2E/dx^2 positive definite

Where Cholesky factorises the Hessian H a step solves ``H step = -dE/dx``; elsewhere H is shifted
until it does (Levenberg, Quart. Appl. Math. 2, 164, 1944), and off a saddle a step goes along the
lowest curvature. It is capped, never crosses a pole of a nudge, and is halved until the energy does
not grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nepfield.errors import InputError
from nepfield.steady.energy import Added, Energy, Landscape
from nepfield.steady.hessians import Hessian
from nepfield.steady.steady import Steady

_HALVINGS = 40
_KICK = 0.3  # of the largest step
_SHIFT = 1e-3  # of the curvatures, by which a shifted Hessian is definite
_ROUNDING = 1e-13  # by which an energy may seem to grow
_SMALL = 2000  # numbers in the states of a batch
_FREE = 1e-9  # curvature, relative to the largest, below which a direction counts as free


_UNDER_WAY, _MINIMUM, _FLAT, _STUCK = range(4)  # how the search for a sample ends
_REASONS = (
    "not converged: residual {residual:.1e} after {steps} steps; allow more of them "
    "(max_iterations), or start elsewhere",
    "converged",
    "converged to a minimum with a free direction, along which the energy does not change",
    "not converged: residual {residual:.1e} after {steps} steps, and no step lowers the energy; "
    "near the tolerance that is rounding (raise it), at a pole of the nudge there is no minimum "
    "(nudge towards the target, or less)",
)


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
    every = np.arange(nsamples)
    state, residual = np.array(start, dtype=float), np.full(nsamples, np.inf)
    iterations, ended = np.zeros(nsamples, dtype=int), np.zeros(nsamples, dtype=int)
    rest = None
    if nudge is not None and nudge.free is not None:
        # the force left at the free state, within the tolerance, is left at the nudged one too:
        # else their contrast would hold the tolerance divided by beta
        rest = Landscape(energy, None, every).force(nudge.free)
    land, here = Landscape(energy, nudge, every, rest), state.copy()
    going = np.full(nsamples, True)
    value = land.energy(here)
    for steps in range(max_iterations + 1):
        force, hessian = land.force(here), land.hessian(here)
        unit = hessian.scale()
        unit[unit == 0] = 1.0
        size = np.abs(force).max(axis=0, initial=0.0) / (unit * largest_step)
        definite = hessian.definite()
        # A nudged sample takes one step at least: near the end of training the nudge is smaller
        # than the tolerance, but the contrast is all that counts.
        level = size <= (tolerance if nudge is None or steps > 0 else 0.0)
        ends = (level & definite).astype(int)
        (ridge,) = np.nonzero(going & ~definite & np.isfinite(size))
        if len(ridge):
            off, flat = _off_the_ridge(
                hessian.samples(ridge), force[:, ridge], level[ridge], largest_step
            )
            ends[ridge[flat]] = _FLAT
        now = land.columns[going]
        residual[now], iterations[now], ended[now] = size[going], steps, ends[going]
        state[:, now] = here[:, going]
        going &= ends == _UNDER_WAY
        left = np.count_nonzero(going)
        if not left or steps == max_iterations:
            break
        step = np.zeros(force.shape)
        (ahead,) = np.nonzero(going & definite)
        if len(ahead) == len(going):
            step = hessian.solve(-force)[0]
        elif len(ahead):
            step[:, ahead] = hessian.samples(ahead).solve(-force[:, ahead])[0]
        if len(ridge):
            step[:, ridge] = off
        # in a small batch it costs less to carry along, at rest, those that are done
        if left < 0.9 * len(going) and here.size > _SMALL:
            (kept,) = np.nonzero(going)
            land, here, step = land.samples(kept), here[:, kept], step[:, kept]
            value, unit, going = value[kept], unit[kept], going[kept]
        far = np.abs(step).max(axis=0)
        step = np.where(going, step * (largest_step / np.maximum(far, largest_step)), 0.0)
        bound = value + _ROUNDING * (unit * largest_step**2 + np.abs(value))
        here, value, stuck = _descend(land, here, step, bound, going)
        if stuck.any():
            ended[land.columns[stuck]] = _STUCK
            going &= ~stuck
    converged = (ended == _MINIMUM) | (ended == _FLAT)
    extra = {}
    if curvature and nsamples:
        hessian = Landscape(energy, nudge, every).hessian(state)
        extra["lowest_curvature"] = hessian.lowest()
        flat = extra["lowest_curvature"] <= _FREE * hessian.scale()
        ended[converged & flat] = _FLAT
    reason = [_REASONS[_MINIMUM]] * nsamples
    for k in np.flatnonzero(ended != _MINIMUM):
        reason[k] = _REASONS[ended[k]].format(residual=residual[k], steps=iterations[k])
    return Steady(state, converged, residual, iterations, tuple(reason), extra)


def _off_the_ridge(
    hessian: Hessian, force: np.ndarray, level: np.ndarray, largest_step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Steps where a Hessian is not positive definite; and which of these points are minima after
    all, with a free direction.

    The shifted Hessian is definite by little, so that a step goes along the direction of lowest
    curvature most of all. Where nothing pulls, it goes along that direction alone, far enough to
    leave a saddle at once.
    """
    scale = hessian.scale()
    scale[scale == 0] = 1.0
    lowest = hessian.lowest()
    flat = level & (lowest >= -_FREE * scale)
    step, _ = hessian.solve(-force, _SHIFT * (scale + np.abs(lowest)) - np.minimum(lowest, 0.0))
    (still,) = np.nonzero(level & ~flat)
    if len(still):
        directions = np.linalg.eigh(hessian.samples(still).dense())[1][:, :, 0]
        largest = np.abs(directions).argmax(axis=1)[:, None]
        # either way is downhill; the choice must not depend on rounding
        step[:, still] = (
            _KICK * largest_step * directions / np.take_along_axis(directions, largest, 1)
        ).T
    return step, flat


def _descend(
    land: Landscape, here: np.ndarray, step: np.ndarray, bound: np.ndarray, going: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The longest of the steps 1, 1/2, 1/4, ... to an energy below a bound, short of any pole.

    Returns the states, their energies and for which samples there is no such step.
    """
    there = land.moved(here, step)
    energy = land.energy(there)
    refused = going & _refused(land, here, there, energy, bound)
    if not refused.any():
        return there, energy, refused
    (bad,) = np.nonzero(refused)
    there, length = there.copy(), 1.0  # a copy: what an energy remembers of it stays true
    part, start, step, bound = land.samples(bad), here[:, bad], step[:, bad], bound[bad]
    for _ in range(_HALVINGS):
        length /= 2
        tried = part.moved(start, length * step)
        reached = part.energy(tried)
        still = _refused(part, start, tried, reached, bound)
        there[:, bad[~still]], energy[bad[~still]] = tried[:, ~still], reached[~still]
        bad = bad[still]
        if not len(bad):
            break
        (kept,) = np.nonzero(still)
        part, start, step, bound = part.samples(kept), start[:, kept], step[:, kept], bound[kept]
    there[:, bad] = here[:, bad]
    stuck = np.zeros(len(going), dtype=bool)
    stuck[bad] = True
    return there, energy, stuck


def _refused(
    land: Landscape, here: np.ndarray, there: np.ndarray, energy: np.ndarray, bound: np.ndarray
) -> np.ndarray:
    """For which samples a step leads too high, or across a pole."""
    worse = ~(energy <= bound)
    before, after = land.branch(here), land.branch(there)
    if before is not None and after is not None:
        worse |= np.not_equal(before, after).reshape(-1, len(worse)).any(axis=0)
    return worse


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
    _, solved = hessian.solve(pull, -_FREE * hessian.scale())  # definite by more than rounding
    moved, _ = hessian.solve(pull)
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
