"""Vertices of a graph by their numbers, and the lengths of its edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain


def chosen_vertices(domain: Domain, name: str, chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """Vertices as whole numbers, in the order given.

    Parameters
    ----------
    domain : Domain
        A graph.
    name : str
        What they are called in messages.
    chosen : sequence of int

    Raises
    ------
    InputError
        If one of them is not on the graph or named twice.
    """
    n, index = len(domain.points), np.asarray(chosen, dtype=float)
    whole = index.ndim == 1 and bool(np.all(index == np.floor(index)))
    if not whole or np.any((index < 0) | (index >= n)) or len(np.unique(index)) < len(index):
        raise InputError(
            f"{name} = {np.asarray(chosen).tolist()}: give vertices of {domain.source}, whole "
            f"numbers from 0 to {n - 1}, none twice."
        )
    return index.astype(np.int64)


def edge_lengths(domain: Domain) -> np.ndarray:
    """Lengths of the edges of a graph where its vertices are, (nedges,)."""
    near, far = domain.points[domain.cells].transpose(1, 0, 2)
    return np.linalg.norm(near - far, axis=1)
