"""Makes the data of the study: `python studies/elastic-teacher/data.py`.

    lattice.vtu       4 x 4 masses with springs to the right, up and along one diagonal
    teacher-N.npz     what a random network on it does: displacements of its two driven masses,
                      drawn from U(-0.2, 0.2), and where its two read masses go

A teacher has stiffnesses from U(0.5, 2) and rest lengths from U(0.9, 1.1) times those of the
lattice, both drawn with N as the seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import nepfield as nf
from nepfield.fields.distances import positions
from nepfield.mesh.vertices import edge_lengths

FOLDER = Path(__file__).parent
SIDE, TEACHERS, SAMPLES = 4, 5, 48


def braced_lattice() -> nf.Domain:
    """A square lattice with a diagonal in each square, which makes it rigid."""
    index = np.arange(SIDE**2).reshape(SIDE, SIDE)
    pairs = [
        (index[:, :-1], index[:, 1:]),
        (index[:-1], index[1:]),
        (index[:-1, :-1], index[1:, 1:]),
    ]
    edges = np.concatenate([np.column_stack([a.ravel(), b.ravel()]) for a, b in pairs])
    points = np.column_stack([index.ravel() % SIDE, index.ravel() // SIDE]).astype(float)
    sets = {
        "ground": index[0, [0, -1]],  # the lower corners
        "input": index[-1, [0, -1]],  # the upper corners
        "output": index[[1, 2], [2, 1]],  # inside
    }
    return nf.Domain(points, edges, "graph", {k: np.sort(v) for k, v in sets.items()})


def teacher(domain: nf.Domain, seed: int) -> nf.ElasticNetwork:
    """A random network."""
    random = np.random.default_rng(seed)
    stiffness = random.uniform(0.5, 2.0, len(domain.cells))
    rest_length = edge_lengths(domain) * random.uniform(0.9, 1.1, len(domain.cells))
    held = {"clamped": domain.region("input"), "fixed": domain.region("ground")}
    return nf.ElasticNetwork(domain, stiffness, rest_length, **held)


def main() -> None:
    """Write the lattice and what the teachers do."""
    domain = braced_lattice()
    nf.write_domain(domain, FOLDER / "lattice.vtu")
    for seed in range(TEACHERS):
        system = teacher(domain, seed)
        inputs = np.random.default_rng([seed, 1]).uniform(-0.2, 0.2, (SAMPLES, system.ninputs))
        state = nf.solve_steady(system, inputs, tolerance=1e-12).state
        targets = positions(domain, ["output"]).outputs(state)
        np.savez(FOLDER / f"teacher-{seed}.npz", inputs=inputs, targets=targets)


if __name__ == "__main__":
    main()
