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
    accelerate,
    judge,
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
    """Take the step that follows from the residual; the oldest sample has this age."""
    rows, memory, block = work.rows, work.memory, work.block
    substitute(rows, memory.force)
    accelerate(memory, min(oldest + 1, WINDOW), rows.order, block.age, field)
    for lane in range(LANES):
        block.age[lane] += 1


@compiled
def take_turns(equations: Equations, work: Work, most: int) -> tuple[int, int]:
    """Look at the residual and move, until a sample has come to its end or the residual has been
    looked at so many times; the age of the oldest that goes on (-1 for none), and the times."""
    times = 1
    while True:
        evaluate(equations, work.rows.place, work.memory.force, work.block.norm)
        oldest, ended = judge(work.block, work.goals)
        if ended or times >= most:
            return oldest, times
        move(work, oldest, equations.field)
        times += 1
