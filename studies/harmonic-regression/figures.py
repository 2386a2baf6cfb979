"""Tables and pictures of the study: `python -m studies harmonic-regression`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nepfield.view.curves import new_figure, save_figure
from nepfield.view.opengl import PicturesUnavailable
from nepfield.view.render import render_run
from studies.common import Job, Swept, fill_readme, markdown, write_csv

HBAR = "physics.hbar"


def make(job: Job) -> dict[str, pd.DataFrame]:
    """One row a training; medians by hbar; the same training by both methods, and its picture."""
    swept = job.sweep()
    table = trainings(swept)
    write_csv(table, job.out / "seeds.csv", 6)
    mesh = job.sweep("mesh.toml", trial=lambda case: True)
    methods = by_method(mesh)
    write_csv(methods, job.out / "methods.csv", 12)
    draw(swept, table, job)
    draw_density(mesh, job.out / "density.png")
    fill_readme(job.out, seeds=summary(table), methods=methods_text(methods))
    return {"seeds": table, "methods": methods}


def trainings(swept: Swept) -> pd.DataFrame:
    """Cost before and after, and its two parts, of every training."""
    rows = []
    for case in swept.sweep.cases:
        told = json.loads((swept.folder(case) / "summary.json").read_text())
        before = swept.history(case)["cost"].iloc[0]
        springs = np.array(told["stiffness"])
        rows.append(
            {
                "hbar": case.values[HBAR],
                "seed": case.seed,
                "before": before,
                "cost": told["cost"],
                "ratio": told["cost"] / before,
                "means": told["cost_of_means"],
                "zero_point": told["cost_zero_point"],
                "cosine": told["gradient_cosine"],
                "least_k": springs.min(),
                "greatest_k": springs.max(),
                "seconds": told["seconds"],
            }
        )
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> str:
    """Median (least to greatest) over the seeds, by hbar."""

    def spread(values: pd.Series) -> str:
        return f"{values.median():.2g} ({values.min():.2g} to {values.max():.2g})"

    rows: list[dict[str, Any]] = []
    for hbar, part in table.groupby("hbar"):
        rows.append(
            {
                "hbar": f"{hbar:g}",
                "cost before": spread(part["before"]),
                "cost after": spread(part["cost"]),
                "after / before": spread(part["ratio"]),
                "of the means": spread(part["means"]),
                "zero-point part": spread(part["zero_point"]),
                "largest spring": f"{part['greatest_k'].median():.2g}",
                "least cosine": f"{part['cosine'].min():.6f}",
            }
        )
    return markdown(pd.DataFrame(rows))


def by_method(swept: Swept) -> pd.DataFrame:
    """The same training by the Gaussian and on the mesh, and energies at the trained springs."""
    rows = []
    for case in swept.sweep.cases:
        study, system = swept.trained(case)
        told = json.loads((swept.folder(case) / "summary.json").read_text())
        energy = system.equilibrate(study.task.inputs).extra["energy"]
        rows.append(
            {
                "method": case.label,
                "cost": told["cost"],
                "cost_of_means": told["cost_of_means"],
                "cost_zero_point": told["cost_zero_point"],
                "mean_energy": energy.mean(),
                "unknowns": told["unknowns"],
                "seconds": told["seconds"],
                **{f"k_{n}": k for n, k in enumerate(told["stiffness"])},
            }
        )
    return pd.DataFrame(rows)


def methods_text(table: pd.DataFrame) -> str:
    """Costs, energies and springs of both methods."""
    springs = [name for name in table if name.startswith("k_")]
    rows = [
        {
            "method": f"`{row['method']}`",
            "unknowns": row["unknowns"],
            "cost": f"{row['cost']:.6f}",
            "of the means": f"{row['cost_of_means']:.6f}",
            "zero-point part": f"{row['cost_zero_point']:.6f}",
            "mean energy": f"{row['mean_energy']:.6f}",
            "springs": ", ".join(f"{row[name]:.4f}" for name in springs),
            "seconds": f"{row['seconds']:.1f}",
        }
        for _, row in table.iterrows()
    ]
    return markdown(pd.DataFrame(rows))


def draw(swept: Swept, table: pd.DataFrame, job: Job) -> None:
    """Costs along training, and what they are made of at its end."""
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2)
    colours = dict(zip(sorted(table["hbar"].unique()), ("k", "C0", "C1", "C3"), strict=False))
    for case in swept.sweep.cases:
        history, hbar = swept.history(case), case.values[HBAR]
        label = rf"$\hbar = {hbar:g}$" if case.seed == swept.sweep.cases[0].seed else None
        left.semilogy(history["epoch"], history["cost"], color=colours[hbar], lw=0.8, label=label)
    left.set(xlabel="epoch", ylabel="cost", ylim=(1e-12, 1))
    left.legend(fontsize=8)
    for part, marker in (("means", "o"), ("zero_point", "^")):
        some = table[table["hbar"] > 0]
        label = "of the means" if part == "means" else "zero-point part"
        right.loglog(some["hbar"], some[part], marker, ms=4, mfc="none", label=label)
    right.set(xlabel=r"$\hbar$", ylabel="cost after training")
    right.legend(fontsize=8)
    save_figure(figure, job.out / "result.png")


def draw_density(swept: Swept, output: Path) -> None:
    """The densities of the ground states on the mesh, where this machine can render."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            drawn = render_run(swept.folder(swept.case("mesh")), Path(folder))
        except PicturesUnavailable as problem:
            print(problem)
            return
        shutil.copyfile(next(path for path in drawn if path.stem == "density"), output)
