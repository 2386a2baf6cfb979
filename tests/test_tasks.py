"""Tasks: their sets, their files, how they are split and drawn from, and their classes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits

import nepfield as nf
from nepfield.learning.classes import classes_of, confusion
from nepfield.learning.digits import TASKS, digits8
from nepfield.learning.sampling import batches, class_batches, occurrences
from nepfield.learning.tasks import Task

# -- samples and files -------------------------------------------------------------------


def test_xor() -> None:
    task = nf.xor()
    assert task.inputs.shape == (4, 2)
    assert len({tuple(row) for row in task.inputs}) == 4
    for (a, b), (target,) in zip(task.inputs, task.targets, strict=True):
        assert target == float(bool(a) != bool(b))


def test_task_takes_lists_and_whole_numbers() -> None:
    task = nf.Task([[0, 1], [1, 0]], [[True], [False]])
    assert task.inputs.dtype == task.targets.dtype == float
    assert task.test_inputs is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([[1.0]], [[1.0], [2.0]]), "1 rows of inputs but 2 of targets"),
        (([1.0], [[1.0]]), r"inputs must have shape .*\(1,\)"),
        ((np.zeros((0, 2)), np.zeros((0, 1))), "at least one sample"),
        (([["a"]], [[1.0]]), "inputs must be an array of numbers"),
        (([[1.0], [1.0, 2.0]], [[1.0], [2.0]]), "inputs must be an array of numbers"),
        (([[1j]], [[1.0]]), "inputs must be an array of numbers"),
        (([[1.0]], [[np.nan]]), "targets holds values that are not finite"),
        (([[1.0]], [[1.0]], [[1.0]], None), "both test_inputs and test_targets"),
        (
            ([[1.0]], [[1.0]], [[1.0]], [[1.0], [2.0]]),
            "1 rows of test_inputs but 2 of test_targets",
        ),
        (([[1.0]], [[1.0]], [[np.inf]], [[1.0]]), "test_inputs holds"),
    ],
)
def test_bad_tasks_are_refused(arrays: tuple, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(nf.InputError, match=message):
            nf.Task(*arrays)


def samples(widths: tuple[int, int]) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of a few samples, so many numbers each."""
    numbers = st.floats(-1e6, 1e6)
    return st.integers(1, 5).flatmap(
        lambda n: st.tuples(*[hnp.arrays(float, (n, width), elements=numbers) for width in widths])
    )


SETS = st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda widths: st.tuples(samples(widths), st.none() | samples(widths))
)


@pytest.mark.filterwarnings("ignore:.*not used. remark")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=SETS)
def test_tasks_come_back_from_their_files(tmp_path: Path, sets: tuple) -> None:
    train, test = sets
    arrays = dict(zip(("inputs", "targets"), train, strict=True))
    if test is not None:
        arrays |= dict(zip(("test_inputs", "test_targets"), test, strict=True))
    np.savez(tmp_path / "data.npz", **arrays, remark=np.array("other arrays are left alone"))
    task = nf.load_task(tmp_path / "data.npz")
    for name in ("inputs", "targets", "test_inputs", "test_targets"):
        if name in arrays:
            np.testing.assert_array_equal(getattr(task, name), arrays[name])
        else:
            assert getattr(task, name) is None


