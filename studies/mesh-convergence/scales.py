"""How many cells each length of a wave needs: one length at a time, on equal cells of a line.

    wavelength       a pump sends a wave through a box of four wavelengths at V < 0; it decays to
                     1/e over four wavelengths
    pump width       a Gaussian pump below the band, where the wave decays over twice its width
    healing length   a wall digs a hole tanh(x / (sqrt(2) xi)) into an even density, an exact driven
                     state

The error is the L2 norm of the error of the density, relative to that of the density itself; for
the healing length, to that of the hole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

import nepfield as nf
from nepfield.space.arrays import squared_magnitude as density

WANTED = 0.02
"""The error at which a length counts as resolved."""

CELLS = (0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32)
_EXACT = 100.0  # cells a length, order 2, where there is no formula

Problem = Callable[[float, int], tuple[nf.Space, np.ndarray]]


def line(length: float, cells_a_unit: float) -> nf.Domain:
    """Equal cells from 0; boundaries left and right."""
    n = max(4, round(length * cells_a_unit))
    nodes = np.arange(n)
    ends = {"left": np.array([[0]]), "right": np.array([[n]])}
    points = np.linspace(0, length, n + 1)[:, None]
    return nf.Domain(points, np.column_stack([nodes, nodes + 1]), "line", {"all": nodes}, ends)


def _linear(space: nf.Space, v: float, loss: float, center: float, width: float) -> np.ndarray:
    system = nf.GPE(space, v, [nf.gaussian_pump([center], width)], None, loss)
    return nf.solve_steady(system, np.ones((1, 1)), tolerance=1e-9).state


def wavelength(cells: float, order: int) -> tuple[nf.Space, np.ndarray]:
    """A wave of length 1, that is V = -(2 pi)^2 / 2; the pump stands 0.61 from the left wall."""
    space = nf.finite_elements(line(4.28, cells), order)
    k = 2 * np.pi
    return space, _linear(space, -(k**2) / 2, k / 4, 0.61, 0.3)


def pump_width(cells: float, order: int) -> tuple[nf.Space, np.ndarray]:
    """A pump of width 1 at V = 1/8: the wave decays as exp(-|x| / 2)."""
    space = nf.finite_elements(line(14.3, cells), order)
    return space, _linear(space, 1 / 8, 0.02, 6.87, 1.0)


def healing_length(cells: float, order: int) -> tuple[nf.Space, np.ndarray]:
    """xi = 1, that is g n = 1/2 far from the wall; driven by P = gamma Psi."""
    space = nf.finite_elements(line(15.0, cells), order, dirichlet=["left"])
    loss = 0.05
    pump = nf.field_pump(lambda points: loss * _hole(points[:, 0]))
    system = nf.GPE(space, -0.5, [pump], nf.Density(0.5), loss)
    start = _hole(space.nodes[space.dof < space.ndof, 0]).astype(complex)[:, None]
    return space, nf.solve_steady(system, np.ones((1, 1)), initial=start, tolerance=1e-9).state


def _hole(x: np.ndarray) -> np.ndarray:
    return np.tanh(x / np.sqrt(2))


PROBLEMS: dict[str, Problem] = {
    "wavelength": wavelength,
    "pump width": pump_width,
    "healing length": healing_length,
}


def _density_of(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """The exact density, or that on very many cells."""
    if problem is healing_length:
        return lambda x: _hole(x) ** 2
    space, state = problem(_EXACT, 2)
    order = np.argsort(space.nodes[:, 0])
    spline = CubicSpline(space.nodes[order, 0], space.at_nodes(state)[order, 0])
    return lambda x: density(spline(x))


def scale_errors(cells: Sequence[float] = CELLS) -> pd.DataFrame:
    """A row for each length, order and number of cells a length: the error of the density."""
    rows = []
    for name, problem in PROBLEMS.items():
        exact = _density_of(problem)
        for order in (1, 2):
            for count in cells:
                space, state = problem(count, order)
                right = exact(space.points[:, 0])
                wrong = density(space.evaluate(state)[:, 0]) - right
                whole = 1 - right if problem is healing_length else right
                error = np.sqrt((space.w @ wrong**2) / (space.w @ whole**2))
                rows.append({"length": name, "order": order, "cells": count, "error": error})
    return pd.DataFrame(rows)


def cells_needed(table: pd.DataFrame, wanted: float = WANTED) -> pd.DataFrame:
    """For each length and order the cells from which on the error stays below `wanted`."""
    rows = []
    for (name, order), part in table.groupby(["length", "order"], sort=False):
        cells, errors = part["cells"].to_numpy(), part["error"].to_numpy()
        last = np.flatnonzero(errors > wanted)
        if not len(last):
            count = cells[0]
        elif last[-1] == len(cells) - 1:
            count = np.nan
        else:  # on a straight line between two points of a plot with logarithmic axes
            pair = slice(last[-1], last[-1] + 2)
            slope = np.diff(np.log(errors[pair]))[0] / np.diff(np.log(cells[pair]))[0]
            count = cells[last[-1]] * (wanted / errors[last[-1]]) ** (1 / slope)
        rows.append({"length": name, "order": order, "cells": count})
    return pd.DataFrame(rows)
