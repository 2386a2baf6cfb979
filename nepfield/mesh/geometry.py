"""A parametric geometry becomes a mesh file, by Gmsh.

Two forms: a ``.geo`` file, whose parameters are what it lists in ``DefineConstant``, and a Python
function, ``"file.py:function"``, that draws with the Gmsh module and takes its parameters as
keywords. What the parameters are is read from the text, so a wrong one is found without Gmsh.

Gmsh runs in a process of its own (`nepfield/gmsh_process.py`): its crashes and its signal handlers
stay there, and what it says becomes an `InputError`.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nepfield.errors import InputError
from nepfield.mesh.geocommands import check_commands
from nepfield.reading import LARGEST_TEXT, read_bytes

Value = int | float | str
_DRAWINGS = (".step", ".stp", ".iges", ".igs", ".brep", ".stl", ".msh", ".pos")
"""What Gmsh merges as data; whatever else it takes for a script."""
PATIENCE, TIME_LIMIT = 10, 600
"""Seconds of meshing after which a word is said, and after which Gmsh is ended."""
MOST_CELLS, MEMORY_LIMIT = 2_000_000, 4 * 2**30
"""Cells above which Gmsh does not begin, and bytes that it may use."""


@dataclass(frozen=True)
class Geometry:
    """A geometry and the parameters that it takes.

    Attributes
    ----------
    path : Path
        The .geo or .py file.
    function : str or None
        Name of the function, of a .py file.
    texts : dict of str to bytes
        Content of the file and of all that a .geo includes or merges, by name.
    parameters : dict of str to str
        For each parameter "number", "text" or "any".
    needed : tuple of str
        Parameters without a default (of a function).
    open_ended : bool
        A function that takes further keywords.
    onelab : dict of str to str
        Parameters that Gmsh keeps under another name (``DefineNumber``).
    """

    path: Path
    function: str | None
    texts: dict[str, bytes]
    parameters: dict[str, str]
    needed: tuple[str, ...] = ()
    open_ended: bool = False
    onelab: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As a study writes it."""
        return str(self.path) if self.function is None else f"{self.path}:{self.function}"

    def check(self, parameters: Mapping[str, Value]) -> None:
        """Refuse parameters that the geometry does not have, or of the wrong type.

        Raises
        ------
        InputError
            It lists those that exist, the nearest first.
        """
        for name, value in parameters.items():
            kind = self.parameters.get(name, "any" if self.open_ended else "")
            if not kind:
                known = sorted(
                    self.parameters,
                    key=lambda other: -difflib.SequenceMatcher(None, name, other).ratio(),
                )
                listed = ", ".join(known) or "none"
                raise InputError(
                    f"{self.name}: it has no parameter {name!r}; it defines {listed}"
                    + (" (those in DefineConstant)" if self.function is None else "")
                )
            given = "text" if isinstance(value, str) else "number"
            if kind not in ("any", given):
                right = "a number" if kind == "number" else "text in quotes"
                raise InputError(f"{self.name}: {name} = {value!r} must be {right}")
        missing = [name for name in self.needed if name not in parameters]
        if missing:
            raise InputError(
                f"{self.name}: {', '.join(missing)} has no default; give it in [domain.parameters]"
            )


def read_geometry(geometry: str | os.PathLike[str]) -> Geometry:
    """Read which parameters a geometry takes; nothing is run.

    Parameters
    ----------
    geometry : str or path
        ``"x.geo"`` or ``"file.py:function"``.

    Raises
    ------
    InputError
        If there is no such file or no such function.
    """
    path, function = split_name(geometry)
    try:
        content = read_bytes(path, LARGEST_TEXT)
    except OSError as error:
        raise InputError(f"{path}: the geometry cannot be read: {error.strerror}") from None
    if function is not None:
        return _read_function(path, function, content)
    texts: dict[str, bytes] = {}
    _collect(path, path.name, texts)
    parameters: dict[str, str] = {}
    onelab: dict[str, str] = {}
    for name, content in texts.items():
        if name.lower().endswith(_DRAWINGS):
            continue
        written = _text_of(content)
        plain = _without_comments(written)
        check_commands(str(path.parent / name), written, plain)
        for constant, kind, stored in _constants(plain):
            parameters[constant] = kind
            if stored:
                onelab[constant] = stored
    return Geometry(path, None, texts, parameters, onelab=onelab)


