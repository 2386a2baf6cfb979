"""Points in a box of keys: Sobol, Latin hypercube, or random."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np


def design_points(
    kind: str,
    cases: int,
    seed: int,
    ranges: Mapping[str, Sequence[float]],
    whole: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Points in a box.

    Parameters
    ----------
    kind : {"sobol", "latin-hypercube", "random"}
        A scrambled Sobol sequence (evenest where `cases` is a power of two), a Latin hypercube
        (each key's range cut into as many slices as cases, one point in each), or independent
        points; `scipy.stats.qmc`.
    cases, seed : int
    ranges : dict of str to (low, high)
    whole : collection of str
        Keys that get whole numbers, both limits included.

    Returns
    -------
    list of dict
    """
    from scipy.stats import qmc  # slow to import, and workers read this module

    random = np.random.default_rng(seed)
    if kind == "random":
        unit = random.random((cases, len(ranges)))
    elif kind == "latin-hypercube":
        unit = qmc.LatinHypercube(len(ranges), rng=random).random(cases)
    else:
        with warnings.catch_warnings():  # that the number of cases is no power of two
            warnings.simplefilter("ignore", UserWarning)
            unit = qmc.Sobol(len(ranges), rng=random).random(cases)
    columns: list[list[float]] = []
    for column, (key, (low, high)) in zip(unit.T, ranges.items(), strict=True):
        if key in whole:
            first, last = math.ceil(low), math.floor(high)
            columns.append([first + int(u * (last - first + 1)) for u in column])
        else:
            columns.append([float(low + u * (high - low)) for u in column])
    return [dict(zip(ranges, row, strict=True)) for row in zip(*columns, strict=True)]
