"""Random numbers that belong to a sample, whatever stands beside it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import nepfield as nf


@given(
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 10**6),
    order=st.permutations(range(9)),
    cut=st.integers(0, 9),
)
def test_neither_order_nor_splitting_changes_what_is_drawn(
    seed: int, epoch: int, order: list[int], cut: int
) -> None:
    keys = nf.Keys(seed, epoch, np.arange(9)).fold("start")
    whole = keys.uniform(5)
    np.testing.assert_array_equal(keys[np.array(order)].uniform(5), whole[:, order])
    parts = [keys[np.array(order[:cut], dtype=int)], keys[np.array(order[cut:], dtype=int)]]
    drawn = np.hstack([part.uniform(5) for part in parts])
    np.testing.assert_array_equal(drawn, whole[:, order])
    assert whole.min() >= 0
    assert whole.max() < 1


def test_seed_epoch_index_start_and_purpose_each_give_other_numbers() -> None:
    index = np.arange(4)
    drawn = [
        nf.Keys(0, 0, index).uniform(3),
        nf.Keys(1, 0, index).uniform(3),
        nf.Keys(0, 1, index).uniform(3),
        nf.Keys(0, 0, index + 4).uniform(3),
        nf.Keys(0, 0, index, np.ones(4, dtype=int)).uniform(3),
        nf.Keys(0, 0, index).fold("noise").uniform(3),
        nf.Keys(0, 0, index).fold("noise").fold("noise").uniform(3),
    ]
    assert len(np.unique(np.concatenate([d.ravel() for d in drawn]))) == 7 * 12


def test_one_start_is_the_start_zero() -> None:
    index = np.arange(3)
    one = nf.Keys(5, 2, index).uniform(2)
    np.testing.assert_array_equal(one, nf.Keys(5, 2, index, np.zeros(3, dtype=int)).uniform(2))


def test_the_numbers_are_spread_as_they_should_be() -> None:
    keys = nf.Keys(3, 1, np.arange(20_000))
    uniform, normal = keys.uniform(2), keys.normal(2)
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    for pair in (uniform, normal):  # neither within a sample nor between neighbours
        assert abs(np.corrcoef(*pair)[0, 1]) < 0.03
        assert abs(np.corrcoef(pair[0, 1:], pair[0, :-1])[0, 1]) < 0.03
