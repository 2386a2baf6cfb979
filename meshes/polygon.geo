// An L of three unit squares, straight 3-node triangles.
// gmsh -2 polygon.geo -o polygon.msh
size = 0.2;
Point(1) = {0, 0, 0, size};
Point(2) = {2, 0, 0, size};
Point(3) = {2, 1, 0, size};
Point(4) = {1, 1, 0, size};
Point(5) = {1, 2, 0, size};
Point(6) = {0, 2, 0, size};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 5};
Line(5) = {5, 6};
Line(6) = {6, 1};
Curve Loop(1) = {1:6};
Plane Surface(1) = {1};
Physical Surface("domain") = {1};
Physical Curve("wall") = {1:6};

Mesh.ElementOrder = 1;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
