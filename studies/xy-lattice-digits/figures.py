"""Tables and picture of the study: `python -m studies xy-lattice-digits`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from sklearn.linear_model import RidgeClassifierCV

from nepfield.keys import Keys
from nepfield.learning.evaluation import Evaluation, evaluate
from nepfield.learning.nudge import Nudge
from nepfield.study.sweeps.design import Case
from nepfield.view.curves import COLORS, new_figure, save_figure
from studies.common import Job, Swept, fill_readme, markdown, write_csv

PENALTIES = np.logspace(-3, 4, 8)  # of the linear readers, chosen by the training images alone
SAMPLES = 100  # on which the contrast is measured
FLOOR = 1e-12


def make(job: Job) -> pd.DataFrame:
    """One row a training; the contrast against the distance from the outputs."""
    swept = job.sweep()
    rows, reach = [], []
    for case in swept.sweep.cases:
        row, profile = measured(swept, case)
        rows.append(row)
        reach.append(profile)
    table, distances = pd.DataFrame(rows), pd.concat(reach, ignore_index=True)
    write_csv(table, job.out / "results.csv", 4)
    write_csv(distances, job.out / "contrast.csv", 4)
    draw(swept, distances, job)
    fill_readme(job.out, results=summary(table))
    return table


def measured(swept: Swept, case: Case) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a training has reached, and what stands in its way."""
    study, system = swept.trained(case)
    (inputs, targets), (x, y) = study.task.sets()["train"], study.task.sets()["test"]
    starts = [reached(case, study, system, x, y, start) for start in (0, 1)]
    known = reached(case, study, system, inputs, targets, 0)
    scores = study.cost.scores
    right, wanted = scores(targets).argmax(axis=1), scores(y).argmax(axis=1)
    first, second = (found.steady.state for found in starts)
    read = [scores(found.outputs).argmax(axis=1) for found in starts]
    free = np.flatnonzero(system.wiring.free)
    outputs = study.cost.readout.rows
    hidden = np.setdiff1d(free, outputs)
    steps = distance_to(system, outputs)
    near = hidden[steps[hidden] <= 2]
    history = swept.history(case)
    untrained = contrast(case, study, study.system, steps, "before")
    trained = contrast(case, study, system, steps, "after")
    moved = np.abs(np.angle(np.exp(1j * (first - second))))[free] > 1e-3
    row = {
        "lattice": case.label,
        "seed": case.seed,
        "hidden": len(hidden),
        "accuracy": history["accuracy"].iloc[-30:].mean(),
        "test_accuracy": np.mean([np.mean(found == wanted) for found in read]),
        "same_answer": np.mean(read[0] == read[1]),
        "moved_phases": moved.mean(),
        "decay": decay_length(untrained),
        "decay_after": decay_length(trained),
        "decoded_hidden": decoded(known.steady.state, first, hidden, right, wanted),
        "decoded_near": decoded(known.steady.state, first, near, right, wanted),
        "decoded_outputs": decoded(known.steady.state, first, outputs, right, wanted),
        "decoded_pixels": decoded(known.steady.state, first, system.clamped, right, wanted),
    }
    return row, pd.concat([untrained, trained]).assign(lattice=case.label, seed=case.seed)


def reached(
    case: Case, study: Any, system: Any, inputs: np.ndarray, targets: np.ndarray, start: int
) -> Evaluation:
    """States of all images, each from a random start."""
    keys = Keys(case.seed, study.config.training.epochs, np.arange(len(inputs)), start)
    return evaluate(system, study.cost, inputs, targets, keys=keys.fold("look"), **study.solver)


def distance_to(system: Any, outputs: np.ndarray) -> np.ndarray:
    """Steps from each vertex to the nearest output, over free vertices."""
    edges, count = system.wiring.edges, len(system.domain.points)
    held = ~system.wiring.free
    edges = edges[~held[edges].any(axis=1)]
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
    return dijkstra(graph.tocsr(), directed=False, unweighted=True, indices=outputs, min_only=True)


