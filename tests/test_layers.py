"""The modules form layers: each imports only from those before it (README, Design)."""

from __future__ import annotations

import ast
from pathlib import Path

import nepfield

PACKAGE = Path(nepfield.__file__).parent
LAYERS = [
    {"arrays", "errors", "files", "memory", "sparse", "cells"},
    {"checks", "locate", "mshguard"},
    {"meshfile"},
    {"gmsh_process"},
    {"geometry"},
    {"domain"},
    {"space"},
    {"elements"},
    {"fields"},
    {"systems"},
    {"steady"},
    {"learning"},
    {"view"},
    {"study"},
    {"progress"},
    {"cli"},
]


def layer(module: str) -> int:
    """Position of a module such as ``nepfield.fields.pumps``."""
    name = module.split(".")[1]
    return next(k for k, names in enumerate(LAYERS) if name in names)


def imports(path: Path) -> list[str]:
    """Modules of the package that a file imports while it runs (not for type checking alone)."""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "nepfield":
                found += [f"nepfield.{alias.name}" for alias in node.names]
            else:
                found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.startswith("nepfield.")]


def test_each_module_imports_only_from_layers_before_it() -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert len(paths) > 30
    wrong = []
    for path in paths:
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        wrong += [
            f"{module} imports {name}" for name in imports(path) if layer(name) > layer(module)
        ]
    assert not wrong


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text().splitlines()) > 450
    }
    assert not long
