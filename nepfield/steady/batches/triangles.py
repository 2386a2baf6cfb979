"""The factors of a matrix, applied to a block of samples at a time in single precision.

A pair of triangular solves reads every number of the factors once. For one sample that is all the
time it takes; `LANES` samples share it.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from nepfield.space.linalg import Factorisation
from nepfield.steady.batches.kernels import Rows, substitute
from nepfield.steady.linearisation import LinearPart

_NAME = "triangles"


class Triangles:
    """LU factors by rows, of 32-bit numbers.

    Parameters
    ----------
    factors : Factorisation
        Of a complex matrix.

    Attributes
    ----------
    rows : Rows
    """

    def __init__(self, factors: Factorisation) -> None:
        lower, upper, place, columns = factors.triangles()
        pivots = 1 / upper.diagonal()
        order = np.empty_like(columns)
        order[columns] = np.arange(len(columns))
        self.rows = Rows(
            *_by_rows(sp.tril(lower, -1)),
            *_by_rows(sp.triu(upper, 1)),
            np.ascontiguousarray(pivots.real, np.float32),
            np.ascontiguousarray(pivots.imag, np.float32),
            place,
            order,
        )

    def solve(self, field: np.ndarray) -> None:
        """Solve for a block, a flat array as `nepfield.steady.batches.kernels` has it, in place."""
        substitute(self.rows, field)


def _by_rows(matrix: sp.sparray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    matrix = matrix.tocsr()
    data = matrix.data
    return (
        matrix.indptr,
        matrix.indices,
        np.ascontiguousarray(data.real, np.float32),
        np.ascontiguousarray(data.imag, np.float32),
    )


def triangles_at(part: LinearPart, direct: np.ndarray | None) -> Triangles | None:
    """The factors of H + a for one field a at the points, or for a wave without a response; None
    where that is singular."""
    operator = part.operator
    if direct is not None:
        operator = operator + part.space.assemble(direct)
    try:
        return Triangles(Factorisation(operator))
    except np.linalg.LinAlgError:
        return None


def shared(part: LinearPart) -> Triangles | None:
    """The factors of H + a with which the last free states of this H were found, if there are."""
    found: Triangles | None = part.kept.get(_NAME)
    return found


def share(part: LinearPart, triangles: Triangles | None) -> None:
    """Keep factors for the nudged states and responses of the same H."""
    if triangles is not None:
        part.kept[_NAME] = triangles
