"""Steady states of many inputs at once against one by one."""

from __future__ import annotations

import numpy as np

import nepfield as nf
from studies.speed.measure import Measurement, best_of

_NAME = "batch against one by one"
_G, _LOSS, _TOLERANCE = 0.04, 0.07, 1e-8


def compare_batch(
    ny: int = 15, nx: int = 150, nsamples: int = 100, repeats: int = 3
) -> list[Measurement]:
    """A lattice of cells of ny x ny sites; the same random picture drives every cell."""
    random = np.random.default_rng(0)
    space = nf.graph(nf.lattice(ny, nx))
    iy, ix = np.divmod(np.arange(space.ndof), nx)
    pixels, weights = iy * ny + ix % ny, random.normal(0, 0.3, space.ndof)
    pumps = [
        nf.site_pump(int(i), float(w), input=int(p))
        for i, (w, p) in enumerate(zip(weights, pixels, strict=True))
    ]
    potential = random.uniform(0, 0.5, space.ndof)
    system = nf.GPE(space, potential, pumps, nf.Density(_G), _LOSS)
    inputs = random.uniform(size=(nsamples, system.pumps.ninputs))

    def together() -> np.ndarray:
        return nf.solve_steady(system, inputs, tolerance=_TOLERANCE).state

    def apart() -> np.ndarray:
        states = [nf.solve_steady(system, one[None], tolerance=_TOLERANCE).state for one in inputs]
        return np.hstack(states)

    _ = system.linear_part.vacuum_factorisation  # shared by both, and not timed
    batch = together()
    difference = float(np.linalg.norm(batch - apart()) / np.linalg.norm(batch))
    fast, slow = best_of(repeats, together, apart)
    case = f"lattice({ny}, {nx}), {nsamples} samples"
    return [
        Measurement(_NAME, case, "a sample, in a batch", fast / nsamples, "s"),
        Measurement(_NAME, case, "a sample, one by one", slow / nsamples, "s"),
        Measurement(
            _NAME, case, "ratio", slow / fast, "", "", "both share one factorisation, not timed"
        ),
        Measurement(_NAME, case, "difference of the states", difference, "", "<= 1e-6"),
    ]
