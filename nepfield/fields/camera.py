"""What a camera shows of a wave: pixels, photons, and the noise of both.

    intensity    N ~ Poisson(k n),  shown n = N/k + s_n u                     k = photons / full
    field        shown Psi = (Psi + s (u + i v)) e^{i phi w},  s^2 = 1/(2 k) + s_f^2 full

for each pixel, of which n and Psi are the means; u, v, w are normal numbers of variance 1, w one an
exposure. `full` is the density at which a pixel collects `photons`. A field is read by beating it
with a strong laser: both quadratures at once, each with half a photon of noise (heterodyne
detection: the distribution is the Q function of a coherent state, U. Leonhardt, Measuring the
Quantum State of Light, Cambridge 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtri

from nepfield.errors import InputError
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.readouts import Intensities
from nepfield.keys import Keys
from nepfield.reprs import Described, counted
from nepfield.space.linalg import Factorisation
from nepfield.space.space import Space

_MANY = 1000.0  # photons, from which the normal distribution with the skewness of Poisson's does


@dataclass(frozen=True, eq=False)
class Camera(Described):
    """A camera, and an interferometer before it.

    Attributes
    ----------
    space : Space
    pixels : sequence of float or None
        Sides of a pixel; None resolves all that the space does, with the noise of a pixel in each
        cell (vertex of a graph).
    photons : float or None
        That a pixel collects in an exposure where the density is `full`; None: no shot noise.
    full : float
        That density.
    noise : float
        Standard deviation of what a pixel reads beside it, over `full`.
    field_noise : float
        The same of each quadrature of a field, over the root of `full`.
    phase_noise : float
        Standard deviation, in radians, of the phase of an exposure of the field.
    """

    space: Space
    pixels: Sequence[float] | None = None
    photons: float | None = None
    full: float = 1.0
    noise: float = 0.0
    field_noise: float = 0.0
    phase_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.photons is not None and not 0 < self.photons < np.inf:
            raise InputError(f"photons = {self.photons}: it must be positive; None: no shot noise.")
        if not 0 < self.full < np.inf:
            raise InputError(f"full_density = {self.full}: it must be positive.")
        for name in ("noise", "field_noise", "phase_noise"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} = {getattr(self, name)}: it must be finite and >= 0.")
        assert len(self._grid.support) == len(self.space.w)  # pixels are checked now

    @cached_property
    def _grid(self) -> Potential:
        """Which pixel each quadrature point lies in, and how its values are summed."""
        try:
            return potential(self.space, basis="cells" if self.pixels is None else self.pixels)
        except InputError as error:
            raise InputError(str(error).replace("potential: pixels", "camera_pixels", 1)) from None

    @property
    def npixels(self) -> int:
        """Number of pixels."""
        return len(self._grid.measure)

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Means over each pixel of values at the points, (npixels, nsamples)."""
        return self._grid.integrate(self.space.w[:, None] * values) / self._grid.measure[:, None]

    def _spread(self, values: np.ndarray, means: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """What is shown, at the points: pixels; or all that is there, with the noise of pixels."""
        pixel = self._grid.support
        return shown[pixel] if self.pixels is not None else values + (shown - means)[pixel]

    def image(self, density: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """An exposure.

        Parameters
        ----------
        density : ndarray, shape (nq, nsamples)
            At the quadrature points.
        keys : Keys, optional
            None: the density itself.

        Returns
        -------
        ndarray, shape (nq, nsamples)
            What the camera shows, at the same points.
        """
        if keys is None or not (self.photons or self.noise or self.pixels is not None):
            return density
        means = self._means(density)
        shown = means
        if self.photons:
            rate = self.photons / self.full
            shown = photon_counts(rate * np.maximum(means, 0.0), keys.fold("photons")) / rate
        if self.noise:
            shown = shown + self.noise * self.full * keys.fold("noise").normal(len(means))
        return self._spread(density, means, shown)

    def field(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """A wave as an interferometer shows it: a state like the one given, (ndof, nsamples).

        On a mesh what the pixels show is projected onto the finite elements.
        """
        if keys is None:
            return state
        shown, variance = state, self.field_noise**2 * self.full
        variance += self.full / (2 * self.photons) if self.photons else 0.0
        if variance or self.pixels is not None:
            values = self.space.evaluate(state)
            means = self._means(values)
            drawn = [keys.fold(part).normal(len(means)) for part in ("real", "imaginary")]
            read = means + np.sqrt(variance) * (drawn[0] + 1j * drawn[1])
            if self.pixels is None:
                shown = state + self._projected((read - means)[self._grid.support])
            else:
                shown = self._projected(read[self._grid.support])
        if self.phase_noise:
            shown = shown * np.exp(1j * self.phase_noise * keys.fold("phase").normal(1))
        return shown

    @cached_property
    def _mass(self) -> Factorisation:
        return Factorisation(self.space.mass)

    def _projected(self, values: np.ndarray) -> np.ndarray:
        """The state nearest to values at the points, in the L2 norm."""
        weak = self.space.integrate(values)
        return weak if self.space.is_graph else self._mass.solve(weak)

    def reads(self, readout: Intensities) -> PhotographedIntensities:
        """A readout of intensities by this camera."""
        if readout.space is not self.space:
            raise InputError("readout: it was made for another space than the camera.")
        return PhotographedIntensities(
            readout.space, readout.profiles, readout.shapes, readout.names, self
        )

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"Camera: {counted(self.npixels, 'pixel')}", {
            "photons": self.photons
            and f"{self.photons:g} a pixel where the density is {self.full:g}",
            "noise": self.noise or None,
            "field noise": self.field_noise or None,
            "phase noise": self.phase_noise or None,
        }


@dataclass(frozen=True, eq=False)
class PhotographedIntensities(Intensities):
    """Output regions that a camera reads.

    Attributes
    ----------
    camera : Camera
    """

    camera: Camera | None = None

    def signals(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """``|Psi|^2`` at the points of all regions as the camera shows it, (nsignals, nsamples)."""
        if keys is None or self.camera is None:
            return super().signals(state)
        density = np.abs(self.space.evaluate(state)) ** 2
        return self.camera.image(density, keys.fold("camera"))[self._entries[1]]


def photon_counts(mean: np.ndarray, keys: Keys) -> np.ndarray:
    """Numbers from Poisson distributions of given means, (n, nsamples), by inverting them.

    Above 1,000 the quantile is ``m + sqrt(m) z + (z^2 - 1) / 6``, z normal, which has the mean, the
    variance and the skewness (E. A. Cornish, R. A. Fisher, Rev. Inst. Int. Stat. 5, 307 (1938)).
    """
    from scipy.stats import poisson  # a third of the time in which all of nepfield is imported

    uniform = keys.uniform(len(mean)) + 2.0**-54  # never 0
    counts = np.empty_like(mean)
    few = mean <= _MANY
    counts[few] = poisson.ppf(uniform[few], mean[few])
    normal, many = ndtri(uniform[~few]), mean[~few]
    counts[~few] = np.rint(many + np.sqrt(many) * normal + (normal**2 - 1) / 6)
    return counts
