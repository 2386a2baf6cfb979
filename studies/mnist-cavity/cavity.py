"""Ten chambers in two rows that open into their neighbours; in the middle of each is a disc."""

from __future__ import annotations

import gmsh

COLUMNS = 5


def chambers(
    side: float = 11.0,
    corner: float = 2.0,
    wall: float = 1.0,
    opening: float = 2.0,
    disc: float = 0.7,
    size: float = 1.25,
    size_disc: float = 0.55,
) -> None:
    """Chamber k is the k-th from the left, five in the lower row and five in the upper one.

    Parameters
    ----------
    side, corner : float
        Of a chamber, and the radius of its corners.
    wall, opening : float
        Thickness of the walls between chambers, and width of the openings in their middles.
    disc : float
        Radius of the discs that are read.
    size, size_disc : float
        Of cells, in the chambers and in the discs.
    """
    occ, step, cx = gmsh.model.occ, side + wall, COLUMNS
    rooms, doors, middles = [], [], []
    for row in range(2):
        for column in range(cx):
            x, y = column * step, row * step
            rooms.append((2, occ.addRectangle(x, y, 0, side, side, roundedRadius=corner)))
            middles.append((x + side / 2, y + side / 2))
            reach, low = wall + 0.2 * side, (side - opening) / 2
            if column < cx - 1:
                x_door = x + side - 0.1 * side
                doors.append((2, occ.addRectangle(x_door, y + low, 0, reach, opening)))
            if row == 0:
                y_door = y + side - 0.1 * side
                doors.append((2, occ.addRectangle(x + low, y_door, 0, opening, reach)))
    cavity, _ = occ.fuse([rooms[0]], [*rooms[1:], *doors])
    discs = [(2, occ.addDisk(x, y, 0, disc, disc)) for x, y in middles]
    _, parts = occ.fragment(cavity, discs)
    occ.synchronize()
    inside = [parts[len(cavity) + k] for k in range(len(discs))]
    whole = [tag for _, tag in gmsh.model.getEntities(2)]
    for k, part in enumerate(inside):
        gmsh.model.addPhysicalGroup(2, [tag for _, tag in part], name=f"digit {k}")
    gmsh.model.addPhysicalGroup(2, whole, name="cavity")
    outline = gmsh.model.getBoundary([(2, tag) for tag in whole], combined=True, oriented=False)
    gmsh.model.addPhysicalGroup(1, [tag for _, tag in outline], name="wall")
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.MeshSizeMin", size_disc)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 1)
    points = gmsh.model.getBoundary([p for part in inside for p in part], recursive=True)
    gmsh.model.mesh.setSize(gmsh.model.getEntities(0), size)
    gmsh.model.mesh.setSize(points, size_disc)
