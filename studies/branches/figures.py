"""Tables and pictures of the study: `python -m studies branches`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.learning.state import CHECKPOINT
from nepfield.study.run.branching import BranchOptions, branch_study
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from nepfield.view.branches import branches_figure, plot_branches
from nepfield.view.curves import save_figure
from studies.common import STUDIES, Job, fill_readme, markdown, write_csv

LOSS = 0.1
BILLIARD = STUDIES / "xor-billiard" / "study.toml"


def make(job: Job) -> pd.DataFrame:
    """Folds that were computed, beside those of closed forms."""
    few = 60 if job.quick else 400
    rows = [*s_curve(job, few), *solitons(job, few)]
    table = pd.DataFrame(rows, columns=["case", "value", "formula", "difference"])
    write_csv(table, job.out / "folds.csv", 10)
    wells = followed(job, job.folder / "study.toml", "wells", "pump.0.weight", ("0", "0.22"))
    plot_branches(wells, job.out / "wells.png")
    billiard = followed(job, trained(job), "billiard", "detuning", ("-0.3", "0.8"), sample=1)
    plot_branches(billiard, job.out / "billiard.png")
    shown = table.assign(
        value=[f"{value:.10g}" for value in table["value"]],
        formula=[f"{value:.10g}" for value in table["formula"]],
        difference=[f"{value:.0e}" for value in table["difference"]],
    )
    special = pd.concat([specials(wells, "wells"), specials(billiard, "billiard")])
    write_csv(special, job.out / "special.csv", 8)
    digits = special.assign(value=[f"{value:.8g}" for value in special["value"]])
    fill_readme(job.out, folds=markdown(shown), special=markdown(digits))
    return table


def interval(low: float, high: float, cells: int) -> nf.Domain:
    """Equal cells with named ends."""
    domain = nf.box_mesh([(low, high)], cells)
    ends = {"left": np.array([[0]]), "right": np.array([[cells]])}
    return nf.Domain(domain.points, domain.cells, "line", {}, ends, source="interval")


def everywhere() -> nf.Pump:
    """A homogeneous drive."""
    return nf.field_pump(lambda points: np.ones(len(points)), 1.0)


def s_curve(job: Job, most: int) -> list[tuple[str, float, float, float]]:
    """The homogeneous S-curve on intervals of two lengths, and on a mesh."""
    root = np.sqrt(1 - 3 * LOSS**2)
    densities = np.array([2 - root, 2 + root]) / 3
    exact = np.sqrt(densities * ((densities - 1) ** 2 + LOSS**2))
    rows = []
    short = nf.finite_elements(interval(0, 1.5, 10), 2, dirichlet=[])
    mesh = nf.finite_elements(nf.box_mesh([(0, 1.5), (0, 1.5)], 3), 2, dirichlet=[])
    for name, space in (("interval of 1.5", short), ("square of 1.5", mesh)):
        system = nf.GPE(space, -1.0, [everywhere()], nf.Density(1.0), LOSS)
        branch = nf.follow(system, "weights.0", 0.0, 1.0, most=most)
        for k, fold in enumerate(branch.folds):
            rows.append(row(f"S-curve, {name}, fold {k + 1}", fold, exact[k]))
    long = nf.finite_elements(interval(0, 6.0, 30), 2, dirichlet=[])
    system = nf.GPE(long, -1.0, [everywhere()], nf.Density(1.0), LOSS)
    found = nf.diagram(system, "weights.0", 0.0, 0.5, most=most, most_branches=3)
    if job.quick:
        return rows
    points = np.sort(found.branches[0].branch_points)
    for point, (mode, drive) in zip(points, marginal(6.0), strict=True):
        rows.append(row(f"S-curve, interval of 6, mode {mode} marginal", point, drive))
    figure = branches_figure(found.table(), "weights.0", title="S-curve on an interval of length 6")
    save_figure(figure, job.out / "s-curve.png")
    return rows


def marginal(length: float) -> list[tuple[int, float]]:
    """Drives at which modes cos(k x) of the S-curve neither grow nor decay, in ascending order."""
    found = []
    for mode in range(1, 8):
        shift = (mode * np.pi / length) ** 2 / 2 - 1
        # n^2 = (k^2 / 2 + 2 n - Delta)^2 + gamma^2
        for density in np.roots([3.0, 4 * shift, shift**2 + LOSS**2]):
            if abs(density.imag) < 1e-12 and density.real > 0:
                n = float(density.real)
                found.append((mode, float(np.sqrt(n * ((n - 1) ** 2 + LOSS**2)))))
    return sorted(found, key=lambda each: each[1])


def solitons(job: Job, most: int) -> list[tuple[str, float, float, float]]:
    """Bright cavity solitons of the Lugiato-Lefever equation on a ring, to their fold."""
    rows = []
    for detuning in (5.0,) if job.quick else (5.0, 10.0, 20.0, 40.0):
        width = 1 / np.sqrt(2 * detuning)
        ring = nf.periodic(interval(-10 * width, 10 * width, 100), [("left", "right")])
        space = nf.finite_elements(ring, 2, dirichlet=[])
        least = np.sqrt(8 * detuning) / np.pi
        system = nf.GPE(space, detuning, [everywhere()], nf.Density(-1.0), 1.0)
        x = np.zeros(space.ndof)
        x[space.dof] = space.nodes[:, 0]
        phase = np.exp(1j * np.arccos(1 / 1.2))
        start = phase / width / np.cosh(x / width) + 1.2 * least / (1j * detuning)
        branch = nf.follow(system, "weights.0", 1.2 * least, 0.5 * least, initial=start, most=most)
        rows.append(row(f"cavity soliton, detuning {detuning:g}", branch.folds[0], least))
    return rows


def row(case: str, value: float, formula: float) -> tuple[str, float, float, float]:
    return case, float(value), float(formula), abs(float(value) - float(formula))


def trained(job: Job) -> Path:
    """The demo's run; it is trained where it is not there."""
    run = job.runs / "xor-billiard"
    if not (run / CHECKPOINT).exists():
        quick = ["training.epochs=2", "figures.enabled=false"] if job.quick else []
        train_study(load_study(BILLIARD, quick), run)
    return run


def followed(
    job: Job, path: Path, name: str, key: str, ends: tuple[str, str], sample: int = 0
) -> Path:
    """The folder of `nepfield branch`, made where it is not there."""
    out = job.runs / f"branches-{name}"
    if not (out / "summary.json").exists():
        options = BranchOptions(key, *ends, sample=sample, most=60 if job.quick else 400)
        branch_study(path, out, options)
    return out


def specials(folder: Path, name: str) -> pd.DataFrame:
    """The special points in a folder of branches."""
    table = pd.read_csv(folder / "branch.csv", keep_default_na=False)
    chosen: Any = table[table["special"] != ""]
    key = str(table.columns[1])
    return pd.DataFrame(
        {
            "case": name,
            "branch": chosen["branch"],
            "point": chosen["special"],
            "key": key,
            "value": chosen[key].astype(float),
        }
    )
