"""The study of quantum spins (`nepfield.systems.quantum_spins`), qep (1) to (16)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from nepfield.errors import InputError, located
from nepfield.fields.expectations import expectations
from nepfield.fields.parameters import Parameter
from nepfield.fields.readouts import Readout
from nepfield.mesh.domain import Domain
from nepfield.space.pauli import PauliSum, Strings, bonds, joined, longitudinal, transverse
from nepfield.steady.ground import NARROW
from nepfield.steady.steady import Steady
from nepfield.study.text.initial import starting_values
from nepfield.study.text.sections import (
    ParameterConfig,
    PhysicsConfig,
    ReadoutConfig,
    SolverConfig,
    TrainingConfig,
)
from nepfield.study.text.study import Begun, Built, Sources, StudyConfig
from nepfield.study.text.values import (
    AtLeastOne,
    Bounds,
    Count,
    Flag,
    Name,
    Nonzero,
    Number,
    ParameterOrRun,
    Positive,
    Uniform,
)
from nepfield.study.text.written import wrong
from nepfield.systems.quantum_spins import QuantumSpins
from nepfield.systems.system import System

_OF_SECTIONS = ("coupling", "field")


class SpinPhysicsConfig(PhysicsConfig):
    """Which spins are driven, and how they are measured."""

    clamp: Name | None = Field(
        default=None, description="named set of vertices whose longitudinal fields are the inputs"
    )
    strength: Number = Field(default=1.0, description="what those inputs are multiplied by")
    bias: dict[Name, Number] = Field(
        default_factory=dict, description="longitudinal fields that stay, by named sets of vertices"
    )
    shots: Count = Field(
        default=0, description="measurements of each group of strings in training; 0: exact"
    )
    nudge: Literal["linearised", "full"] = Field(
        default="linearised",
        description='by the slopes of the cost, or by the cost of the observables ("full")',
    )


class IsingCouplingConfig(ParameterConfig):
    """Couplings J of Z Z on the edges."""

    initial: ParameterOrRun = Field(
        default=Uniform(uniform=(-0.5, 0.5)), description="starting values, or the run folder"
    )


class TransverseFieldConfig(ParameterConfig):
    """Transverse fields h of the vertices."""

    initial: ParameterOrRun = Field(
        default=Uniform(uniform=(0.5, 1.0)), description="starting values, or the run folder"
    )
    bounds: Bounds | None = Field(
        default=(0.1, 5.0), description="limits in training; a floor keeps the gap open"
    )


class TermConfig(ParameterConfig):
    """Further terms -theta P: Pauli strings with a coefficient each, or one input for their sum."""

    name: Name | None = Field(
        default=None, description="name of the parameter that their coefficients are"
    )
    strings: tuple[Name, ...] = Field(default=(), description='Pauli strings, "Z0 X1 Z2"')
    products: tuple[tuple[Name, ...], ...] = Field(
        default=(), description="lists of strings: all products of one of each are taken too"
    )
    input: Count | None = Field(
        default=None,
        description="input that is the coefficient of all of them, after those of physics.clamp",
    )
    weight: Number = Field(default=1.0, description="what that input is multiplied by")

    @model_validator(mode="after")
    def _check_kind(self) -> TermConfig:
        if (self.name is None) == (self.input is None):
            raise wrong("needs exactly one of name (of a parameter) and input")
        if not self.strings and not self.products:
            raise wrong("needs strings or products")
        if self.name in _OF_SECTIONS:
            raise wrong(f"name = {self.name!r} is that of a section; give another one")
        return self

    def on(self, nspins: int) -> Strings:
        """Its strings."""
        texts = [*self.strings, *(" ".join(factors) for factors in product(*self.products))]
        return Strings.parse(texts if self.products else self.strings, nspins)


class ExpectationReadoutConfig(ReadoutConfig):
    """Which expectation values are the outputs."""

    sets: tuple[Name, ...] = Field(
        default=("output",), description="named sets of vertices, <Z> of each is read"
    )
    observables: tuple[Name, ...] = Field(
        default=(), description='further sums of Pauli strings, "0.5 + 0.5 Z0 X1"'
    )
    shots: Count | None = Field(
        default=None, description="measurements of each group; absent: physics.shots"
    )


class SpinTrainingConfig(TrainingConfig):
    """How it is learnt."""

    beta: Nonzero = Field(default=0.3, description="strength of the nudge")
    rate: Positive = Field(default=0.05, description="step size")


class SpinSolverConfig(SolverConfig):
    """How ground states are found."""

    tolerance: Positive = Field(
        default=1e-10, lt=1, description="residual of H psi = E psi, relative to the norm of H"
    )
    max_iterations: AtLeastOne = Field(
        default=300, description="restarts of Lanczos' method before a sample is given up"
    )
    gap: Flag = Field(default=True, description="find the gap of every free state too")


class SpinStudy(StudyConfig):
    """A study of quantum spins on the vertices of a graph."""

    physics: SpinPhysicsConfig = Field(description="which spins are driven, and measurements")
    coupling: IsingCouplingConfig | None = Field(
        default=None, description="couplings Z Z of the edges; absent: none"
    )
    field: TransverseFieldConfig | None = Field(
        default=None, description="transverse fields X of the vertices; absent: none"
    )
    term: tuple[TermConfig, ...] = Field(
        default=(), description="further Pauli strings, written [[term]]"
    )
    readout: ExpectationReadoutConfig = Field(
        default=ExpectationReadoutConfig(), description="which expectation values are the outputs"
    )
    training: SpinTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )
    solver: SpinSolverConfig = Field(
        default=SpinSolverConfig(), description="how ground states are found"
    )

    @model_validator(mode="after")
    def _check(self) -> SpinStudy:
        if self.coupling is None and self.field is None and not self._named:
            raise wrong(
                "nothing has a coefficient: add [coupling], [field] or a [[term]] with name"
            )
        numbers = sorted({term.input for term in self.term if term.input is not None})
        if numbers != list(range(len(numbers))):
            raise wrong(
                f"the [[term]]s take the inputs {numbers}: they are numbered from 0, without gaps"
            )
        return self

    @property
    def _named(self) -> dict[str, list[TermConfig]]:
        """The [[term]]s of each parameter; several may share a name."""
        found: dict[str, list[TermConfig]] = {}
        for term in self.term:
            if term.name is not None:
                found.setdefault(term.name, []).append(term)
        return found

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that quantum spins admit."""
        return QuantumSpins.rules

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs of expectation values."""
        return ("mse", "cce")

    def rates(self) -> dict[str, float]:
        """Step sizes of single parameters, by name."""
        given = {name: terms[0].rate for name, terms in self._named.items()}
        return super().rates() | {name: rate for name, rate in given.items() if rate is not None}

    def runs(self) -> set[Path]:
        """The run folders that values are taken from."""
        return super().runs() | {t.initial for t in self.term if isinstance(t.initial, Path)}

    # ---------------------------------------------------------------- how it is built

    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> QuantumSpins:
        """The spins with their starting coefficients."""
        n, given = len(domain.points), (domain, begun, sources)
        terms: dict[str, tuple[Strings, Parameter]] = {}
        if self.coupling is not None:
            coupling = self.parameter("coupling", "edge", *given, symbol="J", label="coupling")
            terms["coupling"] = (bonds(domain.cells, n), coupling)
        if self.field is not None:
            field = self.parameter("field", "vertex", *given, symbol="h", label="transverse field")
            terms["field"] = (transverse(np.arange(n), n), field)
        for name, sections in self._named.items():
            with located(f"term {name!r}"):
                terms[name] = self._term(name, sections, n, begun, sources)
        clamped = domain.region(self.physics.clamp) if self.physics.clamp else ()
        with located("term"):
            inputs = self._inputs(n)
        return QuantumSpins(
            domain,
            terms,
            clamped,
            inputs,
            self._bias(domain),
            strength=self.physics.strength,
            shots=self.physics.shots,
            nudge=self.physics.nudge,
        )

    def _term(
        self, name: str, sections: list[TermConfig], n: int, begun: Begun, sources: Sources
    ) -> tuple[Strings, Parameter]:
        """Strings and starting coefficients of the [[term]]s of one name."""
        first, parts = sections[0], [section.on(n) for section in sections]
        strings = joined(parts)
        values = []
        for k, (section, part) in enumerate(zip(sections, parts, strict=True)):
            if (section.bounds, section.rate) != (first.bounds, first.rate):
                raise InputError("the [[term]]s of one name share their bounds and their rate.")
            if isinstance(section.initial, Path):
                source = sources[section.initial]
                begin = sum(map(len, parts[:k]))
                whole = source.values(name, len(strings))[begin : begin + len(part)]
                values.append(source.inside(whole, section.bounds))
            else:
                seed = (self.seed, zlib.crc32(name.encode()), k)
                values.append(starting_values(section.initial, len(part), seed, section.bounds))
        trainable = np.repeat([s.trainable for s in sections], [len(part) for part in parts])
        parameter = Parameter(
            np.concatenate(values) if begun is None else begun[name],
            "string",
            first.bounds,
            trainable=True if trainable.all() else trainable,
            label=name,
        )
        return strings, parameter

    def _inputs(self, n: int) -> list[PauliSum]:
        sums: dict[int, list[PauliSum]] = {}
        for term in self.term:
            if term.input is not None:
                strings = term.on(n)
                part = PauliSum(strings, np.full(len(strings), term.weight))
                sums.setdefault(term.input, []).append(part)
        return [
            PauliSum(joined([p.strings for p in parts]), np.concatenate([p.weights for p in parts]))
            for _, parts in sorted(sums.items())
        ]

    def _bias(self, domain: Domain) -> PauliSum:
        with located("physics.bias"):
            chosen = [(domain.region(name), value) for name, value in self.physics.bias.items()]
        vertices = np.concatenate([np.empty(0, dtype=np.int64), *(v for v, _ in chosen)])
        fields = np.repeat([value for _, value in chosen], [len(v) for v, _ in chosen])
        return PauliSum(longitudinal(vertices, len(domain.points)), fields.astype(float))

    def build_readout(self, system: System) -> Readout:
        """<Z> of named sets of vertices, then further observables."""
        read, shots = self.readout, self.readout.shots
        with located("readout"):
            return expectations(
                system.domain,
                read.sets,
                observables=read.observables,
                shots=self.physics.shots if shots is None else shots,
            )

    def solver_options(self) -> dict[str, Any]:
        """Keywords of `solve_steady`."""
        return super().solver_options() | {"gap": self.solver.gap}

    # ---------------------------------------------------------------- what is told of it

    def summary(
        self,
        study: Built,
        system: Any,
        steady: Steady,
        epochs: int = 0,
        history: Sequence[Mapping[str, float]] = (),
    ) -> dict[str, Any]:
        """Coefficients of the strings, and how near the gap came to closing."""
        found = super().summary(study, system, steady, epochs, history)
        gaps = steady.extra.get("gap", np.array([np.inf]))
        smallest = float(gaps.min())
        if smallest < NARROW * max(1.0, float(np.abs(steady.extra["energy"]).max())):
            where = int(gaps.argmin())
            found["warnings"].append(f"the gap of sample {where} is only {smallest:.1e}")
        coefficients: Mapping[str, Any] = {
            name: dict(zip(term.strings.texts, term.parameter.values.tolist(), strict=True))
            for name, term in system.terms.items()
        }
        if "gap" in steady.extra:
            found["smallest_gap"] = smallest
        return found | {"coefficients": coefficients}
