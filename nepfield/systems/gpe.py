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
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pumps import Pump, PumpArray, place_pumps
from nepfield.space.arrays import all_finite
from nepfield.space.linalg import DENSE_LIMIT, Factorisation
from nepfield.space.space import Space
from nepfield.systems.linearisation import Linearisation, columns_of_real_map
from nepfield.systems.nonlinearity import Nonlinearity


class Local(NamedTuple):
    """A state at the quadrature points: Psi, n = |Psi|^2 and f(n), each of shape (nq, nsamples)."""

    values: np.ndarray
    density: np.ndarray
    response: np.ndarray


@dataclass(frozen=True, eq=False)
class GPE:
    """A driven-dissipative Gross-Pitaevskii system (nep 10) on a mesh or a graph (nep 13).

    Parameters
    ----------
    space : Space
    potential : Potential, number or array
        A number or an array of one value a cell becomes a trainable `Potential`.
    pumps : sequence of Pump
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

    def __init__(
        self,
        space: Space,
        potential: Potential | complex | np.ndarray = 0.0,
        pumps: Sequence[Pump] | PumpArray = (),
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

    # -- equilibrium ------------------------------------------------------------------

    @cached_property
    def operator(self) -> sp.csr_array:
        """H = -1/2 Laplacian + V - i gamma in weak form, csr_array of shape (ndof, ndof)."""
        return (self.space.kinetic + self.space.assemble(self._local_part())).tocsr()

    def _local_part(self) -> np.ndarray:
        """V - i gamma at the quadrature points."""
        field = self.potential.at_points() - 1j * self.loss
        return field if self.background is None else field + self.background

    @cached_property
    def vacuum_operator(self) -> sp.csr_array:
        """H + a at Psi = 0."""
        if self.nonlinearity is None:
            return self.operator
        return self.operator + self.space.assemble(self.nonlinearity.f(np.zeros_like(self.space.w)))

    @cached_property
    def vacuum_factorisation(self) -> Factorisation:
        """LU factors of `vacuum_operator`; made once for each set of parameters."""
        return Factorisation(self.vacuum_operator)

    @cached_property
    def dense_operator(self) -> np.ndarray:
        """H as a dense array, for small systems."""
        operator = self.space.dense_kinetic.astype(complex)
        self.space.add_dense(self._local_part(), operator)
        return operator

    @cached_property
    def dense_columns(self) -> np.ndarray:
        """Images under H of 1 and i at each degree of freedom, shape (ndof, 2, ndof)."""
        return columns_of_real_map(self.dense_operator)

    @cached_property
    def fastest_operator(self) -> sp.csr_array | np.ndarray:
        """H in the form that is applied fastest: dense for small systems."""
        return self.dense_operator if self.space.ndof <= DENSE_LIMIT else self.operator

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples), of inputs of shape (nsamples, ninputs).

        Raises
        ------
        InputError
            If the inputs do not fit the pumps or are not finite.
        """
        return self.pumps.load @ self.pumps.amplitudes(self.checked_inputs(inputs))

    def checked_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """The inputs as a float array of shape (nsamples, ninputs)."""
        array = np.asarray(inputs, dtype=float)
        if array.ndim != 2 or array.shape[1] != self.pumps.ninputs:
            raise InputError(
                f"inputs: the {len(self.pumps.weights)} pumps need an array of shape "
                f"(nsamples, {self.pumps.ninputs}); this one has shape {array.shape}."
            )
        if not all_finite(array):
            raise InputError("inputs: all values must be finite.")
        return array

    def local(self, state: np.ndarray) -> Local:
        """What a state of shape (ndof, nsamples) is at the quadrature points."""
        values = self.space.evaluate(state)
        n = density(values)
        response = np.zeros_like(n) if self.nonlinearity is None else self.nonlinearity.f(n)
        return Local(values, n, response)

    def residual(
        self, state: np.ndarray, drive: np.ndarray, local: Local | None = None
    ) -> np.ndarray:
        """F = i kappa in weak form, shape (ndof, nsamples); zero in a steady state.

        `local` is what the method of that name gives, if the caller has it already.
        """
        residual = self.fastest_operator @ state + 1j * drive
        if self.nonlinearity is not None:
            values, _, response = local or self.local(state)
            residual += self.space.integrate(response * values)
        return residual

    def linearise(self, state: np.ndarray, local: Local | None = None) -> Linearisation:
        """Linearisation of F at a state of shape (ndof, nsamples); `local` as in `residual`."""
        if self.nonlinearity is None:
            return Linearisation(self, None, None)
        values, n, response = local or self.local(state)
        slope = self.nonlinearity.derivative(n)
        return Linearisation(self, response + n * slope, slope * values**2)

    # -- parameters -------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The trainable parameters: ``potential`` (nvalues,) and ``weights`` (npumps,)."""
        values = {}
        if self.potential.trainable:
            values["potential"] = self.potential.values
        if np.count_nonzero(self.pumps.trainable):
            values["weights"] = self.pumps.weights
        return values

    @property
    def measures(self) -> dict[str, np.ndarray]:
        """What a derivative is divided by to become a field (the Riesz map)."""
        values = {
            "potential": self.potential.measure,
            "weights": np.ones(len(self.pumps.weights)),
        }
        return {name: values[name] for name in self.parameters}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> GPE:
        """The same system with other parameters, moved into their bounds."""
        placed, pumps = self.potential, self.pumps
        if "potential" in values:
            placed = replace(placed, values=placed.clipped(values["potential"]))
        if "weights" in values:
            pumps = replace(pumps, weights=values["weights"])
        return replace(self, potential=placed, pumps=pumps)

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, reference: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The observables conjugate to the parameters, whose contrast is the NEP gradient.

        Parameters
        ----------
        state : ndarray, shape (ndof, nsamples)
        inputs : ndarray, shape (nsamples, ninputs)
        reference : ndarray, shape (ndof, nsamples)
            The free state. The intensity (nep 11) does without it; the contrast conjugate to Im V
            is an interference with the free state, ``-2 Im(conj(Psi) Psi_0)``.

        Returns
        -------
        dict
            ``potential`` (nvalues, nsamples): integral of ``|Psi|^2`` over each support, nep (11);
            ``weights`` (npumps, nsamples): ``2 X_k Im int conj(G_k) Psi``, nep (12). Where the
            parameter is complex, the imaginary part holds the observable of its imaginary part.
        """
        observed = {}
        if self.potential.trainable:
            values = self.space.evaluate(state)
            contrast = density(values)
            if np.iscomplexobj(self.potential.values):
                free = self.space.evaluate(reference)
                contrast = contrast - 2j * (values.conj() * free).imag
            observed["potential"] = self.potential.integrate(self.space.w[:, None] * contrast)
        if np.count_nonzero(self.pumps.trainable):
            overlap = (self.pumps.load.T @ state.conj()).conj()
            observed["weights"] = _as(self.pumps.weights, -2j * self._pump_inputs(inputs) * overlap)
        return observed

    def parameter_derivative(
        self, state: np.ndarray, multiplier: np.ndarray, inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """``-2 Re int l dkappa/dtheta`` for all parameters theta.

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
            integral = self.potential.integrate(self.space.w[:, None] * product)
            derivative["potential"] = _as(self.potential.values, -2 * (-1j * integral).conj())
        if np.count_nonzero(self.pumps.trainable):
            overlap = self._pump_inputs(inputs) * (self.pumps.load.T @ multiplier)
            derivative["weights"] = _as(self.pumps.weights, -2 * overlap.conj())
        return derivative

    def _pump_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """X of each pump, zero where its weight is not trained, shape (npumps, nsamples)."""
        return np.where(self.pumps.trainable[:, None], inputs[:, self.pumps.input].T, 0.0)


def density(values: np.ndarray) -> np.ndarray:
    """``|Psi|^2`` of complex values."""
    return np.square(values.real) + np.square(values.imag)


def _as(parameter: np.ndarray, derivative: np.ndarray) -> np.ndarray:
    """The derivative, without its imaginary part where the parameter is real."""
    return derivative if np.iscomplexobj(parameter) else derivative.real


def _placed_potential(space: Space, value: Potential | complex | np.ndarray) -> Potential:
    return value if isinstance(value, Potential) else potential(space, value)
