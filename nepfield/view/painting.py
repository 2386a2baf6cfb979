"""The hand that draws fields on a surface: PyVista renders an image, Matplotlib draws on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from nepfield.view.opengl import probe, render_window
from nepfield.view.panels import Layer, Panel
from nepfield.view.runs import Array
from nepfield.view.shapes import Outline, Shape

PLAIN = "#e8e8e8"
_DASHED, _SOLID = ("--", (0, (5, 1, 1, 1))), ("-", (0, (1, 0.8)), "-.")


class Painter:
    """Renders a surface from above to an image of a fixed stretch of the plane."""

    def __init__(self, shape: Shape) -> None:
        import pyvista

        self.turn_to(shape)
        with render_window(probe()[0]):
            plotter: Any = pyvista.Plotter(off_screen=True, lighting="none")
        self.plotter = plotter  # Any: the decorated methods of PyVista confuse type checkers
        plotter.background_color = "white"
        plotter.enable_parallel_projection()

    def turn_to(self, shape: Shape) -> None:
        """Look at another shape from now on."""
        low, high = shape.places.min(axis=0), shape.places.max(axis=0)
        margin = min(0.03 * shape.size, 0.1 * float((high - low).min())) + shape.reach
        self.low, self.high = low - margin, high + margin
        self.shape = shape

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the images, in the coordinates of the mesh."""
        return float(self.low[0]), float(self.high[0]), float(self.low[1]), float(self.high[1])

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the images, in the coordinates of the mesh."""
        return float(self.high[0] - self.low[0]), float(self.high[1] - self.low[1])

    @property
    def aspect(self) -> float:
        """Height over width of the images."""
        return self.extent[1] / self.extent[0]

    def image(self, panel: Panel, pixels: float) -> Array:
        """(height, width, 3) of uint8, about `pixels` wide."""
        plotter, shape = self.plotter, panel.moved or self.shape
        extent = self.high - self.low
        width = round(min(pixels, 2400, 1800 * extent[0] / extent[1]))
        size = [width, max(1, round(width * extent[1] / extent[0]))]
        if list(plotter.window_size) != size:
            plotter.window_size = size
        plotter.clear_actors()
        style: dict[str, Any] = dict(lighting=False, show_scalar_bar=False, copy_mesh=True)
        style |= dict(nan_color="lightgrey", render=False)
        if panel.faces is None:
            plotter.add_mesh(shape.surface, scalars=None, color=PLAIN, **style)
        else:
            values, colors = panel.faces.values, panel.faces.colors()
            plotter.add_mesh(shape.surface, scalars=values, **style, **colors)
        if panel.edges is not None and len(shape.edges):
            lines, order = colored_edges(shape, panel.edges)
            crowd = min(1.0, (300 / len(order)) ** 0.5)  # many edges are thin
            thick = float(np.clip(0.01 * width * crowd, 1, 6))
            values, colors = panel.edges.values[order], panel.edges.colors()
            plotter.add_mesh(lines, scalars=values, line_width=thick, **style, **colors)
        x, y = (self.low + self.high) / 2
        away = self.shape.size
        plotter.camera_position = [(x, y, 2 * away), (x, y, 0), (0, 1, 0)]
        plotter.camera.parallel_scale = extent[1] / 2
        plotter.camera.clipping_range = (away, 3 * away)
        plotter.render()  # a screenshot alone may show what was rendered last
        return np.asarray(plotter.screenshot(None, return_img=True))

    def close(self) -> None:
        self.plotter.close()


def colored_edges(shape: Shape, layer: Layer) -> tuple[Any, Array]:
    """The edges of a graph below its faces, the strongest on top, and their order."""
    import pyvista

    values = layer.values if layer.values.ndim == 1 else np.zeros(len(layer.values))
    strength = np.abs(np.nan_to_num(values - np.mean(layer.scale.limits)))
    order = np.argsort(strength, kind="stable")
    ends = shape.edges[order]
    depth = -1e-2 * shape.size * np.linspace(1, 0.1, len(ends))
    points = np.concatenate([ends, np.repeat(depth[:, None, None], 2, axis=1)], axis=2)
    index = np.arange(2 * len(ends)).reshape(-1, 2)
    lines = np.column_stack([np.full(len(ends), 2), index]).ravel()
    return pyvista.PolyData(points.reshape(-1, 3), lines=lines), order


def line_styles(marks: Sequence[Outline]) -> dict[str, Any]:
    """How the outlines of each kind of mark are drawn."""
    styles: dict[str, Any] = {}
    dashed, solid = iter(_DASHED), iter(_SOLID)
    for mark in marks:
        if mark.kind not in styles:
            styles[mark.kind] = next(dashed, "--") if mark.dashed else next(solid, "-")
    return styles


def legend(figure: Figure, marks: Sequence[Outline], cmap: str) -> None:
    """What dashed and solid outlines are, at the right of the title's line."""
    handles = [
        Line2D([], [], label=kind, linestyle=style, linewidth=1.4, **ink(cmap))
        for kind, style in line_styles(marks).items()
    ]
    if handles:
        place: dict[str, Any] = dict(loc="upper right", bbox_to_anchor=(0.995, 0.995))
        figure.legend(handles=handles, ncols=len(handles), frameon=False, fontsize=9, **place)


def ink(cmap: str, weight: float = 1.0) -> dict[str, Any]:
    """Lines and text that stand out from a colour map: white on dark, else black, with a halo."""
    dark = cmap in ("inferno", "viridis")
    halo = withStroke(linewidth=2.8 * weight, foreground="#222222" if dark else "#ffffffb0")
    return {"color": "white" if dark else "black", "path_effects": [halo]}


def outline(
    axes: Axes,
    shape: Shape,
    marks: Sequence[Outline],
    panel: Panel,
    named: bool,
    weight: float = 1.0,
) -> None:
    """The rim of the domain and what is placed on it, faint where its input is 0."""
    thin: dict[str, Any] = dict(linewidths=0.8 * weight)
    if panel.moved is not None:  # and faintly where it was
        was: list[Array] = [*shape.edges] if len(shape.edges) else shape.rim()
        grey: dict[str, Any] = dict(colors="#aaaaaa", linestyles=":", zorder=0.5)
        axes.add_collection(LineCollection(was, **grey, **thin))
        shape, marks = panel.moved, [mark.on(panel.moved) for mark in marks]
    if len(shape.links) and panel.edges is None:
        links = LineCollection(list(shape.links), colors="#999999", zorder=0.5, **thin)
        axes.add_collection(links)
    fine = weight * shape.fineness
    rim: dict[str, Any] = dict(colors="black", zorder=1, linewidths=0.8 * fine)
    axes.add_collection(LineCollection(shape.rim(), **rim))
    styles = line_styles(marks)
    for mark in marks:
        on = mark.driver not in panel.off
        faint: dict[str, Any] = {} if on else {"alpha": 0.4, "path_effects": None}
        drawn, share = mark.around(shape)
        style: dict[str, Any] = {**ink(panel.cmap, weight * share), "zorder": 3, **faint}
        line: dict[str, Any] = {**style, "linewidth": 1.4 * weight * share}
        for points in drawn.lines:
            axes.plot(*points.T, linestyle=styles[mark.kind], **line)
        if mark.arrow is not None:
            start, tip = mark.arrow.tolist()
            axes.annotate("", tip, start, arrowprops=dict(arrowstyle="-|>", **line))
        if named and on and mark.label:
            _write(axes, drawn, style)


def _write(axes: Axes, mark: Outline, style: dict[str, Any]) -> None:
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
