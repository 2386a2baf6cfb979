"""Every output of a run, of all samples and over a grid of its inputs, as tables in its folder.

    outputs.csv     set, sample, input_0, ..., target_0, ..., output_0, ...
    decision.csv    input_0, (input_1,) output_0, ..., where there are one input or two

Numbers are dimensionless; an output is empty where no equilibrium was found.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.learning.classes import classes_of
from nepfield.learning.costs import CCE, LEARNT, LogCosine, contrast
from nepfield.learning.evaluation import Evaluation
from nepfield.learning.maps import output_map
from nepfield.study.run.build import Study
from nepfield.study.run.folder import DECISION, OUTPUTS, write_text
from nepfield.systems.system import System

_MOST_INPUTS = 16  # columns of inputs; images have more, and stay with their task


def write_outputs(study: Study, out: Path, found: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Write outputs.csv, and say how many outputs are near enough to their targets.

    Parameters
    ----------
    study : Study
    out : Path
    found : dict of Evaluation
        By the set.

    Returns
    -------
    dict
        ``tolerance`` (noutputs,) and ``within``, a share a set; empty for probabilities of classes.
    """
    sets = study.task.sets()
    rows: dict[str, list[Any]] = {}
    for name, (inputs, targets) in sets.items():
        columns = {
            "set": [name] * len(inputs),
            "sample": range(len(inputs)),
            **(_columns("input", inputs) if inputs.shape[1] <= _MOST_INPUTS else {}),
            **_columns("target", targets),
            **_columns("output", found[name].outputs),
        }
        for key, values in columns.items():
            rows.setdefault(key, []).extend(values)
    write_text(out / OUTPUTS, _csv(rows))
    if isinstance(study.cost, CCE):
        return {}
    allowed = LEARNT * contrast(study.task.targets)
    within = {}
    for name, (_, targets) in sets.items():
        error = found[name].outputs - targets
        if isinstance(study.cost, LogCosine):  # phases: the shorter way round
            error = np.angle(np.exp(1j * error))
        within[name] = float(np.mean((np.abs(error) <= allowed).all(axis=1)))
    return {"tolerance": allowed, "within": within}


def write_map(study: Study, system: System, out: Path) -> dict[str, Any]:
    """Write decision.csv where the study wants one and has one input or two.

    Returns
    -------
    dict
        ``decision``: how many points a side, and whether outputs are classes; empty where there is
        no map.
    """
    figures, inputs = study.config.figures, study.task.inputs
    path = out / DECISION
    path.unlink(missing_ok=True)  # of an earlier end of this run
    if not figures.enabled or figures.decision_map == 0 or inputs.shape[1] > 2:
        return {}
    every = np.concatenate([x for x, _ in study.task.sets().values()])
    readout = study.cost.readout
    found = output_map(system, readout, every, figures.decision_map, **study.solver)
    if found is None:
        return {}
    points, outputs = found.inputs, found.outputs.reshape(len(found.inputs), -1)
    columns = _columns("input", points) | _columns("output", outputs)
    classes = classes_of(study.cost.scores(study.task.targets)) is not None
    if classes:
        scores = study.cost.scores(outputs)
        known = np.isfinite(scores).all(axis=1)
        columns["class"] = np.where(known, np.nan_to_num(scores).argmax(axis=1), -1).tolist()
    write_text(path, _csv(columns))
    return {"decision": {"points": [len(axis) for axis in found.axes], "classes": classes}}


def _columns(name: str, values: np.ndarray) -> dict[str, Sequence[Any]]:
    return {f"{name}_{k}": column.tolist() for k, column in enumerate(values.T)}


def _csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """A table as text; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("" if value != value else value for value in row)
    return text.getvalue()
