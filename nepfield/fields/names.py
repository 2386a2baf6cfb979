"""What outputs are called: as their regions and sets are, else by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nepfield.fields.pictures import Mark
from nepfield.mesh.domain import Domain
from nepfield.reprs import counted, listed


def output_names(readout: Any) -> tuple[str, ...]:
    """A name for each output of a readout, in tables and pictures."""
    names, count = tuple(getattr(readout, "names", ())), readout.noutputs
    if len(names) == count:
        return names
    return ("output",) if count == 1 else tuple(f"output {k}" for k in range(count))


def told_outputs(readout: Any) -> str:
    """How many outputs there are, with their names where they have any: "2 outputs (a, b)"."""
    told, names = counted(readout.noutputs, "output"), tuple(getattr(readout, "names", ()))
    return f"{told} ({listed(names)})" if names else told


def about_readout(readout: Any, noun: str = "output") -> tuple[str, dict[str, Any]]:
    """A few words on a readout, as `nepfield.reprs.Described` has them."""
    return f"{type(readout).__name__}: {counted(readout.noutputs, noun)}", {
        "outputs": listed(readout.names) or None,
        "each": readout.label,
    }


def readout_marks(names: Sequence[str], shapes: Sequence[dict[str, Any]]) -> list[Mark]:
    """The places that are read, a `Mark.shape` each: one is called "readout", several by their
    names, without names Y0, Y1 and so on."""
    count = len(shapes)
    labels = list(names) if len(names) == count else [f"Y{k}" for k in range(count)]
    if count == 1:
        labels = ["readout"]
    return [Mark("readout", label, shape) for label, shape in zip(labels, shapes, strict=True)]


def intensity_names(
    regions: Sequence[str], sites: Sequence[Any] = (), discs: int = 0
) -> tuple[str, ...]:
    """Names of regions, sites and discs that are read, in this order."""
    found = [*regions, *(f"site {s if isinstance(s, int) else list(s)}" for s in sites)]
    return (*found, *(["disc"] if discs == 1 else [f"disc {k}" for k in range(discs)]))


def vertex_names(
    domain: Domain, sets: Sequence[str] = (), vertices: Sequence[int] = ()
) -> tuple[str, ...]:
    """Names of vertices that are read set by set: that of the set, numbered where it has more."""
    found = []
    for name in sets:
        size = len(domain.region(name))
        found += [name] if size == 1 else [f"{name} {k}" for k in range(size)]
    return (*found, *(f"vertex {int(k)}" for k in vertices))
