"""Classical Ising networks.

    E(s) = -sum_{j<k} J_jk s_j s_k - sum_k h_k s_k                                      qep (34)
    dE/dJ_jk = -s_j s_k,   dE/dh_k = -s_k                                               qep (35)
    F = E + beta C                                                                      qep (28)

    s_k     spin of vertex k, +1 or -1; inputs are the values of the clamped ones, any numbers: an
            input x is a field J_jk x on each spin k that it is coupled to
    J_jk    coupling on the edge between j and k (the sum counts every edge once)
    h_k     bias field
    C       the cost of the spins that are read, which a nudge of strength beta adds

J, h and beta C are energies of a common unit. The network rests in its ground state. That state
does not move with small changes of anything, so there is no gradient in the limit beta -> 0, and
none is called exact: a nudge must be strong enough to lift the state over the gap.
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
from nepfield.fields.pictures import Field, Mark, clamped_marks, gradient_field
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described, counted
from nepfield.space.linalg import one_thread
from nepfield.steady.steady import Steady
from nepfield.systems.annealing import anneal
from nepfield.systems.clamped_phases import Wiring
from nepfield.systems.enumeration import enumerated, exact
from nepfield.systems.spins import Found, Pull, Spins
from nepfield.systems.system import Figures, about_system

GROUND_STATES = ("exact", "annealing")
"""How ground states are found."""


@dataclass(frozen=True, eq=False)
class Ising(Described):
    """Spins on the vertices of a graph.

    A state holds a spin a vertex, (nvertices, nsamples), of clamped ones their inputs.

    Parameters
    ----------
    domain : Domain
        A graph; spins on vertices, couplings on edges.
    coupling, field : Parameter, number or array
        J (an edge) and h (a vertex). What has no effect is not trained: fields of clamped vertices
        and couplings between two of them.
    clamped : sequence of int
        Vertices whose spins are the inputs, in the order of these.
    ground_state : {"exact", "annealing"}
        By enumeration, for up to 20 spins besides those that need not be enumerated (the largest
        group of spins that are not coupled to one another nor read); or by simulated annealing,
        which may miss it.
    wiring : Wiring, optional
        Of the same graph with the same clamped vertices, where it was made already.

    Raises
    ------
    InputError
        If the domain is no graph, numbers do not fit it, or the spins are too many to enumerate.
    """

    domain: Domain
    coupling: Parameter
    field: Parameter
    clamped: np.ndarray
    ground_state: str
    wiring: Wiring

    def __init__(
        self,
        domain: Domain,
        coupling: Parameter | ArrayLike,
        field: Parameter | ArrayLike = 0.0,
        clamped: Sequence[int] | np.ndarray = (),
        ground_state: str = "exact",
        wiring: Wiring | None = None,
    ) -> None:
        if domain.kind != "graph":
            raise InputError(f"ising: {domain.source} is a mesh; spins live on a graph.")
        if ground_state not in GROUND_STATES:
            names = " or ".join(repr(name) for name in GROUND_STATES)
            raise InputError(f"ground_state = {ground_state!r}: choose {names}.")
        known, wiring = wiring, Wiring.of(domain, clamped, wiring)
        for name, value in (
            ("domain", domain),
            ("coupling", placed(coupling, "coupling", "edge", wiring.acts, "J", "coupling $J$")),
            ("field", placed(field, "field", "vertex", wiring.free, "h", "field $h$")),
            ("clamped", wiring.clamped),
            ("ground_state", ground_state),
            ("wiring", wiring),
        ):
            object.__setattr__(self, name, value)
        if wiring is not known:  # else nothing has changed but what is trained
            self.check_read(())

    # -- what it is -------------------------------------------------------------------

    rules = ("ep", "ep-symmetric")
    nudge = "full"
    warm_start = False

    @property
    def figure_labels(self) -> dict[str, str]:
        """How pictures call what `figures` gives."""
        if self.ground_state == "exact":
            return {"energy": "energy $E$", "gap": "gap of $E$"}
        return {"energy": "energy $E$", "spin_updates": "spin updates\nan equilibrium"}

    @property
    def ninputs(self) -> int:
        """Number of clamped spins."""
        return len(self.clamped)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the {counted(len(self.clamped), 'clamped spin')}"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``coupling`` (nedges,) and ``field`` (nvertices,)."""
        return {"coupling": self.coupling, "field": self.field}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> Ising:
        """The same system with other parameters, moved into their bounds."""
        return replace(self, **moved(self.parameters, values))

    @cached_property
    def groups(self) -> list[np.ndarray]:
        """The free vertices, in groups within which none are coupled."""
        free = np.flatnonzero(self.wiring.free)
        return [free[places] for places in self.wiring.groups]

    @cached_property
    def couplings(self) -> np.ndarray:
        """J as a symmetric matrix, shape (nvertices, nvertices)."""
        n = len(self.domain.points)
        near, far = self.wiring.edges.T
        entries = np.concatenate([near * n + far, far * n + near])
        matrix = np.bincount(entries, np.tile(self.coupling.values, 2), n * n).reshape(n, n)
        np.fill_diagonal(matrix, 0.0)
        return matrix

    def check_read(self, read: Sequence[int] | np.ndarray) -> None:
        """Refuse what cannot be nudged: clamped spins that are read, too many to enumerate.

        Parameters
        ----------
        read : sequence of int
            Vertices.

        Raises
        ------
        InputError
        """
        read = np.asarray(read, dtype=np.int64)
        if held := np.intersect1d(read, self.clamped).tolist():
            raise InputError(f"vertex {held[0]} is clamped, so there is nothing to read.")
        if self.ground_state == "exact":
            enumerated(self.groups, read)

    # -- equilibrium ------------------------------------------------------------------

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Pull | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        tolerance: float = 1e-10,
        max_iterations: int = 200,
        sweeps: int = 20,
        temperatures: tuple[float, float] = (2.0, 0.1),
        reads: int = 32,
    ) -> Steady:
        """Ground states for a batch of inputs.

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs)
            Values of the clamped spins.
        nudge : Nudge or FieldNudge, optional
        initial : ndarray, shape (nvertices, nsamples), optional
            Annealing only: states from which the way down competes with what is drawn, so that a
            nudged state is never above the free one from which it starts.
        keys : Keys, optional
            Annealing only. Without keys each sample draws the same numbers.
        tolerance : float
            Energies that differ by less, relative to the largest there can be, are equal. Of equal
            ones enumeration takes the first, in the order of binary numbers and +1 before -1.
        max_iterations : int
            Annealing only: sweeps of the way down at the end before a sample is given up.
        sweeps, temperatures, reads
            Annealing only, as `nepfield.systems.annealing.anneal` has them.

        Returns
        -------
        Steady
            Its `iterations` are configurations compared or spins updated. Its `extra` has the
            ``gap`` to the next configuration, or the number of ``spin_updates``.
        """
        hot, cold = temperatures
        if not 0 < cold <= hot < np.inf or sweeps < 0 or reads < 1:
            raise InputError(
                f"sweeps = {sweeps}, reads = {reads}, temperatures = {list(temperatures)}: at "
                "least 0 sweeps and 1 read, and two temperatures above 0, the hotter one first."
            )
        state = np.zeros((len(self.domain.points), len(inputs)))
        state[self.clamped] = inputs.T
        fields = self.field.values[:, None]
        with one_thread():
            spins = Spins.of(self.couplings, fields, state, self.groups, nudge)
            if self.ground_state == "exact":
                found = exact(spins, tolerance)
            else:
                keys = keys or Keys(0, 0, np.zeros(len(inputs), dtype=np.int64))
                found = anneal(
                    spins, keys, initial, sweeps=sweeps, temperatures=(hot, cold), reads=reads,
                    tolerance=tolerance, max_iterations=max_iterations,
                )  # fmt: skip
        return self._steady(found)

    def _steady(self, found: Found) -> Steady:
        if found.gap is None:
            extra = {"spin_updates": found.work.astype(float)}
            good = "annealed: no flip of a single spin leads lower"
            bad = "not converged: flips of single spins still led lower; raise max_iterations"
        else:
            extra = {"gap": found.gap}
            good = "ground state: the lowest of all configurations"
            bad = "not converged: its energies are not finite; lower the rates"
        reason = tuple(good if ok else bad for ok in found.settled)
        residual = np.where(found.settled, 0.0, np.inf)
        return Steady(found.state, found.settled, residual, found.work, reason, extra)

    def respond(
        self, kind: str, free: np.ndarray, nudge: Any, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """Refused: a ground state of spins has no linear response."""
        raise InputError(
            f"rule {kind!r}: spins have no linear response; use {' or '.join(self.rules)}."
        )

    # -- what is observed -------------------------------------------------------------

    def observables(
        self,
        state: np.ndarray,
        inputs: np.ndarray,
        free: np.ndarray,
        keys: Keys | None = None,
    ) -> Values:
        """dE/dJ and dE/dh, qep (35)."""
        near, far = self.wiring.edges.T
        return {"coupling": -state[near] * state[far], "field": -state}

    def energy(self, state: np.ndarray) -> np.ndarray:
        """E, qep (34), of states (nvertices, nsamples), shape (nsamples,)."""
        with one_thread():
            pairs = np.sum(state * (self.couplings @ state), axis=0)
        return -pairs / 2 - self.field.values @ state

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy``, and the ``gap`` above it or the ``spin_updates`` of an equilibrium."""
        return {"energy": self.energy(steady.state), **steady.extra}

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Spins of each sample over the couplings; fields; and the gradient by each of these."""
        shown = [
            Field(
                f"spin_{k}", spins, "vertex", picture="spin", label="spin $s$", title="spin",
                scale="diverging", sample=k, film=True,
            )
            for k, spins in enumerate(state.T)
        ]  # fmt: skip
        for name, parameter in self.parameters.items():
            picture = "spin" if name == "coupling" else name
            shown.append(
                Field(
                    name, parameter.values, parameter.on, picture=picture, label=parameter.label,
                    title=parameter.label, scale="diverging", film=True,
                )
            )  # fmt: skip
            if gradient is not None and name in gradient:
                shown.append(gradient_field(name, parameter, gradient[name]))
        return shown

    def marks(self) -> list[Mark]:
        """The clamped vertices."""
        return clamped_marks(self.clamped)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong: a nudge that no longer moves a state."""
        norms = [row.get("gradient_norm_coupling", np.nan) for row in history[-10:]]
        if not len(norms) or any(norm != 0 for norm in norms) or not summary.get("cost", 0) > 0:
            return []
        return [
            "The nudge no longer moves any state though the cost is not 0: raise training.beta, "
            "lower the rates, or start again with another seed."
        ]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_system(self)
