"""Which pictures a run gets: coloured faces and edges, each with its colour map and scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize

from nepfield.view.runs import Array, Drawn, RunFiles
from nepfield.view.shapes import Shape, moved_shape

MAX_PANELS = 8
DARK = 1e-5
"""Share of the largest intensity below which a phase is white, and logarithmic colours end."""

_MAPS = {
    "intensity": "inferno",
    "logarithmic": "inferno",
    "sequential": "viridis",
    "diverging": "RdBu_r",
    "cyclic": "twilight",
}


@dataclass(frozen=True)
class ColorScale:
    """A colour map over limits; `brightest` is the largest intensity where the colours fade."""

    cmap: str
    limits: tuple[float, float]
    brightest: float = 0.0
    log: bool = False

    @property
    def norm(self) -> Normalize:
        """How Matplotlib spreads the colours."""
        return (LogNorm if self.log else Normalize)(*self.limits)

    @property
    def cyclic(self) -> bool:
        """Whether it is of angles."""
        return self.cmap == _MAPS["cyclic"]

    @property
    def relief(self) -> bool:
        """Whether its values are heights above 0."""
        return self.cmap == _MAPS["intensity"]


Scales = dict[tuple[str, str, bool], ColorScale]
"""Colours by `Drawn.group`."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Values (or RGB) on faces or edges, with their colours.

    Attributes
    ----------
    values : ndarray, shape (n,), or (n, 3) for RGB
    label : str
        Beside the colour bar, with the unit.
    words : str
        What it is in words, with the unit.
    scale : ColorScale
    """

    values: Array
    label: str
    words: str
    scale: ColorScale

    def colors(self) -> dict[str, Any]:
        """How PyVista is to colour the values."""
        if self.values.ndim == 2:
            return {"rgb": True}
        log = {"log_scale": True} if self.scale.log else {}
        return {"cmap": self.scale.cmap, "clim": self.scale.limits, **log}

    @property
    def bar(self) -> tuple[str, ColorScale]:
        """Layers that are equal in this have one colour bar."""
        return self.label, self.scale


@dataclass(frozen=True, eq=False)
class Panel:
    """One coloured picture of the domain.

    Attributes
    ----------
    title : str
        The inputs of its sample, or what it shows in words.
    faces : Layer or None
        Faces without a layer stay plain.
    edges : Layer or None
        Of a graph.
    sample : int or None
    off : frozenset of int
        Inputs that are 0 in its sample.
    moved : Shape or None
        The domain as its sample displaces it.
    """

    title: str
    faces: Layer | None
    edges: Layer | None = None
    sample: int | None = None
    off: frozenset[int] = frozenset()
    moved: Shape | None = None

    @property
    def layers(self) -> list[Layer]:
        """Those that there are."""
        return [layer for layer in (self.faces, self.edges) if layer is not None]

    @property
    def cmap(self) -> str:
        """The colour map that lines over the faces stand out from; "" where they are plain."""
        return "" if self.faces is None else self.faces.scale.cmap


def find_scales(runs: Iterable[RunFiles]) -> Scales:
    """Colour maps and limits that show the fields of several runs in the same colours."""
    ranges: dict[tuple[str, str, bool], tuple[float, float]] = {}
    kinds: dict[tuple[str, str, bool], Drawn] = {}
    for files in runs:
        for field in files.fields:
            kinds.setdefault(field.group, field)
            values = np.abs(files.raw(field)) ** 2 if field.fades else files.values(field)
            known = values[np.isfinite(values)]
            low, high = ranges.get(field.group, (np.inf, -np.inf))
            if len(known):
                low, high = min(low, float(known.min())), max(high, float(known.max()))
            ranges[field.group] = low, high
    return {group: _scale(field, *ranges[group]) for group, field in kinds.items()}


def _scale(field: Drawn, low: float, high: float) -> ColorScale:
    """Colours of a field whose values (of one that fades, intensities) reach from low to high."""
    if not low <= high:
        low, high = 0.0, 0.0  # nothing is known of it
    kind = field.scale
    if kind == "cyclic":
        return ColorScale(_MAPS[kind], (-np.pi, np.pi), high if field.fades else 0.0)
    if kind == "intensity":
        return ColorScale(_MAPS[kind], (0.0, high or 1.0))
    if kind == "logarithmic":
        high = high if high > 0 else 1.0
        return ColorScale(_MAPS[kind], (DARK * high, high), log=True)
    if kind == "diverging" or (kind == "auto" and low < 0 < high):
        largest = max(-low, high) or 1.0
        return ColorScale(_MAPS["diverging"], (-largest, largest))
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return ColorScale(_MAPS["sequential"], (low, high))


def find_panels(
    files: RunFiles, shape: Shape, limit: int | None = MAX_PANELS, scales: Scales | None = None
) -> dict[str, list[Panel]]:
    """The pictures of a run by name, each a list of panels.

    Parameters
    ----------
    files : RunFiles
    shape : Shape
        Its surface holds the fields.
    limit : int
        At most so many samples have panels; None for all.
    scales : Scales, optional
        Colours; by default those of this run alone.
    """
    scales = find_scales([files]) if scales is None else scales
    data = {**shape.surface.point_data, **shape.surface.cell_data}
    inputs = 0 if files.inputs is None else files.inputs.shape[1]
    pictures: dict[str, list[Panel]] = {}
    for name in files.pictures:
        fields = files.of(name)
        faces = [field for field in fields if field.on != "edge"]
        edges = [field for field in fields if field.on == "edge"]
        main = faces or edges
        several = len({field.title for field in main if field.sample is not None}) > 1
        shown = sorted({f.sample for f in main if f.sample is not None})[:limit]
        panels = []
        for field in sorted(main, key=lambda f: (f.sample is None, f.sample or 0)):
            if field.sample is not None and field.sample not in shown:
                continue
            title, off = field.title, frozenset[int]()
            if field.sample is not None:
                title = field.panel or files.sample(field.sample)
                title += f", {field.title}" if several else ""
                off = frozenset(k for k in range(inputs) if not files.drives(field.sample, k))
            moved, here = None, data
            if field.moves:
                moved = moved_shape(files, shape, field)
                here = {**moved.surface.point_data, **moved.surface.cell_data}
            own: Layer | None = _layer(files, field, here, scales)
            if not faces:
                panels.append(Panel(title, None, own, field.sample, off))
                continue
            beside = _beside(edges, field.sample)
            lines = None if beside is None else _layer(files, beside, here, scales)
            if field.moves and lines is not None:
                own = None  # what is seen to move needs no colours
            panels.append(Panel(title, own, lines, field.sample, off, moved))
        pictures[name] = panels
    return pictures


def _beside(edges: list[Drawn], sample: int | None) -> Drawn | None:
    """The field that colours the edges in a panel: of its sample, else of all."""
    for wanted in (sample, None):
        for field in edges:
            if field.sample == wanted:
                return field
    return None


def _layer(files: RunFiles, field: Drawn, data: Any, scales: Scales) -> Layer:
    scale = scales[field.group]
    label = files.label(field)
    if scale.cyclic:
        raw = files.raw(field, data)
        values = phase_colors(raw, scale.brightest if field.fades else None)
        of = next((f for f in files.fields if f.arrays == field.arrays and f is not field), None)
        if field.fades:
            what = of.label if of is not None and of.part == "intensity" else "intensity"
            label += f"\nwhite: {what} < $10^{{{round(np.log10(DARK))}}}$ of its maximum"
    else:
        values = files.values(field, data)
        values = np.maximum(values, scale.limits[0]) if scale.log else values
    return Layer(values, label, files.with_unit(field.title, field, natural=False), scale)


def phase_colors(values: Array, brightest: float | None = None) -> Array:
    """Colours of angles, (n, 3) of uint8.

    Colours rather than angles are interpolated between points, so no false seam shows where the
    phase wraps.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Angles, or complex numbers.
    brightest : float, optional
        Where it is given, numbers whose intensity is below `DARK` of the largest here are white;
        it is the largest intensity in all pictures.
    """
    angles = np.angle(values) if np.iscomplexobj(values) else np.asarray(values)
    known = np.isfinite(angles)
    turns = np.where(known, angles / (2 * np.pi) + 0.5, 0.0) % 1.0
    colors = mpl.colormaps[_MAPS["cyclic"]](turns)[:, :3]
    if brightest is not None:
        intensity = np.where(known, np.abs(values) ** 2, 0.0)
        own = max(float(intensity.max(initial=0)), 1e-9 * brightest, 1e-300)
        dark = np.log10(np.maximum(intensity, 1e-300) / own / DARK)
        fade = np.clip(2 * dark, 0, 1)[:, None]
        colors = fade * colors + (1 - fade)
    colors[~known] = mpl.colors.to_rgb("lightgrey")
    return np.asarray(np.rint(255 * colors), dtype=np.uint8)
