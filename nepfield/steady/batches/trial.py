"""The smallest block, to see whether Numba compiles on this machine."""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.kernels import densities
from nepfield.steady.batches.lanes import LANES


def run() -> None:
    """Compile a kernel and use it."""
    values, density = np.full(2 * LANES, 3.0), np.zeros(LANES)
    densities(values, density)
    if not (density == 18.0).all():
        raise ArithmeticError("3^2 + 3^2 is 18")
