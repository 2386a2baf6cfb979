"""Where a wave is a time after its drive was switched on, whether it is steady by then or not."""

from __future__ import annotations

import numpy as np

from nepfield.steady.equation import Equation
from nepfield.steady.evolve import rate_of_change, runge_kutta_step
from nepfield.steady.imex import Motion
from nepfield.steady.steady import Steady

_STEP = 0.3  # of a Runge-Kutta step times the largest rate in the linear part
_ACCURACY = 1e-7  # of steps on a mesh, relative to the state


def waited(equation: Equation, drive: np.ndarray, start: np.ndarray, time: float) -> Steady:
    """The states a time after `start`, under a constant drive.

    On a graph the steps are those of the classical Runge-Kutta scheme, short enough to be wrong by
    about 1e-3 of what is still to decay; on a mesh those of `nepfield.steady.imex`, wrong by some
    1e-6 of the state. Contrasts of nearly steady states need that.

    Parameters
    ----------
    equation : Equation
    drive, start : ndarray, shape (ndof, nsamples)
        P in weak form, and where the wave is at first.
    time : float

    Returns
    -------
    Steady
        `residual` is what is still to come, `converged` says which samples could be followed.
    """
    drive, state = drive.astype(complex), start.astype(complex)
    with np.errstate(over="ignore", invalid="ignore"):
        if equation.space.is_graph:
            rate, steps = rate_of_change(equation, drive), _steps(equation, time)
            for _ in range(steps):
                state = runge_kutta_step(rate, state, time / steps)
            good = np.isfinite(state).all(axis=0)
        else:
            motion = Motion(equation, drive, state, _ACCURACY)
            steps = sum(1 for _ in motion.until(time))
            state, good = motion.at(time), ~motion.lost
        norm = equation.space.residual_norm
        scale, left = norm(drive), norm(equation.residual(state, drive))
    left /= np.where(scale == 0, 1.0, scale)
    good &= np.isfinite(left)
    words = {
        True: f"read after t = {time:g}",
        False: "not found: the wave cannot be followed so long; it may grow without bound.",
    }
    reason = tuple(words[found] for found in good.tolist())
    return Steady(state, good, left, np.full(len(good), steps), reason)


def _steps(equation: Equation, time: float) -> int:
    """Steps on a graph: the largest rate is at most the largest sum over a row of H."""
    largest = abs(equation.linear_part.operator).sum(axis=1).max()
    return max(1, int(np.ceil(time * largest / _STEP)))
