"""Maps, trainings and the picture of real-states: `python -m studies real-states`.

states.csv has a row a bin of the map, trainings.csv a row a training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import nepfield as nf
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure, tidy
from studies.common import Job, Swept, fill_readme, markdown, write_csv

from .states import grids, state_rows

BINS = (0.0, 1.0, 3.0, 10.0, 30.0, np.inf)  # of the nonlinear shift over the loss
LABELS = ("0 to 1", "1 to 3", "3 to 10", "10 to 30", "above 30")
RESONANT = 3.0  # losses from the nearest mode of the empty cavity
FEW = 10  # states in a bin; with fewer it is not drawn
NOT_REAL = ["unstable", "unreachable"]
MISSED = ("other state", "does not settle")
STEP = 0.1  # of the paper's Runge-Kutta scheme


def make(job: Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Map which states are real, and train with and without a preference for them."""
    rows = job.map(state_rows, [item for grid in grids(job.quick) for item in grid.items()])
    states = pd.DataFrame([row for part in rows for row in part])
    binned = bins(states)
    swept = job.sweep()
    trained = trainings(swept)
    write_csv(binned, job.out / "states.csv", 4)
    write_csv(trained, job.out / "trainings.csv", 4)
    save_figure(draw(binned, trained), job.out / "result.png")
    fill_readme(
        job.out,
        states=markdown(told(binned)),
        trainings=markdown(shares(trained)),
    )
    return states, trained


def bins(states: pd.DataFrame) -> pd.DataFrame:
    """A row a device, response and bin of shift and detuning."""
    found = states[states["converged"]].copy()
    found["shift"] = pd.cut(found["shift_over_loss"], BINS, labels=LABELS)
    near = found["detuning_over_loss"] < RESONANT
    found["drive"] = np.where(
        found["lowest_level"] > 0, "below all modes", np.where(near, "at a mode", "between modes")
    )
    rows = []
    keys = ["device", "response", "drive", "shift"]
    for values, part in found.groupby(keys, observed=True, sort=True):
        words, on = part["stability"], part["switch_on"]
        stable = words.isin(["proved", "stable"])
        rows.append(
            dict(zip(keys, values, strict=True))
            | {
                "states": len(part),
                "unstable": int((words == "unstable").sum()),
                "unknown": int((words == "unknown").sum()),
                "reached": int((~on.isin(MISSED)).sum()),
                "other state": int((on == "other state").sum()),
                "does not settle": int((on == "does not settle").sum()),
                "stable and missed": int((stable & on.isin(MISSED)).sum()),
                "unstable and reached": int(((words == "unstable") & ~on.isin(MISSED)).sum()),
                "contracting": int(part["contracts"].sum()),
                "contracting and missed": int((part["contracts"] & on.isin(MISSED)).sum()),
            }
        )
    return pd.DataFrame(rows)


def told(binned: pd.DataFrame) -> pd.DataFrame:
    """Shares by shift, over all detunings."""
    whole = binned.groupby(["device", "response", "shift"], observed=True, sort=False).sum(
        numeric_only=True
    )
    whole = whole.reset_index()
    whole["place"] = [LABELS.index(text) for text in whole["shift"]]
    whole = whole.sort_values(["device", "response", "place"], ascending=[False, True, True])
    missed = whole["other state"] + whole["does not settle"]
    return pd.DataFrame(
        {
            "device": whole["device"],
            "response": whole["response"],
            "shift/loss": whole["shift"],
            "states": whole["states"],
            "unstable": _percent(whole["unstable"] / whole["states"]),
            "unknown": whole["unknown"],
            "not reached": _percent(missed / whole["states"]),
            "stable, not reached": whole["stable and missed"],
            "contracting": whole["contracting"],
            "of these not reached": whole["contracting and missed"],
        }
    )


def _percent(shares: pd.Series) -> list[str]:
    return [f"{share:.0%}" for share in shares]


