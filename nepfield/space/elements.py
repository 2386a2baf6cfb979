"""Finite elements of order 1 and 2 on a mesh, built with scikit-fem and kept as a `Space`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import skfem
from scipy.sparse.csgraph import connected_components

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain
from nepfield.space.boundaries import checked_boundaries
from nepfield.space.space import Space

_MESHES = {
    "line": skfem.MeshLine1,
    "triangle": skfem.MeshTri1,
    "triangle6": skfem.MeshTri2,
    "quad": skfem.MeshQuad1,
}
_ELEMENTS = {
    ("line", 1): skfem.ElementLineP1,
    ("line", 2): skfem.ElementLineP2,
    ("triangle", 1): skfem.ElementTriP1,
    ("triangle", 2): skfem.ElementTriP2,
    ("triangle6", 1): skfem.ElementTriP1,
    ("triangle6", 2): skfem.ElementTriP2,
    ("quad", 1): skfem.ElementQuad1,
    ("quad", 2): skfem.ElementQuad2,
}
# The order of scikit-fem's local nodes is VTK's, so elements are also the cells of a picture.
_PICTURE_CELLS = {
    skfem.ElementLineP1: "line",
    skfem.ElementLineP2: "line3",
    skfem.ElementTriP1: "triangle",
    skfem.ElementTriP2: "triangle6",
    skfem.ElementQuad1: "quad",
    skfem.ElementQuad2: "quad9",
}


def finite_elements(
    domain: Domain,
    order: int = 2,
    dirichlet: Sequence[str] | None = None,
    robin: Mapping[str, complex] | None = None,
    quadrature: int | None = None,
) -> Space:
    """Continuous finite elements on a mesh.

    Where the mesh is closed (``domain.seams``) the nodes of both sides are one degree of freedom.

    Parameters
    ----------
    domain : Domain
        A mesh of lines, triangles (3 or 6 nodes) or quadrilaterals.
    order : {1, 2}
        Polynomial order.
    dirichlet : sequence of str, optional
        Named boundaries where the wave vanishes. By default the whole boundary that has no Robin
        condition and is not periodic. Where neither is given, the condition is Neumann: no flux.
    robin : mapping of str to complex, optional
        For each named boundary the coefficient rho of ``dPsi/dn + rho Psi = 0``. An impedance
        boundary that lets waves of wave number k out has ``rho = -1j * k``.
    quadrature : int, optional
        Polynomial degree that is integrated exactly, by default ``2 * order``.

    Returns
    -------
    Space

    Raises
    ------
    InputError
        If the domain is a graph, the order is not 1 or 2, or a boundary does not exist or is
        periodic.
    """
    if domain.kind == "graph":
        raise InputError(f"{domain.source}: a graph has no finite elements; use nepfield.graph().")
    if order not in (1, 2):
        raise InputError(f"order = {order!r}: finite elements of order 1 and 2 are available.")
    robin = checked_boundaries(domain, dirichlet, robin)
    mesh = _MESHES[domain.kind](
        np.ascontiguousarray(domain.points.T), np.ascontiguousarray(domain.cells.T), sort_t=False
    )
    element = _ELEMENTS[domain.kind, order]()
    degree = 2 * order if quadrature is None else quadrature
    basis = skfem.CellBasis(mesh, element, intorder=degree)
    elements = basis.element_dofs.T

    facet_of = _FacetFinder(domain, mesh)
    if dirichlet is None:
        closed = [facet_of.rows(rows) for seam in domain.seams for rows in (seam.near, seam.far)]
        fixed_facets = np.setdiff1d(
            mesh.boundary_facets(), np.concatenate([facet_of(list(robin)), *closed])
        )
    else:
        fixed_facets = facet_of(dirichlet)
    same = _joined_nodes(domain, basis, facet_of)  # a node stands for all that are one with it
    free = same == np.arange(basis.N)
    if len(fixed_facets):
        free[same[basis.get_dofs(facets=fixed_facets).all()]] = False
    ndof = int(free.sum())
    if ndof == 0:
        raise InputError(
            f"{domain.source}: the Dirichlet boundaries leave no unknown; use a finer mesh."
        )
    number = np.full(basis.N, ndof, dtype=np.int64)
    number[free] = np.arange(ndof)
    dof = number[same]
    kept = np.flatnonzero(dof < ndof)
    spread = sp.csr_array((np.ones(len(kept)), (kept, dof[kept])), shape=(basis.N, ndof))

    dim = mesh.dim()
    gradients = np.stack([field[0].grad for field in basis.basis])  # (nlocal, dim, nel, npoints)
    gradients = np.broadcast_to(gradients, (len(basis.basis), dim, *basis.dx.shape))
    return Space(
        domain=domain,
        nodes=np.ascontiguousarray(basis.doflocs.T),
        elements=elements,
        dof=dof,
        ndof=ndof,
        shape_values=np.stack(
            [np.atleast_2d(np.asarray(field[0]))[0] for field in basis.basis], axis=1
        ),
        points=np.moveaxis(np.asarray(basis.global_coordinates()), 0, -1).reshape(-1, dim),
        w=np.ascontiguousarray(basis.dx).ravel(),
        gradient_columns=dof[elements],
        gradient_values=gradients.transpose(2, 3, 1, 0).reshape(len(elements), -1, len(gradients)),
        wg=np.repeat(basis.dx.ravel(), dim),
        boundary_matrix=(spread.T @ _robin_matrix(basis, degree, robin, facet_of) @ spread).tocsr(),
        picture_cell=_PICTURE_CELLS[type(element)],
    )


class _FacetFinder:
    """Finds scikit-fem's facets of named boundaries by their end points."""

    def __init__(self, domain: Domain, mesh: skfem.Mesh) -> None:
        self.domain = domain
        corners = domain.cells[:, : mesh.t.shape[0]]
        # scikit-fem renumbers the corners of curved cells: it counts them without the midpoints.
        self.vertex = np.full(len(domain.points), -1)
        self.vertex[corners.ravel()] = mesh.t.T.ravel()
        self.count = int(mesh.t.max()) + 1
        self.keys = self._keys(np.asarray(mesh.facets).T)
        self.order = np.argsort(self.keys)

    def _keys(self, ends: np.ndarray) -> np.ndarray:
        ends = np.sort(ends, axis=1).astype(np.int64)
        return ends[:, 0] * self.count + ends[:, -1]

    def __call__(self, names: Sequence[str]) -> np.ndarray:
        found = [np.zeros(0, dtype=np.int64)]
        found += [self.rows(self.domain.boundary(name)) for name in names]
        return np.unique(np.concatenate(found))

    def rows(self, facets: np.ndarray) -> np.ndarray:
        """The facet of each row of points."""
        keys = self._keys(self.vertex[facets[:, :2]])
        return np.asarray(self.order[np.searchsorted(self.keys, keys, sorter=self.order)])


