// An L: two arms that meet in a corner at (0, 0).
// gmsh -2 lshape.geo -o lshape.msh
SetFactory("OpenCASCADE");
DefineConstant[
  length = {6, Name "Parameters/length"},    // of the arm along x
  height = {6, Name "Parameters/height"},    // of the arm along y
  width = {2.5, Name "Parameters/width"},    // of both arms
  output_x = {4.6, Name "Parameters/output_x"},
  output_y = {1.2, Name "Parameters/output_y"},
  output_radius = {0.4, Name "Parameters/output_radius"},
  size = {0.45, Name "Parameters/size"},     // of cells in the cavity
  size_output = {0.16, Name "Parameters/size_output"}
];
If (width <= 0 || width >= length || width >= height || size <= 0 || size_output <= 0)
  Error("width must lie between 0 and the lesser of length and height, cell sizes above 0");
  Abort;
EndIf
Point(1) = {0, 0, 0};
Point(2) = {length, 0, 0};
Point(3) = {length, width, 0};
Point(4) = {width, width, 0};
Point(5) = {width, height, 0};
Point(6) = {0, height, 0};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 5};
Line(5) = {5, 6};
Line(6) = {6, 1};
Curve Loop(1) = {1:6};
Plane Surface(1) = {1};
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
