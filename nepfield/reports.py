"""What a run tells when it has ended, from its summary.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import typer

from nepfield.view.shown import shown

SETS = {"train": "", "validation": "validation_", "test": "test_"}
"""Sets of samples, and how the names of their figures begin."""
_FEW = 8  # samples that are told one by one
_SHORT = 10  # numbers in a row that is told


def tell(summary: Mapping[str, Any], folder: Path, quiet: bool) -> None:
    """The end of a run in a few lines; why there are no pictures is said even when quiet."""
    for note in summary["notes"]:
        typer.echo(f"no pictures of fields: {note}", err=True)
    if not quiet:
        for line in report(summary, folder):
            typer.echo(line)


def tell_evolution(summary: Mapping[str, Any], folder: Path, quiet: bool) -> None:
    """The end of an evolution in a few lines."""
    for note in summary["notes"]:
        typer.echo(f"no pictures of fields: {note}", err=True)
    if quiet:
        return
    lines = [
        *_samples(summary),
        *(_entry(summary, entry) for entry in summary["report"]),
        *(f"warning: {warning}" for warning in summary["warnings"]),
        f"wrote {folder}/",
    ]
    typer.echo(f"{summary['name']}: {summary['status']}")
    for line in lines:
        typer.echo(f"  {line}")


def report(summary: Mapping[str, Any], folder: Path) -> list[str]:
    """What is told of a run.

    Parameters
    ----------
    summary : dict
        What is in summary.json. Used where it is there: ``samples`` (a number, by set),
        ``metrics`` (names of the figures that are told beside accuracies), ``average_epochs`` (the
        last epochs over which the metrics are averaged) and ``report`` (what the system wants
        told: a list of ``label`` with ``text``, or with ``values`` and their kind of ``unit``).
    folder : Path
        The run folder.
    """
    lines = [
        _cost(summary),
        *_metrics(summary),
        *_cosine(summary),
        *_samples(summary),
        *(_entry(summary, entry) for entry in _entries(summary)),
        *_failures(summary),
        *_verdict(summary),
        *(f"warning: {warning}" for warning in summary["warnings"]),
        f"wrote {folder}/",
    ]
    if summary["status"] == "interrupted":
        lines.append("go on with --resume")
    return [f"{summary['name']}: {summary['status']}", *(f"  {line}" for line in lines)]


def _cost(summary: Mapping[str, Any]) -> str:
    cost, unit = shown(summary, "cost", number(summary["cost"]))
    count = summary.get("samples", {}).get("train", len(summary["inputs"]))
    return f"cost {cost:.4g}{unit} (mean over {count} samples)"


def _metrics(summary: Mapping[str, Any]) -> Iterator[str]:
    """Accuracies and other metrics, a line each with all sets in it."""
    last = summary.get("average_epochs") or 1
    over = f" (mean of the last {last} epochs)" if last > 1 else ""
    for metric in dict.fromkeys(("accuracy", *summary.get("metrics", ()))):
        style = ".2%" if metric == "accuracy" else ".4g"
        found = {name: number(summary.get(f"{prefix}{metric}")) for name, prefix in SETS.items()}
        told = [f"{name} {value:{style}}" for name, value in found.items() if value == value]
        if told:
            yield f"{metric.replace('_', ' ')}: {', '.join(told)}{over}"
    best = number(summary.get("best_test_accuracy"))
    if best == best:
        yield f"best test accuracy of all epochs {best:.2%} (the papers' best of the curve)"


def _cosine(summary: Mapping[str, Any]) -> Iterator[str]:
    cosine = number(summary.get("gradient_cosine"))
    if cosine == cosine:
        yield (
            f"gradient: cosine {cosine:.4f} between {summary['rule']} and the adjoint, "
            f"epoch {summary['gradient_cosine_epoch']}"
        )
    error = number(summary.get("gradient_error"))
    if error == error:
        yield f"gradient: wrong by {error:.2g} of its norm, as {summary['rule']} itself measures"


def _samples(summary: Mapping[str, Any]) -> Iterator[str]:
    """Outputs beside their targets, where there are few samples of few numbers."""
    inputs, targets, outputs = (summary[name] for name in ("inputs", "targets", "outputs"))
    if len(inputs) > _FEW or any(len(row) > _SHORT for row in (*inputs, *targets)):
        return
    kind = "output" if "output" in summary.get("units", {}) else "density"
    names = summary.get("readout", {}).get("names", ())
    if len(names) > 1:
        yield f"outputs: {', '.join(names)}"
    for x, target, output in zip(inputs, targets, outputs, strict=True):
        output, unit = shown(summary, kind, output)
        target, _ = shown(summary, "target", target)
        yield f"inputs {_row(x)} -> {_row(output, '.3f')}{unit} (target {_row(target)})"


def _entries(summary: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the system wants told."""
    if "report" in summary:
        yield from summary["report"]
        return
    if summary.get("units"):
        yield {"label": "weights", "values": summary["weights"], "unit": "weight"}
    if time := summary.get("laboratory"):
        from nepfield.study.systems.laboratory import duration

        took = f", {duration(time['seconds'])}" if "seconds" in time else ""
        states, decays = time["states"], time["decay_times_a_state"]
        yield {
            "label": "in a laboratory",
            "text": f"{states} steady states of {decays:g}/gamma each{took}",
        }


def _entry(summary: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    if "text" in entry:
        return f"{entry['label']}: {entry['text']}"
    values, unit = shown(summary, entry.get("unit", ""), entry["values"])
    values = np.atleast_1d(values)
    more = f", ... ({len(values)} in all)" if len(values) > _SHORT else ""
    return f"{entry['label']} {_row(values[:_SHORT], '.4g')}{more}{unit}"


def _verdict(summary: Mapping[str, Any]) -> Iterator[str]:
    """What became of the training, and what to do next."""
    if summary.get("stopped"):
        yield f"ended after epoch {summary['epochs']}, by training.stop"
    if summary.get("kept_epoch", summary.get("epochs")) != summary.get("epochs"):
        yield f"kept: the parameters of epoch {summary['kept_epoch']}, best on validation samples"
    if "verdict" not in summary:
        return
    since = summary.get("untrusted_since")
    blamed = summary["verdict"] == "gradient"  # which its advice says
    doubt = f" (gradient not to be trusted since epoch {since})" if since and not blamed else ""
    yield f"verdict: {summary['verdict']}{doubt}"
    for number, sentence in enumerate(summary["advice"]):
        yield f"{'  ' if number else 'advice: '}{sentence}"


def _failures(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary["fraction_converged"] < 1:
        yield f"{1 - summary['fraction_converged']:.1%} of the samples did not converge"
    if summary.get("samples_left_out"):
        yield (
            f"left out while training, since they did not converge: {summary['samples_left_out']}"
            f" samples in {summary['epochs']} epochs"
        )


def number(value: Any) -> float:
    """A number, or nan for what is not known."""
    return float("nan") if value is None else float(value)


def _row(values: Any, style: str = "g") -> str:
    return ", ".join(f"{value:{style}}" for value in values)
