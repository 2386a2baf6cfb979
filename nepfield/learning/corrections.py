"""Exact gradients by measurement: nudges that correct what the nudge before them missed.

A nudged device answers to v with ``z = D^-1 v``; the exact multiplier solves ``T z = right``. The
two operators differ by local, known terms, so ``T z = v + (T - D) z`` is known once z was measured,
and flexible GMRES over the reals with the device as its preconditioner finds the exact gradient:
every iteration is one more nudge, and its residual tells what is still missing, without any exact
gradient. The frames in which T and D are nearest are in `nepfield.systems.frames`.

    error = |r| max_j |g(z_j)| + sum_j |y_j| |g(e_j)|

is about what each sample's gradient g is wrong by. r is what the loop leaves of ``T z = right``,
and y_j are the coefficients of the solution in the answers z_j to nudges of unit size; sizes of g
are those that z_j can make in one phase or another. e_j is what a finite nudge makes wrong in z_j:
the even part of the responses to both signs of a one-sided nudge, of order beta; of two-sided ones
the square of the even part over the odd one, of order beta^2. One measurement alone knows the size
of its own answer only, and can say ten times too little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values
from nepfield.keys import Keys
from nepfield.learning.estimates import Estimate, Rule
from nepfield.learning.nudge import FieldNudge, Nudge
from nepfield.space.arrays import squared_magnitude
from nepfield.steady.linear import Krylov, SharedPreconditioner, flexible_gmres
from nepfield.systems.system import Frame, Readable, System, seen, trained

MOST = 40
"""Measurements of a sample at most, where a tolerance asks for as many as needed."""


class Reading(NamedTuple):
    """How a rule reads a device.

    Attributes
    ----------
    frame : {"nep", "reciprocal"}
    signs : tuple of int
        Of the finite nudges of a measurement: (1,), (-1, 1), or () in the limit of weak ones.
    """

    frame: str
    signs: tuple[int, ...]


READINGS = {
    "nep": Reading("nep", (1,)),
    "nep-symmetric": Reading("nep", (-1, 1)),
    "nep-linear": Reading("nep", ()),
    "reciprocal": Reading("reciprocal", ()),
    "reciprocal-symmetric": Reading("reciprocal", (-1, 1)),
}
"""The rules that can be corrected."""


def check_corrections(rule: str, corrections: int, tolerance: float | None) -> None:
    """Whether a rule can be corrected so.

    Raises
    ------
    InputError
        If the rule has no corrections, their number is none, or both it and a tolerance are given.
    """
    if not isinstance(corrections, int | np.integer) or not 0 <= corrections < MOST:
        raise InputError(
            f"corrections = {corrections!r}: they must be a whole number from 0 to {MOST - 1}."
        )
    if tolerance is not None and not 0 < tolerance < 1:
        raise InputError(f"gradient_tolerance = {tolerance}: it must be above 0 and below 1.")
    if corrections and tolerance is not None:
        raise InputError(
            f"corrections = {corrections} and gradient_tolerance = {tolerance}: give one of them."
        )
    if (corrections or tolerance is not None) and rule not in READINGS:
        exact = " adjoint is exact without them." if rule == "adjoint" else ""
        raise InputError(
            f"rule = {rule!r}: it has no corrections.{exact} They are for {', '.join(READINGS)}."
        )


@dataclass
class _Device:
    """A device that is nudged again and again."""

    system: Readable
    frame: Frame
    signs: tuple[int, ...]
    free: np.ndarray
    inputs: np.ndarray
    beta: np.ndarray
    keys: Keys | None
    options: Mapping[str, Any]
    solved: np.ndarray
    answers: list[np.ndarray] = field(default_factory=list)
    uncertain: list[np.ndarray] = field(default_factory=list)
    preconditioner: SharedPreconditioner = field(init=False)

    def __post_init__(self) -> None:
        self.preconditioner = SharedPreconditioner(self.options)

    def expand(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z and T z for a right-hand side of unit size, as `flexible_gmres` asks for them."""
        weight = self.frame.norm_weight
        right = vector / weight
        if self.signs:
            z = self._nudged(right)
        else:
            z, solved = self.frame.solve(right, self.preconditioner)
            self.solved &= solved
        self.answers.append(z)
        return z, (right + self.frame.difference(z)) * weight

    def _nudged(self, right: np.ndarray) -> np.ndarray:
        before = seen(self.system, self.free, self._keys("free"))
        plus = self._state(right, 1) - before
        if len(self.signs) == 2:
            minus = self._state(right, -1) - before
            self._doubt(plus + minus)
            return self.frame.read((plus - minus) / (2 * self.beta))
        if not self.answers:  # the other sign, once: how far nudges of this size are from the limit
            self._doubt(plus + self._state(right, -1, required=False) - before)
        return self.frame.read(plus / self.beta)

    def _doubt(self, even: np.ndarray) -> None:
        self.uncertain.append(self.frame.read(even / (2 * self.beta)))

    def _state(self, right: np.ndarray, sign: int, required: bool = True) -> np.ndarray:
        push = FieldNudge(self.frame.force(sign * self.beta * right), self.free)
        keys = self._keys(f"nudged {sign}")
        steady = self.system.equilibrate(self.inputs, push, self.free, keys, **self.options)
        state = seen(self.system, steady.state, self._keys(f"read {sign}"))
        if required:
            self.solved &= steady.converged
            return state
        return np.where(steady.converged, state, np.nan)

    def _keys(self, purpose: str) -> Keys | None:
        return self.keys and self.keys.fold(f"{purpose}, measurement {len(self.answers)}")


