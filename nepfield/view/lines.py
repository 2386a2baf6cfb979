"""Fields on a line (1-D meshes and lattices) against the position along it; needs no OpenGL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nepfield.mesh.cells import quadratic_shapes
from nepfield.view.curves import BLUE, COLORS, GREY, RED, new_figure, tidy
from nepfield.view.curves import title as draw_title
from nepfield.view.runs import LINES, Array, Drawn, RunFiles, mark_text
from nepfield.view.shapes import cells_of

MAX_CURVES = 8
DARK = 1e-6
"""Share of the largest intensity below which no phase is drawn."""

Group = tuple[str, str, bool]
Limits = Mapping[Group, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along the line; `label` names the sample, where it is of one."""

    label: str
    x: Array
    y: Array


@dataclass(frozen=True, eq=False)
class LinePanel:
    """The samples of one field, above each other.

    Attributes
    ----------
    field : Drawn
        Of the first sample.
    label : str
        Of the axis.
    curves : list of Curve
    """

    field: Drawn
    label: str
    curves: list[Curve]

    @property
    def intensity(self) -> bool:
        """Whether the axis begins at 0 (of a logarithmic one at `DARK` of its largest value)."""
        return self.field.scale in ("intensity", "logarithmic")

    @property
    def of_samples(self) -> bool:
        """Whether each sample has a curve."""
        return self.field.sample is not None


@dataclass(frozen=True, eq=False)
class Stretch:
    """A mark on a line: where it begins and ends (perhaps at one point), and what is written."""

    start: float
    end: float
    text: str
    kind: str
    dashed: bool


@dataclass(frozen=True, eq=False)
class LineFields:
    """Fields on a line, ready to draw.

    Attributes
    ----------
    panels : list of LinePanel
    marks : list of Stretch
    ends : (float, float)
    label : str
        Of the axis along the line.
    points : bool
        Values live on points only (a lattice), so these are marked.
    """

    panels: list[LinePanel]
    marks: list[Stretch]
    ends: tuple[float, float]
    label: str
    points: bool


def draw_lines(files: RunFiles, limit: int | None = MAX_CURVES) -> Figure:
    """The figure of fields on a line; `limit` is the largest number of samples, None for all."""
    shown = len(files.samples[:limit])
    return line_figure(line_fields(files, limit), files.titled(shown))


def line_fields(files: RunFiles, limit: int | None = MAX_CURVES) -> LineFields:
    """The fields of a run on a line, of at most so many samples, ready to draw."""
    points = np.asarray(files.grid.points).astype(float)
    along = points[:, int(np.argmax(np.ptp(points, axis=0)))]  # an oblique line: its longest part
    pairs = [c[:, :2] for kind, c in cells_of(files.grid) if kind in LINES]
    cells: Array = np.concatenate(pairs) if pairs else np.empty((0, 2), int)
    panels = []
    shown = files.samples[:limit]
    for group in dict.fromkeys(field.group for field in files.fields):
        fields = [f for f in files.fields if f.group == group]
        fields = [f for f in fields if f.sample is None or f.sample in shown]
        places, raw = zip(*(_along(files, f, along, cells) for f in fields), strict=True)
        values = [files.shown(f, part) for f, part in zip(fields, raw, strict=True)]
        if fields[0].scale == "cyclic":
            values = _readable(values, raw, fields[0].fades, files.graph)
        names = [f.panel or ("" if f.sample is None else files.sample(f.sample)) for f in fields]
        curves = [Curve(*parts) for parts in zip(names, places, values, strict=True)]
        panels.append(LinePanel(fields[0], files.label(fields[0]), curves))
    ends = float(along.min()), float(along.max())
    marks = _stretches(files, along, cells)
    return LineFields(panels, marks, ends, f"x ({files.length_unit})", files.graph)


def _along(files: RunFiles, field: Drawn, along: Array, cells: Array) -> tuple[Array, Array]:
    """Positions and values of a field, in order: steps where it has a value a cell of a mesh, else
    by the shape functions of each cell."""
    if field.on == "edge":
        middle = along[cells].mean(axis=1)
        order = np.argsort(middle)
        return middle[order], files.raw(field)[order]
    if files.graph:
        order = np.argsort(along)
        return along[order], files.raw(field)[order]
    data = files.grid.point_data
    if field.arrays[0] not in data:
        ends = np.sort(along[cells], axis=1)
        by = np.argsort(ends[:, 0])
        return ends[by].ravel(), np.repeat(files.raw(field)[by], 2)
    t = np.linspace(0, 1, 9)
    linear = np.stack([1 - t, t])
    square = quadratic_shapes(t)
    parts = [
        [
            (f[c] @ (linear if c.shape[1] == 2 else square)).ravel()
            for f in (along, files.raw(field))
        ]
        for kind, c in cells_of(files.grid)
        if kind in LINES
    ]
    x, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(x, kind="stable")
    return x[order], values[order]


