"""The factors whose product makes the cases of a sweep: grids, zips, lists and designs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nepfield.errors import InputError
from nepfield.study.sweeps.points import design_points
from nepfield.study.text.keys import flat, holds_whole
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.units import UnitError, in_unit_of, is_quantity, unit_text
from nepfield.study.text.written import LARGEST_INTEGER, finite_number

Values = dict[str, Any]
LABEL = "label"
"""Key of an entry of [[list]] that names its cases, beside keys of the study."""
PRODUCTS = ("grid", "zip")
"""What an entry of [[list]] may have besides keys of the study and a label."""

_DESIGNS = ("sobol", "latin-hypercube", "random")


def axes_of(
    content: Mapping[str, Any], path: Path, study: type[StudyConfig]
) -> tuple[list[Callable[[], list[Values]]], int]:
    """For each factor of the product a function that lists its points; and the size of all.

    Raises
    ------
    InputError
        If [grid], [zip], [[list]] or [design] cannot be used.
    """
    axes, count = _product(content, f"{path}: ", study)
    entries = content.get("list", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: list must be tables, one a case: write [[list]] above each")
    if entries:
        _check_labels(entries, path)
        blocks = [
            _block(entry, f"{path}: [[list]] {k}: ", study) for k, entry in enumerate(entries)
        ]
        axes.append(lambda: [point for _, points in blocks for point in points()])
        count *= sum(size for size, _ in blocks)
    if "design" in content:
        size, points_of = _design(as_table(content["design"], f"{path}: [design]"), path, study)
        axes.append(points_of)
        count *= size
    return axes, count


def _block(
    entry: Mapping[str, Any], where: str, study: type[StudyConfig]
) -> tuple[int, Callable[[], list[Values]]]:
    """How many cases an entry of [[list]] has, and a function that lists them."""
    axes, count = _product(entry, where, study)
    same = flat({key: value for key, value in entry.items() if key not in PRODUCTS}, study)
    if not same and not axes:
        raise InputError(f'{where}there is nothing in it: write lines "section.key" = ...')
    return count, lambda: [
        merged((*point, same)) for point in itertools.product(*(axis() for axis in axes))
    ]


def _product(
    table: Mapping[str, Any], where: str, study: type[StudyConfig]
) -> tuple[list[Callable[[], list[Values]]], int]:
    """The factors that [grid] and [zip] give, and the size of their product."""
    axes: list[Callable[[], list[Values]]] = []
    count = 1
    for name in PRODUCTS:
        if LABEL in as_table(table.get(name, {}), f"{where}[{name}]"):
            raise InputError(f"{where}{name}.label: a label names an entry of [[list]]")
    for key, values in flat(as_table(table.get("grid", {}), f"{where}[grid]"), study).items():
        _check_list(values, f"{where}grid.{key}")
        seen = set()
        for value in values:
            if (kept := _hashable(value)) in seen:
                raise InputError(f"{where}grid.{key}: {value!r} stands twice")
            seen.add(kept)
        axes.append(partial(_line, key, values))
        count *= len(values)
    pairs = flat(as_table(table.get("zip", {}), f"{where}[zip]"), study)
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


def _check_labels(entries: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Each entry has a label of its own, or none has one."""
    labels = [entry.get(LABEL) for entry in entries]
    if set(labels) == {None}:
        return
    for k, label in enumerate(labels):
        if not isinstance(label, str) or not label.strip():
            told = "has none, others have one" if label is None else f"= {label!r} is no text"
            raise InputError(f"{path}: [[list]] {k}: label {told}: give each entry a name")
        if label in labels[:k]:
            raise InputError(f"{path}: [[list]] {k}: label {label!r} stands twice")


def _line(key: str, values: Sequence[Any]) -> list[Values]:
    return [{key: value} for value in values]


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _hashable(part)) for key, part in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _design(
    table: Mapping[str, Any], path: Path, study: type[StudyConfig]
) -> tuple[int, Callable[[], list[Values]]]:
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
    if not is_whole(cases, 1):
        raise InputError(f"{where}.cases = {cases!r}: must be a whole number from 1")
    if not is_whole(seed, 0):
        raise InputError(f"{where}.seed = {seed!r}: must be a whole number from 0")
    ranges = flat(as_table(table.get("ranges", {}), f"{path}: [design.ranges]"), study)
    if not ranges:
        raise InputError(f'{path}: [design.ranges] is missing: "section.key" = [low, high]')
    given = {key: list(limits) for key, limits in ranges.items() if _are_quantities(limits)}
    for key, limits in ranges.items():
        if key in given:
            try:
                ranges[key] = limits = [in_unit_of(limit, given[key][0]) for limit in given[key]]
            except UnitError as error:
                raise InputError(f"{where}.ranges.{key}: {error}") from None
        good = (
            isinstance(limits, list) and len(limits) == 2 and None not in map(finite_number, limits)
        )
        if not good or not limits[0] < limits[1]:
            raise InputError(
                f"{where}.ranges.{key} = {limits!r}: must be [low, high] with low < high"
            )
        if holds_whole(key, study) and math.ceil(limits[0]) > math.floor(limits[1]):
            raise InputError(
                f"{where}.ranges.{key} = {limits!r}: {key} takes whole numbers, and none lies there"
            )

    whole = [key for key in ranges if holds_whole(key, study)]

    def points() -> list[Values]:
        drawn = design_points(kind, cases, seed, ranges, whole)
        units = {key: unit_text(limits[0]) for key, limits in given.items()}
        return [
            {key: f"{v!r} {units[key]}" if key in units else v for key, v in point.items()}
            for point in drawn
        ]

    return cases, points


def _are_quantities(limits: Any) -> bool:
    return isinstance(limits, list) and len(limits) == 2 and all(map(is_quantity, limits))


def merged(parts: Sequence[Values]) -> Values:
    """All parts of a point together; a key in two of them gets a mark that `_check_keys` finds."""
    merged: Values = {}
    for part in parts:
        for key, value in part.items():
            merged[key if key not in merged else f"{key} "] = value
    return merged


def is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= LARGEST_INTEGER


def _check_list(values: Any, where: str) -> None:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where} = {values!r}: must be a list of values, at least one")


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f'{where}: must be a section with lines "section.key" = ...')
    return value
