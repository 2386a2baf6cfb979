"""Tables and pictures of the study: `python -m studies six-systems`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nepfield.study.run.build import build
from nepfield.systems.system import trained
from nepfield.view.curves import new_figure, save_figure
from nepfield.view.opengl import PicturesUnavailable
from nepfield.view.render import render_run
from studies.common import Job, Swept, fill_readme, markdown, write_csv

SYSTEMS = ("wave", "oscillators", "ising", "elastic", "quantum-spins", "quantum-oscillators")
TASKS = {"and": 0.3, "xor": 0.3, "regression": 0.1}
"""The largest error of a training that counts as solved, over the range of the targets."""
STATES = {"ep": 2, "nep": 2}  # a sample and epoch; symmetric rules take three


def make(job: Job) -> pd.DataFrame:
    """One row a training; medians by system and task; curves, and a picture a system."""
    swept = {
        name: job.sweep(f"{name}.toml")
        for name in SYSTEMS
        if (job.folder / f"{name}.toml").exists()
    }
    table = pd.concat([trainings(name, sweep) for name, sweep in swept.items()], ignore_index=True)
    write_csv(table, job.out / "trainings.csv", 5)
    draw(swept, job)
    for name, sweep in swept.items():
        picture(sweep, job.out / f"{name}.png")
    fill_readme(job.out, results=summary(table))
    return table


def errors(history: pd.DataFrame, targets: np.ndarray) -> np.ndarray:
    """Error before each epoch's step over the range of the targets: the largest one, or of phases
    the root of the mean square."""
    if "largest_error" in history:
        found = history["largest_error"].to_numpy()
    else:
        found = np.arccos(np.clip(1 - history["mean_distance"].to_numpy(), -1, 1))
    return found / np.ptp(targets)


def trainings(name: str, swept: Swept) -> pd.DataFrame:
    """What became of each training of a system."""
    rows: list[dict[str, Any]] = []
    for case in swept.sweep.cases:
        told = json.loads((swept.folder(case) / "summary.json").read_text())
        study = build(swept.sweep.config(case), swept.out / "meshes")
        outputs, targets = np.array(told["outputs"], dtype=float), np.array(told["targets"])
        history, off = swept.history(case), outputs - targets
        if "mean_distance" in history:  # phases
            off = np.angle(np.exp(1j * off))
        error = float(np.abs(off).max() / np.ptp(targets))
        limit = TASKS[case.label]
        (before,) = np.nonzero(errors(history, targets) <= limit)
        solved = error <= limit
        epochs = int(before[0]) if solved and len(before) else len(history) if solved else None
        rule = study.config.training.rule
        parameters = sum(
            int(np.count_nonzero(np.broadcast_to(p.trainable, p.values.shape)))
            for p in trained(study.system).values()
        )
        states = len(targets) * STATES.get(rule, 3)
        rows.append(
            {
                "system": name,
                "task": case.label,
                "seed": case.seed,
                "parameters": parameters,
                "rule": rule,
                "solved": solved,
                "error": error,
                "epochs": len(history),
                "epochs_to_solved": epochs,
                "equilibria_to_solved": None if epochs is None else epochs * states,
                "seconds": told["seconds"],
                "cosine": told.get("gradient_cosine", np.nan),
            }
        )
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> str:
    """How many seeds are solved, and medians over the seeds."""
    rows = []
    for (system, task), part in table.groupby(["system", "task"], sort=False):
        done = part[part["solved"]]
        cosine = pd.to_numeric(part["cosine"])
        rows.append(
            {
                "system": system,
                "task": task,
                "parameters": part["parameters"].iloc[0],
                "rule": f"`{part['rule'].iloc[0]}`",
                "solved": f"{len(done)} of {len(part)}",
                "error": f"{part['error'].median():.2g} ({part['error'].min():.2g} to "
                f"{part['error'].max():.2g})",
                "epochs": _median(done["epochs_to_solved"]),
                "equilibria": _median(done["equilibria_to_solved"]),
                "seconds": f"{part['seconds'].median():.1f}",
                "cosine": "-" if cosine.isna().all() else f"{cosine.median():.4f}",
            }
        )
    return markdown(pd.DataFrame(rows))


def _median(values: pd.Series) -> str:
    return f"{pd.to_numeric(values).median():.0f}" if len(values) else "-"


def draw(swept: dict[str, Swept], job: Job) -> None:
    """The median error of each system and task along training."""
    figure = new_figure(2.6 * (1 + (len(swept) > 3)))
    panels = figure.subplots(1 + (len(swept) > 3), min(len(swept), 3), sharey=True, squeeze=False)
    for axes, (name, sweep) in zip(panels.ravel(), swept.items(), strict=False):
        for task, limit in TASKS.items():
            curves = []
            for case in sweep.sweep.cases:
                if case.label == task:
                    told = json.loads((sweep.folder(case) / "summary.json").read_text())
                    curves.append(errors(sweep.history(case), np.array(told["targets"])))
            if curves:
                (line,) = axes.semilogy(np.median(curves, axis=0), label=task)
                axes.axhline(limit, color=line.get_color(), lw=0.6, ls=":")
        axes.set(title=name, xlabel="epoch", ylim=(1e-3, 2))
    panels[0, 0].set_ylabel("error / range of targets")
    panels[0, 0].legend(fontsize=7)
    for axes in panels.ravel()[len(swept) :]:
        axes.set_axis_off()
    save_figure(figure, job.out / "result.png")


def picture(swept: Swept, output: Path) -> None:
    """The first picture of one trained device, where this machine can render."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            drawn = render_run(swept.folder(swept.case("and")), Path(folder))
        except PicturesUnavailable as problem:
            print(problem)
            return
        shutil.copyfile(drawn[0], output)
