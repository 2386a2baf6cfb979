"""The mesh on which quantum oscillators are a wave: an interval or a square of positions."""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.box import box_mesh
from nepfield.space.elements import finite_elements
from nepfield.space.space import Space
from nepfield.systems.quantum_oscillators import QuantumOscillators


def configuration_space(
    network: QuantumOscillators, box: tuple[float, float], cells: int = 48
) -> Space:
    """Finite elements of order 2 on an interval or a square of positions.

    Parameters
    ----------
    network : QuantumOscillators
    box : (low, high)
        Within which each free particle is.
    cells : int
        Along each side. Two cells or more a standard deviation of a particle hold the energy to
        about 1e-4 hbar omega, four to 1e-5.

    Raises
    ------
    InputError
        If the network has more than two free particles, or the box is none.
    """
    particles = len(network.free)
    if particles > 2:
        raise InputError(
            f"method mesh: {particles} particles are free, and a mesh has at most two dimensions, "
            "one for each; clamp more of them or use the method gaussian."
        )
    # V times two shape functions is of degree 6
    return finite_elements(box_mesh([box] * particles, cells), 2, quadrature=6)


def reach(network: QuantumOscillators, inputs: np.ndarray, deviations: float = 7.0) -> float:
    """How far from 0 the walls must be, whatever the springs become in training.

    Parameters
    ----------
    network : QuantumOscillators
        Its free particles pinned.
    inputs : ndarray, shape (nsamples, ninputs)
    deviations : float
        From the outermost mean to the wall, in standard deviations of the softest particle.

    Returns
    -------
    float
        Springs that are not negative leave the means between 0 and the inputs, and a particle no
        wider than its pin alone.

    Raises
    ------
    InputError
        If a free particle has no pin.
    """
    mass, pin = network.mass[network.free], network.pin[network.free]
    if np.any(pin == 0):
        raise InputError("method mesh: without a pin the width is not known; give physics.box.")
    # A >= pin, so Cov r <= hbar/2 M^-1/2 (M^-1/2 pin M^-1/2)^-1/2 M^-1/2
    width = np.sqrt(network.hbar / (2 * np.sqrt(np.min(mass) * np.min(pin))))
    return float(np.abs(inputs).max(initial=0.0) + deviations * width)
