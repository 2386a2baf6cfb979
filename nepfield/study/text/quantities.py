"""Where quantities of a study become numbers: the section [units], and the dimensions of keys.

A field of a section says by `ENERGY`, `LENGTH`, ... what it is. While a study file is validated, a
text in it such as "0.1 meV" becomes a dimensionless number; everything behind sees numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from nepfield.study.text.units import (
    Scales,
    UnitError,
    has_known_unit,
    is_path,
    is_plain_number,
    is_quantity,
    positive,
    scales,
    shown_unit,
)
from nepfield.study.text.values import Name, Section
from nepfield.study.text.written import wrong

LINES = '[units], length = "1 um", mass = "1e-4 m_e" (yours)'
"""What a study needs before it may have units."""

AWAIT_UNITS = "await_units"
"""Kind of the error of a quantity that cannot be read because [units] is wrong itself."""


def _entry(kind: str) -> AfterValidator:
    def check(text: str) -> str:
        try:
            shown_unit(text, kind) if kind in ("energy", "time") else positive(text, kind)
        except UnitError as error:
            raise wrong(str(error)) from None
        return text

    return AfterValidator(check)


class UnitsConfig(Section):
    """Physical units: with them, values of the study may be texts such as "0.1 meV".

    Numbers without quotes stay dimensionless. training.beta is always a plain number, in units of
    energy length^(2d) (mse) or energy (cce): the nudge is beta times the slope of the cost, so
    where targets are T instead of 1 the squared error nudges T times as strongly. The response
    g / (1 + n) of "saturation" and the softmax of "cce" take the density n as it is in units of
    1 / length^d; targets of "cce" are probabilities and have no unit.
    """

    length: Annotated[Name, _entry("length")] = Field(
        description='unit of length of the mesh, such as "1 um"; spacing of a lattice'
    )
    mass: Annotated[Name, _entry("mass")] = Field(
        description='mass of the waves, such as "1e-4 m_e"'
    )
    energy: Annotated[Name, _entry("energy")] = Field(
        default="meV", description="unit in which energies are shown"
    )
    time: Annotated[Name, _entry("time")] = Field(
        default="ps", description="unit in which times are shown"
    )
    dimension: Literal[0, 1, 2] | None = Field(
        default=None, description="of the domain (0: lattice) that the units of g, weights and"
        " targets are written for; found from these",
    )  # fmt: skip

    @model_validator(mode="after")
    def _check(self) -> UnitsConfig:
        assert self.scales  # raises UnitError, a ValueError
        return self

    @property
    def scales(self) -> Scales:
        """What is 1 in the study."""
        return scales(self.length, self.mass, self.energy, self.time)


@dataclass
class Border:
    """Where texts become numbers while a study is validated.

    Attributes
    ----------
    scales : Scales or None
        None where the study has no [units], or wrong ones.
    given : bool
        Whether there is a section [units].
    optimizer, cost : str
    dimensions : dict of str to int
        For each quantity whose unit depends on it, the dimension that it is written for.
    """

    scales: Scales | None
    given: bool
    optimizer: str
    cost: str
    dimensions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Border:
        """The border of a study file's content, whatever is in it."""
        given = data.get("training")
        training = given if isinstance(given, Mapping) else {}
        kinds = (str(training.get("optimizer", "adam")), str(training.get("cost", "mse")))
        if data.get("units") is None:
            return cls(None, False, *kinds)
        try:
            units = UnitsConfig.model_validate(data["units"])
        except ValidationError:
            return cls(None, True, *kinds)
        known: dict[str, int] = {}
        if units.dimension is not None:
            known["units.dimension"] = units.dimension
        return cls(units.scales, True, *kinds, known)

    def settled(self, units: UnitsConfig) -> UnitsConfig:
        """The section with the dimension that the study's quantities are written for.

        Raises
        ------
        UnitError
            If they are written for different ones.
        """
        for name, dimension in self.dimensions.items():
            first, other = next(iter(self.dimensions.items()))
            if dimension != other:
                raise UnitError(
                    f"{first} goes with {_told(other)}, {name} with {_told(dimension)}: g is an"
                    " energy times length^d, a weight an energy over length^(d/2), a target one"
                    " over length^d; d is 0 on a lattice"
                )
        found = next(iter(self.dimensions.values()), None)
        return units.model_copy(update={"dimension": found})


def _told(dimension: int) -> str:
    return "a lattice" if dimension == 0 else f"{dimension} dimension{'s' * (dimension > 1)}"


