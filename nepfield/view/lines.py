"""Fields on a line (1-D meshes and lattices) against the position along it; needs no OpenGL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nepfield.view.curves import BLUE, COLORS, GREY, RED, new_figure, save_figure, tidy
from nepfield.view.curves import title as draw_title
from nepfield.view.shapes import (
    Array,
    RunFiles,
    cells_of,
    has_phase,
    readout_masks,
    site_index,
    wave,
    weight_text,
)

if TYPE_CHECKING:
    import pyvista

MAX_CURVES = 8
Limits = dict[str, tuple[float, float]]


def draw_line(files: RunFiles, output: Path) -> Path:
    """Fields on a line against the position along it."""
    return save_figure(line_figure(line_fields(files), files.title, files.labels()), output)


def line_fields(files: RunFiles) -> LineFields:
    """The fields of a run on a line, ready to draw."""
    grid = files.grid
    points = np.asarray(grid.points).astype(float)
    axis = int(np.argmax(np.ptp(points, axis=0)))
    along = points[:, axis]  # an oblique line is shown by its longest component
    shown = range(min(files.count, MAX_CURVES))
    waves = [wave(grid.point_data, i) for i in shown]
    coefficients: dict[str, tuple[Array, Array]] = {}
    order = np.argsort(along)
    x = along[order]
    names = [n for n in ("V_re", "V_im", "dC_dV") if n in grid.array_names]
    pairs = [c[:, :2] for kind, c in cells_of(grid) if kind != 1]
    cells: Array = np.concatenate(pairs) if pairs else np.empty((0, 2), int)
    if files.graph:
        states = [psi[order] for psi in waves]
        for name in names:
            coefficients[name] = (x, np.asarray(grid.point_data[name])[order])
    else:
        x, states = _refined(grid, along, waves)
        ends = np.sort(along[cells], axis=1)
        by = np.argsort(ends[:, 0])
        for name in names:
            if name in grid.cell_data:
                values = np.asarray(grid.cell_data[name])[by]
                coefficients[name] = (ends[by].ravel(), np.repeat(values, 2))  # steps
            else:
                coefficients[name] = (along[order], np.asarray(grid.point_data[name])[order])
    if "V_im" in coefficients and not np.any(coefficients["V_im"][1]):
        del coefficients["V_im"]
    return LineFields(
        x, [(files.sample(i), psi) for i, psi in zip(shown, states, strict=True)], coefficients,
        _line_readouts(files, along, cells), _line_pumps(files, along), files.graph,
        has_phase(grid.point_data),
    )  # fmt: skip


def _refined(
    grid: pyvista.UnstructuredGrid, along: Array, waves: list[Array]
) -> tuple[Array, list[Array]]:
    """Positions and waves inside every cell of a line mesh, by its shape functions."""
    t = np.linspace(0, 1, 9)
    linear = np.stack([1 - t, t])
    square = np.stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)])
    parts = [
        [(f[c] @ (linear if c.shape[1] == 2 else square)).ravel() for f in (along, *waves)]
        for kind, c in cells_of(grid)
        if kind != 1
    ]
    x, *states = [np.concatenate(values) for values in zip(*parts, strict=True)]
    order = np.argsort(x, kind="stable")
    return x[order], [psi[order] for psi in states]


def _line_readouts(files: RunFiles, along: Array, cells: Array) -> list[tuple[float, float]]:
    """Stretches that the readouts cover (one stretch a readout)."""
    discs = files.study.get("readout", {}).get("disc", [])
    if discs and not files.graph:
        return [(d["center"][0] - d["radius"], d["center"][0] + d["radius"]) for d in discs]
    stretches = []
    for mask in readout_masks(files):
        if mask.any():
            x = along[mask] if files.graph else along[cells[mask]]
            half = 0.4 if files.graph else 0.0
            stretches.append((float(x.min()) - half, float(x.max()) + half))
    return stretches


def _line_pumps(files: RunFiles, along: Array) -> list[tuple[float, float, str]]:
    pumps = []
    for index, pump in enumerate(files.study.get("pump", [])):
        label = weight_text(files, index, pump)
        if "center" in pump:
            pumps.append((float(pump["center"][0]), float(pump.get("width", 0)), label))
        elif "site" in pump and files.graph:
            site = site_index(files.study, pump["site"])
            if 0 <= site < len(along):
                pumps.append((float(along[site]), 0.0, label))
    return pumps


@dataclass(frozen=True)
class LineFields:
    """Fields on a line, ready to draw.

    Attributes
    ----------
    x : (n,) float, increasing
    states : list of (title, (n,) complex)
    coefficients : dict name -> ((m,), (m,)) positions and values of V_re, V_im, dC_dV
    readouts : list of (start, end)
    pumps : list of (center, width or 0, label)
    points : bool, values live on points only (a lattice), so these are marked
    phases : bool, whether the phase is known
    """

    x: NDArray[np.float64]
    states: list[tuple[str, NDArray[np.complex128]]]
    coefficients: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    readouts: list[tuple[float, float]] = field(default_factory=list)
    pumps: list[tuple[float, float, str]] = field(default_factory=list)
    points: bool = False
    phases: bool = True


def line_figure(
    fields: LineFields, title: str, labels: dict[str, str], limits: Limits | None = None
) -> Figure:
    """Density, phase, potential and gradient against x, one panel above the other.

    Parameters
    ----------
    fields : LineFields
    title : str
    labels : dict of str
        As `RunFiles.labels`.
    limits : dict of (low, high), optional
        Of the fields that are not to be scaled to their own range.
    """
    names = [n for n in ("density", "phase") if fields.states and (n == "density" or fields.phases)]
    names += [n for n in ("V_re", "V_im", "dC_dV") if n in fields.coefficients]
    figure = new_figure(1.0 + 1.45 * len(names))
    draw_title(figure, title)
    ratios = [1.6 if n == "density" else 1.0 for n in names]
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    dashes = ("-", (0, (6, 2)), (0, (3, 2)), (0, (1, 1.5)))  # equal curves stay visible
    marker = "." if fields.points else ""
    top = max((float(np.nanmax(abs(p) ** 2, initial=0)) for _, p in fields.states), default=0.0)
    for name, axes in zip(names, panels, strict=True):
        for start, end in fields.readouts:
            axes.axvspan(start, end, color="#f2c14e", alpha=0.35, linewidth=0)
        for center, _, _ in fields.pumps:
            axes.axvline(center, color=GREY, linewidth=1, linestyle="--")
        if name in ("density", "phase"):
            for number, (label, psi) in enumerate(fields.states):
                density = abs(psi) ** 2
                if name == "density":
                    y = density
                else:
                    y = np.where(density > 1e-6 * top, np.angle(psi), np.nan)
                    if not fields.points:  # no vertical line where the phase wraps
                        y[1:][abs(np.diff(y)) > np.pi] = np.nan
                style: dict[str, Any] = dict(linewidth=1.8, marker=marker, label=label)
                style |= dict(color=COLORS[number % 8], linestyle=dashes[number % 4])
                axes.plot(fields.x, y, **style)
        else:
            x, y = fields.coefficients[name]
            color = RED if name == "dC_dV" else BLUE
            axes.plot(x, y, color=color, linewidth=1.6, marker=marker)
            if np.nanmin(y) < 0 < np.nanmax(y):
                axes.axhline(0.0, color=GREY, linewidth=0.8)
        axes.set_ylabel(labels[name])
        axes.margins(x=0.01)
        tidy(axes)
    if fields.states:
        panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
        panels[0].set_ylim(0, 1.3 * top if top > 0 else 1)
    if "phase" in names:
        panels[1].set_ylim(-np.pi * 1.08, np.pi * 1.08)
        panels[1].set_yticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
    for name, axes in zip(names, panels, strict=True):
        if limits is not None and name in limits:
            axes.set_ylim(*limits[name])
    _mark(panels[0], fields)
    panels[-1].set_xlabel(labels["x"])
    figure.align_ylabels(list(panels))
    return figure


def _mark(axes: Axes, fields: LineFields) -> None:
    """Write what the dashed lines and shaded stretches are at the top of the first panel."""
    place = axes.get_xaxis_transform()
    left, right = float(fields.x[0]), float(fields.x[-1])

    def write(x: float, y: float, text: str) -> None:
        share = (x - left) / ((right - left) or 1.0)
        side = "left" if share < 0.1 else "right" if share > 0.9 else "center"
        box = dict(facecolor="white", edgecolor="none", alpha=0.75, pad=0.6)
        axes.text(x, y, text, transform=place, ha=side, va="top", fontsize=8.5, bbox=box)

    for index, (center, width, label) in enumerate(fields.pumps):
        height = 0.98 - 0.1 * (index % 2)  # neighbours do not overlap
        if width > 0:
            arrow = dict(arrowstyle="<->", color=GREY, shrinkA=0, shrinkB=0, linewidth=0.9)
            ends = ((center - width, height - 0.11), (center + width, height - 0.11))
            axes.annotate("", *ends, xycoords=place, textcoords=place, arrowprops=arrow)
        write(center, height, f"pump {label}".strip())
    for start, end in fields.readouts:
        write((start + end) / 2, 0.98, "readout")
