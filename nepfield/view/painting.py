"""The hand that draws fields on a surface: PyVista renders an image, Matplotlib draws on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from nepfield.view.opengl import probe, render_window
from nepfield.view.panels import Panel
from nepfield.view.shapes import Array, Mark, Shape


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
        margin = min(0.03 * shape.size, 0.1 * float((high - low).min()))
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


def legend(figure: Figure, marks: list[Mark], cmap: str) -> None:
    """What dashed and solid outlines are, at the right of the title's line."""
    pumps = [mark.driver is not None for mark in marks]
    styles: list[dict[str, Any]] = [
        {"label": "pump", "linestyle": "--", "linewidth": 1.4},
        {"label": "readout", "linestyle": "-", "linewidth": 1.4},
    ]
    handles = [
        Line2D([], [], **style, **ink(cmap))
        for style, there in zip(styles, (any(pumps), not all(pumps)), strict=True)
        if there
    ]
    if handles:
        place: dict[str, Any] = dict(loc="upper right", bbox_to_anchor=(0.995, 0.995))
        figure.legend(handles=handles, ncols=2, frameon=False, fontsize=9, **place)


def ink(cmap: str, weight: float = 1.0) -> dict[str, Any]:
    """Lines and text that stand out from a colour map: white on dark, else black, with a halo."""
    dark = cmap in ("inferno", "viridis")
    halo = withStroke(linewidth=2.8 * weight, foreground="#222222" if dark else "#ffffffb0")
    return {"color": "white" if dark else "black", "path_effects": [halo]}


def outline(
    axes: Axes, shape: Shape, marks: list[Mark], panel: Panel, named: bool, weight: float = 1.0
) -> None:
    """The rim of the domain, pumps dashed (faint where they are off), readouts solid."""
    thin: dict[str, Any] = dict(linewidths=0.8 * weight)
    if len(shape.links):
        links = LineCollection(list(shape.links), colors="#999999", zorder=0.5, **thin)
        axes.add_collection(links)
    axes.add_collection(LineCollection(shape.rim(), colors="black", zorder=1, **thin))
    pump = 0
    for mark in marks:
        on = True
        if mark.driver is not None:
            on = panel.lit is None or panel.lit[pump]
            pump += 1
        style = {**ink(panel.cmap, weight), "linewidth": 1.4 * weight, "zorder": 3}
        if not on:
            style |= {"alpha": 0.4, "path_effects": None}
        dashes: Any = "--" if mark.driver is not None else "-"
        for line in mark.lines:
            axes.plot(*line.T, linestyle=dashes, **style)
        if mark.arrow is not None:
            start, tip = mark.arrow.tolist()
            axes.annotate("", tip, start, arrowprops=dict(arrowstyle="-|>", **style))
        if named and on and mark.label:
            _write(axes, mark, {k: v for k, v in style.items() if k != "linewidth"})


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
