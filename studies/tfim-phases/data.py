"""The samples of this study: places in the phase triangle of the cluster-Ising chain.

g_ZXZ + g_ZZ + g_X = 4, drawn evenly; the phases are known: symmetric-protected topological where
g_ZXZ, ordered where g_ZZ, and paramagnetic where g_X is the largest of what competes.
"""

from pathlib import Path

import numpy as np


def phase(inputs: np.ndarray) -> np.ndarray:
    """One-hot rows: topological, ordered, paramagnetic."""
    _, zz, x = inputs.T
    ordered, first = zz >= 2, 2 * x < 4 - zz
    return np.stack([~ordered & first, ordered, ~ordered & ~first], axis=1).astype(float)


def places(count: int, random: np.random.Generator) -> np.ndarray:
    """(g_ZXZ, g_ZZ, g_X), evenly from the triangle."""
    x, zz = random.uniform(0, 4, (2, count))
    beyond = x + zz > 4
    x, zz = np.where(beyond, 4 - zz, x), np.where(beyond, 4 - x, zz)
    return np.stack([4 - x - zz, zz, x], axis=1)


if __name__ == "__main__":
    random = np.random.default_rng(0)
    train, test = places(2000, random), places(500, random)
    np.savez_compressed(
        Path(__file__).with_name("data.npz"),
        inputs=train, targets=phase(train), test_inputs=test, test_targets=phase(test),
    )  # fmt: skip
