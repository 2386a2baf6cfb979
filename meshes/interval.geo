// The interval 0 <= x <= 8 with an output region around 3.7 <= x <= 4.3.
// gmsh -1 interval.geo -o interval.msh
Point(1) = {0, 0, 0};
Point(2) = {3.7, 0, 0};
Point(3) = {4.3, 0, 0};
Point(4) = {8, 0, 0};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};

Physical Curve("line") = {1, 2, 3};  // everything
Physical Curve("output") = {2};
Physical Point("left") = {1};
Physical Point("right") = {4};

Transfinite Curve {1} = 30;  // number of points: cells + 1
Transfinite Curve {2} = 7;
Transfinite Curve {3} = 30;
Mesh.ElementOrder = 1;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
