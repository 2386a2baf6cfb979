"""Readouts of entries of a state: phases, spins, positions, voltages; xy (3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.names import about_readout, readout_marks, vertex_names
from nepfield.fields.pictures import Mark
from nepfield.fields.readouts import summation
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described


@dataclass(frozen=True, eq=False)
class Coordinates(Described):
    """Outputs that are entries of the state, or weighted sums of entries.

    Attributes
    ----------
    rows : ndarray of int, shape (nsignals,)
        Which entries of the state are read.
    output : ndarray of int, shape (nsignals,)
        Which output each belongs to.
    weight : ndarray, shape (nsignals,)
        Its share there.
    shapes : tuple of dict
        Where each output is read, as `Mark` has it.
    label, unit : str
        What an output is, for axes, and its kind of unit.
    names : tuple of str
        What the outputs are called; () for their numbers.
    """

    rows: np.ndarray
    output: np.ndarray
    weight: np.ndarray
    shapes: tuple[dict[str, Any], ...] = ()
    label: str = "output"
    unit: str = ""
    names: tuple[str, ...] = ()
    noun = "output"

    @cached_property
    def noutputs(self) -> int:
        """Number of outputs."""
        return int(self.output.max(initial=-1)) + 1

    @cached_property
    def _summation(self) -> sp.csr_array | np.ndarray | None:
        """The matrix from signals to outputs; None where they are the same."""
        same = np.array_equal(self.output, np.arange(len(self.output)))
        return None if same and np.all(self.weight == 1) else summation(self.output, self.weight)

    @cached_property
    def _each_row_once(self) -> bool:
        return len(np.unique(self.rows)) == len(self.rows)

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """The entries, shape (nsignals, nsamples)."""
        return state[self.rows]

    def means(self, signals: np.ndarray) -> np.ndarray:
        """Weighted sums of signals over each output, shape (noutputs, ...)."""
        return signals if self._summation is None else self._summation @ signals

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """What is read, shape (nsamples, noutputs)."""
        return self.means(self.signals(state)).T

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """From slopes by the signals to those by the state."""
        pulled = np.zeros(state.shape)
        if self._each_row_once:
            pulled[self.rows] = slope
        else:
            np.add.at(pulled, self.rows, slope)
        return pulled

    def stiffness(
        self,
        state: np.ndarray,
        slope: np.ndarray,
        curvature: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Second derivative by these rows of the state (None: all): the curvatures, on its
        diagonal."""
        n = len(state) if rows is None else len(rows)
        place = np.full(len(state), -1)
        place[slice(None) if rows is None else rows] = np.arange(n)
        among = place[self.rows]
        seen = among >= 0
        stiffness = np.zeros((state.shape[1], n, n))
        for k, values in zip(among[seen], curvature[seen], strict=True):
            stiffness[:, k, k] += values  # one by one: a row may be read twice
        return stiffness

    def marks(self) -> list[Mark]:
        """Where it reads."""
        return readout_marks(self.names, self.shapes)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_readout(self)


def phases(domain: Domain, sets: Sequence[str] = (), vertices: Sequence[int] = ()) -> Coordinates:
    """Read the phase of each of these vertices, an output each.

    Parameters
    ----------
    domain : Domain
        A graph.
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
    return Coordinates(
        chosen, np.arange(len(chosen)), np.ones(len(chosen)), shapes, label=r"phase $\phi$",
        names=vertex_names(domain, sets, vertices),
    )  # fmt: skip


def read_vertices(
    domain: Domain, sets: Sequence[str] = (), vertices: Sequence[int] = ()
) -> np.ndarray:
    """The vertices of named sets and further ones, in this order; none of them twice."""
    if domain.kind != "graph":
        raise InputError(f"readout: {domain.source} is a mesh; vertices are read of a graph.")
    index = np.asarray(list(vertices), dtype=float)
    n = len(domain.points)
    if index.ndim != 1 or np.any((index != np.floor(index)) | (index < 0) | (index >= n)):
        raise InputError(
            f"readout vertices = {list(vertices)}: give whole numbers from 0 to {n - 1}."
        )
    chosen = np.concatenate([*(domain.region(name) for name in sets), index]).astype(np.int64)
    if not len(chosen):
        raise InputError("readout: name at least one set or vertex.")
    found, count = np.unique(chosen, return_counts=True)
    if np.any(count > 1):
        raise InputError(f"readout: vertex {found[count > 1][0]} is read twice.")
    return chosen
