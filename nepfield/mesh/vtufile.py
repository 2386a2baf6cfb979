"""VTK's format .vtu as a `meshio.Mesh`, however its arrays are written.

Arrays stand in the XML as text or base64, or at the end of the file (appended) in base64 or as raw
bytes; they may be compressed in blocks by zlib, LZ4 or LZMA, with lengths of 32 or 64 bits before
them. meshio confuses appended arrays; VTK reads them all, but takes the lengths in a damaged file
at their word. Here each is held against what there is, and against the numbers of points and cells.
"""

from __future__ import annotations

import base64
import binascii
import lzma
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal
from xml.etree import ElementTree

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.cells import Ints
from nepfield.mesh.parsing import numbers_in, whole_number
from nepfield.reading import LARGEST_MESH

_TYPES = {
    f"{name}{8 * n}": f"{name[0].lower()}{n}" for name in ("Int", "UInt") for n in (1, 2, 4, 8)
}
_TYPES |= {"Float32": "f4", "Float64": "f8"}
# VTK's numbers of the cells that are read or worth a message of their own: meshio's name, nodes.
_CELLS = {
    1: ("vertex", 1), 3: ("line", 2), 5: ("triangle", 3), 8: ("quad", 4), 9: ("quad", 4),
    10: ("tetra", 4), 11: ("hexahedron", 8), 12: ("hexahedron", 8), 13: ("wedge", 6),
    14: ("pyramid", 5), 21: ("line3", 3), 22: ("triangle6", 6), 23: ("quad8", 8),
    24: ("tetra10", 10), 25: ("hexahedron20", 20), 28: ("quad9", 9), 68: ("line3", 3),
    69: ("triangle6", 6),
}  # fmt: skip
_PIXEL = 8  # a quadrilateral whose last two corners are exchanged
_OTHERS = {2: "polyvertex", 4: "polyline", 6: "triangle strip", 7: "polygon", 42: "polyhedron"}

Take = Callable[[memoryview, int, int], tuple[bytes, int]]


def _of_raw(data: memoryview, start: int, count: int) -> tuple[bytes, int]:
    """So many bytes from a place on, and the place behind them."""
    part = bytes(data[start : start + count])
    if len(part) < count:
        raise ValueError("an array ends early")
    return part, start + count


