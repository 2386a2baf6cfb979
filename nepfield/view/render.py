"""Pictures of the fields of a run: ``fields.vtu`` through PyVista, framed with Matplotlib.

PyVista renders the fields off-screen, true to curved cells and quadratic shape functions;
Matplotlib adds axes, colour bars, pumps and readouts. Fields on a line need no rendering and are
drawn with Matplotlib alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from nepfield.errors import InputError
from nepfield.view.curves import DPI, WIDTH, new_figure, save_figure, title
from nepfield.view.lines import draw_lines
from nepfield.view.opengl import PicturesUnavailable, opengl_problem, probe, render_window
from nepfield.view.painting import PLAIN, Painter, colored_edges, legend, outline
from nepfield.view.panels import MAX_PANELS, Layer, Panel, find_panels
from nepfield.view.runs import RunFiles, read_grid, read_run
from nepfield.view.shapes import Outline, Shape, find_marks, find_shape, graph_shape, subdivided

if TYPE_CHECKING:
    import pyvista

__all__ = [
    "PicturesUnavailable",
    "interactive",
    "opengl_problem",
    "picture_names",
    "read_grid",
    "render_run",
    "subdivided",
]  # fmt: skip


LINE = "fields"
"""Name of the one picture of fields on a line."""


def picture_names(run: Path) -> list[str]:
    """Names of the pictures that `render_run` would write; nothing is drawn."""
    files = read_run(run)
    return [LINE] if files.line else files.pictures


def render_run(run: Path, folder: Path) -> list[Path]:
    """Write the pictures of a run, as its fields name them.

    Parameters
    ----------
    run : Path
        Run folder with ``fields.vtu`` and ``summary.json``, which says what is in it.
    folder : Path
        Where the PNG files go; made if missing. For fields on a line it is one ``fields.png``,
        which needs no OpenGL.

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
    return [
        save_figure(figure, folder / f"{name}.png", maps)
        for name, figure, maps in field_figures(files)
    ]


def field_figures(
    files: RunFiles, picture: str | None = None, limit: int | None = MAX_PANELS
) -> Iterator[tuple[str, Figure, list[str]]]:
    """The pictures of fields one after the other: name, figure, and its colour maps.

    Parameters
    ----------
    files : RunFiles
    picture : str, optional
        Only the one of that name.
    limit : int or None
        The largest number of samples in a picture; None for all.

    Raises
    ------
    PicturesUnavailable
        If this machine cannot render; fields on a line need no rendering.
    """
    if files.line:
        if files.fields:
            yield LINE, draw_lines(files, limit), []
        return
    problem = opengl_problem()
    if problem is not None:
        raise PicturesUnavailable(problem)
    shape = find_shape(files)
    marks = find_marks(files, shape)
    painter = Painter(shape)
    try:
        for name, panels in find_panels(files, shape, limit).items():
            if picture in (None, name):
                yield name, *_draw(files, shape, marks, painter, panels)
    finally:
        painter.close()


def place_figure(files: RunFiles) -> Figure:
    """What fields would be drawn on, with the marks.

    Raises
    ------
    PicturesUnavailable
        If this machine cannot render.
    """
    problem = opengl_problem()
    if problem is not None:
        raise PicturesUnavailable(problem)
    shape = graph_shape(files.grid, edges=True) if files.graph else find_shape(files)
    painter = Painter(shape)
    try:
        return _draw(files, shape, find_marks(files, shape), painter, [Panel("", None)])[0]
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
    shape = find_shape(files)
    marks = find_marks(files, shape)
    pages = _pages(find_panels(files, shape, limit=files.count))
    if not pages:
        raise InputError(f"{run}/fields.vtu: no field in it that summary.json says how to draw")
    with render_window(probe()[0] if off_screen else None):
        plotter: Any = pyvista.Plotter(off_screen=off_screen)  # Any: see Painter
    kinds, samples = list(pages), [files.sample(k) for k in files.samples]
    chosen = {"kind": 0, "sample": 0}

    def show() -> None:
        name = kinds[chosen["kind"]]
        panel = pages[name][min(chosen["sample"], len(pages[name]) - 1)]
        style: dict[str, Any] = dict(lighting=False, show_scalar_bar=False, copy_mesh=True)
        here = panel.moved or shape
        plotter.remove_actor("edges")
        if panel.faces is None:
            plotter.add_mesh(here.surface, color=PLAIN, name="field", **style)
        else:
            values, colors = panel.faces.values, panel.faces.colors()
            plotter.add_mesh(here.surface, scalars=values, name="field", **style, **colors)
        if panel.edges is not None and len(here.edges):
            lines, order = colored_edges(here, panel.edges)
            values, colors = panel.edges.values[order], panel.edges.colors()
            plotter.add_mesh(lines, scalars=values, name="edges", line_width=4, **style, **colors)
        low, high = panel.layers[0].scale.limits
        plotter.add_text(f"{files.title}: {name}, {low:.3g} to {high:.3g}", name="title")
        placed = [line for mark in marks for line in mark.on(panel.moved).lines]
        for number, line in enumerate([*here.rim(), *placed]):
            points = np.column_stack([line, np.full(len(line), 1e-3 * shape.size)])
            drawn = pyvista.lines_from_points(points)
            plotter.add_mesh(drawn, color="grey", line_width=3, name=f"line {number}")

    def choose(what: str, value: int) -> None:
        chosen[what] = value
        show()

    show()
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


