"""The process in which Gmsh meshes one geometry; `nepfield.mesh.geometry` starts it.

It reads what to do as JSON from its input and leaves files: how many cells are to be expected, the
mesh, and an answer that holds the problem in words ("" if there was none). It imports nothing of
nepfield, so it starts at once.
"""

import importlib.util
import itertools
import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any


def mesh(order: dict[str, Any]) -> str:
    """Draw, mesh and write; what went wrong in words, or ""."""
    try:
        import gmsh
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        return f"Gmsh does not start: {error}; see pip install 'nepfield[mesh]'"
    gmsh.initialize(readConfigFiles=False, run=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.option.setNumber("General.NumThreads", 1)  # more would make the mesh depend on chance
    gmsh.logger.start()
    try:
        gmsh.model.add(Path(order["path"]).stem)
        if order["function"] is None:
            _read_geo(gmsh, order)
        else:
            problem = _call(order)
            if problem:
                return problem
            gmsh.model.occ.synchronize()
            gmsh.model.geo.synchronize()
        dimension = gmsh.model.getDimension()
        if dimension not in (1, 2):
            found = "nothing" if dimension < 1 else "a solid"
            return f"it draws {found}; wanted curves along x, or surfaces in a plane"
        if not len(gmsh.model.mesh.getNodes()[0]):
            cells = _expected(gmsh, dimension)
            told = f"{float(f'{cells:.2g}'):,.0f}" if cells < 1e15 else f"{cells:.0e}"
            Path(order["expected"]).write_text(told, encoding="utf-8")
            if cells > order["most"]:
                return (
                    f"with these mesh sizes it would have about {told} cells, "
                    f"{order['most']:,} are the limit; give larger sizes"
                )
            gmsh.model.mesh.generate(dimension)
        gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
        gmsh.option.setNumber("Mesh.SaveAll", 0)
        gmsh.write(order["mesh"])
    except Exception as error:  # the binding raises bare Exception
        try:
            said = [line for line in gmsh.logger.get() if line.startswith("Error")]
        except UnicodeDecodeError:  # it repeats a file in another encoding
            said = []
        said = list(dict.fromkeys(line.removeprefix("Error: ").strip() for line in said))
        return f"Gmsh cannot mesh it: {'; '.join(said[:3]) or error}"
    finally:
        gmsh.finalize()
    return ""


def _expected(gmsh: Any, dimension: int) -> float:
    """About how many cells the sizes at points and the options ask for, at least.

    Fields of sizes and transfinite curves are not looked at.
    """
    model, option = gmsh.model, gmsh.option.getNumber
    box = model.getBoundingBox(-1, -1)
    default = sum((high - low) ** 2 for low, high in zip(box[:3], box[3:], strict=True)) ** 0.5 / 10
    points = model.getEntities(0)
    given = (
        model.mesh.getSizes(points) if option("Mesh.MeshSizeFromPoints") else [0.0] * len(points)
    )
    low, high = option("Mesh.MeshSizeMin"), option("Mesh.MeshSizeMax")
    factor = option("Mesh.MeshSizeFactor")
    size = {
        tag: max(factor * max(min(wanted or default, high), low), 1e-150)
        for (_, tag), wanted in zip(points, given, strict=True)
    }

    def mean(entity: tuple[int, int]) -> float:
        ends = [size[tag] for _, tag in model.getBoundary([entity], recursive=True)]
        return sum(ends) / len(ends) if ends else max(min(default, high), low) * factor

    along = sum(_length(model, tag) / mean((1, tag)) for _, tag in model.getEntities(1))
    if dimension == 1:
        return along
    # a triangle of equal sides covers 0.43 of their square; fine curves have some rows of cells
    within = sum(_area(model, e[1]) / (0.43 * mean(e) ** 2) for e in model.getEntities(2))
    return max(within, 2 * along)


def _length(model: Any, tag: int) -> float:
    (first,), (last,) = model.getParametrizationBounds(1, tag)
    places = [first + (last - first) * k / 32 for k in range(33)]
    flat = model.getValue(1, tag, places).tolist()
    at = [flat[k : k + 3] for k in range(0, len(flat), 3)]
    steps = itertools.pairwise(at)
    return sum(sum((a - b) ** 2 for a, b in zip(*step, strict=True)) ** 0.5 for step in steps)


def _area(model: Any, tag: int) -> float:
    """Of a planar surface: by a grid of points laid over it."""
    x, y, _, right, top, _ = model.getBoundingBox(2, tag)
    n, z = 24, model.getBoundingBox(2, tag)[2::3]
    grid = [
        value
        for i in range(n)
        for j in range(n)
        for value in (x + (i + 0.5) * (right - x) / n, y + (j + 0.5) * (top - y) / n, sum(z) / 2)
    ]
    return float(model.isInside(2, tag, grid)) / n**2 * (right - x) * (top - y)


def _read_geo(gmsh: Any, order: dict[str, Any]) -> None:
    for name, value in order["values"].items():
        stored = order["onelab"].get(name)
        if isinstance(value, str):
            if stored:
                gmsh.onelab.setString(stored, [value])
            else:
                gmsh.parser.setString(name, [value])
        elif stored:
            gmsh.onelab.setNumber(stored, [value])
        else:
            gmsh.parser.setNumber(name, [value])
    gmsh.merge(order["path"])  # gmsh.open would forget the values


def _call(order: dict[str, Any]) -> str:
    """Call the user's function."""
    path, name = order["path"], order["function"]
    sys.path.insert(0, str(Path(path).parent))
    try:
        spec = importlib.util.spec_from_file_location("nepfield_geometry", path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        # not by its loader: that takes bytecode of an older file of the same second and size
        exec(compile(Path(path).read_bytes(), path, "exec"), module.__dict__)
        getattr(module, name)(**order["values"])
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = f", line {frames[-1].lineno}" if frames else ""
        return f"the function fails with {type(error).__name__}: {error} ({Path(path).name}{line})"
    return ""


def main() -> None:
    """Entry point."""
    order = json.loads(sys.stdin.read())
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = order["memory"] if hard == resource.RLIM_INFINITY else min(order["memory"], hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    answer = json.dumps({"problem": mesh(order)})
    Path(order["answer"]).write_text(answer, encoding="utf-8")


if __name__ == "__main__":
    main()
