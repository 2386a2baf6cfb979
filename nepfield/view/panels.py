"""Which pictures a run gets: fields on a surface, each with its colour map and scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np

from nepfield.view.shapes import Array, Mark, RunFiles, Shape, has_phase, wave

MAX_PANELS = 8
Scales = dict[str, tuple[str, tuple[float, float]]]
"""Colour map and limits of density, V_re, V_im and dC_dV."""


@dataclass(frozen=True)
class Panel:
    """One coloured picture of the domain: values (or RGB) on the surface, and their scale."""

    title: str
    values: Array
    label: str
    cmap: str
    limits: tuple[float, float]
    lit: tuple[bool, ...] | None = None  # pumps that are on; None: all

    def colors(self) -> dict[str, Any]:
        """How PyVista is to colour the values."""
        if self.values.ndim == 2:
            return {"rgb": True}
        return {"cmap": self.cmap, "clim": self.limits}


def find_scales(runs: Iterable[RunFiles]) -> Scales:
    """Colour maps and limits that show the fields of several runs in the same colours."""
    ranges: dict[str, tuple[float, float]] = {}
    for files in runs:
        for name in ("density", "V_re", "V_im", "dC_dV"):
            for values in _values(files, name):
                known = values[np.isfinite(values)]
                if len(known):
                    low, high = ranges.get(name, (np.inf, -np.inf))
                    ranges[name] = (min(low, float(known.min())), max(high, float(known.max())))
    scales = {name: _scale(*limits) for name, limits in ranges.items()}
    if "density" in ranges:
        scales["density"] = ("inferno", (0.0, ranges["density"][1] or 1.0))
    if "dC_dV" in ranges:
        largest = max(abs(limit) for limit in ranges["dC_dV"]) or 1.0
        scales["dC_dV"] = ("RdBu_r", (-largest, largest))
    return scales


def _values(files: RunFiles, name: str) -> list[Array]:
    data = files.grid.point_data
    if name == "density":
        return [abs(wave(data, i)) ** 2 for i in range(files.count)]
    return [np.asarray(files.grid[name])] if name in files.grid.array_names else []


def find_panels(
    files: RunFiles,
    shape: Shape,
    marks: list[Mark],
    limit: int = MAX_PANELS,
    scales: Scales | None = None,
) -> list[tuple[str, list[Panel]]]:
    """The figures of a run as lists of panels, each with its file name."""
    data = shape.surface.cell_data if files.graph else shape.surface.point_data
    labels = files.labels()
    scales = find_scales([files]) if scales is None else scales
    figures: list[tuple[str, list[Panel]]] = []
    shown = range(min(files.count, limit))
    waves = [wave(data, i) for i in shown]
    if waves:
        drivers = [mark.driver for mark in marks if mark.driver is not None]
        lit = [tuple(files.drives(i, k) for k in drivers) for i in shown]
        titles = [files.sample(i) for i in shown]
        cmap, scale = scales.get("density", ("inferno", (0.0, 1.0)))
        rows = list(zip(titles, waves, lit, strict=True))
        panels = [
            Panel(t, abs(psi) ** 2, labels["density"], cmap, scale, on) for t, psi, on in rows
        ]
        figures.append(("density.png", panels))
    if waves and has_phase(data):
        turn = labels["phase"] + "\n" + r"white: $|\Psi|^2$ < $10^{-5}$ of its maximum"
        around = (-np.pi, np.pi)
        panels = [
            Panel(t, _phase_colors(psi, scale[1]), turn, "twilight", around, on)
            for t, psi, on in rows
        ]
        figures.append(("phase.png", panels))
    both = {**shape.surface.point_data, **shape.surface.cell_data}
    potential = []
    for name, title in (("V_re", "potential V"), ("V_im", "imaginary part of V")):
        if name in both and (name == "V_re" or np.any(both[name])):
            potential.append(Panel(title, np.asarray(both[name]), labels[name], *scales[name]))
    if len(potential) == 1:
        potential = [replace(potential[0], title="")]
    if potential:
        figures.append(("potential.png", potential))
    if "dC_dV" in both:
        panel = Panel("", np.asarray(both["dC_dV"]), labels["dC_dV"], *scales["dC_dV"])
        figures.append(("gradient.png", [panel]))
    return figures


def _phase_colors(psi: Array, top: float) -> Array:
    """Colours of the phase, (n, 3) of uint8, white where the density is below 1e-5 of its largest.

    Colours rather than angles are interpolated between points, so no false seam shows where the
    phase wraps.
    """
    density = abs(psi) ** 2
    own = max(float(np.nanmax(density, initial=0)), 1e-9 * top, 1e-300)
    fade = np.clip(2 * np.log10(np.maximum(density, 1e-300) / own) + 10, 0, 1)[:, None]
    colors = mpl.colormaps["twilight"]((np.angle(psi) + np.pi) / (2 * np.pi))[:, :3]
    return np.asarray(np.rint(255 * (fade * colors + (1 - fade))), dtype=np.uint8)


def _scale(low: float, high: float) -> tuple[str, tuple[float, float]]:
    """Diverging about 0 if the signs differ, else sequential over the range."""
    if low < 0 < high:
        return "RdBu_r", (-max(-low, high), max(-low, high))
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return "viridis", (low, high)
