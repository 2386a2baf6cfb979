"""The state of a training between two epochs, and its files.

A checkpoint holds what the next epoch depends on and never grows. The history lies beside it as a
table that is appended to, a line an epoch. On disk a line comes before the checkpoint of its epoch,
so after a kill the table may be ahead of the checkpoint, and what is ahead is dropped.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values
from nepfield.files import replacing
from nepfield.learning.origin import Origin
from nepfield.learning.warm import file_of, files_of, opened
from nepfield.reading import LARGEST, load_arrays, open_regular, read_bytes, read_text
from nepfield.reprs import Described, listed

CHECKPOINT, HISTORY = "checkpoint.npz", "history.csv"
"""Files of a run folder."""
_EVERY_ROW = ("epoch", "cost", "fraction_converged")

HistoryRow = dict[str, float]


@dataclass(frozen=True, eq=False)
class TrainingState(Described):
    """All that the next epoch depends on, and the history up to it.

    Attributes
    ----------
    epoch : int
        Number of epochs done.
    parameters : dict of ndarray
        Values of all parameters that are trained, by name.
    memory : dict of ndarray
        Of the optimiser.
    random_state : dict
        Of the generator that shuffles and chooses samples.
    warm : ndarray, shape (..., nsamples), or None
        The last free states, from which the next epoch starts; nan for samples without one. In
        memory or in a file (`nepfield.learning.warm`).
    history : list of dict
        One row an epoch.
    origin : dict of dict of str
        Digests of what the training is made from (`nepfield.learning.origin`); empty in
        checkpoints of version 0.1.
    best : dict of ndarray
        Values after the epoch that is best on the validation samples, where these are to be kept.
    """

    epoch: int
    parameters: Values
    memory: Values
    random_state: Mapping[str, Any]
    warm: np.ndarray | None
    history: list[HistoryRow] = field(default_factory=list)
    origin: Origin = field(default_factory=dict)
    best: Values = field(default_factory=dict)

    @property
    def kept(self) -> Values:
        """The values that the training gives back: the best ones where they are kept."""
        return self.best or self.parameters

    def save(self, path: str | Path) -> None:
        """Write the checkpoint, an .npz file, atomically, and append what the history lacks."""
        path = Path(path)
        History(history_of(path)).complete(self.history)
        arrays = {f"parameter/{name}": value for name, value in self.parameters.items()}
        arrays |= {f"memory/{name}": value for name, value in self.memory.items()}
        arrays |= {f"best/{name}": value for name, value in self.best.items()}
        if self.warm is not None:
            beside = file_of(self.warm)
            if isinstance(self.warm, np.memmap) and self.warm.flags.writeable:
                self.warm.flush()
            arrays["warm"] = self.warm if beside is None else np.array(beside.name)
        arrays["epoch"] = np.array(self.epoch)
        arrays["random_state"] = np.array(json.dumps(self.random_state))
        if self.origin:
            arrays["origin"] = np.array(json.dumps(self.origin))
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @staticmethod
    def load(path: str | Path) -> TrainingState:
        """Read what `save` has written; also a checkpoint of version 0.1, which holds its history.

        Raises
        ------
        InputError
            If the file is not a checkpoint.
        """
        path = Path(path)
        try:
            arrays = load_arrays(path)
            state = TrainingState(
                epoch=int(arrays["epoch"]),
                parameters=_group(arrays, "parameter/"),
                memory=_group(arrays, "memory/"),
                random_state=json.loads(str(arrays["random_state"])),
                warm=_warm(arrays, path),
                history=_old_history(arrays),
                origin=_origin(arrays),
                best=_group(arrays, "best/"),
            )
            _check(state)
        except Exception as error:
            told = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{path}: this is no checkpoint of nepfield ({told}).") from None
        if "history" in arrays:
            return state
        return replace(state, history=History(history_of(path)).rows(state.epoch))

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"TrainingState after epoch {self.epoch}", {
            **self.parameters,
            "memory": listed(self.memory) or None,
        }


def _check(state: TrainingState) -> None:
    """ValueError if something in a checkpoint cannot be what was saved."""
    if state.epoch < 0:
        raise ValueError(f"epoch {state.epoch}")
    best = {f"best {k}": v for k, v in state.best.items()}
    numbers = {**state.parameters, **best, **{f"memory {k}": v for k, v in state.memory.items()}}
    for name, values in numbers.items():
        if values.dtype.kind not in "fciu" or not np.isfinite(values).all():
            raise ValueError(f"{name} holds what are no finite numbers")
    if state.warm is not None and (state.warm.dtype.kind not in "fc" or state.warm.ndim < 1):
        raise ValueError("warm holds no states")
    np.random.default_rng(0).bit_generator.state = state.random_state


def _warm(arrays: Mapping[str, np.ndarray], path: Path) -> np.ndarray | None:
    """The last free states, or those in the file beside the checkpoint that it names."""
    warm = arrays.get("warm")
    if warm is None or warm.dtype.kind != "U":
        return warm
    beside = {file.name: file for file in files_of(path)}
    return opened(beside[str(warm)])


def _old_history(arrays: Mapping[str, np.ndarray]) -> list[HistoryRow]:
    """The history that a checkpoint of version 0.1 holds; ValueError if it is none."""
    history: list[HistoryRow] = json.loads(str(arrays.get("history", "[]")))
    for row in history:
        if not all(isinstance(value, int | float) for value in row.values()):
            raise ValueError("its history holds no numbers alone")
    return history


def saved_origin(checkpoint: Path) -> Origin | None:
    """What a checkpoint says it was made from, and nothing else of it; None if there is none.

    A file that cannot be read says nothing.
    """
    try:
        with open_regular(checkpoint) as file, np.load(file, allow_pickle=False) as data:
            return _origin(data)
    except Exception:  # it will be told by whoever needs more of it
        return None


def _origin(arrays: Mapping[str, np.ndarray]) -> Origin:
    if "origin" not in arrays:
        return {}
    origin = json.loads(str(arrays["origin"]))
    return {group: {k: str(v) for k, v in parts.items()} for group, parts in origin.items()}


def history_of(checkpoint: Path) -> Path:
    """Where the history of a checkpoint lies: history.csv beside checkpoint.npz, else NAME.csv."""
    if checkpoint.name == CHECKPOINT:
        return checkpoint.with_name(HISTORY)
    return checkpoint.with_suffix(".csv")


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> Values:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


class History:
    """The table of a training, a line an epoch; values that are not given stay empty.

    Parameters
    ----------
    path : Path
        A .csv file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, epoch: int | None = None) -> list[HistoryRow]:
        """The rows in the file, up to an epoch; lines that are not whole are left out.

        Raises
        ------
        InputError
            If it is no such table.
        """
        if not self.path.exists():
            return []
        try:
            text = read_text(self.path, LARGEST)
            lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
            rows = [
                {name: _number(name, word) for name, word in zip(lines[0], line, strict=True)}
                for line in lines[1:]
                if len(line) == len(lines[0])
            ]
            for name in _EVERY_ROW:
                if rows and name not in rows[0]:
                    raise KeyError(name)
            return [row for row in rows if epoch is None or row["epoch"] <= epoch]
        except (OSError, ValueError, KeyError, csv.Error) as error:
            told = f"it has no column {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{self.path}: this is no history of a training ({told}).") from None

    def complete(self, history: list[HistoryRow]) -> None:
        """Make the file hold this history: by appending where it holds the rows before."""
        if not history:
            return
        names, last = _tail(self.path)
        missing = history[-1]["epoch"] - last
        known = set(history[-1]) <= set(names) and missing in (0, 1)
        if known and not self.path.is_symlink():
            if missing:
                flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW  # a link may lead out
                with open(os.open(self.path, flags), "a", encoding="utf-8", newline="") as file:
                    file.write(_lines(names, history[-1:]))
        else:
            self._write(history)

    def cut(self, history: list[HistoryRow]) -> None:
        """Drop what the file holds beyond this history."""
        if not self.path.exists() or read_bytes(self.path) != _table(history).encode():
            self._write(history)

    def _write(self, history: list[HistoryRow]) -> None:
        if not history:
            self.path.unlink(missing_ok=True)
            return
        with replacing(self.path) as part:
            part.write_text(_table(history), encoding="utf-8")


def _tail(path: Path) -> tuple[list[str], int]:
    """Columns of a table and the epoch of its last line; none and -1 where it is not whole."""
    if not path.exists():
        return [], -1
    with open_regular(path) as file:
        names = file.readline().decode("utf-8").rstrip("\n").split(",")
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65536))
        end = file.read()
    last = end.rstrip(b"\n").rpartition(b"\n")[2].split(b",")[0]
    whole = end.endswith(b"\n") and last.isdigit() and names[0] == "epoch"
    return (names, int(last)) if whole else ([], -1)


def _table(history: list[HistoryRow]) -> str:
    names = list(dict.fromkeys(name for row in history for name in row))
    return ",".join(names) + "\n" + _lines(names, history)


def _lines(names: list[str], rows: list[HistoryRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([_word(name, row.get(name, np.nan)) for name in names])
    return text.getvalue()


def _word(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return "" if value != value else repr(float(value))  # a metric may be a NumPy number


def _number(name: str, word: str) -> float:
    if name == "epoch":
        return int(word)
    return float(word) if word else np.nan
