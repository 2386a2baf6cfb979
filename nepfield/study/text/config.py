"""A study file (TOML) becomes a `StudyConfig`, and the other way round.

`load_study` refuses what it does not know, and says in one line per mistake where it is and what
would be right.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nepfield.errors import InputError
from nepfield.study.text.quantities import AWAIT_UNITS, Border, UnitsConfig
from nepfield.study.text.sections import (
    AbsorberConfig,
    DiscConfig,
    DomainConfig,
    FiguresConfig,
    ImaginaryConfig,
    PhysicsConfig,
    PotentialConfig,
    PumpConfig,
    ReadoutConfig,
    SolverConfig,
    StudyConfig,
    TaskConfig,
    TrainingConfig,
)
from nepfield.study.text.units import UnitError
from nepfield.study.text.values import Normal, Pixels, Uniform

__all__ = [
    "AbsorberConfig",
    "DiscConfig",
    "DomainConfig",
    "FiguresConfig",
    "ImaginaryConfig",
    "Normal",
    "PhysicsConfig",
    "Pixels",
    "PotentialConfig",
    "PumpConfig",
    "ReadoutConfig",
    "SolverConfig",
    "StudyConfig",
    "TaskConfig",
    "TrainingConfig",
    "Uniform",
    "UnitsConfig",
    "load_study",
    "study_to_toml",
]

START = "start.npz"
"""File of a run folder: what the run began with, where that came from another run."""

# pydantic's kinds of error in the words of a study file
_SAYS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a table {{ name = value }}",
    "string_too_short": "must not be empty",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "literal_error": "must be {expected}",
}


def load_study(
    path: str | Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    resumed: Callable[[str], Path] | None = None,
) -> StudyConfig:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
        The study, a TOML file. Paths in it count from its folder.
    overrides : sequence of str
        Values that replace or add to the file's, ``"section.key=value"``. The value is read as
        TOML, and as plain text where it is no TOML; a number in the key picks an entry of a list,
        from 0 (``"pump.0.weight=0.5"``).
    seed : int, optional
        Replaces the study's seed.
    resumed : callable, optional
        Gives for a study's name the run folder that goes on. The runs that a run took its values
        from need not be there any more where its folder keeps them, be it this one or the
        file's own.

    Returns
    -------
    StudyConfig
        Every default filled in, file paths absolute.

    Raises
    ------
    InputError
        The file cannot be read, or something in it cannot be used; one line per mistake.
    """
    path = Path(path)
    data = read_toml(path)
    if isinstance(data.get("study"), str):
        raise InputError(f"{path}: this is a sweep file; run it by: nepfield sweep {path}")
    for override in overrides:
        _apply(data, override)
    if seed is not None:
        data["seed"] = seed
    set_keys = [override.partition("=")[0].strip() for override in overrides]
    runs = [path.parent]
    if resumed is not None and isinstance(data.get("name"), str):
        runs.append(resumed(data["name"]))
    began = any((run / START).is_file() for run in runs)
    return validate_study(data, path, set_keys, began=began)


def validate_study(
    data: Mapping[str, Any],
    path: Path,
    set_keys: Sequence[str] = (),
    origin: str = "--set",
    began: bool = False,
) -> StudyConfig:
    """Check what was read from a study file.

    Parameters
    ----------
    data : dict
        The content of the file, and values that replace some of it.
    path : Path
        The file; paths count from its folder.
    set_keys : sequence of str
        Keys of the values that were replaced.
    origin : str
        Where those come from, for messages.
    began : bool
        Whether the study is that of a run which keeps what it began with (`START`).

    Raises
    ------
    InputError
        One line per mistake.
    """
    border = Border.of(data)
    try:
        config = StudyConfig.model_validate(
            data,
            context={"folder": path.parent.resolve(), "units": border, "began": began},
        )
        return config if config.units is None else _settled(config, data, border)
    except ValidationError as error:
        mistakes = [e for e in error.errors(include_url=False) if e["type"] != AWAIT_UNITS]
        lines = (_line(e, set_keys, origin) for e in mistakes)
        message = "\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))
    except UnitError as error:
        message = f"{path}: {error}"
    raise InputError(message)  # outside of except: no pydantic traceback comes along


