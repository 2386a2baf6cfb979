"""Tables and picture of the study: `python -m studies as-in-the-laboratory`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure, tidy
from studies.common import Job, Swept, fill_readme, markdown, write_csv

from .gradients import (
    BETAS,
    PHOTONS,
    STARTS,
    best_nudges,
    imperfection_rows,
    noise_ratio,
    photon_rows,
    rms,
    tolerated,
)

SEEDS = 6
SHADES = {
    "nep": ORANGE, "nep-symmetric": BLUE, "nep-symmetric + 3": GREY,
    "reciprocal-symmetric": GREEN, "reciprocal-symmetric + 1": RED,
}  # fmt: skip
SWEPT = {
    "rule": "training.rule", "corrections": "training.corrections", "beta": "training.beta",
    "photons": "measurement.photons", "levels": "measurement.slm_levels",
    "crosstalk": "measurement.slm_crosstalk", "waiting": "measurement.waiting",
}  # fmt: skip


def make(job: Job) -> pd.DataFrame:
    """Noise against bias, imperfections one by one, and trainings; a row a training."""
    seeds = range(1 if job.quick else SEEDS)
    photons, betas = (PHOTONS[2:3], BETAS[4:9:4]) if job.quick else (PHOTONS, BETAS)
    devices = [(start, seed) for start in STARTS for seed in seeds]
    rows = job.map(photon_rows, [(*device, photons, betas) for device in devices])
    gradients = pd.DataFrame([row for part in rows for row in part])
    alone = pd.DataFrame([row for part in job.map(imperfection_rows, devices) for row in part])
    best = best_nudges(gradients)
    trained = trainings(job.sweep(trial=lambda case: case.seed == 0 and case.number % 20 == 0))
    write_csv(summary(gradients), job.out / "gradients.csv", 4)
    write_csv(best, job.out / "nudges.csv", 3)
    medians = alone.groupby(["start", "rule", "imperfection", "value"], sort=False)["cosine"]
    write_csv(medians.median().reset_index(), job.out / "imperfections.csv", 4)
    write_csv(trained, job.out / "trainings.csv", 4)
    save_figure(draw(gradients, best, trained), job.out / "result.png")
    fill_readme(
        job.out,
        noise=markdown(noise_ratio(gradients)),
        nudges=markdown(told(best)),
        imperfections=markdown(tolerated(alone)),
        trainings=markdown(shares(trained)),
    )
    return trained


def summary(gradients: pd.DataFrame) -> pd.DataFrame:
    """A row a rule, number of photons and nudge, over devices and draws."""
    grouped = gradients.groupby(["start", "rule", "photons", "beta"], sort=False)
    return grouped.agg(
        gradients=("error", "size"), error=("error", rms), noise=("noise", rms),
        cosine=("cosine", "median"), cosine_10=("cosine", lambda c: c.quantile(0.1)),
    ).reset_index()  # fmt: skip


def told(best: pd.DataFrame) -> pd.DataFrame:
    """The best nudges as the README has them."""
    rows = []
    for (start, rule), part in best.groupby(["start", "rule"], sort=False):
        row: dict[str, Any] = {"start": start, "rule": f"`{rule}`"}
        for _, found in part.iterrows():
            theory = "" if np.isnan(found["theory"]) else f" ({found['theory']:.2g})"
            row[f"{found['photons']:.0e}"] = (
                f"{found['best beta']:.2g}{theory}: {found['error']:.2g}, {found['cosine']:.3f}"
            )
        rows.append(row)
    return pd.DataFrame(rows)


def trainings(swept: Swept) -> pd.DataFrame:
    """A row a training."""
    table = swept.table()
    found = pd.DataFrame({"family": table["label"]})
    for name, key in SWEPT.items():
        found[name] = table.get(key, np.nan)
    found["seed"] = table["seed"]
    for name in ("cost", "largest_error", "gradient_cosine"):
        found[name] = table[name].astype(float)
    found["solved"], found["verdict"] = table["success"].astype(bool), table["verdict"]
    return found


def shares(trained: pd.DataFrame) -> pd.DataFrame:
    """How many trainings of each kind are solved."""
    rows = []
    names = list(SWEPT)
    for values, part in trained.groupby(["family", *names], sort=False, dropna=False):
        given = dict(zip(["family", *names], values, strict=True))
        rows.append(
            {name: _shown(given[name]) for name in ("family", *names)}
            | {
                "solved": f"{int(part['solved'].sum())} of {len(part)}",
                "cost, median (worst)": f"{part['cost'].median():.2g} ({part['cost'].max():.2g})",
            }
        )
    return pd.DataFrame(rows)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`" if value else ""
    return "" if pd.isna(value) else f"{value:g}"


# -- the picture ----------------------------------------------------------------------


def draw(gradients: pd.DataFrame, best: pd.DataFrame, trained: pd.DataFrame) -> Any:
    """Noise against bias, best nudges, which rule survives, and trainings."""
    figure = new_figure(6.6)
    axes = figure.subplots(2, 3)
    below, band = STARTS
    errors(axes[0, 0], gradients[gradients["start"] == below], "nep")
    errors(axes[0, 1], gradients[gradients["start"] == below], "nep-symmetric")
    nudges(axes[0, 2], best[best["start"] == below])
    for axis, start in ((axes[1, 0], below), (axes[1, 1], band)):
        survivors(axis, best[best["start"] == start])
        axis.set_title(f"drive {start}", fontsize=10)
    solved(axes[1, 2], trained[trained["family"] == "photons"])
    return figure


def errors(axis: Axes, table: pd.DataFrame, rule: str) -> None:
    """The error of a rule over the nudge, for each number of photons; dotted the formula."""
    part = table[table["rule"] == rule]
    shades = np.linspace(0.25, 1.0, part["photons"].nunique())
    for shade, (photons, of_photons) in zip(shades, part.groupby("photons"), strict=True):
        alone = np.isinf(photons)
        by_beta = of_photons.groupby("beta").agg(error=("error", rms), noise=("noise", rms))
        color = "k" if alone else SHADES[rule]
        label = "bias alone" if alone else f"{photons:.0e} photons"
        axis.loglog(
            by_beta.index, by_beta["error"], "-", marker="" if alone else "o", ms=3, color=color,
            alpha=1.0 if alone else shade, label=label,
        )  # fmt: skip
        if not alone:
            axis.loglog(by_beta.index, by_beta["noise"], ":", color=color, alpha=shade)
    axis.set_ylim(1e-5, 30)
    axis.set_xlabel(r"$\beta$")
    axis.set_ylabel("error over the weak-nudge gradient")
    axis.set_title(f"{rule} (dotted: noise of the formula)", fontsize=10)
    axis.legend(fontsize=7, frameon=False)
    tidy(axis)


def nudges(axis: Axes, best: pd.DataFrame) -> None:
    """The best nudge of each number of photons, measured (marks) and by theory (lines)."""
    for rule in ("nep", "nep-symmetric", "reciprocal-symmetric"):
        part = best[best["rule"] == rule]
        axis.loglog(part["photons"], part["best beta"], "o", ms=4, color=SHADES[rule], label=rule)
        axis.loglog(part["photons"], part["theory"], "-", color=SHADES[rule], lw=1)
    axis.set_xlabel("photons a pixel")
    axis.set_ylabel(r"best $\beta$ (lines: theory)")
    axis.set_title(r"$\beta \propto N^{-1/4}$, both signs $N^{-1/6}$", fontsize=10)
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)


def survivors(axis: Axes, best: pd.DataFrame) -> None:
    """Cosine to the exact gradient at the best nudge."""
    for rule, part in best.groupby("rule", sort=False):
        axis.semilogx(part["photons"], part["cosine"], "o-", ms=3, color=SHADES[rule], label=rule)
    axis.axhline(0.9, color="k", lw=0.6)
    axis.set_xlabel("photons a pixel")
    axis.set_ylabel(r"median cosine to exact, best $\beta$")
    axis.legend(fontsize=7, frameon=False)
    tidy(axis)


def solved(axis: Axes, trained: pd.DataFrame) -> None:
    """Trainings that solve XOR, over beta sqrt(N): the inverse of the noise of a gradient."""
    for rule, part in trained.groupby("rule", sort=False):
        strength = part["beta"] * np.sqrt(part["photons"])
        share = 100 * part.groupby(strength.round(6))["solved"].mean()
        axis.semilogx(share.index, share, "o-", ms=4, color=SHADES[rule], label=rule)
    axis.set_ylim(-3, 103)
    axis.set_xlabel(r"$\beta\sqrt{N}$")
    axis.set_ylabel("trainings that solve XOR (%)")
    axis.set_title("drive below the modes", fontsize=10)
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)
