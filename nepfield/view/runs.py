"""The fields of a run, with what its summary says of them: fields.vtu, or one of its frames.

PyVista is imported inside functions, because VTK is slow to load and only some commands need it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.fields.pictures import Mark
from nepfield.view.records import read_study, read_summary, sample_title
from nepfield.view.shown import factor, unit

if TYPE_CHECKING:
    import pyvista

Array = NDArray[Any]

VERTEX, LINES, QUADRATIC = 1, (3, 21), (22, 23, 28)
CORNERS = {5: 3, 22: 3, 9: 4, 23: 4, 28: 4}  # triangles and quadrilaterals of VTK


@dataclass(frozen=True)
class Drawn:
    """What is said of a field: `nepfield.fields.pictures.Field` without its values.

    Attributes
    ----------
    arrays : tuple of str
        The array in the file; of a complex field its real and its imaginary part.
    """

    arrays: tuple[str, ...]
    on: str = "node"
    picture: str = ""
    label: str = ""
    title: str = ""
    unit: str = ""
    natural: str = ""
    scale: str = "sequential"
    sample: int | None = None
    part: str = "value"
    film: bool = False
    panel: str = ""

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Drawn:
        """From an entry of ``fields`` in summary.json."""
        known = {name: entry[name] for name in cls.__dataclass_fields__ if name in entry}
        return cls(**known | {"arrays": tuple(entry["arrays"])})

    @property
    def group(self) -> tuple[str, str, bool]:
        """Fields of one group share their colours: the samples of one quantity."""
        return self.picture, self.title, self.on == "edge"

    @property
    def moves(self) -> bool:
        """Whether it moves the points of its panel."""
        return self.part == "displacement"

    @property
    def fades(self) -> bool:
        """Whether its colours fade where the values are dark."""
        return self.part == "phase" and len(self.arrays) == 2


def read_grid(run: Path, name: str = "fields.vtu") -> pyvista.UnstructuredGrid:
    """The fields of a run (``fields.vtu``, or one of its frames) as a PyVista grid.

    Raises
    ------
    InputError
        If the run folder or the file is missing, unreadable or empty.
    """
    import pyvista

    path = Path(run) / name
    if not path.is_file():
        raise InputError(f"{path}: no such file; `nepfield solve` and `nepfield train` write it")
    with pyvista.vtk_verbosity("off"), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # how PyVista tells of a truncated file
        try:
            grid = pyvista.read(path)
        except Exception as error:  # VTK raises what it likes
            raise InputError(f"{path}: not a readable VTU file: {error}") from error
    if not isinstance(grid, pyvista.UnstructuredGrid) or grid.n_points == 0 or grid.n_cells == 0:
        raise InputError(f"{path}: not a readable VTU file, or no cells in it; run the study again")
    return grid


@dataclass(frozen=True)
class RunFiles:
    """What the files of a run say; places are in its units, and so are values that are drawn.

    Attributes
    ----------
    title : str
    summary : dict
    grid : UnstructuredGrid
        Arrays in it are as in the file.
    inputs : ndarray, shape (nsamples, ninputs), or None
    fields : tuple of Drawn
        Those that are to be drawn and whose arrays are there, in the order of the pictures.
    films : tuple of str
        Names of the pictures that change in training.
    marks : tuple of Mark
    line, graph : bool
        Whether everything lies on a straight line; whether the cells are vertices and edges.
    """

    title: str
    summary: dict[str, Any]
    grid: pyvista.UnstructuredGrid
    inputs: Array | None
    fields: tuple[Drawn, ...]
    films: tuple[str, ...]
    marks: tuple[Mark, ...]
    line: bool
    graph: bool

    @property
    def samples(self) -> list[int]:
        """The samples that fields are of."""
        return sorted({f.sample for f in self.fields if f.sample is not None})

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.samples)

    @property
    def has_edges(self) -> bool:
        """Whether a field colours edges, or moves their ends."""
        return any(f.on == "edge" or f.moves for f in self.fields)

    def choosing(self, samples: Sequence[int]) -> RunFiles:
        """The same with the fields of some samples alone, and of what all share.

        Raises
        ------
        InputError
            If there are no fields of one of them.
        """
        known = self.samples
        if missing := [k for k in samples if k not in known]:
            last = f" {known[0]} to {known[-1]}" if known else " none"
            raise InputError(f"sample {missing[0]}: there are fields of samples{last} only.")
        fields = tuple(f for f in self.fields if f.sample is None or f.sample in samples)
        return replace(self, fields=fields)

    def in_logarithms(self) -> RunFiles:
        """The same with logarithmic colours and axes for intensities."""
        fields = tuple(
            replace(f, scale="logarithmic") if f.scale == "intensity" else f for f in self.fields
        )
        return replace(self, fields=fields)

    def titled(self, shown: int) -> str:
        """The title of a picture that has so many samples in it; it says if there are more."""
        counts = self.summary.get("samples")
        of_all = counts.get("train", 0) if isinstance(counts, dict) else 0
        total = max(self.count, int(of_all or 0))
        if not 0 < shown < total:
            return self.title
        what = "" if any(f.panel for f in self.fields) else " samples"
        return f"{self.title} ({shown} of {total}{what})".strip()

    def displacement(self, field: Drawn) -> Array:
        """By how much a field moves the points, (npoints, 3), where it is known."""
        vectors = np.zeros((self.grid.n_points, 3))
        found = np.nan_to_num(np.asarray(self.raw(field), dtype=float))
        vectors[:, : found.shape[1]] = found * factor(self.summary, "length")
        return vectors

    @property
    def reach(self) -> float:
        """The farthest that a field moves a point."""
        moves = [self.displacement(f) for f in self.fields if f.moves]
        return max((float(np.linalg.norm(m, axis=1).max()) for m in moves), default=0.0)

    def of(self, picture: str) -> list[Drawn]:
        """The fields of a picture."""
        return [f for f in self.fields if f.picture == picture]

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures, in order."""
        return list(dict.fromkeys(f.picture for f in self.fields))

    def sample(self, index: int, prefix: str = "inputs ") -> str:
        """What a panel of a sample is called."""
        titles = self.summary.get("titles", ())
        if index < len(titles):
            return str(titles[index])
        rows = () if self.inputs is None else self.inputs
        return sample_title(rows[index] if index < len(rows) else None, index, prefix)

    def drives(self, index: int, driver: int) -> bool:
        """Whether an input of a sample is not zero, and with it the marks that it drives."""
        if self.inputs is None or index >= len(self.inputs) or driver >= self.inputs.shape[1]:
            return True
        return bool(self.inputs[index, driver] != 0)

    def array(self, name: str) -> Array:
        """An array of the file, of a graph without what it holds for the other kind of cell."""
        data = self.grid.point_data
        return np.asarray(data[name] if name in data else self.grid.cell_data[name])

    def raw(self, field: Drawn, data: Any = None) -> Array:
        """Values of a field as they are in the file, complex where it is.

        Parameters
        ----------
        field : Drawn
        data : mapping of str to array, optional
            Where they are taken from, such as those of a subdivided surface.
        """
        if field.on == "edge":
            edges = np.isin(self.grid.celltypes, LINES)
            parts = [np.asarray(self.grid.cell_data[name])[edges] for name in field.arrays]
        else:
            parts = [
                np.asarray(data[name]) if data is not None else self.array(name)
                for name in field.arrays
            ]
        return parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]

    def values(self, field: Drawn, data: Any = None) -> Array:
        """What is drawn of a field, in the run's units; `data` as in `raw`."""
        return self.shown(field, self.raw(field, data))

    def shown(self, field: Drawn, raw: Array) -> Array:
        """The same of values as they are in the file."""
        if field.part == "phase":
            return np.angle(raw) if np.iscomplexobj(raw) else raw
        if field.part == "intensity":
            raw = np.abs(raw) ** 2
        elif raw.ndim == 2:
            raw = np.linalg.norm(raw, axis=1)
        return np.real(raw) * factor(self.summary, field.unit)

    def with_unit(self, text: str, field: Drawn, natural: bool = True) -> str:
        """A text and the unit of a field in brackets."""
        name = unit(self.summary, field.unit) or (field.natural if natural else "")
        return f"{text} ({name})" if name else text

    def label(self, field: Drawn) -> str:
        """What is written beside the colours or the axis of a field."""
        return self.with_unit(field.label, field)

    @property
    def length_unit(self) -> str:
        """The unit of places."""
        return unit(self.summary, "length") or str(self.summary.get("lengths", "mesh units"))

    def chosen(self, mark: Mark) -> Array | None:
        """Mask over cells (of a graph its vertices) of what a mark covers, if it says cells."""
        count = self.grid.n_points if self.graph else self.grid.n_cells
        cells = mark.shape.get("cells", mark.shape.get("vertices"))
        mask = np.zeros(count, dtype=bool)
        if isinstance(cells, str):
            data = self.grid.point_data if self.graph else self.grid.cell_data
            if cells not in data:  # frames hold less than fields.vtu
                return None
            mask = np.asarray(data[cells]) > 0.5
        elif cells is not None and ("cells" in mark.shape or self.graph):
            index = np.asarray(cells, dtype=int)
            mask[index[(index >= 0) & (index < count)]] = True
        return mask if mask.any() else None


