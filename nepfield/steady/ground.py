"""Ground states of Hermitian matrices, one a sample, and how they answer a perturbation.

    H psi = E psi, E the lowest                                       qep (1), (4)
    psi' = -(H - E)^+ V psi        the slope of psi in H + beta V     (first order)

Small matrices are diagonalised. Of larger ones Lanczos' method (three terms, restarted from the
best state) finds the lowest, all samples side by side, for a matrix of 16 entries a row costs less
than what calls it; conjugate gradients in the complement of the state give the response. It knows
matrices only.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh_tridiagonal

from nepfield.space.linalg import one_thread
from nepfield.steady.steady import Steady

DENSE = 128
"""Up to so many rows a matrix is diagonalised."""
NARROW = 1e-3
"""Of the norm of a matrix: a gap below it is told."""
_CLOSED = 1e-9  # of the norm: a gap below it is none
_STIR = 0.03  # of a start: a little of everything, lest it be orthogonal to the ground state
_STEPS = 64  # of Lanczos' method before it restarts
_LOOKED = 6  # steps between two looks at what has been found
_MEMORY = 2**21  # numbers in the vectors of all steps
_RESPONSE_STEPS = 5000  # of conjugate gradients
_SINGLE = 1e-5  # from this tolerance on single precision is enough, and twice as fast


class Matrices(Protocol):
    """Hermitian matrices, one a sample."""

    def dense(self) -> np.ndarray:
        """All of them, (nsamples, n, n)."""

    def sparse(self, samples: np.ndarray) -> sp.csr_array:
        """Some of them, as the blocks of one matrix, sample by sample."""


def ground_states(
    matrices: Matrices,
    n: int,
    nsamples: int,
    initial: np.ndarray | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 300,
    gap: bool = True,
) -> Steady:
    """The lowest eigenvector of each matrix.

    Parameters
    ----------
    matrices : Matrices
    n, nsamples : int
        Rows of each, and how many there are.
    initial : ndarray, shape (n, nsamples), optional
        Where to start, and the phase that the states are given; columns with a nan are no start.
        Without one the largest entry of a state is positive.
    tolerance : float
        Bound on ``|H psi - E psi|`` relative to the norm of H.
    max_iterations : int
        Restarts of Lanczos' method, of 64 steps each.
    gap : bool
        Whether the next energy is found too, and it is checked that the ground state is unique.

    Returns
    -------
    Steady
        With ``energy`` and, where it was asked for, ``gap`` in its `extra`.
    """
    difference = np.full(nsamples, np.inf)
    if n <= DENSE:
        state, energies, residual, norm = _diagonalised(matrices)
        energy, difference = energies[:, 0], energies[:, 1] - energies[:, 0]
        steps = np.ones(nsamples, dtype=np.int64)
    else:
        state = np.empty((n, nsamples), matrices.sparse(np.arange(1)).dtype)
        energy, residual, norm = np.empty((3, nsamples))
        steps = np.zeros(nsamples, dtype=np.int64)
        block = max(1, _MEMORY // (n * _STEPS))
        for first in range(0, nsamples, block):
            some = np.arange(first, min(first + block, nsamples))
            start = _starts(n, len(some), None if initial is None else initial[:, some])
            search = _Search(matrices, some, tolerance, max_iterations)
            found = search.lowest(start)
            state[:, some], energy[some] = found.T, search.energy
            residual[some], norm[some], steps[some] = search.residual, search.norm, search.steps
            if gap:
                search = _Search(matrices, some, max(tolerance, 1e-7), max_iterations, found)
                search.lowest(_starts(n, len(some), None, seed=1))  # not in the span of the first
                difference[some] = search.energy - energy[some]
                steps[some] += search.steps
    state = _turned(state, initial)
    if not gap:
        difference = np.full(nsamples, np.inf)
    unique = difference > _CLOSED * norm
    converged = (residual <= max(tolerance, 1e-13)) & unique
    reason = tuple(
        _reason(residual[k], difference[k], norm[k], converged[k], unique[k])
        for k in range(nsamples)
    )
    extra = {"energy": energy} | ({"gap": difference} if gap else {})
    return Steady(state, converged, residual, steps, reason, extra)


def ground_response(
    matrices: Matrices, state: np.ndarray, pushed: np.ndarray, tolerance: float = 1e-11
) -> tuple[np.ndarray, np.ndarray]:
    """The slope of ground states along a perturbation.

    Parameters
    ----------
    matrices : Matrices
    state : ndarray, shape (n, nsamples)
        Their ground states.
    pushed : ndarray, shape (n, nsamples)
        The perturbation applied to them, ``V psi``.
    tolerance : float
        Of conjugate gradients, relative to the right-hand side; no less than the residual of the
        state, relative to its energy.

    Returns
    -------
    direction : ndarray, shape (n, nsamples)
        ``-(H - E)^+ V psi``.
    solved : ndarray of bool, shape (nsamples,)
    """
    if len(state) <= DENSE:
        with one_thread():
            energy, vectors = np.linalg.eigh(matrices.dense())
        along = np.einsum("snj,ns->sj", vectors.conj(), pushed)
        along[:, 0] = 0.0
        spacing = energy[:, 1:] - energy[:, :1]
        along[:, 1:] /= -np.where(spacing > 0, spacing, np.inf)
        return np.einsum("snj,sj->ns", vectors, along), np.full(state.shape[1], True)
    direction = np.empty(state.shape, np.result_type(state, pushed))
    solved = np.empty(state.shape[1], dtype=bool)
    block = max(1, _MEMORY // (len(state) * _STEPS))
    for first in range(0, state.shape[1], block):
        some = np.arange(first, min(first + block, state.shape[1]))
        found, solved[some] = _complement(
            matrices.sparse(some), state[:, some].T.copy(), pushed[:, some].T, tolerance
        )
        direction[:, some] = found.T
    return direction, solved


def _diagonalised(matrices: Matrices) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    matrix = matrices.dense()
    with one_thread():
        energy, vectors = np.linalg.eigh(matrix)
        state = vectors[:, :, 0]
        left = np.einsum("snm,sm->sn", matrix, state) - energy[:, :1] * state
    norm = np.maximum(np.abs(energy).max(axis=1), 1e-300)
    return state.T.copy(), energy[:, :2], np.linalg.norm(left, axis=1) / norm, norm


def _starts(n: int, nsamples: int, initial: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """Where searches start, (nsamples, n): at one vector always, or near the states given."""
    stir = np.random.default_rng(seed).normal(size=n)
    stir /= np.linalg.norm(stir)
    if initial is None:
        return np.repeat(stir[None], nsamples, axis=0)
    given = np.isfinite(initial).all(axis=0)[:, None]
    return np.where(given, np.nan_to_num(initial.T) + _STIR * stir, stir)


class _Search:
    """Lanczos' method for some samples, side by side; a sample's numbers are its own.

    Parameters
    ----------
    matrices, tolerance, max_iterations
        As in `ground_states`.
    samples : ndarray of int
    below : ndarray, shape (nsamples, n), optional
        States that are left out: the search is in their complement.
    """

    def __init__(
        self,
        matrices: Matrices,
        samples: np.ndarray,
        tolerance: float,
        max_iterations: int,
        below: np.ndarray | None = None,
    ) -> None:
        self._matrices, self._samples, self._below = matrices, samples, below
        self._tolerance, self._restarts = tolerance, max_iterations
        count = len(samples)
        self.energy, self.residual = np.full(count, np.nan), np.full(count, np.inf)
        self.norm, self.steps = np.full(count, 1e-300), np.zeros(count, dtype=np.int64)

    def lowest(self, start: np.ndarray) -> np.ndarray:
        """The states that are found, (nsamples, n)."""
        state = start
        open_ = np.arange(len(self._samples))
        for _ in range(max(1, self._restarts)):
            better = self._restart(open_, state[open_])
            if better.dtype != state.dtype:
                state = state.astype(better.dtype)
            state[open_] = better
            open_ = open_[self.residual[open_] > self._tolerance]
            if not len(open_):
                break
        return state

    def _restart(self, chosen: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The best states of one run from a start; energies and residuals are those of them."""
        matrix = self._matrices.sparse(self._samples[chosen])
        if single := self._tolerance >= _SINGLE:
            matrix = matrix.astype(np.complex64 if matrix.dtype.kind == "c" else np.float32)
        below = None if self._below is None else self._below[chosen]

        def across(vectors: np.ndarray) -> np.ndarray:
            if below is None:
                return vectors
            return vectors - below * np.vecdot(below, vectors)[:, None]

        def times(vectors: np.ndarray) -> np.ndarray:
            return across((matrix @ vectors.ravel()).reshape(vectors.shape))

        count, n = start.shape
        steps = min(_STEPS, n - 1)
        precise = np.result_type(start, matrix)
        basis = np.empty((steps, count, n), matrix.dtype if single else precise)
        real = basis.real.dtype
        diagonal, beside = np.zeros((2, steps, count))
        mix = np.zeros((count, steps))
        searching = np.full(count, True)
        start = across(start)
        vector = (start / np.linalg.norm(start, axis=1)[:, None]).astype(basis.dtype)
        for step in range(steps):
            basis[step] = vector
            following = times(vector)
            diagonal[step] = np.vecdot(vector, following).real
            following -= diagonal[step][:, None].astype(real) * vector
            if step:
                following -= beside[step - 1][:, None].astype(real) * basis[step - 1]
            beside[step] = np.linalg.norm(following, axis=1)
            vector = following / np.maximum(beside[step], 1e-30)[:, None].astype(real)
            sizes = np.abs(diagonal[step]) + beside[step]
            self.norm[chosen] = np.maximum(self.norm[chosen], sizes)
            last = step == steps - 1
            if not (
                last
                or step % _LOOKED == _LOOKED - 1
                or np.any(beside[step] < 1e-14 * self.norm[chosen])
            ):
                continue
            for k in np.flatnonzero(searching):
                weights = _lowest_of(diagonal[: step + 1, k], beside[:step, k])
                left = beside[step, k] * abs(weights[-1])
                if last or left <= 0.5 * self._tolerance * self.norm[chosen[k]]:
                    searching[k] = False
                    mix[k, : step + 1] = weights
                    self.steps[chosen[k]] += step + 1
            if not searching.any():
                break
        mix = mix.astype(real)
        state = np.stack([mix[k, : step + 1] @ basis[: step + 1, k] for k in range(count)])
        state = across(state)
        state /= np.linalg.norm(state, axis=1)[:, None]
        applied = times(state)
        energy = np.vecdot(state, applied).real
        left = np.linalg.norm(applied - energy[:, None] * state, axis=1)
        self.energy[chosen], self.residual[chosen] = energy, left / self.norm[chosen]
        return state.astype(precise)


