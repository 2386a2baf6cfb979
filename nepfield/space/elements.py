"""Finite elements of order 1 and 2 on a mesh, built with scikit-fem and kept as a `Space`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import skfem

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

    Parameters
    ----------
    domain : Domain
        A mesh of lines, triangles (3 or 6 nodes) or quadrilaterals.
    order : {1, 2}
        Polynomial order.
    dirichlet : sequence of str, optional
        Named boundaries where the wave vanishes. By default the whole boundary that has no Robin
        condition. Where neither is given, the condition is Neumann: no flux.
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
        If the domain is a graph, the order is not 1 or 2, or a boundary does not exist.
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
        fixed_facets = np.setdiff1d(mesh.boundary_facets(), facet_of(list(robin)))
    else:
        fixed_facets = facet_of(dirichlet)
    dof = np.zeros(basis.N, dtype=np.int64)
    if len(fixed_facets):
        dof[basis.get_dofs(facets=fixed_facets).all()] = -1
    free = dof == 0
    ndof = int(free.sum())
    if ndof == 0:
        raise InputError(
            f"{domain.source}: the Dirichlet boundaries leave no unknown; use a finer mesh."
        )
    dof[free] = np.arange(ndof)
    dof[~free] = ndof

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
        boundary_matrix=_robin_matrix(basis, degree, robin, facet_of)[free][:, free],
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
        for name in names:
            ends = self.vertex[self.domain.boundary(name)[:, :2]]
            found.append(
                self.order[np.searchsorted(self.keys, self._keys(ends), sorter=self.order)]
            )
        return np.unique(np.concatenate(found))


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
