"""Outputs beside targets, and confusion matrices, with Matplotlib alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.view.curves import COLORS, WIDTH, new_figure, save_figure, tidy, title
from nepfield.view.records import read_summary, run_title, sample_title
from nepfield.view.shown import factor, unit, with_unit

MAX_SAMPLES, MAX_BARS = 16, 6
CONFUSION_MAP = "viridis"


def plot_outputs(run: Path, output: Path) -> Path | None:
    """Draw `outputs_figure` of a run.

    Returns
    -------
    Path or None
        The PNG that was written, or None where there is nothing to show (no outputs, or
        too many inputs).

    Raises
    ------
    InputError
        If the summary is unreadable, or outputs and targets do not fit together.
    """
    drawn = outputs_figure(read_summary(run), run_title(run), str(Path(run) / "summary.json"))
    if drawn is None:
        return None
    figure, maps = drawn
    return save_figure(figure, output, maps) if maps else save_figure(figure, output)


def outputs_figure(
    summary: Mapping[str, Any], name: str = "", where: str = "summary"
) -> tuple[Figure, list[str]] | None:
    """Outputs beside targets for every input, and colour maps; None for more than 16 inputs.

    Parameters
    ----------
    summary : dict
        Its ``inputs``, ``targets``, ``outputs``, ``readout`` and ``units``.
    name : str
        The title.
    where : str
        For messages.

    Raises
    ------
    InputError
        If outputs and targets do not fit together.
    """
    if not all(summary.get(key) for key in ("inputs", "targets", "outputs")):
        return None
    try:
        inputs, targets, outputs = (
            np.array(
                [[np.nan if v is None else v for v in np.atleast_1d(row)] for row in summary[key]],
                dtype=float,
            )
            for key in ("inputs", "targets", "outputs")
        )
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: inputs, targets, outputs want lists of rows: {error}"
        ) from error
    if not len(inputs) == len(targets) == len(outputs) or targets.shape != outputs.shape:
        raise InputError(
            f"{where}: {len(inputs)} inputs, targets {targets.shape} and outputs {outputs.shape} "
            "do not fit together; wanted one row an input"
        )
    if len(outputs) > MAX_SAMPLES:
        return None
    said = {"label": "", "unit": "", "target_unit": ""} | summary.get("readout", {})
    targets = targets * factor(summary, said["target_unit"])
    outputs = outputs * factor(summary, said["unit"])
    samples, count = outputs.shape
    called = [str(text) for text in said.get("names", ())]
    if len(called) != count:
        called = ["output"] if count == 1 else [f"output {k}" for k in range(count)]
    names = [sample_title(row, i, "") for i, row in enumerate(inputs)]
    alike = unit(summary, said["target_unit"]) == unit(summary, said["unit"])
    words = f"output ({said['label']})" if said["label"] else "output"
    label = with_unit(words, summary, said["unit"]).replace(") (", ", ")
    if count > MAX_BARS:
        matrices = _matrices(name, (outputs, targets), (label, "target"), names, alike)
        _name_rows(matrices[0], called)
        return matrices
    figure = new_figure(4.2, min(WIDTH, max(5.0, 1.5 + 0.55 * samples * max(1.6, 0.6 * count))))
    title(figure, name)
    axes = figure.add_subplot()
    width = 0.64 / count
    for k in range(count):
        x = np.arange(samples) + (k - (count - 1) / 2) * width
        color = COLORS[k % len(COLORS)]
        axes.bar(x, outputs[:, k], 0.9 * width, color=color, label=called[k])
        axes.hlines(
            targets[:, k], x - 0.55 * width, x + 0.55 * width, color="black", linewidth=2.2,
            zorder=4, clip_on=False,
            label=("target" if alike else "target class") if k == 0 else "_",
        )  # fmt: skip
    axes.set_xticks(np.arange(samples), names)
    if samples > 8:
        axes.tick_params(axis="x", labelrotation=45)
    axes.set(xlabel="inputs", ylabel=label)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))  # room for the legend
    axes.legend(loc="upper right", ncols=2, frameon=False, fontsize=9)
    tidy(axes)
    axes.grid(False, axis="x")
    return figure, []


def _name_rows(figure: Figure, called: list[str]) -> None:
    """Names beside the rows of outputs, where they have any and there is room."""
    if len(called) <= 24 and called != [f"output {k}" for k in range(len(called))]:
        for axes in figure.axes[:2]:
            axes.set_yticks(range(len(called)), called, fontsize=8)
            axes.set_ylabel("")


def _matrices(
    name: str,
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    labels: tuple[str, str],
    samples: list[str],
    alike: bool,
) -> tuple[Figure, list[str]]:
    """Many outputs: a row each, a column a sample, and the targets below."""
    figure = new_figure(1.6 + 2 * 0.22 * values[0].shape[1], 8.0)
    title(figure, name)
    limits: dict[str, Any] = {}
    if alike:
        known = np.concatenate([v[np.isfinite(v)] for v in values])
        limits = dict(vmin=known.min(), vmax=known.max())
    rows = figure.subplots(2, 1, sharex=True)
    for axes, matrix, words in zip(rows, values, labels, strict=True):
        style: dict[str, Any] = dict(cmap=CONFUSION_MAP, aspect="auto", interpolation="nearest")
        drawn = axes.imshow(matrix.T, **style, **limits)
        axes.set_ylabel("number of the output")
        figure.colorbar(drawn, ax=axes, label=words)
    short = [text if len(text) < 16 else str(i) for i, text in enumerate(samples)]
    rows[-1].set_xticks(np.arange(len(samples)), short, rotation=45)
    rows[-1].set_xlabel("inputs")
    return figure, [CONFUSION_MAP]


def plot_confusion(run: Path, output: Path) -> Path | None:
    """How often each class was read as which, for each set of samples.

    Parameters
    ----------
    run : Path
        Run folder whose ``summary.json`` has ``confusion``: for each set a row of counts for each
        true class.
    output : Path
        PNG to write.

    Returns
    -------
    Path or None
        The PNG, or None where there are no classes.

    Raises
    ------
    InputError
        If the summary is unreadable.
    """
    drawn = confusion_figure(read_summary(run), run_title(run), str(Path(run) / "summary.json"))
    return None if drawn is None else save_figure(drawn, output, [CONFUSION_MAP])


def confusion_figure(
    summary: Mapping[str, Any], name: str = "", where: str = "summary"
) -> Figure | None:
    """The same from a summary; None where there are no classes."""
    found = summary.get("confusion")
    if not found:
        return None
    try:
        sets = {word: np.array(counts, dtype=float) for word, counts in found.items()}
        if any(m.ndim != 2 or m.shape[0] != m.shape[1] for m in sets.values()):
            raise ValueError("a matrix is not square")
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: confusion: {error}") from error
    figure = new_figure(4.4, 1.2 + 3.9 * len(sets))
    title(figure, name)
    row = figure.subplots(1, len(sets), squeeze=False)[0]
    drawn: Any = None
    for axes, (word, counts) in zip(row, sets.items(), strict=True):
        drawn = _confusion(axes, word, counts)
    row[0].set_ylabel("class")
    figure.colorbar(drawn, ax=list(row), label="share of a class")
    return figure


def _confusion(axes: Axes, word: str, counts: NDArray[np.float64]) -> Any:
    """One matrix, with the counts written in it where there is room."""
    n, total = len(counts), counts.sum()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap=CONFUSION_MAP, vmin=0, vmax=1)
    if n <= 12:
        for (true, read), share in np.ndenumerate(shares):
            if counts[true, read]:
                color = "black" if share > 0.6 else "white"
                text = f"{counts[true, read]:.0f}"
                size = 10 if n <= 6 else 7
                axes.text(read, true, text, ha="center", va="center", color=color, fontsize=size)
        axes.set(xticks=range(n), yticks=range(n))
    right = np.trace(counts) / total if total else np.nan
    axes.set_title(f"{word}: {right:.1%} of {total:.0f}", fontsize=11)
    axes.set_xlabel("read as")
    return drawn
