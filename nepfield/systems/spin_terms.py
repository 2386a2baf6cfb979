"""What a Hamiltonian of quantum spins is made of, and checks of what is given for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter
from nepfield.fields.shots import Measurement
from nepfield.mesh.domain import Domain
from nepfield.space.pauli import MOST_SPINS, PauliSum, Strings, joined, longitudinal


class Term(NamedTuple):
    """Strings with a coefficient each."""

    strings: Strings
    parameter: Parameter


@dataclass(frozen=True, eq=False)
class Wiring:
    """Strings of a Hamiltonian in one list: of all terms, then of the inputs, then fixed ones.

    Attributes
    ----------
    strings : Strings
    drive : ndarray, shape (nstrings of inputs and fixed ones, ninputs + 1)
        Their weights in each O_i, and in B.
    measurement : Measurement
        Of the strings of terms that are trained.
    """

    strings: Strings
    drive: np.ndarray
    measurement: Measurement


def checked_spins(domain: Domain, shots: int, nudge: str) -> int:
    """The number of spins; InputError if there can be none, or a choice is none."""
    if domain.kind != "graph":
        raise InputError(f"quantum spins: {domain.source} is a mesh; they live on a graph.")
    n = len(domain.points)
    if n > MOST_SPINS:
        raise InputError(
            f"quantum spins: {n} of them have 2^{n} amplitudes; {MOST_SPINS} are the most."
        )
    if not isinstance(shots, int | np.integer) or shots < 0:
        raise InputError(f"shots = {shots}: give a whole number, 0 for exact readings.")
    if nudge not in ("linearised", "full"):
        raise InputError(f"nudge = {nudge!r}: choose 'linearised' or 'full'.")
    return n


def term_of(name: str, strings: Any, value: Parameter | ArrayLike, nspins: int) -> Term:
    """Strings with one finite coefficient each."""
    if not isinstance(strings, Strings):
        strings = Strings.parse(strings, nspins)
    if strings.nspins != nspins:
        raise InputError(f"{name}: strings on {strings.nspins} spins, but there are {nspins}.")
    if not np.all(strings.flips | strings.signs):
        raise InputError(f"{name}: the identity has no effect; leave it out.")
    parameter = (
        value
        if isinstance(value, Parameter)
        else Parameter(np.asarray(value, float), "string", label=name)
    )
    values = np.asarray(parameter.values, dtype=float)
    if values.ndim == 0:
        values = np.full(len(strings), float(values))
    if values.shape != (len(strings),) or not np.isfinite(values).all():
        raise InputError(
            f"{name}: give a finite number, or one for each of the {len(strings)} strings; the "
            f"shape is {np.shape(values)}."
        )
    return Term(strings, replace(parameter, values=values))


def bias_of(bias: str | PauliSum | ArrayLike | None, nspins: int) -> PauliSum:
    """A sum of strings that stays, from a text or longitudinal fields."""
    if isinstance(bias, PauliSum):
        return bias
    if bias is None or isinstance(bias, str):
        return PauliSum.parse(bias or "", nspins)
    fields = np.asarray(bias, dtype=float)
    if fields.ndim == 0:
        fields = np.full(nspins, float(fields))
    if fields.shape != (nspins,) or not np.isfinite(fields).all():
        raise InputError(
            f"bias: give a sum of strings, or a finite longitudinal field for each of the {nspins} "
            f"spins; the shape is {fields.shape}."
        )
    (there,) = np.nonzero(fields)
    return PauliSum(longitudinal(there, nspins), fields[there])


def wired(
    terms: Mapping[str, Term],
    clamped: np.ndarray,
    strength: float,
    inputs: Sequence[PauliSum],
    bias: PauliSum,
    shots: int,
) -> Wiring:
    """All strings in one list."""
    sums = [
        *(PauliSum(longitudinal([k], bias.strings.nspins), np.array([strength])) for k in clamped),
        *inputs,
        bias,
    ]
    drive = np.zeros((sum(len(one.strings) for one in sums), len(sums)))
    first = 0
    for column, one in enumerate(sums):
        drive[first : first + len(one.strings), column] = one.weights
        first += len(one.strings)
    every = [term.strings for term in terms.values()] + [one.strings for one in sums]
    trained = [term.strings for term in terms.values() if term.parameter.is_trained]
    none = bias.strings[:0]
    return Wiring(joined(every), drive, Measurement(joined([none, *trained]), shots))