def trainings(swept: Swept) -> pd.DataFrame:
    """A row a training: how it ended, and where the paper's Runge-Kutta steps end."""
    rows = []
    for case, (_, result) in zip(swept.sweep.cases, swept.table().iterrows(), strict=True):
        if result["status"] != "finished":
            continue
        study, system = swept.trained(case)
        task = study.task
        wanted = nf.solve_steady(system, task.inputs, on_failure="flag", **study.solver)
        outputs = study.cost.readout.outputs(wanted.state)
        fits = bool(wanted.converged.all()) and study.cost.learnt(outputs, task.targets)
        way = nf.evolve(system, task.inputs, 100 / system.loss, dt=STEP)
        seen = study.cost.readout.outputs(way.state)
        rows.append(
            {
                "prefer": study.config.solver.prefer,
                "seed": case.seed,
                "epochs": int(result["epochs"]),
                "cost": float(result["cost"]),
                "fits": fits,
                "verdict": result["verdict"],
                "unstable": float(result["unstable"]),
                "reached": float(result.get("switch_on_reached", np.nan)),
                "switched_on_fits": bool(way.residual.max() < 1e-2)
                and study.cost.learnt(seen, task.targets),
            }
        )
    return pd.DataFrame(rows)


def shares(trained: pd.DataFrame) -> pd.DataFrame:
    """How many trainings fit, are called learnt, and work when they are switched on."""
    rows = []
    for prefer, part in trained.groupby("prefer"):
        words = part["verdict"].value_counts()
        learnt = part["verdict"] == "learnt"
        rows.append(
            {
                "solver.prefer": f'"{prefer}"',
                "trainings": len(part),
                "steady states fit": int(part["fits"].sum()),
                "of these fail when switched on": int(
                    (part["fits"] & ~part["switched_on_fits"]).sum()
                ),
                "called learnt": int(learnt.sum()),
                "of these fail": int((learnt & ~part["switched_on_fits"]).sum()),
                "other verdicts": ", ".join(
                    f"{count} {word}" for word, count in words.items() if word != "learnt"
                ),
            }
        )
    return pd.DataFrame(rows)


def draw(binned: pd.DataFrame, trained: pd.DataFrame) -> Any:
    """Unstable and missed states by shift; what became of the trainings."""
    figure = new_figure(4.2)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1))
    table = told(binned)
    for axes, column, title in (
        (left, "unstable", "unstable states"),
        (middle, "not reached", "states that a switch-on misses"),
    ):
        shown = table[table["states"] >= FEW]
        for (device, response), part in shown.groupby(["device", "response"], sort=False):
            color = BLUE if response == "density" else ORANGE
            style = "-" if device == "nine sites" else "--"
            marks = [float(text.rstrip("%")) for text in part[column]]
            axes.plot(
                part["shift/loss"], marks, style, color=color, marker="o",
                label=f"{device}, {response}",
            )  # fmt: skip
        axes.set_title(title, fontsize=11)
        axes.set_ylabel("share of steady states (%)")
        axes.set_xlabel(r"mean $|f(n)-f(0)|/\gamma$")
        axes.tick_params(axis="x", labelrotation=25)
        axes.set_ylim(-3, 103)
        tidy(axes)
    left.legend(frameon=False, fontsize=8, handlelength=3.5)
    _bars(right, trained)
    return figure


def _bars(axes: Axes, trained: pd.DataFrame) -> None:
    groups = list(trained.groupby("prefer"))
    bottom = np.zeros(len(groups))
    kinds = (
        ("learnt, and works", GREEN, lambda p: (p["verdict"] == "learnt") & p["switched_on_fits"]),
        ("learnt, but fails", RED, lambda p: (p["verdict"] == "learnt") & ~p["switched_on_fits"]),
        (
            "unstable or unreachable",
            ORANGE,
            lambda p: p["verdict"].isin(["unstable", "unreachable"]),
        ),
    )
    rest = np.array([len(part) for _, part in groups], dtype=float)
    names = [f'prefer = "{name}"' for name, _ in groups]
    for label, color, chosen in kinds:
        count = np.array([chosen(part).sum() for _, part in groups], dtype=float)
        axes.bar(names, count, 0.6, bottom=bottom, color=color, label=label)
        bottom += count
    axes.bar(names, rest - bottom, 0.6, bottom=bottom, color=GREY, alpha=0.4, label="not learnt")
    axes.set_ylabel("trainings")
    axes.set_title("trainings of nine sites", fontsize=11)
    axes.set_ylim(0, 1.45 * rest.max())
    axes.legend(frameon=False, fontsize=8, loc="upper center")
    tidy(axes)
