"""Anderson's acceleration of a block of samples, compiled: each lane by itself.

Steps that are remembered stand in slots of a ring, which all lanes share; how many of them are a
lane's own is its age. They are numbers of 16 bits, so that all of them stay near the processor:
what is lost there is two thousandths of a step's share in the next one, which takes no more steps.
Nor does it take more where the least squares are those of sketches: sums of up to four unknowns,
with random signs, which keep products of vectors to about one over the root of the number of sums
(sparse embeddings of K. L. Clarkson, D. P. Woodruff, J. ACM 63, 54 (2017)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nepfield.steady.batches.lanes import (
    LANES,
    compiled,
    load16,
    load32,
    load64,
    rows,
    spread32,
    spread64,
    store16,
    store32,
    store64,
    widened,
)

Array = np.ndarray

WINDOW = 8
"""Steps that Anderson's acceleration remembers."""
EMPTY, GOING, DONE, LOST = 0, 1, 2, 3
"""Verdicts on lanes."""
_DEPENDENT = 1e-5  # share of a difference that is new: below it is rounding in 16 bits
_CHUNK = 32  # rows whose products are added in 32 bits
_UNKNOWNS_A_SUM = 4  # of a sketch, or less where there would be fewer sums than these:
_FEWEST_SUMS = 64


class Memory(NamedTuple):
    """What a block remembers of its steps, in the order of the factors.

    Attributes
    ----------
    force : ndarray, shape (2 n LANES,)
        The residual, and then the correction that follows from it; 32 bits, as `before` and `step`.
    before, step : ndarray, shape (2 n LANES,)
        The last correction, and the last step.
    images : ndarray, shape (WINDOW, 2 n LANES)
        Of 16 bits: the steps less what corrections changed by from step to step.
    changes : ndarray, shape (WINDOW, 2 m LANES)
        Of 16 bits: sketches of what they changed by, of m sums.
    sketch : ndarray, shape (2 m LANES,)
        That of the correction.
    gram : ndarray, shape (WINDOW, WINDOW LANES)
        Products of all these sketches.
    products, weights : ndarray, shape (WINDOW LANES,)
        Those with the sketch of the correction, and what follows.
    slot : ndarray of int, shape (1,)
        Where the newest change goes.
    steps : ndarray of int, shape (1,)
        Taken so far.
    """

    force: Array
    before: Array
    step: Array
    images: Array
    changes: Array
    sketch: Array
    gram: Array
    products: Array
    weights: Array
    slot: Array
    steps: Array


