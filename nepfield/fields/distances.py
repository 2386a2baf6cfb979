"""Readouts of masses in the plane: distances of pairs of vertices, and their strains.

    s = |r_i - r_j|,   ds/dr_i = u,   d2s/dr_i^2 = (1 - u u^T) / s,   u = (r_i - r_j) / s

A state has the positions x0, y0, x1, ... A strain is the distance over that in the domain, less 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.coordinates import Coordinates, read_vertices
from nepfield.fields.names import about_readout, readout_marks, vertex_names
from nepfield.fields.pictures import Mark
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described


@dataclass(frozen=True, eq=False)
class Distances(Described):
    """Outputs that are distances of pairs of vertices, an output each.

    Attributes
    ----------
    pairs : ndarray of int, shape (noutputs, 2)
    reference : ndarray, shape (noutputs,), or None
        Distances at which a strain is 0, where strains are read; None for the distances themselves.
    names : tuple of str
        What the outputs are called; () for their numbers.
    """

    pairs: np.ndarray
    reference: np.ndarray | None = None
    names: tuple[str, ...] = ()
    unit, noun = "", "pair of vertices"

    @property
    def label(self) -> str:
        """What an output is, for axes."""
        return "distance of a pair" if self.reference is None else "strain of a pair"

    @property
    def noutputs(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @cached_property
    def output(self) -> np.ndarray:
        """Which output each signal belongs to: its own."""
        return np.arange(len(self.pairs))

    @cached_property
    def weight(self) -> np.ndarray:
        """Its share there."""
        return np.ones(len(self.pairs))

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the state that are read."""
        vertices = np.unique(self.pairs)
        return np.column_stack([2 * vertices, 2 * vertices + 1]).ravel()

    @cached_property
    def _share(self) -> np.ndarray:
        """What a distance is multiplied by, (noutputs, 1)."""
        reference = np.ones(len(self.pairs)) if self.reference is None else self.reference
        return 1 / reference[:, None]

    def _measured(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair its distance (noutputs, nsamples) and the unit vector along it."""
        places = state.reshape(-1, 2, state.shape[1])
        first, second = self.pairs.T
        along = places[first] - places[second]
        distance = np.sqrt((along**2).sum(axis=1))
        return distance, along / np.maximum(distance, 1e-150)[:, None]

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """Distances or strains, shape (noutputs, nsamples)."""
        distance, _ = self._measured(state)
        return distance if self.reference is None else distance * self._share - 1

    def means(self, signals: np.ndarray) -> np.ndarray:
        """The signals: each output has one."""
        return signals

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """What is read, shape (nsamples, noutputs)."""
        return self.signals(state).T

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """From slopes by the signals to those by the state."""
        _, unit = self._measured(state)
        pull = (slope * self._share)[:, None] * unit
        pulled = np.zeros((len(state) // 2, 2, state.shape[1]))
        first, second = self.pairs.T
        np.add.at(pulled, first, pull)
        np.add.at(pulled, second, -pull)
        return pulled.reshape(state.shape)

    def stiffness(
        self,
        state: np.ndarray,
        slope: np.ndarray,
        curvature: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Second derivative by these rows of the state (None: all), (nsamples, nrows, nrows)."""
        distance, unit = self._measured(state)
        along = unit[:, :, None] * unit[:, None]
        turning = (slope * self._share / np.maximum(distance, 1e-150))[:, None, None]
        blocks = (curvature * self._share**2)[:, None, None] * along
        blocks += turning * (np.eye(2)[:, :, None] - along)
        place = np.full(len(state), -1)
        n = len(state) if rows is None else len(rows)
        place[slice(None) if rows is None else rows] = np.arange(n)
        found = np.zeros((state.shape[1], n, n))
        for pair, block in zip(self.pairs, blocks, strict=True):
            for one, left in enumerate(pair):
                for other, right in enumerate(pair):
                    sign = 1.0 if one == other else -1.0
                    for a in range(2):
                        for b in range(2):
                            i, j = place[2 * left + a], place[2 * right + b]
                            if i >= 0 and j >= 0:
                                found[:, i, j] += sign * block[a, b]
        return found

    def marks(self) -> list[Mark]:
        """Where it reads."""
        return readout_marks(self.names, [{"vertices": pair.tolist()} for pair in self.pairs])

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_readout(self)


def distances(
    domain: Domain,
    sets: Sequence[str] = (),
    pairs: Sequence[Sequence[int]] = (),
    *,
    strain: bool = False,
) -> Distances:
    """Read the distance of each of these pairs of vertices, an output each.

    Parameters
    ----------
    domain : Domain
        A graph in the plane.
    sets : sequence of str
        Named sets of two vertices each.
    pairs : sequence of (int, int)
        Further pairs.
    strain : bool
        Read the strain: the distance over that in the domain, less 1.

    Raises
    ------
    InputError
        If a set is unknown or not of two vertices, a vertex is not on the graph, or a pair is one
        vertex twice.
    """
    if domain.kind != "graph" or domain.points.shape[1] != 2:
        raise InputError(f"readout: {domain.source} is no graph in the plane.")
    chosen = []
    for name in sets:
        found = domain.region(name)
        if len(found) != 2:
            raise InputError(
                f"readout: the set {name!r} has {len(found)} vertices; a distance is that of two."
            )
        chosen.append(found)
    for pair in pairs:
        if len(pair) != 2:
            raise InputError(f"readout: {list(pair)} is no pair of vertices.")
        chosen.append(read_vertices(domain, vertices=pair))
    if not chosen:
        raise InputError("readout: name at least one set of two vertices, or a pair.")
    ends = np.array(chosen, dtype=np.int64)
    apart = np.linalg.norm(domain.points[ends[:, 0]] - domain.points[ends[:, 1]], axis=1)
    names = (*sets, *(f"{a}-{b}" for a, b in ends[len(sets) :]))
    return Distances(ends, apart if strain else None, names)


def positions(
    domain: Domain, sets: Sequence[str] = (), vertices: Sequence[int] = ()
) -> Coordinates:
    """Read where each of these vertices is: two outputs each, x and y.

    Parameters
    ----------
    domain : Domain
        A graph in the plane.
    sets : sequence of str
        Named sets of vertices; their vertices in order, set by set.
    vertices : sequence of int
        Further vertices.

    Raises
    ------
    InputError
        If the domain is no graph in the plane, a set unknown, a vertex not on the graph or named
        twice.
    """
    chosen = read_vertices(domain, sets, vertices)
    if domain.points.shape[1] != 2:
        raise InputError(f"readout: {domain.source} is no graph in the plane.")
    rows = np.column_stack([2 * chosen, 2 * chosen + 1]).ravel()
    shapes: tuple[dict[str, Any], ...] = tuple({"vertices": [int(k)]} for k in chosen)
    return Coordinates(
        rows, np.arange(len(rows)), np.ones(len(rows)), shapes, label="position $x, y$",
        names=tuple(f"{a} {b}" for a in vertex_names(domain, sets, vertices) for b in "xy"),
    )  # fmt: skip
