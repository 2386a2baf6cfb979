"""When a training counts as a success: ``[success]`` of a study, or of a sweep file.

    [success]
    cost = 0.01                          # at most
    test_accuracy = 0.9                  # at least
    loss_ratio = { below = 0.05 }        # any figure of summary.json; or { above = x }

All limits must be met, the limit itself included, by the figures in summary.json, after the last
epoch. A number alone is a most for a name that ends in cost, error, distance or residual, and a
least for one that ends in accuracy, cosine or converged.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.study.text.written import Written, finite_number, wrong

_LOW = ("cost", "error", "distance", "residual")  # last words of figures that are better low
_HIGH = ("accuracy", "cosine", "converged")
_ALWAYS = ("fraction_converged", "largest_residual")


@dataclass(frozen=True)
class Limit:
    """A figure that must not be above, or not below, a value.

    Attributes
    ----------
    name : str
        As summary.json and history.csv have it.
    value : float
    below : bool
        Whether the figure must be at most the value; else at least.
    plain : bool
        Whether it was given as a number alone.
    """

    name: str
    value: float
    below: bool
    plain: bool = False

    def met(self, figure: Any) -> bool:
        """Whether a figure is within the limit; what is no number never is."""
        if isinstance(figure, bool) or not isinstance(figure, int | float):
            return False
        return figure <= self.value if self.below else figure >= self.value  # a nan is neither


def _checked(value: Any) -> dict[str, Any]:
    if value == {}:
        return {}
    try:
        read_success(value, "")
    except InputError as error:
        raise wrong(str(error).removeprefix(": ")) from None
    return {
        name: dict(given) if isinstance(given, Mapping) else given for name, given in value.items()
    }


Limits = Annotated[
    dict[str, Any],
    Written(_checked, right="lines such as cost = 0.01 or loss_ratio = { below = 0.05 }"),
]
"""The section as it stands in a file, checked."""


@dataclass(frozen=True)
class Outcome:
    """What became of one training.

    Attributes
    ----------
    success : bool or None
        Whether all limits are met after the last epoch; None if the run has no such figure.
    epochs : int or None
        After how many epochs they were met first, 0 being the start.
    ever : bool or None
        Whether they were met at any time.
    """

    success: bool | None = None
    epochs: int | None = None
    ever: bool | None = None


def read_success(table: Any, where: str) -> tuple[Limit, ...]:
    """The limits of a section [success].

    Parameters
    ----------
    table : dict
        Names of figures, and a number or ``{"below": x}``, ``{"above": x}`` for each.
    where : str
        Begins the message of an error.

    Raises
    ------
    InputError
        If it is no such table.
    """
    if not isinstance(table, Mapping) or not table:
        raise InputError(f"{where}: must be a section with lines such as cost = 0.01")
    limits: list[Limit] = []
    for name, given in table.items():
        if isinstance(given, Mapping):
            if not given or not given.keys() <= {"below", "above"}:
                raise InputError(
                    f"{where}: {name} = {_shown(given)}: must be {{ below = x }} or {{ above = x }}"
                )
            sides = [(side == "below", value, False) for side, value in given.items()]
        else:
            sides = [(_low_is_good(name, given, where), given, True)]
        for below, value, plain in sides:
            number = finite_number(value)
            if number is None:
                raise InputError(
                    f"{where}: {name} = {_shown(given)}: must be a finite number, or "
                    "{ below = x } or { above = x } with one"
                )
            limits.append(Limit(name, number, below, plain))
    return tuple(limits)


def learnt(limits: Iterable[Limit], summary: Mapping[str, Any]) -> bool:
    """Whether the figures of a summary meet all limits."""
    return all(limit.met(summary.get(limit.name)) for limit in limits)


def _low_is_good(name: str, given: Any, where: str) -> bool:
    word = name.rpartition("_")[2]
    if word not in (*_LOW, *_HIGH):
        raise InputError(
            f"{where}: {name} = {_shown(given)}: say which side is good: {{ below = "
            f"{_shown(given)} }} or {{ above = {_shown(given)} }} (a number alone is a most for "
            f"{', '.join(_LOW)}, and a least for {', '.join(_HIGH)})"
        )
    return word in _LOW


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_shown(part)}' for key, part in value.items())} }}"
    return repr(value)


def check_names(
    limits: Iterable[Limit],
    metrics: Iterable[str],
    sets: Iterable[str],
    compared: bool,
    where: str,
) -> None:
    """Refuse a number alone for a figure that no run of a study will have.

    A system has figures of its own, which are not known before a run; ``below`` and ``above`` are
    taken as they stand.

    Parameters
    ----------
    limits : iterable of Limit
    metrics : iterable of str
        Those of the study's cost.
    sets : iterable of str
        "test" and "validation", as far as the task has such samples.
    compared : bool
        Whether the gradient is compared with the exact one.
    where : str
        Begins the message of an error.

    Raises
    ------
    InputError
        With the names that are known.
    """
    figures = ["cost", *metrics]
    known = [*figures, *(f"{name}_{figure}" for name in sets for figure in figures), *_ALWAYS]
    known += ["gradient_cosine"] if compared else []
    for limit in limits:
        if limit.plain and limit.name.removeprefix("best_") not in known:
            near = difflib.get_close_matches(limit.name, known, 1, 0.7)
            hint = f", did you mean {near[0]}?" if near else ";"
            raise InputError(
                f"{where}: {limit.name}: the study has no such figure{hint} it has "
                f"{', '.join(known)}; for another one of summary.json write {{ below = x }} or "
                "{ above = x }"
            )


def outcome_of(limits: Sequence[Limit], summary: Mapping[str, Any], history: Path) -> Outcome:
    """Judge one training that is finished.

    An epoch meets a limit where its row of history.csv has the figure; where the history does not
    have it at all, only the end of the training can.

    Parameters
    ----------
    limits : sequence of Limit
    summary : dict
        Content of summary.json.
    history : Path
        history.csv; its rows tell the state before the (last) step of their epoch.
    """
    if any(limit.name not in summary for limit in limits):
        return Outcome()
    success = learnt(limits, summary)
    first, told = _first_row(limits, history)
    if first is None and success and told:
        first = summary.get("epochs")
    return Outcome(success, first, success or first is not None)


def _first_row(limits: Sequence[Limit], history: Path) -> tuple[int | None, bool]:
    """Epochs before the first row that meets all limits; and whether rows have the figures."""
    try:
        file = io.StringIO(read_text(history, LARGEST), newline="")
    except (OSError, UnicodeDecodeError):
        return None, False
    with file:
        rows = csv.reader(file)
        names = next(rows, [])
        if not {"epoch", *(limit.name for limit in limits)} <= set(names):
            return None, False
        epoch = names.index("epoch")
        columns = [(limit, names.index(limit.name)) for limit in limits]
        for row in rows:
            if all(limit.met(_number(row, column)) for limit, column in columns):
                return int(row[epoch]) - 1, True
    return None, True


def _number(row: Sequence[str], column: int) -> float:
    try:
        return float(row[column])
    except (IndexError, ValueError):
        return math.nan
