"""What generality costs on a small problem: XOR on nine sites against plain dense NumPy."""

from __future__ import annotations

import numpy as np

import nepfield as nf
from studies.speed.dense_reference import DenseChain
from studies.speed.measure import Measurement, best_of

_NAME = "small problem against dense NumPy"
_NSITES, _PUMPED, _OUTPUT = 9, (2, 6), 4
_G, _LOSS, _RATE, _TOLERANCE = 0.1, 0.03, 0.02, 1e-12


def compare_small(epochs: int = 100, repeats: int = 15) -> list[Measurement]:
    """Training by `nep` and Adam with full batches, both to the same parameters."""
    random = np.random.default_rng(0)
    potential = random.uniform(0, 0.5, _NSITES)
    weights = random.uniform(-1, 1, len(_PUMPED))
    task = nf.xor()
    space = nf.graph(nf.lattice(_NSITES))
    cost = nf.MSE(nf.readout(space, sites=[_OUTPUT]))

    def train() -> nf.GPE:
        pumps = [nf.site_pump(s, w) for s, w in zip(_PUMPED, weights, strict=True)]
        system = nf.GPE(space, potential, pumps, nf.Saturation(_G), _LOSS)
        optimizer = nf.Adam(_RATE)
        return nf.train(
            system, cost, task, optimizer=optimizer, epochs=epochs, tolerance=_TOLERANCE
        ).system

    def train_dense() -> DenseChain:
        chain = DenseChain(
            potential,
            weights,
            np.array(_PUMPED),
            _OUTPUT,
            _G,
            _LOSS,
            rate=_RATE,
            tolerance=_TOLERANCE,
        )
        chain.train(task.inputs, task.targets[:, 0], epochs)
        return chain

    ours, theirs = train(), train_dense()
    difference = max(
        np.abs(ours.potential.values - theirs.potential).max(),
        np.abs(ours.pumps.weights - theirs.weights).max(),
    )
    general, dense = best_of(repeats, train, train_dense)
    case = f"XOR, {_NSITES} sites, {epochs} epochs"
    note = "nepfield also records a history: near-equilibrium figures and gradient norms"
    return [
        Measurement(_NAME, case, "nepfield", general, "s", "", note),
        Measurement(_NAME, case, "dense NumPy", dense, "s"),
        Measurement(_NAME, case, "time of nepfield over dense NumPy", general / dense, "", "<= 2"),
        Measurement(_NAME, case, "difference of the parameters", difference, "", "<= 1e-8"),
    ]
