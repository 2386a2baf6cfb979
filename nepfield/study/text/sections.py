"""The sections of a study file, one frozen class each; every key is a field with a description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from nepfield.study.text.quantities import (
    DENSITY,
    ENERGY,
    GEOMETRY_LENGTH,
    INTERACTION,
    LENGTH,
    START,
    STEP,
    WAVENUMBER,
    WEIGHT,
    WEIGHT_STEP,
    UnitsConfig,
)
from nepfield.study.text.values import (
    AtLeastOne,
    Basis,
    Bounds,
    Count,
    File,
    Flag,
    FolderName,
    GeometryFile,
    Impedance,
    Initial,
    Lattice,
    Name,
    Nonzero,
    Number,
    Order,
    Parameter,
    Point,
    Positive,
    Rows,
    Section,
    Site,
    Start,
    Uniform,
    Weight,
    wrong,
)


def _exactly_one(section: BaseModel, *keys: str) -> None:
    given = [key for key in keys if getattr(section, key) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ValueError(f"needs exactly one of {', '.join(keys)}, has {found}")


def _inside(initial: Any, bounds: tuple[float, float] | None) -> None:
    values = initial.uniform if isinstance(initial, Uniform) else initial
    values = values if isinstance(values, tuple) else (values,)
    if bounds and not all(bounds[0] <= v <= bounds[1] for v in values if isinstance(v, float)):
        raise ValueError(
            f"initial leaves the bounds {list(bounds)}: choose it inside, or widen them"
        )


def _at_least_one(pumps: tuple[PumpConfig, ...]) -> tuple[PumpConfig, ...]:
    if not pumps:
        raise wrong("nothing drives the wave: add a [[pump]]")
    return pumps


class DomainConfig(Section):
    """Where the wave lives: a mesh file, a geometry that Gmsh meshes, or a lattice."""

    mesh: File | None = Field(default=None, description="mesh file (.msh 4.1, .vtu, .xdmf)")
    geometry: GeometryFile | None = Field(
        default=None, description='geometry that Gmsh meshes, "x.geo" or "file.py:function"'
    )
    parameters: dict[Name, Annotated[Parameter, GEOMETRY_LENGTH]] = Field(
        default_factory=dict, description="parameters of the geometry, by name"
    )
    lattice: Lattice | None = Field(default=None, description="numbers of points, [n] or [ny, nx]")
    order: Order = Field(default=2, description="order of the finite elements, 1 or 2")
    dirichlet: tuple[Name, ...] | None = Field(
        default=None,
        description="boundaries held at 0; absent: all that are not in robin; []: none",
    )
    robin: dict[Name, Annotated[Impedance, WAVENUMBER]] = Field(
        default_factory=dict,
        description="impedance of a boundary by its name, number or [real, imaginary]",
    )
    allow_disconnected: Flag = Field(default=False, description="accept a mesh of several pieces")
    periodic: Flag = Field(default=False, description="close the lattice to a ring or torus")
    sites: dict[Name, Site] = Field(default_factory=dict, description="named points of the lattice")

    @model_validator(mode="after")
    def _check(self) -> DomainConfig:
        _exactly_one(self, "mesh", "geometry", "lattice")
        if self.geometry is None and self.parameters:
            raise ValueError("parameters goes with geometry, not with mesh or lattice")
        for key in ("periodic", "sites"):
            if self.lattice is None and getattr(self, key):
                raise ValueError(f"{key} goes with lattice, not with mesh")
        if both := sorted(set(self.dirichlet or ()) & set(self.robin)):
            raise ValueError(
                f"boundary {', '.join(both)} stands in both dirichlet and robin: choose one"
            )
        return self


class PhysicsConfig(Section):
    """The equation of motion.

    The loss is that of the amplitude, -i gamma in the equation: the intensity decays at 2 gamma,
    and a line that is 0.1 meV wide (FWHM of the intensity) has hbar gamma = 0.05 meV.
    """

    system: Literal["gpe"] = Field(
        default="gpe", description="driven-dissipative Gross-Pitaevskii equation"
    )
    nonlinearity: Literal["density", "saturation", "none"] = Field(
        default="density", description='"density": g n, "saturation": g / (1 + n), "none": linear'
    )
    g: Annotated[Number, INTERACTION] = Field(
        default=0.0, description="strength of the nonlinearity"
    )
    loss: Annotated[Positive, ENERGY] = Field(description="loss rate gamma")


class AbsorberConfig(Section):
    """Extra loss in a region, or in a layer along a boundary where it grows quadratically."""

    region: Name | None = Field(default=None, description="region that absorbs")
    boundary: Name | None = Field(default=None, description="boundary along which the layer lies")
    width: Annotated[Positive | None, LENGTH] = Field(
        default=None, description="thickness of the layer, mesh units"
    )
    strength: Annotated[Positive, ENERGY] = Field(description="largest extra loss, -Im V")

    @model_validator(mode="after")
    def _check(self) -> AbsorberConfig:
        _exactly_one(self, "region", "boundary")
        if (self.boundary is None) != (self.width is None):
            raise ValueError("boundary and width go together; a region takes neither")
        return self


class ImaginaryConfig(Section):
    """Imaginary part of the potential; negative values are extra loss."""

    initial: Annotated[Start, START] = Field(
        default=0.0, description="starting values of Im V, or the run folder to take them from"
    )
    bounds: Annotated[Bounds | None, ENERGY] = Field(
        default=None, description="limits of Im V in training"
    )

    @model_validator(mode="after")
    def _check(self) -> ImaginaryConfig:
        _inside(self.initial, self.bounds)
        return self


class PotentialConfig(Section):
    """The potential landscape."""

    basis: Annotated[Basis, LENGTH] = Field(
        default="cells", description="one value a mesh cell, a named region, or a pixel"
    )
    initial: Annotated[Start, START] = Field(
        default=0.0, description="starting values of Re V, or the run folder to take them from"
    )
    bounds: Annotated[Bounds | None, ENERGY] = Field(
        default=None, description="limits of Re V in training"
    )
    imaginary: ImaginaryConfig | None = Field(default=None, description="makes V complex")
    disorder: Annotated[Initial | None, ENERGY] = Field(
        default=None, description="fixed landscape added to the trained one, one value a cell"
    )
    trainable: Flag = Field(default=True, description="whether training changes it")
    rate: Annotated[Positive | None, STEP] = Field(
        default=None, description="step size for V; absent: training.rate"
    )

    @model_validator(mode="after")
    def _check(self) -> PotentialConfig:
        _inside(self.initial, self.bounds)
        return self


class PumpConfig(Section):
    """A drive: a Gaussian spot, a lattice point, or a region."""

    center: Annotated[Point | None, LENGTH] = Field(
        default=None, description="middle of a Gaussian spot, [x] or [x, y]"
    )
    width: Annotated[Positive | None, LENGTH] = Field(
        default=None, description="W in exp(-|r - center|^2 / (2 W^2)), mesh units"
    )
    site: Site | None = Field(default=None, description="lattice point, index or [iy, ix]")
    region: Name | None = Field(default=None, description="region that is driven evenly")
    weight: Annotated[Weight, WEIGHT] = Field(
        default=1.0, description="starting weight w, or the run folder to take it from"
    )
    wavevector: Annotated[Point | None, WAVENUMBER] = Field(
        default=None, description="plane-wave factor exp(i k.r), [kx] or [kx, ky]"
    )
    input: Count | None = Field(
        default=None, description="input that drives it; absent: its place in the list"
    )
    trainable: Flag = Field(default=True, description="whether training changes the weight")

    @model_validator(mode="after")
    def _check(self) -> PumpConfig:
        _exactly_one(self, "center", "site", "region")
        if (self.center is None) != (self.width is None):
            raise ValueError("center and width go together; a site or region takes neither")
        if self.center and self.wavevector and len(self.center) != len(self.wavevector):
            raise ValueError("center and wavevector need the same number of components")
        return self


class DiscConfig(Section):
    """A disc (in one dimension an interval) over which the intensity is averaged."""

    center: Annotated[Point, LENGTH] = Field(description="middle, [x] or [x, y]")
    radius: Annotated[Positive, LENGTH] = Field(description="radius, mesh units")


class ReadoutConfig(Section):
    """Where the intensity is read. Outputs are counted in the order regions, sites, discs."""

    regions: tuple[Name, ...] = Field(default=(), description="named regions")
    sites: tuple[Site, ...] = Field(default=(), description="lattice points, index or [iy, ix]")
    disc: tuple[DiscConfig, ...] = Field(default=(), description="discs, written [[readout.disc]]")

    @model_validator(mode="after")
    def _check(self) -> ReadoutConfig:
        if not (self.regions or self.sites or self.disc):
            raise ValueError("needs at least one of regions, sites, disc")
        return self

    @property
    def count(self) -> int:
        """Number of outputs."""
        return len(self.regions) + len(self.sites) + len(self.disc)


class TaskConfig(Section):
    """What is to be learnt: a named task, a data file, or the numbers themselves."""

    name: Literal["xor"] | None = Field(default=None, description="built-in task")
    file: File | None = Field(
        default=None, description="NumPy .npz file with arrays inputs and targets"
    )
    inputs: Rows | None = Field(default=None, description="a row of inputs a sample, [[..], ..]")
    targets: Annotated[Rows | None, DENSITY] = Field(
        default=None, description="a row of targets a sample, [[..], ..]"
    )

    @model_validator(mode="after")
    def _check(self) -> TaskConfig:
        _exactly_one(self, "name", "file", "inputs")
        if (self.inputs is None) != (self.targets is None):
            raise ValueError("inputs and targets go together; name and file take neither")
        for key, rows in (("inputs", self.inputs), ("targets", self.targets)):
            lengths = {len(row) for row in rows or ()}
            if rows is not None and (len(lengths) != 1 or 0 in lengths):
                raise ValueError(f"{key} needs rows of one length, at least one row and one number")
        if self.inputs and self.targets and len(self.inputs) != len(self.targets):
            raise ValueError(
                f"{len(self.inputs)} rows of inputs but {len(self.targets)} of targets"
            )
        return self


class TrainingConfig(Section):
    """How it is learnt."""

    cost: Literal["mse", "cce"] = Field(default="mse", description="squared error or cross-entropy")
    rule: Literal["nep", "nep-symmetric", "nep-linear", "reciprocal", "adjoint"] = Field(
        default="nep", description="rule that estimates the gradient"
    )
    beta: Nonzero = Field(
        default=0.01,
        description="strength of the nudge; always a plain number, in units of"
        " energy length^(2d) (mse) or energy (cce)",
    )
    optimizer: Literal["adam", "sgd", "momentum"] = Field(
        default="adam", description="update of the parameters"
    )
    rate: Annotated[Positive, STEP] = Field(default=0.02, description="step size")
    weight_rate: Annotated[Positive | None, WEIGHT_STEP] = Field(
        default=None, description="step size for the pump weights; absent: rate"
    )
    epochs: Count = Field(default=100, description="passes over the samples")
    batch: AtLeastOne | None = Field(
        default=None, description="samples an update; absent: all of them"
    )
    shuffle: Flag = Field(default=True, description="draw the samples in a new order every epoch")
    compare_every: Count = Field(
        default=0,
        description="epochs between comparisons with the adjoint; 0: after the last epoch only",
    )
    warm_start: Flag = Field(
        default=True, description="start the solver from the states of the epoch before"
    )


class SolverConfig(Section):
    """How steady states are found."""

    tolerance: Positive = Field(default=1e-10, lt=1, description="residual, relative to the drive")
    max_iterations: AtLeastOne = Field(
        default=50, description="Newton steps before a sample is given up"
    )


class FiguresConfig(Section):
    """Pictures of the run."""

    enabled: Flag = Field(default=True, description="whether pictures are drawn")
    frames: Count = Field(
        default=0, description="about so many frames of the training are kept; 0 keeps none"
    )


class StudyConfig(Section):
    """A whole study, as `load_study` returns it: every default filled in, file paths absolute."""

    name: FolderName = Field(description="name of the study and of its run folder")
    seed: Count = Field(default=0, description="seed of everything that is drawn")
    units: UnitsConfig | None = Field(
        default=None, description="physical units; without them all numbers are dimensionless"
    )
    domain: DomainConfig = Field(description="where the wave lives")
    physics: PhysicsConfig = Field(description="the equation of motion")
    absorber: tuple[AbsorberConfig, ...] = Field(default=(), description="extra loss")
    potential: PotentialConfig = Field(default=PotentialConfig(), description="the landscape")
    pump: Annotated[tuple[PumpConfig, ...], AfterValidator(_at_least_one)] = Field(
        description="the drives, one or more, written [[pump]]"
    )
    readout: ReadoutConfig = Field(description="where the intensity is read")
    task: TaskConfig = Field(description="what is to be learnt")
    training: TrainingConfig = Field(default=TrainingConfig(), description="how it is learnt")
    solver: SolverConfig = Field(default=SolverConfig(), description="how states are found")
    figures: FiguresConfig = Field(default=FiguresConfig(), description="pictures of the run")

    @model_validator(mode="after")
    def _check(self) -> StudyConfig:
        if self.training.cost == "cce" and self.readout.count < 2:
            raise ValueError(
                'training.cost = "cce" tells classes apart: readout needs two outputs or more'
            )
        if self.task.inputs and self.task.targets:
            if max(self.pump_inputs) >= (given := len(self.task.inputs[0])):
                raise ValueError(
                    f"a pump takes input {max(self.pump_inputs)} (counted from 0), but the rows of"
                    f" task.inputs have {given}: set pump.input or add columns"
                )
            if (width := len(self.task.targets[0])) != self.readout.count:
                raise ValueError(
                    f"task.targets has rows of {width}, but readout has {self.readout.count}"
                )
        return self

    @property
    def pump_inputs(self) -> tuple[int, ...]:
        """For each pump the input that drives it."""
        return tuple(i if p.input is None else p.input for i, p in enumerate(self.pump))
