"""Curves of a run with Matplotlib: training, outputs beside targets, and fields on a line.

Everything here works without OpenGL and without a display: figures are made with the
object-oriented interface and the Agg canvas, so no global Matplotlib state is touched.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, MultipleLocator, NullFormatter
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.view.shown import factor, unit, with_unit

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 300_000
DPI = 160
WIDTH = 10.0  # inches: 1600 pixels
BLUE, ORANGE, GREEN, RED, GREY = "#1f5fa8", "#d9730d", "#2e7d4f", "#b3303a", "#6b6b6b"
COLORS = (BLUE, ORANGE, GREEN, RED, "#6a4fa3", "#8a6d3b", "#c65b9b", GREY)


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure (inches) with constrained layout that draws with Agg."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, output: Path, colormaps: Sequence[str] = ()) -> Path:
    """Write a PNG of less than 300 kB: with fewer colours, then fewer pixels, where it must be.

    Fewer colours means 256: those of the `colormaps` in fine steps, and greys for lines and
    text, so that a smooth field stays smooth.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from PIL import Image

    output = Path(output)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
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


def color_table(names: Sequence[str]) -> Image.Image:
    """An image with a palette of 256 colours: those of colour maps in fine steps, and greys."""
    from PIL import Image

    greys = np.linspace(0, 1, 32)[:, None] * np.ones(3)
    tables = [greys]
    for name in names:
        # A phase also fades to white, over short distances.
        shares = {1.0: 0.7, 0.5: 0.3} if name == "twilight" else {1.0: 1.0}
        for strength, share in shares.items():
            steps = np.linspace(0, 1, int(share * 224 / len(names)))
            tables.append(strength * mpl.colormaps[name](steps)[:, :3] + 1 - strength)
    holder = Image.new("P", (1, 1))
    holder.putpalette(np.rint(255 * np.concatenate(tables)).astype(np.uint8).ravel().tolist())
    return holder


def read_study(run: Path) -> dict[str, Any]:
    """The resolved study of a run folder (``study.toml``); empty where there is none.

    Raises
    ------
    InputError
        If the run folder is missing, or the file is not TOML.
    """
    run = Path(run)
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder; give the folder that `nepfield train` wrote")
    path = run / "study.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a readable TOML file: {error}") from error


def read_summary(run: Path) -> dict[str, Any]:
    """``summary.json`` of a run folder; empty where there is none.

    Raises
    ------
    InputError
        If the file is not a JSON object.
    """
    path = Path(run) / "summary.json"
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file: {error}") from error
    if not isinstance(summary, dict):
        raise InputError(f"{path}: a JSON object is wanted, not {type(summary).__name__}")
    return summary


def read_history(run: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of ``history.csv`` by name, NaN where a value is missing.

    Raises
    ------
    InputError
        If the file is missing, has no row, or holds something that is not a number.
    """
    path = Path(run) / "history.csv"
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; training curves need a run of `nepfield train`"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file: {error}") from error
    if not rows or "epoch" not in rows[0] or "cost" not in rows[0]:
        raise InputError(f"{path}: no epoch in it; wanted epoch, cost, ... and a row an epoch")
    columns: dict[str, NDArray[np.float64]] = {}
    for name in rows[0]:
        if name is None:
            continue
        try:
            columns[name] = np.array([float(row[name] or "nan") for row in rows])
        except ValueError:
            if name in ("epoch", "cost"):
                raise InputError(f"{path}: column {name} holds no numbers alone") from None
            # other text columns are of no interest here
    return columns


def plot_training(run: Path, output: Path) -> Path:
    """Training curves of a run: cost, gradient norms, cosine to the adjoint, how near equilibrium.

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
    study = read_study(run)
    history, summary = read_history(run), read_summary(run)
    epoch = history["epoch"]
    rule = study.get("training", {}).get("rule", "")

    def known(name: str) -> bool:
        return name in history and bool(np.isfinite(history[name]).any())

    norms = [n for n in ("gradient_norm_potential", "gradient_norm_weights") if known(n)]
    cosine = known("gradient_cosine")
    ratio = known("nonlinearity_ratio")
    lost = known("fraction_converged") and bool(np.nanmin(history["fraction_converged"]) < 1)
    rows = max(1, bool(norms) + cosine + ratio + lost)
    figure = new_figure(5.2 if rows < 4 else 6.2)
    title(figure, str(study.get("name") or Path(run).resolve().name))
    grid = figure.add_gridspec(rows, 2, width_ratios=(1.15, 1))
    left = figure.add_subplot(grid[:, 0])
    _curve(left, epoch, history["cost"] * factor(summary, "cost"), BLUE, "cost")
    left.set(xlabel="epoch", ylabel=with_unit("cost C", summary, "cost"))
    right: list[Axes] = []

    def panel(ylabel: str) -> Axes:
        axes = figure.add_subplot(grid[len(right), 1], sharex=left)
        axes.set_ylabel(ylabel)
        right.append(axes)
        return axes

    if norms:
        axes = panel("gradient norm" + ("\n(dimensionless)" if summary.get("units") else ""))
        styles = {
            "gradient_norm_potential": (BLUE, "potential V"),
            "gradient_norm_weights": (ORANGE, "pump weights w"),
        }
        for name in norms:
            _curve(axes, epoch, history[name], *styles[name])
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=2, frameon=False, fontsize=9
        )
    if cosine:
        axes = panel("cosine")
        axes.axhline(1.0, color=GREY, linewidth=1, linestyle="--", zorder=1)
        label = f"{rule} to adjoint" if rule else "to adjoint"
        _curve(axes, epoch, history["gradient_cosine"], GREEN, label, log=False, marker="o")
        axes.set_ylim(-1.08, 1.08)
        axes.yaxis.set_major_locator(MultipleLocator(0.5))
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    if ratio:
        axes = panel(r"mean $g\,n/\gamma$")
        _curve(axes, epoch, history["nonlinearity_ratio"], RED, "", log=False)
        axes.set_ylim(*_roomy(history["nonlinearity_ratio"]))
    if lost:
        axes = panel("fraction\nconverged")
        _curve(axes, epoch, history["fraction_converged"], GREY, "", log=False)
        axes.set_ylim(-0.05, 1.08)
    for axes in right[:-1]:
        axes.tick_params(labelbottom=False)
    if right:
        right[-1].set_xlabel("epoch")
        figure.align_ylabels(right)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (left, *right):
        tidy(axes)
    return save_figure(figure, output)


