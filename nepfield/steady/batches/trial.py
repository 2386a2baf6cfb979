"""The smallest block, to see whether Numba compiles on this machine."""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.acceleration import advance, new_memory, remember
from nepfield.steady.batches.kernels import residual_of_graph
from nepfield.steady.batches.lanes import LANES


def run() -> None:
    """Compile kernels with all kinds of numbers, as they are used, and use them."""
    field, memory = np.full(2 * LANES, 3.0), new_memory(2 * LANES)
    zero, none, first = np.zeros(1), np.zeros(0), np.zeros(1, np.int32)
    residual_of_graph(
        np.array([0, 1], np.int32), first, zero + 2, zero, field, none, none, none, none,
        np.zeros(3), np.zeros(2 * LANES), first, memory.force, np.zeros(LANES),
    )  # fmt: skip
    doubled = (memory.force == 6.0).all()
    memory.force[:] = 3.0
    remember(
        memory.force, memory.before, memory.step, 0, 1,
        memory.images, memory.changes, memory.sketch, memory.gram, memory.products,
    )  # fmt: skip
    memory.weights[:] = 1.0
    advance(memory.force, memory.images, memory.weights, 0, 1, first, memory.step, field)
    if not (doubled and (memory.gram[0, 0] == 18.0) and (field == 3.0).all()):
        raise ArithmeticError("2 x 3, 3^2 + 3^2 and 3 - (3 - 3)")
