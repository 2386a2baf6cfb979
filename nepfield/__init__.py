"""nepfield: a finite-element laboratory for physical learning with waves."""

from nepfield.errors import InputError
from nepfield.fields.absorbers import absorbing_layer, absorbing_region
from nepfield.fields.coordinates import phases
from nepfield.fields.expectations import expectations
from nepfield.fields.means import mean_positions
from nepfield.fields.parameters import Parameter
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pumps import Pump, field_pump, gaussian_pump, region_pump, site_pump
from nepfield.fields.readouts import Readout, readout
from nepfield.keys import Keys
from nepfield.learning.compare import compare_gradients
from nepfield.learning.costs import CCE, MSE, Cost, LogCosine
from nepfield.learning.gradients import Gradient, gradient
from nepfield.learning.nudge import FieldNudge, Nudge
from nepfield.learning.optimizers import SGD, Adam, Momentum
from nepfield.learning.state import TrainingState
from nepfield.learning.tasks import Task, load_task, xor
from nepfield.learning.training import (
    Evaluation,
    TrainingResult,
    evaluate,
    train,
)
from nepfield.mesh.box import box_mesh
from nepfield.mesh.domain import Domain, read_domain, write_domain
from nepfield.mesh.graphs import (
    complete_graph,
    delaunay_patch,
    hypercube_graph,
    layered_graph,
    random_geometric_graph,
)
from nepfield.mesh.lattice import lattice
from nepfield.mesh.report import describe
from nepfield.space.elements import finite_elements
from nepfield.space.graph import graph
from nepfield.space.space import Space
from nepfield.steady.evolve import Evolution, evolve
from nepfield.steady.stability.certificate import Stability, stability
from nepfield.steady.steady import NotConverged, Steady
from nepfield.systems.configuration_space import configuration_space
from nepfield.systems.elastic import ElasticNetwork
from nepfield.systems.gpe import GPE
from nepfield.systems.ising import Ising
from nepfield.systems.near_equilibrium import NearEquilibrium, near_equilibrium, nudge_loss
from nepfield.systems.nonlinearity import CustomNonlinearity, Density, Saturation
from nepfield.systems.oscillators import Oscillators
from nepfield.systems.quantum_oscillator_field import QuantumOscillatorField
from nepfield.systems.quantum_oscillators import QuantumOscillators
from nepfield.systems.quantum_spins import QuantumSpins, transverse_field_ising
from nepfield.systems.system import System, solve_steady, trained
from nepfield.systems.wave import RULES

__version__ = "0.1.0"

__all__ = [
    "CCE",
    "GPE",
    "MSE",
    "RULES",
    "SGD",
    "Adam",
    "Cost",
    "CustomNonlinearity",
    "Density",
    "Domain",
    "ElasticNetwork",
    "Evaluation",
    "Evolution",
    "Field",
    "FieldNudge",
    "Gradient",
    "InputError",
    "Ising",
    "Keys",
    "LogCosine",
    "Mark",
    "Momentum",
    "NearEquilibrium",
    "NotConverged",
    "Nudge",
    "Oscillators",
    "Parameter",
    "Potential",
    "Pump",
    "QuantumOscillatorField",
    "QuantumOscillators",
    "QuantumSpins",
    "Readout",
    "Saturation",
    "Space",
    "Stability",
    "Steady",
    "System",
    "Task",
    "TrainingResult",
    "TrainingState",
    "absorbing_layer",
    "absorbing_region",
    "box_mesh",
    "compare_gradients",
    "complete_graph",
    "configuration_space",
    "delaunay_patch",
    "describe",
    "evaluate",
    "evolve",
    "expectations",
    "field_pump",
    "finite_elements",
    "gaussian_pump",
    "gradient",
    "graph",
    "hypercube_graph",
    "lattice",
    "layered_graph",
    "load_task",
    "mean_positions",
    "near_equilibrium",
    "nudge_loss",
    "phases",
    "potential",
    "random_geometric_graph",
    "read_domain",
    "readout",
    "region_pump",
    "site_pump",
    "solve_steady",
    "stability",
    "train",
    "trained",
    "transverse_field_ising",
    "write_domain",
    "xor",
]
