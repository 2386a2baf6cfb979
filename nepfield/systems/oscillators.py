"""Coupled phase oscillators: the XY or Kuramoto model.

    E(phi) = -1/2 sum_ij W_ij cos(phi_i - phi_j) - sum_i h_i cos(phi_i - psi_i)          xy (1)
    dphi_i/dt = -dE/dphi_i
              = -sum_j W_ij sin(phi_i - phi_j) - h_i sin(phi_i - psi_i)                  xy (2)
    F = E + beta C                                                                       xy (5)

    phi_i   phase of the oscillator on vertex i; inputs are the phases of the clamped ones
    W_ij    coupling on the edge between i and j (the sum counts every edge once)
    h_i     bias: how strongly a drive locks the oscillator, psi_i its phase
    C       the cost of the read phases, which a nudge of strength beta adds

E is a frequency, as W and h are. Phases settle in a minimum of E, and there are many: training
starts them at random (M_init starts a sample in xy) and so trains all that are reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values, moved, placed
from nepfield.fields.pictures import Field, Mark, Scale
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.space.linalg import one_thread
from nepfield.steady.energy import Added
from nepfield.steady.flow import flow
from nepfield.steady.minimum import energy_response, minimum
from nepfield.steady.steady import Steady
from nepfield.systems.clamped_phases import HeldEnergy, Wiring
from nepfield.systems.system import Figures

_BLOCK = 20_000  # numbers
_SWEEPS = 20  # of alternating minimisation before Newton's method takes over


@dataclass(frozen=True, eq=False)
class Oscillators:
    """Coupled phase oscillators on the vertices of a graph.

    A state holds a phase a vertex, (nvertices, nsamples), clamped ones included.

    Parameters
    ----------
    domain : Domain
        A graph; oscillators on vertices, couplings on edges.
    coupling, bias, bias_phase : Parameter, number or array
        W (an edge), h and psi (a vertex). What has no effect is not trained: biases of clamped
        vertices and couplings between two of them.
    clamped : sequence of int
        Vertices whose phases are the inputs, in the order of these.
    wiring : Wiring, optional
        Of the same graph with the same clamped vertices, where it was made already.

    Raises
    ------
    InputError
        If the domain is no graph, or numbers do not fit it.
    """

    domain: Domain
    coupling: Parameter
    bias: Parameter
    bias_phase: Parameter
    clamped: np.ndarray
    wiring: Wiring

    def __init__(
        self,
        domain: Domain,
        coupling: Parameter | ArrayLike,
        bias: Parameter | ArrayLike = 0.0,
        bias_phase: Parameter | ArrayLike = 0.0,
        clamped: Sequence[int] | np.ndarray = (),
        wiring: Wiring | None = None,
    ) -> None:
        if domain.kind != "graph":
            raise InputError(f"oscillators: {domain.source} is a mesh; they live on a graph.")
        wiring = wiring or Wiring.of(domain, clamped)
        for name, value in (
            ("domain", domain),
            ("coupling", placed(coupling, "coupling", "edge", wiring.acts, *_SYMBOLS["coupling"])),
            ("bias", placed(bias, "bias", "vertex", wiring.free, *_SYMBOLS["bias"])),
            (
                "bias_phase",
                placed(bias_phase, "bias_phase", "vertex", wiring.free, *_SYMBOLS["bias_phase"]),
            ),
            ("clamped", wiring.clamped),
            ("wiring", wiring),
        ):
            object.__setattr__(self, name, value)

    # -- what it is -------------------------------------------------------------------

    rules = ("ep", "ep-symmetric", "adjoint")
    nudge = "full"
    warm_start = False
    figure_labels = {"energy": "energy $E$", "lowest_curvature": "lowest curvature of $E$"}  # noqa: RUF012

    @property
    def ninputs(self) -> int:
        """Number of clamped oscillators."""
        return len(self.clamped)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the {len(self.clamped)} clamped oscillators"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``coupling`` (nedges,), ``bias`` and ``bias_phase`` (nvertices,)."""
        return {"coupling": self.coupling, "bias": self.bias, "bias_phase": self.bias_phase}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> Oscillators:
        """The same system with other parameters, moved into their bounds."""
        return replace(self, **moved(self.parameters, values))

    @cached_property
    def weights(self) -> np.ndarray:
        """W as a symmetric matrix, shape (nvertices, nvertices)."""
        n = len(self.domain.points)
        near, far = self.wiring.edges.T
        entries = np.concatenate([near * n + far, far * n + near])
        twice = np.tile(self.coupling.values, 2)
        weights = np.bincount(entries, twice, n * n).reshape(n, n)
        np.fill_diagonal(weights, 0.0)
        return weights

    # -- equilibrium ------------------------------------------------------------------

    def _held(self, inputs: np.ndarray, nudge: Added | None) -> HeldEnergy:
        bias, angle = self.bias.values, self.bias_phase.values
        return HeldEnergy(self.wiring, self.weights, bias, angle, inputs, nudge)

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Added | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        method: str = "minimum",
        sweeps: int = _SWEEPS,
        tolerance: float = 1e-10,
        max_iterations: int = 200,
        time: float = 1e4,
        accuracy: float = 1e-6,
    ) -> Steady:
        """Minima of the energy for a batch of inputs.

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs)
            Phases of the clamped oscillators.
        nudge : Nudge or FieldNudge, optional
        initial : ndarray, shape (nvertices, nsamples), optional
            Where to start; columns that hold a nan start as if there were none.
        keys : Keys, optional
            Free oscillators start at phases drawn evenly from [-pi, pi). Without keys each starts
            at the phase to which its bias and its clamped neighbours pull it.
        method : {"minimum", "flow"}
            "minimum" takes the shortest way down: sweeps in which each oscillator in turn goes to
            its best phase, then Newton's method. "flow" follows xy (2) and (6), 200 to 400 times
            slower, and then polishes by Newton's method. From the same start the two may reach
            different minima, so a census of basins needs the flow.
        sweeps : int
        tolerance, max_iterations
            As `nepfield.steady.minimum.minimum` has them.
        time, accuracy
            Of the flow, as `nepfield.steady.flow.flow` has them.

        Returns
        -------
        Steady
            Of a free state, ``lowest_curvature`` in its `extra`: the lowest eigenvalue of d2E.
        """
        if method not in ("minimum", "flow"):
            raise InputError(f"method = {method!r}: choose 'minimum' or 'flow'.")
        with one_thread():
            held = self._held(inputs, nudge)
            state = self._start(held, inputs, initial, keys, sweeps if method == "minimum" else 0)
            flowed = None
            if method == "flow":
                flowed = flow(held, state, nudge, time=time, accuracy=accuracy)
                state = flowed.state
            steady = minimum(
                held,
                state,
                nudge,
                tolerance=tolerance,
                max_iterations=max_iterations,
                curvature=nudge is None,
            )
        if nudge is None:
            steady.state[held.rows] = _wrapped(steady.state[held.rows])
        return steady if flowed is None else _polished(flowed, steady)

    def _start(
        self,
        held: HeldEnergy,
        inputs: np.ndarray,
        initial: np.ndarray | None,
        keys: Keys | None,
        sweeps: int,
    ) -> np.ndarray:
        """Where each sample starts, (nvertices, nsamples)."""
        state = np.empty((len(self.domain.points), len(inputs)))
        cold = np.arange(len(inputs))
        if initial is not None:
            state[:] = initial
            (cold,) = np.nonzero(np.any(np.isnan(state), axis=0))
        state[self.clamped] = inputs.T
        if len(cold):
            start = held.swept(held.start(cold, keys), cold, sweeps)
            state[np.ix_(held.rows, cold)] = start
        return state

    def respond(
        self, kind: str, free: np.ndarray, nudge: Added, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient, the limit of xy (7) for beta -> 0 (`kind` "adjoint")."""
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: oscillators have {', '.join(self.rules)}.")
        with one_thread():
            direction, solved = energy_response(self._held(inputs, nudge), free, nudge)
        return self.observable_derivative(free, direction), solved

    # -- what is observed -------------------------------------------------------------

    def observables(
        self,
        state: np.ndarray,
        inputs: np.ndarray,
        free: np.ndarray,
        keys: Keys | None = None,
    ) -> Values:
        """dE/dW, dE/dh and dE/dpsi, xy (8)."""
        cos, sin = np.cos(state), np.sin(state)
        pairs = np.empty((len(self.wiring.edges), state.shape[1]))
        for some, near, far in self._blocks(state):
            product = np.multiply(cos[near], cos[far], out=pairs[some])
            product += sin[near] * sin[far]
        along, across = self._towards_bias(cos, sin)
        return {
            "coupling": np.negative(pairs, out=pairs),
            "bias": -along,
            "bias_phase": -self.bias.values[:, None] * across,
        }

    def observable_derivative(self, state: np.ndarray, direction: np.ndarray) -> Values:
        """Derivatives of the observables along a direction of the state."""
        cos, sin = np.cos(state), np.sin(state)
        pairs = np.empty((len(self.wiring.edges), state.shape[1]))
        for some, near, far in self._blocks(state):
            sines = np.multiply(sin[near], cos[far], out=pairs[some])
            sines -= cos[near] * sin[far]
            sines *= direction[near] - direction[far]
        along, across = self._towards_bias(cos, sin)
        return {
            "coupling": pairs,
            "bias": across * direction,
            "bias_phase": -self.bias.values[:, None] * along * direction,
        }

    def _blocks(self, state: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """The edges with their two ends, so many at a time that what is computed stays in cache."""
        size = max(1, _BLOCK // max(1, state.shape[1]))
        for first in range(0, len(self.wiring.edges), size):
            some = slice(first, first + size)
            yield some, *self.wiring.edges[some].T

    def _towards_bias(self, cos: np.ndarray, sin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cos(phi - psi) and sin(phi - psi)."""
        angle = self.bias_phase.values[:, None]
        c, s = np.cos(angle), np.sin(angle)
        return cos * c + sin * s, sin * c - cos * s

    def energy(self, state: np.ndarray) -> np.ndarray:
        """E, xy (1), of states (nvertices, nsamples), shape (nsamples,)."""
        cos, sin = np.cos(state), np.sin(state)
        with one_thread():
            pairs = np.sum(cos * (self.weights @ cos) + sin * (self.weights @ sin), axis=0)
        along, _ = self._towards_bias(cos, sin)
        return -pairs / 2 - self.bias.values @ along

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy`` and, where it was found, ``lowest_curvature`` of E at the free state."""
        return {"energy": self.energy(steady.state), **steady.extra}

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Phases of each sample; couplings and biases."""
        shown = [
            Field(
                f"phase_{k}",
                _wrapped(phases),
                "vertex",
                picture="phase",
                label=r"phase $\phi$",
                title="phase",
                scale="cyclic",
                sample=k,
                film=True,
            )
            for k, phases in enumerate(state.T)
        ]
        for name, scale in _SCALES.items():
            parameter = self.parameters[name]
            shown.append(
                Field(
                    name,
                    parameter.values,
                    parameter.on,
                    picture=name,
                    label=f"{parameter.label} ${parameter.symbol}$",
                    title=parameter.label,
                    scale=scale,
                    film=True,
                )
            )
        return shown

    def marks(self) -> list[Mark]:
        """The clamped vertices."""
        if not self.ninputs:
            return []
        return [Mark("clamped", "", {"vertices": self.clamped.tolist()})]

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong."""
        return []


_SCALES: dict[str, Scale] = {"coupling": "diverging", "bias": "diverging", "bias_phase": "cyclic"}
_SYMBOLS = {
    "coupling": ("W", "coupling"),
    "bias": ("h", "bias"),
    "bias_phase": (r"\psi", "bias phase"),
}


def _wrapped(phases: np.ndarray) -> np.ndarray:
    """The same phases in [-pi, pi)."""
    return (phases + np.pi) % (2 * np.pi) - np.pi


def _polished(flowed: Steady, steady: Steady) -> Steady:
    """States that the flow reached and Newton's method polished; others as the flow left them."""
    reached = flowed.converged
    reason = tuple(
        b if ok else a for ok, a, b in zip(reached, flowed.reason, steady.reason, strict=True)
    )
    return Steady(
        np.where(reached, steady.state, flowed.state),
        reached & steady.converged,
        np.where(reached, steady.residual, flowed.residual),
        flowed.iterations + np.where(reached, steady.iterations, 0),
        reason,
        steady.extra | flowed.extra,
    )
