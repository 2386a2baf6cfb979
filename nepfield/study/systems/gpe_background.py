"""The sections [[background]]: fixed parts of a wave's potential, beside what is trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nepfield.errors import InputError
from nepfield.fields.formulas import evaluate_formula
from nepfield.fields.places import region_indicator
from nepfield.mesh.lattice import cell_places
from nepfield.reading import load_array
from nepfield.space.space import Space
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.paths import File
from nepfield.study.text.quantities import ENERGY
from nepfield.study.text.values import ImageSize, Name, Number


class AnyBackgroundConfig(Kind):
    """What all kinds of backgrounds have."""

    @abstractmethod
    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""


class RegionBackgroundConfig(AnyBackgroundConfig):
    """A number in a region, added to what is trained there."""

    key: ClassVar[str] = "region"
    along: ClassVar[tuple[str, ...]] = ("value",)

    region: Name = Field(description="region that it holds in")
    value: Annotated[Number, ENERGY] = Field(description="V there")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        return self.value * region_indicator(space, self.region)


class FormulaBackgroundConfig(AnyBackgroundConfig):
    """A formula of the coordinates, added to what is trained."""

    key: ClassVar[str] = "formula"

    formula: Name = Field(
        description='V as a formula of x and y in mesh units, such as "0.1 * (x^2 + y^2)"'
    )
    scale: Annotated[Number, ENERGY] = Field(default=1.0, description="what it is multiplied by")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        return self.scale * evaluate_formula(self.formula, space.points)


class FileBackgroundConfig(AnyBackgroundConfig):
    """Numbers from a file, added to what is trained."""

    key: ClassVar[str] = "file"

    file: File = Field(
        description="NumPy .npy file with V, one number a cell of the mesh (a vertex of a graph)"
    )
    scale: Annotated[Number, ENERGY] = Field(default=1.0, description="what it is multiplied by")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        count = len(space.elements)
        what = f"one number for each of the {count} {'vertices' if space.is_graph else 'cells'}"
        try:
            values = load_array(self.file)
        except Exception as error:  # NumPy raises what it likes
            raise InputError(f"{self.file}: this is no .npy file of numbers ({error}).") from None
        shape, kind = getattr(values, "shape", None), getattr(values, "dtype", np.dtype(object))
        if shape != (count,) or kind.kind not in "iufc":
            raise InputError(f"{self.file}: give {what} as an array of shape ({count},).")
        if not np.isfinite(values).all():
            raise InputError(f"{self.file}: holds values that are not finite.")
        return self.scale * values[space.element_of_point]


class WallsBackgroundConfig(AnyBackgroundConfig):
    """Walls between the cells of a lattice, one site wide."""

    key: ClassVar[str] = "walls"
    along: ClassVar[tuple[str, ...]] = ("height",)

    walls: ImageSize = Field(
        description="rows and columns of a cell of a lattice; its last column is a wall where"
        " another cell follows, and its last row likewise"
    )
    height: Annotated[Number, ENERGY] = Field(description="V in the walls")

    def build(self, space: Space) -> np.ndarray:
        """Its part of the potential at the quadrature points, shape (nq,)."""
        points = space.domain.points
        inside = np.zeros(len(points), dtype=bool)
        for axis, place in enumerate(reversed(cell_places(space.domain, self.walls))):
            if axis < points.shape[1]:
                along = points[:, axis]
                inside |= (place == self.walls[1 - axis] - 1) & (along < along.max())
        return self.height * inside


BackgroundConfig = Annotated[
    RegionBackgroundConfig | FormulaBackgroundConfig | FileBackgroundConfig | WallsBackgroundConfig,
    OneOf(),
]
"""A fixed part of the potential: a number in a region, a formula, a file, or walls."""
