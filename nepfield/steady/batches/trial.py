"""The smallest block, to see whether Numba compiles on this machine."""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.kernels import put
from nepfield.steady.batches.lanes import LANES


def run() -> None:
    """Compile a kernel and use it."""
    source, force, norm = (
        np.full((1, LANES), 3.0 + 4j),
        np.zeros(2 * LANES, np.float32),
        np.ones(LANES),
    )
    put(source, np.ones(1), np.zeros(1, int), force, norm)
    if not (norm == 5.0).all():
        raise ArithmeticError("3^2 + 4^2 is 5^2")
