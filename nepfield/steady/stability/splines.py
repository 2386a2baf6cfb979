"""Smooth functions on a mesh that are much fewer than its unknowns: splines that meet the walls.

Tensor products of B-splines of degree 4 on a grid over the mesh, at the nodes, times a function w
that vanishes on Dirichlet walls,

    (-Laplacian + 1/l^2) w = 1/l^2,    l = 2 spacings
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.space.space import Space

_DEGREE = 4


def spline_functions(space: Space, spacing: float, most: float) -> sp.csr_array | None:
    """The functions as a map from their coefficients to the degrees of freedom.

    Parameters
    ----------
    space : Space
        On a mesh, of one component or several.
    spacing : float
        Of the grid.
    most : float
        None is returned where there would be more functions than this, or edges are joined.

    Returns
    -------
    csr_array, shape (ndof, nfunctions), or None
    """
    from scipy.interpolate import BSpline  # slow to import, and few states need it

    single = space.single or space
    inside = single.dof < single.ndof
    if np.count_nonzero(inside) > single.ndof:  # joined edges, over which no spline is smooth
        return None
    points = single.nodes[inside]
    low, high = points.min(axis=0), points.max(axis=0)
    steps = np.maximum(1, np.ceil((high - low) / spacing)).astype(int)
    copies = space.ndof // single.ndof
    if copies * np.prod(steps.astype(float) + _DEGREE) > most:
        return None
    columns, values = np.zeros((len(points), 1), dtype=np.int64), np.ones((len(points), 1))
    for axis, count in enumerate(steps):
        width = (high[axis] - low[axis]) / count or 1.0
        knots = low[axis] + width * np.arange(-_DEGREE, count + _DEGREE + 1)
        x = np.clip(points[:, axis], low[axis], high[axis])
        factor = BSpline.design_matrix(x, knots, _DEGREE)
        size = (len(points), _DEGREE + 1)
        columns = columns[:, :, None] * factor.shape[1] + factor.indices.reshape(size)[:, None]
        values = values[:, :, None] * factor.data.reshape(size)[:, None]
        columns, values = columns.reshape(len(points), -1), values.reshape(len(points), -1)
    values *= _wall_function(single, 2 * spacing)[:, None]
    total = int(np.prod(steps + _DEGREE))
    pointers = np.arange(len(points) + 1) * columns.shape[1]
    matrix = sp.csr_array((values.ravel(), columns.ravel(), pointers), shape=(len(points), total))
    touched = np.bincount(columns.ravel(), minlength=total) > 0
    matrix = sp.csr_array(matrix[:, np.flatnonzero(touched)])
    return matrix if copies == 1 else sp.csr_array(sp.block_diag([matrix] * copies))


def _wall_function(space: Space, length: float) -> np.ndarray:
    """w at the degrees of freedom, by conjugate gradients."""
    if (space.dof < space.ndof).all():
        return np.ones(space.ndof)
    right = space.integrate(np.full_like(space.w, length**-2))
    matrix = space.stiffness + length**-2 * space.mass
    diagonal = matrix.diagonal()
    precondition = spla.LinearOperator(matrix.shape, matvec=lambda r: r.ravel() / diagonal)
    w, _ = spla.cg(matrix, right, x0=np.ones(space.ndof), rtol=1e-6, M=precondition, maxiter=1000)
    return w
