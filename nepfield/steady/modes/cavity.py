"""Modes of a cavity with its potential, its walls and its loss, and what drives and reads them.

    (-1/2 Laplacian + V + f(0) - i gamma) phi = (E - i l) M phi

E is the level in the frame of the drive, which is at 0: a pump of this frequency is in resonance
with the mode where E = 0. The amplitude of the mode decays at l. A weak drive P makes of it
``-i int phi P / (E - i l)``, which is largest where the mode is nearest to 0 measured by its loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.errors import InputError
from nepfield.fields.pictures import Field
from nepfield.fields.pumps import PumpArray
from nepfield.fields.readouts import Intensities, Readout
from nepfield.reprs import Described, counted
from nepfield.space.arrays import squared_magnitude
from nepfield.space.linalg import Factorisation, one_thread, real_times
from nepfield.space.space import Space
from nepfield.steady.equation import Equation
from nepfield.steady.linearisation import LinearPart
from nepfield.steady.stability.pointwise import kinetic_floor

DENSE = 400
"""Unknowns up to which all modes are computed."""
_SPARE = 6  # modes that are asked for beside those that are wanted
_ROUNDING = 1e-12
_TRIES = 4


@dataclass(frozen=True, eq=False)
class Modes(Described):
    """Modes of a cavity, a number each.

    Attributes
    ----------
    level : ndarray, shape (nmodes,)
        E; the drive is at 0.
    loss : ndarray, shape (nmodes,)
        l, at which the amplitude decays; all of gamma, absorbers and open walls.
    function : ndarray, shape (ndof, nmodes)
        phi, with ``int |phi|^2 = 1`` and the largest value real; real where loss is uniform.
    pumps : ndarray, shape (npumps, nmodes)
        Share of the profile of each pump that lies in the mode, ``|int conj(phi) G|^2 / int
        |G|^2``; over all modes of a cavity with uniform loss they sum to 1.
    readouts : ndarray, shape (noutputs, nmodes)
        Share of each mode that lies in each output region, the integral of ``|phi|^2``.
    residual : ndarray, shape (nmodes,)
        Norm of ``(H + f(0) - E + i l) phi``, by which a level may be wrong at most (where loss is
        uniform); beside the error of the mesh, which is usually larger.
    space : Space
    """

    level: np.ndarray
    loss: np.ndarray
    function: np.ndarray
    pumps: np.ndarray
    readouts: np.ndarray
    residual: np.ndarray
    space: Space

    @property
    def detuning(self) -> np.ndarray:
        """How far the drive is from each mode, in units of its loss, shape (nmodes,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(self.level) / np.abs(self.loss)

    @property
    def density(self) -> np.ndarray:
        """``|phi|^2`` at the nodes, shape (nnodes, nmodes)."""
        return squared_magnitude(self.space.at_nodes(self.function))

    @property
    def fields(self) -> list[Field]:
        """The modes, to be drawn and kept; a mode stands for a sample."""
        return self.fields_in()

    def fields_in(self, energy: float = 1.0, unit: str = "") -> list[Field]:
        """The same with their levels and losses in a unit, of which `energy` are 1."""
        level, loss, unit = energy * self.level, energy * self.loss, f" {unit}".rstrip()
        shown: dict[str, Any] = dict(on="node", label=r"$|\phi|^2$", title="density of the mode")
        return [
            Field(
                f"mode_{k}", phi.copy(), picture="modes", part="intensity", sample=k,
                panel=f"{k}: {level[k]:.4g}{unit}, loss {loss[k]:.2g}{unit}", **shown,
            )
            for k, phi in enumerate(self.space.at_nodes(self.function + 0j).T)
        ]  # fmt: skip

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        levels = ", ".join(f"{level:.4g}" for level in self.level[:6])
        return f"{counted(len(self.level), 'mode')}: levels {levels}", {
            "loss": f"{self.loss.min():.4g} to {self.loss.max():.4g}" if len(self.loss) else None,
        }


def modes(
    system: Equation,
    count: int = 12,
    near: float | None = None,
    readout: Readout | None = None,
) -> Modes:
    """Modes of the cavity that a wave lives in, with its potential, and without a density.

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    count : int
    near : float, optional
        A level; those that are nearest to it are found, by default the lowest.
    readout : Readout, optional
        Of intensities, whose overlaps with the modes are to be found.

    Returns
    -------
    Modes
        By rising level. Where loss is uniform (no absorber, no open wall, V real), and so modes
        are those of a real symmetric matrix, none is left out: their number is checked by the signs
        of the pivots (Sylvester). Elsewhere they are those that Arnoldi's method finds nearest to
        `near`, or to the lowest level of the real part, below which there is none.

    Raises
    ------
    InputError
        If the system is no wave, or the numbers do not fit.
    numpy.linalg.LinAlgError
        If they are not found.
    """
    if not hasattr(system, "linear_part"):
        raise InputError(
            f"modes: {type(system).__name__} is no wave; only a wave has modes of a cavity."
        )
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count = {count}: give a whole number, at least 1.")
    if near is not None and not np.isfinite(near):
        raise InputError(f"near = {near}: give a level, a finite number.")
    if readout is not None and not isinstance(readout, Intensities):
        raise InputError(f"readout: {type(readout).__name__} reads no intensities.")
    space, count = system.space, min(int(count), system.space.ndof)
    with one_thread():
        matrix, uniform = _vacuum(system.linear_part)
        find = _real_modes if uniform is not None else _lossy_modes
        values, functions = find(matrix, space, count, near, system.linear_part)
        levels, losses = values.real, -values.imag
        if uniform is not None:
            losses = np.full(len(levels), uniform)
        functions = _normalised(space, functions)
        pumps = getattr(system, "pumps", None)
        shares = _pump_shares(space, functions, pumps if isinstance(pumps, PumpArray) else None)
    density = squared_magnitude(space.evaluate(functions))
    inside = np.zeros((0, len(levels)))
    if readout is not None:
        inside = readout.profiles.astype(bool).astype(float) @ (space.w[:, None] * density)
    complex_functions = functions + 0j
    values = levels - 1j * losses
    error = matrix @ complex_functions - real_times(space.mass, complex_functions) * values
    residual = space.residual_norm(error)
    return Modes(levels, losses, functions, shares, inside, residual, space)


def _vacuum(part: LinearPart) -> tuple[sp.csr_array, float | None]:
    """H + a at Psi = 0, and the loss where it is the same everywhere, else None."""
    space, matrix = part.space, part.operator
    losses = -part.field.imag
    alike = np.ptp(losses) <= _ROUNDING * max(np.abs(losses).max(), 1e-300)
    if part.vacuum is not None:
        matrix = sp.csr_array(matrix + space.assemble(part.vacuum))
        alike = alike and part.vacuum.ndim == 1 and not np.any(np.imag(part.vacuum))
    alike = alike and space.boundary_matrix.imag.count_nonzero() == 0
    return matrix, float(losses[0]) if alike else None


def _floor(part: LinearPart) -> float:
    """A bound from below on the levels."""
    lowest = part.field.real
    if part.vacuum is not None:
        vacuum = part.vacuum if part.vacuum.ndim == 1 else -np.abs(part.vacuum).sum(axis=(0, 1))
        lowest = lowest.reshape(-1, vacuum.shape[-1]).min(axis=0) + np.real(vacuum)
    return float(np.min(lowest)) + kinetic_floor(part.space)


def _real_modes(
    matrix: sp.csr_array, space: Space, count: int, near: float | None, part: LinearPart
) -> tuple[np.ndarray, np.ndarray]:
    """Of a real symmetric matrix, none left out."""
    real, mass, n = sp.csr_array(matrix.real), sp.csr_array(space.mass), space.ndof
    if n <= DENSE:
        levels, functions = scipy.linalg.eigh(real.toarray(), mass.toarray())
        return _chosen(levels, functions, count, near)
    floor = _floor(part)
    margin = 1e-3 * (1.0 + abs(floor))
    shift = floor - margin if near is None else near
    wanted, start = count, np.random.default_rng(0).normal(size=n)
    for _ in range(4):
        wanted = min(wanted + _SPARE, n - 1)
        shifted = Factorisation(real - shift * mass)
        levels, functions = spla.eigsh(
            real, wanted, mass, sigma=shift, v0=start, ncv=min(n, max(2 * wanted + 1, 40)),
            OPinv=spla.LinearOperator((n, n), matvec=shifted.solve, dtype=float),
        )  # fmt: skip
        first, last = _span(levels, count, near)
        if _between(real, mass, first, last, near) <= np.count_nonzero(
            (levels > first) & (levels < last)
        ):
            return _chosen(levels, functions, count, near)
        wanted *= 2  # one of several equal levels was missed: a larger basis holds it
    raise np.linalg.LinAlgError("some of several equal levels were not found")


def _span(levels: np.ndarray, count: int, near: float | None) -> tuple[float, float]:
    """Between which values, that are no levels, those that are wanted lie."""
    if near is None:
        rising = np.sort(levels)
        return -np.inf, _gap(rising, count)
    distance = np.sort(np.abs(levels - near))
    reach = _gap(distance, count)
    return near - reach, near + reach


def _gap(rising: np.ndarray, count: int) -> float:
    """The middle of the widest gap behind the first numbers, so that none is cut in two."""
    after = rising[count - 1 :]
    if len(after) < 2:
        return float(after[0]) + 1e-6 * (1 + abs(after[0]))
    place = int(np.argmax(np.diff(after)))
    return float(after[place] + after[place + 1]) / 2


def _between(
    real: sp.csr_array, mass: sp.csr_array, first: float, last: float, near: float | None
) -> int:
    """How many levels lie between two values, by the signs of pivots."""
    below = _below(real, mass, last)
    return below if near is None else below - _below(real, mass, first)


def _below(real: sp.csr_array, mass: sp.csr_array, value: float) -> int:
    """How many levels lie below a value, or one that is very near to it if a pivot there is 0."""
    for step in range(_TRIES):
        try:
            shifted = real - (value + 1e-9 * step * (1 + abs(value))) * mass
            return Factorisation(shifted, pivoting=False).negative_pivots()
        except np.linalg.LinAlgError as error:
            problem = error
    raise problem


def _lossy_modes(
    matrix: sp.csr_array, space: Space, count: int, near: float | None, part: LinearPart
) -> tuple[np.ndarray, np.ndarray]:
    """Of a matrix whose loss varies, by Arnoldi's method near a point."""
    mass, n = sp.csr_array(space.mass), space.ndof
    if n <= DENSE:
        values, functions = scipy.linalg.eig(matrix.toarray(), mass.toarray())
        return _chosen(values, functions, count, near)
    lowest = near
    if lowest is None:  # no mode has a level below those of the real part
        lowest = float(_real_modes(matrix, space, 1, None, part)[0][0]) - 1e-3
    shift = complex(lowest, float(np.median(part.field.imag)))
    wanted = min(count + 2 * _SPARE, n - 2)
    shifted = Factorisation(sp.csr_array(matrix - shift * mass))
    start = np.random.default_rng(0).normal(size=n) + 0j
    values, functions = spla.eigs(
        matrix, wanted, mass, sigma=shift, v0=start, ncv=min(n, max(2 * wanted + 1, 40)),
        OPinv=spla.LinearOperator((n, n), matvec=shifted.solve, dtype=complex),
    )  # fmt: skip
    return _chosen(values, functions, count, near)


def _chosen(
    values: np.ndarray, functions: np.ndarray, count: int, near: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest, or nearest, by rising level."""
    by = np.real(values) if near is None else np.abs(values - near)
    chosen = np.argsort(by, kind="stable")[:count]
    chosen = chosen[np.argsort(np.real(values[chosen]), kind="stable")]
    return values[chosen], functions[:, chosen]


def _normalised(space: Space, functions: np.ndarray) -> np.ndarray:
    """With int |phi|^2 = 1, the largest value positive."""
    largest = np.take_along_axis(functions, np.abs(functions).argmax(axis=0)[None], axis=0)
    turned = functions * (np.abs(largest) / largest)
    return np.asarray(turned / np.sqrt(space.population(turned)))


def _pump_shares(space: Space, functions: np.ndarray, pumps: PumpArray | None) -> np.ndarray:
    """Share of each pump's profile in each mode."""
    if pumps is None or not len(pumps.weights):
        return np.zeros((0, functions.shape[1]))
    load = pumps.load if isinstance(pumps.load, np.ndarray) else pumps.load.toarray()
    whole = Factorisation(sp.csr_array(space.mass)).solve(load)
    size = np.sum(load.conj() * whole, axis=0).real
    overlap = squared_magnitude(load.T @ functions.conj())
    return overlap / np.where(size > 0, size, 1.0)[:, None]