def _of_base64(data: memoryview, start: int, count: int) -> tuple[bytes, int]:
    end = start + -(-count // 3) * 4
    try:
        part = base64.b64decode(data[start:end], validate=True)
    except binascii.Error:
        raise ValueError("an array is no base64") from None
    return _of_raw(memoryview(part), 0, count)[0], end


def _zlib(block: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(block, size + 1)


def _lzma(block: bytes, size: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=LARGEST_MESH).decompress(block, size + 1)


def _lz4(block: bytes, size: int) -> bytes:
    from vtkmodules.vtkCommonCore import vtkObject  # takes half a second to import
    from vtkmodules.vtkIOCore import vtkLZ4DataCompressor

    out, told = bytearray(size), vtkObject.GetGlobalWarningDisplay()
    vtkObject.SetGlobalWarningDisplay(0)
    try:
        read = vtkLZ4DataCompressor().Uncompress(block, len(block), out, size) if block else 0
    finally:
        vtkObject.SetGlobalWarningDisplay(told)
    return bytes(out[:read])


_COMPRESSORS = {"vtkZLibDataCompressor": _zlib, "vtkLZMADataCompressor": _lzma}
_COMPRESSORS |= {"vtkLZ4DataCompressor": _lz4}


@dataclass
class _Arrays:
    """How the arrays of a file are written."""

    order: Literal["<", ">"]
    header: np.dtype  # of the lengths before an array
    expand: Callable[[bytes, int], bytes] | None  # a compressed block and the size that it gets
    appended: bytes
    take_appended: Take
    left: int = LARGEST_MESH  # bytes that arrays may still get by expanding

    def read(self, element: ElementTree.Element, rows: int | None) -> NDArray:
        """The values of a DataArray: so many rows, or as many as there are if None."""
        dtype = np.dtype(_TYPES.get(element.get("type", ""), "V"))
        if dtype.kind == "V":
            raise ValueError(f"an array has the type {element.get('type', '')[:20]!r}")
        width = whole_number(element.get("NumberOfComponents") or "1")
        form, text = element.get("format", "ascii"), (element.text or "").encode()
        wanted = None if rows is None else rows * width * dtype.itemsize
        if form == "ascii":
            values = numbers_in(text, dtype)
        elif form == "binary":
            packed = memoryview(b"".join(text.split()))
            values = self._unpacked(packed, _of_base64, wanted, dtype)
        elif form == "appended":
            packed = memoryview(self.appended)[whole_number(element.get("offset", "")) :]
            values = self._unpacked(packed, self.take_appended, wanted, dtype)
        else:
            raise ValueError(f"an array has the format {form[:20]!r}")
        if rows is not None and len(values) != rows * width:
            raise ValueError(
                f"the array {element.get('Name', '')[:40]!r} has {len(values)} values where "
                f"{rows} x {width} are announced"
            )
        return values.reshape(rows, width) if rows is not None and width != 1 else values

    def _unpacked(
        self, data: memoryview, take: Take, wanted: int | None, dtype: np.dtype
    ) -> NDArray:
        unpack = self._as_it_is if self.expand is None else self._expanded
        values = unpack(data, take, wanted)
        if len(values) % dtype.itemsize:
            raise ValueError("an array ends within a number")
        return np.frombuffer(values, dtype.newbyteorder(self.order)).astype(dtype)

    def _as_it_is(self, data: memoryview, take: Take, wanted: int | None) -> bytes:
        size = self.header.itemsize
        head, behind = take(data, 0, size)
        count = int(np.frombuffer(head, self.header)[0])
        if take is _of_base64 and b"=" not in bytes(data[:behind]):  # in one with its length
            return take(data, 0, size + count)[0][size:]
        return take(data, behind, count)[0]

    def _expanded(self, data: memoryview, take: Take, wanted: int | None) -> bytes:
        size, expand = self.header.itemsize, self.expand
        assert expand is not None
        start, _ = take(data, 0, size)
        blocks = int(np.frombuffer(start, self.header)[0])
        if blocks == 0:
            return b""
        head, behind = take(data, 0, (3 + blocks) * size)
        _, full, last, *lengths = np.frombuffer(head, self.header).tolist()
        sizes = [full] * (blocks - 1) + [last or full]
        if wanted is not None and sum(sizes) != wanted:
            raise ValueError(f"an array announces {sum(sizes)} bytes where {wanted} are due")
        self.left -= sum(sizes)
        if self.left < 0:
            raise ValueError(f"its arrays would take more than {LARGEST_MESH >> 20} MiB")
        packed, _ = take(data, behind, sum(lengths))
        ends = np.cumsum([0, *lengths]).tolist()
        parts = []
        for (first, end), expected in zip(pairwise(ends), sizes, strict=True):
            try:
                parts.append(expand(packed[first:end], expected))
            except (zlib.error, lzma.LZMAError):
                raise ValueError("an array cannot be decompressed") from None
            if len(parts[-1]) != expected:
                raise ValueError("an array has another size when it is decompressed")
        return b"".join(parts)


@dataclass
class _Piece:
    """A part of the file; VTK puts all of them together."""

    points: NDArray[np.float64]
    types: Ints
    counts: Ints
    starts: Ints
    connectivity: Ints
    data: dict[str, dict[str, NDArray]] = field(default_factory=dict)  # of points, of cells


def read_vtu(raw: bytes, where: str) -> tuple[meshio.Mesh, list[str]]:
    """Read the bytes of a .vtu file.

    Parameters
    ----------
    raw : bytes
    where : str
        Its name, for messages.

    Returns
    -------
    mesh : meshio.Mesh
        A block of cells for each type, in the order in which they first occur.
    unread : list of str
        Arrays that are left alone, such as those of texts.

    Raises
    ------
    InputError
        If the file is no .vtu, truncated or inconsistent, or holds cells that cannot be read.
    """
    unread: list[str] = []
    try:
        root, appended = _parsed(raw)
        grid = _grid(root, where)
        arrays = _encoding(root, appended, where)
        pieces = [_piece(element, arrays, unread) for element in grid.findall("Piece")]
        for element in grid.findall("FieldData/*"):
            if (name := element.get("Name", "")) not in ("TimeValue", "CYCLE"):
                unread.append(f"field array {name!r}")
        return _joined(pieces, where), list(dict.fromkeys(unread))
    except (ValueError, OverflowError, ElementTree.ParseError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{where}: cannot be read as a mesh ({error}); file truncated or damaged?"
        ) from None


def _parsed(raw: bytes) -> tuple[ElementTree.Element, bytes]:
    """The XML, and what is appended to it behind its first underscore."""
    found = re.search(rb"<AppendedData\b[^>]{0,1000}>\s{0,1000}_", raw)
    if found is None:
        return ElementTree.fromstring(raw), b""
    end = raw.rfind(b"</AppendedData>")
    if end < found.end():
        raise ValueError("AppendedData is not closed")
    head = raw[: found.end() - 1]
    return ElementTree.fromstring(head + b"</AppendedData></VTKFile>"), raw[found.end() : end]


def _grid(root: ElementTree.Element, where: str) -> ElementTree.Element:
    kind = root.get("type", "")
    if root.tag != "VTKFile" or not kind:
        raise ValueError("it is no VTK file")
    if kind != "UnstructuredGrid":
        raise InputError(
            f"{where}: holds a {kind[:40]}, nepfield reads an UnstructuredGrid: in ParaView apply "
            "the filter Append Datasets and save again as .vtu"
        )
    grid = root.find("UnstructuredGrid")
    if grid is None or grid.find("Piece") is None:
        raise ValueError("it has no UnstructuredGrid with a Piece")
    return grid


def _encoding(root: ElementTree.Element, appended: bytes, where: str) -> _Arrays:
    orders: dict[str, Literal["<", ">"]] = {"LittleEndian": "<", "BigEndian": ">"}
    order = root.get("byte_order", "LittleEndian")
    header = root.get("header_type", "UInt32")
    encoding = "base64"
    if (place := root.find("AppendedData")) is not None:
        encoding = place.get("encoding", "base64")
    if (
        order not in orders
        or header not in ("UInt32", "UInt64")
        or encoding not in ("raw", "base64")
    ):
        raise ValueError(f"byte order {order[:20]}, lengths in {header[:20]}, {encoding[:20]}")
    compressor = root.get("compressor")
    if compressor and compressor not in _COMPRESSORS:
        raise InputError(
            f"{where}: compressed by {compressor[:40]}, which is not known; save with the "
            "compressor ZLib, or none"
        )
    return _Arrays(
        orders[order],
        np.dtype(f"u{int(header[4:]) // 8}").newbyteorder(orders[order]),
        _COMPRESSORS[compressor] if compressor else None,
        appended if encoding == "raw" else appended.strip(),
        _of_raw if encoding == "raw" else _of_base64,
    )


def _piece(element: ElementTree.Element, arrays: _Arrays, unread: list[str]) -> _Piece:
    npoints, ncells = (whole_number(element.get(f"NumberOf{k}", "")) for k in ("Points", "Cells"))
    places = element.find("Points/DataArray")
    if places is None and npoints:
        raise ValueError("a Piece has no points")
    points = np.zeros((0, 3)) if places is None else arrays.read(places, npoints)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError("points must have three coordinates")
    named = {array.get("Name", ""): array for array in element.findall("Cells/DataArray")}
    if ncells and not {"connectivity", "offsets", "types"} <= named.keys():
        raise ValueError("a Piece has no connectivity, offsets or types of its cells")
    none = np.zeros(0, dtype=np.int64)
    ends = _whole(arrays.read(named["offsets"], ncells)) if ncells else none
    types = _whole(arrays.read(named["types"], ncells)) if ncells else none
    connectivity = _whole(arrays.read(named["connectivity"], None)) if ncells else none
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[:ncells]
    if (ends < starts).any() or ends.max(initial=0) > len(connectivity):
        raise ValueError("the offsets of the cells do not fit their connectivity")
    piece = _Piece(points.astype(float), types, ends - starts, starts, connectivity)
    for section, count, word in (("PointData", npoints, "point"), ("CellData", ncells, "cell")):
        piece.data[word] = {}
        for array in element.findall(f"{section}/*"):
            name = array.get("Name", "")
            if array.tag != "DataArray" or array.get("type") not in _TYPES or not name:
                unread.append(f"{word} array {name!r}")
            else:
                piece.data[word][name] = arrays.read(array, count)
    return piece


def _whole(values: NDArray) -> Ints:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError("cells are told in whole numbers, one each")
    return values.astype(np.int64)


def _joined(pieces: list[_Piece], where: str) -> meshio.Mesh:
    pieces = [piece for piece in pieces if len(piece.points)] or pieces[:1]
    data = {}
    for word in ("point", "cell"):
        names = pieces[0].data[word].keys()
        if any(piece.data[word].keys() != names for piece in pieces):
            raise ValueError(f"its pieces have different {word} arrays")
        data[word] = {name: _one([piece.data[word][name] for piece in pieces]) for name in names}
        if np.any(data[word].get("vtkGhostType", 0)):
            raise InputError(
                f"{where}: is one part of a partitioned mesh, with ghosts of the others "
                f"({word} array vtkGhostType); save the whole mesh, without ghosts"
            )
    before = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    edges = np.cumsum([0, *(len(piece.connectivity) for piece in pieces)])
    types = np.concatenate([piece.types for piece in pieces])
    counts = np.concatenate([piece.counts for piece in pieces])
    starts = np.concatenate([p.starts + edge for p, edge in zip(pieces, edges, strict=False)])
    connectivity = np.concatenate(
        [p.connectivity + shift for p, shift in zip(pieces, before, strict=False)]
    )
    cells, chosen = [], []
    kinds, first = np.unique(types, return_index=True)
    for code in kinds[np.argsort(first)].tolist():
        name, nodes = _CELLS.get(code, ("", 0))
        at = np.flatnonzero(types == code)
        if not name or (counts[at] != nodes).any():
            name = _OTHERS.get(code, f"number {code} of VTK" if not name else f"high-order {name}")
            raise InputError(
                f"{where}: cells of type {name} are not supported; split them into triangles "
                "(ParaView: Triangulate, or Tessellate)"
            )
        rows = connectivity[starts[at, None] + np.arange(nodes)]
        cells.append((name, rows[:, [0, 1, 3, 2]] if code == _PIXEL else rows))
        chosen.append(at)
    cell_data = {name: [values[at] for at in chosen] for name, values in data["cell"].items()}
    return meshio.Mesh(
        np.concatenate([piece.points for piece in pieces]), cells, data["point"], cell_data
    )


def _one(parts: Iterable[NDArray]) -> NDArray:
    return np.concatenate(list(parts))
