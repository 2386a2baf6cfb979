// The interval 0 <= x <= 8 with an output region around 3.7 <= x <= 4.3.
// gmsh -1 interval.geo -o interval.msh
DefineConstant[
  length = {8, Name "Parameters/length"},
  output_from = {3.7, Name "Parameters/output_from"},  // ends of the output region
  output_to = {4.3, Name "Parameters/output_to"},
  size = {0.128, Name "Parameters/size"},              // of cells
  size_output = {0.1, Name "Parameters/size_output"}   // of cells in the output region
];
If (output_from <= 0 || output_to <= output_from || length <= output_to || size <= 0 || size_output <= 0)
  Error("wanted 0 < output_from < output_to < length, cell sizes above 0");
  Abort;
EndIf
Point(1) = {0, 0, 0};
Point(2) = {output_from, 0, 0};
Point(3) = {output_to, 0, 0};
Point(4) = {length, 0, 0};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};

Physical Curve("line") = {1, 2, 3};  // everything
Physical Curve("output") = {2};
Physical Point("left") = {1};
Physical Point("right") = {4};

// number of points: cells + 1
Transfinite Curve {1} = Round(output_from / size) + 1;
Transfinite Curve {2} = Round((output_to - output_from) / size_output) + 1;
Transfinite Curve {3} = Round((length - output_to) / size) + 1;
Mesh.ElementOrder = 1;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
