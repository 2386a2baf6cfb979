"""The modules form layers and no circles: data flows one way (README, Design).

Imports count wherever they stand: in functions, and for type checking alone.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import nepfield

PACKAGE = Path(nepfield.__file__).parent
LAYERS = (
    "errors files reading reprs memory keys",
    "mesh",
    "space",
    "fields",
    "steady",
    "systems",
    "learning",
    "view",
    "study.text",
    "study.systems",
    "study.run",
    "study.sweeps",
    "study.check study.plot study.demo",
    "reports",
    "terminal endings",
    "commands",
    "cli",
    "__main__",
)
ORDER = {name: place for place, names in enumerate(LAYERS) for name in names.split()}
LONGEST = 399


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module by its name without ``nepfield.``; the front door, which imports all, is out."""
    paths = {
        path: path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py")
    }
    return {".".join(parts): path for path, parts in paths.items() if parts[-1] != "__init__"}


def imports(path: Path, known: set[str]) -> set[str]:
    """Modules of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.removeprefix("nepfield.") for name in names} & known
    return found


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The modules that import themselves through others."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    return {name for name in graph if name in reached(name)}


def layer(module: str) -> int:
    """Position of a module such as ``fields.pumps``."""
    parts = module.split(".")
    names = [".".join(parts[:k]) for k in range(len(parts), 0, -1)]
    return next(ORDER[name] for name in names if name in ORDER)


PATHS = modules()


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports."""
    return {name: imports(path, set(PATHS)) - {name} for name, path in PATHS.items()}


def test_each_module_imports_only_from_layers_before_it() -> None:
    assert len(PATHS) > 60
    wrong = [
        f"{module} imports {name}"
        for module, names in graph().items()
        for name in names
        if layer(name) > layer(module)
    ]
    assert not wrong


def test_no_module_imports_itself_through_others() -> None:
    assert not circles(graph())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from nepfield.b import x", "def f():\n    from nepfield import a"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nepfield.b import T",
            "import nepfield.a",
        ),
    ],
)
def test_circles_are_seen_in_functions_and_for_typing(
    tmp_path: Path, first: str, second: str
) -> None:
    (tmp_path / "a.py").write_text(first)
    (tmp_path / "b.py").write_text(second)
    paths = modules(tmp_path)
    assert circles({name: imports(path, set(paths)) for name, path in paths.items()}) == {"a", "b"}


def test_modules_stay_small() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in PATHS.items()}
    assert not {name: count for name, count in lines.items() if count > LONGEST}
