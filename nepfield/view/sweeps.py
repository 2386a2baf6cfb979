"""Results of a sweep with Matplotlib: a figure against one parameter, or a map over two.

Every number comes from results.csv; the swept keys are its columns between seed and status.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, FigureBase

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_bytes, read_text
from nepfield.view.curves import (
    COLORS,
    GREY,
    RED,
    new_figure,
    read_summary,
    save_figure,
    tidy,
    title,
)
from nepfield.view.shown import factor, shown, with_unit

_MAP = "viridis"
_FIGURES = {"cost": "cost", "largest_error": "target"}  # those with a unit, and its kind
_STATUS = ("case", "seed", "status", "error")
_LABEL = "label"  # column that names the entry of a sweep's [[list]]
_VERDICTS = ("success", "ever")  # columns of yes and no: their share is drawn
_SIGMAS = 1.959964  # of the normal distribution, for an interval of 95 %


def plot_sweep(sweep: str | Path, output: str | Path | None = None, field: str = "cost") -> Path:
    """Draw one column of a sweep's results.

    Against one swept key: a point a run, the median over the seeds as a line, and a band from the
    least to the greatest; where a second key holds words (a rule, a mesh), a curve for each. Over
    two keys that hold numbers: the median over the seeds, as cells where most pairs were run, else
    (a random design) as points. With more than two keys, the two that come first and
    vary; the rest counts as seeds do, which the picture says. Of ``success`` and ``ever`` the share
    of the runs is drawn, with its 95 % interval (Wilson's) in place of the range; a case that
    failed counts as none. Keys that follow from the label of a case are left to it.

    Parameters
    ----------
    sweep : path
        Folder of a sweep, with results.csv.
    output : path, optional
        PNG to write; by default ``figures/FIELD.png`` in the folder.
    field : str
        Column of results.csv.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    InputError
        If there is no such column, or no finished case in the table.
    """
    path = Path(output) if output is not None else Path(sweep) / "figures" / f"{field}.png"
    figure, maps = sweep_figure(Path(sweep), field)
    return save_figure(figure, path, maps)


def sweep_figure(sweep: Path, field: str = "cost") -> tuple[Figure, list[str]]:
    """The figure of `plot_sweep`, and its colour maps."""
    table, keys = read_results(sweep)
    known = [name for name in table.columns if name not in (*keys, *_STATUS)]
    if field not in known:
        hint = " (it comes with [success] in the sweep file)" if field in _VERDICTS else ""
        raise InputError(f"--field {field}: {sweep}/results.csv has {', '.join(known)}{hint}.")
    keys, judged = _without_labelled(table, keys), ["finished"]
    if field in _VERDICTS:
        table[field] = table[field].astype(str).map({"True": 1.0, "False": 0.0})
        judged.append("failed")
    table[field] = pd.to_numeric(table[field], errors="coerce")
    failed = int((table["status"] == "failed").sum())
    good = table[table["status"].isin(judged) & np.isfinite(table[field])]
    if good.empty:
        raise InputError(f"{sweep}/results.csv: no finished case has a number for {field}.")
    kind = _FIGURES.get(field.removeprefix("test_"))
    summary = _summary(sweep, good, keys, kind) if kind else {}
    if kind and summary:
        good = good.assign(**{field: good[field] * factor(summary, kind)})
        named = with_unit(field, summary, kind)
        good, field = good.rename(columns={field: named}), named
    families = families_of(good, keys)
    notes = [f"{good['seed'].nunique()} seeds"] if good["seed"].nunique() > 1 else []
    if failed:
        notes.append(f"{failed} of {len(table)} cases failed")
    columns = min(len(families), 3)
    rows = -(-len(families) // columns)
    figure = new_figure(5.2 * rows, 8.0 if columns == 1 else 5.0 * columns)
    parts: list[FigureBase] = [figure]
    if len(families) > 1:
        parts = list(figure.subfigures(rows, columns, squeeze=False).flat)
    mapped = False
    for part, (name, family) in zip(parts, families, strict=False):
        varied = independent_keys(family, keys)
        over = [f"over all {key}" for key in varied[2:]]
        if part is figure:
            notes += over
        else:
            title(part, ", ".join([name, *over]))
        _draw(part, family, varied, field)
        mapped |= len(varied) > 1
    title(figure, sweep.resolve().name + (f" ({', '.join(notes)})" if notes else ""))
    return figure, [_MAP] if mapped else []


def _without_labelled(table: pd.DataFrame, keys: list[str]) -> list[str]:
    """The keys, where cases have labels without those that have one value a label."""
    if _LABEL not in keys:
        return keys
    varied = table.groupby(_LABEL, sort=False)[keys].nunique(dropna=False).gt(1).any()
    return [key for key in keys if key == _LABEL or varied[key]]


def _summary(sweep: Path, table: pd.DataFrame, keys: list[str], kind: str) -> dict[str, Any]:
    """The summary of a case whose unit of a kind is that of all cases; empty if there is none."""
    decisive = [key for key in keys if key.startswith(("units.", "domain.", "training.cost"))]
    firsts = table.iloc[:1]
    if decisive:
        firsts = table.astype(dict.fromkeys(decisive, str)).drop_duplicates(decisive)
    try:
        listing = json.loads(read_text(sweep / "cases.json", LARGEST))["cases"]
        folders = {entry["case"]: sweep / "cases" / entry["folder"] for entry in listing}
        found = [read_summary(folders[case]) for case in firsts["case"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a table that was moved alone
    return found[0] if len({shown(summary, kind, 1.0) for summary in found}) == 1 else {}


def families_of(table: pd.DataFrame, keys: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Parts of a table with values for the same keys, each with the words that tell it apart."""
    if not keys:
        return [("", table)]
    given = table[keys].notna()
    parts = [table[(given == row).all(axis=1)] for _, row in given.drop_duplicates().iterrows()]
    some = [k for k in keys if table[k].isna().any()]
    words = [k for k in keys if k in some or table[k].nunique() > 1]
    words = [k for k in words if places(table[k].dropna())[1]]
    names = [
        [Path(str(part[k].iloc[0])).name for k in words if part[k].nunique() == 1] for part in parts
    ]
    more: list[Callable[[pd.DataFrame], list[str]]] = [  # said where that is not enough
        lambda part: [left_out(k) for k in words if part[k].isna().all()],
        lambda part: [
            k.rpartition(".")[2] for k in some if k not in words and part[k].notna().any()
        ],
        lambda part: ["as in the study"],
    ]
    for say in more if len(parts) > 1 else []:
        names = [
            [*name, *say(part)] if not name or names.count(name) > 1 else name
            for name, part in zip(names, parts, strict=True)
        ]
    return [(", ".join(name), part) for name, part in zip(names, parts, strict=True)]


def left_out(key: str) -> str:
    """What is said of a key that a family of cases leaves as it is in the study."""
    return f"{key.rpartition('.')[2]} as in the study"


def independent_keys(table: pd.DataFrame, keys: list[str]) -> list[str]:
    """The keys that vary, without those that rise or fall together with one before them."""
    varied = [key for key in keys if table[key].nunique() > 1]
    kept: list[str] = []
    for key in varied:
        place, words = places(table[key])
        if words or not any(_in_step(places(table[other])[0], place) for other in kept):
            kept.append(key)
    return kept or [key for key in keys if table[key].notna().any()][:1]


def _in_step(first: pd.Series, second: pd.Series) -> bool:
    pairs = pd.DataFrame({"a": first, "b": second}).drop_duplicates().sort_values("a")
    steps = np.diff(pairs["b"])
    return pairs["a"].is_unique and bool((steps > 0).all() or (steps < 0).all())


def _draw(figure: FigureBase, table: pd.DataFrame, varied: list[str], field: str) -> None:
    """Curves or a map over the first two of the keys that vary."""
    if not varied:
        table = table.assign(run="")
        varied = ["run"]
    words = [key for key in varied[:2] if places(table[key])[1]]
    if field in _VERDICTS and len(varied) == 1:
        _shares(figure, table, varied[0], field)
    elif field in _VERDICTS and words and table[words[-1]].nunique() <= len(COLORS):
        other = next(key for key in varied[:2] if key != words[-1])
        _shares(figure, table, other, field, words[-1])
    elif len(varied) == 1:
        _against(figure, table, varied[0], field)
    elif len(words) == 1 and table[words[0]].nunique() <= len(COLORS):
        number = next(key for key in varied[:2] if key not in words)
        _against(figure, table, number, field, words[0])
    else:
        _over(figure, table, varied[0], varied[1], field)


def read_results(sweep: Path) -> tuple[pd.DataFrame, list[str]]:
    """results.csv of a sweep, and its swept keys; both with the units of those that have one."""
    path = sweep / "results.csv"
    try:
        table = pd.read_csv(io.BytesIO(read_bytes(path)), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; nepfield sweep makes it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable CSV file: {error}") from None
    columns = list(table.columns)
    if columns[:2] != ["case", "seed"] or "status" not in columns:
        raise InputError(f"{path}: these are no results of nepfield sweep")
    named = _with_units(sweep, columns[2 : columns.index("status")])
    return table.rename(columns=named), list(named.values())


def _with_units(sweep: Path, keys: list[str]) -> dict[str, str]:
    """For each swept key its name in a picture, with the unit in brackets where it has one."""
    try:
        units = json.loads(read_text(sweep / "cases.json", LARGEST)).get("units", {})
        return {key: f"{key} ({units[key]['unit']})" if key in units else key for key in keys}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {key: key for key in keys}  # a table that was moved alone


def _against(
    figure: FigureBase, table: pd.DataFrame, key: str, field: str, family: str | None = None
) -> None:
    """Curves over one key; one for each value of `family`, if there is one."""
    axes = figure.add_subplot()
    place, ticks = places(table[key])
    families = [None] if family is None else list(dict.fromkeys(table[family].astype(str)))
    repeated = bool((table.groupby([place, *([family] if family else [])]).size() > 1).any())
    for color, name in zip(COLORS, families, strict=False):
        part = table if name is None else table[table[family].astype(str) == name]
        x_runs = place.loc[part.index]
        groups = part[field].groupby(x_runs)
        median, low, high = groups.median(), groups.min(), groups.max()  # sorted by x
        label = "median" if name is None else Path(name).name
        if repeated:
            axes.fill_between(
                median.index, low, high, color=color, alpha=0.18, linewidth=0,
                label="range" if name is None else None,
            )  # fmt: skip
        if repeated or name is not None:
            axes.plot(median.index, median, color=color, linewidth=1.8, label=label)
        axes.plot(
            x_runs, part[field], "o", color=RED if repeated and name is None else color,
            markersize=4, alpha=0.75, label="runs" if name is None else None,
        )  # fmt: skip
    if ticks:
        axes.set_xticks(range(len(ticks)), ticks, rotation=20 if len(ticks) > 4 else 0)
    elif place.min() > 0 and place.max() > 30 * place.min():
        axes.set_xscale("log")
    if (table[field] > 0).all() and table[field].max() > 30 * table[field].min():
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlabel(key, parse_math=False)
    axes.set_ylabel(field.replace("_", " "), parse_math=False)
    if family is not None:
        axes.legend(title=family, frameon=False, fontsize=9)
    elif repeated:
        axes.legend(frameon=False, fontsize=9)
    tidy(axes)


def _shares(
    figure: FigureBase, table: pd.DataFrame, key: str, field: str, family: str | None = None
) -> None:
    """Shares of the runs over one key with their intervals; one curve for each of `family`."""
    axes = figure.add_subplot()
    place, ticks = places(table[key])
    families = [None] if family is None else list(dict.fromkeys(table[family].astype(str)))
    for k, (color, name) in enumerate(zip(COLORS, families, strict=False)):
        part = table if name is None else table[table[family].astype(str) == name]
        groups = part[field].groupby(place.loc[part.index])  # sorted by place
        share, runs = groups.mean(), groups.size()
        low, high = wilson(groups.sum(), runs)
        beside = 0.12 * (k - (len(families) - 1) / 2) if ticks else 0.0
        axes.errorbar(
            share.index + beside, share, np.maximum([share - low, high - share], 0), color=color,
            fmt="o" if ticks else "o-", markersize=5, capsize=3, linewidth=1.4,
            label="share, 95 % interval" if name is None else Path(name).name,
        )  # fmt: skip
    if ticks:
        axes.set_xticks(range(len(ticks)), ticks, rotation=20 if len(ticks) > 4 else 0)
    elif place.min() > 0 and place.max() > 30 * place.min():
        axes.set_xscale("log")
    if ticks:
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(key, parse_math=False)
    axes.set_ylabel("runs with success" if field == "success" else "runs that met it at some time")
    axes.legend(title=family, frameon=False, fontsize=9)
    tidy(axes)


def wilson(successes: Any, runs: Any) -> tuple[Any, Any]:
    """The 95 % interval of a share: Wilson's, which is right also near 0 and 1."""
    square = _SIGMAS**2
    share = successes / runs
    middle = (share + square / (2 * runs)) / (1 + square / runs)
    half = np.sqrt(share * (1 - share) / runs + square / (4 * runs**2)) * _SIGMAS
    half = half / (1 + square / runs)
    return middle - half, middle + half


def _over(figure: FigureBase, table: pd.DataFrame, first: str, second: str, field: str) -> None:
    axes = figure.add_subplot()
    (x, xticks), (y, yticks) = places(table[first]), places(table[second])
    groups = table[field].groupby([x, y])
    medians = groups.mean() if field in _VERDICTS else groups.median()
    full = len(medians) > 0.5 * x.nunique() * y.nunique()
    positive = bool((medians > 0).all()) and medians.max() > 30 * medians.min()
    style: dict[str, Any] = {"cmap": _MAP, "norm": "log" if positive else "linear"}
    if field in _VERDICTS:
        style |= {"norm": "linear", "vmin": 0, "vmax": 1}
    drawn: ScalarMappable
    if full:
        grid = medians.unstack(0).sort_index().sort_index(axis=1)
        # cells of one size, so that every value is seen; where there is none, grey
        drawn = axes.pcolormesh(
            np.arange(grid.shape[1]), np.arange(grid.shape[0]), grid.to_numpy(), **style
        )
        axes.set_facecolor("#d9d9d9")
        xticks = xticks or [f"{v:.4g}" for v in grid.columns]
        yticks = yticks or [f"{v:.4g}" for v in grid.index]
        axes.set_xticks(range(len(xticks)), xticks, rotation=20 if len(xticks) > 6 else 0)
        axes.set_yticks(range(len(yticks)), yticks)
        axes.spines[["top", "right"]].set_visible(False)
    else:
        where = medians.index.to_frame()
        drawn = axes.scatter(
            where.iloc[:, 0], where.iloc[:, 1], c=medians, s=55, edgecolor=GREY, linewidth=0.5,
            **style,
        )  # fmt: skip
        if xticks:
            axes.set_xticks(range(len(xticks)), xticks, rotation=20)
        if yticks:
            axes.set_yticks(range(len(yticks)), yticks)
        tidy(axes)
    axes.set_xlabel(first, parse_math=False)
    axes.set_ylabel(second, parse_math=False)
    label = field.replace("_", " ")
    if field in _VERDICTS:
        label = f"share of runs: {label}"
    elif table.groupby([x, y]).size().max() > 1:
        label = f"median {label}"
    figure.colorbar(drawn, ax=axes).set_label(label)


def places(values: pd.Series) -> tuple[pd.Series, list[str]]:
    """Where values stand on an axis, and names for the places where they are no numbers."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and values.dtype != bool:
        return numbers.astype(float), []
    texts = values.astype(str)
    names = list(dict.fromkeys(texts))
    short = [Path(name).name for name in names]
    return texts.map(names.index).astype(float), short
