"""A graph becomes a `Space`: functions on its vertices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain
from nepfield.space.boundaries import checked_boundaries
from nepfield.space.space import Space


def graph(
    domain: Domain,
    dirichlet: Sequence[str] | None = None,
    robin: Mapping[str, complex] | None = None,
    coupling: ArrayLike | None = None,
) -> Space:
    """Functions on the vertices of a graph; the paper's lattice (nep 13) is one.

    A boundary of a graph is a list of missing neighbours. A Dirichlet boundary puts a neighbour
    there on which the wave is zero, as in Eq. (13); a Neumann boundary has no edge there.

    Parameters
    ----------
    domain : Domain
        A graph: vertices and line cells.
    dirichlet : sequence of str, optional
        Named boundaries with zeros behind them; by default all that have no Robin condition.
    robin : mapping of str to complex, optional
        For each named boundary the coefficient rho of the outflow ``rho Psi``.
    coupling : (nedges,) array-like, optional
        Weights of the edges; by default ``domain.edge_data["coupling"]``, else 1. Missing
        neighbours count 1.

    Returns
    -------
    Space
        `B` is the identity, ``w = 1``, and ``G.T diag(wg) G`` the graph Laplacian.

    Raises
    ------
    InputError
        If the domain is no graph, a boundary does not exist or the coupling does not fit.
    """
    if domain.kind != "graph":
        raise InputError(
            f"{domain.source}: this is a mesh of {domain.kind} cells, not a graph (vertex and line "
            "cells); use nepfield.finite_elements()."
        )
    robin = checked_boundaries(domain, dirichlet, robin)
    if dirichlet is None:
        dirichlet = [name for name in domain.boundaries if name not in robin]
    n = len(domain.points)
    ghosts = np.concatenate(
        [np.zeros(0, dtype=np.int64)] + [domain.boundary(name).ravel() for name in dirichlet]
    )
    # A ghost is a neighbour without a degree of freedom: its column falls away.
    columns = np.vstack([domain.cells, np.column_stack([ghosts, np.full(len(ghosts), n)])])
    weights = _edge_weights(domain, coupling)
    outflow = np.zeros(n, dtype=complex)
    for name, rho in robin.items():
        np.add.at(outflow, domain.boundary(name).ravel(), rho)
    return Space(
        domain=domain,
        nodes=domain.points,
        elements=np.arange(n)[:, None],
        dof=np.arange(n),
        ndof=n,
        shape_values=np.ones((1, 1)),
        points=domain.points,
        w=np.ones(n),
        gradient_columns=columns,
        gradient_values=np.tile([-1.0, 1.0], (len(columns), 1, 1)),
        wg=np.concatenate([weights, np.ones(len(ghosts))]),
        boundary_matrix=sp.diags_array(outflow).tocsr(),
        picture_cell="vertex",
    )


def _edge_weights(domain: Domain, coupling: ArrayLike | None) -> np.ndarray:
    """Weights of the edges: as given, else those of the domain, else 1."""
    nedges = len(domain.cells)
    if coupling is None:
        return np.asarray(domain.edge_data.get("coupling", np.ones(nedges)), dtype=float)
    weights = np.asarray(coupling)
    real = weights.shape == (nedges,) and weights.dtype.kind in "fiu"
    if not real or not np.isfinite(weights).all():
        raise InputError(
            f"{domain.source}: coupling must hold one finite real number for each of the "
            f"{nedges} edges"
        )
    return weights.astype(float)
