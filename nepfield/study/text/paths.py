"""Values in a study file that name a file, a run folder, a geometry or a class in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator, ValidationInfo

from nepfield.errors import InputError
from nepfield.files import STUDY_FILE
from nepfield.mesh.geometry import split_name
from nepfield.reading import is_regular
from nepfield.study.text.written import Written, wrong


def _file(value: Any, info: ValidationInfo) -> Path:
    """Absolute path of a file that exists; relative ones count from the study's folder."""
    if not isinstance(value, str | Path) or not str(value):
        raise wrong('must be a file name in quotes, such as "cavity.msh"')
    path = Path(value)
    if info.context is not None:
        path = Path(os.path.abspath(info.context["folder"] / path))
        if not is_regular(path):
            if os.path.lexists(path):
                raise wrong(f"{path} is no regular file")
            raise wrong(f"there is no file {path} (paths count from the study file's folder)")
    return path


def folder_or(word: str) -> PlainValidator:
    """A word, or the absolute path of a folder that exists."""
    right = f'a folder in quotes, or "{word}"'

    def validate(value: Any, info: ValidationInfo) -> str | Path:
        if not isinstance(value, str | Path) or not str(value):
            raise wrong(f"must be {right}")
        if value == word:
            return word
        path = Path(value)
        if info.context is not None:
            path = Path(os.path.abspath(info.context["folder"] / path))
            if not path.is_dir():
                raise wrong(f"there is no folder {path} (paths count from the study file's folder)")
        return path

    return Written(validate, right=right)


def or_run(check: Callable[[Any], Any], right: str, words: tuple[str, ...] = ()) -> PlainValidator:
    """As `_form`, or the absolute path of a run folder in quotes, or one of these words."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, str | Path) and str(value):
            return _run(value, info, right)
        result = check(value)
        if result is None:
            raise wrong(f"must be {right}, or the folder of a trained run in quotes")
        return result

    return Written(validate, right=f"{right}, or the folder of a trained run in quotes")


def _run(value: str | Path, info: ValidationInfo, right: str) -> Path:
    path = Path(value)
    if info.context is not None:
        path = Path(os.path.abspath(info.context["folder"] / path))
        if info.context.get("began"):  # what came from there is kept with the run
            return path
        if not is_regular(path / STUDY_FILE):
            raise wrong(
                f"must be {right}, or the folder of a trained run; {path} is no run folder (it "
                f"has no {STUDY_FILE}; paths count from the study file's folder)"
            )
        if not is_regular(path / "checkpoint.npz"):
            raise wrong(f"{path} is a run without a checkpoint.npz: train it first")
    return path


def _geometry(value: Any, info: ValidationInfo) -> Path:
    """Absolute path of a .geo file, or of a .py file with ":function" at its end."""
    if not isinstance(value, str | Path) or not str(value):
        raise wrong('must be "x.geo" or "file.py:function"')
    try:
        path, function = split_name(value)
    except InputError:
        raise wrong('must be "x.geo" or "file.py:function"') from None
    path = _file(path, info)
    return path if function is None else path.with_name(f"{path.name}:{function}")


def _system(value: Any, info: ValidationInfo) -> str | Path:
    """The name of a system; absolute path and name of a study class in a file of the user."""
    if not isinstance(value, str | Path) or not str(value):
        raise wrong('must be the name of a system in quotes, such as "gpe"')
    if not names_class_in_file(value):
        return str(value)
    path, name = split_name(value)
    return (path := _file(path, info)).with_name(f"{path.name}:{name}")


def names_class_in_file(name: str | Path) -> bool:
    """Whether the name of a system has the form "file.py:Name"."""
    return ".py:" in str(name)


File = Annotated[Path, Written(_file, right="a file name in quotes")]
GeometryFile = Annotated[Path, Written(_geometry, right='"x.geo" or "file.py:function"')]
SystemName = Annotated[
    str | Path, Written(_system, right='the name of a system, or "file.py:Name"')
]
