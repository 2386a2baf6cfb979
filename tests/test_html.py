"""A run as a web page: whole in itself, drawn by a browser without a network, or refused."""

from __future__ import annotations

import base64
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from helpers import needs_opengl
from PIL import Image
from test_cli import CHAIN, invoke, write_study

from nepfield.errors import InputError
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from nepfield.view.page import write_page

DEMO = Path(__file__).parents[1] / "studies" / "xor-billiard" / "study.toml"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
WINDOW = (1000, 650)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the demo study's run after a few epochs, as `nepfield plot` writes it."""
    pytest.importorskip("trame_pyvista", reason="pip install 'nepfield[html]'")
    folder = tmp_path_factory.mktemp("page")
    changes = ["training.epochs=12", "figures.enabled=false", "figures.frames=0"]
    train_study(load_study(DEMO, [*changes, "training.weight_rate=0.2"]), folder / "run")
    result = invoke("plot", str(folder / "run"), "-o", str(folder / "run.html"))
    assert (result.exit_code, result.output) == (0, "")
    return folder / "run.html"


def scene(page: Path) -> dict[str, bytes]:
    """The files of the scene in a page."""
    data = re.search(r'base64Str = "([A-Za-z0-9+/=]+)"', page.read_text(encoding="utf-8"))
    assert data is not None
    with zipfile.ZipFile(BytesIO(base64.b64decode(data[1]))) as files:
        return {name: files.read(name) for name in files.namelist()}


@needs_opengl
def test_a_page_loads_nothing(page: Path) -> None:
    """No element and no style of the page names a file, and no address stands in the scene."""
    text = page.read_text(encoding="utf-8")
    markup = re.sub(r"<script.*?</script>", "<script></script>", text, flags=re.DOTALL)
    for loading in ("src=", "href=", "@import", "url("):
        assert loading not in markup
    assert re.search(r"<script[^>]+\bsrc\b", text) is None
    assert re.search(r"""\bimport\s*(\(\s*)?["'](https?:)?//""", text) is None
    assert re.search(r"""(fetch|open|Worker|importScripts)\(\s*["'](https?:)?//""", text) is None
    assert not any(b"http" in content for content in scene(page).values())


@needs_opengl
def test_writing_a_page_asks_no_other_machine(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def note(host: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(host))
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    write_page(page.parent / "run", tmp_path / "again.html")
    assert set(asked) <= {"127.0.0.1", "localhost", "::1"}
    assert "trame_vtklocal.module.wasm" not in sys.modules


@needs_opengl
def test_what_a_page_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<title>xor-billiard</title>" in text
    for words in ("<h1>xor-billiard</h1>", "density |Ψ|²", "potential V", "drag: turn"):
        assert words in text
    assert mpl.colors.to_hex(mpl.colormaps["inferno"](1.0)) in text
    assert page.stat().st_size < 10_000_000
    # four densities and a potential, each with an outline, pumps and readout, and a title
    assert scene(page)["index.json"].count(b'Actor"') >= 5 * 4
    assert not list(page.parent.glob(".*"))  # nothing half-written is left


@needs_opengl
@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open pages (apt-get install chromium)")
def test_a_browser_without_network_shows_the_wave(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    command = [
        str(BROWSER), "--headless=new", "--no-sandbox", "--disable-dev-shm-usage",
        "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9",
        f"--user-data-dir={tmp_path / 'profile'}", "--no-first-run", "--disable-crash-reporter",
        f"--window-size={WINDOW[0]},{WINDOW[1]}", "--virtual-time-budget=5000",
        f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert picture.is_file(), done.stderr[-2000:]
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(float) / 255
    middle = pixels[pixels.shape[0] // 6 : -pixels.shape[0] // 6]  # without what is written on it
    assert len(np.unique((255 * middle).astype(int).reshape(-1, 3), axis=0)) > 300
    for name, share, shades in (("inferno", 0.1, 20), ("viridis", 0.02, 8)):
        colors = mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3]
        colors = colors[colors.min(axis=1) < 0.9]  # white is the page
        near = np.array([(np.abs(middle - c).max(axis=-1) < 0.05).sum() for c in colors])
        assert near.sum() > share * middle[..., 0].size, name
        assert (near > 20).sum() >= shades, name


# ---------------------------------------------------------------- refused


def test_pages_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    train_study(load_study(write_study(tmp_path, CHAIN, training__epochs=1)), run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.html").write_bytes(b"precious")
    for arguments, words in (
        (["run", "-o", "new.html"], ["lie on a line", ".gif"]),
        (["run", "-o", "old.html"], ["exists already"]),
        (["run", "-o", "new.html", "--field", "phase"], ["--field phase", ".html"]),
        (["run", "-o", "nowhere/new.html"], ["there is no folder nowhere"]),
    ):
        result = invoke("plot", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert all(word in result.stderr for word in words), result.stderr
    assert (tmp_path / "old.html").read_bytes() == b"precious"
    assert not (tmp_path / "new.html").exists()


def lattice_run(folder: Path, name: str = "lattice") -> Path:
    """A run on a lattice of 3 x 4 sites."""
    changes = {"name": name, "domain": {"lattice": [3, 4]}, "training__epochs": 1}
    pumps = {"pump": [{"site": [0, 1]}, {"site": 9}], "readout": {"sites": [[1, 2]]}}
    train_study(load_study(write_study(folder, CHAIN, **changes, **pumps)), folder / "run")
    return folder / "run"


@needs_opengl
def test_the_page_of_a_lattice_and_a_name_that_is_no_markup(tmp_path: Path) -> None:
    pytest.importorskip("trame_pyvista", reason="pip install 'nepfield[html]'")
    run = lattice_run(tmp_path)
    study = (run / "study.toml").read_text(encoding="utf-8")
    (run / "study.toml").write_text(study.replace('"lattice"', '"a < b & <script>"'), "utf-8")
    text = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>a &lt; b &amp; &lt;script&gt;</h1>" in text
    assert scene(tmp_path / "page.html")["index.json"].count(b'Actor"') >= 5 * 4


def test_without_the_extra_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lattice_run(tmp_path)
    monkeypatch.setitem(sys.modules, "trame_pyvista", None)
    result = invoke("plot", str(run), "-o", str(tmp_path / "new.html"))
    assert result.exit_code == 2
    assert "pip install 'nepfield[html]'" in result.stderr
    assert not (tmp_path / "new.html").exists()


def test_without_opengl_there_is_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trame_pyvista", reason="pip install 'nepfield[html]'")
    problem = "Pictures of fields need OpenGL. Install it (apt-get install libgl1)"
    monkeypatch.setattr("nepfield.view.page.opengl_problem", lambda: problem)
    result = invoke("plot", str(lattice_run(tmp_path)), "-o", str(tmp_path / "new.html"))
    assert (result.exit_code, result.stderr) == (4, f"no pictures of fields: {problem}\n")
    assert not (tmp_path / "new.html").exists()


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        write_page(tmp_path / "nowhere", tmp_path / "page.html")
