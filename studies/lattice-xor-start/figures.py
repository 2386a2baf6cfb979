"""Tables and picture of the study: `python -m studies lattice-xor-start`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.view.curves import GREY, new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv
from studies.xor_lattices import (
    RULE_COLORS,
    lattice_table,
    middle_of,
    statistics,
    statistics_text,
    without_keys,
)

BY = ("case", "rule", "mean_V")


def make(job: Job) -> pd.DataFrame:
    """Starting V and w of training, one row a training; and starting states of the solver."""
    table = lattice_table(job.sweep(), "potential.initial")
    table.insert(0, "mean_V", middle_of(table["potential.initial"]))
    table = without_keys(table)
    write_csv(table, job.out / "results.csv")
    write_csv(statistics(table, BY), job.out / "statistics.csv", 4)
    swept = job.sweep("states.toml")
    seeds = dict.fromkeys(case.seed for case in swept.sweep.cases)
    states = pd.DataFrame([states_row(swept, seed) for seed in seeds])
    write_csv(states, job.out / "states.csv", 3)
    draw_start(job.out / "result.png", table)
    fill_readme(job.out, results=statistics_text(table, BY), states=states_text(states))
    return table


def states_row(swept: Swept, seed: int) -> dict[str, object]:
    """The solver from zero and from random states; training with warm starts and without."""
    random = np.random.default_rng((seed, 7))
    row: dict[str, object] = {"seed": seed}
    warm, cold = (swept.case(seed=seed, training__warm_start=word) for word in (True, False))
    study, trained = swept.trained(warm)
    for name, system in (("start", study.system), ("trained", trained)):
        zero = nf.solve_steady(system, study.task.inputs, tolerance=1e-12)
        distances = []
        for _ in range(10):
            kick = random.normal(size=zero.state.shape) + 1j * random.normal(size=zero.state.shape)
            other = nf.solve_steady(
                system, study.task.inputs, initial=3 * kick, tolerance=1e-12, on_failure="flag"
            )
            gap = np.abs(other.state - zero.state).max()
            distances.append(gap if other.converged.all() else np.inf)
        row[f"same_state_{name}"] = float(np.mean(np.array(distances) < 1e-8))
        row[f"largest_distance_{name}"] = max(distances)
    results = swept.table().set_index("case")["cost"]
    row["cost_warm"], row["cost_cold"] = results[warm.number], results[cold.number]
    _, other = swept.trained(cold)
    row["largest_difference_V"] = float(
        np.abs(trained.potential.values - other.potential.values).max()
    )
    return row


def states_text(states: pd.DataFrame) -> str:
    """What came out of them, as a table of the README."""
    rows = [
        {
            "what": f"random Newton starts that end in the state found from zero, {label}",
            "result": f"{100 * states[f'same_state_{name}'].mean():.1f} %",
        }
        for name, label in (("start", "before training"), ("trained", "after training"))
    ]
    rows.append(
        {
            "what": "largest difference in V between training with warm and with cold starts",
            "result": f"{states['largest_difference_V'].max():.1g}",
        }
    )
    return markdown(pd.DataFrame(rows))


def draw_start(path: Path, table: pd.DataFrame) -> None:
    """Success against the mean of the starting V, a panel for each kind of starting weights."""
    figure = new_figure(3.6)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (case, part) in zip(axes, table.groupby("case", sort=False), strict=True):
        for rule, of_rule in part.groupby("rule", sort=False):
            means = of_rule.groupby("mean_V")[["solved", "reached"]].mean() * 100
            color = RULE_COLORS[rule]
            axis.plot(means.index, means["solved"], "o-", color=color, label=f"{rule}, last epoch")
            axis.plot(means.index, means["reached"], ":", color=color, label=f"{rule}, ever")
        axis.axvspan(-1.95, -0.05, color=GREY, alpha=0.15)
        axis.set_xlabel("mean of the starting V (half width 0.25)")
        axis.set_title(f"starting weights: {case}", fontsize=10)
        axis.set_ylim(-3, 103)
    axes[0].set_ylabel("seeds solved (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=4, loc="outside lower center")
    axes[1].text(-1.0, 3, "drive in the band", ha="center", fontsize=8, color=GREY)
    save_figure(figure, path)
