// The unit square of 12 x 12 quadrilaterals; the lower half is a region of its own.
// gmsh -2 square-quads.geo -o square-quads.msh
Point(1) = {0, 0, 0};
Point(2) = {1, 0, 0};
Point(3) = {1, 0.5, 0};
Point(4) = {1, 1, 0};
Point(5) = {0, 1, 0};
Point(6) = {0, 0.5, 0};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 5};
Line(5) = {5, 6};
Line(6) = {6, 1};
Line(7) = {6, 3};
Curve Loop(1) = {1, 2, -7, 6};
Curve Loop(2) = {7, 3, 4, 5};
Plane Surface(1) = {1};
Plane Surface(2) = {2};
Transfinite Curve {1, 4, 7} = 13;
Transfinite Curve {2, 3, 5, 6} = 7;
Transfinite Surface {1, 2};
Recombine Surface {1, 2};

Physical Surface("domain") = {1, 2};
Physical Surface("lower") = {1};
Physical Curve("wall") = {1:6};
Physical Curve("bottom") = {1};

Mesh.ElementOrder = 1;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
