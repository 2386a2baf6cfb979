"""Table of the study: `python -m studies ising-digits`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nepfield.learning.evaluation import evaluate
from studies.common import Job, Swept, fill_readme, markdown, write_csv

COLUMNS = ["seed", "success", "cost", "accuracy", "validation_accuracy", "test_accuracy"]
COLUMNS += ["best_test_accuracy", "undecided", "gap"]


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    swept = job.sweep("seeds.toml")
    table = swept.table()
    table["undecided"] = [undecided(swept, seed) for seed in table["seed"]]
    table = table[COLUMNS]
    write_csv(table, job.out / "seeds.csv")
    told = table.drop(columns=["success", "cost", "gap"]).astype(float)
    shown = told.map(lambda value: f"{100 * value:.1f} %").assign(seed=table["seed"])
    shown.columns = [name.replace("_", " ") for name in shown]
    fill_readme(job.out, results=markdown(shown))
    return table


def undecided(swept: Swept, seed: int) -> float:
    """Share of the test images for which not just one output is up."""
    study, system = swept.trained(swept.case(seed=seed))
    inputs, targets = study.task.sets()["test"]
    outputs = evaluate(system, study.cost, inputs, targets, **study.solver).outputs
    return float(np.mean(np.count_nonzero(outputs > 0, axis=1) != 1))
