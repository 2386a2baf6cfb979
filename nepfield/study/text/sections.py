"""The sections that the studies of all systems have, one frozen class each.

Every key is a field with a description. A system replaces a section by a class of its own where it
needs more keys or other defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Self

from annotated_types import Le
from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from nepfield.errors import InputError
from nepfield.learning.optimizers import SGD, Adam, Momentum, Optimizer
from nepfield.learning.schedules import KEPT, SHAPES, Schedule, Stop
from nepfield.learning.warm import USUAL
from nepfield.study.text.paths import SystemName
from nepfield.study.text.values import (
    AtLeastOne,
    Bounds,
    Count,
    Flag,
    Name,
    NonNegative,
    Nonzero,
    ParameterOrRun,
    Positive,
    Section,
    Uniform,
)
from nepfield.study.text.written import Written, wrong

OPTIMIZERS: dict[str, type[SGD] | type[Momentum] | type[Adam]] = {
    "adam": Adam,
    "sgd": SGD,
    "momentum": Momentum,
}


def check_inside(initial: Any, bounds: tuple[float, float] | None) -> None:
    """ValueError if starting values that are given leave the bounds."""
    values = initial.uniform if isinstance(initial, Uniform) else initial
    values = values if isinstance(values, tuple) else (values,)
    if bounds and not all(bounds[0] <= v <= bounds[1] for v in values if isinstance(v, float)):
        raise ValueError(
            f"initial leaves the bounds {list(bounds)}: choose it inside, or widen them"
        )


def one_of(names: tuple[str, ...] | dict[str, Any]) -> PydanticCustomError:
    """The error of a value that is none of some names."""
    quoted = [f"'{name}'" for name in names]
    expected = " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)
    return PydanticCustomError("literal_error", "must be {expected}", {"expected": expected})


def _admitted(names: str) -> PlainValidator:
    """One of the names that a study's system admits; the first of them where there is none."""

    def validate(value: Any, info: ValidationInfo) -> str:
        study = (info.context or {}).get("study")
        if study is None:
            return str(value)
        admitted = getattr(study, names)()
        if value == "":
            return admitted[0]
        if value not in admitted:
            raise one_of(admitted)
        return value

    return Written(validate, study=names)


