"""Re-assembly of the Jacobian's local part against scikit-fem's form, at the same quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem

import nepfield as nf
from studies.speed.cases import box
from studies.speed.measure import Measurement, best_of

_NAME = "assembly against a scikit-fem form"
_ELEMENTS = {1: skfem.ElementTriP1, 2: skfem.ElementTriP2}


def compare_assembly(n: int = 128, repeats: int = 15) -> list[Measurement]:
    """``B.T diag(w a) B`` for orders 1 and 2 and real and complex a, on 2 n^2 triangles."""
    rows = []
    for order in (1, 2):
        domain = box(n)
        space = nf.finite_elements(domain, order=order)
        mesh = skfem.MeshTri1(
            np.ascontiguousarray(domain.points.T), np.ascontiguousarray(domain.cells.T)
        )
        basis = skfem.CellBasis(mesh, _ELEMENTS[order](), intorder=2 * order)
        random = np.random.default_rng(0)
        real = random.uniform(size=len(space.w))
        for coefficient in (real, real + 1j * random.uniform(size=len(real))):
            rows += _compare(space, basis, coefficient, order, repeats)
    return rows


def _compare(
    space: nf.Space, basis: skfem.CellBasis, coefficient: np.ndarray, order: int, repeats: int
) -> list[Measurement]:
    def mass(u: Any, v: Any, w: Any) -> Any:
        return w.a * u * v

    form = skfem.BilinearForm(mass, dtype=coefficient.dtype.type)
    values = coefficient.reshape(basis.dx.shape)
    free = space.dof < space.ndof
    ours = space.assemble(coefficient)
    theirs = form.assemble(basis, a=values)[free][:, free]
    difference = abs(ours - theirs).max() / abs(theirs).max()
    fast, slow = best_of(
        repeats, lambda: space.assemble(coefficient), lambda: form.assemble(basis, a=values)
    )
    kind = "complex" if np.iscomplexobj(coefficient) else "real"
    case = f"order {order}, {len(space.elements):,} triangles, {kind} coefficient"
    return [
        Measurement(_NAME, case, "nepfield", fast, "s"),
        Measurement(_NAME, case, "scikit-fem", slow, "s"),
        # The Jacobians of the built-in nonlinearities are real.
        Measurement(_NAME, case, "ratio", slow / fast, "", ">= 10" if kind == "real" else ""),
        Measurement(_NAME, case, "difference of the matrices", difference, "", "<= 1e-12"),
    ]
