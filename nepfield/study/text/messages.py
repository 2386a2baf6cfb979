"""What is wrong with a study file, in the words of a study file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nepfield.study.text.kinds import Exclusive, keys_of
from nepfield.study.text.study import StudyConfig, sections_in

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
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def line_of(
    error: ErrorDetails, study: type[StudyConfig], set_keys: Sequence[str], origin: str
) -> str:
    """One mistake: the key and its value, what is wrong, what would be right.

    Parameters
    ----------
    error : dict
        As pydantic gives it.
    study : class
        The study class of the system.
    set_keys : sequence of str
        Keys of values that came from elsewhere than the file.
    origin : str
        Where those came from.
    """
    kind, context = error["type"], error.get("ctx", {})
    loc = _without_kinds(error["loc"], study)
    key = ".".join(str(part) for part in loc)
    sections, field = find_key(loc, study)
    what = f"{key} = {shown_value(error['input'])}"
    if kind == "extra_forbidden":
        what, text = key, _unknown(str(loc[-1]), loc[:-1], study)
    elif kind == "value_error":  # a check between the keys of one section
        what, text = key, str(context["error"]) + _how_to_choose(context["error"], key, set_keys)
    elif kind in ("model_type", "model_attributes_type"):
        text = f"must be a section {_header(loc)} with keys of its own"
    elif kind == "tuple_type" and sections:
        what, text = key, f"must be a list of sections: write [[{key}]] above each"
    elif kind == "form":
        text = context["message"]
    else:
        what = key if kind == "missing" else what
        known = _SAYS.get(kind)
        text = (known.format(**context) if known else error["msg"]).replace("'", '"')
        text += f" ({field.description})" if field is not None else ""
    by_hand = any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in set_keys)
    return f"{what}{': ' if what else ''}{text}{f' (from {origin})' if by_hand else ''}"


def _how_to_choose(error: Exception, key: str, set_keys: Sequence[str]) -> str:
    """Which key to take away where one of several that exclude each other came by ``--set``."""
    if not isinstance(error, Exclusive):
        return ""
    names = [f"{key}.{name}" for name in error.given]
    chosen = [name for name in names if any(f"{k}.".startswith(f"{name}.") for k in set_keys)]
    rest = [name for name in names if name not in chosen]
    if not chosen or not rest:
        return ""
    return f"; to choose {' and '.join(chosen)} add {' '.join(f'--set {name}=' for name in rest)}"


def find_key(
    loc: Sequence[int | str], study: type[StudyConfig]
) -> tuple[tuple[type[BaseModel], ...], FieldInfo | None]:
    """The section classes and the field that a location names, as far as they exist.

    There are several classes where a section may be of several kinds.
    """
    sections: tuple[type[BaseModel], ...] = (study,)
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, str) and sections:
            found = [s.model_fields[part] for s in sections if part in s.model_fields]
            if not found:
                return (), None
            field = found[0]
            sections = sections_in(field.annotation)
    return sections, field


def _without_kinds(loc: Sequence[int | str], study: type[StudyConfig]) -> list[int | str]:
    """A location without what pydantic puts there to tell which kind of a section it took."""
    plain: list[int | str] = []
    chosen = True
    for part in loc:
        if not chosen and isinstance(part, str):
            chosen = True
            continue
        plain.append(part)
        if isinstance(part, str):
            chosen = len(find_key(plain, study)[0]) < 2
    return plain


def _header(loc: Sequence[int | str]) -> str:
    names = ".".join(part for part in loc if isinstance(part, str))
    return f"[[{names}]]" if any(isinstance(part, int) for part in loc) else f"[{names}]"


def _unknown(name: str, place: Sequence[int | str], study: type[StudyConfig]) -> str:
    known = _keys(find_key(place, study)[0] or (study,))
    homes = [
        f"[{header}]"
        for header, info in study.model_fields.items()
        if name in _keys(sections_in(info.annotation))
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


def _keys(sections: Sequence[type[BaseModel]]) -> list[str]:
    """The keys of a section, of all its kinds where there are several."""
    return list(dict.fromkeys(key for section in sections for key in keys_of(section)))


def shown_value(value: Any) -> str:
    """A value of a study in a message."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
