"""The smallest block, to see whether Numba compiles on this machine."""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.acceleration import advance, new_memory, remember
from nepfield.steady.batches.kernels import at_points
from nepfield.steady.batches.lanes import LANES


def run() -> None:
    """Compile kernels with all kinds of numbers, as they are used, and use them."""
    field, values = np.full(2 * LANES, 3.0), np.zeros(2 * LANES)
    at_points(np.array([0, 1], np.int32), np.zeros(1, np.int32), np.full(1, 2.0), field, values)
    memory = new_memory(2 * LANES)
    memory.force[:] = 3.0
    remember(
        memory.force, memory.before, memory.step, 0, 1,
        memory.changes, memory.images, memory.gram, memory.products,
    )  # fmt: skip
    memory.weights[:] = 1.0
    order = np.zeros(1, np.int32)
    advance(memory.force, memory.images, memory.weights, 0, 1, order, memory.step, field)
    if not ((values == 6.0).all() and (memory.gram[0, 0] == 18.0) and (field == 3.0).all()):
        raise ArithmeticError("2 x 3, 3^2 + 3^2 and 3 - (3 - 3)")
