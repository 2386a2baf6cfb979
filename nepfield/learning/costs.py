"""Cost functions C(Psi, Psibar) of the intensities in the output regions.

    mse    1/2 sum_k 1/|Y_k| int_{Y_k} (t_k - |Psi|^2)^2          nep (4), per measure of the region
    cce    -sum_k t_k ln softmax_k(m),   m_k = mean of |Psi|^2 over Y_k                    nep (6)

The nudge of the learning rules is ``dC/dPsibar = (dC/dn) Psi`` with n = |Psi|^2, nep (5), (7).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.readouts import Readout
from nepfield.space.arrays import all_finite
from nepfield.space.linalg import fastest


class Cost(Protocol):
    """What a learning rule needs to know of a cost."""

    @property
    def readout(self) -> Readout:
        """The output regions."""

    def per_sample(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""

    def derivative(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """dC/dPsibar of each sample in weak form, shape (ndof, nsamples)."""

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets as a float array of shape (nsamples, noutputs)."""

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Figures that say how good outputs of shape (nsamples, noutputs) are."""


def _checked(targets: np.ndarray, readout: Readout) -> np.ndarray:
    array = np.asarray(targets, dtype=float)
    if array.ndim != 2 or array.shape[1] != readout.noutputs:
        raise InputError(
            f"targets: {readout.noutputs} output regions need an array of shape (nsamples, "
            f"{readout.noutputs}); this one has shape {array.shape}."
        )
    if not all_finite(array):
        raise InputError("targets: all values must be finite.")
    return array


@dataclass(frozen=True, eq=False)
class MSE:
    """Mean squared error of the intensity, pointwise in each output region, nep (4).

    Parameters
    ----------
    readout : Readout
    """

    readout: Readout

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, sp.csr_array | np.ndarray]:
        """Output and point of each entry of the profiles, its weight, and the scatter."""
        profiles = self.readout.profiles.tocoo()
        scatter = sp.coo_array(
            (profiles.data, (profiles.col, np.arange(profiles.nnz))),
            shape=(profiles.shape[1], profiles.nnz),
        )
        weight = 0.5 * profiles.data * self.readout.space.w[profiles.col]
        return profiles.row, profiles.col, weight, fastest(scatter.tocsr())

    def _error(self, state: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        output, point, _, _ = self._entries
        values = self.readout.space.evaluate(state)
        return targets.T[output] - np.abs(values[point]) ** 2, values

    def per_sample(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        _, _, weight, _ = self._entries
        error, _ = self._error(state, targets)
        return weight @ error**2

    def derivative(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """dC/dPsibar in weak form, shape (ndof, nsamples); nep (5)."""
        _, _, _, scatter = self._entries
        error, values = self._error(state, targets)
        return self.readout.space.integrate(-(scatter @ error) * values)

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets as a float array of shape (nsamples, noutputs)."""
        return _checked(targets, self.readout)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """``largest_error``: the largest distance of a mean intensity from its target."""
        return {"largest_error": float(np.abs(outputs - targets).max(initial=0.0))}


@dataclass(frozen=True, eq=False)
class CCE:
    """Categorical cross-entropy of the mean intensities, nep (6).

    Parameters
    ----------
    readout : Readout
        One output region a class.
    """

    readout: Readout

    def per_sample(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        return -np.sum(targets * _log_softmax(self.readout.outputs(state)), axis=1)

    def derivative(self, state: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """dC/dPsibar in weak form, shape (ndof, nsamples); nep (7)."""
        probability = np.exp(_log_softmax(self.readout.outputs(state)))
        slope = probability * targets.sum(axis=1, keepdims=True) - targets
        space = self.readout.space
        return space.integrate((self.readout.profiles.T @ slope.T) * space.evaluate(state))

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets as a float array of shape (nsamples, noutputs).

        Raises
        ------
        InputError
            If they are negative or do not sum to 1 (one-hot or probabilities are expected).
        """
        array = _checked(targets, self.readout)
        if np.any(array < 0) or not np.allclose(array.sum(axis=1), 1):
            raise InputError(
                'targets: cost "cce" needs class probabilities (one-hot rows): none negative, each '
                "row with sum 1."
            )
        return array

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """``accuracy``: the fraction of samples whose brightest region is the right class."""
        return {"accuracy": float(np.mean(outputs.argmax(axis=1) == targets.argmax(axis=1)))}


def _log_softmax(values: np.ndarray) -> np.ndarray:
    shifted = values - values.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
