"""Steady states that a device reaches and keeps: where Newton's method ends elsewhere, the true
motion decides.

A state that Newton's method or the continuation finds may be unstable, and an experiment never sees
it. Such samples, and those without a state, are followed in time from where they started (the
vacuum, or the state before) until they settle, and finished by Newton's method. A start on an
unstable state is moved off it by 3 % along the fluctuation that grows fastest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.steady.equation import Equation
from nepfield.steady.imex import Motion
from nepfield.steady.newton import find_steady
from nepfield.steady.stability.certificate import stability
from nepfield.steady.steady import Steady

PREFERENCES = ("any", "stable")
PATIENCE = 100.0
"""Time in units of 1/gamma (the least loss) after which what still moves is said to oscillate."""
_LOOKED = 5.0  # 1/gamma between two looks at what has settled
_LEAST_LOSS = 1e-3
_SETTLED = 0.05  # residual from which Newton's method takes over
_NEAR = 0.3  # of the norm of the state: how far it may go
_DISTURBED = 0.03  # of the norm of the state: how far a start on an unstable state is moved off it
_NEWTON = 12  # steps
_ACCURACY = 1e-5  # of a step in time


def find_preferred(
    equation: Equation,
    drive: np.ndarray,
    *,
    prefer: str = "any",
    push: np.ndarray | None = None,
    initial: np.ndarray | None = None,
    tolerance: float = 1e-10,
    **options: Any,
) -> Steady:
    """Steady states as `find_steady`, or none but those that may last.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, nsamples)
    prefer : {"any", "stable"}
        "stable": no state that is unstable counts as found. States with a `push` start from a free
        one and are taken as they are.
    push, initial, tolerance, **options
        As in `find_steady`.

    Returns
    -------
    Steady
        Its `reason` says which way each state was found; a sample that does not settle within
        100/gamma has not converged.
    """
    if prefer not in PREFERENCES:
        raise InputError(f"prefer = {prefer!r}: choose 'any' or 'stable'.")
    steady = find_steady(
        equation, drive, push=push, initial=initial, tolerance=tolerance, **options
    )
    if prefer == "any" or push is not None:
        return steady
    judged = stability(equation, steady)
    unstable = judged.stability == "unstable"
    state, residual = steady.state.copy(), steady.residual.copy()
    iterations, reason = steady.iterations.copy(), list(steady.reason)
    converged = steady.converged & ~unstable
    for k in np.flatnonzero(~converged):
        start = np.zeros_like(state[:, [k]]) if initial is None else initial[:, [k]]
        if unstable[k] and _beside(start, steady.state[:, [k]]):
            start = _disturbed(steady.state[:, [k]], judged.mode[:, :, [k]])
        why = "unstable" if unstable[k] else "none"
        column, residual[k], steps, reason[k] = _followed(
            equation, drive[:, [k]].astype(complex), start, tolerance, why
        )
        state[:, k], converged[k] = column[:, 0], residual[k] <= tolerance
        iterations[k] += steps
    return Steady(state, converged, residual, iterations, tuple(reason), steady.extra)


def _beside(start: np.ndarray, state: np.ndarray) -> bool:
    return bool(np.linalg.norm(start - state) <= 2 * _DISTURBED * np.linalg.norm(state))


def _disturbed(state: np.ndarray, mode: np.ndarray) -> np.ndarray:
    """An unstable state and a little of what grows, or it would be left late or never."""
    kick = mode[0] + mode[1].conj()
    return state + _DISTURBED * np.linalg.norm(state) / np.linalg.norm(kick) * kick


def _followed(
    equation: Equation, drive: np.ndarray, start: np.ndarray, tolerance: float, why: str
) -> tuple[np.ndarray, float, int, str]:
    """One sample until it has settled: state, residual, Newton steps, and what happened."""
    space = equation.space
    scale = float(space.residual_norm(drive)[0]) or 1.0
    loss = max(float(-equation.linear_part.field.imag.max()), _LEAST_LOSS)
    motion = Motion(equation, drive, start, _ACCURACY)
    before = {
        "unstable": "Newton's method had found an unstable state",
        "none": "Newton's method had found no state",
    }[why]
    residual, look = np.inf, 0.0
    while motion.time < PATIENCE / loss:
        look += _LOOKED / loss
        for _ in motion.until(look):
            pass
        residual = float(space.residual_norm(equation.residual(motion.state, drive))[0]) / scale
        if motion.time < look:
            words = f"not converged: the wave cannot be followed beyond t = {motion.time:.3g}"
            return motion.state, residual, 0, f"{words}; it may grow without bound ({before})."
        if residual > _SETTLED:
            continue
        found = find_steady(
            equation, drive, initial=motion.state, tolerance=tolerance, max_iterations=_NEWTON
        )
        moved = np.linalg.norm(found.state - motion.state)
        near = moved <= _NEAR * np.linalg.norm(motion.state)
        if found.converged[0] and near and stability(equation, found).stability[0] != "unstable":
            words = f"converged by following the motion for t = {motion.time:.3g}, then by Newton"
            return found.state, float(found.residual[0]), int(found.iterations[0]), (
                f"{words} ({before})"
            )  # fmt: skip
    return motion.state, max(residual, 2 * tolerance), 0, (
        f"not converged: the device oscillates. Followed for t = {motion.time:.3g}, {PATIENCE:g} "
        f"times 1/gamma, it does not settle, residual {residual:.1e} ({before})."
    )  # fmt: skip
