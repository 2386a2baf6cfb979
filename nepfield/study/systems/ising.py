"""The study of classical Ising networks (`nepfield.systems.ising`), qep (34), (35)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Le
from pydantic import Field, model_validator

from nepfield.errors import located
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
    Flag,
    Name,
    Nonzero,
    Normal,
    ParameterOrRun,
    Positive,
)
from nepfield.systems.ising import Ising
from nepfield.systems.system import System


class IsingPhysicsConfig(PhysicsConfig):
    """Which spins are the inputs, and how ground states are found."""

    clamp: Name = Field(
        default="input", description="named set of vertices whose spins are the inputs"
    )
    ground_state: Literal["exact", "annealing"] = Field(
        default="exact", description='"exact": by enumeration, "annealing": by simulated annealing'
    )


class SpinParameterConfig(ParameterConfig):
    """Couplings J of the edges, or fields h of the vertices."""

    initial: ParameterOrRun = Field(
        default=Normal(normal=(0.0, 0.1)), description="starting values, or the run folder"
    )


class IsingTrainingConfig(TrainingConfig):
    """How it is learnt."""

    beta: Nonzero = Field(default=4.0, description="strength of the nudge")
    optimizer: OptimizerName = Field(default="sgd", description="update of the parameters")
    rate: Positive = Field(default=0.1, description="step size")
    warm_start: Flag = Field(
        default=False, description="annealing: let the states of the epoch before compete"
    )


class IsingSolverConfig(SolverConfig):
    """How ground states are found; all but the tolerance is for annealing."""

    tolerance: Positive = Field(
        default=1e-10, lt=1, description="energies that differ by less (relatively) are equal"
    )
    max_iterations: AtLeastOne = Field(
        default=200, description="sweeps of the way down at the end before a sample is given up"
    )
    sweeps: AtLeastOne = Field(default=20, description="updates of each spin while it cools")
    temperatures: tuple[Positive, Positive] = Field(
        default=(2.0, 0.1), description="hot and cold, in units of what usually pulls a spin"
    )
    reads: Annotated[AtLeastOne, Le(10_000)] = Field(
        default=32, description="times that it is cooled; the lowest state is kept"
    )

    @model_validator(mode="after")
    def _check(self) -> IsingSolverConfig:
        hot, cold = self.temperatures
        if hot < cold:
            raise ValueError(f"temperatures fall: [{cold:g}, {hot:g}], the hotter one first")
        return self


class IsingStudy(StudyConfig):
    """A study of spins on the vertices of a graph, coupled along its edges."""

    physics: IsingPhysicsConfig = Field(description="which spins are the inputs")
    coupling: SpinParameterConfig = Field(
        default=SpinParameterConfig(), description="couplings of the edges"
    )
    field: SpinParameterConfig = Field(
        default=SpinParameterConfig(), description="fields on the spins"
    )
    readout: SetReadoutConfig = Field(
        default=SetReadoutConfig(), description="which spins are the outputs"
    )
    training: IsingTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )
    solver: IsingSolverConfig = Field(
        default=IsingSolverConfig(), description="how ground states are found"
    )

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that spins admit; none is exact."""
        return Ising.rules

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs of spins."""
        return ("mse",)

    def build_readout(self, system: System) -> Readout:
        """The spins of named sets of vertices."""
        readout = super().build_readout(system)
        assert isinstance(system, Ising)
        with located("readout"):
            system.check_read(readout.rows)
        return readout

    def solver_options(self) -> dict[str, Any]:
        """Keywords of `solve_steady`."""
        own = {key: getattr(self.solver, key) for key in ("sweeps", "temperatures", "reads")}
        return super().solver_options() | own

    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> Ising:
        """The spins with their starting parameters."""
        given = (domain, begun, sources)
        with located("physics.clamp"):
            clamped = domain.region(self.physics.clamp)
        return Ising(
            domain,
            coupling=self.parameter("coupling", "edge", *given, symbol="J", label="coupling J"),
            field=self.parameter("field", "vertex", *given, symbol="h", label="field h"),
            clamped=clamped,
            ground_state=self.physics.ground_state,
        )
