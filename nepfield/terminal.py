"""What is shown while something runs, and told when it ends."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nepfield.reports import SETS, number

if TYPE_CHECKING:
    import pandas as pd

    from nepfield.study.sweeps.cluster import SweepProgress

_ROWS = 40  # of a table of statistics that are told


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


def _accuracies(row: Mapping[str, float]) -> dict[str, float]:
    """The accuracies in a row of a history, as they are called on a bar."""
    found = {
        f"{prefix}accuracy".replace("_", " "): number(row.get(f"{prefix}accuracy"))
        for prefix in SETS.values()
    }
    return {name: value for name, value in found.items() if value == value}


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
