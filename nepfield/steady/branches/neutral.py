"""Directions in which the linearisation is nearly singular, by inverse iteration.

A state that can be moved without a change of the equation (a soliton on a ring) has a neutral mode
all along its branch; where a branch point is located the null vectors show where others leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import DENSE_LIMIT, Factorisation
from nepfield.steady.branches.bordered import (
    DIRECT_LIMIT,
    dense_matrix,
    from_pairs,
    real_matrix,
)
from nepfield.steady.linearisation import Linearisation

_MOST = 3
_SPARE = 3  # vectors that are iterated beside those
_ITERATIONS = 6
_NEUTRAL, _LOST = 1e-6, 1e-3  # rates, in units of the coupling or the loss
_SHIFT = 1e-13


@dataclass(frozen=True, eq=False)
class Singular:
    """Smallest singular values of J between fields and residuals, both in discrete L2 norms.

    Attributes
    ----------
    rates : ndarray, shape (m,)
        In ascending order, per unit of time.
    right : ndarray, shape (n, m)
        Fields d of norm 1 with the smallest J d.
    left : ndarray, shape (n, m)
        Residuals in weak form that J reaches least.
    """

    rates: np.ndarray
    right: np.ndarray
    left: np.ndarray

    def first(self, count: int) -> Singular:
        """The smallest of them."""
        return Singular(self.rates[:count], self.right[:, :count], self.left[:, :count])

    def __len__(self) -> int:
        return len(self.rates)


def nothing(n: int) -> Singular:
    """No direction at all."""
    return Singular(np.zeros(0), np.zeros((n, 0), dtype=complex), np.zeros((n, 0), dtype=complex))


def smallest_singular(linear: Linearisation, most: int = _MOST) -> Singular:
    """The smallest singular values of the linearisation of one sample.

    Systems of more than `nepfield.steady.branches.bordered.DIRECT_LIMIT` unknowns have none here.
    """
    n = linear.space.ndof
    if n > DIRECT_LIMIT:
        return nothing(n)
    root = np.sqrt(np.concatenate([linear.space.mass_diagonal] * 2))
    if n <= DENSE_LIMIT:
        left, rates, right = np.linalg.svd(dense_matrix(linear) / np.outer(root, root))
        order = np.argsort(rates)[:most]
        rates, left, right = rates[order], left[:, order], right[order].T
    else:
        inverse = sp.diags_array(1 / root)
        scaled = sp.csr_array(inverse @ real_matrix(linear) @ inverse)
        rates, left, right = _inverse_iteration(scaled, most)
    return Singular(rates, from_pairs(right / root[:, None]), from_pairs(left * root[:, None]))


def _inverse_iteration(
    matrix: sp.csr_array, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular values, left and right vectors, of the inverse of A^T A."""
    try:
        factors = Factorisation(matrix)
    except np.linalg.LinAlgError:
        shift = _SHIFT * float(abs(matrix).max())
        factors = Factorisation(sp.csr_array(matrix + shift * sp.eye_array(matrix.shape[0])))
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(matrix.shape[0], most + _SPARE))
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(factors.solve(factors.solve_transposed(basis)))
    left, rates, right = np.linalg.svd(matrix @ basis, full_matrices=False)
    order = np.argsort(rates)[:most]
    return rates[order], left[:, order], basis @ right[order].T


def neutral_modes(linear: Linearisation, before: Singular | None = None) -> Singular:
    """Modes that cost nothing, which a symmetry leaves free.

    Parameters
    ----------
    linear : Linearisation
        Of one sample.
    before : Singular, optional
        Those of the point before: at most as many are looked for, none without them, and they may
        have become worse.
    """
    n = linear.space.ndof
    if linear.conjugate is None or (before is not None and not len(before)):
        return nothing(n)
    found = smallest_singular(linear)
    loss = float(np.abs(linear.linear_part.field.imag).max())
    scale = max(float(np.abs(linear.conjugate).max()), loss)
    count = int(np.count_nonzero(found.rates < (_NEUTRAL if before is None else _LOST) * scale))
    return found.first(count if before is None else min(count, len(before)))