def read_run(run: Path, name: str = "fields.vtu") -> RunFiles:
    """What is known of a run folder, with ``fields.vtu`` or one of its frames.

    Raises
    ------
    InputError
        If a file is missing or unreadable, or holds cells that pictures are not made of.
    """
    title = str(read_study(run).get("name", ""))
    summary = read_summary(run)
    return files_of(read_grid(run, name), summary, title, f"{run}/", name)


def files_of(
    grid: pyvista.UnstructuredGrid,
    summary: dict[str, Any],
    title: str = "",
    where: str = "",
    name: str = "fields",
) -> RunFiles:
    """What is known of a grid whose arrays a summary describes; `where`, `name`: for messages.

    Raises
    ------
    InputError
        If it holds cells that pictures are not made of, or the summary is not as nepfield has it.
    """
    length = factor(summary, "length")
    grid.points = np.asarray(grid.points) * length
    types = set(grid.celltypes.tolist())
    spread = np.linalg.svd(grid.points - grid.points.mean(axis=0), compute_uv=False)
    straight = len(spread) < 2 or spread[1] <= 1e-6 * max(spread[0], 1e-300)
    if not types <= {VERTEX, *LINES, *CORNERS}:
        raise InputError(f"{where}{name}: pictures are made of lines, flat cells and graphs only")
    if types & set(CORNERS) and not types <= set(CORNERS):
        flat: Any = np.flatnonzero(np.isin(grid.celltypes, list(CORNERS)))
        grid = grid.extract_cells(flat)
    graph = VERTEX in types and not types & set(CORNERS)
    line = types <= {VERTEX, *LINES} and bool(straight)
    if not (graph or line) and not types & set(CORNERS):
        raise InputError(f"{where}{name}: line cells that do not lie on one straight line")
    try:
        entries = summary.get("fields")
        described = _plain(grid) if entries is None else [Drawn.of(entry) for entry in entries]
        fields = _there(described, grid)
        marks = tuple(_mark(entry, length, summary) for entry in summary.get("marks", ()))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"{where}summary.json: its fields and marks are not as nepfield writes them: {error!r}"
        ) from None
    rows = summary.get("inputs")
    try:
        inputs = None if not rows else np.atleast_2d(np.array(rows, dtype=float))
    except (TypeError, ValueError):
        inputs = None  # titles fall back on numbers
    changing = {one.picture for one in described if one.film}
    films = tuple(dict.fromkeys(f.picture for f in fields if f.picture in changing))
    return RunFiles(title, summary, grid, inputs, fields, films, marks, line, graph)


