"""A study file (TOML) becomes a `StudyConfig`, and the other way round.

What it does not know is refused, with one line per mistake that says where it is and what would be
right. `nepfield.study.systems.systems` says which class a study has, and offers `load_study`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ValidationError

from nepfield.errors import InputError
from nepfield.reading import read_text
from nepfield.study.text.kinds import keys_of
from nepfield.study.text.messages import line_of, shown_value
from nepfield.study.text.quantities import AWAIT_UNITS, Border
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.units import UnitError

_DEEPEST = 30
Kind = TypeVar("Kind", bound=StudyConfig)


def checked_study(
    kind: type[Kind],
    data: Mapping[str, Any],
    path: Path,
    set_keys: Sequence[str] = (),
    origin: str = "--set",
    began: bool = False,
) -> Kind:
    """Check what was read from a study file.

    Parameters
    ----------
    kind : class
        The study class of its system.
    data : dict
        The content of the file, and values that replace some of it.
    path : Path
        The file; paths count from its folder.
    set_keys : sequence of str
        Keys of the values that were replaced.
    origin : str
        Where those come from, for messages.
    began : bool
        Whether the study is that of a run which keeps what it began with (start.npz).

    Raises
    ------
    InputError
        One line per mistake.
    """
    border = Border.of(data)
    folder = path.parent.resolve()
    try:
        config = kind.model_validate(
            data, context={"folder": folder, "units": border, "began": began, "study": kind}
        )
        if config.units is None:
            return config
        config.check_quantities(data)
        return config.model_copy(update={"units": border.settled(config.units)})
    except ValidationError as error:
        mistakes = [e for e in error.errors(include_url=False) if e["type"] != AWAIT_UNITS]
        lines = (line_of(e, kind, set_keys, origin) for e in mistakes)
        message = "\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))
    except UnitError as error:
        message = f"{path}: {error}"
    raise InputError(message)  # outside of except: no pydantic traceback comes along


def study_to_toml(config: StudyConfig, folder: str | Path) -> str:
    """Write a study as TOML, every default spelled out.

    Parameters
    ----------
    config : StudyConfig
        The study.
    folder : str or Path
        Where the text will be kept: paths in it are made relative to this folder, or stay absolute
        where that cannot be done.

    Returns
    -------
    str
        Text that `load_study` reads back to an equal study once it lies in `folder`.
    """
    data = _plain(config, Path(folder).resolve())
    of_all = StudyConfig.model_fields
    own = [key for key in data if key not in of_all]
    first = list(of_all).index("physics") + 1
    order = [*list(of_all)[:first], *own, *list(of_all)[first:]]
    return on_one_line(tomli_w.dumps({key: data[key] for key in order if key in data}))


def read_toml(path: Path, what: str = "study") -> dict[str, Any]:
    """The content of a TOML file; InputError if it cannot be read."""
    try:
        content = tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file; give the path of a {what} (TOML)"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a {what} (TOML)"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not text in UTF-8 (byte {error.start}); a {what} is a TOML file"
        ) from None
    except (ValueError, RecursionError) as error:  # ValueError: TOML syntax, or an endless integer
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    if _depth(content) > _DEEPEST:
        raise InputError(f"{path}: sections within sections, {_DEEPEST} deep, are no {what}")
    return content


def _depth(value: Any) -> int:
    """How deep tables and lists stand in one another, as far as that matters."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth


class _Removed(str):
    """An empty text that is told from one that a user wrote; it may be kept in a TOML file."""


REMOVED = _Removed()
"""What stands for the value of a key that is taken away."""


def parse_override(override: str) -> tuple[str, Any]:
    """Key and value of a text ``section.key=value``, as ``--set`` takes them.

    The value is read as TOML, and as plain text where it is no TOML; where there is none it is
    `REMOVED`, which takes the key away.

    Raises
    ------
    InputError
        If it has another form.
    """
    key, equals, text = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise InputError(f"--set {override}: must be section.key=value, such as training.epochs=50")
    return key.strip(), _toml_value(text.strip()) if text.strip() else REMOVED


def put_key(data: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Put a value under ``section.key``, or take it away; validation says what is no key."""
    parts = key.split(".")
    place: Any = data
    for depth, part in enumerate(parts):
        if isinstance(place, list):
            if not part.isdecimal() or int(part) >= len(place):
                raise InputError(
                    f"{where}: {'.'.join(parts[:depth])} has {len(place)} entries, counted"
                    f" from 0, and {part!r} is none of them"
                )
        elif not isinstance(place, dict):
            raise InputError(
                f"{where}: {'.'.join(parts[:depth])} is {shown_value(place)}, not a section,"
                f" and has no key {part!r}"
            )
        step: Any = int(part) if isinstance(place, list) else part
        if depth == len(parts) - 1:
            if not isinstance(value, _Removed):
                place[step] = value
            elif isinstance(place, list) or step in place:
                del place[step]
        else:
            place = place[step] if isinstance(place, list) else place.setdefault(step, {})


def _toml_value(text: str) -> Any:
    """`text` as a TOML value, or as it stands."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _plain(value: Any, folder: Path) -> Any:
    """`value` in TOML's types; what is None, or empty by default, is left out."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        pairs = ((key, getattr(value, key), fields[key]) for key in keys_of(type(value)))
        return {
            key: _plain(item, folder)
            for key, item, info in pairs
            if item is not None
            and not (item in ((), {}) and item == info.get_default(call_default_factory=True))
        }
    if isinstance(value, dict):
        return {key: _plain(item, folder) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item, folder) for item in value]
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, Path):
        try:
            return Path(os.path.relpath(value, folder)).as_posix()
        except ValueError:  # another drive
            return str(value)
    return value


def on_one_line(text: str) -> str:
    """Put each array, which tomli_w spreads over a line an entry, on one line."""
    lines: list[str] = []
    depth = 0
    for line in text.removesuffix("\n").split("\n"):  # a name may hold other signs of a new line
        body = line.strip()
        closes = depth > 0 and body in ("]", "],")
        if depth == 0:
            lines.append(line)
        elif closes:
            lines[-1] = lines[-1].removesuffix(", ") + body + (" " if body == "]," else "")
        else:
            lines[-1] += body if body == "[" else f"{body} "
        depth += body.endswith("[") - closes  # a string ends in a quote, a header in "]"
    return "\n".join(lines) + "\n"
