"""Optimisers: from gradient fields to steps of the parameters.

An optimiser is a frozen set of rates. Its memory is a dict of arrays that the training loop keeps
and saves, so a run resumes exactly. Complex parameters are stepped as pairs of real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values


class Optimizer(Protocol):
    """What `nepfield.train` needs to know of an optimiser: any object with these two methods.

    It keeps nothing itself. Its memory is a dict of arrays that the training loop hands back and
    writes into each checkpoint, so that a run resumes exactly. Descent along the signs of the
    gradient, with a step that decays, is::

        class Signs:
            def start(self, params):
                return {"steps": np.zeros(1)}

            def step(self, params, fields, memory):
                rate = 0.01 / np.sqrt(1 + memory["steps"][0])
                moved = {k: v - rate * np.sign(fields[k]) for k, v in params.items()}
                return moved, {"steps": memory["steps"] + 1}

        nf.train(system, cost, task, optimizer=Signs())
    """

    def start(self, params: Mapping[str, np.ndarray]) -> Values:
        """Memory before the first step.

        Parameters
        ----------
        params : dict of ndarray
            Values of what is trained, by the name of the parameter; complex where it is.

        Returns
        -------
        dict of ndarray
            Arrays of any shape, by names of its own; {} for none.
        """

    def step(
        self, params: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], memory: Values
    ) -> tuple[Values, Values]:
        """One step; nothing that is handed in may be changed in place.

        Parameters
        ----------
        params : dict of ndarray
            Values of what is trained, by the name of the parameter.
        fields : dict of ndarray
            The gradient as a field, `Gradient.fields`: like `params`, divided by the measure of
            each value's support, 0 where a value is not trained.
        memory : dict of ndarray
            What `start` or the last step gave.

        Returns
        -------
        params, memory : dict of ndarray
            The same names and shapes. Values beyond the bounds are moved back by the loop.
        """


@dataclass(frozen=True)
class SGD:
    """Gradient descent, ``theta -= rate * dC/dtheta``.

    Parameters
    ----------
    rate : float
    rates : mapping of str to float
        Rates of single parameters, by the name that the system gives them; the others have `rate`.
    """

    rate: float
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_rates(self.rate, self.rates)

    def start(self, params: Mapping[str, np.ndarray]) -> Values:
        """No memory."""
        return {}

    def step(
        self, params: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], memory: Values
    ) -> tuple[Values, Values]:
        """New parameters and new memory."""
        return {
            name: value - self.rates.get(name, self.rate) * fields[name]
            for name, value in params.items()
        }, {}


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum, ``v = momentum v + dC/dtheta; theta -= rate v``.

    Parameters
    ----------
    rate, rates
        As for `SGD`.
    momentum : float
    """

    rate: float
    rates: Mapping[str, float] = field(default_factory=dict)
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check_rates(self.rate, self.rates)
        _check_decay("momentum", self.momentum)

    def start(self, params: Mapping[str, np.ndarray]) -> Values:
        """Zero velocities."""
        return {f"velocity_{name}": np.zeros_like(value) for name, value in params.items()}

    def step(
        self, params: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], memory: Values
    ) -> tuple[Values, Values]:
        """New parameters and new memory."""
        new_params, new_memory = {}, {}
        for name, value in params.items():
            velocity = self.momentum * memory[f"velocity_{name}"] + fields[name]
            new_memory[f"velocity_{name}"] = velocity
            new_params[name] = value - self.rates.get(name, self.rate) * velocity
        return new_params, new_memory


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980).

    Parameters
    ----------
    rate, rates
        As for `SGD`.
    first_decay, second_decay, epsilon : float
        Of the means of slopes and of their squares, and what is added to the root of the latter.
    """

    rate: float
    rates: Mapping[str, float] = field(default_factory=dict)
    first_decay: float = 0.9
    second_decay: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_rates(self.rate, self.rates)
        _check_decay("first_decay", self.first_decay)
        _check_decay("second_decay", self.second_decay)

    def start(self, params: Mapping[str, np.ndarray]) -> Values:
        """Zero moments."""
        memory = {"steps": np.zeros((), dtype=np.int64)}
        for name, value in params.items():
            memory[f"first_{name}"] = np.zeros_like(_as_real(value))
            memory[f"second_{name}"] = np.zeros_like(_as_real(value))
        return memory

    def step(
        self, params: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], memory: Values
    ) -> tuple[Values, Values]:
        """New parameters and new memory."""
        steps = int(memory["steps"]) + 1
        new_params, new_memory = {}, {"steps": np.array(steps)}
        for name, value in params.items():
            slope = _as_real(fields[name])
            first = self.first_decay * memory[f"first_{name}"] + (1 - self.first_decay) * slope
            second = (
                self.second_decay * memory[f"second_{name}"] + (1 - self.second_decay) * slope**2
            )
            new_memory[f"first_{name}"], new_memory[f"second_{name}"] = first, second
            mean = first / (1 - self.first_decay**steps)
            spread = np.sqrt(second / (1 - self.second_decay**steps))
            step = self.rates.get(name, self.rate) * mean / (spread + self.epsilon)
            new_params[name] = (_as_real(value) - step).view(value.dtype)
        return new_params, new_memory


def _as_real(values: np.ndarray) -> np.ndarray:
    """Complex values as pairs of real ones."""
    return np.ascontiguousarray(values).view(float)


def _check_rates(rate: float, rates: Mapping[str, float]) -> None:
    for name, value in {"rate": rate, **rates}.items():
        if not np.isfinite(value) or value < 0:
            raise InputError(f"optimiser: {name} = {value}; rates must be finite and >= 0.")


def _check_decay(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"optimiser: {name} = {value}; it must be at least 0 and below 1.")
