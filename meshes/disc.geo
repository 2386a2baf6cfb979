// The unit disc of curved 6-node triangles, for convergence tests.
// gmsh -2 disc.geo -o disc.msh
// gmsh -2 disc.geo -setnumber level 1 -o disc-1.msh     (cell size halved)
// gmsh -2 disc.geo -setnumber level 2 -o disc-2.msh     (halved again)
SetFactory("OpenCASCADE");
DefineConstant[ level = 0 ];
Disk(1) = {0, 0, 0, 1};
Physical Surface("disc") = {1};
Physical Curve("rim") = CombinedBoundary{ Surface{1}; };

Mesh.MeshSizeMin = 0.27 / 2^level;
Mesh.MeshSizeMax = 0.27 / 2^level;
Mesh.Algorithm = 6;
Mesh.ElementOrder = 2;
Mesh.HighOrderOptimize = 0;
Mesh.MshFileVersion = 4.1;
Mesh.Binary = 0;
Mesh.SaveAll = 0;
