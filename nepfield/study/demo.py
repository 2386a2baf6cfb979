"""The study that `nepfield demo` writes: XOR in a billiard, with its mesh.

An installed package has both files in ``nepfield/demo``, a checkout where they belong.
"""

from __future__ import annotations

from pathlib import Path

import nepfield
from nepfield.errors import InputError
from nepfield.files import replacing

_PACKAGE = Path(nepfield.__file__).parent
_STUDY, _MESH = "xor-billiard", "billiard.msh"


def write_demo(folder: str | Path) -> Path:
    """Write the study and its mesh to a folder; files that are there already stay.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Path
        The study.

    Raises
    ------
    InputError
        If the folder has other files of these names, or cannot be written.
    """
    folder, (study, mesh) = Path(folder), _sources()
    text = study.read_text(encoding="utf-8").replace(f"../../meshes/{_MESH}", _MESH)
    contents = {"study.toml": text.encode(), _MESH: mesh.read_bytes()}
    try:
        for name, content in contents.items():
            if (folder / name).exists() and (folder / name).read_bytes() != content:
                raise InputError(
                    f"{folder / name} is there already and is not that of the demo: give another "
                    "folder, nepfield demo DIR."
                )
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if not (folder / name).exists():
                with replacing(folder / name) as part:
                    part.write_bytes(content)
    except OSError as error:
        raise InputError(f"{folder}: the demo cannot be written: {error.strerror}") from None
    return folder / "study.toml"


def _sources() -> tuple[Path, Path]:
    """Where the study and the mesh lie."""
    installed = _PACKAGE / "demo"
    if installed.is_dir():
        return installed / "study.toml", installed / _MESH
    root = _PACKAGE.parent
    return root / "studies" / _STUDY / "study.toml", root / "meshes" / _MESH
