"""Values in a study file that may be written in several forms.

Each has one check, and so one message, however many forms there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
)

from nepfield.study.text.paths import or_run
from nepfield.study.text.written import LARGEST_INTEGER, finite_number, form, wrong


def _numbers(value: Any, counts: Iterable[int] | None = None) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or not value:
        return None
    numbers = tuple(n for n in map(finite_number, value) if n is not None)
    ok = len(numbers) == len(value) and (counts is None or len(value) in counts)
    return numbers if ok else None


def _pair(value: Any) -> tuple[float, float] | None:
    numbers = _numbers(value, (2,))
    return (numbers[0], numbers[1]) if numbers else None


def _point(value: Any) -> tuple[float, ...] | None:
    return _numbers(value, (1, 2))


def _range(value: Any) -> tuple[float, float] | None:
    pair = _pair(value)
    return pair if pair and pair[0] < pair[1] else None


def _indices(value: Any, counts: Iterable[int], least: int) -> tuple[int, ...] | None:
    if not isinstance(value, list | tuple) or len(value) not in counts:
        return None
    whole = all(type(n) is int and least <= n <= LARGEST_INTEGER for n in value)
    return tuple(value) if whole else None


def _site(value: Any) -> int | tuple[int, ...] | None:
    single = _indices([value], (1,), 0)
    return single[0] if single else _indices(value, (2,), 0)


def _groups(value: Any) -> int | tuple[tuple[int, ...], ...] | None:
    single = _indices([value], (1,), 1)
    if single is not None or not isinstance(value, list | tuple) or not value:
        return single[0] if single else None
    rows = [_indices(row, range(1, 10**6), 0) for row in value]
    found = tuple(row for row in rows if row is not None)
    return found if len(found) == len(rows) else None


def _complex(value: Any) -> float | complex | None:
    if isinstance(value, complex):
        value = (value.real, value.imag)
    pair = _pair(value)
    return complex(*pair) if pair else finite_number(value)


def _random(value: Any) -> Uniform | Normal | None:
    if isinstance(value, Uniform | Normal):
        return value
    if isinstance(value, dict) and len(value) == 1:
        limits, moments = _range(value.get("uniform")), _pair(value.get("normal"))
        if limits:
            return Uniform(uniform=limits)
        if moments and moments[1] > 0:
            return Normal(normal=moments)
    return None


def _values(value: Any) -> float | tuple[float, ...] | Uniform | Normal | None:
    read = (finite_number(value), _numbers(value), _random(value))
    return next((result for result in read if result is not None), None)


def _parameter_values(value: Any) -> float | tuple[float, ...] | Random | None:
    if isinstance(value, ScaledNormal):
        return value
    if isinstance(value, dict) and set(value) == {"scaled_normal"}:
        scale = finite_number(value["scaled_normal"])
        return ScaledNormal(scaled_normal=scale) if scale is not None and scale > 0 else None
    return _values(value)


def _levels(value: Any) -> tuple[float, float] | None:
    pair = _pair(value)
    return pair if pair and pair[0] != pair[1] else None


def _flag_or_names(value: Any) -> bool | tuple[str, ...] | None:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not value:
        return None
    return tuple(value) if all(isinstance(v, str) and v for v in value) else None


def _periodic(value: Any) -> bool | tuple[tuple[str, str], ...] | None:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        return None
    pairs = tuple(tuple(v) for v in value if isinstance(v, list | tuple) and len(v) == 2)
    names = all(isinstance(name, str) and name for pair in pairs for name in pair)
    return pairs if names and len(pairs) == len(value) else None


def _basis(value: Any) -> str | Pixels | Regions | None:
    if isinstance(value, Pixels | Regions) or (
        isinstance(value, str) and value in ("cells", "regions")
    ):
        return value
    if isinstance(value, dict) and set(value) == {"pixels"}:
        size = _point(value["pixels"])
        return Pixels(pixels=size) if size and min(size) > 0 else None
    if isinstance(value, dict) and set(value) == {"regions"}:
        names = _flag_or_names(value["regions"])
        return Regions(regions=names) if isinstance(names, tuple) else None
    return None


def _parameter(value: Any) -> int | float | str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if finite_number(value) is not None else None
    return value if isinstance(value, str) else finite_number(value)


def _nonzero(value: float) -> float:
    if value == 0:
        raise wrong("must not be 0: it is the nudge that the contrast is divided by")
    return value


def is_folder_name(value: str) -> bool:
    """Whether a text can be the name of a folder."""
    plain = value.isprintable() and not set(value) & set("/\\")
    return plain and bool(value.strip()) and value not in (".", "..")


def _folder_name(value: str) -> str:
    if not is_folder_name(value):
        raise wrong("must be usable as the name of a folder: no slash, not empty")
    return value


_UNIFORM = "{ uniform = [low, high] } with low < high,"
_NORMAL = "{ normal = [mean, deviation] } with deviation > 0"
_DRAWS = f"{_UNIFORM} or {_NORMAL}"
Flag = Annotated[bool, Strict()]
Name = Annotated[str, Strict(), MinLen(1)]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Positive = Annotated[float, Strict(), AllowInfNan(False), Gt(0)]
Count = Annotated[int, Strict(), Ge(0), Le(LARGEST_INTEGER)]
AtLeastOne = Annotated[int, Strict(), Ge(1), Le(LARGEST_INTEGER)]
NonNegative = Annotated[float, Strict(), AllowInfNan(False), Ge(0)]
Share = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Lt(1)]
Rows = tuple[tuple[Number, ...], ...]
Nonzero = Annotated[float, Strict(), AllowInfNan(False), AfterValidator(_nonzero)]
FolderName = Annotated[str, Strict(), AfterValidator(_folder_name)]
GeometryParameter = Annotated[
    int | float | str, form(_parameter, "a finite number or text in quotes")
]
Order = Annotated[
    Literal[1, 2], form(lambda v: v if type(v) is int and v in (1, 2) else None, "1 or 2")
]
Lattice = Annotated[
    tuple[int, ...],
    form(lambda v: _indices(v, (1, 2), 1), "[n] or [ny, nx], whole numbers from 1"),
]
ImageSize = Annotated[
    tuple[int, int], form(lambda v: _indices(v, (2,), 1), "[rows, columns], whole numbers from 1")
]
Periodic = Annotated[
    bool | tuple[tuple[str, str], ...],
    form(
        _periodic,
        'true or false (a lattice), or pairs of boundaries (a mesh), such as [["left", "right"]]',
    ),
]
Point = Annotated[tuple[float, ...], form(_point, "[x] or [x, y], finite numbers")]
Groups = Annotated[
    int | tuple[tuple[int, ...], ...],
    form(_groups, "a whole number from 1, or lists of whole numbers from 0, [[0, 1], [2, 3]]"),
]
PlanePoint = Annotated[tuple[float, float], form(_pair, "[x, y], finite numbers")]
Bounds = Annotated[tuple[float, float], form(_range, "[low, high] with low < high, finite numbers")]
Levels = Annotated[
    tuple[float, float], form(_levels, "[for 0, for 1], two different finite numbers")
]
Site = Annotated[
    int | tuple[int, int], form(_site, "a point's index or [iy, ix], whole numbers counted from 0")
]


class Section(BaseModel):
    """A section of a study file: every key is a field with a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Form(Section):
    """A table that is one value, not a section."""


