"""The spectrum of small fluctuations around a steady state (Bogoliubov and de Gennes).

Fluctuations are ``u exp(lambda t) + conj(v exp(lambda t))``
(`nepfield.steady.stability.fluctuations`), lambda = growth - i frequency. With lambda also
conj(lambda) belongs to one, of conj(v) and conj(u), so those with a frequency of at least 0 are all
that there is. The sign of ``int |u|^2 - |v|^2`` is that of the energy that a mode carries away:
where two modes of opposite sign meet, a state may become unstable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.errors import InputError
from nepfield.fields.pictures import Field
from nepfield.reprs import Described, counted
from nepfield.space.arrays import squared_magnitude
from nepfield.space.linalg import Factorisation, one_thread
from nepfield.space.space import Space
from nepfield.steady.equation import Equation
from nepfield.steady.stability.eigenvalues import DIRECT
from nepfield.steady.stability.fluctuations import Fluctuations, to_pair
from nepfield.steady.steady import Steady

_SPARE = 4
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Spectrum(Described):
    """Modes of fluctuations around one steady state, a number each.

    Attributes
    ----------
    growth : ndarray, shape (nmodes,)
        Re lambda, per unit of time; negative where it decays.
    frequency : ndarray, shape (nmodes,)
        -Im lambda, at least 0, in the frame of the drive.
    norm : ndarray, shape (nmodes,)
        ``int |u|^2 - |v|^2``, between -1 and 1.
    u, v : ndarray, shape (ndof, nmodes)
        With ``int |u|^2 + |v|^2 = 1``.
    sample : int
        Of which state.
    space : Space
    """

    growth: np.ndarray
    frequency: np.ndarray
    norm: np.ndarray
    u: np.ndarray
    v: np.ndarray
    sample: int
    space: Space

    @property
    def density(self) -> np.ndarray:
        """``|u|^2 + |v|^2`` at the nodes, shape (nnodes, nmodes)."""
        return squared_magnitude(self.space.at_nodes(self.u)) + squared_magnitude(
            self.space.at_nodes(self.v)
        )

    @property
    def fields(self) -> list[Field]:
        """Densities of the modes, to be drawn and kept; a mode stands for a sample."""
        return self.fields_in()

    def fields_in(self, energy: float = 1.0, unit: str = "") -> list[Field]:
        """The same with frequency and growth in a unit, of which `energy` are 1."""
        frequency, growth = energy * self.frequency, energy * self.growth
        unit = f" {unit}".rstrip()
        shown: dict[str, Any] = dict(
            on="node", picture="fluctuations", label=r"$|u|^2+|v|^2$",
            title="density of the fluctuation",
        )  # fmt: skip
        return [
            Field(
                f"fluctuation_{k}",
                values.copy(),
                sample=k,
                panel=f"{k}: {frequency[k]:.4g}{unit}, growth {growth[k]:.2g}{unit}",
                **shown,
            )
            for k, values in enumerate(self.density.T)
        ]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        listed = ", ".join(f"{value:.4g}" for value in self.frequency[:6])
        return f"{counted(len(self.growth), 'fluctuation')}: frequencies {listed}", {
            "growth": f"up to {self.growth.max():.4g}" if len(self.growth) else None,
            "sample": self.sample,
        }


def bogoliubov_spectrum(
    system: Equation, steady: Steady, sample: int = 0, count: int = 20, near: float = 0.0
) -> Spectrum:
    """Modes of small fluctuations around a steady state of a wave.

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    steady : Steady
    sample : int
        Which of its states.
    count : int
        So many modes with a frequency of at least 0.
    near : float
        A frequency; those nearest to it are found.

    Returns
    -------
    Spectrum
        By rising frequency. All of them are computed for up to 250 unknowns, else Arnoldi's method
        finds them around the mean loss; whether a state is stable is for `nf.stability` to say.

    Raises
    ------
    InputError
        If the system is no wave, the sample has no steady state, or the numbers do not fit.
    numpy.linalg.LinAlgError
        If they are not found.
    """
    if not hasattr(system, "linearise"):
        raise InputError(
            f"bogoliubov_spectrum: {type(system).__name__} is no wave, so nothing fluctuates "
            "around its states in this way."
        )
    if not isinstance(sample, int | np.integer) or not 0 <= sample < len(steady.converged):
        raise InputError(
            f"sample = {sample}: there are the samples 0 to {len(steady.converged) - 1}."
        )
    if not steady.converged[sample]:
        raise InputError(f"sample = {sample}: it has no steady state: {steady.reason[sample]}")
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count = {count}: give a whole number, at least 1.")
    if not (np.isfinite(near) and near >= 0):
        raise InputError(f"near = {near}: give a frequency of at least 0.")
    linear = system.linearise(steady.state[:, [sample]])
    fluctuations = Fluctuations.of_sample(linear, 0)
    with one_thread():
        if system.space.ndof <= DIRECT:
            rates, vectors = np.linalg.eig(fluctuations.dense())
        else:
            rates, vectors = _near(fluctuations, linear.linear_part.field.imag, count, near)
    return _spectrum(fluctuations, rates.astype(complex), vectors, int(sample), count, near)


def _near(
    fluctuations: Fluctuations, gain: np.ndarray, count: int, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues near a frequency, both signs of it where it is 0, by shift and inversion."""
    n = fluctuations.space.ndof
    plus = fluctuations.direct + fluctuations.conjugate
    minus = fluctuations.direct - fluctuations.conjugate
    matrix = sp.csr_array(
        sp.block_array([[plus.imag, minus.real], [-plus.real, minus.imag]], dtype=complex)
    )
    mass = sp.csr_array(sp.block_diag([fluctuations.mass, fluctuations.mass]))
    weight = fluctuations.space.w
    shift = complex(float(weight @ gain / weight.sum()), -near) * (1 + 1e-7) + 1e-9
    wanted = min(2 * count + _SPARE if near == 0 else count + _SPARE, 2 * n - 2)
    shifted = Factorisation(sp.csr_array(matrix - shift * mass))
    start = np.random.default_rng(0).normal(size=2 * n) + 0j
    try:
        rates, vectors = spla.eigs(
            matrix, wanted, mass, sigma=shift, v0=start, ncv=min(2 * n, max(2 * wanted + 1, 40)),
            OPinv=spla.LinearOperator((2 * n, 2 * n), matvec=shifted.solve, dtype=complex),
        )  # fmt: skip
    except spla.ArpackError as error:
        raise np.linalg.LinAlgError(f"the spectrum was not found: {error}") from None
    return rates, vectors


def _spectrum(
    fluctuations: Fluctuations, rates: np.ndarray, vectors: np.ndarray, sample: int, count: int,
    near: float,
) -> Spectrum:  # fmt: skip
    """Those with a frequency of at least 0, the nearest ones, by rising frequency."""
    space, frequency = fluctuations.space, -rates.imag
    forwards = np.flatnonzero(frequency >= -_ROUNDING * (1 + np.abs(rates).max()))
    distance = np.abs(frequency[forwards] - near)
    order = forwards[np.lexsort([-rates.real[forwards], distance])][:count]
    order = order[np.lexsort([-rates.real[order], frequency[order]])]
    u, v = to_pair(vectors[:, order].astype(complex))
    parts = [space.population(part) for part in (u, v)]
    size = np.sqrt(parts[0] + parts[1])
    return Spectrum(
        growth=rates.real[order],
        frequency=np.maximum(frequency[order], 0.0),
        norm=(parts[0] - parts[1]) / size**2,
        u=u / size,
        v=v / size,
        sample=sample,
        space=space,
    )
