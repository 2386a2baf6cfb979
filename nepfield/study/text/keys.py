"""Keys of a study, "section.key", as a sweep file speaks of them.

What a key holds depends on the system, so all of this asks for the study class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BeforeValidator

from nepfield.study.text.messages import find_key
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.units import is_path

Study = type[StudyConfig]


def flat(table: Mapping[str, Any], study: Study, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    """Tables within tables as "section.key", down to what a study file takes as one value."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        parts = (*prefix, *name.split("."))
        if isinstance(value, dict) and _is_section(parts, study):
            found |= flat(value, study, parts)
        else:
            found[".".join(parts)] = value
    return found


def _is_section(parts: Sequence[str], study: Study) -> bool:
    sections, field = find_key(_location(".".join(parts)), study)
    if sections or field is None:
        return True  # an unknown one is found out when the study is checked
    return get_origin(field.annotation) is dict and len(parts) == 2


def _location(key: str) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in key.split(".")]


def _types(key: str, study: Study) -> Iterator[Any]:
    """The types that a key of a study holds."""
    field = find_key(_location(key), study)[1]
    for annotation in (field.annotation, *get_args(field.annotation)) if field else ():
        yield get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def holds_whole(key: str, study: Study) -> bool:
    """Whether a key of a study holds whole numbers alone."""
    types = list(_types(key, study))
    return int in types and float not in types


def has_dimension(key: str, study: Study) -> bool:
    """Whether values of a key of a study may have a unit."""
    location = _location(key)
    field = find_key(location, study)[1] or find_key(location[:-1], study)[1]  # entry of a table
    return field is not None and any(
        isinstance(mark, BeforeValidator)
        for part in (field.metadata, *map(_metadata, get_args(field.annotation)))
        for mark in part
    )


def _metadata(annotation: Any) -> Sequence[Any]:
    return getattr(annotation, "__metadata__", ())


def absolute(key: str, value: Any, folder: Path, study: Study) -> Any:
    """Paths in a sweep file count from its own folder; quantities stay."""
    return str(Path(folder, value)) if _is_path(key, value, folder, study) else value


def moved_paths(
    values: Any, key: str, folder: Path, move: Callable[[str], str], study: Study
) -> Any:
    """A value, or a list of values, of a key with ``move`` done to each path in it."""
    if isinstance(values, list):
        return [moved_paths(value, key, folder, move, study) for value in values]
    return move(values) if _is_path(key, values, folder, study) else values


def _is_path(key: str, value: Any, folder: Path, study: Study) -> bool:
    if not isinstance(value, str) or not value or Path not in _types(key, study):
        return False
    return not has_dimension(key, study) or is_path(value, folder)
