"""Output regions Y and the intensity read there, nep (4), (6)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.places import Site, checked_point, extent, region_indicator, site_index
from nepfield.space.linalg import fastest
from nepfield.space.space import Space


@dataclass(frozen=True, eq=False)
class Readout:
    """Output regions Y_k, each read by its intensity.

    Attributes
    ----------
    space : Space
    profiles : csr_array, shape (noutputs, nq)
        1/|Y_k| at the quadrature points inside Y_k, so that integrals of them are means.
    """

    space: Space
    profiles: sp.csr_array

    @property
    def noutputs(self) -> int:
        """Number of output regions."""
        return self.profiles.shape[0]

    @cached_property
    def _fastest(self) -> sp.csr_array | np.ndarray:
        return fastest(self.profiles)

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """Mean of ``|Psi|^2`` over each region, shape (nsamples, noutputs)."""
        return self.means(np.abs(self.space.evaluate(state)) ** 2)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Means over each region of a field of shape (nq, nsamples), (nsamples, noutputs)."""
        return (self._fastest @ (self.space.w[:, None] * values)).T


def readout(
    space: Space,
    regions: Sequence[str] = (),
    sites: Sequence[Site] = (),
    discs: Sequence[tuple[Sequence[float], float]] = (),
) -> Readout:
    """Output regions: named regions, then sites of a graph, then discs (top-hat).

    Parameters
    ----------
    space : Space
    regions : sequence of str
    sites : sequence of int or (iy, ix)
        Vertices of a graph.
    discs : sequence of (center, radius)
        In 1-D an interval of half width `radius`.

    Raises
    ------
    InputError
        If a region is unknown, or a disc or site lies outside the domain.

    Warns
    -----
    UserWarning
        If a disc holds so few quadrature points that its mean intensity depends on the mesh.
    """
    masks = [region_indicator(space, name) for name in regions]
    for site in sites:
        mask = np.zeros(len(space.w), dtype=bool)
        mask[site_index(space, site)] = True
        masks.append(mask)
    masks += [_disc(space, center, radius) for center, radius in discs]
    if not masks:
        raise InputError("readout: name at least one region, site or disc.")
    inside = np.array(masks)
    return Readout(space, sp.csr_array(inside / (inside @ space.w)[:, None]))


def _disc(space: Space, center: Sequence[float], radius: float) -> np.ndarray:
    """Quadrature points inside a disc."""
    middle = checked_point(space, center, "readout disc center")
    if not radius > 0 or not np.isfinite(radius):
        raise InputError(f"readout disc at {middle.tolist()}: radius = {radius} must be positive.")
    inside = np.linalg.norm(space.points - middle, axis=1) <= radius
    where = f"readout disc at {middle.tolist()} with radius {radius}"
    if not inside.any():
        raise InputError(
            f"{where} holds no point of the domain, which reaches {extent(space)}; move it, "
            "enlarge it, or refine the mesh."
        )
    dim = space.points.shape[1]
    enough = {1: 6, 2: 24}.get(dim, 0)
    if not space.is_graph and inside.sum() < enough:
        warnings.warn(
            f"{where} holds only {inside.sum()} quadrature points; its mean intensity depends on "
            f"the mesh. Refine the mesh there until it holds {enough}, or read a meshed region.",
            stacklevel=3,
        )
    return inside
