"""The box that most benchmarks solve: the first case of a published family, in code alone.

    0 = [-1/2 Laplacian + V + |Psi|^2 - i Gamma/2] Psi + F,     Psi = 0 on the walls

with side 20, V = 0.3 cos x cos y, Gamma = 0.2 (gamma = 0.1) and F = 0.6 exp(-r^2 / (2 W^2)),
W = 2. In nepfield's convention F = iP.
"""

from __future__ import annotations

import numpy as np
import skfem

import nepfield as nf

SIDE = 20.0
LOSS = 0.1
AMPLITUDE = 0.6
WIDTH = 2.0
RESIDUAL = 1e-8
SHIFT = 2.0
"""Bound on V + 2 |Psi|^2, by which the fastest frequency may exceed that of the Laplacian."""
ONE_SAMPLE = np.ones((1, 1))


def box(n: int) -> nf.Domain:
    """The square cut into n x n squares of two triangles each."""
    line = np.linspace(-SIDE / 2, SIDE / 2, n + 1)
    mesh = skfem.MeshTri.init_tensor(line, line)
    return nf.Domain(
        points=np.ascontiguousarray(mesh.p.T),
        cells=np.ascontiguousarray(mesh.t.T).astype(np.int64),
        kind="triangle",
        boundaries={"wall": mesh.facets[:, mesh.boundary_facets()].T.astype(np.int64)},
        source=f"box of {n} x {n} squares",
    )


def box_potential(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """V."""
    return 0.3 * np.cos(x) * np.cos(y)


def box_drive(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """F."""
    return AMPLITUDE * np.exp(-(x**2 + y**2) / (2 * WIDTH**2))


def box_system(space: nf.Space, shift: float = 0.0, loss: float = LOSS) -> nf.GPE:
    """The driven wave in the box, with nothing to train; `shift` is added to V."""
    return nf.GPE(
        space,
        potential=nf.potential(space, 0.0, trainable=False),
        background=box_potential(*space.points.T) + shift,
        pumps=[nf.gaussian_pump([0.0, 0.0], WIDTH, -1j * AMPLITUDE, trainable=False)],
        nonlinearity=nf.Density(1.0),
        loss=loss,
    )


def solve_box(domain: nf.Domain, order: int) -> tuple[nf.GPE, nf.Steady]:
    """From the mesh to the steady state: spaces, matrices, factors and Newton's method."""
    system = box_system(nf.finite_elements(domain, order=order))
    return system, nf.solve_steady(system, ONE_SAMPLE, tolerance=RESIDUAL)


def relative_difference(space: nf.Space, first: np.ndarray, second: np.ndarray) -> float:
    """L2 norm of the difference of two states of shape (ndof, 1) over that of the second."""
    difference = first - second
    square = np.vdot(difference, space.mass @ difference).real
    return float(np.sqrt(square / np.vdot(second, space.mass @ second).real))
