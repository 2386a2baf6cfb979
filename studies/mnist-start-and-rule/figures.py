"""Tables and picture of the study: `python -m studies mnist-start-and-rule`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nepfield.learning.gradients import gradient
from nepfield.view.curves import new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv
from studies.mnist import FEW, interval

BASE = "as in the study"
IMAGES = 480
"""Of which the gradients are compared."""


def make(job: Job) -> pd.DataFrame:
    """A row a training, told by its validation images; where the signs of NEP's gradient are
    right."""
    swept = job.sweep(few=FEW)
    table = swept.table()
    columns = ["label", "seed", "status", "validation_accuracy", "accuracy", "cost"]
    columns += ["gradient_cosine", "nonlinearity_ratio", "unstable", "fraction_converged"]
    table = table[[name for name in columns if name in table]]
    write_csv(table, job.out / "sweep.csv", 5)
    rows = []
    for label, part in table.groupby("label", sort=False):
        done = part[part["status"] == "finished"]
        mean, half = interval(done["validation_accuracy"].astype(float), 1000)
        rows.append(
            (
                label,
                f"{100 * mean:.1f} ± {100 * half:.1f} %",
                f"{done['gradient_cosine'].astype(float).mean():.3f}",
                f"{done['nonlinearity_ratio'].astype(float).mean():.2f}",
                len(done),
            )
        )
    told = ["", "validation accuracy", "cosine", "g n/gamma", "seeds"]
    signs = signs_by_distance(swept, BASE)
    write_csv(signs, job.out / "signs.csv", 4)
    fill_readme(job.out, results=markdown(pd.DataFrame(rows, columns=told)))
    draw(signs, job)
    return table


def signs_by_distance(swept: Swept, label: str) -> pd.DataFrame:
    """Where the gradient by `nep` has the sign of the exact one, by the distance from the readout.

    Columns: ``distance`` in sites, ``potential`` and ``weights``, the shares of V and w whose sign
    is right, ``strength``, the mean size of the exact gradient for V, and ``phase``, that of the
    response to the nudge against its value in the readout (degrees, mean by intensity).
    """
    study, system = swept.trained(swept.case(label))
    ny, nx = (int(v) for v in study.config.pump[0].cell)
    x, y = system.space.points.T
    column, row = x % nx - nx // 2, y % ny - ny // 2
    distance = np.rint(np.hypot(column, row)).astype(int)
    inputs, targets = study.task.inputs[:IMAGES], study.task.targets[:IMAGES]
    by_nep, exact = (
        gradient(system, study.cost, inputs, targets, rule, tolerance=1e-8)
        for rule in ("nep", "adjoint")
    )
    response = by_nep.response
    own = study.cost.readout.profiles.indices[(x // nx).astype(int)]  # the readout of each cell
    turned = response * response[own].conj()
    phase = np.abs(np.angle(turned, deg=True))
    power = np.abs(turned)
    right = {
        name: np.sign(by_nep.params[name]) == np.sign(exact.params[name])
        for name in ("potential", "weights")
    }
    rows = []
    for value in np.unique(distance):
        here = distance == value
        rows.append(
            {
                "distance": int(value),
                **{name: share[here].mean() for name, share in right.items()},
                "strength": np.abs(exact.params["potential"][here]).mean(),
                "phase": np.average(phase[here], weights=power[here]),
            }
        )
    return pd.DataFrame(rows)


def draw(signs: pd.DataFrame, job: Job) -> None:
    """Shares of right signs, and the phase of the response, against the distance."""
    figure = new_figure(2.8, 7.0)
    left, right = figure.subplots(1, 2)
    for name, label in (("potential", "$V$"), ("weights", "$w$")):
        left.plot(signs["distance"], 100 * signs[name], "o-", ms=3, label=label)
    left.axhline(50, color="0.6", lw=0.8, ls=":")
    left.set_ylabel("signs as of the exact gradient (%)")
    left.legend(frameon=False)
    right.plot(signs["distance"], signs["phase"], "o-", ms=3, color="C2")
    right.set_ylabel("phase of the response (degrees)")
    for axis in (left, right):
        axis.set_xlabel("distance from the readout (sites)")
    save_figure(figure, job.out / "result.png")
