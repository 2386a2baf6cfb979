"""Tables and pictures of the arena: `python -m studies rules-arena`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nepfield.view.curves import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure, tidy
from studies.common import Job, code, fill_readme, markdown, write_csv

from .arena import RULES, arena_rows, grids

CONDITIONS = ["device", "response", "gamma", "mean_V", "ratio", "draw", "state", "b_over_loss"]
BINS = (-1.0, 0.0, 0.3, 1.0, 3.0, np.inf)  # of the largest |b| over the loss
LABELS = ("0", "0 to 0.3", "0.3 to 1", "1 to 3", "above 3")
ROUNDING = 1e-5  # errors below it are not held against what is told: the solver makes them
DRAWN = {
    "holomorphic-ep": GREY,
    "nep": "black",
    "scattering-backpropagation": ORANGE,
    "reciprocal": BLUE,
    "reciprocal +1": GREEN,
    "reciprocal +2": RED,
    "asym-ep": "#8c6bb1",
}


def make(job: Job) -> pd.DataFrame:
    """Run all rules on all devices; a row a case and rule."""
    items = [item for grid in grids(job.quick) for item in grid.items()]
    rows = pd.DataFrame([row for part in job.map(arena_rows, items) for row in part])
    found = rows.dropna(subset=["rule"])
    real = named(found[found["state"].isin(["proved", "stable"])])
    told = honesty(real)
    write_csv(wide(found), job.out / "cases.csv", 4)
    write_csv(summary(real), job.out / "rules.csv", 5)
    write_csv(told, job.out / "errors.csv", 4)
    draw_rules(job.out / "result.png", real)
    draw_errors(job.out / "errors.png", real, told)
    fill_readme(
        job.out,
        states=markdown(states_table(rows)),
        rules=markdown(rules_table(real)),
        strength=markdown(strength_table(real)),
        errors=markdown(errors_table(told)),
    )
    return rows


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """With one name a rule and number of corrections, and bins of the nonlinearity."""
    rows = rows.copy()
    extra = rows["corrections"].astype(int)
    rows["name"] = rows["rule"] + np.where(extra > 0, " +" + extra.astype(str), "")
    rows["strength"] = pd.cut(rows["b_over_loss"], BINS, labels=LABELS)
    return rows


def wide(found: pd.DataFrame) -> pd.DataFrame:
    """A row a case, with the cosine of each rule."""
    table = named(found).pivot(index=CONDITIONS, columns="name", values="cosine")
    order = [rule + (f" +{k}" if k else "") for rule, k in RULES]
    return table[order].reset_index()


def summary(real: pd.DataFrame) -> pd.DataFrame:
    """A row a device, loss, nonlinearity and rule, over detunings, responses and draws."""
    keys = ["device", "gamma", "strength", "name"]
    grouped = real.groupby(keys, observed=True, sort=False)
    table = grouped.agg(
        cases=("cosine", "count"),
        states=("states", "max"),
        median=("cosine", "median"),
        quantile_10=("cosine", lambda values: values.quantile(0.1)),
        norm_ratio=("norm_ratio", "median"),
        true_error=("true", "median"),
        told_error=("told", "median"),
    )
    table[["true_error", "told_error"]] = table[["true_error", "told_error"]].round(10)
    return table.reset_index().sort_values(["device", "gamma", "strength"], kind="stable")


def honesty(real: pd.DataFrame) -> pd.DataFrame:
    """A row a rule: the true error over the one that it told, in all cases of all devices."""
    judged = real[real["told"].notna() & (real["true"] > ROUNDING)]
    rows = []
    for name, part in [*judged.groupby("name", sort=False), ("all of them", judged)]:
        share = part["true"] / part["told"]
        rows.append(
            {
                "rule": name,
                "cases": len(part),
                "median": share.median(),
                "quantile_90": share.quantile(0.9),
                "quantile_99": share.quantile(0.99),
                "largest": share.max(),
            }
        )
    corrected = judged[judged["corrections"] > 0]
    share = (corrected["true"] / corrected["told"]).to_numpy(float)
    rows.append(
        {
            "rule": "all that were corrected",
            "cases": len(share),
            "median": np.median(share),
            "quantile_90": np.quantile(share, 0.9),
            "quantile_99": np.quantile(share, 0.99),
            "largest": share.max(),
        }
    )
    return pd.DataFrame(rows)


# -- tables -----------------------------------------------------------------------------


def states_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How many cases there are, and how many of them are states that last."""
    keys = ["device", "response", "gamma", "mean_V", "ratio", "draw"]
    cases = rows.drop_duplicates(keys)
    table = []
    for name, part in cases.groupby("device", sort=False):
        words = part["state"]
        table.append(
            {
                "device": name,
                "cases": len(part),
                "proved or computed stable": int(words.isin(["proved", "stable"]).sum()),
                "unstable": int((words == "unstable").sum()),
                "unknown": int((words == "unknown").sum()),
                "not found": int((words == "not found").sum()),
            }
        )
    return pd.DataFrame(table)


