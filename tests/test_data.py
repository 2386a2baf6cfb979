"""Data: MNIST and its files, tables, classes, and what is fitted on training samples."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from test_cli import CHAIN, changed, write_study
from test_config import refusal

import nepfield as nf
from nepfield.learning.digits import read_idx
from nepfield.learning.preparation import area_average
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

# -- MNIST -------------------------------------------------------------------------------


def test_ten_thousand_images_are_in_the_package() -> None:
    task = nf.mnist()
    assert task.inputs.shape == (10_000, 784)
    assert task.image == (28, 28)
    counts = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert task.targets.sum(axis=0).tolist() == counts
    assert (task.inputs.min(), task.inputs.max()) == (0.0, 1.0)
    # the first ones are one of each, so that the first samples of a run show all digits
    assert task.targets[:20].argmax(axis=1).tolist() == [*range(10)] * 2
    split = task.split(0.1, 0.2, seed=3)
    sizes = {name: len(x) for name, (x, _) in split.sets().items()}
    assert sizes == {"train": 7000, "validation": 1000, "test": 2000}
    for _, targets in split.sets().values():
        np.testing.assert_allclose(targets.mean(axis=0), task.targets.mean(axis=0), atol=1e-3)
    assert (
        nf.mnist(train_per_class=3, test_per_class=2).test_targets.sum(axis=0).tolist() == [2] * 10
    )


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, labels: int = 10) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 28, 28))
    digits = np.arange(60) % labels
    write_idx(folder / "train-images-idx3-ubyte.gz", images[:40])
    write_idx(folder / "train-labels-idx1-ubyte", digits[:40])
    write_idx(folder / "t10k-images.idx3-ubyte", images[40:])
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", digits[40:])
    return images.reshape(60, -1) / 255, digits


def test_mnist_is_read_from_idx_files(tmp_path: Path) -> None:
    images, digits = write_mnist(tmp_path)
    task = nf.mnist(tmp_path)
    np.testing.assert_array_equal(np.vstack([task.inputs, task.test_inputs]), images)
    np.testing.assert_array_equal(task.targets.argmax(axis=1), digits[:40])
    np.testing.assert_array_equal(task.test_targets.argmax(axis=1), digits[40:])
    few = nf.mnist(tmp_path, train_per_class=2, test_per_class=1)
    np.testing.assert_array_equal(few.inputs, images[:20])
    np.testing.assert_array_equal(few.test_inputs, images[40:50])
    with pytest.raises(nf.InputError, match="there are test samples already"):
        task.split(test=0.1)


def test_bad_idx_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(nf.InputError, match=r"no file train-images-idx3-ubyte \(or \.gz\)"):
        nf.mnist(tmp_path)
    write_mnist(tmp_path, labels=11)
    with pytest.raises(nf.InputError, match="train-labels holds 10, which is no digit"):
        nf.mnist(tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(3))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(40))
    with pytest.raises(nf.InputError, match=r"t10k-labels of shape \(3,\) are not those of MNIST"):
        nf.mnist(tmp_path)
    for content, says in (
        (b"", "no IDX file"),
        (struct.pack(">4BI", 0, 0, 13, 1, 4) + bytes(16), "no IDX file of bytes"),
        (struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(4), r"shape \(5,\) and holds 4 bytes"),
        (b"\x1f\x8b damaged", "cannot be read"),
    ):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(nf.InputError, match=says):
            read_idx(tmp_path / "x")


def test_mnist_comes_from_openml(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((70_000, 1))
    images[60_000:] = 255
    data = SimpleNamespace(data=images, target=np.char.mod("%d", np.arange(70_000) % 10))
    asked = {}

    def fetch(name: str, **options: object) -> SimpleNamespace:
        asked.update(options, name=name)
        return data

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    monkeypatch.setattr("nepfield.learning.digits.SIDE", 1)
    task = nf.mnist("openml")
    assert (asked["name"], asked["version"]) == ("mnist_784", 1)
    assert (len(task.inputs), len(task.test_inputs)) == (60_000, 10_000)
    assert task.inputs.max() == 0.0
    assert task.test_inputs.min() == 1.0

    def broken(name: str, **options: object) -> SimpleNamespace:
        raise ConnectionError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", broken)
    with pytest.raises(nf.InputError, match=r"OpenML gave no images \(no network\); give task.sou"):
        nf.mnist("openml")


# -- files -------------------------------------------------------------------------------


def read(path: Path, text: str) -> nf.Task:
    path.write_text(text)
    return nf.load_task(path)


def test_tables_with_labels_sets_and_targets(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    task = read(path, "label,a,b\ncat,1,2\ndog,3,4\ncat,5,6\n")
    assert task.inputs.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert task.targets.tolist() == [[1, 0], [0, 1], [1, 0]]
    task = read(path, "x,label,set\n1,7,test\n2,3,train\n3,7,validation\n4,7,train\n")
    assert task.inputs.tolist() == [[2], [4]]
    assert task.targets.tolist() == [[1, 0], [0, 1]]
    assert task.validation_inputs.tolist() == [[3]]
    assert task.test_targets.tolist() == [[0, 1]]
    with pytest.warns(UserWarning, match="not used: sample, output_0"):
        task = read(path, "sample,input_0,target_0,target_1,output_0\n0,0.5,1,2,3\n")
    assert task.inputs.tolist() == [[0.5]]
    assert task.targets.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no table of comma-separated values"),
        ("a,b\n1,2\n", 'either a column "label" or columns whose names begin with "target"'),
        ("label,target,a\n1,2,3\n", 'either a column "label"'),
        ("label,set\n1,train\n2,train\n", "no column of inputs"),
        ("label,a\n1,2\n,3\n", "a label is missing in line 3"),
        ("label,a\n1,2\n1,3\n", '"label" has 1 different values'),
        ("target,a\n1,x\n", "the column 'a' holds what is no number"),
        ("target,a\n1,\n", "inputs holds values that are not finite"),
        ("target,a,set\n1,2,exam\n", "'exam'; it takes train, validation, test"),
        ("target,a,set\n1,2,test\n", 'names no sample "train"'),
        ("a,b,label\n1,2,0,x\n3,4,1,y\n", "more fields than the line of names"),
        ("a,a,label\n1,2,0\n3,4,1\n", "'a' stands over 2 columns"),
        ("a,label,label\n1,0,0\n3,1,0\n", "'label' stands over 2 columns"),
        ("a,label\n", "no sample below the line of names"),
        ("label,a\nNA,1\n  ,2\nx,3\n", "a label is missing in line 3"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(nf.InputError, match=rf"data\.csv: .*{says}"):
        read(tmp_path / "data.csv", text)


def test_names_in_which_pandas_sees_gaps_are_names(tmp_path: Path) -> None:
    task = read(tmp_path / "data.csv", "label,a,b\nNA,1,2,\nNone,3,4,\nNA,5,6,\n")
    assert task.targets.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert task.inputs.tolist() == [[1, 2], [3, 4], [5, 6]]  # a comma at the end is no column


def test_labels_in_a_file_become_targets(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    x = np.zeros((3, 2))
    np.savez(path, inputs=x, labels=[0, 2, 1], test_inputs=x[:1], test_labels=np.array([3]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = nf.load_task(path)
    assert task.targets.tolist() == np.eye(4)[[0, 2, 1]].tolist()
    assert task.test_targets.tolist() == [[0, 0, 0, 1]]
    for wrong in ([-1, 0, 1], [0.0, 1.0, 2.0], [[0], [1], [2]], [0, 1, 10**6]):
        np.savez(path, inputs=x, labels=wrong)
        with pytest.raises(nf.InputError, match=r"data\.npz: labels must be whole numbers from 0"):
            nf.load_task(path)


# -- classes, and validation samples that are trained on ---------------------------------


def test_some_classes_are_kept_in_their_order() -> None:
    targets = np.eye(4)[[0, 1, 2, 3, 2]]
    task = nf.Task(np.arange(5)[:, None], targets, [[7]], targets[2:3])
    kept = task.with_classes([2, 0])
    assert kept.inputs.ravel().tolist() == [0, 2, 4]
    assert kept.targets.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert kept.test_targets.tolist() == [[1, 0]]
    for wrong, says in (
        ([1, 1], "name each once"), ([0, 4], "numbers from 0 to 3"), ([-1, 0], "from 0 to 3"),
        ([0, 1], "no test sample is of the classes"),
    ):  # fmt: skip
        with pytest.raises(nf.InputError, match=says):
            task.with_classes(wrong)
    with pytest.raises(nf.InputError, match="one-hot"):
        nf.Task([[0], [1]], [[0.3, 0.7], [0.5, 0.6]]).with_classes([0, 1])


def test_validation_samples_join_the_training_and_nothing_else() -> None:
    whole = nf.Task(np.arange(40)[:, None], np.eye(2)[np.arange(40) % 2])
    split = whole.split(0.25, 0.25, seed=1)
    joined = split.joined()
    assert list(joined.sets()) == ["train", "test"]
    expected = np.sort(np.concatenate([split.inputs, split.validation_inputs]).ravel())
    np.testing.assert_array_equal(np.sort(joined.inputs.ravel()), expected)
    np.testing.assert_array_equal(joined.test_inputs, split.test_inputs)
    assert (joined.targets.argmax(axis=1) == joined.inputs.ravel() % 2).all()
    with pytest.raises(nf.InputError, match="no validation samples"):
        joined.joined()


# -- preparation -------------------------------------------------------------------------


@given(old=st.integers(1, 30), new=st.integers(1, 30))
def test_an_area_average_keeps_the_mean_and_constants(old: int, new: int) -> None:
    shares = area_average(old, new)
    np.testing.assert_allclose(shares.sum(axis=1), 1)  # constants
    np.testing.assert_allclose(shares.sum(axis=0) / new, 1 / old)  # the mean
    assert (shares >= 0).all()


def test_images_are_resized_by_area() -> None:
    image = np.arange(24.0).reshape(4, 6)
    task = nf.Task(image.reshape(1, -1), [[1.0]], image=(4, 6))
    small = nf.prepared(task, resize=(2, 3))
    blocks = image.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(small.inputs.reshape(2, 3), blocks)
    assert small.image == (2, 3)
    # 3 pixels onto 2: each takes one and a half
    line = nf.Task([[3.0, 6.0, 12.0]], [[1.0]], image=(1, 3))
    np.testing.assert_allclose(nf.prepared(line, resize=(1, 2)).inputs, [[4.0, 10.0]])
    with pytest.raises(nf.InputError, match=r"say by task\.image"):
        nf.prepared(nf.Task(np.ones((1, 6)), [[1.0]]), resize=(2, 3))
    with pytest.raises(nf.InputError, match="2 x 2 pixels have 4 inputs, not 6"):
        nf.Task(np.ones((1, 6)), [[1.0]], image=(2, 2))


def parts() -> nf.Task:
    random = np.random.default_rng(2)
    arrays = [random.normal(2 + k, 1 + k, (20, 5)) * [1, 2, 3, 4, 0] for k in range(3)]
    targets = np.zeros((20, 1))
    return nf.Task(*(a for x in arrays for a in (x, targets)))


def test_what_is_fitted_is_fitted_on_training_samples_alone() -> None:
    task = parts()
    together, each = (nf.prepared(task, standardise=how) for how in ("all", "each"))
    assert together.inputs.mean() == pytest.approx(0)
    assert together.inputs.std() == pytest.approx(1)
    mean, deviation = task.inputs.mean(axis=0), task.inputs.std(axis=0)
    np.testing.assert_allclose(
        each.test_inputs[:, :4],
        ((task.test_inputs - mean) / np.where(deviation, deviation, 1))[:, :4],
    )
    assert not each.test_inputs[:, 4].any()  # the same in all samples
    np.testing.assert_allclose(
        together.validation_inputs,
        (task.validation_inputs - task.inputs.mean()) / task.inputs.std(),
    )
    reduced = nf.prepared(task, pca=2)
    fitted = PCA(2).fit(task.inputs)
    for (found, _), (x, _) in zip(reduced.sets().values(), task.sets().values(), strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(fitted.transform(x)), atol=1e-9)
    # other test and validation samples change nothing of the training samples
    other = nf.Task(task.inputs, task.targets, 100 * task.test_inputs, task.test_targets)
    np.testing.assert_array_equal(
        nf.prepared(other, pca=2, standardise="each").inputs,
        nf.prepared(task, pca=2, standardise="each").inputs,
    )


def test_what_is_the_same_up_to_rounding_becomes_0() -> None:
    task = nf.prepared(nf.digits8(20, 20), pca=64, standardise="each")
    size = np.abs(task.test_inputs).max(axis=0)
    assert 50 < np.count_nonzero(size) < 64
    assert size.max() < 1e3  # 1e13 before
    x = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    assert x.std(axis=0)[0] > 0  # rounding
    task = nf.Task(x, np.ones((50, 1)), x[:1] + 0.1, np.ones((1, 1)))
    task = nf.prepared(task, standardise="each")
    assert not task.inputs[:, 0].any()
    assert not task.test_inputs[:, 0].any()
    assert task.inputs[:, 1].std() == pytest.approx(1)


def test_preparation_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(nf.InputError, match="one training sample has no components"):
        nf.prepared(nf.Task([[1.0, 2.0]], [[1.0]]), pca=1)
    for same in (1.0, 0.1):
        with pytest.raises(nf.InputError, match="are the same"):
            nf.prepared(nf.Task(np.full((9, 2), same), np.ones((9, 1))), standardise="all")
    with pytest.raises(nf.InputError, match=r"too large .* 1e\+200"):
        nf.prepared(nf.Task([[1e200], [-1e200]], [[1.0], [0.0]]), standardise="each")
    with pytest.raises(nf.InputError, match="at most 5 components"):
        nf.prepared(parts(), pca=6)
    with pytest.raises(nf.InputError, match="choose all or each"):
        nf.prepared(parts(), standardise="both")


def test_a_study_says_what_becomes_of_its_samples(tmp_path: Path) -> None:
    task = {
        "name": "digits8", "classes": [1, 0], "validation": 0.2, "test": 0.3, "resize": [2, 2],
        "standardise": "all",
    }  # fmt: skip
    data = changed(CHAIN, {
        "task": task, "pump": [{"site": k} for k in range(4)], "readout.sites": [4, 5],
        "training.cost": "cce",
    })  # fmt: skip
    found = build(load_study(write_study(tmp_path, data)), None).task
    expected = nf.digits8().with_classes([1, 0]).split(0.2, 0.3, data.get("seed", 0))
    expected = nf.prepared(expected, (2, 2), standardise="all")
    for one, other in zip(found.sets().values(), expected.sets().values(), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    path = write_study(tmp_path, data, task__train_with_validation=True)
    joined = build(load_study(path)).task
    assert len(joined.inputs) == len(found.inputs) + len(found.validation_inputs)
    assert joined.inputs.mean() == pytest.approx(0)  # fitted on what is trained on
    np.testing.assert_array_equal(joined.test_targets, found.test_targets)
    for override, says in (
        ("task.input_levels=[0, 2]", "input_levels and standardise exclude each other"),
        ("task.image=[8, 8]", "image goes with file or inputs"),
    ):
        assert says in refusal(path, override)
    cells = changed(data, {"domain": {"lattice": [4, 4]}, "pump": [{"cell": [4, 4]}]})
    scrambled = load_study(write_study(tmp_path, cells), ["task.resize=[8, 2]"])
    with pytest.raises(nf.InputError, match=r"pump\.0: cell = \[4, 4\], but the images .* 8 x 2"):
        build(scrambled)
    write_mnist(tmp_path)
    data = changed(data, {"task": {"name": "mnist", "source": str(tmp_path), "resize": [2, 2]}})
    data["readout"] = {"sites": [4, 5, 6]}
    with pytest.raises(nf.InputError, match="3 output regions need an array"):
        build(load_study(write_study(tmp_path, data)))
    assert "there is no folder" in refusal(write_study(tmp_path, data), "task.source=nowhere")