def _settled(config: StudyConfig, data: Mapping[str, Any], border: Border) -> StudyConfig:
    """A study with units, when its quantities fit together; UnitError if they do not."""
    rate = data.get("training", {}).get("rate")
    weights = any(pump.trainable for pump in config.pump)
    if isinstance(rate, str) and weights and config.training.weight_rate is None:
        raise UnitError(
            f'training.rate = "{rate}" is a step of V, and training.weight_rate is missing, the'
            ' step of the pump weights, such as "0.1 meV/um"'
        )
    assert config.units is not None
    return config.model_copy(update={"units": border.settled(config.units)})


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
    return on_one_line(tomli_w.dumps(_plain(config, Path(folder).resolve())))


def read_toml(path: Path, what: str = "study") -> dict[str, Any]:
    """The content of a TOML file; InputError if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
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


def _apply(data: dict[str, Any], override: str) -> None:
    """Put one ``section.key=value`` into the data."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise InputError(f"--set {override}: must be section.key=value, such as training.epochs=50")
    put_key(data, key.strip(), toml_value(text.strip()), f"--set {override}")


def put_key(data: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Put a value under ``section.key``; validation says whether there is such a key."""
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
                f"{where}: {'.'.join(parts[:depth])} is {_shown(place)}, not a section,"
                f" and has no key {part!r}"
            )
        step: Any = int(part) if isinstance(place, list) else part
        if depth == len(parts) - 1:
            place[step] = value
        else:
            place = place[step] if isinstance(place, list) else place.setdefault(step, {})


def toml_value(text: str) -> Any:
    """`text` as a TOML value, or as it stands."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _line(error: ErrorDetails, set_keys: Sequence[str], origin: str) -> str:
    """One mistake: the key and its value, what is wrong, what would be right."""
    kind, loc, context = error["type"], error["loc"], error.get("ctx", {})
    key = ".".join(str(part) for part in loc)
    section, field = find_key(loc)
    what = f"{key} = {_shown(error['input'])}"
    if kind == "extra_forbidden":
        what, text = key, _unknown(str(loc[-1]), loc[:-1])
    elif kind == "value_error":  # a check between the keys of one section
        what, text = key, str(context["error"])
    elif kind in ("model_type", "model_attributes_type"):
        text = f"must be a section {_header(loc)} with keys of its own"
    elif kind == "tuple_type" and section is not None:
        what, text = key, f"must be a list of sections: write [[{key}]] above each"
    elif kind == "form":
        text = context["message"]
    else:
        what = key if kind == "missing" else what
        text = _SAYS.get(kind, error["msg"]).format(**context).replace("'", '"')
        text += f" ({field.description})" if field is not None else ""
    by_hand = any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in set_keys)
    return f"{what}{': ' if what else ''}{text}{f' (from {origin})' if by_hand else ''}"


def find_key(loc: Sequence[int | str]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The section class and the field that a location names, as far as they exist."""
    section: type[BaseModel] | None = StudyConfig
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, str) and section is not None and part in section.model_fields:
            field = section.model_fields[part]
            section = _section_in(field.annotation)
        elif isinstance(part, str) and section is not None:
            return None, None
    return section, field


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if annotation in (Uniform, Normal, Pixels) else annotation
    return next((s for s in map(_section_in, get_args(annotation)) if s is not None), None)


def _header(loc: Sequence[int | str]) -> str:
    names = ".".join(part for part in loc if isinstance(part, str))
    return f"[[{names}]]" if any(isinstance(part, int) for part in loc) else f"[{names}]"


def _unknown(name: str, place: Sequence[int | str]) -> str:
    section = find_key(place)[0] or StudyConfig
    known = list(section.model_fields)
    homes = [
        f"[{header}]"
        for header, info in StudyConfig.model_fields.items()
        if (home := _section_in(info.annotation)) and name in home.model_fields
    ]
    text = "unknown key"
    # a key that another section has must be much like one of this section to be a slip of the pen
    nearest = difflib.get_close_matches(name, known, 1, 0.8 if homes else 0.5)
    if nearest:
        text += f', did you mean "{nearest[0]}"?'
    if homes:
        text += f"{' Or' if nearest else ','} it belongs in {' or '.join(homes)};"
    elif not nearest:
        text += ";"
    where = f"in {_header(place)}" if place else "outside of the sections"
    return f"{text} known {where}: {', '.join(known)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any, folder: Path) -> Any:
    """`value` in TOML's types; what is None, or empty by default, is left out."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        pairs = ((key, getattr(value, key), info) for key, info in fields)
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
