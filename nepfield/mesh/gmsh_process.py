"""The process in which Gmsh meshes one geometry; `nepfield.mesh.geometry` starts it.

It reads what to do as JSON from its input and leaves two files: the mesh, and an answer that holds
the problem in words ("" if there was none). It imports nothing of nepfield, so it starts at once.
"""

import importlib.util
import json
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
            gmsh.model.mesh.generate(dimension)
        gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
        gmsh.option.setNumber("Mesh.SaveAll", 0)
        gmsh.write(order["mesh"])
    except Exception as error:  # the binding raises bare Exception
        said = [line for line in gmsh.logger.get() if line.startswith("Error")]
        said = list(dict.fromkeys(line.removeprefix("Error: ").strip() for line in said))
        return f"Gmsh cannot mesh it: {'; '.join(said[:3]) or error}"
    finally:
        gmsh.finalize()
    return ""


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
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        getattr(module, name)(**order["values"])
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = f", line {frames[-1].lineno}" if frames else ""
        return f"the function fails with {type(error).__name__}: {error} ({Path(path).name}{line})"
    return ""


def main() -> None:
    """Entry point."""
    order = json.loads(sys.stdin.read())
    answer = json.dumps({"problem": mesh(order)})
    Path(order["answer"]).write_text(answer, encoding="utf-8")


if __name__ == "__main__":
    main()
