"""A `StudyConfig` becomes the objects of the library; its class knows how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nepfield.errors import InputError, located
from nepfield.learning.classes import classes_of
from nepfield.learning.costs import Cost
from nepfield.learning.optimizers import Optimizer
from nepfield.learning.parts import Estimator
from nepfield.learning.resume import begins_warm, resumed_state, starting_state
from nepfield.learning.state import TrainingState
from nepfield.learning.tasks import Task
from nepfield.learning.training import TrainingResult, train
from nepfield.study.run.beginning import begun_system, read_start
from nepfield.study.run.trained import load_run, made_from, meshes_of, trained_system
from nepfield.study.text.study import Source, StudyConfig
from nepfield.systems.system import checked_inputs, trained


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a study speaks of, ready to run.

    Attributes
    ----------
    config : StudyConfig
        Of the class of its system.
    system : System
        With its starting parameters, drawn by the study's seed.
    cost : Cost
    task : Task
    optimizer : Optimizer
    solver : dict
        Keywords of `solve_steady`.
    """

    config: Any
    system: Any
    cost: Cost
    task: Task
    optimizer: Optimizer
    solver: Mapping[str, Any]

    def train(
        self,
        *,
        checkpoint: Path | None = None,
        resume: bool = False,
        on_epoch: Callable[[TrainingState], None] | None = None,
        estimator: Estimator | None = None,
    ) -> TrainingResult:
        """`nepfield.train` with everything that the study says."""
        training = self.config.training
        return train(
            self.system,
            self.cost,
            self.task,
            optimizer=self.optimizer,
            **training.estimator,
            epochs=training.epochs,
            batch=training.batch,
            per_class=training.per_class,
            starts=training.starts,
            seed=self.config.seed,
            shuffle=training.shuffle,
            compare_every=training.compare_every,
            evaluate_every=training.evaluate_every,
            schedule=training.schedule and training.schedule.build(),
            stop=training.stop and training.stop.build(),
            keep=training.keep,
            warm_start=training.warm_start,
            warm_memory=training.warm_memory,
            checkpoint=checkpoint,
            resume=resume,
            accept_changes=True,  # what is read from files has been checked
            made_from=made_from(self.config),
            on_epoch=on_epoch,
            estimator=estimator,
            **self.solver,
        )

    def check_resumable(self, checkpoint: Path) -> None:
        """InputError if the training cannot go on from a checkpoint."""
        training = self.config.training
        fresh = starting_state(self.system, self.optimizer, self.config.seed, {})
        warm = begins_warm(self.system, training.warm_start, training.starts)
        resumed_state(checkpoint, fresh, len(self.task.inputs), warm)


def build(config: StudyConfig, meshes: Path | None = None, run: Path | None = None) -> Study:
    """Make the domain, place the fields, draw the starting values.

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
        If anything in the study does not fit its domain or its data.
    """
    begun = read_start(run, config)
    sources = {} if begun else {other: _source(other, config) for other in config.runs()}
    domain = config.build_domain(meshes)
    if run is None or begun is None:
        system = config.build_system(domain, begun, sources)
    else:
        system = begun_system(config, domain, begun, run)
    cost = config.build_cost(config.build_readout(system))
    task = config.task.build(config.seed)
    where = str(config.task.file or "task")
    for name, (inputs, targets) in task.sets().items():
        with located(where if name == "train" else f"{where} ({name} samples)"):
            checked_inputs(system, inputs)
            cost.checked_targets(targets)
    config.check_task(task)
    if config.training.per_class is not None and classes_of(task.targets) is None:
        raise InputError(f"{where}: its targets name no classes, which training.per_class needs.")
    if config.training.keep == "best" and "validation" not in task.sets():
        raise InputError(
            'training.keep = "best": the task has no validation samples to choose by; set '
            "task.validation, the share of the samples that is kept for them, such as 0.2."
        )
    if not trained(system):
        keys = " or ".join(f"{section}.trainable" for section in config.parameter_sections())
        raise InputError(f"nothing is trainable: set {keys} to true.")
    return Study(
        config=config,
        system=system,
        cost=cost,
        task=task,
        optimizer=config.training.build_optimizer(config.rates()),
        solver=config.solver_options(),
    )


def _source(run: Path, config: StudyConfig) -> Source:
    """A trained run, rebuilt; its numbers must mean what those of the study mean."""
    kept = load_run(run)
    if _units(kept) != _units(config):
        raise InputError(
            f"{run}: this run has the units {_told(kept)}, the study {_told(config)}; values "
            "can be taken over between equal units of length and mass only."
        )
    study = build(kept, meshes_of(run, kept), run)
    return Source(run, kept, trained_system(study, run))


def _units(config: StudyConfig) -> tuple[float, float] | None:
    """Length and energy that are 1 in a study, to the digits that a user can mean."""
    if config.units is None:
        return None
    scales = config.units.scales
    return float(f"{scales.length:.9e}"), float(f"{scales.energy:.9e}")


def _told(config: StudyConfig) -> str:
    return "none" if config.units is None else f"{config.units.length}, {config.units.mass}"
