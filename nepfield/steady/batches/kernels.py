"""What is done to a block of samples, compiled.

Fields of a block are flat arrays of rows of `LANES` numbers: of unknown i row 2 i holds the real
parts and row 2 i + 1 the imaginary parts. Sparse matrices are given by rows (CSR). No lane is ever
mixed with another, so what becomes of a sample does not depend on its neighbours.
"""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.lanes import (
    LANES,
    compiled,
    load32,
    load64,
    narrowed,
    spread32,
    spread64,
    store32,
    store64,
)

Array = np.ndarray


@compiled
def substitute(
    lower_start: Array,
    lower_column: Array,
    lower_real: Array,
    lower_imag: Array,
    upper_start: Array,
    upper_column: Array,
    upper_real: Array,
    upper_imag: Array,
    pivot_real: Array,
    pivot_imag: Array,
    field: Array,
) -> None:
    """Solve with a lower triangle, of unit diagonal, and then an upper one, in place.

    The triangles are strict; the pivots are given as reciprocals.
    """
    n = len(lower_start) - 1
    zero = spread32(0.0)
    for i in range(n):
        real, imag = load32(field, 2 * i), load32(field, 2 * i + 1)
        more_real, more_imag = zero, zero  # sums in two halves, which need not wait for each other
        for k in range(lower_start[i], lower_start[i + 1]):
            a, b = spread32(lower_real[k]), spread32(lower_imag[k])
            x = load32(field, 2 * lower_column[k])
            y = load32(field, 2 * lower_column[k] + 1)
            real -= a * x
            more_real += b * y
            imag -= a * y
            more_imag += b * x
        store32(field, 2 * i, real + more_real)
        store32(field, 2 * i + 1, imag - more_imag)
    for i in range(n - 1, -1, -1):
        real, imag = load32(field, 2 * i), load32(field, 2 * i + 1)
        more_real, more_imag = zero, zero
        for k in range(upper_start[i], upper_start[i + 1]):
            a, b = spread32(upper_real[k]), spread32(upper_imag[k])
            x = load32(field, 2 * upper_column[k])
            y = load32(field, 2 * upper_column[k] + 1)
            real -= a * x
            more_real += b * y
            imag -= a * y
            more_imag += b * x
        real, imag = real + more_real, imag - more_imag
        a, b = spread32(pivot_real[i]), spread32(pivot_imag[i])
        store32(field, 2 * i, a * real - b * imag)
        store32(field, 2 * i + 1, a * imag + b * real)


@compiled
def evaluate(start: Array, column: Array, value: Array, field: Array, values: Array) -> None:
    """A real sparse matrix times a field."""
    for i in range(len(start) - 1):
        real, imag = spread64(0.0), spread64(0.0)
        for k in range(start[i], start[i + 1]):
            b = spread64(value[k])
            real += b * load64(field, 2 * column[k])
            imag += b * load64(field, 2 * column[k] + 1)
        store64(values, 2 * i, real)
        store64(values, 2 * i + 1, imag)


