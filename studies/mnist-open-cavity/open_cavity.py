"""One cavity with round corners; five discs are read below the image and five above."""

from __future__ import annotations

import gmsh

LENGTH, HEIGHT = 22.0, 18.0


def cavity(
    corner: float = 5.0, disc: float = 0.8, size: float = 1.1, size_disc: float = 0.7
) -> None:
    """Digit k is read in the k-th disc from the left, 0 to 4 in the lower row, 5 to 9 in the upper.

    Parameters
    ----------
    corner : float
        Radius of the corners.
    disc : float
        Radius of the discs.
    size, size_disc : float
        Of cells, in the cavity and in the discs.
    """
    occ = gmsh.model.occ
    whole = (2, occ.addRectangle(0, 0, 0, LENGTH, HEIGHT, roundedRadius=corner))
    middles = [(5.0 + 3.0 * k, y) for y in (2.0, HEIGHT - 2.0) for k in range(5)]
    discs = [(2, occ.addDisk(x, y, 0, disc, disc)) for x, y in middles]
    _, parts = occ.fragment([whole], discs)
    occ.synchronize()
    for k in range(len(discs)):
        gmsh.model.addPhysicalGroup(2, [tag for _, tag in parts[1 + k]], name=f"digit {k}")
    everything = gmsh.model.getEntities(2)
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in everything], name="cavity")
    outline = gmsh.model.getBoundary(everything, combined=True, oriented=False)
    gmsh.model.addPhysicalGroup(1, [tag for _, tag in outline], name="wall")
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.MeshSizeMin", size_disc)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 1)
    points = gmsh.model.getBoundary([p for part in parts[1:] for p in part], recursive=True)
    gmsh.model.mesh.setSize(gmsh.model.getEntities(0), size)
    gmsh.model.mesh.setSize(points, size_disc)
