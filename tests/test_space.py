"""Spaces: the identities that tie B, G, w and wg together, spectra, and boundary conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
from helpers import MESHES, at_nodes, interval, skewed_quads, square, uneven_interval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import jn_zeros

import nepfield as nf
from nepfield.space.linalg import Factorisation, csr_of_rows, real_times

DOMAINS = {
    "line": uneven_interval(6, 2.0),
    "triangle": nf.read_domain(MESHES / "polygon.msh"),
    "triangle6": nf.read_domain(MESHES / "disc.msh"),
    "quad": skewed_quads(5),
}
AREA = {"line": 2.0, "triangle": 3.0, "triangle6": np.pi, "quad": 1.0}
CASES = [(kind, order) for kind in DOMAINS for order in (1, 2)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def space(request):
    kind, order = request.param
    return nf.finite_elements(DOMAINS[kind], order=order)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def open_space(request):
    kind, order = request.param
    return nf.finite_elements(DOMAINS[kind], order=order, dirichlet=[])


def distance(a, b):
    return np.abs((a - b).toarray()).max()


# -- identities -----------------------------------------------------------------------


def test_stiffness_is_the_product_of_gradients(space):
    product = space.G.T @ sp.diags_array(space.wg) @ space.G
    scale = np.abs(space.stiffness.toarray()).max()
    assert scale > 0.1
    assert distance(space.stiffness, product) < 1e-13 * scale


@pytest.mark.parametrize("complex_valued", [False, True])
def test_assembled_matrix_is_the_product_of_values(space, complex_valued):
    rng = np.random.default_rng(1)
    coefficient = rng.normal(size=len(space.w))
    if complex_valued:
        coefficient = coefficient + 1j * rng.normal(size=len(space.w))
    product = space.B.T @ sp.diags_array(space.w * coefficient) @ space.B
    assembled = space.assemble(coefficient)
    assert np.iscomplexobj(assembled.data) == complex_valued
    assert distance(assembled, product) < 1e-13 * np.abs(product.toarray()).max()


def test_dense_assembly_equals_sparse_assembly(space):
    rng = np.random.default_rng(2)
    coefficients = rng.normal(size=(2, len(space.w))) + 1j * rng.normal(size=(2, len(space.w)))
    dense = np.ones((2, space.ndof, space.ndof), dtype=complex)
    space.add_dense(coefficients, dense)
    for one, coefficient in zip(dense, coefficients, strict=True):
        assert np.allclose(one, 1 + space.assemble(coefficient).toarray(), atol=1e-14)
        alone = np.ones_like(one)
        space.add_dense(coefficient, alone)
        assert np.allclose(alone, one, atol=1e-14)


def test_assembly_keeps_one_pattern_even_where_the_coefficient_vanishes(space):
    full, empty = space.assemble(np.ones_like(space.w)), space.assemble(np.zeros_like(space.w))
    assert np.array_equal(full.indices, empty.indices)
    assert np.array_equal(full.indptr, empty.indptr)
    assert not np.any(empty.data)


def test_matrices_are_symmetric(space):
    coefficient = np.exp(1j * space.points[:, 0])
    for matrix in (space.stiffness, space.mass, space.assemble(coefficient)):
        assert distance(matrix, matrix.T) < 1e-14


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), nsamples=st.integers(1, 3))
def test_integrate_is_the_adjoint_of_evaluate(seed, nsamples):
    rng = np.random.default_rng(seed)
    spaces = [nf.graph(nf.lattice(2, 3))]
    spaces += [nf.finite_elements(DOMAINS[kind], order=2) for kind in ("line", "quad")]
    for space in spaces:
        state, values = (
            rng.normal(size=(n, nsamples)) + 1j * rng.normal(size=(n, nsamples))
            for n in (space.ndof, len(space.w))
        )
        left = np.sum(space.w[:, None] * space.evaluate(state) * values, axis=0)
        right = np.sum(state * space.integrate(values), axis=0)
        assert np.allclose(left, right, rtol=1e-12, atol=1e-12)
        # one sample, given without its axis, is handled alike
        assert np.allclose(space.evaluate(state[:, 0]), space.evaluate(state)[:, 0])
        assert np.allclose(space.integrate(values[:, 0]), space.integrate(values)[:, 0])


@pytest.mark.parametrize("kind", DOMAINS)
def test_weights_sum_to_the_area(kind):
    curved = 2e-4 if kind == "triangle6" else 1e-13
    for order in (1, 2):
        space = nf.finite_elements(DOMAINS[kind], order=order)
        assert space.w.sum() == pytest.approx(AREA[kind], rel=curved)
        assert np.all(space.w > 0)
        per_element = np.bincount(space.element_of_point, space.w)
        assert len(per_element) == len(DOMAINS[kind].cells)
        measures = nf.mesh.report.cell_measures(DOMAINS[kind])
        assert np.allclose(per_element, measures, rtol=1e-3 if kind == "triangle6" else 1e-12)


def test_constants_have_value_one_and_no_gradient(open_space):
    one = np.ones(open_space.ndof)
    assert np.allclose(open_space.evaluate(one), 1, atol=1e-13)
    assert np.abs(open_space.G @ one).max() < 1e-11
    assert np.abs(open_space.stiffness @ one).max() < 1e-12
    lowest = np.sort(scipy.linalg.eigvalsh(open_space.stiffness.toarray()))[:2]
    assert abs(lowest[0]) < 1e-12  # the constant alone lies in the kernel
    assert lowest[1] > 1e-4


@pytest.mark.parametrize(
    "open_space",
    [case for case in CASES if case != ("triangle6", 1)],  # order 1 is not linear on curved cells
    ids=lambda case: f"{case[0]}-{case[1]}",
    indirect=True,
)
def test_linear_functions_are_exact(open_space):
    for direction in range(open_space.points.shape[1]):
        state = open_space.nodes[:, direction][np.argsort(open_space.dof)]
        assert np.allclose(open_space.evaluate(state), open_space.points[:, direction], atol=1e-13)
        gradient = open_space.G @ state
        assert gradient @ (open_space.wg * gradient) == pytest.approx(open_space.w.sum())


@pytest.mark.parametrize("kind", ["line", "triangle", "quad"])
def test_order_two_reproduces_quadratics(kind):
    domain = square(3, kind="quad") if kind == "quad" else DOMAINS[kind]
    space = nf.finite_elements(domain, order=2, dirichlet=[])

    def parabola(points):
        return points[:, 0] ** 2 - 0.5 * points[:, 0] * points[:, -1] + 1j * points[:, -1]

    assert np.allclose(
        space.evaluate(at_nodes(space, parabola))[:, 0], parabola(space.points), atol=1e-13
    )


@pytest.mark.parametrize(("order", "degree"), [(1, 2), (2, 4)])
def test_default_quadrature_integrates_products_of_shape_functions(order, degree):
    space = nf.finite_elements(square(2), order=order)
    x, y = space.points.T
    exact = 1 / ((degree // 2 + 1) * (degree - degree // 2 + 1))
    assert space.w @ (x ** (degree // 2) * y ** (degree - degree // 2)) == pytest.approx(
        exact, rel=1e-12
    )


def test_more_quadrature_can_be_asked_for():
    few, many = (nf.finite_elements(square(2), order=1, quadrature=q) for q in (2, 6))
    assert len(many.w) > len(few.w)
    assert distance(many.mass, few.mass) < 1e-14


def test_at_nodes_puts_zeros_on_walls(space):
    state = np.arange(1.0, space.ndof + 1)[:, None] * [1.0, 1j]
    values = space.at_nodes(state)
    assert values.shape == (len(space.nodes), 2)
    fixed = space.dof == space.ndof
    assert fixed.any()
    assert not values[fixed].any()
    assert np.array_equal(values[~fixed], state[space.dof[~fixed]])


def test_norm_is_that_of_the_pointwise_residual():
    space = nf.finite_elements(interval(4000), order=1, dirichlet=[])
    field = np.sin(np.pi * space.points[:, 0])
    norm = space.residual_norm(space.integrate(field)[:, None] * [1.0, -2.0j])
    # lumped with the diagonal 2h/3 for a mass h: a factor 3/2 in the square
    assert norm == pytest.approx(np.sqrt(0.5 * 1.5) * np.array([1, 2]), rel=1e-3)


# -- spectra --------------------------------------------------------------------------


def lowest_levels(space, count):
    return scipy.linalg.eigh(space.stiffness.toarray(), space.mass.toarray(), eigvals_only=True)[
        :count
    ]


@pytest.mark.parametrize(
    ("domain", "exact"),
    [
        (interval(20), np.pi**2 * np.array([1, 4, 9])),
        (square(8), np.pi**2 * np.array([2, 5, 5])),
        (square(8, kind="quad"), np.pi**2 * np.array([2, 5, 5])),
        (
            nf.read_domain(MESHES / "disc-1.msh"),
            np.array([jn_zeros(m, 1)[0] for m in (0, 1, 1)]) ** 2,
        ),
    ],
    ids=["interval", "square", "square-quads", "disc"],
)
def test_lowest_levels(domain, exact):
    rough, fine = (lowest_levels(nf.finite_elements(domain, order=o), 3) for o in (1, 2))
    assert np.allclose(fine, exact, rtol=2e-3)
    assert np.allclose(rough, exact, rtol=0.12)
    assert np.abs(rough - exact).max() > 5 * np.abs(fine - exact).max()


def test_mixed_conditions_on_an_interval():
    """Zero on the left, no flux on the right: quarter waves."""
    space = nf.finite_elements(interval(20), order=2, dirichlet=["left"])
    exact = (np.pi * (np.arange(3) + 0.5)) ** 2
    assert np.allclose(lowest_levels(space, 3), exact, rtol=1e-4)


def test_named_boundary_of_a_curved_mesh():
    whole = nf.finite_elements(DOMAINS["triangle6"], order=2)
    named = nf.finite_elements(DOMAINS["triangle6"], order=2, dirichlet=["rim"])
    assert np.array_equal(whole.dof, named.dof)
    radius = np.linalg.norm(named.nodes[named.dof == named.ndof], axis=1)
    assert np.allclose(radius, 1, atol=1e-12)
    assert not np.any(np.isclose(np.linalg.norm(named.nodes[named.dof < named.ndof], axis=1), 1))


def test_boundary_inside_the_domain_cuts_it():
    domain = interval(20)
    domain = replace(domain, boundaries={**domain.boundaries, "wire": np.array([[10]])})
    space = nf.finite_elements(domain, order=2, dirichlet=["left", "wire", "right"])
    assert np.allclose(lowest_levels(space, 2), (2 * np.pi) ** 2, rtol=1e-3)  # twice one half
    square_ = square(8)
    middle = np.flatnonzero(np.isclose(square_.points[:, 0], 0.5))
    middle = middle[np.argsort(square_.points[middle, 1])]
    wire = np.column_stack([middle[:-1], middle[1:]])
    square_ = replace(square_, boundaries={**square_.boundaries, "wire": wire})
    space = nf.finite_elements(square_, order=2, dirichlet=["wall", "wire"])
    assert np.allclose(lowest_levels(space, 2), 5 * np.pi**2, rtol=5e-3)
    on_wire = np.isclose(space.nodes[:, 0], 0.5)
    assert np.all(space.dof[on_wire] == space.ndof)


# -- Robin ----------------------------------------------------------------------------


def reflection(rho, k=1.7):
    """Amplitude that comes back from the right end over that which goes there."""
    space = nf.finite_elements(interval(200, 0, 8), order=2, robin={"left": rho, "right": rho})
    system = nf.GPE(
        space,
        potential=-(k**2) / 2,
        pumps=[nf.gaussian_pump([2.0], 0.15)],
        loss=0.0,
    )
    state = nf.solve_steady(system, np.ones((1, 1))).state
    right = space.nodes[:, 0] > 4
    x, psi = space.nodes[right, 0], space.at_nodes(state)[right, 0]
    out, back = np.linalg.lstsq(
        np.column_stack([np.exp(1j * k * x), np.exp(-1j * k * x)]), psi, rcond=None
    )[0]
    return abs(back) / abs(out)


def test_impedance_boundary_lets_plane_waves_out():
    assert reflection(-1.7j) < 1e-4
    # the opposite sign only lets incoming waves pass, and a mismatch reflects |(k - k')/(k + k')|
    assert reflection(1.7j) > 1e3
    assert reflection(-0.85j) == pytest.approx(1 / 3, rel=1e-3)


def test_robin_level_of_an_interval():
    """dPsi/dn + rho Psi = 0 at both ends: q tan(q/2) = rho for the lowest even mode."""
    space = nf.finite_elements(interval(20), order=2, robin={"left": 2.0, "right": 2.0})
    operator = (space.stiffness + space.boundary_matrix.real).toarray()
    level = scipy.linalg.eigh(operator, space.mass.toarray(), eigvals_only=True)[0]
    q = scipy.optimize.brentq(lambda q: q * np.tan(q / 2) - 2.0, 0.1, 3.0)
    assert level == pytest.approx(q**2, rel=1e-6)


def test_robin_boundary_matrix_integrates_over_the_boundary():
    space = nf.finite_elements(DOMAINS["triangle6"], order=2, robin={"rim": 3 - 2j})
    one = np.ones(space.ndof)
    assert one @ (space.boundary_matrix @ one) == pytest.approx((3 - 2j) * 2 * np.pi, rel=1e-4)
    assert space.ndof == len(space.nodes)  # the rim is free


def test_dirichlet_is_what_robin_leaves():
    space = nf.finite_elements(interval(4), order=1, robin={"right": 1.0})
    assert np.array_equal(np.flatnonzero(space.dof == space.ndof), [0])


# -- graphs ---------------------------------------------------------------------------


def test_chain_of_nine_is_the_lattice_of_the_paper():
    """nep (13): -1/2 (Psi_{j-1} - 2 Psi_j + Psi_{j+1}) + V_j - i gamma, with ghosts of 0."""
    rng = np.random.default_rng(0)
    potential = rng.normal(size=9) - 1j * rng.random(9)
    system = nf.GPE(nf.graph(nf.lattice(9)), potential=potential, loss=0.3)
    expected = np.zeros((9, 9), complex)
    for j in range(9):
        expected[j, j] = 1 + potential[j] - 0.3j
        if j > 0:
            expected[j, j - 1] = -0.5
        if j < 8:
            expected[j, j + 1] = -0.5
    assert np.abs(system.operator.toarray() - expected).max() < 1e-14


def test_graph_identities():
    space = nf.graph(nf.lattice(3, 4))
    product = space.G.T @ sp.diags_array(space.wg) @ space.G
    assert distance(space.stiffness, product) < 1e-14
    assert np.array_equal(space.B.toarray(), np.eye(12))
    assert np.array_equal(space.w, np.ones(12))
    assert np.array_equal(space.mass.toarray(), np.eye(12))
    coefficient = np.arange(12) * (1 + 1j)
    assert np.array_equal(space.assemble(coefficient).toarray(), np.diag(coefficient))
    dense = np.zeros((12, 12), dtype=complex)
    space.add_dense(coefficient, dense)
    assert np.array_equal(dense, np.diag(coefficient))


def test_grid_with_walls_has_four_on_the_diagonal():
    laplacian = nf.graph(nf.lattice(3, 4)).stiffness.toarray()
    assert np.array_equal(np.diag(laplacian), np.full(12, 4.0))
    assert laplacian[0, 1] == laplacian[0, 4] == -1  # neighbours along x and y
    assert np.count_nonzero(laplacian[0]) == 3
    assert np.count_nonzero(laplacian[5]) == 5
    assert laplacian[3, 4] == 0  # the end of a row is no neighbour of the next one's start
    modes = [np.pi * np.arange(1, n + 1) / (n + 1) for n in (3, 4)]
    exact = 4 - 2 * np.cos(modes[0])[:, None] - 2 * np.cos(modes[1])
    assert np.allclose(np.linalg.eigvalsh(laplacian), np.sort(exact.ravel()))


def test_open_ends_of_a_graph_have_no_edge():
    laplacian = nf.graph(nf.lattice(2, 3), dirichlet=[]).stiffness.toarray()
    assert np.array_equal(np.diag(laplacian), [2, 3, 2, 2, 3, 2])
    assert np.abs(laplacian.sum(axis=1)).max() < 1e-14


@settings(max_examples=15)
@given(ny=st.integers(3, 5), nx=st.integers(3, 5))
def test_periodic_lattice_rows_sum_to_zero(ny, nx):
    laplacian = nf.graph(nf.lattice(ny, nx, periodic=True)).stiffness.toarray()
    assert np.abs(laplacian.sum(axis=1)).max() < 1e-14
    assert np.all(np.diag(laplacian) == 4)
    k = [2 * np.pi * np.arange(n) / n for n in (ny, nx)]
    exact = 4 - 2 * np.cos(k[0])[:, None] - 2 * np.cos(k[1])
    assert np.allclose(np.linalg.eigvalsh(laplacian), np.sort(exact.ravel()), atol=1e-12)


def test_coupling_weighs_edges_and_not_walls():
    domain = replace(nf.lattice(3), edge_data={"coupling": np.array([2.0, 5.0])})
    laplacian = nf.graph(domain).stiffness.toarray()
    assert np.array_equal(laplacian, [[3, -2, 0], [-2, 7, -5], [0, -5, 6]])


def test_robin_end_of_a_graph():
    domain = nf.lattice(2, 2)
    outflow = nf.graph(domain, robin={"wall": 0.5 - 1j})
    assert np.array_equal(np.diag(outflow.stiffness.toarray()), np.full(4, 2.0))
    # each corner misses two neighbours
    assert np.allclose(outflow.boundary_matrix.toarray(), (1 - 2j) * np.eye(4))


# -- what is refused ------------------------------------------------------------------


def test_a_graph_has_no_finite_elements():
    with pytest.raises(nf.InputError, match=r"lattice\(4\).*nepfield\.graph"):
        nf.finite_elements(nf.lattice(4))


def test_a_mesh_is_no_graph():
    with pytest.raises(nf.InputError, match=r"line cells.*nepfield\.finite_elements"):
        nf.graph(interval(4))


@pytest.mark.parametrize("order", [0, 3, 1.5, "2", None])
def test_other_orders_are_refused(order):
    with pytest.raises(nf.InputError, match="order 1 and 2"):
        nf.finite_elements(interval(4), order=order)


@pytest.mark.parametrize("option", [{"dirichlet": ["rigth"]}, {"robin": {"rigth": 1.0}}])
def test_unknown_boundary_lists_those_that_exist(option):
    with pytest.raises(nf.InputError, match=r"'rigth'.*'right'.*'left'"):
        nf.finite_elements(interval(4), **option)
    with pytest.raises(nf.InputError, match=r"'rigth'.*'wall'"):
        nf.graph(nf.lattice(4), **option)


def test_boundary_with_two_conditions_is_refused():
    with pytest.raises(nf.InputError, match=r"'left' is both Dirichlet and Robin"):
        nf.finite_elements(interval(4), dirichlet=["left"], robin={"left": 1.0})


@pytest.mark.parametrize("rho", [np.nan, complex(0, np.inf)])
def test_robin_coefficient_must_be_finite(rho):
    with pytest.raises(nf.InputError, match="'left' is not finite"):
        nf.finite_elements(interval(4), robin={"left": rho})


def test_a_mesh_without_unknowns_is_refused():
    with pytest.raises(nf.InputError, match="finer mesh"):
        nf.finite_elements(interval(1), order=1)


# -- sparse helpers -------------------------------------------------------------------


def test_rows_drop_columns_beyond_the_last_and_add_duplicates():
    matrix = csr_of_rows(np.array([[0, 2], [1, 1]]), np.array([[1.0, 9.0], [2.0, 3.0]]), 2)
    assert np.array_equal(matrix.toarray(), [[1, 0], [0, 5]])


def test_real_matrix_times_complex_vectors_of_any_memory_order():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((5, 4), density=0.6, rng=rng).tocsr()
    block = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    for values in (block, np.asfortranarray(block), block[:, ::2], block[:, 0]):
        assert np.allclose(real_times(matrix, values), matrix.toarray() @ values)


def test_factorisation_takes_complex_right_hand_sides_of_a_complex_matrix():
    space = nf.finite_elements(square(6), order=2)
    matrix = space.stiffness + 1j * space.mass
    right = np.linspace(0, 1, space.ndof)[:, None] * [1.0, 1j]
    solution = Factorisation(matrix).solve(right)
    assert np.abs(matrix @ solution - right).max() < 1e-12
