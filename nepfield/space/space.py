"""A Domain becomes a Space: what the physics needs to know of a mesh or a graph, and nothing more.

A `Space` evaluates a state at points (`B`), takes its gradient (`G`), and weighs both (`w`, `wg`).
Finite elements of order 1 and 2 and graphs differ in these four objects alone:

================  ======================================  =============================
object            finite elements                         graph
================  ======================================  =============================
``B`` (nq, ndof)  values at quadrature points             identity
``G`` (ng, ndof)  gradients at quadrature points          signed incidence, a row an edge
``w`` (nq,)       quadrature weight times Jacobian        1 per vertex
``wg`` (ng,)      the same, per direction                 coupling per edge
================  ======================================  =============================

so that ``G.T diag(wg) G`` is the stiffness matrix of the one and the Laplacian of the other.
A graph is handled as finite elements with one node and one quadrature point a cell (its vertex),
which is why no code below this module asks which of the two it works on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.mesh.domain import Domain
from nepfield.reprs import Described, counted
from nepfield.space.arrays import squared_magnitude
from nepfield.space.linalg import csr_of_rows, may_be_positive, real_product, real_times


@dataclass(frozen=True, eq=False)
class Space(Described):
    """Discrete functions on a domain.

    Attributes
    ----------
    domain : Domain
        Where the functions live.
    nodes : ndarray, shape (nnodes, dim)
        Points that carry a value, those on Dirichlet boundaries included.
    elements : ndarray of int, shape (nelements, nlocal)
        Nodes of each element; a graph has one element a vertex.
    dof : ndarray of int, shape (nnodes,)
        Degree of freedom of each node; `ndof` where the value is zero by a Dirichlet condition.
    ndof : int
        Number of degrees of freedom.
    shape_values : ndarray, shape (npoints_local, nlocal)
        Shape functions at the quadrature points of the reference element.
    points : ndarray, shape (nq, dim)
        Quadrature points, element by element.
    w : ndarray, shape (nq,)
        Their weights (length, area; 1 on a graph).
    gradient_columns : ndarray of int, shape (nparts, nends)
        Degrees of freedom that the gradient in each part (element; edge of a graph) depends on;
        `ndof` for those that are zero.
    gradient_values : ndarray, shape (nparts, nrows, nends)
        Gradient of their shape functions: a row a direction and quadrature point, or an edge.
    wg : ndarray, shape (nparts * nrows,)
        Weights of the rows of `G`.
    boundary_matrix : csr_array, shape (ndof, ndof)
        Integral of rho times two shape functions over Robin boundaries, complex in general.
    picture_cell : str
        meshio's name of the cell that shows an element.
    single : Space or None
        The space of one component, of which this one holds several (`nepfield.space.components`).
    """

    domain: Domain
    nodes: np.ndarray
    elements: np.ndarray
    dof: np.ndarray
    ndof: int
    shape_values: np.ndarray
    points: np.ndarray
    w: np.ndarray
    gradient_columns: np.ndarray
    gradient_values: np.ndarray
    wg: np.ndarray
    boundary_matrix: sp.csr_array
    picture_cell: str
    single: Space | None = None

    @cached_property
    def is_graph(self) -> bool:
        """Whether the domain is a degenerate graph mesh (then `B` is the identity)."""
        return self.domain.kind == "graph"

    @cached_property
    def element_of_point(self) -> np.ndarray:
        """Element (cell of the domain, vertex of a graph) of each quadrature point, shape (nq,)."""
        return np.repeat(np.arange(len(self.elements)), len(self.shape_values))

    @cached_property
    def B(self) -> sp.csr_array:
        """Values at the quadrature points, csr_array of shape (nq, ndof)."""
        columns = np.repeat(self.dof[self.elements], len(self.shape_values), axis=0)
        values = np.tile(self.shape_values, (len(self.elements), 1))
        return csr_of_rows(columns, values, self.ndof)

    @cached_property
    def _B_transposed(self) -> sp.csr_array:
        return self.B.T.tocsr()

    @cached_property
    def G(self) -> sp.csr_array:
        """Gradient of a state at the quadrature points, csr_array of shape (ng, ndof)."""
        nrows, nends = self.gradient_values.shape[1:]
        columns = np.repeat(self.gradient_columns, nrows, axis=0)
        return csr_of_rows(columns, self.gradient_values.reshape(-1, nends), self.ndof)

    @cached_property
    def stiffness(self) -> sp.csr_array:
        """``G.T diag(wg) G``, the negative Laplacian in weak form, shape (ndof, ndof)."""
        values, columns = self.gradient_values, self.gradient_columns
        weighted = values * self.wg.reshape(len(values), -1, 1)
        local = weighted.transpose(0, 2, 1) @ values
        nends = columns.shape[1]
        rows = np.repeat(columns, nends, axis=1).ravel()
        columns = np.tile(columns, (1, nends)).ravel()
        inside = (rows < self.ndof) & (columns < self.ndof)
        entries = (local.ravel()[inside], (rows[inside], columns[inside]))
        return sp.coo_array(entries, shape=(self.ndof, self.ndof)).tocsr()

    @cached_property
    def kinetic(self) -> sp.csr_array:
        """-1/2 Laplacian with its Robin boundaries, shape (ndof, ndof)."""
        return (0.5 * (self.stiffness + self.boundary_matrix)).tocsr()

    @cached_property
    def boundary_gains(self) -> bool:
        """Whether a boundary may give energy to a wave (or a quadrature weight be negative)."""
        gains = self.boundary_matrix.nnz > 0 and may_be_positive(self.boundary_matrix.imag)
        return gains or bool(self.w.min() <= 0)

    @cached_property
    def dense_kinetic(self) -> np.ndarray:
        """The same as a dense array, for small spaces."""
        return self.kinetic.toarray()

    @cached_property
    def mass(self) -> sp.csr_array:
        """``B.T diag(w) B``, shape (ndof, ndof)."""
        return self.assemble(np.ones_like(self.w))

    @cached_property
    def mass_diagonal(self) -> np.ndarray:
        """Diagonal of the mass matrix: turns weak residuals into pointwise ones, shape (ndof,)."""
        return np.asarray(self.mass.diagonal())

    def evaluate(self, state: np.ndarray) -> np.ndarray:
        """Values of a state at the quadrature points.

        Parameters
        ----------
        state : ndarray, shape (ndof,) or (ndof, nsamples)

        Returns
        -------
        ndarray, shape (nq,) or (nq, nsamples)
        """
        return state if self.is_graph else real_times(self.B, state)

    def integrate(self, values: np.ndarray) -> np.ndarray:
        """Integral of a field against every shape function: ``B.T (w values)``.

        Parameters
        ----------
        values : ndarray, shape (nq,) or (nq, nsamples)
            The field at the quadrature points.

        Returns
        -------
        ndarray, shape (ndof,) or (ndof, nsamples)
        """
        if self.is_graph:
            return values
        weighted = self.w * values if values.ndim == 1 else self.w[:, None] * values
        return real_times(self._B_transposed, weighted)

    @cached_property
    def _pattern(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index pointers and columns of all matrices, and the place of each element's entries."""
        local = self.dof[self.elements]
        nlocal = local.shape[1]
        rows = np.repeat(local, nlocal, axis=1).ravel().astype(np.int64)
        columns = np.tile(local, (1, nlocal)).ravel().astype(np.int64)
        inside = (rows < self.ndof) & (columns < self.ndof)
        keys, place_inside = np.unique(
            rows[inside] * self.ndof + columns[inside], return_inverse=True
        )
        place = np.full(len(rows), len(keys))  # entries of Dirichlet nodes fall off the end
        place[inside] = place_inside
        pointers = np.searchsorted(keys, np.arange(self.ndof + 1) * self.ndof)
        return pointers.astype(np.int32), (keys % self.ndof).astype(np.int32), place

    @cached_property
    def _shape_products(self) -> np.ndarray:
        """Products of two shape functions at the local points, (npoints_local, nlocal**2)."""
        values = self.shape_values
        return (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)

    def assemble(self, coefficient: np.ndarray) -> sp.csr_array:
        """Mass matrix with a coefficient, ``B.T diag(w coefficient) B``.

        The sparsity pattern is fixed and shared by all results, so this costs one small matrix
        product and one `bincount`, and never a sort.

        Parameters
        ----------
        coefficient : ndarray, shape (nq,)
            Real or complex values at the quadrature points. Of a wave of c components also blocks
            that couple them, shape (c, c, nq / c).

        Returns
        -------
        csr_array, shape (ndof, ndof)
        """
        if coefficient.ndim == 3 and self.single is not None:
            blocks = [[self.single.assemble(part) for part in row] for row in coefficient]
            return sp.block_array(blocks).tocsr()
        pointers, columns, place = self._pattern

        def gather(values: np.ndarray) -> np.ndarray:
            local = (self.w * values).reshape(len(self.elements), -1) @ self._shape_products
            return np.bincount(place, local.ravel(), minlength=len(columns) + 1)[: len(columns)]

        if np.iscomplexobj(coefficient):
            data = np.empty(len(columns), dtype=complex)
            data.real, data.imag = gather(coefficient.real), gather(coefficient.imag)
        else:
            data = gather(coefficient)
        return sp.csr_array((data, columns, pointers), shape=(self.ndof, self.ndof))

    @cached_property
    def _dense_values(self) -> np.ndarray:
        return self.B.toarray()

    def add_dense(self, coefficient: np.ndarray, matrix: np.ndarray) -> None:
        """Add the result of `assemble` to dense arrays, for small spaces.

        Parameters
        ----------
        coefficient : ndarray, shape (..., nq), or with components (..., c, c, nq / c)
        matrix : ndarray, shape (..., ndof, ndof)
            Changed in place.
        """
        single = self.single
        if single is not None and coefficient.shape[-1] == len(single.w):
            n = single.ndof
            for i, j in np.ndindex(coefficient.shape[-3:-1]):
                block = matrix[..., i * n : (i + 1) * n, j * n : (j + 1) * n]
                single.add_dense(coefficient[..., i, j, :], block)
        elif self.is_graph:
            diagonal = matrix.diagonal(0, -2, -1)
            diagonal.setflags(write=True)  # it is a view
            diagonal += coefficient
        else:
            values = self._dense_values
            matrix += np.matmul(values.T * (self.w * coefficient)[..., None, :], values)

    def at_nodes(self, state: np.ndarray) -> np.ndarray:
        """Values at all nodes, zeros at Dirichlet nodes included, shape (nnodes, ...)."""
        padded = np.concatenate([state, np.zeros((1, *state.shape[1:]), state.dtype)])
        return padded[self.dof]

    def population(self, state: np.ndarray) -> np.ndarray:
        """Integral of ``|Psi|^2`` over the domain (of a graph its sum), per sample.

        Parameters
        ----------
        state : ndarray, shape (ndof,) or (ndof, nsamples)

        Returns
        -------
        ndarray, shape () or (nsamples,)
        """
        return self.w @ squared_magnitude(self.evaluate(state))

    def residual_norm(self, residual: np.ndarray) -> np.ndarray:
        """Discrete L2 norm of a residual in weak form, per sample; of a state see `population`.

        Parameters
        ----------
        residual : ndarray, shape (ndof, nsamples)

        Returns
        -------
        ndarray, shape (nsamples,)
            Euclidean norm of ``residual / sqrt(diag(mass))``.
        """
        weighted = residual * self.norm_weight
        return np.sqrt(real_product(weighted, weighted))

    @cached_property
    def norm_weight(self) -> np.ndarray:
        """``1 / sqrt(diag(mass))``, (ndof, 1): it makes the Euclidean norm that of fields."""
        return 1 / np.sqrt(self.mass_diagonal)[:, None]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        kind = "graph" if self.is_graph else f"{self.picture_cell} elements"
        if self.single is not None:
            kind += f", {self.ndof // self.single.ndof} components"
        return f"Space on {self.domain.source}: {kind}, {counted(self.ndof, 'unknown')}", {
            "nodes": f"{len(self.nodes)}, {len(self.nodes) - int((self.dof < self.ndof).sum())} of "
            "them held at 0",
            "points": f"{len(self.w)} for quadrature, total weight {self.w.sum():.6g}",
        }
