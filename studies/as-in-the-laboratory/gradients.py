"""Gradients as they are measured: noise against bias, and what each imperfection does alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.learning.gradients import cosine, inner_product
from nepfield.study.run.build import Study, build
from nepfield.study.sweeps.design import load_sweep
from studies.common import STUDIES

STARTS = {"below the modes": "study", "in the band": "sgd-band"}  # of lattice-xor
PHOTONS = (1e3, 1e4, 1e5, 1e6, 1e8)
BETAS = np.logspace(-2, 1.5, 15)
DRAWS = 2
STRENGTHS = {"below the modes": 1.0, "in the band": 0.1}  # beta of what imperfections are asked
ALONE: dict[str, Sequence[float]] = {
    "noise": np.logspace(-4, 0, 5),
    "field_noise": np.logspace(-4, 0, 5),
    "phase_noise": np.logspace(-3, 0, 5),
    "drift": np.logspace(-4, 0, 5),
    "pump_drift": np.logspace(-4, 0, 5),
    "waiting": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),  # over gamma
    "loss_error": (0.03, 0.1, 0.3, 1.0),
}
_PER_EXPOSURE = {  # noise of dC/dV and dC/dw, over n and X^2 of a state
    "nep": (2.0, 4.0),
    "nep-symmetric": (0.5, 1.0),
    "reciprocal-symmetric": (1.0, 1.0),
}


@dataclass(frozen=True)
class Rule:
    """A rule, perhaps corrected; its limit of weak nudges, and the order of its bias in beta."""

    name: str
    limit: str
    order: int
    corrections: int = 0

    @property
    def label(self) -> str:
        """As tables have it."""
        more = f" + {self.corrections}" if self.corrections else ""
        return f"{self.name}{more}"


RULES = (
    Rule("nep", "nep-linear", 1),
    Rule("nep-symmetric", "nep-linear", 2),
    Rule("nep-symmetric", "nep-linear", 2, 3),
    Rule("reciprocal-symmetric", "reciprocal", 2),
    Rule("reciprocal-symmetric", "reciprocal", 2, 1),
)
ORDERS = {rule.label: rule.order for rule in RULES}


def started(start: str, seed: int) -> Study:
    """A training of lattice-xor before its first step."""
    sweep = load_sweep(STUDIES / "lattice-xor" / "sweep.toml")
    case = next(case for case in sweep.cases if case.label == STARTS[start])
    return build(sweep.config(replace(case, seed=seed)))


class Bench:
    """A device on which gradients are measured again and again."""

    def __init__(self, start: str, seed: int) -> None:
        study = started(start, seed)
        self.system, self.task, self.seed = study.system, study.task, seed
        self.readout = study.cost.readout
        samples = (study.cost, self.task.inputs, self.task.targets)
        self.steady = nf.solve_steady(self.system, self.task.inputs, tolerance=1e-12)
        how = {"steady": self.steady}
        self.exact = nf.gradient(self.system, *samples, "adjoint", **how).params
        self.limits = {
            rule.label: nf.gradient(
                self.system, *samples, rule.limit, corrections=rule.corrections, **how
            ).params
            for rule in RULES
        }

    def measure(self, rule: Rule, beta: float, draw: int = 0, **numbers: Any) -> dict | None:
        """A gradient by its parameters; None where a state was not found."""
        lab = nf.measured(self.system, **numbers)
        keys = nf.Keys(self.seed, draw, np.arange(len(self.task.inputs)))
        cost = nf.MSE(lab.reads(self.readout))
        found = nf.gradient(
            lab, cost, self.task.inputs, self.task.targets, rule.name, beta, keys=keys,
            corrections=rule.corrections, on_failure="flag",
            steady=None if "waiting" in numbers else self.steady,
        )  # fmt: skip
        return found.params if found.used.all() else None

    def cosine(self, one: dict, other: dict) -> float:
        """Between two gradients."""
        return cosine(self.system, one, other)

    def error(self, one: dict, other: dict) -> float:
        """Of one gradient against another, over the norm of the latter."""
        gap = {name: one[name] - other[name] for name in other}
        size = inner_product(self.system, other, other)
        return float(np.sqrt(inner_product(self.system, gap, gap) / size))

    def noise(self, rule: Rule) -> float:
        """The formula: noise of the gradient over its norm, times beta and the root of photons.

        A contrast of intensities has a variance of 2 n / (k beta^2) for each V, with both signs a
        quarter of it; ``2 Re(i Psi l)``, of fields with both signs, n / (k beta^2). A weight has
        4 X^2 / (k beta^2), with both signs a quarter of it.
        """
        if rule.corrections:
            return np.nan
        by_v, by_w = _PER_EXPOSURE[rule.name]
        total = by_v * np.sum(np.abs(self.steady.state) ** 2) + by_w * np.sum(self.task.inputs**2)
        limit = self.limits[rule.label]
        size = inner_product(self.system, limit, limit)
        return float(np.sqrt(total / size)) / len(self.task.inputs)


def photon_rows(item: tuple[str, int, Sequence[float], Sequence[float]]) -> list[dict]:
    """All rules, photons and nudges on one device; photons = inf is the bias alone."""
    start, seed, photons, betas = item
    bench, rows = Bench(start, seed), []
    for rule in RULES:
        known = bench.noise(rule)
        for i, number in enumerate((*photons, np.inf)):
            for j, beta in enumerate(betas):
                for draw in range(DRAWS if np.isfinite(number) else 1):
                    numbers = {"photons": number} if np.isfinite(number) else {}
                    epoch = draw + 100 * j + 10_000 * i  # noise of its own for each
                    found = bench.measure(rule, float(beta), epoch, **numbers)
                    if found is None:
                        continue
                    rows.append(
                        {
                            "start": start, "rule": rule.label, "photons": number, "beta": beta,
                            "seed": seed, "draw": draw, "noise": known / (beta * np.sqrt(number)),
                            "error": bench.error(found, bench.limits[rule.label]),
                            "cosine": bench.cosine(found, bench.exact),
                        }
                    )  # fmt: skip
    return rows


def imperfection_rows(item: tuple[str, int]) -> list[dict]:
    """Each imperfection alone, against the same rule without it at the same beta."""
    start, seed = item
    bench, rows = Bench(start, seed), []
    for rule in RULES:
        beta = STRENGTHS[start]
        ideal = bench.measure(rule, beta)
        if ideal is None:
            continue
        for name, values in ALONE.items():
            for value in values:
                draws = 1 if name in ("waiting", "loss_error") else DRAWS
                unit = 1 / bench.system.loss if name == "waiting" else 1.0
                for draw in range(draws):
                    found = bench.measure(rule, beta, draw, **{name: unit * value})
                    if found is not None:
                        rows.append(
                            {
                                "start": start, "rule": rule.label, "imperfection": name,
                                "value": value, "seed": seed, "draw": draw,
                                "cosine": bench.cosine(found, ideal),
                            }
                        )  # fmt: skip
    return rows


# -- what they say --------------------------------------------------------------------


def best_nudges(table: pd.DataFrame) -> pd.DataFrame:
    """The best beta of each number of photons, measured and by theory.

    Theory: bias a beta^p and noise c/(beta sqrt(N)) are least together at
    beta^(p+1) = c / (a sqrt(p N)); a from the smallest nudges without noise, c from the formula.
    """
    rows = []
    for (start, rule), part in table.groupby(["start", "rule"], sort=False):
        order = ORDERS[rule]
        bias = part[np.isinf(part["photons"])]
        small = bias[np.isclose(bias["beta"], BETAS[4])]  # 0.1, far above rounding
        slope = rms(small["error"] / small["beta"] ** order)
        for photons, of_photons in part[np.isfinite(part["photons"])].groupby("photons"):
            by_beta = of_photons.groupby("beta").agg(
                error=("error", rms), cosine=("cosine", "median"), noise=("noise", rms)
            )
            best = by_beta["error"].idxmin()
            scale = rms(by_beta["noise"] * by_beta.index) * np.sqrt(photons)
            theory = (scale / (slope * np.sqrt(order * photons))) ** (1 / (order + 1))
            rows.append(
                {
                    "start": start, "rule": rule, "photons": photons, "best beta": best,
                    "theory": theory, "error": by_beta.loc[best, "error"],
                    "theory error": np.hypot(
                        slope * theory**order, scale / (theory * np.sqrt(photons))
                    ),
                    "cosine": by_beta["cosine"].max(), "at beta": by_beta["cosine"].idxmax(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def rms(values: pd.Series) -> float:
    """Root of the mean of the squares."""
    return float(np.sqrt(np.mean(values**2)))


def noise_ratio(table: pd.DataFrame) -> pd.DataFrame:
    """The noise that was measured over that of the formula, where it is nearly all of the error:
    above three times the bias, and small against the gradient."""
    key = ["start", "rule", "beta", "seed"]
    bias = table[np.isinf(table["photons"])].set_index(key)["error"].rename("bias")
    known = table[table["noise"].notna() & np.isfinite(table["photons"])].join(bias, on=key)
    known = known[(known["noise"] > 3 * known["bias"]) & (known["noise"] < 1)]
    rows = []
    for (start, rule), part in known.groupby(["start", "rule"], sort=False):
        by_seed = part.groupby("seed")[["error", "noise"]].agg(rms)
        ratio = by_seed["error"] / by_seed["noise"]
        rows.append(
            {
                "start": start,
                "rule": f"`{rule}`",
                "gradients": len(part),
                "measured / formula": f"{rms(part['error'] / part['noise']):.2f}",
                "of a device, from": f"{ratio.min():.2f}",
                "to": f"{ratio.max():.2f}",
            }
        )
    return pd.DataFrame(rows)


def tolerated(table: pd.DataFrame, cosine_wanted: float = 0.9) -> pd.DataFrame:
    """How large each imperfection may be for a median cosine of 0.9, by interpolation."""
    rows = []
    for (start, name), part in table.groupby(["start", "imperfection"], sort=False):
        unit = ", in 1/γ" if name == "waiting" else ""
        row: dict[str, Any] = {"start": start, "key": f"`{name}`{unit}"}
        for rule, of_rule in part.groupby("rule", sort=False):
            medians = of_rule.groupby("value")["cosine"].median()
            row[f"`{rule}`"] = _crossing(medians, cosine_wanted, name == "waiting")
        rows.append(row)
    return pd.DataFrame(rows)


def _crossing(medians: pd.Series, wanted: float, longer_is_better: bool) -> str:
    """Where a curve meets a height, on a logarithmic axis, coming from its good end."""
    values, heights = medians.index.to_numpy(float), medians.to_numpy()
    if longer_is_better:
        values, heights = values[::-1], heights[::-1]
    bad = np.flatnonzero(heights < wanted)
    if not len(bad):
        return f"any (to {values[-1]:.2g})"
    first = bad[0]
    if first == 0:
        return f"{'>' if longer_is_better else '<'} {values[0]:.2g}"
    share = (heights[first - 1] - wanted) / (heights[first - 1] - heights[first])
    low, high = np.log(values[first - 1 : first + 1])
    return f"{np.exp(low + share * (high - low)):.2g}"
