"""A run's figures in the units that summary.json gives; without units they stay as they are.

fields.vtu and summary.json hold dimensionless numbers; ``units`` there has for each kind of figure
its unit and the factor by which it is multiplied to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def factor(summary: Mapping[str, Any], kind: str) -> float:
    """What a figure of a run is multiplied by to be shown."""
    return float(summary.get("units", {}).get(kind, {}).get("factor", 1.0))


def unit(summary: Mapping[str, Any], kind: str) -> str:
    """The unit in which figures of a kind are shown; "" where there is none."""
    return str(summary.get("units", {}).get(kind, {}).get("unit", "")).replace("$", "")


def shown(summary: Mapping[str, Any], kind: str, values: Any) -> tuple[Any, str]:
    """Figures of a run as they are shown, and their unit after a space."""
    return np.asarray(values) * factor(summary, kind), f" {unit(summary, kind)}".rstrip()


def with_unit(text: str, summary: Mapping[str, Any], kind: str) -> str:
    """A label and its unit in brackets."""
    name = unit(summary, kind)
    return f"{text} ({name})" if name else text
