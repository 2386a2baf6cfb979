"""Linear solves with the linearised wave equation, ``(H + a) d + b conj(d) = right``.

The map is linear over the reals only. Small systems are solved directly as dense real ones; large
ones by GMRES on the complex fields, preconditioned by complex factors of ``H + a`` alone: they cost
a third of those of the real matrix of twice the size, and b is so much smaller that a few
iterations suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from nepfield.space.arrays import all_finite
from nepfield.space.linalg import DENSE_LIMIT, real_product
from nepfield.space.pardiso import Factors
from nepfield.steady.batches.choice import in_blocks
from nepfield.steady.linearisation import Linearisation

ALONE = 1e-12
"""To which responses are solved where it costs little."""

_PATIENCE = 8  # GMRES iterations after which fresh factors are cheaper than going on
_MAX_ITERATIONS = 40
_BLOCK = 2**15  # numbers in a batch of fields; a larger batch is cut, or it leaves the cache
_NARROWEST = 8  # samples that a batch is not cut below: one pass over the factors serves them all


class SharedPreconditioner:
    """Factors of ``H + a`` shared by all samples, refreshed when they have aged.

    It starts with the factors at the vacuum, which a system makes once for each set of parameters,
    and moves to the mean a of the samples when GMRES needs many iterations.

    Parameters
    ----------
    options : mapping, optional
        Of the solver, which say how exactly linear responses are wanted.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = options or {}
        self._factors: Factors | None = None
        self._aged = False

    def factors(self, linear: Linearisation) -> Factors:
        """Factors to use for this linearisation."""
        if self._aged and linear.direct is not None:
            self._factors = linear.factorise(linear.direct.mean(axis=-1))
        elif self._factors is None:
            self._factors = linear.linear_part.vacuum_factorisation
        self._aged = False
        return self._factors

    def report(self, iterations: int) -> None:
        """Say how many iterations the last solve took."""
        self._aged = iterations > _PATIENCE


