"""Gmsh's format MSH 4.1, text and binary, as a `meshio.Mesh` with the names that meshio gives.

meshio's own reader allocates whatever the counts and node numbers of a file say, so one wrong byte
can end the process for want of memory; it leaves points undefined where counts disagree; of two
physical groups with one name it keeps the last; and what it does not know it skips without a word.
Here counts are held against the bytes that there are, and what is not read is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.cells import Ints
from nepfield.mesh.parsing import numbers_in

# Gmsh's element types that are read or worth a message of their own: meshio's name, nodes.
_TYPES = {
    15: ("vertex", 1), 1: ("line", 2), 8: ("line3", 3), 26: ("line4", 4), 2: ("triangle", 3),
    9: ("triangle6", 6), 21: ("triangle10", 10), 3: ("quad", 4), 16: ("quad8", 8),
    10: ("quad9", 9), 4: ("tetra", 4), 5: ("hexahedron", 8), 6: ("wedge", 6), 7: ("pyramid", 5),
    11: ("tetra10", 10), 12: ("hexahedron27", 27), 13: ("wedge18", 18), 14: ("pyramid14", 14),
    17: ("hexahedron20", 20), 18: ("wedge15", 15), 19: ("pyramid13", 13),
}  # fmt: skip
_READ = ("MeshFormat", "Comments", "PhysicalNames", "Entities", "Nodes", "Elements", "Periodic")
_MANY = 10_000_000  # physical groups times blocks of elements
_SPARSE = 10_000_000  # node numbers may be so much larger than there are nodes


@dataclass(frozen=True)
class Link:
    """Two entities of a .msh file, of dimension ``dim``, of which one is the other moved.

    ``name``: such as "curves 4 and 2"; ``pairs`` (npairs, 2): points of the first of the two, and
    those that they are on the second.
    """

    dim: int
    name: str
    pairs: Ints


class _Numbers:
    """The numbers of one section, taken in order; ValueError where they end."""

    def __init__(self, body: bytes, text: bool, size: int) -> None:
        self.body, self.place = body, 0
        self.size = np.dtype(f"u{size}")
        self.values = numbers_in(body, np.dtype(float)) if text else None

    def take(self, dtype: str | np.dtype, count: int) -> NDArray:
        dtype, place = np.dtype(dtype), self.place
        if self.values is not None:
            self.place += count
            part = self.values[place : self.place]
            if dtype.kind != "f" and not (part == np.floor(part)).all():
                raise ValueError("a whole number is expected where there is another")
        else:
            self.place += count * dtype.itemsize
            if self.place > len(self.body):
                raise ValueError("ends early")
            part = np.frombuffer(self.body, dtype, count, place)
        if len(part) != count or (dtype.kind == "u" and (part < 0).any()):
            raise ValueError("ends early")
        return part

    def sizes(self, count: int) -> list[int]:
        return [int(n) for n in self.take(self.size, count)]

    def integers(self, count: int) -> list[int]:
        return [int(n) for n in self.take("i4", count)]

    @property
    def limit(self) -> int:
        """More blocks than this cannot stand in the section."""
        return len(self.body) if self.values is None else len(self.values)


def read_msh(raw: bytes, where: str) -> tuple[meshio.Mesh, list[Link], list[str]]:
    """Read the bytes of a .msh file.

    Parameters
    ----------
    raw : bytes
    where : str
        Its name, for messages.

    Returns
    -------
    mesh : meshio.Mesh
        Its `cell_sets` are the physical groups (indices in each block), `field_data` their tags
        and dimensions, `cell_data` "gmsh:physical" (the first group of each block) where all
        blocks have one.
    links : list of Link
        What the file says of periodic points.
    unread : list of str
        Sections and physical groups that are left alone.

    Raises
    ------
    InputError
        If the file is not in MSH 4.1, truncated, inconsistent, or partitioned.
    """
    sections = _sections(raw, where)
    head = sections.get("MeshFormat", [b""])[0]
    form = re.match(rb"\s*(\S+)\s+([01])\s+([48])[ \t]*(?:\r?\n|\s)", head)
    if form is None:
        raise InputError(f"{where}: not a Gmsh file, or damaged: it has no valid $MeshFormat")
    version, text, size = form[1][:20].decode(errors="replace"), form[2] == b"0", int(form[3])
    if version != "4.1":
        lost = " (it loses names, and doubles cells in two groups)" if version[0] == "2" else ""
        raise InputError(
            f"{where}: MSH format {version} is not read{lost}; export format 4.1: "
            "`gmsh -format msh41` on the .geo file, or Mesh.MshFileVersion = 4.1 in it"
        )
    if parts := {"PartitionedEntities", "GhostElements"} & sections.keys():
        raise InputError(
            f"{where}: the mesh is partitioned (${min(parts)}), and its names belong to the parts; "
            "export it whole: Mesh > Unpartition in Gmsh, or Mesh.NbPartitions = 0 in the .geo file"
        )
    try:
        for name in _READ:
            if len(sections.get(name, [])) > 1 and name != "Comments":
                raise ValueError(f"${name} stands there twice")
        for name in ("Nodes", "Elements"):
            if name not in sections:
                raise ValueError(f"${name} is missing")
        one = b"\1\0\0\0" if text else head[form.end() : form.end() + 4]
        if one == b"\0\0\0\1":
            raise InputError(
                f"{where}: binary numbers with the highest byte first are not read; export the "
                "mesh as text (Mesh.Binary = 0)"
            )
        if one != b"\1\0\0\0":
            raise ValueError("$MeshFormat ends early")

        def numbers(name: str) -> _Numbers:
            return _Numbers(sections[name][0], text, size)

        names = _names(sections.get("PhysicalNames", [b""])[0], where)
        groups = _entities(numbers("Entities")) if "Entities" in sections else {}
        tags, points = _nodes(numbers("Nodes"), where)
        blocks = _elements(numbers("Elements"), where)
        links = _links(numbers("Periodic"), tags) if "Periodic" in sections else []
        if len(names) * len(blocks) > _MANY:
            raise ValueError(f"{len(names)} physical groups and {len(blocks)} blocks of elements")
    except (ValueError, OverflowError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: the file is truncated or damaged ({error})") from error
    order = np.argsort(tags)
    cells = [(kind, _places(tags, order, rows)) for _, _, kind, rows in blocks]
    sets = {
        name: [
            np.arange(len(rows) if dim == of[1] and of[0] in groups.get((dim, tag), ()) else 0)
            for dim, tag, _, rows in blocks
        ]
        for name, of in names.items()
    }
    first = [groups.get((dim, tag), ())[:1] for dim, tag, _, _ in blocks]
    if any(first) and not all(first):
        raise InputError(
            f"{where}: some elements belong to no physical group; put every surface (and curve "
            "that is saved) into one, or export with Mesh.SaveAll = 0"
        )
    physical = [np.full(len(b[3]), f[0]) for b, f in zip(blocks, first, strict=True) if f]
    mesh = meshio.Mesh(
        points,
        cells,
        cell_data={"gmsh:physical": physical} if physical else {},
        field_data={name: np.array(of) for name, of in names.items()},
        cell_sets=sets,
    )
    unread = [f"${name}" for name in sections if name not in _READ]
    named = {(dim, tag) for tag, dim in names.values()}
    used = {(dim, group) for (dim, _), tags in groups.items() for group in tags}
    unread += [f"physical group {tag} of dimension {dim}" for dim, tag in sorted(used - named)]
    return mesh, links, unread


def _sections(raw: bytes, where: str) -> dict[str, list[bytes]]:
    """The bodies of the sections by their names, in the order of the file.

    What stands between sections is refused, but for the blank lines that there may be.
    """
    found: dict[str, list[bytes]] = {}
    head = re.compile(rb"\s*\$([A-Za-z]{1,40})[ \t]*\r?\n")
    something = re.compile(rb"\S")
    place = 0
    while (first := something.search(raw, place)) or not found:
        place = first.start() if first else len(raw)
        start = head.match(raw, place)
        if start is None:
            what = "no valid $MeshFormat" if not found else f"no section at byte {place}"
            raise InputError(f"{where}: not a Gmsh file, or damaged: it has {what}")
        name = start[1].decode()
        end = raw.find(b"$End" + start[1], start.end())
        if end < 0:
            raise InputError(
                f"{where}: the file is truncated or damaged (${name} is not "
                f"closed by $End{name}; a mesh has $Nodes and $Elements)"
            )
        found.setdefault(name, []).append(raw[start.end() : end])
        place = end + len(name) + 4
    return found


def _names(body: bytes, where: str) -> dict[str, tuple[int, int]]:
    """Tag and dimension of each physical group."""
    found: dict[str, tuple[int, int]] = {}
    for line in body.splitlines()[1:]:
        entry = re.match(rb'\s*(\d{1,9})\s+(-?\d{1,10})\s+"(.*)"\s*$', line)
        if entry is None:
            if line.strip():
                raise ValueError("a line of $PhysicalNames has another form")
            continue
        try:
            name = entry[3].decode("utf-8")
        except UnicodeDecodeError:  # from a .geo in Latin-1
            name = entry[3].decode("latin-1")
        if not name.strip():
            raise InputError(f"{where}: a physical group has an empty name; give it one")
        if name in found:
            raise InputError(
                f"{where}: two physical groups are called {name!r}; each needs a name of its own"
            )
        found[name] = int(entry[2]), int(entry[1])
    return found


def _entities(numbers: _Numbers) -> dict[tuple[int, int], list[int]]:
    """Physical tags of each entity, by its dimension and number."""
    found = {}
    for dim, count in enumerate(numbers.sizes(4)):
        for _ in _times(count, numbers):
            (tag,) = numbers.integers(1)
            numbers.take("f8", 6 if dim else 3)  # its box
            found[dim, tag] = numbers.integers(*numbers.sizes(1))
            if dim:
                numbers.take("i4", *numbers.sizes(1))  # what bounds it
    return found


def _times(count: int, numbers: _Numbers) -> Iterator[int]:
    if count > numbers.limit:
        raise ValueError("ends early")
    return iter(range(count))


def _nodes(numbers: _Numbers, where: str) -> tuple[Ints, NDArray[np.float64]]:
    """Numbers and places of the nodes."""
    nblocks, total, _, _ = numbers.sizes(4)
    seen, all_tags, places = 0, [np.zeros(0, dtype=np.int64)], [np.zeros((0, 3))]
    for _ in _times(nblocks, numbers):
        _, _, parametric = numbers.integers(3)
        if parametric:
            raise InputError(f"{where}: has parametric nodes; set Mesh.SaveParametric = 0")
        (count,) = numbers.sizes(1)
        tags = numbers.take(numbers.size, count)
        places.append(np.asarray(numbers.take("f8", 3 * count), dtype=float).reshape(-1, 3))
        seen += count
        if count and tags.min() < 1:
            raise ValueError("$Nodes has a node number below 1")
        if count and tags.max() > _SPARSE + 100 * seen:
            raise InputError(
                f"{where}: node numbers up to {int(tags.max())} for {total} nodes; renumber the "
                "mesh in Gmsh (RenumberMeshNodes)"
            )
        all_tags.append(tags.astype(np.int64))
    if seen != total or not seen:
        raise ValueError(f"$Nodes announces {total} nodes and has {seen}")
    joined = np.concatenate(all_tags)
    if len(np.unique(joined)) < seen:
        raise ValueError("$Nodes has a node number twice")
    return joined, np.concatenate(places)


def _elements(numbers: _Numbers, where: str) -> list[tuple[int, int, str, Ints]]:
    """Dimension and number of the entity, type, and node numbers of the cells of each block."""
    nblocks, total, _, _ = numbers.sizes(4)
    seen, found = 0, []
    for _ in _times(nblocks, numbers):
        dim, tag, code = numbers.integers(3)
        (count,) = numbers.sizes(1)
        if code not in _TYPES:
            raise InputError(f"{where}: has cells of Gmsh type {code}, which are not supported")
        kind, nodes = _TYPES[code]
        rows = numbers.take(numbers.size, count * (1 + nodes)).reshape(-1, 1 + nodes)[:, 1:]
        largest = np.iinfo(np.int64).max
        found.append((dim, tag, kind, np.minimum(rows, largest).astype(np.int64)))
        seen += count
    if seen != total:
        raise ValueError(f"$Elements announces {total} elements and has {seen}")
    return found


def _places(tags: Ints, order: Ints, wanted: Ints) -> Ints:
    """Points by their numbers; -1 where there is none of the number."""
    at = order[np.minimum(np.searchsorted(tags, wanted, sorter=order), len(tags) - 1)]
    return np.where(tags[at] == wanted, at, -1)


def _links(numbers: _Numbers, tags: Ints) -> list[Link]:
    """The section $Periodic, without entities that are not saved in the file."""
    order = np.argsort(tags)
    found = []
    for _ in _times(numbers.sizes(1)[0], numbers):
        dim, slave, master = numbers.integers(3)
        numbers.take("f8", *numbers.sizes(1))  # the motion shows in the points as well
        pairs = numbers.take(numbers.size, 2 * numbers.sizes(1)[0]).reshape(-1, 2)[:, ::-1]
        points = _places(tags, order, pairs.astype(np.int64))
        saved = (points >= 0).all(axis=1)
        if saved.any() and not saved.all():
            raise ValueError("$Periodic names a node that is not there")
        if saved.any():
            what = {0: "points", 1: "curves"}.get(dim, "surfaces")
            found.append(Link(dim, f"{what} {master} and {slave}", points))
    return found
