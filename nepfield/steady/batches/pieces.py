"""A batch in pieces, each on a thread: the compiled code releases Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from nepfield.steady.batches.chord import Outcome, iterate
from nepfield.steady.batches.lanes import LANES
from nepfield.steady.batches.problems import Problem
from nepfield.steady.batches.triangles import Triangles

Samples = np.ndarray | slice

_LEAST = 2 * LANES  # samples that are worth a thread
_MOST = 1024  # samples that are copied at once


def iterate_in_pieces(
    problem_of: Callable[[Samples, np.ndarray], Problem],
    triangles: Triangles,
    samples: np.ndarray,
    solution: np.ndarray,
    tolerance: np.ndarray,
    scale: np.ndarray,
    enough: np.ndarray | None = None,
    least: np.ndarray | None = None,
) -> Outcome:
    """Solve for some samples of a batch.

    Parameters
    ----------
    problem_of : callable
        ``problem_of(piece, start)``: the problem of samples that start there, (ndof, size of
        piece), which it may overwrite.
    triangles : Triangles
    samples : ndarray of int
        In rising order.
    solution : ndarray, shape (ndof, nsamples)
        Where to begin; what is found takes its place.
    tolerance, scale, enough, least
        As of `iterate`, (nsamples,).

    Returns
    -------
    Outcome
        Of the whole batch; the residual of samples that were not asked for is infinite.
    """
    nsamples = len(scale)
    residual, iterations = np.full(nsamples, np.inf), np.zeros(nsamples, dtype=int)

    def run(piece: Samples) -> int:
        problem = problem_of(piece, solution[:, piece].copy("F"))
        found = iterate(
            problem,
            triangles,
            tolerance[piece],
            scale[piece],
            None if enough is None else enough[piece],
            None if least is None else least[piece],
        )
        solution[:, piece] = problem.solution
        residual[piece], iterations[piece] = found.residual, found.iterations
        return found.solves

    if not len(samples):
        return Outcome(residual, iterations)
    workers = min(threads(), max(len(samples) // _LEAST, 1))
    firsts = np.arange(0, len(samples), LANES)
    shares = np.array_split(firsts, max(workers, -(-len(samples) // _MOST)))
    ends = [*(share[0] for share in shares), len(samples)]
    pieces = [_side_by_side(samples[first:end]) for first, end in pairwise(ends)]
    if workers == 1:
        solves = sum(map(run, pieces))
    else:
        with ThreadPoolExecutor(workers) as pool:
            solves = sum(pool.map(run, pieces))
    return Outcome(residual, iterations, solves)


def _side_by_side(samples: np.ndarray) -> Samples:
    """The same as a slice where they lie side by side, which are copied much faster."""
    first, end = samples[0], samples[-1] + 1
    return slice(first, end) if end - first == len(samples) else samples


def threads() -> int:
    """Threads that share a batch: one a processor, or as OMP_NUM_THREADS bounds them, which Dask
    sets to 1 in its workers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bound = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores or 1, int(bound) if bound.isdecimal() and int(bound) else cores or 1)
