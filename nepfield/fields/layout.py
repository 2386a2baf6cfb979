"""Fields of a system laid out on its mesh or graph, as VTK files and grids hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.pictures import Field, Mark
from nepfield.mesh.domain import Domain
from nepfield.space.space import Space

_FEW_CELLS = 64  # so many are listed in summary.json at most
_TAKEN = (
    "training",
    "outputs",
    "confusion",
    "decision",
    "samples",
    "spectrum",
    "fields",
)  # pictures of another kind


class Layout(NamedTuple):
    """Points, blocks of cells, and arrays on both, by meshio's names of cells."""

    points: np.ndarray
    blocks: list[tuple[str, np.ndarray]]
    point_data: dict[str, np.ndarray]
    cell_data: dict[str, list[np.ndarray]]


def place_of(system: Any) -> Space | Domain:
    """What the fields of a system are on: its space where it has one, else its domain."""
    place: Space | Domain = getattr(system, "space", system.domain)
    return place


def describe(
    domain: Domain, fields: Sequence[Field], marks: Sequence[Mark] = ()
) -> dict[str, list[dict[str, Any]]]:
    """What summary.json says of fields and marks, as ``fields`` and ``marks``.

    Parameters
    ----------
    domain : Domain
    fields : sequence of Field
    marks : sequence of Mark
        Of a mark that covers many cells the array in fields.vtu is named that is 1 there.
    """
    masks, said = masks_of(domain, marks)
    return {"fields": [field.description for field in [*fields, *masks]], "marks": said}


def masks_of(domain: Domain, marks: Sequence[Mark]) -> tuple[list[Field], list[dict[str, Any]]]:
    """Named regions and cells of marks as fields, and what is said of the marks."""
    count = len(domain.points if domain.kind == "graph" else domain.cells)

    def mask(name: str, label: str, cells: Any) -> Field:
        inside = np.zeros(count, dtype=np.int64)
        inside[np.asarray(cells, dtype=np.int64)] = 1
        return Field(name, inside, "cell", label=label)

    masks = {
        f"region:{name}": mask(f"region:{name}", name, cells)
        for name, cells in domain.regions.items()
    }
    said, numbers = [], dict[str, int]()
    for mark in marks:
        number = numbers[mark.kind] = numbers.get(mark.kind, -1) + 1
        shape = dict(mark.shape)
        key = next((key for key in ("cells", "vertices") if key in shape), None)
        if key is not None:
            cells, name = shape[key], f"{mark.kind}:{number}"
            many = len(cells) > _FEW_CELLS
            if mark.kind == "readout" or many:
                masks[name] = mask(name, mark.label or mark.kind, cells)
            if mark.kind == "readout" and mark.label not in ("", "readout", f"Y{number}"):
                called = f"readout:{mark.label}"  # under its name too
                masks.setdefault(called, mask(called, mark.label, cells))
            if "circle" in shape:
                del shape[key]
            elif many:
                shape[key] = name
        said.append({**mark.description, "shape": shape})
    return list(masks.values()), said


def laid_out(place: Space | Domain, fields: Sequence[Field]) -> Layout:
    """Fields on the nodes and elements of a space, or on the points and cells of a domain.

    Raises
    ------
    InputError
        If a field does not fit what it is on, or its picture has a name that cannot be used.
    """
    domain = place.domain if isinstance(place, Space) else place
    graph = domain.kind == "graph"
    if isinstance(place, Space):
        points, blocks = place.nodes, [(place.picture_cell, place.elements)]
    elif graph:
        points, blocks = domain.points, [("vertex", np.arange(len(domain.points))[:, None])]
    else:
        points, blocks = domain.points, [(domain.kind, domain.cells)]
    if graph and len(domain.cells):
        blocks.append(("line", domain.cells))
    sizes = [len(cells) for _, cells in blocks]
    counts = {"node": len(points), "vertex": len(points), "cell": sizes[0]}
    counts |= {"edge": sizes[-1]} if graph and len(sizes) > 1 else {}
    point_data: dict[str, np.ndarray] = {}
    cell_data: dict[str, list[np.ndarray]] = {}
    for field in fields:
        _check(field, counts)
        for name, values in field.arrays.items():
            if field.on == "edge":
                empty = np.zeros if values.dtype.kind in "iub" else _nothing
                cell_data[name] = [empty(sizes[0], values.dtype), values]
            elif field.on != "cell":
                point_data[name] = values
            elif not graph:
                cell_data[name] = [values]
            else:  # a graph's cells are its vertices, so their data are point data
                point_data[name] = values
                if values.dtype.kind == "i":
                    rest = [np.zeros(size, values.dtype) for size in sizes[1:]]
                    cell_data[name] = [values, *rest]
    return Layout(points, blocks, point_data, cell_data)


def _nothing(count: int, dtype: np.dtype) -> np.ndarray:
    return np.full(count, np.nan, dtype)


def _check(field: Field, counts: Mapping[str, int]) -> None:
    """InputError, for whoever adds a system, if a field does not fit."""
    if field.on not in counts:
        raise InputError(
            f"field {field.name!r}: on = {field.on!r}, but there are {', '.join(counts)} here."
        )
    if len(field.values) != counts[field.on]:
        raise InputError(
            f"field {field.name!r}: {len(field.values)} values on {counts[field.on]} of what it is "
            f"on ({field.on})."
        )
    if field.picture in _TAKEN or not re.fullmatch(r"[\w-]*", field.picture):
        raise InputError(
            f"field {field.name!r}: picture = {field.picture!r} must be a name of letters, digits, "
            f"_ and -, and none of {', '.join(_TAKEN)}."
        )
