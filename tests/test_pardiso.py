"""MKL PARDISO where it is installed, SuperLU where it is not: the same states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import nepfield as nf
from nepfield.space import pardiso
from nepfield.space.linalg import Factorisation


class Stub:
    """What is asked of the library, by dense arrays."""

    perturbed = 0

    def __init__(self, upper: sp.csr_array, kind: int, settings: object) -> None:
        assert (sp.tril(upper, -1).nnz, kind) == (0, 6)
        self._upper = upper.copy()
        self.refactor(upper.data)

    def refactor(self, values: np.ndarray) -> None:
        upper = self._upper.copy()
        upper.data = values
        self._matrix = (upper + sp.triu(upper, 1).T).toarray()

    def run_phase(self, phase: int) -> None:
        assert phase == 0
        del self._matrix

    def get_iparm_value(self, index: int) -> int:
        return self.perturbed if index == 13 else 0

    def solve(self, right: np.ndarray) -> np.ndarray:
        return np.asfortranarray(np.linalg.solve(self._matrix, right))


@pytest.fixture(params=["installed", "stub"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library if it is installed, and a stub of it, for matrices of any size."""
    found: Any = SimpleNamespace(PardisoSolver=Stub, MTYPE_COMPLEX_SYM=6)
    if request.param == "installed":
        found = pytest.importorskip("pymklpardiso")
    monkeypatch.setattr(pardiso, "_LEAST", 0)
    monkeypatch.setattr(pardiso, "_library", lambda: found)
    pardiso._idle.clear()
    return found


def symmetric(n: int = 40) -> sp.csr_array:
    random = np.random.default_rng(0)
    half = sp.random_array((n, n), density=0.1, rng=random)
    diagonal = sp.diags_array(random.normal(size=n) + 1j)
    return sp.csr_array(half + half.T + diagonal)


def test_complex_symmetric_matrices_are_solved_by_it(library: Any) -> None:
    matrix, random = symmetric(), np.random.default_rng(1)
    factors = pardiso.factors_of(matrix)
    assert isinstance(factors, pardiso._Pardiso)
    for right in (random.normal(size=40), random.normal(size=(40, 3)) + 1j):
        found = factors.solve(right)
        assert found.flags.c_contiguous
        assert found == pytest.approx(Factorisation(matrix).solve(right), abs=1e-12)


def test_the_analysis_of_a_pattern_is_kept(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    analysed: list[int] = []
    analyse = pardiso._analysed

    def counted(library: Any, upper: sp.csr_array) -> Any:
        analysed.append(upper.nnz)
        return analyse(library, upper)

    monkeypatch.setattr(pardiso, "_analysed", counted)
    first, right = symmetric(), np.arange(40) + 1j
    second = sp.csr_array(first + 0.5 * sp.eye_array(40))
    fresh = pardiso.factors_of(second).solve(right)
    again = pardiso.factors_of(first)  # the solver that has just become idle
    assert len(analysed) == 1
    assert again.solve(right) == pytest.approx(Factorisation(first).solve(right), abs=1e-12)
    beside = pardiso.factors_of(second)  # while the other is in use
    assert len(analysed) == 2
    for factors, matrix in ((again, first), (beside, second)):
        assert np.abs(matrix @ factors.solve(right) - right).max() < 1e-10
    del again, factors
    np.testing.assert_array_equal(pardiso.factors_of(second).solve(right), fresh)
    assert len(analysed) == 2
    other = symmetric(30)
    assert np.abs(other @ pardiso.factors_of(other).solve(right[:30]) - right[:30]).max() < 1e-10
    assert len(analysed) == 3


def test_all_others_stay_with_superlu(library: Any) -> None:
    matrix = symmetric()
    skew = sp.csr_array(matrix + sp.coo_array(([0.1], ([0], [1])), shape=(40, 40)))
    for other in (sp.csr_array(matrix.real), skew):
        assert isinstance(pardiso.factors_of(other), Factorisation)
    singular = sp.csr_array((np.array([1.0 + 0j]), ([0], [0])), shape=(2, 2))
    with pytest.raises(np.linalg.LinAlgError):
        pardiso.factors_of(singular).solve(np.ones(2))


def test_a_pivot_that_was_too_small_is_left_to_superlu(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pardiso._Pardiso, "regular", False)
    assert isinstance(pardiso.factors_of(symmetric()), Factorisation)


def test_small_matrices_stay_with_superlu() -> None:
    assert isinstance(pardiso.factors_of(symmetric()), Factorisation)


def test_states_and_gradients_are_the_same(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    space = nf.finite_elements(nf.read_domain("meshes/billiard.msh"), order=1)
    center = [float(x) for x in space.points[len(space.points) // 2]]
    pump = nf.gaussian_pump(center, 0.5, 2.0)
    cost = nf.MSE(nf.readout(space, discs=[(center, 1.0)]))

    def gradient() -> np.ndarray:
        system = nf.GPE(space, 0.5, [pump], nf.Density(0.5), 0.1)
        return nf.gradient(system, cost, np.ones((2, 1)), np.ones((2, 1)), "adjoint").fields[
            "potential"
        ]

    ours = gradient()
    monkeypatch.setattr(pardiso, "_library", lambda: None)
    assert ours == pytest.approx(gradient(), rel=1e-8)
