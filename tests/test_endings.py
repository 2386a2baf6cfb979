"""How work ends where its folder is linked, full, gone or another's: in one line, resumable."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_cli import CHAIN, LINE, PATH, contents, invoke, write_study
from test_run import same_result
from test_sweep import STUDY

from nepfield import files
from nepfield.cli import main
from nepfield.errors import InputError
from nepfield.files import locked, replacing
from nepfield.learning.state import TrainingState
from nepfield.study.run import jobs
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.results import listing_of
from nepfield.study.sweeps.sweep import open_sweep
from nepfield.study.systems.systems import load_study

SWEEP = 'study = "study.toml"\n[grid]\n"physics.loss" = [0.1, 0.2]\n[set]\n"training.epochs" = 1\n'


def train(path: Path, run: Path, *options: str) -> Any:
    return invoke("train", str(path), "--out", str(run), *options)


def write_sweep(folder: Path) -> Path:
    (folder / "study.toml").write_text(STUDY)
    (folder / "sweep.toml").write_text(SWEEP)
    return folder / "sweep.toml"


def one_line(result: Any, *words: str) -> None:
    """An error that a user is told in one line."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    told = [line for line in result.stderr.splitlines() if not line.startswith("epoch")]
    assert len(told) == 1, told
    assert told[0].startswith("error: ")
    assert all(word in told[0] for word in words), told[0]


# ---------------------------------------------------------------- part files and links


def test_part_files_are_made_anew_under_names_that_nobody_foresees(tmp_path: Path) -> None:
    path, other = tmp_path / "checkpoint.npz", tmp_path / "other"
    other.write_text("precious")
    (tmp_path / ".checkpoint.part.npz").symlink_to(other)  # the name that version 0.1 would use
    names = set()
    for text in ("one", "two"):
        with replacing(path) as part:
            assert part.parent == tmp_path
            assert part.suffix == ".npz"
            assert part.read_bytes() == b""
            assert not part.is_symlink()
            names.add(part.name)
            part.write_text(text)
        assert path.read_text() == text
    assert len(names) == 2
    assert other.read_text() == "precious"


def test_a_part_file_is_never_opened_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "0" * 2 * count)
    (tmp_path / ".a.0000000000000000.part.txt").symlink_to(other)
    with pytest.raises(FileExistsError, match=r"a\.txt"), replacing(tmp_path / "a.txt"):
        pass
    assert not other.exists()


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as part:
            part.write_text("a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_linked_files_of_a_run_are_replaced_and_never_written_through(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, CHAIN), tmp_path / "run"
    assert train(path, run).exit_code == 0
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("history.csv", "checkpoint.npz", "study.toml", "summary.json", "fields.vtu"):
        shutil.move(run / name, kept / name)
        (run / name).symlink_to(kept / name)
    before = contents(kept)
    assert train(path, run, "--resume", "--set", "training.epochs=4").exit_code == 0
    assert contents(kept) == before
    assert TrainingState.load(run / "checkpoint.npz").epoch == 4
    assert len((run / "history.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("name", ["figures", "frames", "meshes"])
def test_linked_folders_of_a_run_are_refused(tmp_path: Path, name: str) -> None:
    path, run, outside = write_study(tmp_path, CHAIN), tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    options = ["--set", "figures.frames=2", "--resume"]
    assert train(path, run, *options).exit_code == 0
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).symlink_to(outside)
    before = contents(tmp_path)
    one_line(train(path, run, *options), f"run/{name}: this is a link to {outside}")
    assert contents(tmp_path) == before
    if name == "figures":
        one_line(invoke("plot", str(run)), "run/figures: this is a link")
        assert not any(outside.iterdir())


@pytest.mark.parametrize("name", ["cases", "meshes", "cases/0-loss-0.1"])
def test_linked_folders_of_a_sweep_are_refused(tmp_path: Path, name: str) -> None:
    path, out, outside = write_sweep(tmp_path), tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(outside)
    with pytest.MonkeyPatch.context() as patch:  # what is refused is refused before any work
        patch.setattr("nepfield.study.sweeps.cluster.dask_client", None)
        one_line(invoke("sweep", str(path), "--out", str(out), "--resume"), "holds other files")
        (out / "cases.json").write_text(listing_of(load_sweep(path)))
        before = contents(tmp_path)
        one_line(invoke("sweep", str(path), "--out", str(out), "--resume"), f"{name}: this is a li")
    assert contents(tmp_path) == before
    assert not any(outside.iterdir())


def test_an_output_that_is_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_study(load_study(write_study(tmp_path, CHAIN)), run)
    (tmp_path / "wave.png").symlink_to(tmp_path / "nowhere.png")
    result = invoke("plot", str(run), "-o", str(tmp_path / "wave.png"))
    one_line(result, "wave.png: this file exists already")


# ---------------------------------------------------------------- two processes, one folder


def test_a_folder_is_held_and_let_go(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, CHAIN), tmp_path / "run"
    assert train(path, run).exit_code == 0
    assert not (run / ".lock").exists()
    with locked(run / ".lock"):
        before = contents(run)
        one_line(train(path, run, "--resume"), f"{run}: another nepfield", "is at work here")
        assert contents(run) == before
    assert not (run / ".lock").exists()
    (run / ".lock").touch()  # of a process that was killed
    assert train(path, run, "--resume").exit_code == 0
    assert not (run / ".lock").exists()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "other")
    told = r"\.lock: this is a link; remove it"
    with pytest.raises(InputError, match=told), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "other").exists()