def _lowest_of(diagonal: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """The lowest eigenvector of a tridiagonal matrix."""
    if len(diagonal) == 1:
        return np.ones(1)
    return eigh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0))[1][:, 0]


def _complement(
    matrix: sp.csr_array, state: np.ndarray, pushed: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """-(H - E)^+ of vectors (nsamples, n) by conjugate gradients, and whether it was found."""

    def across(vectors: np.ndarray) -> np.ndarray:
        return vectors - state * np.vecdot(state, vectors)[:, None]

    applied = (matrix @ state.ravel()).reshape(state.shape)
    energy = np.vecdot(state, applied).real[:, None]

    def times(vectors: np.ndarray) -> np.ndarray:
        vectors = across(vectors)
        return across((matrix @ vectors.ravel()).reshape(state.shape) - energy * vectors)

    # more precise than the state itself would be in vain
    inexact = np.linalg.norm(applied - energy * state, axis=1) / np.maximum(abs(energy[:, 0]), 1.0)
    left = -across(pushed.astype(np.result_type(matrix, state, pushed)))
    found, along = np.zeros_like(left), left.copy()
    size = np.vecdot(left, left).real
    enough = np.maximum(tolerance, inexact) ** 2 * size
    enough = np.maximum(enough, 1e-28 * np.vecdot(pushed, pushed).real)
    for _ in range(_RESPONSE_STEPS):
        open_ = size > enough
        if not open_.any():
            break
        turned = times(along)
        curvature = np.vecdot(along, turned).real
        going = open_ & (curvature > 0)
        if not going.any():
            break
        step = np.where(going, size / np.where(going, curvature, 1.0), 0.0)[:, None]
        found += step * along
        left -= step * turned
        before, size = size, np.where(going, np.vecdot(left, left).real, size)
        along = left + (size / np.maximum(before, 1e-300))[:, None] * along
    return across(found), size <= enough


def _turned(state: np.ndarray, initial: np.ndarray | None) -> np.ndarray:
    """States with the phase of those before them; else with a positive largest entry."""
    largest = np.abs(state).argmax(axis=0)
    along = state[largest, np.arange(state.shape[1])]
    if initial is not None:
        overlap = np.nan_to_num(np.sum(initial.conj() * state, axis=0))
        along = np.where(np.abs(overlap) > 1e-3, overlap, along)
    return state * (along.conj() / np.abs(along))


def _reason(residual: float, gap: float, norm: float, converged: bool, unique: bool) -> str:
    if not unique:
        return (
            f"has no unique ground state: the gap is {gap:.1e}; break the symmetry by a bias, or "
            "keep the transverse fields off 0 by bounds"
        )
    if not converged:
        return (
            f"not converged: residual {residual:.1e}; allow more iterations (max_iterations) or a "
            "larger tolerance"
        )
    if gap < NARROW * norm:
        return f"converged, but the gap is only {gap:.1e}: a nudge has to be weaker than that"
    return "converged"
