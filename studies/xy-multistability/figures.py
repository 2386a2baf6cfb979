"""Tables and picture of the study: `python -m studies xy-multistability`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nepfield.keys import Keys
from nepfield.view.animation import read_frames
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, new_figure, save_figure
from nepfield.view.runs import read_run
from studies.common import Job, Swept, fill_readme, markdown, write_csv

STARTS = 100  # of each input, as in the paper
SAME = 1e-3  # rad, by which the phases of one minimum may seem to differ
RIGHT = 0.01  # distance of an output from its target, xy (3)
HIDDEN = 2  # that is drawn
INPUTS = ("0, 0", "0, 1", "1, 0", "1, 1")


def make(job: Job) -> pd.DataFrame:
    """One row a seed and frame: what the flow reaches from random phases."""
    swept = job.sweep("seeds.toml")
    rows, phases = [], {}
    for case in swept.sweep.cases:
        for epoch, system in along(swept, swept.folder(case), case):
            row, states = census(swept, case, system, 5 if job.quick else STARTS)
            rows.append({"seed": case.seed, "step": epoch, **row})
            phases[case.seed, epoch] = states
    table = pd.DataFrame(rows)
    write_csv(table, job.out / "census.csv", 4)
    draw(table, phases, job)
    fill_readme(job.out, census=summary(table))
    return table


def along(swept: Swept, run: Path, case: Any) -> list[tuple[int, Any]]:
    """Steps and systems of the frames of a run."""
    _, system = swept.trained(case)
    found = []
    for epoch, name in read_frames(run):
        files = read_run(run, name)
        fields = {field.arrays[0]: files.raw(field) for field in files.fields}
        values = {key: np.ravel(fields[key]) for key in system.parameters}
        found.append((epoch, system.with_parameters(values)))
    return found


def census(swept: Swept, case: Any, system: Any, starts: int) -> tuple[dict[str, Any], np.ndarray]:
    """Minima that the flow xy (2) reaches, and their phases (inputs, starts, units)."""
    study, _ = swept.trained(case)
    task, cost = study.task, study.cost
    count = len(task.inputs)
    inputs, targets = np.repeat(task.inputs, starts, 0), np.repeat(task.targets, starts, 0)
    keys = Keys(
        case.seed, 0, np.repeat(np.arange(count), starts), np.tile(np.arange(starts), count)
    )
    keys = keys.fold("census")
    flowed = system.equilibrate(inputs, None, None, keys, method="flow", curvature=False)
    newton = system.equilibrate(inputs, None, None, keys, sweeps=0, curvature=False)
    states = flowed.state.T.reshape(count, starts, -1)
    distance = 1 - np.cos(cost.readout.outputs(flowed.state) - targets)[:, 0]
    reached = flowed.converged
    other = apart(flowed.state.T, newton.state.T) > SAME
    return {
        "minima": np.mean([distinct(part) for part in states]),
        "most": max(distinct(part) for part in states),
        "right": np.mean(distance < RIGHT),
        "right_side": np.mean(distance < 1),
        "mean_distance": distance.mean(),
        "converged": reached.mean(),
        "elsewhere_by_newton": other.mean(),
    }, states


def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By how much the phases of two states differ at most, over the last axis."""
    return np.abs(np.angle(np.exp(1j * (first - second)))).max(axis=-1)


def distinct(states: np.ndarray) -> int:
    """How many of these states (nstates, nphases) differ."""
    known: list[np.ndarray] = []
    for state in states:
        if not known or apart(np.array(known), state).min() > SAME:
            known.append(state)
    return len(known)


def summary(table: pd.DataFrame) -> str:
    """What is counted at some steps, with its range if there are several seeds."""
    steps = sorted(table["step"].unique())
    shown = [steps[k] for k in np.unique(np.linspace(0, len(steps) - 1, 9).astype(int))]
    columns = {
        "minima": ("minima an input", 1, "{:.2g}"),
        "mean_distance": ("mean distance of the output", 1, "{:.2g}"),
        "right": ("right, % of the starts", 100, "{:.0f}"),
        "right_side": ("on its side, %", 100, "{:.0f}"),
        "elsewhere_by_newton": ("elsewhere by Newton, %", 100, "{:.0f}"),
    }
    rows = []
    for step, part in table[table["step"].isin(shown)].groupby("step"):
        row: dict[str, Any] = {"step": step}
        for key, (words, unit, form) in columns.items():
            low, middle, high = (
                form.format(unit * f(part[key])) for f in (np.min, np.median, np.max)
            )
            row[words] = middle if len(part) == 1 else f"{middle} ({low} to {high})"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def draw(table: pd.DataFrame, phases: dict[tuple[int, int], np.ndarray], job: Job) -> None:
    """Phases of the output and of a hidden unit from all starts of the first seed, Fig. 3 (c), and
    what is counted of all seeds."""
    first = table["seed"].iloc[0]
    figure = new_figure(5.2)
    axes = figure.subplots(2, 5, width_ratios=(1, 1, 1, 1, 1.6))
    for column, name in enumerate(INPUTS):
        for row, unit in enumerate((-1, HIDDEN)):
            panel = axes[row, column]
            for (seed, step), states in phases.items():
                if seed == first:
                    values = states[column, :, unit] / np.pi
                    panel.plot(np.full(len(values), step), values, ".", ms=2, color=BLUE)
            panel.set_ylim(-1.05, 1.05)
            panel.set_title(f"inputs {name}" if row == 0 else "", fontsize=9)
            panel.tick_params(labelleft=column == 0, labelsize=8)
            if row:
                panel.set_xlabel("step")
    for row, what in enumerate(("output", "a hidden unit")):
        axes[row, 0].set_ylabel(f"phase of {what} / π")
    for (_, part), color in zip(table.groupby("seed"), (BLUE, ORANGE, GREEN), strict=False):
        axes[0, 4].plot(part["step"], part["minima"], color=color, marker=".")
        axes[1, 4].plot(part["step"], 100 * part["right"], color=color, marker=".")
        axes[1, 4].plot(part["step"], 100 * part["right_side"], color=color, lw=0.8, ls=":")
    axes[0, 4].set_title("minima an input", fontsize=9)
    axes[0, 4].set_ylim(bottom=0)
    axes[1, 4].set_title("starts with the right output, %;\ndotted: on its side", fontsize=9)
    axes[1, 4].axhline(100, color=GREY, lw=0.5)
    axes[1, 4].set_xlabel("step")
    save_figure(figure, job.out / "result.png")