def plot_outputs(run: Path, output: Path) -> Path | None:
    """Outputs beside targets for every input, if ``summary.json`` holds them for at most 16 inputs.

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
    study = read_study(run)
    summary = read_summary(run)
    if not all(summary.get(name) for name in ("inputs", "targets", "outputs")):
        return None
    where = Path(run) / "summary.json"
    try:
        inputs, targets, outputs = (
            np.array(
                [[np.nan if v is None else v for v in np.atleast_1d(row)] for row in summary[name]],
                dtype=float,
            )
            for name in ("inputs", "targets", "outputs")
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
    targets = targets * factor(summary, "target")
    outputs = outputs * factor(summary, "density")
    samples, count = outputs.shape
    if samples > 16:
        return None
    figure = new_figure(4.2, min(WIDTH, max(5.0, 1.5 + 0.55 * samples * max(1.6, 0.6 * count))))
    title(figure, str(study.get("name") or Path(run).resolve().name))
    axes = figure.add_subplot()
    target = "target" if unit(summary, "target") == unit(summary, "density") else "target class"
    width = 0.64 / count
    for k in range(count):
        x = np.arange(samples) + (k - (count - 1) / 2) * width
        label = "output" if count == 1 else f"output {k}"
        axes.bar(x, outputs[:, k], 0.9 * width, color=COLORS[k % len(COLORS)], label=label)
        axes.hlines(
            targets[:, k], x - 0.55 * width, x + 0.55 * width, color="black", linewidth=2.2,
            zorder=4, clip_on=False, label=target if k == 0 else "_",
        )  # fmt: skip
    axes.set_xticks(np.arange(samples), [sample_title(row, i, "") for i, row in enumerate(inputs)])
    if samples > 8:
        axes.tick_params(axis="x", labelrotation=45)
    label = with_unit(r"output (mean $|\Psi|^2$ over the readout)", summary, "density")
    axes.set(xlabel="inputs", ylabel=label.replace(") (", ", "))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))  # room for the legend
    axes.legend(loc="upper right", ncols=2, frameon=False, fontsize=9)
    tidy(axes)
    axes.grid(False, axis="x")
    return save_figure(figure, output)


def sample_title(row: Sequence[float] | NDArray[np.float64] | None, index: int, prefix: str) -> str:
    """``inputs (0, 1)`` where a row of inputs is known and short, else ``sample 3``."""
    if row is None or len(row) > 4:
        return f"sample {index}"
    return f"{prefix}({', '.join(f'{v:.3g}' for v in row)})"


def title(figure: FigureBase, text: str) -> None:
    """A title as it stands, dollars and all."""
    figure.suptitle(text, fontsize=14).set_parse_math(False)


def _curve(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], color: str, label: str,
    *, log: bool = True, marker: str = "",
) -> None:  # fmt: skip
    """One curve over the epochs where it is known; logarithmic only if all values are positive."""
    good = np.isfinite(y)
    few = good.sum() <= 40
    marker = marker if few and marker else ("o" if good.sum() <= 2 else "")
    style: dict[str, Any] = dict(linewidth=1.8, marker=marker, markersize=4)
    axes.plot(x[good], y[good], color=color, label=label, **style)
    if log and good.any() and (y[good] > 0).all():
        axes.set_yscale("log")
        if y[good].max() > 10 * y[good].min():  # powers of ten are labels enough
            axes.yaxis.set_minor_formatter(NullFormatter())


def _roomy(y: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    low, high = min(0.0, 1.15 * low), max(0.0, 1.15 * high)
    return (low, high) if high > low else (-1.0, 1.0)


def tidy(axes: Axes) -> None:
    axes.grid(True, color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
