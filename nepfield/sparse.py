"""Sparse linear algebra that scipy.sparse leaves to the user."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from threadpoolctl import ThreadpoolController


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


def real_times(matrix: sp.csr_array, values: np.ndarray) -> np.ndarray:
    """Real sparse matrix times complex vectors, without a complex copy of the matrix."""
    if not np.iscomplexobj(values):
        return matrix @ values
    flat = np.ascontiguousarray(values)
    as_real = flat.view(float).reshape(len(flat), -1)
    return (matrix @ as_real).view(complex).reshape(matrix.shape[0], *values.shape[1:])


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


class Factorisation:
    """LU factors of a sparse matrix with a symmetric pattern.

    Parameters
    ----------
    matrix : sparse array, shape (n, n)
        Real or complex. The options (a symmetric ordering, pivots on the diagonal where they are
        not tiny) are up to 40 times faster than SuperLU's defaults on finite-element matrices.
    """

    def __init__(self, matrix: sp.csr_array) -> None:
        self._dtype = matrix.dtype
        # SuperLU's BLAS calls are so small that threads only slow them down.
        with _threadpools().limit(limits=1, user_api="blas"):
            self._lu = spla.splu(
                sp.csc_array(matrix),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.01,
                options={"SymmetricMode": True},
            )

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for one or many right-hand sides, shape (n,) or (n, nsamples)."""
        with _threadpools().limit(limits=1, user_api="blas"):
            return self._lu.solve(np.asarray(right, dtype=self._dtype))
