"""Subspaces of low modes, in which the fluctuations of a large system are looked for first.

A growing mode turns slowly (`nepfield.steady.stability.pointwise`), so it consists mostly of modes
of A0 = Re(H + a) of low energy. They are found among all functions of the space (fine) or among
splines that are much fewer than the unknowns (coarse).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.space.linalg import Factorisation, real_times
from nepfield.steady.stability.fluctuations import Fluctuations

MOST_MODES = 700
"""A window that holds more is not searched."""
_DENSE = 1000  # unknowns up to which all modes are computed
_INDEPENDENT = 1e-10  # least pivot of the scaled mass matrix of functions that count


@dataclass(frozen=True, eq=False)
class Trial:
    """A basis of low modes of A0, real and orthonormal: ``lifting @ coefficients``.

    Attributes
    ----------
    lifting : csr_array, shape (ndof, nfunctions), or None
        The functions; None where they are those of the space.
    coefficients : ndarray, shape (nfunctions, nmodes)
    energies : ndarray, shape (nmodes,)
        Rising.
    direct, conjugate : ndarray, shape (nmodes, nmodes)
        K and B in this basis.
    """

    lifting: sp.csr_array | None
    coefficients: np.ndarray
    energies: np.ndarray
    direct: np.ndarray
    conjugate: np.ndarray

    @cached_property
    def _lifting_transposed(self) -> sp.csr_array:
        assert self.lifting is not None
        return self.lifting.T.tocsr()

    def lift(self, inside: np.ndarray) -> np.ndarray:
        """Fields of the space from their coefficients, (nmodes, k) to (ndof, k)."""
        fields = self.coefficients @ inside
        return fields if self.lifting is None else real_times(self.lifting, fields)

    def restrict(self, fields: np.ndarray) -> np.ndarray:
        """Weak fields tested with each mode, (ndof, k) to (nmodes, k)."""
        tested = fields if self.lifting is None else real_times(self._lifting_transposed, fields)
        return self.coefficients.T @ tested


def fine_trial(fluctuations: Fluctuations, energy: float, lowest: float) -> Trial | None:
    """Modes of the space below an energy; None where they are too many.

    Parameters
    ----------
    fluctuations : Fluctuations
    energy : float
    lowest : float
        No mode is below it.
    """
    hermitian = sp.csr_array(fluctuations.hermitian.real)
    mass, n = fluctuations.mass, fluctuations.space.ndof
    if n <= _DENSE:
        energies, vectors = scipy.linalg.eigh(hermitian.toarray(), mass.toarray())
        count = max(int(np.searchsorted(energies, energy)), min(n, 8))
        energies, vectors = energies[:count], vectors[:, :count]
    else:
        try:
            count = Factorisation(hermitian - energy * mass, pivoting=False).negative_pivots()
            count = max(count, 8)
            if count > MOST_MODES:
                return None
            middle = (energy + min(lowest, energy)) / 2
            inverse = Factorisation(hermitian - middle * mass)
        except np.linalg.LinAlgError:
            return None
        start = np.random.default_rng(0).normal(size=n)
        energies, vectors = spla.eigsh(
            hermitian, count, mass, sigma=middle, v0=start,
            OPinv=spla.LinearOperator((n, n), matvec=inverse.solve, dtype=float),
        )  # fmt: skip
        order = np.argsort(energies)
        energies, vectors = energies[order], vectors[:, order]
    if len(energies) > MOST_MODES:
        return None
    return Trial(
        None, vectors, energies,
        vectors.T @ (fluctuations.direct @ vectors),
        vectors.T @ (fluctuations.conjugate @ vectors),
    )  # fmt: skip


def coarse_trial(fluctuations: Fluctuations, energy: float, lifting: sp.csr_array) -> Trial | None:
    """Modes below an energy among functions that are fewer than the unknowns.

    Parameters
    ----------
    fluctuations : Fluctuations
    energy : float
    lifting : csr_array, shape (ndof, nfunctions)
        The functions.
    """
    scale = 1 / np.sqrt((lifting.multiply(fluctuations.mass @ lifting)).sum(axis=0))
    lifting = sp.csr_array(lifting @ sp.diags_array(np.asarray(scale).ravel()))
    turned = lifting.T.tocsr()
    direct = (turned @ (fluctuations.direct @ lifting)).toarray()
    conjugate = (turned @ (fluctuations.conjugate @ lifting)).toarray()
    mass = (turned @ (fluctuations.mass @ lifting)).toarray()
    _, order, rank, _ = scipy.linalg.lapack.dpstrf(mass, tol=_INDEPENDENT)
    kept = np.sort(order[:rank] - 1)
    square = np.ix_(kept, kept)
    lower = scipy.linalg.cholesky(mass[square], lower=True)
    hermitian = direct[square].real
    half = scipy.linalg.solve_triangular(lower, (hermitian + hermitian.T) / 2, lower=True)
    reduced = scipy.linalg.solve_triangular(lower, half.T, lower=True)
    energies, vectors = scipy.linalg.eigh(
        (reduced + reduced.T) / 2, subset_by_value=(-np.inf, energy), driver="evr"
    )
    if not 0 < len(energies) <= MOST_MODES:
        return None
    modes = scipy.linalg.solve_triangular(lower, vectors, lower=True, trans="T")
    return Trial(
        sp.csr_array(lifting[:, kept]), modes, energies,
        modes.T @ direct[square] @ modes, modes.T @ conjugate[square] @ modes,
    )  # fmt: skip
