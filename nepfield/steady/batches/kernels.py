"""What is done to a block of samples, compiled.

Fields of a block are flat arrays of rows of `LANES` numbers: of unknown i row 2 i holds the real
parts and row 2 i + 1 the imaginary parts. Sparse matrices are given by rows (CSR). No lane is ever
mixed with another, so what becomes of a sample does not depend on its neighbours. Arrays are taken
out of tuples before a loop: inside it Numba would count references at each access.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Rows(NamedTuple):
    """Triangular factors by rows: strict triangles, the pivots as reciprocals.

    `place` (n,) is where the right-hand side of each unknown stands in a field that is to be solved
    for, `order` (n,) the unknown at each place of the solution.
    """

    lower_start: Array
    lower_column: Array
    lower_real: Array
    lower_imag: Array
    upper_start: Array
    upper_column: Array
    upper_real: Array
    upper_imag: Array
    pivot_real: Array
    pivot_imag: Array
    place: Array
    order: Array


class Equations(NamedTuple):
    """``H x + B^T w (a + b conj) B x = right`` for a block of samples.

    H and B come by rows. On a graph the points are the unknowns, of weight 1, and B is left out.
    What is 0 everywhere is an array of length 0. With a `fraction`, three numbers, a follows from
    the density n at each point, ``(f0 + f1 n) / (1 + f2 n)``, and b is 0.

    The field, `right`, and `total`, where the left side less the right one is added up, have shape
    (2 n LANES,), the parts of a (direct) and b (conjugate) (npoints LANES,). `weight` (npoints,) is
    w, and `inverse_mass` (n,) weighs the squares in the norm of a residual.
    """

    is_graph: bool
    start: Array
    column: Array
    real: Array
    imag: Array
    values_start: Array
    values_column: Array
    values_value: Array
    weight: Array
    inverse_mass: Array
    field: Array
    right: Array
    total: Array
    direct_real: Array
    direct_imag: Array
    conjugate_real: Array
    conjugate_imag: Array
    fraction: Array


@compiled
def substitute(rows: Rows, field: Array) -> None:
    """Solve with a lower triangle, of unit diagonal, and then an upper one, in place."""
    lower_start, lower_column = rows.lower_start, rows.lower_column
    lower_real, lower_imag = rows.lower_real, rows.lower_imag
    upper_start, upper_column = rows.upper_start, rows.upper_column
    upper_real, upper_imag = rows.upper_real, rows.upper_imag
    pivot_real, pivot_imag = rows.pivot_real, rows.pivot_imag
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
def evaluate(equations: Equations, place: Array, force: Array, norm: Array) -> None:
    """The left side less the right one, of which rows go to their places in `force` (32 bits, in
    the order of the factors), and its norm."""
    e = equations
    if e.is_graph:
        residual_of_graph(
            e.start, e.column, e.real, e.imag, e.field,
            e.direct_real, e.direct_imag, e.conjugate_real, e.conjugate_imag, e.fraction,
            e.right, place, force, norm,
        )  # fmt: skip
    else:
        residual_of_mesh(
            e.start, e.column, e.real, e.imag, e.field,
            e.values_start, e.values_column, e.values_value, e.weight,
            e.direct_real, e.direct_imag, e.conjugate_real, e.conjugate_imag, e.fraction,
            e.right, e.total, e.inverse_mass, place, force, norm,
        )  # fmt: skip
    for lane in range(LANES):
        norm[lane] = np.sqrt(norm[lane])


@compiled
def densities(equations: Equations, density: Array) -> None:
    """The density of the field at the points, a row a point."""
    field = equations.field
    if equations.is_graph:
        for i in range(len(density) // LANES):
            x, y = load64(field, 2 * i), load64(field, 2 * i + 1)
            store64(density, i, x * x + y * y)
        return
    start, column = equations.values_start, equations.values_column
    value = equations.values_value
    for i in range(len(density) // LANES):
        x, y = spread64(0.0), spread64(0.0)
        for k in range(start[i], start[i + 1]):
            b = spread64(value[k])
            x += b * load64(field, 2 * column[k])
            y += b * load64(field, 2 * column[k] + 1)
        store64(density, i, x * x + y * y)


@compiled
def residual_of_mesh(
    start: Array,
    column: Array,
    matrix_real: Array,
    matrix_imag: Array,
    field: Array,
    values_start: Array,
    values_column: Array,
    values_value: Array,
    weight: Array,
    direct_real: Array,
    direct_imag: Array,
    conjugate_real: Array,
    conjugate_imag: Array,
    fraction: Array,
    right: Array,
    total: Array,
    inverse_mass: Array,
    place: Array,
    force: Array,
    square: Array,
) -> None:
    """``H x + B^T w (a + b conj) B x - right``.

    It fills `force`, and `square`, the sum of its squares times `inverse_mass`, as the norm of a
    residual takes them. What acts at a point is spread from there at once: the points are many
    more than the unknowns, and would leave no room near the processor.
    """
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
        store64(total, 2 * i, real)
        store64(total, 2 * i + 1, imag)
    for i in range(len(values_start) - 1):
        x, y = spread64(0.0), spread64(0.0)
        for k in range(values_start[i], values_start[i + 1]):
            b = spread64(values_value[k])
            x += b * load64(field, 2 * values_column[k])
            y += b * load64(field, 2 * values_column[k] + 1)
        if len(fraction):
            n = x * x + y * y
            a = spread64(fraction[0]) + spread64(fraction[1]) * n
            if fraction[2] != 0.0:
                a = a / (spread64(1.0) + spread64(fraction[2]) * n)
        else:
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
        w = spread64(weight[i])
        real, imag = w * real, w * imag
        for k in range(values_start[i], values_start[i + 1]):
            j, b = 2 * values_column[k], spread64(values_value[k])
            store64(total, j, load64(total, j) + b * real)
            store64(total, j + 1, load64(total, j + 1) + b * imag)
    squares = spread64(0.0)
    for i in range(len(start) - 1):
        real, imag = load64(total, 2 * i), load64(total, 2 * i + 1)
        squares += spread64(inverse_mass[i]) * (real * real + imag * imag)
        store32(force, 2 * place[i], narrowed(real))
        store32(force, 2 * place[i] + 1, narrowed(imag))
    store64(square, 0, squares)


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
    fraction: Array,
    right: Array,
    place: Array,
    force: Array,
    square: Array,
) -> None:
    """`residual_of_mesh` where the points are the unknowns, of weight 1. Its formulas stand here
    again: through a function of a row, called or inlined by Numba, it is four times slower, since
    references to arrays are then counted row by row."""
    total = spread64(0.0)
    for i in range(len(start) - 1):
        x, y = load64(field, 2 * i), load64(field, 2 * i + 1)
        if len(fraction):
            n = x * x + y * y
            a = spread64(fraction[0]) + spread64(fraction[1]) * n
            if fraction[2] != 0.0:
                a = a / (spread64(1.0) + spread64(fraction[2]) * n)
        else:
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
        real -= load64(right, 2 * i)
        imag -= load64(right, 2 * i + 1)
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
def load_parts(source: Array, lanes: Array, samples: Array, real: Array, imag: Array) -> None:
    """Put columns of a complex array into lanes of two blocks of one row an entry."""
    for i in range(len(source)):
        for k in range(len(lanes)):
            value = source[i, samples[k]]
            real[i * LANES + lanes[k]] = value.real
            imag[i * LANES + lanes[k]] = value.imag


@compiled
def unload_field(block: Array, lanes: Array, samples: Array, target: Array) -> None:
    """Put lanes of a block into columns of a complex array."""
    for i in range(len(target)):
        for k in range(len(lanes)):
            target[i, samples[k]] = complex(
                block[2 * i * LANES + lanes[k]], block[(2 * i + 1) * LANES + lanes[k]]
            )


@compiled
def put(source: Array, weight: Array, place: Array, force: Array, norm: Array) -> None:
    """Put F, a complex array of a column a lane, into a block of 32 bits; `norm` as `evaluate` has
    it."""
    for lane in range(LANES):
        norm[lane] = 0.0
    for i in range(len(source)):
        for lane in range(LANES):
            value = source[i, lane]
            force[2 * place[i] * LANES + lane] = value.real
            force[(2 * place[i] + 1) * LANES + lane] = value.imag
            norm[lane] += weight[i] * (value.real * value.real + value.imag * value.imag)
    for lane in range(LANES):
        norm[lane] = np.sqrt(norm[lane])
