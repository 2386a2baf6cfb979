"""How a drive changes in time: a factor for each pump, 1 where it is as strong as its weight says.

    P(t) = sum_k e_k(t) w_k X_k G_k

Envelopes are small objects that give the factor at given times, and the times at which they jump,
bend or must not be overlooked; a stepper lands on these, which keeps its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, Protocol

import numpy as np

from nepfield.errors import InputError

_SEEN = (-5.0, -2.5, 0.0, 2.5, 5.0)  # widths of a pulse from its centre that no step jumps over


class Envelope(Protocol):
    """A factor of a pump that changes in time.

    Attributes
    ----------
    breaks : tuple of float
        Times at which it jumps or bends, or on which a step has to land.
    """

    @property
    def breaks(self) -> tuple[float, ...]: ...

    def factor(self, times: np.ndarray) -> np.ndarray:
        """At times of any shape; at a jump what comes after it."""


@dataclass(frozen=True)
class Step:
    """A pump that is switched at once: factor `before` until the time `at`, then `after`."""

    at: float = 0.0
    before: float = 0.0
    after: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(self)

    @property
    def breaks(self) -> tuple[float, ...]:
        """Where it jumps."""
        return (self.at,)

    def factor(self, times: np.ndarray) -> np.ndarray:
        """Of the pump, at times of any shape."""
        return np.where(np.asarray(times) < self.at, self.before, self.after)


@dataclass(frozen=True)
class Ramp:
    """A straight ramp of a given length that begins at the time `at`, from `before` to `after`."""

    length: float
    at: float = 0.0
    before: float = 0.0
    after: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.length <= 0:
            raise InputError(f"length = {self.length}: a ramp takes time; Step switches at once.")

    @property
    def breaks(self) -> tuple[float, ...]:
        """Where it begins and ends."""
        return (self.at, self.at + self.length)

    def factor(self, times: np.ndarray) -> np.ndarray:
        """Of the pump, at times of any shape."""
        way = np.clip((np.asarray(times) - self.at) / self.length, 0.0, 1.0)
        return self.before + (self.after - self.before) * way


@dataclass(frozen=True)
class Pulse:
    """A Gaussian pulse, ``base + (peak - base) exp(-(t - center)^2 / (2 width^2))``.

    As of a spot, the width is the standard deviation of the amplitude.
    """

    center: float
    width: float
    base: float = 0.0
    peak: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.width <= 0:
            raise InputError(f"width = {self.width}: the width of a pulse must be positive.")

    @property
    def breaks(self) -> tuple[float, ...]:
        """From five widths before to five after its centre."""
        return tuple(self.center + n * self.width for n in _SEEN)

    def factor(self, times: np.ndarray) -> np.ndarray:
        """Of the pump, at times of any shape."""
        gauss = np.exp(-(((np.asarray(times) - self.center) / self.width) ** 2) / 2)
        return self.base + (self.peak - self.base) * gauss


@dataclass(frozen=True)
class Product:
    """Several envelopes at once: their factors are multiplied."""

    parts: tuple[Envelope, ...]

    @property
    def breaks(self) -> tuple[float, ...]:
        """Those of all."""
        return tuple(at for part in self.parts for at in part.breaks)

    def factor(self, times: np.ndarray) -> np.ndarray:
        """Of the pump, at times of any shape."""
        return prod((part.factor(times) for part in self.parts), start=np.ones(np.shape(times)))


class Driven:
    """A drive in weak form that may change in time.

    Parameters
    ----------
    parts : sequence of (Envelope or None, ndarray of shape (ndof, nsamples))
        They are added; None is a part that is always on.
    """

    def __init__(self, parts: Sequence[tuple[Envelope | None, np.ndarray]]) -> None:
        self._parts = [(envelope, part.astype(complex)) for envelope, part in parts]
        self.varies = any(envelope is not None for envelope, _ in parts)
        times = {at for envelope, _ in parts if envelope is not None for at in envelope.breaks}
        self._breaks = np.array([*sorted(at for at in times if at > 0), np.inf])

    @classmethod
    def constant(cls, drive: np.ndarray) -> Driven:
        """One that does not change."""
        return cls([(None, drive)])

    @property
    def final(self) -> np.ndarray:
        """P after all that changes, shape (ndof, nsamples)."""
        return self.at(np.full(self._parts[0][1].shape[1], np.inf))

    @property
    def full(self) -> bool:
        """Whether all pumps have the strength of their weights in the end."""
        ends = [e.factor(np.array(np.inf)) for e, _ in self._parts if e is not None]
        return bool(np.allclose(ends, 1.0, rtol=0, atol=1e-3))

    @property
    def last_break(self) -> float:
        """After which no envelope jumps or bends; 0 where none does."""
        return float(self._breaks[-2]) if len(self._breaks) > 1 else 0.0

    def next_break(self, times: np.ndarray) -> np.ndarray:
        """The first break after each of the times; infinite where there is none."""
        return self._breaks[np.searchsorted(self._breaks, times, side="right")]

    def at(self, times: np.ndarray, columns: np.ndarray | slice = slice(None)) -> np.ndarray:
        """P of some samples, each at its own time, shape (ndof, nsamples)."""
        total: np.ndarray | None = None
        for envelope, part in self._parts:
            term = part[:, columns]
            if envelope is not None:
                term = term * envelope.factor(times)
            total = term if total is None else total + term
        assert total is not None
        return total


def driven(system: Any, inputs: np.ndarray, envelope: Any = None) -> Driven:
    """The drive of a wave under envelopes.

    Parameters
    ----------
    system : Equation
    inputs : ndarray, shape (nsamples, ninputs)
    envelope : Envelope, or sequence of Envelope or None, optional
        One for the whole drive, or one a pump (None: always on), for waves whose `pumps` are a
        `PumpArray`; an image of pumps counts as one.

    Raises
    ------
    InputError
        If it is no envelope, or there are more or fewer than pumps.
    """
    whole = system.drive(inputs).astype(complex)
    if envelope is None:
        return Driven.constant(whole)
    if not isinstance(envelope, list | tuple):
        return Driven([(_checked(envelope), whole)])
    pumps = getattr(system, "pumps", None)
    if pumps is None:
        raise InputError(
            f"envelope: {type(system).__name__} has no pumps to tell apart; give one for all."
        )
    count = int(pumps.entries.max(initial=-1)) + 1
    if len(envelope) != count:
        raise InputError(
            f"envelope: {len(envelope)} envelopes for {count} pumps; give one a pump "
            "(None: always on), or a single one for all."
        )
    parts: list[tuple[Envelope | None, np.ndarray]] = []
    amplitudes = pumps.amplitudes(inputs)
    kinds = list(dict.fromkeys(None if e is None else _checked(e) for e in envelope))
    for kind in kinds:
        chosen = np.array([e == kind for e in envelope])[pumps.entries]
        parts.append((kind, pumps.load @ np.where(chosen[:, None], amplitudes, 0)))
    return Driven(parts or [(None, whole)])


def _checked(envelope: Any) -> Envelope:
    if not (hasattr(envelope, "factor") and hasattr(envelope, "breaks")):
        raise InputError(
            f"envelope: {envelope!r} is none; give a Step, Ramp, Pulse or Product, or a list with "
            "one a pump."
        )
    found: Envelope = envelope
    return found


def _check_finite(envelope: Any) -> None:
    for entry in fields(envelope):
        value = getattr(envelope, entry.name)
        if not np.isfinite(value):
            raise InputError(f"{entry.name} = {value}: it must be finite.")
