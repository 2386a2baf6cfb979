"""The vertices of the patches in sweep.toml: `python studies/elastic-allostery/patches.py`.

Of the first 2,000 patches those four whose closest two vertices are farthest apart are taken.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist

import nepfield as nf

SEEDS, PATCHES, VERTICES = 2000, 4, 16


def named_sets(seed: int) -> dict[str, list[int]]:
    """The masses at the corners, and a pair without a spring at the right side."""
    domain = nf.delaunay_patch(VERTICES, seed)
    edges = {tuple(edge) for edge in domain.cells.tolist()}
    taken: list[int] = []

    def take(place: np.ndarray | list[float], apart: int | None = None) -> int:
        order = np.argsort(np.linalg.norm(domain.points - place, axis=1)).tolist()
        unbound = (k for k in order if apart is None or (min(k, apart), max(k, apart)) not in edges)
        taken.append(next(k for k in unbound if k not in taken))
        return taken[-1]

    ground = [take([0.0, 0.0]), take([1.0, 0.0])]
    driven = [take([0.0, 1.0])]
    first = take([1.0, 0.7])
    return {"ground": ground, "input": driven, "target": [first, take(domain.points[first], first)]}


def main() -> None:
    """Print the seeds of the patches and their sets."""
    closest = [pdist(nf.delaunay_patch(VERTICES, seed).points).min() for seed in range(SEEDS)]
    for seed in np.argsort(closest)[::-1][:PATCHES].tolist():
        print(f"graph_seed {seed}, vertices {closest[seed]:.3f} apart: {named_sets(seed)}")


if __name__ == "__main__":
    main()
