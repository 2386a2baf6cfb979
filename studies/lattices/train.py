"""Train a study from many seeds, in parallel: one row of a table for each training.

Every row can be repeated alone with ``nepfield train STUDY --seed N --set ...``: a training is a
study file, a seed and overrides of its keys, and nothing else.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from nepfield.learning.gradients import RULES
from nepfield.learning.training import TrainingResult
from nepfield.steady.steady import NotConverged
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

STUDIES = Path(__file__).parents[1]
SOLVED = 0.01  # a training has succeeded when its cost is below this

Row = dict[str, Any]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes
    ----------
    study : str
        Folder of the study file, below studies/.
    seed : int
    overrides : sequence of str
        As for ``nepfield train --set``.
    labels : mapping
        Columns of the table that name the training.
    """

    study: str
    seed: int
    overrides: tuple[str, ...] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def process_pool(workers: int):
    """A `map` over worker processes, each on one thread; in this process if `workers` is 1."""
    if workers <= 1:
        with threadpool_limits(1):
            yield lambda function, items: [function(item) for item in items]
        return
    with multiprocessing.get_context("spawn").Pool(workers, threadpool_limits, (1,)) as pool:
        yield lambda function, items: pool.map(function, items, chunksize=4)


def train_job(job: Job) -> tuple[TrainingResult, Any]:
    """The training of a job, and its study as built."""
    study = build(load_study(STUDIES / job.study / "study.toml", job.overrides, job.seed))
    return study.train(), study


def train_row(job: Job) -> Row:
    """The figures of one training.

    ``cost`` and the outputs are those after the last epoch, ``solved`` is decided by this cost, and
    ``epochs_to_success`` is the number of epochs after which the cost first was below `SOLVED`
    (empty if it never was). ``cosine`` is that to the exact gradient in the last epoch and
    ``lowest_cosine`` the lowest of the epochs that were compared. ``failed`` says that a whole
    epoch went by without a steady state.
    """
    row: Row = {**job.labels, "seed": job.seed}
    try:
        result, study = train_job(job)
    except NotConverged:
        return row | {"cost": np.nan, "solved": False, "reached": False, "failed": True}
    costs = np.array([epoch["cost"] for epoch in result.history] + [result.final.cost])
    below = np.flatnonzero(costs < SOLVED)
    cosines = np.array([epoch["gradient_cosine"] for epoch in result.history] + [np.nan])
    compared = cosines[np.isfinite(cosines)]
    outputs = result.final.outputs.ravel()
    return row | {
        "cost": result.final.cost,
        "largest_error": float(np.abs(outputs - study.task.targets.ravel()).max()),
        **{f"output_{k}": value for k, value in enumerate(outputs)},
        "solved": bool(result.final.cost < SOLVED),
        "reached": len(below) > 0,
        "epochs_to_success": int(below[0]) if len(below) else pd.NA,
        "cosine": compared[-1] if len(compared) else np.nan,
        "lowest_cosine": compared.min(initial=1.0),
        "failed": False,
    }


def train_table(jobs: Sequence[Job], run: Map) -> pd.DataFrame:
    """One row for each job, in their order."""
    table = pd.DataFrame(run(train_row, jobs))
    if "epochs_to_success" in table:
        table["epochs_to_success"] = table["epochs_to_success"].astype("Int64")
    return table


def jobs_of(
    study: str,
    cases: Mapping[str, Sequence[str]],
    seeds: int,
    rules: Sequence[str] = RULES,
    epochs: int | None = None,
    **labels: Any,
) -> list[Job]:
    """A job for every case, rule and seed.

    Parameters
    ----------
    study : str
    cases : mapping
        Overrides by the name of the case.
    seeds : int
        Seeds 0 to seeds - 1.
    rules : sequence of str
    epochs : int, optional
        At most so many epochs, for trial runs.
    **labels
        Further columns of the table.
    """
    jobs = []
    for case, overrides in cases.items():
        for rule in rules:
            changes = (*overrides, f"training.rule={rule}")
            if epochs is not None:
                changes += (f"training.epochs={epochs}",)
            names = {"case": case, "rule": rule, **labels}
            jobs += [Job(study, seed, changes, names) for seed in range(seeds)]
    return jobs
