"""The folder of a sweep, and one case of it.

    sweep.toml     the sweep, which can be run again
    cases.json     every case: number, folder, seed, values
    cases/         a run folder a case; error.json in it where the case failed
    meshes/        what Gmsh made of geometries
    results.csv    a row a case, rebuilt from the run folders

Nothing in results.csv tells when, where or how fast a case was run, so the same sweep gives the
same file however often it was interrupted.
"""

from __future__ import annotations

import fcntl
import json
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from threadpoolctl import threadpool_limits

from nepfield.errors import InputError
from nepfield.memory import keep_memory
from nepfield.mesh.geometry import Geometry, read_geometry
from nepfield.study.run import folder as files
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import Case, Sweep
from nepfield.study.text.config import StudyConfig, on_one_line, study_to_toml
from nepfield.study.text.keys import moved_paths
from nepfield.study.text.units import in_unit_of, unit_label

if TYPE_CHECKING:
    import pandas as pd

_BUILT = 10  # so many domains are built for a trial before a sweep starts
_LAST = ("gradient_cosine", "fraction_converged", "unknowns", "cells")
_OWN = ("grid", "zip")  # what an entry of [[list]] may have besides keys of the study
_NOT_METRICS = ("seed", "seconds", "gradient_cosine_epoch", *_LAST)


def check_cases(sweep: Sweep) -> None:
    """Find what is wrong with a sweep before any case of it is run.

    Every case's study is validated, with the parameters of its geometry. For each mesh, geometry
    or lattice size (the first ten) a case is built; the sweep is refused where neither the first
    case, the middle one nor the last can be. What only some cases get wrong is recorded with them.

    Raises
    ------
    InputError
        The message names the case.
    """
    geometries: dict[Path, Geometry] = {}
    domains: dict[Any, list[Case]] = {}
    for case in sweep.cases:
        domain = sweep.config(case).domain
        if domain.geometry is not None:
            if domain.geometry not in geometries:
                geometries[domain.geometry] = read_geometry(domain.geometry)
            try:
                geometries[domain.geometry].check(domain.parameters)
            except InputError as error:
                raise InputError(f"{sweep.path}: case {case.number}: {error}") from None
        domains.setdefault((domain.mesh, domain.geometry, domain.lattice), []).append(case)
    for cases in list(domains.values())[:_BUILT]:
        problems = []
        for place in dict.fromkeys((0, len(cases) // 2, len(cases) - 1)):
            try:
                build(sweep.config(cases[place]))
                break
            except InputError as error:
                problems.append(f"{sweep.path}: case {cases[place].number}: {error}")
        else:
            raise InputError(problems[0])


def open_sweep(sweep: Sweep, out: Path, resume: bool) -> None:
    """Make the folder of a sweep, or check that the one that is there belongs to it.

    Raises
    ------
    InputError
        If the folder exists and `resume` is false, or holds another sweep or other files.
    """
    listing = _listing(sweep)
    saved = out / "cases.json"
    try:
        if out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
            if not saved.is_file():
                raise InputError(f"{out}: this folder holds other files; choose another --out.")
            if not resume:
                raise InputError(
                    f"{out}: a sweep is there already; go on with --resume, or choose another "
                    "--out."
                )
            _check_same(json.loads(saved.read_text(encoding="utf-8")), json.loads(listing), out)
            for case in sweep.cases:
                _check_case(sweep, case, case_folder(out, case))
        out.mkdir(parents=True, exist_ok=True)
        files.write_text(out / "sweep.toml", _sweep_to_toml(sweep, out))
        files.write_text(saved, listing)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}).") from None


def case_folder(out: Path, case: Case) -> Path:
    """The run folder of a case."""
    return out / "cases" / case.folder


def is_done(config: StudyConfig, folder: Path) -> bool:
    """Whether a case needs no more work; one that failed is tried again."""
    if (folder / "error.json").exists():
        return False
    summary = _read_json(folder / "summary.json")
    return summary.get("status") == "finished" and summary["epochs"] == config.training.epochs


def run_case(config: StudyConfig, folder: str, meshes: str) -> str:
    """Run one case, or go on with it; what goes wrong is recorded in its folder.

    Parameters
    ----------
    config : StudyConfig
    folder, meshes : str
        Run folder, and the sweep's folder of meshes.

    Returns
    -------
    str
        "finished" or "failed".
    """
    keep_memory()  # Dask sets the contrary
    run = Path(folder)
    run.mkdir(parents=True, exist_ok=True)
    # A worker that lost its scheduler may still be at this case: then wait for it.
    with locked(run / ".lock"), threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_done(config, run):
            return "finished"
        (run / "error.json").unlink(missing_ok=True)
        if not (run / "study.toml").exists():
            files.write_text(run / "study.toml", study_to_toml(config, run))
        try:
            train_study(config, run, resume=True, meshes=meshes)
        except Exception as error:  # a case may fail in any way without an end to the others
            write_error(run, error)
            return "failed"
    return "finished"


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


def error_of(folder: Path) -> str:
    """Why a case failed, on one line; "" if it did not."""
    problem = _read_json(folder / "error.json")
    return f"{problem['error']}: {' '.join(problem['message'].split())}" if problem else ""


