"""Run folders of version 0.1, whose summary does not say what is in them: a wave's is said here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nepfield.fields.pictures import Mark
from nepfield.learning.columns import describe_columns
from nepfield.systems.gpe_fields import gradient_fields, potential_fields, sample_fields

_LABELS = {"potential": "potential V", "weights": "pump weights w"}


def describe(
    config: Any, arrays: Mapping[str, np.ndarray], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What the summary of today says beside that of a run of version 0.1.

    Parameters
    ----------
    config : GPEStudy
        Of the run folder.
    arrays : dict of ndarray
        Of fields.vtu, or of a frame.
    summary : dict
        As it is, perhaps empty.
    """
    units = bool(summary.get("units"))
    said = {
        "fields": [field.description for field in _fields(arrays)],
        "marks": [mark.description for mark in (*_pumps(config, summary), *_readouts(config))],
        "columns": describe_columns(
            _LABELS,
            {"nonlinearity_ratio": r"mean $g\,n/\gamma$"},
            {"accuracy": "accuracy"},
            rule=config.training.rule,
            units=units,
        ),
        "readout": {
            "label": r"mean $|\Psi|^2$ over the readout",
            "unit": "density",
            "target_unit": "target",
        },
        "lengths": "sites" if getattr(config.domain, "lattice", None) else "mesh units",
    }
    if not summary:
        inputs = getattr(config.task, "inputs", None)
        said |= {"name": config.name, "inputs": [] if inputs is None else inputs}
    return said


def _fields(arrays: Mapping[str, np.ndarray]) -> list[Any]:
    """All that a wave shows, as far as the arrays are there."""
    fields = []
    sample = 0
    while f"density_{sample}" in arrays:
        fields += sample_fields(sample, np.zeros(0, complex))
        sample += 1
    if "V_re" in arrays:
        values = np.asarray(arrays["V_re"], dtype=complex if "V_im" in arrays else float)
        if "V_im" in arrays:
            values = values + 1j * np.asarray(arrays["V_im"])
        fields += potential_fields(values)
    if "dC_dV" in arrays:
        fields += gradient_fields(np.zeros(0, complex if "dC_dV_im" in arrays else float))
    return [field for field in fields if field.name != "V_im" or "V_im" in arrays]


def _pumps(config: Any, summary: Mapping[str, Any]) -> list[Mark]:
    """The pumps of a study with their trained weights."""
    weights = summary.get("weights") or []
    marks = []
    for number, pump in enumerate(config.pump):
        center, region = getattr(pump, "center", None), getattr(pump, "region", None)
        site, given = getattr(pump, "site", None), getattr(pump, "input", None)
        if center is not None:
            shape: dict[str, Any] = {"circle": {"center": list(center), "radius": pump.width}}
            if getattr(pump, "wavevector", None) is not None:
                shape["arrow"] = list(pump.wavevector)
        elif region is not None:
            shape = {"cells": f"region:{region}"}
        else:
            shape = {"cells": [_site(config, site)]}
        value = weights[number] if number < len(weights) else None
        if value is None and isinstance(pump.weight, int | float | complex):
            value = pump.weight
        drives = number if given is None else given
        marks.append(Mark("pump", "w", shape, drives, dashed=True, value=value, unit="weight"))
    return marks


def _readouts(config: Any) -> list[Mark]:
    """Regions, sites and discs that are read, in the order of the outputs."""
    shapes: list[dict[str, Any]] = []
    shapes += [{"cells": f"readout:{k}"} for k in range(len(config.readout.regions))]
    shapes += [{"cells": [_site(config, site)]} for site in config.readout.sites]
    shapes += [
        {"circle": {"center": list(disc.center), "radius": disc.radius}}
        for disc in config.readout.disc
    ]
    names = ["readout"] if len(shapes) == 1 else [f"Y{k}" for k in range(len(shapes))]
    return [Mark("readout", name, shape) for name, shape in zip(names, shapes, strict=True)]


def _site(config: Any, site: Any) -> int:
    """Index of a site that a study names by number or by (iy, ix)."""
    if isinstance(site, int):
        return site
    shape = getattr(config.domain, "lattice", None) or (1, 1)
    return int(site[0]) * int(shape[-1]) + int(site[1]) if len(site) > 1 else int(site[0])
