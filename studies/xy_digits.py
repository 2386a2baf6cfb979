"""Tables and pictures that the studies of digits by phase oscillators share.

What they are compared with has the same images: a linear classifier, the least squares of one-hot
targets, and a neural network (logistic units, softmax, cross-entropy, Adam, 100 epochs in batches
of 10, as in the paper's appendix B), both by scikit-learn.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier

from nepfield.keys import Keys
from nepfield.learning.classes import classes_of
from nepfield.learning.evaluation import evaluate
from nepfield.learning.tasks import Task
from nepfield.study.sweeps.design import Case
from nepfield.view.curves import COLORS, new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv

EPOCHS = 100  # of the neural network


def make(job: Job, hidden: int) -> pd.DataFrame:
    """One row a training, and the confusion matrix of all; `hidden` units of the neural network."""
    swept = job.sweep("seeds.toml")
    table = swept.table()
    table = table[["seed", "status", "best_test_accuracy", "test_accuracy", "accuracy"]]
    counts = np.zeros((10, 10), dtype=int)
    others = []
    for case in swept.sweep.cases:
        study, system = swept.trained(case)
        found = confusion(swept, case)
        counts += found
        others.append(
            {
                "last_test_accuracy": np.trace(found) / found.sum(),
                **neural_network(study.task, hidden, case.seed, 2 if job.quick else EPOCHS),
                "linear": linear_classifier(study.task),
                "trained_numbers": sum(
                    np.count_nonzero(np.broadcast_to(p.trainable, p.values.shape))
                    for p in system.parameters.values()
                ),
            }
        )
    table = pd.concat([table, pd.DataFrame(others)], axis=1)
    write_csv(table, job.out / "seeds.csv", 6)
    digits = [str(k) for k in range(10)]
    matrix = pd.DataFrame(counts, columns=digits)
    write_csv(matrix.assign(digit=range(10))[["digit", *digits]], job.out / "confusion.csv")
    draw(swept, counts, job)
    fill_readme(job.out, results=summary(table, hidden))
    return table


def confusion(swept: Swept, case: Case) -> np.ndarray:
    """How many test images of each digit (row) are read as which one (column), after training."""
    study, system = swept.trained(case)
    inputs, targets = study.task.sets()["test"]
    keys = Keys(case.seed, study.config.training.epochs, np.arange(len(inputs))).fold("test")
    found = evaluate(system, study.cost, inputs, targets, keys=keys, **study.solver)
    right = study.cost.scores(targets).argmax(axis=1)
    read = study.cost.scores(found.outputs).argmax(axis=1)
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (right, read), 1)
    return counts


def linear_classifier(task: Task) -> float:
    """Test accuracy of least squares."""
    (inputs, targets), (x, y) = task.sets()["train"], task.sets()["test"]
    fitted = LinearRegression().fit(inputs, targets).predict(x)
    return float(np.mean(fitted.argmax(axis=1) == y.argmax(axis=1)))


def neural_network(task: Task, hidden: int, seed: int, epochs: int) -> dict[str, float]:
    """Test accuracy of a network after its last epoch, and the best after any."""
    (inputs, targets), (x, y) = task.sets()["train"], task.sets()["test"]
    right, wanted = classes_of(targets), classes_of(y)
    network = MLPClassifier((hidden,), activation="logistic", batch_size=10, random_state=seed)
    curve = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(epochs):
            network.partial_fit(inputs, right, classes=np.unique(right))
            curve.append(float(np.mean(network.predict(x) == wanted)))
    return {"network_best": max(curve), "network": curve[-1]}


def summary(table: pd.DataFrame, hidden: int) -> str:
    """What the README tells: a row a seed, and their median."""
    names = {
        "best_test_accuracy": "best of the curve (paper's convention)",
        "test_accuracy": "mean of the last 100 steps (ours)",
        "network_best": f"neural network 64-{hidden}-10, best",
        "network": "after 100 epochs",
        "linear": "linear classifier",
    }
    values = table[list(names)].astype(float)
    rows = [*values.to_numpy(), values.median().to_numpy()]
    shown = pd.DataFrame(
        [[f"{100 * value:.1f} %" for value in row] for row in rows], columns=list(names.values())
    )
    shown.insert(0, "seed", [*map(str, table["seed"]), "median"])
    return markdown(shown)


def draw(swept: Swept, counts: np.ndarray, job: Job) -> None:
    """Test error along training, and the confusion matrix: xy Fig. 4."""
    figure = new_figure(3.8, 9.0)
    left, right = figure.subplots(1, 2)
    for case, color in zip(swept.sweep.cases, COLORS, strict=False):
        history = swept.history(case)
        known = history["test_accuracy"].notna()
        error = 100 * (1 - history.loc[known, "test_accuracy"])
        left.semilogy(history.loc[known, "epoch"], error, color=color, lw=0.8, label=str(case.seed))
    left.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    left.minorticks_off()
    left.set_xlabel("step")
    left.set_ylabel("wrong test images, %")
    left.legend(title="seed", frameon=False)
    draw_confusion(right, counts)
    save_figure(figure, job.out / "result.png", colormaps=["Blues"])


def draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    """A matrix of percentages; rows are the digits that were shown."""
    share = 100 * counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=7,
                color="white" if value > 50 else "black",
            )  # fmt: skip
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.set_xlabel("read as")
    axes.set_ylabel("digit")
    axes.set_title("test images of all seeds, % of each digit", fontsize=10)
