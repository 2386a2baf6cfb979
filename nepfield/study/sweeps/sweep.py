"""The folder of a sweep, and one case of it.

sweep.toml       the sweep, which can be run again
cases.json       every case: number, folder, seed, values
cases/           a run folder a case; error.json in it where the case failed
meshes/          what Gmsh made of geometries
results.csv      a row a case (results.py)
statistics.csv   with [success]: a row for each combination of swept values
"""

from __future__ import annotations

import json
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w
from threadpoolctl import threadpool_limits

from nepfield.errors import InputError
from nepfield.files import (
    LOCK_FILE,
    STUDY_FILE,
    check_within,
    is_ours,
    locked,
    remove_parts,
)
from nepfield.learning.origin import check_origin, domain_digests, task_digests, version
from nepfield.learning.state import CHECKPOINT, saved_origin
from nepfield.memory import keep_memory
from nepfield.mesh.geometry import Geometry, read_geometry
from nepfield.reading import read_text
from nepfield.study.run import folder as files
from nepfield.study.run.build import Study, build
from nepfield.study.run.claim import keeping
from nepfield.study.run.jobs import train_study
from nepfield.study.run.trained import made_from, meshes_of
from nepfield.study.sweeps.axes import LABEL, PRODUCTS
from nepfield.study.sweeps.design import PLACE, Case, Sweep
from nepfield.study.sweeps.results import listing_of, read_json, read_listing
from nepfield.study.systems.systems import validate_study
from nepfield.study.text.config import on_one_line, study_to_toml
from nepfield.study.text.keys import moved_paths
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.success import check_names

_BUILT = 10  # so many domains are built for a trial before a sweep starts


