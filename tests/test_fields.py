"""What is placed on a space: potentials, pumps, readouts and absorbers, and what is refused."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from helpers import MESHES, interval, square, uneven_interval, values_of, with_parameter
from hypothesis import given, settings
from hypothesis import strategies as st

import nepfield as nf
from nepfield.fields.pumps import place_pumps
from nepfield.systems.gpe import GPE

GRID = nf.lattice(3, 4, sites={"output": (1, 2)})


@pytest.fixture(scope="module")
def line():
    return nf.finite_elements(uneven_interval(8, 2.0), order=2)


@pytest.fixture(scope="module")
def plane():
    return nf.finite_elements(nf.read_domain(MESHES / "square-quads.msh"), order=2)


@pytest.fixture(scope="module")
def chain():
    return nf.graph(nf.lattice(9, sites={"output": 4, "ends": [0, 8]}))


def with_regions(domain, **regions):
    return replace(domain, regions={name: np.array(cells) for name, cells in regions.items()})


# -- potentials -----------------------------------------------------------------------


def test_one_value_a_cell(line):
    values = np.arange(8.0)
    placed = nf.potential(line, values)
    points = line.domain.points[:, 0]
    cell = np.searchsorted(points, line.points[:, 0]) - 1
    assert np.array_equal(placed.at_points(), values[cell])
    assert np.allclose(placed.measure, np.diff(points))
    # integrals over each cell
    assert np.allclose(placed.integrate(line.w * line.points[:, 0]), np.diff(points**2) / 2)


def test_one_value_a_vertex(chain):
    placed = nf.potential(chain, np.arange(9.0))
    assert np.array_equal(placed.at_points(), np.arange(9.0))
    assert np.array_equal(placed.measure, np.ones(9))
    values = np.arange(18.0).reshape(9, 2)
    assert np.array_equal(placed.integrate(values), values)


def test_one_value_a_region():
    domain = with_regions(square(4, kind="quad"), lower=[0, 1, 4, 5], upper=[10, 11])
    space = nf.finite_elements(domain, order=1)
    placed = nf.potential(space, [2.0, 3.0], basis="regions")
    field = placed.at_points()
    for name, value in (("lower", 2.0), ("upper", 3.0)):
        inside = np.isin(space.element_of_point, domain.regions[name])
        assert np.all(field[inside] == value)
    outside = ~np.isin(space.element_of_point, [0, 1, 4, 5, 10, 11])
    assert outside.any()
    assert not field[outside].any()
    assert np.allclose(placed.measure, [4 / 16, 2 / 16])
    assert np.allclose(placed.integrate(space.w), [4 / 16, 2 / 16])
    both = placed.integrate(space.w[:, None] * [1.0, 1j])
    assert np.allclose(both, np.outer([4 / 16, 2 / 16], [1, 1j]))


def test_one_value_a_pixel(plane):
    placed = nf.potential(plane, 0.0, basis=(0.5, 0.25))
    assert len(placed.values) == 8
    placed = with_parameter(placed, values=np.arange(8.0))
    x, y = plane.points.T
    pixel = (x // 0.5) * 4 + y // 0.25  # by columns, from the lower left corner
    assert np.array_equal(placed.at_points(), pixel)
    assert np.allclose(placed.measure, 0.125)


def test_pixels_that_no_cell_touches_are_left_out():
    """An L of three unit squares has no pixel in the missing one."""
    space = nf.finite_elements(nf.read_domain(MESHES / "polygon.msh"), order=2)
    placed = nf.potential(space, basis=(1.0, 1.0))
    assert len(placed.values) == 3
    assert np.allclose(placed.measure, 1.0, rtol=0.05)  # cells cross the pixels' borders
    assert placed.measure.sum() == pytest.approx(3)


def test_pixels_start_at_the_corner_of_the_domain():
    space = nf.finite_elements(interval(10, -1.0, 1.0), order=2)
    placed = nf.potential(space, basis=[0.37])
    assert np.array_equal(placed.support, np.floor((space.points[:, 0] + 1.0) / 0.37))


def test_pixels_of_an_interval_and_a_single_pitch(line, plane):
    assert len(nf.potential(line, basis=[0.5]).values) == 4
    assert len(nf.potential(plane, basis=[0.5]).values) == 4


@settings(max_examples=25)
@given(dx=st.floats(0.03, 3), dy=st.floats(0.03, 3))
def test_measures_of_pixels_sum_to_the_area(dx, dy):
    space = nf.finite_elements(square(5), order=2)
    placed = nf.potential(space, basis=(dx, dy))
    assert placed.measure.sum() == pytest.approx(1)
    assert placed.measure.min() > 0  # a pixel without points could never be trained
    assert placed.support.min() == 0
    assert placed.support.max() == len(placed.values) - 1


@pytest.mark.parametrize("basis", ["cells", "regions", (0.3, 0.4)])
def test_measures_sum_to_the_area_in_each_basis(basis):
    space = nf.finite_elements(square(5), order=1)
    assert nf.potential(space, basis=basis).measure.sum() == pytest.approx(1)


def test_numbers_and_arrays_become_potentials(line):
    assert np.array_equal(GPE(line, potential=0.3).potential.values, np.full(8, 0.3))
    assert np.array_equal(GPE(line, potential=np.arange(8)).potential.values, np.arange(8.0))
    assert GPE(line, potential=np.arange(8)).potential.values.dtype == float  # trained later
    fixed = nf.potential(line, 1.0, trainable=False)
    assert "potential" not in values_of(GPE(line, potential=fixed))


def test_complex_potential_enters_the_operator(chain):
    placed = nf.potential(chain, 0.2 - 0.1j)
    system = GPE(chain, potential=placed, loss=0.5)
    assert np.allclose(system.operator.diagonal(), 1 + 0.2 - 0.6j)
    # real values with imaginary bounds are complex too: their imaginary part is trained
    assert nf.potential(chain, 0.2, imaginary_bounds=(-1, 0)).values.dtype == complex


def test_values_are_moved_into_their_bounds(chain):
    placed = nf.potential(chain, 0.0, bounds=(-1, 2), imaginary_bounds=(-0.5, 0))
    moved = placed.parameter.moved(np.array([5 + 1j, -3 - 2j, 0.5 - 0.25j])).values
    assert np.array_equal(moved, [2, -1 - 0.5j, 0.5 - 0.25j])
    real = nf.potential(chain, 0.0, bounds=(-1, 2))
    assert np.array_equal(real.parameter.moved(np.array([-7.0, 0.3, 7.0])).values, [-1, 0.3, 2])
    assert real.parameter.moved(np.zeros(3)).values.dtype == float
    free = nf.potential(chain, 0.0)
    assert np.array_equal(free.parameter.moved(np.array([-7.0, 7.0])).values, [-7, 7])


def test_training_keeps_bounds(chain):
    system = GPE(chain, potential=nf.potential(chain, 0.0, bounds=(-1, 1)))
    changed = system.with_parameters({"potential": np.linspace(-2, 2, 9)})
    assert changed.potential.values.min() == -1
    assert changed.potential.values.max() == 1
    assert not np.allclose(changed.operator.diagonal(), system.operator.diagonal())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": np.zeros(7)}, r"7 initial values .*'cells' has 9.*shape \(9,\)"),
        ({"initial": np.zeros((9, 1))}, r"shape \(9, 1\).*shape \(9,\)"),
        ({"initial": np.nan}, "finite"),
        ({"initial": [0.0] * 8 + [np.inf]}, "finite"),
        ({"initial": "0.3"}, "finite numbers"),
        ({"initial": [0.0] * 8 + [1.5], "bounds": (-1, 1)}, r"0 to 1\.5 .*bounds \[-1, 1\]"),
        ({"initial": 0.1j, "imaginary_bounds": (-1, 0)}, r"imaginary bounds \[-1, 0\]"),
        ({"bounds": (1, -1)}, r"\[1, -1\]: the first must be smaller"),
        ({"bounds": (0, 0)}, "the first must be smaller"),
        ({"bounds": (np.nan, 1)}, "the first must be smaller"),
        ({"basis": "cell"}, r"'cell' is unknown.*\"cells\", \"regions\" or pixels"),
        ({"basis": [0.0]}, r"pixels = .*positive"),
        ({"basis": [-1.0]}, "positive"),
        ({"basis": [np.inf]}, "positive"),
        ({"basis": [np.nan]}, "positive"),
    ],
)
def test_potentials_that_are_refused(chain, options, message):
    with pytest.raises(nf.InputError, match=message):
        nf.potential(chain, **options)


def test_pixels_of_another_dimension_are_refused(line, plane):
    with pytest.raises(nf.InputError, match=r"pixels.*2"):
        nf.potential(plane, basis=(0.1, 0.1, 0.1))
    with pytest.raises(nf.InputError, match=r"pixels.*1"):
        nf.potential(line, basis=(0.1, 0.1))


def test_overlapping_regions_are_refused_as_a_basis(line):
    with pytest.raises(nf.InputError, match="'all' and 'first' overlap"):
        nf.potential(line, basis="regions")


def test_a_basis_of_regions_needs_regions():
    space = nf.graph(nf.lattice(5))
    with pytest.raises(
        nf.InputError, match=r"lattice\(5\): .* needs named regions; there are none"
    ):
        nf.potential(space, basis="regions")


def test_a_potential_belongs_to_its_space(line, chain):
    with pytest.raises(nf.InputError, match="another space"):
        GPE(line, potential=nf.potential(chain, 0.0))


# -- pumps ----------------------------------------------------------------------------


def profile(space, pump):
    return pump.profile(space)


def test_gaussian_of_the_paper(plane):
    values = profile(plane, nf.gaussian_pump([0.3, 0.6], 0.2))
    x, y = plane.points.T
    assert np.allclose(values, np.exp(-((x - 0.3) ** 2 + (y - 0.6) ** 2) / (2 * 0.2**2)))
    assert values.dtype == float


def test_a_number_is_a_place_on_an_interval(line):
    beam = profile(line, nf.gaussian_pump(0.5, 0.2))
    assert np.array_equal(beam, profile(line, nf.gaussian_pump([0.5], 0.2)))
    with pytest.raises(nf.InputError, match=r"pump at \[0\.5\]: width"):
        profile(line, nf.gaussian_pump(0.5, -0.2))
    with pytest.raises(nf.InputError, match=r"disc at \[0\.5\]: radius"):
        nf.readout(line, discs=[(0.5, -0.2)])


def test_oblique_beam_has_a_phase_ramp(plane):
    straight = profile(plane, nf.gaussian_pump([0.3, 0.6], 0.2))
    oblique = profile(plane, nf.gaussian_pump([0.3, 0.6], 0.2, wavevector=[2.0, -1.0]))
    x, y = plane.points.T
    assert np.allclose(oblique, straight * np.exp(1j * (2 * x - y)))


def test_oblique_beam_drives_a_current_along_its_wavevector():
    space = nf.finite_elements(interval(64, -8, 8), order=2, robin={"left": -1j, "right": -1j})
    pump = nf.gaussian_pump([0.0], 1.0, wavevector=[1.0])
    system = GPE(space, potential=-0.5, pumps=[pump], loss=0.02)
    state = nf.solve_steady(system, np.ones((1, 1))).state
    density = np.abs(space.evaluate(state)[:, 0]) ** 2
    right = space.points[:, 0] > 4
    left = space.points[:, 0] < -4
    assert space.w[right] @ density[right] > 20 * (space.w[left] @ density[left])


def test_pump_on_a_site(chain):
    assert np.array_equal(profile(chain, nf.site_pump(2)), np.eye(9)[2])
    grid = nf.graph(GRID)
    assert np.array_equal(profile(grid, nf.site_pump((1, 2))), np.eye(12)[6])
    assert np.array_equal(profile(grid, nf.site_pump(6)), np.eye(12)[6])
    assert np.array_equal(profile(grid, nf.site_pump(np.int64(6))), np.eye(12)[6])


def test_pump_on_a_region(plane, chain):
    assert np.array_equal(profile(plane, nf.region_pump("lower")), plane.points[:, 1] < 0.5)
    assert np.array_equal(profile(chain, nf.region_pump("ends")), np.eye(9)[[0, 8]].sum(axis=0))


def test_field_pump_sees_the_points(line):
    values = profile(line, nf.field_pump(lambda points: np.sin(points[:, 0]) * 1j))
    assert np.array_equal(values, 1j * np.sin(line.points[:, 0]))


def test_drive_is_the_weighted_sum_over_pumps(line):
    """P = sum_k w_k X_k G_k, in weak form."""
    pumps = [
        nf.gaussian_pump([0.5], 0.3, 0.7 + 0.2j),
        nf.gaussian_pump([1.5], 0.4, -1.0, wavevector=[3.0]),
        nf.region_pump("first", 2.0, input=0),
    ]
    system = GPE(line, pumps=pumps)
    inputs = np.array([[1.0, 0.0], [0.3, -2.0], [0.0, 0.0]])
    fields = [pump.profile(line) for pump in pumps]
    for k, (first, second) in enumerate(inputs):
        field = (0.7 + 0.2j) * first * fields[0] - second * fields[1] + 2 * first * fields[2]
        assert np.allclose(system.drive(inputs)[:, k], line.integrate(field), atol=1e-15)
    assert system.pumps.ninputs == 2


def test_no_pumps_need_no_inputs(line):
    system = GPE(line)
    assert system.drive(np.zeros((3, 0))).shape == (line.ndof, 3)
    assert "weights" not in values_of(system)


def test_weights_are_complex_only_if_one_is(chain):
    assert place_pumps(chain, [nf.site_pump(0, 1)]).weights.dtype == float
    assert place_pumps(chain, [nf.site_pump(0, 1), nf.site_pump(1, 1j)]).weights.dtype == complex


@pytest.mark.parametrize(
    ("pump", "message"),
    [
        (nf.gaussian_pump([5.0, 0.5], 0.2), r"outside the domain.*\[0, 1\] x \[0, 1\]"),
        (nf.gaussian_pump([0.5, 0.5], 0.0), r"width = 0\.0; it must be positive"),
        (nf.gaussian_pump([0.5, 0.5], -0.2), r"width = -0\.2"),
        (nf.gaussian_pump([0.5, 0.5], np.nan), "width = nan"),
        (nf.gaussian_pump([0.5, 0.5], np.inf), "width = inf"),
        (nf.gaussian_pump([0.5], 0.2), r"pump center = \[0\.5\].*2 finite coordinates.*2-D"),
        (nf.gaussian_pump([0.5, 0.5, 0.5], 0.2), "2 finite coordinates"),
        (nf.gaussian_pump([0.5, np.nan], 0.2), "2 finite coordinates"),
        (nf.gaussian_pump([0.5, 0.5], 0.2, wavevector=[1.0]), "pump wavevector.*2 finite"),
        (nf.gaussian_pump([0.5, 0.5], 0.2, np.nan), "weight = nan is not finite"),
        (nf.gaussian_pump([0.5, 0.5], 0.2, input=-1), "inputs are counted from 0"),
        (nf.region_pump("upper"), "'upper'.*'lower'"),
        (nf.site_pump(3), "sites belong to graphs.*region"),
        (nf.field_pump(lambda points: points), "one finite value for each of the"),
        (nf.field_pump(lambda points: np.full(len(points), np.inf)), "one finite value"),
    ],
)
def test_pumps_that_are_refused(plane, pump, message):
    with pytest.raises(nf.InputError, match=message):
        GPE(plane, pumps=[pump])


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (12, r"site 12: lattice\(3, 4\) has sites 0 to 11"),
        (-1, "sites 0 to 11"),
        ((3, 0), r"site \[3, 0\].*no such site \(iy, ix\)"),
        ((0, 4), r"\(iy, ix\)"),
    ],
)
def test_sites_that_do_not_exist_are_refused(site, message):
    grid = nf.graph(GRID)
    with pytest.raises(nf.InputError, match=message):
        GPE(grid, pumps=[nf.site_pump(site)])
    with pytest.raises(nf.InputError, match=message):
        nf.readout(grid, sites=[site])


@pytest.mark.parametrize("site", [(1, 2, 3), [1], 1.5, "a", ("a", 1)])
def test_sites_of_a_wrong_form_are_refused(site):
    with pytest.raises(nf.InputError, match=re.escape("(iy, ix)")):
        nf.readout(nf.graph(GRID), sites=[site])


@pytest.mark.parametrize(
    "inputs", [np.ones(2), np.ones((1, 3)), np.array([[np.nan, 1.0]]), np.array([[np.inf, 1]])]
)
def test_inputs_must_fit_the_pumps(chain, inputs):
    system = GPE(chain, pumps=[nf.site_pump(2), nf.site_pump(6)])
    with pytest.raises(nf.InputError, match=r"inputs: .*(\(nsamples, 2\)|finite)"):
        nf.solve_steady(system, inputs)


# -- readouts -------------------------------------------------------------------------


def test_readout_of_a_uniform_state_is_its_density():
    space = nf.finite_elements(square(12), order=2, dirichlet=[])
    read = nf.readout(space, regions=["all"], discs=[((0.5, 0.5), 0.3), ((0.1, 0.2), 0.2)])
    state = np.ones((space.ndof, 1)) * [0.5, 2j, 0.0]
    assert read.noutputs == 3
    assert np.allclose(read.outputs(state), np.outer([0.25, 4, 0], np.ones(3)))


def test_readout_is_the_mean_over_its_region(plane):
    read = nf.readout(plane, regions=["domain", "lower"])
    y = plane.points[:, 1][:, None]
    assert np.allclose(read.field_means(y), [[0.5, 0.25]])
    mean = read.field_means(np.hstack([y, y**2]))
    assert np.allclose(mean, [[0.5, 0.25], [1 / 3, 1 / 12]])


def test_disc_covers_its_area():
    space = nf.finite_elements(nf.read_domain(MESHES / "disc-2.msh"), order=2)
    read = nf.readout(space, discs=[((0.1, -0.2), 0.5)])
    inside = np.linalg.norm(space.points - [0.1, -0.2], axis=1) <= 0.5
    assert space.w[inside].sum() == pytest.approx(np.pi * 0.25, rel=0.02)
    assert np.array_equal(read.profiles.toarray()[0] > 0, inside)
    assert read.profiles @ space.w == pytest.approx(1)


def test_disc_of_an_interval_has_its_radius_on_both_sides():
    space = nf.finite_elements(interval(80, 0, 8), order=2)
    read = nf.readout(space, discs=[([4.0], 0.5)])
    assert read.field_means(space.points[:, 0:1])[0, 0] == pytest.approx(4)
    inside = read.profiles.toarray()[0] > 0
    assert space.points[inside, 0].min() == pytest.approx(3.5, abs=0.02)
    assert space.points[inside, 0].max() == pytest.approx(4.5, abs=0.02)


def test_sites_are_read_one_by_one():
    grid = nf.graph(GRID)
    read = nf.readout(grid, regions=["output"], sites=[0, (2, 3)])
    state = np.arange(12.0)[:, None] * 1j
    assert np.array_equal(read.outputs(state), [[36, 0, 121]])


def test_small_disc_warns_and_says_what_helps(plane):
    with pytest.warns(UserWarning, match=r"only 1?\d quadrature points.*Refine.*24"):
        nf.readout(plane, discs=[((0.5, 0.5), 0.06)])


def test_disc_with_enough_points_and_sites_do_not_warn(plane):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nf.readout(plane, discs=[((0.5, 0.5), 0.3)])
        nf.readout(nf.graph(GRID), sites=[1])
        nf.readout(nf.graph(GRID), discs=[((1, 1), 0.5)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one region, site or disc"),
        ({"regions": ["uper"]}, "'uper'.*'lower'"),
        ({"sites": [3]}, "sites belong to graphs"),
        ({"discs": [((3.0, 3.0), 0.5)]}, r"no point of the domain.*\[0, 1\] x \[0, 1\]"),
        ({"discs": [((0.5, 0.5), 1e-9)]}, "refine the mesh"),
        ({"discs": [((0.5, 0.5), 0.0)]}, r"radius = 0\.0 must be positive"),
        ({"discs": [((0.5, 0.5), -1.0)]}, "must be positive"),
        ({"discs": [((0.5, 0.5), np.inf)]}, "must be positive"),
        ({"discs": [((0.5,), 0.2)]}, "readout disc center.*2 finite coordinates"),
    ],
)
def test_readouts_that_are_refused(plane, options, message):
    with pytest.raises(nf.InputError, match=message):
        nf.readout(plane, **options)


# -- absorbers ------------------------------------------------------------------------


def test_absorbing_region(plane):
    field = nf.absorbing_region(plane, "lower", 0.7)
    assert np.array_equal(field, -0.7j * (plane.points[:, 1] < 0.5))


def test_absorbing_layer_is_a_quadratic_ramp():
    space = nf.finite_elements(interval(40, 0, 10), order=2)
    field = nf.absorbing_layer(space, "right", 2.0, 0.5)
    depth = np.maximum(space.points[:, 0] - 8, 0) / 2
    assert np.allclose(field, -0.5j * depth**2)


def test_absorbing_layer_follows_a_wall(plane):
    field = nf.absorbing_layer(plane, "bottom", 0.3, 1.0)
    depth = np.maximum(1 - plane.points[:, 1] / 0.3, 0)
    assert np.allclose(field, -1j * depth**2)
    field = nf.absorbing_layer(plane, "wall", 0.3, 1.0)
    facets = plane.domain.points[plane.domain.boundaries["wall"]].reshape(-1, 2)
    assert set(np.unique(facets[:, 1])) >= {1.0}
    assert field.imag[np.argmax(plane.points[:, 1])] < -0.9


def test_absorbing_layer_follows_a_curved_wall():
    space = nf.finite_elements(nf.read_domain(MESHES / "disc-1.msh"), order=2)
    field = nf.absorbing_layer(space, "rim", 0.4, 2.0)
    radius = np.linalg.norm(space.points, axis=1)
    exact = -2j * np.maximum(1 - (1 - radius) / 0.4, 0) ** 2
    assert np.abs(field - exact).max() < 0.05  # two chords for each curved edge


def test_absorbing_layer_of_a_lattice():
    field = nf.absorbing_layer(nf.graph(nf.lattice(9)), "wall", 2.0, 1.0)
    assert np.allclose(field, -1j * np.array([1, 0.25, 0, 0, 0, 0, 0, 0.25, 1]))


def test_absorbing_layer_swallows_a_wave():
    """Behind the layer stands a hard wall, and hardly anything of the wave returns."""
    space = nf.finite_elements(interval(300, 0, 30), order=2)
    k = 2.0

    def returned(background):
        system = GPE(
            space,
            potential=-(k**2) / 2,
            pumps=[nf.gaussian_pump([4.0], 0.2)],
            loss=0.0,
            background=background,
        )
        state = nf.solve_steady(system, np.ones((1, 1))).state
        chosen = (space.nodes[:, 0] > 6) & (space.nodes[:, 0] < 15)
        x, psi = space.nodes[chosen, 0], space.at_nodes(state)[chosen, 0]
        waves = np.column_stack([np.exp(1j * k * x), np.exp(-1j * k * x)])
        out, back = np.abs(np.linalg.lstsq(waves, psi, rcond=None)[0])
        return back / out

    assert returned(nf.absorbing_layer(space, "right", 12.0, 2.0)) < 5e-3
    assert returned(None) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: nf.absorbing_region(s, "lower", 0.0), r"strength = 0\.0; it must be positive"),
        (lambda s: nf.absorbing_region(s, "lower", -1.0), "must be positive"),
        (lambda s: nf.absorbing_region(s, "lower", np.nan), "must be positive and finite"),
        (lambda s: nf.absorbing_region(s, "wall", 1.0), "no region called 'wall'.*'domain'"),
        (lambda s: nf.absorbing_layer(s, "lower", 0.3, 1.0), "no boundary called 'lower'.*'wall'"),
        (lambda s: nf.absorbing_layer(s, "wall", 0.0, 1.0), r"'wall': width = 0\.0"),
        (lambda s: nf.absorbing_layer(s, "wall", np.inf, 1.0), "width = inf"),
        (lambda s: nf.absorbing_layer(s, "wall", 1e-9, 1.0), "less than a cell; widen it"),
        (lambda s: nf.absorbing_layer(s, "wall", 0.3, np.inf), "strength = inf"),
    ],
)
def test_absorbers_that_are_refused(plane, make, message):
    with pytest.raises(nf.InputError, match=message):
        make(plane)


# -- systems --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [-0.1, np.nan, np.inf])
def test_loss_must_be_finite_and_not_negative(chain, loss):
    with pytest.raises(nf.InputError, match=r"loss = .*>= 0"):
        GPE(chain, loss=loss)


@pytest.mark.parametrize("background", [np.zeros(3), np.full(9, np.nan), 1.0])
def test_background_must_fit_the_space(chain, background):
    with pytest.raises(nf.InputError, match=r"background: .*9 quadrature points"):
        GPE(chain, background=background)


def test_background_adds_to_the_potential(chain):
    bare = GPE(chain, potential=0.5)
    walled = GPE(chain, potential=0.5, background=np.linspace(0, 2, 9) - 0.1j)
    difference = (walled.operator - bare.operator).toarray()
    assert np.allclose(difference, np.diag(np.linspace(0, 2, 9) - 0.1j))
