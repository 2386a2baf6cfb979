"""Near-equilibrium propagation on a chain of sites in plain dense NumPy.

What somebody would write for this one problem and nothing else: no mesh, no line search, no
convergence record. `studies.speed.small` holds nepfield against it.

    F(Psi) = H Psi + f(n) Psi + i P,  H = -1/2 Laplacian + V - i gamma,  f = g / (1 + n)   nep (13)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class DenseChain:
    """A chain of sites with zeros beyond its ends, trained by `nep` and Adam.

    Attributes
    ----------
    potential : ndarray, shape (nsites,)
    weights : ndarray, shape (npumps,)
    pump_sites : ndarray of int, shape (npumps,)
    output : int
        Site that is read.
    g, loss, beta, rate, tolerance : float
        As in nepfield.
    """

    potential: np.ndarray
    weights: np.ndarray
    pump_sites: np.ndarray
    output: int
    g: float
    loss: float
    beta: float = 0.01
    rate: float = 0.02
    tolerance: float = 1e-12
    moments: dict[str, np.ndarray] = field(default_factory=dict)
    steps: int = 0

    def steady(self, drive: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Newton's method for drives and states of shape (nsamples, nsites)."""
        n = len(self.potential)
        site = np.arange(n)
        hamiltonian = np.diag(1.0 + self.potential - 1j * self.loss)
        hamiltonian -= 0.5 * (np.eye(n, k=1) + np.eye(n, k=-1))
        scale = np.linalg.norm(drive, axis=1)
        scale[scale == 0] = 1.0
        jacobian = np.empty((len(drive), 2 * n, 2 * n))
        while True:
            density = np.abs(state) ** 2
            response = self.g / (1 + density)
            force = state @ hamiltonian + response * state + 1j * drive
            if np.all(np.linalg.norm(force, axis=1) <= self.tolerance * scale):
                return state
            slope = -response / (1 + density)
            jacobian[:, :n, :n] = jacobian[:, n:, n:] = hamiltonian.real
            jacobian[:, n:, :n] = hamiltonian.imag
            jacobian[:, :n, n:] = -hamiltonian.imag
            direct, conjugate = response + density * slope, slope * state**2
            jacobian[:, site, site] += direct + conjugate.real
            jacobian[:, n + site, n + site] += direct - conjugate.real
            jacobian[:, n + site, site] += conjugate.imag
            jacobian[:, site, n + site] += conjugate.imag
            right = -np.concatenate([force.real, force.imag], axis=1)
            step = np.linalg.solve(jacobian, right[:, :, None])[:, :, 0]
            state = state + step[:, :n] + 1j * step[:, n:]

    def train(self, inputs: np.ndarray, targets: np.ndarray, epochs: int) -> None:
        """Full batches; inputs of shape (nsamples, npumps), targets (nsamples,)."""
        free = np.zeros((len(inputs), len(self.potential)), dtype=complex)
        drive = np.zeros_like(free)
        error = np.zeros_like(free)
        for _ in range(epochs):
            drive[:, self.pump_sites] = inputs * self.weights
            free = self.steady(drive, free)
            at_output = free[:, self.output]
            error[:, self.output] = (np.abs(at_output) ** 2 - targets) * at_output
            nudged = self.steady(drive - 1j * self.beta * error, free)
            contrast = (np.abs(nudged) ** 2 - np.abs(free) ** 2) / self.beta
            response = (nudged - free)[:, self.pump_sites] / self.beta
            self.steps += 1
            self.potential = self._adam("potential", self.potential, contrast.mean(axis=0))
            self.weights = self._adam(
                "weights", self.weights, (2 * inputs * response.imag).mean(axis=0)
            )

    def _adam(self, name: str, value: np.ndarray, slope: np.ndarray) -> np.ndarray:
        first, second = self.moments.get(name, np.zeros((2, len(value))))
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        self.moments[name] = np.array([first, second])
        mean, square = first / (1 - 0.9**self.steps), second / (1 - 0.999**self.steps)
        return value - self.rate * mean / (np.sqrt(square) + 1e-8)
