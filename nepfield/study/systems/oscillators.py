"""The study of coupled phase oscillators (`nepfield.systems.oscillators`), xy (1) to (9)."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from nepfield.errors import InputError, located
from nepfield.fields.coordinates import phases
from nepfield.fields.readouts import Readout
from nepfield.mesh.domain import Domain
from nepfield.study.text.sections import (
    OptimizerName,
    ParameterConfig,
    PhysicsConfig,
    SetReadoutConfig,
    SolverConfig,
    TrainingConfig,
)
from nepfield.study.text.study import Begun, Sources, StudyConfig
from nepfield.study.text.values import (
    AtLeastOne,
    Count,
    Flag,
    Name,
    Nonzero,
    Normal,
    ParameterOrRun,
    Positive,
    Uniform,
)
from nepfield.systems.oscillators import Oscillators
from nepfield.systems.system import System


class OscillatorPhysicsConfig(PhysicsConfig):
    """Which phases are the inputs."""

    clamp: Name = Field(
        default="input", description="named set of vertices whose phases are the inputs"
    )


class CouplingConfig(ParameterConfig):
    """Couplings W of the edges."""

    initial: ParameterOrRun = Field(
        default=Normal(normal=(0.0, 1.0)), description="starting values, or the run folder"
    )


class BiasConfig(ParameterConfig):
    """Strengths h of the biases of the vertices."""

    initial: ParameterOrRun = Field(
        default=Uniform(uniform=(-0.5, 0.5)), description="starting values, or the run folder"
    )


class BiasPhaseConfig(ParameterConfig):
    """Phases psi to which the biases pull."""

    initial: ParameterOrRun = Field(
        default=Uniform(uniform=(-math.pi, math.pi)),
        description="starting values, or the run folder",
    )


class OscillatorTrainingConfig(TrainingConfig):
    """How it is learnt."""

    beta: Nonzero = Field(default=0.1, description="strength of the nudge")
    optimizer: OptimizerName = Field(default="sgd", description="update of the parameters")
    rate: Positive = Field(default=0.1, description="step size")
    warm_start: Flag = Field(
        default=False, description="start from the states of the epoch before, not at random"
    )


class OscillatorSolverConfig(SolverConfig):
    """How minima of the energy are found."""

    max_iterations: AtLeastOne = Field(
        default=200, description="steps of Newton's method before a sample is given up"
    )
    method: Literal["minimum", "flow"] = Field(
        default="minimum", description='"minimum": the shortest way down, "flow": along xy (2)'
    )
    sweeps: Count = Field(
        default=20, description="sweeps from one oscillator to the next before Newton's method"
    )


class OscillatorStudy(StudyConfig):
    """A study of oscillators on the vertices of a graph, coupled along its edges."""

    physics: OscillatorPhysicsConfig = Field(description="which phases are the inputs")
    coupling: CouplingConfig = Field(default=CouplingConfig(), description="couplings of the edges")
    bias: BiasConfig = Field(default=BiasConfig(), description="strengths of the biases")
    bias_phase: BiasPhaseConfig = Field(
        default=BiasPhaseConfig(), description="phases to which the biases pull"
    )
    readout: SetReadoutConfig = Field(
        default=SetReadoutConfig(), description="which phases are the outputs"
    )
    training: OscillatorTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )

    solver: OscillatorSolverConfig = Field(
        default=OscillatorSolverConfig(), description="how minima of the energy are found"
    )

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that oscillators admit."""
        return Oscillators.rules

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs of phases."""
        return ("log-cosine", "mse")

    def build_readout(self, system: System) -> Readout:
        """The phases of named sets of vertices."""
        assert isinstance(system, Oscillators)
        with located("readout"):
            found = phases(system.domain, self.readout.sets)
            if held := [int(k) for k in found.rows if k in system.clamped]:
                raise InputError(f"vertex {held[0]} is clamped: its phase is an input.")
        return found

    def solver_options(self) -> dict[str, Any]:
        """Keywords of `solve_steady`."""
        # the lowest curvature of a few samples is enough for the history, and is found there
        own = {"method": self.solver.method, "sweeps": self.solver.sweeps, "curvature": False}
        return super().solver_options() | own

    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> Oscillators:
        """The oscillators with their starting parameters."""
        given = (domain, begun, sources)
        with located("physics.clamp"):
            clamped = domain.region(self.physics.clamp)
        return Oscillators(
            domain,
            coupling=self.parameter(
                "coupling", "edge", *given, symbol="W", label="coupling W", unit=""
            ),
            bias=self.parameter("bias", "vertex", *given, symbol="h", label="bias h"),
            bias_phase=self.parameter(
                "bias_phase", "vertex", *given, symbol=r"\psi", label=r"bias phase $\psi$"
            ),
            clamped=clamped,
        )
