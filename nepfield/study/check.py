"""What `nepfield check` says of a mesh or a study before anything is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from nepfield.errors import InputError
from nepfield.mesh.domain import read_domain
from nepfield.mesh.geometry import mesh_geometry, read_geometry
from nepfield.mesh.report import describe
from nepfield.study.run.build import Study, build
from nepfield.study.systems.laboratory import density_dimension, scale_lines
from nepfield.study.systems.resolution import resolution, warnings_of
from nepfield.study.text.config import load_study
from nepfield.systems.system import solve_steady

_SAMPLES = 64  # so many inputs are solved for at most, to know the density


def check(path: str | Path, overrides: tuple[str, ...] = (), seed: int | None = None) -> str:
    """Report on a study (.toml), a mesh file, or a geometry (.geo, with its defaults).

    Parameters
    ----------
    path : path
    overrides, seed
        As in `load_study`; for a study only.

    Returns
    -------
    str
        Regions, boundaries and cell quality; for a study also its size, what it places where, and
        cells a wavelength, with a line that begins with "warning" for each doubt.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    path = Path(path)
    if path.suffix.lower() != ".toml":
        if overrides or seed is not None:
            raise InputError(f"{path}: --set and --seed belong to a study (.toml), not to a mesh.")
        if path.suffix.lower() == ".geo":
            return _check_geometry(path)
        return str(describe(read_domain(path)))
    return describe_study(build(load_study(path, overrides, seed)))


def _check_geometry(path: Path) -> str:
    known = ", ".join(read_geometry(path).parameters) or "none (see DefineConstant)"
    with TemporaryDirectory() as scratch:
        domain = replace(read_domain(mesh_geometry(path, {}, scratch)), source=str(path))
        return f"{describe(domain)}\n  parameters: {known}"


def describe_study(study: Study) -> str:
    """Lines of text on a study that has been built."""
    system, config = study.system, study.config
    space, domain = system.space, system.space.domain
    summary = describe(domain)
    lines = [str(summary)]
    kind = "graph" if space.is_graph else f"finite elements of order {config.domain.order}"
    lines.append(f"study {config.name!r}: {kind}, {space.ndof} complex unknowns")
    lines.append(
        f"  {len(system.potential.values)} values of V "
        f"({'trained' if system.potential.trainable else 'fixed'}), "
        f"{len(system.pumps.weights)} pumps ({system.pumps.trainable.sum()} trained), "
        f"{system.pumps.ninputs} inputs, {study.cost.readout.noutputs} outputs, "
        f"{len(study.task.inputs)} samples"
    )
    named = config.domain.dirichlet
    if summary.unnamed_facets and named is not None:
        lines.append(
            f"  warning: {summary.unnamed_facets} outer facets belong to no named boundary; with "
            "domain.dirichlet given they are open (Neumann)"
        )
    lines += scale_lines(config, density_dimension(domain))
    if not space.is_graph:
        lines += _resolution(study)
    lines.append("  ready: nepfield train runs it")
    return "\n".join(lines)


def _resolution(study: Study) -> list[str]:
    """Cells a length of the wave, for the study's inputs and with V as low as training may go."""
    lines, state = [], None
    if study.system.nonlinearity is not None:
        inputs = study.task.inputs[:_SAMPLES]
        steady = solve_steady(study.system, inputs, on_failure="flag", **study.solver)
        found = int(steady.converged.sum())
        if found < len(inputs):
            lines.append(
                f"  warning: the steady states of {len(inputs) - found} of {len(inputs)} inputs "
                "were not found at the starting parameters; what follows does without them"
            )
        state = steady.state[:, steady.converged] if found else None
    lengths = resolution(study, study.system, state, training=True)
    lines += [f"  {length}" for length in lengths]
    return lines + [f"  warning: {text}" for text in warnings_of(lengths)]
