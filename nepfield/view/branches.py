"""Branches of steady states: outputs and growth against what is varied; needs no OpenGL."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nepfield.errors import InputError
from nepfield.files import BRANCHES
from nepfield.reading import LARGEST, read_text
from nepfield.view.curves import COLORS, GREY, new_figure, save_figure, tidy
from nepfield.view.curves import title as draw_title
from nepfield.view.records import read_summary
from nepfield.view.shown import factor, unit, with_unit

MAX_OUTPUTS = 3
_STYLES: dict[str, Any] = {"stable": "-", "unstable": "--", "unknown": ":"}
_WORDS = {"unknown": "stability not known"}
_MARKS = {"fold": ("o", "fold"), "Hopf": ("D", "Hopf point"), "branch point": ("s", "branch point")}


def plot_branches(folder: Path, output: Path) -> Path:
    """Draw the branches in a folder that `nepfield branch` wrote, as `run_branches` has them."""
    return save_figure(run_branches(folder), output)


def run_branches(folder: Path) -> Figure:
    """The figure of the branches in a folder, in the units of its study.

    Raises
    ------
    InputError
        If a file is missing or unreadable.
    """
    summary = read_summary(folder)
    path = folder / BRANCHES
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, LARGEST))))
        table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        outputs, kind = list(summary["outputs"]), str(summary["readout"]["unit"])
        table |= {name: _numbers(table[name]) * factor(summary, kind) for name in outputs}
        labels = {name: with_unit(name, summary, kind) for name in outputs}
        if unit(summary, "energy"):
            table["growth"] = _numbers(table["growth"]) * factor(summary, "energy")
            labels["growth"] = with_unit("growth, times ħ", summary, "energy")
        return branches_figure(
            table, str(summary["label"]), outputs, str(summary["name"]), summary["key"], labels
        )
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise InputError(f"{path}: these are no branches of nepfield: {error!r}") from None


def branches_figure(
    table: Mapping[str, Any],
    label: str,
    outputs: Sequence[str] = (),
    title: str = "",
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The figure of a table of branches, stable parts solid and unstable ones dashed.

    Parameters
    ----------
    table : dict of array
        Columns as `nepfield.steady.branches.branch.Diagram.table` has them.
    label : str
        Of the axis of what is varied.
    outputs : sequence of str
        Columns to be drawn; without them the norm is.
    title : str
    key : str, optional
        The column of what is varied; by default `label`.
    labels : dict of str to str, optional
        Of the vertical axes, by column.
    """
    named = {"growth": "growth of the\nfastest fluctuation", **(labels or {})}
    columns = list(outputs)[:MAX_OUTPUTS] or ["norm"]
    panels = [*columns, "growth"] if _known(table["growth"]) else columns
    figure = new_figure(0.6 + 2.6 * len(panels))
    if title:
        draw_title(figure, title)
    axes_of = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    x = np.asarray(table[label if key is None else key], dtype=float)
    for axes, column in zip(axes_of, panels, strict=True):
        _draw(axes, table, x, _numbers(table[column]))
        axes.set_ylabel(named.get(column, column.replace("_", " ")), parse_math=False)
        tidy(axes)
    if panels[-1] == "growth":
        axes_of[-1].axhline(0, color=GREY, linewidth=0.8)
    axes_of[-1].set_xlabel(label, parse_math=False)
    axes_of[0].legend(handles=_legend(table), frameon=False, fontsize=9)
    return figure


def _known(values: Any) -> bool:
    return bool(np.isfinite(_numbers(values)).any())


def _numbers(values: Any) -> np.ndarray:
    """A column as numbers; what is empty is nan."""
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return array.astype(float)
    return np.array([float(text) if text != "" else np.nan for text in array])


def _kinds(table: Mapping[str, Any]) -> np.ndarray:
    """Of each point whether it is stable, unstable, or that is not known."""
    words = np.asarray(table["stability"]).astype(str)
    return np.where(np.isin(words, ["proved", "stable"]), "stable", words)


def _draw(axes: Axes, table: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> None:
    number = np.asarray(table["branch"]).astype(int)
    special = np.asarray(table["special"]).astype(str)
    kinds = _kinds(table)
    for branch in np.unique(number):
        (places,) = np.nonzero(number == branch)
        color = COLORS[branch % len(COLORS)]
        for first, last, kind in _runs(kinds[places], special[places]):
            part = places[first : last + 1]
            axes.plot(x[part], y[part], _STYLES[kind], color=color, linewidth=1.7)
    for kind, (mark, _) in _MARKS.items():
        chosen = special == kind
        axes.plot(
            x[chosen], y[chosen], mark, color="black", markersize=5, markerfacecolor="white",
            linestyle="none",
        )  # fmt: skip


def _runs(kinds: np.ndarray, special: np.ndarray) -> list[tuple[int, int, str]]:
    """Stretches of one kind, first and last point; special points, whose fluctuations neither grow
    nor decay, belong to both sides."""
    known = np.flatnonzero(special == "")
    if not len(known):
        return [(0, len(kinds) - 1, "unknown")]
    filled = kinds.copy()
    for place in np.flatnonzero(special != ""):
        before = known[known < place]
        filled[place] = kinds[before[-1] if len(before) else known[known > place][0]]
    breaks = np.flatnonzero(filled[1:] != filled[:-1])
    starts = [0, *breaks]
    ends = [*breaks, len(kinds) - 1]
    return [
        (int(a), int(b), str(filled[b if b > a else a]))
        for a, b in zip(starts, ends, strict=True)
        if b > a or len(kinds) == 1
    ]


def _legend(table: Mapping[str, Any]) -> list[Line2D]:
    special = np.asarray(table["special"]).astype(str)
    kinds, marked = set(_kinds(table)[special == ""]), set(special)
    lines = [
        Line2D([], [], color="black", linestyle=style, label=_WORDS.get(kind, kind))
        for kind, style in _STYLES.items()
        if kind in kinds
    ]
    return lines + [
        Line2D(
            [], [], color="black", marker=mark, markerfacecolor="white", linestyle="none",
            label=label,
        )
        for kind, (mark, label) in _MARKS.items() if kind in marked
    ]  # fmt: skip
