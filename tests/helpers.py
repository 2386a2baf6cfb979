"""Small domains and manufactured problems shared by the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skfem

import nepfield as nf
from nepfield.fields.pumps import PumpArray
from nepfield.mesh import cells as geometry
from nepfield.mesh.domain import check_domain
from nepfield.view.opengl import opengl_problem

MESHES = Path(__file__).parents[1] / "meshes"

PROBLEM = opengl_problem()
needs_opengl = pytest.mark.skipif(PROBLEM is not None, reason=f"{PROBLEM}")
"""Planar pictures are rendered; where nothing can render there is no picture to look at."""


def interval(ncells: int, left: float = 0.0, right: float = 1.0) -> nf.Domain:
    """Equal cells; regions `first` (half of them) and `all`, boundaries `left` and `right`."""
    nodes = np.arange(ncells)
    return nf.Domain(
        np.linspace(left, right, ncells + 1)[:, None],
        np.column_stack([nodes, nodes + 1]),
        "line",
        {"all": nodes, "first": nodes[: ncells // 2]},
        {"left": np.array([[0]]), "right": np.array([[ncells]])},
        source="interval",
    )


def uneven_interval(ncells: int, length: float) -> nf.Domain:
    """Cells that differ in size, to show that nothing counts on equal ones."""
    even = interval(ncells)
    points = length * (even.points + 0.1 * np.sin(2 * np.pi * even.points))
    return nf.Domain(points, even.cells, "line", even.regions, even.boundaries, source="uneven")


def of_skfem(mesh: skfem.Mesh, kind: str) -> nf.Domain:
    """A mesh of scikit-fem with its whole boundary named `wall`, all its cells `all`."""
    points, cells = np.ascontiguousarray(mesh.p.T), np.ascontiguousarray(mesh.t.T)
    clockwise = geometry.determinants(points, cells, kind).mean(axis=1) < 0
    domain = nf.Domain(
        points,
        np.where(clockwise[:, None], cells[:, geometry.MIRROR[kind]], cells),
        kind,
        {"all": np.arange(len(cells))},
        {"wall": mesh.facets[:, mesh.boundary_facets()].T},
        source=f"{kind} test mesh",
    )
    check_domain(domain)
    return domain


def square(n: int, side: float = 1.0, corner: float = 0.0, kind: str = "triangle") -> nf.Domain:
    """A square of n x n cells (pairs of triangles or quads)."""
    mesh = skfem.MeshTri if kind == "triangle" else skfem.MeshQuad
    ticks = np.linspace(corner, corner + side, n + 1)
    return of_skfem(mesh.init_tensor(ticks, ticks), kind)


def skewed_quads(n: int) -> nf.Domain:
    """The unit square cut into quadrilaterals that are no parallelograms."""
    domain = square(n, kind="quad")
    x, y = domain.points.T
    bump = 0.06 * np.sin(np.pi * x) * np.sin(np.pi * y)
    points = np.column_stack([x + bump, y - 0.5 * bump])
    return nf.Domain(points, domain.cells, "quad", domain.regions, domain.boundaries, source="skew")


def at_nodes(space: nf.Space, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Nodal interpolant of a function of points as a state, shape (ndof, 1)."""
    free = space.dof < space.ndof
    return np.asarray(function(space.nodes[free]), dtype=complex)[:, None]


def l2_error(
    space: nf.Space, state: np.ndarray, exact: Callable[[np.ndarray], np.ndarray]
) -> float:
    """L2 norm of the difference of a state (ndof, 1) and a function of points."""
    difference = space.evaluate(state)[:, 0] - exact(space.points)
    return float(np.sqrt(np.sum(space.w * np.abs(difference) ** 2)))


def l2_norm(space: nf.Space, state: np.ndarray) -> np.ndarray:
    """L2 norm of each sample of a state."""
    return np.sqrt(np.sum(space.w[:, None] * np.abs(space.evaluate(state)) ** 2, axis=0))


def observed_rates(sizes: list[float], errors: list[float]) -> np.ndarray:
    """Exponents p of error ~ size^p between successive meshes."""
    return np.diff(np.log(errors)) / np.diff(np.log(sizes))


def uniform_pump(weight: complex = 1.0) -> nf.Pump:
    """A homogeneous drive."""
    return nf.field_pump(lambda points: np.ones(len(points)), weight)


def values_of(system: nf.System) -> dict[str, np.ndarray]:
    """The values of the parameters that are trained."""
    return {name: parameter.values for name, parameter in nf.trained(system).items()}


def per_sample(cost: nf.Cost, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Cost of each sample in a state, targets of shape (nsamples, noutputs)."""
    return cost.value(cost.readout.signals(state), np.asarray(targets).T)


def cost_slope(cost: nf.Cost, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """dC/dPsibar of each sample in a state, in weak form."""
    signals = cost.readout.signals(state)
    return cost.readout.pull_back(state, cost.slope(signals, np.asarray(targets).T))


def with_parameter(held: nf.Potential | PumpArray, **changes: object) -> nf.Potential | PumpArray:
    """A potential or pumps whose parameter is changed."""
    return replace(held, parameter=replace(held.parameter, **changes))
