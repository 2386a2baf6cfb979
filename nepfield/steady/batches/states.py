"""Steady states of large batches, in blocks of samples.

Samples that start from a state share the factors of H + a, where a = f + n f' is the mean over the
batch (over 32 samples spread over it). Nudged states are found with the factors of the free ones,
and so are linear responses. Where samples start from the vacuum, a few of them, spread over the
batch, are led to their states by a pump that is turned up in steps, with a renewed at each; then
all start from the vacuum with the last a, and those that do not arrive follow the same steps.
What still fails is left to Newton's method, one by one. So a sample's state depends on its
neighbours through these few fields a alone: not beyond the tolerance where it has one state, but
where it has several they may decide which of them is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nepfield.steady.batches.choice import Reference
from nepfield.steady.batches.chord import Outcome
from nepfield.steady.batches.lanes import LANES
from nepfield.steady.batches.pieces import iterate_in_pieces
from nepfield.steady.batches.problems import states_problem
from nepfield.steady.batches.triangles import Triangles, share, shared, triangles_at
from nepfield.steady.equation import Equation

_STEPS = 10  # in which the pump is turned up
_ROUGHLY = 1e-2  # residual of the states on the way, relative to their drive
_PART = 16  # samples that are evaluated at once
_FEW = 32  # samples that stand for a batch in the mean of a


class Found(NamedTuple):
    """States of a batch.

    Attributes
    ----------
    state : ndarray, shape (ndof, nsamples)
    residual : ndarray, shape (nsamples,)
        Relative to the scale, as the equation itself has it; infinite where none was found.
    iterations : ndarray of int, shape (nsamples,)
    """

    state: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray


def reference_of(equation: Equation, drive: np.ndarray, start: np.ndarray) -> Reference:
    """What the samples of a batch share; arguments as of `find_states`."""
    cold = ~start.any(axis=0)
    (waiting,), (warm,) = np.nonzero(cold), np.nonzero(~cold)
    mean: np.ndarray | None = None
    path: list[np.ndarray | None] = []
    if len(warm):
        mean = mean_direct(equation, start[:, spread(warm, _FEW)])
    if len(waiting):
        some = drive[:, spread(waiting, LANES)]
        scale = equation.space.residual_norm(some)
        scale[scale == 0] = 1.0
        path, _ = ramp(equation, some, scale)
    return Reference(mean, tuple(path))


def find_states(
    equation: Equation,
    drive: np.ndarray,
    scale: np.ndarray,
    start: np.ndarray,
    tolerance: np.ndarray,
    enough: np.ndarray,
    nudged: np.ndarray,
    reference: Reference | None = None,
) -> Found:
    """Steady states of a batch.

    Parameters
    ----------
    equation : Equation
    drive, start : ndarray, shape (ndof, nsamples)
        Samples that start from 0 start from the vacuum.
    scale : ndarray, shape (nsamples,)
        Norms by which residuals are divided.
    tolerance, enough : ndarray, shape (nsamples,)
        The residual that is wanted, and the one that will do where rounding ends the search.
    nudged : ndarray of bool, shape (nsamples,)
        Samples that take one step at least.
    reference : Reference, optional
        Of the batch that these are a part of; by default of these.
    """
    state, part = start.copy(), equation.linear_part
    count = len(scale)
    residual, iterations = np.full(count, np.inf), np.zeros(count, dtype=int)

    def solve(chosen: np.ndarray, triangles: Triangles | None) -> np.ndarray:
        """Those of the chosen samples that did not arrive."""
        if triangles is None:
            return chosen
        found = _arrived(
            equation, triangles, chosen, state, drive, scale, tolerance, enough, nudged.astype(int)
        )
        iterations[...] += found.iterations
        residual[chosen] = found.residual[chosen]
        return chosen[~np.isfinite(residual[chosen])]

    known = shared(part) if nudged.any() else None
    if known is not None:
        solve(np.arange(count), known)
    left = ~np.isfinite(residual)
    if left.any():
        shares = reference or reference_of(equation, drive, start)
        cold = ~start.any(axis=0)
        (waiting,), (warm,) = np.nonzero(left & cold), np.nonzero(left & ~cold)
        if len(warm):
            triangles = triangles_at(equation.linear_part, shares.warm)
            solve(warm, triangles)
            share(part, triangles)
        if len(waiting):
            triangles = triangles_at(equation.linear_part, shares.path[-1])
            missing = solve(waiting, triangles)
            if len(missing):
                _, state[:, missing] = ramp(
                    equation, drive[:, missing], scale[missing], shares.path
                )
                solve(missing, triangles)
            if shares.warm is None:
                share(part, triangles)
            elif not len(warm):  # the others have begun from states: what follows is theirs
                share(part, triangles_at(part, shares.warm))
    lost = ~np.isfinite(residual)
    state[:, lost] = start[:, lost]
    return Found(state, residual, iterations)


def spread(samples: np.ndarray, most: int) -> np.ndarray:
    """So many of the samples at most, spread over all of them."""
    if len(samples) <= most:
        return samples
    return samples[np.linspace(0, len(samples) - 1, most).astype(int)]


def ramp(
    equation: Equation,
    drive: np.ndarray,
    scale: np.ndarray,
    path: Sequence[np.ndarray | None] = (),
) -> tuple[list[np.ndarray | None], np.ndarray]:
    """Turn the drive up from the vacuum in steps.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, nsamples)
    scale : ndarray, shape (nsamples,)
    path : sequence of ndarray or None, optional
        The field a to use in each step and after the last; by default the mean over the samples.

    Returns
    -------
    path : list of ndarray or None
    state : ndarray, shape (ndof, nsamples)
        Near the steady states, where they were found on the way, else where they were lost.
    """
    state, used = np.zeros_like(drive), list(path)
    alive = np.ones(len(scale), dtype=bool)
    for step in range(1, _STEPS + 1):
        share = step / _STEPS
        if step > 1:
            state *= share / ((step - 1) / _STEPS)  # as a linear wave would grow
        (left,) = np.nonzero(alive)
        if not path:
            used.append(mean_direct(equation, state[:, left if len(left) else slice(None)]))
        if not len(left):
            continue
        triangles = triangles_at(equation.linear_part, used[step - 1])
        if triangles is None:
            alive[:] = False
            continue
        goal = np.full(len(scale), _ROUGHLY)
        found = _arrived(equation, triangles, left, state, share * drive, share * scale, goal)
        alive[left] = np.isfinite(found.residual[left])
    if not path:
        used.append(mean_direct(equation, state[:, alive if alive.any() else slice(None)]))
    return used, state


def _arrived(
    equation: Equation,
    triangles: Triangles,
    samples: np.ndarray,
    state: np.ndarray,
    drive: np.ndarray,
    scale: np.ndarray,
    tolerance: np.ndarray,
    enough: np.ndarray | None = None,
    least: np.ndarray | None = None,
) -> Outcome:
    """Bring some samples of `state`, (ndof, nsamples), to the steady states of a drive; the others
    as of `iterate_in_pieces`."""
    return iterate_in_pieces(
        lambda some, begin: states_problem(equation, drive[:, some], begin),
        triangles, samples, state, tolerance, scale, enough, least,
    )  # fmt: skip


def mean_direct(equation: Equation, state: np.ndarray) -> np.ndarray | None:
    """Mean over the samples of a = f + n f' at the points; None for a linear equation."""
    total, count = None, state.shape[1]
    for first in range(0, count, _PART):
        direct = equation.linearise(state[:, first : first + _PART]).direct
        if direct is None:
            return None
        part = direct.sum(axis=-1)
        total = part if total is None else total + part
    return None if total is None else total / count
