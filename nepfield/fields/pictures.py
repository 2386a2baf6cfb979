"""What a system shows of itself: fields with their labels, and marks on its domain.

Systems make them, run folders keep them, `nepfield.view` draws what it finds and knows no name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from nepfield.fields.parameters import Parameter
from nepfield.reprs import Described, numbers

Scale = Literal["auto", "sequential", "diverging", "cyclic", "intensity"]
"""Colours: diverging if the signs differ, else sequential; from low to high; about 0; an angle in
radians; from dark at 0 to bright."""


@dataclass(frozen=True, eq=False)
class Field(Described):
    """An array to be drawn and kept in fields.vtu.

    Fields with the same `picture` and `title` share their colours; one panel is drawn for each
    `sample`. Of several that also share the sample, the first whose arrays are in a file is drawn,
    so a frame may hold less than fields.vtu. Fields on edges colour the edges in the panels of the
    fields on vertices that have the same picture.

    Attributes
    ----------
    name : str
        Of the array in the file. A complex array is kept as two, ``name_re`` and ``name_im``
        (``psi_0`` with the sample at its end becomes ``psi_re_0`` and ``psi_im_0``). Fields that
        draw different parts of one array share its name.
    values : ndarray, shape (n,), or (n, dim) for vectors
    on : {"node", "cell", "vertex", "edge"}
        What its entries belong to. Of a graph "node" and "cell" both mean its vertices.
    picture : str
        Name of the picture that it belongs to, such as "density"; "" where it is kept but not
        drawn.
    label : str
        For axes and colour bars, without the unit (mathtext in dollars).
    title : str
        In words, over its panel; panels of samples are titled by their inputs.
    unit : str
        Kind of unit, a key of ``units`` in summary.json; "" for none.
    natural : str
        Its unit where the study names no units (mathtext in dollars).
    scale : str
        See `Scale`. A cyclic part "phase" fades where the values are dark.
    sample : int or None
        Which sample it is of; None for what all samples share.
    part : {"value", "intensity", "phase", "displacement"}
        What of the values is drawn: they themselves (the real part of complex ones, the length of
        vectors), ``|z|^2`` or ``arg z`` of complex ones; vectors in mesh units by which the points
        of its panel are moved, coloured by their length where no field colours the edges.
    film : bool
        Whether it changes in training and belongs into frames, films and pages.
    panel : str
        What its panel or curve is called; by default by the inputs of its sample.
    """

    name: str
    values: np.ndarray
    on: str
    picture: str = ""
    label: str = ""
    title: str = ""
    unit: str = ""
    natural: str = ""
    scale: Scale = "sequential"
    sample: int | None = None
    part: str = "value"
    film: bool = False
    panel: str = ""

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What is kept in the file, by name."""
        values = np.asarray(self.values)
        if not np.iscomplexobj(values):
            return {self.name: values}
        found = re.search(r"_\d+\Z", self.name)
        sample = found[0] if found else ""
        stem = self.name.removesuffix(sample)
        return {
            f"{stem}_re{sample}": values.real.copy(),
            f"{stem}_im{sample}": values.imag.copy(),
        }

    @property
    def description(self) -> dict[str, Any]:
        """All but the values, as summary.json has it; what is empty is left out."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_SAID}
        always = ("on", "picture", "label", "unit", "scale", "sample", "part")
        return {
            "arrays": list(self.arrays),
            **{name: value for name, value in rest.items() if value or name in always},
        }

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        of = "" if self.sample is None else f" of sample {self.sample}"
        return f"Field {self.name}{of}: {numbers(np.asarray(self.values))}", {
            "on": self.on,
            "picture": self.picture or "none",
            "label": self.label or None,
        }


_NOT_SAID = ("name", "values")


@dataclass(frozen=True, eq=False)
class Mark(Described):
    """Something placed on the domain that pictures outline: a pump, a readout, clamped vertices.

    Attributes
    ----------
    kind : str
        What a legend calls it: "pump", "readout", "clamped".
    label : str
        Written beside it; "" for none.
    shape : dict
        ``{"circle": {"center": [..], "radius": r}}`` (in 1-D an interval), ``{"cells": [indices]}``
        (of a graph its vertices) or ``{"vertices": [indices]}``; with ``"arrow": [..]`` for a
        direction. Where it has both, the circle is drawn and the cells are kept in fields.vtu.
    input : int or None
        The input that drives it; it is drawn faintly for samples in which that is 0.
    dashed : bool
    value : float, complex or None
        A number that is written after the label, as in "w = 0.93".
    unit : str
        Kind of unit of the value.
    """

    kind: str
    label: str
    shape: dict[str, Any]
    input: int | None = None
    dashed: bool = False
    value: complex | None = None
    unit: str = ""

    @property
    def description(self) -> dict[str, Any]:
        """What summary.json says of it; what is empty is left out."""
        rest = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in rest.items() if v is not None and v is not False and v != ""}

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"Mark {self.kind} {self.label}".rstrip(), {
            "shape": ", ".join(self.shape),
            "input": self.input,
            "value": self.value,
        }


def gradient_field(
    name: str, parameter: Parameter, derivative: np.ndarray, picture: str = "gradient"
) -> Field:
    """The gradient of the cost by a real parameter, (nvalues,), on what its values belong to."""
    return Field(
        f"dC_d{name}", derivative, parameter.on, picture=picture,
        label=rf"$\partial C/\partial {parameter.symbol}$",
        title=f"gradient of the cost by {parameter.label}", scale="diverging",
    )  # fmt: skip


def clamped_marks(vertices: np.ndarray) -> list[Mark]:
    """The mark of the vertices that inputs hold, indices (nclamped,); none where there are none."""
    return [Mark("clamped", "", {"vertices": vertices.tolist()})] if len(vertices) else []
