"""Branches of a study or a run as one key varies, and the folder that they leave."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.fields.layout import place_of
from nepfield.fields.names import output_names
from nepfield.fields.readouts import Readout
from nepfield.files import BRANCHES, START_FILE, STUDY_FILE
from nepfield.learning.costs import Cost
from nepfield.steady.branches.branch import KINDS, Branch, Diagram, Reader
from nepfield.steady.branches.points import Point
from nepfield.study.run import folder as files
from nepfield.study.run.build import Study, build
from nepfield.study.run.claim import check_folder, claimed, keeping, mesh_folder
from nepfield.study.run.jobs import draw_noting
from nepfield.study.run.summary import study_entries
from nepfield.study.run.trained import meshes_of, trained_system
from nepfield.study.run.varied_key import GEOMETRY, Content, VariedKey, varied_key
from nepfield.study.systems.systems import load_study, read_study
from nepfield.systems.branches import explore, explorer_of

_SHEET = 8  # points whose fields are kept


@dataclass(frozen=True)
class BranchOptions:
    """What is followed, and what is looked for.

    Attributes
    ----------
    key : str
        A key of the study, or a number of the system.
    start, stop : str
        As they are written: numbers, or texts with units.
    sample : int
        Which inputs of the task.
    deflate : bool
        Whether to look for branches that are not connected.
    both_ways : bool
        Whether to begin at `stop` as well.
    most : int
        Points of a branch.
    """

    key: str
    start: str
    stop: str
    sample: int = 0
    deflate: bool = False
    both_ways: bool = False
    most: int = 400


def branch_study(
    path: Path,
    out: Path,
    options: BranchOptions,
    *,
    overrides: tuple[str, ...] = (),
    seed: int | None = None,
    accept_changes: bool = False,
    tell: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Follow the branches of a study, or of a run as it was trained, and write a folder.

    Ctrl-C ends it with what has been found.

    Parameters
    ----------
    path : Path
        A study file or a run folder.
    out : Path
        The folder; it must not exist yet.
    options : BranchOptions
    overrides, seed
        Of the study, as in `load_study`.
    accept_changes : bool
        As in `nepfield.study.run.jobs.train_study`.
    tell : callable, optional
        Called after each point with the number of branches and the value of the key as shown.

    Returns
    -------
    dict
        What is in summary.json; its ``status`` is "finished" or "interrupted".

    Raises
    ------
    InputError
        If anything in it cannot be used.
    NotConverged
        If there is no steady state to start from.
    """
    run = path if path.is_dir() else None
    file = path if run is None else path / STUDY_FILE
    config = load_study(file, overrides, seed)
    data, _ = read_study(file, overrides, seed)
    check_folder(out, config, resume=None)
    began = time.monotonic()
    with ExitStack() as stack:
        if run is not None:
            meshes_of(run, config)  # refuses a geometry that has changed
        with mesh_folder(config, out, None if run is None else meshes_of(run, config)) as kept:
            study = build(config, kept, run)
            system = trained_system(study, run, accept_changes)
            content = Content(data, file, (file.parent / START_FILE).is_file())
            varied = varied_key(
                content, study, system, options.key, options.start, options.stop, options.sample
            )
            stack.enter_context(claimed(out, config, resume=None))
        stack.enter_context(keeping(out, "remove what is there of it, and follow it again"))
        status, diagram = _explored(study, system, varied, options, tell)
        summary = {
            "status": status,
            **_summary(study, system, varied, options, diagram, out),
            "seconds": time.monotonic() - began,
        }
        files.write_summary(out / files.SUMMARY, summary)
        return summary | {"notes": draw_noting(study.config, out)}


def _explored(
    study: Study,
    system: Any,
    varied: VariedKey,
    options: BranchOptions,
    tell: Callable[[int, float], None] | None,
) -> tuple[str, Diagram]:
    """The branches, as far as they could be followed."""
    rows = study.task.inputs

    def told(count: int, point: Point) -> None:
        if tell is not None:
            tell(count, varied.factor * point.value)

    explorer = explorer_of(
        system, varied.parameter, varied.start, varied.stop, rows[options.sample], told,
        options.most, study.solver["tolerance"],
    )  # fmt: skip
    status = "finished"
    try:
        explore(
            explorer, varied.start, varied.stop, both_ways=options.both_ways,
            deflate=5 if options.deflate else 0, seed=study.config.seed,
        )  # fmt: skip
    except KeyboardInterrupt:
        status = "interrupted"
    branches = explorer.branches(_reader(study, varied), varied.key)
    if not branches:
        raise KeyboardInterrupt
    return status, Diagram(branches, varied.key)


