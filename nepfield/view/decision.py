"""Outputs over one input or two: a curve, or a map with the samples on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from nepfield.errors import InputError
from nepfield.view.curves import COLORS, new_figure, save_figure, tidy, title
from nepfield.view.records import read_summary, run_title
from nepfield.view.samples import MAX_OUTPUTS, OUTPUTS, block, called, output_label, read_table
from nepfield.view.shown import factor

DECISION = "decision.csv"
PICTURE = "decision"
_MARKERS = {"train": "o", "validation": "s", "test": "^"}
_MOST = 600  # samples that are drawn; more hide the map


def plot_decision(run: Path, output: Path) -> Path | None:
    """Draw `decision_figure` of a run; None where it has no decision.csv.

    Raises
    ------
    InputError
        If a table is unreadable.
    """
    drawn = run_decision(run)
    return None if drawn is None else save_figure(drawn[0], output, drawn[1])


def has_decision(run: Path) -> bool:
    """Whether a run has a map."""
    return (Path(run) / DECISION).is_file()


def run_decision(run: Path) -> tuple[Figure, list[str]] | None:
    """The figure of a run and its colour maps; None where it has no map."""
    run = Path(run)
    found = read_table(run / DECISION, "input", "output")
    if found is None:
        return None
    samples = read_table(run / OUTPUTS, "input", "target", "output")
    try:
        return decision_figure(found, samples, read_summary(run), run_title(run))
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise InputError(f"{run / DECISION}: it is no grid of inputs: {error}") from error


def decision_figure(
    found: pd.DataFrame,
    samples: pd.DataFrame | None,
    summary: Mapping[str, Any],
    name: str = "",
) -> tuple[Figure, list[str]]:
    """A curve or a panel for each output, for classes one of the class that wins before them.

    Parameters
    ----------
    found : DataFrame
        As decision.csv has it.
    samples : DataFrame or None
        As outputs.csv has it; drawn on top.
    summary : dict
        Its ``readout``, ``units`` and ``decision``.
    name : str
        The title.
    """
    said = {"unit": "", "target_unit": ""} | summary.get("readout", {})
    inputs = block(found, "input")
    outputs = factor(summary, said["unit"]) * block(found, "output")
    points = None
    if samples is not None and "input_0" in samples.columns:
        targets = factor(summary, said["target_unit"]) * block(samples, "target")
        points = samples["set"].to_numpy(), block(samples, "input"), targets
    if inputs.shape[1] == 1:
        return _curve(inputs[:, 0], outputs, points, summary, name), []
    axes = [np.unique(column) for column in inputs.T]
    shape = (len(axes[0]), len(axes[1]))
    grids = list(outputs.T.reshape(-1, *shape)[:MAX_OUTPUTS])
    classes = found["class"].to_numpy().reshape(shape) if "class" in found.columns else None
    count = len(grids) + (classes is not None)
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = new_figure(1.0 + 3.5 * rows, 1.4 + 4.1 * columns)
    more = outputs.shape[1] > MAX_OUTPUTS
    title(figure, f"{name} ({len(grids)} of {outputs.shape[1]} outputs)" if more else name)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    names, maps = called(summary, outputs.shape[1]), []
    extent = _extent(axes)
    if classes is not None:
        _classes(panels[0], classes, extent, points, names)
    for k, values in enumerate(grids):
        panel = panels[k + (classes is not None)]
        column = None if points is None else points[2][:, k]
        maps.append(_values(figure, panel, values, axes, points, column, summary))
        panel.set_title(names[k] if len(names) > 1 else "", fontsize=11)
    for number, panel in enumerate(panels):
        if number >= count:
            panel.remove()
            continue
        panel.set(xlim=extent[:2], ylim=extent[2:], xlabel="input 0", ylabel="input 1")
    if points is not None:
        _legend(figure, points[0])
    return figure, list(dict.fromkeys(maps))


def _extent(axes: list[np.ndarray]) -> tuple[float, float, float, float]:
    """Sides of the picture, of whose pixels the points are the middles."""
    half = [(axis[-1] - axis[0]) / (2 * (len(axis) - 1)) for axis in axes]
    low, high = (
        [a[0] - h for a, h in zip(axes, half, strict=True)],
        [a[-1] + h for a, h in zip(axes, half, strict=True)],
    )
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _values(
    figure: Figure, axes: Axes, values: np.ndarray, sides: list[np.ndarray], points: Any,
    targets: np.ndarray | None, summary: Mapping[str, Any],
) -> str:  # fmt: skip
    """One output; where its targets have two values to reach, the level between them is the middle
    colour and a line. Targets that are probabilities of classes are white or black."""
    known = values[np.isfinite(values)]
    reached = summary.get("tolerance") is not None
    levels = np.unique(targets) if reached and targets is not None else np.empty(0)
    shown = np.concatenate([known, levels])
    cmap, norm = "viridis", Normalize(*((shown.min(), shown.max()) if len(shown) else (0, 1)))
    if len(levels) == 2 and len(known):
        middle = float(levels.mean())
        reach = max(float(np.abs(known - middle).max()), float(np.ptp(levels)) / 2)
        reach = min(reach, 1.5 * float(np.ptp(levels)))  # what is far off says nothing more
        cmap, norm = "RdBu_r", Normalize(middle - reach, middle + reach)
        if known.min() < middle < known.max():
            axes.contour(*sides, values.T, [middle], colors="black", linewidths=1.2)
    colors = mpl.colormaps[cmap].with_extremes(bad="lightgrey")
    axes.imshow(
        values.T, extent=_extent(sides), origin="lower", aspect="auto", cmap=colors, norm=norm,
        interpolation="bilinear" if len(known) == values.size else "nearest", zorder=0,
    )  # fmt: skip
    outside = "both" if len(known) and (known.max() > norm.vmax or known.min() < norm.vmin) else (
        "neither"
    )  # fmt: skip
    bar = figure.colorbar(
        ScalarMappable(norm, cmap), ax=axes, label=output_label(summary), extend=outside
    )
    if len(known):  # an intensity has no colours below 0
        bar.ax.set_ylim(max(norm.vmin, shown.min()), min(norm.vmax, shown.max()))
    if targets is not None:
        own = {"cmap": cmap, "norm": norm} if reached else {"cmap": "Greys", "vmin": 0, "vmax": 1}
        _points(axes, points, {"c": targets, **own})
    return cmap


def _classes(
    axes: Axes,
    classes: np.ndarray,
    extent: tuple[float, float, float, float],
    points: Any,
    names: list[str],
) -> None:
    """Which output is the largest; grey where there is no equilibrium."""
    colors = [COLORS[k % len(COLORS)] for k in range(len(names))]
    shown = ListedColormap(colors).with_extremes(under="lightgrey")
    norm = Normalize(-0.5, len(names) - 0.5)
    axes.imshow(
        classes.T, extent=extent, origin="lower", aspect="auto", cmap=shown, norm=norm,
        interpolation="nearest", alpha=0.45, zorder=0,
    )  # fmt: skip
    axes.set_title("class", fontsize=11)
    for color, name in zip(colors, names, strict=True):
        axes.scatter([], [], color=color, marker="s", label=name)
    if len(names) <= 10:
        axes.legend(fontsize=8, loc="upper right", framealpha=0.8)
    if points is not None:
        _points(axes, points, {"c": points[2].argmax(axis=1), "cmap": shown, "norm": norm})


def _points(axes: Axes, points: Any, colors: Mapping[str, Any]) -> None:
    """Samples, coloured by their targets; a shape for each set."""
    sets, inputs, _ = points
    values = np.asarray(colors["c"])
    for word in dict.fromkeys(sets):
        (chosen,) = np.nonzero(sets == word)
        chosen = chosen[:_MOST]
        style: dict[str, Any] = dict(
            marker=_MARKERS.get(word, "o"), s=60 if len(chosen) <= 20 else 22, linewidths=0.9,
            edgecolors="black", zorder=3, clip_on=False,
        )  # fmt: skip
        axes.scatter(*inputs[chosen].T, **style | dict(colors) | {"c": values[chosen]})


def _legend(figure: Figure, sets: np.ndarray) -> None:
    words = list(dict.fromkeys(sets))
    if len(words) < 2:
        return
    handles = [
        mpl.lines.Line2D([], [], ls="", marker=_MARKERS.get(w, "o"), mfc="white", mec="black")
        for w in words
    ]
    figure.legend(
        handles, [f"targets, {word}" for word in words], loc="outside lower center",
        ncols=len(words), frameon=False,
    )  # fmt: skip


def _curve(
    x: np.ndarray, outputs: np.ndarray, points: Any, summary: Mapping[str, Any], name: str
) -> Figure:
    """Outputs against one input, with targets."""
    figure = new_figure(4.4, 7.5)
    title(figure, name)
    axes = figure.add_subplot()
    names, order = called(summary, outputs.shape[1]), np.argsort(x)
    for k in range(min(outputs.shape[1], len(COLORS))):
        axes.plot(x[order], outputs[order, k], color=COLORS[k], linewidth=1.8, label=names[k])
        if points is None:
            continue
        sets, inputs, targets = points
        for word in dict.fromkeys(sets):
            chosen = np.flatnonzero(sets == word)[:_MOST]
            label = f"target, {word}" if len(set(sets)) > 1 else "target"
            axes.scatter(
                inputs[chosen, 0], targets[chosen, k], marker=_MARKERS.get(word, "o"), s=26,
                color=COLORS[k], edgecolors="black", linewidths=0.8, zorder=3,
                label=label if k == 0 else "_",
            )  # fmt: skip
    axes.set(xlabel="input 0", ylabel=output_label(summary))
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)
    return figure
