"""Study classes from outside the package, by name: "file.py:Name" or "package.module:Name"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from nepfield.errors import InputError
from nepfield.mesh.geometry import split_name
from nepfield.reading import LARGEST_TEXT, read_bytes
from nepfield.study.text.paths import names_class_in_file


def load_class(name: str | Path) -> Any:
    """The class that a name means.

    Parameters
    ----------
    name : str or Path
        ``"file.py:Name"``, with an absolute path, or ``"package.module:Name"``.

    Raises
    ------
    InputError
        If the module cannot be imported, or has nothing of that name.
    """
    if names_class_in_file(name):
        path, inner = split_name(name)
        module = _module_of_file(Path(os.path.abspath(path)))
    else:
        package, _, inner = str(name).partition(":")
        module = _imported(package)
    try:
        return getattr(module, inner or "")
    except AttributeError:
        raise InputError(f"{name}: there is no class {inner!r}") from None


def _imported(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except (Exception, SystemExit) as error:  # a module may fail in any way
        raise InputError(f"{package}: cannot be imported: {_told(error)}") from None


def _module_of_file(path: Path) -> ModuleType:
    """The module, under a name that is the same in all processes while the file stays as it is."""
    try:
        content = read_bytes(path, LARGEST_TEXT)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(f"{path}\0".encode() + content).hexdigest()
    name = f"nepfield_outside_{path.stem}_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its classes are looked up there while they are made
    try:
        # not by its loader: that takes bytecode of an older file of the same second and size
        exec(compile(content, path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path}: cannot be imported: {_told(error)}") from None
    return module


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
