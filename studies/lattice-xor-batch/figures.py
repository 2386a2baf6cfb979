"""Tables and picture of the study: `python -m studies lattice-xor-batch`."""

from __future__ import annotations

import pandas as pd

from nepfield.view.curves import new_figure, save_figure
from studies.common import Job, fill_readme, write_csv
from studies.xor_lattices import (
    draw_success,
    lattice_table,
    statistics,
    statistics_text,
    without_keys,
)

STEPS = {1: "sample", 2: "pair", 4: "epoch"}


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    table = lattice_table(job.sweep(), "training.batch")
    summed = table["case"] == "summed"
    steps = table["training.batch"].map(lambda batch: STEPS[batch])
    table["case"] = table["case"].mask(summed, "sgd-band") + ", " + steps
    table.loc[summed, "case"] += ", summed"
    table = without_keys(table)
    write_csv(table, job.out / "results.csv")
    write_csv(statistics(table), job.out / "statistics.csv", 4)
    figure = new_figure(3.8)
    axes = figure.subplots(1, 2)
    draw_success(axes[0], table)
    draw_success(axes[1], table.assign(solved=table["reached"]))
    axes[1].set_title("solved after any epoch")
    save_figure(figure, job.out / "result.png")
    fill_readme(job.out, results=statistics_text(table))
    return table
