"""Table and picture of the study: `python -m studies mnist-nonlinearity`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nepfield.view.curves import new_figure, save_figure
from studies.common import Job, fill_readme, markdown, write_csv
from studies.mnist import FEW, interval

G, RULE = "physics.g", "training.rule"


def make(job: Job) -> pd.DataFrame:
    """A row a training; the means in the README, with intervals, and as a picture."""
    table = job.sweep(few=FEW).table()
    columns = [G, RULE, "seed", "status", "test_accuracy", "accuracy", "cost", "gradient_cosine"]
    columns += ["nonlinearity_ratio", "unstable", "fraction_converged"]
    table = table[[name for name in columns if name in table]]
    write_csv(table, job.out / "sweep.csv", 5)
    means = []
    for (g, rule), part in table[table["status"] == "finished"].groupby([G, RULE]):
        mean, half = interval(part["test_accuracy"].astype(float), 2000)
        ratio = float(part["nonlinearity_ratio"].astype(float).mean())
        means.append((g, rule, ratio, mean, half, len(part)))
    told = pd.DataFrame(
        [(g, r, f"{x:.2f}", f"{100 * m:.1f} ± {100 * h:.1f} %", n) for g, r, x, m, h, n in means],
        columns=["g", "rule", "g n/gamma", "test accuracy", "seeds"],
    )
    fill_readme(job.out, results=markdown(told))
    figure = new_figure(3.2, 5.0)
    axis = figure.subplots()
    for rule in dict.fromkeys(row[1] for row in means):
        x, y, error = np.array([row[2:5] for row in means if row[1] == rule]).T
        order = np.argsort(x)
        axis.errorbar(
            x[order], 100 * y[order], 100 * error[order], marker="o", ms=4, capsize=2, label=rule
        )
    axis.set_xlabel(r"mean $g\,n/\gamma$ after training")
    axis.set_ylabel("test accuracy (%)")
    axis.legend(frameon=False)
    save_figure(figure, job.out / "result.png")
    return table
