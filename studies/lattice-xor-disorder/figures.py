"""Tables and picture of the study: `python -m studies lattice-xor-disorder`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nepfield.learning.evaluation import evaluate
from nepfield.study.sweeps.design import Case
from nepfield.view.curves import BLUE, new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv
from studies.xor_lattices import (
    draw_success,
    lattice_table,
    statistics,
    statistics_text,
    without_keys,
)

BY = ("case", "disorder", "rule")
ADDED = (0.003, 0.01, 0.03, 0.1, 0.3)  # strengths after training


def make(job: Job) -> pd.DataFrame:
    """Fixed random potentials of growing strength, before training (a row each) and after it."""
    table = lattice_table(job.sweep(), "potential.disorder")
    strength = table["potential.disorder"].map(lambda text: json.loads(text)["uniform"][1])
    table.insert(0, "disorder", strength)
    table = without_keys(table)
    write_csv(table, job.out / "results.csv")
    write_csv(statistics(table, BY), job.out / "statistics.csv", 4)
    swept = job.sweep("without.toml")
    shaken = pd.concat([shaken_rows(swept, case) for case in swept.sweep.cases])
    write_csv(shaken, job.out / "after-training.csv")
    draw_disorder(job.out / "result.png", table, shaken)
    nep = table[table["rule"].isin(("nep", "adjoint"))]
    fill_readme(job.out, results=statistics_text(nep, BY), after=shaken_text(shaken))
    return table


def shaken_rows(swept: Swept, case: Case) -> pd.DataFrame:
    """Add disorder to a device that was trained without, and read the outputs again."""
    study, trained = swept.trained(case)
    (limit,) = swept.sweep.success
    pattern = np.random.default_rng((case.seed, 1)).uniform(-1, 1, len(trained.space.w))
    rows = []
    for strength in ADDED:
        system = replace(trained, background=strength * pattern)
        shaken = evaluate(system, study.cost, study.task.inputs, study.task.targets, **study.solver)
        rows.append(
            {
                "seed": case.seed,
                "disorder": strength,
                "cost": shaken.cost,
                "largest_error": shaken.metrics["largest_error"],
                "solved": limit.met(shaken.cost),
            }
        )
    return pd.DataFrame(rows)


def shaken_text(shaken: pd.DataFrame) -> str:
    """What is left of them, as a table of the README."""
    rows = []
    for strength, part in shaken.groupby("disorder"):
        middle, high = part["cost"].quantile([0.5, 0.9])
        rows.append(
            {
                "disorder added after training": f"{strength:g}",
                "still solved": f"{100 * part['solved'].mean():.0f} %",
                "cost, median (90 %)": f"{middle:.2g} ({high:.2g})",
            }
        )
    return markdown(pd.DataFrame(rows))


def draw_disorder(path: Path, table: pd.DataFrame, shaken: pd.DataFrame) -> None:
    """Success with disorder during training, from two starts, and with disorder added to it."""
    figure = new_figure(3.8)
    axes = figure.subplots(1, 3)
    for axis, case in zip(axes, ("study", "sgd-band"), strict=False):
        draw_success(axis, table[table["case"] == case], by="disorder", columns=2)
        axis.set_title(f"trained with disorder: {case}", fontsize=10)
        axis.set_xlabel("strength of the disorder")
    means = 100 * shaken.groupby("disorder")["solved"].mean()
    axes[2].semilogx(means.index, means.to_numpy(), "o-", color=BLUE)
    axes[2].set_ylim(0, 105)
    axes[2].set_xlabel("strength of the disorder")
    axes[2].set_ylabel("still solved (%)")
    axes[2].set_title("disorder after training, study", fontsize=10)
    save_figure(figure, path)
