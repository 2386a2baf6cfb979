"""Estimators of the gradient of the cost, from the physical to the exact.

With ``kappa' d = A d + B conj(d)`` at the free state and c = dC/dPsibar, nep (3):

    nep             steady states at 0 and beta; contrast of the observables   nep (8), (11), (12)
    nep-symmetric   the same between -beta and +beta
    nep-linear      A d + B conj(d) = i c, the limit of both for beta -> 0
    reciprocal      A l + B conj(l) = conj(c): the nudge is phase-conjugated
    adjoint         A^T l + conj(B)^T conj(l) = conj(c): the exact gradient

The nudge is a drive of fixed amplitude, ``-i beta c`` with c taken at the free state: a laser on
the output region, a quarter period out of phase with the pumps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.costs import Cost
from nepfield.space.arrays import columns_of
from nepfield.steady.linear import solve_linearised
from nepfield.steady.newton import SolverOptions, solve_steady
from nepfield.steady.steady import NotConverged, Steady
from nepfield.systems.gpe import GPE

if TYPE_CHECKING:
    import pandas as pd

RULES = ("nep", "nep-symmetric", "nep-linear", "reciprocal", "adjoint")
Params = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Gradient:
    """An estimate of the gradient of the mean cost of a batch.

    Attributes
    ----------
    params : dict of ndarray
        Derivatives dC/dtheta by parameter name, as finite differences would show them;
        dC/dRe theta + i dC/dIm theta where a parameter is complex.
    fields : dict of ndarray
        The same over the measure of each parameter's support (Riesz map): the gradient as a field,
        dC/dV(r), which does not depend on the mesh. Training steps along it.
    cost : float
        Mean cost of the samples used.
    per_sample : ndarray, shape (nsamples,)
        Cost of each sample; nan where the free state was not found.
    steady : Steady
        The free states.
    used : ndarray of bool, shape (nsamples,)
        Samples whose free and nudged states were found. Others do not enter the gradient.
    rule : str
    """

    params: Params
    fields: Params
    cost: float
    per_sample: np.ndarray
    steady: Steady
    used: np.ndarray
    rule: str


def gradient(
    system: GPE,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    rule: str = "nep",
    beta: float = 0.01,
    *,
    steady: Steady | None = None,
    initial: np.ndarray | None = None,
    on_failure: str = "raise",
    **solver: Unpack[SolverOptions],
) -> Gradient:
    """Gradient of the mean cost with respect to all trainable parameters.

    Parameters
    ----------
    system : GPE
    cost : MSE or CCE
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    rule : {"nep", "nep-symmetric", "nep-linear", "reciprocal", "adjoint"}
        See the docstring of the module.
    beta : float
        Strength of the nudge, for `nep` and `nep-symmetric`.
    steady : Steady, optional
        Free states found before, for the same system and inputs.
    initial, on_failure, **solver
        As in `solve_steady`. With ``on_failure="flag"`` samples without a steady state are left
        out; if none is left, the gradient is zero and the cost nan.

    Returns
    -------
    Gradient

    Raises
    ------
    InputError
        If the rule is unknown, beta is 0, or inputs and targets do not fit.
    NotConverged
        If a steady state was not found and ``on_failure="raise"``.
    """
    if rule not in RULES:
        raise InputError(f"rule = {rule!r} is unknown; choose one of {', '.join(RULES)}.")
    if beta == 0 or not np.isfinite(beta):
        raise InputError(f"beta = {beta}: the nudge must be finite and not 0.")
    inputs, targets = checked_samples(system, cost, inputs, targets)
    if steady is None:
        steady = solve_steady(system, inputs, initial=initial, on_failure=on_failure, **solver)
    used = steady.converged.copy()
    chosen = columns_of(used)
    per_sample = np.full(len(inputs), np.nan)
    if np.count_nonzero(used):
        free, inputs, targets = steady.state[:, chosen], inputs[chosen], targets[chosen]
        per_sample[chosen] = cost.per_sample(free, targets)
        error = cost.derivative(free, targets)
        if rule in ("nep", "nep-symmetric"):
            backward = -beta if rule == "nep-symmetric" else 0.0
            columns, solved = _contrast(
                system, free, error, inputs, (backward, beta), on_failure, solver
            )
        else:
            columns, solved = _linear_response(system, rule, free, error, inputs)
        used[chosen] = solved
        if on_failure == "raise" and not solved.all():
            raise NotConverged(f"{rule}: a linear response was not found.", steady)
    count = np.count_nonzero(used)
    if count:
        kept = columns_of(solved)
        derivatives = {name: c[:, kept].sum(axis=1) / count for name, c in columns.items()}
    else:
        derivatives = {name: np.zeros_like(value) for name, value in system.parameters.items()}
    measures = system.measures
    return Gradient(
        params=derivatives,
        fields={name: d / measures[name] for name, d in derivatives.items()},
        cost=float(per_sample[used].sum() / count) if count else np.nan,
        per_sample=per_sample,
        steady=steady,
        used=used,
        rule=rule,
    )


def checked_samples(
    system: GPE, cost: Cost, inputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets as float arrays that fit the system, the cost and each other."""
    inputs, targets = system.checked_inputs(inputs), cost.checked_targets(targets)
    if len(inputs) != len(targets):
        raise InputError(f"{len(inputs)} inputs but {len(targets)} targets: give one a sample.")
    return inputs, targets


