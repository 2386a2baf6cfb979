"""Graph meshes: what the constructors make, what they refuse, and what files keep of them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import scipy.sparse.csgraph as csgraph
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nepfield as nf
from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter
from nepfield.mesh.cells import count_pieces, quadratic_shapes
from nepfield.mesh.domain import add_sets, check_domain
from nepfield.mesh.graphs import GRAPHS, MOST_EDGES, layer_sizes, make_graph
from tests.test_domain import same

layers = st.lists(st.integers(1, 9), min_size=2, max_size=5)


def degrees(domain: nf.Domain) -> np.ndarray:
    return np.bincount(domain.cells.ravel(), minlength=len(domain.points))


@st.composite
def graphs(draw: st.DrawFn) -> nf.Domain:
    """A graph of any kind, with sets, edge data and vertex data."""
    kind = draw(st.sampled_from(sorted(GRAPHS)))
    seed = draw(st.integers(0, 2**40))
    options: dict[str, Any] = {
        "complete": {"vertices": draw(st.integers(1, 12))},
        "layered": {"layers": draw(layers)},
        "lattice": {"shape": [draw(st.integers(1, 5)) for _ in range(draw(st.integers(1, 2)))]},
        "random-geometric": {
            "vertices": draw(st.integers(1, 15)),
            "radius": draw(st.floats(0.01, 2)),
            "seed": seed,
            "dim": draw(st.sampled_from([2, 3])),
            "allow_disconnected": True,
        },
        "delaunay": {"vertices": draw(st.integers(3, 15)), "seed": seed},
        "hypercube": {"dimension": draw(st.integers(1, 5))},
    }[kind]
    domain = make_graph(kind, **options)
    n, nedges = len(domain.points), len(domain.cells)
    names = st.text("ab <>&\"'é:.", min_size=1, max_size=6).filter(str.strip)
    members = st.lists(st.integers(0, n - 1), min_size=1, max_size=5)
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    domain = add_sets(domain, draw(st.dictionaries(names, members, max_size=3)))

    def data(count: int) -> dict[str, np.ndarray]:
        columns = st.lists(numbers, min_size=count, max_size=count)
        drawn = draw(st.dictionaries(st.one_of(st.just("coupling"), names), columns, max_size=3))
        return {name: np.array(values, dtype=float) for name, values in drawn.items()}

    return replace(domain, edge_data=data(nedges), vertex_data=data(n))


# --- what is made


@given(n=st.integers(1, 40))
def test_complete_graph_joins_all(n: int) -> None:
    domain = nf.complete_graph(n)
    check_domain(domain)
    assert len(domain.cells) == n * (n - 1) // 2
    assert (degrees(domain) == n - 1).all()
    if n > 1:
        steps = np.linalg.norm(domain.points - np.roll(domain.points, 1, axis=0), axis=1)
        assert steps == pytest.approx(1)
        assert np.linalg.norm(domain.points, axis=1) == pytest.approx(0.5 / np.sin(np.pi / n))


@given(sizes=layers)
def test_layers_are_joined_to_their_neighbours_alone(sizes: list[int]) -> None:
    domain = nf.layered_graph(*sizes)
    check_domain(domain)
    layer = np.repeat(np.arange(len(sizes)), sizes)
    assert (np.diff(layer[domain.cells], axis=1) == 1).all()
    assert len(domain.cells) == sum(a * b for a, b in pairwise(sizes))
    for k in range(len(sizes)):
        assert domain.regions[f"layer{k}"].tolist() == np.flatnonzero(layer == k).tolist()
    assert domain.regions["input"].tolist() == domain.regions["layer0"].tolist()
    assert domain.regions["output"].tolist() == domain.regions[f"layer{len(sizes) - 1}"].tolist()
    count = np.array(sizes)
    expected = count[layer[domain.cells[:, 0]]] + count[layer[domain.cells[:, 1]]]
    assert layer_sizes(domain).tolist() == expected.tolist()
    # a column a layer; the edges of a pair of layers are a matrix
    assert len(np.unique(domain.points[:, 0])) == len(sizes)
    assert len(np.unique(domain.points[layer == 0, 0])) == 1
    first = domain.cells[: sizes[0] * sizes[1]].reshape(sizes[0], sizes[1], 2)
    assert (first[:, :, 0] == np.arange(sizes[0])[:, None]).all()
    assert (first[:, :, 1] == sizes[0] + np.arange(sizes[1])).all()


def test_layers_of_the_digits_network() -> None:
    domain = nf.layered_graph(64, 20, 10)
    assert (len(domain.points), len(domain.cells)) == (94, 1480)
    assert np.unique(layer_sizes(domain)).tolist() == [30, 84]
    width, height = np.ptp(domain.points, axis=0)
    assert height == 63
    assert width / height == pytest.approx(4 / 3, rel=0.05)


@given(
    n=st.integers(1, 40),
    radius=st.floats(0.05, 1.8),
    seed=st.integers(0, 10**6),
    dim=st.sampled_from([2, 3]),
)
def test_near_points_are_joined(n: int, radius: float, seed: int, dim: int) -> None:
    domain = nf.random_geometric_graph(n, radius, seed, dim, allow_disconnected=True)
    check_domain(domain, allow_disconnected=True)
    assert domain.points.shape == (n, dim)
    assert ((domain.points >= 0) & (domain.points < 1)).all()
    distance = np.linalg.norm(domain.points[:, None] - domain.points, axis=2)
    pairs = np.argwhere(np.triu(distance <= radius, 1))
    assert domain.cells.tolist() == pairs.tolist()
    again = nf.random_geometric_graph(n, radius, seed, dim, allow_disconnected=True)
    assert np.array_equal(domain.points, again.points)


@given(n=st.integers(2, 40), radius=st.floats(0.02, 0.3), seed=st.integers(0, 10**6))
def test_pieces_are_told_with_the_radius_that_joins_them(n: int, radius: float, seed: int) -> None:
    loose = nf.random_geometric_graph(n, radius, seed, allow_disconnected=True)
    pieces = count_pieces(loose.cells, "graph", n)
    if pieces == 1:
        check_domain(nf.random_geometric_graph(n, radius, seed))
        return
    with pytest.raises(InputError, match=f"disconnected: it falls into {pieces} pieces") as caught:
        nf.random_geometric_graph(n, radius, seed)
    advised = float(str(caught.value).split("a radius of ")[1].split()[0])
    check_domain(nf.random_geometric_graph(n, advised, seed))
    with pytest.raises(InputError, match="disconnected"):
        nf.random_geometric_graph(n, advised - 2e-4, seed)


@given(n=st.integers(3, 60), seed=st.integers(0, 10**6))
def test_delaunay_patch_is_a_triangulation(n: int, seed: int) -> None:
    domain = nf.delaunay_patch(n, seed)
    check_domain(domain)
    assert domain.points.shape == (n, 2)
    assert ((domain.points >= 0) & (domain.points < 1)).all()
    assert 2 * n - 3 <= len(domain.cells) <= max(3 * n - 6, 3)  # a hull of n to of 3 points
    # it has the shortest tree that joins the points
    distance = np.linalg.norm(domain.points[:, None] - domain.points, axis=2)
    tree = np.argwhere(csgraph.minimum_spanning_tree(distance).toarray())
    edges = {frozenset(edge) for edge in domain.cells.tolist()}
    assert {frozenset(edge) for edge in tree.tolist()} <= edges


@given(n=st.integers(1, 9))
def test_hypercube_edges_flip_one_spin(n: int) -> None:
    domain = nf.hypercube_graph(n)
    check_domain(domain)
    assert len(domain.points) == 2**n
    assert (degrees(domain) == n).all()
    flipped = (domain.cells[:, 0] ^ domain.cells[:, 1]).reshape(n, -1)
    assert (flipped == (1 << np.arange(n))[:, None]).all()
    wanted = {frozenset((v, v ^ 1 << k)) for v in range(2**n) for k in range(n)}
    assert {frozenset(edge) for edge in domain.cells.tolist()} == wanted
    # the Laplacian of the cube has the eigenvalues 2 k, each n over k times
    if n <= 6:
        values = np.linalg.eigvalsh(nf.graph(domain).stiffness.toarray())
        exact = np.repeat(2 * np.arange(n + 1), [math.comb(n, k) for k in range(n + 1)])
        assert np.allclose(values, exact, atol=1e-10)
    ones = [v.bit_count() for v in range(2**n)]
    assert len(set(zip(domain.points[:, 0].tolist(), ones, strict=True))) == n + 1


def test_largest_hypercube() -> None:
    assert len(nf.hypercube_graph(16).cells) == 16 * 2**15


# --- sets


@given(domain=graphs())
def test_every_graph_is_sound_and_can_be_drawn(domain: nf.Domain) -> None:
    check_domain(domain, allow_disconnected=True)
    assert domain.kind == "graph"
    assert domain.cells.dtype == np.int64
    assert domain.points.dtype == float
    summary = str(nf.describe(domain))
    for name in domain.regions:
        assert repr(name) in summary
    for name, values in domain.edge_data.items():
        assert (f"edge data {name!r}" in summary) == bool(len(values))
    if "layer0" not in domain.regions:
        assert (layer_sizes(domain) == len(domain.points)).all()


CONSTRUCTORS = {
    "complete": lambda sets: nf.complete_graph(5, sets=sets),
    "layered": lambda sets: nf.layered_graph(2, 3, sets=sets),
    "random-geometric": lambda sets: nf.random_geometric_graph(5, 2.0, 0, sets=sets),
    "delaunay": lambda sets: nf.delaunay_patch(5, sets=sets),
    "hypercube": lambda sets: nf.hypercube_graph(3, sets=sets),
    "add_sets": lambda sets: add_sets(nf.lattice(5), sets),
}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_named_sets(make: Any) -> None:
    domain = make({"input": [3, 0, 3], "one": 4, "array": np.array([1, 2], dtype=np.uint8)})
    assert domain.region("input").tolist() == [0, 3]
    assert domain.region("one").tolist() == [4]
    assert domain.region("array").dtype == np.int64
    for bad, word in [
        ({"a": [99]}, "counted from 0 to"),
        ({"a": -1}, "do not exist"),
        ({"a": []}, "'a'"),
        ({"a": [0.0]}, "list of indices"),
        ({"a": True}, "list of indices"),
        ({"a": [True, False]}, "list of indices"),
        ({"a": "output"}, "list of indices"),
        ({"a": [[0, 1]]}, "list of indices"),
        ({"a": [[0], [1, 2]]}, "list of indices"),
        ({"a": None}, "list of indices"),
        ({" ": [0]}, "empty name"),
        ({3: [0]}, "empty name"),
        (["a"], "sets maps names"),
    ]:
        with pytest.raises(InputError) as caught:
            make(bad)
        assert word in str(caught.value)


def test_sets_of_meshes_and_of_layers() -> None:
    domain = nf.layered_graph(3, 2, sets={"output": 4})
    assert domain.region("output").tolist() == [4]
    with pytest.raises(InputError, match="'layer1' is a layer"):
        nf.layered_graph(3, 2, sets={"layer1": 0})
    mesh = nf.Domain(np.array([[0.0], [1.0]]), np.array([[0, 1]]), "line")
    for function in (lambda: add_sets(mesh, {"a": 0}), lambda: layer_sizes(mesh)):
        with pytest.raises(InputError, match="only a graph"):
            function()
    with pytest.raises(InputError, match="must split the vertices"):
        layer_sizes(add_sets(nf.lattice(3), {"layer0": [0, 1]}))
    with pytest.raises(InputError, match="must split the vertices"):
        layer_sizes(add_sets(nf.layered_graph(2, 2), {"layer1": [1, 2, 3]}))


# --- what is refused


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: nf.complete_graph(0), "vertices must be a whole number of at least 1"),
        (lambda: nf.complete_graph(2.0), "whole number"),
        (lambda: nf.complete_graph(True), "whole number"),
        (lambda: nf.complete_graph(10**6), f"{MOST_EDGES:,} is the limit"),
        (lambda: nf.layered_graph(), "at least two layers"),
        (lambda: nf.layered_graph(3), "at least two layers"),
        (lambda: nf.layered_graph(3, 0), "the size of a layer"),
        (lambda: nf.layered_graph([3, 2], 1), "the size of a layer"),
        (lambda: nf.layered_graph(10**5, 10**5), "too many"),
        (lambda: nf.random_geometric_graph(0, 0.5), "vertices"),
        (lambda: nf.random_geometric_graph(5, 0.0), "radius"),
        (lambda: nf.random_geometric_graph(5, -1), "radius"),
        (lambda: nf.random_geometric_graph(5, math.nan), "radius"),
        (lambda: nf.random_geometric_graph(5, math.inf), "radius"),
        (lambda: nf.random_geometric_graph(5, "1"), "radius"),
        (lambda: nf.random_geometric_graph(5, True), "radius"),
        (lambda: nf.random_geometric_graph(5, 1.0, -1), "seed"),
        (lambda: nf.random_geometric_graph(5, 1.0, 0.5), "seed"),
        (lambda: nf.random_geometric_graph(5, 1.0, 0, 1), "dim"),
        (lambda: nf.random_geometric_graph(5, 1.0, 0, 4), "dim is 2 or 3"),
        (lambda: nf.random_geometric_graph(20_000, 1.5), "too many"),
        (lambda: nf.random_geometric_graph(5000, 0.001), "a larger radius"),
        (lambda: nf.delaunay_patch(2), "at least 3"),
        (lambda: nf.delaunay_patch(5, None), "seed"),
        (lambda: nf.hypercube_graph(0), "dimension"),
        (lambda: nf.hypercube_graph(17), "16 at most"),
        (lambda: make_graph("star", vertices=3), "'star'; there is complete, layered"),
        (lambda: make_graph("complete", vertexes=3), "no option 'vertexes'; there is vertices"),
        (lambda: make_graph("random-geometric", vertices=3), "needs 'radius'"),
        (lambda: make_graph("layered", layers="64"), "layers must be a list"),
        (lambda: make_graph("lattice", shape=9), "shape must be a list"),
        (lambda: make_graph("lattice", shape=[0]), "at least 1"),
    ],
)
def test_constructors_refuse(make: Any, word: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "direct"),
    [
        ("complete", {"vertices": 4}, nf.complete_graph(4)),
        ("layered", {"layers": [3, 2]}, nf.layered_graph(3, 2)),
        ("lattice", {"shape": [3, 4], "periodic": True}, nf.lattice(3, 4, periodic=True)),
        ("lattice", {"shape": [2, 3], "sets": {"a": [1, 2]}}, nf.lattice(2, 3, sites={"a": 5})),
        (
            "random-geometric",
            {"vertices": 9, "radius": 0.9, "seed": 3},
            nf.random_geometric_graph(9, 0.9, 3),
        ),
        ("delaunay", {"vertices": 9, "seed": 3}, nf.delaunay_patch(9, 3)),
        ("hypercube", {"dimension": 3}, nf.hypercube_graph(3)),
    ],
)
def test_graphs_by_name(kind: str, options: dict, direct: nf.Domain) -> None:
    made = make_graph(kind, **options)
    same(made, direct)
    assert made.source == direct.source


# --- edge data and files


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(domain=graphs(), suffix=st.sampled_from([".vtu", ".xdmf"]))
def test_what_is_written_comes_back(domain: nf.Domain, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"graph{suffix}"
    nf.write_domain(domain, path)
    same(domain, nf.read_domain(path, allow_disconnected=True))


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
@pytest.mark.parametrize(
    "domain",
    [nf.layered_graph(64, 20, 10), nf.hypercube_graph(8), nf.complete_graph(1)],
    ids=lambda d: d.source,
)
def test_round_trip_with_edge_data(domain: nf.Domain, suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    edges = {name: rng.normal(size=len(domain.cells)) for name in ("stiffness", "rest_length")}
    domain = replace(domain, edge_data=edges, vertex_data={"stiffness": domain.points[:, 1].copy()})
    nf.write_domain(domain, tmp_path / f"graph{suffix}")
    same(domain, nf.read_domain(tmp_path / f"graph{suffix}"))


def test_arrays_of_other_programs(tmp_path: Path) -> None:
    """Numbers on line cells are edge data; whole numbers, vectors and tags are not."""
    path = tmp_path / "mine.vtu"
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 2, 0]])
    blocks = [("line", [[0, 1]]), ("vertex", [[2], [0], [1]]), ("line", [[2, 1]])]

    def on_lines(first: Any, second: Any, dtype: type = float) -> list[np.ndarray]:
        vertices = np.zeros((3, *np.shape(first)), dtype)
        return [np.array([first], dtype), vertices, np.array([second], dtype)]

    data = {
        "stiffness": on_lines(0.5, -2.0, np.float32),
        "coupling": on_lines(2, 3, np.int64),
        "count": on_lines(1, 2, np.int64),
        "force": on_lines([1.0, 0, 0], [0, 1.0, 0]),
        "cell_tags": on_lines(1.0, 2.0),
    }
    on_points = {"mass": np.array([1.0, 2, 3]), "id": np.arange(3), "velocity": points}
    meshio.Mesh(points, blocks, cell_data=data, point_data=on_points).write(path)
    domain = nf.read_domain(path)
    assert {k: v.tolist() for k, v in domain.edge_data.items()} == {
        "stiffness": [0.5, -2.0],
        "coupling": [2.0, 3.0],
    }
    assert {k: v.tolist() for k, v in domain.vertex_data.items()} == {"mass": [1.0, 2.0, 3.0]}
    assert all(values.dtype == float for values in domain.edge_data.values())
    meshio.Mesh(points, blocks, cell_data={"coupling": data["force"]}).write(path)
    with pytest.raises(InputError, match="one number an edge"):
        nf.read_domain(path)
    meshio.Mesh(points, blocks, cell_data={"stiffness": on_lines(1, np.nan)}).write(path)
    with pytest.raises(InputError, match="edge 1: 'stiffness' is not a finite number"):
        nf.read_domain(path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"edge_data": {"k": np.ones(3)}}, "one real number for each edge"),
        ({"edge_data": {"k": np.ones((2, 1))}}, "one real number for each edge"),
        ({"edge_data": {"k": np.ones(2, complex)}}, "one real number for each edge"),
        ({"edge_data": {"k": np.array([1, np.inf])}}, "edge 1: 'k' is not a finite number"),
        ({"edge_data": {" ": np.ones(2)}}, "empty name"),
        ({"edge_data": {"region:a": np.ones(2)}}, "'region:a', which means something else"),
        ({"edge_data": {"medit:ref": np.ones(2)}}, "something else"),
        ({"vertex_data": {"graph": np.ones(3)}}, "'graph', which means something else"),
        ({"vertex_data": {"m": np.ones(2)}}, "one real number for each vertex"),
        ({"vertex_data": {"m": np.full(3, np.nan)}}, "vertex 0: 'm' is not a finite number (3"),
    ],
)
def test_data_that_do_not_fit(change: dict, word: str, tmp_path: Path) -> None:
    domain = replace(nf.lattice(3), **change)
    with pytest.raises(InputError) as caught:
        check_domain(domain)
    assert word in str(caught.value)
    if "name" in word or "else" in word:
        with pytest.raises(InputError):
            nf.write_domain(domain, tmp_path / "mine.vtu")


def test_a_mesh_has_no_edge_data() -> None:
    mesh = nf.Domain(np.array([[0.0], [1.0]]), np.array([[0, 1]]), "line")
    check_domain(mesh)
    with pytest.raises(InputError, match="only a graph has edge and vertex data"):
        check_domain(replace(mesh, edge_data={"k": np.ones(1)}))


# --- the space of a graph


@given(seed=st.integers(0, 10**6))
def test_coupling_from_the_domain_or_given(seed: int) -> None:
    rng = np.random.default_rng(seed)
    domain = nf.layered_graph(3, 4, 2)
    own, given_ = rng.normal(size=(2, len(domain.cells)))
    weighted = replace(domain, edge_data={"coupling": own, "stiffness": given_})
    assert np.array_equal(nf.graph(domain).wg, np.ones(len(domain.cells)))
    assert np.array_equal(nf.graph(weighted).wg, own)
    assert np.array_equal(nf.graph(weighted, coupling=given_).wg, given_)
    laplacian = np.zeros((9, 9))
    for (i, j), weight in zip(domain.cells, own, strict=True):
        laplacian[[i, j], [i, j]] += weight
        laplacian[[i, j], [j, i]] -= weight
    assert np.abs(nf.graph(weighted).stiffness.toarray() - laplacian).max() < 1e-14


def test_a_coupling_that_is_given_does_not_weigh_walls() -> None:
    laplacian = nf.graph(nf.lattice(3), coupling=[2, 5]).stiffness.toarray()
    assert np.array_equal(laplacian, [[3, -2, 0], [-2, 7, -5], [0, -5, 6]])
    parameter = nf.graph(nf.lattice(3), coupling=Parameter(np.array([2.0, 5.0]), "edge"))
    assert np.array_equal(laplacian, parameter.stiffness.toarray())


@pytest.mark.parametrize(
    "coupling", [1.0, [1.0], [1.0, np.nan], [1.0, 1j], ["a", "b"], [[1.0], [2.0]], [True, False]]
)
def test_a_coupling_that_does_not_fit(coupling: Any) -> None:
    with pytest.raises(InputError, match="for each of the 2 edges"):
        nf.graph(nf.lattice(3), coupling=coupling)


# --- shape functions


@given(t=st.floats(-1, 2))
def test_quadratic_shapes_are_interpolation(t: float) -> None:
    assert np.array_equal(quadratic_shapes([0.0, 1.0, 0.5]), np.eye(3))
    assert quadratic_shapes(t).sum() == pytest.approx(1)
    ends_then_middle = np.array([0.0, 1.0, 0.5])
    for power in (1, 2):
        assert quadratic_shapes(t) @ ends_then_middle**power == pytest.approx(t**power, abs=1e-12)
    assert quadratic_shapes(np.zeros((2, 4))).shape == (3, 2, 4)
