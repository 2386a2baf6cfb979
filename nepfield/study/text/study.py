"""The study of a system: the sections that all have, and what a system's own class may replace.

A system's class adds its sections and says in `build_system` how it is built from them. The other
methods have defaults; what reads, runs, sweeps and reports studies knows a system by them alone.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
from pydantic import BaseModel, Field

from nepfield.errors import InputError, located
from nepfield.fields.coordinates import Coordinates, read_vertices
from nepfield.fields.names import told_outputs, vertex_names
from nepfield.fields.parameters import Parameter
from nepfield.fields.readouts import Readout
from nepfield.learning.costs import COSTS, Cost
from nepfield.learning.rules import RULES
from nepfield.learning.tasks import Task
from nepfield.mesh.domain import Domain
from nepfield.mesh.graphs import layer_sizes
from nepfield.reprs import counted
from nepfield.steady.steady import Steady
from nepfield.study.text.domains import DomainConfig, build_domain
from nepfield.study.text.initial import starting_values
from nepfield.study.text.quantities import UnitsConfig
from nepfield.study.text.sections import (
    FiguresConfig,
    PhysicsConfig,
    ReadoutConfig,
    SetReadoutConfig,
    SolverConfig,
    TrainedConfig,
    TrainingConfig,
)
from nepfield.study.text.success import Limits
from nepfield.study.text.tasks import TaskConfig
from nepfield.study.text.units import UnitError
from nepfield.study.text.values import Count, FolderName, Form, ScaledNormal, Section
from nepfield.systems.system import System

ROUNDING = 1e-9
"""Of the width of bounds: a mean of values on a bound may leave it by so much."""

Shown = dict[str, dict[str, Any]]
"""For each kind of figure the ``unit`` it is shown in and the ``factor`` it is multiplied by."""


class Built(Protocol):
    """A study with the objects that were built from it (`nepfield.study.run.build.Study`)."""

    @property
    def config(self) -> Any: ...
    @property
    def system(self) -> Any: ...
    @property
    def cost(self) -> Cost: ...
    @property
    def task(self) -> Task: ...
    @property
    def solver(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Source:
    """A trained run whose values another study begins with.

    Attributes
    ----------
    run : Path
    config : StudyConfig
    system : System
        With the trained parameters.
    """

    run: Path
    config: Any
    system: Any

    def values(self, name: str, count: int) -> np.ndarray:
        """Values of the parameter of that name.

        Raises
        ------
        InputError
            If the run has no such parameter, or another number of values.
        """
        parameters: Mapping[str, Parameter] = self.system.parameters
        if name not in parameters:
            raise InputError(
                f"{self.run}: this run has no parameter {name!r}; it has {', '.join(parameters)}."
            )
        values = parameters[name].values
        if len(values) != count:
            raise InputError(
                f"{self.run}: this run has {len(values)} values of {name} and the study {count}."
            )
        return values

    def inside(self, values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
        """The values, with rounding taken off those that leave the bounds by no more than that."""
        if bounds is None:
            return values
        low, high = bounds
        slack = ROUNDING * (high - low)
        if values.min() < low - slack or values.max() > high + slack:
            raise InputError(
                f"{self.run}: values of this run from {values.min():.6g} to {values.max():.6g} "
                f"leave the bounds [{low:g}, {high:g}]; widen them."
            )
        return np.clip(values, low, high)


Begun = Mapping[str, np.ndarray] | None
"""What a run began with, by the names of its parameters; None where that is not kept."""
Sources = Mapping[Path, Source]
"""The runs that values are taken from, by their folders."""


class StudyConfig(Section):
    """A whole study, as `load_study` returns it: every default filled in, file paths absolute."""

    name: FolderName = Field(description="name of the study and of its run folder")
    seed: Count = Field(default=0, description="seed of everything that is drawn")
    units: UnitsConfig | None = Field(
        default=None, description="physical units; without them all numbers are dimensionless"
    )
    domain: DomainConfig = Field(description="what the system lives on")
    physics: PhysicsConfig = Field(description="which system, and what holds for all of it")
    readout: ReadoutConfig = Field(description="where outputs are read")
    task: TaskConfig = Field(description="what is to be learnt")
    training: TrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )
    success: Limits = Field(
        default={},
        description="when it counts as learnt, such as cost = 0.01, by figures of the summary",
    )
    solver: SolverConfig = Field(default=SolverConfig(), description="how states are found")
    figures: FiguresConfig = Field(default=FiguresConfig(), description="pictures of the run")

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.name!r}: {self.physics.system}, seed {self.seed}"

    # ---------------------------------------------------------------- what the system admits

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that the system admits, the usual one first."""
        return tuple(RULES)

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs that fit what is read of the system, the usual one first."""
        return tuple(COSTS)

    @classmethod
    def parameter_sections(cls) -> list[str]:
        """The sections that say whether something is trained."""
        return [
            name
            for name, field in cls.model_fields.items()
            if any("trainable" in section.model_fields for section in sections_in(field.annotation))
        ]

    def check_quantities(self, data: Mapping[str, Any]) -> None:
        """UnitError if quantities of a study with units do not fit together.

        Parameters
        ----------
        data : dict
            The content of its file.
        """
        raise UnitError(f"units: {self.physics.system} has no physical units; leave [units] out")

    # ---------------------------------------------------------------- how it is built

    def build_domain(self, meshes: Path | None = None) -> Domain:
        """The domain; the mesh of a geometry is kept in the folder `meshes`."""
        return build_domain(self.domain, meshes)

    @abstractmethod
    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> Any:
        """The system with its starting values; a system's class must have this.

        Parameters
        ----------
        domain : Domain
        begun : dict of ndarray or None
            Starting values that the run folder keeps, by the name of the parameter.
        sources : dict of Path to Source
            The runs that values are taken from.

        Returns
        -------
        System
        """

    def build_readout(self, system: System) -> Readout:
        """What is read: by default the entries of a state at named sets of vertices."""
        if not isinstance(self.readout, SetReadoutConfig):
            raise TypeError(f"{type(self).__name__} needs a build_readout for its [readout]")
        with located("readout"):
            chosen = read_vertices(system.domain, self.readout.sets)
        shapes: tuple[dict[str, Any], ...] = tuple({"vertices": [int(k)]} for k in chosen)
        names = vertex_names(system.domain, self.readout.sets)
        weight = np.ones(len(chosen))
        return Coordinates(chosen, np.arange(len(chosen)), weight, shapes, names=names)

    def check_task(self, task: Task) -> None:
        """Refuse samples that are not what the study takes them for."""

    def build_cost(self, readout: Readout) -> Cost:
        """The cost of what is read."""
        options = {} if self.training.gain is None else {"gain": self.training.gain}
        return COSTS[self.training.cost](readout, **options)

    def parameter(
        self,
        name: str,
        on: str,
        domain: Domain,
        begun: Begun,
        sources: Sources,
        **labels: Any,
    ) -> Parameter:
        """A parameter with the starting values that its section says.

        Parameters
        ----------
        name : str
            Of the section and of the parameter.
        on : {"edge", "vertex", "cell"}
        domain, begun, sources
            As in `build_system`.
        **labels
            ``symbol``, ``label`` and ``unit`` of `Parameter`.
        """
        section: TrainedConfig = getattr(self, name)
        initial = section.initial
        assert not isinstance(initial, str)  # what a word means its own system knows
        count = len(domain.points if on == "vertex" else domain.cells)
        with located(f"{name}.initial"):
            if begun is not None:
                values = begun[name]
            elif isinstance(initial, Path):
                source = sources[initial]
                values = source.inside(source.values(name, count), section.bounds)
            else:
                seed = (self.seed, zlib.crc32(name.encode()))
                scaled = isinstance(initial, ScaledNormal) and on == "edge"
                sizes = layer_sizes(domain) if scaled else None
                values = starting_values(initial, count, seed, section.bounds, sizes)
        return Parameter(values, on, section.bounds, trainable=section.trainable, **labels)

    def rates(self) -> dict[str, float]:
        """Step sizes of single parameters, by name; the others have training.rate."""
        return {
            name: section.rate for name, section in self._parameters() if section.rate is not None
        }

    def solver_options(self) -> dict[str, Any]:
        """Keywords of `solve_steady`."""
        return {
            "tolerance": self.solver.tolerance,
            "max_iterations": self.solver.max_iterations,
        }

    def runs(self) -> set[Path]:
        """The run folders that values are taken from."""
        return {s.initial for _, s in self._parameters() if isinstance(s.initial, Path)}

    def begins_with(self) -> tuple[str, ...]:
        """The sections that decide what a run begins with."""
        return ("seed", "units", "domain", *self.parameter_sections())

    def _parameters(self) -> Iterator[tuple[str, TrainedConfig]]:
        for name in type(self).model_fields:
            if isinstance(section := getattr(self, name), TrainedConfig):
                yield name, section

    # ---------------------------------------------------------------- what is told of it

    def shown_units(self, domain: Domain) -> Shown:
        """Units in which figures are shown; empty without [units]."""
        return {}

    def lines(self, study: Built) -> list[str]:
        """What `nepfield check` says of the study, after its domain."""
        system: System = study.system
        told = [
            f"{counted(len(p), 'value')} of {name} ({'trained' if p.is_trained else 'fixed'})"
            for name, p in system.parameters.items()
        ]
        return [
            f"study {self.name!r}: {self.physics.system}",
            f"  {', '.join(told)}, {counted(system.ninputs, 'input')}, "
            f"{told_outputs(study.cost.readout)}, {counted(len(study.task.inputs), 'sample')}",
        ]

    def reach(self, study: Built, system: Any) -> list[str]:
        """What can be said of outputs that stay dark: whether the system can make them bright."""
        return []

    def summary(
        self,
        study: Built,
        system: Any,
        steady: Steady,
        epochs: int = 0,
        history: Sequence[Mapping[str, float]] = (),
    ) -> dict[str, Any]:
        """What summary.json has of this system beside what it has of all.

        Parameters
        ----------
        study : Study
        system : System
            The study's, or with trained parameters.
        steady : Steady
            For the inputs of the task.
        epochs : int
            Of the training that led here; 0 where none did.
        history : sequence of dict
            Of that training, a row an epoch.

        Returns
        -------
        dict
            ``units`` by kind of figure, ``unknowns``, ``warnings``, and whatever else is worth
            keeping; in ``report`` what is told at the end of a run, a list of dicts with ``label``
            and ``text``, or ``values`` and their kind of ``unit``.
        """
        return {
            "units": self.shown_units(system.domain),
            "unknowns": int(np.prod(steady.state.shape[:-1])),
            "warnings": [],
            "report": [],
        }

    @classmethod
    def describe_old(
        cls,
        study: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        summary: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What the summary of a run of version 0.1 does not say of its fields, marks and columns.

        Parameters
        ----------
        study : dict
            The content of its study.toml, unchecked: its mesh need not be there any more.
        arrays : dict of ndarray
            In fields.vtu, or in a frame.
        summary : dict
            Of the run; empty where it was broken off.
        """
        return {}


def sections_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The section classes that a field may hold; more than one where there are kinds of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return () if issubclass(annotation, Form) else (annotation,)
    return tuple(section for part in get_args(annotation) for section in sections_in(part))