def _there(fields: Sequence[Drawn], grid: pyvista.UnstructuredGrid) -> tuple[Drawn, ...]:
    """Those to draw whose arrays are there; of several that show the same, the first."""
    found: dict[Any, Drawn] = {}
    for one in fields:
        if one.picture and all(name in grid.array_names for name in one.arrays):
            found.setdefault((one.group, one.sample), one)
    return tuple(found.values())


def _plain(grid: pyvista.UnstructuredGrid) -> list[Drawn]:
    """Where nothing is said of the arrays: each under its own name, a number at its end a sample.

    Whole numbers, masks mostly, are left out.
    """
    found = []
    for data, on in ((grid.point_data, "node"), (grid.cell_data, "cell")):
        for name in data:
            end = re.search(r"_(\d+)\Z", name)
            stem, number = (name, None) if end is None else (name[: end.start()], end[1])
            if np.asarray(data[name]).dtype.kind == "f" and re.fullmatch(r"[\w-]+", stem):
                sample = None if number is None else int(number)
                found.append(Drawn((name,), on, stem, stem, stem, scale="auto", sample=sample))
    return found


def _mark(entry: dict[str, Any], length: float, summary: dict[str, Any]) -> Mark:
    """A mark in the units of the run; a value that is a pair of numbers is complex."""
    shape = dict(entry["shape"])
    if "circle" in shape:
        circle = shape["circle"]
        shape["circle"] = {
            "center": (length * np.asarray(circle["center"], dtype=float)).tolist(),
            "radius": length * float(circle["radius"]),
        }
    value = entry.get("value")
    if isinstance(value, list):
        value = complex(*value)
    kind = str(entry.get("unit", ""))
    return Mark(
        kind=str(entry["kind"]),
        label=str(entry.get("label", "")),
        shape=shape,
        input=entry.get("input"),
        dashed=bool(entry.get("dashed", False)),
        value=None if value is None else value * factor(summary, kind),
        unit=unit(summary, kind),
    )


def mark_text(mark: Mark) -> str:
    """What is written beside a mark: ``w = 0.93 meV/µm``."""
    if mark.value is None:
        return mark.label
    value = complex(mark.value)
    number = f"{value.real:.3g}"
    if value.imag:
        number += f" {'-' if value.imag < 0 else '+'} {abs(value.imag):.3g}i"
    return f"{mark.label} = {number} {mark.unit}".strip()
