"""A trained run handed on to another study: finding cells, projecting, refusing what is wrong."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import MESHES, interval, observed_rates, skewed_quads, square
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import CHAIN, LINE, contents, invoke, write_study
from test_run import trained

import nepfield as nf
from nepfield.errors import InputError
from nepfield.fields.transfer import _support, transfer
from nepfield.learning.state import TrainingState
from nepfield.mesh.cells import measures
from nepfield.mesh.locate import locate, map_cells, split_cell
from nepfield.study.run.build import build
from nepfield.study.run.jobs import solve_study, train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import case_folder, check_cases, open_sweep, run_case
from nepfield.study.systems.systems import load_study
from nepfield.study.text.config import study_to_toml

WRAPPED = [
    lambda: nf.read_domain(MESHES / "billiard.msh"),
    lambda: nf.read_domain(MESHES / "disc.msh"),
    lambda: nf.read_domain(MESHES / "polygon.msh"),
    lambda: nf.read_domain(MESHES / "interval.msh"),
    lambda: skewed_quads(6),
]


def wave(points: np.ndarray) -> np.ndarray:
    return 0.2 * np.sin(points @ np.arange(1.0, points.shape[1] + 1))


# --- which cell holds a point


@pytest.mark.parametrize("read", WRAPPED, ids=["curved", "disc", "straight", "line", "quads"])
def test_every_quadrature_point_is_found_in_its_cell(read: Callable[[], nf.Domain]) -> None:
    domain = read()
    space = nf.finite_elements(domain, 2, quadrature=6)
    cell, outside = locate(domain.points, domain.cells, domain.kind, space.points)
    assert np.array_equal(cell, space.element_of_point)
    assert not outside.any()


@settings(max_examples=30)
@given(
    corner=st.floats(-1e4, 1e4),
    side=st.floats(1e-3, 1e3),
    kind=st.sampled_from(["triangle", "quad"]),
)
def test_cells_are_found_wherever_the_mesh_lies(corner: float, side: float, kind: str) -> None:
    domain = square(5, side, corner, kind)
    middles = domain.points[domain.cells].mean(axis=1)
    cell, outside = locate(domain.points, domain.cells, kind, middles)
    assert np.array_equal(cell, np.arange(len(domain.cells)))
    assert not outside.any()


def test_points_outside_get_the_nearest_cell_and_their_distance() -> None:
    domain = interval(4)  # cells of length 1/4, so radius 1/8
    wanted = np.array([[-0.01], [1.01], [1.5], [-2.0]])
    cell, outside = locate(domain.points, domain.cells, "line", wanted)
    assert cell.tolist() == [0, 3, 3, 0]
    assert outside == pytest.approx([0.08, 0.08, 4.0, 16.0])


# --- projection


@pytest.mark.parametrize("basis", ["cells", "regions", (0.6, 0.35)])
def test_onto_the_same_space_nothing_changes(basis: Any) -> None:
    space = nf.finite_elements(nf.read_domain(MESHES / "polygon.msh"), 2)
    count = len(nf.potential(space, basis=basis).values)
    values = np.random.default_rng(0).normal(size=(count, 2)) @ [1, 1j]
    placed = nf.potential(space, values, basis)
    found, outside = transfer(space, placed, basis, space, basis)
    assert np.abs(found - values).max() <= 1e-14
    assert outside == 0


@pytest.mark.parametrize("basis", ["regions", (0.5,)])
def test_what_both_meshes_resolve_is_exact_on_the_other(basis: Any) -> None:
    """Halves of the interval and pixels along cell borders; back again as well."""
    coarse, fine = (nf.finite_elements(halves(n), 1) for n in (4, 20))
    values = np.array([0.3, -0.7])
    there, _ = transfer(coarse, nf.potential(coarse, values, basis), basis, fine, "cells")
    assert np.abs(there - np.repeat(values, 10)).max() <= 1e-15
    back, _ = transfer(fine, nf.potential(fine, there), "cells", coarse, basis)
    assert np.abs(back - values).max() <= 1e-15


def halves(n: int) -> nf.Domain:
    domain = interval(n)
    cells = np.arange(n)
    regions = {"left": cells[: n // 2], "right": cells[n // 2 :]}
    return nf.Domain(domain.points, domain.cells, "line", regions, domain.boundaries)


def test_pixels_keep_their_edges_on_any_mesh() -> None:
    """A modulator's pixel does not care which mesh it lies on."""
    coarse, fine = (nf.finite_elements(square(n, kind=k), 2)
                    for n, k in ((7, "triangle"), (9, "quad")))  # fmt: skip
    on = nf.potential(coarse, basis=(0.25, 0.5))
    values = np.arange(8.0)
    placed = nf.potential(coarse, values, (0.25, 0.5))
    found, _ = transfer(coarse, placed, (0.25, 0.5), fine, (0.25, 0.5))
    assert len(on.values) == 8
    assert np.abs(found - values).max() <= 1e-14


