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
from nepfield.steady.newton import find_steady
from nepfield.steady.settling import PATIENCE, Settled, disturbed, is_beside, settle
from nepfield.steady.stability.certificate import stability
from nepfield.steady.steady import Steady

PREFERENCES = ("any", "stable")


def find_preferred(
    equation: Equation,
    drive: np.ndarray,
    *,
    prefer: str = "any",
    patience: float | None = None,
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
        that time has not converged.
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
    (left,) = np.nonzero(~converged)
    if not len(left):
        return steady
    start = np.zeros_like(state[:, left]) if initial is None else initial[:, left].astype(complex)
    for place, k in enumerate(left):
        if unstable[k] and is_beside(start[:, [place]], state[:, [k]]):
            start[:, [place]] = disturbed(state[:, [k]], judged.mode[:, :, [k]])
    followed = settle(
        equation, drive[:, left].astype(complex), start, tolerance=tolerance, patience=patience
    )
    for place, k in enumerate(left):
        residual[k] = followed.residual[place]
        converged[k] = followed.settled[place]
        if not converged[k]:
            residual[k] = max(residual[k], 2 * tolerance)
        reason[k] = _told(followed, place, bool(unstable[k]), patience or PATIENCE)
    state[:, left], iterations[left] = followed.state, iterations[left] + followed.iterations
    return Steady(state, converged, residual, iterations, tuple(reason), steady.extra)


def _told(followed: Settled, place: int, unstable: bool, patience: float) -> str:
    """How it ended with a sample that was followed."""
    time, residual = followed.time[place], followed.residual[place]
    before = f"Newton's method had found {'an unstable' if unstable else 'no'} state"
    if followed.settled[place]:
        return f"converged by following the motion for t = {time:.3g}, then by Newton ({before})"
    if followed.lost[place]:
        words = f"not converged: the wave cannot be followed beyond t = {time:.3g}"
        return f"{words}; it may grow without bound ({before})."
    return (
        f"not converged: the device oscillates. Followed for t = {time:.3g}, {patience:g} "
        f"times 1/gamma, it does not settle, residual {residual:.1e} ({before})."
    )
