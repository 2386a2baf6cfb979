"""What a wave shows of itself."""

from __future__ import annotations

from typing import Any


def wave_fields(system: Any, state: Any, inputs: Any, gradient: Any = None) -> list:
    """Fields of a wave."""
    return []


def pump_marks(system: Any) -> list:
    """Pumps of a wave."""
    return []
