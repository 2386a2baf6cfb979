// Bunimovich stadium: a rectangle between two semicircles.
// gmsh -2 stadium.geo -o stadium.msh
SetFactory("OpenCASCADE");
DefineConstant[
  length = {4, Name "Parameters/length"},    // of the straight walls; 0 gives a disc
  radius = {2, Name "Parameters/radius"},    // of the ends; the stadium lies around (0, 0)
  output_x = {0.7, Name "Parameters/output_x"},
  output_y = {0.4, Name "Parameters/output_y"},
  output_radius = {0.4, Name "Parameters/output_radius"},
  input_radius = {0, Name "Parameters/input_radius"},    // of two discs in the left end; 0: no discs
  size = {0.42, Name "Parameters/size"},     // of cells in the cavity
  size_output = {0.16, Name "Parameters/size_output"}  // of cells in the discs
];
If (length < 0 || radius <= 0 || input_radius < 0 || size <= 0 || size_output <= 0)
  Error("length and input_radius must be at least 0, radius and the cell sizes above 0");
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
input_x = -(length + radius) / 2;
input_upper = radius / 2;
input_lower = -radius / 2;
// the discs, whose rims the cells follow
Disk(100) = {output_x, output_y, 0, output_radius};
discs() = {100};
If (input_radius > 0)
  Disk(101) = {input_x, input_upper, 0, input_radius};
  Disk(102) = {input_x, input_lower, 0, input_radius};
  discs() += {101, 102};
EndIf
BooleanFragments{ Surface{1}; Delete; }{ Surface{discs()}; Delete; }
all() = Surface{:};
If (#all() != 1 + #discs())
  Error("the discs (of output and input) must lie apart and inside the walls");
  Abort;
EndIf
e = 1.05 * output_radius;
output() = Surface In BoundingBox {output_x - e, output_y - e, -e, output_x + e, output_y + e, e};
inputs() = {};
If (input_radius > 0)
  e = 1.05 * input_radius;
  upper() = Surface In BoundingBox {input_x - e, input_upper - e, -e, input_x + e, input_upper + e, e};
  lower() = Surface In BoundingBox {input_x - e, input_lower - e, -e, input_x + e, input_lower + e, e};
  Physical Surface("input-upper") = upper();
  Physical Surface("input-lower") = lower();
  inputs() = {upper(), lower()};
EndIf
cavity() = Surface{:};
wall() = CombinedBoundary{ Surface{:}; };

Physical Surface("cavity") = cavity();  // everything, the disc too
Physical Surface("output") = output();  // the disc alone
Physical Curve("wall") = wall();

MeshSize{ PointsOf{ Surface{:}; } } = size;
MeshSize{ PointsOf{ Surface{output(), inputs()}; } } = size_output;
Mesh.MeshSizeFromCurvature = 0;
Mesh.MeshSizeExtendFromBoundary = 1;
Mesh.Algorithm = 6;
Mesh.ElementOrder = 2;
Mesh.HighOrderOptimize = 0;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