def test_who_waits_for_a_lock_gets_it(tmp_path: Path) -> None:
    """The file of the lock is taken away by who held it; two never hold it at once."""
    count = tmp_path / "count"
    count.write_text("0")

    def add(_: int) -> None:
        with locked(tmp_path / ".lock"):
            number = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(number + 1))

    with ThreadPoolExecutor(4) as pool:  # to the system as four processes
        list(pool.map(add, range(120)))
    assert count.read_text() == "120"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_without_locks_on_a_file_system_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    result = train(write_study(tmp_path, CHAIN), tmp_path / "run")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "cannot be locked (No locks available)" in result.stderr


def test_two_resumed_at_once(tmp_path: Path) -> None:
    """One goes on to the end, the other one says why not; nothing is broken."""
    path = write_study(tmp_path, LINE, training__epochs=80, training__compare_every=1)
    train_study(load_study(path), tmp_path / "whole")
    run = tmp_path / "run"
    assert train(path, run, "--set", "training.epochs=3").exit_code == 0
    line = [sys.executable, "-m", "nepfield.cli", "train", str(path), "--out", str(run), "--resume"]
    started = [
        subprocess.Popen(
            line, env=os.environ | PATH, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [(process.communicate(timeout=900), process.returncode) for process in started]
    (won, lost) = sorted(ends, key=lambda end: end[1])
    assert (won[1], lost[1]) == (0, 2)
    assert "chain: finished" in won[0][0]
    assert lost[0][0] == ""
    assert lost[0][1].startswith(f"error: {run}: another nepfield")
    assert lost[0][1].count("\n") == 1
    same_result(run, tmp_path / "whole")


# ---------------------------------------------------------------- killed at the very beginning


def test_killed_before_the_study_is_in_place(tmp_path: Path) -> None:
    """A folder with nothing but part files and a lock is ours."""
    path = write_study(tmp_path, CHAIN)
    train_study(load_study(path), tmp_path / "whole")
    for old, options in (("study.part", ["--resume"]), ("study.0123456789abcdef.part", [])):
        run = tmp_path / old
        run.mkdir()
        (run / f".{old}.toml").write_text("name = ")
        (run / ".lock").touch()
        assert train(path, run, *options).exit_code == 0
        same_result(run, tmp_path / "whole")
        assert not [p for p in run.rglob("*") if "part" in p.name]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".part.toml.swp").write_text("an editor's")
    one_line(train(path, tmp_path / "mine", "--resume"), "holds other files")


@pytest.mark.parametrize("done", [0, 1])
def test_killed_before_the_list_of_cases_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    path, out = write_sweep(tmp_path), tmp_path / "out"

    class Killed(BaseException):
        pass

    def replace(part: Path, target: Path) -> None:
        if len(list(out.glob("[!.]*"))) == done:
            Path(target.parent, f".{target.stem}.0123456789abcdef.part{target.suffix}").touch()
            raise Killed
        shutil.move(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        with pytest.raises(Killed):
            open_sweep(load_sweep(path), out, resume=False)
    (out / ".lock").touch()
    open_sweep(load_sweep(path), out, resume=True)
    assert sorted(p.name for p in out.iterdir()) == [".lock", "cases.json", "sweep.toml"]


# ---------------------------------------------------------------- no space, no folder, no handles


FULL = ["study.toml", "checkpoint.npz", "history.csv", "fields.vtu", "summary.json"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, errno.ENOSPC) for name in [*FULL, "frames.pvd", "epoch-000002.vtu"]),
        ("summary.json", errno.EMFILE),
    ],
)
def test_no_space_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    path, run = write_study(tmp_path, CHAIN, figures__frames=2), tmp_path / "run"
    replace = os.replace

    def full(part: Path, target: Path) -> None:
        if Path(target).name == name:
            raise OSError(code, os.strerror(code))
        replace(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        result = train(path, run)
    resumable = "" if name == "study.toml" else "go on with --resume"
    one_line(result, "run" if name == "study.toml" else name, os.strerror(code), resumable)
    assert train(path, run, "--resume").exit_code == 0
    train_study(load_study(path), tmp_path / "whole")
    same_result(run, tmp_path / "whole")


def test_no_space_for_a_line_of_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = write_study(tmp_path, CHAIN, training__epochs=4), tmp_path / "run"

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("nepfield.learning.state._lines", full)
        one_line(train(path, run), "history.csv", "No space left", "go on with --resume")
    assert train(path, run, "--resume").exit_code == 0


def test_a_folder_that_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, run = write_study(tmp_path, CHAIN, figures__enabled=True), tmp_path / "run"
    save = TrainingState.save

    def vanish(self: TrainingState, checkpoint: Path) -> None:
        save(self, checkpoint)
        if self.epoch == 2:
            shutil.rmtree(run)

    monkeypatch.setattr(TrainingState, "save", vanish)
    one_line(train(path, run), f"{run}: this folder was taken away")
    monkeypatch.setattr(TrainingState, "save", save)

    def vanishing(*_: object) -> None:
        shutil.rmtree(run)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(run / "fields.vtu"))

    monkeypatch.setattr("nepfield.study.run.jobs.complete", vanishing)
    one_line(invoke("solve", str(path), "--out", str(run)), f"{run}: this folder was taken away")


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 8 TiB")

    path, run = write_study(tmp_path, CHAIN), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nepfield.study.run.jobs.complete", full)
        one_line(train(path, run), "too little memory: Unable to allocate 8 TiB", "--resume")
    assert train(path, run, "--resume").exit_code == 0


