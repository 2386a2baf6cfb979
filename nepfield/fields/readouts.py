"""Readouts: what is read of a state. Intensities of a wave in output regions, nep (4), (6)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.names import about_readout, intensity_names, readout_marks
from nepfield.fields.pictures import Mark
from nepfield.fields.places import Site, checked_point, extent, region_indicator, site_index
from nepfield.keys import Keys
from nepfield.mesh.seams import nearest_images
from nepfield.reprs import Described
from nepfield.space.linalg import fastest, real_times
from nepfield.space.space import Space


class Readout(Protocol):
    """How outputs are read from a state: real signals, each with its share in an output.

    Signals that fluctuate in a state, such as those of a quantum system, also have a method
    ``variance(state)``, (nsignals, nsamples): the mean of their cost is not the cost of their mean.

    Attributes
    ----------
    noutputs : int
    noun : str
        What an output is, for messages: "output region".
    output : ndarray of int, shape (nsignals,)
        Which output each signal belongs to.
    weight : ndarray, shape (nsignals,)
        Its share there; the shares of an output sum to 1.
    rows : ndarray of int or None
        Rows of the state that are read; None where that may be any.
    label : str
        What an output is, for axes (mathtext in dollars).
    unit : str
        Kind of unit of the outputs; "" for a pure number.
    """

    @property
    def noutputs(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def noun(self) -> str: ...
    @property
    def output(self) -> np.ndarray: ...
    @property
    def weight(self) -> np.ndarray: ...
    @property
    def rows(self) -> np.ndarray | None: ...

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """Signals, (nsignals, nsamples); with the noise of a measurement where keys are given."""

    def means(self, signals: np.ndarray) -> np.ndarray:
        """Weighted sums of signals over each output, shape (noutputs, ...)."""

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """What is read, shape (nsamples, noutputs)."""

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """From slopes by the signals to those by the state (its conjugate where it is complex)."""

    def stiffness(
        self,
        state: np.ndarray,
        slope: np.ndarray,
        curvature: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Second derivative by these rows of the state (None: all), (nsamples, nrows, nrows), of a
        cost with these first and second derivatives by the signals; for systems that have a
        Hessian."""

    def marks(self) -> list[Mark]:
        """Where it reads, for pictures."""


