"""Statistics over seeds, and the tables that the READMEs show.

A README marks the place of a table with ``<!-- NAME -->`` and ``<!-- end -->``; what stands
between the two is replaced by each run of the studies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def statistics(table: pd.DataFrame, by: Sequence[str] = ("case", "rule")) -> pd.DataFrame:
    """Success and spread over seeds for each group, in the order in which the groups appear.

    Columns: number of seeds; ``solved`` and ``reached``, percent of seeds with cost < 0.01 after
    the last epoch and after any; quartiles of the epochs to success; median and 10th percentile of
    the cosine to the exact gradient in the last epoch; medians of the outputs, over solved seeds.
    """
    rows = []
    for group, part in table.groupby(list(by), sort=False):
        epochs = part["epochs_to_success"].dropna().to_numpy(dtype=float)
        quartiles = np.percentile(epochs, [25, 50, 75]) if len(epochs) else [np.nan] * 3
        cosines = part["cosine"].dropna()
        good = part[part["solved"]]
        row = dict(zip(by, group, strict=True))
        row |= {
            "seeds": len(part),
            "solved": 100 * part["solved"].mean(),
            "reached": 100 * part["reached"].mean(),
            "epochs_25": quartiles[0],
            "epochs_median": quartiles[1],
            "epochs_75": quartiles[2],
            "cosine_median": cosines.median(),
            "cosine_10": cosines.quantile(0.1) if len(cosines) else np.nan,
        }
        for name in sorted(c for c in part if c.startswith("output_")):
            row[name] = good[name].median() if len(good) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def statistics_text(table: pd.DataFrame, by: Sequence[str] = ("case", "rule")) -> str:
    """`statistics` as a Markdown table."""
    shown = []
    for _, row in statistics(table, by).iterrows():
        epochs = "-"
        if np.isfinite(row["epochs_median"]):
            epochs = f"{row['epochs_median']:.0f} ({row['epochs_25']:.0f}-{row['epochs_75']:.0f})"
        outputs = [row[c] for c in row.index if str(c).startswith("output_")]
        shown.append(
            {
                **{name: _code(row[name]) for name in by},
                "solved": f"{row['solved']:.0f} %",
                "ever reached": f"{row['reached']:.0f} %",
                "epochs to success": epochs,
                "cosine, median (10 %)": f"{row['cosine_median']:.2f} ({row['cosine_10']:.2f})",
                "outputs": ", ".join(f"{value:.2f}" for value in outputs)
                if np.all(np.isfinite(outputs))
                else "-",
            }
        )
    return markdown(pd.DataFrame(shown))


def _code(value: object) -> str:
    return (
        f"`{value}`" if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) else str(value)
    )


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown; every value is written as `str` would."""
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    lines += [[str(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_csv(table: pd.DataFrame, path: Path, digits: int = 5) -> None:
    """Write a table with so many significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format=f"%.{digits}g")


def fill_readme(folder: Path, **tables: str) -> None:
    """Put tables into the marked places of a folder's README, if it has one."""
    readme = folder / "README.md"
    if not readme.exists():
        return
    text = readme.read_text(encoding="utf-8")
    for name, table in tables.items():
        pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text, flags=re.DOTALL
        )
        if not count:
            raise ValueError(f"{readme}: there is no place for the table {name!r}")
    readme.write_text(text, encoding="utf-8")