def corrected(reading: Reading, corrections: int = 0, tolerance: float | None = None) -> Rule:
    """The rule that reads a device so, and corrects it.

    Parameters
    ----------
    reading : Reading
    corrections : int
        Measurements beside the first one. Their nudges are as strong as the first of the sample,
        ``beta |dC/dPsibar|``.
    tolerance : float, optional
        Instead: as many as it takes until the residual of the loop is below this, relative to the
        first nudge; `MOST` measurements at most.

    Returns
    -------
    Rule
    """

    def rule(
        system: System,
        free: np.ndarray,
        nudge: Nudge,
        inputs: np.ndarray,
        beta: float,
        keys: Keys | None,
        options: Mapping[str, Any],
    ) -> Estimate:
        wave = cast(Readable, system)
        known = seen(system, free, keys and keys.fold("frame"))
        frame = wave.frame(reading.frame, known)
        right = frame.right(nudge.force(known)) * frame.norm_weight
        size, solved = np.linalg.norm(right, axis=0), np.full(free.shape[-1], True)
        strength = beta * np.where(size > 0, size, 1.0)
        device = _Device(wave, frame, reading.signs, free, inputs, strength, keys, options, solved)
        if corrections or tolerance is not None:
            goal = np.full(len(size), tolerance or 0.0)
            most = MOST if tolerance is not None else corrections + 1
            found = flexible_gmres(device.expand, right, goal, most)
        else:
            found = _first(device.expand, right, size)

        def derivative(z: np.ndarray) -> Values:
            return wave.parameter_derivative(known, frame.multiplier(z), inputs)

        def reach(z: np.ndarray, made: Values) -> np.ndarray:
            """Norm of the derivatives that z can make in one phase or another."""
            return np.hypot(_norms(system, made), _norms(system, derivative(1j * z)))

        columns, sizes = {name: np.zeros(1) for name in trained(system)}, []
        for share, z in zip(found.coefficients, device.answers, strict=True):
            made = derivative(z)
            sizes.append(reach(z, made))
            columns = {name: columns[name] + share * part for name, part in made.items()}
        if not sizes:  # no sample needs a nudge
            columns = derivative(found.solution)
        doubts = [reach(z, derivative(z)) for z in device.uncertain]
        error = size * found.residual * np.max(sizes, axis=0, initial=0.0)
        for k, floor in enumerate(_floors(sizes, doubts, len(reading.signs))):
            error += np.abs(found.coefficients[k]) * floor
        counted = np.maximum(found.used, 1) * max(len(reading.signs), 1) + (len(reading.signs) == 1)
        return Estimate(columns, solved & np.isfinite(found.residual), None, error, counted)

    return rule


def _first(
    expand: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    right: np.ndarray,
    size: np.ndarray,
) -> Krylov:
    """The answer to the first nudge as it is."""
    unit = right / np.where(size > 0, size, 1.0)
    z, image = expand(unit)
    residual = np.where(size > 0, np.linalg.norm(unit - image, axis=0), 0.0)
    return Krylov(size * z, residual == 0, 1, residual, size[None], (size > 0).astype(int))


def _norms(system: System, derivative: Values) -> np.ndarray:
    """L2 norms of the derivatives of each sample, (nsamples,)."""
    total: np.ndarray = np.zeros(())
    for name, parameter in trained(system).items():
        share = np.where(parameter.trainable, 1 / np.asarray(parameter.measure), 0.0)
        share = np.broadcast_to(share, len(derivative[name]))
        total = total + share @ squared_magnitude(derivative[name])
    return np.asarray(np.sqrt(total))


def _floors(sizes: list[np.ndarray], doubts: list[np.ndarray], signs: int) -> list[np.ndarray]:
    """What finite nudges make wrong in each answer."""
    if signs == 2:
        return [
            doubt**2 / np.where(size > 0, size, 1.0)
            for size, doubt in zip(sizes, doubts, strict=True)
        ]
    if signs == 1 and sizes:
        share = doubts[0] / np.where(sizes[0] > 0, sizes[0], 1.0)
        return [share * size for size in sizes]
    return []
