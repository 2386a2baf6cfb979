"""Periodic boundaries: a mesh that closes on itself is a ring or a torus to the wave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from cases import TIGHT, Case, distance, mean_cost, random_direction, slope_along, taylor_rate
from helpers import interval, l2_error, observed_rates, values_of

import nepfield as nf
from nepfield.fields.transfer import transfer
from nepfield.mesh.domain import check_domain
from nepfield.mesh.seams import Seam, images, sew
from nepfield.space.components import components

Function = Callable[[np.ndarray], np.ndarray]
ONE = np.ones((1, 1))
ACROSS, BOTH = [("left", "right")], [("left", "right"), ("bottom", "top")]


def box(
    nx: int,
    ny: int,
    kind: str = "triangle",
    size: tuple[float, float] = (1.0, 1.0),
    shape: Function = lambda points: points,
) -> nf.Domain:
    """A rectangle with named sides; `shape` maps its points, midpoints of edges included."""
    fine = 2 if kind == "triangle6" else 1
    x, y = np.meshgrid(np.arange(fine * nx + 1), np.arange(fine * ny + 1))
    index = np.arange(x.size).reshape(x.shape)
    points = shape(np.column_stack([x.ravel() * size[0] / nx, y.ravel() * size[1] / ny]) / fine)
    a, b, c, d = (
        index[j : j + fine * ny : fine, i : i + fine * nx : fine].ravel()
        for j, i in ((0, 0), (0, fine), (fine, fine), (fine, 0))
    )
    cells = np.column_stack([a, b, c, d])
    if kind != "quad":
        cells = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    if kind == "triangle6":
        row, column = np.divmod(cells, x.shape[1])
        middle = [
            (row[:, p] + row[:, q]) // 2 * x.shape[1] + (column[:, p] + column[:, q]) // 2
            for p, q in ((0, 1), (1, 2), (2, 0))
        ]
        cells = np.column_stack([cells, *middle])
    edges = {
        "left": index[::-1, 0],
        "right": index[:, -1],
        "bottom": index[0],
        "top": index[-1, ::-1],
    }
    facets = {
        name: np.column_stack([edge[:-1:fine], edge[fine::fine], edge[1::fine]][: 1 + fine])
        for name, edge in edges.items()
    }
    domain = nf.Domain(points, cells, kind, {"all": np.arange(len(cells))}, facets, source="box")
    check_domain(domain)
    return domain


def skewed(points: np.ndarray) -> np.ndarray:
    """Waves on the inside and along the bottom and top, which stay shifted copies of each other."""
    x, y = points.T
    bump = 0.03 * np.sin(2 * np.pi * x)
    return np.column_stack([x + 0.5 * bump * np.sin(2 * np.pi * y), y + bump])


def closed(domain: nf.Domain) -> nf.Domain:
    return nf.periodic(domain, ACROSS if domain.dim == 1 else BOTH)


# ---------------------------------------------------------------- degrees of freedom


SPACES = {
    "line": lambda: interval(4, 0.0, 2.0),
    "one cell": lambda: interval(1),
    "triangle": lambda: box(3, 4, shape=skewed),
    "triangle6": lambda: box(3, 2, "triangle6", shape=skewed),
    "quad": lambda: box(2, 1, "quad"),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", SPACES)
def test_nodes_that_are_one_share_a_degree_of_freedom(name: str, order: int) -> None:
    domain = SPACES[name]()
    whole = nf.finite_elements(domain, order, dirichlet=[])
    ring = nf.finite_elements(closed(domain), order)
    # nodes are one where they agree up to whole periods: an independent look at the same thing
    period = np.ptp(domain.points[:, :1], axis=0) if domain.dim == 1 else np.ones(2)
    nodes = whole.nodes
    if name in ("triangle", "triangle6"):  # back to the square that was skewed
        straight = box(3, 4 if name == "triangle" else 2, name)
        nodes = nf.finite_elements(straight, order).nodes
    folded = np.round((nodes / period) % 1.0, 9) % 1.0
    _, one = np.unique(folded, axis=0, return_inverse=True)
    assert ring.ndof == one.max() + 1
    assert len(set(zip(one.tolist(), ring.dof.tolist(), strict=True))) == ring.ndof
    join = sp.csr_array(
        (np.ones(len(one)), (np.arange(len(one)), ring.dof)), shape=(len(one), ring.ndof)
    )
    assert whole.ndof == len(one)
    spread = join[np.argsort(whole.dof)]
    rng = np.random.default_rng(0)
    field = rng.normal(size=len(ring.w)) + 1j
    for mine, of_whole in [(ring.B, whole.B @ spread), (ring.G, whole.G @ spread)]:
        assert np.allclose(mine.toarray(), of_whole.toarray(), rtol=0, atol=1e-12)
    for mine, of_whole in [
        (ring.stiffness, whole.stiffness),
        (ring.assemble(field), whole.assemble(field)),
        (ring.kinetic, whole.kinetic),
    ]:
        expected = (spread.T @ of_whole @ spread).toarray()
        assert np.allclose(mine.toarray(), expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    dense = np.zeros((ring.ndof, ring.ndof), dtype=complex)
    ring.add_dense(field, dense)
    assert np.allclose(dense, ring.assemble(field).toarray(), atol=1e-13)
    assert np.abs(ring.stiffness @ np.ones(ring.ndof)).max() < 1e-11  # nothing holds it
    state = rng.normal(size=(ring.ndof, 2)) + 0j
    values = ring.at_nodes(state)
    assert values.shape == (len(ring.nodes), 2)
    assert all(np.ptp(values[one == k].real, axis=0).max() == 0 for k in range(ring.ndof))


def test_corners_that_touch_a_wall_are_walls_on_both_sides() -> None:
    domain = box(4, 3, "quad")
    # the bottom is a wall near its left end only, the top as a whole
    sides = domain.boundaries | {"short": domain.boundaries["bottom"][:1]}
    channel = nf.periodic(replace(domain, boundaries=sides), ACROSS)
    for order in (1, 2):
        space = nf.finite_elements(channel, order, dirichlet=["short", "top"])
        zero = space.nodes[space.dof == space.ndof]
        expected = space.nodes[
            (space.nodes[:, 1] == 1)
            | ((space.nodes[:, 1] == 0) & ((space.nodes[:, 0] <= 0.25) | (space.nodes[:, 0] == 1)))
        ]
        assert np.array_equal(zero, expected)
    by_default = nf.finite_elements(channel)  # a periodic end is no wall, whatever is given
    assert np.all(np.isin(by_default.nodes[by_default.dof == by_default.ndof, 1], [0, 1]))


def test_a_robin_boundary_keeps_its_corners() -> None:
    """The integral over the whole bottom is its length, though its two ends are one point."""
    space = nf.finite_elements(
        nf.periodic(box(3, 2, size=(1.5, 1.0)), ACROSS), dirichlet=[], robin={"bottom": 2 - 1j}
    )
    one = np.ones(space.ndof)
    assert one @ space.boundary_matrix @ one == pytest.approx(1.5 * (2 - 1j))


# ---------------------------------------------------------------- rates and analytic states


def plane_wave(space: nf.Space, k: list[float], g: float, loss: float, n: float) -> nf.GPE:
    """A wave driven so that its steady state is sqrt(n) exp(i k.r), from which V keeps it 5 away.

    ``[k^2/2 + V + g n - i loss] Psi + i P = 0``
    """
    shift = 5 - np.dot(k, k) / 2 - g * n
    amplitude = 1j * np.sqrt(n) * (5 - 1j * loss)
    pump = nf.field_pump(lambda points: np.exp(1j * (points @ k)), amplitude)
    return nf.GPE(space, shift, [pump], nf.Density(g), loss)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("make", "k"),
    [
        (lambda n: interval(10 * n), [2 * np.pi]),
        (lambda n: nf.periodic(box(6 * n, 6 * n, shape=skewed), BOTH), [2 * np.pi, -2 * np.pi]),
        (lambda n: nf.periodic(box(5 * n, 5 * n, "triangle6", shape=skewed), BOTH), [2 * np.pi, 0]),
        (lambda n: nf.periodic(box(6 * n, 6 * n, "quad"), BOTH), [2 * np.pi, 2 * np.pi]),
    ],
    ids=["line", "triangle", "triangle6", "quad"],
)
def test_a_plane_wave_is_a_state_to_second_and_third_order(
    make: Callable[[int], nf.Domain], k: list[float], order: int
) -> None:
    sizes, errors = [1, 2, 4], []
    for n in sizes:
        domain = make(n) if make(n).seams else nf.periodic(make(n), ACROSS)
        space = nf.finite_elements(domain, order)
        steady = nf.solve_steady(plane_wave(space, k, 0.4, 0.3, 0.8), ONE, tolerance=1e-10)
        errors.append(l2_error(space, steady.state, lambda x: np.sqrt(0.8) * np.exp(1j * (x @ k))))
    rates = -observed_rates(sizes, errors)
    assert rates[-1] > order + 0.8
    assert errors[-1] < (0.05 if order == 1 else 0.001)


@pytest.mark.parametrize("order", [1, 2])
def test_rates_in_a_channel_with_walls(order: int) -> None:
    """Periodic along x, walls at y = 0 and 1: exp(sin(2 pi x)) sin(pi y), manufactured."""

    def exact(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        return np.exp(np.sin(2 * np.pi * x)) * np.sin(np.pi * y) * (1 + 0.5j)

    def drive(points: np.ndarray) -> np.ndarray:
        s, c = np.sin(2 * np.pi * points[:, 0]), np.cos(2 * np.pi * points[:, 0])
        laplacian = 4 * np.pi**2 * (c**2 - s) - np.pi**2
        psi = exact(points)
        return 1j * (-0.5 * laplacian * psi + (1.0 + 0.2 * np.abs(psi) ** 2 - 0.3j) * psi)

    sizes, errors = [1, 2, 4], []
    for n in sizes:
        space = nf.finite_elements(nf.periodic(box(6 * n, 3 * n), ACROSS), order)
        wave = nf.GPE(space, 1.0, [nf.field_pump(drive)], nf.Density(0.2), 0.3)
        steady = nf.solve_steady(wave, ONE, **TIGHT)
        errors.append(l2_error(space, steady.state, exact))
    assert (-observed_rates(sizes, errors))[-1] > order + 0.8


def test_levels_of_a_ring_come_in_pairs() -> None:
    """-1/2 d2/dx2 on a ring of length 2 pi: m^2/2, each twice but for the lowest."""
    space = nf.finite_elements(nf.periodic(interval(16, 0.0, 2 * np.pi), ACROSS))
    mass = space.mass.toarray()
    levels = np.linalg.eigvals(np.linalg.solve(mass, space.dense_kinetic)).real
    assert np.sort(levels)[:7] == pytest.approx([0, 0.5, 0.5, 2, 2, 4.5, 4.5], rel=5e-3, abs=1e-10)


def test_a_ring_mesh_and_its_unrolled_strip_have_the_same_state() -> None:
    """w = log z makes a ring a strip, and keeps the Laplacian but for a factor |z|^2.

    So the strip with the potential |z|^2 (V - i loss) and the drive |z|^2 P has the ring's state.
    """
    loss, potential = 0.2, -0.5

    def spot(z: np.ndarray) -> np.ndarray:
        return np.exp(-(np.abs(z - (1.2 + 0.4j)) ** 2) / 0.18)

    def unroll(points: np.ndarray) -> np.ndarray:
        return points[:, 0] + 1j * points[:, 1]

    width = np.log(2.0)
    differences, sizes = [], [1, 2]
    for n in sizes:
        strip = box(3 * n, 12 * n, "triangle6", (width, 2 * np.pi))
        space = nf.finite_elements(nf.periodic(strip, [("bottom", "top")]), 2, ["left", "right"])
        scale = np.abs(np.exp(unroll(space.points))) ** 2
        flat = nf.GPE(
            space,
            0.0,
            [nf.field_pump(lambda r: np.abs(np.exp(unroll(r))) ** 2 * spot(np.exp(unroll(r))))],
            None,
            loss,
            scale * (potential - 1j * loss) + 1j * loss,
        )
        of_strip = space.at_nodes(nf.solve_steady(flat, ONE, **TIGHT).state)[:, 0]
        # the same cells rolled up; what was one node in two places is one point now
        z, one = np.unique(np.round(np.exp(unroll(strip.points)), 9), return_inverse=True)
        rim = {name: one[strip.boundaries[name]] for name in ("left", "right")}
        points = np.column_stack([z.real, z.imag])
        ring = nf.Domain(points, one[strip.cells], "triangle6", {}, rim, source="ring")
        check_domain(ring)
        on_ring = nf.finite_elements(ring)
        wave = nf.GPE(on_ring, potential, [nf.field_pump(lambda r: spot(unroll(r)))], None, loss)
        of_ring = on_ring.at_nodes(nf.solve_steady(wave, ONE, **TIGHT).state)[:, 0]
        apart = np.abs(np.exp(unroll(space.nodes))[:, None] - unroll(on_ring.nodes))
        difference = of_ring[apart.argmin(axis=1)] - of_strip
        differences.append(np.abs(difference).max() / np.abs(of_strip).max())
    assert differences[1] < 2e-3
    assert -observed_rates(sizes, differences)[0] > 2.5


def quarter(n: int) -> nf.Domain:
    """A quarter of a ring, from angle 0 ("bottom") to 90 degrees ("top")."""

    def bend(points: np.ndarray) -> np.ndarray:
        z = (1 + points[:, 0]) * np.exp(0.5j * np.pi * points[:, 1])
        return np.column_stack([z.real, z.imag])

    return box(n, 2 * n, "triangle6", shape=bend)


def turned(domain: nf.Domain) -> nf.Domain:
    """A quarter that comes round."""
    bottom, top = (np.unique(domain.boundaries[name][:, :2]) for name in ("bottom", "top"))
    order = [np.argsort(np.linalg.norm(domain.points[index], axis=1)) for index in (bottom, top)]
    pairs = np.column_stack([bottom[order[0]], top[order[1]]])
    seam = sew(domain.points, domain.cells, domain.kind, "bottom and top", pairs, "quarter")
    assert isinstance(seam, Seam)
    assert str(seam).endswith("a rotation by 90 degrees")
    return replace(domain, seams=(seam,))


def test_a_quarter_that_comes_round_by_rotation_is_the_symmetric_ring() -> None:
    part = turned(quarter(3))
    center, width = np.array([1.5, 0.1]), 0.3  # reaches across the seam
    space = nf.finite_elements(part, dirichlet=["left", "right"])
    wave = nf.GPE(space, -1.0, [nf.gaussian_pump(center, width, wavevector=[0, 3])], None, 0.2)
    state = space.at_nodes(nf.solve_steady(wave, ONE, **TIGHT).state)[:, 0]

    quarters = np.exp(0.5j * np.pi * np.arange(4))
    z = (part.points @ [1, 1j])[None] * quarters[:, None]
    rows, one = np.unique(np.round(z.ravel(), 9), return_inverse=True)
    one = one.reshape(4, -1)
    rim = np.concatenate([part.boundaries["left"], part.boundaries["right"]])
    ring = nf.Domain(
        np.column_stack([rows.real, rows.imag]),
        one[:, part.cells].reshape(-1, 6),
        "triangle6",
        {},
        {"rim": one[:, rim].reshape(-1, 3)},
    )
    whole = nf.finite_elements(ring)

    def spots(points: np.ndarray) -> np.ndarray:  # of each point the copy in front of the one spot
        copies = (points @ [1, 1j])[None] * quarters[:, None]
        offset = copies - center @ [1, 1j]
        near = np.abs(offset).argmin(axis=0), np.arange(len(points))
        return np.exp(-(np.abs(offset[near]) ** 2) / (2 * width**2) + 3j * copies[near].imag)

    of_ring = nf.solve_steady(nf.GPE(whole, -1.0, [nf.field_pump(spots)], None, 0.2), ONE, **TIGHT)
    values = whole.at_nodes(of_ring.state)[:, 0]
    at = np.argmin(np.linalg.norm(space.nodes[:, None] - whole.nodes, axis=2), axis=1)
    assert np.allclose(values[at], state, rtol=0, atol=1e-6 * np.abs(state).max())


# ---------------------------------------------------------------- what is placed on it


@pytest.mark.parametrize("dim", [1, 2])
def test_an_experiment_may_stand_anywhere_on_a_ring(dim: int) -> None:
    """Pump, readout and absorber moved together by whole cells, also across the ends."""
    if dim == 1:
        domain, size = nf.periodic(interval(20, 0.0, 4.0), ACROSS), [4.0]
    else:
        domain, size = nf.periodic(box(10, 10, "quad", (2.0, 1.5)), BOTH), [2.0, 1.5]
    space = nf.finite_elements(domain, order=1)
    outputs = []
    for step in (0.0, 0.3, 0.5, 0.9):
        move = np.multiply(step, size)
        start, end = (0.37 * np.array(size) + move) % size, (0.55 * np.array(size) + move) % size
        pumps = [nf.gaussian_pump(start, 0.3, 1 + 0.2j, wavevector=[1.3, 0.4][:dim])]
        outputs.append(
            nf.readout(space, discs=[(end, 0.35)]).outputs(
                nf.solve_steady(nf.GPE(space, 0.3, pumps, nf.Density(0.1), 0.2), ONE, **TIGHT).state
            )[0, 0]
        )
    assert np.ptp(outputs) < 1e-9 * outputs[0]
    # a plain interval or rectangle tells the places apart
    walls = nf.finite_elements(nf.periodic(domain, []), order=1, dirichlet=[])
    corner = nf.gaussian_pump([0.1, 0.1][:dim], 0.3).profile
    assert walls.w @ corner(walls) < 0.7 * space.w @ corner(space)


def test_an_absorber_reaches_across_a_seam() -> None:
    """Along a wavy wall, as in the middle of a channel that is three times as long."""

    def wavy(r: np.ndarray) -> np.ndarray:
        return np.column_stack([r[:, 0], r[:, 1] * (1 + 0.2 * np.sin(2 * np.pi * r[:, 0]))])

    space = nf.finite_elements(nf.periodic(box(8, 4, "quad", shape=wavy), ACROSS))
    layer = nf.absorbing_layer(space, "top", 0.5, 1.0)
    long = nf.finite_elements(box(24, 4, "quad", (3.0, 1.0), wavy))
    moved = space.points + np.array([1, 0])
    at = np.linalg.norm(moved[:, None] - long.points, axis=2).argmin(axis=1)
    assert np.allclose(layer, nf.absorbing_layer(long, "top", 0.5, 1.0)[at], rtol=0, atol=1e-12)
    cut = nf.finite_elements(nf.periodic(space.domain, []))
    assert np.abs(layer - nf.absorbing_layer(cut, "top", 0.5, 1.0)).max() > 0.02


def test_copies_of_a_torus_and_of_a_hexagon_are_those_all_around() -> None:
    torus = nf.periodic(box(3, 2, size=(3.0, 2.0)), BOTH)
    copies = images(torus.seams, np.array([[0.5, 0.5]]))[:, 0]
    assert copies[0].tolist() == [0.5, 0.5]
    expected = {(0.5 + 3 * i, 0.5 + 2 * j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert {tuple(np.round(c, 9)) for c in copies} == expected
    split = [("left", "right"), ("bottom", "top")]
    twice = replace(torus, seams=(*torus.seams, *nf.periodic(torus, split).seams))
    assert len(images(twice.seams, np.zeros((1, 2)))) == 9  # a motion counts once
    wedge = turned(quarter(2))
    around = images(wedge.seams, np.array([[1.0, 0.0]]))[:, 0]
    assert np.allclose(around, [[1, 0], [0, 1], [0, -1]], atol=1e-6)


def test_a_potential_goes_to_a_mesh_that_is_cut_elsewhere() -> None:
    """A ring of length 4 that begins at 0, and the same that begins at 1."""
    ring = nf.finite_elements(nf.periodic(interval(8, 0.0, 4.0), ACROSS), 1)
    other = nf.finite_elements(nf.periodic(interval(16, 1.0, 5.0), ACROSS), 1)
    values = np.arange(8.0)
    there, outside = transfer(ring, nf.potential(ring, values), "cells", other, "cells")
    assert there.tolist() == np.roll(np.repeat(values, 2), -4).tolist()
    assert outside == 0
    back, _ = transfer(other, nf.potential(other, there), "cells", ring, "cells")
    assert back == pytest.approx(values, abs=1e-14)
    cut = nf.finite_elements(nf.periodic(ring.domain, []), 1)
    _, outside = transfer(cut, nf.potential(cut, values), "cells", other, "cells")
    assert outside > 0.1


# ---------------------------------------------------------------- solvers and gradients


@cache
def torus_case() -> Case:
    """Complex V and weights on a torus of quadratic triangles; pump and readout cross its seams."""
    rng = np.random.default_rng(3)
    size = np.array([2.0, 1.5])
    mesh = box(4, 3, "triangle6", shape=lambda points: size * skewed(points))
    space = nf.finite_elements(nf.periodic(mesh, BOTH))
    count = len(space.elements)
    system = nf.GPE(
        space,
        rng.uniform(0.2, 0.8, count) - 1j * rng.uniform(0, 0.1, count),
        [
            nf.gaussian_pump([0.1, 0.1], 0.3, 2 + 1j),
            nf.gaussian_pump([1.9, 0.8], 0.3, 1 - 1j, wavevector=[0.8, -1.3]),
        ],
        nf.Density(0.3),
        0.2,
    )
    cost = nf.MSE(nf.readout(space, discs=[([0.0, 0.7], 0.45), ([1.0, 1.4], 0.45)]))
    return Case(system, cost, np.array([[1.0, 0.3], [-0.4, 0.9]]), np.array([[0.1, 0.4], [0.8, 0]]))


def test_the_exact_gradient_on_a_torus_passes_the_taylor_test() -> None:
    this = torus_case()
    exact = nf.gradient(this.system, *this.samples, rule="adjoint", **TIGHT)
    start = values_of(this.system)
    direction = random_direction(start, np.random.default_rng(0))
    steady = exact.steady.state

    def cost_along(h: float) -> float:
        return mean_cost(this, {k: start[k] + h * direction[k] for k in start}, steady)

    slope = slope_along(exact.params, direction)
    assert taylor_rate(cost_along, slope, 1e-2) == pytest.approx(2, abs=0.1)
    assert taylor_rate(cost_along, 1.01 * slope, 1e-3).max() < 1.9


def test_nep_is_exact_on_a_torus_without_loss() -> None:
    this = torus_case()
    values = {name: value.real + 0j for name, value in values_of(this.system).items()}
    system = replace(this.system, loss=1e-6).with_parameters(values)
    rules = [
        nf.gradient(system, *this.samples, rule=rule, **TIGHT).params
        for rule in ("nep-linear", "adjoint")
    ]
    assert distance(*({k: v.real for k, v in rule.items()} for rule in rules)) < 1e-4


def test_every_solver_finds_the_same_state() -> None:
    system, inputs = torus_case().system, torus_case().inputs[:1]
    newton = nf.solve_steady(system, inputs, **TIGHT).state
    slow = nf.solve_steady(system, inputs, method="pseudotime", tolerance=1e-11).state
    assert np.allclose(slow, newton, rtol=0, atol=1e-9 * np.abs(newton).max())
    later = nf.evolve(system, inputs, 0.02, initial=newton).states[-1]
    assert np.allclose(later, newton, rtol=0, atol=1e-5 * np.abs(newton).max())
    small = nf.finite_elements(nf.periodic(interval(12), ACROSS))  # small enough for dense solves
    wave = plane_wave(small, [2 * np.pi], 0.4, 0.3, 0.8)
    dense = nf.solve_steady(wave, ONE).state
    slow = nf.solve_steady(wave, ONE, method="pseudotime").state
    assert np.allclose(slow, dense, rtol=0, atol=1e-7)


def test_waves_of_two_components_share_nodes_too() -> None:
    space = torus_case().system.space
    both = components(space, 2)
    state = np.random.default_rng(0).normal(size=(space.ndof, 1)) + 0j
    twice = np.concatenate([state, 2 * state])
    values, mass = space.evaluate(state), space.mass @ state
    assert np.allclose(both.evaluate(twice), np.concatenate([values, 2 * values]))
    assert np.allclose(both.mass @ twice, np.concatenate([mass, 2 * mass]))