def contrast(case: Case, study: Any, system: Any, steps: np.ndarray, when: str) -> pd.DataFrame:
    """Root mean square by which phases move under the nudge of training, by their distance from
    the nearest output."""
    some = np.random.default_rng(case.seed).permutation(len(study.task.inputs))[:SAMPLES]
    inputs, targets = study.task.inputs[some], study.task.targets[some]
    found = reached(case, study, system, inputs, targets, 2)
    free, cost = found.steady.state, study.cost
    nudge = Nudge(
        cost, targets.T, free, cost.readout.signals(free), "full", study.config.training.beta
    )
    nudged = system.equilibrate(inputs, nudge, free, None, **study.solver)
    good = found.steady.converged & nudged.converged
    moved = np.angle(np.exp(1j * (nudged.state - free)))[:, good]
    rows = []
    for distance in range(int(steps[np.isfinite(steps)].max()) + 1):
        part = moved[(steps == distance) & system.wiring.free]
        typical = np.exp(np.mean(np.log(np.maximum(np.abs(part), FLOOR))))
        rows.append((when, distance, np.sqrt(np.mean(part**2)), typical))
    return pd.DataFrame(rows, columns=["when", "distance", "contrast", "typical"])


def decay_length(profile: pd.DataFrame) -> float:
    """Sites over which the typical contrast (geometric mean) falls by e."""
    far = profile[profile["distance"] >= 1]
    return float(-1 / np.polyfit(far["distance"], np.log(far["typical"]), 1)[0])


def decoded(
    known: np.ndarray, new: np.ndarray, rows: np.ndarray, right: np.ndarray, wanted: np.ndarray
) -> float:
    """Share of the test images that a linear reader of some phases tells, by sine and cosine."""

    def features(state: np.ndarray) -> np.ndarray:
        return np.concatenate([np.cos(state[rows]), np.sin(state[rows])]).T

    reader = RidgeClassifierCV(PENALTIES).fit(features(known), right)
    return float(np.mean(reader.predict(features(new)) == wanted))


def summary(table: pd.DataFrame) -> str:
    """Least and greatest over the seeds, a row a lattice."""
    percent = {
        "accuracy": "training images",
        "test_accuracy": "test images",
        "same_answer": "same answer from two starts",
        "moved_phases": "phases that differ between two starts",
        "decoded_pixels": "read from pixels",
        "decoded_hidden": "from hidden phases",
        "decoded_near": "from those up to 2 sites from an output",
        "decoded_outputs": "from output phases",
    }
    rows = []
    for name, part in table.groupby("lattice", sort=False):
        row = {"lattice": name, "hidden": part["hidden"].iloc[0]}
        for key, words in percent.items():
            row[words] = f"{100 * part[key].min():.0f}-{100 * part[key].max():.0f} %"
        for key, words in (("decay", "decay, sites"), ("decay_after", "after training")):
            row[words] = f"{part[key].min():.1f}-{part[key].max():.1f}"
        rows.append(row)
    turned = pd.DataFrame(rows).set_index("lattice").T.reset_index(names="")
    return markdown(turned)


def draw(swept: Swept, distances: pd.DataFrame, job: Job) -> None:
    """Accuracy along training; contrast against distance before and after it."""
    figure = new_figure(3.4, 9.0)
    left, right = figure.subplots(1, 2)
    labels = list(dict.fromkeys(case.label for case in swept.sweep.cases))
    for label, color in zip(labels, COLORS, strict=False):
        cases = [case for case in swept.sweep.cases if case.label == label]
        curves = np.array([swept.history(case)["accuracy"] for case in cases])
        smooth = pd.DataFrame(curves.T).rolling(10, min_periods=1).mean()
        left.plot(100 * smooth, color=color, lw=0.8)
        left.plot([], color=color, label=label)
        for when, style in (("before", ":"), ("after", "-")):
            part = distances[(distances["lattice"] == label) & (distances["when"] == when)]
            mean = part.groupby("distance")["typical"].apply(lambda v: np.exp(np.log(v).mean()))
            right.semilogy(mean, color=color, ls=style)
    left.axhline(10, color="grey", lw=0.5)
    left.set_xlabel("step")
    left.set_ylabel("training images read rightly, %")
    left.legend(frameon=False)
    right.set_xlabel("sites from the nearest output")
    right.set_ylabel("typical contrast, rad")
    right.set_title("dotted: before training", fontsize=10)
    save_figure(figure, job.out / "result.png")
