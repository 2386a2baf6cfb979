"""The section [measurement] of a wave's study: what a laboratory writes, waits for and reads."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import Field

from nepfield.errors import located
from nepfield.study.text.quantities import DENSITY, ENERGY, LENGTH, TIME
from nepfield.study.text.values import NonNegative, Number, Positive, Section
from nepfield.systems.gpe import GPE
from nepfield.systems.measured import REFUSED, MeasuredWave, measured

Sides = Annotated[tuple[Positive, ...] | None, LENGTH]


class MeasurementConfig(Section):
    """As in a laboratory; without any of these keys everything is exact.

    What each of them does, and its formula, is in the README. Rules in the limit of an infinitely
    weak nudge cannot be measured and are refused with it.
    """

    photons: Positive | None = Field(
        default=None,
        description="photons that a camera pixel collects in an exposure where the density is"
        " full_density; absent: no shot noise",
    )
    full_density: Annotated[Positive, DENSITY] = Field(
        default=1.0, description="density in which photons, noise and field_noise count"
    )
    noise: NonNegative = Field(
        default=0.0,
        description="additive noise of a camera pixel, standard deviation over full_density",
    )
    field_noise: NonNegative = Field(
        default=0.0,
        description="additive noise of each quadrature of a field that is read, over the root of"
        " full_density",
    )
    phase_noise: NonNegative = Field(
        default=0.0, description="noise of the phase of each exposure of a field, radians"
    )
    camera_pixels: Sides = Field(
        default=None,
        description="sides of a camera pixel, [dx, dy]; absent: it resolves the mesh, with a"
        " pixel's noise in each cell",
    )
    slm_pixels: Sides = Field(
        default=None,
        description="sides of a pixel of the modulator that writes V, [dx, dy]; absent: one for"
        " each value",
    )
    slm_levels: Annotated[int, Ge(2), Le(2**16)] | None = Field(
        default=None,
        description="values that it can show, evenly spaced over potential.bounds; absent: any",
    )
    slm_crosstalk: Annotated[NonNegative, LENGTH] = Field(
        default=0.0, description="standard width of its crosstalk, a Gaussian"
    )
    drift: Annotated[NonNegative, ENERGY] = Field(
        default=0.0,
        description="standard deviation of the detuning of each state after the free one",
    )
    pump_drift: NonNegative = Field(
        default=0.0, description="the same of the strength of the pumps, relative"
    )
    waiting: Annotated[Positive | None, TIME] = Field(
        default=None,
        description="time after which a state is read; absent: when it is steady",
    )
    loss_error: Annotated[Number, Ge(-1)] = Field(
        default=0.0,
        description="error of the loss that a rule assumes, relative, where a rule needs it",
    )

    @property
    def is_on(self) -> bool:
        """Whether anything is as in a laboratory."""
        return bool(self.changed())

    def changed(self) -> dict[str, Any]:
        """The keys that are not as they are by default."""
        fields = type(self).model_fields
        return {
            key: value
            for key, value in dict(self).items()
            if value != fields[key].default and key != "full_density"
        }

    def check_rule(self, rule: str, bounds: tuple[float, float] | None) -> None:
        """ValueError if a rule cannot be measured, or V has no bounds over which levels lie."""
        if self.is_on and rule in REFUSED:
            raise ValueError(
                f'[measurement] is there, and training.rule = "{rule}" {REFUSED[rule]}'
            )
        if self.slm_levels is not None and bounds is None:
            raise ValueError(
                "measurement.slm_levels are spaced over the bounds of V: set potential.bounds"
            )

    def build(self, system: GPE) -> GPE | MeasuredWave:
        """The system as it is measured; itself where nothing is asked for."""
        if not self.is_on:
            return system
        with located("measurement"):
            return measured(system, **dict(self))

    def lines(self, system: MeasuredWave) -> list[str]:
        """What `nepfield check` says of it."""
        told = []
        if self.photons is not None:
            told.append(f"{self.photons:g} photons a pixel at density {self.full_density:g}")
        told += [f"{system.camera.npixels} camera pixels"] if self.camera_pixels else []
        if self.waiting is not None:
            told.append(f"states read after {self.waiting * system.loss:.3g}/gamma")
        given = {"photons", "camera_pixels", "waiting"}
        told += [f"{key} {_told(v)}" for key, v in self.changed().items() if key not in given]
        return [f"  as in a laboratory: {', '.join(told)}"]


def _told(value: Any) -> str:
    return f"[{', '.join(f'{v:g}' for v in value)}]" if isinstance(value, tuple) else f"{value:g}"
