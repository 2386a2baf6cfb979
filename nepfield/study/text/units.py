"""Physical units: what a text such as "0.1 meV" says, and what is 1 in a study.

A study with a section [units] gives the unit of length l and the mass m of its waves. With them

    energy   hbar^2 / (m l^2)         time   hbar / energy        density   1 / l^d
    weight   energy / l^(d/2), of P times hbar                    g         energy l^d

are 1, d being the dimension of the domain and 0 on a lattice, where density is counted by site.
A rate, "0.1 /ps", is taken for the energy hbar times the rate; a time for hbar over an energy.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_HBAR = 6.62607015e-34 / (2 * math.pi)  # J s, exact in the SI
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")
# \w holds letters of any kind and superscripts; a digit first would be a second number
_UNIT = re.compile(r"(1\s*/|[^\W\d]|\()[\w\s*/^().·⁻-]{0,60}")
_HIGH = "⁰¹²³⁴⁵⁶⁷⁸⁹"
# a number raised to a power, or a large number: 9**9**9 keeps a computer busy for ever
_TOWER = re.compile(rf"[\d{_HIGH}]\s*\)*\s*(\*\*|\^)|\d\s*\)*\s*[{_HIGH}]|[\d{_HIGH}]{{3}}")


class UnitError(ValueError):
    """A text that is no quantity; the message begins with the text itself."""


@dataclass(frozen=True)
class Unit:
    """A unit in the base units of the SI, and the exponents of mass, length and time."""

    si: float
    mass: float
    length: float
    time: float
    other: bool
    text: str
    dimensions: str

    @property
    def kind(self) -> str:
        """What it is, in words."""
        exponents = (self.mass, self.length, self.time)
        if self.other or exponents not in _KINDS:
            return f"has the dimension {self.dimensions}"
        return f"is {_KINDS[exponents]}"

    @property
    def powers(self) -> tuple[float, float, int] | None:
        """Powers of energy, of length, and of hbar that is missing; None: it is none of them."""
        known: dict[tuple[float, float], tuple[float, float, int]] = {
            (1, -2): (1.0, 2.0, 0),
            (0, -1): (1.0, 0.0, 1),
            (0, 1): (-1.0, 0.0, -1),
            (0, 0): (0.0, 0.0, 0),
        }
        if self.other or (self.mass, self.time) not in known:
            return None
        energy, length, hbar = known[self.mass, self.time]
        return energy, self.length - length, hbar


_KINDS: dict[tuple[float, float, float], str] = {
    (0, 0, 0): "a pure number",
    (0, 1, 0): "a length",
    (0, -1, 0): "one over a length",
    (0, 2, 0): "an area",
    (0, -2, 0): "one over an area",
    (0, 0, 1): "a time",
    (0, 0, -1): "a rate",
    (0, 1, -1): "a velocity",
    (1, 0, 0): "a mass",
    (1, 2, -2): "an energy",
    (1, 4, -2): "an energy times an area",
    (1, 3, -2): "an energy times a length",
    (1, 1, -2): "an energy over a length",
}


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint  # takes as long to import as all else that reads a study

    return pint.UnitRegistry()


@lru_cache(maxsize=4096)
def _unit(text: str) -> Unit:
    """The unit that a text without a number names."""
    plain = text.strip()
    plain = f"1{plain}" if plain.startswith("/") else plain
    if not _UNIT.fullmatch(plain) or _TOWER.search(plain):
        raise UnitError(f'"{plain}" is no unit; write such as "meV", "1/ps", "ueV um^2"')
    try:
        unit = _registry().parse_units(plain)
        names = [name for name, _ in _registry().Quantity(1, unit).unit_items()]
        base = _registry().Quantity(1.0, unit).to_base_units()
        powers = {k: float(v) for k, v in base.dimensionality.items()}
        # versions of pint differ in which of the two characters they write
        si, short = float(base.magnitude), f"{unit:~P}".replace("\u03bc", "\u00b5")
        dimensions = str(base.dimensionality)
    except Exception:  # pint raises what its parser raises
        raise UnitError(f'"{plain}" is no unit that is known; write such as "meV", "um"') from None
    if any(name.endswith("hertz") for name in names):
        raise UnitError(f'"{plain}": hertz leaves open whether 2 pi is meant; write "1/ps"')
    if any(name.startswith("degree_") for name in names):
        raise UnitError(f'"{plain}" counts from another zero; write an energy, such as "meV"')
    mass, length, time = (powers.pop(f"[{name}]", 0.0) for name in ("mass", "length", "time"))
    if not 0 < si < math.inf:
        raise UnitError(f'"{plain}" has no finite size')
    return Unit(si, mass, length, time, bool(powers), short, dimensions)


def is_quantity(value: Any) -> bool:
    """Whether a value is text that begins like a number; other texts are names or paths."""
    return isinstance(value, str) and _NUMBER.match(value) is not None


def has_known_unit(value: Any) -> bool:
    """Whether a value is a number with a unit, and no text such as "3-fold" or "2024-run"."""
    if not is_quantity(value):
        return False
    try:
        parse(value)
    except UnitError:
        return False
    return True


def is_path(text: str, folder: Path) -> bool:
    """Whether a text is a path, where it may be a path or a quantity.

    It is if it begins with no number, if no unit follows the number, or if there is such a folder.
    """
    if not is_quantity(text) or os.path.isdir(Path(folder, text)):
        return True
    return not (is_plain_number(text) or has_known_unit(text))


def is_plain_number(text: str) -> bool:
    """Whether a text is a number without a unit."""
    match = _NUMBER.match(text)
    return match is not None and match.end() == len(text)


def parse(text: str) -> tuple[float, Unit]:
    """Number and unit of a text such as "0.1 meV".

    Raises
    ------
    UnitError
        If it is no finite number with a known unit.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise UnitError(f'"{text}" must be a number and a unit, such as "0.1 meV"')
    number = float(match[1])
    if not math.isfinite(number):
        raise UnitError(f'"{text}" is no finite number')
    rest = text[match.end() :].strip()
    if not rest:
        raise UnitError(f'"{text}" has no unit: write {match[1]} without quotes, or add one')
    try:
        return number, _unit(rest)
    except UnitError as error:
        raise UnitError(f'"{text}": {error}') from None


