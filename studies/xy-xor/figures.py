"""Tables and picture of the study: `python -m studies xy-xor`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from nepfield.study.sweeps.design import Case
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure
from studies.common import Job, fill_readme, markdown, write_csv

COLORS = {4: ORANGE, 5: BLUE, 8: GREEN, 12: GREY, 30: RED}
SHOWN = 5  # units of the network in Fig. 3 (a)
FLOOR = 1e-6  # lowest distance that is drawn
EARLY = 300  # steps in which the speed of learning is measured, Fig. 3 (e)
DRAWS = 1000  # of the seeds, for the spread of that speed


def make(job: Job) -> pd.DataFrame:
    """One row a training of the seeds and sizes."""
    tables: list[pd.DataFrame] = []
    curves: dict[int, np.ndarray] = {}
    for file in ("seeds.toml", "sizes.toml"):
        swept = job.sweep(file, trial=lambda case: case.seed < 1)
        table = swept.table()
        own = int(swept.sweep.base["domain"]["vertices"])
        table["units"] = table["domain.vertices"].astype(int) if "domain.vertices" in table else own
        tables.append(table[["units", "seed", "mean_distance", "success", "epochs_to_success"]])
        for units in table["units"].unique():
            cases = [case for case in swept.sweep.cases if _units(case, own) == units]
            distances = [swept.history(case).get("mean_distance") for case in cases]
            curves[int(units)] = np.array([values for values in distances if values is not None])
    table = pd.concat(tables, ignore_index=True)
    write_csv(table, job.out / "results.csv")
    fill_readme(job.out, sizes=markdown(statistics(table)))
    figure = new_figure(3.6, 9.0)
    left, right = figure.subplots(1, 2)
    draw_density(left, curves[SHOWN])
    draw_means(right, curves)
    save_figure(figure, job.out / "result.png", colormaps=["viridis"])
    make_starts(job)
    return table


def make_starts(job: Job) -> pd.DataFrame:
    """Tables and picture of several starts of each sample: Fig. 3 (d), (e)."""
    swept = job.sweep("starts.toml", trial=lambda case: case.seed < 1)
    curves: dict[tuple[int, int], list[np.ndarray]] = {}
    rows = []
    for case in swept.sweep.cases:
        units, starts = int(case.values["domain.vertices"]), int(case.values["training.starts"])
        distance = swept.history(case)["mean_distance"].to_numpy()
        curves.setdefault((units, starts), []).append(distance)
        end = distance[-20:].mean()
        rows.append({"units": units, "starts": starts, "seed": case.seed, "end": end})
    table = pd.DataFrame(rows)
    write_csv(table, job.out / "starts.csv")
    means = {key: np.array(values) for key, values in sorted(curves.items())}
    told = []
    for (units, starts), distances in means.items():
        speed, low, high = learning_speed(distances)
        ends = table.loc[(table["units"] == units) & (table["starts"] == starts), "end"]
        told.append(
            {
                "units": units,
                "starts a sample": starts,
                "seeds": len(distances),
                "mean distance, last 20 of 300 steps": f"{ends.mean():.2g}",
                "median (least to greatest)": f"{ends.median():.2g} ({ends.min():.1g}"
                f" to {ends.max():.1g})",
                "speed, 1/1000 steps": f"{1e3 * speed:.1f} ({1e3 * low:.1f} to {1e3 * high:.1f})",
                "over the starts": f"{1e3 * speed / starts:.2f}",
            }
        )
    fill_readme(job.out, starts=markdown(pd.DataFrame(told)))
    figure = new_figure(3.4, 9.0)
    for axes, units in zip(
        figure.subplots(1, 2, sharey=True), table["units"].unique(), strict=True
    ):
        for starts, color in zip(sorted(table["starts"].unique()), COLORS.values(), strict=False):
            distances = means[units, starts]
            axes.semilogy(distances.mean(axis=0), color=color, label=f"{starts}")
        axes.set_xlabel("step")
        axes.set_title(f"{units} units")
        axes.legend(title="starts a sample", frameon=False)
    figure.axes[0].set_ylabel("mean distance, mean of all trainings")
    save_figure(figure, job.out / "starts.png")
    return table


def learning_speed(distances: np.ndarray) -> tuple[float, float, float]:
    """Minus the slope of the log of the mean over the trainings (rows), and the range of two thirds
    of what is found when trainings are drawn again with replacement."""
    step = np.arange(min(EARLY, distances.shape[1]))

    def slope(chosen: np.ndarray) -> float:
        values = np.log(np.maximum(chosen[:, : len(step)].mean(axis=0), FLOOR))
        return float(-np.polyfit(step, values, 1)[0])

    random, count = np.random.default_rng(0), len(distances)
    drawn = [slope(distances[random.integers(count, size=count)]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [1 / 6, 5 / 6])
    return slope(distances), float(low), float(high)


def _units(case: Case, own: int) -> int:
    """Units of the network of a case; `own` is that of the study."""
    return int(case.values.get("domain.vertices", own))


def statistics(table: pd.DataFrame) -> pd.DataFrame:
    """Over the seeds, a row a size."""
    rows = []
    for units, part in table.groupby("units"):
        steps = part["epochs_to_success"].dropna().astype(float)
        rows.append(
            {
                "units": units,
                "seeds": len(part),
                "below 0.01": f"{100 * part['success'].astype(bool).mean():.0f} %",
                "median distance": f"{part['mean_distance'].median():.2g}",
                "mean distance": f"{part['mean_distance'].mean():.2g}",
                "steps until first below, median": f"{steps.median():.0f}" if len(steps) else "-",
            }
        )
    return pd.DataFrame(rows)


def draw_density(axes: Axes, distances: np.ndarray) -> None:
    """Histogram of log D over the trainings at every step, and their mean: Fig. 3 (a)."""
    logs = np.log10(np.maximum(distances, FLOOR))
    steps = np.tile(np.arange(logs.shape[1]), len(logs))
    bins = (min(100, logs.shape[1]), 60)
    axes.hist2d(steps, logs.ravel(), bins=bins, norm=LogNorm(), cmap="viridis", rasterized=True)
    axes.plot(np.log10(distances.mean(axis=0)), color="white")
    axes.set_xlabel("step")
    axes.set_ylabel(r"$\log_{10}$ mean distance")
    axes.set_title(f"{SHOWN} units, {len(distances)} trainings; white: their mean")


def draw_means(axes: Axes, curves: dict[int, np.ndarray]) -> None:
    """Mean over the trainings for each size: Fig. 3 (b)."""
    for units, distances in sorted(curves.items()):
        axes.semilogy(distances.mean(axis=0), color=COLORS[units], label=f"N = {units}")
    axes.set_xlabel("step")
    axes.set_ylabel("mean distance, mean of all trainings")
    axes.legend(frameon=False)
