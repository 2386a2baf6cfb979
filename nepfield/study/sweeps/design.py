"""A sweep file (TOML) becomes the list of its cases.

    study = "study.toml"
    seeds = [0, 1, 2]
    [set]     values that are the same for every case
    [grid]    every value of one key with every value of the others
    [zip]     the first values of all keys, the second ones, and so on
    [[list]]  cases one by one; or, with a [list.grid] or [list.zip] of its own, a family of them
    [design]  points in a box: kind, cases, seed, and [design.ranges]

All that is given is multiplied: a grid of 3 with a zip of 2 and 5 seeds makes 30 cases. The entries
of [[list]] follow one another; what one of them leaves out is there as in the study. Paths count
from the sweep file's folder.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nepfield.errors import InputError
from nepfield.study.sweeps.points import design_points
from nepfield.study.text.config import (
    StudyConfig,
    put_key,
    read_toml,
    toml_value,
    validate_study,
)
from nepfield.study.text.keys import absolute, flat, has_dimension, holds_whole
from nepfield.study.text.units import UnitError, has_known_unit, in_unit_of, is_quantity, unit_text

MANY = 100_000
"""More cases than this are refused unless they are asked for."""

_KEYS = ("study", "name", "seeds", "set", "grid", "zip", "list", "design")
_DESIGNS = ("sobol", "latin-hypercube", "random")
_PLACE = "the sweep"

Values = dict[str, Any]


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
    """

    number: int
    folder: str
    seed: int
    values: Values


@dataclass(frozen=True)
class Sweep:
    """A sweep file that has been read.

    Attributes
    ----------
    path, study : Path
        The sweep file and the study that it varies.
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
    """

    path: Path
    study: Path
    name: str
    content: dict[str, Any]
    base: dict[str, Any]
    fixed: Values
    keys: tuple[str, ...]
    cases: tuple[Case, ...]
    units: dict[str, str] = field(default_factory=dict)

    def config(self, case: Case) -> StudyConfig:
        """The study of a case.

        Raises
        ------
        InputError
            If it is no valid study; the message names the case.
        """
        data = copy.deepcopy(self.base)
        values = {**self.fixed, **case.values}
        try:
            for key, value in values.items():
                put_key(data, key, absolute(key, value, self.path.parent), _PLACE)
            data["seed"] = case.seed
            return validate_study(data, self.study, tuple(values), _PLACE)
        except InputError as error:
            raise InputError(
                f"{self.path}: case {case.number}{_told(case.values)}: {error}"
            ) from None


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
    fixed = flat(_table(content.get("set", {}), f"{path}: [set]"))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.strip().split(".")):
            raise InputError(
                f"--set {override}: must be section.key=value, such as training.epochs=50"
            )
        fixed[key.strip()] = toml_value(text.strip())
    seeds = _seeds(content.get("seeds", [base.get("seed", 0)]), path)
    axes, count = _axes(content, path)
    if count * len(seeds) > MANY and not many:
        raise InputError(
            f"{path}: this sweep has {count * len(seeds)} cases, more than {MANY}: if you mean it, "
            "add --yes"
        )
    points = [_merged(point) for point in itertools.product(*(axis() for axis in axes))]
    keys = tuple(dict.fromkeys(key for point in points for key in point))
    _check_keys(keys, fixed, path)
    units = _units(keys, points, path)
    fixed.setdefault("figures.enabled", False)  # pictures of every case take longer than a case
    fixed.setdefault("figures.frames", 0)
    width = len(str(len(points) * len(seeds) - 1))
    cases = []
    for number, (point, seed) in enumerate(itertools.product(points, seeds)):
        label = _label(point, seed if len(seeds) > 1 else None)
        cases.append(Case(number, f"{number:0{width}d}{label}", seed, point))
    name = content.get("name", f"{fixed.get('name', base.get('name', 'study'))}-sweep")
    if not isinstance(name, str) or not name.strip() or set(name) & set("/\\"):
        raise InputError(f"{path}: name must be usable as the name of a folder, has {name!r}")
    content = {**content, "study": str(study_path), "set": fixed, "seeds": list(seeds)}
    return Sweep(path, study_path, name, content, base, fixed, keys, tuple(cases), units)


