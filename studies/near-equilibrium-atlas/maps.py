"""Maps of the atlas, and the numbers that foretell where NEP can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, new_figure, save_figure
from studies.common import markdown

RULES = ("nep-linear", "reciprocal", "reciprocal corrected")
NUMBER = "nudge_loss"  # the one that predicts best
TRUSTED = 0.05  # below this NEP can be trusted
TRUSTED_COSINE = 0.9  # of the 10th percentile at a point of the map, which a rule then holds
PREDICTORS = {
    "nudge_loss": "`nudge_loss(...)`: share of the nudge that is balanced by loss",
    "loss": "`near_equilibrium(...).loss`, largest sample",
    "loss_mean": "the same, mean over samples",
    "nudge_bias": "change of the response to the nudge when loss is reversed",
    "resonance": "loss over the distance to the nearest resonance",
    "gamma": "gamma alone",
}


def map_table(atlas: pd.DataFrame) -> pd.DataFrame:
    """Median and 10th percentile of the cosines at each point of the grids."""
    rows = []
    for group, part in atlas.groupby(["device", "ratio", "gamma", "mean_V"], sort=False):
        row = dict(zip(("device", "ratio", "gamma", "mean_V"), group, strict=True))
        row["found"] = int(part["loss"].notna().sum())
        for rule in RULES:
            row[f"{rule} median"] = part[rule].median()
            row[f"{rule} 10 %"] = part[rule].quantile(0.1)
        rows.append(row)
    return pd.DataFrame(rows)


def draw_maps(path: Path, table: pd.DataFrame) -> None:
    """Median and 10th percentile of the rules over loss and detuning, a column a nonlinearity."""
    maps = map_table(table)
    ratios = list(maps["ratio"].unique())
    rows = 2 * len(RULES)
    figure = new_figure(2.0 * rows + 0.4)
    axes = figure.subplots(rows, len(ratios), sharex=True, sharey=True, squeeze=False)
    names = [f"{rule} {what}" for rule in RULES for what in ("median", "10 %")]
    picture = None
    for row, name in zip(axes, names, strict=True):
        for axis, ratio in zip(row, ratios, strict=True):
            grid = maps[maps["ratio"] == ratio].pivot(index="mean_V", columns="gamma", values=name)
            picture = axis.pcolormesh(
                grid.columns, grid.index, grid, cmap="RdYlBu", vmin=-1, vmax=1, shading="nearest"
            )
            if min(grid.shape) > 1:
                values = grid.fillna(-1).to_numpy()
                axis.contour(grid.columns, grid.index, values, [0.9], colors="k", linewidths=0.8)
            axis.set_xscale("log")
    for axis, ratio in zip(axes[0], ratios, strict=True):
        axis.set_title(rf"$\langle g n\rangle/\gamma$ = {ratio:g}", fontsize=10)
    for axis, name in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(f"{name}\nmean V", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel(r"loss $\gamma$")
    figure.colorbar(picture, ax=axes, label="cosine to the exact gradient", shrink=0.5)
    save_figure(figure, path)


def judge(atlas: pd.DataFrame) -> pd.DataFrame:
    """How well each number foretells the cosine of `nep-linear`.

    ``rank_correlation`` is Spearman's between the number and 1 - cosine. ``limit`` is the largest
    value below which at least 95 % of the cases have a cosine above 0.9, and ``kept`` the percent
    of the cases with such a cosine that lie below it.
    """
    rows = []
    complete = atlas.dropna(subset=["nep-linear", *PREDICTORS])
    for (name, ratio), part in [
        *(((name, "all"), part) for name, part in complete.groupby("device", sort=False)),
        *complete.groupby(["device", "ratio"], sort=False),
    ]:
        good = (part["nep-linear"] > 0.9).to_numpy()
        for predictor in PREDICTORS:
            values = part[predictor].to_numpy()
            order = np.argsort(values, kind="stable")
            fraction = np.cumsum(good[order]) / np.arange(1, len(order) + 1)
            enough = np.flatnonzero(fraction >= 0.95)
            enough = enough[enough >= min(20, len(order) // 4)]
            last = enough[-1] if len(enough) else -1
            rows.append(
                {
                    "device": name,
                    "ratio": ratio,
                    "predictor": predictor,
                    "cases": len(part),
                    "rank_correlation": rank_correlation(values, 1 - part["nep-linear"]),
                    "limit": values[order[last]] if last >= 0 else np.nan,
                    "kept": 100 * good[order[: last + 1]].sum() / max(good.sum(), 1),
                }
            )
    return pd.DataFrame(rows)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; nan where one of the two is constant."""
    constant = np.ptp(first) == 0 or np.ptp(second) == 0
    return np.nan if constant else float(spearmanr(first, second)[0])


