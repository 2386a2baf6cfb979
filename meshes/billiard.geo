// Half stadium with one circular dent, 8 x 5: the cavity of the demo.
// gmsh -2 billiard.geo -o billiard.msh
SetFactory("OpenCASCADE");
DefineConstant[
  length = {5.5, Name "Parameters/length"},    // of the straight walls, from x = 0
  height = {5, Name "Parameters/height"},      // the end on the right is a semicircle of half of it
  dent_x = {3.1, Name "Parameters/dent_x"},    // the dent of the floor, a part of a disc
  dent_depth = {0.5, Name "Parameters/dent_depth"},    // 0: no dent
  dent_radius = {1, Name "Parameters/dent_radius"},
  output_x = {4.2, Name "Parameters/output_x"},
  output_y = {2.7, Name "Parameters/output_y"},
  output_radius = {0.4, Name "Parameters/output_radius"},
  size = {0.48, Name "Parameters/size"},       // of cells in the cavity
  size_output = {0.16, Name "Parameters/size_output"}  // of cells in the output disc
];
If (length <= 0 || height <= 0 || dent_depth < 0 || dent_radius <= 0 || size <= 0 || size_output <= 0)
  Error("length, height, dent_radius, cell sizes must be above 0, dent_depth at least 0");
  Abort;
EndIf

// rectangle from (0, 0) with a semicircular end
Rectangle(1) = {0, 0, 0, length, height, 0};
Disk(2) = {length, height / 2, 0, height / 2};
BooleanUnion(3) = { Surface{1}; Delete; }{ Surface{2}; Delete; };
// a dent of the floor, so that no symmetry is left
whole = 3;
If (dent_depth > 0)
  Disk(4) = {dent_x, dent_depth - dent_radius, 0, dent_radius};
  BooleanDifference(5) = { Surface{3}; Delete; }{ Surface{4}; Delete; };
  whole = 5;
EndIf
// the output disc, whose rim the cells follow
Disk(6) = {output_x, output_y, 0, output_radius};
BooleanFragments{ Surface{whole}; Delete; }{ Surface{6}; Delete; }
all() = Surface{:};
If (#all() != 2)
  Error("the output disc (output_x, output_y, output_radius) must lie inside the walls");
  Abort;
EndIf

e = 1.05 * output_radius;
output() = Surface In BoundingBox {output_x - e, output_y - e, -e, output_x + e, output_y + e, e};
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
