"""Learning rules held against the exact gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values
from nepfield.keys import Keys
from nepfield.learning.corrections import READINGS
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import cosine, gradient, inner_product
from nepfield.learning.rules import EXACT
from nepfield.steady.steady import Steady
from nepfield.systems.system import System

if TYPE_CHECKING:
    import pandas as pd


def compare_gradients(
    system: System,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    rules: Sequence[str] | None = None,
    beta: float = 0.01,
    *,
    corrections: int = 0,
    gradient_tolerance: float | None = None,
    keys: Keys | None = None,
    steady: Steady | None = None,
    initial: np.ndarray | None = None,
    on_failure: str = "raise",
    **options: Any,
) -> pd.DataFrame:
    """Hold learning rules against the exact gradient.

    Parameters
    ----------
    system, cost, inputs, targets, beta
        As in `gradient`.
    rules : sequence of str, optional
        By default `system.rules`. Those of others (`nepfield.learning.published`) are to be named.
    corrections, gradient_tolerance
        As in `gradient`: rules that can be corrected get a second row, "RULE corrected".
    keys, steady, initial, on_failure, **options
        As in `gradient`.

    Returns
    -------
    DataFrame
        Indexed by rule, with the columns ``cosine`` and ``norm_ratio`` to the adjoint, the same for
        each parameter (``cosine_NAME``, ...), and ``samples``, the number of samples used; with
        corrections also ``error``, what a rule itself says that it is wrong by.

    Raises
    ------
    InputError
        If the system has no exact gradient.
    """
    import pandas as pd  # slow to import

    if EXACT not in system.rules:
        raise InputError(
            f"{type(system).__name__} has no exact gradient to hold its rules "
            f"({', '.join(system.rules)}) against."
        )
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    how: dict[str, Any] = {"on_failure": on_failure, **options}
    more = {"corrections": corrections, "gradient_tolerance": gradient_tolerance}
    corrected = bool(corrections) or gradient_tolerance is not None
    exact = gradient(
        system, cost, inputs, targets, EXACT, keys=keys, steady=steady, initial=initial, **how
    )
    rows = []
    asked: list[tuple[str, dict[str, Any]]] = []
    for rule in system.rules if rules is None else rules:
        asked.append((rule, {}))
        if corrected and rule in READINGS:
            asked.append((rule, more))
    for rule, extra in asked:
        found = gradient(
            system, cost, inputs, targets, rule, beta,
            keys=keys, steady=exact.steady, **extra, **how,
        )  # fmt: skip
        used, reference = found.used, exact.params
        if used.any() and not np.array_equal(used, exact.used):  # hold the same samples against it
            part = exact.steady.samples(used)
            reference = gradient(
                system, cost, inputs[used], targets[used], EXACT, steady=part, **how
            ).params
        called = f"{rule} corrected" if extra else rule
        row: dict[str, object] = {"rule": called, **_comparison(system, found.params, reference)}
        for name in found.params if len(found.params) > 1 else ():
            alone = _comparison(system, _only(found.params, name), _only(reference, name))
            row |= {f"{figure}_{name}": value for figure, value in alone.items()}
        told = {"error": found.error} if corrected else {}
        rows.append({**row, **told, "samples": found.count})
    return pd.DataFrame(rows).set_index("rule")


def _comparison(system: System, found: Values, exact: Values) -> dict[str, float]:
    size = inner_product(system, exact, exact)
    ratio = np.sqrt(inner_product(system, found, found) / size) if size > 0 else np.nan
    return {"cosine": cosine(system, found, exact), "norm_ratio": float(ratio)}


def _only(params: Values, name: str) -> Values:
    """The gradient with all other parameters set to zero."""
    return {key: value if key == name else np.zeros_like(value) for key, value in params.items()}
