"""Tables and pictures that the studies of the paper's lattice share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nepfield.learning.evaluation import Evaluation, evaluate
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure
from studies.common import Job, Swept, by_order, code, fill_readme, markdown, write_csv

# physical contrasts in browns, phase-resolved in green, exact in blue
RULE_COLORS = {
    "nep": ORANGE,
    "nep-symmetric": "#e8a866",
    "nep-linear": "#8a6d3b",
    "reciprocal": GREEN,
    "adjoint": BLUE,
}


# -- tables ---------------------------------------------------------------------------


def lattice_table(swept: Swept, *keys: str) -> pd.DataFrame:
    """One row a training, as the results.csv of these studies have it; and the swept keys named.

    ``cost`` and the outputs are those after the last epoch, ``solved`` is decided by this cost, and
    ``epochs_to_success`` is the number of epochs after which the limit was first met (empty if it
    never was). ``cosine`` is that to the exact gradient in the last epoch and ``lowest_cosine`` the
    lowest of the epochs that were compared. ``failed`` says that a whole epoch went by without a
    steady state.
    """
    names = {
        "label": "case",
        "training.rule": "rule",
        "success": "solved",
        "ever": "reached",
        "gradient_cosine": "cosine",
    }
    table = swept.table().drop(columns="case").rename(columns=names)
    table["failed"] = table["status"] == "failed"
    for name in ("solved", "reached"):
        table[name] = table[name].astype(bool)
    outputs = sorted(name for name in table if name.startswith("output_"))
    columns = ["case", "rule", "seed", "cost", "largest_error", *outputs, "solved", "reached"]
    columns += ["epochs_to_success", "cosine", "lowest_cosine", "failed", *keys]
    table[["cost", "cosine", "lowest_cosine"]] = table[["cost", "cosine", "lowest_cosine"]].astype(
        float
    )
    return by_order(table[columns], "case", *keys, "rule")


def middle_of(values: pd.Series) -> pd.Series:
    """The middles of intervals that a sweep draws from, ``{ uniform = [low, high] }``."""
    return values.map(lambda text: float(np.mean(json.loads(text)["uniform"])))


def without_keys(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the columns of swept keys, which its cases stand for."""
    return table[[name for name in table if "." not in name]]


def statistics(table: pd.DataFrame, by: Sequence[str] = ("case", "rule")) -> pd.DataFrame:
    """Success and spread over seeds for each group, in the order in which the groups appear.

    Columns: number of seeds; ``solved`` and ``reached``, percent of seeds with cost < 0.01 after
    the last epoch and after any; quartiles of the epochs to success; median and 10th percentile of
    the cosine to the exact gradient in the last epoch; medians of the outputs, over solved seeds.
    """
    rows = []
    for group, part in table.groupby(list(by), sort=False):
        epochs = part["epochs_to_success"].dropna().to_numpy(dtype=float)
        quartiles = np.percentile(epochs, [25, 50, 75]) if len(epochs) else [np.nan] * 3
        cosines = part["cosine"].dropna()
        good = part[part["solved"]]
        row = dict(zip(by, group, strict=True))
        row |= {
            "seeds": len(part),
            "solved": 100 * part["solved"].mean(),
            "reached": 100 * part["reached"].mean(),
            "epochs_25": quartiles[0],
            "epochs_median": quartiles[1],
            "epochs_75": quartiles[2],
            "cosine_median": cosines.median(),
            "cosine_10": cosines.quantile(0.1) if len(cosines) else np.nan,
        }
        for name in sorted(c for c in part if c.startswith("output_")):
            row[name] = good[name].median() if len(good) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def statistics_text(table: pd.DataFrame, by: Sequence[str] = ("case", "rule")) -> str:
    """`statistics` as a Markdown table."""
    shown = []
    for _, row in statistics(table, by).iterrows():
        epochs = "-"
        if np.isfinite(row["epochs_median"]):
            epochs = f"{row['epochs_median']:.0f} ({row['epochs_25']:.0f}-{row['epochs_75']:.0f})"
        outputs = [row[c] for c in row.index if str(c).startswith("output_")]
        shown.append(
            {
                **{name: code(row[name]) for name in by},
                "solved": f"{row['solved']:.0f} %",
                "ever reached": f"{row['reached']:.0f} %",
                "epochs to success": epochs,
                "cosine, median (10 %)": f"{row['cosine_median']:.2f} ({row['cosine_10']:.2f})",
                "outputs": ", ".join(f"{value:.2f}" for value in outputs)
                if np.all(np.isfinite(outputs))
                else "-",
            }
        )
    return markdown(pd.DataFrame(shown))


# -- pictures -------------------------------------------------------------------------


