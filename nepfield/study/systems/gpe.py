"""The study of a driven-dissipative Gross-Pitaevskii wave (`nepfield.systems.gpe`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from nepfield.errors import InputError, located
from nepfield.fields.names import told_outputs
from nepfield.fields.pumps import pump_inputs
from nepfield.fields.readouts import Readout, readout
from nepfield.learning.record import MOST_FIGURED
from nepfield.learning.tasks import Task
from nepfield.mesh.domain import Domain
from nepfield.mesh.report import describe as describe_domain
from nepfield.reprs import counted
from nepfield.space.space import Space
from nepfield.steady.steady import Steady
from nepfield.study.systems.gpe_absorbers import AbsorberConfig
from nepfield.study.systems.gpe_background import BackgroundConfig
from nepfield.study.systems.gpe_build import (
    build_background,
    build_nonlinearity,
    build_potential,
    build_pumps,
    build_space,
)
from nepfield.study.systems.gpe_drives import drive_warnings
from nepfield.study.systems.gpe_evolve import EvolveConfig
from nepfield.study.systems.gpe_measurement import MeasurementConfig
from nepfield.study.systems.gpe_old import describe
from nepfield.study.systems.gpe_outlook import darkness, outlook
from nepfield.study.systems.gpe_pumps import ImagePumpConfig, PumpConfig
from nepfield.study.systems.gpe_sections import (
    GPEPhysicsConfig,
    IntensityReadoutConfig,
    PotentialConfig,
    WaveDomainConfig,
    WaveSolverConfig,
    WaveTaskConfig,
    WaveTrainingConfig,
)
from nepfield.study.systems.laboratory import (
    density_dimension,
    laboratory_line,
    laboratory_time,
    scale_lines,
    shown_units,
)
from nepfield.study.systems.resolution import resolution, warnings_of
from nepfield.study.text.quantities import mismatch
from nepfield.study.text.study import Begun, Built, Shown, Sources, StudyConfig
from nepfield.study.text.units import UnitError
from nepfield.study.text.written import wrong
from nepfield.systems.gpe import GPE
from nepfield.systems.measured import MeasuredWave
from nepfield.systems.system import solve_steady

_OUTSIDE = 0.25  # share of a pump that may be cut off without a word
_SAMPLES = 64  # so many inputs are solved for at most, to know the density


def _at_least_one(pumps: tuple[PumpConfig, ...]) -> tuple[PumpConfig, ...]:
    if not pumps:
        raise wrong("nothing drives the wave: add a [[pump]]")
    return pumps


class GPEStudy(StudyConfig):
    """A study of a wave on a mesh or a graph, driven by pumps, read by its intensity."""

    domain: WaveDomainConfig = Field(description="where the wave lives")
    physics: GPEPhysicsConfig = Field(description="the equation of motion")
    absorber: tuple[AbsorberConfig, ...] = Field(default=(), description="extra loss")
    background: tuple[BackgroundConfig, ...] = Field(
        default=(), description="fixed parts of the potential, written [[background]]"
    )
    potential: PotentialConfig = Field(default=PotentialConfig(), description="the landscape")
    pump: Annotated[tuple[PumpConfig, ...], AfterValidator(_at_least_one)] = Field(
        description="the drives, one or more, written [[pump]]"
    )
    readout: IntensityReadoutConfig = Field(description="where the intensity is read")
    task: WaveTaskConfig = Field(description="what is to be learnt")
    training: WaveTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )
    solver: WaveSolverConfig = Field(
        default=WaveSolverConfig(), description="how steady states are found"
    )

    evolve: EvolveConfig = Field(
        default=EvolveConfig(), description="how the wave is followed in time"
    )
    measurement: MeasurementConfig = Field(
        default=MeasurementConfig(), description="noise and limits of a laboratory; by default none"
    )

    @model_validator(mode="after")
    def _check(self) -> GPEStudy:
        for k, entry in enumerate(self.evolve.envelope):
            if entry.pump is not None and entry.pump >= len(self.pump):
                raise ValueError(
                    f"evolve.envelope.{k} is for pump {entry.pump}, but there are "
                    f"{len(self.pump)}, counted from 0"
                )
        self.measurement.check_rule(self.training.rule, self.potential.bounds)
        if self.training.cost == "cce" and self.readout.count < 2:
            raise ValueError(
                'training.cost = "cce" tells classes apart: readout needs two outputs or more'
            )
        if self.task.inputs and self.task.targets:
            firsts = zip(self.pump_inputs, self.pump, strict=True)
            last = max(first if first < 0 else first + p.ninputs - 1 for first, p in firsts)
            if last >= (given := len(self.task.inputs[0])):
                raise ValueError(
                    f"a pump takes input {last} (counted from 0), but the rows of"
                    f" task.inputs have {given}: set pump.input or add columns"
                )
            if (width := len(self.task.targets[0])) != self.readout.count:
                raise ValueError(
                    f"task.targets has rows of {width}, but readout has {self.readout.count}"
                )
        return self

    @property
    def pump_inputs(self) -> tuple[int, ...]:
        """For each pump the (first) input that drives it; -1 where none does."""
        return tuple(pump_inputs(self.pump))

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that a wave admits."""
        return GPE.rules + GPE.published

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs of intensities."""
        return ("mse", "cce")

    def check_quantities(self, data: Mapping[str, Any]) -> None:
        """UnitError if one step is given for what has two units."""
        rate = data.get("training", {}).get("rate")
        weights = any(pump.trainable for pump in self.pump)
        if isinstance(rate, str) and weights and self.training.weight_rate is None:
            raise UnitError(
                f'training.rate = "{rate}" is a step of V, and training.weight_rate is missing, the'
                ' step of the pump weights, such as "0.1 meV/um"'
            )

    # ---------------------------------------------------------------- how it is built

    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> Any:
        """The wave with its starting parameters, as it is measured."""
        if problem := mismatch(self.units, density_dimension(domain)):
            raise InputError(f"units: {problem}.")
        return self.build_on(build_space(self.domain, domain), begun, sources)

    def build_on(self, space: Space, begun: Begun, sources: Sources) -> Any:
        """The same on a space that is there: what depends on the domain alone is not made again."""
        fixed = {"absorber": self.absorber, "background": self.background}
        background = build_background(space, fixed, self.potential, self.seed)
        wave = GPE(
            space,
            potential=build_potential(space, self.potential, self.seed, begun, sources),
            pumps=build_pumps(space, self.pump, self.seed, begun, sources),
            nonlinearity=build_nonlinearity(self.physics),
            loss=self.physics.loss,
            background=background,
        )
        return self.measurement.build(wave)

    def check_task(self, task: Task) -> None:
        """Images must have the shape of their pumps."""
        for k, pump in enumerate(self.pump):
            if isinstance(pump, ImagePumpConfig) and task.image is not None:
                with located(f"pump.{k}"):
                    pump.check_image(task.image)

    def build_readout(self, system: Any) -> Readout:
        """Mean intensities over regions, sites and discs, or over groups of them."""
        with located("readout"):
            found = readout(
                system.space,
                regions=self.readout.regions,
                sites=self.readout.sites,
                discs=[(disc.center, disc.radius) for disc in self.readout.disc],
                groups=self.readout.groups,
            )
        return system.reads(found) if isinstance(system, MeasuredWave) else found

    def rates(self) -> dict[str, float]:
        """Step sizes of V and of the weights of pumps."""
        given = {"potential": self.potential.rate, "weights": self.training.weight_rate}
        return {name: rate for name, rate in given.items() if rate is not None}

    def runs(self) -> set[Path]:
        """The run folders that V and weights are taken from."""
        values: list[Any] = [self.potential.initial, *(pump.weight for pump in self.pump)]
        if self.potential.imaginary is not None:
            values.append(self.potential.imaginary.initial)
        return {value for value in values if isinstance(value, Path)}

    # ---------------------------------------------------------------- what is told of it

    def shown_units(self, domain: Domain) -> Shown:
        """Units in which figures are shown; empty without [units]."""
        return shown_units(self, density_dimension(domain))

    def lines(self, study: Built) -> list[str]:
        """Its size, what it places where, its scales, and cells a wavelength."""
        system: GPE = study.system
        space = system.space
        kind = "graph" if space.is_graph else f"finite elements of order {self.domain.order}"
        lines = [
            f"study {self.name!r}: {kind}, {space.ndof} complex unknowns",
            f"  {counted(len(system.potential.values), 'value')} of V "
            f"({_trained(system)}), "
            f"{counted(len(system.pumps.weights), 'pump')} "
            f"({system.pumps.trainable.sum()} trained), "
            f"{counted(system.pumps.ninputs, 'input')}, {told_outputs(study.cost.readout)}, "
            f"{counted(len(study.task.inputs), 'sample')}",
        ]
        for k, pump in enumerate(self.pump):
            outside = 1 - pump.share_inside(space)
            if outside > _OUTSIDE:
                lines.append(
                    f"  warning: pump.{k}: {outside:.0%} of its power falls outside of the domain; "
                    "is its center where it should be?"
                )
        unnamed = describe_domain(space.domain).unnamed_facets
        if unnamed and self.domain.dirichlet is not None:
            lines.append(
                f"  warning: {unnamed} outer facets belong to no named boundary; with "
                "domain.dirichlet given they are open (Neumann)"
            )
        lines += [f"  warning: {text}" for text in self._drive_warnings(study, system)]
        lines += scale_lines(self, density_dimension(space.domain))
        lines += self.measurement.lines(system) if isinstance(system, MeasuredWave) else []
        lines += [] if space.is_graph else _resolution_lines(study)
        return lines + [f"  {text}" for text in outlook(study, self.shown_units(space.domain))]

    def _drive_warnings(self, study: Built, system: GPE) -> list[str]:
        return drive_warnings(system, study.task.inputs, self.solver.tolerance)

    def reach(self, study: Built, system: GPE) -> list[str]:
        """Whether outputs that stayed dark can be bright (`nepfield.reach`)."""
        return darkness(study, system, self.shown_units(system.domain))

    def solver_options(self) -> dict[str, Any]:
        """Keywords of `solve_steady`."""
        found = super().solver_options() | {"prefer": self.solver.prefer}
        if self.solver.response_tolerance is not None:
            found["response_tolerance"] = self.solver.response_tolerance
        return found | ({} if self.solver.prefer == "any" else {"patience": self.solver.patience})

    def summary(
        self,
        study: Built,
        system: Any,
        steady: Steady,
        epochs: int = 0,
        history: Sequence[Mapping[str, float]] = (),
    ) -> dict[str, Any]:
        """Weights, size, cells a length of the wave, and the time that a laboratory needs."""
        good = np.flatnonzero(steady.converged)[:MOST_FIGURED]
        lengths = resolution(study, system, steady.state[:, good] if len(good) else None)
        weights = system.pumps.weights
        found = super().summary(study, system, steady, epochs, history) | {
            "weights": weights,
            "cells": len(system.space.elements),
            "resolution": {x.name: {"length": x.length, "cells": x.cells} for x in lengths},
            "warnings": [*self._drive_warnings(study, system), *warnings_of(lengths)],
        }
        if self.units is not None and system.pumps.image is None:
            found["report"].append({"label": "weights", "values": weights, "unit": "weight"})
        if epochs:
            time = laboratory_time(self, epochs, len(study.task.inputs), history)
            found["laboratory"] = time
            found["report"] += [] if time is None else [laboratory_line(time)]
        return found

    @classmethod
    def describe_old(
        cls,
        study: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        summary: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Fields, marks and columns of a run of version 0.1."""
        return describe(study, arrays, summary)


def _trained(system: GPE) -> str:
    """How much of the potential is trained."""
    parameter = system.potential.parameter
    count, total = int(np.sum(np.broadcast_to(parameter.trainable, len(parameter)))), len(parameter)
    return "trained" if count == total else f"{count} trained" if count else "fixed"


def _resolution_lines(study: Built) -> list[str]:
    """Cells a length of the wave, for the study's inputs and with V as low as training may go."""
    lines, state = [], None
    if study.system.nonlinearity is not None:
        inputs = study.task.inputs[:_SAMPLES]
        steady = solve_steady(study.system, inputs, on_failure="flag", **study.solver)
        found = int(steady.converged.sum())
        if found < len(inputs):
            lines.append(
                f"  warning: the steady states of {len(inputs) - found} of {len(inputs)} inputs "
                "were not found at the starting parameters; what follows does without them"
            )
        state = steady.state[:, steady.converged] if found else None
    lengths = resolution(study, study.system, state, training=True)
    lines += [f"  {length}" for length in lengths]
    return lines + [f"  warning: {text}" for text in warnings_of(lengths)]
