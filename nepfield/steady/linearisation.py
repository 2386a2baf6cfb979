"""A linearised wave equation as a real-linear map of complex fields.

    d -> (H + a) d + b conj(d)                                                       nep (3)

For the Gross-Pitaevskii equation a = f + n f' and b = f' Psi^2. In the notation of the papers
A = dkappa/dPsi = -i (H + a) and B = dkappa/dPsibar = -i b. A wave of c components has blocks, a and
b of shape (c, c, nq, nsamples).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import DENSE_LIMIT
from nepfield.space.pardiso import Factors, factors_of
from nepfield.space.space import Space


@dataclass(frozen=True, eq=False)
class LinearPart:
    """H = -1/2 Laplacian + U of a wave equation, in the forms in which it is used, each made once.

    Attributes
    ----------
    space : Space
    field : ndarray, shape (nq,)
        U at the quadrature points, potential and loss: V - i gamma.
    vacuum : ndarray, shape (nq,) or (c, c, nq), or None
        a at Psi = 0; None where it is 0.
    reversed_loss : bool
        Whether all of it is to be replaced by its complex conjugate, with gain in place of loss.
    """

    space: Space
    field: np.ndarray
    vacuum: np.ndarray | None = None
    reversed_loss: bool = False

    @cached_property
    def operator(self) -> sp.csr_array:
        """H in weak form, csr_array of shape (ndof, ndof), complex symmetric."""
        operator = (self.space.kinetic + self.space.assemble(self.field)).tocsr()
        return operator.conj() if self.reversed_loss else operator

    @cached_property
    def dense(self) -> np.ndarray:
        """H as a dense array, for small systems."""
        operator = self.space.dense_kinetic.astype(complex)
        self.space.add_dense(self.field, operator)
        return operator.conj() if self.reversed_loss else operator

    @cached_property
    def columns(self) -> np.ndarray:
        """Images under H of 1 and i at each degree of freedom, shape (ndof, 2, ndof)."""
        columns = np.empty((self.space.ndof, 2, self.space.ndof), dtype=complex)
        columns[:, 0] = self.dense.T
        columns[:, 1] = 1j * self.dense.T
        return columns

    @cached_property
    def fastest(self) -> sp.csr_array | np.ndarray:
        """H in the form that is applied fastest: dense for small systems."""
        return self.dense if self.space.ndof <= DENSE_LIMIT else self.operator

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What solvers keep for the next solve with the same H."""
        return {}

    @cached_property
    def vacuum_operator(self) -> sp.csr_array:
        """H + a at Psi = 0."""
        if self.vacuum is None:
            return self.operator
        vacuum = self.vacuum.conj() if self.reversed_loss else self.vacuum
        return self.operator + self.space.assemble(vacuum)

    @cached_property
    def vacuum_factorisation(self) -> Factors:
        """Factors of `vacuum_operator`; all samples share them."""
        return factors_of(self.vacuum_operator)


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The real-linear map ``d -> (H + a) d + b conj(d)`` in weak form, for a batch of samples.

    Attributes
    ----------
    linear_part : LinearPart
        H.
    direct, conjugate : ndarray, shape (nq, nsamples) or (c, c, nq, nsamples), or None
        a and b at the quadrature points; None for a linear system.
    """

    linear_part: LinearPart
    direct: np.ndarray | None
    conjugate: np.ndarray | None

    @property
    def space(self) -> Space:
        """Of the fields d."""
        return self.linear_part.space

    def apply(self, d: np.ndarray) -> np.ndarray:
        """Image of a batch of fields, shape (ndof, nsamples)."""
        image = self.linear_part.fastest @ d
        if self.direct is not None and self.conjugate is not None:
            values = self.space.evaluate(d)
            image += self.space.integrate(
                times(self.direct, values) + times(self.conjugate, values.conj())
            )
        return image

    def factorise(self, direct: np.ndarray) -> Factors:
        """Factors of H + a for one field a of shape (nq,) or (c, c, nq)."""
        return factors_of(self.linear_part.operator + self.space.assemble(direct))

    def samples(self, chosen: np.ndarray | slice) -> Linearisation:
        """The same for some of the samples."""
        if self.direct is None or self.conjugate is None:
            return self
        return replace(self, direct=self.direct[..., chosen], conjugate=self.conjugate[..., chosen])

    def transposed(self) -> Linearisation:
        """The map of the adjoint equation, ``(H + a)^T l - conj(b)^T conj(l)``.

        ``A^T l + conj(B)^T conj(l) = conj(c)`` becomes this map of l equal to ``i conj(c)``.
        """
        if self.direct is None or self.conjugate is None:
            return self
        return replace(self, direct=_turned(self.direct), conjugate=-_turned(self.conjugate.conj()))

    def with_reversed_loss(self) -> Linearisation:
        """The map with H + a replaced by its Hermitian conjugate.

        With it, `nep-linear` is the exact gradient: loss is the whole bias of NEP.
        """
        direct = None if self.direct is None else _turned(np.conj(self.direct))
        part = replace(self.linear_part, reversed_loss=not self.linear_part.reversed_loss)
        return replace(self, linear_part=part, direct=direct)

    def real_matrices(self) -> np.ndarray:
        """Dense matrices acting on fields as pairs of reals, (Re d_0, Im d_0, Re d_1, ...).

        Returns
        -------
        ndarray, shape (nsamples or 1, 2 ndof, 2 ndof)
        """
        # The images of 1 and of i at each degree of freedom are complex columns of the matrix.
        columns = self.linear_part.columns
        if self.direct is None or self.conjugate is None:
            matrices = columns[None]
        else:
            matrices = np.empty((self.direct.shape[-1], *columns.shape), dtype=complex)
            matrices[:] = columns
            images = self.direct + self.conjugate, 1j * (self.direct - self.conjugate)
            for part, image in enumerate(images):
                # the last axis holds the rows of the image
                self.space.add_dense(_samples_first(image), matrices[:, :, part])
        size = 2 * len(columns)
        return matrices.view(float).reshape(-1, size, size).swapaxes(1, 2)


def times(field: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A field at the points times values there, (nq, nsamples); of blocks the product of matrices
    with vectors of components, which stand one after the other in the values."""
    if field.ndim == 2:
        return field * values
    count, _, npoints, nsamples = field.shape
    parts = values.reshape(count, npoints, nsamples)
    return np.einsum("ijqs,jqs->iqs", field, parts).reshape(values.shape)


def _samples_first(field: np.ndarray) -> np.ndarray:
    """The transpose of blocks (a field of one component is its own), the samples first."""
    return field.T if field.ndim == 2 else field.transpose(3, 1, 0, 2)


def _turned(field: np.ndarray) -> np.ndarray:
    """The transpose of blocks; a field of one component is its own."""
    return field if field.ndim < 3 else field.swapaxes(0, 1)
