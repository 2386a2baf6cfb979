"""Tasks in files: arrays in an .npz file, or a table in a .csv file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.tasks import PREFIXES, Task
from nepfield.reading import load_arrays, read_bytes

if TYPE_CHECKING:
    import pandas as pd

LARGEST_TABLE = 2**29
"""Bytes that a .csv file may have; as numbers they take about as many."""
_MOST_CLASSES = 10_000
_KNOWN = [f"{prefix}{kind}" for prefix in PREFIXES.values() for kind in ("inputs", "targets")]


def load_task(path: str | Path) -> Task:
    """Read a task from an .npz or a .csv file.

    Arrays of an .npz file are `inputs`, `targets` and, if wanted, `validation_inputs`,
    `validation_targets`, `test_inputs`, `test_targets`. Instead of targets there may be `labels`,
    (nsamples,) whole numbers from 0, which become one-hot targets. Other arrays are left alone,
    with a warning that names them.

    A .csv file has a line of names and a line a sample. The targets are the columns whose names
    begin with "target", or a column "label" with whole numbers or names, each of which becomes an
    output (in order). A column "set" says "train", "validation" or "test". The inputs are the
    columns whose names begin with "input", or if there are none all other columns.

    Raises
    ------
    InputError
        If the file cannot be read or lacks something.
    """
    path = Path(path)
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_npz(path)


def _read_npz(path: Path) -> Task:
    try:
        arrays = load_arrays(path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: this is no .npz file that can be read ({error.strerror or error})."
        ) from None
    except Exception:  # zip, pickle and value errors alike mean: not a usable file
        raise InputError(
            f"{path}: this is no .npz file of number arrays; write one with "
            "numpy.savez(file, inputs=..., targets=...)."
        ) from None
    given = set(arrays)
    labels = {
        prefix: arrays.pop(f"{prefix}labels")
        for prefix in PREFIXES.values()
        if f"{prefix}labels" in arrays and f"{prefix}targets" not in arrays
    }
    arrays |= _one_hot(labels, path)
    missing = {"inputs", "targets"} - set(arrays)
    if missing:
        raise InputError(
            f"{path}: the array {sorted(missing)[0]!r} is missing; the file holds "
            f"{', '.join(sorted(given)) or 'none'}."
        )
    task = _made({name: array for name, array in arrays.items() if name in _KNOWN}, path)
    if others := sorted(set(arrays) - set(_KNOWN)):
        warnings.warn(
            f"{path}: not used: {', '.join(others)}; a task has the arrays {', '.join(_KNOWN)}, "
            "or labels instead of targets.",
            stacklevel=3,
        )
    return task


def _one_hot(labels: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Targets of labels by their prefixes, of as many outputs in all sets."""
    for prefix, values in labels.items():
        whole = values.ndim == 1 and values.dtype.kind in "iu" and values.size
        if not whole or values.min() < 0 or values.max() >= _MOST_CLASSES:
            raise InputError(
                f"{path}: {prefix}labels must be whole numbers from 0, one a sample, and below "
                f"{_MOST_CLASSES}."
            )
    count = max((int(values.max()) + 1 for values in labels.values()), default=0)
    return {f"{prefix}targets": np.eye(count)[values] for prefix, values in labels.items()}


def _read_csv(path: Path) -> Task:
    import pandas as pd  # slow to import

    try:
        content = read_bytes(path, LARGEST_TABLE)
        header = pd.read_csv(io.BytesIO(content), header=None, nrows=1, dtype=str)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop columns
            table = pd.read_csv(io.BytesIO(content), index_col=False)
    except pd.errors.ParserWarning:
        raise InputError(
            f"{path}: its lines have more fields than the line of names; name each column once."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path}: this is no .csv file that can be read ({error.strerror or error})."
        ) from None
    except Exception as error:  # pandas raises what it likes
        said = " ".join(str(error).split())
        raise InputError(f"{path}: this is no table of comma-separated values ({said}).") from None
    names = [str(name) for name in table.columns]
    table.columns = names
    given = [name for name in header.iloc[0] if isinstance(name, str)]
    if twice := [name for name in dict.fromkeys(given) if given.count(name) > 1]:
        count = given.count(twice[0])
        raise InputError(f"{path}: the name {twice[0]!r} stands over {count} columns.")
    if not len(table):
        raise InputError(f"{path}: there is no sample below the line of names.")
    targets = [name for name in names if name.startswith("target")]
    if ("label" in names) == bool(targets):
        raise InputError(
            f'{path}: needs either a column "label" or columns whose names begin with "target"; '
            f"its columns are {_listed(names)}."
        )
    rest = [name for name in names if name not in ("label", "set", *targets)]
    inputs = [name for name in rest if name.startswith("input")] or rest
    if not inputs:
        raise InputError(f"{path}: there is no column of inputs beside {_listed(names)}.")
    if others := [name for name in rest if name not in inputs]:
        warnings.warn(f"{path}: columns that are not used: {_listed(others)}.", stacklevel=3)
    x = _numbers(table[inputs], path)
    y = _numbers(table[targets], path) if targets else _of_labels(_labels(table, content), path)
    if "set" not in names:
        return _made({"inputs": x, "targets": y}, path)
    sets = table["set"].astype(str).fillna("").str.strip()
    if unknown := sorted(set(sets) - set(PREFIXES)):
        raise InputError(
            f'{path}: the column "set" holds {unknown[0]!r}; it takes {", ".join(PREFIXES)}.'
        )
    if not (sets == "train").any():
        raise InputError(f'{path}: the column "set" names no sample "train".')
    arrays: dict[str, Any] = {}
    for name, prefix in PREFIXES.items():
        if name == "train" or (sets == name).any():
            chosen = (sets == name).to_numpy()
            arrays |= {f"{prefix}inputs": x[chosen], f"{prefix}targets": y[chosen]}
    return _made(arrays, path)


def _numbers(table: pd.DataFrame, path: Path) -> np.ndarray:
    for name in table.columns:
        if table[name].dtype.kind not in "iufb":
            raise InputError(f"{path}: the column {name!r} holds what is no number.")
    return table.to_numpy(dtype=float)


def _labels(table: pd.DataFrame, content: bytes) -> pd.Series:
    """The column of labels; names such as "NA" and "None", in which pandas sees gaps, are names."""
    import pandas as pd

    column = table["label"]
    if not column.isna().any():
        return column
    text = pd.read_csv(
        io.BytesIO(content), index_col=False, usecols=["label"], dtype=str, keep_default_na=False
    )["label"]
    return text.mask(text.str.strip() == "")


def _of_labels(column: pd.Series, path: Path) -> np.ndarray:
    """One-hot targets, an output a label in their order."""
    if column.isna().any():
        raise InputError(f"{path}: a label is missing in line {int(column.isna().argmax()) + 2}.")
    values = column if column.dtype.kind in "iufb" else column.astype(str)
    labels, place = np.unique(values.to_numpy(), return_inverse=True)
    if len(labels) < 2 or len(labels) > _MOST_CLASSES:
        raise InputError(
            f'{path}: the column "label" has {len(labels)} different values; classes are 2 to '
            f"{_MOST_CLASSES}."
        )
    return np.eye(len(labels))[place]


def _made(arrays: dict[str, Any], path: Path) -> Task:
    try:
        return Task(**arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
