"""What an elastic network shows: itself, displaced, with its stiffnesses and strains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nepfield.fields.parameters import Parameter
from nepfield.fields.pictures import Field


def network_fields(
    moves: np.ndarray, strains: np.ndarray, parameters: Mapping[str, Parameter]
) -> list[Field]:
    """The fields of an elastic network.

    Parameters
    ----------
    moves : ndarray, shape (nvertices, 2, nsamples)
        Displacements from the domain.
    strains : ndarray, shape (nedges, nsamples)
    parameters : dict of Parameter
        ``stiffness`` and ``rest_length``.

    Returns
    -------
    list of Field
        Of each sample the displaced network, with the edges coloured by their stiffness, and again
        by their strain; and the rest lengths.
    """
    nsamples = moves.shape[2]
    # ParaView, which can warp by them, wants vectors of three components
    vectors = np.concatenate([moves, np.zeros((len(moves), 1, nsamples))], axis=1)
    shown = [
        Field(
            f"displacement_{k}",
            vectors[:, :, k],
            "vertex",
            picture=picture,
            label="displacement $|u|$",
            title="displacement",
            part="displacement",
            sample=k,
            film=True,
        )
        for picture in ("deformation", "strain")
        for k in range(nsamples)
    ]
    shown += [
        Field(
            f"strain_{k}",
            strains[:, k],
            "edge",
            picture="strain",
            label=r"strain $(|r|-\ell)/\ell$",
            title="strain",
            scale="diverging",
            sample=k,
            film=True,
        )
        for k in range(nsamples)
    ]
    for name, picture in (("stiffness", "deformation"), ("rest_length", "rest_length")):
        parameter = parameters[name]
        shown.append(
            Field(
                name,
                parameter.values,
                "edge",
                picture=picture,
                label=f"{parameter.label} ${parameter.symbol}$",
                title=parameter.label,
                film=True,
            )
        )
    return shown
