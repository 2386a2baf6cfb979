"""Which pictures a run gets: fields on a surface, each with its colour map and scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np

from nepfield.view.shapes import Array, Mark, RunFiles, Shape, wave

MAX_PANELS = 8


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


def find_panels(
    files: RunFiles, shape: Shape, marks: list[Mark], limit: int = MAX_PANELS
) -> list[tuple[str, list[Panel]]]:
    """The figures of a run as lists of panels, each with its file name."""
    data = shape.surface.cell_data if files.graph else shape.surface.point_data
    labels = files.labels()
    figures: list[tuple[str, list[Panel]]] = []
    shown = range(min(files.count, limit))
    waves = [wave(data, i) for i in shown]
    if waves:
        drivers = [mark.driver for mark in marks if mark.driver is not None]
        lit = [tuple(files.drives(i, k) for k in drivers) for i in shown]
        titles = [files.sample(i) for i in shown]
        top = max(float(np.nanmax(abs(psi) ** 2, initial=0)) for psi in waves)
        scale = (0.0, top if top > 0 else 1.0)
        density, turn = labels["density"], labels["phase"]
        rows = list(zip(titles, waves, lit, strict=True))
        panels = [Panel(t, abs(psi) ** 2, density, "inferno", scale, on) for t, psi, on in rows]
        figures.append(("density.png", panels))
        around = (-np.pi, np.pi)
        panels = [
            Panel(t, _phase_colors(psi, top), turn, "twilight", around, on) for t, psi, on in rows
        ]
        figures.append(("phase.png", panels))
    both = {**shape.surface.point_data, **shape.surface.cell_data}
    potential = []
    for name, title in (("V_re", "potential V"), ("V_im", "imaginary part of V")):
        if name in both and (name == "V_re" or np.any(both[name])):
            potential.append(
                Panel(title, np.asarray(both[name]), labels[name], *_scale(both[name]))
            )
    if len(potential) == 1:
        potential = [replace(potential[0], title="")]
    if potential:
        figures.append(("potential.png", potential))
    if "dC_dV" in both:
        values = np.asarray(both["dC_dV"])
        largest = float(np.nanmax(abs(values), initial=0)) or 1.0
        panel = Panel("", values, labels["dC_dV"], "RdBu_r", (-largest, largest))
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


def _scale(values: Array) -> tuple[str, tuple[float, float]]:
    """Diverging about 0 if the signs differ, else sequential over the range."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low < 0 < high:
        return "RdBu_r", (-max(-low, high), max(-low, high))
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return "viridis", (low, high)
