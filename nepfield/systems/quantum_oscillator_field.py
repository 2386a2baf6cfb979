"""Quantum oscillators as a Schroedinger field on the space of their positions.

    [ -sum_i hbar^2/(2 m_i) d^2/dr_i^2 + V(r; k, inputs) ] psi = E psi          qep (17) to (19)
    V = sum_i pin_i r_i^2 / 2 + sum_(ij) k_ij (r_i - r_j)^2 / 2,   int psi^2 = 1

    r       point of the mesh: the positions of the one or two free particles, so the mesh is an
            interval or a rectangle of the configuration space, with psi = 0 on its boundary
    k_ij    springs, which stay on the edges of the graph of the particles
    psi     the lowest state, which is real and has no zero

A nudge adds beta C(r) to V. The same ground state is known exactly as a Gaussian
(`nepfield.systems.quantum_oscillators`); here nothing is taken from there but the springs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values
from nepfield.fields.pictures import Field, Mark
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described
from nepfield.space.linalg import Factorisation, one_thread
from nepfield.space.space import Space
from nepfield.steady.steady import Steady
from nepfield.systems.quantum_oscillators import QuantumOscillators
from nepfield.systems.system import Figures, Push

EDGE = 1e-6
"""Share of the density that may lie in the outermost cells."""
_CONVERGED, _LEFT, _WALLS = range(3)
_REASONS = (
    "converged",
    "left a residual of {residual:.1e}; raise solver.max_iterations or take a coarser mesh.",
    "has {edge:.1e} of its density in the outermost cells: it leans on the walls. Take a wider "
    "mesh (physics.box), or stiffer springs.",
)


@dataclass(frozen=True, eq=False)
class QuantumOscillatorField(Described):
    """One or two quantum particles as a wave function on a mesh of their positions.

    Its parameters live on the edges of the graph of the particles, ``network.domain``; its domain,
    what is drawn, is the mesh: the density of the ground state over the potential that the springs
    make. A state holds the moments of all N particles as those of `QuantumOscillators` do, so that
    readouts and observables are the same, and then psi: (N + N^2 + ndof, nsamples).

    Parameters
    ----------
    network : QuantumOscillators
        With one or two free particles, and hbar > 0.
    space : Space
        Finite elements on an interval (one particle) or in the plane (two), with psi = 0 on the
        boundary (`nepfield.systems.configuration_space` makes one).

    Raises
    ------
    InputError
        If the space has another dimension than there are free particles, or hbar is 0.
    """

    network: QuantumOscillators
    space: Space

    def __post_init__(self) -> None:
        particles = len(self.network.free)
        if particles > 2:
            raise InputError(
                f"method mesh: {particles} particles are free, and a mesh has at most two "
                "dimensions, one for each; clamp more of them or use the method gaussian."
            )
        if self.space.is_graph or self.space.domain.dim != particles:
            raise InputError(
                f"method mesh: {particles} free particles need finite elements in {particles} "
                f"dimensions; {self.space.domain.source} has {self.space.domain.dim}."
            )
        if self.network.hbar == 0:
            raise InputError(
                "method mesh: with hbar = 0 there is no wave; set hbar > 0 or use the method "
                "gaussian."
            )

    # -- what it is -------------------------------------------------------------------

    rules = QuantumOscillators.rules
    nudge = QuantumOscillators.nudge
    warm_start = True
    figure_labels = QuantumOscillators.figure_labels

    @property
    def domain(self) -> Domain:
        """The mesh of the positions."""
        return self.space.domain

    @property
    def ninputs(self) -> int:
        """Number of clamped particles."""
        return self.network.ninputs

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return self.network.driven

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``stiffness`` (edges of the graph)."""
        return self.network.parameters

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> QuantumOscillatorField:
        """The same particles with other springs, moved into their bounds."""
        field = replace(self, network=self.network.with_parameters(values))
        for name in ("_kinetic", "_outermost"):  # they do not depend on the springs
            if name in self.__dict__:
                field.__dict__[name] = self.__dict__[name]
        return field

    @cached_property
    def _kinetic(self) -> sp.csr_array:
        """-sum_i hbar^2/(2 m_i) d^2/dr_i^2 in weak form, (ndof, ndof)."""
        dim = self.domain.dim
        factors = self.network.hbar**2 / (2 * self.network.mass[self.network.free])
        weight = self.space.wg * np.tile(factors, len(self.space.wg) // dim)
        return sp.csr_array(self.space.G.T @ sp.diags_array(weight) @ self.space.G)

    @cached_property
    def _outermost(self) -> np.ndarray:
        """Quadrature points of the cells on the boundary, as a mask."""
        on_wall = self.space.dof[self.space.elements] == self.space.ndof
        return on_wall.any(axis=1)[self.space.element_of_point]

    def potential(self, inputs: np.ndarray, points: np.ndarray) -> np.ndarray:
        """V at points of the mesh (npoints, dim), (npoints, nsamples)."""
        springs, free, clamped = self.network.springs, self.network.free, self.network.clamped
        own = 0.5 * np.einsum("qi,ij,qj->q", points, springs[np.ix_(free, free)], points)
        shift = points @ springs[np.ix_(free, clamped)] @ inputs.T
        constant = np.einsum("si,ij,sj->s", inputs, springs[np.ix_(clamped, clamped)], inputs)
        return own[:, None] + shift + 0.5 * constant

    def _positions(self, inputs: np.ndarray) -> np.ndarray:
        """Of all particles at each quadrature point; clamped ones at 0, which no nudge reads."""
        places = np.zeros((len(self.network.domain.points), len(self.space.points)))
        places[self.network.free] = self.space.points.T
        return places

    def _added(self, nudge: Push, inputs: np.ndarray) -> np.ndarray:
        """What a nudge adds to V at the quadrature points, (nq, nsamples)."""
        places = self._positions(inputs)
        rows = nudge.rows
        return nudge.table(places if rows is None else places[rows])

    # -- equilibrium ------------------------------------------------------------------

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        tolerance: float = 1e-10,
        max_iterations: int = 200,
        **options: Any,
    ) -> Steady:
        """The ground states for a batch of inputs, each by inverse iteration (Lanczos).

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs)
            Positions of the clamped particles.
        nudge : Nudge or FieldNudge, optional
        initial : ndarray, like the state, optional
            Where to start.
        keys, **options
            Not needed.
        tolerance : float
            Bound on the norm of (H - E) psi, relative to that of V psi.
        max_iterations : int

        Returns
        -------
        Steady
            A sample whose state leans on the walls has not converged. Of a free state ``energy``,
            and the part ``zero_point`` of it, in `extra`.
        """
        space, network = self.space, self.network
        held = network.held(inputs)
        first = len(held)
        state = np.concatenate([held, np.zeros((space.ndof, len(inputs)))])
        residual, edge, energy = np.zeros((3, len(inputs)))
        potential = self.potential(inputs, space.points)
        if nudge is not None:
            potential = potential + self._added(nudge, inputs)
        for k, values in enumerate(potential.T):
            start = None if initial is None else initial[first:, k]
            psi, energy[k], residual[k] = self._lowest(values, start, tolerance, max_iterations)
            state[first:, k] = psi
        self._fill_moments(state)
        density = space.w[:, None] * space.evaluate(state[first:]) ** 2
        edge = density[self._outermost].sum(axis=0)
        ended = np.where(residual <= tolerance, _CONVERGED, _LEFT)
        ended[(ended == _CONVERGED) & (edge > EDGE)] = _WALLS
        extra = {}
        if nudge is None:
            extra = {"energy": energy, "zero_point": energy - network.potential_energy(state)}
        return Steady(
            state,
            ended == _CONVERGED,
            residual,
            np.zeros(len(inputs), dtype=int),
            tuple(
                _REASONS[how].format(residual=r, edge=e)
                for how, r, e in zip(ended, residual, edge, strict=True)
            ),
            extra,
        )

    def _lowest(
        self, potential: np.ndarray, start: np.ndarray | None, tolerance: float, most: int
    ) -> tuple[np.ndarray, float, float]:
        """psi, E and residual of the ground state in a potential at the quadrature points."""
        space = self.space
        well = space.assemble(potential)
        matrix, floor = self._kinetic + well, float(potential.min())
        if start is None or not np.isfinite(start).all() or not np.any(start):
            start = np.ones(space.ndof)
        # no level lies below the lowest potential, so H - floor is positive definite
        inverse = Factorisation(matrix - floor * space.mass)
        operator = spla.LinearOperator(matrix.shape, inverse.solve, dtype=float)
        try:
            with one_thread():
                found, vectors = spla.eigsh(
                    matrix, 1, space.mass, sigma=floor, v0=space.mass @ start, maxiter=most,
                    OPinv=operator, tol=0.01 * tolerance,
                )  # fmt: skip
        except spla.ArpackNoConvergence:
            return start, np.nan, np.inf
        psi = vectors[:, 0] * np.sign(vectors[:, 0].sum())
        energy, left = float(found[0]), matrix @ psi - found[0] * (space.mass @ psi)
        size = space.residual_norm((well @ psi)[:, None])[0]
        return psi, energy, float(space.residual_norm(left[:, None])[0] / size)

    def _fill_moments(self, state: np.ndarray) -> None:
        """Means and covariance of the free particles by quadrature, written into the state."""
        first, free = len(state) - self.space.ndof, self.network.free
        points = self.space.points
        density = self.space.w[:, None] * self.space.evaluate(state[first:]) ** 2
        means, covariance = self.network.moments(state)
        total = density.sum(axis=0)
        centre = points.T @ density / total
        second = np.einsum("qi,qj,qs->ijs", points, points, density, optimize=True) / total
        means[free] = centre
        covariance[np.ix_(free, free)] = second - centre[:, None] * centre[None]

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient of the mean cost (`kind` "adjoint"): how psi answers to C(r),

            (H - E) dpsi = -(C - <C>) psi,    int psi dpsi = 0

        and how the moments follow.
        """
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: quantum oscillators have {', '.join(self.rules)}.")
        space, network = self.space, self.network
        first = len(free) - space.ndof
        added = self._added(nudge, inputs)
        change, solved = np.zeros((space.ndof, len(inputs))), np.full(len(inputs), True)
        for k, values in enumerate(self.potential(inputs, space.points).T):
            psi = free[first:, k]
            change[:, k], solved[k] = self._response(psi, values, added[:, k])
        points, rows = space.points, network.free
        moves = 2 * space.w[:, None] * space.evaluate(free[first:]) * space.evaluate(change)
        means, covariance = np.zeros_like(free[: len(network.domain.points)]), None
        means[rows] = points.T @ moves
        at = free[rows]
        second = np.einsum("qi,qj,qs->ijs", points, points, moves, optimize=True)
        shift = at[:, None] * means[rows][None]
        covariance = np.zeros((len(means), len(means), len(inputs)))
        covariance[np.ix_(rows, rows)] = second - shift - shift.swapaxes(0, 1)
        return network.observable_derivative(free, means, covariance), solved

    def _response(
        self, psi: np.ndarray, potential: np.ndarray, added: np.ndarray
    ) -> tuple[np.ndarray, bool]:
        """dpsi, and whether it was found, of one sample."""
        space = self.space
        matrix = self._kinetic + space.assemble(potential)
        norm, push = space.mass @ psi, space.assemble(added) @ psi
        energy = psi @ (matrix @ psi)
        right = (psi @ push) * norm - push
        # the condition on dpsi as a border makes the singular H - E regular
        bordered = sp.block_array(
            [[matrix - energy * space.mass, norm[:, None]], [norm[None], None]], format="csr"
        )
        try:
            solution = spla.splu(bordered.tocsc()).solve(np.append(right, 0.0))
        except RuntimeError:
            return np.zeros(space.ndof), False
        left = bordered @ solution - np.append(right, 0.0)
        return solution[:-1], bool(np.abs(left).max() <= 1e-8 * max(np.abs(right).max(), 1e-300))

    # -- what is observed -------------------------------------------------------------

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, free: np.ndarray, keys: Keys | None = None
    ) -> Values:
        """<dH/dk>, qep (21)."""
        return self.network.observables(state, inputs, free, keys)

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy`` of the ground state, and the part ``zero_point`` of it that hbar makes."""
        return self.network.figures(steady, inputs, response)

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Density and psi of each sample over the positions, and the potential of the springs."""
        psi = self.space.at_nodes(state[len(state) - self.space.ndof :])
        potential = self.potential(inputs, self.space.nodes)
        shown = []
        for k in range(state.shape[1]):
            shown += [
                Field(
                    f"density_{k}", psi[:, k] ** 2, "node", picture="density",
                    label=r"density $\psi^2$", title="density ψ²", scale="intensity", sample=k,
                    film=True,
                ),
                Field(f"psi_{k}", psi[:, k].copy(), "node", label=r"$\psi$", sample=k),
                Field(
                    f"potential_{k}", potential[:, k].copy(), "node", picture="potential",
                    label="potential $V$", title="potential V of the springs", sample=k, film=True,
                ),
            ]  # fmt: skip
        return shown

    def marks(self) -> list[Mark]:
        """None: the clamped particles are not on the mesh."""
        return []

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """Says which targets no springs can reach."""
        return self.network.advice(history, summary)
