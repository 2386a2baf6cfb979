"""The sections [[pump]] of a wave: a Gaussian spot, a lattice point, or a region.

A further kind is one more class here, or in a module of its own, with a key that no other has; its
name goes into `PumpConfig`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from nepfield.errors import InputError
from nepfield.fields.places import region_indicator
from nepfield.fields.pumps import Pump, gaussian_pump, region_pump, site_pump
from nepfield.mesh.seams import nearest_images
from nepfield.space.space import Space
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.quantities import LENGTH, WAVENUMBER, WEIGHT_OR_RUN
from nepfield.study.text.values import Count, Flag, Name, Point, Positive, Site, WeightOrRun


class AnyPumpConfig(Kind):
    """What all kinds of pumps have."""

    weight: Annotated[WeightOrRun, WEIGHT_OR_RUN] = Field(
        default=1.0, description="starting weight w, or the run folder to take it from"
    )
    wavevector: Annotated[Point | None, WAVENUMBER] = Field(
        default=None, description="plane-wave factor exp(i k.r), [kx] or [kx, ky]"
    )
    input: Count | None = Field(
        default=None,
        description="input that drives it; absent: its place among the pumps that inputs drive",
    )
    constant: Flag | None = Field(
        default=None, description="true: no input drives it, it is always on (a bias)"
    )
    trainable: Flag = Field(default=True, description="whether training changes the weight")

    @abstractmethod
    def build(self, weight: complex) -> Pump:
        """The pump with a starting weight."""

    def options(self, oblique: bool = False) -> dict[str, Any]:
        """What all pumps take; InputError for a wave vector that this kind has no use for."""
        if self.wavevector is not None and not oblique:
            raise InputError("wavevector goes with center and width, or with region.")
        return {"input": self.input, "trainable": self.trainable, "constant": bool(self.constant)}

    @model_validator(mode="after")
    def _check_driver(self) -> AnyPumpConfig:
        if self.constant and self.input is not None:
            raise ValueError("a constant pump takes no input: leave one of the two out")
        return self

    def lengths(self, space: Space) -> Iterator[tuple[str, float, np.ndarray]]:
        """Lengths that a mesh has to resolve: name, length, and how much of the pump is where."""
        return iter(())

    def share_inside(self, space: Space) -> float:
        """Which part of its power, the integral of |G|^2, falls on the domain."""
        return 1.0


class GaussianPumpConfig(AnyPumpConfig):
    """A Gaussian spot."""

    key: ClassVar[str] = "center"
    along: ClassVar[tuple[str, ...]] = ("width",)

    center: Annotated[Point, LENGTH] = Field(description="middle of a Gaussian spot, [x] or [x, y]")
    width: Annotated[Positive, LENGTH] = Field(
        description="W in exp(-|r - center|^2 / (2 W^2)), mesh units"
    )

    @model_validator(mode="after")
    def _check(self) -> GaussianPumpConfig:
        if self.wavevector and len(self.center) != len(self.wavevector):
            raise ValueError("center and wavevector need the same number of components")
        return self

    def build(self, weight: complex) -> Pump:
        """The pump with a starting weight."""
        options = self.options(oblique=True)
        return gaussian_pump(self.center, self.width, weight, self.wavevector, **options)

    def share_inside(self, space: Space) -> float:
        """Which part of its power, the integral of |G|^2, falls on the domain."""
        if space.is_graph:
            return 1.0
        offset = np.sum((space.points - np.asarray(self.center)) ** 2, axis=1)
        whole = (np.sqrt(np.pi) * self.width) ** space.points.shape[1]
        return float(space.w @ np.exp(-offset / self.width**2) / whole)

    def lengths(self, space: Space) -> Iterator[tuple[str, float, np.ndarray]]:
        """Its width and, of an oblique one, its wavelength."""
        points = nearest_images(space.domain.seams, space.points, np.asarray(self.center))
        offset = np.sum((points - np.asarray(self.center)) ** 2, axis=1)
        spot = space.w * np.exp(-offset / (2 * self.width**2))
        yield "pump width", self.width, spot
        k = 0.0 if self.wavevector is None else float(np.linalg.norm(self.wavevector))
        if k > 0:
            yield "pump wavelength", 2 * np.pi / k, spot


class SitePumpConfig(AnyPumpConfig):
    """A pump on one point of a lattice."""

    key: ClassVar[str] = "site"

    site: Site = Field(description="lattice point, index or [iy, ix]")

    def build(self, weight: complex) -> Pump:
        """The pump with a starting weight."""
        return site_pump(self.site, weight, **self.options())


class RegionPumpConfig(AnyPumpConfig):
    """An even pump, or a plane wave, over a region."""

    key: ClassVar[str] = "region"

    region: Name = Field(description="region that is driven evenly")

    def build(self, weight: complex) -> Pump:
        """The pump with a starting weight."""
        return region_pump(self.region, weight, self.wavevector, **self.options(oblique=True))

    def lengths(self, space: Space) -> Iterator[tuple[str, float, np.ndarray]]:
        """The wavelength of a plane wave."""
        k = 0.0 if self.wavevector is None else float(np.linalg.norm(self.wavevector))
        if k > 0:
            yield "pump wavelength", 2 * np.pi / k, space.w * region_indicator(space, self.region)


PumpConfig = Annotated[GaussianPumpConfig | SitePumpConfig | RegionPumpConfig, OneOf()]
"""A drive: a Gaussian spot, a lattice point, or a region."""
