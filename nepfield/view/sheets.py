"""A field of every case of a sweep in one picture, with one colour scale."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.view.curves import DPI, GREY, WIDTH, new_figure, save_figure
from nepfield.view.opengl import PicturesUnavailable, opengl_problem
from nepfield.view.painting import Painter, outline
from nepfield.view.panels import Layer, Scales, find_panels, find_scales
from nepfield.view.records import read_summary
from nepfield.view.runs import Array, Drawn, RunFiles, read_run
from nepfield.view.shapes import Shape, find_marks, find_shape
from nepfield.view.sweeps import families_of, independent_keys, left_out, places, read_results

MAX_CASES = 48
MAX_INPUTS = 4
HEIGHT = 5.4  # inches for the panels, so that the picture fits on a slide
LIKE = 2.5  # shapes whose sizes differ by less are drawn to one scale
LABEL, GAP = 0.2, 0.12  # inches: a line of text above a case, and the room around it
HEAD, FOOT, BAR = 0.45, 0.3, 1.35  # inches above, below and to the right of the cases
FAMILIES = ("domain.geometry", "domain.mesh")


@dataclass(frozen=True)
class _Case:
    """One case of a sheet."""

    label: str
    group: str
    status: str
    files: RunFiles | None


def sheet_names(sweep: Path) -> list[str]:
    """Names of the pictures that cases of a sweep have; nothing is drawn.

    Raises
    ------
    InputError
        If a summary is unreadable.
    """
    names: dict[str, None] = {}
    for path in sorted(sweep.glob("cases/*/fields.vtu")):
        for entry in read_summary(path.parent).get("fields", ()):
            names.setdefault(Drawn.of(entry).picture)
    return [name for name in names if name]


def plot_sheet(
    sweep: str | Path, output: str | Path | None = None, field: str | None = None
) -> Path:
    """Draw a field of the cases of a sweep side by side.

    The cases are those of the first seed, sorted by what is varied; at most 48 of them, evenly
    spaced. Where geometry or mesh is varied, or two parameters are, each value of the first begins
    a row. Shapes are drawn to one scale, or each as large as its panel where the largest is more
    than 2.5 times the smallest. Where each sample has a panel, the first four are shown.

    Parameters
    ----------
    sweep : path
        Folder of a sweep, with results.csv.
    output : path, optional
        PNG to write; by default ``figures/FIELD.png`` in the folder.
    field : str, optional
        Name of a picture, as `sheet_names` has them; by default the first.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    InputError
        If no case has fields, or they lie on a line, or a file is unreadable.
    PicturesUnavailable
        If this machine cannot render.
    """
    name, figure, maps = _named_sheet(Path(sweep), field)
    path = Path(output) if output is not None else Path(sweep) / "figures" / f"{name}.png"
    return save_figure(figure, path, maps)


def sheet_figure(sweep: Path, field: str | None = None) -> tuple[Figure, list[str]]:
    """The figure of `plot_sheet`, and its colour maps."""
    return _named_sheet(sweep, field)[1:]


def _named_sheet(sweep: Path, field: str | None) -> tuple[str, Figure, list[str]]:
    """The name of the field, the figure and its colour maps."""
    cases, notes = _read_cases(sweep)
    known = [case.files for case in cases if case.files is not None]
    if not known:
        raise InputError(f"{sweep}: no finished case with fields to draw.")
    if any(files.line for files in known):
        raise InputError(
            f"{sweep}: sheets are made of planar meshes and graphs, and these fields lie on a "
            "line; draw the folders in cases/, or a column of results.csv."
        )
    problem = opengl_problem()
    if problem is not None:
        raise PicturesUnavailable(problem)
    if field is None:
        field = next((name for files in known for name in files.pictures), "")
    if not any(files.of(field) for files in known):
        raise InputError(f"{sweep}: --field {field}: the cases have no such field.")
    name = f"{sweep.resolve().name}: {field} after training"
    figure, maps = _sheet(cases, field, find_scales(known), name, notes)
    return field, figure, maps


# ---------------------------------------------------------------- cases


def _read_cases(sweep: Path) -> tuple[list[_Case], list[str]]:
    """The cases to draw in order, and what is to be said about their choice."""
    table, keys = read_results(sweep)
    path = sweep / "cases.json"
    try:
        listing = json.loads(read_text(path, LARGEST))["cases"]
        folders = {entry["case"]: sweep / "cases" / entry["folder"] for entry in listing}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a readable list of cases: {error}") from None
    notes = []
    seeds = table["seed"].nunique()
    if seeds > 1:
        notes.append(f"seed {table['seed'].iloc[0]}, the first of {seeds}")
        table = table[table["seed"] == table["seed"].iloc[0]]
    families = families_of(table, keys)
    listed = [
        case for name, part in families for case in _in_order(part, keys, name, len(families) > 1)
    ]
    if len(listed) > MAX_CASES:
        notes.append(f"{MAX_CASES} of {len(listed)} cases")
        chosen = np.linspace(0, len(listed) - 1, MAX_CASES).round().astype(int)
        listed = [listed[k] for k in chosen]
    failed = sum(row["status"] != "finished" for row, _, _ in listed)
    if failed:
        notes.append(f"{failed} not finished")
    cases = []
    for row, label, group in listed:
        folder = folders.get(row["case"])
        there = folder is not None and (folder / "fields.vtu").is_file()
        done = row["status"] == "finished" and there
        run = read_run(folder) if done and folder is not None else None
        cases.append(_Case(label, group, row["status"], run))
    return cases, notes


def _in_order(
    table: pd.DataFrame, keys: list[str], family: str, several: bool
) -> list[tuple[pd.Series, str, str]]:
    """The cases of a family, sorted by what varies in it; each with its label and its group."""
    varied = [key for key in independent_keys(table, keys) if table[key].nunique() > 1]
    if several:  # words such as a rule make rows of their own
        varied.sort(key=lambda key: not places(table[key])[1])
    varied.sort(key=lambda key: key not in FAMILIES)
    order = pd.DataFrame({key: places(table[key])[0] for key in varied}, index=table.index)
    table = table.loc[order.sort_values(varied).index] if varied else table
    group = None if several else _group(table, varied)
    listed = []
    for _, row in table.iterrows():
        label = "\n".join(_value(key, row[key], varied) for key in varied if key != group)
        heading = family if group is None else _value(group, row[group], varied)
        listed.append((row, label, heading if several or group is not None else ""))
    return listed


def _group(table: pd.DataFrame, varied: Sequence[str]) -> str | None:
    """The key whose values begin a row, if that makes rows of some length."""
    if not varied or (len(varied) == 1 and varied[0] not in FAMILIES):
        return None
    count = table[varied[0]].astype(str).nunique()
    return varied[0] if count <= 8 and len(table) >= 2 * count else None


def _value(key: str, value: Any, varied: Sequence[str]) -> str:
    """``length = 2``; of a file its name."""
    if pd.isna(value):
        return left_out(key)
    if key in FAMILIES:
        return Path(str(value)).stem if ":" not in str(value) else str(value).rpartition(":")[2]
    name = key.rpartition(".")[2]
    if [other.rpartition(".")[2] for other in varied].count(name) > 1:
        name = key
    return f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"


# ---------------------------------------------------------------- drawing


@dataclass(frozen=True)
class _Layout:
    """Where the cases stand.

    Attributes
    ----------
    rows : list of lists of indices of cases
    tiles : (across, down), parts of a case
    scale : float, inches a unit of length
    units : dict of float, how much a case is enlarged beyond that
    block : (width, height) of the largest case, inches
    size : (width, height) of the figure, inches
    left : float, inches before the first column
    label : float, inches above each case
    """

    rows: list[list[int]]
    tiles: Array
    scale: float
    units: dict[int, float]
    block: Array
    size: Array
    left: float
    label: float

    def corner(self, row: int, column: int) -> Array:
        """Lower left corner of a case, inches."""
        pitch = self.block + np.array([GAP, GAP + self.label])
        top = self.size[1] - HEAD
        return np.array([self.left + column * pitch[0], top - (row + 1) * pitch[1]])


def _sheet(
    cases: Sequence[_Case], field: str, scales: Scales, name: str, notes: list[str]
) -> tuple[Figure, list[str]]:
    """Place the cases in rows, as large as they fit; with the colour maps in the picture."""
    shapes = {k: find_shape(c.files, finest=2) for k, c in enumerate(cases) if c.files is not None}
    files = next(c.files for c in cases if c.files is not None and c.files.of(field))
    samples = [f.sample for f in files.of(field) if f.on != "edge" and f.sample is not None]
    count = min(len(set(samples)), MAX_INPUTS) or 1
    if count < len(set(samples)):
        notes = [*notes, f"{count} of {len(set(samples))} samples"]
    painter = Painter(next(iter(shapes.values())))
    try:
        boxes = {}
        for k, shape in shapes.items():
            painter.turn_to(shape)
            boxes[k] = np.array(painter.extent)
        layout = _arranged(cases, boxes, count)
        alike = set(layout.units.values()) == {1.0}
        notes = notes if alike else [*notes, "not to one scale"]
        size = layout.size
        figure = new_figure(size[1], size[0])
        figure.set_layout_engine("none")
        said = f"{name} ({', '.join(notes)})" if notes else name
        figure.text(0.5, 1 - 0.22 / size[1], said, ha="center", va="center", fontsize=13)
        of_labels = min(_fitting(case.label, layout.block[0] + GAP, 8) for case in cases)
        layers: list[Layer] = []
        for row, members in enumerate(layout.rows):
            for column, k in enumerate(members):
                corner = layout.corner(row, column)
                at = (corner + layout.block * [0.5, 1.0] + [0, 0.05]) / size
                figure.text(
                    at[0], at[1], cases[k].label, ha="center", va="bottom", fontsize=of_labels
                )
                if k in shapes:
                    own = layout.scale * layout.units[k] * boxes[k]
                    start = corner + 0.5 * (layout.block - own * layout.tiles)
                    drawn = _draw_case(
                        figure, cases[k], shapes[k], painter, (field, count), scales,
                        (start, own, layout.tiles, size),
                    )  # fmt: skip
                    layers = drawn or layers
                    word = "" if drawn else f"no {field}"
                else:
                    word = cases[k].status
                at = (corner + 0.5 * layout.block) / size
                figure.text(at[0], at[1], word, ha="center", va="center", color=GREY)
            y = (layout.corner(row, 0)[1] + 0.5 * layout.block[1]) / size[1]
            heading = cases[members[0]].group
            points = _fitting(heading, layout.block[1] + GAP + layout.label, 10)
            figure.text(
                0.16 / size[0], y, heading, rotation=90, ha="center", va="center", fontsize=points
            )
        if not layers:
            raise InputError(f"{name}: no case has such a field.")
        high = (1 - (HEAD + FOOT) / size[1]) / len(layers) - (len(layers) > 1) * 0.15 / size[1]
        for number, layer in enumerate(layers):
            low = FOOT / size[1] + number * (high + 0.3 / size[1])
            place = (1 - 1.2 / size[0], low, 0.14 / size[0], high)
            colors = ScalarMappable(Normalize(*layer.scale.limits), layer.scale.cmap)
            figure.colorbar(colors, cax=figure.add_axes(place), label=layer.label)
        if count > 1:
            names = [files.sample(k, "") for k in range(count)]
            lines = [names[k : k + layout.tiles[0]] for k in range(0, count, layout.tiles[0])]
            text = "inputs of a case: " + " / ".join(", ".join(line) for line in lines)
            figure.text(layout.left / size[0], 0.13 / size[1], text, fontsize=8, va="center")
        if alike:
            _ruler(figure, layout, files)
    finally:
        painter.close()
    return figure, [layer.scale.cmap for layer in layers]


def _draw_case(
    figure: Figure,
    case: _Case,
    shape: Shape,
    painter: Painter,
    what: tuple[str, int],
    scales: Scales,
    place: tuple[Array, Array, Array, Array],
) -> list[Layer]:
    """The parts of a case, one for each input; what they show, nothing where it lacks the field."""
    (field, count), (start, own, tiles, size) = what, place
    assert case.files is not None
    painter.turn_to(shape)
    marks = find_marks(case.files, shape)
    panels = find_panels(case.files, shape, MAX_INPUTS, scales).get(field, [])[:count]
    for part, panel in enumerate(panels):
        row, column = divmod(part, tiles[0])
        low = (start + [column, tiles[1] - 1 - row] * own) / size
        axes = figure.add_axes((low[0], low[1], own[0] / size[0], own[1] / size[1]))
        image = painter.image(panel, 1.2 * DPI * own[0])
        axes.imshow(image, extent=painter.box, aspect="auto", interpolation="antialiased", zorder=0)
        axes.set(xlim=painter.box[:2], ylim=painter.box[2:])
        outline(axes, shape, marks, panel, named=False, weight=0.5)
        axes.set_axis_off()
    return panels[-1].layers if panels else []


def _arranged(cases: Sequence[_Case], boxes: dict[int, Array], count: int) -> _Layout:
    """The rows and columns that make the cases largest."""
    aspect = np.median([box[1] / box[0] for box in boxes.values()])
    across = 2 if count > 2 else 1 if aspect < 1 else count
    tiles = np.array([across, -(-count // across)])
    sizes = [box.max() for box in boxes.values()]
    alike = max(sizes) < LIKE * min(sizes)
    units = {k: 1.0 if alike else 1 / float(box.max()) for k, box in boxes.items()}
    most = np.max([units[k] * box for k, box in boxes.items()], axis=0) * tiles
    groups: dict[str, list[int]] = {}
    for k, case in enumerate(cases):
        groups.setdefault(case.group, []).append(k)
    left = 0.15 if "" in groups else 0.15 + LABEL
    label = LABEL * (1 + max(case.label.count("\n") for case in cases)) ** 0.75
    best: tuple[float, int] = (0.0, 1)
    for columns in range(1, max(map(len, groups.values())) + 1):
        lines = sum(-(-len(group) // columns) for group in groups.values())
        wide = ((WIDTH - BAR - left) / columns - GAP) / most[0]
        high = (HEIGHT / lines - GAP - label) / most[1]
        best = max(best, (min(wide, high), columns))
    scale, columns = max(best[0], 0.25 / most.max()), best[1]
    rows = [
        group[start : start + columns]
        for group in groups.values()
        for start in range(0, len(group), columns)
    ]
    block = scale * most
    longest = max(map(len, rows))
    size = np.array([
        max(5.0, left + longest * (block[0] + GAP) + BAR),
        HEAD + len(rows) * (block[1] + GAP + label) + FOOT,
    ])  # fmt: skip
    return _Layout(rows, tiles, scale, units, block, size, left, label)


def _fitting(text: str, room: float, largest: float) -> float:
    """Size in points at which the longest line of a text fits a room in inches."""
    longest = max(map(len, text.split("\n")))
    return min(largest, 72 * room / (0.62 * max(longest, 1)))  # a letter is 0.6 of its size wide


def _ruler(figure: Figure, layout: _Layout, files: RunFiles) -> None:
    """A bar of a round length, for shapes that are drawn to one scale."""
    length = 10 ** np.floor(np.log10(1.0 / layout.scale))
    length *= max(step for step in (1, 2, 5) if step * length * layout.scale <= 1.0)
    width, y = layout.size[0], 0.13 / layout.size[1]
    ends = [1 - (BAR + length * layout.scale) / width, 1 - BAR / width]
    figure.add_artist(Line2D(ends, [y, y], color="black", linewidth=1.5))
    text = f"{length:g} {files.length_unit}"
    figure.text(ends[0] - 0.06 / width, y, text, ha="right", va="center", fontsize=8)
