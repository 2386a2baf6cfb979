"""Whether the cells of a mesh are small enough for the lengths of the wave that lives on it.

    shortest wavelength   2 pi / k with k = sqrt(2 max(0, -(V + f))), the drive being at energy 0
    healing length        xi = 1 / sqrt(2 |f'(n)| n), for density response 1 / sqrt(2 |g| n)
    pump width            W of a Gaussian pump
    pump wavelength       2 pi / |wavevector| of an oblique one

Each is held against the longest edge of the cells where it occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nepfield.mesh.cells import longest_edges
from nepfield.space.arrays import squared_magnitude as density
from nepfield.study.text.study import Built
from nepfield.systems.gpe import GPE

NEEDED = {
    "shortest wavelength": {1: 20.0, 2: 4.5},
    "pump wavelength": {1: 20.0, 2: 4.5},
    "pump width": {1: 1.2, 2: 0.5},
    "healing length": {1: 1.4, 2: 0.5},
}
"""Cells a length at which the density has an error of about 2 %, by the order of the elements.

Measured one length at a time by studies/mesh-convergence (`needed.csv`), over four wavelengths for
the wavelength: phases add up along the way, so a longer device needs more.
"""

_WORST = 0.1  # the coarsest cells may hold less of the wave than this share


@dataclass(frozen=True)
class Length:
    """A length of the wave, and the cells there, where it is resolved worst.

    Attributes
    ----------
    name : str
        A key of `NEEDED`.
    length, edge : float
        The length, and the longest edge of the cells there, in mesh units.
    order : int
        Of the elements.
    """

    name: str
    length: float
    edge: float
    order: int

    @property
    def cells(self) -> float:
        """Cells a length."""
        return self.length / self.edge

    @property
    def needed(self) -> float:
        """Cells a length for an error of about 2 %."""
        return NEEDED[self.name][self.order]

    def __str__(self) -> str:
        return (
            f"{self.name} {self.length:.3g}: {self.cells:.1f} cells (of edge {self.edge:.3g}), "
            f"{self.needed:g} needed"
        )

    @property
    def warning(self) -> str | None:
        """What is wrong and what would be right; None if the cells are small enough."""
        if self.cells >= self.needed:
            return None
        text = (
            f"{self.cells:.2g} cells for the {self.name} of {self.length:.3g}, and elements of "
            f"order {self.order} need {self.needed:g}: refine the mesh there to edges of "
            f"{self.length / self.needed:.2g}"
        )
        if self.order == 2:
            return text
        fewer = NEEDED[self.name][2]
        if self.cells >= fewer:
            return f"{text}, or set domain.order = 2"
        return f"{text}, or of {self.length / fewer:.2g} with domain.order = 2"


def resolution(
    study: Built, system: GPE, state: np.ndarray | None = None, training: bool = False
) -> list[Length]:
    """The lengths of a wave that its mesh has to resolve; none on a graph.

    Where a length varies in space, the place counts at which it is resolved worst, but for a tenth
    of the wave: of the density if there is a state, of the domain otherwise.

    Parameters
    ----------
    study : Study
    system : GPE
        The study's, or with other parameters.
    state : ndarray, shape (ndof, nsamples), optional
        Steady states. Without them there is no healing length, and the wave is taken to be weak.
    training : bool
        Whether training is still to come: V may then sink to its lower bound anywhere, and the wave
        may be weak anywhere.
    """
    space = system.space
    if space.is_graph:
        return []
    domain, order = space.domain, study.config.domain.order
    edges = longest_edges(domain.points, domain.cells, domain.kind)[space.element_of_point]
    n = np.zeros((len(space.w), 1)) if state is None else density(space.evaluate(state))
    lit = space.w * n.sum(axis=1)
    weight = lit if lit.any() else space.w
    found = [
        ("shortest wavelength", wavelengths(system, n, training), weight),
        ("healing length", healing_lengths(system, n), weight),
    ]
    for pump in study.config.pump:
        for name, size, spot in pump.lengths(space):
            found.append((name, np.full(len(edges), size), spot))
    worst: dict[str, Length] = {}
    for name, lengths, where in found:
        place = _coarsest(lengths / edges, where)
        new = Length(name, float(lengths[place]), float(edges[place]), order)
        if np.isfinite(new.length) and (name not in worst or new.cells < worst[name].cells):
            worst[name] = new
    return list(worst.values())


def wavelengths(system: GPE, n: np.ndarray, training: bool = False) -> np.ndarray:
    """Local wavelength at the quadrature points, the shortest of all samples; inf where V + f >= 0.

    Parameters
    ----------
    system : GPE
    n : ndarray, shape (nq, nsamples)
        Density.
    training : bool
        As in `resolution`.

    Returns
    -------
    ndarray, shape (nq,)
    """
    placed = system.potential
    potential = placed.at_points().real
    if training and placed.trainable and placed.bounds is not None:
        potential = np.where(placed.support >= 0, placed.bounds[0], potential)
    if system.background is not None:
        potential = potential + system.background.real
    if system.nonlinearity is not None:
        f = system.nonlinearity.f(n).real.min(axis=1)
        if training:
            f = np.minimum(f, system.nonlinearity.f(np.zeros(1)).real)
        potential = potential + f
    kinetic = np.maximum(-potential, 0.0)
    return _inverse(np.sqrt(2 * kinetic) / (2 * np.pi))


def healing_lengths(system: GPE, n: np.ndarray) -> np.ndarray:
    """Local healing length, the shortest of all samples, shape (nq,); inf in the dark."""
    if system.nonlinearity is None:
        return np.full(len(n), np.inf)
    return _inverse(np.sqrt(2 * np.abs(system.nonlinearity.derivative(n)) * n).max(axis=1))


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1.0, values, out=np.full_like(values, np.inf), where=values > 0)


def _coarsest(cells: np.ndarray, weight: np.ndarray) -> int:
    """Where the fewest cells are, leaving out the worst tenth of the weight."""
    order = np.argsort(cells, kind="stable")
    sums = np.cumsum(weight[order])
    return int(order[np.searchsorted(sums, _WORST * sums[-1])])


def warnings_of(lengths: list[Length]) -> Iterator[str]:
    """The warnings among them."""
    return (length.warning for length in lengths if length.warning is not None)
