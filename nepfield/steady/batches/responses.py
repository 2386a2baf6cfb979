"""Linear responses of large batches, in blocks of samples that share the factors of H + a.

Those of the free states are used where they are known; else a is the mean over the batch.
"""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.pieces import iterate_in_pieces
from nepfield.steady.batches.problems import responses_problem
from nepfield.steady.batches.triangles import share, shared, triangles_at
from nepfield.steady.linearisation import Linearisation

_ROUNDING = 1e-10  # what a response may be left with where rounding ends the search


def find_responses(
    linear: Linearisation,
    right: np.ndarray,
    tolerance: np.ndarray,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``(H + a) d + b conj(d) = right`` for a batch.

    Parameters
    ----------
    linear : Linearisation
    right : ndarray, shape (ndof, nsamples)
    tolerance : ndarray, shape (nsamples,)
        Residual relative to the right-hand side, down to rounding.
    start : ndarray, shape (ndof, nsamples), optional
        Where to begin, by default 0.

    Returns
    -------
    d : ndarray, shape (ndof, nsamples)
    converged : ndarray of bool, shape (nsamples,)
    """
    count, part = right.shape[1], linear.linear_part
    solution = np.zeros_like(right) if start is None else start.astype(complex)
    converged = np.zeros(count, dtype=bool)
    scale = linear.space.residual_norm(right)
    scale[scale == 0] = 1.0
    enough, known = np.maximum(tolerance, _ROUNDING), shared(part)
    for triangles in (known, None):
        (left,) = np.nonzero(~converged)
        if not len(left):
            break
        if triangles is None:
            if known is not None and converged.any():
                break  # few are too far from all others: they need factors of their own
            mean = None if linear.direct is None else linear.direct.mean(axis=-1)
            triangles = triangles_at(part, mean)
        if triangles is None:
            break
        found = iterate_in_pieces(
            lambda some, begin: responses_problem(linear.samples(some), right[:, some], begin),
            triangles, left, solution, tolerance, scale, enough,
        )  # fmt: skip
        converged[left] = np.isfinite(found.residual[left])
        if known is None:
            share(part, triangles)
    return solution, converged
