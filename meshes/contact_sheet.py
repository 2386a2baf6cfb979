"""Draw every mesh of this folder with its regions coloured.

python meshes/contact_sheet.py [-o meshes/meshes.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

import nepfield as nf
from nepfield.mesh.cells import Floats
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure

FOLDER = Path(__file__).parent
NAMES = (
    "billiard", "stadium", "annulus", "lshape", "chambers", "yjunction",
    "polygon", "disc", "square-quads", "interval",
)  # fmt: skip
WALLS = (GREY, RED, GREEN, ORANGE)
REGIONS = (ORANGE, GREEN, RED, "#6a4fa3")
PALE = "#dbe6f3"


def draw(axes: Axes, name: str) -> None:
    """One mesh: cells, regions that are less than everything, boundaries."""
    domain = nf.read_domain(FOLDER / f"{name}.msh")
    outlines = [_outline(domain.points[cell], domain.kind) for cell in domain.cells]
    axes.add_collection(PolyCollection(outlines, facecolor=PALE, edgecolor=BLUE, linewidth=0.3))
    parts = [n for n, cells in domain.regions.items() if len(cells) < len(domain.cells)]
    whole = [n for n in domain.regions if n not in parts]
    axes.add_collection(PolyCollection([], facecolor=PALE, edgecolor=BLUE, label=", ".join(whole)))
    for color, part in zip(REGIONS, parts, strict=False):
        cells = [outlines[k] for k in domain.regions[part]]
        axes.add_collection(
            PolyCollection(cells, facecolor=color, edgecolor="white", linewidth=0.3, label=part)
        )
    ordered = sorted(domain.boundaries.items(), key=lambda item: -len(item[1]))
    for color, (part, facets) in zip(WALLS, ordered, strict=False):
        lines = [_curve(domain.points[facet]) for facet in facets]
        width = 1.8 if color == GREY else 3.0
        axes.add_collection(LineCollection(lines, color=color, linewidth=width, label=part))
    axes.autoscale()
    axes.margins(0.04)
    axes.set_aspect("equal")
    axes.set_title(f"{name}.msh", fontsize=10)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if domain.dim == 1:
        axes.set_yticks([])
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _curve(nodes: Floats) -> Floats:
    """Points along a facet: straight, or through the midpoint that comes last."""
    if nodes.shape[1] == 1:  # an end of a line
        return np.array([[nodes[0, 0], -0.35], [nodes[0, 0], 0.35]])
    if len(nodes) == 2:
        return nodes
    a, b, middle = nodes
    t = np.linspace(0, 1, 6)[:, None]
    return (1 - t) * (1 - 2 * t) * a + t * (2 * t - 1) * b + 4 * t * (1 - t) * middle


def _outline(nodes: Floats, kind: str) -> Floats:
    """The rim of a cell; of a cell of a line a box."""
    if kind == "line":
        (a,), (b,) = nodes
        return np.array([[a, -0.2], [b, -0.2], [b, 0.2], [a, 0.2]])
    if kind != "triangle6":
        return nodes
    sides = ((0, 1, 3), (1, 2, 4), (2, 0, 5))
    return np.concatenate([_curve(nodes[list(side)])[:-1] for side in sides])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=FOLDER / "meshes.png")
    figure = new_figure(10.0)
    grid = figure.add_gridspec(4, 3, height_ratios=(1, 1, 1, 0.35))
    for k, name in enumerate(NAMES):
        draw(figure.add_subplot(grid[k // 3, k % 3]), name)
    print(save_figure(figure, parser.parse_args().output))


if __name__ == "__main__":
    main()
