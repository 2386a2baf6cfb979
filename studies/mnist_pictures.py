"""The picture of a study of MNIST: what was learnt, and the wave for an image of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation

from nepfield.learning.classes import classes_of
from nepfield.space.space import Space
from nepfield.systems.gpe_fields import per_element
from nepfield.systems.system import solve_steady
from nepfield.view.curves import new_figure, save_figure

MAPS = ("viridis", "RdBu_r", "inferno")
WALLS = 10.0
"""From here on V is a wall between cells, not what was learnt."""
_WIDTH, _HIGH, _BAR = 10.0, 10.0, 0.75  # inches: the most of a figure, and room for colour bars


@dataclass(frozen=True)
class Shown:
    """Values on the sites of a lattice or on the elements or nodes of a mesh, or the weights of
    pumps; what is written over them and beside their colours."""

    values: np.ndarray
    title: str
    label: str
    cmap: str
    norm: Normalize

    @property
    def ink(self) -> str:
        """What stands out from the colours."""
        return "black" if self.cmap == MAPS[1] else "white"


def draw(study: Any, system: Any, path: Path) -> None:
    """V, the weights of the pumps, and the density for a test image of each class."""
    space, panels = system.space, _panels(study, system)
    low, high = space.domain.points.min(axis=0), space.domain.points.max(axis=0)
    around = 0.5 if space.is_graph else 0.01 * (high - low)[0]
    low, high = low - around, high + around
    width, height = high - low
    columns = 1 if width > 4 * height else 3
    rows, gap = -(-len(panels) // columns), 0.1 if columns == 1 else 0.25
    aspect = 0.96 * height / width / columns  # of a row of panels over the width of the figure
    wide = min(_WIDTH, (_HIGH - _BAR - rows * gap) / (rows * aspect))
    figure = new_figure(rows * (wide * aspect + gap) + _BAR + 0.2, wide)
    above, below = figure.subfigures(2, 1, height_ratios=[figure.get_figheight() - _BAR, _BAR])
    axes = above.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    unit = "sites" if space.is_graph else "mesh units"
    for number, (axis, shown) in enumerate(zip(axes.flat, panels, strict=False)):
        if shown.values is system.pumps.weights:
            _pixels(axis, space, study.config.pump, shown)
        else:
            _field(axis, space, shown)
        _readouts(axis, space, study, shown)
        axis.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axis.tick_params(labelsize=7)
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if number + columns >= len(panels):
            axis.set_xlabel(f"x ({unit})", fontsize=8)
        if columns == 1:
            axis.set_yticks([])
            axis.set_ylabel(shown.title, rotation=0, ha="right", va="center")
        else:
            axis.set_title(shown.title, fontsize=9, pad=3)
            axis.set_ylabel(f"y ({unit})" if number % columns == 0 else "", fontsize=8)
    _bars(below, list({shown.label: shown for shown in panels}.values()))
    save_figure(figure, path, colormaps=MAPS)


def _panels(study: Any, system: Any) -> list[Shown]:
    """What is drawn, in this order."""
    inputs, targets = study.task.sets()["test"]
    classes = classes_of(targets)
    assert classes is not None
    first = [int(np.flatnonzero(classes == k)[0]) for k in range(targets.shape[1])]
    steady = solve_steady(system, inputs[first], on_failure="flag", **study.solver)
    space, pumps = system.space, system.pumps
    potential = per_element(space, system.potential.at_points())
    learnt = potential[potential < WALLS]
    panels = [Shown(potential, "V", "potential V", MAPS[0], Normalize(learnt.min(), learnt.max()))]
    if pumps.parameter.is_trained:
        large = float(np.abs(pumps.weights).max())
        signed, label = Normalize(-large, large), "weights w of the pumps"
        panels.append(Shown(pumps.weights, "w", label, MAPS[1], signed))
    density = np.abs(space.at_nodes(steady.state)) ** 2
    # the amplitude: beside a bright wave a weak one would be black
    bright = PowerNorm(0.5, 0.0, float(np.quantile(density, 0.999)))
    label = r"density $|\Psi|^2$ (colours by its root)"
    names = study.config.task.classes or range(targets.shape[1])
    for values, name in zip(density.T, names, strict=True):
        panels.append(Shown(values, str(name), label, MAPS[2], bright))
    return panels


def _bars(figure: Any, panels: list[Shown]) -> None:
    """A colour bar below the figure for each of the panels."""
    for axis, shown in zip(figure.subplots(1, len(panels)), panels, strict=True):
        colors = ScalarMappable(shown.norm, shown.cmap)
        bar = figure.colorbar(colors, cax=axis, orientation="horizontal")
        axis.set_box_aspect(0.035)
        bar.set_label(shown.label, fontsize=8)
        bar.ax.tick_params(labelsize=7)


def _field(axis: Axes, space: Space, shown: Shown) -> None:
    """A field on a lattice, y upwards, or on a mesh of triangles; of nodes or of elements."""
    values, colors = shown.values, {"cmap": shown.cmap, "norm": shown.norm}
    if space.is_graph:
        shape = tuple(np.rint(space.points[:, ::-1].max(axis=0)).astype(int) + 1)
        axis.imshow(values.reshape(shape), origin="lower", interpolation="nearest", **colors)
    elif len(values) == len(space.nodes):
        axis.tripcolor(*finely(space, values, 2), shading="gouraud", **colors)
    else:
        axis.tripcolor(*space.nodes.T, space.elements[:, :3], facecolors=values, **colors)


def finely(space: Space, values: np.ndarray, parts: int = 3) -> tuple[Triangulation, np.ndarray]:
    """Triangles of order 2 as straight ones, an edge in so many parts, and at their corners a field
    that has `values` (nnodes,) at the nodes."""
    steps = np.array([(i, j) for j in range(parts + 1) for i in range(parts + 1 - j)])
    place = {(int(i), int(j)): k for k, (i, j) in enumerate(steps)}
    up = [(place[i, j], place[i + 1, j], place[i, j + 1]) for i, j in place if i + j < parts]
    down = [
        (place[i + 1, j], place[i + 1, j + 1], place[i, j + 1])
        for i, j in place
        if i + j < parts - 1
    ]
    b, c = steps.T / parts
    a = 1 - b - c
    corners, middles = [x * (2 * x - 1) for x in (a, b, c)], [4 * a * b, 4 * b * c, 4 * c * a]
    shapes = np.column_stack([*corners, *middles])  # of the nodes 0, 1, 2, 01, 12, 20
    x, y = (shapes @ space.nodes[space.elements]).reshape(-1, 2).T
    first = len(steps) * np.arange(len(space.elements))[:, None, None]
    triangles = (first + np.array(up + down)).reshape(-1, 3)
    return Triangulation(x, y, triangles), (values[space.elements] @ shapes.T).ravel()


def middles_of_regions(space: Space, names: Sequence[str]) -> np.ndarray:
    """The middle of each region, (nregions, 2)."""
    parts = [space.elements[space.domain.regions[name]] for name in names]
    return np.array([space.nodes[part].mean(axis=(0, 1)) for part in parts])


def _pixels(axis: Axes, space: Space, pumps: list[Any], shown: Shown) -> None:
    """The weights of the pumps: a pixel a site, or a spot of a grid."""
    if space.is_graph:
        _field(axis, space, shown)
        return
    (grid,) = pumps
    rows, columns = grid.grid
    images = shown.values.reshape(len(grid.corners), rows, columns)
    for (x, y), image in zip(grid.corners, images, strict=True):
        reach = x, x + columns * grid.pitch, y, y + rows * grid.pitch
        axis.imshow(image, extent=reach, cmap=shown.cmap, norm=shown.norm, interpolation="nearest")


def _readouts(axis: Axes, space: Space, study: Any, shown: Shown) -> None:
    """Squares round sites that are read, or circles at the middles of regions."""
    if space.is_graph:
        places, mark, size = space.points[study.cost.readout.profiles.indices], "s", 2.0
    else:
        places, mark, size = middles_of_regions(space, study.config.readout.regions), "o", 5.0
    axis.plot(*places.T, mark, mfc="none", mec=shown.ink, ms=size, mew=0.6)
