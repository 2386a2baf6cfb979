// A chain of equal chambers along x, each joined to the next by an opening in its middle.
// gmsh -2 chambers.geo -o chambers.msh
SetFactory("OpenCASCADE");
DefineConstant[
  chambers = {3, Name "Parameters/chambers"},    // how many, a whole number
  length = {2.5, Name "Parameters/length"},      // of a chamber, along x
  height = {3, Name "Parameters/height"},        // of a chamber; its floor is y = 0
  opening = {1, Name "Parameters/opening"},      // width of the openings
  thickness = {0.4, Name "Parameters/thickness"},  // of the walls between, so length of the openings
  output_radius = {0.4, Name "Parameters/output_radius"},  // disc in the middle of the last chamber
  input_radius = {0, Name "Parameters/input_radius"},  // of two discs in the first one; 0: no discs
  size = {0.4, Name "Parameters/size"},          // of cells in the chambers
  size_output = {0.16, Name "Parameters/size_output"}  // of cells in the discs
];
If (chambers < 1 || chambers != Round(chambers))
  Error("chambers must be a whole number from 1");
  Abort;
EndIf
If (opening <= 0 || opening >= height || length <= 0 || thickness <= 0 || input_radius < 0 || size <= 0 || size_output <= 0)
  Error("opening must lie between 0 and height; length, thickness, cell sizes above 0, input_radius at least 0");
  Abort;
EndIf
// the outline: along the floor, back along the ceiling
low = (height - opening) / 2;
high = (height + opening) / 2;
step = length + thickness;
n = 0;
For k In {0 : chambers - 1}
  n += 1;
  Point(n) = {k * step, k > 0 ? low : 0, 0};
  If (k > 0)
    n += 1;
    Point(n) = {k * step, 0, 0};
  EndIf
  n += 1;
  Point(n) = {k * step + length, 0, 0};
  If (k < chambers - 1)
    n += 1;
    Point(n) = {k * step + length, low, 0};
  EndIf
EndFor
For j In {0 : chambers - 1}
  k = chambers - 1 - j;
  If (k < chambers - 1)
    n += 1;
    Point(n) = {k * step + length, high, 0};
  EndIf
  n += 1;
  Point(n) = {k * step + length, height, 0};
  n += 1;
  Point(n) = {k * step, height, 0};
  If (k > 0)
    n += 1;
    Point(n) = {k * step, high, 0};
  EndIf
EndFor
For i In {1 : n - 1}
  Line(i) = {i, i + 1};
EndFor
Line(n) = {n, 1};
Curve Loop(1) = {1:n};
Plane Surface(1) = {1};

output_x = (chambers - 1) * step + length / 2;
output_y = height / 2;
input_x = length / 2;
input_upper = 3 * height / 4;
input_lower = height / 4;
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