class Uniform(Form):
    """Values drawn evenly between two limits, written ``{ uniform = [low, high] }``."""

    uniform: Bounds = Field(description="low and high limit")


class Normal(Form):
    """Values drawn from a normal distribution, written ``{ normal = [mean, deviation] }``."""

    normal: tuple[Number, Positive] = Field(description="mean and standard deviation")


class ScaledNormal(Form):
    """Weights of edges drawn from a normal distribution, written ``{ scaled_normal = s }``.

    Their mean is 0 and their deviation s / sqrt(N_i + N_j), of the sizes of the two layers that an
    edge joins.
    """

    scaled_normal: Positive = Field(description="deviation times sqrt(N_i + N_j)")


class Pixels(Form):
    """A rectangular grid laid over the domain, written ``{ pixels = [dx, dy] }``."""

    pixels: tuple[Positive, ...] = Field(
        description="pixel sizes, mesh units", min_length=1, max_length=2
    )


class Regions(Form):
    """Regions with a value each, written ``{ regions = ["core", "cavity"] }``."""

    regions: tuple[str, ...] = Field(
        description="named regions; where they overlap the first one counts", min_length=1
    )


Random = Uniform | Normal | ScaledNormal
Impedance = Annotated[float | complex, form(_complex, "a finite number or [real, imaginary]")]
Initial = Annotated[
    float | tuple[float, ...] | Uniform | Normal,
    form(_values, f"a finite number, a list of them, {_DRAWS}"),
]
InitialOrRun = Annotated[
    float | tuple[float, ...] | Uniform | Normal | Path,
    or_run(_values, f"a finite number, a list of them, {_DRAWS}"),
]
ParameterOrRun = Annotated[
    float | tuple[float, ...] | Uniform | Normal | ScaledNormal | Path,
    or_run(
        _parameter_values,
        f"a finite number, a list of them, {_UNIFORM} {_NORMAL}, or {{ scaled_normal = s }} with"
        " s > 0",
    ),
]
LengthsOrRun = Annotated[
    float | tuple[float, ...] | Uniform | Normal | Path | Literal["mesh"],
    or_run(
        _values,
        f'"mesh" for the lengths in the domain, a finite number, a list of them, {_DRAWS}',
        ("mesh",),
    ),
]
WeightOrRun = Annotated[
    float | complex | Uniform | Normal | Path,
    or_run(
        lambda v: next((r for r in (_complex(v), _random(v)) if r is not None), None),
        f"a finite number, [real, imaginary], {_DRAWS}",
    ),
]
FlagOrRegions = Annotated[
    bool | tuple[str, ...],
    form(_flag_or_names, 'true or false, or names of regions, ["core", "rim"]'),
]
Basis = Annotated[
    Literal["cells", "regions"] | Pixels | Regions,
    form(
        _basis,
        '"cells", "regions", or { regions = ["core", "cavity"] } (where they overlap the first one'
        " counts), or { pixels = [dx, dy] } with positive sizes",
    ),
]