def _axes(content: Mapping[str, Any], path: Path) -> tuple[list[Callable[[], list[Values]]], int]:
    """For each factor of the product a function that lists its points; and the size of all."""
    axes, count = _product(content, f"{path}: ")
    entries = content.get("list", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: list must be tables, one a case: write [[list]] above each")
    if entries:
        blocks = [_block(entry, f"{path}: [[list]] {k}: ") for k, entry in enumerate(entries)]
        axes.append(lambda: [point for _, points in blocks for point in points()])
        count *= sum(size for size, _ in blocks)
    if "design" in content:
        size, points_of = _design(_table(content["design"], f"{path}: [design]"), path)
        axes.append(points_of)
        count *= size
    return axes, count


def _block(entry: Mapping[str, Any], where: str) -> tuple[int, Callable[[], list[Values]]]:
    """How many cases an entry of [[list]] has, and a function that lists them."""
    axes, count = _product(entry, where)
    same = flat({key: value for key, value in entry.items() if key not in ("grid", "zip")})
    if not same and not axes:
        raise InputError(f'{where}there is nothing in it: write lines "section.key" = ...')
    return count, lambda: [
        _merged((*point, same)) for point in itertools.product(*(axis() for axis in axes))
    ]


def _product(table: Mapping[str, Any], where: str) -> tuple[list[Callable[[], list[Values]]], int]:
    """The factors that [grid] and [zip] give, and the size of their product."""
    axes: list[Callable[[], list[Values]]] = []
    count = 1
    for key, values in flat(_table(table.get("grid", {}), f"{where}[grid]")).items():
        _check_list(values, f"{where}grid.{key}")
        seen = set()
        for value in values:
            if (kept := _hashable(value)) in seen:
                raise InputError(f"{where}grid.{key}: {value!r} stands twice")
            seen.add(kept)
        axes.append(partial(_line, key, values))
        count *= len(values)
    pairs = flat(_table(table.get("zip", {}), f"{where}[zip]"))
    if pairs:
        for key, values in pairs.items():
            _check_list(values, f"{where}zip.{key}")
        lengths = {key: len(values) for key, values in pairs.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {n}" for key, n in lengths.items())
            raise InputError(f"{where}[zip] needs as many values of each key; {told}")
        rows = zip(*pairs.values(), strict=True)
        points = [dict(zip(pairs, row, strict=True)) for row in rows]
        axes.append(lambda: points)
        count *= len(points)
    return axes, count


def _line(key: str, values: Sequence[Any]) -> list[Values]:
    return [{key: value} for value in values]


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _hashable(part)) for key, part in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _design(table: Mapping[str, Any], path: Path) -> tuple[int, Callable[[], list[Values]]]:
    where = f"{path}: design"
    for key in table:
        if key not in ("kind", "cases", "seed", "ranges"):
            raise InputError(f"{where}.{key}: unknown key; known are kind, cases, seed, ranges")
    kind: str = table.get("kind", "")
    cases: int = table.get("cases", 0)
    seed: int = table.get("seed", 0)
    if kind not in _DESIGNS:
        known = ", ".join(f'"{name}"' for name in _DESIGNS)
        raise InputError(f"{where}.kind = {kind!r}: must be one of {known}")
    if not _is_whole(cases, 1):
        raise InputError(f"{where}.cases = {cases!r}: must be a whole number from 1")
    if not _is_whole(seed, 0):
        raise InputError(f"{where}.seed = {seed!r}: must be a whole number from 0")
    ranges = flat(_table(table.get("ranges", {}), f"{path}: [design.ranges]"))
    if not ranges:
        raise InputError(f'{path}: [design.ranges] is missing: "section.key" = [low, high]')
    given = {key: list(limits) for key, limits in ranges.items() if _are_quantities(limits)}
    for key, limits in ranges.items():
        if key in given:
            try:
                ranges[key] = limits = [in_unit_of(limit, given[key][0]) for limit in given[key]]
            except UnitError as error:
                raise InputError(f"{where}.ranges.{key}: {error}") from None
        good = isinstance(limits, list) and len(limits) == 2 and all(map(_is_number, limits))
        if not good or not limits[0] < limits[1]:
            raise InputError(
                f"{where}.ranges.{key} = {limits!r}: must be [low, high] with low < high"
            )
        if holds_whole(key) and math.ceil(limits[0]) > math.floor(limits[1]):
            raise InputError(
                f"{where}.ranges.{key} = {limits!r}: {key} takes whole numbers, and none lies there"
            )

    def points() -> list[Values]:
        drawn = design_points(kind, cases, seed, ranges)
        units = {key: unit_text(limits[0]) for key, limits in given.items()}
        return [
            {key: f"{v!r} {units[key]}" if key in units else v for key, v in point.items()}
            for point in drawn
        ]

    return cases, points


def _are_quantities(limits: Any) -> bool:
    return isinstance(limits, list) and len(limits) == 2 and all(map(is_quantity, limits))


def _merged(parts: Sequence[Values]) -> Values:
    """All parts of a point together; a key in two of them gets a mark that `_check_keys` finds."""
    merged: Values = {}
    for part in parts:
        for key, value in part.items():
            merged[key if key not in merged else f"{key} "] = value
    return merged


def _check_keys(keys: Sequence[str], fixed: Values, path: Path) -> None:
    for key in keys:
        if key.endswith(" "):
            raise InputError(f"{path}: {key.strip()} is swept in two ways: leave one out")
        if key in fixed:
            raise InputError(f"{path}: {key} is swept and in [set] (or --set): leave one out")
    for key in (*keys, *fixed):
        if key == "seed":
            raise InputError(f"{path}: seed is no key to sweep: give seeds = [0, 1, 2]")


def _units(keys: Sequence[str], points: Sequence[Values], path: Path) -> dict[str, str]:
    """For each key with quantities such as "0.1 meV" the first one."""
    units: dict[str, str] = {}
    for key in keys:
        values = [point[key] for point in points if key in point]
        if has_dimension(key) and any(map(has_known_unit, values)):
            try:
                for value in values:
                    in_unit_of(str(value), str(values[0]))
            except UnitError as error:
                raise InputError(
                    f"{path}: {key}: {error}; write all values of a key with units of one kind"
                ) from None
            units[key] = values[0]
    return units


def _seeds(seeds: Any, path: Path) -> list[int]:
    if not isinstance(seeds, list) or not seeds or not all(_is_whole(s, 0) for s in seeds):
        raise InputError(f"{path}: seeds = {seeds!r}: must be a list such as [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{path}: seeds = {seeds!r}: each seed once")
    return seeds


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_list(values: Any, where: str) -> None:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where} = {values!r}: must be a list of values, at least one")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f'{where}: must be a section with lines "section.key" = ...')
    return value


def _label(point: Values, seed: int | None) -> str:
    """What tells a case from the others, short and fit for the name of a folder."""
    parts = [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in point.items()]
    label = "".join(f"-{re.sub(r'[^A-Za-z0-9.+-]+', '_', part)}" for part in parts)[:60]
    return label if seed is None else f"{label}-seed-{seed}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if has_known_unit(value):
        return str(value)
    if isinstance(value, str):
        return Path(value).stem
    return "_".join(map(_short, value)) if isinstance(value, list) else str(value)


def _told(values: Values) -> str:
    return (
        f" ({', '.join(f'{key} = {value!r}' for key, value in values.items())})" if values else ""
    )
