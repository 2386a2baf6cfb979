"""A `StudyConfig` becomes the objects of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.absorbers import absorbing_layer, absorbing_region
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pumps import (
    Pump,
    PumpArray,
    gaussian_pump,
    place_pumps,
    region_pump,
    site_pump,
)
from nepfield.fields.readouts import readout
from nepfield.learning.costs import CCE, MSE, Cost
from nepfield.learning.optimizers import SGD, Adam, Momentum, Optimizer
from nepfield.learning.state import TrainingState
from nepfield.learning.tasks import Task, load_task, xor
from nepfield.learning.training import TrainingResult, train
from nepfield.mesh.domain import Domain, read_domain
from nepfield.mesh.geometry import described, mesh_geometry
from nepfield.mesh.lattice import lattice
from nepfield.space.elements import finite_elements
from nepfield.space.graph import graph
from nepfield.space.space import Space
from nepfield.steady.newton import SolverOptions
from nepfield.study.run.beginning import Start, read_start
from nepfield.study.run.trained import Source, load_run, meshes_of, runs_of, trained_system
from nepfield.study.systems.laboratory import density_dimension
from nepfield.study.text.config import (
    AbsorberConfig,
    DomainConfig,
    PhysicsConfig,
    Pixels,
    PotentialConfig,
    PumpConfig,
    StudyConfig,
    TaskConfig,
    TrainingConfig,
)
from nepfield.study.text.initial import Initial, draw
from nepfield.study.text.quantities import mismatch
from nepfield.systems.gpe import GPE
from nepfield.systems.nonlinearity import Density, Nonlinearity, Saturation


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a study speaks of, ready to run.

    Attributes
    ----------
    config : StudyConfig
    system : GPE
        With its starting parameters, drawn by the study's seed.
    cost : MSE or CCE
    task : Task
    optimizer : Optimizer
    solver : SolverOptions
        Keywords of `solve_steady`.
    """

    config: StudyConfig
    system: GPE
    cost: Cost
    task: Task
    optimizer: Optimizer
    solver: SolverOptions

    def train(
        self,
        *,
        checkpoint: Path | None = None,
        resume: bool = False,
        on_epoch: Callable[[TrainingState], None] | None = None,
    ) -> TrainingResult:
        """`nepfield.train` with everything that the study says."""
        training = self.config.training
        return train(
            self.system,
            self.cost,
            self.task,
            optimizer=self.optimizer,
            rule=training.rule,
            epochs=training.epochs,
            batch=training.batch,
            beta=training.beta,
            seed=self.config.seed,
            shuffle=training.shuffle,
            compare_every=training.compare_every,
            warm_start=training.warm_start,
            checkpoint=checkpoint,
            resume=resume,
            on_epoch=on_epoch,
            **self.solver,
        )


def build(config: StudyConfig, meshes: Path | None = None, run: Path | None = None) -> Study:
    """Read the mesh, place the fields, draw the starting values.

    Parameters
    ----------
    config : StudyConfig
    meshes : Path, optional
        Folder where the mesh of a ``domain.geometry`` is kept and looked for.
    run : Path, optional
        Run folder of the study: what it began with is taken from there, where it is kept.

    Raises
    ------
    InputError
        If anything in the study does not fit its mesh or its data.
    """
    start = read_start(run, config)
    sources = {} if start else {other: _source(other, config) for other in runs_of(config)}
    domain = build_domain(config.domain, meshes)
    if problem := mismatch(config.units, density_dimension(domain)):
        raise InputError(f"units: {problem}.")
    with _at("domain"):
        space = build_space(config.domain, domain)
    with _at("absorber"):
        background = _background(space, config.absorber)
    if config.potential.disorder is not None:
        disorder = _disorder(space, config.potential.disorder, config.seed)
        background = disorder if background is None else background + disorder
    system = GPE(
        space,
        potential=_potential(space, config.potential, config.seed, sources, start),
        pumps=_pumps(space, config.pump, config.seed, sources, start),
        nonlinearity=_nonlinearity(config.physics),
        loss=config.physics.loss,
        background=background,
    )
    with _at("readout"):
        outputs = readout(
            space,
            regions=config.readout.regions,
            sites=config.readout.sites,
            discs=[(disc.center, disc.radius) for disc in config.readout.disc],
        )
    cost: Cost = MSE(outputs) if config.training.cost == "mse" else CCE(outputs)
    task = _task(config.task)
    where = str(config.task.file or "task")
    for inputs, targets, kind in (
        (task.inputs, task.targets, ""),
        (task.test_inputs, task.test_targets, " (test samples)"),
    ):
        if inputs is not None and targets is not None:
            with _at(where + kind):
                system.checked_inputs(inputs)
                cost.checked_targets(targets)
    if not system.parameters:
        raise InputError("nothing is trainable: set potential.trainable or pump.trainable to true.")
    return Study(
        config=config,
        system=system,
        cost=cost,
        task=task,
        optimizer=_optimizer(config.training, config.potential),
        solver={
            "tolerance": config.solver.tolerance,
            "max_iterations": config.solver.max_iterations,
        },
    )