def _joined_nodes(domain: Domain, basis: skfem.CellBasis, facet_of: _FacetFinder) -> np.ndarray:
    """For each node the first of all nodes that periodic boundaries make one with it, (nnodes,)."""
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for seam in domain.seams:
        ends = facet_of.vertex[np.stack([seam.near[:, :2].ravel(), seam.far[:, :2].ravel()])]
        middles = np.stack([facet_of.rows(seam.near), facet_of.rows(seam.far)])
        pairs += [dofs[ends] for dofs in basis.nodal_dofs]
        pairs += [dofs[middles] for dofs in basis.facet_dofs]
    one, other = np.concatenate(pairs, axis=1)
    links = sp.coo_array((np.ones(len(one)), (one, other)), shape=(basis.N, basis.N))
    _, first, group = np.unique(
        connected_components(links, directed=False)[1], return_index=True, return_inverse=True
    )
    return np.asarray(first[group])


def _robin_matrix(
    basis: skfem.CellBasis, degree: int, robin: Mapping[str, complex], facet_of: _FacetFinder
) -> sp.csr_array:
    """Sum over Robin boundaries of rho times the mass matrix of the boundary."""
    total = sp.csr_array((basis.N, basis.N), dtype=complex)
    form = skfem.BilinearForm(lambda u, v, _: u * v)
    for name, rho in robin.items():
        facets = skfem.FacetBasis(basis.mesh, basis.elem, facets=facet_of([name]), intorder=degree)
        total = total + rho * sp.csr_array(form.assemble(facets))
    return total
