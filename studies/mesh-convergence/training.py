"""XOR trained on coarse and fine meshes of the billiard (sweep.toml), each result on one fine mesh.

What was trained is handed on by `potential.initial` and `pump.weight` = run folder.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from nepfield.learning.evaluation import evaluate
from nepfield.study.run.build import build
from nepfield.study.sweeps.design import Case
from studies.common import Row, Swept


def transferred(swept: Swept, finest: float) -> pd.DataFrame:
    """One row a training: the figures there, and those of the same device on the finest mesh."""
    return pd.DataFrame([_transfer(swept, case, finest) for case in swept.sweep.cases])


def _transfer(swept: Swept, case: Case, finest: float) -> Row:
    run = swept.folder(case)
    summary = json.loads((run / "summary.json").read_text())
    fine = {
        "domain.order": 2,
        "domain.parameters.size": finest,
        "domain.parameters.size_output": finest / 3,
        "potential.initial": str(run),
        "pump.0.weight": str(run),
        "pump.1.weight": str(run),
    }
    config = swept.sweep.config(replace(case, values=case.values | fine))
    study = build(config, swept.out / "meshes")
    there = evaluate(
        study.system, study.cost, study.task.inputs, study.task.targets, **study.solver
    )
    device, basis, order = case.label.split(", ")
    row: Row = {"device": device, "basis": basis, "order": int(order)}
    row |= {"size": case.values["domain.parameters.size"]}
    row |= {"cells": summary["cells"], "values": len(study.system.potential.values)}
    limits = swept.sweep.success
    for label, cost, outputs in (
        ("", summary["cost"], np.array(summary["outputs"])),
        ("fine_", there.cost, there.outputs),
    ):
        figures = {
            "cost": float(cost),
            "largest_error": float(np.abs(outputs - study.task.targets).max()),
        }
        row |= {f"{label}{name}": value for name, value in figures.items()}
        row |= {f"{label}output_{k}": value for k, value in enumerate(np.ravel(outputs))}
        row[f"{label}solved"] = all(limit.met(figures[limit.name]) for limit in limits)
    row["moved"] = float(np.abs(there.outputs - np.array(summary["outputs"])).max())
    return row