def mismatch(units: UnitsConfig | None, dimension: int) -> str:
    """What is wrong if a study's units are written for another dimension, else ""."""
    if units is None or units.dimension in (None, dimension):
        return ""
    scale = units.scales
    right = {
        "physics.g (density)": scale.text(1, dimension),
        "pump.weight": scale.text(1, -dimension / 2),
        "task.targets": scale.text(0, -dimension) or "plain numbers",
        "training.gain": scale.text(0, dimension) or "a plain number",
    }
    return (
        f"the units of g, weights or targets are written for {_told(units.dimension or 0)}, but"
        f" the domain is {_told(dimension)}: give them in"
        f" {', '.join(f'{text} ({key})' for key, text in right.items())}"
    )


@dataclass(frozen=True)
class _Dimension:
    """Powers of energy and length that a key may have; `per` turns one into a dimension d."""

    needed: str
    energy: int
    lengths: tuple[float, ...]
    per: float = 0.0


_DIMENSIONS = {
    "length": _Dimension('a length, such as "2 um"', 0, (1,)),
    "wavenumber": _Dimension('one over a length, such as "1 /um"', 0, (-1,)),
    "energy": _Dimension('an energy, such as "0.1 meV"', 1, (0,)),
    "interaction": _Dimension(
        'an energy times length^d, such as "1 ueV um^2" (a lattice: "1 ueV")', 1, (0, 1, 2), 1
    ),
    "weight": _Dimension(
        'an energy over length^(d/2), such as "1 meV/um" (a line: "1 meV/um^0.5", a lattice:'
        ' "1 meV")', 1, (0, -0.5, -1), -0.5,
    ),
    "density": _Dimension('one over length^d, such as "20 /um^2"', 0, (-1, -2), -1),
    "time": _Dimension('a time, such as "20 ps"', -1, (0,)),
    "gain": _Dimension('length^d, such as "0.05 um^2"', 0, (1, 2), 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity(BeforeValidator):
    """Marks a field with its dimension; texts in it become numbers.

    Attributes
    ----------
    words : str
        What such a text is: 'a length, such as "2 um"'.
    """

    words: str = ""


def _key(
    dimension: str, *, step: bool = False, text: bool = False, path: bool = False
) -> BeforeValidator:
    """Marks a field with its dimension.

    Parameters
    ----------
    dimension : str
    step : bool
        The field is a step of an optimiser, which has this dimension with Adam alone.
    text : bool
        The field may hold text that only begins like a number.
    path : bool
        The field may hold a path.
    """

    def convert(value: Any, info: ValidationInfo) -> Any:
        border = (info.context or {}).get("units")
        if isinstance(value, list | tuple):
            return [convert(entry, info) for entry in value]
        if isinstance(value, dict):
            return {name: convert(entry, info) for name, entry in value.items()}
        if border is None or not is_quantity(value):
            return value
        if text and not (border.given and has_known_unit(value)):
            return value
        if path and is_path(value, (info.context or {})["folder"]):
            return value
        if not border.given:
            if is_plain_number(value):
                return value  # refused as a number in quotes
            raise wrong(f'"{value}" is text; for a value with a unit the study needs {LINES}')
        if border.scales is None:
            raise PydanticCustomError(AWAIT_UNITS, "needs [units]")
        if dimension == "density" and border.cost == "cce":
            raise wrong(
                f'"{value}": with training.cost = "cce" a target is the probability of a'
                " class: give a plain number from 0 to 1"
            )
        if step and border.optimizer != "adam":
            raise wrong(
                f'"{value}": with optimizer = "{border.optimizer}" a step has no unit of its own;'
                " give a plain number (with adam the unit of what it changes)"
            )
        name = dimension
        if dimension == "interaction" and info.data.get("nonlinearity") == "saturation":
            name = "energy"
        wanted = _DIMENSIONS[name]
        try:
            number, power = border.scales.number(value, wanted.energy, wanted.lengths)
        except UnitError as error:
            told = str(error)
            plain = told.startswith(f'"{value}": ') or told.endswith(("add one", "finite number"))
            raise wrong(told if plain else f"{told}, but needs {wanted.needed}") from None
        if wanted.per:
            border.dimensions.setdefault(f'{info.field_name} = "{value}"', int(power / wanted.per))
        return number

    return Quantity(convert, words=_DIMENSIONS[dimension].needed)


LENGTH, WAVENUMBER, ENERGY = _key("length"), _key("wavenumber"), _key("energy")
TIME = _key("time")
INTERACTION, DENSITY, GAIN = _key("interaction"), _key("density"), _key("gain")
ENERGY_OR_RUN, WEIGHT_OR_RUN = _key("energy", path=True), _key("weight", path=True)
STEP, WEIGHT_STEP = _key("energy", step=True), _key("weight", step=True)
GEOMETRY_LENGTH = _key("length", text=True)
