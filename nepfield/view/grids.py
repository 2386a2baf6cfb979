"""Spaces, states, potentials and gradients as they stand in memory, as grids of PyVista."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.fields.layout import describe, laid_out, masks_of, place_of
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.potentials import Potential
from nepfield.fields.readouts import Readout
from nepfield.learning.evaluation import Evaluation
from nepfield.learning.gradients import Gradient
from nepfield.mesh.domain import Domain
from nepfield.space.space import Space
from nepfield.steady.modes.bogoliubov import Spectrum
from nepfield.steady.modes.cavity import Modes
from nepfield.steady.steady import Steady
from nepfield.systems.gpe import GPE
from nepfield.systems.gpe_fields import per_element, potential_fields, sample_fields
from nepfield.systems.system import device_of
from nepfield.view.runs import RunFiles, files_of

if TYPE_CHECKING:
    import pyvista


def to_pyvista(
    what: Any, shown: Any = None, *, inputs: ArrayLike | None = None, readout: Readout | None = None
) -> pyvista.UnstructuredGrid:
    """A domain, a space or a system as a grid of PyVista, with what is shown on it.

    Curved and quadratic cells stay what they are: the nodes of the grid are those of the space.

    Parameters
    ----------
    what : Domain, Space or System
    shown : optional
        Of a system a `Steady`, an `Evaluation`, a `Gradient` (its states, and the gradient by the
        potential) or a state, shape (ndof, nsamples); by default its parameters alone. Of a space a
        state, a `Potential`, or one number a cell. Of a domain one number a cell or a point.
    inputs : array, shape (nsamples, ninputs), optional
        Of the samples, where what is drawn depends on them.
    readout : Readout, optional
        Its regions become masks.

    Returns
    -------
    UnstructuredGrid
        With the arrays of a run's ``fields.vtu``: ``psi_re_0``, ``psi_im_0``, ``density_0``,
        ``phase_0`` of the first sample, ``V_re``, ``dC_dV``, and 1 where a region is in
        ``region:NAME``. Graphs have vertices and edges.

    Raises
    ------
    InputError
        If it cannot be shown there.
    """
    return grid_of(seen(what, shown, inputs, readout))


@dataclass(frozen=True, eq=False)
class Seen:
    """What is to be shown: where, the fields, the marks, and inputs by which panels are named."""

    place: Space | Domain
    fields: list[Field]
    marks: list[Mark]
    inputs: np.ndarray | None = None

    @property
    def domain(self) -> Domain:
        """The domain of the place."""
        return self.place.domain if isinstance(self.place, Space) else self.place


def seen(
    what: Any, shown: Any = None, inputs: ArrayLike | None = None, readout: Readout | None = None
) -> Seen:
    """Collect what `to_pyvista` and `nepfield.plot` show; arguments as there."""
    rows = None if inputs is None else np.atleast_2d(np.asarray(inputs, dtype=float))
    marks = [] if readout is None else readout.marks()
    if isinstance(what, Space | Domain):
        place: Space | Domain = what
        fields = _on_space(what, shown) if isinstance(what, Space) else _on_domain(what, shown)
    elif hasattr(what, "equilibrate") and hasattr(what, "fields"):
        place, fields = place_of(what), _of_system(what, shown, rows)
        marks = [*what.marks(), *marks]
    else:
        raise InputError(
            f"a {type(what).__name__} stands nowhere: give the domain, the space or the system "
            "first, and then what is to be shown on it."
        )
    return Seen(place, fields, marks, rows)


def grid_of(found: Seen) -> pyvista.UnstructuredGrid:
    """The grid, with masks of regions and marks."""
    import pyvista

    masks, _ = masks_of(found.domain, found.marks)
    points, blocks, point_data, cell_data = laid_out(found.place, [*found.fields, *masks])
    flat = np.zeros((len(points), 3))
    flat[:, : points.shape[1]] = points
    return pyvista.from_meshio(meshio.Mesh(flat, blocks, point_data, cell_data))


def memory_files(found: Seen, title: str = "") -> RunFiles:
    """The same as a run folder would be read."""
    samples = {field.sample for field in found.fields if field.sample is not None}
    whole = found.domain.kind == "graph" and np.array_equal(
        found.domain.points, np.rint(found.domain.points)
    )
    summary: dict[str, Any] = {
        "inputs": None if found.inputs is None else found.inputs.tolist(),
        "samples": {"train": len(samples)},
        "lengths": "sites" if whole else "mesh units",
        **describe(found.domain, found.fields, found.marks),
    }
    return files_of(grid_of(found), summary, title)


def _state(shown: Any, size: int | None) -> np.ndarray | None:
    """The states of something, shape (n, nsamples); None where it has none."""
    if isinstance(shown, Gradient | Evaluation):
        shown = shown.steady
    if isinstance(shown, Steady):
        shown = shown.state
    if shown is None or isinstance(shown, Potential):
        return None
    try:
        state = np.asarray(shown)
    except ValueError:
        state = np.empty(0, dtype=object)
    if state.dtype.kind not in "iufc" or state.ndim not in (1, 2):
        raise InputError(
            f"a {type(shown).__name__} cannot be shown here: give a Steady, an Evaluation, a "
            "Gradient, or an array of states, a sample a column."
        )
    state = state[:, None] if state.ndim == 1 else state
    if size is not None and len(state) != size:
        raise InputError(
            f"an array of shape {np.shape(shown)} is no state here: its first axis must have the "
            f"{size} unknowns."
        )
    return state


def _of_system(system: Any, shown: Any, inputs: np.ndarray | None) -> list[Field]:
    if isinstance(shown, Modes | Spectrum):
        return shown.fields
    wave = isinstance(device_of(system), GPE)
    state = _state(shown, system.space.ndof if wave else None)
    if state is None:
        if not wave:
            raise InputError(
                f"{type(system).__name__}: give the states to show, as solve_steady finds them."
            )
        state = np.zeros((system.space.ndof, 0))
    rows = np.full((state.shape[-1], system.ninputs), np.nan)
    if inputs is not None:
        if inputs.shape != rows.shape:
            raise InputError(
                f"inputs: {rows.shape[0]} samples of {rows.shape[1]} inputs are shown; these have "
                f"shape {inputs.shape}."
            )
        rows = inputs
    gradient = shown.fields if isinstance(shown, Gradient) else None
    fields: list[Field] = system.fields(state, rows, gradient)
    return fields


def _on_space(space: Space, shown: Any) -> list[Field]:
    if isinstance(shown, Potential):
        return potential_fields(per_element(space, shown.at_points()))
    if shown is None:
        return []
    cells = len(space.elements)
    states = isinstance(shown, Steady | Gradient | Evaluation)
    alike = not space.is_graph or (np.ndim(shown) == 1 and not np.iscomplexobj(shown))
    if not states and alike and np.shape(shown)[:1] == (cells,):
        return [_numbers(_state(shown, cells), "cell")]
    state = _state(shown, space.ndof)
    assert state is not None
    nodes = space.at_nodes(state).T
    if np.iscomplexobj(state):
        return [field for k, psi in enumerate(nodes) for field in sample_fields(k, psi)]
    return [
        Field(f"state_{k}", values, "node", "state", "state", "state", scale="auto", sample=k)
        for k, values in enumerate(nodes)
    ]


def _on_domain(domain: Domain, shown: Any) -> list[Field]:
    if shown is None:
        return []
    graph = domain.kind == "graph"
    size = len(domain.points) if graph else len(domain.cells)
    if np.shape(shown)[:1] == (len(domain.points),):
        return [_numbers(_state(shown, len(domain.points)), "vertex" if graph else "node")]
    return [_numbers(_state(shown, size), "cell")]


def _numbers(values: np.ndarray | None, on: str) -> Field:
    """One number a cell or a point."""
    assert values is not None
    if values.shape[1] != 1 or np.iscomplexobj(values):
        raise InputError(f"an array of shape {values.shape}: give one real number a cell.")
    return Field("values", values[:, 0], on, "values", "values", "values", scale="auto")