def draw_predictor(path: Path, atlas: pd.DataFrame, judged: pd.DataFrame) -> None:
    """`nudge_loss` against the cosine: all cases, and the share that can be trusted."""
    figure = new_figure(4.0)
    axes = figure.subplots(1, 3)
    for axis, (name, part) in zip(axes, atlas.groupby("device", sort=False), strict=False):
        part = part.dropna(subset=["nep-linear", NUMBER])
        axis.semilogx(part[NUMBER], part["nep-linear"], ".", ms=2, color=GREY, alpha=0.3)
        bins = trust_table(part)
        for column, color, label in (
            ("median", BLUE, "median"),
            ("quantile_10", ORANGE, "10th percentile"),
        ):
            axis.semilogx(bins["middle"], bins[column], "o-", ms=3, color=color, label=label)
        chosen = (judged["device"] == name) & (judged["predictor"] == NUMBER)
        correlation = judged.loc[chosen & (judged["ratio"] == "all"), "rank_correlation"].iloc[0]
        axis.set_title(f"{name}: rank correlation {correlation:.2f}", fontsize=10)
        axis.set_xlabel("nudge_loss(...)")
        axis.axvline(TRUSTED, color=GREEN, lw=1)
        axis.set_ylim(-1.05, 1.05)
        axes[2].semilogx(bins["middle"], 100 * bins["trusted"], "o-", ms=3, label=name)
    axes[0].set_ylabel("cosine of nep-linear to the adjoint")
    axes[0].legend(fontsize=8, loc="lower left")
    axes[2].axvline(TRUSTED, color=GREEN, lw=1)
    axes[2].set_xlabel("nudge_loss(...)")
    axes[2].set_ylabel("cases with cosine > 0.9 (%)")
    axes[2].legend(fontsize=8)
    save_figure(figure, path)


def trust_table(part: pd.DataFrame, edges: Sequence[float] | None = None) -> pd.DataFrame:
    """Cosine of `nep-linear` in bins of `nudge_loss`."""
    if edges is None:
        edges = np.logspace(-3.5, 0, 15)
    rows = []
    for low, high in pairwise(edges):
        cosines = part.loc[part[NUMBER].between(low, high, inclusive="left"), "nep-linear"]
        if len(cosines) < 5:
            continue
        rows.append(
            {
                "low": low,
                "high": high,
                "middle": np.sqrt(max(low, 1e-4) * high),
                "cases": len(cosines),
                "median": cosines.median(),
                "quantile_10": cosines.quantile(0.1),
                "trusted": (cosines > 0.9).mean(),
            }
        )
    names = ["low", "high", "middle", "cases", "median", "quantile_10", "trusted"]
    return pd.DataFrame(rows, columns=names)


def trust_text(atlas: pd.DataFrame) -> str:
    shown = []
    edges = (0, 0.02, TRUSTED, 0.1, 0.2, 0.3, 0.5, np.inf)
    for name, part in atlas.groupby("device", sort=False):
        for row in trust_table(part, edges).itertuples():
            shown.append(
                {
                    "device": name,
                    "`nudge_loss`": f"{row.low:g} to {row.high:g}"
                    if row.high < np.inf
                    else f"above {row.low:g}",
                    "cases": row.cases,
                    "cosine > 0.9": f"{100 * row.trusted:.0f} %",
                    "median": f"{row.median:.3f}",
                    "10th percentile": f"{row.quantile_10:.3f}",
                }
            )
    return markdown(pd.DataFrame(shown))


def judged_text(judged: pd.DataFrame) -> str:
    """All nonlinearities together, and the limit at each: a good number has one limit for all."""
    rows = []
    for predictor, label in PREDICTORS.items():
        row = {"number": label}
        for name, part in judged[judged["predictor"] == predictor].groupby("device", sort=False):
            first = part[part["ratio"] == "all"].iloc[0]
            limits = part.loc[part["ratio"] != "all", "limit"]
            row[f"{name}: rank correlation"] = f"{first['rank_correlation']:.2f}"
            row["limit (good cases kept)" + " " * (name == "billiard")] = (
                f"{first['limit']:.2g} ({first['kept']:.0f} %)"
            )
            row["at each g n / gamma" + " " * (name == "billiard")] = ", ".join(
                f"{limit:.2g}" for limit in limits
            )
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def reached_text(atlas: pd.DataFrame) -> str:
    rows = []
    for (name, ratio), part in atlas.groupby(["device", "ratio"], sort=False):
        found = part.dropna(subset=[NUMBER])
        row: dict[str, object] = {
            "device": name,
            "g n / gamma": f"{ratio:g}",
            "cases": len(part),
            "found": f"{100 * len(found) / len(part):.0f} %",
        }
        for rule in RULES:
            middle, low = found[rule].quantile([0.5, 0.1])
            row[f"`{rule}`, median (10 %)"] = f"{middle:.3f} ({low:.2f})"
        maps = map_table(part).dropna()
        for rule in RULES:
            row[f"held by `{rule}`"] = (
                f"{100 * (maps[f'{rule} 10 %'] > TRUSTED_COSINE).mean():.0f} %"
            )
        rows.append(row)
    return markdown(pd.DataFrame(rows))
