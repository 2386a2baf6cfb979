"""The table on the screen and on disk."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from studies.speed.measure import Measurement

COLUMNS = ("benchmark", "case", "quantity", "value", "unit", "target", "met", "note")
_MET = {True: "yes", False: "no", None: ""}


def write_csv(rows: Sequence[Measurement], path: Path) -> None:
    """One line a measurement, with the columns `COLUMNS`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(
                (
                    row.benchmark,
                    row.case,
                    row.quantity,
                    _text(row.value),
                    row.unit,
                    row.target,
                    _MET[row.met],
                    row.note,
                )
            )


def print_table(rows: Sequence[Measurement], console: Console) -> None:
    """One table for all measurements, with the notes under it."""
    table = Table(title="nepfield: speed", title_justify="left")
    for name in ("case", "quantity", "value", "target", "met", ""):
        table.add_column(name, justify="right" if name == "value" else "left")
    notes: list[str] = []
    benchmark = None
    for row in rows:
        if row.benchmark != benchmark:
            benchmark = row.benchmark
            table.add_section()
            table.add_row(f"[bold]{benchmark}[/bold]")
        if row.note and row.note not in notes:
            notes.append(row.note)
        mark = f"({notes.index(row.note) + 1})" if row.note else ""
        table.add_row(row.case, row.quantity, _with_unit(row), row.target, _MET[row.met], mark)
    console.print(table)
    for number, note in enumerate(notes, start=1):
        console.print(f"({number}) {note}", highlight=False)


def _with_unit(row: Measurement) -> str:
    value, unit = row.value, row.unit
    if unit == "s" and not isinstance(value, str) and value < 0.1:
        value, unit = 1000 * value, "ms"
    return f"{_text(value)} {unit}".strip()


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"
