"""Intervals and rectangles cut into equal cells, made in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain
from nepfield.mesh.lattice import MOST_SITES


def box_mesh(sides: Sequence[Sequence[float]], cells: int) -> Domain:
    """An interval, or a rectangle of quadrilaterals.

    Parameters
    ----------
    sides : sequence of (low, high)
        One pair for an interval, two for a rectangle; mesh units.
    cells : int
        Along each side.

    Returns
    -------
    Domain
        With its whole boundary as "wall".

    Raises
    ------
    InputError
        For another number of sides, a side that is not low < high, less than one cell, or too many.

    Examples
    --------
    >>> box_mesh([(0.0, 1.0)], 4).points.ravel()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    limits = np.asarray(sides, dtype=float)
    fits = limits.ndim == 2 and limits.shape[1] == 2 and len(limits) in (1, 2)
    if not fits or not np.isfinite(limits).all() or np.any(limits[:, 0] >= limits[:, 1]):
        raise InputError(
            f"sides = {np.asarray(sides).tolist()}: give one or two pairs [low, high], low < high."
        )
    if not isinstance(cells, int | np.integer) or cells < 1:
        raise InputError(f"cells = {cells}: give a whole number, at least 1.")
    if cells ** len(limits) > MOST_SITES:
        raise InputError(f"cells = {cells}: together {MOST_SITES:,} cells are the limit.")
    ticks = [np.linspace(low, high, cells + 1) for low, high in limits]
    source = f"box of {cells} cells a side"
    if len(ticks) == 1:
        near = np.arange(cells)
        wall = np.array([[0], [cells]])
        return Domain(
            ticks[0][:, None], np.column_stack([near, near + 1]), "line", {}, {"wall": wall},
            source=source,
        )  # fmt: skip
    y, x = np.meshgrid(ticks[1], ticks[0], indexing="ij")
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    sides_of = (
        (index[0, :-1], index[0, 1:]),
        (index[:-1, -1], index[1:, -1]),
        (index[-1, 1:], index[-1, :-1]),
        (index[1:, 0], index[:-1, 0]),
    )
    facets = np.concatenate([np.column_stack(ends) for ends in sides_of])
    return Domain(
        np.column_stack([x.ravel(), y.ravel()]),
        np.stack([corner.ravel() for corner in corners], axis=1),
        "quad",
        {},
        {"wall": facets},
        source=source,
    )
