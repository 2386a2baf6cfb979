"""Anderson's acceleration of a block of samples, compiled: each lane by itself.

Steps that are remembered stand in slots of a ring, which all lanes share; how many of them are a
lane's own is its age. They are numbers of 16 bits, so that all of them stay near the processor:
what is lost there is two thousandths of a step's share in the next one, which takes no more steps.
"""

from __future__ import annotations

import numpy as np

from nepfield.steady.batches.lanes import (
    LANES,
    compiled,
    load16,
    load32,
    load64,
    spread32,
    spread64,
    store16,
    store32,
    store64,
    widened,
)

Array = np.ndarray

WINDOW = 6
"""Steps that Anderson's acceleration remembers."""
EMPTY, GOING, DONE, LOST = 0, 1, 2, 3
"""Verdicts on lanes."""
_DEPENDENT = 1e-5  # share of a difference that is new: below it is rounding in 16 bits
_CHUNK = 32  # rows whose products are added in 32 bits


@compiled
def remember(
    correction: Array,
    before: Array,
    step: Array,
    slot: int,
    filled: int,
    changes: Array,
    images: Array,
    gram: Array,
    products: Array,
) -> None:
    """changes[slot] = r - r_before, images[slot] = step - changes[slot]; the products of this
    change with all changes go to `gram`, those of r to `products`."""
    nrows = len(correction) // LANES
    for j in range(WINDOW):
        store64(gram[slot], j, spread64(0.0))
        store64(products, j, spread64(0.0))
    newest, image = changes[slot], images[slot]
    for first in range(0, nrows, _CHUNK):
        last = min(first + _CHUNK, nrows)
        for i in range(first, last):
            new = load32(correction, i)
            change = new - load32(before, i)
            store32(before, i, new)
            store16(newest, i, change)
            store16(image, i, load32(step, i) - change)
        for a in range(filled):
            j = (slot - a) % WINDOW
            older = changes[j]
            with_change, with_new = spread32(0.0), spread32(0.0)
            more_change, more_new = spread32(0.0), spread32(0.0)  # sums that need not wait
            for i in range(first, last, 2):
                other = load16(older, i)
                with_change += load16(newest, i) * other
                with_new += load32(correction, i) * other
                other = load16(older, i + 1)
                more_change += load16(newest, i + 1) * other
                more_new += load32(correction, i + 1) * other
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
    shares = weights.astype(np.float32)
    nrows = 2 * len(order)
    for first in range(0, nrows, _CHUNK):
        last = min(first + _CHUNK, nrows)
        for i in range(first, last):
            store32(step, i, load32(correction, i))
        for a in range(filled):
            j = (slot - a) % WINDOW
            share, image = load32(shares, j), images[j]
            for i in range(first, last):
                store32(step, i, load32(step, i) + share * load16(image, i))
        for i in range(first, last):
            total = spread32(0.0) - load32(step, i)
            store32(step, i, total)
            place = 2 * order[i // 2] + i % 2
            store64(field, place, load64(field, place) + widened(total))


@compiled
def accelerate(
    correction: Array,
    order: Array,
    slot: int,
    filled: int,
    age: Array,
    before: Array,
    step: Array,
    changes: Array,
    images: Array,
    gram: Array,
    products: Array,
    weights: Array,
    field: Array,
) -> None:
    """Take a new correction r = M^-1 F into the memory, and go on by the best step.

    Of what is remembered `filled` slots are in use, of which `slot` is the newest. Correction,
    before and step have shape (2 n LANES,), of 32 bits, changes and images (WINDOW, 2 n LANES), of
    16 bits, all in the order of the factors; gram (WINDOW, WINDOW LANES), products and weights
    (WINDOW LANES,); order (n,); the field, (2 n LANES,) of 64 bits, is moved.
    """
    remember(correction, before, step, slot, filled, changes, images, gram, products)
    combine(gram, products, slot, age, weights)
    advance(correction, images, weights, slot, filled, order, step, field)


@compiled
def judge(
    norm: Array,
    inhabitant: Array,
    goal: Array,
    enough: Array,
    least: Array,
    most: int,
    patience: int,
    worse: float,
    age: Array,
    first: Array,
    best: Array,
    improved: Array,
    verdict: Array,
) -> int:
    """What becomes of the sample in each lane, EMPTY, GOING, DONE or LOST; the age of the oldest
    that goes on, -1 if none does."""
    oldest = -1
    for lane in range(LANES):
        verdict[lane] = EMPTY
        sample = inhabitant[lane]
        if sample < 0:
            continue
        size, steps = norm[lane], age[lane]
        if steps == 0:
            first[lane], best[lane], improved[lane] = size, size, 0
        if size < 0.9 * best[lane]:
            best[lane], improved[lane] = size, steps
        ready = steps >= least[sample]
        going = size <= worse * first[lane] and steps < most and steps - improved[lane] < patience
        if ready and size <= goal[sample]:
            verdict[lane] = DONE
        elif going:
            verdict[lane] = GOING
            oldest = max(oldest, steps)
        else:
            verdict[lane] = DONE if ready and size <= enough[sample] else LOST
    return oldest
