"""The picture of the study: four panels, all against the size of the cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure

from .scales import WANTED

STYLES = {1: {"ls": "--", "marker": "o", "mfc": "white"}, 2: {"ls": "-", "marker": "o"}}
DEVICE_COLORS = {"below": BLUE, "propagating": ORANGE, "nonlinear": GREEN}
SCALE_COLORS = {"wavelength": ORANGE, "pump width": BLUE, "healing length": GREEN}
GRADIENTS = {
    "dC_dw": ("dC/dw", BLUE),
    "dC_dV_cavity": ("∫ dC/dV", GREEN),
    "dC_dV_field": ("dC/dV, cell by cell", RED),
}


def draw(path: Path, devices: pd.DataFrame, scales: pd.DataFrame, trained: pd.DataFrame) -> None:
    """Write the PNG."""
    figure = new_figure(8.2)
    axes = figure.subplots(2, 2)
    _draw_outputs(axes[0, 0], devices)
    _draw_gradients(axes[0, 1], devices[devices["device"] == "below"])
    _draw_scales(axes[1, 0], scales)
    _draw_training(axes[1, 1], trained)
    for axis, letter in zip(axes.flat, "abcd", strict=True):
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left", fontsize=10)
        axis.set_title("", loc="center")
        axis.grid(alpha=0.25)
    save_figure(figure, path)


def _lines(axis: Axes, table: pd.DataFrame, x: str, y: str, by: str, colors: dict) -> None:
    for (name, order), part in table.groupby([by, "order"], sort=False):
        axis.loglog(part[x], part[y], color=colors[name], ms=4, lw=1.3, **STYLES[order])


def _legend(axis: Axes, colors: dict[str, str], **options: object) -> None:
    handles = [Line2D([], [], color=color, label=label) for label, color in colors.items()]
    handles += [
        Line2D([], [], color=GREY, ms=4, label=f"order {order}", **style)
        for order, style in STYLES.items()
    ]
    axis.legend(handles=handles, fontsize=7.5, **options)


def _slope(axis: Axes, size: np.ndarray, error: float, rate: int) -> None:
    """A guide to the eye below the data."""
    low, high = size.min(), size.min() * 2
    axis.loglog([low, high], [error, error * 2**rate], color=GREY, lw=0.8)
    axis.text(high, error * 2**rate, f" {rate}", color=GREY, fontsize=8, va="center")


def _size_axis(axis: Axes, sizes: np.ndarray) -> None:
    ticks = sorted(set(sizes))
    axis.set_xticks(ticks, [f"{size:g}" for size in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_minor_locator(axis.xaxis.get_major_locator())
    axis.set_xlabel("size of the cells")


def _draw_outputs(axis: Axes, table: pd.DataFrame) -> None:
    _lines(axis, table, "size", "outputs", "device", DEVICE_COLORS)
    axis.axhline(WANTED, color=GREY, lw=0.8, ls=":")
    _slope(axis, table["size"].to_numpy(), 1e-4, 2)
    _slope(axis, table["size"].to_numpy(), 7e-6, 3)
    _size_axis(axis, table["size"].to_numpy())
    axis.set_ylabel("error, relative to the largest output")
    axis.set_title("outputs of three devices")
    _legend(axis, DEVICE_COLORS)


def _draw_gradients(axis: Axes, table: pd.DataFrame) -> None:
    for name, (_, color) in GRADIENTS.items():
        _lines(axis, table.assign(name=name), "size", name, "name", {name: color})
    axis.axhline(WANTED, color=GREY, lw=0.8, ls=":")
    _slope(axis, table["size"].to_numpy(), 5e-2, 1)
    _slope(axis, table["size"].to_numpy(), 4e-7, 3)
    _size_axis(axis, table["size"].to_numpy())
    axis.set_ylabel("relative error")
    axis.set_title('gradient of the device "below"')
    _legend(axis, dict(GRADIENTS.values()))


def _draw_scales(axis: Axes, table: pd.DataFrame) -> None:
    _lines(axis, table, "cells", "error", "length", SCALE_COLORS)
    axis.axhline(WANTED, color=GREY, lw=0.8, ls=":")
    axis.text(table["cells"].max(), WANTED, f"{WANTED:.0%} ", fontsize=8, ha="right", va="bottom")
    axis.set_ylim(1e-7, 2)
    axis.set_xlabel("cells a length")
    axis.set_ylabel("error of the density")
    axis.set_title("one length at a time, in 1-D")
    _legend(axis, SCALE_COLORS, loc="lower left")


def _draw_training(axis: Axes, table: pd.DataFrame) -> None:
    table = table[table["basis"] == "cells"]
    _lines(axis, table, "size", "moved", "device", DEVICE_COLORS)
    axis.axhline(WANTED, color=GREY, lw=0.8, ls=":")
    _size_axis(axis, table["size"].to_numpy())
    axis.set_xlabel("size of the cells in training")
    axis.set_ylabel("largest change of an output")
    axis.set_title("trained devices, moved to the finest mesh")
    _legend(axis, {name: DEVICE_COLORS[name] for name in table["device"].unique()})