def test_a_sweep_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = write_sweep(tmp_path), tmp_path / "out"
    replace = os.replace

    def full(part: Path, target: Path) -> None:
        if Path(target).name == "results.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        result = invoke("sweep", str(path), "--out", str(out), "--workers", "1", "--quiet")
    one_line(result, "results.csv: No space left", "the cases that are finished are safe", "--res")
    assert sorted(p.name for p in out.iterdir()) == ["cases", "cases.json", "sweep.toml"]
    assert invoke("sweep", str(path), "--out", str(out), "--resume").exit_code == 0


@pytest.mark.parametrize(
    "handles", [3, 20, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 8, 12, 40))]
)
def test_a_process_with_few_handles(tmp_path: Path, handles: int) -> None:
    path = write_study(tmp_path, CHAIN)
    code = (
        "import resource, sys\nfrom nepfield import cli\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({handles}, {handles}))\n"
        f"sys.argv = ['nepfield', 'train', {str(path)!r}, '--out', {str(tmp_path / 'run')!r}]\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | PATH, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "Too many open files" in done.stderr
    assert train(path, tmp_path / "run", "--resume").exit_code == 0


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("error", [ValueError("Unknown projection"), OSError(28, "No space left")])
def test_a_run_whose_pictures_fail_has_ended_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = write_study(tmp_path, CHAIN, figures__enabled=True)
    for command in ("train", "solve") if isinstance(error, OSError) else ("train",):
        run = tmp_path / command
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "draw_run", fail)
            result = invoke(command, str(path), "--out", str(run))
        assert result.exit_code == 0, result.output
        told = next(line for line in result.stderr.splitlines() if "pictures" in line)
        assert type(error).__name__ in told
        assert f"nepfield plot {run}" in told
        assert (run / "summary.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["module://matplotlib_inline.nowhere", "nonsense", "TkAgg"])
def test_an_inherited_backend_does_not_matter(tmp_path: Path, backend: str) -> None:
    path = write_study(tmp_path, CHAIN, figures__enabled=True)
    done = subprocess.run(
        [sys.executable, "-m", "nepfield.cli", "train", str(path), "--out", str(tmp_path / "run")],
        env=os.environ | PATH | {"MPLBACKEND": backend}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pictures" not in done.stderr
    assert (tmp_path / "run" / "figures" / "training.png").is_file()


# ---------------------------------------------------------------- names and signs


def test_signs_that_a_terminal_lacks_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path, CHAIN, name="größe-γ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")  # as it is set, and afterwards as it was

    def told(*arguments: str) -> tuple[Any, list[str]]:
        streams = [io.TextIOWrapper(io.BytesIO(), "latin-1") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            patch.setattr(sys, "argv", ["nepfield", *arguments])
            with pytest.raises(SystemExit) as end:
                main()
        for stream in streams:
            stream.flush()
        return end.value.code, [stream.buffer.getvalue().decode("latin-1") for stream in streams]

    for arguments in (["check", str(path)], ["train", str(path)], ["compare", "runs/größe-γ"]):
        code, (output, _) = told(*arguments)
        assert code == 0
        assert "größe-?" in output
    code, (_, errors) = told("check", "nirgends-γ.toml")
    assert code == 2
    assert errors.startswith("error: nirgends-?.toml: there is no such file")


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    path = write_study(folder, LINE)
    assert train(path, folder / "run", "--quiet").exit_code == 0
    before = contents(tmp_path)
    one_line(train(path, tmp_path / "away"), "cannot be written in UTF-8; give that file or folder")
    assert contents(tmp_path).keys() - before.keys() <= {"away"}


# ---------------------------------------------------------------- kills with pictures on


@pytest.mark.slow
def test_twenty_kills_with_pictures_change_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments, from the imports to the last picture; frames and pictures too."""
    path = write_study(
        tmp_path, LINE, training__epochs=60, training__compare_every=1, figures__enabled=True,
        figures__frames=8,
    )  # fmt: skip
    begun = time.monotonic()
    assert train(path, tmp_path / "whole").exit_code == 0
    line = [sys.executable, "-m", "nepfield.cli", "train", str(path), "--resume", "--quiet"]
    alone = subprocess.run([*line, "--out", str(tmp_path / "alone")], env=os.environ | PATH)
    assert alone.returncode == 0
    dice, longest, kills, run = random.Random(1), time.monotonic() - begun, 0, tmp_path / "run0"
    for number in range(400):
        process = subprocess.Popen([*line, "--out", str(run)], env=os.environ | PATH)
        try:
            status = process.wait(dice.uniform(0.05, 1) * longest)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
            kills += 1
            continue
        assert status == 0
        same_folder(run, tmp_path / "whole")
        if kills >= 20:
            break
        run = tmp_path / f"run{number + 1}"  # it came to its end: the next one begins anew
    else:
        pytest.fail(f"{kills} kills only")


def same_folder(run: Path, whole: Path) -> None:
    """Every file is the same, bit by bit, but for the seconds in the summary."""
    same_result(run, whole)
    ours, theirs = (contents(folder) for folder in (run, whole))
    assert ours.keys() == theirs.keys()
    differ = [name for name in ours if ours[name][0] != theirs[name][0]]
    assert differ in ([], ["summary.json"])