def draw_xor(path: Path, title: str, swept: Swept, table: pd.DataFrame) -> None:
    """Cost, densities, potential of the study's own training, and the success of all (Fig. 3)."""
    case = swept.case("study", training__rule="nep", seed=0)
    study, system = swept.trained(case)
    task = study.task
    final = evaluate(system, study.cost, task.inputs, task.targets, **study.solver)
    history = swept.history(case)
    figure = new_figure(7.2)
    axes = figure.subplots(2, 2)
    figure.suptitle(title, fontsize=11)
    draw_costs(axes[0, 0], history)
    draw_densities(axes[0, 1], final, study)
    draw_potential(axes[1, 0], system, study)
    draw_success(axes[1, 1], table)
    for axis, letter in zip(axes.flat, "abcd", strict=True):
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left", fontsize=10)
        axis.set_title("", loc="center")
    save_figure(figure, path)


def draw_costs(axis: Axes, history: pd.DataFrame) -> None:
    """Cost and cosine to the exact gradient against the epoch."""
    axis.semilogy(history["epoch"], history["cost"], color=BLUE, label="cost")
    axis.axhline(0.01, color=GREY, lw=0.8, ls=":")
    axis.set_xlabel("epoch")
    axis.set_ylabel("cost", color=BLUE)
    compared = history.dropna(subset="gradient_cosine")
    other = axis.twinx()
    other.plot(compared["epoch"], compared["gradient_cosine"], color=ORANGE, marker=".", lw=1)
    other.set_ylim(min(0.0, 1.1 * compared["gradient_cosine"].min()), 1.05)
    other.set_ylabel("cosine to the exact gradient", color=ORANGE)
    axis.set_title("training of the study file")


def draw_densities(axis: Axes, final: Evaluation, study: Any) -> None:
    """Intensity at each site for the four inputs."""
    density = np.abs(final.steady.state) ** 2
    sites = np.arange(len(density))
    for k, (inputs, color) in enumerate(
        zip(study.task.inputs, (GREY, BLUE, GREEN, RED), strict=True)
    ):
        label = f"{inputs[0]:.0f}{inputs[1]:.0f}: {final.outputs[k, 0]:.2f}"
        axis.plot(sites, density[:, k], color=color, marker="o", ms=4, lw=1, label=label)
    for site in study.config.readout.sites:
        axis.axvline(site, color=GREY, lw=6, alpha=0.2)
    axis.set_xticks(sites)
    axis.set_xlabel("site")
    axis.set_ylabel(r"$|\Psi|^2$")
    axis.legend(title="input: output", fontsize=8, title_fontsize=8)
    axis.set_title("steady states after training")


def draw_potential(axis: Axes, system: Any, study: Any) -> None:
    """Trained potential, with the pumps."""
    trained = system.potential.values
    sites = np.arange(len(trained))
    axis.bar(sites, trained, color=BLUE, label="trained V")
    axis.step(sites, study.system.potential.values, where="mid", color=GREY, label="start")
    if study.system.background is not None:
        axis.plot(sites, study.system.background.real, "x", color=RED, label="disorder, fixed")
    weights = ", ".join(
        f"w at {pump.site} = {weight:.2f}"
        for pump, weight in zip(study.config.pump, system.pumps.weights, strict=True)
    )
    axis.set_xticks(sites)
    axis.set_xlabel("site")
    axis.set_ylabel("V")
    axis.legend(fontsize=8)
    axis.set_title(weights)


def draw_success(axis: Axes, table: pd.DataFrame, by: str = "case", columns: int = 3) -> None:
    """Percent of seeds that are solved after the last epoch, a group a case, a bar a rule."""
    cases, rules = list(table[by].unique()), list(table["rule"].unique())
    width = 0.8 / len(rules)
    for k, rule in enumerate(rules):
        chosen = table[table["rule"] == rule].groupby(by)["solved"].mean().reindex(cases)
        places = np.arange(len(cases)) + (k - (len(rules) - 1) / 2) * width
        axis.bar(places, 100 * chosen, width, color=RULE_COLORS[rule], label=rule)
    axis.set_xticks(range(len(cases)), cases, fontsize=8, rotation=20, ha="right")
    axis.set_ylim(0, 119 if columns > 2 else 129)
    axis.set_ylabel("seeds solved (%)")
    axis.legend(fontsize=7, ncols=columns, loc="upper center")
    axis.set_title("solved after the last epoch")


# -- a study --------------------------------------------------------------------------


def make_xor(job: Job, title: str) -> pd.DataFrame:
    """Every case of sweep.toml with every rule; its CSV files, picture and README table."""
    swept = job.sweep()
    table = lattice_table(swept)
    shown = without_keys(table)
    write_csv(shown, job.out / "results.csv")
    write_csv(statistics(shown), job.out / "statistics.csv", 4)
    draw_xor(job.out / "result.png", title, swept, shown)
    fill_readme(job.out, results=statistics_text(shown))
    return shown
