"""The sections [[absorber]] of a wave: extra loss in a region, or in a layer along a boundary."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nepfield.fields.absorbers import absorbing_layer, absorbing_region
from nepfield.space.space import Space
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.quantities import ENERGY, LENGTH
from nepfield.study.text.values import Name, Positive


class AnyAbsorberConfig(Kind):
    """What all kinds of absorbers have."""

    strength: Annotated[Positive, ENERGY] = Field(description="largest extra loss, -Im V")

    @abstractmethod
    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""


class RegionAbsorberConfig(AnyAbsorberConfig):
    """Extra loss in a region."""

    key: ClassVar[str] = "region"

    region: Name = Field(description="region that absorbs")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        return absorbing_region(space, self.region, self.strength)


class LayerAbsorberConfig(AnyAbsorberConfig):
    """Extra loss in a layer along a boundary, where it grows quadratically."""

    key: ClassVar[str] = "boundary"
    along: ClassVar[tuple[str, ...]] = ("width",)

    boundary: Name = Field(description="boundary along which the layer lies")
    width: Annotated[Positive, LENGTH] = Field(description="thickness of the layer, mesh units")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        return absorbing_layer(space, self.boundary, self.width, self.strength)


AbsorberConfig = Annotated[RegionAbsorberConfig | LayerAbsorberConfig, OneOf()]
"""Extra loss in a region, or in a layer along a boundary where it grows quadratically."""
