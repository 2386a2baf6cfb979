"""The section [domain], and how a domain is made from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nepfield.errors import InputError, located
from nepfield.mesh.domain import Domain, read_domain
from nepfield.mesh.geometry import described, mesh_geometry
from nepfield.mesh.graphs import add_sets, make_graph
from nepfield.mesh.lattice import lattice
from nepfield.mesh.periodic import periodic
from nepfield.study.text.kinds import Exclusive, check_one
from nepfield.study.text.paths import File, GeometryFile
from nepfield.study.text.quantities import GEOMETRY_LENGTH, LENGTH
from nepfield.study.text.values import (
    AtLeastOne,
    Count,
    Flag,
    GeometryParameter,
    Lattice,
    Name,
    Periodic,
    Positive,
    Section,
    Site,
)

_PLACES = ("mesh", "geometry", "lattice")
_GRAPHS = {  # for each kind of graph the keys that it needs, and those that it may have
    "complete": (("vertices",), ()),
    "layered": (("layers",), ()),
    "random-geometric": (("vertices", "radius"), ("graph_seed",)),
    "delaunay": (("vertices",), ("graph_seed",)),
    "hypercube": (("dimension",), ()),
}
_OF_GRAPHS = ("vertices", "layers", "radius", "dimension", "graph_seed")


class DomainConfig(Section):
    """What a system lives on: a mesh file, a geometry that Gmsh meshes, a lattice, or a graph."""

    mesh: File | None = Field(default=None, description="mesh file (.msh 4.1, .vtu, .xdmf)")
    geometry: GeometryFile | None = Field(
        default=None, description='geometry that Gmsh meshes, "x.geo" or "file.py:function"'
    )
    parameters: dict[Name, Annotated[GeometryParameter, GEOMETRY_LENGTH]] = Field(
        default_factory=dict, description="parameters of the geometry, by name"
    )
    lattice: Lattice | None = Field(default=None, description="numbers of points, [n] or [ny, nx]")
    cells: Lattice | None = Field(
        default=None,
        description="points of a cell, [n] or [ny, nx], of a lattice with hard walls between cells",
    )
    graph: (
        Literal["complete", "layered", "random-geometric", "delaunay", "hypercube"] | None
    ) = Field(default=None, description="kind of a graph")  # fmt: skip
    vertices: AtLeastOne | None = Field(default=None, description="number of vertices of a graph")
    layers: tuple[AtLeastOne, ...] | None = Field(
        default=None, description="numbers of vertices in the layers of a layered graph"
    )
    radius: Annotated[Positive | None, LENGTH] = Field(
        default=None, description="distance up to which vertices of a random graph are joined"
    )
    dimension: AtLeastOne | None = Field(default=None, description="of a hypercube")
    graph_seed: Count | None = Field(
        default=None, description="seed of a graph that is drawn; absent: 0"
    )
    allow_disconnected: Flag = Field(default=False, description="accept a mesh of several pieces")
    periodic: Periodic = Field(
        default=False,
        description="true: closes a lattice to a ring or torus; pairs of boundaries of a mesh that"
        ' are one, [["left", "right"]]; []: none; false: a mesh as its file says, a lattice open',
    )
    sites: dict[Name, Site] = Field(default_factory=dict, description="named points of the lattice")
    sets: dict[Name, tuple[Count, ...]] = Field(
        default_factory=dict, description="named sets of vertices of a graph, by their indices"
    )

    @model_validator(mode="after")
    def _check(self) -> DomainConfig:
        given = [key for key in _PLACES if getattr(self, key) is not None]
        if self.graph is None:
            check_one([*_PLACES], given)
        elif given:
            message = f"needs one of graph, {', '.join(_PLACES)}, has graph and {given[0]}"
            raise Exclusive(message, ["graph", *given])
        if self.geometry is None and self.parameters:
            raise ValueError("parameters goes with geometry, not with mesh or lattice")
        if self.lattice is None and self.sites:
            raise ValueError("sites goes with lattice, not with mesh")
        if self.cells is not None and (self.lattice is None or self.periodic):
            raise ValueError("cells goes with lattice, and not with periodic")
        self._check_periodic()
        self._check_graph()
        return self

    def _check_periodic(self) -> None:
        if isinstance(self.periodic, tuple):
            if self.mesh is None and self.geometry is None:
                raise ValueError(
                    "periodic as pairs of boundaries goes with a mesh; a lattice takes true or"
                    " false, and other graphs have an edge wherever they are closed"
                )
        elif self.periodic and self.lattice is None:
            raise ValueError(
                "periodic goes with lattice, not with mesh, as true; of a mesh name the boundaries"
                ' that are one, such as [["left", "right"]]'
            )

    def _check_graph(self) -> None:
        needed, free = _GRAPHS[self.graph] if self.graph is not None else ((), ())
        for key in _OF_GRAPHS:
            if getattr(self, key) is None:
                if key in needed:
                    raise ValueError(f'graph = "{self.graph}" needs {key}')
            elif key not in (*needed, *free):
                kinds = " or ".join(
                    f'"{name}"' for name, (first, second) in _GRAPHS.items()
                    if key in (*first, *second)
                )  # fmt: skip
                raise ValueError(f"{key} goes with graph = {kinds}")


def build_domain(config: DomainConfig, meshes: Path | None = None) -> Domain:
    """The domain of a study; the mesh of a geometry is kept in the folder `meshes`."""
    domain = _without_sets(config, meshes)
    if isinstance(config.periodic, tuple):
        with located("domain.periodic"):
            domain = periodic(domain, config.periodic)
    if not config.sets:
        return domain
    if domain.kind != "graph":
        raise InputError(
            f"domain.sets: {domain.source} is no graph; name regions of a mesh in its file."
        )
    return add_sets(domain, config.sets)


def _without_sets(config: DomainConfig, meshes: Path | None) -> Domain:
    if config.mesh is not None:
        return read_domain(config.mesh, allow_disconnected=config.allow_disconnected)
    if config.geometry is not None:
        if meshes is None:
            with TemporaryDirectory() as scratch:
                return _without_sets(config, Path(scratch))
        path = mesh_geometry(config.geometry, config.parameters, meshes)
        source = described(config.geometry, config.parameters)
        try:
            domain = read_domain(path, allow_disconnected=config.allow_disconnected)
        except InputError as error:  # the user knows the geometry, not our file
            raise InputError(str(error).replace(str(path), source)) from None
        return replace(domain, source=source)
    if config.graph is not None:
        return _graph(config)
    return lattice(
        *(config.lattice or ()),
        periodic=bool(config.periodic),
        sites=config.sites,
        cells=config.cells,
    )


def _graph(config: DomainConfig) -> Domain:
    options: dict[str, Any] = {
        key: getattr(config, key) for key in _OF_GRAPHS if getattr(config, key) is not None
    }
    if "graph_seed" in options:
        options["seed"] = options.pop("graph_seed")
    if config.graph == "random-geometric":
        options["allow_disconnected"] = config.allow_disconnected
    return make_graph(str(config.graph), **options)
