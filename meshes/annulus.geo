// Ring between two circles; the hole may be off centre.
// gmsh -2 annulus.geo -o annulus.msh
SetFactory("OpenCASCADE");
DefineConstant[
  radius = {3, Name "Parameters/radius"},            // of the outer wall, around (0, 0)
  hole_radius = {1.2, Name "Parameters/hole_radius"},
  hole_x = {0, Name "Parameters/hole_x"},            // middle of the hole
  hole_y = {0, Name "Parameters/hole_y"},
  output_x = {-1.2, Name "Parameters/output_x"},
  output_y = {1.7, Name "Parameters/output_y"},
  output_radius = {0.4, Name "Parameters/output_radius"},
  input_radius = {0, Name "Parameters/input_radius"},  // of two discs half way from the hole to the wall; 0: no discs
  input_angle = {40, Name "Parameters/input_angle"},  // degrees from the negative x axis, up and down
  size = {0.4, Name "Parameters/size"},              // of cells in the cavity
  size_output = {0.16, Name "Parameters/size_output"}  // of cells in the discs
];
If (radius <= 0 || hole_radius <= 0 || input_radius < 0 || size <= 0 || size_output <= 0)
  Error("the radii and the cell sizes must be above 0, input_radius at least 0");
  Abort;
EndIf
If (Sqrt(hole_x^2 + hole_y^2) + hole_radius >= radius)
  Error("the hole (hole_x, hole_y, hole_radius) must lie inside the outer wall");
  Abort;
EndIf
Disk(2) = {0, 0, 0, radius};
Disk(3) = {hole_x, hole_y, 0, hole_radius};
BooleanDifference(1) = { Surface{2}; Delete; }{ Surface{3}; Delete; };
input_x = -(radius + hole_radius) / 2 * Cos(input_angle * Pi / 180);
input_upper = (radius + hole_radius) / 2 * Sin(input_angle * Pi / 180);
input_lower = -input_upper;
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
e = 1.01 * hole_radius;
hole() = Curve In BoundingBox {hole_x - e, hole_y - e, -e, hole_x + e, hole_y + e, e};

Physical Surface("cavity") = cavity();  // everything, the disc too
Physical Surface("output") = output();  // the disc alone
Physical Curve("wall") = wall();        // both circles
Physical Curve("hole") = hole();        // the inner one

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
