"""What objects say of themselves: one to six lines in a terminal, a small table in a notebook."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import numpy as np

_ROWS, _WIDTH = 5, 100


class Described:
    """An object that says what it is: a sentence, and a few names with what they hold.

    Subclasses override `about`; by default it tells the fields of a dataclass.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in cls.__dict__:  # or dataclass makes one that prints every number
            type.__setattr__(cls, "__repr__", Described.__repr__)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A sentence that begins with the name of the class, and what else is told, by name."""
        this: Any = self  # a dataclass, or it overrides this
        names = [field.name for field in dataclasses.fields(this)]
        return type(self).__name__, {name: getattr(self, name) for name in names}

    def _lines(self) -> tuple[str, list[tuple[str, str]]]:
        head, rows = self.about()
        told = [(name, brief(value)) for name, value in rows.items() if value is not None]
        if len(told) > _ROWS:
            rest = ", ".join(name for name, _ in told[_ROWS - 1 :])
            told = [*told[: _ROWS - 1], ("and", rest)]
        return head, told

    def __repr__(self) -> str:
        head, told = self._lines()
        lines = [head, *(f"  {name}: {text}" for name, text in told)]
        return "\n".join(_cut(line) for line in lines)

    def _repr_html_(self) -> str:
        head, told = self._lines()
        cell = "<td style='text-align: left'>"
        rows = "".join(
            f"<tr><th style='text-align: left'>{escape(name)}</th>{cell}{escape(text)}</td></tr>"
            for name, text in told
        )
        return f"<b>{escape(head)}</b><table>{rows}</table>"


def _cut(line: str) -> str:
    """A line that is not too long, whatever stands in it."""
    line = " ".join(line.split()) if not line.startswith("  ") else f"  {' '.join(line.split())}"
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 4]} ..."


def brief(value: Any) -> str:
    """Any value in less than a line."""
    if isinstance(value, Described):
        return value.about()[0]
    if isinstance(value, np.ndarray):
        return numbers(value)
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return listed(value)
    if isinstance(value, list | tuple):
        return f"[{listed(value, str_of=brief)}]"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)


def numbers(values: np.ndarray) -> str:
    """How many numbers there are, and between which limits; few of them one by one."""
    values = np.asarray(values)
    if values.size == 0:
        return f"none, shape {values.shape}"
    if values.size <= 6 and values.ndim <= 1:
        return ", ".join(f"{v:.4g}" for v in values.ravel().tolist())
    shape = f"{values.size} numbers" if values.ndim == 1 else f"shape {values.shape}"
    if values.dtype.kind == "b":
        return f"{shape}, {int(values.sum())} of them true"
    if values.dtype.kind not in "iufc":
        return shape
    size = np.abs(values) if np.iscomplexobj(values) else values
    known = size[np.isfinite(size)]
    if not len(known):
        return f"{shape}, none of them finite"
    if np.iscomplexobj(values):
        return f"{shape} complex, up to {known.max():.4g} in magnitude"
    return f"{shape} from {known.min():.4g} to {known.max():.4g}"


def listed(names: Iterable[Any], most: int = 6, str_of: Callable[[Any], str] = str) -> str:
    """Names with commas, and how many more there are."""
    every = list(names)
    more = f", ... ({len(every)} in all)" if len(every) > most else ""
    return ", ".join(str_of(name) for name in every[:most]) + more


def counted(number: int, noun: str) -> str:
    """A number and a noun: "1 pump", "2 pumps"."""
    return f"{number} {noun if number == 1 else noun + 's'}"
