// Two arms that join in one stem: a device with two inputs. The arms meet in (0, 0), the stem goes along x.
// gmsh -2 yjunction.geo -o yjunction.msh
SetFactory("OpenCASCADE");
DefineConstant[
  width = {1.8, Name "Parameters/width"},     // of arms and stem
  arm = {4, Name "Parameters/arm"},           // length of an arm
  stem = {4, Name "Parameters/stem"},         // length of the stem
  angle = {40, Name "Parameters/angle"},      // degrees between an arm and the x axis
  input_radius = {0.5, Name "Parameters/input_radius"},    // discs near the ends of the arms
  output_radius = {0.4, Name "Parameters/output_radius"},  // disc near the end of the stem
  size = {0.42, Name "Parameters/size"},      // of cells elsewhere
  size_output = {0.2, Name "Parameters/size_output"}       // of cells in the discs
];
If (angle < 20 || angle > 85)
  Error("angle must lie between 20 and 85 degrees");
  Abort;
EndIf
If (width <= 0 || size <= 0 || size_output <= 0)
  Error("width and the cell sizes must be above 0");
  Abort;
EndIf
If (2 * input_radius >= width || 2 * output_radius >= width)
  Error("the discs (input_radius, output_radius) must be narrower than width");
  Abort;
EndIf
If (arm < 2.5 * width / 2 / Tan(angle * Pi / 180) || stem < width)
  Error("arm or stem is too short for the width: the discs would lie in the junction");
  Abort;
EndIf
a = angle * Pi / 180;
Rectangle(2) = {0, -width / 2, 0, stem, width, 0};
Rectangle(3) = {-arm, -width / 2, 0, arm, width, 0};
Rotate{ {0, 0, 1}, {0, 0, 0}, -a }{ Surface{3}; }
Rectangle(4) = {-arm, -width / 2, 0, arm, width, 0};
Rotate{ {0, 0, 1}, {0, 0, 0}, a }{ Surface{4}; }
Disk(5) = {0, 0, 0, width / 2};  // rounds the two outer corners
BooleanUnion(1) = { Surface{2}; Delete; }{ Surface{3, 4, 5}; Delete; };

// discs half a width from the ends
d = arm - width / 2;
Disk(100) = {stem - width / 2, 0, 0, output_radius};
Disk(101) = {-d * Cos(a), d * Sin(a), 0, input_radius};
Disk(102) = {-d * Cos(a), -d * Sin(a), 0, input_radius};
BooleanFragments{ Surface{1}; Delete; }{ Surface{100, 101, 102}; Delete; }
e = 1.05 * output_radius;
f = 1.05 * input_radius;
output() = Surface In BoundingBox {stem - width / 2 - e, -e, -e, stem - width / 2 + e, e, e};
upper() = Surface In BoundingBox {-d * Cos(a) - f, d * Sin(a) - f, -f, -d * Cos(a) + f, d * Sin(a) + f, f};
lower() = Surface In BoundingBox {-d * Cos(a) - f, -d * Sin(a) - f, -f, -d * Cos(a) + f, -d * Sin(a) + f, f};
cavity() = Surface{:};
wall() = CombinedBoundary{ Surface{:}; };

Physical Surface("cavity") = cavity();    // everything, the discs too
Physical Surface("output") = output();
Physical Surface("input-upper") = upper();
Physical Surface("input-lower") = lower();
Physical Curve("wall") = wall();

MeshSize{ PointsOf{ Surface{:}; } } = size;
MeshSize{ PointsOf{ Surface{output(), upper(), lower()}; } } = size_output;
Mesh.MeshSizeFromCurvature = 0;
Mesh.MeshSizeExtendFromBoundary = 1;
Mesh.Algorithm = 6;
Mesh.ElementOrder = 2;
Mesh.HighOrderOptimize = 0;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
