"""Equations whose samples are solved in blocks: steady states, and linear responses to nudges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from nepfield.steady.batches import kernels
from nepfield.steady.batches.chord import Problem
from nepfield.steady.batches.lanes import LANES, rows
from nepfield.steady.equation import Equation
from nepfield.steady.linearisation import Linearisation, LinearPart

_NOTHING = np.zeros(0)


class _Discrete:
    """What blocks need of a space and H: sparse matrices by rows, and weights of the norm."""

    def __init__(self, part: LinearPart) -> None:
        space = part.space
        operator = part.operator
        self.operator = (
            operator.indptr, operator.indices,
            np.ascontiguousarray(operator.data.real), np.ascontiguousarray(operator.data.imag),
        )  # fmt: skip
        self.weight = 1 / space.mass_diagonal
        self.npoints = len(space.w)
        self.is_graph = space.is_graph and space.single is None
        if self.is_graph:
            return
        values = space.B
        self.values = values.indptr, values.indices, values.data
        adjoint = sp.csr_array((sp.diags_array(space.w) @ values).T)
        self.adjoint = adjoint.indptr, adjoint.indices, adjoint.data


class Reactions:
    """``H x + a B x + b conj(B x) = right`` in a block, with a and b at each point of each sample.

    Parameters
    ----------
    part : LinearPart
        H.
    right : ndarray, shape (ndof, nsamples)
    start : ndarray, shape (ndof, nsamples)
        Where to begin; the solutions take its place.
    """

    def __init__(self, part: LinearPart, right: np.ndarray, start: np.ndarray) -> None:
        self._discrete = _Discrete(part)
        # sample by sample, as they are loaded
        self._right, self.solution = np.asfortranarray(right), start
        self.field = rows(2 * len(self._right) * LANES)
        self._block_right = rows(len(self.field))
        npoints = self._discrete.npoints
        self._values = rows(2 * npoints * LANES)
        self._square = rows(LANES)
        self._direct = [rows(npoints * LANES), _NOTHING]
        self._conjugate = [_NOTHING, _NOTHING]

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        kernels.load_field(self.solution, lanes, samples, self.field)
        kernels.load_field(self._right, lanes, samples, self._block_right)

    def unload(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Take solutions out of lanes of the block."""
        kernels.unload_field(self.field, lanes, samples, self.solution)

    def react(self, values: np.ndarray) -> None:
        """Find a at the points, where it depends on the values B x there."""

    def evaluate(self, place: np.ndarray, force: np.ndarray) -> np.ndarray:
        """F(x) and its norms."""
        discrete = self._discrete
        if discrete.is_graph:
            self.react(self.field)
            kernels.residual_of_graph(
                *discrete.operator, self.field, *self._direct, *self._conjugate,
                self._block_right, place, force, self._square,
            )  # fmt: skip
            return np.sqrt(self._square)
        kernels.evaluate(*discrete.values, self.field, self._values)
        self.react(self._values)
        kernels.react(*self._direct, *self._conjugate, self._values)
        kernels.residual(
            *discrete.operator, self.field, *discrete.adjoint, self._values,
            self._block_right, discrete.weight, place, force, self._square,
        )  # fmt: skip
        return np.sqrt(self._square)


class States(Reactions):
    """Steady states of ``H Psi + f(n) Psi + i P = 0``."""

    def __init__(
        self,
        part: LinearPart,
        response: Callable[[np.ndarray], np.ndarray],
        drive: np.ndarray,
        start: np.ndarray,
    ) -> None:
        super().__init__(part, -1j * drive, start)
        self._response = response
        self._density = rows(self._discrete.npoints * LANES)

    def react(self, values: np.ndarray) -> None:
        """f(n)."""
        kernels.densities(values, self._density)
        found = np.asarray(self._response(self._density))
        self._direct[0] = np.ascontiguousarray(found.real, dtype=float)
        if np.iscomplexobj(found):
            self._direct[1] = np.ascontiguousarray(found.imag)


class Responses(Reactions):
    """Linear responses ``(H + a) d + b conj(d) = right``."""

    def __init__(self, linear: Linearisation, right: np.ndarray, start: np.ndarray) -> None:
        super().__init__(linear.linear_part, right, start)
        self._linear = linear
        direct, conjugate = self._linear.direct, self._linear.conjugate
        size = self._discrete.npoints * LANES
        if direct is not None and np.iscomplexobj(direct):
            self._direct[1] = rows(size)
        if conjugate is not None:
            self._conjugate = [rows(size), rows(size)]

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        super().load(lanes, samples)
        for field, blocks in (
            (self._linear.direct, self._direct),
            (self._linear.conjugate, self._conjugate),
        ):
            if field is None:
                continue
            for numbers, block in zip((field.real, field.imag), blocks, strict=True):
                if len(block):
                    kernels.load_numbers(numbers, lanes, samples, block)


class ByEquation:
    """Any equation, by its own residual, ``residual(x, samples)``: slower, and just as right.

    Parameters
    ----------
    part : LinearPart
    residual : callable
        Of states (ndof, LANES) of samples of the batch, given by their indices.
    start : ndarray, shape (ndof, nsamples)
    """

    def __init__(
        self,
        part: LinearPart,
        residual: Callable[[np.ndarray, np.ndarray], np.ndarray],
        start: np.ndarray,
    ) -> None:
        self._residual, self.solution = residual, start
        self._weight = 1 / part.space.mass_diagonal
        n = len(start)
        self.field = rows(2 * n * LANES)
        self._state = np.zeros((n, LANES), dtype=complex)
        self._samples = np.zeros(LANES, dtype=int)
        self._square = rows(LANES)

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        kernels.load_field(self.solution, lanes, samples, self.field)
        self._samples[lanes] = samples

    def unload(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Take solutions out of lanes of the block."""
        kernels.unload_field(self.field, lanes, samples, self.solution)

    def evaluate(self, place: np.ndarray, force: np.ndarray) -> np.ndarray:
        """F(x) and its norms."""
        every = np.arange(LANES)
        kernels.unload_field(self.field, every, every, self._state)
        found = np.ascontiguousarray(self._residual(self._state, self._samples), dtype=complex)
        kernels.put(found, self._weight, place, force, self._square)
        return np.sqrt(self._square)


def states_problem(equation: Equation, drive: np.ndarray, start: np.ndarray) -> Problem:
    """Steady states of an equation; `start` (ndof, nsamples) becomes the solution."""
    ask = getattr(equation, "response_alone", None)
    response = None if ask is None else ask()
    if response is not None:
        return States(equation.linear_part, response, drive, start)
    return ByEquation(
        equation.linear_part,
        lambda state, samples: equation.residual(state, drive[:, samples]),
        start,
    )


def responses_problem(linear: Linearisation, right: np.ndarray, start: np.ndarray) -> Problem:
    """``(H + a) d + b conj(d) = right``; `start` (ndof, nsamples) becomes the solution."""
    if linear.direct is None or linear.direct.ndim == 2:
        return Responses(linear, right, start)
    return ByEquation(
        linear.linear_part,
        lambda d, samples: linear.samples(samples).apply(d) - right[:, samples],
        start,
    )
