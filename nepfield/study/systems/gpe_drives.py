"""Whether a residual that is held against the whole drive says enough of every pump's wave."""

from __future__ import annotations

import numpy as np

from nepfield.systems.gpe import GPE

_ENOUGH = 1e-3  # tolerance over a pump's share of the drive


def drive_warnings(system: GPE, inputs: np.ndarray, tolerance: float) -> list[str]:
    """A warning for the weakest pump, if what it makes could be lost beside a stronger one.

    Convergence is decided by the residual relative to the whole drive. A pump that has a small
    share of it, say beside one inside a wall that must be strong to be felt at all, makes a wave
    that may be wrong by the tolerance over this share.

    Parameters
    ----------
    system : GPE
    inputs : ndarray, shape (nsamples, ninputs)
    tolerance : float
        Of the solver.
    """
    pumps = system.pumps
    largest = pumps.driven(np.abs(inputs).max(axis=0, initial=0.0)[None])[:, 0]
    each = pumps.strengths(system.space) * largest
    drives = np.sqrt(np.bincount(pumps.entries, each**2))  # an image of pumps counts as one
    if not (drives > 0).any():
        return []
    weakest = int(np.where(drives > 0, drives, np.inf).argmin())
    share = drives[weakest] / np.sqrt(np.sum(drives**2))
    wrong = tolerance / share
    if wrong <= _ENOUGH:
        return []
    strongest = int(drives.argmax())
    return [
        f"pump {weakest} is {share:.0e} of the whole drive, to which residuals are held: its wave "
        f"may be wrong by {min(wrong, 1.0):.1%}. Set solver.tolerance = {_ENOUGH * share:.0e} "
        f"(rounding allows about 1e-14), or make pump {strongest} weaker"
    ]
