"""What is placed on a Space; all of it becomes arrays over the quadrature points."""
