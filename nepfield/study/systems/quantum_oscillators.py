"""The study of quantum oscillators (`nepfield.systems.quantum_oscillators`), qep (19) to (22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import AllowInfNan, Field, Strict, model_validator

from nepfield.errors import InputError, located
from nepfield.fields.means import mean_positions
from nepfield.fields.readouts import Readout
from nepfield.mesh.domain import Domain
from nepfield.steady.steady import Steady
from nepfield.study.text.sections import (
    ParameterConfig,
    PhysicsConfig,
    SetReadoutConfig,
    TrainingConfig,
)
from nepfield.study.text.study import Begun, Built, Sources, StudyConfig
from nepfield.study.text.values import (
    AtLeastOne,
    Bounds,
    Flag,
    Name,
    Nonzero,
    ParameterOrRun,
    Positive,
    Uniform,
)
from nepfield.systems.configuration_space import configuration_space, reach
from nepfield.systems.quantum_oscillator_field import QuantumOscillatorField
from nepfield.systems.quantum_oscillators import QuantumOscillators

NotNegative = Annotated[float, Strict(), AllowInfNan(False), Ge(0)]
CELLS = 48  # along a side of the mesh of positions


class QuantumOscillatorPhysicsConfig(PhysicsConfig):
    """The particles, and how their ground state is found."""

    clamp: Name = Field(
        default="input", description="named set of vertices whose positions are the inputs"
    )
    mass: Positive = Field(default=1.0, description="of each particle")
    pin: NotNegative = Field(
        default=0.2, description="stiffness of the spring that holds each free particle at 0"
    )
    hbar: NotNegative = Field(default=1.0, description="0: the classical network")
    method: Literal["gaussian", "mesh"] = Field(
        default="gaussian",
        description='"gaussian": exact, "mesh": one or two free particles as a wave on a mesh',
    )
    box: Bounds | None = Field(
        default=None, description="of the mesh: [low, high] of each position; absent: wide enough"
    )
    cells: Annotated[AtLeastOne, Le(1000)] | None = Field(
        default=None, description=f"of the mesh, along each side; absent: {CELLS}"
    )

    @model_validator(mode="after")
    def _check(self) -> QuantumOscillatorPhysicsConfig:
        for key in ("box", "cells"):
            if self.method != "mesh" and getattr(self, key) is not None:
                raise ValueError(f'{key} goes with method = "mesh"')
        if self.method == "mesh" and self.hbar == 0:
            raise ValueError('method = "mesh" needs hbar > 0: without it there is no wave')
        return self


class StiffnessConfig(ParameterConfig):
    """Springs k of the edges."""

    initial: ParameterOrRun = Field(
        default=Uniform(uniform=(0.2, 1.0)), description="starting values, or the run folder"
    )
    bounds: Bounds | None = Field(
        default=(0.001, 100.0), description="limits in training; the lower one keeps springs whole"
    )


class QuantumOscillatorTrainingConfig(TrainingConfig):
    """How it is learnt."""

    beta: Nonzero = Field(default=0.001, description="strength of the nudge")
    warm_start: Flag = Field(
        default=False, description="start from the states of the epoch before (method mesh)"
    )


class QuantumOscillatorStudy(StudyConfig):
    """A study of quantum particles on a line, with springs along the edges of a graph."""

    physics: QuantumOscillatorPhysicsConfig = Field(description="the particles")
    stiffness: StiffnessConfig = Field(
        default=StiffnessConfig(), description="springs of the edges"
    )
    readout: SetReadoutConfig = Field(
        default=SetReadoutConfig(), description="which mean positions are the outputs"
    )
    training: QuantumOscillatorTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that quantum oscillators admit; the symmetric one has errors O(beta^2)."""
        return ("ep-symmetric", "ep", "adjoint")

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """Costs that are quadratic in positions."""
        return ("mse",)

    # ---------------------------------------------------------------- how it is built

    def build_system(
        self, domain: Domain, begun: Begun, sources: Sources
    ) -> QuantumOscillators | QuantumOscillatorField:
        """The particles with their starting springs, and by method "mesh" the mesh for them."""
        physics = self.physics
        network = QuantumOscillators(
            domain,
            self.parameter("stiffness", "edge", domain, begun, sources),
            domain.region(physics.clamp),
            physics.mass,
            physics.pin,
            physics.hbar,
        )
        if physics.method == "gaussian":
            return network
        with located("physics"):
            return QuantumOscillatorField(network, self._space(network))

    def _space(self, network: QuantumOscillators) -> Any:
        """Of the mesh of positions, which no spring that training may reach makes too small."""
        physics, box = self.physics, self.physics.box
        if box is None:
            sets = self.task.build(self.seed).sets().values()
            inputs = np.concatenate([np.abs(inputs).ravel() for inputs, _ in sets])
            side = reach(network, inputs)
            box = (-side, side)
        return configuration_space(network, box, physics.cells or CELLS)

    def build_readout(self, system: Any) -> Readout:
        """The mean positions of named sets of particles."""
        on_mesh = isinstance(system, QuantumOscillatorField)
        graph = system.network.domain if on_mesh else system.domain
        with located("readout"):
            found = mean_positions(graph, self.readout.sets)
            clamped = set((system.network if on_mesh else system).clamped)
            if held := [int(k) for k in found.rows if k in clamped]:
                raise InputError(f"vertex {held[0]} is clamped: its position is an input.")
        # the particles are no points of the mesh of their positions
        return replace(found, shapes=()) if on_mesh else found

    # ---------------------------------------------------------------- what is told of it

    def lines(self, study: Built) -> list[str]:
        """Its size, and of a mesh the cells a standard deviation."""
        lines = super().lines(study)
        if isinstance(study.system, QuantumOscillatorField):
            space = study.system.space
            low, high = space.domain.points.min(), space.domain.points.max()
            lines.append(
                f"  positions from {low:.4g} to {high:.4g} on {len(space.elements)} cells, "
                f"{space.ndof} unknowns, {self._cells_a_deviation(study.system):.2g} cells a "
                "standard deviation"
            )
            lines += [f"  warning: {text}" for text in self._warnings(study.system)]
        return lines

    def _cells_a_deviation(self, system: QuantumOscillatorField) -> float:
        """Of the narrowest free particle."""
        inputs = np.zeros((1, system.ninputs))
        _, covariance = system.network.moments(system.network.equilibrate(inputs).state)
        least = np.sqrt(min(covariance[k, k, 0] for k in system.network.free))
        points = system.domain.points
        return float(least * (self.physics.cells or CELLS) / (points.max() - points.min()))

    def _warnings(self, system: QuantumOscillatorField) -> list[str]:
        if (cells := self._cells_a_deviation(system)) >= 1.5:
            return []
        return [
            f"{cells:.2g} cells a standard deviation are few: from 2 on the energy is good to about"
            " 1e-4 hbar omega; raise physics.cells"
        ]

    def summary(
        self,
        study: Built,
        system: Any,
        steady: Steady,
        epochs: int = 0,
        history: Sequence[Mapping[str, float]] = (),
    ) -> dict[str, Any]:
        """The springs, and the cost as the sum of that of the means and the zero-point part."""
        found = super().summary(study, system, steady, epochs, history)
        found["stiffness"] = system.parameters["stiffness"].values
        if isinstance(system, QuantumOscillatorField):
            found |= {"unknowns": system.space.ndof, "warnings": self._warnings(system)}
        parts = _parts(study, steady)
        found |= parts
        if parts and self.physics.hbar > 0:
            means, zero = parts["cost_of_means"], parts["cost_zero_point"]
            text = f"{means:.6g} of the means, {zero:.6g} zero-point"
            found["report"].append({"label": "cost", "text": text})
        return found


def _parts(study: Built, steady: Steady) -> Mapping[str, float]:
    """Cost of the mean positions, and what their spread adds to it; means over the samples."""
    good = steady.converged
    if not good.any():
        return {}
    readout, targets = study.cost.readout, study.task.targets[good].T
    state = steady.state[..., good]
    signals = readout.signals(state)
    at_means = readout.outputs(state).T[readout.output]
    cost, of_means = (float(study.cost.value(s, targets).mean()) for s in (signals, at_means))
    return {"cost_of_means": of_means, "cost_zero_point": cost - of_means}
