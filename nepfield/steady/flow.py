"""The true overdamped motion in an energy, batched over samples, xy (2), (6).

    dx/dt = -dE/dx

By the pair of Runge-Kutta methods of order 5 and 4 of Dormand and Prince (J. Comput. Appl. Math. 6,
19, 1980); every sample has a step of its own, so that none changes what another one does. It ends
in the minimum in whose basin it began, which a search for minima does not promise.
"""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError
from nepfield.steady.energy import Added, Energy, Landscape
from nepfield.steady.hessians import Hessian
from nepfield.steady.steady import Steady

_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def flow(
    energy: Energy,
    start: np.ndarray,
    nudge: Added | None = None,
    *,
    time: float = 1e4,
    tolerance: float = 1e-5,
    accuracy: float = 1e-7,
    max_steps: int = 100_000,
    largest_step: float = 1.0,
) -> Steady:
    """Follow the overdamped motion of each sample until it rests in a minimum.

    Parameters
    ----------
    energy : Energy
    start : ndarray, shape (n, nsamples)
    nudge : Nudge or FieldNudge, optional
        An energy that is added.
    time : float
        When to stop, in units of 1/energy (times the state squared); what moves then has not
        converged.
    tolerance : float
        A sample rests where its largest force is below this, relative to the largest curvature
        times `largest_step`, and its Hessian positive definite. It cannot be much nearer than
        `accuracy`.
    accuracy : float
        Error of a step, relative to `largest_step`.
    max_steps : int
    largest_step : float
        What counts as a large change of the state: 1 rad for phases.

    Returns
    -------
    Steady
        Its `iterations` are steps in time; `extra` has the ``time`` of each sample.
    """
    if not time > 0:
        raise InputError(f"time = {time}: it must be positive.")
    if not (0 < tolerance < 1 and 0 < accuracy < 1):
        raise InputError(
            f"tolerance = {tolerance}, accuracy = {accuracy}: they must lie between 0 and 1."
        )
    nsamples = start.shape[1]
    state, residual = np.array(start, dtype=float), np.full(nsamples, np.inf)
    iterations, reached = np.zeros(nsamples, dtype=int), np.zeros(nsamples)
    rests = np.zeros(nsamples, dtype=bool)
    land = Landscape(energy, nudge, np.arange(nsamples))
    here, clock = state.copy(), np.zeros(nsamples)
    force = land.force(here)
    unit = _scale(land.hessian(here))
    # the first step moves nothing far and resolves the largest curvature
    speed = np.abs(force).max(axis=0, initial=0.0)
    dt = 0.1 / np.maximum(unit, speed / largest_step)
    for steps in range(max_steps + 1):
        size = np.abs(force).max(axis=0, initial=0.0) / (unit * largest_step)
        slow = size <= tolerance
        (where,) = np.nonzero(slow)
        if len(where):
            curved = land.samples(where).hessian(here[:, where])
            unit[where] = _scale(curved)
            speed = np.abs(force[:, where]).max(axis=0, initial=0.0)
            size[where] = speed / (unit[where] * largest_step)
            slow[where] = curved.definite() & (size[where] <= tolerance)
        columns = land.columns
        state[:, columns], residual[columns], reached[columns] = here, size, clock
        iterations[columns], rests[columns] = steps, slow
        (going,) = np.nonzero(~slow & (clock < time))
        if not len(going) or steps == max_steps:
            break
        if len(going) < len(columns):
            land, here, force = land.samples(going), here[:, going], force[:, going]
            unit, dt, clock = unit[going], dt[going], clock[going]
        dt = np.minimum(dt, time - clock)
        there, ahead, error = _step(land, here, force, dt)
        error /= accuracy * largest_step
        good = error <= 1
        bounded = np.where(np.isfinite(error), np.maximum(error, 1e-10), 1e10)
        here, force = np.where(good, there, here), np.where(good, ahead, force)
        clock = np.where(good, clock + dt, clock)
        dt = dt * np.clip(0.9 * bounded**-0.2, 0.1, 5.0)
    reason = tuple(
        "converged"
        if rest
        else f"not converged: at time {t:.3g} it still moved, residual {r:.1e}; give it longer "
        "(time), or start off the saddle on which it rests"
        for rest, t, r in zip(rests, reached, residual, strict=True)
    )
    return Steady(state, rests, residual, iterations, reason, {"time": reached})


def _scale(hessian: Hessian) -> np.ndarray:
    scale = hessian.scale()
    return np.where(scale > 0, scale, 1.0)


def _step(
    land: Landscape, here: np.ndarray, force: np.ndarray, dt: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of each sample: where it leads, the force there, and its largest error."""
    forces = [force]
    for weights in _STAGES:
        change = sum(w * f for w, f in zip(weights, forces, strict=True) if w)
        there = land.moved(here, -dt * change)
        forces.append(land.force(there))
    error = sum(w * f for w, f in zip(_ERROR, forces, strict=True) if w)
    size = np.abs(dt * error).max(axis=0, initial=0.0)
    before, after = land.branch(here), land.branch(there)
    if before is not None and after is not None:  # no motion crosses a pole of the nudge
        crossed = np.not_equal(before, after).reshape(-1, len(dt)).any(axis=0)
        size = np.where(crossed, np.inf, size)
    return there, forces[-1], size
