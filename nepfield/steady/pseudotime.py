"""Pseudo-transient continuation: implicit Euler in time, with steps that grow into Newton's.

    (i M / dt - dF/dPsi) delta = F,    F = i kappa       a linearly implicit step of i M dPsi/dt = F

From the vacuum it roughly follows the transient after the pump is switched on, and ends as
Newton's method when dt is large. Steps grow as the residual falls (switched evolution
relaxation; Kelley and Keyes, SIAM J. Numer. Anal. 35, 508 (1998)).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import Factorisation
from nepfield.steady.equation import Equation
from nepfield.steady.linear import gmres

_LARGEST_CHANGE = 0.5  # of the norm of the state, in one step
_ACCURACY = np.array([1e-4])  # of the linear solves


def continue_in_pseudotime(
    equation: Equation,
    drive: np.ndarray,
    scale: float,
    start: np.ndarray,
    tolerance: float,
    max_steps: int,
    least: int = 0,
) -> tuple[np.ndarray, float, int]:
    """Follow one sample in pseudo-time until it is steady.

    Parameters
    ----------
    equation : Equation
    drive, start : ndarray, shape (ndof, 1)
    scale : float
        Norm by which residuals are divided.
    tolerance : float
    max_steps : int
    least : int
        Steps that it takes even where the start is steady within the tolerance: a nudge may be
        smaller than that.

    Returns
    -------
    state : ndarray, shape (ndof, 1)
    residual : float
    steps : int
    """
    space = equation.space
    state = start.copy()
    force = equation.residual(state, drive)
    residual = float(space.residual_norm(force)[0]) / scale
    dt, taken = 1.0, 0
    for steps in range(max_steps):
        if residual == 0 or (residual <= tolerance and taken >= least):
            return state, residual, steps
        if not np.isfinite(residual) or dt < 1e-9:
            return state, residual if taken >= least else np.inf, steps
        linear = equation.linearise(state)
        inertia = (-1j / dt) * space.mass
        direct = np.zeros(len(space.w)) if linear.direct is None else linear.direct[..., 0]
        shifted = linear.linear_part.operator + inertia + space.assemble(direct)
        try:
            factors = Factorisation(shifted)
        except np.linalg.LinAlgError:  # another step makes it regular
            dt /= 4
            continue
        delta, converged, *_ = gmres(
            _sum_of_maps(linear.apply, inertia), factors.solve, -force, _ACCURACY
        )
        trial = state + delta
        trial_force = equation.residual(trial, drive)
        trial_residual = float(space.residual_norm(trial_force)[0]) / scale
        # From the vacuum the first step makes the whole state, so there is no change to bound.
        size = np.linalg.norm(state)
        change = np.linalg.norm(delta) / size if size > 0 else _LARGEST_CHANGE
        growing = not np.isfinite(trial_residual) or trial_residual > 2 * residual
        if growing or change > _LARGEST_CHANGE or not converged[0]:
            dt /= 4
            continue
        growth = max(residual / max(trial_residual, 1e-300), 0.5 * _LARGEST_CHANGE / change)
        dt *= float(np.clip(growth, 0.5, 4.0))
        state, force, residual, taken = trial, trial_force, trial_residual, taken + 1
    return state, residual if taken >= least else np.inf, max_steps


def _sum_of_maps(
    apply: Callable[[np.ndarray], np.ndarray], matrix: sp.csr_array
) -> Callable[[np.ndarray], np.ndarray]:
    return lambda d: apply(d) + matrix @ d
