"""Factors of large complex symmetric matrices by MKL PARDISO, where it is installed.

``pip install 'nepfield[mkl]'`` brings `py-mkl-pardiso`. It factors L D L^T of a complex symmetric
matrix, for half the memory and several times faster than SuperLU's L U on large meshes. Everything
else, and small matrices, stays with SuperLU. The analysis of a pattern, two thirds of the time, is
kept when its factors are not needed any more, for the next matrix if that has the same pattern, as
after each step of a training.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from functools import cache
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import Factorisation

_LEAST = 4096  # unknowns from which on it is worth it
# of iparm: nested dissection (METIS); pivots below 1e-8 are perturbed; the factorisation in two
# levels, for its solves are twice as fast, on one thread too
_SETTINGS = {1: 2, 9: 8, 23: 1}
_PERTURBED = 13  # of iparm: how many pivots were
_FREE = 0  # the phase that gives the memory of the factors back, and keeps the analysis

_idle: deque[tuple[Any, np.ndarray, np.ndarray]] = deque(maxlen=1)
"""A solver whose factors nobody needs, and its pattern by rows."""


class Factors(Protocol):
    """Factors of a matrix."""

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for one or many right-hand sides, shape (n,) or (n, nsamples)."""


class _Pardiso:
    """L D L^T factors of a complex symmetric matrix."""

    def __init__(self, library: Any, matrix: sp.csr_array) -> None:
        upper = sp.csr_array(sp.triu(matrix))
        upper.sort_indices()
        solver = _analysed_before(upper)
        if solver is None:
            solver = _analysed(library, upper)
        else:
            refactor = getattr(solver, "refactor_values", None) or solver.refactor
            refactor(np.asarray(upper.data, dtype=complex))
        self._solver = solver
        weakref.finalize(self, _keep, solver, upper.indptr, upper.indices).atexit = False

    @property
    def regular(self) -> bool:
        """Whether no pivot had to be made larger."""
        return self._solver.get_iparm_value(_PERTURBED) == 0

    def solve(self, right: np.ndarray) -> np.ndarray:
        """As `Factorisation.solve`."""
        columns = np.asfortranarray(right, dtype=complex)
        return np.ascontiguousarray(self._solver.solve(columns))


def _analysed(library: Any, upper: sp.csr_array) -> Any:
    """A solver that has analysed a new pattern, and factored."""
    kind, plain = library.MTYPE_COMPLEX_SYM, getattr(library, "_PardisoSolver", None)
    if plain is None:
        return library.PardisoSolver(upper, kind, _SETTINGS)
    # the same without a look at each row by Python, which takes as long as the factors
    solver = plain(kind, 0)
    for place, value in _SETTINGS.items():
        solver.set_iparm(place, value)
    pattern = upper.indptr.astype(np.int64), upper.indices.astype(np.int64)
    solver.set_pattern(ia=pattern[0], ja=pattern[1], n=upper.shape[0])
    solver.factor(np.asarray(upper.data, dtype=complex))
    return solver


def _analysed_before(upper: sp.csr_array) -> Any:
    """The solver that is idle, if it has this pattern."""
    try:
        solver, starts, columns = _idle.pop()
    except IndexError:
        return None
    same = np.array_equal(starts, upper.indptr) and np.array_equal(columns, upper.indices)
    return solver if same else None


def _keep(solver: Any, starts: np.ndarray, columns: np.ndarray) -> None:
    """Called when factors are not needed any more."""
    with suppress(RuntimeError):
        solver.run_phase(_FREE)
        _idle.append((solver, starts, columns))


def factors_of(matrix: sp.csr_array) -> Factors:
    """Factors of a sparse matrix, by PARDISO where it is installed and of use, else by SuperLU.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is exactly singular or holds values that are not finite.
    """
    library = _library() if matrix.shape[0] >= _LEAST else None
    if library is None or not _is_complex_symmetric(matrix):
        return Factorisation(matrix)
    try:
        factors = _Pardiso(library, matrix)
    except RuntimeError:
        return Factorisation(matrix)
    return factors if factors.regular else Factorisation(matrix)


def _is_complex_symmetric(matrix: sp.csr_array) -> bool:
    if not np.iscomplexobj(matrix.data) or not np.isfinite(matrix.data).all():
        return False
    first, second = np.random.default_rng(0).normal(size=(2, matrix.shape[0]))
    through = matrix @ first  # two random vectors see any difference from the transpose
    size = np.linalg.norm(through) * np.linalg.norm(second)
    return bool(abs(second @ through - first @ (matrix @ second)) <= 1e-13 * size)


@cache
def _library() -> Any:
    try:
        import pymklpardiso
    except ImportError:
        return None
    return pymklpardiso
