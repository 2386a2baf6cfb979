"""What summary.json says of a run; no name of a system, a field or a parameter stands here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nepfield
from nepfield.fields.layout import place_of
from nepfield.fields.names import output_names
from nepfield.keys import Keys
from nepfield.learning.classes import classes_of, confusion
from nepfield.learning.columns import describe_columns
from nepfield.learning.costs import Cost
from nepfield.learning.evaluation import Evaluation, evaluate
from nepfield.learning.gradients import Gradient, gradient
from nepfield.learning.record import MOST_FIGURED
from nepfield.study.run import folder as files
from nepfield.study.run.build import Study
from nepfield.study.run.judging import last_cosine
from nepfield.study.run.outputs import write_map, write_outputs
from nepfield.systems.system import Certificate, System, certify, trained

History = Sequence[Mapping[str, float]]

GRADIENT_SAMPLES = 256
"""At most so many samples enter the gradient in fields.vtu, and comparisons of rules."""
SUMMARY_SAMPLES = 64
"""Samples of which a summary lists inputs, targets, outputs and what is known."""
_LISTED = 5  # samples that a warning names
_PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}


@dataclass(frozen=True, eq=False)
class Completed:
    """A run whose figures are known.

    Attributes
    ----------
    summary : dict
    result : Evaluation
        On the training samples.
    certificate : Certificate or None
        Of the stability of their states.
    """

    summary: dict[str, Any]
    result: Evaluation
    certificate: Certificate | None


def study_entries(study: Study) -> dict[str, Any]:
    """What is known of a study before it is run, and what pictures need of it."""
    config, system, cost = study.config, study.system, study.cost
    units = config.shown_units(system.domain)
    return {
        "name": config.name,
        "seed": config.seed,
        "rule": config.training.rule,
        "inputs": study.task.inputs[:SUMMARY_SAMPLES],
        "units": units,
        "lengths": _lengths(system),
        "readout": {
            "label": cost.readout.label, "unit": cost.readout.unit, "target_unit": "target",
            "names": list(output_names(cost.readout)),
        },
        "columns": describe_columns(
            {name: parameter.label for name, parameter in trained(system).items()},
            system.figure_labels,
            cost.metric_labels,
            rule=config.training.rule,
            sets=[name for name in study.task.sets() if name != "train"],
            units=bool(units),
        ),
    }  # fmt: skip


def _lengths(system: System) -> str:
    """What places are counted in, where the study names no units."""
    domain = system.domain
    whole = domain.kind == "graph" and np.array_equal(domain.points, np.rint(domain.points))
    return "sites" if whole else "mesh units"


def complete(
    study: Study,
    system: System,
    out: Path,
    epochs: int = 0,
    history: History = (),
    known: Mapping[str, Evaluation] | None = None,
) -> Completed:
    """Evaluate a system, write fields.vtu, and return the figures for the summary.

    Parameters
    ----------
    study : Study
    system : System
        The study's, or with trained parameters.
    out : Path
        The run folder.
    epochs : int
        Epochs that it was trained.
    history : sequence of dict
    known : dict of Evaluation, optional
        Of sets that have been evaluated from the vacuum, by their names.
    """
    task, cost = study.task, study.cost
    found = {
        name: (known or {}).get(name)
        or evaluate(
            system, cost, inputs, targets,
            keys=_keys(study, epochs, inputs, name), **study.solver,
        )
        for name, (inputs, targets) in task.sets().items()
    }  # fmt: skip
    result = found["train"]
    good = result.steady.converged
    estimate = _gradient(study, system, result, epochs)
    entries = study_entries(study)
    first = slice(files.FIELD_SAMPLES)
    fields = system.fields(result.steady.state[..., first], task.inputs[first], estimate.fields)
    certificate = certify(system, result.steady)
    fields += [] if certificate is None else certificate.fields
    marks = [*system.marks(), *cost.readout.marks()]
    summary: dict[str, Any] = {
        **{key: entries[key] for key in ("name", "seed", "rule")},
        "cost": result.cost,
        **result.metrics,
        **_of_sets(found, cost, task.sets(), history, study.config.training.average),
        "samples": {name: len(inputs) for name, (inputs, _) in task.sets().items()},
        "inputs": entries["inputs"],
        "targets": task.targets[:SUMMARY_SAMPLES],
        "outputs": result.outputs[:SUMMARY_SAMPLES],
        "fraction_converged": float(good.mean()),
        "largest_residual": float(result.steady.residual.max()),
        "not_converged": [r for r, ok in zip(result.steady.reason, good, strict=True) if not ok],
        **_figures(system, result, task.inputs, estimate),
        **last_cosine(study, system, estimate, history, epochs),
        **({} if estimate.errors is None else {"gradient_error": estimate.error}),
        **_certified(
            study.config.summary(study, system, result.steady, epochs, history),
            certificate,
            _left_out(found),
        ),
        "versions": {
            "nepfield": nepfield.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": sys.platform,
        },
        **{key: entries[key] for key in ("lengths", "readout", "columns")},
        **write_outputs(study, out, found),
        **write_map(study, system, out),
        **files.write_fields(out / "fields.vtu", place_of(system), fields, marks),
    }
    return Completed(summary, result, certificate)


def _left_out(found: Mapping[str, Evaluation]) -> list[str]:
    """Warnings of samples without a steady state in the sets that are not trained on."""
    return [
        f"{missing} of {len(result.outputs)} {name} samples have no steady state that was found: "
        f"{name}_cost and what else is told of the {name} samples is that of the others"
        for name, result in found.items()
        if name != "train" and (missing := int(np.count_nonzero(~result.steady.converged)))
    ]


def _certified(
    said: dict[str, Any], certificate: Certificate | None, warnings: list[str]
) -> dict[str, Any]:
    """What the study says, further warnings, and what a certificate says of each state."""
    said = said | {"warnings": [*said["warnings"], *warnings]}
    if certificate is None:
        return said
    words, growth = certificate.stability, certificate.growth
    count = {word: int(np.count_nonzero(words == word)) for word in dict.fromkeys(words)}
    text = ", ".join(f"{number} {word}" for word, number in count.items())
    (unstable,) = np.nonzero(words == "unstable")
    warning = []
    if len(unstable):
        fastest = unstable[np.argmax(growth[unstable])]
        listed = listed_samples(unstable)
        warning.append(
            f"{len(unstable)} of {len(words)} steady states are unstable (samples {listed}; what "
            f"disturbs sample {fastest} grows at {growth[fastest]:.3g}), so an experiment leaves "
            "them: try more loss, weaker pumps, or V so high that the drive is below all modes"
        )
    return said | {
        "stability": words[:SUMMARY_SAMPLES],
        "growth": growth[:SUMMARY_SAMPLES],
        "unstable": _means({"unstable": certificate.unstable})["unstable"],
        "warnings": [*said["warnings"], *warning],
        "report": [*said["report"], {"label": "steady states", "text": text}],
    }


def listed_samples(samples: np.ndarray) -> str:
    """The first few of them, as a warning names them."""
    return ", ".join(map(str, samples[:_LISTED])) + ", ..." * (len(samples) > _LISTED)


def _keys(study: Study, epoch: int, inputs: np.ndarray, purpose: str) -> Keys:
    return Keys(study.config.seed, epoch, np.arange(len(inputs))).fold(purpose)


def _gradient(study: Study, system: System, result: Evaluation, epochs: int) -> Gradient:
    """The gradient at the end, from the first samples."""
    first = slice(GRADIENT_SAMPLES)
    inputs, targets = study.task.inputs[first], study.task.targets[first]
    return gradient(
        system, study.cost, inputs, targets, **study.config.training.estimator,
        keys=_keys(study, epochs, inputs, "train"),
        steady=result.steady.samples(np.arange(len(result.outputs))[first]),
        on_failure="flag", **study.solver,
    )  # fmt: skip


def _figures(
    system: System, result: Evaluation, inputs: np.ndarray, estimate: Gradient
) -> dict[str, float]:
    """What the system measures of the free states, and of the response to the nudge; means."""
    good = np.flatnonzero(result.steady.converged)[:MOST_FIGURED]
    found = dict.fromkeys(system.figure_labels, np.nan)
    if len(good):
        found |= _means(system.figures(result.steady.samples(good), inputs[good]))
    used, response = estimate.used, estimate.response
    if response is not None and used.any():
        steady = estimate.steady
        response = response[..., used[steady.converged]]
        all_of = system.figures(steady.samples(used), inputs[: len(used)][used], response)
        found = _means(all_of) | {k: v for k, v in found.items() if v == v or k not in all_of}
    return found


def _means(figures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Means over the samples of which a figure is known."""
    return {
        name: float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else np.nan
        for name, values in figures.items()
    }


