"""Images of pumps: one pump a pixel, on the sites of lattice cells or as a grid of spots.

The input is an image, row by row from the top. Row 0 stands where y is largest, so that pictures
show images upright. Several copies of an image are driven by the same inputs, each with weights of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.fields.places import checked_point, extent
from nepfield.mesh.lattice import cell_places
from nepfield.reprs import Described
from nepfield.space.space import Space

CUT = 5.0
"""Widths from its middle at which a spot of a grid ends; its amplitude there is 4e-6."""


@dataclass(frozen=True, eq=False)
class PumpImage(Described):
    """Pumps that are the pixels of one or more copies of an image.

    Attributes
    ----------
    place : callable
        Maps a Space to the profiles G_k at its quadrature points, csr_array of shape (nq, npumps),
        and to the pixel that drives each pump, ndarray of int, shape (npumps,).
    size : (rows, columns)
        Of the image.
    weight : complex or ndarray, shape (npumps,)
        Starting weights.
    input : int, optional
        The input that is the first pixel; by default the next one after the pumps before.
    trainable : bool
    constant : bool
        Nothing drives them: they are always on, X = 1.
    words : str
        What they are, for people.
    """

    place: Callable[[Space], tuple[sp.csr_array, np.ndarray]]
    size: tuple[int, int]
    weight: complex | np.ndarray = 1.0
    input: int | None = None
    trainable: bool = True
    constant: bool = False
    words: str = ""

    @property
    def ninputs(self) -> int:
        """Number of inputs, those that are the pixels."""
        return self.size[0] * self.size[1]

    def count(self, space: Space) -> int:
        """Number of pumps."""
        return len(self.place(space)[1])

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        rows, columns = self.size
        return f"PumpImage of {rows} x {columns} pixels: {self.words}", {
            "trained": "yes" if self.trainable else "no"
        }


def cell_pumps(
    cell: tuple[int, int], weight: complex | np.ndarray = 1.0, **options: Any
) -> PumpImage:
    """A pump on every site of a lattice, which is divided into cells that each get the image.

    Parameters
    ----------
    cell : (rows, columns)
        Sites of a cell, which are the pixels; of a chain (1, n).
    weight : complex or ndarray, shape (nsites,)
        In the order of the sites.
    **options
        `input`, `trainable` and `constant` of `PumpImage`.
    """

    def place(space: Space) -> tuple[sp.csr_array, np.ndarray]:
        y, x = cell_places(space.domain, cell)
        pixel = (cell[0] - 1 - y) * cell[1] + x
        return sp.eye_array(len(pixel), format="csr"), pixel

    words = "one a site, a copy a cell of the lattice"
    return PumpImage(place, (cell[0], cell[1]), weight, words=words, **options)


def grid_pumps(
    size: tuple[int, int],
    corners: Sequence[Sequence[float]],
    pitch: float,
    spot: float,
    weight: complex | np.ndarray = 1.0,
    **options: Any,
) -> PumpImage:
    """Grids of Gaussian spots on a planar mesh, a copy of the image each.

    Parameters
    ----------
    size : (rows, columns)
        Spots of a grid, which are the pixels.
    corners : sequence of (x, y)
        Lower left corner of each copy, which is ``columns * pitch`` wide and ``rows * pitch`` high.
    pitch : float
        Side of a pixel, in the middle of which its spot stands.
    spot : float
        W in ``exp(-|r - r_k|^2 / (2 W^2))``; the spot ends at `CUT` times as much.
    weight : complex or ndarray, shape (ncopies * rows * columns,)
        Copy after copy, each like the image.
    **options
        `input`, `trainable` and `constant` of `PumpImage`.
    """

    def place(space: Space) -> tuple[sp.csr_array, np.ndarray]:
        for name, value in (("pitch", pitch), ("spot", spot)):
            if not 1e-100 < value < 1e100:
                raise InputError(f"grid of pumps: {name} = {value}; it must be positive.")
        if space.is_graph or space.points.shape[1] != 2:
            raise InputError("grid of pumps: it needs a planar mesh; a lattice takes cell.")
        centers = np.concatenate([
            _spots(size, checked_point(space, corner, "grid of pumps: corner"), pitch)
            for corner in corners
        ])  # fmt: skip
        pixel = np.tile(np.arange(size[0] * size[1]), len(corners))
        return _gaussians(space, centers, spot), pixel

    words = f"spots of width {spot:g}, {pitch:g} apart, in {len(corners)} copies"
    return PumpImage(place, (size[0], size[1]), weight, words=words, **options)


def _spots(size: tuple[int, int], corner: np.ndarray, pitch: float) -> np.ndarray:
    """Middles of the pixels of one copy, row by row from the top, shape (npixels, 2)."""
    row, column = np.divmod(np.arange(size[0] * size[1]), size[1])
    return corner + pitch * np.column_stack([column + 0.5, size[0] - row - 0.5])


def _gaussians(space: Space, centers: np.ndarray, width: float) -> sp.csr_array:
    """Profiles of spots at the quadrature points, shape (nq, nspots)."""
    pairs = cKDTree(space.points).sparse_distance_matrix(
        cKDTree(centers), CUT * width, output_type="coo_matrix"
    )
    values = np.exp(-(pairs.data**2) / (2 * width**2))
    found = sp.coo_array((values, (pairs.row, pairs.col)), shape=(len(space.points), len(centers)))
    brightest = np.zeros(len(centers))
    np.maximum.at(brightest, pairs.col, values)
    if (dark := np.flatnonzero(brightest < 0.1)).size:
        raise InputError(
            f"grid of pumps: the spot at {centers[dark[0]].tolist()} with width {width:g} lies "
            f"outside the domain, which reaches {extent(space)}, or between its quadrature points "
            f"({len(dark)} of {len(centers)} do). Move the grid, widen its spots, or refine the "
            "mesh."
        )
    return found.tocsr()
