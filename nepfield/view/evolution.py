"""What is read of a wave against time, with Matplotlib alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import EVOLUTION
from nepfield.reading import LARGEST, read_text
from nepfield.view.curves import COLORS, GREY, new_figure, save_figure, tidy, title
from nepfield.view.records import read_summary, run_title, sample_title
from nepfield.view.shown import factor, unit, with_unit

MAX_SAMPLES, MAX_OUTPUTS = 8, 4

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evolution:
    """The content of evolution.csv.

    Attributes
    ----------
    columns : list of str
        With their units: the time, what is read, and the factors of pumps.
    samples : list of int
    values : ndarray, shape (ncolumns, nsamples, ntimes)
    """

    columns: list[str]
    samples: list[int]
    values: Array

    @property
    def outputs(self) -> list[int]:
        """Columns of what is read."""
        return [k for k, name in enumerate(self.columns) if k and not _is_pump(name)]

    @property
    def pumps(self) -> list[int]:
        """Columns of factors of pumps."""
        return [k for k, name in enumerate(self.columns) if _is_pump(name)]


def _is_pump(name: str) -> bool:
    return name == "pumps" or name.removeprefix("pump ").isdecimal()


def read_evolution(run: Path) -> Evolution:
    """Read evolution.csv of a folder that `nepfield evolve` wrote.

    Raises
    ------
    InputError
        If it is missing or no such table.
    """
    path = Path(run) / EVOLUTION
    try:
        head, *rows = csv.reader(io.StringIO(read_text(path, LARGEST), newline=""))
        table = np.array([[float(v) for v in row] for row in rows])
        place = head.index("sample")
        samples = list(dict.fromkeys(table[:, place].astype(int).tolist()))
        whole = len(table) // len(samples) * len(samples)
        values = table[:whole].reshape(-1, len(samples), len(head)).transpose(2, 1, 0)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a readable table of an evolution: {error}") from error
    kept = [k for k in range(len(head)) if k != place]
    return Evolution([head[k] for k in kept], samples, values[kept])


def plot_evolution(run: Path, output: Path) -> Path:
    """Draw `evolution_figure` of a folder."""
    figure = evolution_figure(read_evolution(run), read_summary(run), run_title(run))
    return save_figure(figure, output)


def evolution_figure(found: Evolution, summary: Mapping[str, Any], name: str = "") -> Figure:
    """Each output against time, a curve a sample; dashed its target, dotted the steady state.

    Parameters
    ----------
    found : Evolution
    summary : dict
        Used where they are there: ``inputs``, ``targets``, ``steady_outputs`` and ``readout``.
    name : str
        The title.
    """
    outputs = found.outputs[:MAX_OUTPUTS]
    rows = len(outputs) + bool(found.pumps)
    figure = new_figure(1.6 + 2.0 * rows)
    title(figure, name)
    heights = [1.0] * len(outputs) + [0.5] * bool(found.pumps)
    grid = figure.add_gridspec(rows, 1, height_ratios=heights)
    first: Axes | None = None
    for row in range(rows):
        axes = figure.add_subplot(grid[row, 0], sharex=first)
        first = axes if first is None else first
        if row < len(outputs):
            draw_output(axes, found, summary, row)
            if not row:
                axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
        else:
            for number, column in enumerate(found.pumps):
                label = found.columns[column]
                axes.plot(
                    found.values[0, 0], found.values[column, 0],
                    color=COLORS[number % len(COLORS)], label=label, linewidth=1.5,
                )  # fmt: skip
            axes.set_ylabel("factor of\nthe pumps")
            if len(found.pumps) > 1:
                axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
        tidy(axes)
        axes.tick_params(labelbottom=row == rows - 1)
    axes.set_xlabel(time_label(summary))
    return figure


def time_label(summary: Mapping[str, Any]) -> str:
    """Of an axis of times."""
    name = unit(summary, "time")
    return f"time ({name})" if name else r"time ($\hbar$ / unit of energy)"


def draw_output(axes: Axes, found: Evolution, summary: Mapping[str, Any], number: int) -> None:
    """One output against time, with targets and steady states where they are known."""
    said = {"label": "", "unit": "", "target_unit": "", "names": ()} | summary.get("readout", {})
    inputs, column = summary.get("inputs") or [], found.outputs[number]
    known = {
        "--": (summary.get("targets") or [], factor(summary, said["target_unit"]), "target"),
        ":": (summary.get("steady_outputs") or [], factor(summary, said["unit"]), "steady state"),
    }
    for k in range(min(len(found.samples), MAX_SAMPLES)):
        color = COLORS[k % len(COLORS)]
        label = sample_title(inputs[k] if k < len(inputs) else None, found.samples[k], "inputs ")
        axes.plot(found.values[0, k], found.values[column, k], color=color, label=label)
        for style, (levels, scale, _) in known.items():
            row = levels[k] if k < len(levels) else []
            if number < len(row) and row[number] is not None:
                axes.axhline(scale * row[number], color=color, linestyle=style, linewidth=1.0)
    for style, (levels, _, label) in known.items():
        if len(levels):
            axes.plot([], [], color=GREY, linestyle=style, linewidth=1.0, label=label)
    label = with_unit(said["label"] or "output", summary, said["unit"])
    names = list(said["names"])
    axes.set_ylabel(f"{names[number]}\n{label}" if len(found.outputs) > 1 and names else label)
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(found.values[column]))))