@compiled
def densities(values: Array, density: Array) -> None:
    """The squared magnitude of values, a row a point."""
    for i in range(len(density) // LANES):
        real, imag = load64(values, 2 * i), load64(values, 2 * i + 1)
        store64(density, i, real * real + imag * imag)


@compiled
def react(
    direct_real: Array,
    direct_imag: Array,
    conjugate_real: Array,
    conjugate_imag: Array,
    values: Array,
) -> None:
    """``a v + b conj(v)`` in place; what is 0 everywhere is an array of length 0."""
    for i in range(len(values) // (2 * LANES)):
        x, y = load64(values, 2 * i), load64(values, 2 * i + 1)
        a = load64(direct_real, i)
        real, imag = a * x, a * y
        if len(direct_imag):
            a = load64(direct_imag, i)
            real -= a * y
            imag += a * x
        if len(conjugate_real):
            b, c = load64(conjugate_real, i), load64(conjugate_imag, i)
            real += b * x + c * y
            imag += c * x - b * y
        store64(values, 2 * i, real)
        store64(values, 2 * i + 1, imag)


@compiled
def residual(
    start: Array,
    column: Array,
    matrix_real: Array,
    matrix_imag: Array,
    field: Array,
    adjoint_start: Array,
    adjoint_column: Array,
    adjoint_value: Array,
    reaction: Array,
    right: Array,
    weight: Array,
    place: Array,
    force: Array,
    square: Array,
) -> None:
    """``H x + B^T r - right``, where r are reactions at the points, of which rows lie at `place`.

    Parameters are H by rows, the field x, B^T times the quadrature weights, r, and the right-hand
    side. It fills `force` (32 bits, in the order of the factors), and `square`, the sum of its
    squares times `weight`, as the residual's norm takes them.
    """
    total = spread64(0.0)
    for i in range(len(start) - 1):
        real = spread64(0.0) - load64(right, 2 * i)
        imag = spread64(0.0) - load64(right, 2 * i + 1)
        for k in range(start[i], start[i + 1]):
            x = load64(field, 2 * column[k])
            y = load64(field, 2 * column[k] + 1)
            a = spread64(matrix_real[k])
            real += a * x
            imag += a * y
            if matrix_imag[k] != 0.0:
                b = spread64(matrix_imag[k])
                real -= b * y
                imag += b * x
        for k in range(adjoint_start[i], adjoint_start[i + 1]):
            b = spread64(adjoint_value[k])
            real += b * load64(reaction, 2 * adjoint_column[k])
            imag += b * load64(reaction, 2 * adjoint_column[k] + 1)
        total += spread64(weight[i]) * (real * real + imag * imag)
        store32(force, 2 * place[i], narrowed(real))
        store32(force, 2 * place[i] + 1, narrowed(imag))
    store64(square, 0, total)


@compiled
def residual_of_graph(
    start: Array,
    column: Array,
    matrix_real: Array,
    matrix_imag: Array,
    field: Array,
    direct_real: Array,
    direct_imag: Array,
    conjugate_real: Array,
    conjugate_imag: Array,
    right: Array,
    place: Array,
    force: Array,
    square: Array,
) -> None:
    """``H x + a x + b conj(x) - right``: `react` and `residual` where the points are the unknowns,
    of weight 1."""
    total = spread64(0.0)
    for i in range(len(start) - 1):
        x, y = load64(field, 2 * i), load64(field, 2 * i + 1)
        a = load64(direct_real, i)
        real = a * x - load64(right, 2 * i)
        imag = a * y - load64(right, 2 * i + 1)
        if len(direct_imag):
            a = load64(direct_imag, i)
            real -= a * y
            imag += a * x
        if len(conjugate_real):
            b, c = load64(conjugate_real, i), load64(conjugate_imag, i)
            real += b * x + c * y
            imag += c * x - b * y
        for k in range(start[i], start[i + 1]):
            x = load64(field, 2 * column[k])
            y = load64(field, 2 * column[k] + 1)
            a = spread64(matrix_real[k])
            real += a * x
            imag += a * y
            if matrix_imag[k] != 0.0:
                b = spread64(matrix_imag[k])
                real -= b * y
                imag += b * x
        total += real * real + imag * imag
        store32(force, 2 * place[i], narrowed(real))
        store32(force, 2 * place[i] + 1, narrowed(imag))
    store64(square, 0, total)


@compiled
def load_field(source: Array, lanes: Array, samples: Array, block: Array) -> None:
    """Put columns of a complex array into lanes of a block."""
    for i in range(len(source)):
        for k in range(len(lanes)):
            block[2 * i * LANES + lanes[k]] = source[i, samples[k]].real
            block[(2 * i + 1) * LANES + lanes[k]] = source[i, samples[k]].imag


@compiled
def load_numbers(source: Array, lanes: Array, samples: Array, block: Array) -> None:
    """Put columns of a real array into lanes of a block of one row an entry."""
    for i in range(len(source)):
        for k in range(len(lanes)):
            block[i * LANES + lanes[k]] = source[i, samples[k]]


@compiled
def unload_field(block: Array, lanes: Array, samples: Array, target: Array) -> None:
    """Put lanes of a block into columns of a complex array."""
    for i in range(len(target)):
        for k in range(len(lanes)):
            target[i, samples[k]] = complex(
                block[2 * i * LANES + lanes[k]], block[(2 * i + 1) * LANES + lanes[k]]
            )


@compiled
def clear(rows: Array, lanes: Array) -> None:
    """Zeros in lanes of an array of rows."""
    for i in range(len(rows) // LANES):
        for k in range(len(lanes)):
            rows[i * LANES + lanes[k]] = 0.0


@compiled
def put(source: Array, weight: Array, place: Array, force: Array, square: Array) -> None:
    """Put F, a complex array of a column a lane, into a block of 32 bits; `square` as `residual`
    has it."""
    for lane in range(LANES):
        square[lane] = 0.0
    for i in range(len(source)):
        for lane in range(LANES):
            value = source[i, lane]
            force[2 * place[i] * LANES + lane] = value.real
            force[(2 * place[i] + 1) * LANES + lane] = value.imag
            square[lane] += weight[i] * (value.real * value.real + value.imag * value.imag)
