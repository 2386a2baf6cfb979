"""Learning rules of others, each as its authors define it, beside which ours can be held.

    scattering-backpropagation   Dal Cin, Marquardt and Wanjura, arXiv 2508.11750
    asym-ep, dyadic-ep           Scurria, Vanden Abeele, Mognetti and Massar, arXiv 2602.03670
    holomorphic-ep               Laborieux and Zenke, arXiv 2209.00530

All of them take the nudge that a wave has here, a force of fixed amplitude ``beta dC/dPsibar``
that was made at the free state. Scattering Backpropagation is written after its abstract and its
authors' code (github.com/dalcio99/Scattering-Backpropagation), holomorphic EP after its abstract
and code (github.com/Laborieux-Axel/holomorphic_eqprop). Of AsymEP and dyadic EP the abstract and
the equations in the documentation of EquilibriumPropagation.jl were at hand, not the article; what
they are for a wave is derived here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np

from nepfield.errors import InputError
from nepfield.keys import Keys
from nepfield.learning.estimates import Estimate, Rule
from nepfield.learning.nudge import FieldNudge, Nudge
from nepfield.space.arrays import half_phase
from nepfield.steady.linear import solve_linearised
from nepfield.systems.asymmetric import asymmetric_states
from nepfield.systems.holomorphic import complex_nudges, observed_coefficient
from nepfield.systems.near_equilibrium import LocalWave
from nepfield.systems.system import Readable, System, seen


class Device(Readable, LocalWave, Protocol):
    """A wave whose equation these rules know, and whose field they read, such as `GPE`."""


def scattering_backpropagation(
    system: System,
    free: np.ndarray,
    nudge: Nudge,
    inputs: np.ndarray,
    beta: float,
    keys: Keys | None,
    options: Mapping[str, Any],
) -> Estimate:
    """Scattering Backpropagation: the answer to an error signal that is sent back.

    Two experiments: the free one, and one with ``-i beta conj(c)`` added to the drive, the error
    with its phase conjugated. The gradient is the product of the free field and of the change,
    ``dC/dV = 2 Re(Psi dPsi)/beta``. It rests on a response that is nearly reciprocal: the
    transposed scattering matrix is near U S U^-1, with U = sigma_y in (a, a*), which is sigma_x in
    quadratures.

    It is exact where ``b = f' Psi^2`` is real: in a linear wave, and in a nonlinear one whose phase
    is everywhere that of the pumps or a quarter period from it. Phases are those against the laser
    that pumps, of the root of ``int P^2``: for real weights, as the authors have them, none.
    """
    wave = cast(Device, system)
    known = seen(system, free, keys and keys.fold("free"))
    turn = half_phase(np.sum((wave.drive(inputs) * wave.space.norm_weight) ** 2, axis=0)) ** 2
    push = FieldNudge(beta * turn * nudge.force(known).conj(), free)
    nudged = system.equilibrate(inputs, push, free, keys and keys.fold("nudged 1"), **options)
    change = seen(system, nudged.state, keys and keys.fold("read 1")) - known
    derivative = wave.parameter_derivative(known, -1j * change / (beta * turn), inputs)
    return Estimate(derivative, nudged.converged, measurements=np.ones(len(inputs), dtype=int))


def asymmetric(*signs: int) -> Rule:
    """AsymEP: the nudged device has the transposed Jacobian (`nepfield.systems.asymmetric`).

    Parameters
    ----------
    *signs : int
        Nudges, each times beta: (0, 1) errs by O(beta), (-1, 1), as in EquilibriumPropagation.jl,
        by O(beta^2).
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
        wave = cast(Device, system)
        drive, slope = wave.drive(inputs), nudge.force(free)
        multiplier, solved = np.zeros_like(free), np.full(free.shape[-1], True)
        for sign in signs:
            if sign:
                state, found = asymmetric_states(wave, drive, free, sign * beta * slope, **options)
                multiplier += sign * (state - free).conj()
                solved &= found
        count = np.abs(signs).sum()
        derivative = wave.parameter_derivative(free, multiplier / (beta * count), inputs)
        return Estimate(derivative, solved, measurements=np.full(len(solved), count))

    return rule


def dyadic(
    system: System,
    free: np.ndarray,
    nudge: Nudge,
    inputs: np.ndarray,
    beta: float,
    keys: Keys | None,
    options: Mapping[str, Any],
) -> Estimate:
    """Dyadic EP: two copies of the device, of midpoint m and difference d, share one action.

    ``S = d . kappa(m) - beta C(m)`` is stationary where ``kappa(m) = 0`` and ``J(m)^T d = beta
    dC/dm``. So the midpoint stays the free state at any beta, and ``dC/dtheta = -(1/beta) d .
    dkappa/dtheta`` is exact. The difference is found here by one linear solve with the transposed
    Jacobian: the numbers are those of `adjoint`. What is new in it is the device, of two coupled
    copies, that would find them.
    """
    wave = cast(Device, system)
    transposed = wave.linearise(free).transposed()
    difference, solved = solve_linearised(transposed, 1j * beta * nudge.force(free).conj())
    derivative = wave.parameter_derivative(free, difference / beta, inputs)
    return Estimate(derivative, solved, measurements=np.ones(len(inputs), dtype=int))


def holomorphic(count: int) -> Rule:
    """Holomorphic EP: the first Fourier coefficient of the observables over N complex nudges.

    They are ``beta exp(2 pi i k/N)`` (`nepfield.systems.holomorphic`). The coefficient differs by
    O(beta^N) from the limit of weak nudges, which for a wave is `nep-linear`: a nudge that is not
    small makes no bias then, but loss does. N = 2 is `nep-symmetric`. The states of k and N - k are
    those of each other with u and w exchanged, so half of them are computed.

    Parameters
    ----------
    count : int
        N, at least 2.
    """
    if count < 2:
        raise InputError(f"count = {count}: holomorphic EP needs at least 2 nudges.")
    turns = np.arange(count // 2 + 1)
    phases = np.exp(2j * np.pi * turns / count)
    twice = np.where((turns == 0) | (2 * turns == count), 1.0, 2.0)

    def rule(
        system: System,
        free: np.ndarray,
        nudge: Nudge,
        inputs: np.ndarray,
        beta: float,
        keys: Keys | None,
        options: Mapping[str, Any],
    ) -> Estimate:
        wave, nsamples = cast(Device, system), free.shape[-1]
        first, second, solved = complex_nudges(
            wave, wave.drive(inputs), free, nudge.force(free), beta * phases, **options
        )
        tiled = np.tile(inputs, (len(turns), 1)), np.tile(free, (1, len(turns)))
        found = observed_coefficient(
            lambda state: system.observables(state, *tiled),
            first,
            second,
            np.repeat(twice * phases.conj() / (count * beta), nsamples),
        )
        columns = {
            name: column.reshape(len(column), len(turns), nsamples).sum(axis=1)
            for name, column in found.items()
        }
        return Estimate(columns, solved, measurements=np.full(nsamples, count))

    return rule


PUBLISHED: dict[str, Rule] = {
    "scattering-backpropagation": scattering_backpropagation,
    "asym-ep": asymmetric(-1, 1),
    "dyadic-ep": dyadic,
    "holomorphic-ep": holomorphic(4),
}
"""Published rules by the names that studies use."""
