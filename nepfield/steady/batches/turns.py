"""Steps of a block one after another, compiled.

Python is needed only where a sample ends or begins: between two steps no thread waits for its lock.
"""

from __future__ import annotations

from typing import NamedTuple

from nepfield.steady.batches.acceleration import (
    WINDOW,
    Array,
    Block,
    Goals,
    Memory,
    advance,
    combine,
    judge,
    remember,
)
from nepfield.steady.batches.kernels import Equations, Rows, evaluate, substitute
from nepfield.steady.batches.lanes import LANES, compiled


class Work(NamedTuple):
    """What steps of a block need beside the equations: factors, memory, samples and goals."""

    rows: Rows
    memory: Memory
    block: Block
    goals: Goals


@compiled
def move(work: Work, oldest: int, field: Array) -> None:
    """Take the residual F in memory for a correction r = M^-1 F, remember it, and go on by the best
    step; the oldest sample has this age."""
    rows, memory, age = work.rows, work.memory, work.block.age
    force, step, images = memory.force, memory.step, memory.images
    gram, products, weights = memory.gram, memory.products, memory.weights
    slot, filled = memory.slot[0], min(oldest + 1, WINDOW)
    substitute(rows, force)
    remember(
        force, memory.before, step, slot, filled,
        images, memory.changes, memory.sketch, gram, products,
    )  # fmt: skip
    combine(gram, products, slot, age, weights)
    advance(force, images, weights, slot, filled, rows.order, step, field)
    memory.slot[0] = (slot + 1) % WINDOW
    memory.steps[0] += 1
    for lane in range(LANES):
        age[lane] += 1


@compiled
def take_turns(equations: Equations, work: Work, oldest: int, most: int) -> tuple[int, int]:
    """Move and look at the residual in turns, until a sample has come to its end.

    Parameters
    ----------
    equations : Equations
    work : Work
    oldest : int
        Age of the oldest sample, if the first thing is to move; else -1.
    most : int
        Looks after which there is a last move, and that is all.

    Returns
    -------
    oldest : int
        Age of the oldest sample that goes on, -1 for none. Where one has come to its end the others
        have not yet moved.
    looks : int
    """
    looks = 0
    while True:
        if oldest >= 0:
            move(work, oldest, equations.field)
        if looks == most:
            return oldest, looks
        evaluate(equations, work.rows.place, work.memory.force, work.block.norm)
        oldest, ended = judge(work.block, work.goals)
        looks += 1
        if ended:
            return oldest, looks
