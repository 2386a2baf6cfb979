"""Graphs of many kinds: complete, layered, random geometric, Delaunay, hypercube; named sets.

Each stands in the plane so that it can be drawn. `GRAPHS` has them by the names that studies use.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import Delaunay, cKDTree
from scipy.spatial.distance import pdist, squareform

from nepfield.errors import InputError
from nepfield.mesh.cells import Floats, Ints
from nepfield.mesh.domain import Domain, Sets, add_sets
from nepfield.mesh.lattice import lattice

MOST_EDGES = 20_000_000
"""Of one graph; more would not fit in memory with all that is computed on them."""
LARGEST_HYPERCUBE = 16
_MOST_PAIRED = 4000  # vertices between which all distances are computed, for a piece of advice


def complete_graph(vertices: int, *, sets: Sets | None = None) -> Domain:
    """Every vertex joined to every other; on a circle, neighbours 1 apart.

    Parameters
    ----------
    vertices : int
    sets : dict of str to index or indices, optional
        Named sets of vertices, which become regions (sorted).

    Raises
    ------
    InputError
        For a number below 1 or a set that does not fit.

    Examples
    --------
    >>> domain = complete_graph(5, sets={"input": [0, 1], "output": 4})
    >>> len(domain.cells), domain.region("input")
    (10, array([0, 1]))
    """
    source = f"complete_graph({vertices})"
    n = _whole(vertices, "vertices", 1, source)
    _bounded(n * (n - 1) // 2, source)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n  # from the top, clockwise
    radius = 0.5 / np.sin(np.pi / n) if n > 1 else 0.0
    points = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    edges = np.column_stack(np.triu_indices(n, 1)).astype(np.int64)
    return _graph(points, edges, {}, sets, source)


def layered_graph(*sizes: int, sets: Sets | None = None) -> Domain:
    """Layers of vertices, each vertex joined to all of the next layer; a column a layer.

    Parameters
    ----------
    *sizes : int
        Vertices of each layer, two layers or more. They are numbered layer by layer, and the edges
        from i to j of one pair of layers with i slowest, so that a slice of them is a matrix.
    sets : dict of str to index or indices, optional
        Further named sets of vertices. An "input" or "output" takes the place of the usual one.

    Returns
    -------
    Domain
        With the regions "layer0", "layer1", ..., "input" (the first) and "output" (the last layer).

    Raises
    ------
    InputError
        For fewer than two layers, an empty one or a set that does not fit.

    Examples
    --------
    >>> domain = layered_graph(64, 20, 10)
    >>> len(domain.cells), len(domain.region("output"))
    (1480, 10)
    """
    source = f"layered_graph({', '.join(map(str, sizes))})"
    if len(sizes) < 2:
        raise InputError(f"{source}: give the sizes of at least two layers, layered_graph(64, 10)")
    counts = [_whole(size, "the size of a layer", 1, source) for size in sizes]
    _bounded(sum(a * b for a, b in pairwise(counts)), source)
    starts = np.cumsum([0, *counts])
    layers = [np.arange(a, b) for a, b in pairwise(starts)]
    edges = [
        np.column_stack([np.repeat(near, len(far)), np.tile(far, len(near))])
        for near, far in pairwise(layers)
    ]
    layer = np.repeat(np.arange(len(counts)), counts)
    regions = {f"layer{k}": members for k, members in enumerate(layers)}
    taken = [name for name in sets or () if name in regions]
    if taken:
        raise InputError(f"{source}: {taken[0]!r} is a layer; give your set another name")
    regions |= {"input": layers[0], "output": layers[-1]}
    return _graph(_columns(layer, even=True), np.concatenate(edges), regions, sets, source)


def random_geometric_graph(
    vertices: int,
    radius: float,
    seed: int = 0,
    dim: int = 2,
    *,
    allow_disconnected: bool = False,
    sets: Sets | None = None,
) -> Domain:
    """Random points of the unit square or cube, joined where they are near.

    Parameters
    ----------
    vertices : int
    radius : float
        Points at this distance or nearer are joined.
    seed : int
    dim : {2, 3}
        Number of coordinates.
    allow_disconnected : bool
        Accept a graph of several pieces.
    sets : dict of str to index or indices, optional
        Named sets of vertices, which become regions (sorted).

    Raises
    ------
    InputError
        If the graph falls into pieces (the message tells the smallest radius that joins them), for
        numbers that make no sense, or a set that does not fit.
    """
    source = f"random_geometric_graph({vertices}, {radius}, seed={seed})"
    n = _whole(vertices, "vertices", 1, source)
    if _whole(dim, "dim", 2, source) > 3:
        raise InputError(f"{source}: dim is 2 or 3, not {dim}")
    number = isinstance(radius, (int, float, np.integer, np.floating))
    if not number or isinstance(radius, bool) or not (0 < radius < math.inf):
        raise InputError(f"{source}: radius must be a number above 0, not {radius!r}")
    _bounded(n - 1, source)  # at least, where it is one piece
    points = _generator(seed, source).random((n, dim))
    tree = cKDTree(points)
    _bounded((int(tree.count_neighbors(tree, radius)) - n) // 2, source)
    edges = np.asarray(tree.query_pairs(radius, output_type="ndarray"), dtype=np.int64)
    edges = edges.reshape(-1, 2)
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    domain = _graph(points, edges, {}, sets, source)
    if not allow_disconnected:
        _refuse_pieces(domain)
    return domain


def delaunay_patch(vertices: int, seed: int = 0, *, sets: Sets | None = None) -> Domain:
    """Random points of the unit square, joined by the edges of their Delaunay triangles.

    Parameters
    ----------
    vertices : int
        At least 3.
    seed : int
    sets : dict of str to index or indices, optional
        Named sets of vertices, which become regions (sorted).

    Raises
    ------
    InputError
        For numbers that make no sense or a set that does not fit.
    """
    source = f"delaunay_patch({vertices}, seed={seed})"
    n = _whole(vertices, "vertices", 3, source)
    _bounded(3 * n - 6, source)
    points = _generator(seed, source).random((n, 2))
    triangles = Delaunay(points).simplices
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges = np.unique(pairs, axis=0).astype(np.int64)
    return _graph(points, edges, {}, sets, source)


def hypercube_graph(dimension: int, *, sets: Sets | None = None) -> Domain:
    """The corners of a hypercube: configurations of spins, an edge a flip of one spin.

    Bit k of a vertex's number (the one worth 2**k) is spin k. The edges are ordered by the spin
    that they flip, so that ``values.reshape(dimension, -1)`` of an array on edges has a row a spin.
    A column of the picture has the vertices with the same number of ones.

    Parameters
    ----------
    dimension : int
        Number of spins, 1 to 16; there are 2**dimension vertices.
    sets : dict of str to index or indices, optional
        Named sets of vertices, which become regions (sorted).

    Raises
    ------
    InputError
        For another dimension or a set that does not fit.
    """
    source = f"hypercube_graph({dimension})"
    n = _whole(dimension, "dimension", 1, source)
    if n > LARGEST_HYPERCUBE:
        raise InputError(
            f"{source}: a hypercube has 2**dimension vertices; dimension is {LARGEST_HYPERCUBE} at "
            "most"
        )
    vertices = np.arange(2**n)
    edges = []
    for bit in 1 << np.arange(n):
        down = vertices[vertices & bit == 0]
        edges.append(np.column_stack([down, down | bit]))
    ones = (vertices[:, None] >> np.arange(n) & 1).sum(axis=1)
    return _graph(_columns(ones), np.concatenate(edges), {}, sets, source)


def layer_sizes(domain: Domain) -> Ints:
    """Sum of the sizes of the two layers that each edge joins, (nedges,).

    For weights drawn from N(0, (N_i + N_j)^-1/2). A graph without the regions "layer0", "layer1",
    ... that `layered_graph` makes has its number of vertices for every edge.

    Raises
    ------
    InputError
        If the domain is no graph or its layers do not have each vertex once.
    """
    if domain.kind != "graph":
        raise InputError(f"{domain.source}: only a graph has layers, not a mesh")
    layers: list[Ints] = []
    while f"layer{len(layers)}" in domain.regions:
        layers.append(domain.regions[f"layer{len(layers)}"])
    if not layers:
        return np.full(len(domain.cells), len(domain.points), dtype=np.int64)
    size = np.array([len(members) for members in layers], dtype=np.int64)
    if not np.array_equal(np.sort(np.concatenate(layers)), np.arange(len(domain.points))):
        raise InputError(
            f"{domain.source}: the regions layer0, layer1, ... must split the vertices"
        )
    size_of = np.zeros(len(domain.points), dtype=np.int64)
    size_of[np.concatenate(layers)] = np.repeat(size, size)
    return np.asarray(size_of[domain.cells].sum(axis=1))


def _layered(layers: Sequence[int], sets: Sets | None = None) -> Domain:
    return layered_graph(*_several(layers, "layers"), sets=sets)


def _lattice(shape: Sequence[int], periodic: bool = False, sets: Sets | None = None) -> Domain:
    return lattice(*_several(shape, "shape"), periodic=periodic, sites=sets)


GRAPHS: dict[str, Callable[..., Domain]] = {
    "complete": complete_graph,
    "layered": _layered,
    "lattice": _lattice,
    "random-geometric": random_geometric_graph,
    "delaunay": delaunay_patch,
    "hypercube": hypercube_graph,
}
"""Graphs by the names that studies use; the parameters of each are its options."""


def make_graph(kind: str, **options: Any) -> Domain:
    """A graph by the name of its kind.

    Parameters
    ----------
    kind : str
        A key of `GRAPHS`.
    **options
        "complete": vertices; "layered": layers (a list); "lattice": shape (a list), periodic;
        "random-geometric": vertices, radius, seed, dim, allow_disconnected; "delaunay": vertices,
        seed; "hypercube": dimension; all: sets.

    Raises
    ------
    InputError
        For an unknown kind or option, one that is missing, and whatever the kind itself refuses.

    Examples
    --------
    >>> make_graph("layered", layers=[3, 2]).source
    'layered_graph(3, 2)'
    """
    if kind not in GRAPHS:
        raise InputError(f"no kind of graph is called {kind!r}; there is {', '.join(GRAPHS)}")
    known = inspect.signature(GRAPHS[kind]).parameters
    for name in options:
        if name not in known:
            raise InputError(f"a {kind} graph has no option {name!r}; there is {', '.join(known)}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise InputError(f"a {kind} graph needs {name!r}")
    return GRAPHS[kind](**options)


def _graph(
    points: Floats, edges: Ints, regions: dict[str, Ints], sets: Sets | None, source: str
) -> Domain:
    domain = Domain(np.ascontiguousarray(points), edges, "graph", regions, source=source)
    return add_sets(domain, sets or {})


def _columns(column: Ints, even: bool = False) -> Floats:
    """Points of vertices that stand in columns: 1 apart, each column centred, 4 wide to 3 high.

    With `even` those of shorter columns are farther apart, so that all are equally high.
    """
    counts = np.bincount(column)
    apart = max(1, math.ceil(4 / 3 * (counts.max() - 1) / (len(counts) - 1)))
    order = np.argsort(column, kind="stable")
    row = np.empty(len(column))
    row[order] = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts)
    height = (counts[column] - 1) / 2 - row  # from the top
    stretch = counts.max() / counts[column] if even else 1.0
    return np.column_stack([apart * column, stretch * height])


def _refuse_pieces(domain: Domain) -> None:
    """Refuse a graph of several pieces, and tell the radius that would join them."""
    n = len(domain.points)
    links = coo_array((np.ones(len(domain.cells)), domain.cells.T), shape=(n, n))
    pieces, piece = connected_components(links, directed=False)
    if pieces == 1:
        return
    advice = "a larger radius"
    if n <= _MOST_PAIRED:
        longest = minimum_spanning_tree(squareform(pdist(domain.points))).data.max()
        advice = f"a radius of {math.ceil(1e4 * longest) / 1e4:g} or more"
    raise InputError(
        f"{domain.source}: disconnected: it falls into {pieces} pieces, the largest of "
        f"{np.bincount(piece).max()} of {n} vertices; take {advice}, another seed, or "
        "allow_disconnected = true"
    )


def _whole(value: object, what: str, least: int, where: str) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise InputError(f"{where}: {what} must be a whole number of at least {least}")
    return int(value)


def _several(values: object, what: str) -> Sequence[int]:
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise InputError(f"{what} must be a list of whole numbers, not {values!r}")
    return list(values)


def _bounded(nedges: int, where: str) -> None:
    if nedges > MOST_EDGES:
        raise InputError(f"{where}: {nedges:,} edges are too many; {MOST_EDGES:,} is the limit")


def _generator(seed: object, where: str) -> np.random.Generator:
    return np.random.default_rng(_whole(seed, "seed", 0, where))
