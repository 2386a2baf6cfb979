"""How the shape of a cavity decides what it can learn: `python -m studies shape-billiard`.

results.csv has a row a case, statistics.csv a row a shape. Success is decided on the state after
the last epoch, as sweep.toml says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse.linalg as sla
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import nepfield as nf
from nepfield.study.sweeps.design import Case
from nepfield.systems.gpe import GPE
from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure, tidy
from nepfield.view.opengl import PicturesUnavailable
from nepfield.view.sheets import plot_sheet
from studies.common import Job, Row, Swept, code, fill_readme, markdown, write_csv

FOLDER = Path(__file__).parent
SOLVED = 0.02  # cost; this and the next two as sweep.toml has them
NEAREST = 0.9  # an output within 0.1 of the target 1 is at least this
TRUSTED = 0.9  # cosine
LOWEST = -0.4  # the lower bound of V in the study
QUICK = 45  # a trial run does each so manieth case


@dataclass(frozen=True)
class Family:
    """Shapes with one parameter.

    Attributes
    ----------
    name, title : str
        The name is the stem of the .geo file.
    parameter, label : str
    color : str
    """

    name: str
    title: str
    parameter: str
    label: str
    color: str


FAMILIES = (
    Family("chambers", "two chambers, 4 x 4", "opening", "width of the opening", BLUE),
    Family("annulus", "ring, outer radius 3.4", "hole_radius", "radius of the hole", ORANGE),
    Family("stadium", "stadium, radius 2", "length", "length of the straight walls", GREEN),
)
BY_NAME = {family.name: family for family in FAMILIES}
EXACT = "#6a4fa3"


def lowest_level(space: nf.Space) -> float:
    """Lowest eigenvalue of -1/2 Laplacian with the space's walls."""
    return float(sla.eigsh(space.kinetic.tocsc(), k=1, M=space.mass.tocsc(), sigma=0.0)[0][0])


def reach(system: GPE, cost: nf.MSE) -> float:
    """Output for the weaker input with V at its lower bound everywhere.

    Below the lowest mode the Green's function of -1/2 Laplacian + V is positive, and falls where V
    rises anywhere; so without loss and nonlinearity no landscape within the bounds gives more.
    """
    assert system.potential.bounds is not None
    lowest = np.full_like(system.potential.values, system.potential.bounds[0])
    opened = system.with_parameters({"potential": lowest})
    state = nf.solve_steady(opened, np.eye(system.pumps.ninputs)).state
    return float(cost.readout.outputs(state).min())


def shape_row(swept: Swept, case: Case) -> Row:
    """What can be said of a case besides its results: its shape, before and after training."""
    study, system = swept.trained(case)
    domain = study.config.domain
    family = BY_NAME[domain.geometry.stem]
    bounds = study.system.potential.bounds
    level = lowest_level(study.system.space)
    return {
        "family": family.name,
        "parameter": family.parameter,
        "value": domain.parameters[family.parameter],
        "rule": study.config.training.rule,
        "lowest_level": level,
        "reach": reach(study.system, study.cost) if level + bounds[0] > 0 else np.nan,
        "open": float(np.mean(system.potential.values < bounds[0] + 0.01)),
    }


def case_table(swept: Swept) -> pd.DataFrame:
    """One row a finished case, in the order of the sweep."""
    rows = []
    for case, result in zip(swept.sweep.cases, swept.table().to_dict("records"), strict=True):
        if result["status"] != "finished":
            print(f"left out: case {case.number}, {result['status']} {result['error']}")
            continue
        row = shape_row(swept, case)
        last = {"open": row.pop("open"), "seed": case.seed}
        rows.append(
            row
            | {"lowest_cosine": result["lowest_cosine"]}
            | last
            | {name: float(result[name]) for name in ("cost", "largest_error")}
            | {"cosine": float(result["gradient_cosine"]), "solved": bool(result["success"])}
        )
    return pd.DataFrame(rows)


