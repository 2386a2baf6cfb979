"""A wave at a complex nudge: Psi and its conjugate become two independent fields.

Holomorphic equilibrium propagation (Laborieux and Zenke, arXiv 2209.00530) continues the state of a
device to complex numbers, so that it depends on the nudge beta holomorphically. Of a wave the real
and the imaginary part are continued each for itself; then Psi -> u and conj(Psi) -> v are
independent fields with the density n = u v. With w = conj(v) both obey one wave equation,

    (H + f(u conj(w))) u + i P + beta c       = 0
    (H + f(w conj(u))) w + i P + conj(beta) c = 0

and u = w = Psi where beta is real. A laser of rotated phase is another thing: it leaves
v = conj(u). No device is known that holds u and w; this is a pair of fields in a computer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nepfield.fields.parameters import Values
from nepfield.space.components import components
from nepfield.space.space import Space
from nepfield.steady.linearisation import Linearisation, LinearPart
from nepfield.steady.prefer import find_preferred
from nepfield.systems.near_equilibrium import LocalWave


class PairLocal(NamedTuple):
    """u and w at the points, one after the other, the densities u conj(w) and w conj(u), and f."""

    values: np.ndarray
    density: np.ndarray
    response: np.ndarray


@dataclass(frozen=True, eq=False)
class ConjugatePair:
    """The two waves (u, w) of a device, as one wave equation of two components.

    Attributes
    ----------
    device : GPE
        A wave with a local response f(n) that is analytic in n.
    """

    device: LocalWave

    @cached_property
    def space(self) -> Space:
        """Two components on the space of the device."""
        return components(self.device.space, 2)

    @cached_property
    def linear_part(self) -> LinearPart:
        """H of the device for both."""
        own, vacuum = self.device.linear_part, None
        if own.vacuum is not None:
            vacuum = _blocks(np.tile(own.vacuum, 2), (0, 1))
        return LinearPart(self.space, np.tile(own.field, 2), vacuum)

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P for both, (2 ndof, nsamples)."""
        return np.tile(self.device.drive(inputs), (2, 1))

    def local(self, state: np.ndarray) -> PairLocal:
        """What a state of shape (2 ndof, nsamples) is at the quadrature points."""
        values = self.space.evaluate(state)
        density = values * np.concatenate(np.split(values, 2)[::-1]).conj()
        f = self.device.nonlinearity
        return PairLocal(values, density, np.zeros_like(values) if f is None else f.f(density))

    def residual(
        self, state: np.ndarray, drive: np.ndarray, local: tuple[np.ndarray, ...] | None = None
    ) -> np.ndarray:
        """F in weak form, (2 ndof, nsamples)."""
        force = self.linear_part.fastest @ state + 1j * drive
        if self.device.nonlinearity is None:
            return force
        values, _, response = local or self.local(state)
        return force + self.space.integrate(response * values)

    def linearise(
        self, state: np.ndarray, local: tuple[np.ndarray, ...] | None = None
    ) -> Linearisation:
        """Linearisation of F: ``f + n f'`` couples each wave to itself, ``f' u^2`` to the other."""
        if self.device.nonlinearity is None:
            return Linearisation(self.linear_part, None, None)
        values, density, response = local or self.local(state)
        slope = self.device.nonlinearity.derivative(density)
        own, other = response + density * slope, slope * values**2
        return Linearisation(self.linear_part, _blocks(own, (0, 1)), _blocks(other, (1, 0)))


def _blocks(values: np.ndarray, columns: tuple[int, int]) -> np.ndarray:
    """Values at the points of both waves, (2 nq, ...), as blocks (2, 2, nq, ...) in columns."""
    first, second = np.split(values, 2)
    full = np.zeros((2, 2, *first.shape), dtype=complex)
    full[0, columns[0]], full[1, columns[1]] = first, second
    return full


def complex_nudges(
    device: LocalWave,
    drive: np.ndarray,
    free: np.ndarray,
    slope: np.ndarray,
    betas: np.ndarray,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two waves u and w at complex nudges of fixed amplitude, ``beta dC/dPsibar``.

    Parameters
    ----------
    device : GPE
    drive, free, slope : ndarray, shape (ndof, nsamples)
        P, the free state, and dC/dPsibar there.
    betas : ndarray of complex, shape (n,)
    **options
        As in `nepfield.steady.prefer.find_preferred`.

    Returns
    -------
    first, second : ndarray, shape (ndof, n * nsamples)
        u and w; all samples of a nudge stand together.
    converged : ndarray of bool, shape (nsamples,)
        Samples of which all of them were found.
    """
    count, nsamples = len(betas), free.shape[1]
    nudges = np.repeat(betas, nsamples)
    force = np.tile(slope, (1, count))
    found = find_preferred(
        ConjugatePair(device),
        np.tile(drive, (2, count)),
        push=-1j * np.concatenate([nudges * force, nudges.conj() * force]),
        free=np.tile(free, (2, count)),
        initial=np.tile(free, (2, count)),
        **options,
    )
    first, second = np.split(found.state, 2)
    solved = np.all(found.converged.reshape(count, nsamples), axis=0)
    return first, second, np.asarray(solved)


def observed_coefficient(
    observe: Callable[[np.ndarray], Values],
    first: np.ndarray,
    second: np.ndarray,
    factor: np.ndarray,
) -> Values:
    """The real part of a factor times observables that are continued to complex states.

    Of an observable ``O(Psi) = Q(Psi) + L(Psi)`` with a form Q of the density, such as
    ``|Psi|^2``, and a linear L: Q becomes that of ``u conj(w)``, found by polarisation, L the mean
    of its values at u and w.

    Parameters
    ----------
    observe : callable
        Observables (n, nsamples) of states (ndof, nsamples).
    first, second : ndarray, shape (ndof, nsamples)
        u and w.
    factor : ndarray of complex, shape (nsamples,)
    """
    root = np.sqrt(factor)
    total, difference = root * first + root.conj() * second, root * first - root.conj() * second
    mean = (factor * first + factor.conj() * second) / 2
    plus, minus = observe(mean), observe(-mean)
    parts = [observe(sign * x) for x in (total, difference) for sign in (1, -1)]
    return {
        name: (parts[0][name] + parts[1][name] - parts[2][name] - parts[3][name]) / 8
        + (plus[name] - minus[name]) / 2
        for name in plus
    }
