"""A training or an evolution in time as an animation: what changes in it, and a curve beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from nepfield.errors import InputError
from nepfield.files import EVOLUTION, replacing
from nepfield.learning.state import HISTORY
from nepfield.view.curves import BLUE, RED, color_table, new_figure, tidy, title
from nepfield.view.evolution import draw_output, read_evolution, time_label
from nepfield.view.lines import MAX_CURVES, line_fields, line_figure
from nepfield.view.opengl import PicturesUnavailable, opengl_problem
from nepfield.view.painting import Painter, outline
from nepfield.view.panels import Layer, Panel, Scales, find_panels, find_scales
from nepfield.view.records import read_history, read_study, read_summary
from nepfield.view.runs import Array, RunFiles, read_run
from nepfield.view.shapes import find_marks, find_shape
from nepfield.view.shown import factor, unit, with_unit

MAX_INPUTS = 4
WIDTH, DPI = 10.0, 100  # inches and pixels an inch
LENGTH, LAST = 5000, 1500  # milliseconds: of the animation, and of its last frame more


def animate(run: Path, output: Path, most: int | None = None) -> Path:
    """Write the frames of a run as an animated GIF.

    Parameters
    ----------
    run : Path
        Run folder of a study with ``figures.frames``, or one that `nepfield evolve` wrote.
    output : Path
        The GIF. All frames share their colour scales; on a mesh or a planar graph it shows the
        first picture for the first four inputs, one that all share, and the cost (of an evolution
        the first output); on a line all fields.
    most : int, optional
        At most so many frames, evenly chosen.

    Raises
    ------
    InputError
        If the run has no frames, they are unreadable, or the GIF cannot be written.
    PicturesUnavailable
        If this machine cannot render fields; those on a line need no OpenGL.
    """
    run = Path(run)
    read_study(run)  # a folder that is not there is told apart from a run without frames
    frames = read_frames(run)
    if most is not None and len(frames) > most:
        frames = [frames[round(k)] for k in np.linspace(0, len(frames) - 1, most)]
    first = read_run(run, frames[0][1])
    if first.line:
        colors, images = [], _line_images(run, frames)
    else:
        problem = opengl_problem()
        if problem is not None:
            raise PicturesUnavailable(problem)
        scales = find_scales(read_run(run, name) for _, name in frames)
        images = _surface_images(run, frames, scales)
        pages = find_panels(first, find_shape(first), MAX_INPUTS, scales)
        layers = [layer for panel in _chosen(pages) for layer in panel.layers]
        colors = list(dict.fromkeys(layer.scale.cmap for layer in layers))
    return _save_gif(images, len(frames), Path(output), colors)


def read_frames(run: Path) -> list[tuple[float, str]]:
    """Epoch or time, and file (relative to the run), of every frame in ``frames.pvd``.

    Raises
    ------
    InputError
        If there is no such file, or no frame in it.
    """
    path = Path(run) / "frames.pvd"
    if not path.is_file():
        raise InputError(
            f"{run}: this run has no frames (frames.pvd is missing). Set figures.frames = 25 in "
            "the study and train it with that: nepfield train STUDY.toml --set figures.frames=25"
        )
    try:
        entries = list(ElementTree.parse(path).iter("DataSet"))
        frames = [(float(entry.attrib["timestep"]), entry.attrib["file"]) for entry in entries]
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a readable list of frames: {error}") from error
    if not frames:
        raise InputError(f"{path}: no frame in it; train the study again with figures.frames")
    return frames


def _moment(run: Path, at: float) -> str:
    """What the epoch or the time of a frame is called."""
    if not (run / EVOLUTION).is_file():
        return f"epoch {at:.0f}"
    return f"t = {at:.4g} {unit(read_summary(run), 'time')}".rstrip()


# ---------------------------------------------------------------- meshes and planar graphs


def _chosen(pages: dict[str, list[Panel]]) -> list[Panel]:
    """The panels of a film: the first picture of the samples, then the first that they share."""
    samples = next(([p for p in page if p.sample is not None] for page in pages.values()
                    if page and page[0].sample is not None), [])  # fmt: skip
    common = [panel for page in pages.values() for panel in page if panel.sample is None]
    return [*samples, *common[:1]]


def _samples(panels: list[Panel]) -> int:
    """Of how many samples they are."""
    return len({panel.sample for panel in panels if panel.sample is not None})


def _surface_images(run: Path, frames: list[tuple[float, str]], scales: Scales) -> Iterator[Array]:
    """The pictures of the frames, one after the other."""
    painter: Painter | None = None
    whole = _whole(run, frames)
    reach = 0.0
    if any(field.moves for field in whole.fields):
        reach = max(read_run(run, name).reach for _, name in frames)
    marks = find_marks(whole, find_shape(whole))
    try:
        for epoch, name in frames:
            files = read_run(run, name)
            shape = replace(find_shape(files), reach=reach)  # all frames show the same stretch
            panels = _chosen(find_panels(files, shape, MAX_INPUTS, scales))
            if painter is None:
                painter = Painter(shape)
                below = time_label(whole.summary) if (run / EVOLUTION).is_file() else ""
                figure, grid, cost = _layout(files, painter.aspect, panels, below)
                width = grid[0].get_window_extent().width if grid else 0.0
                shown: list[Any] = []
                for axes, panel in zip(grid, panels, strict=True):
                    pixels = painter.image(panel, 1.3 * width)
                    style: dict[str, Any] = dict(extent=painter.box, aspect="equal", zorder=0)
                    shown.append(axes.imshow(pixels, interpolation="antialiased", **style))
                    axes.set(xlim=painter.box[:2], ylim=painter.box[2:])
                    axes.set_title(panel.title, fontsize=10)
                    outline(axes, shape, marks, panel, named=False)
                line = _draw_cost(run, cost)
            painter.turn_to(shape)
            for axes, image, panel in zip(grid, shown, panels, strict=True):
                image.set_data(painter.image(panel, 1.3 * width))
                if panel.moved is not None:  # what was drawn over it moves along
                    for artist in [*axes.collections, *axes.lines, *axes.texts]:
                        artist.remove()
                    outline(axes, shape, marks, panel, named=False)
            line.set_xdata([epoch, epoch])
            title(figure, f"{whole.titled(_samples(panels))}: {_moment(run, epoch)}")
            yield _pixels(figure)
    finally:
        if painter is not None:
            painter.close()


def _whole(run: Path, frames: list[tuple[float, str]]) -> RunFiles:
    """The run's fields, which know all marks; a run that was broken off has frames alone."""
    return read_run(run, "fields.vtu" if (run / "fields.vtu").is_file() else frames[0][1])