@settings(max_examples=25)
@given(counts=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_inputs_and_targets_must_be_as_many(counts: tuple[int, int]) -> None:
    arrays = np.zeros((counts[0], 2)), np.zeros((counts[1], 1))
    if counts[0] == counts[1]:
        assert len(nf.Task(*arrays).inputs) == counts[0]
    else:
        with pytest.raises(nf.InputError, match=f"{counts[0]} rows of inputs but {counts[1]} of"):
            nf.Task(*arrays)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((2, 1)), x=np.zeros(3))
    with pytest.raises(nf.InputError, match=r"data\.npz: .*'targets' is missing.*inputs, x"):
        nf.load_task(tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.array([[1.0], [None]], dtype=object), "no .npz file of number arrays"),
        (np.array([[1.0], [np.nan]]), "inputs holds values that are not finite"),
        (np.zeros((3, 1)), "3 rows of inputs but 2 of targets"),
        (np.zeros((2, 1), dtype=complex), "array of numbers"),
    ],
)
def test_a_bad_array_is_refused_with_the_name_of_the_file(
    tmp_path: Path, inputs: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "data.npz", inputs=inputs, targets=np.zeros((2, 1)))
    with pytest.raises(nf.InputError, match=rf"data\.npz: .*{message}"):
        nf.load_task(tmp_path / "data.npz")


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", inputs=np.zeros((2, 1)), targets=np.zeros((2, 1)))
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "text.npz").write_text("inputs, targets\n0, 1\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    np.save(tmp_path / "single.npy", np.zeros((2, 1)))
    for name in ("text.npz", "empty.npz", "short.npz", "single.npy", "missing.npz"):
        with pytest.raises(nf.InputError, match=f"{name}: this is no .npz file"):
            nf.load_task(tmp_path / name)


def test_arrays_of_a_file_that_no_task_has_are_told(tmp_path: Path) -> None:
    arrays = {name: np.zeros((2, 1)) for name in ("inputs", "targets")}
    arrays |= {f"validation_{name}": np.ones((3, 1)) for name in arrays}
    np.savez(tmp_path / "data.npz", **arrays, valid_inputs=np.zeros(3), test_input=np.zeros(3))
    with pytest.warns(
        UserWarning, match=r"data\.npz: not used: test_input, valid_inputs; .*targets"
    ):
        task = nf.load_task(tmp_path / "data.npz")
    assert list(task.sets()) == ["train", "validation"]
    np.testing.assert_array_equal(task.validation_inputs, np.ones((3, 1)))
    np.savez(tmp_path / "plain.npz", **arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nf.load_task(tmp_path / "plain.npz")


def test_sets_are_those_that_there_are() -> None:
    whole = Task(*(np.full((k + 1, 1), k) for k in (0, 0, 1, 1, 2, 2)))
    assert {name: len(inputs) for name, (inputs, _) in whole.sets().items()} == {
        "train": 1,
        "validation": 3,
        "test": 2,
    }
    assert list(nf.xor().sets()) == ["train"]
    for name in ("inputs", "targets"):
        np.testing.assert_array_equal(
            whole.sets()["validation"][name == "targets"], getattr(whole, f"validation_{name}")
        )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"validation_inputs": [[1.0]]}, "both validation_inputs and validation_targets"),
        (
            {"validation_inputs": [[1.0]], "validation_targets": [[1.0], [2.0]]},
            "1 rows of validation_inputs but 2 of validation_targets",
        ),
        ({"validation_inputs": [[np.nan]], "validation_targets": [[1.0]]}, "validation_inputs"),
        ({"inputs": None}, "both inputs and targets"),
        (
            {"test_inputs": [[1.0, 2.0]], "test_targets": [[1.0]]},
            "inputs have 1 numbers a sample, test_inputs 2",
        ),
        (
            {"validation_inputs": [[1.0]], "validation_targets": [[1.0, 0.0]]},
            "targets have 1 numbers a sample, validation_targets 2",
        ),
    ],
)
def test_bad_sets_are_refused(arrays: dict, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        Task(**({"inputs": [[1.0]], "targets": [[1.0]]} | arrays))


# -- levels ------------------------------------------------------------------------------


def test_levels_move_0_and_1_in_all_sets() -> None:
    task = Task([[0, 1], [0.5, 2]], [[1], [0]], [[1, 1]], [[0]], [[0, 0]], [[1]])
    moved = task.with_levels((-0.5, 0.5), (2.0, 1.0))
    np.testing.assert_allclose(moved.inputs, [[-0.5, 0.5], [0.0, 1.5]])
    np.testing.assert_allclose(moved.targets, [[1.0], [2.0]])
    np.testing.assert_allclose(moved.test_inputs, [[0.5, 0.5]])
    np.testing.assert_allclose(moved.test_targets, [[2.0]])
    np.testing.assert_allclose(moved.validation_inputs, [[-0.5, -0.5]])
    np.testing.assert_allclose(moved.validation_targets, [[1.0]])
    np.testing.assert_array_equal(task.with_levels(None, (2.0, 1.0)).inputs, task.inputs)
    np.testing.assert_array_equal(task.with_levels((2.0, 1.0)).targets, task.targets)


@pytest.mark.parametrize("levels", [(1.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_bad_levels_are_refused(levels: tuple[float, float]) -> None:
    with pytest.raises(nf.InputError, match=r"levels .* of targets: give two numbers that differ"):
        nf.xor().with_levels((0.0, 2.0), levels)


# -- splits ------------------------------------------------------------------------------


def numbered(labels: list[int]) -> Task:
    """Each sample's input is its number, its target the one-hot row of its label."""
    return Task(np.arange(len(labels))[:, None], np.eye(max(labels) + 2)[labels])


shares = st.floats(0, 0.6)


@given(
    labels=st.lists(st.integers(0, 4), min_size=4, max_size=80),
    validation=shares,
    test=shares,
    seed=st.integers(0, 5),
)
def test_a_split_is_disjoint_whole_stratified_and_repeatable(
    labels: list[int], validation: float, test: float, seed: int
) -> None:
    whole = numbered(labels)
    wanted = {"validation": validation, "test": test}
    counts = {name: round(share * len(labels)) for name, share in wanted.items() if share}
    assume(all(counts.values()) and sum(counts.values()) < len(labels))
    task = whole.split(validation, test, seed)
    again = whole.split(validation, test, seed)
    numbers = {name: inputs[:, 0].astype(int) for name, (inputs, _) in task.sets().items()}
    assert {name: len(index) for name, index in numbers.items() if name != "train"} == counts
    assert sorted(np.concatenate(list(numbers.values()))) == list(range(len(labels)))
    for name, (inputs, targets) in task.sets().items():
        np.testing.assert_array_equal(targets, whole.targets[numbers[name]])
        np.testing.assert_array_equal(inputs, again.sets()[name][0])
        assert np.all(np.diff(numbers[name]) > 0)  # in the order of the task
    sizes = np.bincount(labels)
    for name, count in counts.items():
        of_class = np.bincount(np.array(labels)[numbers[name]], minlength=len(sizes))
        ideal = count * sizes / len(labels)
        assert np.all(np.abs(of_class - ideal) < (1 if name == "test" else 2))


def test_equal_classes_have_equal_shares() -> None:
    task = numbered([k % 4 for k in range(80)]).split(0.25, 0.1, seed=3)
    for name, each in (("train", 13), ("validation", 5), ("test", 2)):
        assert task.sets()[name][1].sum(axis=0).tolist() == [each] * 4 + [0]


def test_the_seed_draws_the_sets() -> None:
    whole = numbered([0] * 50 + [1] * 50)
    drawn = [whole.split(test=0.5, seed=seed).test_inputs for seed in (0, 1)]
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize("target", [[0.3, 0.1], [1.0, 1.0]])
def test_targets_that_are_no_classes_are_split_all_the_same(target: list[float]) -> None:
    inputs = np.arange(40.0)[:, None]
    targets = np.where(inputs % 2 == 0, [0.2, 0.7], target)
    task = Task(inputs, targets).split(0.1, 0.3)
    assert {name: len(pair[0]) for name, pair in task.sets().items()} == {
        "train": 24,
        "validation": 4,
        "test": 12,
    }


def test_classes_keep_their_shares_at_other_levels() -> None:
    task = numbered([0] * 30 + [1] * 10)
    moved = task.with_levels(target_levels=(-1.5, 1.5)).split(test=0.5, seed=7)
    plain = task.split(test=0.5, seed=7)
    np.testing.assert_array_equal(moved.test_inputs, plain.test_inputs)
    assert plain.test_targets.sum(axis=0).tolist() == [15, 5, 0]


def test_no_shares_leave_the_task_as_it_is() -> None:
    task = Task([[0.0]], [[1.0]], [[2.0]], [[1.0]])
    np.testing.assert_array_equal(task.split().test_inputs, task.test_inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0.2}, "there are test samples already"),
        ({"validation": 1.0}, "validation = 1.0; a share is at least 0 and below 1"),
        ({"validation": -0.1}, "validation = -0.1"),
        ({"validation": np.nan}, "validation = nan"),
        ({"validation": 0.01}, "of 4 samples leave none for validation"),
        ({"validation": 0.9}, "leave none for training"),
    ],
)
def test_splits_that_cannot_be_are_refused(options: dict, message: str) -> None:
    task = Task(np.zeros((4, 1)), np.eye(4), [[0.0]], [[1.0, 0.0, 0.0, 0.0]])
    with pytest.raises(nf.InputError, match=message):
        task.split(**options)


def test_two_shares_may_leave_nothing() -> None:
    with pytest.raises(nf.InputError, match="leave none for training"):
        nf.xor().split(0.5, 0.5)


# -- digits ------------------------------------------------------------------------------


def test_digits_are_all_there() -> None:
    task = TASKS["digits8"]()
    assert task.inputs.shape == (1797, 64)
    assert task.targets.shape == (1797, 10)
    assert (task.inputs.min(), task.inputs.max()) == (0.0, 1.0)
    assert list(task.sets()) == ["train"]
    np.testing.assert_array_equal(classes_of(task.targets), load_digits().target)
    np.testing.assert_array_equal(task.inputs * 16, load_digits().data)


def test_first_digits_of_a_class_train_and_the_next_ones_test() -> None:
    task = digits8(100, 70)
    assert task.targets.sum(axis=0).tolist() == [100] * 10
    assert task.test_targets.sum(axis=0).tolist() == [70] * 10
    data = load_digits()
    for digit in range(10):
        images = data.data[data.target == digit] / 16
        for (inputs, targets), which in zip(
            task.sets().values(), (images[:100], images[100:170]), strict=True
        ):
            np.testing.assert_array_equal(inputs[targets[:, digit] == 1], which)
    assert digits8(174).targets.sum(axis=0).tolist() == [174] * 10
    assert list(digits8(5).sets()) == ["train"]


@pytest.mark.parametrize("counts", [(0, None), (100, 75), (175, None), (3, 0), (-1, 5)])
def test_more_digits_than_there_are_are_refused(counts: tuple[int, int | None]) -> None:
    with pytest.raises(nf.InputError, match=r"digits8: train_per_class = .* at most 174"):
        digits8(*counts)


def test_test_digits_come_after_training_digits() -> None:
    with pytest.raises(nf.InputError, match="test_per_class needs train_per_class"):
        digits8(test_per_class=70)


# -- batches -----------------------------------------------------------------------------


@given(nsamples=st.integers(1, 30), batch=st.integers(1, 40), shuffle=st.booleans())
def test_an_epoch_takes_every_sample_once(nsamples: int, batch: int, shuffle: bool) -> None:
    random = np.random.default_rng(4)
    parts = batches(random, nsamples, batch, shuffle)
    again = np.random.default_rng(4)
    order = again.permutation(nsamples) if shuffle else np.arange(nsamples)
    np.testing.assert_array_equal(np.concatenate(parts), order)
    assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    assert 1 <= len(parts[-1]) <= batch
    assert random.bit_generator.state == again.bit_generator.state


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    per_class=st.integers(1, 9),
    batch=st.none() | st.integers(1, 20),
)
def test_each_class_is_drawn_equally_often(
    labels: list[int], per_class: int, batch: int | None
) -> None:
    classes = 2 * np.array(labels)  # labels need not follow one another
    parts = class_batches(np.random.default_rng(5), classes, per_class, batch)
    there, counts = np.unique(classes[np.concatenate(parts)], return_counts=True)
    np.testing.assert_array_equal(there, np.unique(classes))
    assert set(counts) == {per_class}
    if batch is None:
        assert len(parts) == 1
    else:
        assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    for one, other in zip(
        parts, class_batches(np.random.default_rng(5), classes, per_class, batch), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_samples_of_a_class_are_drawn_evenly_and_with_replacement() -> None:
    classes = np.array([0, 1, 0, 1, 1])
    (drawn,) = class_batches(np.random.default_rng(6), classes, 6000)
    counts = np.bincount(drawn)
    np.testing.assert_allclose(counts, [3000, 2000, 3000, 2000, 2000], rtol=0.1)


def test_batches_mix_the_classes() -> None:
    classes = np.repeat([0, 1], 50)
    parts = class_batches(np.random.default_rng(7), classes, 100, 50)
    assert all(10 < np.count_nonzero(classes[part]) < 40 for part in parts)


def test_draws_of_the_same_sample_are_told_apart() -> None:
    drawn = [np.array([3, 1, 3]), np.array([1, 0]), np.array([3])]
    found = occurrences(drawn)
    assert [part.tolist() for part in found] == [[0, 0, 1], [1, 0], [2]]
    once = batches(np.random.default_rng(0), 20, 6)
    assert not np.concatenate(occurrences(once)).any()


def test_bad_numbers_of_samples_are_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(nf.InputError, match="per_class = 0: must be at least 1"):
        class_batches(random, np.array([0, 1]), 0)
    for wrong in (lambda: batches(random, 4, 0), lambda: class_batches(random, np.ones(2), 1, 0)):
        with pytest.raises(nf.InputError, match="batch = 0: must be at least 1"):
            wrong()


# -- classes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "classes"),
    [
        ([[1, 0, 0], [0, 0, 1]], [0, 2]),
        ([[-1.5, 1.5], [0.3, 0.1]], [1, 0]),
        ([[1.0], [0.0]], None),
        ([[1, 0], [1, 1]], None),
        ([[0, 0, 0]], None),
        ([1, 0], None),
    ],
)
def test_classes_are_the_largest_targets(targets: list, classes: list[int] | None) -> None:
    found = classes_of(np.array(targets))
    assert (found is None) == (classes is None)
    if classes is not None:
        np.testing.assert_array_equal(found, classes)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_confusion_counts_what_was_read(pairs: list[tuple[int, int]]) -> None:
    true, read = np.array(pairs).T
    outputs = np.random.default_rng(0).uniform(0, 0.9, (len(true), 4)) + np.eye(4)[read]
    expected = np.zeros((4, 4), dtype=int)
    for pair in pairs:
        expected[pair] += 1
    found = confusion(outputs, np.eye(4)[true])
    assert found.dtype.kind == "i"
    np.testing.assert_array_equal(found, expected)
    assert (
        np.trace(found) / len(true)
        == nf.CCE(_four_outputs()).metrics(outputs, np.eye(4)[true])["accuracy"]
    )


def _four_outputs() -> nf.Readout:
    return nf.readout(nf.graph(nf.lattice(9)), sites=[0, 1, 2, 3])


def test_confusion_leaves_out_what_did_not_converge() -> None:
    outputs = np.array([[1.0, 0.0], [np.nan, np.nan], [1.0, 0.0]])
    np.testing.assert_array_equal(confusion(outputs, np.eye(2)[[0, 1, 1]]), [[1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([[1.0], [0.0]], "the targets are no classes"),
        ([[1.0, 1.0], [0.0, 1.0]], "the targets are no classes"),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], r"outputs of shape \(2, 2\) but targets"),
    ],
)
def test_confusion_of_what_is_no_class_is_refused(targets: list, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        confusion(np.eye(2), np.array(targets))