def solve_linearised(
    linear: Linearisation,
    right: np.ndarray,
    tolerance: float | np.ndarray = ALONE,
    preconditioner: SharedPreconditioner | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``(H + a) d + b conj(d) = right`` for a batch.

    Parameters
    ----------
    linear : Linearisation
    right : ndarray, shape (ndof, nsamples)
    tolerance : float or ndarray, shape (nsamples,)
        Residual relative to the right-hand side.
    preconditioner : SharedPreconditioner, optional
        Kept by a caller that solves many times.

    Returns
    -------
    d : ndarray, shape (ndof, nsamples)
    converged : ndarray of bool, shape (nsamples,)
    """
    if len(right) <= DENSE_LIMIT:
        return _solve_dense(linear, right)
    tolerance = np.broadcast_to(tolerance, right.shape[1])
    if in_blocks(right.shape):
        from nepfield.steady.batches.responses import find_responses  # Numba takes long to load

        d, converged = find_responses(linear, right, tolerance)
        return _finish_apart(linear, right, tolerance, d, converged)
    preconditioner = preconditioner or SharedPreconditioner()
    try:
        factors = preconditioner.factors(linear)
    except np.linalg.LinAlgError:  # exactly singular: no step for this batch
        return np.zeros_like(right), np.zeros(right.shape[1], dtype=bool)
    if linear.direct is None:
        return factors.solve(right), np.ones(right.shape[1], dtype=bool)
    d, converged = np.empty_like(right), np.empty(right.shape[1], dtype=bool)
    width, most = max(_NARROWEST, _BLOCK // len(right)), 0
    for first in range(0, right.shape[1], width):
        chosen = np.arange(right.shape[1])[first : first + width]
        block = linear.samples(chosen)
        found = gmres(block.apply, factors.solve, right[:, chosen], tolerance[chosen])
        d[:, chosen], converged[chosen] = found.solution, found.converged
        most = max(most, found.iterations)
    preconditioner.report(most)
    return _finish_apart(linear, right, tolerance, d, converged)


def _finish_apart(
    linear: Linearisation,
    right: np.ndarray,
    tolerance: np.ndarray,
    d: np.ndarray,
    converged: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for samples that shared factors are too far from: each gets its own."""
    if linear.direct is None:
        return d, converged
    for k in np.flatnonzero(~converged):
        chosen = np.array([k])
        one = linear.samples(chosen)
        try:
            own = one.factorise(linear.direct[..., k])
        except np.linalg.LinAlgError:
            continue
        found = gmres(one.apply, own.solve, right[:, chosen], tolerance[chosen])
        d[:, chosen], converged[chosen] = found.solution, found.converged
    return d, converged


def _solve_dense(linear: Linearisation, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nsamples = right.shape[1]
    pairs = np.ascontiguousarray(right.T).view(float)[:, :, None]
    try:
        solution = np.linalg.solve(linear.real_matrices(), pairs)[:, :, 0]
    except np.linalg.LinAlgError:  # one exactly singular sample must not cost the others theirs
        if nsamples == 1:
            return np.zeros_like(right), np.zeros(1, dtype=bool)
        singles = [
            _solve_dense(linear.samples(np.array([k])), right[:, [k]]) for k in range(nsamples)
        ]
        return np.hstack([d for d, _ in singles]), np.hstack([ok for _, ok in singles])
    converged = np.full(nsamples, True)
    if not all_finite(solution):
        converged = np.asarray(np.isfinite(solution).all(axis=1))
    return solution.view(complex).T, converged


class Krylov(NamedTuple):
    """What GMRES finds.

    Attributes
    ----------
    solution : ndarray, shape (n, nsamples)
    converged : ndarray of bool, shape (nsamples,)
    iterations : int
    residual : ndarray, shape (nsamples,)
        Relative to the right-hand side; 0 where that vanishes.
    coefficients : ndarray, shape (iterations, nsamples)
        Of the preconditioned vectors in the solution.
    used : ndarray of int, shape (nsamples,)
        So many of them each sample needed.
    """

    solution: np.ndarray
    converged: np.ndarray
    iterations: int
    residual: np.ndarray
    coefficients: np.ndarray
    used: np.ndarray


def gmres(
    apply: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    right: np.ndarray,
    tolerance: np.ndarray,
    max_iterations: int = _MAX_ITERATIONS,
) -> Krylov:
    """Batched GMRES for real-linear maps of complex fields, preconditioned on the right.

    Parameters
    ----------
    apply, precondition : callable
        Maps of arrays of shape (n, nsamples).
    right : ndarray, shape (n, nsamples)
    tolerance : ndarray, shape (nsamples,)
        Residual relative to the right-hand side.
    max_iterations : int

    Returns
    -------
    Krylov
    """

    def expand(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        image = precondition(vector)
        return image, apply(image)

    return flexible_gmres(expand, right, tolerance, max_iterations)


def flexible_gmres(
    expand: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    right: np.ndarray,
    tolerance: np.ndarray,
    max_iterations: int = _MAX_ITERATIONS,
) -> Krylov:
    """The same where the preconditioner may be another one each time (Saad 1993).

    All samples iterate together, each with its own Hessenberg matrix; the inner product is the real
    one, ``Re sum conj(u) v``.

    Parameters
    ----------
    expand : callable
        For a vector of unit length the preconditioned one and the image of that under the map.
    right, tolerance, max_iterations
        As in `gmres`.

    Returns
    -------
    Krylov
    """
    nsamples = right.shape[1]
    scale = np.linalg.norm(right, axis=0)
    goal = tolerance * scale
    basis = [right / np.where(scale > 0, scale, 1.0)]
    images: list[np.ndarray] = []
    # After the Givens rotations: upper triangles, right-hand sides, rotation angles.
    triangle = np.zeros((max_iterations, max_iterations, nsamples))
    rotated = np.zeros((max_iterations + 1, nsamples))
    cosine = np.zeros((max_iterations, nsamples))
    sine = np.zeros((max_iterations, nsamples))
    rotated[0] = scale
    length = np.zeros(nsamples, dtype=int)  # Krylov vectors that each sample uses
    running = scale > 0
    iterations = 0
    while running.any() and iterations < max_iterations:
        j = iterations
        image, new = expand(basis[j])
        images.append(image)
        size = np.linalg.norm(new, axis=0)
        column = np.zeros((j + 1, nsamples))
        for _ in range(2):  # Gram-Schmidt twice is orthogonal to rounding
            for i in range(j + 1):
                projection = real_product(basis[i], new)
                column[i] += projection
                new -= projection * basis[i]
        height = np.linalg.norm(new, axis=0)
        for i in range(j):
            column[i], column[i + 1] = (
                cosine[i] * column[i] + sine[i] * column[i + 1],
                -sine[i] * column[i] + cosine[i] * column[i + 1],
            )
        radius = np.hypot(column[j], height)
        singular = radius <= 1e-14 * size  # this direction does not lower the residual
        safe = np.where(singular, 1.0, radius)
        cosine[j] = np.where(singular, 1.0, column[j] / safe)
        sine[j] = np.where(singular, 0.0, height / safe)
        column[j] = radius
        triangle[: j + 1, j] = column
        rotated[j + 1] = -sine[j] * rotated[j]
        rotated[j] = cosine[j] * rotated[j]
        running &= ~singular
        length[running] = j + 1
        iterations += 1
        running &= np.abs(rotated[j + 1]) > goal
        if running.any():
            new /= np.where(height > 0, height, 1.0)
            basis.append(new)
    solution = np.zeros_like(right)
    coefficients = np.zeros((iterations, nsamples))
    for i in reversed(range(iterations)):
        used = (length > i) & (triangle[i, i] > 0)
        value = rotated[i] - np.sum(triangle[i, i + 1 : iterations] * coefficients[i + 1 :], axis=0)
        coefficients[i] = np.where(used, value / np.where(used, triangle[i, i], 1.0), 0.0)
        solution += coefficients[i] * images[i]
    last = np.abs(rotated[length, np.arange(nsamples)])
    converged = (last <= goal) & np.isfinite(solution).all(axis=0)
    residual = last / np.where(scale > 0, scale, 1.0)
    return Krylov(solution, converged, iterations, residual, coefficients, length)
