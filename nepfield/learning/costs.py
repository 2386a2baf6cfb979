"""Costs of the signals that a readout gives; a cost never looks into a state.

    mse          1/2 sum_k 1/|Y_k| int_{Y_k} (t_k - n)^2, n an intensity            nep (4), (5)
    cce          -sum_k t_k ln softmax_k(gain m), m_k = mean signal of output k  nep (6), (7)
    log-cosine   -sum_k ln(1 + cos(phi_k - t_k)), of phases                      xy (4)

Signals have the shape (nsignals, ...), targets (noutputs, ...): both broadcast over what follows,
the samples. ``readout.weight`` is the share of a signal in its output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.readouts import Readout
from nepfield.learning.classes import classes_of, one_hot
from nepfield.reprs import Described
from nepfield.space.arrays import all_finite


class Cost(Protocol):
    """What a learning rule needs to know of a cost: any object with these members.

    Signals have shape (nsignals, nsamples) and targets (noutputs, nsamples), or further axes
    after these. `MSE`, `CCE` and `LogCosine` are costs; one of your own best derives from `MSE`
    and replaces `value`, `slope` and `curvature` (CONTRIBUTING.md has a Huber loss).

    Attributes
    ----------
    readout : Readout
    metric_labels : dict of str to str
        How pictures call its metrics; those that have no name there are not drawn.
    """

    @property
    def readout(self) -> Readout: ...
    @property
    def metric_labels(self) -> Mapping[str, str]: ...

    def value(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""

    def slope(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by each signal, like the signals."""

    def curvature(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its second derivative by each signal (the diagonal), like the signals."""

    def branch(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Between which poles each signal lies, as whole numbers; None for a cost without poles.

        At a pole the slope has no bound, and a nudge away from the target may find no state.
        """

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets as a float array of shape (nsamples, noutputs)."""

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Figures that say how good outputs of shape (nsamples, noutputs) are."""

    def scores(self, values: np.ndarray) -> np.ndarray:
        """What is largest for the class that outputs or targets (nsamples, noutputs) mean."""

    def learnt(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Whether outputs of shape (nsamples, noutputs) are as good as learnt."""

    def faint(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Whether the outputs are so small that nothing has been learnt yet, or can be."""

    def floor(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample that stays however the signals of an output are scaled together."""


_ACCURACY: Mapping[str, str] = {"accuracy": "accuracy"}
_DISTANCE: Mapping[str, str] = {"mean_distance": "mean distance", **_ACCURACY}


LEARNT = 0.1  # of the contrast of the targets
FAINT = 0.1  # of the largest target


def _checked(targets: np.ndarray, readout: Readout) -> np.ndarray:
    try:
        array = np.asarray(targets).astype(float, casting="same_kind")
    except (TypeError, ValueError):
        raise InputError("targets: they must be an array of real numbers.") from None
    if array.ndim != 2 or array.shape[1] != readout.noutputs:
        raise InputError(
            f"targets: {readout.noutputs} {readout.noun}s need an array of shape (nsamples, "
            f"{readout.noutputs}); this one has shape {array.shape}."
        )
    if not all_finite(array):
        raise InputError("targets: all values must be finite.")
    return array


def _over(weight: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """A number a signal, in a shape that broadcasts with the signals."""
    return weight.reshape(-1, *(1,) * (signals.ndim - 1))


def _summed(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted sum over the signals; `tensordot` is slow on the usual two axes."""
    return weight @ values if values.ndim == 2 else np.tensordot(weight, values, 1)


@dataclass(frozen=True, eq=False)
class MSE(Described):
    """Squared error, of each signal from the target of its output, nep (4).

    Parameters
    ----------
    readout : Readout
        Of intensities it is pointwise in each output region, per measure of the region.
    """

    readout: Readout
    metric_labels = _ACCURACY

    def value(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        error = targets[self.readout.output] - signals
        return 0.5 * _summed(self.readout.weight, error**2)

    def slope(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by each signal; nep (5)."""
        return _over(self.readout.weight, signals) * (signals - targets[self.readout.output])

    def curvature(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its second derivative by each signal: the weights."""
        shape = np.broadcast_shapes(signals.shape, targets[self.readout.output].shape)
        return np.broadcast_to(_over(self.readout.weight, signals), shape)

    def branch(self, signals: np.ndarray, targets: np.ndarray) -> None:
        """None: it has no pole."""
        return None

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets as a float array of shape (nsamples, noutputs)."""
        return _checked(targets, self.readout)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """``largest_error``: the largest distance of an output from its target; of one-hot targets
        also ``accuracy``, by the largest output, of equal ones the first."""
        found = {"largest_error": float(np.abs(outputs - targets).max(initial=0.0))}
        if one_hot(targets):
            found["accuracy"] = accuracy(outputs, targets)
        return found

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The outputs themselves."""
        return values

    def learnt(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Every output within 0.1 of the contrast of its targets (of their size, where they are
        all the same)."""
        return bool((np.abs(outputs - targets) <= LEARNT * contrast(targets)).all())

    def faint(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """An output that is nowhere larger than 0.1 of its largest target."""
        largest = np.abs(targets).max(axis=0, initial=0.0)
        reached = np.abs(outputs).max(axis=0, initial=0.0)
        return bool(((largest > 0) & (reached < FAINT * largest)).any())

    def floor(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What signals that differ within an output cost: ``t^2 (1 - <n>^2/<n^2>) / 2``."""
        mean, square = self.readout.means(signals), self.readout.means(signals**2)
        even = np.divide(mean**2, square, out=np.ones_like(mean), where=square > 0)
        return 0.5 * np.sum(targets**2 * (1 - even), axis=0)


@dataclass(frozen=True, eq=False)
class CCE(Described):
    """Categorical cross-entropy of the outputs, nep (6).

    Parameters
    ----------
    readout : Readout
        One output a class.
    gain : float
        Outputs are multiplied by it before the softmax. For a wave a gain is a unit of intensity:
        gain T with weights w and response g n is gain 1 with w sqrt(T) and g / T.
    """

    readout: Readout
    gain: float = 1.0
    metric_labels = _ACCURACY

    def __post_init__(self) -> None:
        if not self.gain > 0 or not np.isfinite(self.gain):
            raise InputError(f"gain = {self.gain}: it must be positive and finite.")

    def _log_softmax(self, signals: np.ndarray) -> np.ndarray:
        return self._log_shares(self.readout.means(signals))

    def _log_shares(self, means: np.ndarray) -> np.ndarray:
        values = self.gain * means
        shifted = values - values.max(axis=0)
        return shifted - np.log(np.exp(shifted).sum(axis=0))

    def value(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        return -np.sum(targets * self._log_softmax(signals), axis=0)

    def slope(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by each signal; nep (7)."""
        by_output = np.exp(self._log_softmax(signals)) * targets.sum(axis=0) - targets
        return self.gain * _over(self.readout.weight, signals) * by_output[self.readout.output]

    def curvature(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The diagonal of its second derivative by the signals."""
        p = np.exp(self._log_softmax(signals))
        by_output = p * (1 - p) * targets.sum(axis=0)
        scale = (self.gain * _over(self.readout.weight, signals)) ** 2
        return scale * by_output[self.readout.output]

    def branch(self, signals: np.ndarray, targets: np.ndarray) -> None:
        """None: it has no pole."""
        return None

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
        """``accuracy``: the fraction of samples whose largest output is the right class."""
        return {"accuracy": accuracy(outputs, targets)}

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The outputs themselves."""
        return values

    def learnt(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """A cross-entropy below half of ln K, that of guessing among K classes."""
        costs = -np.sum(targets.T * self._log_shares(outputs.T), axis=0)
        return bool(costs.mean() < 0.5 * np.log(max(2, targets.shape[1])))

    def faint(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Outputs that differ by less than 0.1 / gain, which a softmax does not tell apart."""
        return bool((self.gain * np.ptp(outputs, axis=1) < FAINT).all())

    def floor(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """0: it knows means alone."""
        return np.zeros(signals.shape[1:])


@dataclass(frozen=True, eq=False)
class LogCosine(Described):
    """``-sum_k ln(1 + cos(phi_k - t_k))`` of phases, xy (4).

    Its force, ``tan((phi - t)/2)``, has a pole opposite to the target: a nudge away from the target
    has no lowest energy.

    Parameters
    ----------
    readout : Readout
        Of phases.
    """

    readout: Readout
    metric_labels = _DISTANCE

    def _difference(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return signals - targets[self.readout.output]

    def value(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        # 1 + cos(d) = 2 cos(d/2)^2, which is exact near the pole
        half = np.abs(np.cos(self._difference(signals, targets) / 2))
        cost = -np.log(2) - 2 * np.log(np.maximum(half, 1e-150))
        return _summed(self.readout.weight, cost)

    def slope(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by each signal."""
        half = self._difference(signals, targets) / 2
        return _over(self.readout.weight, signals) * np.tan(half)

    def curvature(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its second derivative by each signal."""
        half = np.cos(self._difference(signals, targets) / 2)
        return _over(self.readout.weight, signals) * 0.5 / np.maximum(half**2, 1e-300)

    def branch(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Between which poles each signal lies."""
        return np.floor(self._difference(signals, targets) / (2 * np.pi) + 0.5)

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """The targets, phases, as a float array of shape (nsamples, noutputs)."""
        return _checked(targets, self.readout)

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """``mean_distance`` of samples, sum over outputs of 1 - cos(phi - t), xy (3); of classes
        also ``accuracy``, by the largest 1 + sin(phi)."""
        distance = np.sum(1 - np.cos(outputs - targets), axis=1)
        found = {"mean_distance": float(distance.mean())}
        if classes_of(self.scores(targets)) is not None:
            found["accuracy"] = accuracy(self.scores(outputs), self.scores(targets))
        return found

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The sines of phases: a class stands at pi/2."""
        return np.sin(values)

    def learnt(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Every phase within 0.1 of the contrast of its targets."""
        turned = np.angle(np.exp(1j * (outputs - targets)))
        return bool((np.abs(turned) <= LEARNT * contrast(targets)).all())

    def faint(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """False: phases have no size."""
        return False

    def floor(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """0: phases are not scaled."""
        return np.zeros(signals.shape[1:])


def contrast(targets: np.ndarray) -> np.ndarray:
    """Largest minus smallest target of each output, (noutputs,); where that is 0 their size."""
    low, high = targets.min(axis=0), targets.max(axis=0)
    size = np.abs(targets).max(axis=0)
    return np.where(high > low, high - low, np.where(size > 0, size, 1.0))


def accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Fraction of samples whose largest output is that of their target, both (nsamples, n)."""
    return float(np.mean(outputs.argmax(axis=1) == targets.argmax(axis=1)))


COSTS = {"mse": MSE, "cce": CCE, "log-cosine": LogCosine}
"""Costs by the name that studies use."""