def _source(run: Path, config: StudyConfig) -> Source:
    """A trained run, rebuilt; its numbers must mean what those of the study mean."""
    trained = load_run(run)
    if _units(trained) != _units(config):
        raise InputError(
            f"{run}: this run has the units {_told(trained)}, the study {_told(config)}; values "
            "can be taken over between equal units of length and mass only."
        )
    study = build(trained, meshes_of(run, trained), run)
    return Source(run, study, trained_system(study, run))


def _units(config: StudyConfig) -> tuple[float, float] | None:
    """Length and energy that are 1 in a study, to the digits that a user can mean."""
    if config.units is None:
        return None
    scales = config.units.scales
    return float(f"{scales.length:.9e}"), float(f"{scales.energy:.9e}")


def _told(config: StudyConfig) -> str:
    return "none" if config.units is None else f"{config.units.length}, {config.units.mass}"


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Put the section of the study (or the file) in front of an error's message."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def build_domain(config: DomainConfig, meshes: Path | None = None) -> Domain:
    """The mesh or lattice of a study; the mesh of a geometry is kept in the folder `meshes`."""
    if config.mesh is not None:
        return read_domain(config.mesh, allow_disconnected=config.allow_disconnected)
    if config.geometry is not None:
        if meshes is None:
            with TemporaryDirectory() as scratch:
                return build_domain(config, Path(scratch))
        path = mesh_geometry(config.geometry, config.parameters, meshes)
        source = described(config.geometry, config.parameters)
        try:
            domain = read_domain(path, allow_disconnected=config.allow_disconnected)
        except InputError as error:  # the user knows the geometry, not our file
            raise InputError(str(error).replace(str(path), source)) from None
        return replace(domain, source=source)
    return lattice(*(config.lattice or ()), periodic=config.periodic, sites=config.sites)


def build_space(config: DomainConfig, domain: Domain) -> Space:
    """Finite elements on a mesh, or functions on a graph."""
    if domain.kind == "graph":
        return graph(domain, config.dirichlet, config.robin)
    return finite_elements(domain, config.order, config.dirichlet, config.robin)


def _disorder(space: Space, initial: Initial, seed: int) -> np.ndarray:
    """A fixed real potential, one value a cell (a vertex of a graph), at the quadrature points."""
    with _at("potential.disorder"):
        values = draw(initial, len(space.elements), (seed, 0, 1))
    return values[space.element_of_point]


def _potential(
    space: Space,
    config: PotentialConfig,
    seed: int,
    sources: Mapping[Path, Source],
    start: Start | None,
) -> Potential:
    basis = config.basis.pixels if isinstance(config.basis, Pixels) else config.basis
    imaginary = config.imaginary
    with _at("potential"):
        blank = potential(space, basis=basis)
    count = len(blank.values)
    if start is None:
        values = _values(space, config, basis, seed, sources, count)
    else:
        values = start.potential
    return potential(
        space,
        values,
        basis,
        bounds=config.bounds,
        imaginary_bounds=None if imaginary is None else imaginary.bounds,
        trainable=config.trainable,
    )


