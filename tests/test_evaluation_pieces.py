"""Evaluations of more samples than are solved at a time."""

from __future__ import annotations

import numpy as np
import pytest

import nepfield as nf
from nepfield.learning import evaluation, warm


def _device() -> tuple[nf.GPE, nf.MSE]:
    space = nf.graph(nf.lattice(5, 5))
    pumps = [nf.site_pump(k, 0.3, input=j) for j, k in enumerate((6, 18))]
    system = nf.GPE(space, 0.2, pumps, nf.Density(0.5), 0.2)
    return system, nf.MSE(nf.readout(space, sites=[12]))


@pytest.mark.parametrize("megabytes", [1024.0, 0.0])
def test_pieces_give_what_the_whole_gives(
    monkeypatch: pytest.MonkeyPatch, megabytes: float
) -> None:
    """In memory, and where the states lie in a file."""
    system, cost = _device()
    random = np.random.default_rng(0)
    inputs, targets = random.uniform(size=(50, 2)), random.uniform(size=(50, 1))
    inputs[17] *= 1e6  # one that is not found: it is left out
    options = {"tolerance": 1e-10, "max_iterations": 2}
    whole = nf.evaluate(system, cost, inputs, targets, **options)
    monkeypatch.setattr(evaluation, "TOGETHER", 16)
    monkeypatch.setattr(warm, "USUAL", megabytes)
    pieces = nf.evaluate(system, cost, inputs, targets, **options)
    assert (pieces.steady.converged == whole.steady.converged).all()
    assert pieces.cost == pytest.approx(whole.cost, rel=1e-8)
    assert np.allclose(pieces.outputs, whole.outputs, rtol=1e-7, equal_nan=True)
    good = whole.steady.converged
    assert good.sum() == 49
    assert np.allclose(pieces.steady.state[:, good], whole.steady.state[:, good], atol=1e-9)
    assert len(pieces.steady.reason) == len(pieces.steady.iterations) == 50
    assert (pieces.steady.samples(np.array([3, 40])).residual <= 1e-10).all()
    again = nf.evaluate(
        system, cost, inputs[:17], targets[:17], initial=whole.steady.state[:, :17], **options
    )
    assert not again.steady.iterations.any()  # each began where it was found
