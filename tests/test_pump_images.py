"""Pumps that are images: cells of a lattice and grids of spots; walls between cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import CHAIN, changed, write_study
from test_config import refusal

import nepfield as nf
from nepfield.fields.pump_images import cell_pumps, grid_pumps
from nepfield.fields.pumps import place_pumps
from nepfield.steady.envelopes import Ramp, driven
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.gpe_drives import drive_warnings
from nepfield.study.systems.systems import load_study

IMAGES = CHAIN | {
    "domain": {"lattice": [2, 6]},
    "pump": [{"cell": [2, 3], "weight": {"normal": [0.0, 1.0]}}],
    "readout": {"sites": [[0, 1], [1, 4]]},
    "task": {"name": "digits8", "classes": [0, 1], "resize": [2, 3], "train_per_class": 5,
             "test_per_class": 2},
    "training": {"cost": "cce", "epochs": 1, "rate": 0.01, "rule": "adjoint"},
}  # fmt: skip


# -- cells of a lattice ------------------------------------------------------------------


def test_each_cell_gets_the_image_upright() -> None:
    space = nf.graph(nf.lattice(2, 6))
    image = np.arange(1.0, 7).reshape(2, 3)  # row 0 is the top of the picture
    weights = np.arange(12.0) + 1
    pumps = place_pumps(space, [cell_pumps((2, 3), weights)])
    assert pumps.ninputs == 6
    drive = pumps.drive(image.reshape(1, -1))[:, 0].reshape(2, 6)
    expected = np.hstack([image[::-1]] * 2) * weights.reshape(2, 6)  # y upwards
    np.testing.assert_array_equal(drive, expected)


def test_a_chain_has_cells_too() -> None:
    pumps = place_pumps(nf.graph(nf.lattice(6)), [cell_pumps((1, 3))])
    assert pumps.input.tolist() == [0, 1, 2, 0, 1, 2]


def test_images_are_what_single_pumps_are() -> None:
    """The same as a site pump a site: states, gradients by all rules, and derivatives."""
    space = nf.graph(nf.lattice(4, 6))
    random = np.random.default_rng(0)
    weights, inputs = random.normal(size=24), random.normal(size=(3, 6))
    image = cell_pumps((2, 3), weights)
    placed = place_pumps(space, [image])
    single = [
        nf.site_pump(k, w, input=int(i))
        for k, (w, i) in enumerate(zip(weights, placed.input, strict=True))
    ]
    both = [nf.GPE(space, 0.3, p, nf.Density(0.05), 0.1) for p in ([image], single)]
    cost = nf.CCE(nf.readout(space, sites=[3, 20]))
    targets = np.eye(2)[[0, 1, 1]]
    for rule in ("nep", "adjoint"):
        one, other = (nf.gradient(s, cost, inputs, targets, rule).params for s in both)
        for name in ("potential", "weights"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-12, atol=1e-15)
    system = both[0]
    exact = nf.gradient(system, cost, inputs, targets, "adjoint").params["weights"]
    direction, step = random.normal(size=24), 1e-5
    values = [
        nf.evaluate(
            system.with_parameters({"weights": weights + s * step * direction}),
            cost,
            inputs,
            targets,
        ).cost
        for s in (1, -1)
    ]
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(exact @ direction, rel=1e-6)


def test_inputs_go_on_after_an_image() -> None:
    space = nf.graph(nf.lattice(2, 3))
    pumps = place_pumps(
        space,
        [nf.site_pump(0), cell_pumps((2, 3)), nf.site_pump(1), nf.site_pump(2, constant=True),
         cell_pumps((2, 3), constant=True, trainable=False), cell_pumps((2, 3), input=2)],
    )  # fmt: skip
    assert pumps.input.tolist() == [0, 4, 5, 6, 1, 2, 3, 7, -1, *[-1] * 6, 5, 6, 7, 2, 3, 4]
    assert pumps.ninputs == 8
    assert pumps.entries.tolist() == [0, *[1] * 6, 2, 3, *[4] * 6, *[5] * 6]
    assert pumps.trainable.tolist() == [*[True] * 9, *[False] * 6, *[True] * 6]


@pytest.mark.parametrize("shape", [(15, 151), (4, 6)])
def test_cells_that_do_not_fill_a_lattice_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(nf.InputError, match="do not divide into cells of 15 x 15"):
        place_pumps(nf.graph(nf.lattice(*shape)), [cell_pumps((15, 15))])


def test_other_domains_have_no_cells() -> None:
    with pytest.raises(nf.InputError, match="this is no lattice"):
        place_pumps(nf.finite_elements(nf.box_mesh([[0, 1], [0, 1]], 2)), [cell_pumps((2, 2))])
    with pytest.raises(nf.InputError, match="it needs a planar mesh; a lattice takes cell"):
        place_pumps(nf.graph(nf.lattice(2, 3)), [grid_pumps((1, 1), [(0, 0)], 1.0, 1.0)])
    with pytest.raises(nf.InputError, match="one for each of the 6 pumps"):
        place_pumps(nf.graph(nf.lattice(2, 3)), [cell_pumps((2, 3), np.ones(5))])


# -- grids of spots on a mesh ------------------------------------------------------------


@pytest.fixture(scope="module")
def square() -> nf.Space:
    return nf.finite_elements(nf.box_mesh([[0.0, 8.0], [0.0, 4.0]], 24), order=2)


def test_a_grid_is_what_single_spots_are(square: nf.Space) -> None:
    corners, weights = [(0.4, 0.5), (4.4, 0.5)], np.arange(12.0) - 4
    grid = place_pumps(square, [grid_pumps((2, 3), corners, 1.1, 0.4, weights)])
    single = []
    for copy, (x, y) in enumerate(corners):
        for row in range(2):
            for column in range(3):
                place = (x + 1.1 * (column + 0.5), y + 1.1 * (1 - row + 0.5))  # row 0 on top
                weight = weights[6 * copy + 3 * row + column]
                single.append(nf.gaussian_pump(place, 0.4, weight, input=3 * row + column))
    other = place_pumps(square, single)
    assert grid.input.tolist() == other.input.tolist()
    inputs = np.random.default_rng(1).normal(size=(2, 6))
    scale = np.abs(other.drive(inputs)).max()
    np.testing.assert_allclose(grid.drive(inputs), other.drive(inputs), atol=1e-5 * scale)
    assert grid.load.nnz < 0.8 * other.load.nnz  # far from a spot there is nothing of it


def test_a_grid_that_leaves_the_mesh_is_refused(square: nf.Space) -> None:
    with pytest.raises(nf.InputError, match=r"spot at \[8\.5, 0\.5\].*\(1 of 2 do\)"):
        place_pumps(square, [grid_pumps((1, 2), [(7, 0)], 1.0, 0.1)])
    with pytest.raises(nf.InputError, match="pitch = 0; it must be positive"):
        place_pumps(square, [grid_pumps((1, 2), [(7, 0)], 0, 0.1)])


def test_pumps_that_are_images_are_drawn_as_a_field(square: nf.Space) -> None:
    for space, pumps in (
        (nf.graph(nf.lattice(2, 6)), cell_pumps((2, 3), np.arange(12.0))),
        (square, grid_pumps((2, 2), [(2, 1)], 1.0, 0.4, np.array([1.0, 2.0, 3.0, -4.0]))),
    ):
        system = nf.GPE(space, 0.3, [pumps], loss=0.1)
        assert system.marks() == []
        state = nf.solve_steady(system, np.ones((1, system.ninputs))).state
        (field,) = [
            f for f in system.fields(state, np.ones((1, system.ninputs))) if f.name == "weights"
        ]
        assert field.picture == "weights"
        if space.is_graph:
            assert field.values.tolist() == list(range(12))
        else:  # the brightest and the darkest cell are where these weights stand
            middles = space.domain.points[space.domain.cells].mean(axis=1)
            assert np.linalg.norm(middles[field.values.argmin()] - [3.5, 1.5]) < 0.4
            assert np.linalg.norm(middles[field.values.argmax()] - [2.5, 1.5]) < 0.4
    plain = nf.GPE(nf.graph(nf.lattice(3)), 0.3, [nf.site_pump(0)], loss=0.1)
    assert "weights" not in {
        f.name for f in plain.fields(np.zeros((3, 1), complex), np.ones((1, 1)))
    }


def test_envelopes_and_warnings_take_an_image_as_one_pump() -> None:
    space = nf.graph(nf.lattice(2, 6))
    weights = np.full(12, 1e-9)
    weights[0] = 1.0  # the others may be as weak as they like
    system = nf.GPE(space, 0.3, [cell_pumps((2, 3), weights), nf.site_pump(4)], loss=0.1)
    inputs = np.ones((1, 7))
    assert drive_warnings(system, inputs, 1e-6) == []
    weak = nf.GPE(space, 0.3, [cell_pumps((2, 3), 1e-9 * weights), nf.site_pump(4)], loss=0.1)
    assert "pump 0 is" in drive_warnings(weak, inputs, 1e-6)[0]
    drive = driven(system, inputs, [Ramp(1.0, at=0.0), None])
    at_start = drive.at(np.zeros(1))[:, 0]
    assert np.flatnonzero(at_start).tolist() == [4]
    np.testing.assert_allclose(drive.final, system.drive(inputs))
    with pytest.raises(nf.InputError, match="3 envelopes for 2 pumps"):
        driven(system, inputs, [None] * 3)


# -- walls -------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(
    rows=st.integers(1, 2),
    columns=st.integers(1, 3),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_hard_walls_make_cells_lattices_of_their_own(
    rows: int, columns: int, size: tuple[int, int]
) -> None:
    whole = nf.graph(nf.lattice(rows * size[0], columns * size[1], cells=size))
    alone = nf.graph(nf.lattice(*size))
    lattice = np.arange(len(whole.w)).reshape(rows * size[0], columns * size[1])
    for i in range(rows):
        for j in range(columns):
            cell = lattice[i * size[0] : (i + 1) * size[0], j * size[1] : (j + 1) * size[1]].ravel()
            block = whole.kinetic.toarray()[cell]
            np.testing.assert_allclose(block[:, cell], alone.kinetic.toarray())
            assert np.count_nonzero(block) == np.count_nonzero(block[:, cell])


def test_bad_cells_of_a_lattice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(nf.InputError, match="do not divide into cells of 2 x 4"):
        nf.lattice(2, 6, cells=(2, 4))
    with pytest.raises(nf.InputError, match="exclude periodic"):
        nf.lattice(4, 6, cells=(2, 3), periodic=True)
    with pytest.raises(nf.InputError, match="give 2 numbers"):
        nf.lattice(2, 6, cells=(2,))
    assert len(nf.lattice(6, cells=(3,)).cells) == 4
    path = write_study(tmp_path, IMAGES)
    assert "cells goes with lattice" in refusal(path, "domain.cells=[2, 3]", "domain.periodic=true")
    study = build(load_study(write_study(tmp_path, IMAGES, domain__cells=[2, 3])))
    assert len(study.system.domain.cells) == 14


def test_walls_of_a_background_are_between_the_cells(tmp_path: Path) -> None:
    data = changed(
        IMAGES, {"domain.lattice": [4, 6], "background": [{"walls": [2, 3], "height": 50.0}]}
    )
    system = build(load_study(write_study(tmp_path, data))).system
    expected = np.zeros((4, 6))
    expected[:, 2] = expected[1] = 50  # none behind the last cells
    np.testing.assert_array_equal(system.background.reshape(4, 6), expected)
    path = write_study(tmp_path, data)
    assert "walls and height go together" in refusal(path, "background.0.height=")
    with pytest.raises(nf.InputError, match=r"background\.0.*do not divide into cells of 3 x 3"):
        build(load_study(path, ["background.0.walls=[3, 3]"]))


# -- studies -----------------------------------------------------------------------------


def test_a_study_of_images_is_trained_resumed_and_handed_on(tmp_path: Path) -> None:
    path = write_study(tmp_path, IMAGES)
    study = build(load_study(path))
    assert len(set(study.system.pumps.weights)) == 12  # each pump is drawn for itself
    summary = train_study(load_study(path), tmp_path / "run")
    assert len(summary["weights"]) == 12
    assert {"test_accuracy", "accuracy"} <= set(summary)
    longer = train_study(load_study(path, ["training.epochs=2"]), tmp_path / "run", resume=True)
    whole = train_study(load_study(path, ["training.epochs=2"]), tmp_path / "whole")
    np.testing.assert_array_equal(longer["weights"], whole["weights"])
    handed = changed(IMAGES, {"pump.0.weight": "run", "potential.initial": "run"})
    other = build(load_study(write_study(tmp_path, handed)))
    np.testing.assert_array_equal(other.system.pumps.weights, longer["weights"])


def test_images_in_a_study_are_checked(tmp_path: Path) -> None:
    path = write_study(tmp_path, IMAGES)
    for override, says in (
        ("pump.0.cell=[2]", "must be [rows, columns], whole numbers from 1"),
        ("pump.0.spot=1", "grid and corners and pitch and spot go together"),
    ):
        assert says in refusal(path, override)
    with pytest.raises(nf.InputError, match=r"the 12 pumps need an array of shape \(nsamples, 6\)"):
        build(load_study(path, ["task.resize=[2, 2]"]))
    with pytest.raises(
        nf.InputError, match="wavevector goes with center and width, or with region"
    ):
        build(load_study(path, ["pump.0.wavevector=[1, 0]"]))
    rows = {"inputs": [[1.0] * 5], "targets": [[1.0, 0.0]]}
    few = write_study(tmp_path, changed(IMAGES, {"task": rows}))
    assert "a pump takes input 5 (counted from 0), but the rows of task.inputs have 5" in refusal(
        few
    )


def test_a_grid_in_a_study(tmp_path: Path) -> None:
    mesh = nf.box_mesh([[0.0, 8.0], [0.0, 4.0]], 16)
    nf.write_domain(mesh, tmp_path / "box.vtu")
    grid = {"grid": [2, 3], "corners": [[0.4, 0.5], [4.4, 0.5]], "pitch": 1.1, "spot": 0.4}
    data = changed(IMAGES, {
        "domain": {"mesh": "box.vtu"}, "pump": [grid],
        "readout": {"disc": [{"center": [x, 2.0], "radius": 1.0} for x in (2.0, 6.0)]},
    })  # fmt: skip
    config = load_study(write_study(tmp_path, data))
    study = build(config)
    assert len(study.system.pumps.weights) == 12
    (pump,) = config.pump
    assert pump.share_inside(study.system.space) == pytest.approx(0.9, abs=0.1)
    (name, width, where) = next(pump.lengths(study.system.space))
    assert (name, width) == ("pump width", 0.4)
    assert where.shape == study.system.space.w.shape
    assert any("12 pumps (12 trained), 6 inputs" in line for line in config.lines(study))
