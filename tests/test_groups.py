"""Outputs that are read at several places, whose intensities add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import per_sample
from test_cli import CHAIN, changed, write_study
from test_config import refusal

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study
from nepfield.systems.brightness import brightness_bounds

SPACE = nf.graph(nf.lattice(3, 6))
SITES = [0, 4, 7, 9, 14, 17]


def states(space: nf.Space, count: int = 3) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=(space.ndof, count)) + 1j * random.normal(size=(space.ndof, count))


@pytest.mark.parametrize("groups", [2, 3, [[0, 5], [1], [2, 3, 4]], [[0, 1, 2], [2, 3, 4, 5]]])
def test_an_output_is_the_mean_of_its_places(groups: int | list) -> None:
    state = states(SPACE)
    single = nf.readout(SPACE, sites=SITES)
    together = nf.readout(SPACE, sites=SITES, groups=groups)
    parts = groups if isinstance(groups, list) else np.arange(6).reshape(groups, -1)
    expected = np.column_stack([single.outputs(state)[:, part].mean(axis=1) for part in parts])
    np.testing.assert_allclose(together.outputs(state), expected)
    shares = [together.weight[together.output == k].sum() for k in range(len(parts))]
    np.testing.assert_allclose(shares, 1)
    assert together.names[1] == "group 1"
    assert together.marks()[0].shape["cells"] == sorted(SITES[k] for k in parts[0])


def test_slopes_of_groups_are_those_of_their_cost() -> None:
    readout = nf.readout(SPACE, sites=SITES, groups=[[0, 5], [1, 2], [3, 4, 0]])
    state, targets = states(SPACE), np.eye(3)
    for cost in (nf.CCE(readout, gain=3.0), nf.MSE(readout)):
        slope = readout.pull_back(state, cost.slope(readout.signals(state), targets))
        direction, step = states(SPACE)[:, ::-1], 1e-6
        change = [per_sample(cost, state + s * step * direction, targets) for s in (1, -1)]
        expected = 2 * np.sum(slope.conj() * direction, axis=0).real
        np.testing.assert_allclose((change[0] - change[1]) / (2 * step), expected, rtol=1e-6)


def test_groups_of_discs_of_different_size_on_a_mesh() -> None:
    space = nf.finite_elements(nf.box_mesh([[0.0, 4.0], [0.0, 4.0]], 20))
    discs = [((1.0, 1.0), 0.5), ((3.0, 3.0), 1.0), ((3.0, 1.0), 0.5)]
    state = states(space, 2)
    single = nf.readout(space, discs=discs).outputs(state)
    readout = nf.readout(space, discs=discs, groups=[[0, 1], [2]])
    np.testing.assert_allclose(readout.outputs(state)[:, 0], single[:, :2].mean(axis=1))
    np.testing.assert_allclose(readout.outputs(state)[:, 1], single[:, 2])
    # what is said of the brightness of an output holds for groups too
    potential = nf.potential(space, 0.0, bounds=(-0.5, 1.0))
    system = nf.GPE(space, potential, [nf.gaussian_pump((1.0, 1.0), 0.5)], nf.Density(0.1), 0.1)
    steady = nf.solve_steady(system, np.ones((1, 1)))
    power = brightness_bounds(system, readout, np.ones((1, 1))).power
    assert (readout.outputs(steady.state) <= power).all()


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (4, "6 places do not divide into so many groups"),
        (0, "do not divide"),
        ([[0, 1], [2, 6]], "by numbers from 0 to 5"),
        ([[0, 1], []], "one place or more"),
        ([], "one place or more"),
        ([[0, 1], [2, 3, 5]], "place 4 is in none"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups: int | list, says: str) -> None:
    with pytest.raises(nf.InputError, match=says):
        nf.readout(SPACE, sites=SITES, groups=groups)


def test_groups_in_a_study(tmp_path: Path) -> None:
    data = changed(CHAIN, {
        "readout": {"sites": [2, 3, 4, 5], "groups": 2}, "training.cost": "cce",
        "task": {"inputs": [[0, 1], [1, 0]], "targets": [[0, 1], [1, 0]]},
    })  # fmt: skip
    path = write_study(tmp_path, data)
    study = build(load_study(path))
    assert study.cost.readout.noutputs == 2
    listed = build(load_study(path, ["readout.groups=[[0, 1], [2, 3]]"]))
    state = states(study.system.space)
    np.testing.assert_array_equal(
        study.cost.readout.outputs(state), listed.cost.readout.outputs(state)
    )
    for override, says in (
        ("readout.groups=3", "readout: groups = 3: 4 places do not divide into so many groups"),
        ("readout.groups=[[0, 1], [2]]", "place 3 is in none"),
        ("readout.groups=true", "must be a whole number from 1, or lists of whole numbers"),
        ("readout.groups=1", "tells classes apart"),
    ):
        assert says in refusal(path, override)
