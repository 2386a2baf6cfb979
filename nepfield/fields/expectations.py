"""Readouts of quantum spins: expectation values of observables, exact or from shots, qep (2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.coordinates import read_vertices
from nepfield.fields.names import about_readout, readout_marks, vertex_names
from nepfield.fields.pictures import Mark
from nepfield.fields.shots import Measurement
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described
from nepfield.space.pauli import PauliSum, Strings, joined


@dataclass(frozen=True, eq=False)
class Expectations(Described):
    """Outputs that are expectation values, one a signal.

    Attributes
    ----------
    observables : tuple of PauliSum
    shots : int
        Of each group of strings that are measured together; 0: exact readings. `signals` is noisy
        only where it is given keys, so figures of evaluations are exact.
    shapes : tuple of dict
        Where each is read, as `Mark` has it.
    label : str
    names : tuple of str
        What the outputs are called; () for their numbers.
    """

    observables: tuple[PauliSum, ...]
    shots: int = 0
    shapes: tuple[dict[str, Any], ...] = ()
    label: str = r"$\langle Z \rangle$"
    names: tuple[str, ...] = ()
    unit = ""
    noun = "output"
    rows = None

    @property
    def noutputs(self) -> int:
        """Number of outputs."""
        return len(self.observables)

    @cached_property
    def output(self) -> np.ndarray:
        """Each signal is an output."""
        return np.arange(self.noutputs)

    @cached_property
    def weight(self) -> np.ndarray:
        """All of it."""
        return np.ones(self.noutputs)

    @cached_property
    def _terms(self) -> tuple[Strings, np.ndarray, np.ndarray]:
        """All strings but the identity, their weights (noutputs, nstrings), and the constants."""
        every = joined([observable.strings for observable in self.observables])
        masks, place = np.unique([every.flips, every.signs], axis=1, return_inverse=True)
        owner = np.repeat(self.output, [len(o.strings) for o in self.observables])
        matrix = np.zeros((self.noutputs, masks.shape[1]))
        weights = np.concatenate([observable.weights for observable in self.observables])
        np.add.at(matrix, (owner, np.ravel(place)), weights)
        kept = masks.any(axis=0)
        flips, signs = masks[:, kept]
        strings = Strings(flips, signs, every.nspins)
        return strings, matrix[:, kept], matrix[:, ~kept].sum(axis=1)

    @property
    def strings(self) -> Strings:
        """The strings that are measured."""
        return self._terms[0]

    @cached_property
    def _measurement(self) -> Measurement:
        return Measurement(self.strings, self.shots)

    @cached_property
    def spectrum(self) -> np.ndarray | None:
        """Values of the observables in each configuration, (noutputs, 2^N); None where something
        else than Z is read."""
        strings, matrix, constant = self._terms
        if strings.flips.any():
            return None
        return matrix @ strings.values.real + constant[:, None]

    def coefficients(self, slopes: np.ndarray) -> np.ndarray:
        """Of the strings in the sum of observables with these slopes, (nstrings, nsamples)."""
        return self._terms[1].T @ slopes

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """Expectation values, (noutputs, nsamples); means over the shots where keys are given."""
        _, matrix, constant = self._terms
        return matrix @ self._measurement.read(state, keys) + constant[:, None]

    def means(self, signals: np.ndarray) -> np.ndarray:
        """The signals: each is an output."""
        return signals

    def outputs(self, state: np.ndarray) -> np.ndarray:
        """Expectation values, (nsamples, noutputs)."""
        return self.signals(state).T

    def variance(self, state: np.ndarray) -> np.ndarray:
        """``<O^2> - <O>^2`` of each observable O, (noutputs, nsamples)."""
        found = np.empty((self.noutputs, state.shape[1]))
        for k, observable in enumerate(self.observables):
            applied = observable.apply(state)
            mean = np.vecdot(state.T, applied.T).real
            found[k] = np.sum(np.abs(applied) ** 2, axis=0) - mean**2
        return np.maximum(found, 0.0)

    def pull_back(self, state: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """``sum_k slope_k O_k psi``: the slope by the conjugate of the state."""
        return sum(
            (slope[k] * observable.apply(state) for k, observable in enumerate(self.observables)),
            start=np.zeros(state.shape),
        )

    def stiffness(
        self,
        state: np.ndarray,
        slope: np.ndarray,
        curvature: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """A ground state is found by no Hessian."""
        raise TypeError("expectation values of quantum spins have no stiffness")

    def marks(self) -> list[Mark]:
        """The spins that are read."""
        return readout_marks(self.names, self.shapes)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_readout(self)


def expectations(
    domain: Domain,
    sets: Sequence[str] = (),
    vertices: Sequence[int] = (),
    observables: Sequence[str | PauliSum] = (),
    shots: int = 0,
) -> Expectations:
    """Read <Z> of spins, and then other observables, an output each.

    Parameters
    ----------
    domain : Domain
        A graph with a spin on each vertex.
    sets : sequence of str
        Named sets of vertices; their vertices in order, set by set.
    vertices : sequence of int
        Further vertices.
    observables : sequence of str or PauliSum
        Sums of Pauli strings, "0.5 + 0.5 Z0 X1".
    shots : int
        Of each group of strings that are measured together; 0 for exact readings.

    Raises
    ------
    InputError
        If a set, a vertex or an observable does not fit, or nothing is read.
    """
    nspins = len(domain.points)
    if shots < 0:
        raise InputError(f"shots = {shots}: give a whole number, 0 for exact readings.")
    chosen = list(read_vertices(domain, sets, vertices)) if sets or len(vertices) else []
    found = [PauliSum.parse(f"Z{k}", nspins) for k in chosen]
    found += [o if isinstance(o, PauliSum) else PauliSum.parse(o, nspins) for o in observables]
    if not found:
        raise InputError("readout: name at least one set, vertex or observable.")
    shapes: list[dict[str, Any]] = [{"vertices": [int(k)]} for k in chosen]
    for observable in found[len(chosen) :]:
        bits = int(np.bitwise_or.reduce(observable.strings.flips | observable.strings.signs))
        shapes.append({"vertices": [k for k in range(nspins) if bits >> k & 1]})
    label = r"$\langle Z \rangle$" if len(chosen) == len(found) else "expectation value"
    names = vertex_names(domain, sets, vertices)
    names += tuple(
        o if isinstance(o, str) else f"observable {k}" for k, o in enumerate(observables)
    )
    return Expectations(tuple(found), shots, tuple(shapes), label, names)
