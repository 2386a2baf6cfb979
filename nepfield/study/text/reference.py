"""What each key of a study takes, from the sections themselves: in words, and as a JSON schema."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nepfield.errors import InputError
from nepfield.study.text.kinds import Kind, keys_of
from nepfield.study.text.quantities import Quantity
from nepfield.study.text.study import sections_in
from nepfield.study.text.values import Form
from nepfield.study.text.written import Written

StudyClass = type[BaseModel]
"""A class of `nepfield.study.text.study.StudyConfig`, or that itself, which is abstract."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes
    ----------
    name : str
    takes : str
        What may be written, in words.
    default : str
        As it would be written; "" where the key must be there.
    description : str
    """

    name: str
    takes: str
    default: str
    description: str


@dataclass(frozen=True)
class SectionKeys:
    """A section, or one of its kinds.

    Attributes
    ----------
    header : str
        "[physics]", "[[pump]]", "[potential.imaginary]"; "" for what stands outside of sections.
    kind : str
        The key that tells this kind from the others; "" where there is one kind.
    model : class
    description : str
    keys : tuple of Key
    """

    header: str
    kind: str
    model: type[BaseModel]
    description: str
    keys: tuple[Key, ...]


def study_keys(study: StudyClass) -> list[SectionKeys]:
    """All sections of a study, in their order, with the sections in them."""
    own = tuple(
        _key(name, field, study)
        for name, field in study.model_fields.items()
        if not sections_in(field.annotation)
    )
    top = SectionKeys("", "", study, "outside of the sections, at the top of the file", own)
    return [top, *_sections_of(study, (), False, study)]


def _sections_of(
    model: type[BaseModel], path: tuple[str, ...], listed: bool, study: StudyClass
) -> Iterator[SectionKeys]:
    for name, field in model.model_fields.items():
        kinds = sections_in(field.annotation)
        if not kinds:
            continue
        place, many = (*path, name), listed or _is_list(field.annotation)
        header = f"[[{'.'.join(place)}]]" if many else f"[{'.'.join(place)}]"
        for kind in kinds:
            keys = tuple(
                _key(key, kind.model_fields[key], study)
                for key in keys_of(kind)
                if not sections_in(kind.model_fields[key].annotation)
            )
            told = kind.key if issubclass(kind, Kind) and len(kinds) > 1 else ""
            yield SectionKeys(header, told, kind, field.description or "", keys)
            yield from _sections_of(kind, place, many, study)


def _is_list(annotation: Any) -> bool:
    """Whether a field holds several sections, each with a header of its own."""
    if get_origin(annotation) is tuple:
        return True
    return any(
        _is_list(part) for part in get_args(annotation) if get_origin(annotation) is not dict
    )


def chosen_keys(study: StudyClass, section: str) -> list[SectionKeys]:
    """The sections of a name such as "pump" or "potential.imaginary", and those within them.

    Raises
    ------
    InputError
        If there is none.
    """
    every = study_keys(study)
    names = {found.header.strip("[]") for found in every}
    wanted = section.strip("[] ")
    if not wanted or wanted not in names:
        known = ", ".join(sorted(names - {""}))
        raise InputError(f"[{wanted}]: there is no such section of this system; there is {known}.")
    return [
        found
        for found in every
        if found.header.strip("[]") == wanted or found.header.strip("[]").startswith(f"{wanted}.")
    ]


def told(found: SectionKeys) -> str:
    """What the class of a section says of it, on one line; else what its key says."""
    text = inspect.cleandoc(found.model.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split()).rstrip(".") if found.header else found.description


# ---------------------------------------------------------------- one key


def _key(name: str, field: FieldInfo, study: StudyClass) -> Key:
    default = "" if field.is_required() else _default(field, study)
    return Key(name, _takes(field.annotation, field.metadata, study), default, _said(field))


def _said(field: FieldInfo) -> str:
    return (field.description or "").strip()


def _default(field: FieldInfo, study: StudyClass) -> str:
    """A default as it would be written."""
    value = field.get_default(call_default_factory=True)
    for mark in field.metadata:
        if isinstance(mark, Written) and mark.study and value == "":
            value = getattr(study, mark.study)()[0]
    return _written(value)


def _written(value: Any) -> str:
    if value is None or value in ((), {}):
        return "absent"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, BaseModel):
        pairs = ((key, getattr(value, key)) for key in type(value).model_fields)
        return f"{{ {', '.join(f'{key} = {_written(item)}' for key, item in pairs)} }}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _split(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[Any, list[Any]]:
    """A type and its marks, of nested ``Annotated`` too."""
    marks = list(metadata)
    while hasattr(annotation, "__metadata__"):
        marks = [*annotation.__metadata__, *marks]
        annotation = annotation.__origin__
    return annotation, marks


def _parts(annotation: Any) -> list[Any]:
    """The members of a union, without None."""
    union = get_origin(annotation) in (Union, types.UnionType)
    return [p for p in get_args(annotation) if p is not type(None)] if union else [annotation]


def _takes(annotation: Any, metadata: Sequence[Any], study: StudyClass) -> str:
    """What a key takes in words."""
    annotation, marks = _split(annotation, metadata)
    quantity = next((m.words for m in marks if isinstance(m, Quantity)), "")
    words = _plain_words(annotation, marks, study)
    return f"{words}; with [units] also {quantity}" if quantity else words


def _plain_words(annotation: Any, marks: Sequence[Any], study: StudyClass) -> str:
    for mark in marks:
        if isinstance(mark, Written):
            names = getattr(study, mark.study)() if mark.study else ()
            return " or ".join(f'"{name}"' for name in names) or mark.right
    parts = _parts(annotation)
    if len(parts) > 1 or parts[0] is not annotation:
        return " or ".join(dict.fromkeys(_takes(part, (), study) for part in parts))
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(_written(value) for value in inner)
    if origin is tuple:
        what = _takes(inner[0], (), study) if inner else "values"
        nested = what.startswith("a list")
        return "a list of lists of numbers" if nested else f"a list of: {what}"
    if origin is dict:
        return f"a table, to each name {_takes(inner[1], (), study)}"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return f"{'a whole number' if annotation is int else 'a number'}{_limits(marks)}"
    if annotation is str:
        return "text in quotes"
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return f"{{ {', '.join(annotation.model_fields)} = ... }}"
    return getattr(annotation, "__name__", str(annotation))


def _limits(marks: Sequence[Any]) -> str:
    said = {Gt: "above {0:g}", Ge: "from {0:g}", Lt: "below {0:g}"}
    found = [
        text.format(getattr(mark, kind.__name__.lower()))
        for mark in marks
        for kind, text in said.items()
        if isinstance(mark, kind)
    ]
    return f" {', '.join(found)}" if found else ""


# ---------------------------------------------------------------- JSON schema


def section_schema(model: type[BaseModel], study: StudyClass) -> Schema:
    """The JSON schema of a section."""
    properties = {name: field_schema(f, study) for name, f in model.model_fields.items()}
    required = [name for name, f in model.model_fields.items() if f.is_required()]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def field_schema(field: FieldInfo, study: StudyClass) -> Schema:
    """The JSON schema of a key, with its description and default for editors to show."""
    kinds = sections_in(field.annotation)
    if kinds:
        each = [section_schema(kind, study) for kind in kinds]
        one = each[0] if len(each) == 1 else {"anyOf": each}
        schema = {"type": "array", "items": one} if _is_list(field.annotation) else one
        return {**schema, "description": _said(field)}
    annotation, marks = _split(field.annotation, field.metadata)
    takes = _takes(annotation, marks, study)
    schema = _type_schema(annotation, marks, study)
    default = _default(field, study) if not field.is_required() else ""
    text = f"{_said(field)}\n{takes}" + (f"\ndefault: {default}" if default else "")
    return {**schema, "description": text}


def _type_schema(annotation: Any, marks: Sequence[Any], study: StudyClass) -> Schema:
    annotation, marks = _split(annotation, marks)
    chosen = next((m.study for m in marks if isinstance(m, Written) and m.study), "")
    if chosen:
        return {"enum": list(getattr(study, chosen)())}
    parts = [_one_type(part, marks, study) for part in _parts(annotation)]
    if any(isinstance(mark, Quantity) for mark in marks):
        parts = [_with_text(part) for part in parts] + [{"type": "string"}]
    unique = [part for k, part in enumerate(parts) if part not in parts[:k]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}


def _with_text(schema: Schema) -> Schema:
    """A schema in whose lists and tables each number may be a text with a unit."""
    found = dict(schema)
    if isinstance(found.get("items"), dict):
        found["items"] = {"anyOf": [_with_text(found["items"]), {"type": "string"}]}
    if isinstance(found.get("properties"), dict):
        found["properties"] = {k: _with_text(v) for k, v in found["properties"].items()}
    if isinstance(found.get("additionalProperties"), dict):
        value = found["additionalProperties"]
        found["additionalProperties"] = {"anyOf": [value, {"type": "string"}]}
    return found


def _one_type(annotation: Any, marks: Sequence[Any], study: StudyClass) -> Schema:
    annotation, marks = _split(annotation, marks)
    if len(_parts(annotation)) > 1:
        return _type_schema(annotation, marks, study)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple:
        items = _type_schema(inner[0], (), study) if inner else {}
        fixed = inner and inner[-1] is not Ellipsis
        length = {"minItems": len(inner), "maxItems": len(inner)} if fixed else {}
        return {"type": "array", "items": items, **length}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(inner[1], (), study)}
    if annotation is complex:
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return section_schema(annotation, study)
    if annotation is bool:
        return {"type": "boolean"}
    if annotation in (int, float):
        limits: Schema = {}
        for mark in marks:
            if isinstance(mark, Gt):
                limits["exclusiveMinimum"] = mark.gt
            elif isinstance(mark, Ge):
                limits["minimum"] = mark.ge
            elif isinstance(mark, Lt):
                limits["exclusiveMaximum"] = mark.lt
        return {"type": "integer" if annotation is int else "number", **limits}
    if annotation in (str, Path):
        least = max((mark.min_length for mark in marks if isinstance(mark, MinLen)), default=0)
        return {"type": "string", **({"minLength": least} if least else {})}
    return {}
