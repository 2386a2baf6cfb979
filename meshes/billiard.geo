// Half stadium with one circular dent, 8 x 5: the cavity of the demo.
// gmsh -2 billiard.geo -o billiard.msh
SetFactory("OpenCASCADE");

size = 0.48;         // cell size in the cavity
size_output = 0.16;  // cell size in the output disc

// rectangle 0 <= x <= 5.5, 0 <= y <= 5 with a semicircular end of radius 2.5 around (5.5, 2.5)
Rectangle(1) = {0, 0, 0, 5.5, 5, 0};
Disk(2) = {5.5, 2.5, 0, 2.5};
BooleanUnion(3) = { Surface{1}; Delete; }{ Surface{2}; Delete; };
// a dent of the floor, so that no symmetry is left
Disk(4) = {3.1, -0.5, 0, 1.0};
BooleanDifference(5) = { Surface{3}; Delete; }{ Surface{4}; Delete; };
// the output disc, whose rim the cells follow
Disk(6) = {4.2, 2.7, 0, 0.4};
BooleanFragments{ Surface{5}; Delete; }{ Surface{6}; Delete; }

output() = Surface In BoundingBox {3.7, 2.2, -0.1, 4.7, 3.2, 0.1};
cavity() = Surface{:};
wall() = CombinedBoundary{ Surface{:}; };

Physical Surface("cavity") = cavity();  // everything, the disc too
Physical Surface("output") = output();  // the disc alone
Physical Curve("wall") = wall();

MeshSize{ PointsOf{ Surface{:}; } } = size;
MeshSize{ PointsOf{ Surface{output()}; } } = size_output;
Mesh.MeshSizeFromCurvature = 0;
Mesh.MeshSizeExtendFromBoundary = 1;
Mesh.Algorithm = 6;
Mesh.ElementOrder = 2;
Mesh.HighOrderOptimize = 0;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
