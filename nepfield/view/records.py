"""What a run folder says in words and numbers: the name of the run, its summary, its history.

summary.json    ``fields`` and ``marks`` describe what is in fields.vtu and in the frames,
                ``columns`` those of history.csv, ``readout`` the outputs
frames.json     the same, for a run that has frames and no summary yet
study.toml      is read for the name of the run alone
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import STUDY_FILE
from nepfield.learning.state import HISTORY
from nepfield.reading import LARGEST, read_text


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
    path = run / STUDY_FILE
    if not path.exists():
        return {}
    try:
        return tomllib.loads(read_text(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a readable TOML file: {error}") from error


def read_summary(run: Path) -> dict[str, Any]:
    """``summary.json`` of a run folder, else ``frames.json``; empty where there is neither.

    Raises
    ------
    InputError
        If the file is not a JSON object.
    """
    paths = [Path(run) / name for name in ("summary.json", "frames.json")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return {}
    try:
        summary = json.loads(read_text(path, LARGEST))
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
    path = Path(run) / HISTORY
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path, LARGEST), newline="")))
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


def run_title(run: Path) -> str:
    """What a picture of a run is called: the name of its study, else that of its folder."""
    return str(read_study(run).get("name") or Path(run).resolve().name)


def sample_title(row: Sequence[float] | NDArray[np.float64] | None, index: int, prefix: str) -> str:
    """``inputs (0, 1)`` where a row of inputs is known and short, else ``sample 3``."""
    if row is None or len(row) > 4:
        return f"sample {index}"
    return f"{prefix}({', '.join(f'{v:.3g}' for v in row)})"
