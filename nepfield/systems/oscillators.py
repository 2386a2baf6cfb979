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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values, moved, placed
from nepfield.fields.pictures import Field, Mark, Scale, clamped_marks, gradient_field
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described, counted
from nepfield.space.linalg import one_thread
from nepfield.steady.energy import Added, Landscape
from nepfield.steady.minimum import energy_response
from nepfield.steady.steady import Steady
from nepfield.systems.clamped_phases import HeldEnergy, Wiring, find_phases, wrapped
from nepfield.systems.system import Figures, about_system

_MEASURED = 64  # samples


@dataclass(frozen=True, eq=False)
class Oscillators(Described):
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
        wiring = Wiring.of(domain, clamped, wiring)
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
    figure_labels = {"energy": "energy $E$", "lowest_curvature": "lowest curvature of $E$"}

    @property
    def ninputs(self) -> int:
        """Number of clamped oscillators."""
        return len(self.clamped)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the {counted(len(self.clamped), 'clamped oscillator')}"

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
        **options: Any,
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
        **options
            ``method``, ``tolerance`` and more, as `nepfield.systems.clamped_phases.find_phases`
            has them.

        Returns
        -------
        Steady
            Of free states, ``lowest_curvature`` in its `extra`: the lowest eigenvalue of d2E.
        """
        with one_thread():
            return find_phases(self._held(inputs, nudge), nudge, initial, keys, **options)

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
        for some, near, far in self.wiring.runs:
            product = np.multiply(-cos[near], cos[far], out=pairs[some])
            product -= sin[near] * sin[far]
        along, across = self._towards_bias(cos, sin)
        return {
            "coupling": pairs,
            "bias": -along,
            "bias_phase": -self.bias.values[:, None] * across,
        }

    def observable_derivative(self, state: np.ndarray, direction: np.ndarray) -> Values:
        """Derivatives of the observables along a direction of the state."""
        cos, sin = np.cos(state), np.sin(state)
        pairs = np.empty((len(self.wiring.edges), state.shape[1]))
        for some, near, far in self.wiring.runs:
            sines = np.multiply(sin[near], cos[far], out=pairs[some])
            sines -= cos[near] * sin[far]
            sines *= direction[near] - direction[far]
        along, across = self._towards_bias(cos, sin)
        return {
            "coupling": pairs,
            "bias": across * direction,
            "bias_phase": -self.bias.values[:, None] * along * direction,
        }

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
        """``energy`` and ``lowest_curvature`` of E at the free state; the latter, where the search
        did not find it, of the first samples only."""
        lowest = steady.extra.get("lowest_curvature")
        if lowest is None:
            lowest, some = np.full(len(inputs), np.nan), slice(_MEASURED)
            held, samples = self._held(inputs[some], None), np.arange(len(inputs[some]))
            if len(held.rows):
                found = Landscape(held, None, samples).hessian(steady.state[:, some])
                lowest[some] = found.lowest()
        return {"energy": self.energy(steady.state), "lowest_curvature": lowest}

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Phases of each sample over the couplings; biases; and the gradient by each of these."""
        shown = [
            Field(
                f"phase_{k}", wrapped(phases), "vertex", picture="phase", label=r"phase $\phi$",
                title="phase", scale="cyclic", sample=k, film=True,
            )
            for k, phases in enumerate(state.T)
        ]  # fmt: skip
        for name, parameter in self.parameters.items():
            picture = "phase" if name == "coupling" else name
            scale: Scale = "cyclic" if name == "bias_phase" else "diverging"
            values = wrapped(parameter.values) if scale == "cyclic" else parameter.values
            shown.append(
                Field(
                    name, values, parameter.on, picture=picture, label=parameter.label,
                    title=parameter.label, scale=scale, film=True,
                )
            )  # fmt: skip
            if gradient is not None and name in gradient:
                drawn = "gradient" if name != "bias_phase" else ""
                shown.append(gradient_field(name, parameter, gradient[name], drawn))
        return shown

    def marks(self) -> list[Mark]:
        """The clamped vertices."""
        return clamped_marks(self.clamped)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong."""
        said = []
        cosines = [row.get("gradient_cosine") for row in history]
        known = [cosine for cosine in cosines if cosine is not None and np.isfinite(cosine)]
        if known and known[-1] < 0.5 and summary.get("rule") != "adjoint":
            said.append(
                f"the contrast of free and nudged phases (cosine {known[-1]:.2f} to the exact "
                "gradient) is no small step: lower training.beta"
            )
        distances = [row["mean_distance"] for row in history if "mean_distance" in row]
        outputs = np.shape(summary.get("outputs", [[0.0]]))[-1]
        if distances and np.mean(distances[-20:]) > 0.1 * outputs:
            said.append(
                "phases end far from their targets: restart with another seed, take more starts of "
                "each sample (training.starts), or a training.beta between 0.05 and 0.2, which "
                "bounds a step by 2 rate / beta"
            )
        return said

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_system(self)


_SYMBOLS = {
    "coupling": ("W", "coupling $W$"),
    "bias": ("h", "bias $h$"),
    "bias_phase": (r"\psi", r"bias phase $\psi$"),
}