def known(names: dict[str, Any]) -> PlainValidator:
    """One of some names."""

    def validate(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise one_of(names)
        return value

    return Written(validate, right=" or ".join(f'"{name}"' for name in names))


OptimizerName = Annotated[str, known(OPTIMIZERS)]


class PhysicsConfig(Section):
    """Which system it is, and what holds for all of it."""

    system: SystemName = Field(
        description='name of the system, or of a class of your own, "file.py:Name"'
    )


class TrainedConfig(Section):
    """A parameter: its starting values, which may be told by a word, and how it is trained."""

    initial: ParameterOrRun | str
    bounds: Bounds | None = Field(default=None, description="limits in training")
    trainable: Flag = Field(default=True, description="whether training changes it")
    rate: Positive | None = Field(default=None, description="step size; absent: training.rate")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_inside(self.initial, self.bounds)
        return self


class ParameterConfig(TrainedConfig):
    """A parameter whose starting values are numbers or drawn."""

    initial: ParameterOrRun = Field(
        default=0.0, description="starting values, or the run folder to take them from"
    )


class ReadoutConfig(Section):
    """Where outputs are read."""


class SetReadoutConfig(ReadoutConfig):
    """Outputs that are read at the vertices of a graph, set after set."""

    sets: tuple[Name, ...] = Field(
        default=("output",), min_length=1, description="named sets of vertices, read one by one"
    )


class ScheduleConfig(Section):
    """What all rates are multiplied by, an epoch at a time: from 1 down to `final`."""

    shape: Annotated[str, known(dict.fromkeys(SHAPES))] = Field(
        default="cosine", description="how it falls"
    )
    over: Annotated[AtLeastOne, Le(10_000_000)] = Field(
        description="epochs after which it stays at final"
    )
    final: Annotated[NonNegative, Le(1)] = Field(default=0.01, description="factor in the end")
    warmup: Count = Field(default=0, description="first epochs, in which it rises to 1")

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        self.build()
        return self

    def build(self) -> Schedule:
        """The schedule."""
        return _built(Schedule, self)


class StopConfig(Section):
    """When the training ends before its last epoch, by validation samples where there are any."""

    cost: NonNegative | None = Field(default=None, description="a cost that is low enough")
    patience: Annotated[AtLeastOne, Le(10_000_000)] | None = Field(
        default=None, description="epochs in which the lowest cost has not become lower"
    )

    @model_validator(mode="after")
    def _check(self) -> StopConfig:
        self.build()
        return self

    def build(self) -> Stop:
        """The rule."""
        return _built(Stop, self)


def _built(make: Callable[..., Any], section: Section) -> Any:
    """What a section describes; what is wrong with it becomes a ValueError."""
    try:
        return make(**dict(section))
    except InputError as error:
        raise ValueError(str(error).partition(": ")[2].removesuffix(".")) from None


class TrainingConfig(Section):
    """How it is learnt."""

    cost: Annotated[str, _admitted("costs")] = Field(
        default="", validate_default=True, description="what is made small"
    )
    gain: Positive | None = Field(
        default=None, description="of cce, softmax(gain x output); absent: 1"
    )
    rule: Annotated[str, _admitted("rules")] = Field(
        default="", validate_default=True, description="rule that estimates the gradient"
    )
    beta: Nonzero = Field(default=0.01, description="strength of the nudge")
    starts: Annotated[AtLeastOne, Le(10_000)] = Field(
        default=1, description="random starts of each sample, for systems with many steady states"
    )
    optimizer: OptimizerName = Field(default="adam", description="update of the parameters")
    rate: Positive = Field(default=0.02, description="step size")
    epsilon: Positive | None = Field(
        default=None, description="of adam, added to the root of its mean square; absent: 1e-8"
    )
    epochs: Annotated[Count, Le(10_000_000)] = Field(
        default=100, description="passes over the samples"
    )
    batch: AtLeastOne | None = Field(
        default=None, description="samples an update; absent: all of them"
    )
    per_class: Annotated[AtLeastOne, Le(1_000_000)] | None = Field(
        default=None,
        description="an epoch takes so many samples of each class, drawn with replacement",
    )
    shuffle: Flag = Field(default=True, description="draw the samples in a new order every epoch")
    compare_every: Count = Field(
        default=0,
        description="epochs between comparisons with the adjoint; 0: after the last epoch only",
    )
    evaluate_every: Count = Field(
        default=0,
        description="epochs between evaluations on validation and test samples; 0: none",
    )
    average: Count = Field(
        default=0, description="last epochs over which the summary averages figures; 0: none"
    )
    schedule: ScheduleConfig | None = Field(
        default=None, description="how all rates fall; absent: they stay"
    )
    stop: StopConfig | None = Field(
        default=None, description="when to end before the last epoch; absent: never"
    )
    keep: Annotated[str, known(dict.fromkeys(KEPT))] = Field(
        default="last",
        description="whether the parameters after the last epoch are kept, or those of the epoch "
        "that is best on the validation samples (with evaluate_every)",
    )
    warm_memory: NonNegative = Field(
        default=USUAL,
        description="MB of states kept in memory from one epoch to the next; more lie in files",
    )
    warm_start: Flag = Field(
        default=True, description="start the solver from the states of the epoch before"
    )
    switch_on: Flag = Field(
        default=True, description="at the end, whether a switch-on reaches the states of a wave"
    )

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.gain is not None and self.cost != "cce":
            raise ValueError('gain goes with cost = "cce"')
        if self.epsilon is not None and self.optimizer != "adam":
            raise ValueError('epsilon goes with optimizer = "adam"')
        if self.starts > 1 and self.warm_start:
            raise ValueError("starts above 1 goes with warm_start = false")
        if self.keep == "best" and not self.evaluate_every:
            raise ValueError('keep = "best" goes with evaluate_every = 1 or more')
        return self

    @property
    def estimator(self) -> dict[str, Any]:
        """How the gradient is estimated, as `nepfield.gradient` takes it."""
        return {"rule": self.rule, "beta": self.beta}

    def build_optimizer(self, rates: dict[str, float]) -> Optimizer:
        """The optimiser, with rates of single parameters by name."""
        make: Callable[..., Optimizer] = OPTIMIZERS[self.optimizer]
        if self.epsilon is not None:
            make = partial(make, epsilon=self.epsilon)
        return make(self.rate, rates)


class SolverConfig(Section):
    """How steady states are found."""

    tolerance: Positive = Field(
        default=1e-10, lt=1, description="residual, of a wave relative to the drive"
    )
    max_iterations: AtLeastOne = Field(
        default=50, description="steps of Newton's method before a sample is given up"
    )


def _none_or_some(points: int) -> int:
    if points == 1:
        raise wrong("one point is no map: give 2 or more, or 0 for none")
    return points


class FiguresConfig(Section):
    """Pictures of the run."""

    enabled: Flag = Field(default=True, description="whether pictures are drawn")
    frames: Annotated[Count, Le(10_000)] = Field(
        default=0, description="about so many frames of the training are kept; 0 keeps none"
    )
    decision_map: Annotated[Count, Le(1000), AfterValidator(_none_or_some)] | None = Field(
        default=None,
        description="points a side of the map of outputs over two inputs (of one input along it);"
        " 0: none; absent: 33 (257), or what three seconds allow",
    )
