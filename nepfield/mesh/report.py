"""What a domain holds, in numbers and in words: sizes, qualities and the summary of `check`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nepfield.mesh import cells as cell_geometry
from nepfield.mesh.cells import Floats
from nepfield.mesh.domain import Domain


def cell_measures(domain: Domain) -> Floats:
    """Length or area of each cell, (ncells,); of a graph the distance of each edge's ends."""
    return cell_geometry.measures(domain.points, domain.cells, domain.kind)


def cell_quality(domain: Domain) -> Floats:
    """Shape of each cell, (ncells,), from 0 (degenerate) to 1 (best); see `cells.qualities`."""
    return cell_geometry.qualities(domain.points, domain.cells, domain.kind)


@dataclass(frozen=True)
class DomainSummary:
    """What `describe` found; ``str()`` gives it as lines of text.

    ``regions``: cells (graph: points) and measure of each; ``boundaries``: facets of each;
    ``cell_size``: smallest and median longest edge; ``edge_data``, ``vertex_data``: smallest and
    largest value of each; ``periodic``: a line on each pair of boundaries that are one. Facets of
    these count as named.
    """

    source: str
    kind: str
    dim: int
    npoints: int
    ncells: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    measure: float
    regions: dict[str, tuple[int, float]]
    boundaries: dict[str, int]
    outer_facets: int
    unnamed_facets: int
    cell_size: tuple[float, float]
    worst_quality: float
    pieces: int
    edge_data: dict[str, tuple[float, float]] = field(default_factory=dict)
    vertex_data: dict[str, tuple[float, float]] = field(default_factory=dict)
    periodic: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = str(self).splitlines()
        if len(lines) > 6:
            lines = [*lines[:5], f"  ... and {len(lines) - 5} more lines: print() shows them"]
        return "\n".join(lines)

    def __str__(self) -> str:
        what = "edges" if self.kind == "graph" else f"{self.kind} cells"
        box = " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(self.lower, self.upper, strict=True))
        lines = [
            f"{self.source}: {self.dim}-D, {self.ncells} {what}, {self.npoints} points",
            f"  box {box}, {'length' if self.dim == 1 else 'area'} {self.measure:.6g}",
            f"  cell size min {self.cell_size[0]:.4g}, median {self.cell_size[1]:.4g}; "
            f"worst quality {self.worst_quality:.3f} (1 is best)",
        ]
        if self.kind == "graph":
            lines = [lines[0], f"  box {box}"]
        unit = "points" if self.kind == "graph" else "cells"
        for name, (count, size) in self.regions.items():
            lines.append(f"  region {name!r}: {count} {unit}, measure {size:.6g}")
        for name, count in self.boundaries.items():
            facets = "missing neighbours" if self.kind == "graph" else "facets"
            lines.append(f"  boundary {name!r}: {count} {facets}")
        lines += [f"  periodic: {text}" for text in self.periodic]
        for what, data in (("edge", self.edge_data), ("vertex", self.vertex_data)):
            for name, (low, high) in data.items():
                lines.append(f"  {what} data {name!r}: {low:.6g} to {high:.6g}")
        if self.unnamed_facets:
            lines.append(
                f"  {self.unnamed_facets} of {self.outer_facets} outer facets have no name"
            )
        if self.pieces > 1:
            lines.append(f"  {self.pieces} pieces that share no facet")
        return "\n".join(lines)


def describe(domain: Domain) -> DomainSummary:
    """Counts, box, regions, boundaries, sizes and quality of a domain."""
    sizes = cell_measures(domain)
    graph = domain.kind == "graph"
    weights = np.ones(len(domain.points)) if graph else sizes
    edges = (
        sizes
        if graph or domain.kind == "line"
        else cell_geometry.longest_edges(domain.points, domain.cells, domain.kind)
    )
    outer = domain.outer_facets()
    closed = [rows for seam in domain.seams for rows in (seam.near, seam.far)]
    named = np.concatenate([*domain.boundaries.values(), *closed, outer[:0]])
    unnamed = 0
    if not graph:
        groups = cell_geometry.side_groups(np.concatenate([outer, named]), len(domain.points))
        unnamed = int((~np.isin(groups[: len(outer)], groups[len(outer) :])).sum())
    return DomainSummary(
        source=domain.source,
        kind=domain.kind,
        dim=domain.dim,
        npoints=len(domain.points),
        ncells=len(domain.cells),
        lower=tuple(_snapped(domain.points.min(axis=0), domain)),
        upper=tuple(_snapped(domain.points.max(axis=0), domain)),
        measure=float(weights.sum()),
        regions={k: (len(v), float(weights[v].sum())) for k, v in domain.regions.items()},
        boundaries={k: len(v) for k, v in domain.boundaries.items()},
        outer_facets=len(outer),
        unnamed_facets=unnamed,
        cell_size=(float(edges.min()), float(np.median(edges))) if len(edges) else (0.0, 0.0),
        worst_quality=float(cell_quality(domain).min(initial=1.0)),
        pieces=cell_geometry.count_pieces(domain.cells, domain.kind, len(domain.points)),
        edge_data=_ranges(domain.edge_data),
        vertex_data=_ranges(domain.vertex_data),
        periodic=tuple(map(str, domain.seams)),
    )


def _ranges(data: dict[str, Floats]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each array that has any."""
    return {k: (float(v.min()), float(v.max())) for k, v in data.items() if len(v)}


def _snapped(corner: Floats, domain: Domain) -> list[float]:
    """Coordinates of a corner of the box; what is zero but for rounding is zero."""
    size = np.ptp(domain.points, axis=0).max()
    return np.where(np.abs(corner) < 1e-12 * size, 0.0, corner).tolist()