def test_the_mean_is_kept_and_a_slope_converges() -> None:
    """A projection keeps the integral; that of a smooth V has an error of the first order."""
    fine = nf.finite_elements(square(64), 1)
    errors, sizes = [], [4, 8, 16, 32]
    for n in sizes:
        coarse = nf.finite_elements(square(n), 1)
        start = nf.potential(coarse)
        sampled = start.integrate(coarse.w * wave(coarse.points)) / start.measure
        placed = nf.potential(coarse, sampled)
        blank = nf.potential(fine)
        found, _ = transfer(coarse, placed, "cells", fine, "cells")
        assert found @ blank.measure == pytest.approx(sampled @ start.measure, rel=1e-12)
        error = found[blank.support] - wave(fine.points)
        errors.append(float(np.sqrt(fine.w @ error**2)))
    assert observed_rates([1 / n for n in sizes], errors) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", ["triangle", "quad"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("ratio", [2, 3, 8])
def test_from_a_finer_mesh_come_the_means_of_its_cells(kind: str, order: int, ratio: int) -> None:
    """Random values, of which a few points of a cell say nothing; complex ones as well."""
    fine = nf.finite_elements(square(8 * ratio, kind=kind), order)
    coarse = nf.finite_elements(square(8, kind=kind), order)
    random = np.random.default_rng(ratio)
    values = random.uniform(-1, 1, (2, len(fine.elements))).T @ [1, 1j]
    placed = nf.potential(fine, values)
    found, _ = transfer(fine, placed, "cells", coarse, "cells")
    domain = fine.domain
    middle = domain.points[domain.cells].mean(axis=1)
    parent, _ = locate(coarse.domain.points, coarse.domain.cells, kind, middle)
    sums = [np.bincount(parent, part) for part in (values.real, values.imag)]
    assert (np.bincount(parent) == ratio**2).all()
    assert np.abs(found - (sums[0] + 1j * sums[1]) / ratio**2).max() <= 1e-13
    # and the other way the values are repeated
    back, _ = transfer(coarse, nf.potential(coarse, found), "cells", fine, "cells")
    assert np.abs(back - found[parent]).max() <= 1e-13


def test_meshes_that_are_not_nested_keep_the_mean() -> None:
    """What is left of the error is that of parts which two cells of the source share."""
    fine, coarse = (nf.finite_elements(square(n), 1) for n in (48, 7))
    values = np.random.default_rng(1).uniform(-1, 1, len(fine.elements))
    placed, blank = nf.potential(fine, values), nf.potential(coarse)
    found, _ = transfer(fine, placed, "cells", coarse, "cells")
    assert found.std() < 0.1  # of single cells it is 0.58, of means over 47 of them 0.085
    assert found @ blank.measure == pytest.approx(values @ placed.measure, abs=0.01)


def test_a_curved_cell_is_cut_along_its_own_map() -> None:
    """V by side of a line through a disc, onto cells that are large against the source's."""
    for name in ("disc", "billiard"):
        space = nf.finite_elements(nf.read_domain(MESHES / f"{name}.msh"), 2)
        domain = space.domain
        corners = domain.points[domain.cells]
        points, stretch = map_cells(corners, domain.kind, split_cell(domain.kind, 12))
        cell, outside = locate(domain.points, domain.cells, domain.kind, points.reshape(-1, 2))
        assert np.array_equal(cell, np.repeat(np.arange(len(corners)), points.shape[1]))
        assert not outside.any()
        area = stretch.mean(axis=1) / 2
        assert area == pytest.approx(measures(domain.points, domain.cells, domain.kind), rel=1e-3)


