"""Domains: what is read from files, what is refused, and that what is written comes back."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import meshio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nepfield.errors import InputError
from nepfield.mesh.cells import CORNERS, DIMENSION, MIRROR, SIDES
from nepfield.mesh.domain import Domain, check_domain, read_domain, write_domain
from nepfield.mesh.lattice import lattice
from nepfield.mesh.report import cell_measures, cell_quality, describe

MESHES = Path(__file__).parents[1] / "meshes"
ALL = sorted(MESHES.glob("*.msh"))
GMSH_TYPE = {"vertex": 15, "line": 1, "line3": 8, "triangle": 2, "triangle6": 9, "quad": 3}
GMSH_TYPE |= {"quad9": 10, "tetra": 4, "triangle10": 21}
DIM = {15: 0, 1: 1, 8: 1, 2: 2, 9: 2, 3: 2, 10: 2, 21: 2, 4: 3}


@dataclass
class Msh:
    """Writes MSH 4.1, right or wrong. Blocks: (cell type, cells from 0, physical tags)."""

    points: list = field(
        default_factory=lambda: [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0.5, 0]]
    )
    blocks: list = field(
        default_factory=lambda: [
            ("line", [[0, 1], [2, 3]], [7]),
            ("triangle", [[0, 1, 2], [0, 2, 3]], [1, 2]),
            ("triangle", [[1, 4, 2]], [1]),
        ]
    )
    names: list = field(
        default_factory=lambda: [(1, 7, "wall"), (2, 1, "cavity"), (2, 2, "output")]
    )
    version: str = "4.1"

    def bytes(self, binary: bool = False) -> bytes:
        out = bytearray()

        def put(code: str, *values: float) -> None:
            if binary:
                out.extend(struct.pack(f"<{len(values)}{code}", *values))
            else:
                out.extend((" ".join(map(repr, values)) + "\n").encode())

        out += f"$MeshFormat\n{self.version} {int(binary)} 8\n".encode()
        out += struct.pack("<i", 1) + b"\n" if binary else b""
        out += b"$EndMeshFormat\n"
        if self.names:
            out += f"$PhysicalNames\n{len(self.names)}\n".encode()
            for dim, tag, name in self.names:
                out += f'{dim} {tag} "{name}"\n'.encode()
            out += b"$EndPhysicalNames\n"
        out += b"$Entities\n"
        entities = [(DIM[GMSH_TYPE[b[0]]], i + 1, b[2]) for i, b in enumerate(self.blocks)]
        put("Q", *(sum(e[0] == dim for e in entities) for dim in range(4)))
        for dim, tag, physical in sorted(entities):
            put("i", tag)
            put("d", *[0.0] * (6 if dim else 3))
            put("Q", len(physical))
            if physical:
                put("i", *physical)
            if dim:
                put("Q", 0)
        out += b"\n$EndEntities\n$Nodes\n"
        put("Q", 1, len(self.points), 1, len(self.points))
        put("i", 2, 1, 0)
        put("Q", len(self.points))
        for tag in range(len(self.points)):
            put("Q", tag + 1)
        for point in self.points:
            put("d", *map(float, point))
        out += b"\n$EndNodes\n$Elements\n"
        total = sum(len(b[1]) for b in self.blocks)
        put("Q", len(self.blocks), total, 1, total)
        number = 0
        for (kind, cells, _), (dim, tag, _) in zip(self.blocks, entities, strict=True):
            put("i", dim, tag, GMSH_TYPE[kind])
            put("Q", len(cells))
            for cell in cells:
                number += 1
                put("Q", number, *(node + 1 for node in cell))
        out += b"\n$EndElements\n"
        return bytes(out)

    def read(self, folder: Path, **options: bool) -> Domain:
        path = folder / "mine.msh"
        path.write_bytes(self.bytes())
        return read_domain(path, **options)


def same(a: Domain, b: Domain) -> None:
    """Equal, bit by bit, names in the same order."""
    assert a.kind == b.kind
    pairs = [(a.points, b.points), (a.cells, b.cells)]
    for names in ("regions", "boundaries", "edge_data", "vertex_data"):
        mine, other = getattr(a, names), getattr(b, names)
        assert list(mine) == list(other)
        pairs += [(mine[name], other[name]) for name in mine]
    for mine, other in pairs:
        assert mine.dtype == other.dtype
        assert mine.shape == other.shape
        assert mine.tobytes() == other.tobytes()


def refused(path: Path, *words: str, **options: bool) -> str:
    """Reading raises an InputError that names the file and says these words."""
    with pytest.raises(InputError) as caught:
        read_domain(path, **options)
    message = str(caught.value)
    assert path.name in message
    for word in words:
        assert word in message
    return message


# --- what ships


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_shipped_meshes_agree_with_meshio(path: Path) -> None:
    domain = read_domain(path)
    mesh = meshio.read(path)
    np.testing.assert_array_equal(domain.points, mesh.points[:, : domain.dim])
    raw = np.concatenate([b.data for b in mesh.cells if b.type == domain.kind])
    np.testing.assert_array_equal(np.sort(domain.cells, axis=1), np.sort(raw, axis=1))
    summary = describe(domain)
    assert summary.pieces == 1
    assert summary.unnamed_facets == 0
    assert summary.worst_quality > 0.6
    assert (cell_measures(domain) > 0).all()


def test_billiard() -> None:
    domain = read_domain(MESHES / "billiard.msh")
    assert domain.kind == "triangle6"
    assert set(domain.regions) == {"cavity", "output"}
    assert set(domain.boundaries) == {"wall"}
    measures = cell_measures(domain)
    output = domain.region("output")
    assert len(domain.region("cavity")) == len(domain.cells)  # overlapping groups
    assert measures[output].sum() == pytest.approx(np.pi * 0.4**2, rel=1e-4)
    assert np.hypot(*(domain.points[domain.cells[output]] - [4.2, 2.7]).T).max() <= 0.4 + 1e-6
    # rectangle + half disc - the dent's segment; the curved cells follow the arcs
    h = 0.5
    dent = np.arccos(h) - h * np.sqrt(1 - h**2)
    assert measures.sum() == pytest.approx(5.5 * 5 + np.pi * 2.5**2 / 2 - dent, rel=1e-4)


def test_interval_and_disc() -> None:
    domain = read_domain(MESHES / "interval.msh")
    assert domain.points.shape == (65, 1)
    assert domain.points[domain.boundary("left")[0, 0], 0] == 0
    assert domain.points[domain.boundary("right")[0, 0], 0] == 8
    assert cell_measures(domain)[domain.region("output")].sum() == pytest.approx(0.6)
    # the area error of quadratic arcs falls with the fourth power of the cell size
    names = ("disc", "disc-1", "disc-2")
    areas = [cell_measures(read_domain(MESHES / f"{name}.msh")).sum() for name in names]
    errors = np.pi - np.array(areas)
    assert np.all(np.log2(errors[:-1] / errors[1:]) > 3.7)


@pytest.mark.parametrize("name", ["billiard.msh", "polygon.msh", "square-quads.msh"])
def test_outer_facets_enclose_the_area(name: str) -> None:
    domain = read_domain(MESHES / name)
    facets = domain.outer_facets()
    start, end = domain.points[facets[:, 0]], domain.points[facets[:, 1]]
    if facets.shape[1] == 3:  # Simpson's rule is exact for x dy - y dx on a quadratic arc
        middle = domain.points[facets[:, 2]]
        speeds = [-3 * start + 4 * middle - end, end - start, start - 4 * middle + 3 * end]
        terms = zip((start, middle, end), speeds, (1, 4, 1), strict=True)
        area = sum(w * (p[:, 0] * v[:, 1] - p[:, 1] * v[:, 0]).sum() for p, v, w in terms) / 12
    else:
        area = (start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum() / 2
    assert area == pytest.approx(cell_measures(domain).sum(), rel=1e-10)
    wall = {tuple(row) for row in domain.boundary("wall")}
    assert wall == {tuple(row) for row in facets}


# --- round trips


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_round_trip_of_meshes(path: Path, suffix: str, tmp_path: Path) -> None:
    domain = read_domain(path)
    write_domain(domain, tmp_path / f"copy{suffix}")
    same(domain, read_domain(tmp_path / f"copy{suffix}"))
    assert [p.name for p in tmp_path.iterdir()] == [f"copy{suffix}"]


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
@pytest.mark.parametrize(
    "domain",
    [
        lattice(9, sites={"in": [2, 6], "output": 4}),
        lattice(3, 4, sites={"output": (1, 2)}),
        lattice(5, 1),
        lattice(1, 1),
        lattice(3, 3, periodic=True),
        replace(
            lattice(2, 3), edge_data={"coupling": np.array([0.1, -1 / 3, 2, 3, 4, 5e-300, np.pi])}
        ),
    ],
    ids=lambda d: d.source,
)
def test_round_trip_of_graphs(domain: Domain, suffix: str, tmp_path: Path) -> None:
    write_domain(domain, tmp_path / f"copy{suffix}")
    same(domain, read_domain(tmp_path / f"copy{suffix}"))


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
def test_round_trip_of_odd_names_and_interior_boundaries(suffix: str, tmp_path: Path) -> None:
    square = read_domain(MESHES / "square-quads.msh")
    middle = square.points[square.cells[:, :2]][..., 1].max(axis=1) == 0.5
    inner = square.cells[np.flatnonzero(middle)][:, :2]
    path = tmp_path / "mine.vtu"
    write_domain(replace(square, boundaries={"x": inner}), path)
    crossed = read_domain(path).boundaries["x"]
    assert {frozenset(row) for row in crossed.tolist()} == {frozenset(r) for r in inner.tolist()}
    odd = replace(
        square,
        regions={'a "b" <c> & d': square.regions["lower"], "Rand ä": np.array([0])},
        boundaries={"left wall": crossed},
    )
    write_domain(odd, tmp_path / f"copy{suffix}")
    same(odd, read_domain(tmp_path / f"copy{suffix}"))


def test_text_and_binary_are_the_same(tmp_path: Path) -> None:
    text, binary = tmp_path / "text.msh", tmp_path / "binary.msh"
    text.write_bytes(Msh().bytes())
    binary.write_bytes(Msh().bytes(binary=True))
    domain = read_domain(text)
    same(domain, read_domain(binary))
    assert domain.regions["cavity"].tolist() == [0, 1, 2]
    assert domain.regions["output"].tolist() == [0, 1]
    assert domain.boundaries["wall"].tolist() == [[0, 1], [2, 3]]
    summary = describe(domain)
    assert (summary.outer_facets, summary.unnamed_facets) == (5, 3)
    assert "3 of 5 outer facets have no name" in str(summary)
    assert summary.measure == pytest.approx(1.5)


def test_gmsh_binary_of_a_shipped_mesh(tmp_path: Path) -> None:
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.open(str(MESHES / "billiard.msh"))
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.write(str(tmp_path / "binary.msh"))
        gmsh.option.setNumber("Mesh.MshFileVersion", 2.2)
        gmsh.write(str(tmp_path / "old.msh"))
    finally:
        gmsh.finalize()
    same(read_domain(MESHES / "billiard.msh"), read_domain(tmp_path / "binary.msh"))
    refused(tmp_path / "old.msh", "2.2", "gmsh -format msh41", "loses names")


# --- names from .vtu and .xdmf of other programs


def square(**cell_data: list) -> meshio.Mesh:
    points = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    blocks = [("triangle", [[0, 1, 2], [0, 2, 3]]), ("line", [[1, 0], [3, 2]])]
    data = {
        key.replace("__", ":"): [np.array(v) for v in values] for key, values in cell_data.items()
    }
    return meshio.Mesh(np.array(points, float), blocks, cell_data=data)


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
def test_names_on_line_cells(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    square(region__left=[[0.0, 1.0], [0.0, 0.0]], boundary__wall=[[0, 0], [1, 0]]).write(path)
    domain = read_domain(path)
    assert {k: v.tolist() for k, v in domain.regions.items()} == {"left": [1]}
    assert domain.boundaries["wall"].tolist() == [[0, 1]]  # in the direction of its cell


def test_names_from_tags(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    square(**{"medit:ref": [[1, 2], [0, 5]]}).write(path)
    domain = read_domain(path)
    assert {k: v.tolist() for k, v in domain.regions.items()} == {"1": [0], "2": [1]}
    assert {k: v.tolist() for k, v in domain.boundaries.items()} == {"5": [[2, 3]]}


def test_mesh_without_names_is_one_region(tmp_path: Path) -> None:
    square().write(tmp_path / "mine.vtu")
    domain = read_domain(tmp_path / "mine.vtu")
    assert domain.regions["domain"].tolist() == [0, 1]
    assert domain.boundaries == {}


def test_graph_from_vertices_in_any_order(tmp_path: Path) -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 2, 0]])
    blocks = [("line", [[0, 1], [2, 1]]), ("vertex", [[2], [0], [1]])]
    data = {
        "region:output": [np.array([0, 0]), np.array([1, 0, 0])],
        "boundary:wall": [np.array([0, 0]), np.array([0, 2, 1])],
        "coupling": [np.array([0.5, -2.0]), np.zeros(3)],
    }
    meshio.Mesh(points, blocks, cell_data=data).write(tmp_path / "mine.vtu")
    domain = read_domain(tmp_path / "mine.vtu")
    assert (domain.kind, domain.dim) == ("graph", 2)
    assert domain.cells.tolist() == [[0, 1], [2, 1]]
    assert domain.regions["output"].tolist() == [2]
    assert domain.boundaries["wall"].tolist() == [[0], [0], [1]]
    assert domain.edge_data["coupling"].tolist() == [0.5, -2.0]


def test_line_mesh_is_no_graph_and_may_run_backwards(tmp_path: Path) -> None:
    points = np.array([[0.0, 3, 1], [1, 3, 1], [2.5, 3, 1]])
    blocks = [("line", [[1, 0], [1, 2]]), ("vertex", [[0], [2]])]
    data = {"boundary:ends": [np.array([0, 0]), np.array([1, 1])]}
    meshio.Mesh(points, blocks, cell_data=data).write(tmp_path / "mine.vtu")
    domain = read_domain(tmp_path / "mine.vtu")
    assert (domain.kind, domain.dim) == ("line", 1)
    assert domain.cells.tolist() == [[0, 1], [1, 2]]
    assert domain.boundaries["ends"].tolist() == [[0], [2]]
    np.testing.assert_array_equal(domain.outer_facets(), [[0], [2]])


# --- orientation


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.name)
def test_clockwise_meshes_are_turned_over(path: Path, tmp_path: Path) -> None:
    domain = read_domain(path)
    turned = replace(domain, cells=domain.cells[:, MIRROR[domain.kind]])
    write_domain(turned, tmp_path / "turned.vtu")
    again = read_domain(tmp_path / "turned.vtu")
    np.testing.assert_array_equal(again.cells, domain.cells)
    for name, facets in domain.boundaries.items():
        np.testing.assert_array_equal(again.boundaries[name], facets)
    if domain.kind != "line":
        with pytest.raises(InputError, match="inverted"):
            check_domain(turned)


def test_a_clockwise_gmsh_surface_is_turned_over(tmp_path: Path) -> None:
    mesh = Msh()
    mesh.blocks[2] = ("triangle", [[1, 2, 4]], [1])
    assert mesh.read(tmp_path).cells[2].tolist() == [1, 4, 2]


@pytest.mark.parametrize("name", ["billiard.msh", "polygon.msh", "square-quads.msh"])
def test_each_cell_that_runs_the_other_way_is_turned(name: str, tmp_path: Path) -> None:
    domain = read_domain(MESHES / name)
    for turned in ([17], np.arange(0, len(domain.cells), 3)):
        cells = domain.cells.copy()
        cells[turned] = cells[turned][:, MIRROR[domain.kind]]
        write_domain(replace(domain, cells=cells), tmp_path / "mixed.vtu")
        same(read_domain(tmp_path / "mixed.vtu"), domain)


@pytest.mark.parametrize("name", ["polygon.msh", "billiard.msh", "square-quads.msh"])
def test_folded_and_overlapping_meshes_are_refused(name: str, tmp_path: Path) -> None:
    """A cell that is turned must not hide that it lies on top of others."""
    domain = read_domain(MESHES / name)
    bare = replace(domain, regions={}, boundaries={})
    inner = np.setdiff1d(domain.cells[:, 0], domain.outer_facets())[:12]
    for point in inner:  # a corner is drawn across the opposite side of a cell
        cell = domain.cells[(domain.cells == point).any(axis=1)][0]
        others = [p for p in cell[: CORNERS[domain.kind]] if p != point]
        points = domain.points.copy()
        points[point] = points[others].mean(axis=0) * 1.8 - points[point] * 0.8
        write_domain(replace(bare, points=points), tmp_path / "folded.vtu")
        refused(tmp_path / "folded.vtu", "cell")
    for cell in (3, 17):  # and a cell that stands twice, the second time the other way
        twice = np.concatenate([domain.cells, domain.cells[cell][None, MIRROR[domain.kind]]])
        write_domain(replace(bare, cells=twice), tmp_path / "twice.vtu")
        refused(tmp_path / "twice.vtu", f"cells {cell}", "cover each other")


# --- refused files


def test_missing_folder_suffix(tmp_path: Path) -> None:
    refused(tmp_path / "none.msh", "no such mesh file")
    refused(tmp_path, "folder", ".msh")
    (tmp_path / "mesh.stl").write_text("solid")
    refused(tmp_path / "mesh.stl", "'.stl'", ".vtu")
    refused(tmp_path / "x" / "y.vtu", "no such mesh file")


@pytest.mark.parametrize("version", ["2.2", "2", "4.0", "3", "abc"])
def test_other_versions_of_msh(version: str, tmp_path: Path) -> None:
    (tmp_path / "old.msh").write_bytes(Msh(version=version).bytes())
    refused(tmp_path / "old.msh", version, "4.1", "gmsh -format msh41")


@pytest.mark.parametrize("binary", [False, True])
def test_truncated_msh(binary: bool, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = Msh().bytes(binary)
    path = tmp_path / "cut.msh"
    for length in range(0, len(whole) - len(b"$EndElements\n"), 7):
        path.write_bytes(whole[:length])
        refused(path)
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "")


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf", ".msh"])
@pytest.mark.parametrize("content", [b"", b"hello", b"<VTKFile>", b"\x00\xff" * 50, b"<Xdmf/>"])
def test_no_mesh_at_all(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
def test_truncated_xml(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / f"cut{suffix}"
    write_domain(read_domain(MESHES / "disc.msh"), path)
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 10, 15).astype(int):
        path.write_bytes(whole[:length])
        refused(path)
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "")


def test_counts_that_disagree(tmp_path: Path) -> None:
    path = tmp_path / "bad.msh"
    text = Msh().bytes().decode()
    for old, new, word in [
        ("$Nodes\n1 5 1 5", "$Nodes\n1 6 1 5", "6 nodes"),
        ("$Nodes\n1 5 1 5\n2 1 0", "$Nodes\n1 5 1 5\n2 1 1", "parametric"),
        ("$Elements\n3 5 1 5", "$Elements\n3 9 1 5", "9 elements"),
        ("$Elements\n3 5 1 5\n1 1 1\n2", "$Elements\n3 5 1 5\n1 1 1\n2000000000000", "damaged"),
        ("\n5\n0.0 0.0 0.0", "\n50000000000\n0.0 0.0 0.0", "renumber"),
        ("\n5\n0.0 0.0 0.0", "\n9\n0.0 0.0 0.0", ""),  # element names a node that is not there
        ("$Nodes\n", "$Noses\n", "$Nodes"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        refused(path, word)


@pytest.mark.parametrize(
    ("kind", "cells", "word"),
    [
        ("tetra", [[0, 1, 2, 3]], "3-D"),
        ("quad9", [[0, 1, 2, 3, 4, 5, 6, 7, 8]], "quad9"),
        ("triangle10", [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]], "triangle10"),
        ("quad", [[0, 1, 2, 3]], "mixes cells of types quad and triangle"),
    ],
)
def test_unsupported_cells(kind: str, cells: list, word: str, tmp_path: Path) -> None:
    mesh = Msh(points=np.random.default_rng(0).random((10, 3)).tolist())
    mesh.blocks.append((kind, cells, [1]))
    path = tmp_path / "mine.msh"
    path.write_bytes(mesh.bytes())
    refused(path, word)
    if kind == "triangle10":  # there is no such VTK cell
        return
    block = [("triangle", [[0, 1, 2]]), (kind, cells)]
    meshio.Mesh(np.array(mesh.points), block).write(tmp_path / "mine.vtu")
    refused(tmp_path / "mine.vtu", word)


def test_quadratic_lines_and_no_cells(tmp_path: Path) -> None:
    points = [[0, 0, 0], [1, 0, 0], [0.5, 0, 0]]
    path = tmp_path / "mine.msh"
    path.write_bytes(Msh(points, [("line3", [[0, 1, 2]], [1])], [(1, 1, "line")]).bytes())
    refused(path, "line3", "Mesh.ElementOrder = 1")
    path.write_bytes(Msh(points, [], [(1, 1, "line")]).bytes())
    refused(path, "no cells")
    path.write_bytes(Msh(points, [("vertex", [[0], [1], [2]], [1])], [(0, 1, "dots")]).bytes())
    refused(path, "vertices only")


def test_geometry(tmp_path: Path) -> None:
    path = tmp_path / "mine.msh"

    def says(mesh: Msh, *words: str, **options: bool) -> None:
        path.write_bytes(mesh.bytes())
        refused(path, *words, **options)

    good = Msh().points
    for bad in ("nan", "inf"):
        says(Msh(points=[*good[:4], [2, float(bad), 0]]), "point 4", "finite")
    says(Msh(points=[*good[:4], [2, 0.5, 0.1]]), "z = const")
    says(Msh(points=[*good, [1, 1 + 1e-14, 0]]), "points 2 and 5 coincide")
    says(Msh(points=[*good, [0.3, 0.4, 0]]), "point 5", "Mesh.SaveAll = 0")
    says(Msh(points=[*good[:4], [1, 0.5, 0]]), "cell 2", "zero area")
    twice = Msh()
    twice.blocks[2] = ("triangle", [[1, 4, 2], [1, 4, 2]], [1])
    says(twice, "cover each other")
    fold = Msh(points=[*good[:4], [0.2, 0.5, 0]])  # the third triangle lies on the first
    fold.blocks[2] = ("triangle", [[1, 2, 4]], [1])
    says(fold, "cover each other")
    apart = Msh(points=[*good, [5, 5, 0], [6, 5, 0], [5, 6, 0]])
    apart.blocks.append(("triangle", [[5, 6, 7]], [1]))
    says(apart, "2 pieces", "allow_disconnected")
    assert describe(apart.read(tmp_path, allow_disconnected=True)).pieces == 2
    corner = Msh(points=[*good, [3, 0, 0], [3, 1, 0]])  # joined by one point alone
    corner.blocks.append(("triangle", [[4, 5, 6]], [1]))
    says(corner, "2 pieces")


def test_quads_that_are_not_convex(tmp_path: Path) -> None:
    points = [[0, 0, 0], [2, 0, 0], [0.4, 0.4, 0], [0, 2, 0]]
    path = tmp_path / "mine.msh"
    path.write_bytes(Msh(points, [("quad", [[0, 1, 2, 3]], [1])], [(2, 1, "all")]).bytes())
    refused(path, "cell 0", "not convex")


def test_curved_triangle_that_folds(tmp_path: Path) -> None:
    path = tmp_path / "mine.msh"
    points = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0]]
    block = [("triangle6", [[0, 1, 2, 3, 4, 5]], [1])]
    path.write_bytes(Msh(points, block, [(2, 1, "all")]).bytes())
    assert cell_measures(read_domain(path)) == pytest.approx([0.5])
    assert cell_quality(read_domain(path))[0] == pytest.approx(np.sqrt(3) / 2)
    points[4] = [0.3, 0.3, 0]
    path.write_bytes(Msh(points, block, [(2, 1, "all")]).bytes())
    assert cell_measures(read_domain(path)) == pytest.approx([0.5 - 2 / 3 * 0.4])
    points[4] = [0.2, 0.2, 0]
    path.write_bytes(Msh(points, block, [(2, 1, "all")]).bytes())
    refused(path, "cell 0", "folds over")


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.msh"
    names = [(1, 1, "line")]
    for points, cells, word in [
        ([[0, 0, 0], [1, 1, 0]], [[0, 1]], "x axis"),
        ([[0, 0, 0], [2, 0, 0], [1, 0, 0]], [[0, 1], [1, 2]], "cover each other"),
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1], [1, 1], [1, 2]], "zero length"),
    ]:
        path.write_bytes(Msh(points, [("line", cells, [1])], names).bytes())
        refused(path, word)


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.msh"

    def says(names: list, *words: str, blocks: list | None = None) -> None:
        path.write_bytes(Msh(names=names, blocks=blocks or Msh().blocks).bytes())
        refused(path, *words)

    wall, cavity, output = Msh().names
    says([], 'Physical Surface("domain"')
    says([wall], "physical group 1 has no name")
    says([wall, (2, 1, ""), output], "empty name")
    says([wall, (2, 1, "  "), output], "empty name")
    says([wall, cavity, (2, 2, "wall")], "two physical groups are called 'wall'")
    says([wall, cavity, output, (2, 3, "nothing")], "'nothing' names no cells")
    says([wall, cavity, output, (1, 3, "nothing")], "'nothing' names no cells")
    blocks = [(kind, cells, []) for kind, cells, _ in Msh().blocks]
    says([], "no named region", blocks=blocks)
    blocks = [Msh().blocks[0], Msh().blocks[1], ("triangle", [[1, 4, 2]], [])]
    says(Msh().names, "Mesh.SaveAll = 0", blocks=blocks)
    blocks = [("line", [[0, 1], [1, 3]], [7]), *Msh().blocks[1:]]
    says(Msh().names, "boundary 'wall'", "facet 1", "[1, 3]", blocks=blocks)
    blocks = [("line3", [[0, 1, 4]], [7]), *Msh().blocks[1:]]
    says(Msh().names, "line3", blocks=blocks)


def test_arrays_of_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    for data, words in [
        ({"region:a": [[0, 2], [0, 0]]}, ("region:a", "0 to 1")),
        ({"region:a": [[0, 0.5], [0, 0]]}, ("region:a", "0 to 1")),
        ({"region:a": [[0, np.nan], [0, 0]]}, ("region:a",)),
        ({"region:a": [[[0, 1], [1, 0]], [[0, 1], [1, 0]]]}, ("region:a",)),
        ({"region:a": [[0, 0], [0, 0]]}, ("'a' names no cells",)),
        ({"region:": [[0, 1], [0, 0]]}, ("no name after",)),
        ({"boundary: ": [[0, 0], [1, 0]]}, ("no name after",)),
        ({"boundary:b": [[8, 0], [1, 0]]}, ("boundary:b", "0 to 7")),
        ({"boundary:b": [[0, 0], [0, 0]]}, ("'b' names no cells",)),
        ({"gmsh:physical": [[1.5, 1], [1, 1]]}, ("whole numbers",)),
    ]:
        square(**data).write(path)
        refused(path, *words)


def test_broken_graphs(tmp_path: Path) -> None:
    path = tmp_path / "mine.vtu"
    for change, word in [
        ({"cells": np.array([[0, 1], [1, 1]])}, "with itself"),
        ({"cells": np.array([[0, 1], [1, 2], [2, 1]])}, "stands twice"),
        ({"cells": np.array([[0, 1]])}, "2 pieces"),
        ({"edge_data": {"coupling": np.array([1.0, np.inf])}}, "coupling"),
        ({"points": np.array([[0.0], [1.0], [1.0]])}, "coincide"),
        ({"points": np.array([[0.0], [1.0], [np.nan]])}, "finite"),
    ]:
        write_domain(replace(lattice(3), **change), path)
        refused(path, word)


def test_missing_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_domain(lattice(3), tmp_path / "mine.xdmf")
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(tmp_path / "mine.xdmf", "pip install h5py")


def test_meshio_never_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.xdmf"
    write_domain(lattice(3), path)
    for error in (SystemExit(1), MemoryError(), RecursionError("deep")):

        def fail(*_: object, error: BaseException = error) -> None:
            print("noise")
            raise error

        monkeypatch.setattr(meshio, "read", fail)
        refused(path, "noise")


def test_write_domain_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.vtu or \.xdmf"):
        write_domain(lattice(3), tmp_path / "mine.msh")
    with pytest.raises(InputError, match="does not exist"):
        write_domain(lattice(3), tmp_path / "none" / "mine.vtu")
    polygon = read_domain(MESHES / "polygon.msh")
    with pytest.raises(InputError, match="no side of any cell"):
        write_domain(replace(polygon, boundaries={"b": np.array([[0, 9]])}), tmp_path / "b.vtu")
    assert list(tmp_path.iterdir()) == []


def test_names_that_do_not_exist() -> None:
    domain = read_domain(MESHES / "billiard.msh")
    with pytest.raises(
        InputError, match=r"billiard.msh: no region called 'outptu'; there is 'output'"
    ):
        domain.region("outptu")
    with pytest.raises(InputError, match="no boundary called 'rim'; there is 'wall'"):
        domain.boundary("rim")
    with pytest.raises(InputError, match="there is none"):
        lattice(3).region("a")


# --- lattices


def test_lattice_by_hand() -> None:
    domain = lattice(2, 3, sites={"output": (1, 2), "pair": [[0, 1], [0, 0]], "one": 4})
    assert domain.points.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    assert sorted(domain.cells.tolist()) == [[0, 1], [0, 3], [1, 2], [1, 4], [2, 5], [3, 4], [4, 5]]
    assert domain.boundaries["wall"].ravel().tolist() == [0, 0, 1, 2, 2, 3, 3, 4, 5, 5]
    assert {k: v.tolist() for k, v in domain.regions.items()} == {
        "output": [5],
        "pair": [0, 1],
        "one": [4],
    }
    assert lattice(9).points.tolist() == [[float(i)] for i in range(9)]
    np.testing.assert_array_equal(lattice(9).outer_facets(), [[0], [8]])


sizes = st.one_of(st.tuples(st.integers(1, 12)), st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(shape=sizes, periodic=st.booleans())
def test_every_site_has_all_its_neighbours_or_ghosts(shape: tuple, periodic: bool) -> None:
    if periodic:
        shape = tuple(n + 2 for n in shape)
    domain = lattice(*shape, periodic=periodic)
    n = int(np.prod(shape))
    degree = np.bincount(domain.cells.ravel(), minlength=n)
    ghosts = np.bincount(domain.outer_facets()[:, 0], minlength=n)
    assert (degree + ghosts == 2 * len(shape)).all()
    assert ("wall" in domain.boundaries) == (not periodic)
    if not periodic:
        assert len(domain.cells) == sum((m - 1) * n // m for m in shape)
        steps = np.diff(domain.points[domain.cells], axis=1)
        assert (np.abs(steps).sum(axis=(1, 2)) == 1).all()
    last = domain.points[-1] if len(shape) == 1 else domain.points[-1][::-1]
    assert tuple(last) == tuple(m - 1 for m in shape)
    check_domain(domain)


@pytest.mark.parametrize(
    ("shape", "options", "word"),
    [
        ((), {}, "n or ny, nx"),
        ((0,), {}, "at least 1"),
        ((2, 3, 4), {}, "n or ny, nx"),
        ((2.0,), {}, "whole"),
        ((True,), {}, "whole"),
        ((2,), {"periodic": True}, "at least 3"),
        ((9,), {"sites": {"output": 9}}, "'output'"),
        ((9,), {"sites": {"output": -1}}, "'output'"),
        ((9,), {"sites": {"output": 1.5}}, "'output'"),
        ((9,), {"sites": {"output": True}}, "'output'"),
        ((9,), {"sites": {"output": []}}, "'output'"),
        ((3, 4), {"sites": {"output": (3, 0)}}, "[iy, ix]"),
        ((3, 4), {"sites": {"output": (0, 1, 2)}}, "[iy, ix]"),
        ((3, 4), {"sites": {"output": [[0, 1], [2]]}}, "[iy, ix]"),
    ],
)
def test_lattice_refuses(shape: tuple, options: dict, word: str) -> None:
    with pytest.raises(InputError) as caught:
        lattice(*shape, **options)
    assert word in str(caught.value)


# --- any bytes at all


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.sampled_from(["text.msh", "binary.msh", "mine.vtu", "mine.xdmf", "graph.vtu"]),
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    cut=st.floats(0.5, 1.5),
)
def test_corrupt_bytes_raise_input_error_or_nothing(
    which: str, changes: list, cut: float, tmp_path: Path
) -> None:
    path = tmp_path / which
    original = tmp_path / f"original-{which}"
    if not original.exists():
        if which == "graph.vtu":
            write_domain(replace(lattice(2, 2), edge_data={"coupling": np.ones(4)}), original)
        elif which.endswith(".msh"):
            original.write_bytes(Msh().bytes(binary=which == "binary.msh"))
        else:
            (tmp_path / "seed.msh").write_bytes(Msh().bytes())
            write_domain(read_domain(tmp_path / "seed.msh"), original)
    raw = bytearray(original.read_bytes())
    for place, new in changes:
        start = int(place * (len(raw) - len(new)))
        raw[start : start + len(new)] = new
    path.write_bytes(raw[: int(cut * len(raw))] if cut < 1 else raw)
    try:
        domain = read_domain(path)
    except InputError:
        return
    check_domain(domain)
    if domain.kind in DIMENSION:
        assert domain.cells.shape[1] == SIDES[domain.kind].max() + 1
