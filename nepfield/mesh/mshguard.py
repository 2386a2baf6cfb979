"""A look at the counts of a Gmsh file before meshio reads it.

meshio allocates whatever the counts and node numbers of a file say, so one wrong byte can end the
process for want of memory; it leaves points undefined where counts disagree; and of two physical
groups with one name it keeps the last. `guard_msh` refuses such files. It also reads which points
are periodic: meshio gives their numbers in the file, which need not be those of its points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.cells import Ints

# Nodes of the Gmsh element types that are worth a message of their own.
_GMSH_NODES = {15: 1, 1: 2, 8: 3, 26: 4, 2: 3, 9: 6, 21: 10, 3: 4, 16: 8, 10: 9}
_GMSH_NODES |= {4: 4, 5: 8, 6: 6, 7: 5, 11: 10, 12: 27, 13: 18, 14: 14, 17: 20, 18: 15, 19: 13}


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
    """The numbers of one section of a .msh file, taken in order; ValueError where they end."""

    def __init__(self, body: bytes, text: bool, size: int) -> None:
        self.body, self.place = body, 0
        self.size = np.dtype(f"u{size}")
        self.values = np.array(body.split()).astype(float) if text else None

    def take(self, dtype: str | np.dtype, count: int) -> NDArray:
        dtype, place = np.dtype(dtype), self.place
        if self.values is not None:
            self.place += count
            part = self.values[place : self.place]
        else:
            self.place += count * dtype.itemsize
            if self.place > len(self.body):
                raise ValueError("ends early")
            part = np.frombuffer(self.body, dtype, count, place)
        if len(part) != count or (dtype.kind == "u" and (part < 0).any()):
            raise ValueError("ends early")
        if dtype.kind in "iu" and not np.isfinite(part).all():
            raise ValueError("a count is not a number")
        return part

    def sizes(self, count: int) -> list[int]:
        return [int(n) for n in self.take(self.size, count)]


def _section(raw: bytes, name: str) -> bytes | None:
    start = re.search(rb"\$%s[ \t]*\r?\n" % name.encode(), raw)
    if start is None:
        return None
    end = raw.find(b"$End" + name.encode(), start.end())
    if end < 0:
        raise ValueError(f"${name} is not closed by $End{name}")
    return raw[start.end() : end]


def guard_msh(raw: bytes, where: str) -> list[Link]:
    """Refuse the bytes of a .msh file that meshio would misread.

    Returns
    -------
    list of Link
        What the file says of periodic points.

    Raises
    ------
    InputError
        If the file is not in MSH 4.1, truncated, or inconsistent (``where``: its name).
    """
    head = re.match(
        rb"\s*(?:\$Comments.*?\$EndComments\s*)*\$MeshFormat\s+(\S+)\s+([01])\s+([48])\s", raw, re.S
    )
    if head is None:
        raise InputError(f"{where}: not a Gmsh file, or damaged: it has no valid $MeshFormat")
    version, text = head[1].decode(errors="replace"), head[2] == b"0"
    if version != "4.1":
        lost = " (it loses names, and doubles cells in two groups)" if version[0] == "2" else ""
        raise InputError(
            f"{where}: MSH format {version} is not read{lost}; export format 4.1: "
            "`gmsh -format msh41` on the .geo file, or Mesh.MshFileVersion = 4.1 in it"
        )
    try:
        _guard_names(_section(raw, "PhysicalNames") or b"", where)
        tags, links = np.zeros(0, dtype=np.int64), list[Link]()
        for name in ("Entities", "Nodes", "Elements", "Periodic"):
            body = _section(raw, name)
            if body is None and name in ("Nodes", "Elements"):
                raise ValueError(f"${name} is missing")
            if name == "Nodes":
                tags = _guard_nodes(_Numbers(body or b"", text, int(head[3])), where)
            elif name == "Elements":
                _guard_elements(_Numbers(body or b"", text, int(head[3])), where)
            elif name == "Periodic" and body is not None:
                links = _links(_Numbers(body, text, int(head[3])), tags)
        return links
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: the file is truncated or damaged ({error})") from error


def _guard_names(body: bytes, where: str) -> None:
    names = [n.decode(errors="replace") for n in re.findall(rb'^\s*\d+\s+\d+\s+"(.*)"', body, re.M)]
    for name in names:
        if not name.strip():
            raise InputError(f"{where}: a physical group has an empty name; give it one")
        if names.count(name) > 1:
            raise InputError(
                f"{where}: two physical groups are called {name!r}; each needs a name of its own"
            )


def _guard_nodes(numbers: _Numbers, where: str) -> Ints:
    """The numbers of the nodes, in the order in which they stand."""
    nblocks, total, _, _ = numbers.sizes(4)
    seen, all_tags = 0, [np.zeros(0, dtype=np.int64)]
    for _ in range(nblocks):
        _, _, parametric = numbers.take("i4", 3)
        if parametric:
            raise InputError(f"{where}: has parametric nodes; set Mesh.SaveParametric = 0")
        (count,) = numbers.sizes(1)
        tags = numbers.take(numbers.size, count)
        numbers.take("f8", 3 * count)
        all_tags.append(tags.astype(np.int64))
        seen += count
        if count and tags.min() < 1:
            raise ValueError("$Nodes has a node number below 1")
        if count and tags.max() > 10_000_000 + 100 * seen:
            raise InputError(
                f"{where}: node numbers up to {int(tags.max())} for {total} nodes; renumber the "
                "mesh in Gmsh (RenumberMeshNodes)"
            )
    if seen != total:
        raise ValueError(f"$Nodes announces {total} nodes and has {seen}")
    return np.concatenate(all_tags)


def _guard_elements(numbers: _Numbers, where: str) -> None:
    nblocks, total, _, _ = numbers.sizes(4)
    seen = 0
    for _ in range(nblocks):
        _, _, code = numbers.take("i4", 3)
        (count,) = numbers.sizes(1)
        if int(code) not in _GMSH_NODES:
            raise InputError(
                f"{where}: has cells of Gmsh type {int(code)}, which are not supported"
            )
        numbers.take(numbers.size, count * (1 + _GMSH_NODES[int(code)]))
        seen += count
    if seen != total:
        raise ValueError(f"$Elements announces {total} elements and has {seen}")


def _links(numbers: _Numbers, tags: Ints) -> list[Link]:
    """The section $Periodic; pairs with a point that the file does not have are left out."""
    order = np.argsort(tags)
    found = []
    (count,) = numbers.sizes(1)
    for _ in range(count):
        dim, slave, master = (int(n) for n in numbers.take("i4", 3))
        numbers.take("f8", numbers.sizes(1)[0])  # the motion shows in the points as well
        (npairs,) = numbers.sizes(1)
        pairs = numbers.take(numbers.size, 2 * npairs).astype(np.int64).reshape(-1, 2)[:, ::-1]
        place = np.searchsorted(tags, pairs, sorter=order)
        points = np.append(order, -1)[np.minimum(place, len(tags) - 1)]
        known = np.append(tags, -1)[points] == pairs
        what = {0: "points", 1: "curves"}.get(dim, "surfaces")
        found.append(Link(dim, f"{what} {master} and {slave}", points[known.all(axis=1)]))
    return [link for link in found if len(link.pairs)]