def _contrast(
    system: GPE,
    free: np.ndarray,
    error: np.ndarray,
    inputs: np.ndarray,
    betas: tuple[float, float],
    on_failure: str,
    solver: SolverOptions,
) -> tuple[Params, np.ndarray]:
    """Contrast of the observables between the steady states at two nudges, per sample."""
    solved = np.full(free.shape[1], True)
    observed = []
    for beta in betas:
        state = free
        if beta != 0.0:
            nudged = solve_steady(
                system,
                inputs,
                nudge=-1j * beta * error,
                initial=free,
                on_failure=on_failure,
                **solver,
            )
            solved &= nudged.converged
            state = nudged.state
        observed.append(system.observables(state, inputs, free))
    first, second = observed
    span = betas[1] - betas[0]
    return {name: (second[name] - first[name]) / span for name in first}, solved


def _linear_response(
    system: GPE,
    rule: str,
    free: np.ndarray,
    error: np.ndarray,
    inputs: np.ndarray,
) -> tuple[Params, np.ndarray]:
    """Derivatives from one linear solve, per sample.

    With A = -i (H + a) and B = -i b the three equations read::

        nep-linear   (H + a) d + b conj(d)   = -c
        reciprocal   (H + a) l + b conj(l)   = i conj(c)
        adjoint      (H + a) l - conj(b l)   = i conj(c)
    """
    linear = system.linearise(free)
    if rule == "nep-linear":
        response, solved = solve_linearised(linear, -error)
        multiplier = -1j * response.conj()
    else:
        if rule == "adjoint":
            linear = linear.transposed()
        multiplier, solved = solve_linearised(linear, 1j * error.conj())
    return system.parameter_derivative(free, multiplier, inputs), solved


def inner_product(system: GPE, first: Params, second: Params) -> float:
    """L2 inner product of two gradients given by their derivatives (`Gradient.params`)."""
    return float(
        sum(
            np.sum((first[name].conj() * second[name]).real / measure)
            for name, measure in system.measures.items()
        )
    )


def cosine(system: GPE, first: Params, second: Params) -> float:
    """Cosine of the angle between two gradients; nan if one vanishes."""
    size = inner_product(system, first, first) * inner_product(system, second, second)
    return inner_product(system, first, second) / np.sqrt(size) if size > 0 else np.nan


def compare_gradients(
    system: GPE,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    rules: tuple[str, ...] = RULES,
    beta: float = 0.01,
    *,
    steady: Steady | None = None,
    initial: np.ndarray | None = None,
    on_failure: str = "raise",
    **solver: Unpack[SolverOptions],
) -> pd.DataFrame:
    """Hold every rule against the exact gradient.

    Parameters
    ----------
    system, cost, inputs, targets, beta
        As in `gradient`.
    rules : sequence of str
    steady, initial, on_failure, **solver
        As in `gradient`.

    Returns
    -------
    DataFrame
        Indexed by rule, with the columns ``cosine`` and ``norm_ratio`` to the adjoint, the same for
        each parameter (``cosine_potential``, ...), and ``samples``, the number of samples used.
    """
    import pandas as pd

    exact = gradient(
        system,
        cost,
        inputs,
        targets,
        "adjoint",
        steady=steady,
        initial=initial,
        on_failure=on_failure,
        **solver,
    )
    rows = []
    for rule in rules:
        estimate = gradient(
            system,
            cost,
            inputs,
            targets,
            rule,
            beta,
            steady=exact.steady,
            on_failure=on_failure,
            **solver,
        )
        used, reference = estimate.used, exact.params
        if used.any() and not np.array_equal(used, exact.used):  # hold the same samples against it
            reference = gradient(
                system,
                cost,
                np.asarray(inputs)[used],
                np.asarray(targets)[used],
                "adjoint",
                steady=exact.steady.samples(used),
                on_failure=on_failure,
                **solver,
            ).params
        row: dict[str, object] = {
            "rule": rule,
            **_comparison(system, estimate.params, reference),
        }
        for name in estimate.params if len(estimate.params) > 1 else ():
            alone = _comparison(system, _only(estimate.params, name), _only(reference, name))
            row |= {f"{figure}_{name}": value for figure, value in alone.items()}
        rows.append({**row, "samples": int(estimate.used.sum())})
    return pd.DataFrame(rows).set_index("rule")


def _comparison(system: GPE, estimate: Params, exact: Params) -> dict[str, float]:
    size = inner_product(system, exact, exact)
    ratio = np.sqrt(inner_product(system, estimate, estimate) / size) if size > 0 else np.nan
    return {"cosine": cosine(system, estimate, exact), "norm_ratio": float(ratio)}


def _only(params: Params, name: str) -> Params:
    """The gradient with all other parameters set to zero."""
    return {key: value if key == name else np.zeros_like(value) for key, value in params.items()}
