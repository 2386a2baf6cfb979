"""Linear responses of large batches, in blocks of samples that share the factors of H + a."""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.chord import iterate
from nepfield.steady.batches.problems import responses_problem
from nepfield.steady.batches.triangles import Triangles
from nepfield.steady.linearisation import Linearisation

_ROUNDING = 1e-10  # what a response may be left with where rounding ends the search


def find_responses(
    linear: Linearisation,
    right: np.ndarray,
    tolerance: np.ndarray,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``(H + a) d + b conj(d) = right`` for a batch; a of the factors is the mean over it.

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
    count = right.shape[1]
    solution = np.zeros_like(right) if start is None else start.astype(complex)
    try:
        if linear.direct is None:
            factors = linear.linear_part.vacuum_factorisation
        else:
            factors = linear.factorise(linear.direct.mean(axis=-1))
    except np.linalg.LinAlgError:
        return solution, np.zeros(count, dtype=bool)
    scale = linear.space.residual_norm(right)
    scale[scale == 0] = 1.0
    problem = responses_problem(linear, right, solution)
    with np.errstate(all="ignore"):  # a sample that is lost may overflow before it is seen
        found = iterate(
            problem, Triangles(factors), tolerance, scale, np.maximum(tolerance, _ROUNDING)
        )
    return solution, np.isfinite(found.residual)
