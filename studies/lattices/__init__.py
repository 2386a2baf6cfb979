"""The studies of the paper's lattices and of the condition under which NEP can be trusted.

train.py        many seeds of a study in parallel, one table row a training
tables.py       statistics of such tables; tables in the READMEs
figures.py      drawing that several studies share
xor.py          lattice-xor, lattice-xor-v-only, lattice-xor-7, lattice-xor-disorder
network.py      a neural network of the same size, for lattice-xor
sensitivity.py  lattice-xor-start, lattice-xor-batch, lattice-xor-beta
atlas.py        near-equilibrium-atlas
"""
