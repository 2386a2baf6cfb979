"""What the size of the cells does, its tables and picture: `python -m studies mesh-convergence`.

devices.py     three devices that are not trained, against the finest mesh
scales.py      one length at a time, in one dimension, against an exact or very fine solution
training.py    training on coarse meshes (sweep.toml), and what it is worth on a fine one
panels.py      the picture
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from studies.common import Job, fill_readme, markdown, write_csv

from . import devices, scales, training
from .panels import draw

FINEST = 0.06  # of the devices, order 2
FINEST_TRAINED = 0.12  # on which trained devices are evaluated, order 2


def make(job: Job) -> dict[str, pd.DataFrame]:
    """The tables by their names."""
    sizes, finest, counts = devices.SIZES, FINEST, scales.CELLS
    finest_trained = FINEST_TRAINED
    if job.quick:
        sizes, finest, counts = (0.96, 0.68), 0.48, (0.5, 1, 2, 4)
        finest_trained = 0.48
    one = scales.scale_errors(counts)
    with tempfile.TemporaryDirectory() as meshes:
        fixed = devices.compare_devices(sizes, finest, Path(meshes), job.map)
    swept = job.sweep(trial=lambda case: case.values["domain.parameters.size"] in sizes)
    trained = training.transferred(swept, finest_trained)
    tables = {
        "scales": one,
        "devices": fixed,
        "trained": trained,
        "needed": scales.cells_needed(one),
        "rates": devices.rates(fixed),
    }
    for name, table in tables.items():
        write_csv(table, job.out / f"{name}.csv")
    draw(job.out / "convergence.png", fixed, one, trained)
    # from the files, so that a figure that is rounded twice is rounded alike
    saved = {name: pd.read_csv(job.out / f"{name}.csv") for name in tables}
    fill_readme(job.out, **shown(saved))
    return tables


def shown(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """The tables of the README."""
    needed = tables["needed"].pivot(index="length", columns="order", values="cells")
    needed = needed.loc[list(scales.PROBLEMS)].map("{:.2g}".format)
    needed.columns = [f"order {order}" for order in needed.columns]
    rates = tables["rates"].copy()
    rates[list(devices.ERRORS)] = rates[list(devices.ERRORS)].map("{:.1f}".format)
    rates.columns = ["device", "order", "outputs", "dC/dw", "∫ dC/dV", "∫ over output", "field"]
    errors = tables["devices"].pivot_table(
        index=["device", "order"], columns="size", values="outputs", sort=False
    )
    errors = errors[sorted(errors.columns, reverse=True)].map("{:.1g}".format).reset_index()
    trained = tables["trained"]
    yes_no = {True: "yes", False: "no"}
    rows = []
    for _, row in trained.iterrows():
        outputs = ", ".join(f"{row[f'fine_output_{k}']:.2f}" for k in range(4))
        rows.append(
            {
                "device": row["device"],
                "V by": row["basis"],
                "order": row["order"],
                "size": f"{row['size']:g}",
                "cells": row["cells"],
                "cost": f"{row['cost']:.4f} / {row['fine_cost']:.4f}",
                "outputs on the finest": outputs,
                "outputs move by": f"{row['moved']:.1g}",
                "solved": f"{yes_no[row['solved']]} / {yes_no[row['fine_solved']]}",
            }
        )
    return {
        "needed": markdown(needed.reset_index()),
        "rates": markdown(rates),
        "errors": markdown(errors),
        "trained": markdown(pd.DataFrame(rows)),
    }
