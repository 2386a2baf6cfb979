"""What a system shows of itself: fields with their labels, and marks on its domain.

Systems make them, run folders keep them, `nepfield.view` draws what it finds and knows no name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Scale = Literal["sequential", "diverging", "cyclic", "intensity"]
"""Colours: from low to high; about 0; an angle; from dark at 0 to bright."""


@dataclass(frozen=True, eq=False)
class Field:
    """An array to be drawn and kept in fields.vtu.

    Attributes
    ----------
    name : str
        Of the array in the file. A complex array is kept as two, ``name_re`` and ``name_im``
        (``psi_0`` with the sample at its end becomes ``psi_re_0`` and ``psi_im_0``).
    values : ndarray, shape (n,), or (n, dim) for vectors
    on : {"node", "cell", "vertex", "edge"}
        What its entries belong to. Of a graph "node" and "cell" both mean its vertices.
    picture : str
        The picture that it belongs to, "density", say; "" where it is kept but not drawn.
    label : str
        For axes and colour bars, without the unit (mathtext in dollars).
    title : str
        In words, over its panel; samples are titled by their inputs.
    unit : str
        Kind of unit, a key of ``units`` in summary.json; "" for none.
    scale : str
        See `Scale`.
    sample : int or None
        Which sample it is of; None for what all samples share.
    part : {"value", "intensity", "phase", "displacement"}
        What of the values is drawn: they themselves, ``|z|^2`` or ``arg z`` of complex ones, or
        the domain with its points moved by a vector field.
    film : bool
        Whether it changes in training and belongs into frames.
    """

    name: str
    values: np.ndarray
    on: str
    picture: str = ""
    label: str = ""
    title: str = ""
    unit: str = ""
    scale: Scale = "sequential"
    sample: int | None = None
    part: str = "value"
    film: bool = False


@dataclass(frozen=True, eq=False)
class Mark:
    """Something placed on the domain that pictures outline: a pump, a readout, clamped vertices.

    Attributes
    ----------
    kind : str
        What a legend calls it: "pump", "readout", "clamped".
    label : str
        Written beside it; "" for none.
    shape : dict
        ``{"circle": {"center": [..], "radius": r}}``, ``{"cells": [indices]}`` (of a graph its
        vertices) or ``{"vertices": [indices]}``; with ``"arrow": [..]`` for a direction.
    input : int or None
        The input that drives it; it is drawn faintly for samples in which that is 0.
    dashed : bool
    """

    kind: str
    label: str
    shape: dict[str, Any]
    input: int | None = None
    dashed: bool = False
