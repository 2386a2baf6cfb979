"""Measure what the size of the cells does; rewrites the CSV files, the picture and the README.

    python -m studies.mesh_convergence [--workers 2] [--out DIR] [--quick]

``--quick`` is a trial run: coarse meshes and two epochs, into a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import pandas as pd

from studies.lattices.tables import fill_readme, markdown, write_csv
from studies.lattices.train import STUDIES, process_pool
from studies.mesh_convergence import devices, scales, training
from studies.mesh_convergence.figure import draw

FINEST = 0.06  # of the devices, order 2
FINEST_TRAINED = 0.12  # on which trained devices are evaluated, order 2


def main(arguments: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """Entry point; the tables by their names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=STUDIES / "mesh-convergence")
    parser.add_argument("--quick", action="store_true", help="trial run into a temporary folder")
    given = parser.parse_args(arguments)
    sizes, finest, counts = devices.SIZES, FINEST, scales.CELLS
    trained_sizes, finest_trained, epochs = training.SIZES, FINEST_TRAINED, None
    if given.quick:
        sizes, finest, counts = (0.96, 0.68), 0.48, (0.5, 1, 2, 4)
        trained_sizes, finest_trained, epochs = (0.96, 0.68), 0.48, 2
    with (
        tempfile.TemporaryDirectory() as scratch,
        process_pool(given.workers) as run,
    ):
        out = Path(scratch) / "out" if given.quick else given.out
        started = time.monotonic()
        one = scales.scale_errors(counts)
        meshes = Path(scratch) / "meshes"
        meshes.mkdir()
        fixed = devices.compare_devices(sizes, finest, meshes, run)
        print(f"devices: {len(fixed)} rows, {time.monotonic() - started:.0f} s", flush=True)
        jobs = [
            training.Training(device, basis, order, size, finest_trained, meshes, epochs)
            for device, basis, order in training.CASES
            for size in trained_sizes
        ]
        devices.billiard(finest_trained, meshes)
        trained = pd.DataFrame(run(training.train_and_transfer, jobs))
        print(f"trained: {len(trained)} rows, {time.monotonic() - started:.0f} s", flush=True)
        tables = {
            "scales": one,
            "devices": fixed,
            "trained": trained,
            "needed": scales.cells_needed(one),
            "rates": devices.rates(fixed),
        }
        for name, table in tables.items():
            write_csv(table, out / f"{name}.csv")
        draw(out / "convergence.png", fixed, one, trained)
        # from the files, so that a figure that is rounded twice is rounded alike
        saved = {name: pd.read_csv(out / f"{name}.csv") for name in tables}
        fill_readme(out, **shown(saved))
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


if __name__ == "__main__":
    main()
