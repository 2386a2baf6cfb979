"""The section [evolve] of a wave's study: how long it is followed, and pumps that change in time.

A further kind of envelope is one more class here, with a key that no other has; its name goes into
`EnvelopeConfig`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from annotated_types import Le
from pydantic import Field

from nepfield.steady.envelopes import Envelope, Product, Pulse, Ramp, Step
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.quantities import TIME
from nepfield.study.text.values import AtLeastOne, Count, Number, Positive, Section


class AnyEnvelopeConfig(Kind):
    """What all kinds of envelopes have."""

    pump: Count | None = Field(
        default=None, description="the pump that it is for, counted from 0; absent: all of them"
    )

    @abstractmethod
    def build(self) -> Envelope:
        """The envelope."""


class StepConfig(AnyEnvelopeConfig):
    """A pump that is switched at once."""

    key: ClassVar[str] = "step"

    step: Annotated[Number, TIME] = Field(description="time at which the pump is switched")
    before: Number = Field(default=0.0, description="factor of the pump before")
    after: Number = Field(default=1.0, description="factor of the pump after it")

    def build(self) -> Envelope:
        """The envelope."""
        return Step(self.step, self.before, self.after)


class RampConfig(AnyEnvelopeConfig):
    """A pump that rises or falls evenly."""

    key: ClassVar[str] = "ramp"

    ramp: Annotated[Positive, TIME] = Field(description="length of the ramp")
    at: Annotated[Number, TIME] = Field(default=0.0, description="time at which it begins")
    before: Number = Field(default=0.0, description="factor of the pump before")
    after: Number = Field(default=1.0, description="factor of the pump after it")

    def build(self) -> Envelope:
        """The envelope."""
        return Ramp(self.ramp, self.at, self.before, self.after)


class PulseConfig(AnyEnvelopeConfig):
    """A Gaussian pulse, alone or on top of a pump that is on."""

    key: ClassVar[str] = "pulse"
    along: ClassVar[tuple[str, ...]] = ("width",)

    pulse: Annotated[Number, TIME] = Field(description="time of its middle")
    width: Annotated[Positive, TIME] = Field(
        description="standard deviation of the amplitude, exp(-(t - pulse)^2 / (2 width^2))"
    )
    base: Number = Field(default=0.0, description="factor of the pump far from the pulse")
    peak: Number = Field(default=1.0, description="factor of the pump in its middle")

    def build(self) -> Envelope:
        """The envelope."""
        return Pulse(self.pulse, self.width, self.base, self.peak)


EnvelopeConfig = Annotated[StepConfig | RampConfig | PulseConfig, OneOf()]
"""A factor of pumps that changes in time: a step, a ramp or a pulse."""


class EvolveConfig(Section):
    """What `nepfield evolve` follows. Several envelopes of a pump are multiplied."""

    time: Annotated[Positive | None, TIME] = Field(
        default=None, description="how long the wave is followed; absent: 20/gamma"
    )
    frames: Annotated[AtLeastOne, Le(10_000)] = Field(
        default=100, description="equal intervals after which the wave is kept"
    )
    start: Literal["vacuum", "steady"] = Field(
        default="vacuum", description='where it begins: "vacuum", or in the "steady" state'
    )
    tolerance: Annotated[Positive, Le(0.1)] = Field(
        default=1e-5, description="error of a step in time, relative to the wave"
    )
    envelope: tuple[EnvelopeConfig, ...] = Field(
        default=(), description="factors of pumps that change in time"
    )

    def build(self, pumps: int) -> Envelope | list[Envelope | None] | None:
        """What `nepfield.evolve` takes as envelope.

        Parameters
        ----------
        pumps : int
            How many there are.
        """
        chosen: list[list[Envelope]] = [[] for _ in range(pumps)]
        for entry in self.envelope:
            for number in range(pumps) if entry.pump is None else [entry.pump]:
                chosen[number].append(entry.build())
        each = [_product(parts) for parts in chosen]
        return each[0] if len(set(each)) == 1 else each


def _product(parts: list[Envelope]) -> Envelope | None:
    return None if not parts else parts[0] if len(parts) == 1 else Product(tuple(parts))