def _of_sets(
    found: Mapping[str, Evaluation],
    cost: Cost,
    sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    history: History,
    average: int,
) -> dict[str, Any]:
    """Cost and metrics on the other sets; all metrics averaged over the last epochs; classes."""
    summary: dict[str, Any] = {}
    for name, result in found.items():
        if name != "train":
            figures = {"cost": result.cost, **result.metrics}
            figures["fraction_converged"] = float(result.steady.converged.mean())
            summary |= {f"{name}_{key}": value for key, value in figures.items()}
    metrics = dict.fromkeys(key for result in found.values() for key in result.metrics)
    summary["metrics"] = [key for key in metrics if key in cost.metric_labels]
    last = history[-average:] if average else ()
    for key in (f"{_PREFIXES[name]}{metric}" for name in found for metric in metrics):
        values = np.array([row[key] for row in last if np.isfinite(row.get(key, np.nan))])
        if len(values):
            summary[key] = float(values.mean())
    if average:
        summary["average_epochs"] = len(last)
    curve = [
        row["test_accuracy"] for row in history if np.isfinite(row.get("test_accuracy", np.nan))
    ]
    if curve:
        summary["best_test_accuracy"] = max(curve)
    matrices = {}
    for name, result in found.items():
        targets = cost.scores(sets[name][1])
        if classes_of(targets) is not None:
            matrices[name] = confusion(cost.scores(result.outputs), targets)
    return summary | ({"confusion": matrices} if matrices else {})
