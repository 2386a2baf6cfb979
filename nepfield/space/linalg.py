"""Sparse linear algebra that scipy.sparse leaves to the user."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy.sparse.csgraph import connected_components
from threadpoolctl import ThreadpoolController

DENSE_LIMIT = 48
"""Up to this many rows and columns dense arrays beat the sparse machinery."""

_BLOCK = 16  # right-hand sides that SuperLU solves at once; more do not fit the cache


def csr_of_rows(columns: np.ndarray, values: np.ndarray, ncolumns: int) -> sp.csr_array:
    """CSR matrix whose k-th row has ``values[k]`` in ``columns[k]``.

    Parameters
    ----------
    columns : ndarray of int, shape (nrows, nentries)
        Entries in columns >= `ncolumns` are left out.
    values : ndarray, shape (nrows, nentries)
    ncolumns : int
    """
    keep = columns < ncolumns
    pointers = np.concatenate([[0], np.cumsum(keep.sum(axis=1))])
    matrix = sp.csr_array((values[keep], columns[keep], pointers), shape=(len(columns), ncolumns))
    matrix.sum_duplicates()
    return matrix


def fastest(matrix: sp.csr_array) -> sp.csr_array | np.ndarray:
    """The matrix in the form that is applied fastest: small ones dense."""
    return matrix.toarray() if max(matrix.shape) <= DENSE_LIMIT else matrix


def real_times(matrix: sp.csr_array | np.ndarray, values: np.ndarray) -> np.ndarray:
    """Real matrix times complex vectors, without a complex copy of the matrix."""
    if not np.iscomplexobj(values):
        return matrix @ values
    flat = np.ascontiguousarray(values)
    as_real = flat.view(float).reshape(len(flat), -1)
    return (matrix @ as_real).view(complex).reshape(matrix.shape[0], *values.shape[1:])


def real_product(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """``Re sum conj(u) v`` of fields of shape (n, nsamples), shape (nsamples,)."""
    return np.vecdot(u.T, v.T).real


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager:
    """A context in which BLAS uses one thread; on small arrays more of them only cost time, and a
    thousand times as much where another process wants the same cores."""
    return _threadpools().limit(limits=1, user_api="blas")


class Factorisation:
    """LU factors of a sparse matrix with a symmetric pattern.

    Parameters
    ----------
    matrix : sparse array, shape (n, n)
        Real or complex. The options (a symmetric ordering, pivots on the diagonal where they are
        not tiny) are up to 40 times faster than SuperLU's defaults on finite-element matrices.
    pivoting : bool
        Whether rows may be exchanged. Without it the signs of the pivots of a Hermitian matrix are
        those of its eigenvalues (`negative_pivots`).

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is exactly singular or holds values that are not finite.
    """

    def __init__(self, matrix: sp.csr_array, pivoting: bool = True) -> None:
        self._dtype = matrix.dtype
        # SuperLU's BLAS calls are so small that threads only slow them down.
        with _threadpools().limit(limits=1, user_api="blas"):
            try:
                self._lu = spla.splu(
                    sp.csc_array(matrix),
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.01 if pivoting else 0.0,
                    options={"SymmetricMode": True},
                )
            except RuntimeError as error:
                raise np.linalg.LinAlgError(str(error)) from None

    def negative_pivots(self) -> int:
        """Number of negative eigenvalues of a Hermitian matrix (Sylvester).

        Raises
        ------
        numpy.linalg.LinAlgError
            If rows were exchanged after all, because a pivot was exactly 0.
        """
        if not np.array_equal(self._lu.perm_r, self._lu.perm_c):
            raise np.linalg.LinAlgError("a pivot is zero: its sign is not known")
        return int(np.count_nonzero(self._lu.U.diagonal().real < 0))

    def determinant(self) -> tuple[float, float]:
        """Sign of the determinant of a real matrix, and the logarithm of its size."""
        pivots = self._lu.U.diagonal()
        sign = _parity(self._lu.perm_r) * _parity(self._lu.perm_c)
        return sign * float(np.prod(np.sign(pivots))), float(np.sum(np.log(np.abs(pivots))))

    def triangles(self) -> tuple[sp.csc_array, sp.csc_array, np.ndarray, np.ndarray]:
        """L, of unit diagonal, and U, with the orders of rows and columns: unknown i of the matrix
        is row ``rows[i]`` of L and column ``columns[i]`` of U."""
        return self._lu.L, self._lu.U, self._lu.perm_r, self._lu.perm_c

    def solve_transposed(self, right: np.ndarray) -> np.ndarray:
        """Solve with the transpose of a real matrix, for right-hand sides of shape (n, m)."""
        with _threadpools().limit(limits=1, user_api="blas"):
            return self._lu.solve(np.asarray(right, dtype=self._dtype), trans="T")

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for one or many right-hand sides, shape (n,) or (n, nsamples)."""
        if np.iscomplexobj(right) and np.dtype(self._dtype).kind == "f":
            pairs = np.ascontiguousarray(right).view(float).reshape(len(right), -1)
            return np.ascontiguousarray(self.solve(pairs)).view(complex).reshape(right.shape)
        right = np.asarray(right, dtype=self._dtype)
        with _threadpools().limit(limits=1, user_api="blas"):
            if right.ndim == 1:
                return self._lu.solve(right)
            solution = np.empty(right.shape, self._dtype)  # in rows, as everything else
            for first in range(0, right.shape[1], _BLOCK):
                columns = slice(first, first + _BLOCK)
                solution[:, columns] = self._lu.solve(right[:, columns])
            return solution


def _parity(order: np.ndarray) -> int:
    """1 for an even permutation, -1 for an odd one."""
    moves = sp.csr_array((np.ones(len(order)), (np.arange(len(order)), order)))
    cycles, _ = connected_components(moves)
    return -1 if (len(order) - cycles) % 2 else 1


def is_positive_definite(matrix: sp.csr_array) -> bool:
    """Whether a sparse Hermitian matrix has positive eigenvalues alone."""
    try:
        return Factorisation(matrix, pivoting=False).negative_pivots() == 0
    except np.linalg.LinAlgError:
        return False


def may_be_positive(matrix: sp.csr_array) -> bool:
    """Whether a sparse real symmetric matrix may have a positive eigenvalue."""
    matrix = sp.csr_array(matrix)
    (used,) = np.nonzero(abs(matrix).sum(axis=1))
    if not len(used):
        return False
    part = matrix[used][:, used]
    lift = sp.eye_array(len(used)) * (1e-12 * float(abs(part).max()))
    return not is_positive_definite(sp.csr_array(lift - part))
