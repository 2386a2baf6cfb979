"""Steady states by Newton-Krylov, batched over samples.

    kappa(Psi, theta, X) = 0                                                         nep (2), (3)

Plain Newton with a line search comes first. A sample on which it fails is started again by
pseudo-transient continuation (`nepfield.steady.pseudotime`). Convergence is decided by the
residual, never by a number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypedDict

import numpy as np

from nepfield.errors import InputError
from nepfield.space.arrays import all_finite
from nepfield.space.linalg import DENSE_LIMIT
from nepfield.steady.batches import choice as batches
from nepfield.steady.equation import Equation, Local
from nepfield.steady.linear import SharedPreconditioner, solve_linearised
from nepfield.steady.pseudotime import continue_in_pseudotime
from nepfield.steady.steady import Steady

_SHORTEST_STEP = 2.0**-10
_CONTRAST = 1e-4  # residual of a nudged state relative to its nudge
_FLOOR = 1e-13  # relative to the drive: below it is rounding
_ROUNDING = 1e-10  # what a nudged state may be left with where rounding ends the search


class SolverOptions(TypedDict, total=False):
    """Keywords of `nepfield.steady.prefer.find_preferred` that studies give."""

    tolerance: float
    response_tolerance: float
    max_iterations: int
    method: str
    prefer: str


def find_steady(
    equation: Equation,
    drive: np.ndarray,
    *,
    push: np.ndarray | None = None,
    free: np.ndarray | None = None,
    initial: np.ndarray | None = None,
    tolerance: float = 1e-10,
    response_tolerance: float | None = None,
    max_iterations: int = 50,
    method: str = "newton",
    reference: batches.Reference | None = None,
) -> Steady:
    """Find the steady states of a wave equation for a batch of drives.

    Large batches (`nepfield.steady.batches.choice`) are solved in blocks of samples, which is many
    times faster; what fails there comes here, sample by sample.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, nsamples)
        In weak form.
    push : ndarray, shape (ndof, nsamples), optional
        A drive of a nudge, which is added: ``-i beta dC/dPsibar`` in nep (3).
    free : ndarray, shape (ndof, nsamples), optional
        The states that are pushed. What residual they have within the tolerance the pushed ones
        are given too, and they are solved to a fraction of the push: else a contrast of both would
        hold the tolerance divided by beta.
    initial : ndarray, shape (ndof, nsamples), optional
        Warm start; by default the vacuum, Psi = 0.
    tolerance : float
        Bound on the residual relative to the drive.
    response_tolerance : float, optional
        Bound on the residual of a pushed state relative to the push, down to rounding; by default
        1e-4, and in large batches what linear responses are solved to, too
        (`nepfield.steady.batches.choice`).
    max_iterations : int
        Newton steps before the continuation takes over; it may take ten times as many.
    method : {"newton", "pseudotime"}
        "pseudotime" goes straight to the continuation, which roughly follows the transient from
        the initial state. Where several branches exist neither method promises the one that an
        experiment reaches, nor that it is stable: `nepfield.stability` says whether it is, and
        ``prefer="stable"`` (`nepfield.steady.prefer`) takes no other.
    reference : Reference, optional
        Of the large batch of which these samples are a part.

    Returns
    -------
    Steady

    Raises
    ------
    InputError
        If an argument does not fit.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance}: it must lie between 0 and 1.")
    batches.check_response_tolerance(response_tolerance)
    if not isinstance(max_iterations, int | np.integer) or max_iterations < 0:
        raise InputError(f"max_iterations = {max_iterations}: it must be a whole number >= 0.")
    if method not in ("newton", "pseudotime"):
        raise InputError(f"method = {method!r}: choose 'newton' or 'pseudotime'.")
    drive = drive.astype(complex)
    nudged = np.zeros(drive.shape[1], dtype=bool)
    if push is not None:
        if np.shape(push) != drive.shape or not all_finite(push):
            raise InputError(
                f"nudge: a finite array of shape {drive.shape} (ndof, nsamples) is needed; this "
                f"one has shape {np.shape(push)}."
            )
        nudged = (push != 0).any(axis=0)
    start = np.zeros_like(drive) if initial is None else np.array(initial, dtype=complex)
    if start.shape != drive.shape or not all_finite(start):
        raise InputError(
            f"initial: a finite array of shape {drive.shape} (ndof, nsamples) is needed; this one "
            f"has shape {start.shape}."
        )
    norm, wanted = equation.space.residual_norm, np.full(drive.shape[1], tolerance)
    scale = norm(drive if push is None else drive + push)
    scale[scale == 0] = 1.0
    enough, begun = wanted, None
    blocks = method == "newton" and batches.in_blocks(drive.shape)
    if push is not None:
        options = {"tolerance": tolerance, "response_tolerance": response_tolerance}
        share = batches.response_accuracy(drive.shape, options, _CONTRAST)
        fraction = np.maximum(share * norm(push) / scale, _FLOOR)
        wanted = np.where(nudged, np.minimum(fraction, tolerance), tolerance)
        enough = np.minimum(np.maximum(wanted, _ROUNDING), tolerance)
        if free is not None:
            known = equation.local(free)
            force = equation.residual(free, drive, known)
            push = push + np.where(nudged, 1j * force, 0)
            if initial is free and not blocks:  # it need not be evaluated again
                begun = known, force + 1j * push
        drive = drive + push
    if blocks:
        state, residual, iterations = _in_blocks(
            equation, drive, scale, start, wanted, enough, max_iterations, nudged, reference
        )
    elif method == "newton":
        state, residual, iterations = _newton(
            equation, drive, scale, start.copy(), wanted, max_iterations, nudged, begun
        )
        residual[nudged & (iterations == 0) & (residual > 0)] = np.inf  # it has taken no step
    else:
        state, iterations = start.copy(), np.zeros(drive.shape[1], dtype=int)
        residual = np.full(drive.shape[1], np.inf)
    reason = ["converged"] * len(residual)
    for k in np.flatnonzero(~(residual <= enough)):
        column, reached, steps = continue_in_pseudotime(
            equation, drive[:, [k]], scale[k], start[:, [k]], wanted[k], 10 * max_iterations,
            least=int(nudged[k]),
        )  # fmt: skip
        iterations[k] += steps
        if not residual[k] <= reached:
            state[:, k], residual[k] = column[:, 0], reached
        reason[k] = (
            "converged by pseudo-transient continuation"
            if residual[k] <= enough[k]
            else f"not converged: residual {residual[k]:.1e} after {iterations[k]} steps. Near "
            f"the tolerance of {tolerance:.0e} that is rounding: raise it. Otherwise try more "
            "loss, a weaker pump or nonlinearity, a finer mesh, or prefer = 'stable', which "
            "follows the motion."
        )
    return Steady(state, residual <= enough, residual, iterations, tuple(reason))


