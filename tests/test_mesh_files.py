"""Mesh files as other programs write them, and as damage or malice leaves them."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path

import meshio
import numpy as np
import pytest
from test_domain import Msh, refused
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkUnstructuredGrid
from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridReader, vtkXMLUnstructuredGridWriter

from nepfield.mesh.domain import read_domain
from nepfield.mesh.vtufile import read_vtu

MESHES = Path(__file__).parents[1] / "meshes"
VTK_CELLS = {"line": 3, "triangle": 5, "triangle6": 22, "quad": 9}

# --- .vtu as VTK writes it


def grid_of(domain: object, points: type = np.float64) -> vtkUnstructuredGrid:
    """A domain as VTK has it: its lines of the wall first, arrays of several types on all."""
    grid, places = vtkUnstructuredGrid(), vtkPoints()
    space = np.zeros((len(domain.points), 3), points)
    space[:, : domain.dim] = domain.points
    places.SetData(numpy_to_vtk(space, deep=True))
    grid.SetPoints(places)
    walls = domain.boundaries["wall"]
    for row in walls:
        grid.InsertNextCell(3, 2, row.tolist())
    for row in domain.cells:
        grid.InsertNextCell(VTK_CELLS[domain.kind], len(row), row.tolist())
    count = len(walls) + len(domain.cells)
    wall = (np.arange(count) < len(walls)).astype(np.int8)
    for name, values in {
        "boundary:wall": wall,
        "region:all": (1 - wall).astype(np.int32),
        "region:some": np.where(wall, 0, np.arange(count) % 2).astype(np.float32),
        "order": np.arange(count, dtype=np.int64) * 7 - 3,
        "small": (np.arange(count) % 251).astype(np.uint8),
        "flow": np.random.default_rng(0).normal(size=(count, 3)),
    }.items():
        array = numpy_to_vtk(values, deep=True)
        array.SetName(name)
        grid.GetCellData().AddArray(array)
    height = numpy_to_vtk(np.random.default_rng(1).normal(size=len(space)).astype("f4"), deep=True)
    height.SetName("height")
    grid.GetPointData().AddArray(height)
    return grid


def write_vtk(grid: vtkUnstructuredGrid, path: Path, how: dict) -> None:
    writer = vtkXMLUnstructuredGridWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(grid)
    writer.SetBlockSize(1024)  # several blocks, the last one shorter
    for key, value in how.items():
        if key == "Compressor":
            getattr(writer, f"SetCompressorTypeTo{value}")()
        elif isinstance(value, str):
            getattr(writer, f"Set{key}To{value}")()
        else:
            getattr(writer, f"Set{key}")(value)
    assert writer.Write() == 1


PACKED = [
    {"Compressor": compressor, "HeaderType": header}
    for compressor in ("None", "ZLib", "LZ4", "LZMA")
    for header in ("UInt32", "UInt64")
]
WRITERS = [{"DataMode": "Ascii", "IdType": bits} for bits in ("Int32", "Int64")]
WRITERS += [{"DataMode": "Binary", **how} for how in PACKED]
WRITERS += [{"DataMode": "Appended", "EncodeAppendedData": e, **h} for e in (0, 1) for h in PACKED]


def same_as_vtk(path: Path) -> None:
    """What is read is what VTK reads, bit by bit."""
    reader = vtkXMLUnstructuredGridReader()
    reader.SetFileName(str(path))
    reader.Update()
    theirs = reader.GetOutput()
    mine, unread = read_vtu(path.read_bytes(), path.name)
    assert unread == []
    np.testing.assert_array_equal(mine.points, vtk_to_numpy(theirs.GetPoints().GetData()))
    types = vtk_to_numpy(theirs.GetCellTypesArray())
    offsets = vtk_to_numpy(theirs.GetCells().GetOffsetsArray())
    rows = np.split(vtk_to_numpy(theirs.GetCells().GetConnectivityArray()), offsets[1:-1])
    chosen = {block.type: np.flatnonzero(types == VTK_CELLS[block.type]) for block in mine.cells}
    assert sum(map(len, chosen.values())) == len(types)
    for block in mine.cells:
        np.testing.assert_array_equal(block.data, [rows[i] for i in chosen[block.type]])
    assert len(mine.cell_data) == theirs.GetCellData().GetNumberOfArrays() == 6
    for name, parts in mine.cell_data.items():
        whole = vtk_to_numpy(theirs.GetCellData().GetArray(name))
        for block, part in zip(mine.cells, parts, strict=True):
            assert part.dtype == whole.dtype
            assert part.tobytes() == whole[chosen[block.type]].tobytes()
    assert mine.point_data["height"].tobytes() == vtk_to_numpy(
        theirs.GetPointData().GetArray("height")
    ).tobytes()


@pytest.mark.parametrize("how", WRITERS, ids=lambda how: "-".join(map(str, how.values())))
def test_every_writer_of_vtk_is_read_as_vtk_reads_it(how: dict, tmp_path: Path) -> None:
    domain = read_domain(MESHES / "polygon.msh")
    for number, order in enumerate(("LittleEndian", "BigEndian")):
        path = tmp_path / f"{order}.vtu"
        grid = grid_of(domain, (np.float64, np.float32)[number])
        write_vtk(grid, path, {**how, "ByteOrder": order})
        same_as_vtk(path)
        read = read_domain(path)
        np.testing.assert_array_equal(read.cells, domain.cells)
        assert len(read.boundaries["wall"]) == len(domain.boundaries["wall"])
        assert len(read.regions["all"]) == len(domain.cells)


def test_there_are_26_writers() -> None:
    assert len(WRITERS) == 26
