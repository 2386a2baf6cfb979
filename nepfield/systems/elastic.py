"""Elastic networks: masses in the plane, joined by springs.

    E(r) = sum_ij k_ij (|r_i - r_j| - l_ij)^2 / 2                                       qep (36)
    C(r, y) = sum_i |r_i - y_i|^2 over the read masses                                  qep (37)
    dE/dk_ij = (|r_i - r_j| - l_ij)^2 / 2,   dE/dl_ij = k_ij (l_ij - |r_i - r_j|)       qep (38)

    r_i     position of the mass on vertex i; the inputs displace the clamped ones
    k_ij    stiffness of the spring on the edge between i and j
    l_ij    its rest length
    C       the cost, which `nepfield.MSE` has with a factor 1/2 (a nudge is a spring of stiffness
            beta to the target, and not 2 beta)

A network settles into a minimum of E. Springs that turn make it nonlinear, and where they are
pressed together there is more than one minimum: it is the one reached from the domain, over which
the displacements of the clamped masses are spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values, moved, placed
from nepfield.fields.pictures import Field, Mark
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.mesh.vertices import chosen_vertices, edge_lengths
from nepfield.reprs import Described
from nepfield.space.linalg import one_thread
from nepfield.steady.energy import Added
from nepfield.steady.minimum import energy_response, minimum
from nepfield.steady.steady import Steady
from nepfield.systems.elastic_fields import network_fields
from nepfield.systems.system import Figures, about_system

FLOOR = 1e-3
"""Lowest stiffness of springs that have no bounds: they must push back."""
_STEP = 0.5  # largest step of Newton's method, in typical lengths of an edge
_FLOPPY = 1e-9  # lowest curvature of E over the largest stiffness, of a motion that nothing holds


@dataclass(frozen=True, eq=False)
class ElasticNetwork(Described):
    """Masses on the vertices of a planar graph, springs on its edges.

    A state holds the positions, (2 nvertices, nsamples): x0, y0, x1, ... of all masses.

    Parameters
    ----------
    domain : Domain
        A graph in the plane; where its vertices are is where the masses start.
    stiffness : Parameter, number or array
        k, an edge; none below 0. Without bounds it has a floor of 0.001.
    rest_length : Parameter, number, array or "mesh"
        l, an edge; "mesh" are the lengths in the domain, which is then at rest. Without bounds it
        stays above 0.
    clamped : sequence of int
        Vertices that the inputs displace from their place in the domain, two numbers each: x and y
        of the first one, of the second one, ...
    fixed : sequence of int
        Vertices that stay where they are.

    Raises
    ------
    InputError
        If the domain is no planar graph, numbers do not fit it, or a vertex is held twice.

    Notes
    -----
    Springs between two held vertices have no effect and are not trained.
    """

    domain: Domain
    stiffness: Parameter
    rest_length: Parameter
    clamped: np.ndarray
    fixed: np.ndarray

    def __init__(
        self,
        domain: Domain,
        stiffness: Parameter | ArrayLike = 1.0,
        rest_length: Parameter | ArrayLike | Literal["mesh"] = "mesh",
        clamped: Sequence[int] | np.ndarray = (),
        fixed: Sequence[int] | np.ndarray = (),
    ) -> None:
        if domain.kind != "graph" or domain.points.shape[1] != 2:
            raise InputError(
                f"elastic network: {domain.source} is no graph in the plane; masses are on the "
                "vertices of one."
            )
        held = np.zeros(len(domain.points), dtype=bool)
        vertices = {}
        for name, given in (("clamped", clamped), ("fixed", fixed)):
            chosen = vertices[name] = chosen_vertices(domain, name, given)
            if held[chosen].any():
                twice = chosen[held[chosen]][0]
                raise InputError(f"vertex {twice} is clamped and fixed: choose one.")
            held[chosen] = True
        acts = np.any(~held[domain.cells], axis=1)
        if isinstance(rest_length, str):
            rest_length = edge_lengths(domain)
        for name, value in (
            ("domain", domain),
            ("stiffness", _placed(stiffness, "stiffness", acts, FLOOR)),
            ("rest_length", _placed(rest_length, "rest_length", acts, 0.0)),
            *vertices.items(),
        ):
            object.__setattr__(self, name, value)

    # -- what it is -------------------------------------------------------------------

    rules = ("ep", "ep-symmetric", "adjoint")
    nudge = "full"
    warm_start = False  # what is trained is what a network at rest does when it is displaced
    figure_labels = {
        "energy": "energy $E$",
        "lowest_curvature": "lowest curvature of $E$",
        "largest_strain": "largest strain",
    }

    @property
    def ninputs(self) -> int:
        """Two for each clamped vertex."""
        return 2 * len(self.clamped)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the x and y of {len(self.clamped)} clamped vertices"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``stiffness`` and ``rest_length``, (nedges,)."""
        return {"stiffness": self.stiffness, "rest_length": self.rest_length}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> ElasticNetwork:
        """The same network with other springs, moved into their bounds."""
        return replace(self, **moved(self.parameters, values))

    # -- the energy, as nepfield.steady knows it --------------------------------------

    @cached_property
    def free(self) -> np.ndarray:
        """Rows of the state that move, (2 nvertices,)."""
        mask = np.ones(self.domain.points.shape, dtype=bool)
        mask[self.clamped] = mask[self.fixed] = False
        return mask.ravel()

    def _springs(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each edge the vector (nedges, 2, nsamples) along it, and its length."""
        places = state.reshape(-1, 2, state.shape[1])
        near, far = self.domain.cells.T
        along = places[near] - places[far]
        return along, np.sqrt((along**2).sum(axis=1))

    def _compression(self, length: np.ndarray) -> np.ndarray:
        """l / L, bounded where a spring has no length."""
        shortest = 1e-9 * self._edge
        return self.rest_length.values[:, None] / np.maximum(length, shortest)

    @cached_property
    def _edge(self) -> float:
        """A typical length of an edge in the domain."""
        lengths = edge_lengths(self.domain)
        return float(np.median(lengths)) if len(lengths) else 1.0

    def energy(self, state: np.ndarray, samples: np.ndarray | None = None) -> np.ndarray:
        """E, qep (36), of states (2 nvertices, nsamples), shape (nsamples,)."""
        _, length = self._springs(state)
        extension = length - self.rest_length.values[:, None]
        return 0.5 * self.stiffness.values @ extension**2

    def force(self, state: np.ndarray, samples: np.ndarray | None = None) -> np.ndarray:
        """dE/dr, like the state."""
        along, length = self._springs(state)
        # k (1 - l/L) d: regular in springs of rest length 0, whatever their length
        tension = self.stiffness.values[:, None] * (1 - self._compression(length))
        pull = tension[:, None] * along
        force = np.zeros((len(self.domain.points), 2, state.shape[1]))
        near, far = self.domain.cells.T
        np.add.at(force, near, pull)
        np.add.at(force, far, -pull)
        return force.reshape(state.shape)

    def hessian(self, state: np.ndarray, samples: np.ndarray | None = None) -> np.ndarray:
        """d2E/dr2, (nsamples, 2 nvertices, 2 nvertices).

        A spring has the block ``k [(1 - l/L) 1 + (l/L) u u^T]``, u the unit vector along it.
        """
        along, length = self._springs(state)
        shortest = 1e-9 * self._edge
        unit = along / np.maximum(length, shortest)[:, None]
        pressed = self._compression(length)
        block = pressed[:, None, None] * unit[:, :, None] * unit[:, None, :]
        for axis in range(2):
            block[:, axis, axis] += 1 - pressed
        block *= self.stiffness.values[:, None, None, None]
        n, nsamples = len(self.domain.points), state.shape[1]
        hessian = np.zeros((nsamples, n, 2, n, 2))
        near, far = self.domain.cells.T  # no pair stands twice in a graph
        entries = -np.moveaxis(block, -1, 1)  # (nedges, nsamples, 2, 2), as NumPy wants it
        hessian[:, near, :, far] = hessian[:, far, :, near] = entries
        every = np.arange(n)
        hessian[:, every, :, every] = -np.moveaxis(hessian.sum(axis=3), 0, 1)
        return hessian.reshape(nsamples, 2 * n, 2 * n)

    # -- equilibrium ------------------------------------------------------------------

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Added | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        tolerance: float = 1e-10,
        max_iterations: int = 200,
    ) -> Steady:
        """Minima of the energy for a batch of inputs.

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, 2 nclamped)
            Displacements of the clamped vertices, x and y of each.
        nudge : Nudge or FieldNudge, optional
        initial : ndarray, shape (2 nvertices, nsamples), optional
            Where to start; columns that hold a nan start from the domain, over which the
            displacements of the held vertices are spread evenly.
        keys : Keys, optional
            Not needed: nothing is drawn.
        tolerance, max_iterations
            As `nepfield.steady.minimum.minimum` has them; the unit of length is half a typical
            edge.

        Returns
        -------
        Steady
            Of a free state, ``lowest_curvature`` in its `extra`: the lowest eigenvalue of d2E.
        """
        with one_thread():
            return minimum(
                self,
                self._start(inputs, initial),
                nudge,
                tolerance=tolerance,
                max_iterations=max_iterations,
                largest_step=_STEP * self._edge,
                curvature=nudge is None,
            )

    def _start(self, inputs: np.ndarray, initial: np.ndarray | None) -> np.ndarray:
        """Where each sample starts, (2 nvertices, nsamples), held vertices where they belong."""
        moves = np.zeros((len(self.domain.points), 2, len(inputs)))
        moves[self.clamped] = inputs.T.reshape(-1, 2, len(inputs))
        cold = np.full(len(inputs), True) if initial is None else np.isnan(initial).any(axis=0)
        held = ~self.free[::2]
        if cold.any() and held.any():
            rows = np.ix_(np.flatnonzero(~held), np.arange(2), np.flatnonzero(cold))
            moves[rows] = self._spread(moves[held][..., cold], held)
        places = self.domain.points[:, :, None] + moves
        if initial is not None:
            known = initial.reshape(places.shape)
            places = np.where(cold | held[:, None, None], places, known)
        return places.reshape(-1, len(inputs))

    def _spread(self, moves: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Displacements of the free vertices, each the mean of those of its neighbours.

        So a network whose held vertices move alike moves as a whole, and where they do not no part
        of it is turned over.
        """
        n = len(held)
        laplacian = np.zeros((n, n))
        near, far = self.domain.cells.T
        laplacian[near, far] = laplacian[far, near] = -1.0
        np.fill_diagonal(laplacian, -laplacian.sum(axis=1) + 1e-9)  # pieces that nothing holds stay
        right = -laplacian[np.ix_(~held, held)] @ moves.reshape(len(moves), -1)
        spread = np.linalg.solve(laplacian[np.ix_(~held, ~held)], right)
        return spread.reshape(-1, *moves.shape[1:])

    def respond(
        self, kind: str, free: np.ndarray, nudge: Added, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient, the limit of equilibrium propagation for beta -> 0 ("adjoint")."""
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: elastic networks have {', '.join(self.rules)}.")
        with one_thread():
            direction, solved = energy_response(self, free, nudge)
        return self.observable_derivative(free, direction), solved

    # -- what is observed -------------------------------------------------------------

    def observables(
        self,
        state: np.ndarray,
        inputs: np.ndarray,
        free: np.ndarray,
        keys: Keys | None = None,
    ) -> Values:
        """dE/dk and dE/dl, qep (38)."""
        _, length = self._springs(state)
        extension = length - self.rest_length.values[:, None]
        return {
            "stiffness": 0.5 * extension**2,
            "rest_length": -self.stiffness.values[:, None] * extension,
        }

    def observable_derivative(self, state: np.ndarray, direction: np.ndarray) -> Values:
        """Derivatives of the observables along a direction of the state."""
        along, length = self._springs(state)
        change, _ = self._springs(direction)
        stretch = (along * change).sum(axis=1) / np.maximum(length, 1e-9 * self._edge)
        return {
            "stiffness": (length - self.rest_length.values[:, None]) * stretch,
            "rest_length": -self.stiffness.values[:, None] * stretch,
        }

    def strain(self, state: np.ndarray) -> np.ndarray:
        """(L - l) / l of each spring, (nedges, nsamples); nan where it has no rest length."""
        rest = self.rest_length.values[:, None]
        _, length = self._springs(state)
        known = np.where(rest > 0, rest, np.nan)
        return (length - rest) / known

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy``, the ``largest_strain`` of a spring by its size and, where it was found, the
        ``lowest_curvature`` of E at the free state."""
        strain = np.nan_to_num(np.abs(self.strain(steady.state))).max(axis=0, initial=0.0)
        return {"energy": self.energy(steady.state), "largest_strain": strain, **steady.extra}

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """The network as it is displaced for each sample, with stiffnesses and strains; rest
        lengths."""
        moves = state.reshape(-1, 2, state.shape[1]) - self.domain.points[:, :, None]
        return network_fields(moves, self.strain(state), self.parameters)

    def marks(self) -> list[Mark]:
        """The clamped and the fixed vertices."""
        held = {"clamped": self.clamped, "fixed": self.fixed}
        return [
            Mark(kind, "", {"vertices": vertices.tolist()}, dashed=kind == "fixed")
            for kind, vertices in held.items()
            if len(vertices)
        ]

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong: a network of which a part swings freely."""
        lowest = summary.get("lowest_curvature")
        if lowest is None or not lowest < _FLOPPY * self.stiffness.values.max(initial=0.0):
            return []
        return [
            "the network has a motion that costs no energy, along which nothing can be learnt: fix "
            "more vertices, add springs (a square needs a diagonal), or raise the floor of the "
            "stiffness"
        ]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_system(self)


def _placed(
    value: Parameter | ArrayLike, name: str, effective: np.ndarray, floor: float
) -> Parameter:
    """A parameter with one finite number an edge, trained only where it has an effect."""
    parameter = placed(value, name, "edge", effective, *_SYMBOLS[name])
    bounds = parameter.bounds or (floor, np.inf)
    lowest = min(bounds[0], parameter.values.min(initial=np.inf))
    if lowest < 0:
        raise InputError(f"{name}: {lowest:g}, but springs have none below 0; check its bounds.")
    return replace(parameter, bounds=bounds)


_SYMBOLS = {"stiffness": ("k", "stiffness"), "rest_length": (r"\ell", "rest length")}
