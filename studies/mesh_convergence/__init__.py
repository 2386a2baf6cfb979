"""How fine a mesh must be: outputs, gradients and trained devices against the size of its cells.

devices.py     three devices that are not trained, against the finest mesh
scales.py      one length at a time, in one dimension, against an exact or very fine solution
training.py    training on coarse meshes, and what the result is worth on a fine one
figure.py      the picture
"""
