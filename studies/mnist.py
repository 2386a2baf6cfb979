"""What the studies of MNIST share: choices by validation, trainings, a linear classifier, pictures.

Each study has two sweeps. The trainings of ``choices.toml`` learn from 7,000 images, and what is
chosen by their 1,000 validation images stands in ``study.toml`` and ``rules.toml``; no test figure
of them is written anywhere. The trainings of ``rules.toml`` learn from all 8,000 and are told by
their 2,000 test images after the last epoch. The seed moves the split, the starting weights and the
order of images. A linear classifier (logistic regression by scikit-learn) has the same inputs, and
its strength of regularisation is chosen by the same validation images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.linear_model import LogisticRegression

from nepfield.learning.classes import classes_of
from nepfield.learning.tasks import Task
from nepfield.space.space import Space
from nepfield.systems.gpe_fields import per_element
from nepfield.systems.system import solve_steady
from nepfield.view.curves import new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse strengths of regularisation that the linear classifier may have."""
FEW = {"task.train_per_class": 20}
"""Images of a trial run."""
COLUMNS = ["label", "training.rule", "seed", "test_accuracy", "accuracy", "cost"]
COLUMNS += ["gradient_cosine", "nonlinearity_ratio", "fraction_converged"]


def make(job: Job) -> pd.DataFrame:
    """One row a training; what was chosen by validation; the table of the README; a picture."""
    return evaluated(job)[0]


def evaluated(job: Job) -> tuple[pd.DataFrame, int]:
    """The same, and how many test images there are."""
    if (job.folder / "choices.toml").exists():
        choices = job.sweep("choices.toml", few=FEW).table()
        rows = choices[[name for name in choices if not name.startswith(("test", "best_test"))]]
        kept = [name for name in _of_choices(rows) if name in rows]
        write_csv(rows[kept], job.out / "choices.csv", 5)
    swept = job.sweep("rules.toml", few=FEW)
    table = swept.table()
    table = table[[name for name in COLUMNS if name in table]].rename(
        columns={"training.rule": "rule"}
    )
    linear = {
        seed: linear_classifier(task_of(swept, seed), chosen_strength(swept, seed))
        for seed in dict.fromkeys(table["seed"])
    }
    table["linear"] = table["seed"].map(linear)
    write_csv(table, job.out / "rules.csv", 5)
    images = len(task_of(swept, table["seed"].iloc[0]).sets()["test"][0])
    fill_readme(job.out, results=summary(table, images))
    draw(swept, job)
    return table, images


def _of_choices(table: pd.DataFrame) -> list[str]:
    """The columns of choices.csv: what was varied, and how good it was."""
    varied = [name for name in table if "." in name]
    names = ["validation_accuracy", "validation_cost", "accuracy", "cost", "gradient_cosine"]
    return ["label", *varied, "seed", "status", *names, "nonlinearity_ratio"]


# -- what it is compared with -------------------------------------------------------------


def task_of(swept: Swept, seed: int, validation: bool = False) -> Task:
    """The samples of a seed; with the validation samples apart, as choices are made."""
    config = swept.sweep.config(next(c for c in swept.sweep.cases if c.seed == seed)).task
    joined = None if validation else config.train_with_validation
    found: Task = config.model_copy(update={"train_with_validation": joined}).build(seed)
    return found


def chosen_strength(swept: Swept, seed: int) -> float:
    """The strength that is best on the validation samples."""
    sets = task_of(swept, seed, validation=True).sets()
    if "validation" not in sets:
        return STRENGTHS[1]
    x, y = sets["validation"]
    accuracies = [_fitted(sets["train"], C).score(x, classes_of(y)) for C in STRENGTHS]
    return STRENGTHS[int(np.argmax(accuracies))]


def linear_classifier(task: Task, strength: float) -> float:
    """Test accuracy of logistic regression."""
    x, y = task.sets()["test"]
    return float(_fitted(task.sets()["train"], strength).score(x, classes_of(y)))


def _fitted(samples: tuple[np.ndarray, np.ndarray], strength: float) -> LogisticRegression:
    inputs, targets = samples
    return LogisticRegression(C=strength, max_iter=1000).fit(inputs, classes_of(targets))


# -- the table ----------------------------------------------------------------------------


def summary(table: pd.DataFrame, images: int = 2000) -> str:
    """What the README tells: a row a rule (and label), a column a seed, the mean with a 95 %
    interval: that of the share of right answers, over the test images of all seeds, each of which
    has so many."""
    seeds = list(dict.fromkeys(table["seed"]))
    keys = [key for key in ("label", "rule") if key in table]
    rows: list[list[Any]] = []
    for names, part in table.groupby(keys, sort=False):
        values = part.set_index("seed")["test_accuracy"].astype(float)
        cosine = part["gradient_cosine"].astype(float).mean()
        ratio = part["nonlinearity_ratio"].astype(float).mean()
        rows.append([*names, *told(values, seeds, images), f"{cosine:.3f}", f"{ratio:.2f}"])
    values = table.drop_duplicates("seed").set_index("seed")["linear"].astype(float)
    linear = ["linear classifier", *[""] * (len(keys) - 1)]
    rows.append([*linear, *told(values, seeds, images), "", ""])
    columns = [*keys, *(f"seed {k}" for k in seeds), "mean", "cosine", "g n/gamma"]
    return markdown(pd.DataFrame(rows, columns=columns))


