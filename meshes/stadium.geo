// Bunimovich stadium: a rectangle between two semicircles.
// gmsh -2 stadium.geo -o stadium.msh
SetFactory("OpenCASCADE");
DefineConstant[
  length = {4, Name "Parameters/length"},    // of the straight walls; 0 gives a disc
  radius = {2, Name "Parameters/radius"},    // of the ends; the stadium lies around (0, 0)
  output_x = {0.7, Name "Parameters/output_x"},
  output_y = {0.4, Name "Parameters/output_y"},
  output_radius = {0.4, Name "Parameters/output_radius"},
  size = {0.42, Name "Parameters/size"},     // of cells in the cavity
  size_output = {0.16, Name "Parameters/size_output"}
];
If (length < 0 || radius <= 0 || size <= 0 || size_output <= 0)
  Error("length must be at least 0, radius and the cell sizes above 0");
  Abort;
EndIf
If (length > 0)
  Rectangle(1) = {-length / 2, -radius, 0, length, 2 * radius, 0};
  Disk(2) = {-length / 2, 0, 0, radius};
  Disk(3) = {length / 2, 0, 0, radius};
  BooleanUnion(4) = { Surface{1}; Delete; }{ Surface{2, 3}; Delete; };
  // without the seams that the union leaves inside, under the number 1
  Curve Loop(50) = CombinedBoundary{ Surface{4}; };
  Plane Surface(1) = {50};
  Recursive Delete{ Surface{4}; }
Else
  Disk(1) = {0, 0, 0, radius};
EndIf
// the output disc, whose rim the cells follow
Disk(100) = {output_x, output_y, 0, output_radius};
BooleanFragments{ Surface{1}; Delete; }{ Surface{100}; Delete; }
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