def write_results(out: str | Path) -> pd.DataFrame:
    """Rebuild results.csv of a sweep from its run folders.

    Returns
    -------
    DataFrame
        case, seed, the swept keys (quantities in the unit of the first; empty where a case has what
        the study says), status ("finished", "failed", "unfinished"), epochs, cost and all other
        figures in summary.json, the last cosine of the gradient to the adjoint, fraction of samples
        converged, unknowns, cells, and the error of a case that failed.

    Raises
    ------
    InputError
        If the folder holds no sweep.
    """
    import pandas as pd

    out = Path(out)
    listing = _read_json(out / "cases.json")
    if not listing:
        raise InputError(f"{out}: this is no folder of a sweep (it has no cases.json).")
    keys, units = listing["keys"], listing.get("units", {})
    rows = [_row(out / "cases" / entry["folder"], entry, keys, units) for entry in listing["cases"]]
    metrics = dict.fromkeys(name for _, figures, _ in rows for name in figures)
    for name in _LAST:
        metrics.pop(name, None)
    names = [*metrics, *_LAST]
    table = pd.DataFrame(
        [{**first, **{n: figures.get(n) for n in names}, "error": e} for first, figures, e in rows],
        dtype=object,  # whole numbers stay whole where some are missing
    )
    files.write_text(out / "results.csv", table.to_csv(index=False, lineterminator="\n"))
    return table


def _row(
    folder: Path, entry: Mapping[str, Any], keys: Sequence[str], units: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], str]:
    problem = _read_json(folder / "error.json")
    summary = {} if problem else _read_json(folder / "summary.json")
    status = "failed" if problem else summary.get("status", "unfinished")
    status = status if status in ("finished", "failed") else "unfinished"
    values = {
        key: in_unit_of(value, units[key]["first"])
        if key in units and value is not None
        else json.dumps(value)
        if isinstance(value, list | dict)
        else value
        for key, value in ((key, entry["values"].get(key)) for key in keys)
    }
    figures = {
        name: value
        for name, value in summary.items()
        if (isinstance(value, int | float) and name not in _NOT_METRICS) or name in _LAST
    }
    first = {"case": entry["case"], "seed": entry["seed"], **values, "status": status}
    return first, figures if status == "finished" else {}, error_of(folder)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a file alone; the lock ends with the process, however it ends.

    Raises
    ------
    InputError
        If another process holds it and `wait` is false.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InputError(f"{path.parent}: another nepfield sweep is at work here.") from None
        yield


def _listing(sweep: Sweep) -> str:
    cases = [
        {"case": c.number, "folder": c.folder, "seed": c.seed, "values": c.values}
        for c in sweep.cases
    ]
    lines = ",\n".join(f"  {json.dumps(case, default=str)}" for case in cases)
    units = {key: {"first": q, "unit": unit_label(q)} for key, q in sweep.units.items()}
    told = f', "units": {json.dumps(units)}' if units else ""
    return f'{{"keys": {json.dumps(sweep.keys)}{told}, "cases": [\n{lines}\n]}}\n'


def _check_same(saved: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    was, now = saved["cases"], wanted["cases"]
    if was == now:
        return
    if len(was) != len(now):
        told = f"it had {len(was)} cases and has {len(now)} now"
    else:
        number = next(i for i, pair in enumerate(zip(was, now, strict=True)) if pair[0] != pair[1])
        told = ", ".join(
            f"case {number} {word} seed {case['seed']}, {case['values']}"
            for word, case in (("was", was[number]), ("is now", now[number]))
        )
    raise InputError(f"{out}: this folder belongs to another sweep: {told}; choose another --out.")


def _check_case(sweep: Sweep, case: Case, folder: Path) -> None:
    """What is the same in all cases is not in cases.json, but in each study.toml."""
    path = folder / "study.toml"
    if not path.exists():
        return
    config = sweep.config(case)
    if path.read_text(encoding="utf-8") != study_to_toml(config, folder):
        files.check_same_study(path, config)


def _sweep_to_toml(sweep: Sweep, out: Path) -> str:
    """The sweep with paths that count from its folder."""

    def move(path: str) -> str:
        return Path(os.path.relpath(Path(sweep.path.parent, path), out)).as_posix()

    def moved(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        return {
            key: moved(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else moved_paths(value, f"{prefix}{key}", sweep.path.parent, move)
            for key, value in table.items()
        }

    content: dict[str, Any] = {"study": move(sweep.content["study"]), "name": sweep.name}
    content["seeds"] = sweep.content["seeds"]
    for key in ("set", "grid", "zip"):
        if key in sweep.content:
            content[key] = moved(sweep.content[key])
    if "list" in sweep.content:
        content["list"] = [
            {  # the keys in a family's own [list.grid] count from there
                **moved({key: value for key, value in entry.items() if key not in _OWN}),
                **{key: moved(entry[key]) for key in _OWN if key in entry},
            }
            for entry in sweep.content["list"]
        ]
    if "design" in sweep.content:
        content["design"] = sweep.content["design"]
    return on_one_line(tomli_w.dumps(content))


def _read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file, {} if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{path}: is not readable: {error}; remove it.") from None
