"""What is said of a training: its verdict, since when its gradient was wrong, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import CHAIN, invoke, write_study

import nepfield as nf
from nepfield.learning.verdict import Verdict, advice, is_falling, judge, untrusted_since
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from tests.cases import chain_cost

FALLING = np.geomspace(1.0, 0.3, 40)
FLAT = np.r_[np.linspace(1.0, 0.5, 10), np.full(30, 0.5)]


def rows(costs: np.ndarray, **columns: Any) -> list[dict[str, float]]:
    """A history; a column is a number, or {epoch: number}."""
    table: list[dict[str, float]] = []
    for epoch, cost in enumerate(costs, 1):
        row = {"epoch": epoch, "cost": float(cost)}
        for name, value in columns.items():
            row[name] = value.get(epoch, np.nan) if isinstance(value, dict) else value
        table.append(row)
    return table


def word(costs: np.ndarray = FALLING, fits: bool = False, faint: bool = False, **more: Any) -> str:
    states = {
        key: more.pop(key) for key in ("lost", "missing", "stability", "switch_on") if key in more
    }
    return judge(rows(costs, **more), fits=fits, faint=faint, **states).word


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("learnt", dict(fits=True)),
        ("learnt", dict(fits=True, gradient_cosine=-1.0)),  # at a minimum it may point anywhere
        ("learnt", dict(fits=True, stability=["proved", "stable"])),
        ("learnt", dict(fits=True, stability=["unknown"], switch_on=["reached"])),
        ("learning", dict(fits=True, stability=["proved", "unknown"])),
        ("learning", dict(fits=True, stability=["proved", "unknown"], switch_on=["reached"])),
        ("unstable", dict(fits=True, stability=["proved", "unstable"])),
        ("unreachable", dict(fits=True, stability=["stable"], switch_on=["other state"])),
        ("unreachable", dict(fits=True, stability=["stable"], switch_on=["does not settle"])),
        ("learning", {}),
        ("learning", dict(stability=["unstable"])),
        ("stalled", dict(costs=FLAT)),
        ("unstable", dict(costs=FLAT, stability=["unstable"])),
        ("unreachable", dict(costs=FLAT, stability=["stable"], switch_on=["other state"])),
        ("unstable", dict(missing=True)),
        ("unreachable", dict(lost=True)),
        ("learnt", dict(lost=True, fits=True)),
        ("dark", dict(faint=True)),
        ("dark", dict(costs=FLAT, faint=True)),
        ("diverging", dict(costs=FALLING[::-1])),
        ("diverging", dict(costs=FALLING[::-1], faint=True)),
        ("gradient", dict(costs=FALLING[::-1], gradient_cosine={20: 0.9, 40: -0.5})),
        ("gradient", dict(costs=FLAT, gradient_cosine={40: 0.3}, faint=True)),
        ("gradient", dict(costs=FLAT, nudge_loss=0.3)),
        ("gradient", dict(gradient_cosine={40: -0.1})),
        ("learning", dict(gradient_cosine={40: 0.3})),  # it gets somewhere all the same
        ("learning", dict(nudge_loss=0.3)),
        ("stalled", dict(costs=FLAT, nudge_loss=0.3, gradient_cosine={40: 0.99})),
    ],
)
def test_words(expected: str, given: dict[str, Any]) -> None:
    assert word(**given) == expected


def test_since_when_the_gradient_is_wrong() -> None:
    history = rows(FLAT, gradient_cosine={5: 0.2, 10: 0.9, 20: 0.4, 30: -1.0, 40: 0.1})
    assert untrusted_since(history) == 20
    assert untrusted_since(history[:10]) is None
    assert untrusted_since(rows(FLAT, nudge_loss={k: 0.01 * k for k in range(1, 41)})) == 11
    assert untrusted_since(rows(FLAT)) is None


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_taken_for_progress(seed: int) -> None:
    noise = 1 + 0.02 * np.random.default_rng(seed).normal(size=400)
    assert not is_falling(rows(0.5 * noise))
    assert is_falling(rows(np.geomspace(1, 0.3, 400) * noise))
    assert is_falling(rows(FALLING[:2]))
    assert not is_falling(rows(FALLING[1::-1]))


def test_when_a_squared_error_is_learnt() -> None:
    cost, targets = chain_cost(), np.array([[0.0], [2.0]])
    assert cost.learnt(np.array([[0.19], [1.81]]), targets)
    assert not cost.learnt(np.array([[0.21], [1.9]]), targets)
    alike = np.array([[0.5], [0.5]])
    assert cost.learnt(0.96 * alike, alike)
    assert not cost.learnt(0.89 * alike, alike)
    assert cost.faint(np.array([[0.1], [0.19]]), targets)
    assert not cost.faint(np.array([[0.0], [0.21]]), targets)
    assert not cost.faint(np.zeros((2, 1)), np.zeros((2, 1)))


def test_when_classes_are_learnt() -> None:
    space = nf.graph(nf.lattice(4))
    cost = nf.CCE(nf.readout(space, sites=[0, 3]), gain=2.0)
    targets = np.eye(2)
    enough = np.log(1 + np.sqrt(2)) / 2  # a cross entropy of half of ln 2
    assert cost.learnt(1.01 * enough * targets, targets)
    assert not cost.learnt(0.99 * enough * targets, targets)
    assert cost.faint(np.array([[1.0, 1.04], [1.0, 1.0]]), targets)
    assert not cost.faint(np.array([[1.0, 1.06], [1.0, 1.0]]), targets)


def test_phases_are_compared_on_the_circle() -> None:
    cost = nf.LogCosine(chain_cost().readout)
    targets = np.array([[np.pi / 2], [-np.pi / 2]])
    assert cost.learnt(targets + 2 * np.pi + 0.3, targets)
    assert not cost.learnt(targets + 0.32, targets)


def test_what_no_scale_of_the_wave_mends() -> None:
    """A standing wave sin^2 over a readout: <n>^2/<n^2> = 2/3 at best."""
    domain = nf.lattice(200)
    domain = nf.Domain(domain.points, domain.cells, domain.kind, {"all": np.arange(200)}, {})
    space = nf.graph(domain)
    cost = nf.MSE(nf.readout(space, regions=["all"]))
    wave = np.sin(np.pi * (np.arange(200) + 0.5) / 20)[:, None] + 0j
    signals, target = cost.readout.signals(wave), np.array([[3.0]])
    (floor,) = cost.floor(signals, target)
    assert floor == pytest.approx(0.5 * 9 / 3)
    scales = np.linspace(0.5, 8, 4001)
    assert floor == pytest.approx(min(cost.value(s * signals, target)[0] for s in scales), 1e-6)


# -- in a run ----------------------------------------------------------------------------


def trained(folder: Path, **sections: Any) -> dict[str, Any]:
    return train_study(load_study(write_study(folder, CHAIN | sections)), folder / "run")


def test_a_run_ends_with_a_verdict(tmp_path: Path) -> None:
    summary = trained(tmp_path, training={"epochs": 3, "rate": 0.02})
    assert summary["verdict"] == "learning"
    assert "--set training.epochs=9" in summary["advice"][-1]
    found = invoke("train", str(tmp_path / "study.toml"), "--out", str(tmp_path / "again"))
    assert "  verdict: learning\n  advice: the cost still falls" in found.output


def test_the_study_says_what_is_learnt(tmp_path: Path) -> None:
    easy = {"cost": 10.0, "fraction_converged": 1.0}
    summary = trained(tmp_path, training={"epochs": 1}, success=easy)
    assert summary["verdict"] == "learnt"
    assert summary["advice"] == []


@pytest.mark.parametrize(
    ("success", "told"),
    [
        ({"costs": 1.0}, "say which side is good"),
        ({"cost": "low"}, "must be a finite number"),
        (3, "success"),
    ],
)
def test_a_wrong_criterion(tmp_path: Path, success: Any, told: str) -> None:
    path = write_study(tmp_path, CHAIN | {"success": success})
    with pytest.raises(nf.InputError, match=told):
        load_study(path)


def test_a_dark_readout_is_told_with_the_pumps_it_takes(tmp_path: Path) -> None:
    task = {"inputs": [[0.0, 1.0], [1.0, 0.0]], "targets": [[1e6], [1e6]]}
    summary = trained(tmp_path, task=task, training={"epochs": 2, "rate": 1e-4})
    assert summary["verdict"] == "dark"
    assert "output 0 is dark" in summary["advice"][0]
    assert "times as strong" in summary["advice"][0]


def test_loss_that_is_too_strong_is_told(tmp_path: Path) -> None:
    physics = CHAIN["physics"] | {"loss": 3.0}
    training = {"epochs": 3, "rate": 0.02, "compare_every": 1, "rule": "nep"}
    summary = trained(tmp_path, physics=physics, training=training)
    cosine = summary["gradient_cosine"]
    assert (summary["untrusted_since"] is not None) == (cosine < 0.5)
    if summary["verdict"] == "gradient":
        assert 'training.rule = "reciprocal" or "adjoint"' in summary["advice"][0]


def test_what_was_trained_must_be_found_without_warm_starts(tmp_path: Path) -> None:
    """A site whose bright branch is followed to where a start from the vacuum finds a dark one."""
    physics = {"g": 1.0, "loss": 0.05}
    study = {"domain": {"lattice": [1]}, "physics": physics, "readout": {"sites": [0]}}
    study |= {"pump": [{"site": 0, "weight": 0.3}], "potential": {"initial": -0.2}}
    study |= {"task": {"inputs": [[1.0]], "targets": [[1.6]]}}
    study |= {"training": {"epochs": 60, "rate": 0.03, "rule": "adjoint", "weight_rate": 1e-6}}
    summary = train_study(load_study(write_study(tmp_path, CHAIN | study)), tmp_path / "run")
    assert summary["verdict"] == "unreachable"
    assert "training.warm_start = false" in summary["advice"][0]


def test_samples_without_a_state_are_told(tmp_path: Path) -> None:
    """Few iterations are enough without a drive, and for nothing else."""
    task = {"inputs": [[0.0, 0.0], [1.0, 0.5]], "targets": [[0.0], [1.0]]}
    tight = {"max_iterations": 1, "tolerance": 1e-12}
    physics = {"g": 50.0, "loss": 0.001}
    path = write_study(tmp_path, CHAIN | {"task": task, "solver": tight, "physics": physics})
    summary = train_study(load_study(path), tmp_path / "run")
    assert len(summary["not_converged"]) == 1
    assert summary["verdict"] == "unstable"
    assert "1 of the samples have no steady state" in summary["advice"][0]


def test_check_looks_ahead(tmp_path: Path) -> None:
    found = invoke("check", str(write_study(tmp_path, CHAIN)))
    assert "gradient at the start: cosine" in found.output


def test_one_verdict_is_equal_to_another() -> None:
    assert judge(rows(FLAT), fits=True, faint=False) == Verdict("learnt", None, False, True)


def test_doubt_about_the_states_is_told() -> None:
    doubt = judge(rows(FLAT), fits=True, faint=False, stability=["unknown"])
    assert (doubt.word, doubt.fits) == ("learning", True)
    assert "--from vacuum" in advice(doubt, {"epochs": 3})[0]
    going = judge(rows(FALLING), fits=False, faint=False)
    assert advice(going, {"epochs": 3}) == [
        "the cost still falls: go on with --resume --set training.epochs=9, or raise the rates"
    ]
