"""Three devices in the billiard whose potential is a given smooth function, on ever finer meshes.

The cavity, the pumps and the readout are those of studies/xor-billiard; inputs are those of XOR.
The potential is the same function on every mesh (it is evaluated at the quadrature points), so all
differences between meshes are errors of the discretisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.fields.transfer import transfer
from nepfield.mesh.geometry import mesh_geometry
from studies.common import Map, Row

BILLIARD = Path(__file__).parents[2] / "meshes" / "billiard.geo"
SIZES = (0.96, 0.68, 0.48, 0.34, 0.24, 0.17, 0.12)
ERRORS = ("outputs", "dC_dw", "dC_dV_cavity", "dC_dV_output", "dC_dV_field")
_MESHES = 4  # rates are slopes over so many of the finest meshes


@dataclass(frozen=True)
class Device:
    """What differs between the devices: gamma, g, pump weights, and a shift of V."""

    loss: float
    g: float
    weights: tuple[float, float]
    shift: float = 0.0


DEVICES = {
    "below": Device(loss=0.02, g=0.005, weights=(3.0, -2.0)),
    "propagating": Device(loss=0.3, g=0.005, weights=(3.0, -2.0), shift=-4.0),
    "nonlinear": Device(loss=0.1, g=1.0, weights=(12.0, -8.0)),
}


def smooth_potential(points: np.ndarray) -> np.ndarray:
    """V(r) from -0.1 to 0.4, without any symmetry of the cavity."""
    x, y = points.T
    return 0.15 + 0.25 * np.sin(0.9 * x + 0.4) * np.cos(1.1 * y - 0.3)


def billiard(size: float, meshes: Path) -> nf.Domain:
    """The cavity of the demo with cells of this size, in the output disc a third of it."""
    parameters = {"size": size, "size_output": size / 3}
    return nf.read_domain(mesh_geometry(BILLIARD, parameters, meshes))


def place(device: Device, space: nf.Space) -> nf.GPE:
    """The device on a space; dC/dV is taken cell by cell around the given potential."""
    centers = ([1.8, 2.4], [6.2, 2.2])
    pumps = [nf.gaussian_pump(c, 0.6, w) for c, w in zip(centers, device.weights, strict=True)]
    background = smooth_potential(space.points) + device.shift
    return nf.GPE(space, 0.0, pumps, nf.Density(device.g), device.loss, background)


def measure(
    job: tuple[str, int, float], fields_on: float, meshes: Path
) -> tuple[Row, dict[str, np.ndarray]]:
    """One device on one mesh: a row of its size, and all that is compared.

    Fields are projected onto the mesh of size `fields_on`.
    """
    name, order, size = job
    space = nf.finite_elements(billiard(size, meshes), order, dirichlet=["wall"])
    system = place(DEVICES[name], space)
    cost, task = nf.MSE(nf.readout(space, regions=["output"])), nf.xor()
    found = nf.gradient(system, cost, task.inputs, task.targets, rule="adjoint", tolerance=1e-9)
    slope = found.params["potential"]
    common = nf.finite_elements(billiard(fields_on, meshes), 1, dirichlet=["wall"])
    field = nf.potential(space, found.fields["potential"])
    there, _ = transfer(space, field, "cells", common, "cells")
    row = {"device": name, "order": order, "size": size}
    row |= {"cells": len(space.elements), "unknowns": space.ndof}
    quantities = {
        "outputs": cost.readout.outputs(found.steady.state).ravel(),
        "dC_dw": found.params["weights"],
        "dC_dV_cavity": slope.sum(keepdims=True),
        "dC_dV_output": slope[space.domain.regions["output"]].sum(keepdims=True),
        "dC_dV_field": there * np.sqrt(nf.potential(common).measure),
    }
    return row, quantities


def compare_devices(sizes: Sequence[float], finest: float, meshes: Path, run: Map) -> pd.DataFrame:
    """A row for each device, order and size: errors relative to order 2 on the finest mesh.

    The error of the outputs is the largest of the four over the largest output; all others are
    relative Euclidean (of the field: L2) distances.
    """
    fields_on = 2 * finest
    for size in {*sizes, finest, fields_on}:
        billiard(size, meshes)
    jobs = [(name, 2, finest) for name in DEVICES]
    jobs += [(name, order, size) for name in DEVICES for order in (1, 2) for size in sizes]
    done = run(partial(measure, fields_on=fields_on, meshes=meshes), jobs)
    exact = {row["device"]: found for row, found in done[: len(DEVICES)]}
    rows = []
    for row, found in done[len(DEVICES) :]:
        best = exact[row["device"]]
        norms: dict[str, Any] = dict.fromkeys(ERRORS, 2) | {"outputs": np.inf}
        errors = {
            name: np.linalg.norm(found[name] - best[name], norm) / np.linalg.norm(best[name], norm)
            for name, norm in norms.items()
        }
        values = {f"output_{k}": value for k, value in enumerate(found["outputs"])}
        rows.append(row | values | errors)
    return pd.DataFrame(rows)


def rates(table: pd.DataFrame) -> pd.DataFrame:
    """Exponents p of error ~ size^p over the finest meshes, for each device and order.

    Of the field they are taken over the coarsest: it is compared by its means over the cells of
    size 0.12, which are no longer small against the cells of the finer ones.
    """
    rows = []
    for (name, order), part in table.groupby(["device", "order"], sort=False):
        part = part.sort_values("size")
        row: Row = {"device": name, "order": order}
        for error in ERRORS:
            used = part.tail(_MESHES) if error == "dC_dV_field" else part.head(_MESHES)
            row[error] = np.polyfit(np.log(used["size"]), np.log(used[error]), 1)[0]
        rows.append(row)
    return pd.DataFrame(rows)