def check_cases(sweep: Sweep) -> None:
    """Find what is wrong with a sweep before any case of it is run.

    Every case's study is validated, with the parameters of its geometry. For each mesh, geometry
    or graph (the first ten) a case is built; the sweep is refused where neither the first case, the
    middle one nor the last can be, and where [success] names what no study has. What only some
    cases get wrong is recorded with them.

    Raises
    ------
    InputError
        The message names the case.
    """
    geometries: dict[Path, Geometry] = {}
    domains: dict[str, list[Case]] = {}
    for case in sweep.cases:
        domain = sweep.config(case).domain
        if domain.geometry is not None:
            if domain.geometry not in geometries:
                geometries[domain.geometry] = read_geometry(domain.geometry)
            try:
                geometries[domain.geometry].check(domain.parameters)
            except InputError as error:
                raise InputError(f"{sweep.path}: case {case.number}: {error}") from None
        same = repr(domain.model_copy(update={"parameters": {}}))
        domains.setdefault(same, []).append(case)
    for cases in list(domains.values())[:_BUILT]:
        problems = []
        for place in dict.fromkeys((0, len(cases) // 2, len(cases) - 1)):
            try:
                study = build(sweep.config(cases[place]))
                break
            except InputError as error:
                problems.append(f"{sweep.path}: case {cases[place].number}: {error}")
        else:
            raise InputError(problems[0])
        _check_success(sweep, study)


def _check_success(sweep: Sweep, study: Study) -> None:
    task = study.task
    sets = {"validation": getattr(task, "validation_inputs", None), "test": task.test_inputs}
    check_names(
        sweep.success,
        study.cost.metrics(task.targets, task.targets),
        [name for name, inputs in sets.items() if inputs is not None],
        study.config.training.compare_every > 0,
        f"{sweep.path}: [success]",
    )


def open_sweep(sweep: Sweep, out: Path, resume: bool, accept_changes: bool = False) -> None:
    """Make the folder of a sweep, or check that the one that is there belongs to it.

    Raises
    ------
    InputError
        If the folder exists and `resume` is false, or holds another sweep or other files, or
        meshes or tasks have changed since and `accept_changes` is false.
    """
    try:
        _check_folder(sweep, out, resume)
        if not accept_changes:
            check_unchanged(sweep, out)
        out.mkdir(parents=True, exist_ok=True)
        remove_parts(out)
        # in this order: a folder with a list of cases is that of a sweep
        files.write_text(out / "cases.json", listing_of(sweep))
        files.write_text(out / "sweep.toml", _sweep_to_toml(sweep, out))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from None


@contextmanager
def claimed(sweep: Sweep, out: Path, resume: bool, accept_changes: bool = False) -> Iterator[None]:
    """`open_sweep`, and hold the folder; nothing is left where it is refused.

    Raises
    ------
    InputError
        Also if another process is at work there.
    """
    try:
        _check_folder(sweep, out, resume)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from None
    with locked(out / LOCK_FILE, wait=False):
        open_sweep(sweep, out, resume, accept_changes)
        with keeping(out, "the cases that are finished are safe: go on with --resume"):
            yield


def _check_folder(sweep: Sweep, out: Path, resume: bool) -> None:
    saved = out / "cases.json"
    if not out.is_dir() or all(is_ours(path) for path in out.iterdir()):
        return
    if not saved.is_file():
        raise InputError(f"{out}: this folder holds other files; choose another --out.")
    if not resume:
        raise InputError(
            f"{out}: a sweep is there already; go on with --resume, or choose another --out."
        )
    for name in ("cases", "meshes"):
        check_within(out / name)
    wanted = json.loads(listing_of(sweep))
    _check_same(read_listing(out), wanted, out)
    for case in sweep.cases:
        _check_case(sweep, case, case_folder(out, case))


def check_unchanged(sweep: Sweep, out: Path) -> None:
    """Refuse to go on where the mesh or the task of a case that was begun has changed.

    Each mesh file and each task is read once.

    Raises
    ------
    InputError
        With what has changed.
    """
    domains: dict[str, tuple[str, dict[str, str]]] = {}
    tasks: dict[str, dict[str, str]] = {}
    told: set[str] = set()
    for case in sweep.cases:
        folder = case_folder(out, case)
        saved = saved_origin(folder / CHECKPOINT)
        if saved is None:
            continue
        config = sweep.config(case)
        now, names = made_from(config), {"task": str(config.task.file or "task")}
        if config.domain.geometry is not None:
            meshes_of(folder, config, out / "meshes")  # their names say what they are made from
        else:
            key = repr(config.domain)
            if key not in domains:
                domain = config.build_domain()
                domains[key] = domain.source, domain_digests(domain)
            names["domain"], now["domain"] = domains[key]
        drawn = config.seed if config.task.validation or config.task.test else None
        if (key := repr((config.task, drawn))) not in tasks:
            tasks[key] = task_digests(config.task.build(config.seed))
        now["task"] = tasks[key]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_origin(saved, version() | now, folder / CHECKPOINT, names, now)
        for warning in caught:
            message = str(warning.message).replace(str(folder / CHECKPOINT), str(out))
            if message not in told:  # once for all cases
                told.add(message)
                warnings.warn(message, stacklevel=2)


def case_folder(out: Path, case: Case) -> Path:
    """The run folder of a case."""
    return out / "cases" / case.folder


def is_done(config: StudyConfig, folder: Path) -> bool:
    """Whether a case needs no more work; one that failed is tried again."""
    if (folder / "error.json").exists():
        return False
    summary = read_json(folder / "summary.json")
    ended = summary.get("epochs") == config.training.epochs or summary.get("stopped") is True
    return summary.get("status") == "finished" and ended


def run_case(config: StudyConfig, folder: str, meshes: str, accept_changes: bool = False) -> str:
    """Run one case, or go on with it; what goes wrong is recorded in its folder.

    Parameters
    ----------
    config : StudyConfig
    folder, meshes : str
        Run folder, and the sweep's folder of meshes.
    accept_changes : bool
        As in `train_study`.

    Returns
    -------
    str
        "finished" or "failed".
    """
    keep_memory()  # Dask sets the contrary
    run = Path(folder)
    run.mkdir(parents=True, exist_ok=True)
    # A worker that lost its scheduler may still be at this case: then wait for it.
    with locked(run / LOCK_FILE), threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_done(config, run):
            return "finished"
        (run / "error.json").unlink(missing_ok=True)
        if not (run / STUDY_FILE).exists():
            files.write_text(run / STUDY_FILE, study_to_toml(config, run))
        try:
            train_study(
                config,
                run,
                resume=True,
                meshes=meshes,
                held=True,
                accept_changes=accept_changes,
            )
        except Exception as error:  # a case may fail in any way without an end to the others
            write_error(run, error)
            return "failed"
    return "finished"


def run_content(
    content: Mapping[str, Any],
    study: str,
    keys: Sequence[str],
    folder: str,
    meshes: str,
    accept_changes: bool = False,
) -> str:
    """As `run_case`, for a worker, which may not know what the study's system is made of.

    Parameters
    ----------
    content : dict
        What the study's file would hold, as `Sweep.content_of` gives it, with `keys`.
    study : str
        The study file; paths count from its folder.
    keys : sequence of str
    folder, meshes, accept_changes
        As for `run_case`.
    """
    config = validate_study(content, Path(study), keys, PLACE)
    return run_case(config, folder, meshes, accept_changes)


def write_error(folder: Path, error: BaseException) -> None:
    """Record why a case failed, as error.json."""
    message = str(error).replace(f"{folder.parents[1]}{os.sep}", "")
    content = {
        "error": type(error).__name__,
        "message": message,
        "traceback": traceback.format_exception(error),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / "error.json", json.dumps(content, indent=2) + "\n")


def _check_same(saved: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    was, now = saved["cases"], wanted["cases"]
    if was == now:
        return
    if len(was) != len(now):
        told = f"it had {len(was)} cases and has {len(now)} now"
    else:
        number = next(i for i, pair in enumerate(zip(was, now, strict=True)) if pair[0] != pair[1])
        told = ", ".join(
            f"case {number} {word} {_named(case)}"
            for word, case in (("was", was[number]), ("is now", now[number]))
        )
    raise InputError(f"{out}: this folder belongs to another sweep: {told}; choose another --out.")


def _named(case: Mapping[str, Any]) -> str:
    label = f"{case[LABEL]!r}, " if LABEL in case else ""
    return f"{label}seed {case['seed']}, {case['values']}"


def _check_case(sweep: Sweep, case: Case, folder: Path) -> None:
    """What is the same in all cases is not in cases.json, but in each study.toml."""
    check_within(folder)
    path = folder / STUDY_FILE
    if not path.exists():
        return
    config = sweep.config(case)
    if read_text(path) != study_to_toml(config, folder):
        files.check_same_study(path, config)


def _sweep_to_toml(sweep: Sweep, out: Path) -> str:
    """The sweep with paths that count from its folder."""

    def move(path: str) -> str:
        return Path(os.path.relpath(Path(sweep.path.parent, path), out)).as_posix()

    def moved(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        return {
            key: moved(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else moved_paths(value, f"{prefix}{key}", sweep.path.parent, move, sweep.kind)
            for key, value in table.items()
        }

    content: dict[str, Any] = {"study": move(sweep.content["study"]), "name": sweep.name}
    content["seeds"] = sweep.content["seeds"]
    for key in ("set", *PRODUCTS):
        if key in sweep.content:
            content[key] = moved(sweep.content[key])
    if "list" in sweep.content:
        content["list"] = [
            {  # the keys in a family's own [list.grid] count from there
                **moved({key: value for key, value in entry.items() if key not in PRODUCTS}),
                **{key: moved(entry[key]) for key in PRODUCTS if key in entry},
            }
            for entry in sweep.content["list"]
        ]
    for key in ("design", "success"):
        if key in sweep.content:
            content[key] = sweep.content[key]
    return on_one_line(tomli_w.dumps(content))
