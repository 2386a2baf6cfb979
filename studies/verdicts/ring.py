"""A ring beside a straight guide that is open at both ends, joined where they overlap."""

import gmsh


def ring(
    radius: float = 4.0,
    width: float = 1.2,
    length: float = 14.0,
    overlap: float = 0.2,
    size: float = 0.35,
) -> None:
    """Regions guide (all), through and ringtop; boundaries in, out and wall."""
    shapes = gmsh.model.occ
    outer = shapes.addDisk(0, 0, 0, radius + width / 2, radius + width / 2)
    inner = shapes.addDisk(0, 0, 0, radius - width / 2, radius - width / 2)
    circle, _ = shapes.cut([(2, outer)], [(2, inner)])
    middle = -(radius + width - overlap)  # of the straight guide
    straight = shapes.addRectangle(-length / 2, middle - width / 2, 0, length, width)
    through = shapes.addRectangle(length / 2 - 1.5, middle - width / 2, 0, 1.0, width)
    block = shapes.addRectangle(-0.6, radius - width / 2 - 0.5, 0, 1.2, width + 1.0)
    top, _ = shapes.intersect([(2, block)], circle, removeObject=True, removeTool=False)
    _, pieces = shapes.fragment([*circle, (2, straight)], [(2, through), *top])
    shapes.synchronize()
    surfaces = gmsh.model.getEntities(2)
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in surfaces], name="guide")
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in pieces[2]], name="through")
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in pieces[3]], name="ringtop")
    ends = {"in": [], "out": [], "wall": []}
    for _, tag in gmsh.model.getBoundary(surfaces, oriented=False):
        x = shapes.getCenterOfMass(1, tag)[0] / (length / 2)
        ends["in" if abs(x + 1) < 1e-6 else "out" if abs(x - 1) < 1e-6 else "wall"].append(tag)
    for name, lines in ends.items():
        gmsh.model.addPhysicalGroup(1, lines, name=name)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.ElementOrder", 2)
