"""Files that are written appear whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_cli import CHAIN, contents, invoke
from test_run import trained

from nepfield.files import replacing


def test_what_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def break_off() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert contents(tmp_path).keys() == {"file.txt"}
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert contents(tmp_path).keys() == {"file.txt"}
    assert path.read_text() == "new"


def test_a_film_or_picture_that_breaks_off_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, CHAIN, figures__frames=3)

    def save(self: Image.Image, path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"GIF89a")
        raise KeyboardInterrupt

    for name, field in (("film.gif", None), ("wave.png", "fields")):
        output = tmp_path / name
        command = ["plot", str(tmp_path / "run"), "-o", str(output)]
        command += [] if field is None else ["--field", field]
        with monkeypatch.context() as patch:
            patch.setattr(Image.Image, "save", save)
            assert invoke(*command).exit_code != 0
        assert not [path for path in tmp_path.iterdir() if name in path.name]
        assert invoke(*command).exit_code == 0
        with Image.open(output) as image:
            image.load()


def test_a_picture_that_there_is_not_is_refused_before_any_is_drawn(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, CHAIN)
    before = contents(run)
    result = invoke("plot", str(run), "--field", "zzz")
    assert result.exit_code == 2
    assert "--field zzz: this run has training, outputs, fields, density, " in result.stderr
    assert contents(run) == before
