"""Functions with several components, such as the two polarisations of a wave."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from nepfield.space.space import Space


def components(space: Space, count: int) -> Space:
    """The space of vectors of functions, component after component.

    Nodes, degrees of freedom and quadrature points of each component follow those of the one
    before: a state has the shape (count * ndof, nsamples).

    Parameters
    ----------
    space : Space
        Of one component.
    count : int
    """
    dofs = np.arange(count)[:, None] * space.ndof

    def offset(index: np.ndarray) -> np.ndarray:
        """Degrees of freedom of all components; what is zero stays so."""
        flat = index.ravel()
        moved = np.where(flat < space.ndof, flat + dofs, count * space.ndof)
        return moved.reshape(count * len(index), *index.shape[1:])

    elements = np.concatenate([space.elements + k * len(space.nodes) for k in range(count)])
    return Space(
        domain=space.domain,
        nodes=np.tile(space.nodes, (count, 1)),
        elements=elements,
        dof=offset(space.dof),
        ndof=count * space.ndof,
        shape_values=space.shape_values,
        points=np.tile(space.points, (count, 1)),
        w=np.tile(space.w, count),
        gradient_columns=offset(space.gradient_columns),
        gradient_values=np.tile(space.gradient_values, (count, 1, 1)),
        wg=np.tile(space.wg, count),
        boundary_matrix=sp.block_diag([space.boundary_matrix] * count).tocsr(),
        picture_cell=space.picture_cell,
        single=space,
    )
