"""A run as a web page that turns and zooms in any browser, without a network.

The page is a scene of vtk.js, which PyVista exports through trame with the viewer inside. It shows
surfaces and lines only, so panel titles are drawn as surfaces, and what belongs to the page (name,
colour scales, how to turn) is written over the scene as plain HTML.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from scipy.spatial import KDTree

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.view.opengl import PicturesUnavailable, opengl_problem, probe, render_window
from nepfield.view.painting import colored_edges
from nepfield.view.panels import Panel, find_panels
from nepfield.view.runs import Array, read_run
from nepfield.view.shapes import Outline, Shape, find_marks, find_shape

if TYPE_CHECKING:
    import pyvista

RELIEF = 0.25  # height of the largest intensity, as a share of the size of the domain
SHARE = 0.6  # height over width of the window that the first view is made for
TILT = np.deg2rad(25)  # of the first view
VIEW = 30.0  # degrees; the viewer has no other angle and no parallel projection

_OVER = """<style>
.content {{ position: absolute; width: 100%; height: 100%; }}
.nepfield {{ position: fixed; z-index: 10; pointer-events: none; color: #222; left: 16px; }}
.nepfield h1 {{ font-size: 20px; margin: 0 0 4px; }}
.nepfield p {{ font-size: 13px; margin: 0; color: #555; }}
.nepfield .scale {{ display: inline-block; font-size: 13px; margin: 0 32px 0 0; }}
.nepfield .bar {{ width: 260px; height: 14px; border: 1px solid #888; margin: 3px 0; }}
.nepfield .ends {{ display: flex; justify-content: space-between; width: 262px; }}
</style>
<div class="content"></div>
<div class="nepfield" style="top: 12px"><h1>{title}</h1><p>{hint}</p></div>
<div class="nepfield" style="bottom: 14px">{scales}</div>
"""
_SCALE = """<div class="scale">{label}<div class="bar" style="background:
linear-gradient(to right, {colors})"></div>
<div class="ends"><span>{low:.3g}</span><span>{middle:.3g}</span><span>{high:.3g}</span></div></div>
"""


def write_page(run: Path, output: Path) -> Path:
    """Write what changes in training as a web page: intensities as a relief, and the rest flat.

    Parameters
    ----------
    run : Path
        Run folder on a planar mesh or a graph, with ``fields.vtu``.
    output : Path
        The .html file; it holds everything it needs.

    Raises
    ------
    InputError
        If the fields lie on a line, the package that exports them is missing, the run is
        unreadable, or the page cannot be written.
    PicturesUnavailable
        If this machine cannot render.
    """
    files = read_run(run)
    if files.line:
        raise InputError(
            f"{run}: pages are made of planar meshes and graphs, and the fields of this run lie on "
            "a line; write a .png or a .gif instead."
        )
    try:
        import_module("trame_pyvista")
    except ImportError as error:
        raise InputError(
            f"{output}: pages need the package trame-pyvista ({error}): "
            "pip install 'nepfield[html]'"
        ) from None
    problem = opengl_problem()
    if problem is not None:
        raise PicturesUnavailable(problem)
    shape = find_shape(files, finest=2)  # a page of a few MB, and quick in the browser
    marks = find_marks(files, shape)
    pages = find_panels(files, shape)
    panels = [panel for name in files.films or files.pictures for panel in pages[name]]
    panels.sort(key=lambda panel: panel.sample is None)  # samples first
    if not panels:
        raise InputError(f"{run}/fields.vtu: no field in it that summary.json gives to pages")
    with render_window(probe()[0]):
        import pyvista

        plotter: Any = pyvista.Plotter(off_screen=True, lighting="none")  # Any: see Painter
    try:
        _build(plotter, shape, marks, panels)
        page = asyncio.run(_exported(plotter))
    finally:
        plotter.close()
    of_samples = len({panel.sample for panel in panels if panel.sample is not None})
    title = escape(files.titled(of_samples) or Path(run).resolve().name)
    start = page.index("<body>") + len("<body>")
    page = (
        page[:start] + "\n" + _overlay(title, panels, [mark.kind for mark in marks]) + page[start:]
    )
    first, last = page.index("<title>"), page.index("</title>")
    page = page[:first] + f"<title>{title}" + page[last:]
    try:
        with replacing(Path(output)) as part:
            part.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: the page cannot be written: {error}") from error
    return Path(output)


async def _exported(plotter: Any) -> str:
    """The scene as HTML. The exporter asks a server of trame, which lives as long as this takes."""
    from trame_pyvista.jupyter import launch_server

    with _without("trame.widgets.vtklocal"):  # its WebAssembly is downloaded when it is loaded
        server = launch_server()
        await server.ready
        try:
            return str(plotter.trame.export_html(None).read())
        finally:
            await server.stop()


@contextmanager
def _without(module: str) -> Iterator[None]:
    """A module cannot be imported in the block, as where it is not installed."""
    modules: dict[str, Any] = sys.modules  # None among them says that there is no such module
    kept = modules.get(module)
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]
        if kept is not None:
            modules[module] = kept


def _build(plotter: Any, shape: Shape, marks: Sequence[Outline], panels: Sequence[Panel]) -> None:
    """Place the panels side by side in one scene, and look at them a little from below."""
    import pyvista

    low, high = shape.places.min(axis=0), shape.places.max(axis=0)
    letters = 0.055 * shape.size
    step = high - low + [0.1 * shape.size, 0.1 * shape.size + 2 * letters] + shape.reach
    first = [panel for panel in panels if panel.sample is not None] or panels[:1]
    rows = min(len(first), 2)
    columns = -(-len(first) // rows)
    # what all samples share to the right of them, below each other
    places = [divmod(k, columns) for k in range(len(first))]
    places += [(k % rows, columns + k // rows) for k in range(len(panels) - len(first))]
    plotter.background_color = "white"
    plotter.add_light(pyvista.Light(light_type="headlight", intensity=1.0))
    flat: dict[str, Any] = dict(lighting=False, copy_mesh=False)
    for panel, (row, column) in zip(panels, places, strict=True):
        move = np.array([column * step[0], -row * step[1], 0.0])
        here = panel.moved or shape
        surface = pyvista.PolyData(here.surface.points, faces=here.surface.faces)
        heights, colors = np.zeros(surface.n_points), dict[str, Any](color="#e8e8e8")
        relief = False
        if panel.faces is not None:
            values, scale = panel.faces.values, panel.faces.scale
            at_points = len(values) == surface.n_points
            (surface.point_data if at_points else surface.cell_data)["field"] = values
            colors = {"scalars": "field", **panel.faces.colors()}
            relief = at_points and scale.relief
            if relief:
                heights = RELIEF * shape.size / scale.limits[1] * np.nan_to_num(values)
                surface.points = np.column_stack([surface.points[:, :2], heights])
        look: dict[str, Any] = dict(ambient=0.7, diffuse=0.35, specular=0.0, copy_mesh=False)
        look |= dict(show_scalar_bar=False, smooth_shading=relief, nan_color="lightgrey")
        plotter.add_mesh(surface.translate(move), **look, **colors)
        if panel.edges is not None and len(here.edges):
            lines, order = colored_edges(here, panel.edges)
            lines.cell_data["field"] = panel.edges.values[order]
            edges = lines.tube(radius=0.003 * shape.size, n_sides=4)
            edges.translate(move - [0, 0, 0.004 * shape.size], inplace=True)  # below the discs
            plotter.add_mesh(edges, scalars="field", **look, **panel.edges.colors())
        rings = [line for mark in marks for line in mark.on(panel.moved).lines]
        nearest = KDTree(here.surface.points[:, :2])
        for lines, radius, color in ((here.rim(), 0.003, "#444444"), (rings, 0.0035, "#9aa7b5")):
            tubes = [
                _tube(line, _smooth(nearest, heights, line), radius * shape.size) for line in lines
            ]
            if tubes:
                plotter.add_mesh(pyvista.merge(tubes).translate(move), color=color, **flat)
        words = pyvista.Text3D(panel.title or " ", depth=0.0, height=letters)
        corner = np.array([words.bounds[0], words.bounds[2], 0.0])
        place = np.array([low[0], high[1] + 0.5 * letters, 0.0]) - corner
        plotter.add_mesh(words.translate(place + move), color="#222222", **flat)
    span = step * [max(column for _, column in places) + 1, rows]
    middle = np.array([low[0], high[1]]) + [0.5, -0.5] * span + [-0.05 * shape.size, 2 * letters]
    width, height = span[0], span[1] * np.cos(TILT) + 4 * letters  # and room for what is written
    away = 0.6 * max(height, width * SHARE) / np.tan(np.deg2rad(VIEW / 2))
    target = np.append(middle, 0.0)
    eye = target + away * np.array([0.0, -np.sin(TILT), np.cos(TILT)])
    plotter.camera_position = [tuple(eye), tuple(target), (0, 1, 0)]


def _smooth(nearest: KDTree, heights: Array, line: Array) -> Array:
    """Heights along a line, from the points of the surface around it."""
    distances, points = nearest.query(line, k=4)
    weights = 1 / (distances + 1e-12)
    return np.asarray((weights * heights[points]).sum(axis=1) / weights.sum(axis=1))


def _tube(line: Array, heights: Array, radius: float) -> pyvista.PolyData:
    """A polyline as a browser can draw it: thick, and above the surface."""
    import pyvista

    keep = np.append(True, np.linalg.norm(np.diff(line, axis=0), axis=1) > 0)
    points = np.column_stack([line, heights + radius])[keep]
    return pyvista.MultipleLines(points).tube(radius=radius, n_sides=8).triangulate()


def _overlay(title: str, panels: Sequence[Panel], kinds: Sequence[str]) -> str:
    """What is written over the scene; `kinds` of marks are outlined."""
    layers = [layer for panel in panels for layer in panel.layers]
    scales = []
    for words, scale in dict.fromkeys((layer.words, layer.scale) for layer in layers):
        colors = ", ".join(to_hex(c) for c in mpl.colormaps[scale.cmap](np.linspace(0, 1, 17)))
        low, high = scale.limits
        scales.append(
            _SCALE.format(
                label=escape(words), colors=colors, low=low, middle=(low + high) / 2, high=high
            )
        )
    hint = "drag: turn · Shift and drag: move · wheel: zoom"
    if kinds:
        hint += f"; outlined: {escape(', '.join(dict.fromkeys(kinds)))}"
    return _OVER.format(title=title, hint=hint, scales="".join(scales))
