"""What the outcome depends on: where training starts, when it steps, how strong the nudge is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.learning.gradients import inner_product
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study
from nepfield.view.curves import GREY, new_figure, save_figure
from studies.lattices.figures import RULE_COLORS, draw_success
from studies.lattices.tables import fill_readme, markdown, statistics, statistics_text, write_csv
from studies.lattices.train import STUDIES, Job, Map, jobs_of, train_job, train_table
from studies.lattices.xor import BAND, BELOW, FREE, OPPOSITE, SGD, Options

START, BATCH, BETA = "lattice-xor-start", "lattice-xor-batch", "lattice-xor-beta"
MEANS = (-2.75, -2.25, -1.75, -1.25, -0.75, -0.25, 0.25, 0.75)
WEIGHTS = {
    "random": (),
    "opposite": OPPOSITE,
}


# -- starts ---------------------------------------------------------------------------


def lattice_xor_start(options: Options, run: Map) -> pd.DataFrame:
    """Starting states of the solver, and starting V and w of training."""
    folder = options.out / START
    cases = {
        f"{weights} {mean:+.2f}": (
            f"potential.initial={{ uniform = [{mean - 0.25}, {mean + 0.25}] }}",
            *changes,
        )
        for weights, changes in WEIGHTS.items()
        for mean in MEANS
    }
    seeds = max(2, options.seeds // 6)
    jobs = jobs_of(START, cases, seeds, ("nep", "adjoint"), options.epochs)
    table = train_table(jobs, run)
    split = table["case"].str.split(" ", expand=True)
    table.insert(0, "mean_V", split[1].astype(float))
    table["case"] = split[0]
    write_csv(table, folder / "results.csv")
    by = ("case", "rule", "mean_V")
    write_csv(statistics(table, by), folder / "statistics.csv", 4)
    states = pd.DataFrame(run(_states_row, [(s, options.epochs) for s in range(seeds)]))
    write_csv(states, folder / "states.csv", 3)
    _draw_start(folder / "result.png", table)
    fill_readme(folder, results=statistics_text(table, by), states=_states_text(states))
    return table


def _states_row(item: tuple[int, int | None]) -> dict[str, object]:
    """The solver from zero and from random states; training with warm starts and without."""
    seed, epochs = item
    cut = () if epochs is None else (f"training.epochs={epochs}",)
    random = np.random.default_rng((seed, 7))
    row: dict[str, object] = {"seed": seed}
    job = Job(START, seed, ("training.rule=adjoint", *cut))
    result, study = train_job(job)
    for name, system in (("start", study.system), ("trained", result.system)):
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
    cold, _ = train_job(Job(START, seed, (*job.overrides, "training.warm_start=false")))
    row["cost_warm"], row["cost_cold"] = result.final.cost, cold.final.cost
    row["largest_difference_V"] = float(
        np.abs(result.system.potential.values - cold.system.potential.values).max()
    )
    return row


def _states_text(states: pd.DataFrame) -> str:
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


def _draw_start(path: Path, table: pd.DataFrame) -> None:
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


# -- batches --------------------------------------------------------------------------


def lattice_xor_batch(options: Options, run: Map) -> pd.DataFrame:
    """A step a sample, a pair, or an epoch; by Adam and by the paper's SGD."""
    folder = options.out / BATCH
    sgd = (FREE, BAND, *OPPOSITE, *SGD)
    cases = {}
    for name, changes in (("study", ()), ("sgd-band", sgd)):
        for batch, label in ((1, "sample"), (2, "pair"), (4, "epoch")):
            cases[f"{name}, {label}"] = (*changes, f"training.batch={batch}")
    summed = ("training.rate=0.4", "training.weight_rate=0.4")
    cases["sgd-band, epoch, summed"] = (*sgd, "training.batch=4", *summed)
    seeds = max(2, options.seeds // 4)
    table = train_table(jobs_of(BATCH, cases, seeds, ("nep", "adjoint"), options.epochs), run)
    write_csv(table, folder / "results.csv")
    write_csv(statistics(table), folder / "statistics.csv", 4)
    figure = new_figure(3.8)
    axes = figure.subplots(1, 2)
    draw_success(axes[0], table)
    draw_success(axes[1], table.assign(solved=table["reached"]))
    axes[1].set_title("solved after any epoch")
    save_figure(figure, folder / "result.png")
    fill_readme(folder, results=statistics_text(table))
    return table


# -- the nudge ------------------------------------------------------------------------


def lattice_xor_beta(options: Options, run: Map) -> pd.DataFrame:
    """Error of the finite nudge against its limit, and what training makes of it."""
    folder = options.out / BETA
    seeds = max(2, options.seeds // 2)
    errors = pd.concat(run(_beta_rows, range(seeds)), ignore_index=True)
    write_csv(errors, folder / "errors.csv")
    sgd = (FREE, BAND, *OPPOSITE, *SGD)
    cases = {
        f"{start}, {beta:g}": (*changes, f"training.beta={beta}")
        for start, changes in (("study", ()), ("sgd-band", sgd))
        for beta in (0.01, 0.1, 1.0)
    }
    few = max(2, options.seeds // 5)
    jobs = jobs_of(BETA, cases, few, ("nep", "nep-symmetric"), options.epochs)
    table = train_table(jobs, run)
    write_csv(table, folder / "results.csv")
    write_csv(statistics(table), folder / "statistics.csv", 4)
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
    save_figure(figure, folder / "result.png")
    fill_readme(
        folder, errors=_beta_text(errors), orders=markdown(orders), results=statistics_text(table)
    )
    return table


def _beta_rows(seed: int) -> pd.DataFrame:
    """Relative error of `nep` and `nep-symmetric` at many beta, at three starts of training."""
    rows = []
    band = (FREE, BAND, *OPPOSITE)
    for start, overrides in (("study", ()), ("adam-random", (FREE, BELOW)), ("sgd-band", band)):
        config = load_study(STUDIES / BETA / "study.toml", overrides, seed)
        study = build(config)
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


def _beta_text(errors: pd.DataFrame) -> str:
    rows = []
    for (start, beta), part in errors.groupby(["start", "beta"]):
        row = {"start": f"`{start}`", "beta": f"{beta:g}"}
        for rule, of_rule in part.groupby("rule", sort=False):
            middle, high = of_rule["error"].quantile([0.5, 0.9])
            row[f"`{rule}`, median (90 %)"] = f"{middle:.2g} ({high:.2g})"
        rows.append(row)
    return markdown(pd.DataFrame(rows))
