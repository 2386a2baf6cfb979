"""Outputs of all samples against their targets, and the table that a run keeps of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.view.curves import COLORS, GREY, new_figure, save_figure, tidy, title
from nepfield.view.outputs import MAX_SAMPLES
from nepfield.view.records import read_summary, run_title
from nepfield.view.shown import factor, with_unit

OUTPUTS = "outputs.csv"
MAX_OUTPUTS = 6
_STEMS = ("target", "output")
_LARGEST = 1e100  # that axes can show
_JITTER = 0.03  # of the range of the targets, where they have a few values only


def plot_samples(run: Path, output: Path) -> Path | None:
    """Draw `scatter_figure` of a run of more than 16 samples (of fewer there are bars), else None.

    Raises
    ------
    InputError
        If a table is unreadable.
    """
    table = read_table(Path(run) / OUTPUTS, *_STEMS)
    if table is None or len(table) <= MAX_SAMPLES:
        return None
    return save_figure(scatter_figure(table, read_summary(run), run_title(run)), output)


def run_samples(run: Path) -> Figure | None:
    """The same figure of any number of samples; None where there is no outputs.csv."""
    table = read_table(Path(run) / OUTPUTS, *_STEMS)
    return None if table is None else scatter_figure(table, read_summary(run), run_title(run))


def read_table(path: Path, *stems: str) -> pd.DataFrame | None:
    """A table whose columns are called by these stems and a number; None where there is no file.

    Raises
    ------
    InputError
        If it cannot be read, or has no column of one of the stems.
    """
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(io.StringIO(read_text(path, LARGEST)))
        counts = {stem: block(table, stem).shape[1] for stem in stems}
        if "target" in counts and counts["target"] != counts["output"]:
            raise ValueError(f"{counts['target']} targets, but {counts['output']} outputs")
        if "class" in table.columns:
            table["class"] = table["class"].astype(np.int64)
        if "target" in stems:
            table["set"] = table["set"].astype(str)
    except (
        OSError,
        ValueError,
        KeyError,
        OverflowError,
    ) as error:  # what pandas raises is a ValueError
        raise InputError(f"{path}: not a readable table: {error}") from error
    if not len(table):
        raise InputError(f"{path}: there is no row in it")
    return table


def block(table: pd.DataFrame, stem: str) -> np.ndarray:
    """The columns ``stem_0``, ``stem_1``, ... of a table, (nrows, n); nan among outputs alone.

    Raises
    ------
    ValueError, KeyError
        If there are none, or they hold other things than numbers.
    """
    count = sum(name.startswith(f"{stem}_") for name in table.columns)
    if not count:
        raise ValueError(f"it has no column {stem}_0")
    values = table[[f"{stem}_{k}" for k in range(count)]].to_numpy(dtype=float)
    known = np.isfinite(values) | (np.isnan(values) if stem == "output" else False)
    if not known.all() or np.abs(np.nan_to_num(values)).max(initial=0.0) > _LARGEST:
        raise ValueError(f"{stem}_0 and those beside it must be numbers")
    return values


def called(summary: Mapping[str, Any], count: int) -> list[str]:
    """What the outputs are called."""
    names = [str(text) for text in summary.get("readout", {}).get("names", ())]
    if len(names) == count:
        return names
    return ["output"] if count == 1 else [f"output {k}" for k in range(count)]


def output_label(summary: Mapping[str, Any]) -> str:
    """What is written beside outputs."""
    said = {"label": "", "unit": ""} | summary.get("readout", {})
    words = f"output ({said['label']})" if said["label"] else "output"
    return with_unit(words, summary, said["unit"]).replace(") (", ", ")


def scatter_figure(table: pd.DataFrame, summary: Mapping[str, Any], name: str = "") -> Figure:
    """Outputs against targets, a panel each for up to six outputs, a colour each for the sets.

    Parameters
    ----------
    table : DataFrame
        As outputs.csv has it.
    summary : dict
        Its ``readout``, ``units``, ``tolerance`` and ``within``.
    name : str
        The title.
    """
    said = {"unit": "", "target_unit": ""} | summary.get("readout", {})
    outputs = factor(summary, said["unit"]) * block(table, "output")
    targets = factor(summary, said["target_unit"]) * block(table, "target")
    count = outputs.shape[1]
    shown = min(count, MAX_OUTPUTS)
    columns = min(shown, 3)
    rows = -(-shown // columns)
    figure = new_figure(1.2 + 3.4 * rows, 1.6 + 3.6 * columns)
    title(figure, name if shown == count else f"{name} ({shown} of {count} outputs)")
    axes = figure.subplots(rows, columns, squeeze=False)
    allowed = summary.get("tolerance") or ()
    if len(allowed) != count:
        allowed = [None] * count
    for k, one in enumerate(axes.flat):
        if k >= shown:
            one.remove()
            continue
        room = None if allowed[k] is None else factor(summary, said["target_unit"]) * allowed[k]
        _panel(one, table["set"].to_numpy(), targets[:, k], outputs[:, k], room)
        one.set_title(called(summary, count)[k] if count > 1 else "", fontsize=11)
        one.set_xlabel(with_unit("target", summary, said["target_unit"]))
    for one in axes[:, 0]:
        one.set_ylabel(output_label(summary))
    within = summary.get("within", {})
    handles, sets = axes[0, 0].get_legend_handles_labels()
    labels = [
        f"{word}: {within[word]:.1%} within the tolerance" if word in within else word
        for word in sets
    ]
    place: dict[str, Any] = dict(loc="outside lower center", ncols=columns, frameon=False)
    figure.legend(handles, labels, **place)
    return figure


def _panel(
    axes: Axes, sets: np.ndarray, targets: np.ndarray, outputs: np.ndarray, room: float | None
) -> None:
    """One output; where targets are values to reach, with the line where it is right and the band
    where it is near enough."""
    low, high = float(targets.min()), float(targets.max())
    edge = 0.1 * (high - low or abs(high) or 1.0)
    line = np.array([low - edge, high + edge])
    if room:
        axes.plot(line, line, color=GREY, linewidth=1, zorder=1)
        axes.fill_between(line, line - room, line + room, color=GREY, alpha=0.18, linewidth=0)
    few = len(np.unique(targets)) <= 8
    random = np.random.default_rng(0)  # how points of one target are spread says nothing
    spread = _JITTER * (high - low) * random.uniform(-1, 1, len(targets)) if few else 0.0
    for number, word in enumerate(dict.fromkeys(sets)):
        chosen = sets == word
        size = 26 if chosen.sum() <= 100 else 10 if chosen.sum() <= 1000 else 4
        axes.scatter(
            (targets + spread)[chosen], outputs[chosen], s=size, color=COLORS[number],
            alpha=0.7, linewidths=0, label=word, zorder=2 + number, rasterized=True,
        )  # fmt: skip
    axes.set_xlim(*line)
    tidy(axes)
