"""`nepfield.plot`: one line, one figure, of whatever there is in memory or in a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.readouts import Readout
from nepfield.files import BRANCHES
from nepfield.learning.columns import describe_columns
from nepfield.learning.costs import CCE, MSE, LogCosine
from nepfield.learning.gradients import Gradient
from nepfield.learning.state import HISTORY
from nepfield.learning.training import TrainingResult
from nepfield.mesh.cells import quadratic_shapes, sides_of
from nepfield.mesh.domain import Domain
from nepfield.mesh.report import cell_measures
from nepfield.steady.branches.branch import Branch, Diagram
from nepfield.systems.system import trained
from nepfield.view.branches import branches_figure, run_branches
from nepfield.view.curves import COLORS, training_figure
from nepfield.view.curves import title as draw_title
from nepfield.view.decision import PICTURE as DECISION
from nepfield.view.decision import has_decision, run_decision
from nepfield.view.grids import Seen, memory_files, seen
from nepfield.view.outputs import CONFUSION_MAP, confusion_figure, outputs_figure
from nepfield.view.panels import MAX_PANELS
from nepfield.view.records import read_history, read_summary, run_title
from nepfield.view.render import LINE, field_figures, place_figure
from nepfield.view.runs import RunFiles, read_run
from nepfield.view.samples import OUTPUTS, run_samples

_WHY_NOT = {
    "outputs": '; outputs are drawn for up to 16 inputs, of more there is "samples".',
    DECISION: "; a decision map needs one input or two, and figures.decision_map not 0.",
}
_METRICS: dict[str, str] = {}
for _cost in (MSE, CCE, LogCosine):
    _METRICS |= _cost.metric_labels


def plot(
    what: Any,
    shown: Any = None,
    picture: str | None = None,
    *,
    inputs: ArrayLike | None = None,
    readout: Readout | None = None,
    samples: Sequence[int] | int | None = None,
    log: bool = False,
    title: str = "",
) -> Figure:
    """Draw something, as the pictures of a run have it.

        nf.plot(domain)                        the mesh and its regions
        nf.plot(space, state)                  density of each sample; "phase" for the phase
        nf.plot(system)                        potential and pumps
        nf.plot(system, steady, inputs=x)      density of each sample
        nf.plot(system, gradient)              where the cost falls
        nf.plot(result)                        training curves, also of result.history
        nf.plot(nf.follow(system, ...))        a branch, or a diagram
        nf.plot(run, "potential")              what `open_run` or `open_sweep` gave

    Parameters
    ----------
    what : System, Space, Domain, TrainingResult, history, Branch, Diagram, Run or Sweep
    shown : optional
        What is shown on a system, a space or a domain, as `to_pyvista` takes it.
    picture : str, optional
        Which of the pictures that there are; by default the first, of a `Gradient` the gradient.
    inputs : array, shape (nsamples, ninputs), optional
        Name the panels; pumps whose input is 0 are drawn faintly.
    readout : Readout, optional
        Is outlined.
    samples : int or sequence of int, optional
        Which samples; by default the first eight, and the title says of how many.
    log : bool
        Logarithmic colours and axes for intensities.
    title : str

    Returns
    -------
    Figure
        Of Matplotlib; ``.savefig("x.pdf")`` keeps it. Notebooks show it as it is.

    Raises
    ------
    InputError
        If there is no such thing to draw; the message says what there is.
    PicturesUnavailable
        If planar fields are to be drawn and this machine cannot render.
    """
    chosen = [samples] if isinstance(samples, int) else samples
    if isinstance(what, TrainingResult) or _is_history(what):
        if shown is not None or picture not in (None, "training"):
            raise InputError("a history has one picture, its curves: nf.plot(result).")
        return _curves(what, title)
    if isinstance(what, Branch | Diagram):
        return _branches(what, title)
    if isinstance(what, str | Path):
        raise InputError(f"{what}: open it first: nf.plot(nf.open_run({str(what)!r})).")
    if hasattr(what, "plot") and hasattr(what, "folder"):  # a run or a sweep
        figure: Figure = what.plot(shown if picture is None else picture, samples=samples, log=log)
        if title:
            draw_title(figure, title)
        return figure
    found = seen(what, shown, inputs, readout)
    title = title or PurePath(found.domain.source).stem  # legends stand beside a title
    if not found.fields:
        return _domain_figure(found, title)
    files = memory_files(found, title)
    if picture is None and isinstance(shown, Gradient) and "gradient" in files.pictures:
        picture = "gradient"
    return figure_of(files, picture, chosen, log)


def run_figure(
    run: Path, picture: str | None = None, samples: Sequence[int] | None = None, log: bool = False
) -> tuple[str, Figure, list[str]]:
    """One picture of a run folder: its name, the figure, and its colour maps.

    Parameters
    ----------
    run : Path
    picture : str, optional
        "training", "outputs", "samples", "confusion", "decision", "branch" or one of its fields;
        by default the first of these fields.
    samples, log
        As in `plot`.

    Raises
    ------
    InputError
        If there is no such picture, or a file is missing or unreadable.
    PicturesUnavailable
        If this machine cannot render.
    """
    summary, name, where = read_summary(run), run_title(run), f"{run}/summary.json"
    if picture == "training":
        return picture, training_figure(read_history(run), summary, name), []
    if picture == "outputs" and (drawn := outputs_figure(summary, name, where)):
        return picture, *drawn
    if picture == "samples" and (figure := run_samples(run)):
        return picture, figure, []
    if picture == DECISION and (drawn := run_decision(run)):
        return picture, *drawn
    if picture == "branch" and (run / BRANCHES).is_file():
        return picture, run_branches(run), []
    if picture == "confusion" and (figure := confusion_figure(summary, name, where)):
        return picture, figure, [CONFUSION_MAP]
    files = _changed(read_run(run), samples, log)
    known = [LINE, *files.pictures] if files.line else list(files.pictures)
    if picture not in (None, *known):
        also = [word for word in ("training",) if (run / HISTORY).is_file()]
        also += [word for word in ("confusion",) if summary.get(word)]
        known += ["samples"] if (run / OUTPUTS).is_file() else []
        known += ["branch"] if (run / BRANCHES).is_file() else []
        known += [DECISION] if has_decision(run) else []
        raise InputError(
            f"--field {picture}: this run has {', '.join([*also, 'outputs', *known])}"
            + _WHY_NOT.get(picture or "", ".")
        )
    limit = MAX_PANELS if samples is None else None
    wanted = picture or next(iter(known), None)
    if files.line and wanted in files.pictures:
        files = replace(files, fields=tuple(files.of(wanted)))
    for drawn_name, figure, maps in field_figures(files, LINE if files.line else wanted, limit):
        return wanted or drawn_name, figure, maps
    raise InputError(f"{run}: there is no field to draw in this run.")


def _changed(files: RunFiles, samples: Sequence[int] | None, log: bool) -> RunFiles:
    """With some samples alone, and with logarithmic intensities, where that is wanted."""
    files = files if samples is None else files.choosing(samples)
    return files.in_logarithms() if log else files


def figure_of(
    files: RunFiles, picture: str | None = None, samples: Sequence[int] | None = None,
    log: bool = False,
) -> Figure:  # fmt: skip
    """One picture of the fields of a run, or of what is in memory.

    Parameters
    ----------
    files : RunFiles
    picture, samples, log
        As in `plot`.
    """
    names = [LINE] if files.line else files.pictures
    if files.line and picture in files.pictures:  # one of the panels of a line
        files = replace(files, fields=tuple(files.of(picture)))
        picture = LINE
    if picture is not None and picture not in names:
        known = dict.fromkeys([*names, *files.pictures])
        raise InputError(f"there is no picture {picture!r} of this; there is {', '.join(known)}.")
    files = _changed(files, samples, log)
    limit = MAX_PANELS if samples is None else None
    name = names[0] if picture is None else picture
    for _, figure, _ in field_figures(files, name, limit):
        return figure
    raise InputError("there is nothing to draw here.")


# ---------------------------------------------------------------- histories


def _branches(what: Branch | Diagram, title: str) -> Figure:
    found = Diagram((what,), what.parameter) if isinstance(what, Branch) else what
    table = found.table()
    outputs = [name for name in table if name.startswith("output_")]
    return branches_figure(table, found.parameter, outputs, title)


def _is_history(what: Any) -> bool:
    """Whether it is rows or columns of a history."""
    if hasattr(what, "to_dict") and hasattr(what, "columns"):
        return "cost" in what.columns
    if isinstance(what, Mapping):
        return "cost" in what
    return isinstance(what, list) and bool(what) and isinstance(what[0], Mapping)


def _curves(what: Any, title: str) -> Figure:
    """The curves of a result, or of a history as rows, columns or a table."""
    rows = what.history if isinstance(what, TrainingResult) else what
    if isinstance(rows, list):
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name, np.nan) for row in rows] for name in names}
    else:
        columns = {str(name): rows[name] for name in rows}
    history = {}
    for name, values in columns.items():
        try:
            history[name] = np.asarray(values, dtype=float)
        except (TypeError, ValueError):
            continue  # words are of no interest here
    if not len(history.get("cost", ())):
        raise InputError("history: no epoch in it; train first, with epochs of 1 or more.")
    history.setdefault("epoch", np.arange(1.0, 1 + len(history["cost"])))
    return training_figure(history, {"columns": _described(what, history)}, title)


def _described(what: Any, history: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How the columns are drawn: by the labels of the system, where it is known."""
    norm = "gradient_norm_"
    if isinstance(what, TrainingResult):
        parameters = {name: p.label for name, p in trained(what.system).items()}
        figures: Mapping[str, str] = what.system.figure_labels
    else:
        parameters = {
            name.removeprefix(norm): name.removeprefix(norm)
            for name in history
            if name.startswith(norm)
        }
        figures = {}
    sets = [name for name in ("validation", "test") if f"{name}_cost" in history]
    return describe_columns(parameters, figures, _METRICS, sets=sets)


