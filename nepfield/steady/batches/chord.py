"""Chord iterations with Anderson's acceleration on blocks of samples.

    x <- x - M^-1 F(x)

M is the same for all samples and all iterations, so a step costs one pair of triangular solves, in
single precision; x and F(x) are held in double precision, so that the residual is what it seems.
Anderson's acceleration (type II, real inner products, least squares for each sample alone) makes of
it what GMRES is to a fixed preconditioner. A sample leaves its lane when it has converged, and the
next one takes its place.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from nepfield.steady.batches.kernels import WINDOW, advance, clear, combine, remember
from nepfield.steady.batches.lanes import LANES
from nepfield.steady.batches.triangles import Triangles

MOST = 100
"""Iterations after which a sample is given up."""
_PATIENCE = 20  # iterations within which the residual has to fall by a tenth
_TOGETHER = 4  # samples that enter at once: what they read lies side by side
_WORSE = 1e6  # times what a sample began with: it will not come back


class Problem(Protocol):
    """Equations F(x) = 0 of a batch, of which `LANES` at a time are in a block.

    Attributes
    ----------
    field : ndarray, shape (2 n LANES,)
        x of the samples in the block.
    solution : ndarray, shape (n, nsamples)
        x of all samples, complex: where they begin, and what was found.
    """

    field: np.ndarray
    solution: np.ndarray

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch, with their starts, into lanes of the block."""

    def unload(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Take x out of these lanes, as that of samples of the batch."""

    def evaluate(self, place: np.ndarray, force: np.ndarray) -> np.ndarray:
        """F(x), of which each unknown goes to its place in `force`; the norms of F, (LANES,)."""


class Outcome(NamedTuple):
    """How the iterations ended, a number a sample.

    Attributes
    ----------
    residual : ndarray, shape (nsamples,)
        Norm of F over the scale; infinite for samples that were given up.
    iterations : ndarray of int, shape (nsamples,)
    """

    residual: np.ndarray
    iterations: np.ndarray


def iterate(
    problem: Problem,
    triangles: Triangles,
    tolerance: np.ndarray,
    scale: np.ndarray,
    enough: np.ndarray | None = None,
    least: np.ndarray | None = None,
    most: int = MOST,
) -> Outcome:
    """Solve the problem for all its samples.

    Parameters
    ----------
    problem : Problem
    triangles : Triangles
        M.
    tolerance, scale : ndarray, shape (nsamples,)
        A sample is done when the norm of its F is at most ``tolerance * scale``.
    enough : ndarray, shape (nsamples,), optional
        As `tolerance`, for samples that come no further.
    least : ndarray of int, shape (nsamples,), optional
        Steps that a sample takes in any case.
    most : int
    """
    count = len(tolerance)
    residual, iterations = np.full(count, np.inf), np.zeros(count, dtype=int)
    goal = tolerance * scale
    will_do = goal if enough is None else enough * scale
    least = np.zeros(count, dtype=int) if least is None else least
    size = len(problem.field)
    force, before, step = (np.zeros(size, np.float32) for _ in range(3))
    changes, images = (np.zeros((WINDOW, size), np.float32) for _ in range(2))
    gram, products = np.zeros((WINDOW, WINDOW * LANES)), np.zeros(WINDOW * LANES)
    weights = np.zeros(WINDOW * LANES)
    inhabitant = np.full(LANES, -1)  # the sample in each lane; -1 for none
    age, first, best = np.zeros(LANES, dtype=int), np.ones(LANES), np.ones(LANES)
    improved = np.zeros(LANES, dtype=int)  # the age at which the residual last fell by a tenth
    waiting, slot = 0, 0
    while True:
        (empty,) = np.nonzero(inhabitant < 0)
        if waiting < count and len(empty) >= min(_TOGETHER, LANES):
            chosen = empty[: count - waiting]
            samples = np.arange(waiting, waiting + len(chosen))
            problem.load(chosen, samples)
            inhabitant[chosen], age[chosen], improved[chosen] = samples, 0, 0
            waiting += len(chosen)
        (lanes,) = np.nonzero(inhabitant >= 0)
        if not len(lanes):
            return Outcome(residual, iterations)
        norm = problem.evaluate(triangles.place, force)
        fresh = age == 0
        first[fresh], best[fresh] = norm[fresh], norm[fresh]
        fell = norm < 0.9 * best
        best[fell], improved[fell] = norm[fell], age[fell]
        samples = inhabitant[lanes]
        done = (norm[lanes] <= goal[samples]) & (age[lanes] >= least[samples])
        lost = ~done & ~(
            (norm[lanes] <= _WORSE * first[lanes])
            & (age[lanes] < most)
            & (age[lanes] - improved[lanes] < _PATIENCE)
        )
        done |= lost & (norm[lanes] <= will_do[samples]) & (age[lanes] >= least[samples])
        lost &= ~done
        if done.any():
            problem.unload(lanes[done], samples[done])
            residual[samples[done]] = norm[lanes[done]] / scale[samples[done]]
        ended = done | lost
        iterations[samples[ended]] = age[lanes[ended]]
        inhabitant[lanes[ended]] = -1
        if lost.any():  # what is not finite would stay where nothing is multiplied by 0 alone
            for rows in (problem.field, force, before, step, *changes, *images):
                clear(rows, lanes[lost])
        if ended.all():
            continue
        triangles.solve(force)
        filled = min(int(age[lanes[~ended]].max()) + 1, WINDOW)
        remember(force, before, step, slot, filled, changes, images, gram, products)
        combine(gram, products, slot, age, weights)
        advance(force, images, weights, slot, filled, triangles.order, step, problem.field)
        slot = (slot + 1) % WINDOW
        age += 1
