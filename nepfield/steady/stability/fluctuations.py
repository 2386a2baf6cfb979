"""The linear equation of small fluctuations around one steady state.

    M d(delta)/dt = -i (K delta + B conj(delta)),    K = H + a,  B = b in weak form

It is linear over the reals only. Its modes are delta = u exp(lambda t) + conj(v exp(lambda t)),

    lambda M u = -i (K u + B v),    lambda M v = i (conj(K) v + conj(B) u)

and with lambda also conj(lambda) is an eigenvalue, of conj(v) and conj(u). In a basis of real
functions, the same one for u and v, all of this stays so (Bogoliubov and de Gennes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve

from nepfield.space.space import Space
from nepfield.steady.linearisation import Linearisation


@dataclass(frozen=True, eq=False)
class Fluctuations:
    """K and B around one state.

    Attributes
    ----------
    space : Space
    direct, conjugate : csr_array, shape (ndof, ndof)
        K and B.
    """

    space: Space
    direct: sp.csr_array
    conjugate: sp.csr_array

    @classmethod
    def of_sample(cls, linear: Linearisation, sample: int) -> Fluctuations:
        """Around one sample of a batch."""
        space, operator = linear.space, linear.linear_part.operator
        if linear.direct is None or linear.conjugate is None:
            return cls(space, operator, sp.csr_array(operator.shape, dtype=complex))
        direct = operator + space.assemble(linear.direct[..., sample])
        return cls(space, direct.tocsr(), space.assemble(linear.conjugate[..., sample]))

    @cached_property
    def mass(self) -> sp.csr_array:
        """M, real."""
        return self.space.mass

    @cached_property
    def hermitian(self) -> sp.csr_array:
        """The Hermitian part of K, real where K is complex symmetric."""
        if self.space.single is None:
            return sp.csr_array(self.direct.real)
        return sp.csr_array((self.direct + self.direct.conj().T) / 2)

    def rates(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """M du/dt and M dv/dt of fields of shape (ndof, n)."""
        first = self.direct @ u + self.conjugate @ v
        second = self.direct @ v.conj() + self.conjugate @ u.conj()
        return -1j * first, 1j * second.conj()

    def dense(self) -> np.ndarray:
        """The real matrix that takes (Re delta, Im delta) to its rate, (2 ndof, 2 ndof)."""
        matrix = real_form(self.direct.toarray(), self.conjugate.toarray())
        n = len(matrix) // 2
        factor = cho_factor(self.mass.toarray())
        return np.vstack([cho_solve(factor, matrix[:n]), cho_solve(factor, matrix[n:])])


def real_form(direct: np.ndarray, conjugate: np.ndarray) -> np.ndarray:
    """``-i (K delta + B conj(delta))`` as a matrix that acts on (Re delta, Im delta).

    Parameters
    ----------
    direct, conjugate : ndarray, shape (n, n)
        K and B in a real basis.

    Returns
    -------
    ndarray, shape (2 n, 2 n)
    """
    plus, minus = direct + conjugate, direct - conjugate
    return np.block([[plus.imag, minus.real], [-plus.real, minus.imag]])


def to_pair(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v of eigenvectors of the real form, (2 n, m) to (n, m) each."""
    first, second = np.split(vectors, 2)
    return (first + 1j * second) / 2, (first - 1j * second) / 2


def from_pair(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The halves of eigenvectors of the real form, (n, m) each, from u and v."""
    return u + v, (u - v) / 1j
