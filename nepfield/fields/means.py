"""Readouts of positions of quantum particles, whose spread has its own part in a cost; qep (20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nepfield.fields.coordinates import Coordinates, read_vertices
from nepfield.fields.names import vertex_names
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain


@dataclass(frozen=True, eq=False)
class Means(Coordinates):
    """Outputs that are mean positions of quantum particles.

    The mean of a cost is not the cost of the mean: ``<(r - y)^2> = (<r> - y)^2 + Var r``. So each
    particle gives two signals of half the weight, ``<r> + sqrt(Var r)`` and ``<r> - sqrt(Var r)``
    (Gauss and Hermite's rule of two points): their mean is ``<r>``, and any quadratic cost of
    them has the mean of the cost operator, qep (20), exactly.

    Attributes
    ----------
    variance_rows : ndarray of int, shape (nsignals,)
        Entries of the state that hold the variance of what ``rows`` holds the mean of.
    sign : ndarray, shape (nsignals,)
        1 or -1.
    """

    variance_rows: np.ndarray = field(kw_only=True)
    sign: np.ndarray = field(kw_only=True)

    def _spread(self, state: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(state[self.variance_rows], 0.0))

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """A standard deviation above and below each mean, shape (nsignals, nsamples)."""
        return state[self.rows] + self.sign[:, None] * self._spread(state)

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """From slopes by the signals to those by means and variances; by a variance that is 0,
        which nothing moves, none."""
        pulled = np.zeros(state.shape)
        np.add.at(pulled, self.rows, slope)
        twice = 2 * self._spread(state)
        by_variance = np.divide(
            self.sign[:, None] * slope, twice, np.zeros_like(slope), where=twice > 0
        )
        np.add.at(pulled, self.variance_rows, by_variance)
        return pulled


def mean_positions(domain: Domain, sets: Sequence[str] = (), vertices: Sequence[int] = ()) -> Means:
    """Read the position of the quantum particle on each of these vertices, an output each.

    Parameters
    ----------
    domain : Domain
        The graph of `nepfield.systems.quantum_oscillators.QuantumOscillators`.
    sets : sequence of str
        Named sets of vertices; their vertices in order, set by set.
    vertices : sequence of int
        Further vertices.

    Raises
    ------
    InputError
        If the domain is no graph, a set unknown, a vertex not on the graph or named twice.
    """
    chosen = read_vertices(domain, sets, vertices)
    shapes: tuple[dict[str, Any], ...] = tuple({"vertices": [int(k)]} for k in chosen)
    rows = np.repeat(chosen, 2)
    n = len(domain.points)
    return Means(
        rows,
        output=np.repeat(np.arange(len(chosen)), 2),
        weight=np.full(len(rows), 0.5),
        shapes=shapes,
        label=r"mean position $\langle r \rangle$",
        names=vertex_names(domain, sets, vertices),
        variance_rows=n + rows * (n + 1),
        sign=np.tile([1.0, -1.0], len(chosen)),
    )