def _layout(
    files: RunFiles, aspect: float, panels: list[Panel], below: str
) -> tuple[Figure, list[Axes], Axes]:
    """A figure with axes for the panels (what samples share at the right), and for the curve with
    what is written below it."""
    of_samples = [panel for panel in panels if panel.sample is not None]
    common = len(panels) > len(of_samples)
    rows = 1 if len(of_samples) <= 1 else 2
    columns = -(-len(of_samples) // rows)
    total = columns + (1 if rows == 2 else 1 + common)
    width = (WIDTH - 1.9) / total - 0.15
    height = rows * (width * aspect + 0.3) + 0.8
    figure = new_figure(max(height, 2.8), WIDTH)
    figure.set_dpi(DPI)
    wide = [1.0] * (total - 1) + [1.0 + 0.9 / width]  # the last has its colour bar beside it
    cells = figure.add_gridspec(rows, total, width_ratios=wide if rows == 2 else None)
    places = [(k // columns, k % columns) for k in range(len(of_samples))]
    places += [(0, columns)] if common else []
    places.append((rows - 1, total - 1))
    grid = [figure.add_subplot(cells[place]) for place in places]
    for axes in grid[:-1]:
        axes.set(xticks=[], yticks=[])
    grid[-1].set_box_aspect(max(aspect, 0.4))
    grid[-1].set_xlabel(below, fontsize=8)
    sides = [("left", list(zip(of_samples, grid, strict=False)))]
    sides.append(("right", list(zip(panels, grid, strict=False))[len(of_samples) :]))
    for side, drawn in sides:
        layers: dict[Any, Layer] = {one.bar: one for panel, _ in drawn for one in panel.layers}
        for layer in layers.values():
            scale = layer.scale
            bar: Any = dict(label=layer.label, pad=0.02, fraction=0.05, aspect=25, location=side)
            figure.colorbar(
                ScalarMappable(Normalize(*scale.limits), scale.cmap),
                ax=[axes for _, axes in drawn], **bar,
            )  # fmt: skip
    title(figure, files.title)
    _pixels(figure)  # so that places are known; they stay from now on
    figure.set_layout_engine("none")
    return figure, grid[:-1], grid[-1]


def _draw_cost(run: Path, axes: Axes) -> Any:
    """The cost against the epoch, or an output against time; the line that shows where the frame
    is is returned."""
    summary = read_summary(run)
    if (run / EVOLUTION).is_file():
        draw_output(axes, read_evolution(run), summary, 0)
        axes.set_title(axes.get_ylabel(), fontsize=10)
        axes.set_ylabel("")
        axes.tick_params(labelsize=8)
        tidy(axes)
        return axes.axvline(0, color=RED, linewidth=1.2)
    axes.set_title(with_unit("cost C", summary, "cost"), fontsize=10)
    axes.tick_params(labelsize=8)
    if (run / HISTORY).is_file():
        history = read_history(run)
        cost = history["cost"] * factor(summary, "cost")
        axes.plot(history["epoch"], cost, color=BLUE, linewidth=1.6)
        if (cost > 0).all() and cost.max() > 10 * cost.min():
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())  # the labels would reach the densities
        else:
            axes.yaxis.set_major_locator(MaxNLocator(4))
    tidy(axes)
    return axes.axvline(0, color=RED, linewidth=1.2)


# ---------------------------------------------------------------- lines


def _line_images(run: Path, frames: list[tuple[float, str]]) -> Iterator[Array]:
    drawn = [(epoch, read_run(run, name)) for epoch, name in frames]
    limits = {}
    for group, scale in find_scales(files for _, files in drawn).items():
        low, high = scale.limits
        room = 0.05 * (high - low)
        limits[group] = (0, 1.3 * high) if scale.relief else (low - room, high + room)
    whole = _whole(run, frames)
    marks = [replace(m, text=m.kind) for m in line_fields(whole).marks]
    name = whole.titled(len(whole.samples[:MAX_CURVES]))
    for epoch, files in drawn:
        # numbers at the marks are those of the end
        fields = replace(line_fields(files), marks=marks)
        figure = line_figure(fields, f"{name}: {_moment(run, epoch)}", limits)
        figure.set_dpi(DPI)
        yield _pixels(figure)


# ---------------------------------------------------------------- files


def _pixels(figure: Figure) -> Array:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _save_gif(images: Iterator[Array], count: int, output: Path, colormaps: list[str]) -> Path:
    """Write a GIF that begins again and again and rests at its end."""
    from PIL import Image

    palette = color_table(colormaps) if colormaps else None
    none = Image.Dither.NONE  # the noise of a dither does not compress
    pages = []
    for pixels in images:
        page = Image.fromarray(pixels).quantize(256, palette=palette, dither=none)
        palette = page if palette is None else palette  # one for all frames
        pages.append(page)
    duration = [min(500, max(60, LENGTH // count))] * count
    duration[-1] += LAST
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as part:
            pages[0].save(
                part,
                format="GIF",
                save_all=True,
                append_images=pages[1:],
                duration=duration,
                loop=0,
            )
    except OSError as error:
        raise InputError(f"{output}: the animation cannot be written: {error}") from error
    return output
