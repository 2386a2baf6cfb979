"""The study of elastic networks (`nepfield.systems.elastic`), qep (36) to (38)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from nepfield.errors import InputError, located
from nepfield.fields.distances import distances, positions
from nepfield.fields.parameters import Parameter
from nepfield.fields.readouts import Readout
from nepfield.mesh.domain import Domain
from nepfield.mesh.vertices import edge_lengths
from nepfield.study.text.kinds import check_one
from nepfield.study.text.sections import (
    OptimizerName,
    ParameterConfig,
    PhysicsConfig,
    ReadoutConfig,
    SolverConfig,
    TrainedConfig,
    TrainingConfig,
)
from nepfield.study.text.study import Begun, Sources, StudyConfig
from nepfield.study.text.values import (
    AtLeastOne,
    Bounds,
    Flag,
    LengthsOrRun,
    Name,
    Nonzero,
    ParameterOrRun,
    Positive,
)
from nepfield.systems.elastic import ElasticNetwork

_HELD = 2  # vertices that must be, or the network turns as a whole


class ElasticPhysicsConfig(PhysicsConfig):
    """Which masses are held."""

    clamp: Name = Field(
        default="input", description="named set of vertices that the inputs displace, x and y each"
    )
    fixed: Name | None = Field(
        default=None, description="named set of vertices that stay where they are"
    )


class StiffnessConfig(ParameterConfig):
    """Stiffnesses k of the springs."""

    initial: ParameterOrRun = Field(
        default=1.0, description="starting values, or the run folder to take them from"
    )
    bounds: Bounds | None = Field(
        default=(0.01, 10.0), description="limits in training; the lower one is above 0"
    )

    @model_validator(mode="after")
    def _check_floor(self) -> StiffnessConfig:
        if self.bounds is not None and self.bounds[0] <= 0:
            raise ValueError(
                f"bounds = {list(self.bounds)}: springs need a stiffness above 0; raise the lower "
                "limit"
            )
        return self


class RestLengthConfig(TrainedConfig):
    """Rest lengths of the springs."""

    initial: LengthsOrRun = Field(
        default="mesh",
        description='starting values, "mesh" for the lengths in the domain, or the run folder',
    )


class ElasticReadoutConfig(ReadoutConfig):
    """Outputs: positions of masses, distances of pairs of masses, or the strains of pairs."""

    sets: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="named sets of vertices whose x and y are read"
    )
    distances: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="named sets of two vertices, the distance of each"
    )
    strains: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        description="named sets of two vertices, the distance of each over that in the domain, - 1",
    )

    @model_validator(mode="after")
    def _check(self) -> ElasticReadoutConfig:
        keys = ["sets", "distances", "strains"]
        check_one(keys, [key for key in keys if getattr(self, key) is not None])
        return self


class ElasticTrainingConfig(TrainingConfig):
    """How it is learnt."""

    beta: Nonzero = Field(default=1e-3, description="strength of the nudge")
    optimizer: OptimizerName = Field(default="sgd", description="update of the parameters")
    rate: Positive = Field(default=0.2, description="step size")
    warm_start: Flag = Field(
        default=False,
        description="start from the states of the epoch before, not from the domain",
    )


class ElasticSolverConfig(SolverConfig):
    """How minima of the energy are found."""

    max_iterations: AtLeastOne = Field(
        default=200, description="steps of Newton's method before a sample is given up"
    )


class ElasticStudy(StudyConfig):
    """A study of masses on the vertices of a planar graph, joined by springs along its edges."""

    physics: ElasticPhysicsConfig = Field(description="which masses are held")
    stiffness: StiffnessConfig = Field(
        default=StiffnessConfig(), description="stiffnesses of the springs"
    )
    rest_length: RestLengthConfig = Field(
        default=RestLengthConfig(), description="rest lengths of the springs"
    )
    readout: ElasticReadoutConfig = Field(
        default=ElasticReadoutConfig(sets=("output",)), description="what is read of the masses"
    )
    training: ElasticTrainingConfig = Field(
        default_factory=dict, validate_default=True, description="how it is learnt"
    )
    solver: ElasticSolverConfig = Field(
        default=ElasticSolverConfig(), description="how minima of the energy are found"
    )

    @classmethod
    def rules(cls) -> tuple[str, ...]:
        """Learning rules that elastic networks admit."""
        return ElasticNetwork.rules

    @classmethod
    def costs(cls) -> tuple[str, ...]:
        """The squared error of positions or distances, qep (37)."""
        return ("mse",)

    def build_readout(self, system: Any) -> Readout:
        """Positions, distances or strains, as the section says."""
        domain, chosen = system.domain, self.readout
        with located("readout"):
            read: Readout
            if chosen.sets is not None:
                read = positions(domain, chosen.sets)
            elif chosen.distances is not None:
                read = distances(domain, chosen.distances)
            else:
                read = distances(domain, chosen.strains or (), strain=True)
            moving = system.free[read.rows]
            if not moving.any():
                raise InputError("every mass that is read is held, so nothing can be learnt.")
        return read

    def build_system(self, domain: Domain, begun: Begun, sources: Sources) -> ElasticNetwork:
        """The network with its starting springs."""
        given = (domain, begun, sources)
        with located("physics.clamp"):
            clamped = domain.region(self.physics.clamp)
        fixed = np.empty(0, dtype=np.int64)
        if self.physics.fixed is not None:
            with located("physics.fixed"):
                fixed = domain.region(self.physics.fixed)
        if len(clamped) + len(fixed) < _HELD:
            raise InputError(
                f"physics: {len(clamped) + len(fixed)} vertex is clamped or fixed, and the network "
                "can turn as a whole about it; hold two at least."
            )
        stiffness = self.parameter("stiffness", "edge", *given)
        if self.rest_length.initial == "mesh" and begun is None:
            rest_length = self._lengths(domain)
        else:
            rest_length = self.parameter("rest_length", "edge", *given)
        return ElasticNetwork(domain, stiffness, rest_length, clamped, fixed)

    def _lengths(self, domain: Domain) -> Parameter:
        """Rest lengths at which the domain is at rest."""
        section, values = self.rest_length, edge_lengths(domain)
        if section.bounds is not None:
            low, high = section.bounds
            if values.min() < low or values.max() > high:
                raise InputError(
                    f"rest_length: lengths in the domain are from {values.min():.4g} to "
                    f"{values.max():.4g}, outside the bounds {[low, high]}; widen them."
                )
        return Parameter(values, "edge", section.bounds, trainable=section.trainable)
