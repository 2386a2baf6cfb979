"""The gradient of a cost with respect to all trained parameters, by a learning rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values
from nepfield.keys import Keys
from nepfield.learning.corrections import check_corrections
from nepfield.learning.costs import Cost
from nepfield.learning.estimates import Estimate
from nepfield.learning.nudge import Nudge
from nepfield.learning.rules import rule_of
from nepfield.reprs import Described, counted
from nepfield.space.arrays import columns_of
from nepfield.steady.steady import NotConverged, Steady, joined
from nepfield.systems.system import (
    System,
    admitted,
    checked_inputs,
    raise_unless_converged,
    trained,
)

_PORTIONS = 128  # of a batch, at most


@dataclass(frozen=True, eq=False)
class Gradient(Described):
    """An estimate of the gradient of the mean cost of a batch: sums and counts.

    Parts of a batch can be added: ``first + second`` is the gradient of both together, to the last
    bit where the first has whole portions.

    Attributes
    ----------
    portions : dict of ndarray, shape (nvalues, nportions)
        Sums of dC/dtheta over the samples used, so many neighbours at a time, by parameter name.
    measures : dict of float or ndarray
        Of each parameter's support.
    per_sample : ndarray, shape (nsamples,)
        Cost of each sample, as its nudge acts through it; nan where the free state was not found.
    outputs : ndarray, shape (nsamples, noutputs)
        What was read in the free state; nan where it was not found.
    steady : Steady
        The free states.
    used : ndarray of bool, shape (nsamples,)
        Samples whose free and nudged states were found. Others do not enter the gradient.
    rule : str
    response : ndarray or None
        Nudged minus free state of the samples whose free state was found, where the rule has one.
    errors : ndarray, shape (nsamples,), or None
        What the rule itself says each sample's derivatives are wrong by, in the L2 norm; nan where
        it cannot tell, None where it measures no fields (`nepfield.learning.corrections`).
    measurements : ndarray of int, shape (nsamples,), or None
        Steady states that the rule measured beside the free one; None where each sample takes the
        same.
    """

    portions: Values
    measures: dict[str, float | np.ndarray]
    per_sample: np.ndarray
    outputs: np.ndarray
    steady: Steady
    used: np.ndarray
    rule: str
    response: np.ndarray | None = None
    errors: np.ndarray | None = None
    measurements: np.ndarray | None = None

    @cached_property
    def count(self) -> int:
        """Number of samples used."""
        return int(np.count_nonzero(self.used))

    @cached_property
    def sums(self) -> Values:
        """Sums of dC/dtheta over the samples used."""
        return {name: portions.sum(axis=1) for name, portions in self.portions.items()}

    @cached_property
    def params(self) -> Values:
        """Derivatives dC/dtheta of the mean cost, as finite differences would show them;
        dC/dRe theta + i dC/dIm theta where a parameter is complex."""
        return {name: total / max(self.count, 1) for name, total in self.sums.items()}

    @cached_property
    def fields(self) -> Values:
        """The same over the measure of each parameter's support (Riesz map): the gradient as a
        field, which does not depend on the mesh. Training steps along it."""
        return {name: value / self.measures[name] for name, value in self.params.items()}

    @cached_property
    def cost(self) -> float:
        """Mean cost of the samples used; nan if there are none."""
        return float(self.per_sample[self.used].sum() / self.count) if self.count else np.nan

    @property
    def error(self) -> float:
        """What the rule says the gradient is wrong by, as a share of its norm: the mean of `errors`
        over the norm of the mean gradient. nan where it cannot tell."""
        if self.errors is None or not self.count:
            return np.nan
        size = np.sqrt(sum(np.vdot(v, self.fields[k]).real for k, v in self.params.items()))
        with np.errstate(divide="ignore"):
            return float(self.errors[self.used].mean() / size) if size > 0 else np.nan

    def __add__(self, other: Gradient) -> Gradient:
        if self.rule != other.rule or self.portions.keys() != other.portions.keys():
            raise InputError(
                f"gradients by {self.rule} of {', '.join(self.portions)} and by {other.rule} of "
                f"{', '.join(other.portions)}: only parts of one batch can be added."
            )
        found = [part.response for part in (self, other) if part.response is not None]
        response = np.concatenate(found, axis=-1) if found else None
        return replace(
            self,
            portions={
                name: np.concatenate([portions, other.portions[name]], axis=1)
                for name, portions in self.portions.items()
            },
            per_sample=np.concatenate([self.per_sample, other.per_sample]),
            outputs=np.concatenate([self.outputs, other.outputs]),
            steady=joined([self.steady, other.steady]),
            used=np.concatenate([self.used, other.used]),
            response=response,
            errors=_joined(self.errors, other.errors),
            measurements=_joined(self.measurements, other.measurements),
        )

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        used = f"{self.count} of {counted(len(self.used), 'sample')}"
        norms = {
            name: f"{counted(np.size(total), 'derivative')}, norm "
            f"{np.sqrt(np.vdot(total, self.fields[name]).real):.4g}"
            for name, total in self.params.items()
        }
        told = (
            {} if self.errors is None else {"error, by its own measurements": f"{self.error:.2g}"}
        )
        return f"Gradient by {self.rule}: cost {self.cost:.6g}, {used}", norms | told


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def gradient(
    system: System,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    rule: str | None = None,
    beta: float = 0.01,
    *,
    corrections: int = 0,
    gradient_tolerance: float | None = None,
    nudge: str | None = None,
    keys: Keys | None = None,
    steady: Steady | None = None,
    initial: np.ndarray | None = None,
    on_failure: str = "raise",
    **options: Any,
) -> Gradient:
    """Gradient of the mean cost with respect to all trained parameters.

    Parameters
    ----------
    system : System
    cost : Cost
        `MSE`, `CCE` or `LogCosine` of a readout of the system.
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    rule : str, optional
        One that the system admits (`system.rules`), see `nepfield.learning.rules`; by default the
        first of them, which is "nep" for waves.
    beta : float
        Strength of the nudge, for rules that contrast equilibria.
    corrections : int
        More measurements of each sample, by which a rule of waves becomes exact
        (`nepfield.learning.corrections`); `Gradient.error` says how exact.
    gradient_tolerance : float, optional
        Instead: as many corrections as it takes until the residual of their loop is below this,
        relative to the nudge; at most 40 measurements.
    nudge : {"full", "linearised"}, optional
        Whether it moves with the state; by default as the system usually has it.
    keys : Keys, optional
        Of the samples, for random starts and noise; None means exact readings.
    steady : Steady, optional
        Free states found before, for the same system and inputs.
    initial, on_failure, **options
        As in `solve_steady`. With ``on_failure="flag"`` samples without a steady state are left
        out; if none is left, the gradient is zero and the cost nan.

    Returns
    -------
    Gradient

    Raises
    ------
    InputError
        If the system does not admit the rule or its corrections, beta is 0, or inputs and targets
        do not fit.
    NotConverged
        If a steady state was not found and ``on_failure="raise"``.
    """
    if on_failure not in ("raise", "flag"):
        raise InputError(f"on_failure = {on_failure!r}: choose 'raise' or 'flag'.")
    rule = checked_rule(system, rule, beta, corrections, gradient_tolerance)
    inputs, targets = checked_samples(system, cost, inputs, targets)
    found = estimate(
        system, cost, inputs, targets, rule, beta,
        corrections=corrections, gradient_tolerance=gradient_tolerance,
        nudge=nudge, keys=keys, steady=steady, initial=initial, **options,
    )  # fmt: skip
    if on_failure == "raise":
        raise_unless_converged(found.steady)
        if not found.used.all():
            raise NotConverged(
                f"{rule}: {np.count_nonzero(~found.used)} of {len(found.used)} nudged states or "
                "linear responses were not found.",
                found.steady,
            )
    return found


def estimate(
    system: System,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    rule: str,
    beta: float,
    *,
    corrections: int = 0,
    gradient_tolerance: float | None = None,
    nudge: str | None = None,
    keys: Keys | None = None,
    steady: Steady | None = None,
    initial: np.ndarray | None = None,
    portion: int | None = None,
    **options: Any,
) -> Gradient:
    """`gradient` of samples that have been checked; those that fail are left out. Of a part of a
    batch `portion` is what `portion_of` says of the whole."""
    if steady is None:
        steady = system.equilibrate(inputs, None, initial, keys and keys.fold("free"), **options)
    used = steady.converged.copy()
    chosen = columns_of(used)
    per_sample, count = np.full(len(inputs), np.nan), np.count_nonzero(used)
    outputs = np.full((len(inputs), cost.readout.noutputs), np.nan)
    parameters = trained(system)
    found = Estimate({}, used, None)
    if count:
        free, inputs, targets = steady.state[..., chosen], inputs[chosen], targets[chosen].T
        keys = keys and keys[chosen]
        signals = cost.readout.signals(free, keys and keys.fold("signals"))
        outputs[chosen] = cost.readout.means(signals).T
        push = Nudge(cost, targets, free, signals, nudge or system.nudge, solver=options)
        per_sample[chosen] = push.costs()
        find = rule_of(rule, corrections, gradient_tolerance)
        found = find(system, free, push, inputs, beta, keys, options)
        used[chosen] = found.solved
    portion = portion or portion_of(len(used))
    portions = {
        name: _of_trained(parameter, _in_portions(found.columns[name], used, chosen, portion))
        if np.count_nonzero(used)
        else np.zeros((parameter.values.size, -(-len(used) // portion)), parameter.values.dtype)
        for name, parameter in parameters.items()
    }
    measures = {name: parameter.measure for name, parameter in parameters.items()}
    errors, measurements = found.error, found.measurements
    if errors is not None and len(errors) < len(used):
        errors = _spread(errors, chosen, np.full(len(used), np.nan))
    if measurements is not None and len(measurements) < len(used):
        measurements = _spread(measurements, chosen, np.zeros(len(used), dtype=int))
    return Gradient(
        portions, measures, per_sample, outputs, steady, used, rule, found.response, errors,
        measurements,
    )  # fmt: skip


def _spread(values: np.ndarray, chosen: slice | np.ndarray, whole: np.ndarray) -> np.ndarray:
    whole[chosen] = values
    return whole


def portion_of(count: int) -> int:
    """Samples of a batch of so many that are summed together, a power of two: 64 to 128 portions,
    or one a sample."""
    return 1 << max(0, int(np.ceil(np.log2(max(count, 1) / _PORTIONS))))


def _in_portions(
    columns: np.ndarray, used: np.ndarray, chosen: slice | np.ndarray, portion: int
) -> np.ndarray:
    """Sums over neighbours of columns, which are those of the chosen samples."""
    if len(used) != columns.shape[1] or not used.all():
        every = np.zeros((len(columns), len(used)), columns.dtype)
        every[:, chosen] = columns
        every[:, ~used] = 0
        columns = every
    total = columns[:, ::portion].copy()
    for k in range(1, portion):
        more = columns[:, k::portion]
        total[:, : more.shape[1]] += more
    return total


def _of_trained(parameter: Parameter, portions: np.ndarray) -> np.ndarray:
    """The derivatives, with zeros for numbers that are not trained."""
    if parameter.trainable is True:
        return portions
    return np.where(np.reshape(parameter.trainable, (-1, 1)), portions, 0.0)


def checked_rule(
    system: System,
    rule: str | None,
    beta: float,
    corrections: int = 0,
    gradient_tolerance: float | None = None,
) -> str:
    """The rule, or the usual one of the system.

    Raises
    ------
    InputError
        If the system does not admit it, beta is no strength of a nudge, or it cannot be corrected
        so.
    """
    rule = system.rules[0] if rule is None else rule
    if rule not in (known := admitted(system)):
        unknown = f"is unknown to {type(system).__name__}; choose one of {', '.join(known)}."
        why = getattr(system, "refusals", {}).get(rule, unknown)
        raise InputError(f"rule = {rule!r} {why}")
    if beta == 0 or not np.isfinite(beta):
        raise InputError(f"beta = {beta}: the nudge must be finite and not 0.")
    check_corrections(rule, corrections, gradient_tolerance)
    return rule


def checked_samples(
    system: System, cost: Cost, inputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets as float arrays that fit the system, the cost and each other."""
    inputs, targets = checked_inputs(system, inputs), cost.checked_targets(targets)
    if len(inputs) != len(targets):
        raise InputError(f"{len(inputs)} inputs but {len(targets)} targets: give one a sample.")
    return inputs, targets


def inner_product(system: System, first: Values, second: Values) -> float:
    """L2 inner product of two gradients given by their derivatives (`Gradient.params`)."""
    return float(
        sum(
            np.sum((first[name].conj() * second[name]).real / parameter.measure)
            for name, parameter in trained(system).items()
        )
    )


def cosine(system: System, first: Values, second: Values) -> float:
    """Cosine of the angle between two gradients; nan if one vanishes."""
    size = inner_product(system, first, first) * inner_product(system, second, second)
    return inner_product(system, first, second) / np.sqrt(size) if size > 0 else np.nan
