"""Ground states of Hermitian matrices, one a sample, and how they answer a perturbation.

    H psi = E psi, E the lowest                                       qep (1), (4)
    psi' = -(H - E)^+ V psi        the slope of psi in H + beta V     (first order)

Small matrices are diagonalised; of larger ones Lanczos' method finds the lowest state, and
conjugate gradients in the complement of it the response. It knows matrices only.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.space.linalg import one_thread
from nepfield.steady.steady import Steady

DENSE = 128
"""Up to so many rows a matrix is diagonalised."""
NARROW = 1e-3
"""Of the norm of a matrix: a gap below it is told."""
_CLOSED = 1e-9  # of the norm: a gap below it is none
_STIR = 0.03  # of a start: a little of everything, lest it be orthogonal to the ground state


class Matrices(Protocol):
    """Hermitian matrices, one a sample."""

    def dense(self) -> np.ndarray:
        """All of them, (nsamples, n, n)."""

    def sparse(self, sample: int) -> sp.csr_array:
        """One of them."""


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
        Bound on ``|H psi - E psi|`` relative to the norm of H (its largest row sum).
    max_iterations : int
        Restarts of Lanczos' method.
    gap : bool
        Whether the next energy is found too, and it is checked that the ground state is unique.

    Returns
    -------
    Steady
        With ``energy`` and, where it was asked for, ``gap`` in its `extra`.
    """
    if n <= DENSE:
        state, energies, residual, norm = _diagonalised(matrices)
        steps = np.ones(nsamples, dtype=np.int64)
    else:
        found = [
            _lanczos(
                matrices.sparse(k), None if initial is None else initial[:, k], tolerance,
                max_iterations, gap,
            )
            for k in range(nsamples)
        ]  # fmt: skip
        state = np.stack([one[0] for one in found], axis=1)
        energies = np.array([one[1] for one in found])
        residual, norm = np.array([one[2] for one in found]), np.array([one[3] for one in found])
        steps = np.array([one[4] for one in found], dtype=np.int64)
    state = _turned(state, initial)
    difference = energies[:, 1] - energies[:, 0] if gap else np.full(nsamples, np.inf)
    unique = difference > _CLOSED * norm
    converged = (residual <= max(tolerance, 1e-13)) & unique
    reason = tuple(
        _reason(residual[k], difference[k], norm[k], converged[k], unique[k])
        for k in range(nsamples)
    )
    extra = {"energy": energies[:, 0]} | ({"gap": difference} if gap else {})
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
        Of conjugate gradients, relative to the right-hand side.

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
    for k in range(state.shape[1]):
        direction[:, k], solved[k] = _complement(
            matrices.sparse(k), np.ascontiguousarray(state[:, k]), pushed[:, k], tolerance
        )
    return direction, solved


def _diagonalised(matrices: Matrices) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    matrix = matrices.dense()
    with one_thread():
        energy, vectors = np.linalg.eigh(matrix)
        state = vectors[:, :, 0]
        left = np.einsum("snm,sm->sn", matrix, state) - energy[:, :1] * state
    norm = np.maximum(np.abs(matrix).sum(axis=2).max(axis=1), 1e-300)
    return state.T.copy(), energy[:, :2], np.linalg.norm(left, axis=1) / norm, norm


def _lanczos(
    matrix: sp.csr_array,
    start: np.ndarray | None,
    tolerance: float,
    max_iterations: int,
    gap: bool,
) -> tuple[np.ndarray, np.ndarray, float, float, int]:
    """State, the lowest energies, residual, norm and number of products of one matrix."""
    n = matrix.shape[0]
    stir = np.random.default_rng(0).normal(size=n)
    stir *= 1 / np.linalg.norm(stir)
    begin = stir.astype(matrix.dtype)
    if start is not None and np.isfinite(start).all():
        begin = start.astype(matrix.dtype) + _STIR * stir
    products = 0

    def times(vector: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        return matrix @ vector

    norm = max(float(abs(matrix).sum(axis=1).max()), 1e-300)
    operator = spla.LinearOperator(matrix.shape, matvec=times, dtype=matrix.dtype)
    try:
        with one_thread():
            energy, vectors = spla.eigsh(
                operator, k=1 + gap, which="SA", v0=begin, tol=tolerance, maxiter=max_iterations
            )
    except spla.ArpackNoConvergence as error:
        energy, vectors = error.eigenvalues, error.eigenvectors
        if len(energy) < 1 + gap:  # what is there, for the last iterate
            state = begin / np.linalg.norm(begin) if not len(energy) else vectors[:, 0]
            lowest = np.vdot(state, matrix @ state).real
            energy, vectors = np.array([lowest, np.inf])[: 1 + gap], state[:, None]
    order = np.argsort(energy)
    energy, state = energy[order], vectors[:, order[0]]
    left = matrix @ state - energy[0] * state
    return state, energy, float(np.linalg.norm(left)) / norm, norm, products


def _complement(
    matrix: sp.csr_array, state: np.ndarray, pushed: np.ndarray, tolerance: float
) -> tuple[np.ndarray, bool]:
    """-(H - E)^+ of a vector, for one matrix."""
    energy = np.vdot(state, matrix @ state).real

    def across(vector: np.ndarray) -> np.ndarray:
        return vector - state * np.vdot(state, vector)

    def times(vector: np.ndarray) -> np.ndarray:
        vector = across(vector)
        return across(matrix @ vector - energy * vector)

    right = -across(pushed.astype(np.result_type(matrix, state, pushed)))
    if not np.linalg.norm(right) > 1e-14 * np.linalg.norm(pushed):
        return np.zeros_like(right), True
    operator = spla.LinearOperator(matrix.shape, matvec=times, dtype=right.dtype)
    with one_thread():
        found, failed = spla.cg(operator, right, rtol=tolerance, maxiter=20 * len(state))
    return across(found), failed == 0


def _turned(state: np.ndarray, initial: np.ndarray | None) -> np.ndarray:
    """States with the phase of those before them; else with a positive largest entry."""
    largest = np.abs(state).argmax(axis=0)
    along = state[largest, np.arange(state.shape[1])]
    if initial is not None:
        overlap = np.sum(initial.conj() * state, axis=0)
        along = np.where(np.nan_to_num(np.abs(overlap)) > 1e-3, overlap, along)
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
