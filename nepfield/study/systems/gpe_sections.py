"""The sections of a wave's study that other systems do not have, or not with these keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from annotated_types import Le, Lt
from pydantic import Field, model_validator

from nepfield.errors import InputError
from nepfield.fields.readouts import grouped
from nepfield.learning.corrections import MOST, check_corrections
from nepfield.study.systems.gpe_measurement import MeasurementConfig
from nepfield.study.text.domains import DomainConfig
from nepfield.study.text.paths import SystemName
from nepfield.study.text.quantities import (
    DENSITY,
    ENERGY,
    ENERGY_OR_RUN,
    GAIN,
    INTERACTION,
    LENGTH,
    STEP,
    WAVENUMBER,
    WEIGHT_STEP,
    UnitsConfig,
)
from nepfield.study.text.sections import (
    PhysicsConfig,
    ReadoutConfig,
    SolverConfig,
    TrainingConfig,
    check_inside,
)
from nepfield.study.text.tasks import TaskConfig
from nepfield.study.text.values import (
    Basis,
    Bounds,
    Count,
    FlagOrRegions,
    Groups,
    Impedance,
    Initial,
    InitialOrRun,
    Levels,
    Name,
    Nonzero,
    Number,
    Order,
    Point,
    Positive,
    Rows,
    Section,
    Site,
)


class WaveDomainConfig(DomainConfig):
    """Where the wave lives: a mesh file, a geometry that Gmsh meshes, a lattice, or a graph."""

    order: Order = Field(default=2, description="order of the finite elements, 1 or 2")
    dirichlet: tuple[Name, ...] | None = Field(
        default=None,
        description="boundaries held at 0; absent: all that are not in robin; []: none",
    )
    robin: dict[Name, Annotated[Impedance, WAVENUMBER]] = Field(
        default_factory=dict,
        description="impedance of a boundary by its name, number or [real, imaginary]",
    )

    @model_validator(mode="after")
    def _check_boundaries(self) -> WaveDomainConfig:
        if both := sorted(set(self.dirichlet or ()) & set(self.robin)):
            raise ValueError(
                f"boundary {', '.join(both)} stands in both dirichlet and robin: choose one"
            )
        return self


class GPEPhysicsConfig(PhysicsConfig):
    """The equation of motion.

    The loss is that of the amplitude, -i gamma in the equation: the intensity decays at 2 gamma,
    and a line that is 0.1 meV wide (FWHM of the intensity) has hbar gamma = 0.05 meV.
    """

    system: SystemName = Field(
        default="gpe", description="driven-dissipative Gross-Pitaevskii equation"
    )
    nonlinearity: Literal["density", "saturation", "none"] = Field(
        default="density", description='"density": g n, "saturation": g / (1 + n), "none": linear'
    )
    g: Annotated[Number, INTERACTION] = Field(
        default=0.0, description="strength of the nonlinearity"
    )
    loss: Annotated[Positive, ENERGY] = Field(description="loss rate gamma")


class ImaginaryConfig(Section):
    """Imaginary part of the potential; negative values are extra loss."""

    initial: Annotated[InitialOrRun, ENERGY_OR_RUN] = Field(
        default=0.0, description="starting values of Im V, or the run folder to take them from"
    )
    bounds: Annotated[Bounds | None, ENERGY] = Field(
        default=None, description="limits of Im V in training"
    )

    @model_validator(mode="after")
    def _check(self) -> ImaginaryConfig:
        check_inside(self.initial, self.bounds)
        return self


class PotentialConfig(Section):
    """The potential landscape."""

    basis: Annotated[Basis, LENGTH] = Field(
        default="cells", description="one value a mesh cell, a named region, or a pixel"
    )
    initial: Annotated[InitialOrRun, ENERGY_OR_RUN] = Field(
        default=0.0, description="starting values of Re V, or the run folder to take them from"
    )
    bounds: Annotated[Bounds | None, ENERGY] = Field(
        default=None, description="limits of Re V in training"
    )
    imaginary: ImaginaryConfig | None = Field(default=None, description="makes V complex")
    disorder: Annotated[Initial | None, ENERGY] = Field(
        default=None, description="fixed landscape added to the trained one, one value a cell"
    )
    trainable: FlagOrRegions = Field(
        default=True, description="whether training changes it, or the regions in which it does"
    )
    rate: Annotated[Positive | None, STEP] = Field(
        default=None, description="step size for V; absent: training.rate"
    )

    @model_validator(mode="after")
    def _check(self) -> PotentialConfig:
        check_inside(self.initial, self.bounds)
        return self


class DiscConfig(Section):
    """A disc (in one dimension an interval) over which the intensity is averaged."""

    center: Annotated[Point, LENGTH] = Field(description="middle, [x] or [x, y]")
    radius: Annotated[Positive, LENGTH] = Field(description="radius, mesh units")


class IntensityReadoutConfig(ReadoutConfig):
    """Where the intensity is read. Places are counted in the order regions, sites, discs; each is
    an output, or a part of one (groups)."""

    regions: tuple[Name, ...] = Field(default=(), description="named regions")
    sites: tuple[Site, ...] = Field(default=(), description="lattice points, index or [iy, ix]")
    disc: tuple[DiscConfig, ...] = Field(default=(), description="discs, written [[readout.disc]]")
    groups: Groups | None = Field(
        default=None,
        description="places whose intensities are added to one output, the mean of them: the number"
        " of outputs, to each as many of the places in their order, or their places [[0, 1], [2]]",
    )

    @model_validator(mode="after")
    def _check(self) -> IntensityReadoutConfig:
        if not (self.regions or self.sites or self.disc):
            raise ValueError("needs at least one of regions, sites, disc")
        if self.groups is not None:
            try:
                grouped(self.groups, self.places)
            except InputError as error:
                raise ValueError(str(error).partition(": ")[2].removesuffix(".")) from None
        return self

    @property
    def places(self) -> int:
        """Number of regions, sites and discs."""
        return len(self.regions) + len(self.sites) + len(self.disc)

    @property
    def count(self) -> int:
        """Number of outputs."""
        if self.groups is None:
            return self.places
        return self.groups if isinstance(self.groups, int) else len(self.groups)


class WaveTaskConfig(TaskConfig):
    """What is to be learnt; targets are densities, or with cce the probabilities of classes."""

    targets: Annotated[Rows | None, DENSITY] = Field(
        default=None, description="a row of targets a sample, [[..], ..]"
    )
    target_levels: Annotated[Levels | None, DENSITY] = Field(
        default=None, description="what 0 and 1 become among the targets, and others in proportion"
    )


class WaveSolverConfig(SolverConfig):
    """How steady states of a wave are found."""

    response_tolerance: Positive | None = Field(
        default=None,
        lt=1,
        description="residual of nudged states and linear responses relative to the nudge; absent: "
        "1e-4 and 1e-12, and in batches of 32 samples or more 30 x tolerance, at most 3e-5",
    )
    prefer: Literal["any", "stable"] = Field(
        default="any",
        description='"stable": where a state found is unstable, or none is found, the true motion '
        "is followed from the vacuum or the state before until it settles",
    )
    patience: Positive = Field(
        default=100.0,
        description="how long it is followed, in units of 1/gamma, before it is said to oscillate",
    )


class WaveTrainingConfig(TrainingConfig):
    """How it is learnt."""

    gain: Annotated[Positive | None, GAIN] = Field(
        default=None, description="of cce, softmax(gain x intensity); absent: 1"
    )
    beta: Nonzero = Field(
        default=0.01,
        description="strength of the nudge; always a plain number, in units of"
        " energy length^(2d) (mse) or energy (cce)",
    )
    corrections: Annotated[Count, Le(MOST - 1)] = Field(
        default=0, description="more measurements of each sample, which make the gradient exact"
    )
    gradient_tolerance: Annotated[Positive, Lt(1)] | None = Field(
        default=None,
        description="instead, as many as the residual of their loop needs to fall below this",
    )
    rate: Annotated[Positive, STEP] = Field(default=0.02, description="step size")
    weight_rate: Annotated[Positive | None, WEIGHT_STEP] = Field(
        default=None, description="step size for the pump weights; absent: rate"
    )

    @model_validator(mode="after")
    def _check_corrections(self) -> WaveTrainingConfig:
        try:
            check_corrections(self.rule, self.corrections, self.gradient_tolerance)
        except InputError as error:
            raise ValueError(str(error).removesuffix(".")) from None
        return self

    @property
    def estimator(self) -> dict[str, Any]:
        """How the gradient is estimated, as `nepfield.gradient` takes it."""
        more = {"corrections": self.corrections, "gradient_tolerance": self.gradient_tolerance}
        return super().estimator | more


class WaveStudy(Protocol):
    """The sections of a wave's study, for what is computed from them."""

    @property
    def units(self) -> UnitsConfig | None: ...
    @property
    def domain(self) -> WaveDomainConfig: ...
    @property
    def physics(self) -> GPEPhysicsConfig: ...
    @property
    def training(self) -> WaveTrainingConfig: ...
    @property
    def measurement(self) -> MeasurementConfig: ...
