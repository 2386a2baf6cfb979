"""How many outputs are as near to their targets as a success asks."""

from __future__ import annotations

import numpy as np

from nepfield.learning.costs import Cost, LogCosine

TOLERANCE = 0.1
"""Of the contrast of its targets: how far an output may be off."""


def tolerances(targets: np.ndarray) -> np.ndarray:
    """How far each output may be from its target: a tenth of the contrast of its targets, of the
    target where all are alike.

    Parameters
    ----------
    targets : ndarray, shape (nsamples, noutputs)

    Returns
    -------
    ndarray, shape (noutputs,)
    """
    contrast = np.ptp(targets, axis=0)
    return TOLERANCE * np.where(contrast > 0, contrast, np.abs(targets[0]))


def fraction_within(
    cost: Cost, outputs: np.ndarray, targets: np.ndarray, allowed: np.ndarray
) -> float:
    """Share of the samples of which every output is near enough to its target.

    Parameters
    ----------
    cost : Cost
        Of phases it takes the shorter way round.
    outputs, targets : ndarray, shape (nsamples, noutputs)
        Outputs that are nan are near to nothing.
    allowed : ndarray, shape (noutputs,)
        As `tolerances` gives it.
    """
    error = outputs - targets
    if isinstance(cost, LogCosine):
        error = np.angle(np.exp(1j * error))
    return float(np.mean((np.abs(error) <= allowed).all(axis=1)))