def in_unit_of(text: str, first: str) -> float:
    """The magnitude of a quantity in the unit of another one.

    Raises
    ------
    UnitError
        If they are of different kinds.
    """
    (number, unit), (_, wanted) = parse(text), parse(first)
    if (unit.mass, unit.length, unit.time) != (wanted.mass, wanted.length, wanted.time):
        raise UnitError(f'"{text}" {unit.kind}, but "{first}" {wanted.kind}')
    return number if unit == wanted else number * (unit.si / wanted.si)


def unit_text(text: str) -> str:
    """The unit of a quantity, as it was written."""
    match = _NUMBER.match(text)
    return text if match is None else text[match.end() :].strip()


def unit_label(text: str) -> str:
    """The unit of a quantity, as it is written in pictures."""
    return parse(text)[1].text


@dataclass(frozen=True)
class Scales:
    """What is 1 in a study, in the base units of the SI, and the units that are shown.

    Attributes
    ----------
    length, energy : float
        In m and J.
    shown : dict of str to Unit
        Of length, energy and time.
    """

    length: float
    energy: float
    shown: Mapping[str, Unit]

    @property
    def time(self) -> float:
        """In s."""
        return _HBAR / self.energy

    def number(self, text: str, energy: int, lengths: tuple[float, ...]) -> tuple[float, float]:
        """A quantity as a dimensionless number, and its power of length.

        Raises
        ------
        UnitError
            If it is no energy to the power `energy` times a length to one of the powers `lengths`.
        """
        number, unit = parse(text)
        if unit.powers is None or unit.powers[0] != energy or unit.powers[1] not in lengths:
            raise UnitError(f'"{text}" {unit.kind}')
        _, power, hbar = unit.powers
        size = unit.si * _HBAR**hbar
        try:
            found = number * (size / (self.energy**energy * self.length**power))
        except (ZeroDivisionError, OverflowError):
            found = math.inf
        if not math.isfinite(found):
            raise UnitError(f'"{text}" is no finite number in units of the study: see [units]')
        return found, power

    def factor(self, energy: float = 0, length: float = 0, time: float = 0) -> float:
        """What a dimensionless number is multiplied by to be in the units that are shown."""
        one = {"energy": self.energy, "length": self.length, "time": self.time}
        powers = {"energy": energy, "length": length, "time": time}
        return math.prod((one[k] / self.shown[k].si) ** p for k, p in powers.items() if p)

    @property
    def usable(self) -> bool:
        """Whether every figure of a study is a finite number in the units that are shown."""
        try:
            found = [self.factor(time=1)] + [
                self.factor(energy=e, length=s * p)
                for e in (-1, 1)
                for s in (-1, 1)
                for p in (1, 6)
            ]
        except (ZeroDivisionError, OverflowError):
            return False
        return all(0 < size < math.inf for size in found)

    def text(self, energy: int = 0, length: float = 0) -> str:
        """The unit that goes with `factor`, such as "meV/µm" or "1/µm²"."""
        above: list[str] = []
        below: list[str] = []
        for name, power in (("energy", energy), ("length", length)):
            if power:
                (above if power > 0 else below).append(_raised(self.shown[name].text, abs(power)))
        under = below[0] if len(below) == 1 else f"({' '.join(below)})"
        return " ".join(above) if not below else f"{' '.join(above) or '1'}/{under}"


