"""How bright a wave can get at a readout, whatever its potential is: bounds that need no search.

With P the drive and l(r) > 0 the least loss that the bounds of V admit, two bounds hold in every
steady state of a wave whose boundaries and response give no energy (Im f <= 0):

*Power.* What is lost is what the pumps give, ``int l |Psi|^2 <= Re int conj(Psi) P``. With p^2 the
integral of ``|P|^2 / l`` over the domain and q^2 that over the output region Y,

    (1/|Y|) int_Y |Psi|^2 <= (p + q)^2 / (4 |Y| min_Y l)

for the most that is lost in Y is a transfer to a matched load.

*Evanescence.* By Kato's inequality, ``|Psi| <= G |P|`` with G the inverse of
``-1/2 Laplacian + Re U``, U the lowest that V and f allow, wherever that operator is positive: the
drive is below every mode that V within its bounds can make. Then no potential gives more than that
wave, which has no loss and no interference. Where f falls with the density, the bound on the
density bounds f from below, and so a lower bound follows from it, again and again. (On a mesh this
holds up to the error of its elements; on a graph exactly, with hoppings of all signs replaced by
their magnitudes.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from nepfield.fields.readouts import Intensities
from nepfield.reprs import Described
from nepfield.space.arrays import squared_magnitude
from nepfield.space.linalg import Factorisation
from nepfield.space.space import Space
from nepfield.systems.gpe import GPE
from nepfield.systems.nonlinearity import Nonlinearity

_DENSITIES = np.concatenate([[0.0], np.logspace(-6, 6, 2401)])
_ROUNDS = 20  # in which the bound is used on itself
_STEADY = 1e-3  # change of it that ends this


@dataclass(frozen=True, eq=False)
class BrightnessBounds(Described):
    """What the mean intensity in each output cannot exceed, a number a sample and output.

    Attributes
    ----------
    power : ndarray, shape (nsamples, noutputs)
        By what the pumps give and loss takes; infinite where something may gain energy.
    evanescent : ndarray, shape (nsamples, noutputs)
        Of a drive below every mode; infinite where V within its bounds can bring a mode to the
        drive.
    """

    power: np.ndarray
    evanescent: np.ndarray

    @property
    def least(self) -> np.ndarray:
        """The lower of both."""
        return np.minimum(self.power, self.evanescent)


def brightness_bounds(
    system: GPE, readout: Intensities, inputs: np.ndarray, sharp: bool = True
) -> BrightnessBounds:
    """Bounds on the outputs of a wave for every potential within its bounds.

    Parameters
    ----------
    system : GPE
        With the weights of its pumps as they are; the bounds grow with their square (where f falls
        with the density, faster).
    readout : Readout
        Of intensities.
    inputs : ndarray, shape (nsamples, ninputs)
    sharp : bool
        Whether the second bound is used on itself, where that lowers it: some factorisations a
        sample.

    Returns
    -------
    BrightnessBounds
    """
    drive, space, response = system.drive(inputs), system.space, system.nonlinearity
    shape = (drive.shape[1], readout.noutputs)
    lowest = lowest_potential(system)
    shifts = np.zeros(1) if response is None else response.f(_DENSITIES)
    loss = system.loss - lowest.imag
    power = evanescent = np.full(shape, np.inf)
    if np.max(np.imag(shifts)) <= 0 and not space.boundary_gains and loss.min() > 0:
        power = _power(space, readout, drive, loss)
    if np.isfinite(lowest.real).all():
        falling = response if sharp and np.min(np.real(shifts)) < np.real(shifts[0]) else None
        least = float(np.min(np.real(shifts)))
        pumped = np.abs(space.evaluate(Factorisation(space.mass).solve(drive)))
        found = _evanescent(space, space.integrate(pumped), lowest.real + least)
        if found is not None:
            if falling is not None:
                columns = zip(found.T, space.integrate(pumped).T, strict=True)
                found = np.column_stack(
                    [
                        _sharpened(space, start, load, lowest.real, falling)
                        for start, load in columns
                    ]
                )
            evanescent = readout.outputs(found)
    return BrightnessBounds(power, evanescent)


def lowest_potential(system: GPE) -> np.ndarray:
    """V with its background where it is lowest, and Im V where it takes least, at the quadrature
    points, complex of shape (nq,); -inf where a trained V has no lower bound."""
    parameter = system.potential.parameter
    trained = np.broadcast_to(parameter.trainable, parameter.values.shape)
    real, imaginary = np.array(parameter.values.real), np.array(parameter.values.imag)
    real[trained] = -np.inf if parameter.bounds is None else parameter.bounds[0]
    if np.iscomplexobj(parameter.values):
        limits = parameter.imaginary_bounds
        imaginary[trained] = np.inf if limits is None else limits[1]
    field = np.empty(len(system.space.w), dtype=complex)
    support = system.potential.support
    field.real, field.imag = np.append(real, 0.0)[support], np.append(imaginary, 0.0)[support]
    return field if system.background is None else field + system.background


def _power(space: Space, readout: Intensities, drive: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """The first bound, exact in the space: P is l times the function that its loads are of."""
    pumped = space.evaluate(Factorisation(space.assemble(loss)).solve(drive))
    given = loss[:, None] * squared_magnitude(pumped)
    share = readout.profiles  # 1/|Y| in each region, less in the larger places of a group
    inside = share.astype(bool).astype(float)
    everywhere = np.sqrt(space.w @ given)[:, None]
    within = np.sqrt((inside @ (space.w[:, None] * given)).T)
    measure = 1 / share.max(axis=1).toarray().ravel()  # |Y|
    least = np.array([loss[share[[k]].indices].min() for k in range(share.shape[0])])
    return (everywhere + within) ** 2 / (4 * measure * least)


def _evanescent(space: Space, load: np.ndarray, energy: np.ndarray) -> np.ndarray | None:
    """``(-1/2 Laplacian + U)^-1 |P|``; None where the operator is not positive."""
    kinetic = sp.csr_array(space.kinetic.real)
    if space.is_graph:
        diagonal = kinetic.diagonal()
        kinetic = sp.csr_array(sp.diags_array(diagonal + np.abs(diagonal)) - abs(kinetic))
    try:
        factors = Factorisation(sp.csr_array(kinetic + space.assemble(energy)), pivoting=False)
        return None if factors.negative_pivots() else factors.solve(load)
    except np.linalg.LinAlgError:
        return None


def _sharpened(
    space: Space, wave: np.ndarray, load: np.ndarray, lowest: np.ndarray, response: Nonlinearity
) -> np.ndarray:
    """From a bound on ``|Psi|`` of one sample to the least one that follows from it."""
    least = np.minimum.accumulate(np.real(response.f(_DENSITIES)))
    for _ in range(_ROUNDS):
        density = squared_magnitude(space.evaluate(wave))
        place = np.minimum(np.searchsorted(_DENSITIES, density), len(least) - 1)
        lower = _evanescent(space, load, lowest + least[place])
        if lower is None:
            break
        settled = np.abs(lower - wave).max() < _STEADY * np.abs(wave).max()
        wave = lower
        if settled:
            break
    return wave