def _reader(study: Study, varied: VariedKey) -> Readout | Reader:
    """What reads a state: of a mesh that moves, on the mesh as it is at each value."""
    system_at = varied.parameter
    if isinstance(system_at, str) or not varied.key.startswith(GEOMETRY):
        return study.cost.readout
    build_readout, at = study.config.build_readout, system_at

    def read(value: float) -> Readout:
        found: Readout = build_readout(at(value))
        return found

    return read


# ---------------------------------------------------------------- what is written


def _summary(
    study: Study,
    system: Any,
    varied: VariedKey,
    options: BranchOptions,
    diagram: Diagram,
    out: Path,
) -> dict[str, Any]:
    """Write the table and the fields, and say what is in them."""
    shown = [replace(b, values=varied.factor * b.values) for b in diagram.branches]
    names = _output_names(study.cost)
    files.write_text(out / BRANCHES, _csv(Diagram(tuple(shown), varied.key), names))
    chosen = _chosen(shown)
    states = np.column_stack([diagram.branches[k].states[:, i] for k, i in chosen])
    rows = np.repeat(study.task.inputs[[options.sample]], len(chosen), axis=0)
    fields = system.fields(states, rows)
    entries = study_entries(study)
    marks = [*system.marks(), *study.cost.readout.marks()]
    return {
        "name": f"{study.config.name}: {varied.key}",
        "seed": study.config.seed,
        "key": varied.key,
        "from": varied.factor * varied.start,
        "to": varied.factor * varied.stop,
        "unit": varied.unit,
        "label": varied.label,
        "sample": options.sample,
        "inputs": rows,
        "titles": [_title(shown[k], i, k, varied) for k, i in chosen],
        "outputs": names,
        "branches": [_of_branch(branch, k) for k, branch in enumerate(shown)],
        "warnings": [],
        "units": entries["units"],
        "lengths": entries["lengths"],
        "readout": entries["readout"],
        **files.write_fields(out / "fields.vtu", place_of(system), fields, marks),
    }


def _output_names(cost: Cost) -> list[str]:
    """Columns of outputs."""
    names = (name.removeprefix("output").strip() for name in output_names(cost.readout))
    return [f"output {name}".strip() for name in names]


def _csv(diagram: Diagram, names: list[str]) -> str:
    """The table of all branches."""
    table = diagram.table()
    for k, name in enumerate(names):
        table = {name if column == f"output_{k}" else column: v for column, v in table.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.12g}"
    return str(value)


def _of_branch(branch: Branch, number: int) -> dict[str, Any]:
    """A branch in the summary."""
    return {
        "branch": number,
        "origin": branch.origin,
        "ending": branch.ending,
        "points": len(branch),
        "stability": branch.counted,
        **{kind: branch.points(kind) for kind in KINDS},
    }


def _title(branch: Branch, index: int, number: int, varied: VariedKey) -> str:
    """What a panel of the sheet is called."""
    special = str(branch.special[index]) or str(branch.stability[index])
    unit = f" {varied.unit}" if varied.unit else ""
    of = f"branch {number}, " if number else ""
    return f"{of}{varied.key} = {branch.values[index]:.4g}{unit}, {special}"


def _chosen(branches: list[Branch]) -> list[tuple[int, int]]:
    """Points whose fields are kept: both ends of the first branch, and of all others as many
    special ones and then usual ones as there is room for, evenly."""
    every = [(k, i) for k, branch in enumerate(branches) for i in range(len(branch))]
    special = [(k, i) for k, i in every if branches[k].special[i]]
    found = [(0, 0), (0, len(branches[0]) - 1)]
    for some in (special, every):
        some = [one for one in some if one not in found]
        room = min(_SHEET - len(found), len(some))
        places = np.linspace(0, len(some) - 1, room).round().astype(int)
        found += [some[place] for place in places]
    return sorted(set(found))
