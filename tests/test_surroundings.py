"""What a sweep needs of a script, an address and a machine is said before workers are started."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_cli import contents, invoke
from test_endings import one_line, write_sweep

from nepfield.errors import InputError
from nepfield.study.sweeps import surroundings
from nepfield.study.sweeps.surroundings import check_address, check_guard, provide_handles

CALL = "from nepfield.study.sweeps.surroundings import check_guard\n"
GUARDED = [
    'if __name__ == "__main__":\n    check_guard()\n',
    'def main():\n    check_guard()\n\nif __name__ == "__main__":\n    main()\n',
    'if "__main__" == __name__:\n    for _ in range(2):\n        check_guard()\n',
    'import sys\nif __name__ != "__main__":\n    sys.exit()\ncheck_guard()\n',
]
BARE = [
    "check_guard()\n",
    "def main():\n    check_guard()\n\nmain()\n",
    "if True:\n    check_guard()\n",
    'check_guard()\nif __name__ == "__main__":\n    print("done")\n',
]


def run_as_main(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``python script.py`` does it."""
    path = folder / "script.py"
    path.write_text(CALL + text)
    main = ModuleType("__main__")
    main.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(compile(path.read_text(), str(path), "exec"), main.__dict__)


@pytest.mark.parametrize("text", GUARDED)
def test_a_guarded_script_may_start_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    run_as_main(text, tmp_path, monkeypatch)


@pytest.mark.parametrize("text", BARE)
def test_a_script_without_a_guard_is_told_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(InputError, match=r'script\.py: line \d.*if __name__ == "__main__":$'):
        run_as_main(text, tmp_path, monkeypatch)


def test_what_is_typed_in_needs_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", main := ModuleType("__main__"))
    exec(compile(CALL + "check_guard()", "<stdin>", "exec"), main.__dict__)
    check_guard()


@pytest.mark.parametrize(
    "address",
    ["nonsense", "", "tcp://", "tcp://host", "host:port", "http://host:80", "tcp://a:99999",
     "a b:1", "tcp://nowhere.invalid:8786"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_at_once(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nepfield.study.sweeps.cluster.dask_client", None)
    path = write_sweep(tmp_path)
    before = contents(tmp_path)
    result = invoke("sweep", str(path), "--scheduler", address, "--out", str(tmp_path / "out"))
    one_line(result, f"--scheduler {address}: cannot be reached (", "tcp://127.0.0.1:8786")
    assert contents(tmp_path) == before


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings.socket, "getaddrinfo", lambda *_: [])
    for address in ("tcp://10.0.0.5:8786", "10.0.0.5:8786", "tls://host:1", "tcp://[::1]:8786/"):
        check_address(address)


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, given = [(20, 4096)], []
    monkeypatch.setattr(surroundings.resource, "getrlimit", lambda _: limits[0])
    monkeypatch.setattr(surroundings.resource, "setrlimit", lambda _, pair: given.append(pair))
    provide_handles(8)
    assert given == [(160, 4096)]
    limits[0] = (20, 100)
    with pytest.raises(InputError, match=r"8 workers needs 160 open .* 100: .*-n 160\), or g"):
        provide_handles(8)
    provide_handles(3)
    limits[0] = (20, 40)
    with pytest.raises(InputError, match=r"\(ulimit -n 76\)\.$"):
        provide_handles(1)
    limits[0] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    provide_handles(10_000)
    assert len(given) == 2


def test_workers_that_do_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", fail)
    result = invoke("sweep", str(write_sweep(tmp_path)), "--out", str(tmp_path / "out"), "--quiet")
    one_line(result, "workers cannot be started (Nanny failed to start.)", "too little memory")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", " ", "a\\b", "a\nb", 3])
def test_the_name_of_a_sweep_is_that_of_a_folder(tmp_path: Path, name: object) -> None:
    path = write_sweep(tmp_path)
    path.write_text(f"name = {name!r}\n".replace("'", '"') + path.read_text())
    before = contents(tmp_path)
    result = invoke("sweep", str(path), "--resume")
    assert result.exit_code == 2
    assert "name" in result.stderr
    assert contents(tmp_path) == before


def test_a_refused_sweep_leaves_no_lock(tmp_path: Path) -> None:
    path, out = write_sweep(tmp_path), tmp_path / "theirs"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    for options in ([], ["--resume"]):
        one_line(invoke("sweep", str(path), "--out", str(out), *options), "holds other files")
        assert contents(tmp_path) == before
    assert os.listdir(out) == ["thesis.tex"]
