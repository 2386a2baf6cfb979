"""The format .xdmf: meshio reads it, once it is known what reading will ask for."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import meshio

from nepfield.errors import InputError
from nepfield.reading import LARGEST_MESH, open_regular


def read_xdmf(path: Path, raw: bytes, where: str) -> tuple[meshio.Mesh, list[str]]:
    """Read an .xdmf file and the HDF5 file that belongs to it.

    Parameters
    ----------
    path : Path
    raw : bytes
        Its content.
    where : str
        Its name, for messages.

    Returns
    -------
    mesh : meshio.Mesh
    unread : list of str
        Arrays of the whole grid and pieces of information, which are left alone.

    Raises
    ------
    InputError
        If it cannot be read, holds several grids, or too many numbers.
    """
    sink = io.StringIO()
    try:
        root = ElementTree.fromstring(raw)
        _check(path, root, where)
        with (
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="string or file could not be read")
            mesh = meshio.read(path)  # which may print, warn, raise anything and call sys.exit
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"{where}: reading this file needs the package {error.name}: pip install {error.name}"
        ) from error
    except (Exception, SystemExit) as error:
        said = " ".join(sink.getvalue().split()) or f"{error}" or type(error).__name__
        raise InputError(
            f"{where}: cannot be read as a mesh ({said[:300]}); of mixed cells .vtu is read better"
        ) from error
    said = " ".join(sink.getvalue().split())
    if re.search("cannot handle|not closed|corrupt", said):
        raise InputError(f"{where}: cannot be read as a mesh ({said[:300]})")
    unread = [f"information {name!r}" for name in mesh.field_data]
    for array in root.iter("Attribute"):
        if array.get("Center") not in ("Node", "Cell"):
            unread.append(f"{array.get('Center')} array {array.get('Name')!r}")
    return mesh, unread


def _check(path: Path, root: ElementTree.Element, where: str) -> None:
    grids = list(root.iter("Grid"))
    if len(grids) > 1 or any(g.get("GridType", "Uniform") != "Uniform" for g in grids):
        raise InputError(
            f"{where}: holds {len(grids)} grids (a series or a collection), a domain is one mesh; "
            "save the grid that is meant in a file of its own, best as .vtu"
        )
    left = LARGEST_MESH
    for item in root.iter("DataItem"):
        form = item.get("Format", "XML")
        if item.get("Reference") is not None or item.get("ItemType", "Uniform") != "Uniform":
            raise InputError(
                f"{where}: has data by reference or of several items, which are not read; write "
                "each array out as one DataItem, or save as .vtu"
            )
        if form == "HDF":
            left -= _hdf_size(path, (item.text or "").strip(), where)
        elif form != "XML":
            raise InputError(
                f"{where}: data in the format {form[:20]} are not read, XML or HDF are"
            )
    if left < 0:
        raise InputError(f"{where}: its arrays would take more than {LARGEST_MESH >> 20} MiB")


def _hdf_size(path: Path, place: str, where: str) -> int:
    """Bytes of a data set "file.h5:/path/in/it"."""
    import h5py

    name, _, inside = place.partition(":")
    if not name or not inside:
        raise InputError(f"{where}: {place[:60]!r} names no data set; wanted file.h5:/path")
    companion = path.resolve().parent / name
    try:
        open_regular(companion).close()
    except OSError as error:
        raise InputError(f"{where}: needs {companion}, {error.strerror}") from error
    with h5py.File(companion, "r") as file:
        found = file
        for key in filter(None, inside.split("/")):
            if isinstance(found.get(key, getlink=True), h5py.ExternalLink):
                raise InputError(
                    f"{where}: {inside[:60]!r} lies in another file, which is not read"
                )
            found = found[key]
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise InputError(f"{where}: {inside[:60]!r} is no data set of {name}")
        return int(found.nbytes)
