"""What is shown while something runs, and told when it ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nepfield.view.shown import shown

if TYPE_CHECKING:
    import pandas as pd

    from nepfield.study.sweeps.cluster import SweepProgress

_FEW = 8  # samples that are told one by one
_SHORT = 10  # numbers in a row that is told
_ROWS = 40  # of a table of statistics that are told
_SETS = {"train": "", "validation": "validation_", "test": "test_"}


# ---------------------------------------------------------------- while something runs


def _bar(console: Console, quiet: bool, estimate_period: float = 30.0) -> Progress:
    """A bar with a name, a text and the time left; it is not shown where there is no screen."""
    return Progress(
        TextColumn("{task.fields[name]}", markup=False),  # the name itself may hold braces
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=estimate_period,
        disable=quiet or not console.is_terminal,
    )


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)


class TrainingBar:
    """A bar with cost, accuracy and the time left; a line each tenth where there is no screen."""

    def __init__(self, name: str, epochs: int, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.epochs, self.tenth = epochs, max(1, epochs // 10)
        self.lines = not quiet and not self.console.is_terminal
        self.bar = _bar(self.console, quiet)
        self.task = self.bar.add_task("epochs", total=epochs, name=name, state="cost ...")
        self.accuracies: dict[str, float] = {}

    def __enter__(self) -> TrainingBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, epoch: int, row: Mapping[str, float]) -> None:
        """Called after each epoch with its row of the history."""
        self.accuracies |= _accuracies(row)  # some sets are looked at every few epochs only
        state = "  ".join(
            [f"cost {row['cost']:.4g}", *(f"{k} {v:.1%}" for k, v in self.accuracies.items())]
        )
        self.bar.update(self.task, completed=epoch, state=state)
        if self.lines and epoch % self.tenth == 0:
            _line(self.console, f"epoch {epoch}/{self.epochs}  {state}")

    def say(self, state: str) -> None:
        """Called while what comes after the epochs takes its time; on a screen alone."""
        self.bar.update(self.task, state=state)


class EvolutionBar:
    """A bar with the time that a wave has reached; a line each tenth where there is no screen."""

    def __init__(self, name: str, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.lines = not quiet and not self.console.is_terminal
        self.bar = _bar(self.console, quiet)
        self.task = self.bar.add_task("frames", total=None, name=name, state="")
        self.tenth = -1

    def __enter__(self) -> EvolutionBar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, frame: int, total: int, state: str) -> None:
        """Called after each frame, and while it is looked where the wave settles."""
        self.bar.update(self.task, completed=frame, total=total, state=state)
        tenth = 10 * frame // total
        if self.lines and tenth > max(self.tenth, 0):
            _line(self.console, f"frame {frame}/{total}  {state}")
        self.tenth = tenth


class SweepBar:
    """A bar with finished, failed, running and the time left; lines where there is no screen."""

    def __init__(self, name: str, total: int, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.lines = not quiet and not self.console.is_terminal
        self.quiet, self.every, self.shown = quiet, max(1, total // 20), -1
        self.bar = _bar(self.console, quiet, estimate_period=1e6)  # a case may take hours
        self.task = self.bar.add_task("cases", total=total, name=name, state="")

    def __enter__(self) -> SweepBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, progress: SweepProgress) -> None:
        """Called after each case, and in between."""
        done = progress.finished + progress.failed
        state = f"{progress.finished} finished, {progress.failed} failed"
        running = f"{state}, {progress.running} running"
        if self.shown < 0 and not self.bar.disable:
            # cases done by an earlier command say nothing of the time left
            self.bar.update(self.task, completed=done, state=running)
            self.bar.reset(self.task, completed=done)
            self.bar.start()
        if progress.problem and not self.quiet:
            _line(self.console, progress.problem)
        self.bar.update(self.task, completed=done, state=running)
        if self.lines and done != self.shown and done % self.every == 0:
            _line(self.console, f"{done}/{progress.total} cases: {running}")
        self.shown = done


# ---------------------------------------------------------------- when it ends


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
    cost, unit = shown(summary, "cost", _number(summary["cost"]))
    count = summary.get("samples", {}).get("train", len(summary["inputs"]))
    return f"cost {cost:.4g}{unit} (mean over {count} samples)"


def _metrics(summary: Mapping[str, Any]) -> Iterator[str]:
    """Accuracies and other metrics, a line each with all sets in it."""
    last = summary.get("average_epochs") or 1
    over = f" (mean of the last {last} epochs)" if last > 1 else ""
    for metric in dict.fromkeys(("accuracy", *summary.get("metrics", ()))):
        style = ".2%" if metric == "accuracy" else ".4g"
        found = {name: _number(summary.get(f"{prefix}{metric}")) for name, prefix in _SETS.items()}
        told = [f"{name} {value:{style}}" for name, value in found.items() if value == value]
        if told:
            yield f"{metric.replace('_', ' ')}: {', '.join(told)}{over}"
    best = _number(summary.get("best_test_accuracy"))
    if best == best:
        yield f"best test accuracy of all epochs {best:.2%} (the papers' best of the curve)"


def _cosine(summary: Mapping[str, Any]) -> Iterator[str]:
    cosine = _number(summary.get("gradient_cosine"))
    if cosine == cosine:
        yield (
            f"gradient: cosine {cosine:.4f} between {summary['rule']} and the adjoint, "
            f"epoch {summary['gradient_cosine_epoch']}"
        )


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


def _accuracies(row: Mapping[str, float]) -> dict[str, float]:
    """The accuracies in a row of a history, as they are called on a bar."""
    found = {
        f"{prefix}accuracy".replace("_", " "): _number(row.get(f"{prefix}accuracy"))
        for prefix in _SETS.values()
    }
    return {name: value for name, value in found.items() if value == value}


def _number(value: Any) -> float:
    """A number, or nan for what is not known."""
    return float("nan") if value is None else float(value)


def _row(values: Any, style: str = "g") -> str:
    return ", ".join(f"{value:{style}}" for value in values)


def print_comparison(table: pd.DataFrame, name: str) -> None:
    """Print what `compare_gradients` gives."""
    printed = _table(f"{name}: gradient rules against the adjoint")
    for column in (table.index.name, *table.columns):
        printed.add_column(Text(_heading(str(column))), no_wrap=True)
    for row in table.reset_index().itertuples(index=False):
        printed.add_row(*(Text(f"{v:.5f}" if isinstance(v, float) else str(v)) for v in row))
    _print_whole(printed)


def print_rows(title: str, table: pd.DataFrame) -> None:
    """Print a table as it is, numbers with four digits."""
    printed = _table(title)
    for column in table.columns:
        printed.add_column(Text(str(column).replace("_", " ")), no_wrap=True, justify="right")
    for row in table.itertuples(index=False):
        printed.add_row(*(Text(f"{v:.4g}" if isinstance(v, float) else str(v)) for v in row))
    _print_whole(printed)


def _table(title: str) -> Table:
    """An empty table; what users name is text to Rich, never markup."""
    return Table(title=Text(title, style="table.title"), box=box.SIMPLE_HEAD)


def _print_whole(printed: Table) -> None:
    """Print a table; a file or a narrow terminal gets all of it too."""
    whole = Console(width=1000).measure(printed).maximum
    Console(width=max(Console().width, whole)).print(printed)


def print_statistics(path: Path) -> None:
    """Print statistics.csv of a sweep, its first rows where it is long; nothing if there is none.

    Columns that are empty in what is printed, and keys that follow from the label of a case, are
    left out; keys are told by their last word where that is enough.
    """
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = rows[:_ROWS]
    names = [
        name
        for name in (rows[0] if rows else ())
        if any(row[name] for row in shown) and not _follows(name, rows)
    ]
    lasts = [name.rpartition(".")[2] for name in names]
    printed = _table(f"{path.parent.name}: statistics over seeds")
    for name, last in zip(names, lasts, strict=True):
        head, _, last = (name if lasts.count(last) > 1 else last).rpartition("_")
        printed.add_column(Text(f"{head}\n{last}".strip().replace("_", " ")), no_wrap=True)
    for row in shown:
        printed.add_row(*(_cell(name, row[name]) for name in names))
    _print_whole(printed)
    if len(rows) > len(shown):
        typer.echo(f"  ... and {len(rows) - len(shown)} more rows in {path}")


def _follows(name: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a column holds a swept key that has one value a label."""
    if "." not in name or "label" not in rows[0]:
        return False
    return len({(row["label"], row[name]) for row in rows}) == len({row["label"] for row in rows})


def _cell(name: str, text: str) -> Text:
    try:
        value = float(text)
    except ValueError:
        return Text(text)
    return Text(f"{value:.1%}" if name == "rate" else f"{value:.4g}")


def _heading(column: str) -> str:
    """A column's name on two lines: what was measured, and of which parameter."""
    for measure in ("cosine", "norm_ratio"):
        if column == measure or column.startswith(f"{measure}_"):
            return f"{measure}\n{column[len(measure) + 1 :]}".replace("_", " ")
    return column
