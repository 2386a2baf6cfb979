"""Pictures of the fields of a run: ``fields.vtu`` through PyVista, framed with Matplotlib.

PyVista renders the fields off-screen, true to curved cells and quadratic shape functions;
Matplotlib adds axes, colour bars, pumps and readouts. Fields on a line need no rendering and are
drawn with Matplotlib alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from nepfield.errors import InputError
from nepfield.view.curves import DPI, WIDTH, new_figure, save_figure, title
from nepfield.view.lines import draw_line
from nepfield.view.opengl import PicturesUnavailable, opengl_problem, probe, render_window
from nepfield.view.panels import Panel, find_panels
from nepfield.view.shapes import (
    Array,
    Mark,
    RunFiles,
    Shape,
    find_marks,
    graph_shape,
    mesh_shape,
    open_run,
    read_run,
    subdivided,
)

if TYPE_CHECKING:
    import pyvista

__all__ = [
    "PicturesUnavailable", "interactive", "open_run", "opengl_problem", "render_run", "subdivided",
]  # fmt: skip


def render_run(run: Path, folder: Path) -> list[Path]:
    """Write the pictures of a run: density, phase, potential and gradient.

    Parameters
    ----------
    run : Path
        Run folder with ``fields.vtu`` (and ``study.toml``, ``summary.json``).
    folder : Path
        Where the PNG files go; made if missing. For planar meshes and graphs ``density.png``,
        ``phase.png``, ``potential.png`` and ``gradient.png`` (those there are data for); for fields
        on a line one ``fields.png``, which needs no OpenGL.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If the run folder or ``fields.vtu`` is missing or unreadable.
    PicturesUnavailable
        If this machine cannot render; the message says which package to install.
    """
    folder = Path(folder)
    files = read_run(run)
    if files.line:
        return [draw_line(files, folder / "fields.png")]
    problem = opengl_problem()
    if problem is not None:
        raise PicturesUnavailable(problem)
    shape = graph_shape(files.grid) if files.graph else mesh_shape(files.grid)
    marks = find_marks(files, shape)
    figures = find_panels(files, shape, marks)
    painter = _Painter(shape)
    try:
        return [
            _draw(files, shape, marks, painter, panels, folder / name) for name, panels in figures
        ]
    finally:
        painter.close()


def interactive(run: Path, *, off_screen: bool = False) -> pyvista.Plotter:
    """Open a window on a run: sliders choose the input and the field. Returns when it is closed.

    With `off_screen` nothing is shown and the plotter is returned as it stands.

    Raises
    ------
    InputError
        If the run folder or ``fields.vtu`` is missing or unreadable.
    PicturesUnavailable
        If this machine cannot render, has no display to open a window on, or the fields lie on a
        line.
    """
    files = read_run(run)
    problem = opengl_problem()
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if problem is None and not off_screen and sys.platform == "linux":
        if not any(os.environ.get(name) for name in displays):
            problem = (
                "No display to open a window on (DISPLAY is not set); leave --interactive away."
            )
    if problem is not None:
        raise PicturesUnavailable(problem)
    import pyvista

    if files.line:
        raise PicturesUnavailable(
            "Fields on a line have no interactive view; see figures/fields.png."
        )
    shape = graph_shape(files.grid) if files.graph else mesh_shape(files.grid)
    marks = find_marks(files, shape)
    pages = {
        name.removesuffix(".png"): panels
        for name, panels in find_panels(files, shape, marks, limit=files.count)
    }
    if len(pages.get("potential", [])) == 2:
        pages["imaginary potential"] = [pages["potential"].pop()]
    with render_window(probe()[0] if off_screen else None):
        plotter: Any = pyvista.Plotter(off_screen=off_screen)  # Any: see _Painter
    kinds, samples = list(pages), [files.sample(i) for i in range(files.count)]
    chosen = {"kind": 0, "sample": 0}

    def show() -> None:
        name = kinds[chosen["kind"]]
        index = min(chosen["sample"], len(pages[name]) - 1)
        panel = pages[name][index]
        style: dict[str, Any] = dict(lighting=False, show_scalar_bar=False, copy_mesh=True)
        surface = shape.surface
        plotter.add_mesh(surface, scalars=panel.values, name="field", **style, **panel.colors())
        low, high = panel.limits
        plotter.add_text(f"{files.title}: {name}, {low:.3g} to {high:.3g}", name="title")

    def choose(what: str, value: int) -> None:
        chosen[what] = value
        show()

    if not kinds:
        raise InputError(f"{run}/fields.vtu: no field in it (density_0, V_re, dC_dV, ...)")
    show()
    for line in [*shape.rim(), *(line for mark in marks for line in mark.lines)]:
        points = np.column_stack([line, np.full(len(line), 1e-3 * shape.size)])
        plotter.add_mesh(pyvista.lines_from_points(points), color="grey", line_width=3)
    for what, names, start in (("kind", kinds, 0.05), ("sample", samples, 0.55)):
        if len(names) > 1:
            plotter.add_text_slider_widget(
                lambda name, what=what, names=names: choose(what, names.index(name)),
                data=names,
                value=0,
                pointa=(start, 0.08),
                pointb=(start + 0.4, 0.08),
            )
    plotter.view_xy()
    if not off_screen:
        plotter.show()
    return plotter


# ---------------------------------------------------------------- drawing


class _Painter:
    """Renders a surface from above to an image of a fixed stretch of the plane."""

    def __init__(self, shape: Shape) -> None:
        import pyvista

        low, high = shape.places.min(axis=0), shape.places.max(axis=0)
        margin = min(0.03 * shape.size, 0.1 * float((high - low).min()))
        self.low, self.high = low - margin, high + margin
        self.shape = shape
        with render_window(probe()[0]):
            plotter: Any = pyvista.Plotter(off_screen=True, lighting="none")
        self.plotter = plotter  # Any: the decorated methods of PyVista confuse type checkers
        plotter.background_color = "white"
        plotter.enable_parallel_projection()

    def image(self, panel: Panel, pixels: float) -> Array:
        """(height, width, 3) of uint8, about `pixels` wide."""
        plotter, shape = self.plotter, self.shape
        extent = self.high - self.low
        width = round(min(pixels, 2400, 1800 * extent[0] / extent[1]))
        size = [width, max(1, round(width * extent[1] / extent[0]))]
        if list(plotter.window_size) != size:
            plotter.window_size = size
        plotter.clear_actors()
        style: dict[str, Any] = dict(lighting=False, show_scalar_bar=False, copy_mesh=True)
        style |= dict(nan_color="lightgrey", render=False)
        plotter.add_mesh(shape.surface, scalars=panel.values, **style, **panel.colors())
        x, y = (self.low + self.high) / 2
        plotter.camera_position = [(x, y, 2 * shape.size), (x, y, 0), (0, 1, 0)]
        plotter.camera.parallel_scale = extent[1] / 2
        plotter.camera.clipping_range = (shape.size, 3 * shape.size)
        plotter.render()  # a screenshot alone may show what was rendered last
        return np.asarray(plotter.screenshot(None, return_img=True))

    def close(self) -> None:
        self.plotter.close()


def _draw(
    files: RunFiles,
    shape: Shape,
    marks: list[Mark],
    painter: _Painter,
    panels: list[Panel],
    output: Path,
) -> Path:
    """One figure: panels in a grid, with a common colour bar if they share a scale."""
    low, high = painter.low, painter.high
    aspect = float((high[1] - low[1]) / (high[0] - low[0]))
    columns = _columns(len(panels), aspect)
    rows = -(-len(panels) // columns)
    shared = len({(p.cmap, p.limits, p.label) for p in panels}) == 1
    below = aspect < 0.3  # colour bar below flat panels, else beside
    bars = 1 if shared else columns
    beside = 0.7 + (0.0 if below else 1.15 * bars)  # inches around the panels
    above = 1.05 + (0.8 if below else 0.0) + rows * (0.45 if panels[0].title else 0.2)
    width = (WIDTH - beside) / columns - 0.15  # of a panel
    width = min(width, (7.5 - above) / rows / aspect)
    height = max(2.4, rows * width * aspect + above)
    figure = new_figure(height, max(6.0, columns * (width + 0.15) + beside))
    title(figure, files.title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    used = list(grid.flat[: len(panels)])
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    labels = files.labels()
    projected = bool(np.ptp(np.asarray(files.grid.points)[:, 2]) > 0)
    for number, (axes, panel) in enumerate(zip(used, panels, strict=True)):
        image = painter.image(panel, 1.3 * DPI * width)
        box = (low[0], high[0], low[1], high[1])
        axes.imshow(image, extent=box, aspect="equal", interpolation="antialiased", zorder=0)
        axes.set(xlim=box[:2], ylim=box[2:])
        _outline(axes, shape, marks, panel, len(panels) <= 4)
        axes.set_title(panel.title, fontsize=11)
        lowest = number + columns >= len(panels)
        axes.tick_params(labelbottom=lowest, labelsize=9)
        axes.set_xlabel(labels["x"] if lowest else "")
        axes.set_ylabel(labels["y"] if number % columns == 0 else "")
        if projected:
            axes.set(xticks=[], yticks=[], xlabel="", ylabel="")  # a projection has no scale
        if not shared or number == 0:
            bar = figure.colorbar(
                ScalarMappable(Normalize(*panel.limits), panel.cmap),
                ax=used if shared else axes,
                label=panel.label,
                pad=0.02,
                fraction=0.05,
                aspect=50 if below else 25,
                location="bottom" if below else "right",
            )
            if panel.cmap == "twilight":
                names = [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"]
                bar.set_ticks(list(np.linspace(-np.pi, np.pi, 5)), labels=names)
    _legend(figure, marks, panels[0].cmap)
    return save_figure(figure, output, list(dict.fromkeys(panel.cmap for panel in panels)))


def _legend(figure: Figure, marks: list[Mark], cmap: str) -> None:
    """What dashed and solid outlines are, at the right of the title's line."""
    pumps = [mark.driver is not None for mark in marks]
    styles: list[dict[str, Any]] = [
        {"label": "pump", "linestyle": "--", "linewidth": 1.4},
        {"label": "readout", "linestyle": "-", "linewidth": 1.4},
    ]
    handles = [
        Line2D([], [], **style, **_ink(cmap))
        for style, there in zip(styles, (any(pumps), not all(pumps)), strict=True)
        if there
    ]
    if handles:
        place: dict[str, Any] = dict(loc="upper right", bbox_to_anchor=(0.995, 0.995))
        figure.legend(handles=handles, ncols=2, frameon=False, fontsize=9, **place)


