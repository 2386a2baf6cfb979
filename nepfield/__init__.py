"""nepfield: a finite-element laboratory for physical learning with waves."""

from typing import TYPE_CHECKING, Any

from nepfield.errors import InputError
from nepfield.fields.absorbers import absorbing_layer, absorbing_region
from nepfield.fields.coordinates import phases
from nepfield.fields.expectations import expectations
from nepfield.fields.means import mean_positions
from nepfield.fields.parameters import Parameter
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pump_images import PumpImage, cell_pumps, grid_pumps
from nepfield.fields.pumps import Pump, field_pump, gaussian_pump, region_pump, site_pump
from nepfield.fields.readouts import Readout, readout
from nepfield.keys import Keys
from nepfield.learning.compare import compare_gradients
from nepfield.learning.costs import CCE, MSE, Cost, LogCosine
from nepfield.learning.digits import digits8, mnist
from nepfield.learning.gradients import Gradient, gradient
from nepfield.learning.maps import OutputMap, output_map
from nepfield.learning.nudge import FieldNudge, Nudge
from nepfield.learning.optimizers import SGD, Adam, Momentum, Optimizer
from nepfield.learning.preparation import prepared
from nepfield.learning.reach import Reach, reach, wanted_intensity
from nepfield.learning.schedules import Schedule, Stop
from nepfield.learning.state import TrainingState
from nepfield.learning.task_files import load_task
from nepfield.learning.tasks import Task, xor
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
from nepfield.mesh.periodic import periodic
from nepfield.mesh.report import describe
from nepfield.space.elements import finite_elements
from nepfield.space.graph import graph
from nepfield.space.space import Space
from nepfield.steady.branches.branch import Branch, Diagram
from nepfield.steady.envelopes import Product, Pulse, Ramp, Step
from nepfield.steady.evolve import Evolution, evolve
from nepfield.steady.modes.bogoliubov import Spectrum, bogoliubov_spectrum
from nepfield.steady.modes.cavity import Modes, modes
from nepfield.steady.stability.certificate import Stability, stability
from nepfield.steady.steady import NotConverged, Steady
from nepfield.steady.switch_on import SwitchOn, switch_on
from nepfield.systems.branches import diagram, follow
from nepfield.systems.configuration_space import configuration_space
from nepfield.systems.elastic import ElasticNetwork
from nepfield.systems.gpe import GPE
from nepfield.systems.ising import Ising
from nepfield.systems.measured import MeasuredWave, measured
from nepfield.systems.near_equilibrium import NearEquilibrium, near_equilibrium, nudge_loss
from nepfield.systems.nonlinearity import CustomNonlinearity, Density, Saturation
from nepfield.systems.oscillators import Oscillators
from nepfield.systems.quantum_oscillator_field import QuantumOscillatorField
from nepfield.systems.quantum_oscillators import QuantumOscillators
from nepfield.systems.quantum_spins import QuantumSpins, transverse_field_ising
from nepfield.systems.system import System, solve_steady, trained
from nepfield.systems.wave import RULES

if TYPE_CHECKING:
    from nepfield.study.run.opened import Run, open_run
    from nepfield.study.sweeps.opened import SweepRuns, open_sweep
    from nepfield.view.grids import to_pyvista
    from nepfield.view.look import plot

__version__ = "0.1.0"

_ON_DEMAND = {  # PyVista, Matplotlib and pandas take seconds to load
    "Run": "nepfield.study.run.opened",
    "open_run": "nepfield.study.run.opened",
    "SweepRuns": "nepfield.study.sweeps.opened",
    "open_sweep": "nepfield.study.sweeps.opened",
    "plot": "nepfield.view.look",
    "to_pyvista": "nepfield.view.grids",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'nepfield' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ON_DEMAND[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})


__all__ = [
    "CCE",
    "GPE",
    "MSE",
    "RULES",
    "SGD",
    "Adam",
    "Branch",
    "Cost",
    "CustomNonlinearity",
    "Density",
    "Diagram",
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
    "MeasuredWave",
    "Modes",
    "Momentum",
    "NearEquilibrium",
    "NotConverged",
    "Nudge",
    "Optimizer",
    "Oscillators",
    "OutputMap",
    "Parameter",
    "Potential",
    "Product",
    "Pulse",
    "Pump",
    "PumpImage",
    "QuantumOscillatorField",
    "QuantumOscillators",
    "QuantumSpins",
    "Ramp",
    "Reach",
    "Readout",
    "Run",
    "Saturation",
    "Schedule",
    "Space",
    "Spectrum",
    "Stability",
    "Steady",
    "Step",
    "Stop",
    "SweepRuns",
    "SwitchOn",
    "System",
    "Task",
    "TrainingResult",
    "TrainingState",
    "absorbing_layer",
    "absorbing_region",
    "bogoliubov_spectrum",
    "box_mesh",
    "cell_pumps",
    "compare_gradients",
    "complete_graph",
    "configuration_space",
    "delaunay_patch",
    "describe",
    "diagram",
    "digits8",
    "evaluate",
    "evolve",
    "expectations",
    "field_pump",
    "finite_elements",
    "follow",
    "gaussian_pump",
    "gradient",
    "graph",
    "grid_pumps",
    "hypercube_graph",
    "lattice",
    "layered_graph",
    "load_task",
    "mean_positions",
    "measured",
    "mnist",
    "modes",
    "near_equilibrium",
    "nudge_loss",
    "open_run",
    "open_sweep",
    "output_map",
    "periodic",
    "phases",
    "plot",
    "potential",
    "prepared",
    "random_geometric_graph",
    "reach",
    "read_domain",
    "readout",
    "region_pump",
    "site_pump",
    "solve_steady",
    "stability",
    "switch_on",
    "to_pyvista",
    "train",
    "trained",
    "transverse_field_ising",
    "wanted_intensity",
    "write_domain",
    "xor",
]
