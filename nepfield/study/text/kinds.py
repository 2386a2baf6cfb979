"""Sections of several kinds, told apart by a key that each kind has alone.

    Pump = Annotated[SpotConfig | SiteConfig, OneOf()]

Each class names its own key in ``key``, and in ``along`` what must go with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from nepfield.study.text.values import Section


class Kind(Section):
    """A section of one kind among several.

    Attributes
    ----------
    key : str
        The key that no other kind has.
    along : tuple of str
        Keys that go with it, and with no other kind.
    """

    key: ClassVar[str]
    along: ClassVar[tuple[str, ...]] = ()


def keys_of(section: type[BaseModel]) -> list[str]:
    """The keys of a section, those that tell its kind first."""
    keys = list(section.model_fields)
    if not issubclass(section, Kind):
        return keys
    first = [section.key, *section.along]
    return [*first, *(key for key in keys if key not in first)]


class OneOf:
    """Marks a union of kinds: a section is of the kind whose key it has."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        kinds: tuple[type[Kind], ...] = get_args(source)

        def which(value: Any) -> str:
            for kind in kinds:
                if isinstance(value, kind) or (isinstance(value, Mapping) and kind.key in value):
                    return kind.key
            return kinds[0].key  # which says that it is no section

        def checked(value: Any) -> Any:
            if isinstance(value, Mapping):
                _check(value, kinds)
            return value

        union = core_schema.tagged_union_schema(
            {kind.key: handler.generate_schema(kind) for kind in kinds}, which
        )
        return core_schema.no_info_before_validator_function(checked, union)


def _check(value: Mapping[str, Any], kinds: tuple[type[Kind], ...]) -> None:
    given = [kind for kind in kinds if kind.key in value]
    check_one([kind.key for kind in kinds], [kind.key for kind in given])
    for kind in kinds:
        with_it = [key in value for key in kind.along]
        if any(with_it) if kind is not given[0] else not all(with_it):
            others = " or ".join(other.key for other in kinds if other is not kind)
            raise ValueError(
                f"{' and '.join((kind.key, *kind.along))} go together; a {others} takes neither"
            )


class Exclusive(ValueError):
    """Of several keys that exclude each other more than one is given, or none.

    Attributes
    ----------
    given : list of str
    """

    def __init__(self, message: str, given: list[str]) -> None:
        super().__init__(message)
        self.given = given


def check_one(keys: list[str], given: list[str]) -> None:
    """Exclusive, a ValueError, unless exactly one of the keys is given."""
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise Exclusive(f"needs exactly one of {', '.join(keys)}, has {found}", given)