def test_pixels_smaller_than_a_cell_are_averaged() -> None:
    """A modulator finer than the mesh: 4 x 4 pixels a cell, and all of them in one region."""
    space, fine = (nf.finite_elements(square(n, kind="quad"), 1) for n in (4, 16))
    pitch = (1 / 16, 1 / 16)
    values = np.random.default_rng(3).normal(size=256)
    placed = nf.potential(fine, values, pitch)
    found, _ = transfer(fine, placed, pitch, space, "cells")
    on = values.reshape(4, 4, 4, 4).mean(axis=(1, 3))  # pixels are counted along x, then along y
    middle = (space.domain.points[space.domain.cells].mean(axis=1) * 4).astype(int)
    assert np.abs(found - on[middle[:, 0], middle[:, 1]]).max() <= 1e-13
    whole, _ = transfer(fine, placed, pitch, space, "regions")
    assert whole == pytest.approx([values.mean()], abs=1e-13)


def test_the_nearest_pixel_is_nearest_in_length() -> None:
    """Pixels 1 x 0.1: two rows up (0.2) is nearer than a column to the side (1)."""
    left = nf.finite_elements(strip(), 1)
    placed = nf.potential(left, basis=(1.0, 0.1))
    used = np.unique(np.floor(left.points / [1.0, 0.1] + 1e-9).astype(int), axis=0)
    assert used.tolist() == [[0, k] for k in range(5)] + [[1, k] for k in range(10)]
    index = _support(left, placed, (1.0, 0.1), np.array([[0.95, 0.75]]), np.array([0]))
    assert used[index[0]].tolist() == [0, 4]


def strip() -> nf.Domain:
    """An L: [0, 1] x [0, 0.5] and [1, 2] x [0, 1]."""
    whole = square(20, 2.0, kind="quad")
    x, y = whole.points[whole.cells].mean(axis=1).T
    cells = whole.cells[(y < 1) & ((x > 1) | (y < 0.5))]
    used, again = np.unique(cells, return_inverse=True)
    return nf.Domain(whole.points[used], again.reshape(cells.shape), "quad", {}, {}, source="L")


def test_graphs_go_site_by_site() -> None:
    chain = nf.graph(nf.lattice(6))
    values = np.arange(6) - 1j
    found, _ = transfer(chain, nf.potential(chain, values), "cells", chain, "cells")
    assert np.array_equal(found, values)


def test_what_does_not_fit_is_refused() -> None:
    line, plane = nf.finite_elements(interval(4)), nf.finite_elements(square(4))
    away = nf.finite_elements(interval(4, 0.7, 1.7))
    for source, target, words in (
        (line, plane, "the potential of a 1-D mesh cannot become one of a 2-D mesh"),
        (nf.graph(nf.lattice(4)), line, "a graph of 4 sites cannot become one of a 1-D mesh"),
        (nf.graph(nf.lattice(4)), nf.graph(nf.lattice(5)), "a graph of 5 sites"),
        (line, away, "lies outside of interval"),
    ):
        with pytest.raises(InputError, match=words):
            transfer(source, nf.potential(source), "cells", target, "cells")


# --- studies


def test_a_run_starts_the_same_study_where_it_ended(tmp_path: Path) -> None:
    run, _, system = trained(tmp_path, LINE, training__epochs=3)
    again = write_study(
        tmp_path, LINE, potential__initial="run", pump__0__weight="run", pump__1__weight="run"
    )
    config = load_study(again)
    assert config.potential.initial == run  # absolute
    built = build(config).system
    assert np.abs(built.potential.values - system.potential.values).max() <= 1e-15
    assert np.array_equal(built.pumps.weights, system.pumps.weights)
    assert not np.array_equal(system.pumps.weights, [1.0, 1.0])
    before = solve_study(load_study(run / "study.toml"), tmp_path / "before", run)
    after = solve_study(config, tmp_path / "after")
    assert after["cost"] == pytest.approx(before["cost"], rel=1e-9)


def test_paths_of_runs_move_with_the_study(tmp_path: Path) -> None:
    trained(tmp_path, LINE)
    config = load_study(
        write_study(tmp_path, LINE, potential__initial="run", pump__0__weight="run")
    )
    (tmp_path / "a" / "b").mkdir(parents=True)
    text = study_to_toml(config, tmp_path / "a" / "b")
    data = tomllib.loads(text)
    assert data["potential"]["initial"] == data["pump"][0]["weight"] == "../../run"
    (tmp_path / "a" / "b" / "study.toml").write_text(text)
    assert load_study(tmp_path / "a" / "b" / "study.toml") == config
    # and a run that began with another one can be solved, compared and resumed
    done = tmp_path / "second"
    train_study(config, done)
    assert invoke("compare", str(done)).exit_code == 0
    result = invoke("train", str(tmp_path / "study.toml"), "--out", str(done), "--resume")
    assert result.exit_code == 0, result.output


