"""What a search for steady states gives, and the error where it finds none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nepfield.reprs import Described, counted, listed, numbers


@dataclass(frozen=True, eq=False)
class Steady(Described):
    """Steady states with a certificate for each sample.

    Attributes
    ----------
    state : ndarray, shape (ndof, nsamples)
        Of a wave Psi; the last axis is the sample.
    converged : ndarray of bool, shape (nsamples,)
    residual : ndarray, shape (nsamples,)
        Norm of dPsi/dt over the norm of the drive, nudge included (over 1 where there is none).
    iterations : ndarray of int, shape (nsamples,)
        Newton steps, those of the continuation included; small batches step together until the
        last sample has converged.
    reason : tuple of str
        One sentence a sample: how it ended and, if it failed, what to try.
    extra : dict of str to ndarray, shape (nsamples,) each
        What else the search found: a lowest curvature, a gap.
    """

    state: np.ndarray
    converged: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    reason: tuple[str, ...]
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def samples(self, chosen: np.ndarray) -> Steady:
        """The same for some of the samples (indices or mask)."""
        index = np.arange(len(self.converged))[chosen]
        return Steady(
            self.state[..., index],
            self.converged[index],
            self.residual[index],
            self.iterations[index],
            tuple(self.reason[k] for k in index),
            {name: values[index] for name, values in self.extra.items()},
        )

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        good, n = int(np.sum(self.converged)), len(self.converged)
        worst = next(
            (r for r, ok in zip(self.reason, self.converged, strict=False) if not ok), None
        )
        return f"Steady: {good} of {counted(n, 'sample')} converged", {
            "state": numbers(self.state),
            "residual": f"up to {np.max(self.residual, initial=0.0):.2g}",
            "iterations": f"up to {np.max(self.iterations, initial=0)}",
            "first that failed": worst,
            "also": listed(self.extra) or None,
        }


def joined(parts: Sequence[Steady]) -> Steady:
    """States of several batches as those of one; of `extra` what all of them have."""
    common = [name for name in parts[0].extra if all(name in part.extra for part in parts)]
    return Steady(
        np.concatenate([part.state for part in parts], axis=-1),
        np.concatenate([part.converged for part in parts]),
        np.concatenate([part.residual for part in parts]),
        np.concatenate([part.iterations for part in parts]),
        tuple(reason for part in parts for reason in part.reason),
        {name: np.concatenate([part.extra[name] for part in parts]) for name in common},
    )


class NotConverged(RuntimeError):
    """A steady state was not found.

    Attributes
    ----------
    steady : Steady
        The last iterate with its per-sample certificate.
    """

    def __init__(self, message: str, steady: Steady) -> None:
        super().__init__(message)
        self.steady = steady