@dataclass(frozen=True, eq=False)
class Intensities(Described):
    """Output regions Y_k, each read by the intensity ``|Psi|^2`` at its points, nep (4).

    Attributes
    ----------
    space : Space
    profiles : csr_array, shape (noutputs, nq)
        1/|Y_k| at the quadrature points inside Y_k, so that integrals of them are means; of an
        output that is read at several places the mean of theirs.
    shapes : tuple of dict
        Shape of each region as `Mark` has it.
    names : tuple of str
        What the outputs are called; () for their numbers.
    """

    space: Space
    profiles: sp.csr_array
    shapes: tuple[dict[str, Any], ...] = ()
    names: tuple[str, ...] = ()
    noun, rows = "output region", None
    label = r"mean $|\Psi|^2$ over the readout"
    unit = "density"

    @property
    def noutputs(self) -> int:
        """Number of output regions."""
        return self.profiles.shape[0]

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Output, point and share of each signal."""
        profiles = self.profiles.tocoo()
        return profiles.row, profiles.col, profiles.data * self.space.w[profiles.col]

    @cached_property
    def _values(self) -> tuple[sp.csr_array | np.ndarray, sp.csr_array | np.ndarray]:
        """Values of a state at the point of each signal, (nsignals, ndof), and the transpose: a
        readout sees a small part of the domain."""
        values = self.space.B[self._entries[1]]
        return fastest(values), fastest(values.T.tocsr())

    @property
    def output(self) -> np.ndarray:
        """Region of each signal."""
        return self._entries[0]

    @property
    def weight(self) -> np.ndarray:
        """Share of each signal in the mean over its region."""
        return self._entries[2]

    @cached_property
    def _summation(self) -> sp.csr_array | np.ndarray:
        return summation(self.output, self.weight)

    def fields(self, state: np.ndarray) -> np.ndarray:
        """Psi at the point of each signal, shape (nsignals, nsamples)."""
        return real_times(self._values[0], state)

    def transposed(self, fields: np.ndarray) -> np.ndarray:
        """The transpose of `fields`: (nsignals, nsamples) to (ndof, nsamples), in weak form."""
        return real_times(self._values[1], fields)

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """``|Psi|^2`` at the points of all regions, shape (nsignals, nsamples)."""
        return np.abs(self.fields(state)) ** 2

    def means(self, signals: np.ndarray) -> np.ndarray:
        """Weighted sums of signals over each region, shape (noutputs, ...)."""
        return self._summation @ signals

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """Mean of ``|Psi|^2`` over each region, shape (nsamples, noutputs)."""
        return self.means(self.signals(state)).T

    def field_means(self, values: np.ndarray) -> np.ndarray:
        """Means over each region of a field of shape (nq, nsamples), (nsamples, noutputs)."""
        return (self.profiles @ (self.space.w[:, None] * values)).T

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """dC/dPsibar in weak form, ``dC/dn Psi`` at the points, shape (ndof, nsamples)."""
        return self.transposed(slope * self.fields(state))

    def stiffness(
        self,
        state: np.ndarray,
        slope: np.ndarray,
        curvature: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """A wave has no energy to be minimal, and so no stiffness."""
        raise TypeError("intensities of a wave have no stiffness")

    def marks(self) -> list[Mark]:
        """The regions, with the elements that have a point in them."""
        elements = self.space.element_of_point
        cells = [np.unique(elements[np.flatnonzero(row)]) for row in self.profiles.toarray()]
        places = self.shapes or ({},) * self.noutputs
        shapes = [
            {**place, "cells": covered.tolist()}
            for place, covered in zip(places, cells, strict=True)
        ]
        return readout_marks(self.names, shapes)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_readout(self, self.noun)


def summation(output: np.ndarray, weight: np.ndarray) -> sp.csr_array | np.ndarray:
    """The matrix that sums weighted signals output by output."""
    entries = (weight, (output, np.arange(len(output))))
    return fastest(sp.csr_array(sp.coo_array(entries)))


def readout(
    space: Space,
    regions: Sequence[str] = (),
    sites: Sequence[Site] = (),
    discs: Sequence[tuple[Sequence[float], float]] = (),
    groups: int | Sequence[Sequence[int]] | None = None,
) -> Intensities:
    """Output regions: named regions, then sites of a graph, then discs (top-hat).

    By default each of these places is an output. Where several are read by one detector, or their
    intensities are added, they are a group: an output is then the mean of the intensities of its
    places, so that it is a sum of as many squares of fields as there are places.

    Parameters
    ----------
    space : Space
    regions : sequence of str
    sites : sequence of int or (iy, ix)
        Vertices of a graph.
    discs : sequence of (center, radius)
        In 1-D an interval of half width `radius`. On a periodic mesh it reaches across.
    groups : int or sequence of sequences of int, optional
        Number of outputs, each of which gets as many places as the others, in their order; or for
        each output its places, counted from 0.

    Raises
    ------
    InputError
        If a region is unknown, or a disc or site lies outside the domain, or groups do not fit the
        places.

    Warns
    -----
    UserWarning
        If a disc holds so few quadrature points that its mean intensity depends on the mesh.
    """
    masks = [region_indicator(space, name) for name in regions]
    shapes: list[dict[str, Any]] = [
        {"cells": space.domain.region(name).tolist()} for name in regions
    ]
    for site in sites:
        mask = np.zeros(len(space.w), dtype=bool)
        mask[site_index(space, site)] = True
        masks.append(mask)
        shapes.append({"cells": np.flatnonzero(mask).tolist()})
    masks += [_disc(space, center, radius) for center, radius in discs]
    shapes += [
        {"circle": {"center": np.atleast_1d(center).tolist(), "radius": float(radius)}}
        for center, radius in discs
    ]
    if not masks:
        raise InputError("readout: name at least one region, site or disc.")
    inside = np.array(masks)
    profiles = sp.csr_array(inside / (inside @ space.w)[:, None])
    names = intensity_names(regions, sites, len(discs))
    if groups is None:
        return Intensities(space, profiles, tuple(shapes), names)
    parts = grouped(groups, len(masks))
    shares = sp.csr_array(
        [[part.count(k) / len(part) for k in range(len(masks))] for part in parts]
    )
    profiles = sp.csr_array(shares @ profiles)
    names = tuple(f"group {k}" for k in range(len(parts)))
    return Intensities(space, profiles, ({},) * len(parts), names)


def grouped(groups: int | Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """The places of each output, of `count` places; InputError where they do not fit."""
    if isinstance(groups, int | np.integer):
        if groups < 1 or count % groups:
            raise InputError(
                f"readout: groups = {groups}: {count} places do not divide into so many groups."
            )
        return np.arange(count).reshape(groups, -1).tolist()
    parts = [list(part) for part in groups]
    flat = [k for part in parts for k in part]
    if not all(parts) or not parts or not all(0 <= k < count for k in flat):
        raise InputError(
            f"readout: groups = {parts}: give each output one place or more, by numbers from 0 to "
            f"{count - 1}."
        )
    if len(set(flat)) < count:
        raise InputError(
            f"readout: groups = {parts}: place {min(set(range(count)) - set(flat))} is in none."
        )
    return parts


def _disc(space: Space, center: Sequence[float], radius: float) -> np.ndarray:
    """Quadrature points inside a disc."""
    middle = checked_point(space, center, "readout disc center")
    if not radius > 0 or not np.isfinite(radius):
        raise InputError(f"readout disc at {middle.tolist()}: radius = {radius} must be positive.")
    points = nearest_images(space.domain.seams, space.points, middle)
    inside = np.linalg.norm(points - middle, axis=1) <= radius
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