def test_a_finer_mesh_and_another_basis(tmp_path: Path) -> None:
    _, study, system = trained(tmp_path, LINE, training__epochs=3)
    nf.write_domain(interval_line(200), tmp_path / "fine.vtu")
    finer = write_study(
        tmp_path, LINE, domain__mesh="fine.vtu", potential__initial="run",
        potential__basis={"pixels": [0.5]}, potential__bounds=[-1.0, 1.0],
    )  # fmt: skip
    built = build(load_study(finer)).system
    field = system.potential.at_points()
    for k, value in enumerate(built.potential.values):
        inside = np.floor(study.system.space.points[:, 0] / 0.5).astype(int) == k
        weight = study.system.space.w[inside]
        assert value == pytest.approx(weight @ field[inside] / weight.sum(), abs=1e-4)


def interval_line(n: int) -> nf.Domain:
    domain = interval(n, 0.0, 8.0)
    middle = domain.points[domain.cells].mean(axis=1)[:, 0]
    regions = {"line": np.arange(n), "output": np.flatnonzero((middle > 3.7) & (middle < 4.3))}
    return nf.Domain(domain.points, domain.cells, "line", regions, domain.boundaries)


def test_a_complex_potential_needs_both_parts(tmp_path: Path) -> None:
    _, _, system = trained(tmp_path, LINE, potential__imaginary={"initial": -0.05})
    config = load_study(write_study(tmp_path, LINE, potential__initial="run"))
    with pytest.raises(InputError, match=r"complex; .* potential\.imaginary\.initial"):
        build(config)
    both = write_study(
        tmp_path, LINE, potential__initial="run", potential__imaginary={"initial": "run"}
    )
    found = build(load_study(both)).system.potential.values
    assert np.abs(found - system.potential.values).max() <= 1e-15
    assert found.imag.std() > 0  # it was trained


def test_the_imaginary_part_of_a_real_run_is_zero(tmp_path: Path) -> None:
    trained(tmp_path, LINE)
    path = write_study(
        tmp_path, LINE, potential__initial=0.2, potential__imaginary={"initial": "run"}
    )
    assert np.array_equal(build(load_study(path)).system.potential.values, np.full(64, 0.2 + 0j))


