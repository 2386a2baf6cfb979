"""Figures with Matplotlib, and the training curves of a run.

Everything here works without OpenGL and without a display: figures are made with the
object-oriented interface and the Agg canvas, so no global Matplotlib state is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, MultipleLocator, NullFormatter
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.view.records import read_history, read_summary, run_title
from nepfield.view.shown import factor, with_unit

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 300_000
DPI = 160
WIDTH = 10.0  # inches: 1600 pixels
BLUE, ORANGE, GREEN, RED, GREY = "#1f5fa8", "#d9730d", "#2e7d4f", "#b3303a", "#6b6b6b"
COLORS = (BLUE, ORANGE, GREEN, RED, "#6a4fa3", "#8a6d3b", "#c65b9b", GREY)


FORMATS = (".png", ".pdf", ".svg")
"""Files that `save_figure` writes."""


class Picture(Figure):
    """A figure of Matplotlib that notebooks show as it is, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=0.5 * DPI)
        return buffer.getvalue()


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure (inches) with constrained layout that draws with Agg."""
    figure = Picture(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, output: Path, colormaps: Sequence[str | Colormap] = ()) -> Path:
    """Write a PNG of less than 300 kB: with fewer colours, then fewer pixels, where it must be.

    Fewer colours means 256: those of the `colormaps` in fine steps, and greys for lines and
    text, so that a smooth field stays smooth. A PDF or an SVG, by its suffix, has lines and text as
    such and fields as images; it is the same byte by byte whenever it is drawn.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from PIL import Image

    output = Path(output)
    if output.suffix.lower() in FORMATS[1:]:
        return _save_vectors(figure, output)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)  # ticks may change with the layout, which must know them
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as part:
            image.save(part, format="PNG", dpi=(DPI, DPI))
            scale = 1.0
            while part.stat().st_size > MAX_BYTES and scale > 0.2:
                size = (round(image.width * scale), round(image.height * scale))
                smaller = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
                palette = color_table(colormaps) if colormaps else None
                none = Image.Dither.NONE  # the noise of a dither does not compress
                few = smaller.quantize(256, palette=palette, dither=none)
                few.save(part, format="PNG", optimize=True, dpi=(DPI, DPI))
                scale *= 0.8
    except OSError as error:
        raise InputError(f"{output}: the picture cannot be written: {error}") from error
    return output


def _save_vectors(figure: Figure, output: Path) -> Path:
    """A PDF or an SVG without the time of writing."""
    kind = output.suffix.lower().removeprefix(".")
    dates = {"pdf": "CreationDate", "svg": "Date"}
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as part, mpl.rc_context({"svg.hashsalt": "nepfield"}):
            figure.savefig(part, format=kind, metadata={dates[kind]: None})
    except OSError as error:
        raise InputError(f"{output}: the picture cannot be written: {error}") from error
    return output


def color_table(names: Sequence[str | Colormap]) -> Image.Image:
    """An image with a palette of 256 colours: those of colour maps in fine steps, and greys."""
    from PIL import Image

    greys = np.linspace(0, 1, 32)[:, None] * np.ones(3)
    tables = [greys]
    for name in names:
        # A phase also fades to white, over short distances.
        shares = {1.0: 0.7, 0.5: 0.3} if name == "twilight" else {1.0: 1.0}
        for strength, share in shares.items():
            steps = np.linspace(0, 1, int(share * 224 / len(names)))
            tables.append(strength * mpl.colormaps.get_cmap(name)(steps)[:, :3] + 1 - strength)
    holder = Image.new("P", (1, 1))
    holder.putpalette(np.rint(255 * np.concatenate(tables)).astype(np.uint8).ravel().tolist())
    return holder


def plot_training(run: Path, output: Path) -> Path:
    """Training curves of a run: the cost, and beside it what else its columns say.

    ``columns`` of summary.json describes those of history.csv that are to be drawn,

        panel     text beside the axes; columns with the same one share them
        label     name of the curve in a legend, "" for none
        unit      kind of unit
        scale     "log" where all values are positive, or "linear"
        limits    [low, high] of the axes
        level     a value to compare with
        usual     a value that is not worth drawing where nothing else occurs
        dots      true where each point is worth a dot

    of which panel alone must be there. What shares the panel of the cost is drawn with it.

    Parameters
    ----------
    run : Path
        Run folder with ``history.csv`` (and ``study.toml`` for the title).
    output : Path
        PNG to write.

    Raises
    ------
    InputError
        If the run folder or its history is missing or unreadable.
    """
    name = run_title(run)
    return save_figure(training_figure(read_history(run), read_summary(run), name), output)


