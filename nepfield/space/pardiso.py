"""Factors of large complex symmetric matrices by MKL PARDISO, where it is installed.

``pip install 'nepfield[mkl]'`` brings `py-mkl-pardiso`. It factors L D L^T of a complex symmetric
matrix, for half the memory and several times faster than SuperLU's L U on large meshes. Everything
else, and small matrices, stays with SuperLU.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import Factorisation

_LEAST = 4096  # unknowns from which on it is worth it
_PERTURBED = 13  # of iparm: pivots that were too small


class Factors(Protocol):
    """Factors of a matrix."""

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for one or many right-hand sides, shape (n,) or (n, nsamples)."""


class _Pardiso:
    """L D L^T factors of a complex symmetric matrix."""

    def __init__(self, library: Any, matrix: sp.csr_array) -> None:
        upper = sp.csr_array(sp.triu(matrix))
        upper.sort_indices()
        self._solver = library.PardisoSolver(upper, library.MTYPE_COMPLEX_SYM)

    @property
    def regular(self) -> bool:
        """Whether no pivot had to be made larger."""
        return self._solver.get_iparm_value(_PERTURBED) == 0

    def solve(self, right: np.ndarray) -> np.ndarray:
        """As `Factorisation.solve`."""
        columns = np.asfortranarray(right, dtype=complex)
        return np.ascontiguousarray(self._solver.solve(columns))


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
    difference = abs(matrix - matrix.T)
    return bool(difference.max() <= 1e-14 * abs(matrix).max())


@cache
def _library() -> Any:
    try:
        import pymklpardiso
    except ImportError:
        return None
    return pymklpardiso
