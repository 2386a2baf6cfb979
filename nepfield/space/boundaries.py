"""Conditions on named boundaries, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.cells import side_groups
from nepfield.mesh.domain import Domain


def checked_boundaries(
    domain: Domain, dirichlet: Sequence[str] | None, robin: Mapping[str, complex] | None
) -> dict[str, complex]:
    """The Robin conditions as a dict, after a check of all names and values."""
    robin = dict(robin or {})
    for name in [*(dirichlet or []), *robin]:
        check_open(domain, name, "robin" if name in robin else "dirichlet")
    both = set(dirichlet or []) & set(robin)
    if both:
        raise InputError(f"{domain.source}: boundary {both.pop()!r} is both Dirichlet and Robin.")
    for name, rho in robin.items():
        if not np.isfinite(rho):
            raise InputError(f"robin coefficient of boundary {name!r} is not finite: {rho}.")
    return robin


def check_open(domain: Domain, name: str, what: str) -> None:
    """InputError if a boundary, on which something is set, does not exist or is periodic."""
    facets = domain.boundary(name)
    for seam in domain.seams:
        both = np.concatenate([seam.near, seam.far])
        groups = side_groups(np.concatenate([both, facets]), len(domain.points))
        count = int(np.isin(groups[len(both) :], groups[: len(both)]).sum())
        if count:
            raise InputError(
                f"{domain.source}: {what} names boundary {name!r}, but {count} of its "
                f"{len(facets)} facets are periodic ({seam.name}): the wave goes on there, and "
                "nothing else can be set. Leave them out, or open the mesh with periodic = []."
            )
