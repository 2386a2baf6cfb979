"""A formula of the coordinates, such as "0.1 (x^2 + y^2)" written with *, becomes numbers.

What is read is arithmetic alone: numbers, x and y, pi, a few functions and comparisons. Nothing in
it is run as code.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from nepfield.errors import InputError

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "sin": (np.sin, 1), "cos": (np.cos, 1), "tan": (np.tan, 1), "exp": (np.exp, 1),
    "log": (np.log, 1), "sqrt": (np.sqrt, 1), "abs": (np.abs, 1), "sinh": (np.sinh, 1),
    "cosh": (np.cosh, 1), "tanh": (np.tanh, 1), "atan2": (np.arctan2, 2), "hypot": (np.hypot, 2),
    "min": (np.minimum, 2), "max": (np.maximum, 2), "where": (np.where, 3),
}  # fmt: skip
_LONGEST = 1000
FORMS = f"numbers, x, y, pi, + - * / ^, < >, {', '.join(_FUNCTIONS)}"


def evaluate_formula(text: str, points: np.ndarray) -> np.ndarray:
    """The values of a formula at points.

    Parameters
    ----------
    text : str
        Of x, in two dimensions also y; ``^`` and ``**`` are powers.
    points : ndarray, shape (n, dim)

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        If it is no formula, or a value is not finite.
    """
    names: dict[str, Any] = {"pi": np.pi} | dict(zip("xyz", points.T, strict=False))
    if len(text) > _LONGEST:
        raise InputError(f"formula: {len(text)} letters are too many; {_LONGEST} are the most.")
    try:
        tree = ast.parse(text.replace("^", "**").strip(), mode="eval").body
        with np.errstate(all="ignore"):
            values = np.asarray(_value(tree, names, text), dtype=float)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'formula "{text}": is not understood; write it with {FORMS}.') from None
    values = np.broadcast_to(values, len(points)).copy()
    if not np.isfinite(values).all():
        bad = points[np.flatnonzero(~np.isfinite(values))[0]].tolist()
        raise InputError(f'formula "{text}": has no finite value at {bad}.')
    return values


def _value(node: ast.expr, names: dict[str, Any], text: str) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return np.float64(str(node.value))  # never a whole number, which may grow without end
    if isinstance(node, ast.Name):
        if node.id in names:
            return names[node.id]
        raise InputError(f'formula "{text}": there is no {node.id!r} here; use {FORMS}.')
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, names, text))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = (_value(part, names, text) for part in (node.left, node.right))
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPERATORS:
        left, right = (_value(part, names, text) for part in (node.left, node.comparators[0]))
        return _OPERATORS[type(node.ops[0])](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function, count = _FUNCTIONS.get(node.func.id, (None, 0))
        if function is not None and len(node.args) == count:
            return function(*(_value(part, names, text) for part in node.args))
        if function is not None:
            raise InputError(f'formula "{text}": {node.func.id} takes {count} values.')
        raise InputError(f'formula "{text}": there is no {node.func.id!r} here; use {FORMS}.')
    raise InputError(f'formula "{text}": is not understood; write it with {FORMS}.')
