"""Run folders of version 0.1, whose summary does not say what is in them: a wave's is said here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nepfield.fields.names import intensity_names, readout_marks
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.readouts import Intensities
from nepfield.learning.columns import describe_columns
from nepfield.systems.gpe_fields import gradient_fields, potential_fields, sample_fields

_LABELS = {"potential": "potential V", "weights": "pump weights w"}


def describe(
    study: Mapping[str, Any], arrays: Mapping[str, np.ndarray], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What the summary of today says beside that of a run of version 0.1.

    Parameters
    ----------
    study : dict
        The content of study.toml, in which every default is filled in. It is not checked: its mesh
        need not be there any more.
    arrays : dict of ndarray
        Of fields.vtu, or of a frame.
    summary : dict
        As it is, perhaps empty.
    """
    said = {
        "fields": [field.description for field in _fields(arrays)],
        "marks": [mark.description for mark in (*_pumps(study, summary), *_readouts(study))],
        "columns": describe_columns(
            _LABELS,
            {"nonlinearity_ratio": r"mean $|f(n)-f(0)|/\gamma$"},
            {"accuracy": "accuracy"},
            rule=study.get("training", {}).get("rule", ""),
            units=bool(summary.get("units")),
        ),
        "readout": {
            "label": Intensities.label, "unit": Intensities.unit, "target_unit": "target",
            "names": list(_names(study)),
        },
        "lengths": "sites" if "lattice" in study.get("domain", {}) else "mesh units",
    }  # fmt: skip
    if not summary:
        said |= {"name": study.get("name", ""), "inputs": study.get("task", {}).get("inputs", [])}
    return said


def _fields(arrays: Mapping[str, np.ndarray]) -> list[Field]:
    """All that a wave shows, as far as the arrays are there."""
    fields: list[Field] = []
    sample = 0
    while f"density_{sample}" in arrays:
        fields += sample_fields(sample, np.zeros(0, complex))
        sample += 1
    if "V_re" in arrays:
        values = np.asarray(arrays["V_re"])
        if "V_im" in arrays:
            values = values + 1j * np.asarray(arrays["V_im"])
        fields += potential_fields(values)
    if "dC_dV" in arrays:
        fields += gradient_fields(np.zeros(0, complex if "dC_dV_im" in arrays else float))
    return fields


def _pumps(study: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Mark]:
    """The pumps of a study with their trained weights."""
    weights = summary.get("weights") or []
    marks = []
    for number, pump in enumerate(study.get("pump", [])):
        if "center" in pump:
            circle = {"center": pump["center"], "radius": pump.get("width", 0.0)}
            shape: dict[str, Any] = {"circle": circle}
            if any(pump.get("wavevector", [])):
                shape["arrow"] = pump["wavevector"]
        elif "region" in pump:
            shape = {"cells": f"region:{pump['region']}"}
        else:
            shape = {"cells": [_site(study, pump.get("site", 0))]}
        value = weights[number] if number < len(weights) else pump.get("weight", 1.0)
        value = None if isinstance(value, str | dict) else value  # drawn, or of another run
        drives = int(pump.get("input", number))
        marks.append(Mark("pump", "w", shape, drives, dashed=True, value=value, unit="weight"))
    return marks


def _names(study: Mapping[str, Any]) -> tuple[str, ...]:
    """What the outputs are called."""
    readout = study.get("readout", {})
    discs = len(readout.get("disc", []))
    return intensity_names(readout.get("regions", []), readout.get("sites", []), discs)


def _readouts(study: Mapping[str, Any]) -> list[Mark]:
    """Regions, sites and discs that are read, in the order of the outputs."""
    readout = study.get("readout", {})
    shapes: list[dict[str, Any]] = []
    shapes += [{"cells": f"readout:{k}"} for k in range(len(readout.get("regions", [])))]
    shapes += [{"cells": [_site(study, site)]} for site in readout.get("sites", [])]
    shapes += [
        {"circle": {"center": disc["center"], "radius": disc["radius"]}}
        for disc in readout.get("disc", [])
    ]
    return readout_marks(_names(study), shapes)


def _site(study: Mapping[str, Any], site: Any) -> int:
    """Index of a site that a study names by number or by (iy, ix)."""
    if isinstance(site, int):
        return site
    across = study.get("domain", {}).get("lattice", [1])[-1]
    return int(site[0]) * int(across) + int(site[1]) if len(site) > 1 else int(site[0])
