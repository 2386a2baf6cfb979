"""What a run's files say, as shapes to draw: coloured faces, and outlines of pumps and readouts.

PyVista is imported inside functions, because VTK is slow to load and only some commands need it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.view.curves import read_study, read_summary, sample_title
from nepfield.view.shown import in_units, unit, with_unit

if TYPE_CHECKING:
    import pyvista

Array = NDArray[Any]

_VERTEX, _LINES, _QUADRATIC = 1, (3, 21), (22, 23, 28)
_CORNERS = {5: 3, 22: 3, 9: 4, 23: 4, 28: 4}  # triangles and quadrilaterals of VTK


def open_run(run: Path, name: str = "fields.vtu") -> pyvista.UnstructuredGrid:
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
    """What the files of a run say, with the geometry that pictures need."""

    study: dict[str, Any]
    summary: dict[str, Any]
    grid: pyvista.UnstructuredGrid
    inputs: Array | None
    weights: list[Any]
    count: int  # samples in fields.vtu
    line: bool
    graph: bool

    @property
    def title(self) -> str:
        return str(self.study.get("name", ""))

    def sample(self, index: int, prefix: str = "inputs ") -> str:
        rows = () if self.inputs is None else self.inputs
        return sample_title(rows[index] if index < len(rows) else None, index, prefix)

    def drives(self, index: int, driver: int) -> bool:
        """Whether an input of a sample is not zero, and with it the pumps that it drives."""
        if self.inputs is None or index >= len(self.inputs) or driver >= self.inputs.shape[1]:
            return True
        return bool(self.inputs[index, driver] != 0)

    @property
    def length_unit(self) -> str:
        """The unit of places."""
        plain = "sites" if "lattice" in self.study.get("domain", {}) else "mesh units"
        return unit(self.summary, "length") or plain

    def labels(self) -> dict[str, str]:
        energy = unit(self.summary, "energy") or r"$\hbar^2/m\ell^2$"
        length = self.length_unit
        return {
            "x": f"x ({length})",
            "y": f"y ({length})",
            "density": with_unit(r"$|\Psi|^2$", self.summary, "density"),
            "phase": r"phase of $\Psi$",
            "V_re": f"V ({energy})",
            "V_im": f"Im V ({energy})",
            "dC_dV": with_unit(r"$\partial C/\partial V$", self.summary, "gradient"),
        }


def read_run(run: Path, name: str = "fields.vtu") -> RunFiles:
    """Study, summary and fields (``fields.vtu``, or one of its frames) of a run folder.

    Fields come in the run's units if it has any.

    Raises
    ------
    InputError
        If a file is missing or unreadable, or holds cells that pictures are not made of.
    """
    study, summary, grid = in_units(read_study(run), read_summary(run), open_run(run, name))
    count = 0
    while any(f"{name}_{count}" in grid.point_data for name in ("psi_re", "density")):
        count += 1
    rows = summary.get("inputs") or study.get("task", {}).get("inputs")
    try:
        inputs = None if rows is None else np.atleast_2d(np.array(rows, dtype=float))
    except (TypeError, ValueError):
        inputs = None  # titles fall back on numbers
    types = set(grid.celltypes.tolist())
    spread = np.linalg.svd(grid.points - grid.points.mean(axis=0), compute_uv=False)
    straight = len(spread) < 2 or spread[1] <= 1e-6 * max(spread[0], 1e-300)
    if not types <= {_VERTEX, *_LINES, *_CORNERS}:
        raise InputError(f"{run}/{name}: pictures are made of lines, flat cells and graphs only")
    if types & set(_CORNERS) and not types <= set(_CORNERS):
        flat: Any = np.flatnonzero(np.isin(grid.celltypes, list(_CORNERS)))
        grid = grid.extract_cells(flat)
    graph = _VERTEX in types and not types & set(_CORNERS)
    line = types <= {_VERTEX, *_LINES} and bool(straight)
    if not (graph or line) and not types & set(_CORNERS):
        raise InputError(f"{run}/{name}: line cells that do not lie on one straight line")
    return RunFiles(study, summary, grid, inputs, summary.get("weights") or [], count, line, graph)


def cells_of(grid: Any) -> list[tuple[int, Array]]:
    """(VTK cell type, points (n, nodes)) for every type of cell in a grid."""
    return [(int(kind), np.asarray(cells)) for kind, cells in grid.cells_dict.items()]


def wave(data: Any, index: int) -> Array:
    """Psi of one input from real and imaginary part, or from density and phase."""
    if f"psi_re_{index}" in data:
        return np.asarray(data[f"psi_re_{index}"]) + 1j * np.asarray(data[f"psi_im_{index}"])
    density = np.maximum(np.asarray(data[f"density_{index}"]), 0)
    phase = np.asarray(data[f"phase_{index}"]) if f"phase_{index}" in data else 0.0
    return np.sqrt(density) * np.exp(1j * phase)


def has_phase(data: Any) -> bool:
    """Whether the phase of the waves is known: frames of a training hold their density alone."""
    return "psi_re_0" in data or "phase_0" in data


# ---------------------------------------------------------------- geometry


@dataclass(frozen=True)
class Shape:
    """Flat faces to colour: cells of a mesh, or a tile for each site of a graph.

    Attributes
    ----------
    surface : PolyData with psi as point data (mesh) or cell data (graph); subdivided where curved
    corners : list of (faces (n,), ids (n, k), mids (n, k, 2)), one entry a cell type; edge j runs
        from corner j to corner j + 1, through mids where the cell is quadratic
    places : (ids, 2) coordinates of the corners
    links : (nedges, 2, 2) lines between sites to draw, may be empty
    """

    surface: pyvista.PolyData
    corners: list[tuple[Array, Array, Array | None]]
    places: Array
    links: Array

    @property
    def size(self) -> float:
        """Larger side of the box around the shape, mesh units."""
        return float(np.ptp(self.places, axis=0).max()) or 1.0

    def rim(self, chosen: Array | None = None) -> list[Array]:
        """Polylines around the chosen faces (mask; default all): the edges of one face alone."""
        edges, middles = [], []
        for faces, ids, mids in self.corners:
            keep = slice(None) if chosen is None else chosen[faces]
            ends = np.stack([ids, np.roll(ids, -1, axis=1)], axis=2)[keep].reshape(-1, 2)
            edges.append(ends)
            straight = self.places[ends].mean(axis=1)
            middles.append(straight if mids is None else mids[keep].reshape(-1, 2))
        ends, mid = np.concatenate(edges), np.concatenate(middles)
        if len(ends) == 0:
            return []
        _, first, times = np.unique(np.sort(ends, 1), axis=0, return_index=True, return_counts=True)
        alone = first[times == 1]
        t = np.linspace(0, 1, 9)[:, None]
        shape = np.stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)])
        nodes = np.stack([*self.places[ends[alone]].transpose(1, 0, 2), mid[alone]])
        return _chained(ends[alone], np.einsum("ktl,knd->ntd", shape, nodes))


def _chained(ends: Array, curves: Array) -> list[Array]:
    """Edges (n, 2) with their curves (n, m, 2), joined end to end."""
    at: dict[int, list[int]] = {}
    for number, (a, b) in enumerate(ends.tolist()):
        at.setdefault(a, []).append(number)
        at.setdefault(b, []).append(number)
    left = set(range(len(ends)))
    lines: list[Array] = []
    while left:
        edge: int | None = next(iter(left))
        node = int(ends[edge, 0])
        parts = []
        while edge is not None:
            left.discard(edge)
            forward = node == ends[edge, 0]
            parts.append(curves[edge] if forward else curves[edge, ::-1])
            node = int(ends[edge, 1 if forward else 0])
            edge = next((other for other in at[node] if other in left), None)
        lines.append(np.concatenate(parts))
    return lines


def subdivided(grid: pyvista.UnstructuredGrid, finest: int = 3) -> pyvista.PolyData:
    """The flat cells of a grid as triangles fine enough to show curved edges and quadratic fields.

    Linear cells stay as they are. VTK evaluates the quadratic shape functions at the new points,
    so point data of a quadratic cell is exact there. An edge is halved at most `finest` times.
    """
    if not set(grid.celltypes.tolist()) & set(_QUADRATIC):
        return grid.extract_surface(algorithm="dataset_surface")
    level = 3 if grid.n_cells < 4000 else 2 if grid.n_cells < 20000 else 1
    level = min(level, finest)
    return grid.extract_surface(nonlinear_subdivision=level, algorithm="dataset_surface")


def find_shape(files: RunFiles, finest: int = 3) -> Shape:
    """The faces of a run on a planar mesh or a graph; `finest` as in `subdivided`."""
    return graph_shape(files.grid) if files.graph else mesh_shape(files.grid, finest)


def mesh_shape(grid: pyvista.UnstructuredGrid, finest: int = 3) -> Shape:
    places = np.asarray(grid.points)[:, :2].astype(float)
    corners: list[tuple[Array, Array, Array | None]] = []
    for kind, cells in cells_of(grid):
        k = _CORNERS[kind]
        mids = places[cells[:, k : 2 * k]] if kind in _QUADRATIC else None
        corners.append((np.flatnonzero(grid.celltypes == kind), cells[:, :k], mids))
    return Shape(subdivided(grid, finest), corners, places, np.empty((0, 2, 2)))


def graph_shape(grid: pyvista.UnstructuredGrid) -> Shape:
    """A square for each site of a regular lattice; discs and links for any other graph."""
    import pyvista

    points = np.asarray(grid.points).astype(float)
    sites = points[:, :2]
    if np.ptp(points[:, 2]) > 0:  # 3-D: seen from a corner
        x, y, z = points.T
        sites = np.stack([(x - y) * np.sqrt(0.75), 0.5 * (x + y) + z], axis=1)
    edges = dict(cells_of(grid)).get(3, np.empty((0, 2), int))
    lengths = np.linalg.norm(sites[edges[:, 0]] - sites[edges[:, 1]], axis=1)
    short = float(lengths[lengths > 0].min()) if (lengths > 0).any() else 1.0
    steps = (sites - sites.min(axis=0)) / short
    cell = np.rint(steps).astype(int)
    links = np.empty((0, 2, 2))
    if abs(steps - cell).max() < 1e-3 and len(np.unique(cell, axis=0)) == len(cell):
        around = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        keys, ids = np.unique((cell[:, None] + around).reshape(-1, 2), axis=0, return_inverse=True)
        places = sites.min(axis=0) + short * (keys - 0.5)
        ids = ids.reshape(-1, 4)
    else:
        typical = float(np.median(lengths)) if len(lengths) else 1.0
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = max(0.25 * typical, 0.45 * short)
        ring = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        places = (sites[:, None] + ring).reshape(-1, 2)
        ids = np.arange(len(places)).reshape(-1, 24)
        far = lengths > 2 * radius  # links end at the discs, which would hide them
        links = sites[edges[far]]
        step = (links[:, 1] - links[:, 0]) * (radius / lengths[far])[:, None]
        links = np.stack([links[:, 0] + step, links[:, 1] - step], axis=1)
    faces = np.column_stack([np.full(len(ids), ids.shape[1]), ids]).ravel()
    surface = pyvista.PolyData(np.column_stack([places, np.zeros(len(places))]), faces=faces)
    for name, values in grid.point_data.items():
        surface.cell_data[name] = values
    return Shape(surface, [(np.arange(len(ids)), ids, None)], places, links)


# ---------------------------------------------------------------- what is placed on the domain


@dataclass(frozen=True)
class Mark:
    """A pump or a readout: polylines to draw, where to write its label, its arrow."""

    lines: list[Array]
    place: Array
    label: str
    driver: int | None = None  # the input that drives a pump; None for a readout
    arrow: Array | None = None


def _circle(center: Array, radius: float) -> Array:
    t = np.linspace(0, 2 * np.pi, 97)[:, None]
    return center + radius * np.concatenate([np.cos(t), np.sin(t)], axis=1)


def site_index(study: dict[str, Any], value: Any) -> int:
    """Index of a site that a study names by number or by [iy, ix] on its lattice."""
    if isinstance(value, list):
        shape = study.get("domain", {}).get("lattice", [1, 1])
        return int(value[0]) * int(shape[-1]) + int(value[1]) if len(value) > 1 else int(value[0])
    return int(value)


def _chosen(run: RunFiles, entry: dict[str, Any], names: list[str]) -> Array | None:
    """Mask over cells (mesh) or sites (graph) of the regions and sites of a pump or readout."""
    data = run.grid.point_data if run.graph else run.grid.cell_data
    mask = np.zeros(run.grid.n_points if run.graph else run.grid.n_cells, dtype=bool)
    sites = entry.get("sites", [entry["site"]] if "site" in entry else [])
    for name in names:
        if f"region:{name}" in data:
            mask |= np.asarray(data[f"region:{name}"]) > 0.5
        named = run.study.get("domain", {}).get("sites", {})
        sites = [*sites, *([named[name]] if name in named and run.graph else [])]
    for value in sites if run.graph else []:
        index = site_index(run.study, value)
        if 0 <= index < len(mask):
            mask[index] = True
    return mask if mask.any() else None


def readout_masks(run: RunFiles) -> list[Array]:
    """One mask a readout: the arrays ``readout:K``, or what the study says if they are missing."""
    data = run.grid.point_data if run.graph else run.grid.cell_data
    masks: list[Array] = []
    while f"readout:{len(masks)}" in data:
        masks.append(np.asarray(data[f"readout:{len(masks)}"]) > 0.5)
    if not masks:
        readout = run.study.get("readout", {})
        wanted = [_chosen(run, {}, [name]) for name in readout.get("regions", [])]
        wanted += [_chosen(run, {"sites": [site]}, []) for site in readout.get("sites", [])]
        masks = [mask for mask in wanted if mask is not None]
    return masks


def weight_text(run: RunFiles, index: int, pump: dict[str, Any]) -> str:
    """``w = 0.93``, the trained value if the summary has one; empty if it is not known."""
    weight = run.weights[index] if index < len(run.weights) else pump.get("weight", 1.0)
    of = unit(run.summary, "weight")
    if isinstance(weight, list) and len(weight) == 2 and weight[1]:
        sign = "-" if weight[1] < 0 else "+"
        return f"w = {weight[0]:.3g} {sign} {abs(weight[1]):.3g}i {of}".rstrip()
    weight = weight[0] if isinstance(weight, list) and weight else weight
    return f"w = {weight:.3g} {of}".rstrip() if isinstance(weight, (int, float)) else ""


def find_marks(run: RunFiles, shape: Shape) -> list[Mark]:
    """Pumps, then readouts, of a study as things to draw."""
    marks: list[Mark] = []
    for index, pump in enumerate(run.study.get("pump", [])):
        arrow = None
        if "center" in pump and len(pump["center"]) == 2 and "width" in pump:
            center = np.array(pump["center"], dtype=float)
            lines = [_circle(center, float(pump["width"]))]
            wave = np.array(pump.get("wavevector", [0.0, 0.0]), dtype=float)
            if wave.any():
                tip = center + 1.6 * float(pump["width"]) * wave / np.linalg.norm(wave)
                arrow = np.array([center, tip])
        else:
            mask = _chosen(run, pump, [pump["region"]] if "region" in pump else [])
            if mask is None:
                continue
            lines = shape.rim(mask)
        label = weight_text(run, index, pump)
        marks.append(Mark(lines, _top(lines), label, int(pump.get("input", index)), arrow))
    discs = run.study.get("readout", {}).get("disc", [])
    outlines = [[_circle(np.array(d["center"], dtype=float), d["radius"])] for d in discs]
    masks = readout_masks(run)
    if len(masks) != len(outlines) or not outlines:  # else the discs themselves, not their cells
        outlines = [shape.rim(mask) for mask in masks] or outlines
    for index, lines in enumerate(outlines):
        if lines:
            label = "readout" if len(outlines) == 1 else f"Y{index}"
            marks.append(Mark(lines, _top(lines), label))
    return marks


def _top(lines: list[Array]) -> Array:
    """Where a label goes: middle of the upper rim."""
    points = np.concatenate(lines)
    return np.array([0.5 * (points[:, 0].min() + points[:, 0].max()), points[:, 1].max()])
