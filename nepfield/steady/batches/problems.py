"""Equations whose samples are solved in blocks: steady states, and linear responses to nudges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from nepfield.steady.batches import kernels
from nepfield.steady.batches.acceleration import judge
from nepfield.steady.batches.chord import Problem
from nepfield.steady.batches.kernels import Equations
from nepfield.steady.batches.lanes import LANES, rows
from nepfield.steady.batches.turns import Work, move, take_turns
from nepfield.steady.equation import NO_RESPONSE, Equation
from nepfield.steady.linearisation import Linearisation, LinearPart

_NOTHING = np.zeros(0)


class Reactions:
    """``H x + a B x + b conj(B x) = right`` in a block, with a and b at each point of each sample.

    Parameters
    ----------
    part : LinearPart
        H.
    right : ndarray, shape (ndof, nsamples)
    start : ndarray, shape (ndof, nsamples)
        Where to begin; the solutions take its place.
    fraction : tuple of float, optional
        Of a response, as `Response` has it; then b = 0 and a is found in the block.
    is_complex, paired : bool
        Whether a has an imaginary part, and whether there is a b.
    """

    def __init__(
        self,
        part: LinearPart,
        right: np.ndarray,
        start: np.ndarray,
        fraction: tuple[float, ...] | None = None,
        is_complex: bool = False,
        paired: bool = False,
    ) -> None:
        space, operator = part.space, part.operator
        # sample by sample, as they are loaded
        self._right, self.solution = np.asfortranarray(right), start
        self.field = rows(2 * len(self._right) * LANES)
        npoints = len(space.w)
        is_graph = space.is_graph and space.single is None
        values = sp.csr_array((0, 0)) if is_graph else space.B

        def numbers(wanted: bool) -> np.ndarray:
            return rows(npoints * LANES) if wanted else _NOTHING

        self.equations = Equations(
            is_graph,
            *_pattern(operator),
            np.ascontiguousarray(operator.data.real),
            np.ascontiguousarray(operator.data.imag),
            *_pattern(values),
            values.data,
            space.w,
            1 / space.mass_diagonal,
            self.field,
            rows(len(self.field)),
            _NOTHING if is_graph else rows(len(self.field)),
            numbers(fraction is None),
            numbers(is_complex),
            numbers(paired),
            numbers(paired),
            np.array(() if fraction is None else fraction, dtype=float),
        )

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        kernels.load_field(self.solution, lanes, samples, self.field)
        kernels.load_field(self._right, lanes, samples, self.equations.right)

    def unload(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Take solutions out of lanes of the block."""
        kernels.unload_field(self.field, lanes, samples, self.solution)

    def turns(self, work: Work, oldest: int, most: int) -> tuple[int, int]:
        """As `take_turns`."""
        return take_turns(self.equations, work, oldest, most)


def _pattern(matrix: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Where rows start, and the columns; always of one type, or all would be compiled again."""
    return matrix.indptr.astype(np.int32, copy=False), matrix.indices.astype(np.int32, copy=False)


class States(Reactions):
    """Steady states of ``H Psi + f(n) Psi + i P = 0`` with any f, which Python evaluates."""

    def __init__(
        self,
        part: LinearPart,
        response: Callable[[np.ndarray], np.ndarray],
        drive: np.ndarray,
        start: np.ndarray,
    ) -> None:
        super().__init__(part, -1j * drive, start, is_complex=True)
        self._response = response
        self._density = rows(len(self.equations.direct_real))

    def turns(self, work: Work, oldest: int, most: int) -> tuple[int, int]:
        """As `take_turns`, one look at most."""
        equations = self.equations
        take_turns(equations, work, oldest, 0)
        if not most:
            return oldest, 0
        kernels.densities(equations, self._density)
        found = np.asarray(self._response(self._density))
        equations.direct_real[:], equations.direct_imag[:] = found.real, found.imag
        return take_turns(equations, work, -1, 1)


class Responses(Reactions):
    """Linear responses ``(H + a) d + b conj(d) = right``."""

    def __init__(self, linear: Linearisation, right: np.ndarray, start: np.ndarray) -> None:
        direct, conjugate = linear.direct, linear.conjugate
        super().__init__(
            linear.linear_part,
            right,
            start,
            NO_RESPONSE.fraction if direct is None else None,
            direct is not None and np.iscomplexobj(direct),
            conjugate is not None,
        )
        self._linear = linear

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        super().load(lanes, samples)
        here, linear = self.equations, self._linear
        for field, real, imag in (
            (linear.direct, here.direct_real, here.direct_imag),
            (linear.conjugate, here.conjugate_real, here.conjugate_imag),
        ):
            if field is not None and len(imag):
                kernels.load_parts(field.astype(complex, copy=False), lanes, samples, real, imag)
            elif field is not None:
                kernels.load_numbers(field, lanes, samples, real)


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

    def load(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Put samples of the batch into lanes of the block."""
        kernels.load_field(self.solution, lanes, samples, self.field)
        self._samples[lanes] = samples

    def unload(self, lanes: np.ndarray, samples: np.ndarray) -> None:
        """Take solutions out of lanes of the block."""
        kernels.unload_field(self.field, lanes, samples, self.solution)

    def turns(self, work: Work, oldest: int, most: int) -> tuple[int, int]:
        """As `take_turns`, one look at most."""
        if oldest >= 0:
            move(work, oldest, self.field)
        if not most:
            return oldest, 0
        every = np.arange(LANES)
        kernels.unload_field(self.field, every, every, self._state)
        found = np.ascontiguousarray(self._residual(self._state, self._samples), dtype=complex)
        kernels.put(found, self._weight, work.rows.place, work.memory.force, work.block.norm)
        oldest, ended = judge(work.block, work.goals)
        if oldest >= 0 and not ended:
            move(work, oldest, self.field)
        return oldest, 1


def states_problem(equation: Equation, drive: np.ndarray, start: np.ndarray) -> Problem:
    """Steady states of an equation; `start` (ndof, nsamples) becomes the solution."""
    ask = getattr(equation, "response_alone", None)
    response = None if ask is None else ask()
    if response is not None and response.fraction is not None:
        return Reactions(equation.linear_part, -1j * drive, start, response.fraction)
    if response is not None:
        return States(equation.linear_part, response.f, drive, start)
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
