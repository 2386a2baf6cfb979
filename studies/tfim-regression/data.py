"""The samples of this study: y = 0.5 tanh 2 x1 - 0.4 x2 on a grid, and between its points."""

from pathlib import Path

import numpy as np


def target(inputs: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(2 * inputs[:, :1]) - 0.4 * inputs[:, 1:]


def grid(values: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(values, values, indexing="ij"), axis=-1).reshape(-1, 2)


if __name__ == "__main__":
    train, test = grid(np.linspace(-1, 1, 5)), grid(np.linspace(-0.9, 0.9, 7))
    np.savez(
        Path(__file__).with_name("data.npz"),
        inputs=train, targets=target(train), test_inputs=test, test_targets=target(test),
    )  # fmt: skip