def test_values_on_a_bound_pass_and_values_beyond_do_not(tmp_path: Path) -> None:
    run, study, _ = trained(tmp_path, LINE, potential__bounds=[-0.1, 1 / 3])
    state = TrainingState.load(run / "checkpoint.npz")
    ends = {"potential": np.resize([-0.1, 1 / 3], 64), "weights": np.array([1.0, -1.0])}
    TrainingState(state.epoch, ends, state.memory, state.random_state, None).save(
        run / "checkpoint.npz"
    )
    nf.write_domain(interval_line(64), tmp_path / "other.vtu")
    same = dict(domain__mesh="other.vtu", potential__initial="run")
    path = write_study(tmp_path, LINE, potential__bounds=[-0.1, 1 / 3], **same)
    found = build(load_study(path)).system.potential
    assert found.values.min() == pytest.approx(-0.1, abs=1e-15)
    assert found.values.max() == pytest.approx(1 / 3, abs=1e-15)
    assert study.system.potential.bounds == found.bounds
    narrow = write_study(tmp_path, LINE, potential__bounds=[-0.1, 0.3], **same)
    result = invoke("check", str(narrow))
    assert result.exit_code == 2
    assert "potential.initial" in result.stderr
    assert "from -0.1 to 0.333333 leave the bounds [-0.1, 0.3]; widen them" in result.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"potential__initial": "nowhere"}, ("potential.initial", "nowhere is no run folder")),
        ({"potential__initial": "empty"}, ("empty", "no study.toml")),
        ({"potential__initial": "untrained"}, ("potential.initial", "train it first")),
        ({"pump__1__weight": "nowhere"}, ("pump.1.weight", "nowhere is no run folder")),
        ({"potential__initial": "chain"}, ("potential.initial", "a graph of 7 sites", "1-D mesh")),
        ({"potential__initial": "broken"}, ("broken", "no checkpoint of nepfield")),
        ({"potential__disorder": "run"}, ("potential.disorder", "must be a finite number")),
        (
            {"pump": [LINE["pump"][0] | {"weight": "run", "input": 1}]},
            ("pump.0.weight", "2 pumps and the study 1"),
        ),
    ],
    ids=["nowhere", "empty", "untrained", "weight", "graph", "broken", "disorder", "pumps"],
)  # fmt: skip
def test_mistakes_cost_nothing(tmp_path: Path, changes: Any, words: tuple[str, ...]) -> None:
    trained(tmp_path, LINE)
    (tmp_path / "empty").mkdir()
    solve_study(load_study(tmp_path / "study.toml"), tmp_path / "untrained")
    os.rename(tmp_path / "run", tmp_path / "kept")
    trained(tmp_path, CHAIN)
    os.rename(tmp_path / "run", tmp_path / "chain")
    os.rename(tmp_path / "kept", tmp_path / "run")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.toml").write_text((tmp_path / "run" / "study.toml").read_text())
    (tmp_path / "broken" / "checkpoint.npz").write_bytes(b"PK\x03\x04 and no more")
    path = write_study(tmp_path, LINE, **changes)
    before = contents(tmp_path)
    result = invoke("train", str(path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert all(word in result.stderr for word in words), result.stderr
    assert contents(tmp_path) == before


def test_numbers_pass_between_equal_units_only(tmp_path: Path) -> None:
    trained(tmp_path, LINE | {"units": {"length": "1 um", "mass": "1e-4 m_e"}})
    equal = {"length": "1000 nm", "mass": "9.1093837139e-35 kg", "energy": "eV"}
    write_study(tmp_path, LINE | {"units": equal}, potential__initial="run")
    build(load_study(tmp_path / "study.toml"))
    for units in ({"length": "2 um", "mass": "1e-4 m_e"}, None):
        other = LINE if units is None else LINE | {"units": units}
        path = write_study(tmp_path, other, potential__initial="run")
        result = invoke("train", str(path), "--out", str(tmp_path / "out"))
        assert result.exit_code == 2
        told = "none" if units is None else "2 um, 1e-4 m_e"
        assert f"has the units 1 um, 1e-4 m_e, the study {told}" in result.stderr
        assert not (tmp_path / "out").exists()


def test_a_domain_that_reaches_far_beyond_is_warned_of(tmp_path: Path) -> None:
    trained(tmp_path, LINE)
    long = interval_line(90)
    longer = nf.Domain(long.points * 1.25, long.cells, "line", long.regions, long.boundaries)
    nf.write_domain(longer, tmp_path / "long.vtu")
    path = write_study(tmp_path, LINE, domain__mesh="long.vtu", potential__initial="run")
    with pytest.warns(UserWarning, match=r"19% of .*long\.vtu lies farther than a cell"):
        build(load_study(path))


def test_a_sweep_over_mesh_sizes_starts_from_a_run(tmp_path: Path) -> None:
    pytest.importorskip("gmsh")
    base = {"domain": {"geometry": str(MESHES / "interval.geo"), "parameters": {"size": 0.5}}}
    trained(tmp_path, LINE | base)
    write_study(tmp_path, LINE | base)
    (tmp_path / "plans").mkdir()
    plan = tmp_path / "plans" / "sweep.toml"
    plan.write_text(
        'study = "../study.toml"\n[set]\n"potential.initial" = "../run"\n'
        '[zip]\n"domain.parameters.size" = [0.4, 0.2]\n"pump.0.weight" = ["../run", 0.5]\n'
    )
    sweep = load_sweep(plan)
    check_cases(sweep)
    out = tmp_path / "out"
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases:
        done = run_case(sweep.config(case), str(case_folder(out, case)), str(out / "meshes"))
        assert done == "finished"
    kept = tomllib.loads((out / "sweep.toml").read_text())
    assert kept["set"]["potential.initial"] == "../run"
    assert kept["zip"]["pump.0.weight"] == ["../run", 0.5]
    # a case keeps its mesh in the sweep's folder, and can be handed on as well
    first = case_folder(out, sweep.cases[0])
    build(load_study(write_study(tmp_path, LINE | base, potential__initial=str(first))))
    assert not (first / "meshes").exists()
