"""What the studies of MNIST share: choices by validation, trainings, a linear classifier, pictures.

Each study has two sweeps. The trainings of ``choices.toml`` learn from 7,000 images, and what is
chosen by their 1,000 validation images stands in ``study.toml`` and ``rules.toml``; no test figure
of them is written anywhere. The trainings of ``rules.toml`` learn from all 8,000 and are told by
their 2,000 test images after the last epoch. The seed moves the split, the starting weights and the
order of images. A linear classifier (logistic regression by scikit-learn) has the same inputs, and
its strength of regularisation is chosen by the same validation images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from nepfield.learning.classes import classes_of
from nepfield.learning.tasks import Task
from studies.common import Job, Swept, fill_readme, markdown, write_csv
from studies.mnist_pictures import draw

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse strengths of regularisation that the linear classifier may have."""
FEW = {"task.train_per_class": 20}
"""Images of a trial run."""
COLUMNS = ["label", "training.rule", "seed", "test_accuracy", "accuracy", "cost"]
COLUMNS += ["gradient_cosine", "nonlinearity_ratio", "fraction_converged"]


def make(job: Job) -> pd.DataFrame:
    """One row a training; what was chosen by validation; the table of the README; a picture."""
    return evaluated(job).table


class Evaluated(NamedTuple):
    """What `make` returns, the number of test images, and the first training: its study, and its
    system as it was trained."""

    table: pd.DataFrame
    images: int
    study: Any
    system: Any


def evaluated(job: Job) -> Evaluated:
    """Do what `make` does, for studies that go on from there."""
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
    study, system = swept.trained(swept.sweep.cases[0])
    draw(study, system, job.out / "result.png")
    return Evaluated(table, images, study, system)


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
    """Mean of accuracies on so many images each, and half of its 95 % interval, as if all of them
    were different: of three random fifths of the same images 81 % are, so it is narrow by a tenth.
    """
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
