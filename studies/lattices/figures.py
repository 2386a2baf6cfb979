"""Drawing that several studies share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nepfield.learning.gradients import RULES
from nepfield.learning.training import TrainingResult
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure

RULE_COLORS = dict(
    zip(RULES, (ORANGE, "#e8a866", "#8a6d3b", GREEN, BLUE), strict=True)
)  # physical contrasts in browns, phase-resolved in green, exact in blue


def draw_xor(path: Path, title: str, result: TrainingResult, study: Any, table: pd.DataFrame):
    """Cost, densities, potential of one training, and the success of all, as in Fig. 3."""
    figure = new_figure(7.2)
    axes = figure.subplots(2, 2)
    figure.suptitle(title, fontsize=11)
    draw_costs(axes[0, 0], result)
    draw_densities(axes[0, 1], result, study)
    draw_potential(axes[1, 0], result, study)
    draw_success(axes[1, 1], table)
    for axis, letter in zip(axes.flat, "abcd", strict=True):
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left", fontsize=10)
        axis.set_title("", loc="center")
    save_figure(figure, path)


def draw_costs(axis: Axes, result: TrainingResult) -> None:
    """Cost and cosine to the exact gradient against the epoch."""
    epochs = [row["epoch"] for row in result.history]
    axis.semilogy(epochs, [row["cost"] for row in result.history], color=BLUE, label="cost")
    axis.axhline(0.01, color=GREY, lw=0.8, ls=":")
    axis.set_xlabel("epoch")
    axis.set_ylabel("cost", color=BLUE)
    cosines = [
        (row["epoch"], row["gradient_cosine"])
        for row in result.history
        if np.isfinite(row["gradient_cosine"])
    ]
    other = axis.twinx()
    other.plot(*np.transpose(cosines), color=ORANGE, marker=".", lw=1)
    other.set_ylim(min(0.0, 1.1 * min(c for _, c in cosines)), 1.05)
    other.set_ylabel("cosine to the exact gradient", color=ORANGE)
    axis.set_title("training of the study file")


def draw_densities(axis: Axes, result: TrainingResult, study: Any) -> None:
    """Intensity at each site for the four inputs."""
    density = np.abs(result.final.steady.state) ** 2
    sites = np.arange(len(density))
    for k, (inputs, color) in enumerate(
        zip(study.task.inputs, (GREY, BLUE, GREEN, RED), strict=True)
    ):
        label = f"{inputs[0]:.0f}{inputs[1]:.0f}: {result.final.outputs[k, 0]:.2f}"
        axis.plot(sites, density[:, k], color=color, marker="o", ms=4, lw=1, label=label)
    for site in study.config.readout.sites:
        axis.axvline(site, color=GREY, lw=6, alpha=0.2)
    axis.set_xticks(sites)
    axis.set_xlabel("site")
    axis.set_ylabel(r"$|\Psi|^2$")
    axis.legend(title="input: output", fontsize=8, title_fontsize=8)
    axis.set_title("steady states after training")


def draw_potential(axis: Axes, result: TrainingResult, study: Any) -> None:
    """Trained potential, with the pumps."""
    trained = result.system.potential.values
    sites = np.arange(len(trained))
    axis.bar(sites, trained, color=BLUE, label="trained V")
    axis.step(sites, study.system.potential.values, where="mid", color=GREY, label="start")
    if study.system.background is not None:
        axis.plot(sites, study.system.background.real, "x", color=RED, label="disorder, fixed")
    weights = ", ".join(
        f"w at {pump.site} = {weight:.2f}"
        for pump, weight in zip(study.config.pump, result.system.pumps.weights, strict=True)
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


def draw_lines(
    axis: Axes, table: pd.DataFrame, x: str, y: str, by: str, styles: Sequence[dict]
) -> None:
    """One line a group."""
    for (name, part), style in zip(table.groupby(by, sort=False), styles, strict=False):
        axis.plot(part[x], part[y], marker="o", ms=3, label=str(name), **style)