def _values(
    space: Space,
    config: PotentialConfig,
    basis: str | tuple[float, ...],
    seed: int,
    sources: Mapping[Path, Source],
    count: int,
) -> np.ndarray:
    """Starting values of V, drawn or from another run, shape (count,)."""
    imaginary = config.imaginary
    taken: np.ndarray | None = None  # both parts at once
    with _at("potential.initial"):
        if isinstance(config.initial, Path):
            source = sources[config.initial]
            taken = source.potential(space, basis)
            if np.iscomplexobj(taken) and not (
                imaginary is not None and isinstance(imaginary.initial, Path)
            ):
                raise InputError(
                    f"{source.run}: V of this run is complex; take its imaginary part as well by "
                    "setting potential.imaginary.initial to the same folder."
                )
            values = source.inside(taken.real, config.bounds)
        else:
            values = draw(config.initial, count, (seed, 0), config.bounds)
    if imaginary is None:
        return values
    with _at("potential.imaginary.initial"):
        if isinstance(imaginary.initial, Path):
            source = sources[imaginary.initial]
            if taken is None:
                taken = source.potential(space, basis)
            elif imaginary.initial != config.initial:
                raise InputError(
                    f"{source.run}: potential.initial is another run, {config.initial}; both parts "
                    "of V must come from the same one."
                )
            part = source.inside(taken.imag, imaginary.bounds)
        else:
            part = draw(imaginary.initial, count, (seed, 1), imaginary.bounds)
    return values + 1j * part


def _pumps(
    space: Space,
    configs: Sequence[PumpConfig],
    seed: int,
    sources: Mapping[Path, Source],
    start: Start | None,
) -> PumpArray:
    pumps = []
    for k, config in enumerate(configs):
        with _at(f"pump.{k}.weight"):
            if start is not None:
                weight = start.weights[k].item()
            elif isinstance(config.weight, Path):
                weight = sources[config.weight].weight(k, len(configs), space)
            else:
                weight = draw(config.weight, 1, (seed, 2 + k))[0]
        pumps.append(_pump(config, weight, k))
    try:
        return place_pumps(space, pumps)
    except InputError:
        for k, pump in enumerate(pumps):  # which one is it?
            with _at(f"pump.{k}"):
                place_pumps(space, [pump])
        raise


def _pump(config: PumpConfig, weight: complex, index: int) -> Pump:
    options = {"input": config.input, "trainable": config.trainable}
    if config.center is not None and config.width is not None:
        return gaussian_pump(config.center, config.width, weight, config.wavevector, **options)
    if config.wavevector is not None:
        raise InputError(f"pump.{index}: wavevector goes with center and width.")
    if config.region is not None:
        return region_pump(config.region, weight, **options)
    return site_pump(config.site if config.site is not None else -1, weight, **options)


def _nonlinearity(config: PhysicsConfig) -> Nonlinearity | None:
    if config.nonlinearity == "none" or config.g == 0:
        return None
    return (Density if config.nonlinearity == "density" else Saturation)(config.g)


def _background(space: Space, absorbers: tuple[AbsorberConfig, ...]) -> np.ndarray | None:
    total = None
    for absorber in absorbers:
        if absorber.region is not None:
            field = absorbing_region(space, absorber.region, absorber.strength)
        else:
            field = absorbing_layer(
                space, absorber.boundary or "", absorber.width or 0.0, absorber.strength
            )
        total = field if total is None else total + field
    return total


def _task(config: TaskConfig) -> Task:
    if config.file is not None:
        return load_task(config.file)
    if config.inputs is not None and config.targets is not None:
        return Task(np.array(config.inputs), np.array(config.targets))
    return xor()


def _optimizer(training: TrainingConfig, placed: PotentialConfig) -> Optimizer:
    given = {"potential": placed.rate, "weights": training.weight_rate}
    rates: Mapping[str, float] = {name: rate for name, rate in given.items() if rate is not None}
    kinds: dict[str, type[SGD] | type[Momentum] | type[Adam]] = {
        "sgd": SGD,
        "momentum": Momentum,
        "adam": Adam,
    }
    return kinds[training.optimizer](training.rate, rates)
