"""Quantum harmonic oscillators: particles on a line that springs couple.

    H = sum_i [ p_i^2 / (2 m_i) + pin_i r_i^2 / 2 ] + sum_(ij) k_ij (r_i - r_j)^2 / 2     qep (19)
    C = sum_outputs (r_i - y_i)^2 / 2                                               qep (20), halved
    dH/dk_ij = (r_i - r_j)^2 / 2                                                     qep (21), (22)

    r_i     position of the particle on vertex i; inputs are the positions of the clamped ones,
            which are classical
    k_ij    spring on the edge between i and j
    pin_i   spring that holds particle i at 0, never trained

The ground state of H + beta C is a Gaussian, with A the matrix of the springs of the free particles
and M their masses:

    <r> = -A^-1 pull        Cov r = hbar/2 M^-1/2 (M^-1/2 A M^-1/2)^-1/2 M^-1/2

The nudge is springs to the targets, so it changes A and with it the covariance. Training therefore
makes the spread of the outputs small too: the zero-point part of the cost, which no position of
the inputs changes. For hbar = 0 it is an elastic network.

`nepfield.systems.quantum_oscillator_field` finds the same ground state as a wave function.
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
from nepfield.fields.pictures import Field, Mark, clamped_marks
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described, counted
from nepfield.space.linalg import one_thread
from nepfield.steady.steady import Steady
from nepfield.systems.clamped_phases import Wiring
from nepfield.systems.gaussian_states import (
    applied,
    covariance_change,
    covariance_of,
    normal_modes,
)
from nepfield.systems.system import Figures, Push, about_system

_ROUNDING = 1e-13  # of the stiffest mode: what is softer is held by nothing
_REASONS = (
    "converged",
    "is not held: a direction has no stiffness, or less than none. Pin the particles, keep the "
    "springs above 0 (bounds), and where the nudge is away from the target lower beta.",
    "left a residual of {:.1e}: the cost is not quadratic in the positions, so the ground state is "
    'no Gaussian. Take cost "mse".',
)


@dataclass(frozen=True, eq=False)
class QuantumOscillators(Described):
    """Quantum particles on a line, one a vertex of a graph, with springs along its edges.

    A state holds the means of all N particles and then their covariance matrix, row by row:
    (N + N^2, nsamples). Clamped particles have no spread.

    Parameters
    ----------
    domain : Domain
        A graph.
    stiffness : Parameter, number or array
        k of each edge. Springs between two clamped particles have no effect and are not trained.
    clamped : sequence of int
        Vertices whose positions are the inputs, in the order of these.
    mass, pin : float or ndarray, shape (nvertices,)
        m > 0 and pin >= 0 of the particles; those of the clamped ones have no effect.
    hbar : float
        0 for the classical network.
    wiring : Wiring, optional
        Of the same graph with the same clamped vertices, where it was made already.

    Raises
    ------
    InputError
        If the domain is no graph, numbers do not fit it, or no particle is free.
    """

    domain: Domain
    stiffness: Parameter
    clamped: np.ndarray
    mass: np.ndarray
    pin: np.ndarray
    hbar: float
    wiring: Wiring

    def __init__(
        self,
        domain: Domain,
        stiffness: Parameter | ArrayLike,
        clamped: Sequence[int] | np.ndarray = (),
        mass: ArrayLike = 1.0,
        pin: ArrayLike = 0.2,
        hbar: float = 1.0,
        wiring: Wiring | None = None,
    ) -> None:
        if domain.kind != "graph":
            raise InputError(
                f"quantum oscillators: {domain.source} is a mesh; their springs are the edges of a "
                "graph."
            )
        wiring = Wiring.of(domain, clamped, wiring)
        if not wiring.free.any():
            raise InputError(
                f"clamped = {np.asarray(clamped).tolist()}: this is every vertex of "
                f"{domain.source}; leave at least one particle free."
            )
        if np.ndim(hbar) != 0 or not np.isfinite(hbar) or hbar < 0:
            raise InputError(f"hbar = {hbar}: give a finite number, at least 0.")
        n = len(domain.points)
        for name, value in (
            ("domain", domain),
            ("stiffness", placed(stiffness, "stiffness", "edge", wiring.acts, "k", "stiffness k")),
            ("clamped", wiring.clamped),
            ("mass", _numbers("mass", mass, n, "> 0", np.greater)),
            ("pin", _numbers("pin", pin, n, ">= 0", np.greater_equal)),
            ("hbar", float(hbar)),
            ("wiring", wiring),
        ):
            object.__setattr__(self, name, value)

    # -- what it is -------------------------------------------------------------------

    rules = ("ep", "ep-symmetric", "adjoint")
    nudge = "full"
    warm_start = False
    figure_labels = {
        "energy": r"energy $\langle H \rangle$", "zero_point": "zero-point energy"
    }  # fmt: skip

    @property
    def ninputs(self) -> int:
        """Number of clamped particles."""
        return len(self.clamped)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the {counted(len(self.clamped), 'clamped particle')}"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``stiffness`` (nedges,)."""
        return {"stiffness": self.stiffness}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> QuantumOscillators:
        """The same particles with other springs, moved into their bounds."""
        return replace(self, **moved(self.parameters, values))

    @cached_property
    def free(self) -> np.ndarray:
        """The vertices whose particles move."""
        return np.flatnonzero(self.wiring.free)

    @cached_property
    def springs(self) -> np.ndarray:
        """The matrix K of the potential r K r / 2 of all particles, (nvertices, nvertices)."""
        matrix = np.diag(np.where(self.wiring.free, self.pin, 0.0))
        (i, j), k = self.wiring.edges.T, self.stiffness.values
        for row, column, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
            np.add.at(matrix, (row, column), sign * k)
        return matrix

    # -- equilibrium ------------------------------------------------------------------

    def held(self, inputs: np.ndarray) -> np.ndarray:
        """States in which the clamped particles are where the inputs say and all else is 0."""
        n = len(self.domain.points)
        state = np.zeros((n + n * n, len(inputs)))
        state[self.clamped] = inputs.T
        return state

    def _matrix(self, held: np.ndarray, nudge: Push | None) -> tuple[np.ndarray, np.ndarray]:
        """A, (1 or nsamples, nfree, nfree), and the force -pull on free particles at 0."""
        matrix = self.springs[np.ix_(self.free, self.free)][None]
        pull = self.springs[self.free] @ held[: len(self.domain.points)]
        if nudge is not None:
            stiffness = nudge.stiffness(held, self.free)
            # as a rule it is the same for all samples: one factorisation then serves them all
            common = len(stiffness) > 0 and bool(np.all(stiffness == stiffness[:1]))
            matrix = matrix + (stiffness[:1] if common else stiffness)
            pull = pull + nudge.force(held)[self.free]
        return matrix, pull

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        tolerance: float = 1e-10,
        **options: Any,
    ) -> Steady:
        """The ground states for a batch of inputs, by one eigenvalue problem of the springs.

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs)
            Positions of the clamped particles.
        nudge : Nudge or FieldNudge, optional
            Of a cost that is quadratic in the positions. A linearised one moves the means alone.
        initial, keys, **options
            Not needed: there is one ground state, and it is found directly.
        tolerance : float
            Bound on the force that is left, relative to those that cancel.

        Returns
        -------
        Steady
            Of a free state ``energy``, <H>, and the part ``zero_point`` of it in `extra`.
        """
        n, rows = len(self.domain.points), self.free
        state = self.held(inputs)
        matrix, pull = self._matrix(state, nudge)
        squares, modes = normal_modes(matrix, self.mass[rows])
        bound = squares[:, 0] > _ROUNDING * np.abs(squares).max(axis=1)
        squares = np.where(bound[:, None], squares, 1.0)
        with one_thread():
            state[rows] = -applied(modes / squares[:, None], modes, pull)
            spread = covariance_of(squares, modes, self.hbar)
            left = self.springs[rows] @ state[:n]
        covariance = state[n:].reshape(n, n, -1)
        covariance[np.ix_(rows, rows)] = np.moveaxis(spread, 0, -1)
        if nudge is not None:
            left = left + nudge.force(state)[rows]
        size = np.abs(pull).max(axis=0) + np.abs(matrix).max(axis=(1, 2)) * np.abs(state[rows]).max(
            axis=0
        )
        residual = np.abs(left).max(axis=0) / np.where(size > 0, size, 1.0)
        ended = np.where(residual <= tolerance, 0, 2)
        ended = np.where(np.broadcast_to(bound, ended.shape), ended, 1)
        extra = {}
        if nudge is None:
            zero = np.full(len(inputs), 0.5 * self.hbar * np.sqrt(squares).sum())
            extra = {"energy": self.potential_energy(state) + zero, "zero_point": zero}
        return Steady(
            state,
            ended == 0,
            residual,
            np.zeros(len(inputs), dtype=int),
            tuple(_REASONS[k].format(r) for k, r in zip(ended, residual, strict=True)),
            extra,
        )

    def potential_energy(self, state: np.ndarray) -> np.ndarray:
        """Of the springs with each particle at its mean, shape (nsamples,)."""
        means = state[: len(self.domain.points)]
        return 0.5 * np.sum(means * (self.springs @ means), axis=0)

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient of the mean cost (`kind` "adjoint"): how means and covariance move
        with a nudge that grows from 0."""
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: quantum oscillators have {', '.join(self.rules)}.")
        n, rows = len(self.domain.points), self.free
        held = self.held(inputs)
        bare, pull = self._matrix(held, None)
        nudged, nudged_pull = self._matrix(held, nudge)
        stiffness = nudged - bare
        force = nudge.force(free)[rows]
        squares, modes = normal_modes(bare, self.mass[rows])
        with one_thread():
            quadratic = nudged_pull - pull + applied(stiffness, None, free[rows])
            means = np.zeros((n, len(inputs)))
            means[rows] = -applied(modes / squares[:, None], modes, force)
            spread = covariance_change(squares, modes, stiffness, self.hbar)
        covariance = np.zeros((n, n, len(inputs)))
        covariance[np.ix_(rows, rows)] = np.moveaxis(spread, 0, -1)
        size = np.abs(force).max(axis=0) + np.abs(quadratic).max(axis=0)
        solved = np.abs(force - quadratic).max(axis=0) <= 1e-8 * size
        return self.observable_derivative(free, means, covariance), solved

    # -- what is observed -------------------------------------------------------------

    def moments(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (nvertices, nsamples) and covariances (nvertices, nvertices, nsamples)."""
        n = len(self.domain.points)
        return state[:n], state[n : n + n * n].reshape(n, n, -1)

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, free: np.ndarray, keys: Keys | None = None
    ) -> Values:
        """<dH/dk>, qep (21)."""
        means, covariance = self.moments(state)
        i, j = self.wiring.edges.T
        return {"stiffness": 0.5 * (means[i] - means[j]) ** 2 + self._stretch(covariance)}

    def observable_derivative(
        self, state: np.ndarray, means: np.ndarray, covariance: np.ndarray
    ) -> Values:
        """How the observables move with the moments."""
        at, _ = self.moments(state)
        i, j = self.wiring.edges.T
        return {"stiffness": (at[i] - at[j]) * (means[i] - means[j]) + self._stretch(covariance)}

    def _stretch(self, covariance: np.ndarray) -> np.ndarray:
        """Half the variance of the length of each spring."""
        i, j = self.wiring.edges.T
        return 0.5 * (covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy`` of the ground state, and the part ``zero_point`` of it that hbar makes."""
        return dict(steady.extra)

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Mean and deviation of each particle; the springs, which colour the edges beside both."""
        means, covariance = self.moments(state)
        deviation = np.sqrt(np.maximum(np.einsum("iis->is", covariance), 0.0))
        shown = []
        for k in range(state.shape[1]):
            shown += [
                Field(
                    f"position_{k}", means[:, k].copy(), "vertex", picture="position",
                    label=r"mean position $\langle r \rangle$", title="mean position",
                    scale="diverging", sample=k, film=True,
                )
            ]  # fmt: skip
        if self.hbar > 0:  # the same for all samples
            shown += [
                Field(
                    "deviation", deviation[:, 0].copy(), "vertex", picture="deviation",
                    label=r"deviation $\sqrt{\mathrm{Var}\, r}$", title="zero-point deviation",
                    film=True,
                )
            ]  # fmt: skip
        springs: dict[str, Any] = dict(label=f"stiffness ${self.stiffness.symbol}$", film=True)
        return [
            *shown,
            Field(
                "stiffness", self.stiffness.values, "edge", picture="position",
                title="stiffness", **springs,
            ),
        ]  # fmt: skip

    def marks(self) -> list[Mark]:
        """The clamped vertices."""
        return clamped_marks(self.clamped)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """Says which targets no springs reach: each mean is a combination of the inputs and of 0
        (the pins) with weights that are not negative and add up to 1."""
        given, wanted = np.asarray(summary["inputs"]), np.asarray(summary["targets"])
        low = given.min(axis=1, initial=0.0)[:, None]
        high = given.max(axis=1, initial=0.0)[:, None]
        beyond = np.count_nonzero(np.any((wanted < low) | (wanted > high), axis=1))
        if not beyond:
            return []
        return [
            f"{beyond} of {len(wanted)} samples have targets that no springs reach: a mean "
            "position lies between 0 and the inputs of its sample. Scale the targets down "
            "(task.target_levels)."
        ]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_system(self)


def _numbers(name: str, value: ArrayLike, n: int, least: str, fits: np.ufunc) -> np.ndarray:
    """One number a vertex."""
    values = np.asarray(value, dtype=float)
    if values.shape not in ((), (n,)) or not np.all(np.isfinite(values) & fits(values, 0)):
        raise InputError(
            f"{name} = {values.tolist()}: give a number {least}, or one for each of the {n} "
            "vertices."
        )
    return np.array(np.broadcast_to(values, (n,)))
