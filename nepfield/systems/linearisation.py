"""The linearised wave equation as a real-linear map of complex fields.

    d -> (H + a) d + b conj(d),    a = f + n f',    b = f' Psi^2                        nep (3)

In the notation of the papers A = dkappa/dPsi = -i (H + a) and B = dkappa/dPsibar = -i b.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import Factorisation

if TYPE_CHECKING:
    from nepfield.systems.gpe import GPE


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The real-linear map ``d -> (H + a) d + b conj(d)`` in weak form, for a batch of samples.

    Attributes
    ----------
    system : GPE
        Whose ``H`` it uses.
    direct, conjugate : ndarray, shape (nq, nsamples), or None
        a and b at the quadrature points; None for a linear system.
    reversed_loss : bool
        Whether H and a are replaced by their complex conjugates (gamma -> -gamma, Im V -> -Im V).
    """

    system: GPE
    direct: np.ndarray | None
    conjugate: np.ndarray | None
    reversed_loss: bool = False

    @cached_property
    def operator(self) -> sp.csr_array:
        """H, csr_array of shape (ndof, ndof)."""
        operator = self.system.operator
        return operator.conj() if self.reversed_loss else operator

    def apply(self, d: np.ndarray) -> np.ndarray:
        """Image of a batch of fields, shape (ndof, nsamples)."""
        image = self.operator @ d
        if self.direct is not None:
            values = self.system.space.evaluate(d)
            image += self.system.space.integrate(
                self.direct * values + self.conjugate * values.conj()
            )
        return image

    def vacuum_factorisation(self) -> Factorisation:
        """Factors of H + a at the vacuum, which all samples share."""
        if self.reversed_loss:
            return Factorisation(self.system.vacuum_operator.conj())
        return self.system.vacuum_factorisation

    def factorise(self, direct: np.ndarray) -> Factorisation:
        """Factors of H + a for one field a of shape (nq,)."""
        return Factorisation(self.operator + self.system.space.assemble(direct))

    def samples(self, chosen: np.ndarray) -> Linearisation:
        """The same for some of the samples."""
        if self.direct is None or self.conjugate is None:
            return self
        return replace(self, direct=self.direct[:, chosen], conjugate=self.conjugate[:, chosen])

    def transposed(self) -> Linearisation:
        """The map of the adjoint equation, ``(H + a) l - conj(b) conj(l)``.

        ``A^T l + conj(B)^T conj(l) = conj(c)`` becomes this map of l equal to ``i conj(c)``.
        """
        if self.conjugate is None:
            return self
        return replace(self, conjugate=-self.conjugate.conj())

    def with_reversed_loss(self) -> Linearisation:
        """The map with H + a replaced by its complex conjugate.

        With it, `nep-linear` is the exact gradient: loss is the whole bias of NEP.
        """
        direct = None if self.direct is None else np.conj(self.direct)
        return replace(self, direct=direct, reversed_loss=not self.reversed_loss)

    def real_matrices(self) -> np.ndarray:
        """Dense matrices acting on fields as pairs of reals, (Re d_0, Im d_0, Re d_1, ...).

        Returns
        -------
        ndarray, shape (nsamples or 1, 2 ndof, 2 ndof)
        """
        # The images of 1 and of i at each degree of freedom are complex columns of the matrix.
        columns = self.system.dense_columns
        if self.reversed_loss:
            columns = columns_of_real_map(self.system.dense_operator.conj())
        if self.direct is None or self.conjugate is None:
            matrices = columns[None]
        else:
            matrices = np.empty((self.direct.shape[1], *columns.shape), dtype=complex)
            matrices[:] = columns
            images = self.direct + self.conjugate, 1j * (self.direct - self.conjugate)
            for part, image in enumerate(images):  # symmetric, so rows and columns are alike
                self.system.space.add_dense(image.T, matrices[:, :, part])
        size = 2 * len(columns)
        return matrices.view(float).reshape(-1, size, size).swapaxes(1, 2)


def columns_of_real_map(matrix: np.ndarray) -> np.ndarray:
    """Images of 1 and i at each place under a complex matrix of shape (n, n), shape (n, 2, n)."""
    columns = np.empty((len(matrix), 2, len(matrix)), dtype=complex)
    columns[:, 0] = matrix.T
    columns[:, 1] = 1j * matrix.T
    return columns