def _draw(
    files: RunFiles,
    shape: Shape,
    marks: list[Outline],
    painter: Painter,
    panels: list[Panel],
) -> tuple[Figure, list[str]]:
    """One figure: panels in a grid, with a common colour bar if they share a scale."""
    box, aspect = painter.box, painter.aspect
    columns = _columns(len(panels), aspect)
    rows = -(-len(panels) // columns)
    faces, edges = [p.faces for p in panels], [p.edges for p in panels]
    titled = len(panels) > 1 or panels[0].sample is not None
    below = aspect < 0.3  # colour bars below flat panels, else beside
    bars = sum(1 if _shared(layers) else columns for layers in (faces, edges) if any(layers))
    beside = 0.7 + (0.0 if below else 1.15 * bars)  # inches around the panels
    above = 1.05 + (0.8 * bars if below else 0.0) + rows * (0.45 if titled else 0.2)
    width = (WIDTH - beside) / columns - 0.15  # of a panel
    width = min(width, (7.5 - above) / rows / aspect)
    height = max(2.4, rows * width * aspect + above)
    figure = new_figure(height, max(6.0, columns * (width + 0.15) + beside))
    title(figure, files.titled(len({p.sample for p in panels if p.sample is not None})))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    used = list(grid.flat[: len(panels)])
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    projected = bool(np.ptp(np.asarray(files.grid.points)[:, 2]) > 0)
    for number, (axes, panel) in enumerate(zip(used, panels, strict=True)):
        image = painter.image(panel, 1.3 * DPI * width)
        axes.imshow(image, extent=box, aspect="equal", interpolation="antialiased", zorder=0)
        axes.set(xlim=box[:2], ylim=box[2:])
        outline(axes, shape, marks, panel, len(panels) <= 4)
        axes.set_title(panel.title if titled else "", fontsize=11)
        lowest = number + columns >= len(panels)
        axes.tick_params(labelbottom=lowest, labelsize=9)
        axes.set_xlabel(f"x ({files.length_unit})" if lowest else "")
        axes.set_ylabel(f"y ({files.length_unit})" if number % columns == 0 else "")
        if projected:
            axes.set(xticks=[], yticks=[], xlabel="", ylabel="")  # a projection has no scale
    for layers in (faces, edges):
        shared = _shared(layers)
        there = [(layer, axes) for layer, axes in zip(layers, used, strict=True) if layer]
        for layer, axes in there[:1] if shared else there:
            _bar(figure, layer, used if shared else axes, below)
    legend(figure, marks, panels[0].cmap)
    maps = [layer.scale.cmap for panel in panels for layer in panel.layers]
    return figure, list(dict.fromkeys(maps))


def _shared(layers: list[Layer | None]) -> bool:
    """Whether one colour bar is enough."""
    return len({layer.bar for layer in layers if layer is not None}) <= 1


def _bar(figure: Figure, layer: Layer, axes: Any, below: bool) -> None:
    """A colour bar beside (or below) some axes."""
    bar = figure.colorbar(
        ScalarMappable(layer.scale.norm, layer.scale.cmap),
        ax=axes,
        label=layer.label,
        pad=0.02,
        fraction=0.05,
        aspect=50 if below else 25,
        location="bottom" if below else "right",
    )
    if layer.scale.cyclic:
        names = [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"]
        bar.set_ticks(list(np.linspace(-np.pi, np.pi, 5)), labels=names)


def _pages(pictures: dict[str, list[Panel]]) -> dict[str, list[Panel]]:
    """The panels of each picture by sample; what all samples share has a page for each panel."""
    pages: dict[str, list[Panel]] = {}
    for name, panels in pictures.items():
        for panel in panels:
            own = name if panel.sample is not None or panel is panels[0] else panel.title
            pages.setdefault(own, []).append(panel)
    return pages


def _columns(count: int, aspect: float) -> int:
    """Columns that give `count` panels of this aspect (height/width) the most room on a slide."""
    room = 6.2  # inches of height
    width = {n: min(WIDTH / n, room / (-(-count // n)) / aspect) for n in range(1, count + 1)}
    return max(width, key=lambda n: (round(width[n], 6), -n))
