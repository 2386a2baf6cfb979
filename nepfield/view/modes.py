"""Levels of a cavity and the spectrum of fluctuations, with Matplotlib alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.view.curves import BLUE, GREY, ORANGE, RED, new_figure, save_figure, tidy, title
from nepfield.view.records import read_summary, run_title
from nepfield.view.shown import factor, with_unit

_LARGEST = 1e100  # that axes can show
_NEEDED = {"modes": ("level", "loss"), "spectrum": ("frequency", "growth", "norm")}


def plot_spectrum(run: Path, output: Path) -> Path | None:
    """Draw `spectrum_figure` of a folder of `nepfield modes`; None where there is none.

    Raises
    ------
    InputError
        If a table is unreadable.
    """
    figure = run_spectrum(run)
    return None if figure is None else save_figure(figure, output)


def run_spectrum(run: Path) -> Figure | None:
    """The figure of a folder; None where there is no modes.csv."""
    tables = {name: _table(Path(run) / f"{name}.csv", _NEEDED[name]) for name in _NEEDED}
    if tables["modes"] is None:
        return None
    return spectrum_figure(tables["modes"], tables["spectrum"], read_summary(run), run_title(run))


def spectrum_figure(
    modes: pd.DataFrame, spectrum: pd.DataFrame | None, summary: Mapping[str, Any], name: str = ""
) -> Figure:
    """Losses of the modes against their levels, and growth of fluctuations against frequency.

    Parameters
    ----------
    modes : DataFrame
        With ``level`` and ``loss``.
    spectrum : DataFrame or None
        With ``frequency``, ``growth`` and ``norm``.
    summary : dict
        Its ``units`` and ``sample``.
    name : str
        The title.
    """
    figure = new_figure(4.2)
    title(figure, name)
    axes = list(figure.subplots(1, 1 if spectrum is None else 2, squeeze=False)[0])
    energy = factor(summary, "energy")
    _levels(axes[0], energy * modes["level"], energy * modes["loss"])
    axes[0].set_xlabel(with_unit("level, the drive is at 0", summary, "energy"))
    axes[0].set_ylabel(with_unit("loss of the amplitude", summary, "energy"))
    axes[0].set_title("modes of the cavity", fontsize=11)
    if spectrum is not None:
        _fluctuations(axes[1], energy, spectrum)
        axes[1].set_xlabel(with_unit("frequency in the frame of the drive", summary, "energy"))
        axes[1].set_ylabel(with_unit("growth", summary, "energy"))
        axes[1].set_title(f"fluctuations, sample {summary.get('sample', 0)}", fontsize=11)
    for one in axes:
        tidy(one)
    return figure


def _levels(axes: Axes, level: pd.Series, loss: pd.Series) -> None:
    """A needle each; those that are no farther from the drive than their loss stand out."""
    near = np.abs(level) <= np.abs(loss)
    colors = np.where(near, ORANGE, BLUE)
    axes.vlines(level, 0, loss, colors=colors.tolist(), linewidth=1.2)
    axes.scatter(level, loss, c=colors.tolist(), s=26, zorder=3)
    axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
    axes.set_ylim(0, 1.25 * max(float(loss.max()), 1e-300))


def _fluctuations(axes: Axes, energy: float, spectrum: pd.DataFrame) -> None:
    """Both signs of the frequency, coloured by the sign of the energy; above 0 they grow."""
    frequency, growth = energy * spectrum["frequency"], energy * spectrum["growth"]
    for sign, color, label in ((1, BLUE, "positive energy"), (-1, RED, "negative energy")):
        x = np.concatenate([frequency, -frequency])
        shown = np.concatenate([spectrum["norm"], -spectrum["norm"]]) * sign >= 0
        y = np.concatenate([growth, growth])
        if shown.any():
            axes.scatter(x[shown], y[shown], color=color, s=24, label=label, zorder=3)
    axes.axhline(0, color=GREY, linewidth=1, linestyle="--")
    low, high = min(float(growth.min()), 0.0), max(float(growth.max()), 0.0)
    room = 0.15 * (high - low or 1.0)
    axes.set_ylim(low - room, high + 2 * room)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=2)


def _table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame | None:
    """A table with the columns that are needed; None where there is no file."""
    import io

    if not path.is_file():
        return None
    try:
        table = pd.read_csv(io.StringIO(read_text(path, LARGEST)))
        numbers = table.reindex(columns=list(needed)).to_numpy(dtype=float)
    except (OSError, ValueError, OverflowError) as error:  # what pandas raises is a ValueError
        raise InputError(f"{path}: not a readable CSV file: {error}") from error
    if not len(table) or not (np.abs(numbers) < _LARGEST).all():
        raise InputError(f"{path}: wanted rows of numbers under {', '.join(needed)}")
    return table.assign(**dict(zip(needed, numbers.T, strict=True)))  # "1_0" is one, too