# ---------------------------------------------------------------- domains


def _domain_figure(found: Seen, title: str) -> Figure:
    """A mesh or a graph with the outlines of its regions; of a line the sizes of its cells."""
    domain = found.domain
    count = len(domain.points if domain.kind == "graph" else domain.cells)
    regions = [
        Mark("region", name, {"cells": cells.tolist()})
        for name, cells in domain.regions.items()
        if len(cells) < count
    ]
    sizes = Field("size", cell_measures(domain), "cell", "size", "cell size", "cell size")
    fields = [sizes] if domain.kind == "line" else []
    files = memory_files(Seen(domain, fields, [*regions, *found.marks]), title)
    if files.line and fields:
        return figure_of(files)
    figure = place_figure(files)
    if domain.kind != "graph":
        ends = sides_of(domain.cells, domain.kind)[:, :2]
        lines: Any = domain.points[np.unique(np.sort(ends, axis=1), axis=0)]
        style: dict[str, Any] = dict(colors="#8fa3bd", linewidths=0.4, zorder=0.2)
        figure.axes[0].add_collection(LineCollection(lines, **style))
        _draw_boundaries(figure.axes[0], domain)
    return figure


def _draw_boundaries(axes: Axes, domain: Domain) -> None:
    """Named boundaries in colours, named beside the picture."""
    for number, (name, facets) in enumerate(domain.boundaries.items()):
        style: dict[str, Any] = dict(color=COLORS[number % len(COLORS)], linewidth=2, zorder=1.5)
        t = np.linspace(0, 1, 9)
        shapes = quadratic_shapes(t) if facets.shape[1] == 3 else np.stack([1 - t, t])
        curves: Any = np.einsum("kt,fkd->ftd", shapes, domain.points[facets])
        axes.add_collection(LineCollection(curves, label=name, **style))
    if domain.boundaries:
        place: dict[str, Any] = dict(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
        axes.legend(title="boundary", fontsize=9, title_fontsize=9, **place)
