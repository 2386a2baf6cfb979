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
    Goals,
    forget,
    new_block,
    new_memory,
)
from nepfield.steady.batches.lanes import LANES
from nepfield.steady.batches.triangles import Triangles
from nepfield.steady.batches.turns import Work

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

    def turns(self, work: Work, oldest: int, most: int) -> tuple[int, int]:
        """As `nepfield.steady.batches.turns.take_turns`."""


class Outcome(NamedTuple):
    """How the iterations ended, a number a sample.

    Attributes
    ----------
    residual : ndarray, shape (nsamples,)
        Norm of F over the scale; infinite for samples that were given up.
    iterations : ndarray of int, shape (nsamples,)
    solves : int
        Pairs of triangular solves of a block.
    """

    residual: np.ndarray
    iterations: np.ndarray
    solves: int = 0


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
    goals = Goals(
        tolerance * scale,
        (tolerance if enough is None else enough) * scale,
        np.zeros(count, dtype=int) if least is None else least,
        most,
        _PATIENCE,
        _WORSE,
    )
    with np.errstate(all="ignore"):  # a sample that is lost may overflow before it is seen
        return _iterate(problem, triangles, goals, scale)


def _iterate(problem: Problem, triangles: Triangles, goals: Goals, scale: np.ndarray) -> Outcome:
    """Solve for all samples, which enter in their order."""
    count = len(scale)
    residual, iterations = np.full(count, np.inf), np.zeros(count, dtype=int)
    memory, block = new_memory(len(problem.field)), new_block()
    work = Work(triangles.rows, memory, block, goals)
    inhabitant, age = block.inhabitant, block.age
    waiting, inside, idle = 0, 0, 0
    while True:
        if waiting < count and (not inside or idle >= _STRAGGLE):
            (empty,) = np.nonzero(inhabitant < 0)
            lanes = empty[: count - waiting]
            samples = np.arange(waiting, waiting + len(lanes))
            if waiting:
                forget(memory, lanes)
            problem.load(lanes, samples)
            inhabitant[lanes], age[lanes] = samples, 0
            waiting, inside, idle = waiting + len(lanes), inside + len(lanes), 0
        if not inside:
            return Outcome(residual, iterations, int(memory.steps[0]))
        few = inside <= LANES - _TOGETHER and waiting < count
        oldest, looks = problem.turns(work, -1, _STRAGGLE - idle if few else goals.most + 1)
        idle = idle + looks if few else 0
        (done,) = np.nonzero(block.verdict == DONE)
        if len(done):
            samples = inhabitant[done]
            problem.unload(done, samples)
            residual[samples] = block.norm[done] / scale[samples]
        (ended,) = np.nonzero(block.verdict > GOING)
        iterations[inhabitant[ended]] = age[ended]
        inhabitant[ended], inside = -1, inside - len(ended)
        if len(ended) and oldest >= 0:
            problem.turns(work, oldest, 0)