def _ink(cmap: str) -> dict[str, Any]:
    """Lines and text that stand out from a colour map: white on dark, else black, with a halo."""
    if cmap in ("inferno", "viridis"):
        return {"color": "white", "path_effects": [withStroke(linewidth=2.8, foreground="#222222")]}
    return {"color": "black", "path_effects": [withStroke(linewidth=2.8, foreground="#ffffffb0")]}


def _columns(count: int, aspect: float) -> int:
    """Columns that give `count` panels of this aspect (height/width) the most room on a slide."""
    room = 6.2  # inches of height
    width = {n: min(WIDTH / n, room / (-(-count // n)) / aspect) for n in range(1, count + 1)}
    return max(width, key=lambda n: (round(width[n], 6), -n))


def _outline(axes: Axes, shape: Shape, marks: list[Mark], panel: Panel, named: bool) -> None:
    """The rim of the domain, pumps dashed (faint where they are off), readouts solid."""
    if len(shape.links):
        links = LineCollection(list(shape.links), colors="#999999", linewidths=0.8, zorder=0.5)
        axes.add_collection(links)
    axes.add_collection(LineCollection(shape.rim(), colors="black", linewidths=0.8, zorder=1))
    pump = 0
    for mark in marks:
        on = True
        if mark.driver is not None:
            on = panel.lit is None or panel.lit[pump]
            pump += 1
        style = {**_ink(panel.cmap), "zorder": 3}
        if not on:
            style |= {"alpha": 0.4, "path_effects": None}
        dashes: Any = "--" if mark.driver is not None else "-"
        for line in mark.lines:
            axes.plot(*line.T, linewidth=1.4, linestyle=dashes, **style)
        if mark.arrow is not None:
            start, tip = mark.arrow.tolist()
            axes.annotate("", tip, start, arrowprops=dict(arrowstyle="-|>", linewidth=1.4, **style))
        if named and on and mark.label:
            _write(axes, mark, style)


def _write(axes: Axes, mark: Mark, style: dict[str, Any]) -> None:
    """Label of a mark above its upper rim, moved inwards where that leaves the picture."""
    place = (float(mark.place[0]), float(mark.place[1]))
    x, y = axes.transLimits.transform(place)
    side = "left" if x < 0.12 else "right" if x > 0.88 else "center"
    above = y < 0.9
    axes.annotate(
        mark.label,
        place,
        (0, 2 if above else -4),
        textcoords="offset points",
        ha=side,
        va="bottom" if above else "top",
        fontsize=8.5,
        **style,
    )