def training_figure(
    history: Mapping[str, NDArray[np.float64]], summary: Mapping[str, Any], name: str = ""
) -> Figure:
    """The same from columns of a history, and a summary that describes them.

    Parameters
    ----------
    history : dict of ndarray
        ``epoch``, ``cost`` and others, nan where a value is missing.
    summary : dict
        Used where they are there: ``columns``, ``units``, ``verdict``, and ``untrusted_since``, an
        epoch from which on the background is red: the gradient was not to be trusted.
    name : str
        The title.
    """
    columns = {"cost": {"panel": "cost C", "unit": "cost"}} | summary.get("columns", {})
    panels: dict[str, list[str]] = {}
    for column, said in columns.items():
        values = history.get(column, np.empty(0))
        values = values[np.isfinite(values)]
        if len(values) and ("usual" not in said or (values != said["usual"]).any()):
            panels.setdefault(said["panel"], []).append(column)
    main = columns["cost"]["panel"]
    beside = [panel for panel in panels if panel != main]
    across = 1 if len(beside) <= 4 else 2
    rows = max(1, -(-len(beside) // across))
    figure = new_figure(max(5.2, 1.0 + 1.3 * rows), WIDTH if across == 1 else 1.25 * WIDTH)
    verdict = summary.get("verdict")
    title(figure, f"{name} (verdict: {verdict})" if verdict else name)
    ratios = (1.15, *(1.0 if across == 1 else 0.8,) * across)
    grid = figure.add_gridspec(rows, 1 + across, width_ratios=ratios)
    left = figure.add_subplot(grid[:, 0])
    places = [(number % rows, 1 + number // rows) for number in range(len(beside))]
    right = [figure.add_subplot(grid[place], sharex=left) for place in places]
    for number, (panel, axes) in enumerate(zip([main, *beside], [left, *right], strict=True)):
        said = {column: columns[column] for column in panels.get(panel, [])}
        _draw_panel(axes, history, summary, said, number)
        if (since := summary.get("untrusted_since")) is not None:
            doubt = "gradient not to be trusted"
            last = max(float(history["epoch"].max(initial=0.0)), since + 1.0)
            axes.axvspan(since, last, color=RED, alpha=0.1, linewidth=0, label=doubt)
            if not number:
                axes.legend(frameon=False, fontsize=9, loc="best")
    left.set_xlabel("epoch")
    for (row, column), axes in zip(places, right, strict=True):
        lowest = (row + 1, column) not in places
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel("epoch" if lowest else "")
    for column in range(across):
        figure.align_ylabels([a for p, a in zip(places, right, strict=True) if p[1] == 1 + column])
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_panel(
    axes: Axes,
    history: Mapping[str, NDArray[np.float64]],
    summary: Mapping[str, Any],
    columns: dict[str, dict[str, Any]],
    number: int,
) -> None:
    """Some columns of the history over the epochs; `number` tells the panels apart, 0 the first."""
    curves = {
        name: history[name] * factor(summary, columns[name].get("unit", "")) for name in columns
    }
    known = np.concatenate([np.empty(0), *(y[np.isfinite(y)] for y in curves.values())])
    levels = [said["level"] for said in columns.values() if said.get("level") is not None]
    least, most = (pick([*known, *levels], default=1.0) for pick in (min, max))
    # where there is little room, powers of ten alone have labels
    log = all(said.get("scale", "log") == "log" for said in columns.values())
    log = log and len(known) > 0 and bool((known > 0).all())
    log = log and (not number or most > 10 * least)
    limits = None
    for place, (name, said) in enumerate(columns.items()):
        if said.get("level") is not None:
            axes.axhline(said["level"], color=GREY, linewidth=1, linestyle="--", zorder=1)
        color = COLORS[(number if len(columns) == 1 else place) % len(COLORS)]
        dots = "o" if said.get("dots") else ""
        _curve(axes, history["epoch"], curves[name], color, said.get("label", ""), marker=dots)
        limits = said.get("limits", limits)
        axes.set_ylabel(with_unit(_broken(said["panel"]), summary, said.get("unit", "")))
    if log:
        axes.set_yscale("log")
        if most > 10 * least:  # powers of ten are labels enough
            axes.yaxis.set_minor_formatter(NullFormatter())
    if limits is not None:
        room = 0.04 * (limits[1] - limits[0])
        axes.set_ylim(limits[0] - room, limits[1] + room)
        axes.yaxis.set_major_locator(MultipleLocator((limits[1] - limits[0]) / 4))
    elif any(said.get("scale") == "linear" for said in columns.values()):
        axes.set_ylim(*_roomy(known))
    if any(said.get("label") for said in columns.values()):
        where: dict[str, Any] = dict(loc="lower right" if number else "upper right")
        if number and len(columns) > 1:  # little room inside
            where = dict(loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=3)
        axes.legend(frameon=False, fontsize=9, **where)
    tidy(axes)


def _broken(text: str, longest: int = 20) -> str:
    """A long text on two lines, broken near its middle and not within dollars."""
    places = [k for k, c in enumerate(text) if c == " " and text[:k].count("$") % 2 == 0]
    if len(text) <= longest or "\n" in text or not places:
        return text
    place = min(places, key=lambda k: abs(k - len(text) / 2))
    return f"{text[:place]}\n{text[place + 1 :]}"


def title(figure: FigureBase, text: str) -> None:
    """A title as it stands, dollars and all."""
    figure.suptitle(text, fontsize=14).set_parse_math(False)


def _curve(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], color: str, label: str, marker: str
) -> None:
    """One curve over the epochs where it is known."""
    good = np.isfinite(y)
    few = good.sum() <= 40
    marker = marker if few and marker else ("o" if good.sum() <= 2 else "")
    style: dict[str, Any] = dict(linewidth=1.8, marker=marker, markersize=4)
    axes.plot(x[good], y[good], color=color, label=label, **style)


def _roomy(y: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    low, high = min(0.0, 1.15 * low), max(0.0, 1.15 * high)
    return (low, high) if high > low else (-1.0, 1.0)


def tidy(axes: Axes) -> None:
    axes.grid(True, color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