def interval(values: pd.Series, images: int) -> tuple[float, float]:
    """Mean of accuracies on so many images each, and half of its 95 % interval."""
    known = values.dropna()
    mean = float(known.mean())
    return mean, float(1.96 * np.sqrt(mean * (1 - mean) / (images * max(len(known), 1))))


def told(values: pd.Series, seeds: list[int], images: int) -> list[str]:
    """The accuracy of each seed and the mean with its interval, in percent."""
    mean, half = interval(values, images)
    each = [
        f"{100 * values[k]:.1f} %" if np.isfinite(values.get(k, np.nan)) else "-" for k in seeds
    ]
    return [*each, f"{100 * mean:.1f} ± {100 * half:.1f} %"]


# -- the picture --------------------------------------------------------------------------

MAPS = ("viridis", "RdBu_r", "inferno")
WALLS = 10.0
"""From here on V is a wall between cells, not what was learnt."""


def draw(swept: Swept, job: Job) -> None:
    """V, the weights of the pumps, and the density for a test image of each class."""
    study, system = swept.trained(swept.sweep.cases[0])
    inputs, targets = study.task.sets()["test"]
    classes = classes_of(targets)
    assert classes is not None
    first = [int(np.flatnonzero(classes == k)[0]) for k in range(targets.shape[1])]
    steady = solve_steady(system, inputs[first], on_failure="flag", **study.solver)
    space = system.space
    density = np.abs(space.at_nodes(steady.state)) ** 2
    names = study.config.task.classes or range(targets.shape[1])
    weights = per_element(space, system.pumps.image @ system.pumps.weights)
    high = float(np.quantile(density, 0.999))
    potential = per_element(space, system.potential.at_points())
    inside = potential[potential < WALLS]
    title = f"$V$ ({inside.min():.2g} to {inside.max():.2g})"
    large = float(np.abs(weights).max())
    panels = [
        (np.minimum(potential, inside.max()), title, MAPS[0], None),
        (weights, rf"$w$ ($\pm${large:.2g})", MAPS[1], large),
        *((density[:, k], str(names[k]), MAPS[2], high) for k in range(len(first))),
    ]
    width, height = np.ptp(space.domain.points, axis=0) + space.is_graph
    columns = 1 if width > 5 * height else 3
    rows = -(-len(panels) // columns)
    figure = new_figure(0.5 + rows * (9.6 / columns * height / width + 0.1), 10.0)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (values, label, colors, largest) in zip(axes, panels, strict=False):
        low = None if largest is None else -largest if colors == MAPS[1] else 0.0
        _panel(axis, space, values, cmap=colors, vmin=low, vmax=largest)
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.set_aspect("equal")
        axis.set_xticks([])
        axis.set_yticks([])
        if space.is_graph:
            sites = space.points[study.cost.readout.profiles.indices]
            edge = "black" if colors == MAPS[1] else "white"
            axis.plot(*sites.T, "s", mfc="none", mec=edge, ms=2, mew=0.5)
        else:
            axis.axis(False)
            axis.set_title(label, fontsize=8, pad=2)
            read = [space.domain.regions[name] for name in study.config.readout.regions or ()]
            centers = [space.nodes[space.elements[cells]].mean(axis=(0, 1)) for cells in read]
            edge = "black" if colors == MAPS[1] else "white"
            axis.plot(*np.array(centers).T, "o", mfc="none", mec=edge, ms=5, mew=0.6)
    figure.supxlabel(f"density for an image of each digit: 0 to {high:.2g}", fontsize=8)
    save_figure(figure, job.out / "result.png", colormaps=MAPS)


def _panel(axis: Axes, space: Space, values: np.ndarray, **colors: Any) -> None:
    """A field on a lattice, y upwards, or on a mesh of triangles; of nodes or of elements."""
    if space.is_graph:
        shape = tuple(np.rint(space.points[:, ::-1].max(axis=0)).astype(int) + 1)
        axis.imshow(values.reshape(shape), origin="lower", interpolation="nearest", **colors)
    elif len(values) == len(space.nodes):
        parts = [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]  # corners, then middles 01, 12, 20
        triangles = np.concatenate([space.elements[:, part] for part in parts])
        axis.tripcolor(*space.nodes.T, triangles, values, shading="gouraud", **colors)
    else:
        axis.tripcolor(*space.nodes.T, space.elements[:, :3], facecolors=values, **colors)
