"""What came out of a sweep: results.csv, and with [success] statistics.csv.

Both are rebuilt from the run folders. Nothing in them tells when, where or how fast a case was run,
so the same sweep gives the same files however often it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.study.run import folder as files
from nepfield.study.sweeps.axes import LABEL
from nepfield.study.sweeps.design import Sweep
from nepfield.study.text.success import Limit, Outcome, outcome_of, read_success
from nepfield.study.text.units import in_unit_of, unit_label

if TYPE_CHECKING:
    import pandas as pd

_LAST = ("gradient_cosine", "fraction_converged", "unknowns", "cells")
_NOT_METRICS = ("seed", "seconds", "stopped", "kept_epoch", "gradient_cosine_epoch", *_LAST)
_OUTCOME = ("success", "epochs_to_success", "ever")


def listing_of(sweep: Sweep) -> str:
    """The content of cases.json: every case, and how results are told."""
    cases = [
        {
            "case": case.number,
            "folder": case.folder,
            "seed": case.seed,
            **({"label": case.label} if case.label else {}),
            "values": case.values,
        }
        for case in sweep.cases
    ]
    lines = ",\n".join(f"  {json.dumps(case, default=str)}" for case in cases)
    units = {key: {"first": q, "unit": unit_label(q)} for key, q in sweep.units.items()}
    told = f', "units": {json.dumps(units)}' if units else ""
    if sweep.success:
        told += f', "success": {json.dumps(sweep.content["success"])}'
    return f'{{"keys": {json.dumps(sweep.keys)}{told}, "cases": [\n{lines}\n]}}\n'


def read_listing(out: Path) -> dict[str, Any]:
    """Content of cases.json.

    Raises
    ------
    InputError
        If the folder holds no sweep, or the file is damaged.
    """
    path = out / "cases.json"
    listing = read_json(path)
    if not listing:
        raise InputError(f"{out}: this is no folder of a sweep (it has no cases.json).")
    try:
        keys, cases, units = listing["keys"], listing["cases"], listing.get("units", {})
        whole = bool(cases) and all(isinstance(key, str) for key in keys)
        whole = whole and all("first" in unit for unit in units.values())
        for entry in cases:
            name, seed = entry["folder"], entry["seed"]
            whole = whole and Path(name).name == name and isinstance(entry["values"], dict)
            whole = whole and isinstance(entry["case"], int) and isinstance(seed, int)
            whole = whole and (LABEL in entry) == (LABEL in cases[0])
    except (LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InputError(
            f"{path}: this is no list of the cases of a sweep any more; put it back as it was, or "
            "begin the sweep again in another folder."
        )
    return listing


def write_results(out: str | Path) -> pd.DataFrame:
    """Rebuild results.csv of a sweep from its run folders, and statistics.csv.

    Returns
    -------
    DataFrame
        case, seed, the label of the case's [[list]] entry where these have labels, the swept keys
        (quantities in the unit of the first; empty where a case has what the study says), status
        ("finished", "failed", "unfinished"), with [success] what came of it (success,
        epochs_to_success, ever), verdict (`nepfield.learning.verdict`), epochs, cost and all other
        figures in summary.json, the last cosine of the gradient to the adjoint, fraction of samples
        converged, unknowns, cells, and the error of a case that failed.

    Raises
    ------
    InputError
        If the folder holds no sweep.
    """
    import pandas as pd

    out = Path(out)
    listing = read_listing(out)
    limits = _limits(listing, out)
    rows = [_row(out, entry, listing, limits) for entry in listing["cases"]]
    metrics = dict.fromkeys(name for _, figures, _ in rows for name in figures)
    for name in _LAST:
        metrics.pop(name, None)
    names = [*metrics, *_LAST]
    table = pd.DataFrame(
        [{**first, **{n: figures.get(n) for n in names}, "error": e} for first, figures, e in rows],
        dtype=object,  # whole numbers stay whole where some are missing
    )
    _write(table, out / "results.csv")
    if limits:
        _write(statistics(table, limits), out / "statistics.csv")
    else:
        (out / "statistics.csv").unlink(missing_ok=True)
    return table


def statistics(table: pd.DataFrame, limits: Sequence[Limit]) -> pd.DataFrame:
    """A row for each combination of swept values, over all its seeds.

    Parameters
    ----------
    table : DataFrame
        As `write_results` gives it.
    limits : sequence of Limit

    Returns
    -------
    DataFrame
        The label and the swept keys; seeds (trainings that have ended), failed (of these),
        successes, rate, ever (how many met the limits at some time), the median of the epochs to
        success of those, and of each figure in [success] the median and the least and the greatest
        value after the last epoch.
    """
    import pandas as pd

    columns = list(table.columns)
    keys = columns[2 : columns.index("status")]
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, values in enumerate(zip(*(table[key] for key in keys), strict=True)):
        groups.setdefault(tuple(map(str, values)), []).append(place)
    if not keys:
        groups[()] = list(range(len(table)))
    names = list(dict.fromkeys(limit.name for limit in limits))
    rows = []
    for places in groups.values():
        part = table.iloc[places]
        ended = part[part["status"] != "unfinished"]
        judged = ended[ended["success"].notna()]
        row = {key: part[key].iloc[0] for key in keys}
        row |= {"seeds": len(ended), "failed": int((ended["status"] == "failed").sum())}
        successes = int(judged["success"].astype(bool).sum())
        row |= {
            "successes": successes,
            "rate": successes / len(judged) if len(judged) else None,
            "ever": int(judged["ever"].astype(bool).sum()),
            "epochs_to_success": _of(judged["epochs_to_success"], "median"),
        }
        for name in names:
            found = ended[name] if name in ended else pd.Series(dtype=float)
            row |= {f"{name}_{how}": _of(found, how) for how in ("median", "min", "max")}
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _of(values: pd.Series, how: str) -> float | None:
    numbers = values.dropna().astype(float)
    return float(numbers.agg(how)) if len(numbers) else None


def _limits(listing: Mapping[str, Any], out: Path) -> tuple[Limit, ...]:
    success = listing.get("success")
    return read_success(success, f"{out / 'cases.json'}: success") if success else ()


def _row(
    out: Path, entry: Mapping[str, Any], listing: Mapping[str, Any], limits: Sequence[Limit]
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What stands in front, the figures, and why the case failed."""
    folder, units = out / "cases" / entry["folder"], listing.get("units", {})
    problem = read_json(folder / "error.json")
    summary = {} if problem else read_json(folder / "summary.json")
    status = "failed" if problem else summary.get("status", "unfinished")
    status = status if status in ("finished", "failed") else "unfinished"
    first: dict[str, Any] = {"case": entry["case"], "seed": entry["seed"]}
    if LABEL in listing["cases"][0]:
        first[LABEL] = entry[LABEL]
    for key in listing["keys"]:
        value = entry["values"].get(key)
        if key in units and value is not None:
            value = in_unit_of(value, units[key]["first"])
        first[key] = json.dumps(value) if isinstance(value, list | dict) else value
    first["status"] = status
    if limits:
        found = Outcome()
        if status == "finished":
            found = outcome_of(limits, summary, folder / "history.csv")
        elif status == "failed":
            found = Outcome(False, None, False)
        first |= zip(_OUTCOME, (found.success, found.epochs, found.ever), strict=True)
    first["verdict"] = summary.get("verdict") if status == "finished" else None
    figures = {
        name: value
        for name, value in summary.items()
        if (isinstance(value, int | float) and name not in _NOT_METRICS) or name in _LAST
    }
    return first, figures if status == "finished" else {}, error_of(folder)


def error_of(folder: Path) -> str:
    """Why a case failed, on one line; "" if it did not."""
    problem = read_json(folder / "error.json")
    message = " ".join(str(problem.get("message", "")).split())
    return f"{problem.get('error', 'Error')}: {message}" if problem else ""


def _write(table: pd.DataFrame, path: Path) -> None:
    files.write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file, {} if there is none; InputError if it holds anything else."""
    try:
        content = json.loads(read_text(path, LARGEST))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not readable: {error}; remove it.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not readable: it holds no table; remove it.")
    return content
