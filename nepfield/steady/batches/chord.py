"""Chord iterations with Anderson's acceleration on blocks of samples.

    x <- x - M^-1 F(x)

M is the same for all samples and all iterations, so a step costs one pair of triangular solves, in
single precision; x and F(x) are held in double precision, so that the residual is what it seems.
Anderson's acceleration (type II, real inner products, least squares for each sample alone) makes of
it what GMRES is to a fixed preconditioner. A sample leaves its lane when it has converged; new ones
take the lanes when all have left, or when few hold up the others for long.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from nepfield.steady.batches.acceleration import (
    DONE,
    GOING,
    LOST,
    WINDOW,
    accelerate,
    judge,
)
from nepfield.steady.batches.kernels import clear
from nepfield.steady.batches.lanes import LANES, rows
from nepfield.steady.batches.triangles import Triangles

MOST = 100
"""Iterations after which a sample is given up."""
_PATIENCE = 20  # iterations within which the residual has to fall by a tenth
_TOGETHER = 8  # samples that enter at once, or more: what they read lies side by side
_STRAGGLE = 16  # steps that half a block waits for the other half: most samples take as many steps
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
    outcome = Outcome(np.full(count, np.inf), np.zeros(count, dtype=int))
    goals = _Goals(
        tolerance * scale,
        (tolerance if enough is None else enough) * scale,
        np.zeros(count, dtype=int) if least is None else least,
        most,
    )
    with np.errstate(all="ignore"):  # a sample that is lost may overflow before it is seen
        _iterate(problem, triangles, goals, scale, outcome)
    return outcome


class _Goals(NamedTuple):
    """When a sample is done; arrays (nsamples,)."""

    goal: np.ndarray
    enough: np.ndarray
    least: np.ndarray
    most: int


def _iterate(
    problem: Problem,
    triangles: Triangles,
    goals: _Goals,
    scale: np.ndarray,
    outcome: Outcome,
) -> None:
    """Solve for all samples, which enter in their order."""
    count, size = len(scale), len(problem.field)
    force, before, step = (rows(size, dtype=np.float32) for _ in range(3))
    changes, images = (rows(WINDOW, size, dtype=np.uint16) for _ in range(2))
    gram = rows(WINDOW, WINDOW * LANES)
    products, weights = rows(WINDOW * LANES), rows(WINDOW * LANES)
    inhabitant = np.full(LANES, -1)  # the sample in each lane; -1 for none
    verdict, age = np.zeros(LANES, dtype=int), np.zeros(LANES, dtype=int)
    first, best = np.ones(LANES), np.ones(LANES)
    improved = np.zeros(LANES, dtype=int)  # the age at which the residual last fell by a tenth
    wild = np.zeros(LANES, dtype=bool)  # a sample was lost there
    waiting, slot, inside, idle = 0, 0, 0, 0
    while True:
        idle = idle + 1 if inside <= LANES - _TOGETHER else 0
        if waiting < count and (not inside or idle > _STRAGGLE):
            (empty,) = np.nonzero(inhabitant < 0)
            lanes = empty[: count - waiting]
            samples = np.arange(waiting, waiting + len(lanes))
            left_wild = lanes[wild[lanes]]
            for kept in (before, step, *changes, *images) if len(left_wild) else ():
                clear(kept, left_wild)  # not even 0 times infinity may reach the next one
            problem.load(lanes, samples)
            inhabitant[lanes], age[lanes], wild[lanes] = samples, 0, False
            waiting, inside, idle = waiting + len(lanes), inside + len(lanes), 0
        if not inside:
            return
        norm = problem.evaluate(triangles.place, force)
        oldest = judge(
            norm, inhabitant, *goals, _PATIENCE, _WORSE, age, first, best, improved, verdict
        )
        if (verdict > GOING).any():
            (done,), (lost,) = np.nonzero(verdict == DONE), np.nonzero(verdict == LOST)
            samples = inhabitant[done]
            if len(done):
                problem.unload(done, samples)
                outcome.residual[samples] = norm[done] / scale[samples]
            wild[lost] = True
            (ended,) = np.nonzero(verdict > GOING)
            outcome.iterations[inhabitant[ended]] = age[ended]
            inhabitant[ended], inside = -1, inside - len(ended)
        if oldest < 0:
            continue
        filled = min(oldest + 1, WINDOW)
        triangles.solve(force)
        accelerate(
            force, triangles.order, slot, filled, age,
            before, step, changes, images, gram, products, weights, problem.field,
        )  # fmt: skip
        slot = (slot + 1) % WINDOW
        age += 1
