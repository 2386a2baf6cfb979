"""Linear solves with the linearisation and a border.

    [ J    c ] [d]   [f]        J d = (H + a) d + b conj(d)
    [ r.   s ] [q] = [g]        r.d = Re sum conj(r) d,  q and g real

The border keeps the system regular where J is singular: at folds, where the tangent is the border
(Keller 1977), and along modes that a symmetry leaves free. Up to `DIRECT_LIMIT` unknowns the real
matrix of twice the size is factorised; larger systems are solved by GMRES with complex factors of
``H + a``, which serve many points, and block elimination as preconditioner.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lu_factor, lu_solve

from nepfield.space.linalg import DENSE_LIMIT, Factorisation
from nepfield.steady.linear import Krylov, SharedPreconditioner, gmres
from nepfield.steady.linearisation import Linearisation
from nepfield.steady.stability.fluctuations import Fluctuations

DIRECT_LIMIT = 6000
"""Unknowns up to which the real matrix is factorised."""
_ACCURACY = 1e-10  # of GMRES


class Bordered(Protocol):
    """A bordered system that is ready to be solved."""

    @property
    def sign(self) -> float:
        """Sign of the determinant; nan where it is not known."""

    @property
    def logarithm(self) -> float:
        """Logarithm of the size of the determinant; nan where it is not known."""

    def solve(self, right: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """d of shape (n,) and q of shape (k,) for right-hand sides of those shapes."""


def bordered(
    linear: Linearisation,
    columns: np.ndarray,
    rows: np.ndarray,
    corner: np.ndarray,
    preconditioner: SharedPreconditioner,
) -> Bordered:
    """Prepare a bordered system of one sample.

    Parameters
    ----------
    linear : Linearisation
        J.
    columns, rows : ndarray, shape (n, k)
        c and r, complex.
    corner : ndarray, shape (k, k)
        s, real.
    preconditioner : SharedPreconditioner
        Factors that points of a branch share where the system is large.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is exactly singular.
    """
    if linear.space.ndof <= DIRECT_LIMIT:
        return _Direct(linear, columns, rows, corner)
    return _Iterative(linear, columns, rows, corner, preconditioner)


def to_pairs(values: np.ndarray) -> np.ndarray:
    """Complex (n, ...) as real (2 n, ...): real parts, then imaginary ones."""
    return np.concatenate([values.real, values.imag])


def from_pairs(values: np.ndarray) -> np.ndarray:
    """The other way round."""
    real, imaginary = np.split(values, 2)
    return real + 1j * imaginary


def real_matrix(linear: Linearisation) -> sp.csr_array:
    """J as a matrix that acts on (Re d, Im d), of one sample."""
    parts = Fluctuations.of_sample(linear, 0)
    plus, minus = parts.direct + parts.conjugate, parts.direct - parts.conjugate
    matrix = sp.block_array([[plus.real, -minus.imag], [plus.imag, minus.real]])
    return sp.csr_array(matrix)


def dense_matrix(linear: Linearisation) -> np.ndarray:
    """The same as a dense array, of a small system."""
    order = np.arange(2 * linear.space.ndof).reshape(-1, 2).T.ravel()
    return linear.real_matrices()[0][np.ix_(order, order)]


class _Direct:
    """LU factors of the whole real matrix."""

    def __init__(
        self, linear: Linearisation, columns: np.ndarray, rows: np.ndarray, corner: np.ndarray
    ) -> None:
        self._n = 2 * linear.space.ndof
        if linear.space.ndof <= DENSE_LIMIT:
            whole = np.block(
                [[dense_matrix(linear), to_pairs(columns)], [to_pairs(rows).T, corner]]
            )
            self._dense = lu_factor(whole, check_finite=False)
            factors, exchanged = self._dense
            diagonal = factors.diagonal()
            parity = np.count_nonzero(exchanged != np.arange(len(exchanged)))
            self.sign = float(np.prod(np.sign(diagonal)) * (-1) ** parity)
            with np.errstate(divide="ignore"):
                self.logarithm = float(np.sum(np.log(np.abs(diagonal))))
            if self.sign == 0 or not np.isfinite(self.logarithm):
                raise np.linalg.LinAlgError("the bordered matrix is singular")
            return
        blocks = [
            [real_matrix(linear), sp.csr_array(to_pairs(columns))],
            [sp.csr_array(to_pairs(rows).T), sp.csr_array(corner)],
        ]
        self._matrix = sp.csr_array(sp.block_array(blocks))
        self._factors = Factorisation(self._matrix)
        self.sign, self.logarithm = self._factors.determinant()

    def solve(self, right: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        whole = np.concatenate([to_pairs(right), corner])
        if hasattr(self, "_dense"):
            found = lu_solve(self._dense, whole, check_finite=False)
        else:
            found = self._factors.solve(whole)
            found += self._factors.solve(whole - self._matrix @ found)
        return from_pairs(found[: self._n]), found[self._n :]


class _Iterative:
    """GMRES on (d, q), preconditioned by ``H + a`` and block elimination."""

    sign = logarithm = float("nan")

    def __init__(
        self,
        linear: Linearisation,
        columns: np.ndarray,
        rows: np.ndarray,
        corner: np.ndarray,
        preconditioner: SharedPreconditioner,
    ) -> None:
        self._linear, self._columns, self._rows, self._corner = linear, columns, rows, corner
        self._preconditioner = preconditioner
        self._direct: _Direct | None = None

    def solve(self, right: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._direct is not None:
            return self._direct.solve(right, corner)
        whole = np.concatenate([right, corner])[:, None]
        for _ in range(2):
            found = self._gmres(whole)
            self._preconditioner.report(found.iterations)
            if found.converged[0]:
                n = len(right)
                return found.solution[:n, 0], found.solution[n:, 0].real
        self._direct = _Direct(self._linear, self._columns, self._rows, self._corner)
        return self._direct.solve(right, corner)

    def _gmres(self, whole: np.ndarray) -> Krylov:
        n = len(self._columns)
        factors = self._preconditioner.factors(self._linear)
        lifted = factors.solve(self._columns.astype(complex))
        small = self._corner - (self._rows.conj().T @ lifted).real

        def apply(values: np.ndarray) -> np.ndarray:
            d, q = values[:n], values[n:].real
            top = self._linear.apply(d) + self._columns @ q
            return np.concatenate([top, (self._rows.conj().T @ d).real + self._corner @ q])

        def precondition(values: np.ndarray) -> np.ndarray:
            d = factors.solve(values[:n])
            q = np.linalg.solve(small, values[n:].real - (self._rows.conj().T @ d).real)
            return np.concatenate([d - lifted @ q, q])

        return gmres(apply, precondition, whole, np.array([_ACCURACY]))
