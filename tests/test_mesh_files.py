"""Mesh files as other programs write them, and as damage or malice leaves them."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import meshio
import numpy as np
import pytest
from test_domain import Msh, refused, same
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkUnstructuredGrid
from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridReader, vtkXMLUnstructuredGridWriter

from nepfield.mesh.domain import read_domain, write_domain
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
    types = vtk_to_numpy(theirs.GetCellTypes())
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
    assert (
        mine.point_data["height"].tobytes()
        == vtk_to_numpy(theirs.GetPointData().GetArray("height")).tobytes()
    )


@pytest.mark.filterwarnings("ignore:.*not used:UserWarning")
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


@pytest.mark.parametrize("packing", ["ascii", "appended"])
def test_pieces_and_pixels_are_put_together(packing: str, tmp_path: Path) -> None:
    """A file of two pieces, as parallel programs write, the one of pixels, the other of quads."""
    path = tmp_path / "pieces.vtu"
    data = b""

    def array(name: str, kind: str, values: list, width: int = 1) -> str:
        nonlocal data
        code = {"Float64": "d", "Int32": "i", "UInt8": "B"}[kind]
        start = f'<DataArray Name="{name}" type="{kind}" NumberOfComponents="{width}" '
        if packing == "ascii":
            return f'{start} format="ascii">{" ".join(map(str, values))}</DataArray>'
        place, raw = len(data), struct.pack(f"<{len(values)}{code}", *values)
        data += struct.pack("<I", len(raw)) + raw
        return f'{start} format="appended" offset=" {place} "/>'

    pieces = ""
    for x, row, code in ((0, [0, 1, 2, 3], 8), (1, [0, 1, 3, 2], 9)):
        points = [x, 0, 0, x + 0.9, 0, 0, x, 1, 0, x + 0.9, 1, 0]
        pieces += f"""<Piece NumberOfPoints="4" NumberOfCells="1">
        <CellData>{array("region:left", "Int32", [1 - x])}</CellData>
        <Points>{array("Points", "Float64", points, 3)}</Points>
        <Cells>{array("connectivity", "Int32", row)}{array("offsets", "Int32", [4])}
        {array("types", "UInt8", [code])}</Cells></Piece>"""
    text = f"""<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian">
    <UnstructuredGrid><FieldData><DataArray Name="note" type="String"/></FieldData>{pieces}
    </UnstructuredGrid><AppendedData encoding="raw">\n_"""
    path.write_bytes(text.encode() + data + b"\n</AppendedData></VTKFile>")
    with pytest.warns(UserWarning, match="not used: field array 'note'"):
        domain = read_domain(path, allow_disconnected=True)
    assert domain.cells.tolist() == [[0, 1, 3, 2], [4, 5, 7, 6]]
    assert domain.points[:, 0].tolist() == [0, 0.9, 0, 0.9, 1, 1.9, 1, 1.9]
    assert domain.regions["left"].tolist() == [0]


def vtu_of(path: Path, **changes: object) -> bytes:
    """A .vtu of VTK, and its bytes."""
    how = {"DataMode": "Appended", "EncodeAppendedData": 0, "Compressor": "ZLib", **changes}
    write_vtk(grid_of(read_domain(MESHES / "polygon.msh")), path, how)
    return path.read_bytes()


def test_what_is_said_of_a_vtu_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    whole = vtu_of(path)
    for old, new, *words in [
        (b"vtkZLibDataCompressor", b"vtkBrotliCompressor", "Brotli", "ZLib"),
        (b'type="UnstructuredGrid"', b'type="PolyData"', "PolyData", "Append Datasets"),
        (b"LittleEndian", b"BigEndian", "damaged"),
        (b'NumberOfPoints="', b'NumberOfPoints="9', "bytes where"),
        (b'NumberOfPoints="', b'NumberOfPoints="-', "no whole number"),
        (b'NumberOfComponents="3"', b'NumberOfComponents="2"', "damaged"),
        (b'format="appended"', b'format="hidden"', "hidden"),
        (b"UInt8", b"UInt9", "UInt9"),
        (b"</AppendedData>", b"", "not closed"),
    ]:
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        refused(path, *words)


def test_cells_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    for code, count, word in ((7, 5, "polygon"), (6, 5, "triangle strip"), (70, 4, "number 70")):
        grid, places = vtkUnstructuredGrid(), vtkPoints()
        places.SetData(numpy_to_vtk(np.random.default_rng(0).normal(size=(5, 3)), deep=True))
        grid.SetPoints(places)
        grid.InsertNextCell(code, count, list(range(count)))
        write_vtk(grid, path, {})
        refused(path, word, "Triangulate")


# --- what is in a file and cannot be honoured


def test_partitioned_meshes_are_refused(tmp_path: Path) -> None:
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.open(str(MESHES / "polygon.msh"))
        gmsh.model.mesh.partition(2)
        for binary, name in ((0, "text.msh"), (1, "binary.msh")):
            gmsh.option.setNumber("Mesh.Binary", binary)
            gmsh.write(str(tmp_path / name))
    finally:
        gmsh.finalize()
    refused(tmp_path / "text.msh", "partitioned", "export it whole")
    refused(tmp_path / "binary.msh", "partitioned")


@pytest.mark.filterwarnings("ignore:.*not used:UserWarning")
def test_a_part_with_ghosts_is_refused(tmp_path: Path) -> None:
    grid = grid_of(read_domain(MESHES / "polygon.msh"))
    ghosts = np.zeros(grid.GetNumberOfCells(), dtype=np.uint8)
    for value in (0, 1):
        ghosts[-3:] = value
        array = numpy_to_vtk(ghosts, deep=True)
        array.SetName("vtkGhostType")
        grid.GetCellData().AddArray(array)
        write_vtk(grid, tmp_path / "part.vtu", {})
        if value == 0:
            read_domain(tmp_path / "part.vtu")
    refused(tmp_path / "part.vtu", "partitioned", "vtkGhostType")


def test_several_grids_in_an_xdmf_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # meshio writes its data there
    points, cells = np.eye(3), [("triangle", [[0, 1, 2]])]
    path = tmp_path / "series.xdmf"
    with meshio.xdmf.TimeSeriesWriter(path) as writer:
        writer.write_points_cells(points, cells)
        for time in (0.0, 1.0):
            writer.write_data(time, point_data={"u": np.full(3, time)})
    refused(path, "grids (a series or a collection)", ".vtu")
    meshio.Mesh(points, cells).write(path, data_format="XML")
    one = path.read_text()
    body = one[one.index("<Grid") : one.index("</Grid>") + 7]
    path.write_text(one.replace(body, body + body))
    refused(path, "2 grids")


def test_what_nothing_reads_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    vtu_of(path)
    with pytest.warns(UserWarning, match="point array 'height', cell array 'order', ") as caught:
        read_domain(path)
    assert "mine.vtu: not used:" in str(caught[0].message)
    assert "region:NAME" in str(caught[0].message)
    meshio.Mesh(
        np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]),
        [("triangle", [[0, 1, 2]])],
        cell_data={"region:a": [[1]], "medit:ref": [[2]]},
        point_data={"region:b": np.ones(3)},
    ).write(tmp_path / "tags.xdmf")
    with pytest.warns(UserWarning, match="point array 'region:b', cell array 'medit:ref';"):
        read_domain(tmp_path / "tags.xdmf")
    graph = meshio.Mesh(
        np.array([[0.0, 0, 0], [1, 0, 0]]),
        [("vertex", [[0], [1]]), ("line", [[0, 1]])],
        cell_data={"coupling": [[0.0, 0], [1.0]], "spin": [[1, 2], [0]]},
        point_data={"way": np.ones((2, 3))},
    )
    graph.write(tmp_path / "graph.vtu")
    with pytest.warns(UserWarning, match="not used: point array 'way', cell array 'spin';"):
        read_domain(tmp_path / "graph.vtu")


def test_names_in_an_xdmf_that_nothing_reads_are_named(tmp_path: Path) -> None:
    """Older versions of meshio keep the names of a .msh as information."""
    path = tmp_path / "mine.xdmf"
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    meshio.Mesh(corner, [("triangle", [[0, 1, 2]])]).write(path)
    said = '<Information><![CDATA[<main><map key="cavity" dim="2">1</map></main>]]></Information>'
    path.write_text(path.read_text().replace("</Grid>", f"{said}</Grid>"))
    with pytest.warns(UserWarning, match="not used: information 'cavity';"):
        read_domain(path)


def test_lines_may_end_as_on_other_systems(tmp_path: Path) -> None:
    text = (MESHES / "polygon.msh").read_bytes()
    (tmp_path / "mine.msh").write_bytes(text.replace(b"\n", b"\r\n"))
    same(read_domain(tmp_path / "mine.msh"), read_domain(MESHES / "polygon.msh"))


def test_what_nothing_reads_in_a_msh_is_named(tmp_path: Path) -> None:
    mesh = Msh(names=[(0, 9, "corner"), *Msh().names])
    mesh.blocks = [("vertex", [[0]], [9]), ("line", [[0, 1]], [7, 8]), *Msh().blocks[1:]]
    data = b"$NodeData\n1\nu\n1\n0\n3\n0\n1\n999999999999\n$EndNodeData\n"
    for binary in (False, True):
        (tmp_path / "mine.msh").write_bytes(mesh.bytes(binary) + data)
        with pytest.warns(UserWarning, match="not used: ") as caught:
            read_domain(tmp_path / "mine.msh")
        message = str(caught[0].message)
        for word in ("$NodeData", "physical group 8 of dim", "physical group 'corner' of dim"):
            assert word in message


def meshio_of(path: Path) -> meshio.Mesh:
    """As `meshio convert` has a .msh, but for its sets, which it cannot write to a .vtu."""
    mesh = meshio.read(path)
    mesh.cell_sets = {}
    return mesh


def test_what_is_read_is_not_warned_of(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for path in sorted(MESHES.glob("*.msh")):
        domain = read_domain(path)
        meshio_of(path).write(tmp_path / "converted.vtu")
        read_domain(tmp_path / "converted.vtu")
        for suffix in (".vtu", ".xdmf"):
            write_domain(domain, tmp_path / f"mine{suffix}")
            read_domain(tmp_path / f"mine{suffix}")
    assert [str(w.message) for w in recwarn if "not used" in str(w.message)] == []


def test_points_may_lie_off_the_plane_by_rounding(tmp_path: Path) -> None:
    for name in ("polygon.msh", "interval.msh"):
        mesh = meshio_of(MESHES / name)
        mesh.points[:, 2] += 1e-9 * np.random.default_rng(0).normal(size=len(mesh.points))
        mesh.write(tmp_path / "noise.vtu")
        assert read_domain(tmp_path / "noise.vtu").dim == read_domain(MESHES / name).dim
        mesh.points[3, 2] += 1e-3
        mesh.write(tmp_path / "noise.vtu")
        refused(tmp_path / "noise.vtu", "varies")


# --- numbers that ask for more than there is


def vtu_bomb(blocks: int, size: int) -> bytes:
    """A .vtu whose points are zeros, compressed."""
    block = zlib.compress(bytes(size), 9)
    head = struct.pack(f"<{3 + blocks}Q", blocks, size, 0, *[len(block)] * blocks)
    none = struct.pack("<3Q", 0, 0, 0)
    array = '<DataArray Name="{}" type="{}" NumberOfComponents="{}" format="appended" offset="{}"/>'
    places = [array.format("p", "Float64", 3, 0)]
    places += [
        array.format(name, "Int64", 1, len(head) + blocks * len(block))
        for name in ("connectivity", "offsets", "types")
    ]
    return (
        f"""<VTKFile type="UnstructuredGrid" byte_order="LittleEndian" header_type="UInt64"
        compressor="vtkZLibDataCompressor"><UnstructuredGrid>
        <Piece NumberOfPoints="{blocks * size // 24}" NumberOfCells="0"><Points>{places[0]}</Points>
        <Cells>{"".join(places[1:])}</Cells></Piece></UnstructuredGrid>
        <AppendedData encoding="raw">_""".encode()
        + head
        + block * blocks
        + none
        + b"</AppendedData></VTKFile>"
    )


def test_bombs_in_a_vtu_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.vtu"
    path.write_bytes(vtu_bomb(200, 24 * 2**17))  # 600 MiB from half a MB
    assert path.stat().st_size < 2e6
    refused(path, "512 MiB")
    whole = vtu_of(path)
    small = whole.replace(b'NumberOfPoints="', b'NumberOfPoints="99999999')
    for number, raw in enumerate((small, small.replace(b"appended", b"ascii"))):
        path.write_bytes(raw)
        refused(path, "damaged")
        assert number < 2
    entities = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    path.write_text(f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><VTKFile>&a11;</VTKFile>')
    refused(path)
    path.with_suffix(".xdmf").write_text(path.read_text().replace("VTKFile", "Xdmf"))
    refused(path.with_suffix(".xdmf"))


def test_bombs_in_an_xdmf_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "bomb.xdmf"
    meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])]).write(path)
    with h5py.File(tmp_path / "bomb.h5", "a") as file:
        for name in list(file):
            del file[name]
            file.create_dataset(name, (2**25, 3), "f8", chunks=(2**16, 3), compression="gzip")
    refused(path, "512 MiB")
    text = path.read_text()
    (tmp_path / "bomb.h5").unlink()
    refused(path, "bomb.h5", "No such file")
    os.mkfifo(tmp_path / "bomb.h5")
    refused(path, "bomb.h5", "it is a pipe")
    path.write_text(text.replace('Format="HDF"', 'Format="Binary"'))
    refused(path, "Binary", "XML or HDF")


def test_counts_and_numbers_of_a_msh_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.msh"
    text = Msh().bytes().decode()
    huge = "9" * 400_000
    for old, new in [
        ("$Nodes\n1 5 1 5", f"$Nodes\n1 {huge} 1 5"),
        ("$Nodes\n1 5 1 5", "$Nodes\n1000000000000 5 1 5"),
        ("$Entities\n0 1 2 0", "$Entities\n0 1 2000000000000 0"),
        ("$Elements\n3 5 1 5", "$Elements\n3 5000000000000 1 5"),
        ("$PhysicalNames\n3", f'$PhysicalNames\n{huge}\n{huge} 1 "a"'),
        ("0.0 0.0 0.0\n1.0", f"0.0 0.0 0.0\n1.{huge}"),
        ("$MeshFormat\n4.1 0 8", f"$MeshFormat\n{huge} 0 8"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        assert len(refused(path)) < 1000


def test_comments_are_passed_over_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "mine.msh"
    comments = "$Comments\n$EndComments\n" * 200
    path.write_text(f"{comments}$Comments\n{'$Comments $EndComments ' * 40}x\n")
    refused(path)
    path.write_bytes(comments.encode() + Msh().bytes() + comments.encode())
    assert len(read_domain(path).cells) == 3
    path.write_text("$Comments\n" * 100_000)
    refused(path)


def test_very_many_equal_points_are_refused_at_once(tmp_path: Path) -> None:
    count = 200_000
    cells = np.arange(count).reshape(-1, 2)
    points = np.zeros((count, 3))
    meshio.Mesh(points, [("line", cells)]).write(tmp_path / "dots.vtu")
    refused(tmp_path / "dots.vtu", "points 0 and 1 coincide", "Clean to Grid")
    points[1:, 0] = 1.0
    meshio.Mesh(points, [("line", cells)]).write(tmp_path / "dots.vtu")
    refused(tmp_path / "dots.vtu", "points 1 and 2 coincide")


# --- other forms of text


@pytest.mark.parametrize("suffix", [".msh", ".vtu", ".xdmf"])
def test_a_byte_order_mark_is_passed_over(suffix: str, tmp_path: Path) -> None:
    domain = read_domain(MESHES / "polygon.msh")
    path = tmp_path / f"mine{suffix}"
    if suffix == ".msh":
        path.write_bytes((MESHES / "polygon.msh").read_bytes())
    else:
        write_domain(domain, path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    same(read_domain(path), domain)