@compiled
def unknowns_a_sum(unknowns: int) -> int:
    """How many unknowns of so many are added in each sum of a sketch."""
    return max(1, min(_UNKNOWNS_A_SUM, unknowns // _FEWEST_SUMS))


@compiled
def sign_of(unknown: int) -> float:
    """Its sign in a sketch: a bit of its number, shuffled (T. Mueller's hash of integers)."""
    bits = (unknown + 1) * 0x9E3779B9 & 0xFFFFFFFF
    bits = (bits ^ bits >> 16) * 0x45D9F3B & 0xFFFFFFFF
    bits = (bits ^ bits >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return 1.0 - 2.0 * (bits >> 31)


def new_memory(size: int) -> Memory:
    """An empty memory for fields of so many numbers."""
    force, before, step = (rows(size, dtype=np.float32) for _ in range(3))
    unknowns = size // (2 * LANES)
    sums = 2 * LANES * -(-unknowns // unknowns_a_sum(unknowns))
    return Memory(
        force, before, step, rows(WINDOW, size, dtype=np.uint16),
        rows(WINDOW, sums, dtype=np.uint16), rows(sums, dtype=np.float32),
        rows(WINDOW, WINDOW * LANES), rows(WINDOW * LANES), rows(WINDOW * LANES),
        np.zeros(1, int), np.zeros(1, int),
    )  # fmt: skip


def forget(memory: Memory, lanes: np.ndarray) -> None:
    """Take samples out of the memory: a weight of 0 is not enough, for they may have overflowed."""
    for kept in (memory.before, memory.step, *memory.changes, *memory.images):
        if len(lanes) == LANES:
            kept[:] = 0
        else:
            clear(kept, lanes)


@compiled
def clear(numbers: Array, lanes: Array) -> None:
    """Zeros in lanes of an array of rows."""
    for i in range(len(numbers) // LANES):
        for k in range(len(lanes)):
            numbers[i * LANES + lanes[k]] = 0


@compiled
def remember(
    correction: Array,
    before: Array,
    step: Array,
    slot: int,
    filled: int,
    images: Array,
    changes: Array,
    sketch: Array,
    gram: Array,
    products: Array,
) -> None:
    """changes[slot] = the sketch of r - r_before, images[slot] = step - (r - r_before); products of
    this sketch with all others go to `gram`, those of the sketch of r to `products`."""
    for j in range(WINDOW):
        store64(gram[slot], j, spread64(0.0))
        store64(products, j, spread64(0.0))
    newest, image = changes[slot], images[slot]
    unknowns, nrows = len(correction) // (2 * LANES), len(sketch) // LANES
    together = unknowns_a_sum(unknowns)
    for first in range(0, nrows, _CHUNK):
        last = min(first + _CHUNK, nrows)
        for row in range(first, last, 2):
            change_real, change_imag = spread32(0.0), spread32(0.0)
            new_real, new_imag = spread32(0.0), spread32(0.0)
            start = row // 2 * together
            for k in range(start, min(start + together, unknowns)):
                sign = spread32(sign_of(k))
                real, imag = load32(correction, 2 * k), load32(correction, 2 * k + 1)
                x = real - load32(before, 2 * k)
                y = imag - load32(before, 2 * k + 1)
                store32(before, 2 * k, real)
                store32(before, 2 * k + 1, imag)
                store16(image, 2 * k, load32(step, 2 * k) - x)
                store16(image, 2 * k + 1, load32(step, 2 * k + 1) - y)
                change_real += sign * x
                change_imag += sign * y
                new_real += sign * real
                new_imag += sign * imag
            store16(newest, row, change_real)
            store16(newest, row + 1, change_imag)
            store32(sketch, row, new_real)
            store32(sketch, row + 1, new_imag)
        for a in range(filled):
            j = (slot - a) % WINDOW
            older = changes[j]
            with_change, with_new = spread32(0.0), spread32(0.0)
            more_change, more_new = spread32(0.0), spread32(0.0)  # sums that need not wait
            for i in range(first, last, 2):
                other = load16(older, i)
                with_change += load16(newest, i) * other
                with_new += load32(sketch, i) * other
                other = load16(older, i + 1)
                more_change += load16(newest, i + 1) * other
                more_new += load32(sketch, i + 1) * other
            store64(gram[slot], j, load64(gram[slot], j) + widened(with_change + more_change))
            store64(products, j, load64(products, j) + widened(with_new + more_new))
    for j in range(WINDOW):
        store64(gram[j], slot, load64(gram[slot], j))


@compiled
def combine(gram: Array, products: Array, slot: int, age: Array, weights: Array) -> None:
    """How much of each remembered step lowers the correction most, in least squares, lane by lane.

    Differences count from the newest to the oldest; those before a lane's first are left out, and
    so is everything from one on that is all but a combination of newer ones.
    """
    lower = np.zeros((WINDOW, WINDOW))
    right, scale = np.zeros(WINDOW), np.zeros(WINDOW)
    for lane in range(LANES):
        for j in range(WINDOW):
            weights[j * LANES + lane] = 0.0
        used = 0
        for a in range(min(age[lane], WINDOW)):
            p = (slot - a) % WINDOW
            size = gram[p, p * LANES + lane]
            if not (size > 0.0 and np.isfinite(size)):
                break
            scale[a] = 1.0 / np.sqrt(size)
            for b in range(a + 1):
                q = (slot - b) % WINDOW
                total = gram[p, q * LANES + lane] * scale[a] * scale[b]
                for c in range(b):
                    total -= lower[a, c] * lower[b, c]
                if b < a:
                    lower[a, b] = total / lower[b, b]
            if not total > _DEPENDENT:
                break
            lower[a, a] = np.sqrt(total)
            value = products[p * LANES + lane] * scale[a]
            for c in range(a):
                value -= lower[a, c] * right[c]
            right[a] = value / lower[a, a]
            used = a + 1
        for a in range(used - 1, -1, -1):
            value = right[a]
            for c in range(a + 1, used):
                value -= lower[c, a] * right[c]
            right[a] = value / lower[a, a]
            weights[((slot - a) % WINDOW) * LANES + lane] = right[a] * scale[a]


@compiled
def advance(
    correction: Array,
    images: Array,
    weights: Array,
    slot: int,
    filled: int,
    order: Array,
    step: Array,
    field: Array,
) -> None:
    """``x - r - sum_j weight_j images_j``, which is the step, in the order of the unknowns.

    It is summed from the newest to the oldest, so that it does not matter in which slot they are.
    """
    shares, kept = weights.astype(np.float32), images.reshape(-1)
    nrows = 2 * len(order)
    for i in range(len(order)):
        real, imag = load32(correction, 2 * i), load32(correction, 2 * i + 1)
        for a in range(filled):
            j = (slot - a) % WINDOW
            share, row = load32(shares, j), j * nrows + 2 * i
            real += share * load16(kept, row)
            imag += share * load16(kept, row + 1)
        real, imag = spread32(0.0) - real, spread32(0.0) - imag
        store32(step, 2 * i, real)
        store32(step, 2 * i + 1, imag)
        place = 2 * order[i]
        store64(field, place, load64(field, place) + widened(real))
        store64(field, place + 1, load64(field, place + 1) + widened(imag))


class Goals(NamedTuple):
    """When a sample is done or given up.

    Attributes
    ----------
    goal, enough : ndarray, shape (nsamples,)
        Norms of the residual: the one that is wanted, and that for samples that come no further.
    least : ndarray of int, shape (nsamples,)
        Steps that a sample takes in any case.
    most, patience : int
        Steps after which it is given up, and those within which the norm has to fall by a tenth.
    worse : float
        Times its first norm: it will not come back.
    """

    goal: Array
    enough: Array
    least: Array
    most: int
    patience: int
    worse: float


class Block(NamedTuple):
    """The samples in the lanes of a block; all arrays have shape (LANES,).

    Attributes
    ----------
    inhabitant, verdict : ndarray of int
        The sample, -1 for none, and what `judge` says of it.
    age, improved : ndarray of int
        Steps that it has taken, and at how many its norm last fell by a tenth.
    norm, first, best : ndarray
        Of its residual: now, at the beginning, and the least.
    """

    inhabitant: Array
    verdict: Array
    age: Array
    improved: Array
    norm: Array
    first: Array
    best: Array


def new_block() -> Block:
    """Empty lanes."""
    verdict, age, improved = np.zeros((3, LANES), dtype=int)
    norm, first, best = np.ones((3, LANES))
    return Block(np.full(LANES, -1), verdict, age, improved, norm, first, best)


@compiled
def judge(block: Block, goals: Goals) -> tuple[int, bool]:
    """What becomes of the sample in each lane, EMPTY, GOING, DONE or LOST; the age of the oldest
    that goes on, -1 if none does, and whether one does not."""
    oldest, ended = -1, False
    for lane in range(LANES):
        block.verdict[lane] = EMPTY
        sample = block.inhabitant[lane]
        if sample < 0:
            continue
        size, steps = block.norm[lane], block.age[lane]
        if steps == 0:
            block.first[lane], block.best[lane], block.improved[lane] = size, size, 0
        if size < 0.9 * block.best[lane]:
            block.best[lane], block.improved[lane] = size, steps
        ready = steps >= goals.least[sample]
        going = size <= goals.worse * block.first[lane] and steps < goals.most
        going = going and steps - block.improved[lane] < goals.patience
        if ready and size <= goals.goal[sample]:
            block.verdict[lane] = DONE
        elif going:
            block.verdict[lane] = GOING
            oldest = max(oldest, steps)
        else:
            block.verdict[lane] = DONE if ready and size <= goals.enough[sample] else LOST
        ended = ended or block.verdict[lane] != GOING
    return oldest, ended