def statistics(table: pd.DataFrame) -> pd.DataFrame:
    """One row a shape and rule: seeds solved, and median, least and greatest over the seeds."""
    rows = []
    for names, part in table.groupby(["family", "parameter", "value", "rule"], sort=False):
        row = dict(zip(("family", "parameter", "value", "rule"), names, strict=True))
        row |= {"lowest_level": part["lowest_level"].iloc[0]}
        row |= {"seeds": len(part), "solved": int(part["solved"].sum())}
        for name in ("cost", "reach", "cosine", "lowest_cosine", "open"):
            row |= {f"{name}_{of}": part[name].agg(of) for of in ("median", "min", "max")}
        rows.append(row)
    return pd.DataFrame(rows)


def statistics_text(stats: pd.DataFrame) -> str:
    """`statistics` as a table for the README."""

    def spread(row: pd.Series, name: str, digits: str) -> str:
        low, middle, high = (row[f"{name}_{of}"] for of in ("min", "median", "max"))
        if not np.isfinite(middle):
            return "-"
        return f"{middle:{digits}} ({low:{digits}} to {high:{digits}})"

    rows = [
        {
            "shape": f"{row['family']}, {row['parameter']} {row['value']:g}",
            "rule": f"`{row['rule']}`",
            "lowest level": f"{row['lowest_level']:.3f}",
            "reach": spread(row, "reach", ".2g"),
            "seeds solved": f"{row['solved']} of {row['seeds']}",
            "final cost": spread(row, "cost", ".4f"),
            "lowest cosine": spread(row, "lowest_cosine", ".3f"),
            "V open": f"{100 * row['open_median']:.0f} %",
        }
        for _, row in stats.iterrows()
    ]
    return markdown(pd.DataFrame(rows))


def draw_results(table: pd.DataFrame, path: Path) -> Path:
    """Cost, reach and cosine against the parameter of each family."""
    figure = new_figure(9.6)
    axes = figure.subplots(3, 3, sharex="col", sharey="row")
    for column, family in enumerate(FAMILIES):
        for rule, part in table[table["family"] == family.name].groupby("rule", sort=False):
            color = family.color if rule == "nep" else EXACT
            _seeds(axes[0, column], part, "cost", color)
            _seeds(axes[2, column], part, "lowest_cosine", color)
            if rule == "nep":
                _seeds(axes[1, column], part, "reach", color)
        axes[0, column].set_title(family.title, fontsize=11)
        axes[2, column].set_xlabel(f"{family.label} (mesh units)")
        for axis, limit in zip(axes[:, column], (SOLVED, NEAREST, TRUSTED), strict=True):
            axis.axhline(limit, color=GREY, lw=1, ls="--")
            _shade(axis, table[table["family"] == family.name])
            tidy(axis)
    axes[0, 0].set_yscale("log")
    axes[1, 0].set_yscale("log")
    axes[1, 0].set_ylim(bottom=1e-8)
    axes[0, 0].set_ylabel("cost after the last epoch")
    axes[1, 0].set_ylabel(r"reach: $|\Psi|^2$ in the output, V open")
    axes[2, 0].set_ylabel("lowest cosine in training")
    handles = [
        Line2D([], [], marker="o", ls="", color=GREY, label="solved"),
        Line2D([], [], marker="o", ls="", color=GREY, mfc="white", label="not solved"),
        Line2D([], [], color=EXACT, label="exact gradient"),
    ]
    axes[0, 2].legend(handles=handles, fontsize=8, loc="center left", frameon=False)
    figure.suptitle(
        "XOR in three families of cavities; five seeds each, lines: medians, dashed: limits of "
        "success\ngrey: V can sink so far that the drive meets a mode",
        fontsize=11,
    )
    return save_figure(figure, path)


def _seeds(axis: Axes, part: pd.DataFrame, field: str, color: str) -> None:
    median = part.groupby("value")[field].median()
    axis.plot(median.index, median, color=color, lw=1.4)
    for solved, face in ((True, color), (False, "white")):
        some = part[part["solved"] == solved]
        axis.plot(some["value"], some[field], "o", color=color, mfc=face, ms=4, mew=0.9)


def _shade(axis: Axes, part: pd.DataFrame) -> None:
    """Where the lowest mode lies above what the bounds can shift it by, in parameter values."""
    resonant = part.loc[part["reach"].isna(), "value"]
    others = part.loc[part["reach"].notna(), "value"]
    if len(resonant) and len(others):
        if resonant.mean() > others.mean():
            axis.axvspan(
                (resonant.min() + others.max()) / 2, resonant.max(), color=GREY, alpha=0.12
            )
        else:
            axis.axvspan(
                resonant.min(), (resonant.max() + others.min()) / 2, color=GREY, alpha=0.12
            )