def _in_blocks(
    equation: Equation,
    drive: np.ndarray,
    scale: np.ndarray,
    start: np.ndarray,
    tolerance: np.ndarray,
    enough: np.ndarray,
    max_iterations: int,
    nudged: np.ndarray,
    reference: batches.Reference | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A large batch in blocks of samples; those that fail there go through `_newton` one by one,
    so that none depends on which others fail."""
    from nepfield.steady.batches.states import find_states  # Numba takes half a second to load

    state, residual, iterations = find_states(
        equation, drive, scale, start, tolerance, enough, nudged, reference
    )
    for k in np.flatnonzero(~np.isfinite(residual)):
        one = [k]
        state[:, one], residual[one], steps = _newton(
            equation, drive[:, one], scale[one], start[:, one], tolerance[one], max_iterations,
            nudged[one],
        )  # fmt: skip
        if nudged[k] and steps[0] == 0 and residual[k] > 0:
            residual[k] = np.inf
        iterations[one] += steps
    return state, residual, iterations


def _newton(
    equation: Equation,
    drive: np.ndarray,
    scale: np.ndarray,
    state: np.ndarray,
    tolerance: np.ndarray,
    max_iterations: int,
    nudged: np.ndarray,
    begun: tuple[Local, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Damped Newton on all samples; those that cannot go on keep their last iterate.

    A nudged sample takes one step at least: near the end of training the nudge is smaller than the
    tolerance, but the contrast is all that counts. `begun` is what is known of the start.
    """
    at = _evaluated(equation, state, drive, scale, tolerance, nudged, begun)
    residual, iterations = at.residual.copy(), np.zeros(len(scale), dtype=int)
    going = (residual > tolerance) | (nudged & (residual > 0))
    active = np.arange(len(scale))
    preconditioner = SharedPreconditioner()
    # In a small batch it costs less to carry the finished samples along than to take them out, but
    # a sample that no step improves would cost the others a line search to its end each time.
    small = equation.space.ndof <= DENSE_LIMIT
    moving, steps = True, 0
    while steps < max_iterations and (left := np.count_nonzero(going)):
        if left < len(active) and not (small and moving):
            state[:, active], residual[active], iterations[active] = at.state, at.residual, steps
            (kept,) = going.nonzero()
            active, at = active[kept], at.samples(kept)
        linear = equation.linearise(at.state, at.local)
        accuracy = 0.0 if small else at.accuracy()
        step, _ = solve_linearised(linear, -at.force, accuracy, preconditioner)
        steps += 1
        at, improved = _line_search(equation, at, step)
        going = improved & (at.residual > at.tolerance)
        moving = np.count_nonzero(improved) == len(active)
    if len(active) == len(scale):
        return at.state, at.residual, np.full_like(iterations, steps)
    state[:, active], residual[active], iterations[active] = at.state, at.residual, steps
    return state, residual, iterations


class _Iterates(NamedTuple):
    """States under way, a column a sample."""

    local: Local
    state: np.ndarray
    force: np.ndarray
    residual: np.ndarray
    drive: np.ndarray
    scale: np.ndarray
    tolerance: np.ndarray
    nudged: np.ndarray

    def samples(self, chosen: np.ndarray) -> _Iterates:
        """Some of the samples, by their indices."""
        return _each(lambda array: array.take(chosen, axis=-1), self)

    def accuracy(self) -> np.ndarray:
        """Of the linear solves: no better than Newton's own error, which stays quadratic."""
        enough = np.maximum(self.residual, 0.1 * self.tolerance / self.residual)
        return np.minimum(enough, np.where(self.nudged, 1e-4, 1e-2))


def _each(make: Callable[..., np.ndarray], *iterates: _Iterates) -> _Iterates:
    """Iterates whose arrays are made of those of others, one by one."""
    local = tuple(map(make, *(at.local for at in iterates)))
    return _Iterates(local, *map(make, *(at[1:] for at in iterates)))


def _chosen(mask: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.where(mask, first, second)


def _evaluated(
    equation: Equation,
    state: np.ndarray,
    drive: np.ndarray,
    scale: np.ndarray,
    tolerance: np.ndarray,
    nudged: np.ndarray,
    known: tuple[Local, np.ndarray] | None = None,
) -> _Iterates:
    """A state with all that Newton's method asks of it; what is known of it are `local` and F."""
    if known is None:
        local = equation.local(state)
        known = local, equation.residual(state, drive, local)
    local, force = known
    residual = equation.space.residual_norm(force) / scale
    return _Iterates(local, state, force, residual, drive, scale, tolerance, nudged)


def _line_search(
    equation: Equation, at: _Iterates, step: np.ndarray
) -> tuple[_Iterates, np.ndarray]:
    """The longest of the steps 1, 1/2, 1/4, ... that lowers the residual, and whether one does.

    Below the tolerance rounding decides what is lower, so any step that stays there will do.
    """
    improved = np.zeros(len(at.scale), dtype=bool)
    length = 1.0
    while length >= _SHORTEST_STEP:
        found = _evaluated(
            equation, at.state + length * step, at.drive, at.scale, at.tolerance, at.nudged
        )
        good = found.residual <= np.maximum((1 - 1e-4 * length) * at.residual, at.tolerance)
        if length == 1.0 and np.count_nonzero(good) == len(good):
            return found, good
        good &= ~improved
        at = _each(partial(_chosen, good), found, at)
        improved |= good
        if improved.all():
            break
        length /= 2
    return at, improved
