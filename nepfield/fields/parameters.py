"""Parameters: what training changes, wherever it lives.

A potential, the weights of pumps, couplings, springs each hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.reprs import Described, numbers

Bounds = tuple[float, float]
Values = dict[str, np.ndarray]
"""An array a parameter, by name."""


@dataclass(frozen=True, eq=False)
class Parameter(Described):
    """Numbers that can be trained.

    NumPy takes a parameter for the array of its values.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Real, or complex where real and imaginary part are parameters both.
    on : str
        What each number belongs to: "cell", "region", "pixel", "vertex", "edge", "pump", "wall".
    bounds, imaginary_bounds : (low, high), optional
        Kept by `moved`.
    measure : float or ndarray, shape (n,)
        Length or area over which each number holds, by which a derivative is divided before a
        step is taken (the Riesz map), so that training does not depend on the mesh.
    trainable : bool or ndarray of bool, shape (n,)
    symbol, label : str
        How it is written in formulas (mathtext, without dollars) and called in words.
    unit : str
        Kind of unit, such as "energy"; "" for a pure number.
    """

    values: np.ndarray
    on: str
    bounds: Bounds | None = None
    imaginary_bounds: Bounds | None = None
    measure: float | np.ndarray = 1.0
    trainable: bool | np.ndarray = True
    symbol: str = r"\theta"
    label: str = "parameter"
    unit: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether any of its numbers is."""
        return bool(np.count_nonzero(self.trainable))

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)

    def moved(self, values: np.ndarray) -> Parameter:
        """The parameter with other values, moved into its bounds."""
        if self.bounds is not None:
            real = np.clip(values.real, *self.bounds)
            values = real + 1j * values.imag if np.iscomplexobj(values) else real
        if self.imaginary_bounds is not None and np.iscomplexobj(values):
            values = values.real + 1j * np.clip(values.imag, *self.imaginary_bounds)
        return replace(self, values=values)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        trained = np.count_nonzero(np.broadcast_to(self.trainable, np.shape(self.values)))
        size = np.size(self.values)
        how = "trained" if trained == size else "fixed" if not trained else f"{trained} trained"
        return f"Parameter {self.label}: {numbers(np.asarray(self.values))}, {how}", {
            "on": self.on,
            "bounds": self.bounds,
            "imaginary bounds": self.imaginary_bounds,
        }


def moved(parameters: Mapping[str, Parameter], values: Mapping[str, np.ndarray]) -> dict:
    """Parameters of which those that are named have other values, moved into their bounds."""
    return {
        name: parameter.moved(values[name]) if name in values else parameter
        for name, parameter in parameters.items()
    }


def placed(
    value: Parameter | ArrayLike,
    name: str,
    on: str,
    effective: np.ndarray,
    symbol: str,
    label: str,
) -> Parameter:
    """A parameter with one finite number each, trained only where it has an effect.

    Parameters
    ----------
    value : Parameter, number or array
    name : str
        For messages.
    on : {"edge", "vertex"}
    effective : ndarray of bool, shape (n,)
        Where a change has an effect.
    symbol, label : str

    Raises
    ------
    InputError
        If the numbers are not finite, or not one or n.
    """
    parameter = value if isinstance(value, Parameter) else Parameter(np.asarray(value, float), on)
    values = np.asarray(parameter.values, dtype=float)
    if values.ndim == 0:
        values = np.full(len(effective), float(values))
    if values.shape != effective.shape or not np.isfinite(values).all():
        plural = {"edge": "edges", "vertex": "vertices"}[on]
        raise InputError(
            f"{name}: give a finite number, or one for each of the {len(effective)} {plural}; the "
            f"shape is {np.shape(values)}."
        )
    trainable = effective & np.asarray(parameter.trainable)
    return replace(parameter, values=values, on=on, trainable=trainable, symbol=symbol, label=label)
