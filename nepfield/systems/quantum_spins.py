"""Quantum spins: any Hamiltonian of Pauli strings, such as the transverse-field Ising model.

    H = -sum_a theta_a P_a - sum_i x_i O_i - B                               qep (1), (10), (11)
    H psi = E psi,  E the lowest;   H_beta = H + beta C                      qep (3) to (5)
    dH/dtheta_a = -P_a                                                       qep (16)

    P_a      a product of X, Y, Z on some spins: Z_j Z_k on an edge and X_k in the Ising model
    theta_a  its coefficient, trained or fixed: couplings J_jk and transverse fields h_k
    x_i      inputs: longitudinal fields of clamped spins (O_i = Z_k), or coefficients of sums
    B        a sum that stays, such as the longitudinal field of a bias spin
    C        the cost of expectation values, or of the observables themselves

Each spin is a bit of the hypercube's vertices (`nepfield.space.pauli`), so H is a Schroedinger
operator there: X hops along edges, Z is a potential. The slope of the ground state is its
resolvent's, and gives the exact gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.expectations import Expectations
from nepfield.fields.parameters import Parameter, Values
from nepfield.fields.pictures import Field, Mark, Scale, clamped_marks
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described
from nepfield.space.pauli import (
    HypercubeOperator,
    PauliSum,
    Strings,
    bonds,
    joined,
    longitudinal,
    transverse,
)
from nepfield.steady.ground import NARROW, ground_response, ground_states
from nepfield.steady.steady import Steady
from nepfield.systems.spin_terms import Term, Wiring, bias_of, checked_spins, term_of, wired
from nepfield.systems.system import Figures, Push, about_system


@dataclass(frozen=True, eq=False)
class QuantumSpins(Described):
    """Spins on the vertices of a graph.

    A state has an amplitude a configuration, (2^N, nsamples); complex where a string has an odd
    number of Y.

    Parameters
    ----------
    domain : Domain
        A graph with a spin on each vertex.
    terms : dict
        By the name of the parameter ``(strings, coefficients)``: Pauli strings as texts
        ("Z0 X1 Z2") or `Strings`, and a `Parameter` or numbers.
    clamped : sequence of int
        Spins whose longitudinal fields are the first inputs: ``-strength x_i Z_k``.
    inputs : sequence of str or PauliSum
        Sums of strings O_i, whose coefficients are the further inputs: ``-x_i O_i``.
    bias : str, PauliSum or array of shape (N,), optional
        What stays, -B; numbers are longitudinal fields.
    strength : float
        Of the fields of clamped spins.
    shots : int
        Measurements of each group of strings (`nepfield.fields.shots`), where keys are given; 0:
        exact.
    nudge : {"linearised", "full"}
        "linearised": the sum of observables with the slopes of the cost at the free state, for
        regression. "full": the cost of the observables, whose lowest value is at eigenstates: for
        targets that are eigenvalues.

    Raises
    ------
    InputError
        If the domain is no graph, a string, number or vertex does not fit.
    """

    domain: Domain
    terms: Mapping[str, Term]
    clamped: np.ndarray
    inputs: tuple[PauliSum, ...]
    bias: PauliSum
    strength: float
    shots: int
    nudge: str
    wiring: Wiring

    def __init__(
        self,
        domain: Domain,
        terms: Mapping[str, Term | tuple[Strings | Sequence[str], Parameter | ArrayLike]],
        clamped: Sequence[int] | np.ndarray = (),
        inputs: Sequence[str | PauliSum] = (),
        bias: str | PauliSum | ArrayLike | None = None,
        strength: float = 1.0,
        shots: int = 0,
        nudge: str = "linearised",
        wiring: Wiring | None = None,
    ) -> None:
        n = checked_spins(domain, shots, nudge)
        clamped = np.asarray(clamped, dtype=np.int64)
        if np.any((clamped < 0) | (clamped >= n)) or len(np.unique(clamped)) < len(clamped):
            raise InputError(
                f"clamped = {clamped.tolist()}: vertices from 0 to {n - 1}, once each."
            )
        if not terms:
            raise InputError("quantum spins: give at least one term.")
        made = {name: term_of(name, one[0], one[1], n) for name, one in terms.items()}
        sums = tuple(o if isinstance(o, PauliSum) else PauliSum.parse(o, n) for o in inputs)
        bias = bias_of(bias, n)
        for name, value in (
            ("domain", domain),
            ("terms", made),
            ("clamped", clamped),
            ("inputs", sums),
            ("bias", bias),
            ("strength", float(strength)),
            ("shots", shots),
            ("nudge", nudge),
            ("wiring", wiring or wired(made, clamped, float(strength), sums, bias, shots)),
        ):
            object.__setattr__(self, name, value)

    # -- what it is -------------------------------------------------------------------

    rules = ("ep", "ep-symmetric", "adjoint")
    warm_start = True
    figure_labels = {"energy": "ground-state energy $E$", "gap": "gap above the ground state"}

    @property
    def nspins(self) -> int:
        """Number of spins N."""
        return len(self.domain.points)

    @property
    def ninputs(self) -> int:
        """Number of clamped spins and of sums whose coefficients are inputs."""
        return len(self.clamped) + len(self.inputs)

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        kinds = ((len(self.clamped), "clamped spins"), (len(self.inputs), "sums of strings"))
        return f"the {' and '.join(f'{count} {what}' for count, what in kinds if count)}"

    @property
    def parameters(self) -> dict[str, Parameter]:
        """theta, by the name of the term."""
        return {name: term.parameter for name, term in self.terms.items()}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> QuantumSpins:
        """The same system with other coefficients, moved into their bounds."""
        terms = {
            name: Term(term.strings, term.parameter.moved(values[name])) if name in values else term
            for name, term in self.terms.items()
        }
        return replace(self, terms=terms)

    # -- the Hamiltonian --------------------------------------------------------------

    def hamiltonian(self, inputs: np.ndarray, nudge: Push | None = None) -> HypercubeOperator:
        """H for each sample, with what a nudge adds."""
        inputs = np.asarray(inputs, dtype=float)
        strings, drive = self.wiring.strings, self.wiring.drive
        theta = [term.parameter.values for term in self.terms.values()]
        common = -np.concatenate([*theta, drive[:, -1]])
        own = np.zeros((len(strings), len(inputs)))
        own[len(strings) - len(drive) :] = -drive[:, :-1] @ inputs.T
        if nudge is None:
            return HypercubeOperator.of(strings, common, own)
        potential = self._potential(nudge)
        if potential is not None:
            return HypercubeOperator.of(strings, common, own).with_potential(potential)
        slopes, readout = nudge.slopes, nudge.readout
        assert slopes is not None  # _potential sees to it
        assert isinstance(readout, Expectations)
        more = readout.coefficients(slopes)
        return HypercubeOperator.of(
            joined([strings, readout.strings]),
            np.concatenate([common, np.zeros(len(more))]),
            np.concatenate([own, more]),
        )

    def _potential(self, nudge: Push) -> np.ndarray | None:
        """What a nudge adds, where that is a potential, (2^N, nsamples)."""
        readout = nudge.readout
        if readout is None:
            return nudge.table(np.empty((0, 2**self.nspins)))
        if not isinstance(readout, Expectations):
            raise InputError(
                "quantum spins are read by expectation values; make the readout by "
                f"nepfield.expectations, not as {type(readout).__name__}."
            )
        if readout.spectrum is not None:
            return nudge.table(readout.spectrum)
        if nudge.slopes is None:
            raise InputError(
                "a full nudge needs observables that are sums of products of Z; these are not: "
                'choose nudge = "linearised".'
            )
        return None

    # -- equilibrium ------------------------------------------------------------------

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        *,
        tolerance: float = 1e-10,
        max_iterations: int = 300,
        gap: bool = True,
    ) -> Steady:
        """Ground states for a batch of inputs, qep (4), (5).

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs)
        nudge : Nudge or FieldNudge, optional
            The field of the latter is an energy a configuration, (2^N, nsamples).
        initial : ndarray, shape (2^N, nsamples), optional
            Where Lanczos' method starts, and the sign (or phase) that states are given.
        keys : Keys, optional
            Not used: nothing is drawn.
        tolerance, max_iterations
            As `nepfield.steady.ground.ground_states` has them.
        gap : bool
            Whether the gap of free states is found, which costs more than the state does.

        Returns
        -------
        Steady
            Of a free state, ``energy`` and ``gap`` (to the first excited state) in its `extra`. A
            sample whose gap is closed has no ground state to speak of and has not converged.
        """
        return ground_states(
            self.hamiltonian(inputs, nudge),
            2**self.nspins,
            len(inputs),
            initial,
            tolerance=tolerance,
            max_iterations=max_iterations,
            gap=gap and nudge is None,
        )

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient, qep (7), by the resolvent of the ground state (`kind` "adjoint")."""
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: quantum spins have {', '.join(self.rules)}.")
        potential = self._potential(nudge)
        pushed = nudge.force(free) if potential is None else potential * free
        direction, solved = ground_response(self.hamiltonian(inputs), free, pushed)
        slopes = -2 * self.wiring.measurement.strings.between(free, direction)
        return self._by_term(slopes), solved

    # -- what is observed -------------------------------------------------------------

    def _by_term(self, values: np.ndarray) -> Values:
        """Numbers of all trained strings, by the name of the term."""
        trained = {name: term for name, term in self.terms.items() if term.parameter.is_trained}
        sizes = np.cumsum([len(term.strings) for term in trained.values()])
        return dict(zip(trained, np.split(values, sizes[:-1]), strict=True)) if trained else {}

    def observables(
        self,
        state: np.ndarray,
        inputs: np.ndarray,
        free: np.ndarray,
        keys: Keys | None = None,
    ) -> Values:
        """dH/dtheta = -<P_a> of all trained strings, qep (16); means over the shots with keys."""
        return self._by_term(-self.wiring.measurement.read(state, keys))

    def magnetisation(self, state: np.ndarray) -> np.ndarray:
        """<Z_k> of each spin, (N, nsamples)."""
        return longitudinal(np.arange(self.nspins), self.nspins).expectations(state)

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """``energy`` and, where it was found, ``gap`` of the free state."""
        return dict(steady.extra)

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """<Z> of each sample, and coefficients that live on edges or vertices."""
        shown = [
            Field(
                f"magnetisation_{k}",
                values,
                "vertex",
                picture="magnetisation",
                label=r"$\langle Z \rangle$",
                title="magnetisation",
                scale="diverging",
                sample=k,
                film=True,
            )
            for k, values in enumerate(self.magnetisation(state).T)
        ]
        for name, parameter in self.parameters.items():
            if parameter.on in ("edge", "vertex"):
                scale: Scale = "diverging" if np.any(parameter.values < 0) else "sequential"
                label = f"{parameter.label} ${parameter.symbol}$"
                shown.append(
                    Field(
                        name, parameter.values, parameter.on, name, label, parameter.label,
                        scale=scale, film=True,
                    )
                )  # fmt: skip
        return shown

    def marks(self) -> list[Mark]:
        """The clamped spins."""
        return clamped_marks(self.clamped)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where the gap closes."""
        gap, told = summary.get("smallest_gap", np.inf), []
        if gap < NARROW * max(1.0, abs(summary.get("energy", 0.0))):
            told.append(
                f"the smallest gap is {gap:.1e}: the ground state of a nudged sample is another "
                "one, not a small change of the free one; keep the transverse fields away from 0 "
                "(field.bounds), give a bias, or nudge by less (training.beta)"
            )
        if summary.get("fraction_converged", 1.0) < 1 and gap == 0:
            told.append("without a gap there is no ground state to train")
        return told

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return about_system(self)


def transverse_field_ising(
    domain: Domain,
    coupling: Parameter | ArrayLike,
    field: Parameter | ArrayLike,
    clamped: Sequence[int] | np.ndarray = (),
    **options: Any,
) -> QuantumSpins:
    """The transverse-field Ising model on a graph, qep (11).

        H = -sum_edges J_jk Z_j Z_k - sum_k h_k X_k - sum_i x_i Z_clamped(i) - B

    Parameters
    ----------
    domain : Domain
    coupling : Parameter, number or array
        J of the edges.
    field : Parameter, number or array
        h of the vertices. Bounds such as (0.1, 3) keep it off 0, where the ground state is that of
        classical spins and answers no small nudge.
    clamped : sequence of int
        Spins whose longitudinal fields are the inputs.
    **options
        ``inputs``, ``bias``, ``strength``, ``shots`` and ``nudge`` of `QuantumSpins`.

    Examples
    --------
    >>> domain = complete_graph(3, sets={"input": [0, 1], "output": 2})
    >>> spins = transverse_field_ising(domain, 0.5, 1.0, [0, 1])
    >>> spins.equilibrate(np.zeros((1, 2))).extra["gap"].round(3)
    array([1.353])
    """
    n = len(domain.points)
    edges = domain.cells if domain.kind == "graph" else np.empty((0, 2), dtype=np.int64)
    terms = {
        "coupling": (bonds(edges, n), _named(coupling, "edge", "J", "coupling")),
        "field": (transverse(np.arange(n), n), _named(field, "vertex", "h", "transverse field")),
    }
    return QuantumSpins(domain, terms, clamped, **options)


def _named(value: Parameter | ArrayLike, on: str, symbol: str, label: str) -> Parameter:
    parameter = value if isinstance(value, Parameter) else Parameter(np.asarray(value, float), on)
    return replace(parameter, on=on, symbol=symbol, label=label)
