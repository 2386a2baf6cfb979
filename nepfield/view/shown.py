"""A run's figures in the units that summary.json gives; without units they stay as they are.

fields.vtu and summary.json hold dimensionless numbers. What is drawn goes through `in_units`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyvista

_FIELDS = {"V_re": "energy", "V_im": "energy", "dC_dV": "gradient", "dC_dV_im": "gradient"}


def factor(summary: Mapping[str, Any], kind: str) -> float:
    """What a figure of a run is multiplied by to be shown."""
    return float(summary.get("units", {}).get(kind, {}).get("factor", 1.0))


def unit(summary: Mapping[str, Any], kind: str) -> str:
    """The unit in which figures of a kind are shown; "" where there is none."""
    return str(summary.get("units", {}).get(kind, {}).get("unit", "")).replace("$", "")


def shown(summary: Mapping[str, Any], kind: str, values: Any) -> tuple[Any, str]:
    """Figures of a run as they are shown, and their unit after a space."""
    return np.asarray(values) * factor(summary, kind), f" {unit(summary, kind)}".rstrip()


def with_unit(text: str, summary: Mapping[str, Any], kind: str) -> str:
    """A label and its unit in brackets."""
    name = unit(summary, kind)
    return f"{text} ({name})" if name else text


def in_units(
    study: dict[str, Any], summary: dict[str, Any], grid: pyvista.UnstructuredGrid
) -> tuple[dict[str, Any], dict[str, Any], pyvista.UnstructuredGrid]:
    """Study, summary and fields of a run with places, fields and weights in its units."""
    if not summary.get("units"):
        return study, summary, grid
    study, summary, grid = copy.deepcopy(study), dict(summary), grid.copy()
    length, density = factor(summary, "length"), factor(summary, "density")
    grid.points = np.asarray(grid.points) * length
    for data in (grid.point_data, grid.cell_data):
        for name in list(data):
            if name.startswith("psi_"):
                data[name] = np.asarray(data[name]) * np.sqrt(density)
            elif name.startswith("density_"):
                data[name] = np.asarray(data[name]) * density
            elif name in _FIELDS:
                data[name] = np.asarray(data[name]) * factor(summary, _FIELDS[name])
    for place in (*study.get("pump", []), *study.get("readout", {}).get("disc", [])):
        for key in ("center", "width", "radius"):
            if key in place:
                place[key] = (np.array(place[key]) * length).tolist()
    weights = np.array(summary.get("weights") or [], dtype=float)
    summary["weights"] = (weights * factor(summary, "weight")).tolist()
    return study, summary, grid
