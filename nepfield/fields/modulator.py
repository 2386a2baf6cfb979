"""What a spatial light modulator shows of a potential: pixels, levels, crosstalk.

    shown = K q(A V)        A  means over the pixels of the modulator
                            q  the nearest of `levels` values, evenly spaced over the bounds of V
                            K  weights a_j exp(-|r_i - r_j|^2 / (2 c^2)), rows of sum 1

a_j is the measure of a value, r_j its middle. A Gaussian kernel is the usual model of the fringing
fields between pixels of liquid crystal (M. Persson, D. Engstroem, M. Goksoer, Opt. Express 20,
22334 (2012)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.spatial import KDTree

from nepfield.errors import InputError
from nepfield.fields.potentials import Potential, pixel_of
from nepfield.reprs import Described
from nepfield.space.space import Space

_FAR = 4.0  # widths of the crosstalk, beyond which there is none


@dataclass(frozen=True, eq=False)
class Modulator(Described):
    """A spatial light modulator that writes the trained values of a potential.

    Attributes
    ----------
    space : Space
    potential : Potential
        What is written; its values do not matter here.
    pixels : sequence of float or None
        Sides of a pixel, of a grid from the lower left corner of the domain: all values whose
        middles lie in one get their mean. None: each value has a pixel of its own.
    levels : int or None
        Number of values that can be shown, from the lower to the upper bound of V; None: any.
    crosstalk : float
        c, a length; 0: none. It does not reach across a periodic boundary.

    Raises
    ------
    InputError
        If levels are given and V has no bounds, or a number is out of range.
    """

    space: Space = field(repr=False)
    potential: Potential = field(repr=False)
    pixels: Sequence[float] | None = None
    levels: int | None = None
    crosstalk: float = 0.0

    def __post_init__(self) -> None:
        if self.levels is not None and self.levels < 2:
            raise InputError(f"slm_levels = {self.levels}: a modulator shows 2 levels or more.")
        if self.levels is not None and self.potential.bounds is None:
            raise InputError(
                "slm_levels: they are spaced over the bounds of V; give the potential bounds."
            )
        if not 0 <= self.crosstalk < np.inf:
            raise InputError(f"slm_crosstalk = {self.crosstalk}: it must be finite and >= 0.")
        if self.pixels is not None:
            sides, dim = np.asarray(self.pixels, dtype=float), self.space.points.shape[1]
            if sides.shape not in ((1,), (dim,)) or not np.all((sides > 0) & np.isfinite(sides)):
                raise InputError(
                    f"slm_pixels = {list(self.pixels)}: give {dim} positive sizes for this {dim}-D "
                    "domain, or one."
                )

    @cached_property
    def _chosen(self) -> np.ndarray:
        """Which values are written by it: those that are trained."""
        trainable = self.potential.parameter.trainable
        return np.flatnonzero(np.broadcast_to(trainable, len(self.potential.values)))

    @cached_property
    def _middles(self) -> np.ndarray:
        """The middle of the support of each of them, (nchosen, dim)."""
        moments = self.potential.integrate(self.space.w[:, None] * self.space.points)
        return (moments / self.potential.measure[:, None])[self._chosen]

    @cached_property
    def _kernels(self) -> tuple[sp.csr_array | None, sp.csr_array | None]:
        """A and K; None where they change nothing."""
        measure, count = self.potential.measure[self._chosen], len(self._chosen)
        averages = spread = None
        if self.pixels is not None:
            sides = np.broadcast_to(self.pixels, self.space.points.shape[1])
            pixel = np.unique(
                pixel_of(self.space, sides, self._middles), axis=0, return_inverse=True
            )[1].ravel()
            inside = sp.csr_array((measure, (pixel, np.arange(count))))
            share = sp.diags_array(1 / inside.sum(axis=1)) @ inside
            averages = sp.csr_array(share[pixel])
        if self.crosstalk:
            tree = KDTree(self._middles)
            near = tree.sparse_distance_matrix(
                tree, _FAR * self.crosstalk, output_type="coo_matrix"
            )
            near.data = measure[near.col] * np.exp(-((near.data / self.crosstalk) ** 2) / 2)
            own = sp.csr_array(near) if near.nnz else sp.csr_array((count, count))
            own = own + sp.diags_array(measure - own.diagonal())
            spread = sp.csr_array(sp.diags_array(1 / own.sum(axis=1)) @ own)
        return averages, spread

    def shown(self, values: np.ndarray) -> np.ndarray:
        """What stands there when values (nvalues,) are written; imaginary parts stay."""
        averages, spread = self._kernels
        part = values.real[self._chosen]
        if averages is not None:
            part = averages @ part
        if self.levels is not None and self.potential.bounds is not None:
            low, high = self.potential.bounds
            step = (high - low) / (self.levels - 1)
            level = np.clip(np.rint((part - low) / step), 0, self.levels - 1)
            part = np.where(level == self.levels - 1, high, low + step * level)
        if spread is not None:
            part = spread @ part
        shown = np.array(values)
        shown.real[self._chosen] = part  # of real values the real part is the array itself
        return shown

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return "Modulator", {
            "pixels": None if self.pixels is None else list(self.pixels),
            "levels": self.levels,
            "crosstalk": self.crosstalk or None,
        }
