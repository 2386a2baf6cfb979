"""The study rules-arena: its devices, its cases, and what it makes of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nepfield as nf
from studies import __main__ as command

arena = import_module("studies.rules-arena.arena")
figures = import_module("studies.rules-arena.figures")
STUDY = Path(arena.__file__).parent


def test_the_ends_of_the_ring_let_a_wave_out() -> None:
    """In the middle of the band exp(i k n), k = pi/2, solves the equations of the end as well."""
    space = arena.ring()
    system = nf.GPE(space, -1.0, [nf.site_pump(0)], loss=0.0)
    lead = np.concatenate([[0], arena.RING + arena.LEAD + np.arange(arena.LEAD)])
    wave = np.zeros((space.ndof, 1), dtype=complex)
    wave[lead, 0] = 1j ** np.arange(len(lead))
    force = system.operator @ wave
    assert np.abs(force[lead[1:]]).max() < 1e-12
    inward = system.operator @ wave.conj()
    assert abs(inward[lead[-1], 0]) > 0.5
    assert np.abs(space.at_nodes(wave)).sum() == len(lead)


@pytest.mark.parametrize("response", ["density", "saturation"])
def test_the_nonlinearity_is_as_strong_as_is_said(response: str) -> None:
    random = np.random.default_rng(3)
    space, _, basis, pumps = arena.device("lattice", random)
    linear = nf.GPE(space, nf.potential(space, 0.5, basis=basis), pumps, None, 0.3)
    steady = nf.solve_steady(linear, np.ones((1, 2)))
    assert arena.with_response(linear, steady, "linear", 0.0) is linear
    system = arena.with_response(linear, steady, response, 2.0)
    strongest = np.abs(system.linearise(steady.state).conjugate).max()
    assert strongest == pytest.approx(2.0 * 0.3)
    vacuum = np.zeros((space.ndof, 1), dtype=complex)
    one = np.full_like(vacuum, 1e-6)
    same = system.residual(one, vacuum) - linear.residual(one, vacuum)
    assert np.abs(same).max() < 1e-12  # without a wave the device is the same


def test_rows_hold_each_rule_against_the_adjoint() -> None:
    rows = pd.DataFrame(arena.arena_rows(("lattice", 0.3, 0.5, (0.0, 1.0), 1)))
    assert len(rows) == 3 * len(arena.RULES)
    rows = rows.set_index(["response", "rule", "corrections"])
    for response in ("linear", "density", "saturation"):
        assert rows.loc[(response, "dyadic-ep", 0), "true"] < 1e-10
        assert rows.loc[(response, "asym-ep", 0), "true"] < 1e-3
        nep, linear, holomorphic = (
            rows.loc[(response, rule, 0)] for rule in ("nep", "nep-linear", "holomorphic-ep")
        )
        assert holomorphic["cosine"] == pytest.approx(linear["cosine"], abs=1e-6)
        assert nep["cosine"] == pytest.approx(linear["cosine"], abs=0.01)
    assert rows.loc[("linear", "scattering-backpropagation", 0), "true"] < 1e-8
    assert rows.loc[("density", "reciprocal", 0), "true"] > 1e-6
    states = rows.xs("density")["states"]
    assert states.loc["nep"].tolist() == [2, 4, 5]
    assert states.loc["reciprocal-symmetric"].tolist() == [3, 5, 7]
    others = [states.loc[(rule, 0)] for rule in arena.OTHERS]
    assert others == [2, 3, 2, 5]


def test_the_multiple_that_bounds_the_error() -> None:
    count = 1000
    told = np.full(count, 0.1)
    true = told * np.linspace(0.001, 1, count)
    true[-5:] = 1.0  # the worst half of a percent
    names = np.where(np.arange(count) % 2, "reciprocal +1", "reciprocal")
    table = pd.DataFrame(
        {"name": names, "corrections": np.arange(count) % 2, "told": told, "true": true}
    )
    table.loc[0, "true"] = 1e-9  # rounding
    judged = figures.honesty(table).set_index("rule")
    assert judged.loc["all of them", "cases"] == count - 1
    assert judged.loc["all of them", "quantile_99"] == pytest.approx(0.99, abs=0.01)
    assert judged.loc["all of them", "largest"] == pytest.approx(10)
    assert judged.loc["all that were corrected", "cases"] == 500


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.3, "-0.30"), (0.985, "0.98"), (0.9951, "0.995"), (0.99987, "0.9999"),
     (0.9999987, "0.999999"), (1 - 1e-12, "1"), (1.0, "1")],
)  # fmt: skip
def test_cosines_are_told_with_their_nines(value: float, text: str) -> None:
    assert figures.told(value) == text


def test_tables_of_the_study_are_what_its_readme_says() -> None:
    cases = pd.read_csv(STUDY / "cases.csv")
    count = cases.groupby("device").size().to_dict()
    assert count == {"billiard": 60, "lattice": 849, "ring": 862}  # 17 of 1,788 were not found
    real = cases[cases["state"].isin(["proved", "stable"])]
    assert real["dyadic-ep"].min() > 1 - 1e-6
    assert real.loc[real["ratio"] == 0, "scattering-backpropagation"].min() > 1 - 1e-6
    assert len(real) == 1659
    weak = real[(real["b_over_loss"] < 1) & (real["ratio"] > 0)]
    shares = [(weak[rule] > 0.99).mean() for rule in ("reciprocal +1", "reciprocal", "nep")]
    assert shares == pytest.approx([0.99, 0.90, 0.18], abs=0.005)
    told = pd.read_csv(STUDY / "errors.csv").set_index("rule")["quantile_99"]
    assert told[told.index.str.contains("+", regex=False)].max() < 3
    assert real["reciprocal +1"].median() > real["reciprocal"].median() > real["nep"].median()


@pytest.mark.slow
def test_the_arena_runs_small(tmp_path: Path) -> None:
    few = ["rules-arena", "--quick", "--workers", "1", "--out", str(tmp_path)]
    rows = command.main(few)["rules-arena"]
    assert set(rows["device"]) == {"lattice", "ring", "billiard"}
    written = {path.name for path in (tmp_path / "rules-arena").iterdir()}
    assert {"cases.csv", "rules.csv", "errors.csv", "result.png", "errors.png"} <= written
