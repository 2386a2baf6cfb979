"""What `nepfield check` says of a mesh or a study before anything is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from nepfield.errors import InputError
from nepfield.mesh.domain import read_domain
from nepfield.mesh.geometry import mesh_geometry, read_geometry
from nepfield.mesh.report import describe
from nepfield.study.run.build import Study, build
from nepfield.study.run.judging import gradient_ahead
from nepfield.study.systems.systems import load_study


def check(path: str | Path, overrides: tuple[str, ...] = (), seed: int | None = None) -> str:
    """Report on a study (.toml), a mesh file, or a geometry (.geo, with its defaults).

    Parameters
    ----------
    path : path
    overrides, seed
        As in `load_study`; for a study only.

    Returns
    -------
    str
        Regions, boundaries and cell quality; for a study also its size, what it places where, and
        what its system has to say, with a line that begins with "warning" for each doubt, or with
        "advice" where training may go wrong.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    path = Path(path)
    if path.suffix.lower() != ".toml":
        if overrides or seed is not None:
            raise InputError(f"{path}: --set and --seed belong to a study (.toml), not to a mesh.")
        if path.suffix.lower() == ".geo":
            return _check_geometry(path)
        return str(describe(read_domain(path)))
    return describe_study(build(load_study(path, overrides, seed)))


def _check_geometry(path: Path) -> str:
    known = ", ".join(read_geometry(path).parameters) or "none (see DefineConstant)"
    with TemporaryDirectory() as scratch:
        domain = replace(read_domain(mesh_geometry(path, {}, scratch)), source=str(path))
        return f"{describe(domain)}\n  parameters: {known}"


def describe_study(study: Study) -> str:
    """Lines of text on a study that has been built."""
    lines = [str(describe(study.system.domain)), *study.config.lines(study)]
    lines += gradient_ahead(study)
    return "\n".join([*lines, "  ready: nepfield train runs it"])