def draw_mechanism(table: pd.DataFrame, path: Path) -> Path:
    """All cases on two axes that know nothing of the shape but its reach and its lowest level."""
    figure = new_figure(4.6)
    left, right = figure.subplots(1, 2)
    for family in FAMILIES:
        for rule, part in table[table["family"] == family.name].groupby("rule", sort=False):
            color = family.color if rule == "nep" else EXACT
            label = family.title if rule == "nep" else f"{family.name}, exact gradient"
            for solved, face in ((True, color), (False, "white")):
                some = part[part["solved"] == solved]
                style = {"marker": "o", "ls": "", "color": color, "mfc": face, "ms": 4}
                if rule == "nep":  # with the exact gradient a point would hide that of NEP
                    left.plot(some["reach"], some["cost"], **style)
                gap = some["lowest_level"] + LOWEST
                right.plot(gap, some["lowest_cosine"], label=label if solved else None, **style)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlim(left=1e-8)
    left.axvline(NEAREST, color=RED, lw=1, ls="--")
    left.axhline(SOLVED, color=GREY, lw=1, ls="--")
    left.set_xlabel(r"reach: $|\Psi|^2$ in the output for the weaker input, V open")
    left.set_ylabel("cost after the last epoch")
    left.set_title("too closed: no landscape carries enough of the wave", fontsize=10)
    right.axvline(0, color=RED, lw=1, ls="--")
    right.axhline(TRUSTED, color=GREY, lw=1, ls="--")
    right.set_xlabel(f"lowest level of the empty cavity, less {-LOWEST:g} (units of energy)")
    right.set_ylabel("lowest cosine of the gradient in training")
    right.set_title("too open: the drive meets a mode, and NEP errs", fontsize=10)
    right.legend(fontsize=8, frameon=False)
    for axis in (left, right):
        tidy(axis)
    return save_figure(figure, path)


def corrected_table(job: Job) -> pd.DataFrame:
    """The long stadiums with rules that correct themselves, one row a training."""
    swept = job.sweep("corrected.toml", trial=lambda case: case.number % QUICK == 0)
    table = swept.table()
    length = table["domain.parameters.length"].astype(float)
    columns = ["seed", "cost", "largest_error", "gradient_cosine", "lowest_cosine"]
    shown = table[columns].astype(float)
    shown.insert(0, "rule", table["label"])
    shown.insert(1, "length", length)
    return shown.assign(seed=table["seed"].astype(int), solved=table["success"].astype(bool))


def corrected_text(table: pd.DataFrame) -> str:
    """Seeds solved by length and rule."""
    rows = []
    for rule, part in table.groupby("rule", sort=False):
        by_length = part.groupby("length")["solved"].agg(["sum", "size"])
        row = {"rule": code(rule)}
        row |= {f"length {n:g}": f"{k} of {m}" for n, (k, m) in by_length.iterrows()}
        row["all"] = f"{part['solved'].sum()} of {len(part)}"
        row["lowest cosine, median (least)"] = (
            f"{part['lowest_cosine'].median():.3f} ({part['lowest_cosine'].min():.2f})"
        )
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def make(job: Job) -> pd.DataFrame:
    """One row a case."""
    swept = job.sweep(trial=lambda case: case.number % QUICK == 0)
    table = case_table(swept)
    stats = statistics(table)
    write_csv(table, job.out / "results.csv")
    write_csv(stats, job.out / "statistics.csv")
    draw_results(table, job.out / "results.png")
    draw_mechanism(table, job.out / "mechanism.png")
    try:
        plot_sheet(swept.out, job.out / "potential.png", "potential")
    except PicturesUnavailable as problem:
        print(f"no potential.png: {problem}")
    fill_readme(job.out, statistics=statistics_text(stats))
    corrected = corrected_table(job)
    write_csv(corrected, job.out / "corrected.csv")
    fill_readme(job.out, corrected=corrected_text(corrected))
    counts = table.groupby(["family", "rule"], sort=False)["solved"].agg(["sum", "size"])
    for names, (solved, size) in zip(counts.index, counts.to_numpy(), strict=True):
        print(f"{', '.join(names)}: {solved} of {size} solved")
    return table
