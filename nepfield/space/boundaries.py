"""Conditions on named boundaries, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain


def checked_boundaries(
    domain: Domain, dirichlet: Sequence[str] | None, robin: Mapping[str, complex] | None
) -> dict[str, complex]:
    """The Robin conditions as a dict, after a check of all names and values."""
    robin = dict(robin or {})
    for name in [*(dirichlet or []), *robin]:
        domain.boundary(name)
    both = set(dirichlet or []) & set(robin)
    if both:
        raise InputError(f"{domain.source}: boundary {both.pop()!r} is both Dirichlet and Robin.")
    for name, rho in robin.items():
        if not np.isfinite(rho):
            raise InputError(f"robin coefficient of boundary {name!r} is not finite: {rho}.")
    return robin