def rules_table(real: pd.DataFrame) -> pd.DataFrame:
    """Median cosine and 10th percentile by device; the norm ratio over all of them."""
    table = []
    for name, part in real.groupby("name", sort=False):
        row = {"rule": code_of(name), "steady states": int(part["states"].max())}
        for device, own in part.groupby("device", sort=False):
            row[device] = f"{told(own['cosine'].median())} ({told(own['cosine'].quantile(0.1))})"
        low, middle, high = part["norm_ratio"].quantile([0.1, 0.5, 0.9])
        row["norm ratio"] = f"{middle:.3f} ({low:.2f} to {high:.2f})"
        row["not found"] = int(part["cosine"].isna().sum())
        table.append(row)
    return pd.DataFrame(table)


def strength_table(real: pd.DataFrame) -> pd.DataFrame:
    """The 10th percentile of the cosine by nonlinearity, all devices together."""
    table = []
    for name, part in real.groupby("name", sort=False):
        low = part.groupby("strength", observed=True)["cosine"].quantile(0.1)
        table.append({"rule": code_of(name)} | {k: told(low[k]) for k in LABELS if k in low})
    counts = real[real["name"] == "reciprocal"].groupby("strength", observed=True).size()
    table.append({"rule": "cases"} | {k: str(counts[k]) for k in LABELS if k in counts})
    return pd.DataFrame(table)


def errors_table(honest: pd.DataFrame) -> pd.DataFrame:
    """The same in words."""
    return pd.DataFrame(
        {
            "rule": [code_of(name) for name in honest["rule"]],
            "cases": honest["cases"],
            "true/told, median": honest["median"].map("{:.2f}".format),
            "90 % below": honest["quantile_90"].map("{:.2f}".format),
            "99 % below": honest["quantile_99"].map("{:.2f}".format),
            "largest": honest["largest"].map("{:.3g}".format),
        }
    )


def code_of(name: str) -> str:
    """A rule's name as code, its corrections in words."""
    rule, _, extra = name.partition(" +")
    return code(rule) + (f", {extra} correction{'s' if extra != '1' else ''}" if extra else "")


def told(value: float) -> str:
    """A cosine with as many nines as it has."""
    if value < 0.999:
        return f"{value:.2f}" if value < 0.99 else f"{value:.3f}"
    digits = int(np.clip(np.ceil(-np.log10(max(1 - value, 1e-12))), 4, 8))
    return f"{value:.{digits}f}" if 1 - value > 1e-8 else "1"


# -- pictures ---------------------------------------------------------------------------


def draw_rules(path: Path, real: pd.DataFrame) -> None:
    """What the cosine lacks to 1, its 10th percentile, over the loss and over the nonlinearity."""
    devices = list(dict.fromkeys(real["device"]))
    figure = new_figure(6.4)
    axes = figure.subplots(2, len(devices), sharey=True)
    for column, device in enumerate(devices):
        part = real[real["device"] == device]
        for name, color in DRAWN.items():
            own = part[part["name"] == name]
            lack = 1 - own.groupby("gamma")["cosine"].quantile(0.1)
            top, bottom = axes[0, column], axes[1, column]
            style = "o--" if name == "nep" else "o-"
            top.loglog(lack.index, lack.clip(1e-10), style, ms=3, color=color, label=name)
            lack = 1 - own.groupby("strength", observed=True)["cosine"].quantile(0.1)
            place = [LABELS.index(label) for label in lack.index]
            bottom.semilogy(place, lack.clip(1e-10), style, ms=3, color=color)
        losses = sorted(part["gamma"].unique())
        axes[0, column].set_xticks(losses, [f"{loss:g}" for loss in losses])
        axes[0, column].set_xticks([], minor=True)
        axes[0, column].set_title(device, fontsize=10)
        axes[0, column].set_xlabel(r"loss $\gamma$")
        axes[1, column].set_xlabel(r"largest $|b|/\gamma$")
        axes[1, column].set_xticks(range(len(LABELS)), LABELS, fontsize=7)
        for axis in axes[:, column]:
            axis.set_ylim(1e-10, 3)
            tidy(axis)
    for axis in axes[:, 0]:
        axis.set_ylabel("1 - cosine, 10th percentile")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  fontsize=8)  # fmt: skip
    save_figure(figure, path)


def draw_errors(path: Path, real: pd.DataFrame, honest: pd.DataFrame) -> None:
    """What rules tell of their error against what it is, and the multiple that bounds 99 %."""
    bound = float(honest.loc[honest["rule"] == "all that were corrected", "quantile_99"].iloc[0])
    judged = real[real["told"].notna() & (real["true"] > ROUNDING)]
    figure = new_figure(4.0)
    axes = figure.subplots(1, 3, sharey=True)
    ends = np.array([1e-6, 1e2])
    titles = ("no correction", "one correction", "two corrections")
    for k, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        part = judged[judged["corrections"] == k]
        for rule, color in (
            ("nep", GREY),
            ("nep-linear", ORANGE),
            ("reciprocal-symmetric", GREEN),
            ("reciprocal", BLUE),
        ):
            own = part[part["rule"] == rule]
            axis.loglog(own["told"], own["true"], ".", ms=2, color=color, alpha=0.4, label=rule)
        axis.loglog(ends, ends, color="black", lw=1)
        axis.loglog(ends, bound * ends, color="black", lw=1, ls="--")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("error told")
        axis.set_xlim(*ends)
        axis.set_ylim(*ends)
        tidy(axis)
    axes[0].set_ylabel("true error")
    axes[0].legend(fontsize=7, markerscale=4)
    save_figure(figure, path)
