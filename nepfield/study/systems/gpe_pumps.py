"""The sections [[pump]] of a wave: a Gaussian spot, a lattice point, a region, or an image.

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
from nepfield.fields.pump_images import PumpImage, cell_pumps, grid_pumps
from nepfield.fields.pumps import Pump, gaussian_pump, region_pump, site_pump
from nepfield.mesh.seams import nearest_images
from nepfield.space.space import Space
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.quantities import LENGTH, WAVENUMBER, WEIGHT_OR_RUN
from nepfield.study.text.values import (
    Count,
    Flag,
    ImageSize,
    Name,
    PlanePoint,
    Point,
    Positive,
    Site,
    WeightOrRun,
)


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
    def build(self) -> Pump | PumpImage:
        """The pump, or the pumps of an image, without a starting weight."""

    @property
    def ninputs(self) -> int:
        """How many inputs drive it."""
        return 1

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

    def build(self) -> Pump:
        """The pump without a starting weight."""
        options = self.options(oblique=True)
        return gaussian_pump(self.center, self.width, wavevector=self.wavevector, **options)

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

    def build(self) -> Pump:
        """The pump without a starting weight."""
        return site_pump(self.site, **self.options())


class RegionPumpConfig(AnyPumpConfig):
    """An even pump, or a plane wave, over a region."""

    key: ClassVar[str] = "region"

    region: Name = Field(description="region that is driven evenly")

    def build(self) -> Pump:
        """The pump without a starting weight."""
        return region_pump(self.region, wavevector=self.wavevector, **self.options(oblique=True))

    def lengths(self, space: Space) -> Iterator[tuple[str, float, np.ndarray]]:
        """The wavelength of a plane wave."""
        k = 0.0 if self.wavevector is None else float(np.linalg.norm(self.wavevector))
        if k > 0:
            yield "pump wavelength", 2 * np.pi / k, space.w * region_indicator(space, self.region)


class ImagePumpConfig(AnyPumpConfig):
    """A pump a pixel of an image, whose rows and columns stand under the key."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        rows, columns = getattr(self, self.key)
        return rows, columns

    @property
    def ninputs(self) -> int:
        """The pixels."""
        return self.size[0] * self.size[1]

    def check_image(self, image: tuple[int, int]) -> None:
        """Refuse an image of as many pixels in another shape, which would be scrambled.

        One row is a chain, on which an image lies row after row.

        Raises
        ------
        InputError
        """
        rows, columns = self.size
        if self.ninputs == image[0] * image[1] and rows not in (1, image[0]):
            raise InputError(
                f"{self.key} = [{rows}, {columns}], but the images of the task are "
                f"{image[0]} x {image[1]}: give both the same rows and columns."
            )


class CellPumpConfig(ImagePumpConfig):
    """A pump on every site of a lattice of cells, each of which gets the whole image."""

    key: ClassVar[str] = "cell"

    cell: ImageSize = Field(
        description="sites of a cell of a lattice, which are the pixels of the image that the"
        " inputs are; every site is pumped"
    )

    def build(self) -> PumpImage:
        """The pumps without starting weights."""
        return cell_pumps(self.cell, **self.options())


class GridPumpConfig(ImagePumpConfig):
    """Grids of Gaussian spots on a planar mesh, each of which gets the whole image."""

    key: ClassVar[str] = "grid"
    along: ClassVar[tuple[str, ...]] = ("corners", "pitch", "spot")

    grid: ImageSize = Field(description="rows and columns of spots, one a pixel of the image")
    corners: Annotated[tuple[PlanePoint, ...], LENGTH] = Field(
        min_length=1, description="lower left corner of each copy of the image, [[x, y], ..]"
    )
    pitch: Annotated[Positive, LENGTH] = Field(
        description="side of a pixel, in the middle of which its spot stands"
    )
    spot: Annotated[Positive, LENGTH] = Field(
        description="W of each spot, as width of a single one; it ends at 5 W"
    )

    def build(self) -> PumpImage:
        """The pumps without starting weights."""
        return grid_pumps(self.grid, self.corners, self.pitch, self.spot, **self.options())

    def lengths(self, space: Space) -> Iterator[tuple[str, float, np.ndarray]]:
        """The width of its spots."""
        profiles, _ = self.build().place(space)
        yield "pump width", self.spot, space.w * np.asarray(profiles.sum(axis=1))

    def share_inside(self, space: Space) -> float:
        """Which part of its power, the integral of |G|^2, falls on the domain."""
        profiles, _ = self.build().place(space)
        inside = np.asarray(profiles.multiply(profiles).sum(axis=1))
        return float(space.w @ inside / (profiles.shape[1] * np.pi * self.spot**2))


PumpConfig = Annotated[
    GaussianPumpConfig | SitePumpConfig | RegionPumpConfig | CellPumpConfig | GridPumpConfig,
    OneOf(),
]
"""A drive: a Gaussian spot, a lattice point, a region, or an image of pumps."""
