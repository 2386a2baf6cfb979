"""Run and sweep folders with damaged files: a sentence, never a traceback, nothing overwritten.

Each file of a folder is cut, emptied, exchanged for other bytes, taken away or made a folder, or
what it holds is changed: values of wrong types, NaN, missing keys, rows of another length. Then
every command that reads such a folder is run on it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import shutil
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cli import CHAIN, contents, invoke, write_study
from test_endings import one_line

from nepfield.errors import InputError
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps import cluster
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.results import write_results
from nepfield.study.sweeps.sweep import open_sweep, run_case, run_content
from nepfield.study.systems.systems import load_study

# ---------------------------------------------------------------- whole folders to begin with


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study, its run, a run that began with values of that run, and a sweep."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_study(
        folder, CHAIN, task={"file": "data.npz"}, training__compare_every=1, figures__frames=2
    )
    inputs = np.array([[0.0, 1.0], [1.0, 0.5], [1.0, 1.0]])
    np.savez(folder / "data.npz", inputs=inputs, targets=inputs[:, :1])
    train_study(load_study(path), folder / "run")
    again = ["potential.initial=run", "name=again"]
    train_study(load_study(path, again), folder / "again")
    (folder / "sweep.toml").write_text(
        'study = "study.toml"\n[zip]\n"physics.loss" = [0.1, 0.2, 0.3]\n'
        '"readout.sites" = [[3], [44], [2]]\n[set]\n"training.epochs" = 1\n'
        "[success]\ncost = 0.5\n"
    )
    sweep, out = load_sweep(folder / "sweep.toml"), folder / "out"
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases:
        run_case(sweep.config(case), str(out / "cases" / case.folder), str(out / "meshes"))
    write_results(out)
    return folder


MORE = ["--set", "training.epochs=3"]
COMMANDS: dict[str, list[list[str]]] = {
    "run": [
        ["train", "study.toml", "--out", "run", "--resume"],
        ["train", "study.toml", "--out", "run", "--resume", *MORE],
        ["train", "study.toml", "--out", "new", "--set", "potential.initial=run"],
        ["solve", "run", "--out", "new"],
        ["compare", "run"],
        ["plot", "run", "--field", "training", "-o", "new.png"],
        ["plot", "run", "-o", "new.gif"],
        ["check", "run/study.toml"],
    ],
    "again": [
        ["train", "study.toml", "--out", "again", "--resume", *MORE,
         "--set", "potential.initial=run", "--set", "name=again"],
        ["solve", "again", "--out", "new"],
    ],
    "out": [
        ["sweep", "sweep.toml", "--out", "out", "--resume"],
        ["plot", "out", "-o", "new.png"],
        ["plot", "out", "--field", "success", "-o", "new.png"],
    ],
}  # fmt: skip


@contextlib.contextmanager
def work_in(folder: Path) -> Iterator[Path]:
    """A copy of a folder to work in, with the cases of a sweep run here and not by workers."""
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        copy = Path(place) / "work"
        shutil.copytree(folder, copy)
        patch.chdir(copy)
        patch.setattr(cluster, "dask_client", lambda *_: contextlib.nullcontext())
        patch.setattr(cluster._Work, "run", _run_here)
        yield copy


def _run_here(work: Any) -> None:
    for case in work.waiting:
        content, keys = work.sweep.content_of(case)
        out = work.out / "cases" / case.folder, work.out / "meshes"
        run_content(content, str(work.sweep.study), keys, *map(str, out))


# ---------------------------------------------------------------- how files are damaged

VALUES = [None, True, -1, 0, 10**400, 1e308, float("nan"), "", "text", "\u202e", [], [[]], {}]
VALUES += [{"a": 1}, [1, "a"], 3.5, "../../elsewhere", -(2**63)]


def damage_bytes(path: Path, dice: random.Random) -> None:
    content = path.read_bytes()
    how = dice.choice(["cut", "empty", "flip", "text", "nul", "gone", "folder", "twice"])
    if how == "gone":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "flip":
        flipped = bytearray(content)
        for _ in range(dice.randint(1, 20)):
            flipped[dice.randrange(len(flipped))] = dice.randrange(256)
        path.write_bytes(flipped)
    else:
        cut = content[: dice.randrange(len(content) + 1)]
        texts = {"cut": cut, "empty": b"", "text": b"Dear diary\n", "twice": 2 * content}
        path.write_bytes(texts.get(how, b"\0" * 100))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values stand in nested dicts and lists."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def damage_values(content: Any, dice: random.Random) -> Any:
    """One or two values are exchanged or taken away."""
    for _ in range(dice.randint(1, 2)):
        *before, last = dice.choice(places(content)) or [None]
        if last is None:
            return dice.choice(VALUES)
        place = content
        for key in before:
            place = place[key]
        if dice.random() < 0.3:
            del place[last]
        else:
            place[last] = dice.choice(VALUES)
    return content


def damage_json(path: Path, dice: random.Random) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(damage_values(content, dice)))


def damage_toml(path: Path, dice: random.Random) -> None:
    content = damage_values(tomllib.loads(path.read_text()), dice)
    try:
        path.write_text(tomli_w.dumps(content))
    except (TypeError, AttributeError, UnicodeEncodeError):  # null is no TOML
        path.write_text("= 3")


def damage_csv(path: Path, dice: random.Random) -> None:
    rows = list(csv.reader(io.StringIO(path.read_text())))
    row = dice.choice(rows)
    how = dice.choice(["cell", "longer", "shorter", "twice", "gone", "heads"])
    if how == "cell":
        row[dice.randrange(len(row))] = dice.choice(["", "nan", "inf", "text", "-1", "1e400", '"'])
    elif how == "longer":
        row.append("1")
    elif how == "shorter":
        row.pop()
    elif how == "twice":
        rows.append(list(row))
    elif how == "gone":
        rows.remove(row)
    else:
        rows[0] = dice.sample(rows[0], len(rows[0]))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def damage_npz(path: Path, dice: random.Random) -> None:
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    name = dice.choice(list(arrays))
    array = arrays[name]
    changes: list[Callable[[], Any]] = [
        lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, np.inf),
        lambda: array.astype(str),
        lambda: np.array("text"),
        lambda: np.array(-1),
        lambda: np.zeros(0),
        lambda: np.zeros((3, 3, 3)),
        lambda: array.astype(complex) if array.dtype.kind in "fi" else array[None],
        lambda: array.ravel()[:1],
        lambda: np.array([{}], dtype=object),
        lambda: np.zeros((2,), dtype=[("a", "i4"), ("b", "U3")]),
        lambda: np.array(json.dumps(dice.choice(VALUES))),
    ]
    if dice.random() < 0.25:
        del arrays[name]
    else:
        arrays[name] = dice.choice(changes)()
    np.savez(path, **arrays)


def damage_vtu(path: Path, dice: random.Random) -> None:
    """Cut or exchanged alone: what VTK does with single bytes is not asked here."""
    content = path.read_bytes()
    path.write_bytes(dice.choice([content[: len(content) // 2], b"", b"<VTKFile>", b"text"]))


DAMAGES = {
    ".json": damage_json, ".toml": damage_toml, ".csv": damage_csv, ".npz": damage_npz,
    ".vtu": damage_vtu,
}  # fmt: skip


def check_damaged(whole: Path, seed: int) -> None:
    """Damage a file of a folder, run a command on it, and look at how it ends."""
    dice = random.Random(seed)
    with work_in(whole) as folder:
        kind = dice.choice(list(COMMANDS))
        names = sorted(path for path in (folder / kind).rglob("*") if path.is_file())
        path = dice.choice(names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            how = DAMAGES.get(path.suffix, damage_bytes)
            how = damage_bytes if dice.random() < 0.35 and path.suffix != ".vtu" else how
            how(path, dice)
        command = dice.choice(COMMANDS[kind])
        before = {name: content for name, (content, _) in contents(folder).items()}
        result = invoke(*command)
        told = f"{path.relative_to(folder)}, {how.__name__}, {' '.join(command)}: {result.output}"
        if not isinstance(result.exception, SystemExit | None):
            raise AssertionError(told) from result.exception
        assert "Traceback" not in result.output, told
        after = {name: content for name, (content, _) in contents(folder).items()}
        assert result.exit_code in (0, 1, 2, 3), told
        if result.exit_code == 2:
            lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
            assert len(lines) == 1, told
            assert len(result.stderr) < 2000, told
            broken_off = "go on with --resume" in result.stderr
            if command[0] != "sweep" and not broken_off:  # a sweep's other cases go on
                assert after == before, told
        mine = [name for name in before if not name.startswith((kind, "new"))]
        assert {name: after.get(name) for name in mine} == {name: before[name] for name in mine}


# ---------------------------------------------------------------- what each file is told of


def put(name: str, **arrays: Any) -> Callable[[Path], None]:
    """Change arrays of an .npz; None takes one away."""

    def change(folder: Path) -> None:
        with np.load(folder / name) as data:
            kept = {key: data[key] for key in data.files} | arrays
        np.savez(folder / name, **{key: value for key, value in kept.items() if value is not None})

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def swap(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


RESUME, AGAIN, SWEEP = COMMANDS["run"][1], COMMANDS["again"][0], COMMANDS["out"][0]
CHECKPOINT, ERROR = "run/checkpoint.npz", "out/cases/1-loss-0.2-sites-44/error.json"
TOLD: dict[str, tuple[Callable[[Path], Any], list[str], str]] = {
    "nan": (put(CHECKPOINT, **{"parameter/potential": np.full(7, np.nan)}), RESUME,
            "checkpoint.npz: this is no checkpoint of nepfield (potential holds what are no fin"),
    "text": (put(CHECKPOINT, **{"parameter/potential": np.array(["a"] * 7)}), RESUME,
             "checkpoint.npz: this is no checkpoint of nepfield (potential holds what are no fin"),
    "memory": (put(CHECKPOINT, **{"memory/first_potential": np.full(7, np.nan)}), RESUME,
               "no checkpoint of nepfield (memory first_potential holds what are no finite"),
    "epoch": (put(CHECKPOINT, epoch=None), RESUME, "no checkpoint of nepfield (it lacks 'epoch'"),
    "random": (put(CHECKPOINT, random_state=np.array("{}")), RESUME, "no checkpoint of nepfield"),
    "size": (put(CHECKPOINT, **{"parameter/potential": np.zeros(6)}), RESUME,
             "checkpoint.npz: its parameters (potential, weights) are not those of this study"),
    "old history": (put(CHECKPOINT, history=np.array("[1, 2]")), RESUME, "no checkpoint of nepf"),
    "history": (write("run/history.csv", "a,b\n1,2\n"), RESUME,
                "history.csv: this is no history of a training (it has no column 'epoch')"),
    "history gone": (lambda folder: (folder / "run/history.csv").unlink(), RESUME,
                     "history.csv: it does not hold the 2 epochs of checkpoint.npz"),
    "study": (swap("run/study.toml", "loss = 0.1", "loss = 0.3"), RESUME,
              "this run belongs to another study: physics.loss was 0.3 and is now 0.1"),
    "no study": (swap("run/study.toml", 'name = "chain"', "name = 3"), RESUME,
                 "study.toml: name = 3: must be text"),
    "start": (put("again/start.npz", weights=np.zeros(1)), AGAIN,
              "start.npz: its values (sizes potential 7, weights 1) are not those of this study"),
    "start nan": (put("again/start.npz", potential=np.full(7, np.nan)), AGAIN,
                  "start.npz: this is no start of a run (potential holds what are no finite"),
    "start lacks": (put("again/start.npz", potential=None), AGAIN,
                    "start.npz: its values (sizes weights 2) are not those of this study"),
    "cases": (write("out/cases.json", "[]"), SWEEP, "cases.json: is not readable: it holds no ta"),
    "case": (swap("out/cases.json", '"seed": 0, ', ""), SWEEP,
             "cases.json: this is no list of the cases of a sweep any more"),
    "case outside": (swap("out/cases.json", "0-loss-0.1", "../../run"), SWEEP, "no list of the ca"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_of_a_damaged_file(whole: Path, name: str) -> None:
    damage, command, words = TOLD[name]
    with work_in(whole) as folder:
        damage(folder)
        before = {name: content for name, (content, _) in contents(folder).items()}
        result = invoke(*command)
        one_line(result, words)
        assert {name: content for name, (content, _) in contents(folder).items()} == before


@pytest.mark.parametrize("text", ["[1]", '{"err', "3"])
def test_a_damaged_error_is_told_and_its_case_tried_again(whole: Path, text: str) -> None:
    with work_in(whole) as folder:
        write(ERROR, text)(folder)
        with pytest.raises(InputError, match=r"error\.json: is not readable: .*; remove it\.$"):
            write_results(folder / "out")
        assert invoke(*SWEEP).exit_code == 0
        assert "site 44" in write_results(folder / "out")["error"][1]
        write(ERROR, '{"traceback": []}')(folder)
        assert write_results(folder / "out")["error"][1] == "Error: "


# ---------------------------------------------------------------- damaged by chance


@settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_damaged_folders(whole: Path, seed: int) -> None:
    check_damaged(whole, seed)


@pytest.mark.slow
@settings(max_examples=1500, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_many_damaged_folders(whole: Path, seed: int) -> None:
    check_damaged(whole, seed)
