"""A sweep file (TOML) becomes the list of its cases.

    study = "study.toml"
    seeds = [0, 1, 2]     or { count = 3 }, or { first = 0, count = 3 }
    [set]      values that are the same for every case
    [grid]     every value of one key with every value of the others
    [zip]      the first values of all keys, the second ones, and so on
    [[list]]   cases one by one; or, with a [list.grid] or [list.zip] of its own, a family of them;
               label = "..." names them in the results
    [design]   points in a box: kind, cases, seed, and [design.ranges]
    [success]  what a training must reach, such as cost = 0.01 (success.py); as in the study

All that is given is multiplied: a grid of 3 with a zip of 2 and 5 seeds makes 30 cases. The entries
of [[list]] follow one another; what one of them leaves out is there as in the study. Paths count
from the sweep file's folder.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nepfield.errors import InputError
from nepfield.study.sweeps.axes import LABEL, Values, as_table, axes_of, is_whole, merged
from nepfield.study.systems.systems import study_class, validate_study
from nepfield.study.text.config import REMOVED, parse_override, put_key, read_toml
from nepfield.study.text.keys import absolute, flat, has_dimension
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.success import Limit, read_success
from nepfield.study.text.units import UnitError, has_known_unit, in_unit_of
from nepfield.study.text.values import is_folder_name

MANY = 100_000
"""More cases than this are refused unless they are asked for."""
MOST = 2_000_000
"""More cases than this are refused in any case: their list would not fit into memory."""

PLACE = "the sweep"
"""Where values come from that a study file does not have, as errors put it."""

_KEYS = ("study", "name", "seeds", "set", "grid", "zip", "list", "design", "success")


@dataclass(frozen=True)
class Case:
    """One run of a sweep.

    Attributes
    ----------
    number : int
        From 0, in the order of the sweep.
    folder : str
        Name of its run folder: the number and a label.
    seed : int
    values : dict
        Swept keys and their values, as the sweep file writes them; without those that the case
        leaves as they are in the study.
    label : str
        That of its entry of [[list]], "" where there is none.
    """

    number: int
    folder: str
    seed: int
    values: Values
    label: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep file that has been read.

    Attributes
    ----------
    path, study : Path
        The sweep file and the study that it varies.
    kind : class
        The study class of its system.
    name : str
    content : dict
        The sweep file's content, with what ``--set`` adds.
    base : dict
        The study file's content.
    fixed : dict
        Keys with the same value in every case.
    keys : tuple of str
        Swept keys.
    cases : tuple of Case
    units : dict of str to str
        For each swept key whose values have units the first of them; results are given in its unit.
    success : tuple of Limit
        What a training must reach; empty where the file does not say.
    """

    path: Path
    study: Path
    kind: type[StudyConfig]
    name: str
    content: dict[str, Any]
    base: dict[str, Any]
    fixed: Values
    keys: tuple[str, ...]
    cases: tuple[Case, ...]
    units: dict[str, str] = field(default_factory=dict)
    success: tuple[Limit, ...] = ()

    def content_of(self, case: Case) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What a file with the study of a case would hold, and which keys of it are the sweep's.

        Raises
        ------
        InputError
            If a key has no place in the study.
        """
        data = copy.deepcopy(self.base)
        values = {**self.fixed, **case.values}
        for key, value in values.items():
            value = REMOVED if value == "" else value
            put_key(data, key, absolute(key, value, self.path.parent, self.kind), PLACE)
        data["seed"] = case.seed
        return data, tuple(values)

    def config(self, case: Case) -> StudyConfig:
        """The study of a case.

        Raises
        ------
        InputError
            If it is no valid study; the message names the case.
        """
        try:
            data, keys = self.content_of(case)
            return validate_study(data, self.study, keys, PLACE)
        except InputError as error:
            raise InputError(f"{self.path}: case {case.number}{_told(case)}: {error}") from None


def load_sweep(path: str | Path, overrides: Sequence[str] = (), *, many: bool = False) -> Sweep:
    """Read a sweep file and list its cases; `Sweep.config` says whether one is a valid study.

    Parameters
    ----------
    path : path
    overrides : sequence of str
        ``"section.key=value"``: more of [set].
    many : bool
        Accept more than `MANY` cases.

    Raises
    ------
    InputError
        If the file cannot be read or does not describe a sweep.
    """
    path = Path(path).resolve()
    content = read_toml(path, "sweep")
    if "study" not in content and "domain" in content:
        raise InputError(
            f"{path}: this is a study file; run it by: nepfield train {path} (a sweep file varies "
            f'it: study = "{path.name}", then [grid] or [zip])'
        )
    for key in content:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1, 0.5)
            raise InputError(
                f"{path}: {key}: unknown key{f', did you mean {near[0]}?' if near else ';'} "
                f"a sweep has {', '.join(_KEYS)} (keys of the study go into [set], [grid], ...)"
            )
    study = content.get("study")
    if not isinstance(study, str) or not study:
        raise InputError(f'{path}: study must name the study to vary, such as "study.toml"')
    study_path = Path(path.parent, study).resolve()
    base = read_toml(study_path)
    if isinstance(base.get("study"), str):
        raise InputError(f"{path}: study = {study!r}: this is a sweep file itself; name a study")
    kind = study_class(base, study_path)
    fixed = flat(as_table(content.get("set", {}), f"{path}: [set]"), kind)
    fixed |= dict(map(parse_override, overrides))
    seeds = _seeds(content.get("seeds", [base.get("seed", 0)]), path)
    axes, count = axes_of(content, path, kind)
    if MANY < count * len(seeds) < 10**18 and not many:
        raise InputError(
            f"{path}: this sweep has {count * len(seeds)} cases, more than {MANY}: if you mean it, "
            "add --yes"
        )
    if count * len(seeds) > MOST:
        raise InputError(
            f"{path}: this sweep has more than {MOST:,} cases; that is the most that there can be"
        )
    points = [merged(point) for point in itertools.product(*(axis() for axis in axes))]
    labels = [point.pop(LABEL, "") for point in points]
    keys = tuple(dict.fromkeys(key for point in points for key in point))
    _check_keys(keys, fixed, path)
    units = _units(keys, points, path, kind)
    fixed.setdefault("figures.enabled", False)  # pictures of every case take longer than a case
    fixed.setdefault("figures.frames", 0)
    width = len(str(len(points) * len(seeds) - 1))
    telling = _telling(points, labels)
    cases = []
    for number, ((point, label), seed) in enumerate(
        itertools.product(zip(points, labels, strict=True), seeds)
    ):
        told = _folder_name(point, label, telling[label], seed if len(seeds) > 1 else None)
        cases.append(Case(number, f"{number:0{width}d}{told}", seed, point, label))
    name = content.get("name", f"{fixed.get('name', base.get('name', 'study'))}-sweep")
    if not isinstance(name, str) or not is_folder_name(name):
        raise InputError(f"{path}: name must be usable as the name of a folder, has {name!r}")
    success: tuple[Limit, ...] = ()
    if base.get("success"):
        content.setdefault("success", base["success"])
    if "success" in content:
        success = read_success(content["success"], f"{path}: [success]")
    content = {"seeds": seeds, **content, "study": str(study_path), "set": fixed}
    return Sweep(
        path, study_path, kind, name, content, base, fixed, keys, tuple(cases), units, success
    )


def _check_keys(keys: Sequence[str], fixed: Values, path: Path) -> None:
    for key in keys:
        if key.endswith(" "):
            raise InputError(f"{path}: {key.strip()} is swept in two ways: leave one out")
        if key in fixed:
            raise InputError(f"{path}: {key} is swept and in [set] (or --set): leave one out")
    for key in (*keys, *fixed):
        if key == "seed":
            raise InputError(f"{path}: seed is no key to sweep: give seeds = [0, 1, 2]")
        if key == "physics.system":
            raise InputError(f"{path}: {key} is no key to sweep: each system has keys of its own")


def _units(
    keys: Sequence[str], points: Sequence[Values], path: Path, study: type[StudyConfig]
) -> dict[str, str]:
    """For each key with quantities such as "0.1 meV" the first one."""
    units: dict[str, str] = {}
    for key in keys:
        values = [point[key] for point in points if key in point]
        if has_dimension(key, study) and any(map(has_known_unit, values)):
            try:
                for value in values:
                    in_unit_of(str(value), str(values[0]))
            except UnitError as error:
                raise InputError(
                    f"{path}: {key}: {error}; write all values of a key with units of one kind"
                ) from None
            units[key] = values[0]
    return units


def _seeds(seeds: Any, path: Path) -> Sequence[int]:
    where = f"{path}: seeds = {seeds!r}"
    if isinstance(seeds, dict):
        first, count = seeds.get("first", 0), seeds.get("count")
        if (
            not seeds.keys() <= {"first", "count"}
            or not is_whole(first, 0)
            or not is_whole(count, 1)
        ):
            raise InputError(f"{where}: must be {{ count = 100 }} or {{ first = 0, count = 100 }}")
        return range(first, first + count)
    if not isinstance(seeds, list) or not seeds or not all(is_whole(s, 0) for s in seeds):
        raise InputError(f"{where}: must be a list such as [0, 1, 2], or {{ count = 3 }}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: each seed once")
    return seeds


def _telling(points: Sequence[Values], labels: Sequence[str]) -> dict[str, set[str] | None]:
    """For each label the keys that tell its cases apart; None where there is no label."""
    seen: dict[str, dict[str, Any]] = {}
    telling: dict[str, set[str] | None] = {}
    for point, label in zip(points, labels, strict=True):
        first = seen.setdefault(label, point)
        found = telling.setdefault(label, set() if label else None)
        if found is not None:
            found |= {key for key in point if point[key] != first.get(key)}
    return telling


def _folder_name(point: Values, label: str, telling: set[str] | None, seed: int | None) -> str:
    """What tells a case from the others, short and fit for the name of a folder."""
    parts = [label] if label else []
    parts += [
        f"{key.rpartition('.')[2]}-{_short(value)}"
        for key, value in point.items()
        if telling is None or key in telling
    ]
    told = "".join(f"-{re.sub(r'[^A-Za-z0-9.+-]+', '_', part)}" for part in parts)[:60]
    return told if seed is None else f"{told}-seed-{seed}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if has_known_unit(value):
        return str(value)
    if isinstance(value, str):
        return Path(value).stem
    return "_".join(map(_short, value)) if isinstance(value, list) else str(value)


def _told(case: Case) -> str:
    parts = [f"{LABEL} = {case.label!r}"] if case.label else []
    parts += [f"{key} = {value!r}" for key, value in case.values.items()]
    return f" ({', '.join(parts)})" if parts else ""
