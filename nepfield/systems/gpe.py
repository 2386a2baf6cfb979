"""Driven-dissipative Gross-Pitaevskii equation.

    dPsi/dt = kappa = -i (-1/2 Laplacian + V + f(|Psi|^2) - i gamma) Psi + P       nep (10), (13)

    Psi    wave function in the frame of the drive, hbar = m = 1
    V      potential, trainable, complex in general (Im V <= 0 is extra loss)
    f      density response g n or saturation response g / (1 + n) or any function of n = |Psi|^2
    gamma  loss rate
    P      sum_k w_k X_k G_k(r), pumps with trainable weights w_k driven by the inputs X_k

Inside, everything is written for F = i kappa in weak form,

    F(Psi) = H Psi + f(n) Psi + i P,      H = -1/2 Laplacian + V - i gamma,

because H is complex symmetric and shared by all samples. The linearisation of F is
``(H + a) d + b conj(d)`` with ``a = f + n f'`` and ``b = f' Psi^2``; in the notation of the papers
A = dkappa/dPsi = -i (H + a) and B = dkappa/dPsibar = -i b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pump_images import PumpImage
from nepfield.fields.pumps import Pump, PumpArray, place_pumps
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import Described, counted
from nepfield.space.arrays import squared_magnitude
from nepfield.space.space import Space
from nepfield.steady.batches.choice import Reference
from nepfield.steady.equation import NO_RESPONSE, Response
from nepfield.steady.linearisation import Linearisation, LinearPart
from nepfield.steady.stability.certificate import Stability, stability
from nepfield.steady.steady import Steady
from nepfield.steady.switch_on import SwitchOn, switch_on
from nepfield.systems import wave
from nepfield.systems.frames import WaveFrame, wave_frame
from nepfield.systems.gpe_fields import pump_marks, wave_fields
from nepfield.systems.near_equilibrium import near_equilibrium, nudge_losses
from nepfield.systems.nonlinearity import Nonlinearity, fraction_of
from nepfield.systems.system import Figures, Push, checked_inputs


class GPELocal(NamedTuple):
    """A state at the quadrature points: Psi, n = |Psi|^2 and f(n), each of shape (nq, nsamples)."""

    values: np.ndarray
    density: np.ndarray
    response: np.ndarray


@dataclass(frozen=True, eq=False)
class GPE(Described):
    """A driven-dissipative Gross-Pitaevskii system (nep 10) on a mesh or a graph (nep 13).

    Parameters
    ----------
    space : Space
    potential : Potential, number or array
        A number or an array of one value a cell becomes a trainable `Potential`.
    pumps : sequence of Pump or PumpImage
    nonlinearity : Density, Saturation or CustomNonlinearity, optional
        None is the linear Schroedinger equation.
    loss : float
        gamma >= 0.
    background : ndarray, shape (nq,), optional
        A fixed part of the potential: absorbing layers, walls, disorder.

    Raises
    ------
    InputError
        If a number is not finite, the loss negative, or a field does not fit the space.
    """

    space: Space
    potential: Potential
    pumps: PumpArray
    nonlinearity: Nonlinearity | None = None
    loss: float = 0.1
    background: np.ndarray | None = None

    rules, published = wave.RULES, wave.PUBLISHED
    nudge = "linearised"
    warm_start = True
    figure_labels = wave.FIGURE_LABELS

    def __init__(
        self,
        space: Space,
        potential: Potential | complex | np.ndarray = 0.0,
        pumps: Sequence[Pump | PumpImage] | PumpArray = (),
        nonlinearity: Nonlinearity | None = None,
        loss: float = 0.1,
        background: np.ndarray | None = None,
    ) -> None:
        if not np.isfinite(loss) or loss < 0:
            raise InputError(f"loss = {loss}: the loss rate gamma must be finite and >= 0.")
        for name, value in (
            ("space", space),
            ("potential", _placed_potential(space, potential)),
            ("pumps", pumps if isinstance(pumps, PumpArray) else place_pumps(space, pumps)),
            ("nonlinearity", nonlinearity),
            ("loss", float(loss)),
            ("background", background),
        ):
            object.__setattr__(self, name, value)
        if self.potential.support.shape != space.w.shape:
            raise InputError("potential: it was made for another space.")
        if background is not None and (
            np.shape(background) != space.w.shape or not np.all(np.isfinite(background))
        ):
            raise InputError(
                f"background: give one finite value for each of the {len(space.w)} quadrature "
                f"points; the shape is {np.shape(background)}."
            )

    # -- the equation, as nepfield.steady knows it -------------------------------------

    @cached_property
    def linear_part(self) -> LinearPart:
        """H = -1/2 Laplacian + V - i gamma."""
        field = self.potential.at_points() - 1j * self.loss
        field = field if self.background is None else field + self.background
        vacuum = None
        if self.nonlinearity is not None:
            vacuum = self.nonlinearity.f(np.zeros_like(self.space.w))
        return LinearPart(self.space, field, vacuum)

    @property
    def operator(self) -> sp.csr_array:
        """H in weak form, csr_array of shape (ndof, ndof)."""
        return self.linear_part.operator

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples), of inputs of shape (nsamples, ninputs).

        Raises
        ------
        InputError
            If the inputs do not fit the pumps or are not finite.
        """
        return self.pumps.drive(checked_inputs(self, inputs))

    def local(self, state: np.ndarray) -> GPELocal:
        """What a state of shape (ndof, nsamples) is at the quadrature points."""
        values = self.space.evaluate(state)
        n = squared_magnitude(values)
        response = np.zeros_like(n) if self.nonlinearity is None else self.nonlinearity.f(n)
        return GPELocal(values, n, response)

    def residual(
        self, state: np.ndarray, drive: np.ndarray, local: tuple[np.ndarray, ...] | None = None
    ) -> np.ndarray:
        """F = i kappa in weak form, shape (ndof, nsamples); zero in a steady state.

        `local` is what the method of that name gives, if the caller has it already.
        """
        residual = self.linear_part.fastest @ state + 1j * drive
        if self.nonlinearity is not None:
            values, _, response = local or self.local(state)
            residual += self.space.integrate(response * values)
        return residual

    def linearise(
        self, state: np.ndarray, local: tuple[np.ndarray, ...] | None = None
    ) -> Linearisation:
        """Linearisation of F at a state of shape (ndof, nsamples); `local` as in `residual`."""
        if self.nonlinearity is None:
            return Linearisation(self.linear_part, None, None)
        values, n, response = local or self.local(state)
        slope = self.nonlinearity.derivative(n)
        return Linearisation(self.linear_part, response + n * slope, slope * values**2)

    def response_alone(self) -> Response | None:
        """f(n) of ``F = H Psi + f(n) Psi + i P``, for code that evaluates F without `residual`;
        None where an heir has terms of its own."""
        own = type(self).residual is GPE.residual and type(self).local is GPE.local
        if not own:
            return None
        if self.nonlinearity is None:
            return NO_RESPONSE
        return Response(self.nonlinearity.f, fraction_of(self.nonlinearity))

    def contracts(self, drive: np.ndarray) -> np.ndarray:
        """For which drives (ndof, nsamples) all waves from the vacuum end in one steady state.

        With a real f, ``|Psi|`` in the norm of the space stays below ``|P|`` over the least loss l,
        whatever a factor up to 1 does to P; on a graph no site holds more than the whole. Where
        then ``|b| = |f'| n < l`` for all densities that are possible, two waves under the same
        drive approach each other at least at the rate of the difference.
        """
        least = float(-self.linear_part.field.imag.max())
        no = np.zeros(drive.shape[1], dtype=bool)
        own = type(self).residual is GPE.residual and type(self).linearise is GPE.linearise
        if least <= 0 or self.space.boundary_gains or not own:
            return no
        if self.nonlinearity is None:
            return ~no
        strongest = getattr(self.nonlinearity, "strongest", None)
        if strongest is None or np.iscomplexobj(self.nonlinearity.f(np.ones(1))):
            return no
        size = np.linalg.norm(drive, axis=0)
        most = (size / least) ** 2 if self.space.is_graph else np.where(size > 0, np.inf, 0.0)
        found: np.ndarray = strongest(most) < least
        return found

    # -- the system, as nepfield.learning knows it --------------------------------------

    @property
    def domain(self) -> Domain:
        """Where the wave lives."""
        return self.space.domain

    @property
    def parameters(self) -> dict[str, Parameter]:
        """``potential`` (nvalues,) and ``weights`` (npumps,), trained or not."""
        return {"potential": self.potential.parameter, "weights": self.pumps.parameter}

    @property
    def ninputs(self) -> int:
        """Number of inputs that drive the pumps."""
        return self.pumps.ninputs

    @property
    def driven(self) -> str:
        """What takes the inputs."""
        return f"the {counted(len(self.pumps.weights), 'pump')}"

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> GPE:
        """The same system with other parameters, moved into their bounds."""
        placed, pumps = self.potential, self.pumps
        if "potential" in values:
            placed = replace(placed, parameter=placed.parameter.moved(values["potential"]))
        if "weights" in values:
            pumps = replace(pumps, parameter=pumps.parameter.moved(values["weights"]))
        return replace(self, potential=placed, pumps=pumps)

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        **options: Any,
    ) -> Steady:
        """Steady states; `options` as in `nepfield.steady.newton.find_steady`."""
        return wave.equilibrate(self, self.pumps.drive(inputs), nudge, initial, **options)

    def reference(
        self, inputs: np.ndarray, initial: np.ndarray | None = None, **options: Any
    ) -> Reference | None:
        """What parts of a batch have to be given as the option of that name, so that splitting it
        changes nothing; None where it is not to be split."""
        return wave.reference(self, self.pumps.drive(inputs), initial, options)

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, free: np.ndarray, keys: Keys | None = None
    ) -> Values:
        """The observables conjugate to the parameters, whose contrast is the NEP gradient.

        Returns
        -------
        dict
            ``potential`` (nvalues, nsamples): integral of ``|Psi|^2`` over each support, nep (11);
            ``weights`` (npumps, nsamples): ``2 X_k Im int conj(G_k) Psi``, nep (12). Where the
            parameter is complex, the imaginary part holds the observable of its imaginary part.
        """
        observed = {}
        if self.potential.trainable:
            values, before = self.space.evaluate(state), None
            if np.iscomplexobj(self.potential.values):
                before = self.space.evaluate(free)
            observed["potential"] = self.potential.observable(self.space, values, before)
        if self.pumps.parameter.is_trained:
            observed["weights"] = self.pumps.observable(state, inputs)
        return observed

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient, ``-2 Re int l dkappa/dtheta``, by one linear solve for l."""
        if kind != "adjoint":
            raise InputError(f"rule {kind!r}: waves have {', '.join(self.rules)}.")
        multiplier, solved = wave.exact_multiplier(self, free, nudge)
        return self.parameter_derivative(free, multiplier, inputs), solved

    def frame(self, kind: str, free: np.ndarray) -> WaveFrame:
        """How a response to a nudge of a kind is read (`nepfield.systems.frames`)."""
        return wave_frame(self, kind, free)

    def parameter_derivative(
        self, state: np.ndarray, multiplier: np.ndarray, inputs: np.ndarray
    ) -> Values:
        """``-2 Re int l dkappa/dtheta`` for all trained parameters theta.

        Parameters
        ----------
        state : ndarray, shape (ndof, nsamples)
            The free steady state.
        multiplier : ndarray, shape (ndof, nsamples)
            l; for the NEP family, nep (8), it is ``-i conj(d)``.
        inputs : ndarray, shape (nsamples, ninputs)

        Returns
        -------
        dict
            The shapes of `observables`; dC/dRe + i dC/dIm for complex parameters.
        """
        derivative = {}
        if self.potential.trainable:
            product = self.space.evaluate(multiplier) * self.space.evaluate(state)
            derivative["potential"] = self.potential.derivative(self.space, product)
        if self.pumps.parameter.is_trained:
            derivative["weights"] = self.pumps.derivative(multiplier, inputs)
        return derivative

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """How near to equilibrium the states are, how much of the nudge meets loss, and which
        states are proved stable by their coefficients."""
        linear = self.linearise(steady.state)
        near = near_equilibrium(self, steady.state, linear)
        found = {"nonlinearity_ratio": near.nonlinearity_ratio, "loss_ratio": near.loss}
        if response is not None:
            found["nudge_loss"] = nudge_losses(self, steady.state, response)
        return found | {"unstable": wave.unstable(linear, len(steady.converged))}

    def certify(self, steady: Steady, most: int | None = None) -> Stability:
        """Whether the states are stable, as `nepfield.stability` finds it."""
        return stability(self, steady, most=most)

    def switch_on(
        self, inputs: np.ndarray, steady: Steady, most: int | None = None, **options: Any
    ) -> SwitchOn:
        """Whether a switch-on reaches the states, as `nepfield.switch_on` finds it."""
        return switch_on(self, inputs, steady, most=most, **options)

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """Density and phase of each sample, the potential, and its gradient."""
        return wave_fields(self, state, inputs, gradient)

    def marks(self) -> list[Mark]:
        """The pumps."""
        return pump_marks(self)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong."""
        return wave.advice(history, summary)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        space, response = self.space, self.nonlinearity
        size = counted(space.ndof, "unknown")
        return f"GPE on {space.domain.source}: {size}, loss {self.loss:g}", {
            "potential": self.potential,
            "pumps": self.pumps,
            "nonlinearity": "none" if response is None else response,
            "background": self.background,
        }


def _placed_potential(space: Space, value: Potential | complex | np.ndarray) -> Potential:
    return value if isinstance(value, Potential) else potential(space, value)
