"""Tables and picture of the study: `python -m studies lattice-xor-beta`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.learning.gradients import inner_product
from nepfield.study.run.build import build
from nepfield.study.sweeps.design import load_sweep
from nepfield.view.curves import new_figure, save_figure
from studies.common import STUDIES, Job, fill_readme, markdown, write_csv
from studies.xor_lattices import (
    RULE_COLORS,
    draw_success,
    lattice_table,
    statistics,
    statistics_text,
    without_keys,
)

STARTS = ("study", "adam-random", "sgd-band")  # of lattice-xor
SEEDS = 50


def make(job: Job) -> pd.DataFrame:
    """Error of the finite nudge against its limit; and what training makes of it, a row each."""
    seeds = range(2 if job.quick else SEEDS)
    errors = pd.concat(job.map(error_rows, seeds), ignore_index=True)
    write_csv(errors, job.out / "errors.csv")
    table = lattice_table(job.sweep(), "training.beta")
    table["case"] += table["training.beta"].map(lambda beta: f", {beta:g}")
    table = without_keys(table)
    write_csv(table, job.out / "results.csv")
    write_csv(statistics(table), job.out / "statistics.csv", 4)
    orders = beta_orders(errors)
    figure = new_figure(3.8)
    axes = figure.subplots(1, 2)
    for rule, part in errors.groupby("rule", sort=False):
        spread = part.groupby("beta")["error"].quantile([0.1, 0.5, 0.9]).unstack()
        axes[0].loglog(spread.index, spread[0.5], "o-", color=RULE_COLORS[rule], label=rule)
        axes[0].fill_between(
            spread.index, spread[0.1], spread[0.9], color=RULE_COLORS[rule], alpha=0.2
        )
    axes[0].set_xlabel(r"$\beta$")
    axes[0].set_ylabel("relative error of the gradient")
    axes[0].set_title("against the limit (nep-linear)", fontsize=10)
    axes[0].legend(fontsize=8)
    draw_success(axes[1], table)
    save_figure(figure, job.out / "result.png")
    fill_readme(
        job.out,
        errors=errors_text(errors),
        orders=markdown(orders),
        results=statistics_text(table),
    )
    return table


def error_rows(seed: int) -> pd.DataFrame:
    """Relative error of `nep` and `nep-symmetric` at many beta, at three starts of training."""
    sweep = load_sweep(STUDIES / "lattice-xor" / "sweep.toml")
    first = {case.label: case for case in reversed(sweep.cases)}
    rows = []
    for start in STARTS:
        study = build(sweep.config(replace(first[start], seed=seed)))
        samples = (study.system, study.cost, study.task.inputs, study.task.targets)
        steady = nf.solve_steady(study.system, study.task.inputs, tolerance=1e-13)
        limit = nf.gradient(*samples, "nep-linear", steady=steady).params
        size = np.sqrt(inner_product(study.system, limit, limit))
        for rule in ("nep", "nep-symmetric"):
            for beta in np.logspace(-3, 0, 7):
                estimate = nf.gradient(
                    *samples, rule, beta, steady=steady, tolerance=1e-13, on_failure="flag"
                )
                if not estimate.used.all():
                    continue
                gap = {name: estimate.params[name] - limit[name] for name in limit}
                error = np.sqrt(inner_product(study.system, gap, gap)) / size
                labels = {"start": start, "rule": rule, "beta": float(f"{beta:.4g}")}
                rows.append({**labels, "seed": seed, "error": error})
    return pd.DataFrame(rows)


def beta_orders(errors: pd.DataFrame) -> pd.DataFrame:
    """Exponent p of error ~ beta^p between beta = 0.001 and 0.01: quartiles over seeds."""
    rows = []
    for (start, rule), part in errors.groupby(["start", "rule"], sort=False):
        by_seed = part.pivot(index="seed", columns="beta", values="error")
        order = np.log10(by_seed[0.01] / by_seed[0.001])
        low, middle, high = order.quantile([0.1, 0.5, 0.9])
        rows.append(
            {
                "start": f"`{start}`",
                "rule": f"`{rule}`",
                "order, median (10-90 %)": f"{middle:.2f} ({low:.2f}-{high:.2f})",
            }
        )
    return pd.DataFrame(rows)


def errors_text(errors: pd.DataFrame) -> str:
    """The errors by start and beta, as a table of the README."""
    rows = []
    for (start, beta), part in errors.groupby(["start", "beta"]):
        row = {"start": f"`{start}`", "beta": f"{beta:g}"}
        for rule, of_rule in part.groupby("rule", sort=False):
            middle, high = of_rule["error"].quantile([0.5, 0.9])
            row[f"`{rule}`, median (90 %)"] = f"{middle:.2g} ({high:.2g})"
        rows.append(row)
    return markdown(pd.DataFrame(rows))