def _readable(
    angles: Sequence[Array], raw: Sequence[Array], fades: bool, points: bool
) -> list[Array]:
    """Angles where the wave is bright enough, and on a mesh without a line where they wrap."""
    found = []
    bright = [np.abs(values) ** 2 for values in raw] if fades else []
    top = max((float(np.nanmax(values, initial=0)) for values in bright), default=0.0)
    for number, values in enumerate(angles):
        y = np.array(values, dtype=float)
        if fades:
            y[~(bright[number] > DARK * top)] = np.nan
        if not points:
            y[1:][abs(np.diff(y)) > np.pi] = np.nan
        found.append(y)
    return found


def _stretches(files: RunFiles, along: Array, cells: Array) -> list[Stretch]:
    """Where the marks of a run are."""
    found = []
    for mark in files.marks:
        circle = mark.shape.get("circle")
        if circle is not None and len(circle["center"]) == 1:
            (middle,), half = circle["center"], circle["radius"]
            ends = middle - half, middle + half
        else:
            mask = files.chosen(mark)
            if mask is None:
                continue
            x = along[mask] if files.graph else along[cells[mask]]
            half = 0.4 if files.graph and not mark.dashed else 0.0
            ends = float(x.min()) - half, float(x.max()) + half
        text = mark_text(mark)
        said = text if text.startswith(mark.kind) or not mark.dashed else f"{mark.kind} {text}"
        found.append(Stretch(*ends, said.strip() or mark.kind, mark.kind, mark.dashed))
    return found


# ---------------------------------------------------------------- drawing


def line_figure(fields: LineFields, title: str, limits: Limits | None = None) -> Figure:
    """All fields against the position, one panel above the other.

    Parameters
    ----------
    fields : LineFields
    title : str
    limits : dict of (low, high), optional
        By the group of a field, where it is not to be scaled to its own range.
    """
    panels = fields.panels
    figure = new_figure(1.0 + 1.45 * len(panels))
    draw_title(figure, title)
    ratios = [1.6 if panel.intensity else 1.0 for panel in panels]
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for panel, axes in zip(panels, grid, strict=True):
        for mark in fields.marks:
            if mark.dashed:
                middle = (mark.start + mark.end) / 2
                axes.axvline(middle, color=GREY, linewidth=1, linestyle="--")
            else:
                axes.axvspan(mark.start, mark.end, color="#f2c14e", alpha=0.35, linewidth=0)
        _draw(axes, panel, "." if fields.points else "")
        if limits is not None and panel.field.group in limits:
            axes.set_ylim(*limits[panel.field.group])
    named = next((axes for p, axes in zip(panels, grid, strict=True) if p.of_samples), None)
    if named is not None:
        named.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    _mark(grid[0], fields)
    grid[-1].set_xlabel(fields.label)
    figure.align_ylabels(list(grid))
    return figure


def _draw(axes: Axes, panel: LinePanel, marker: str) -> None:
    """The curves of one panel, and its axis."""
    dashes = ("-", (0, (6, 2)), (0, (3, 2)), (0, (1, 1.5)))  # equal curves stay visible
    for number, curve in enumerate(panel.curves):
        style: dict[str, Any] = dict(linewidth=1.8, marker=marker, label=curve.label)
        style |= dict(color=COLORS[number % 8], linestyle=dashes[number % 4])
        if not panel.of_samples:
            color = RED if panel.field.scale == "diverging" else BLUE
            style |= dict(color=color, linestyle="-", linewidth=1.6)
        axes.plot(curve.x, curve.y, **style)
    known = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in panel.curves])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    if panel.field.scale == "cyclic":
        axes.set_ylim(-np.pi * 1.08, np.pi * 1.08)
        axes.set_yticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
    elif panel.field.scale == "logarithmic" and high > 0:
        axes.set_yscale("log")
        axes.set_ylim(DARK * high, 4 * high)
    elif panel.intensity:
        axes.set_ylim(0, 1.3 * high if high > 0 else 1)
    elif low < 0 < high:
        axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_ylabel(panel.label)
    axes.margins(x=0.01)
    tidy(axes)


def _mark(axes: Axes, fields: LineFields) -> None:
    """Write what the dashed lines and shaded stretches are at the top of the first panel."""
    place = axes.get_xaxis_transform()
    left, right = fields.ends

    def write(x: float, y: float, text: str) -> None:
        share = (x - left) / ((right - left) or 1.0)
        side = "left" if share < 0.1 else "right" if share > 0.9 else "center"
        box = dict(facecolor="white", edgecolor="none", alpha=0.75, pad=0.6)
        axes.text(x, y, text, transform=place, ha=side, va="top", fontsize=8.5, bbox=box)

    for index, mark in enumerate(m for m in fields.marks if m.dashed):
        height = 0.98 - 0.1 * (index % 2)  # neighbours do not overlap
        if mark.end > mark.start:
            arrow = dict(arrowstyle="<->", color=GREY, shrinkA=0, shrinkB=0, linewidth=0.9)
            ends = ((mark.start, height - 0.11), (mark.end, height - 0.11))
            axes.annotate("", *ends, xycoords=place, textcoords=place, arrowprops=arrow)
        write((mark.start + mark.end) / 2, height, mark.text)
    for mark in fields.marks:
        if not mark.dashed:
            write((mark.start + mark.end) / 2, 0.98, mark.text)