def split_name(geometry: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """File and function of a geometry's name; InputError for any other form."""
    text = os.fspath(geometry)
    found = re.fullmatch(r"(.+\.py):([A-Za-z_]\w*)", text)
    if found:
        return Path(found[1]), found[2]
    if not text.lower().endswith(".geo"):
        raise InputError(f'{text}: a geometry must be "x.geo" or "file.py:function"')
    return Path(text), None


def mesh_geometry(
    geometry: str | os.PathLike[str],
    parameters: Mapping[str, Value] | None = None,
    folder: str | os.PathLike[str] = "meshes",
) -> Path:
    """Mesh a geometry, unless the same mesh is in the folder already.

    Parameters
    ----------
    geometry : str or path
        ``"x.geo"``, or ``"file.py:function"``: a function that draws in the current Gmsh model and
        names its physical groups. It is called with the parameters as keywords, after
        ``gmsh.initialize``; the mesh is generated afterwards unless it has done so itself.
    parameters : dict, optional
        Numbers or texts by name; what is absent has its default.
    folder : path
        Where meshes are kept. The name of a file has a hash of the geometry's text (and of all
        .geo files that it includes), of the parameters and of the version of Gmsh.

    Returns
    -------
    Path
        A mesh in the format MSH 4.1.

    Raises
    ------
    InputError
        If Gmsh is missing, a parameter is wrong, or Gmsh cannot mesh it.
    """
    source, values, path = _plan(geometry, parameters or {}, folder)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mesh-") as scratch:
                _run_gmsh(source, values, Path(scratch))
                os.replace(Path(scratch) / "mesh.msh", path)
        except OSError as error:
            raise InputError(f"{path}: the mesh cannot be written: {error}") from None
    return path


def has_mesh(
    geometry: str | os.PathLike[str],
    parameters: Mapping[str, Value],
    folder: str | os.PathLike[str],
) -> bool:
    """Whether `mesh_geometry` finds its mesh in the folder and has none to make."""
    return _plan(geometry, parameters, folder)[2].is_file()


def _plan(
    geometry: str | os.PathLike[str],
    parameters: Mapping[str, Value],
    folder: str | os.PathLike[str],
) -> tuple[Geometry, dict[str, Value], Path]:
    """What is to be meshed, its parameters as they are handed on, and the name of the mesh."""
    source = read_geometry(geometry)
    source.check(parameters)
    # 1 and 1.0 are the same number to a .geo, but need not be to a function
    values = {
        name: float(value) if source.function is None and not isinstance(value, str) else value
        for name, value in sorted(parameters.items())
    }
    digest = hashlib.sha256(
        json.dumps([source.function, list(values.items()), _gmsh_version()]).encode()
    )
    for name, content in sorted(source.texts.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    stem = source.function or source.path.stem
    return source, values, Path(folder) / f"{stem}-{digest.hexdigest()[:16]}.msh"


def described(geometry: str | os.PathLike[str], parameters: Mapping[str, Value]) -> str:
    """A geometry with its parameters, for messages."""
    values = ", ".join(f"{name} = {value!r}" for name, value in parameters.items())
    return f"{os.fspath(geometry)} ({values})" if values else os.fspath(geometry)


def _gmsh_version() -> str:
    spec = importlib.util.find_spec("gmsh")
    if spec is None:
        raise InputError(
            "domain.geometry needs Gmsh, which is not installed: pip install 'nepfield[mesh]'"
        )
    try:
        return importlib.metadata.version("gmsh")
    except importlib.metadata.PackageNotFoundError:  # not from PyPI
        return hashlib.sha256(Path(spec.origin or "").read_bytes()).hexdigest()


def _run_gmsh(source: Geometry, values: Mapping[str, Value], scratch: Path) -> None:
    """Run Gmsh in a process of its own; it leaves mesh.msh in the folder."""
    where = described(source.name, values)
    order = {
        "path": str(source.path.resolve()),
        "function": source.function,
        "values": values,
        "onelab": source.onelab,
        "mesh": str(scratch.resolve() / "mesh.msh"),
        "answer": str(scratch.resolve() / "answer.json"),
        "expected": str(scratch.resolve() / "expected.txt"),
        "most": MOST_CELLS,
        "memory": MEMORY_LIMIT,
    }
    script = Path(__file__).with_name("gmsh_process.py")
    # -P: the folder of the script, which is the package, is no place to import from
    command = [sys.executable, "-P", str(script)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:
        try:
            said = _wait(process, json.dumps(order), scratch / "expected.txt", where)
        except BaseException:
            process.kill()
            raise
    answer = scratch / "answer.json"
    if not answer.is_file():
        code = process.returncode
        end = f"signal {-code}" if code < 0 else f"status {code}"
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        short = re.search("bad_alloc|MemoryError|[Oo]ut of memory|annot allocate", said)
        why = f"; it needs more than {MEMORY_LIMIT >> 30} GiB: give larger sizes" if short else ""
        raise InputError(f"{where}: Gmsh broke off with {end}: {last}{why}")
    problem = json.loads(answer.read_text(encoding="utf-8"))["problem"]
    if problem:
        raise InputError(f"{where}: {problem}")


def _wait(process: subprocess.Popen[str], order: str, expected: Path, where: str) -> str:
    """What Gmsh writes to stderr until it ends; it may go on for ever where an outline is wrong."""
    try:
        return process.communicate(order, timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        cells = f", on about {expected.read_text()} cells" if expected.is_file() else ""
        warnings.warn(f"{where}: Gmsh is at work for {PATIENCE} s already{cells}", stacklevel=2)
    try:
        return process.communicate(timeout=TIME_LIMIT - PATIENCE)[1]
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{where}: Gmsh has not finished in {TIME_LIMIT} s: is the mesh size much too small, "
            "or does the outline cross itself? Gmsh itself shows where; a mesh that takes longer "
            "is made there and given as domain.mesh."
        ) from None


def _read_function(path: Path, function: str, content: bytes) -> Geometry:
    try:
        tree = ast.parse(content, filename=str(path))  # in the encoding that the file tells
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: is not valid Python: {error}") from None
    defined = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    if function not in defined:
        near = difflib.get_close_matches(function, defined, n=len(defined) or 1, cutoff=0.0)
        raise InputError(
            f"{path}: there is no function {function!r}; it defines {', '.join(near) or 'none'}"
        )
    arguments = defined[function]
    if arguments.posonlyargs:
        raise InputError(f"{path}:{function}: it is called with keywords, so it must take no '/'")
    plain = [argument.arg for argument in arguments.args]
    needed = plain[: len(plain) - len(arguments.defaults)]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    needed += [argument.arg for argument, default in pairs if default is None]
    names = plain + [argument.arg for argument in arguments.kwonlyargs]
    return Geometry(
        path,
        function,
        {path.name: content},
        dict.fromkeys(names, "any"),
        tuple(needed),
        arguments.kwarg is not None,
    )


def _collect(path: Path, name: str, texts: dict[str, bytes]) -> None:
    """The content of a .geo file and of what it includes, as far as that is written out."""
    if name in texts or not os.path.exists(path):
        return
    try:
        texts[name] = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {name} is included") from None
    if name.lower().endswith(_DRAWINGS):
        return
    plain = _without_comments(_text_of(texts[name]))
    for other in re.findall(r'\b(?:Include|Merge|ShapeFromFile)\s*\(?\s*"([^"]+)"', plain):
        _collect(path.parent / other, os.path.normpath(Path(name).parent / other), texts)


def _text_of(content: bytes) -> str:
    """Text of a .geo file; Gmsh takes bytes as they are, so any encoding will do that has ASCII."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _without_comments(text: str) -> str:
    pattern = r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/'
    return re.sub(pattern, lambda found: found[1] or " ", text, flags=re.DOTALL)


def _constants(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, kind, and name in Gmsh's own table of each constant that can be set from outside."""
    for found in re.finditer(r"\bDefineConstant\s*[\[(]", text):
        for entry in _split(text, found.end()):
            parts = re.match(r"\s*([A-Za-z_]\w*)\s*(?:=\s*(.*))?$", entry, flags=re.DOTALL)
            if parts:
                yield parts[1], _kind(parts[2] or "0"), ""
    for found in re.finditer(r"([A-Za-z_]\w*)\s*=\s*Define(Number|String)\s*[\[(]", text):
        stored = re.search(r'\bName\s*"([^"]+)"', ",".join(_split(text, found.end())))
        if stored:
            yield found[1], "number" if found[2] == "Number" else "text", stored[1]


def _kind(default: str) -> str:
    return "text" if re.match(r'\{?\s*("|Str\b|Sprintf\b|StrCat\b)', default) else "number"


def _split(text: str, start: int) -> list[str]:
    """The entries of a list up to its closing bracket, commas in brackets and quotes aside."""
    entries, depth, begin = [], 0, start
    tokens = re.compile(r'"(?:\\.|[^"\\\n])*"|[\[\](){},]')
    for token in tokens.finditer(text, start):
        sign = token[0]
        if sign in "[({":
            depth += 1
        elif sign in "])}":
            depth -= 1
        if depth < 0 or (depth == 0 and sign == ","):
            entries.append(text[begin : token.start()])
            begin = token.end()
        if depth < 0:
            break
    return entries