def _raised(text: str, power: float) -> str:
    text = f"({text})" if re.search(r"[\s·/*^]", text) and power != 1 else text
    if power == 0.5:
        return f"√{text}"
    return text if power == 1 else text + str(int(power)).translate(_SUPERSCRIPT)


_SUPERSCRIPT = str.maketrans("0123456789", _HIGH)


@lru_cache(maxsize=64)
def scales(length: str, mass: str, energy: str, time: str) -> Scales:
    """The scales that the entries of [units] give; UnitError where one is of the wrong kind."""
    metre, kilogram = (positive(text, kind) for text, kind in ((length, "length"), (mass, "mass")))
    try:
        joule = _HBAR**2 / (kilogram * metre**2)
    except (ZeroDivisionError, OverflowError):
        joule = 0.0
    if not 0 < joule < math.inf:
        raise UnitError(f'"{length}" and "{mass}" give no finite unit of energy')
    shown = {"energy": shown_unit(energy, "energy"), "time": shown_unit(time, "time")}
    found = Scales(metre, joule, {"length": parse(length)[1], **shown})
    if not found.usable:
        raise UnitError(
            f'"{length}" and "{mass}" give figures without a finite size in "{energy}", "{time}"'
        )
    return found


_EXPONENTS = {"length": (0, 1, 0), "mass": (1, 0, 0), "energy": (1, 2, -2), "time": (0, 0, 1)}


def _is(unit: Unit, kind: str) -> bool:
    return not unit.other and (unit.mass, unit.length, unit.time) == _EXPONENTS[kind]


def positive(text: str, kind: str) -> float:
    """Size of a length or mass in the base units of the SI; UnitError if it is something else."""
    number, unit = parse(text)
    if not _is(unit, kind):
        raise UnitError(f'"{text}" {unit.kind}, but must be a {kind}')
    if not 0 < (size := number * unit.si) < math.inf:
        raise UnitError(f'"{text}" must be greater than 0')
    return size


def shown_unit(text: str, kind: str) -> Unit:
    """A unit, without a number, of energy or time; UnitError if it is something else."""
    unit = _unit(text)
    if not _is(unit, kind):
        example = "meV" if kind == "energy" else "ps"
        raise UnitError(f'"{text}" {unit.kind}, but must be a unit of {kind}, such as "{example}"')
    return unit
