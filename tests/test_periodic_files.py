"""Periodic boundaries in files and studies: what is honoured, what is refused, and the way through
a run."""

from __future__ import annotations

import contextlib
import json
import struct
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import skfem
from helpers import interval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cli import LINE, invoke, write_study
from test_domain import Msh, refused
from test_periodic import ACROSS, BOTH, ONE, box, quarter, skewed, turned
from test_run import trained

import nepfield as nf
from nepfield.errors import InputError
from nepfield.mesh.geometry import mesh_geometry
from nepfield.study.run.build import build
from nepfield.study.run.jobs import solve_study, train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import case_folder, check_cases, open_sweep, run_case
from nepfield.study.systems.systems import load_study

POINTS = [[x, y, 0] for y in (0, 0.5, 1) for x in (0, 1, 2)]
QUADS: dict[str, Any] = {
    "points": POINTS,
    "blocks": [
        ("line", [[0, 1], [1, 2], [6, 7], [7, 8]], [7]),
        ("quad", [[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]], [1]),
    ],
    "names": [(1, 7, "walls"), (2, 1, "cavity")],
}
Link = tuple[int, int, int, list]
LINK: Link = (1, 2, 4, [[2, 0], [5, 3], [8, 6]])


def with_periodic(
    *links: Link, binary: bool = False, affine: int = 16, points: list = POINTS
) -> bytes:
    """A file of quads with a section $Periodic: dimension, slave, master, points of both."""
    out = bytearray(Msh(**(QUADS | {"points": points})).bytes(binary))

    def put(code: str, *values: float) -> None:
        if binary:
            out.extend(struct.pack(f"<{len(values)}{code}", *values))
        else:
            out.extend((" ".join(map(repr, values)) + "\n").encode())

    out += b"$Periodic\n"
    put("Q", len(links))
    for dim, slave, master, pairs in links:
        put("i", dim, slave, master)
        put("Q", affine)
        if affine:
            put("d", 1.0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
        put("Q", len(pairs))
        put("Q", *(point + 1 for pair in pairs for point in pair))
    return bytes(out) + b"\n$EndPeriodic\n"


def reading(folder: Path, content: bytes) -> nf.Domain:
    (folder / "mine.msh").write_bytes(content)
    return nf.read_domain(folder / "mine.msh")


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("affine", [0, 16])
@pytest.mark.parametrize("binary", [False, True])
def test_periodic_points_of_a_msh_are_honoured(binary: bool, affine: int, tmp_path: Path) -> None:
    corners: list[Link] = [(0, 2, 1, [[2, 0]]), (0, 3, 4, [[8, 6]])]
    domain = reading(tmp_path, with_periodic(*corners, LINK, binary=binary, affine=affine))
    (seam,) = domain.seams
    assert seam.near.tolist() == [[3, 0], [6, 3]]
    assert seam.far.tolist() == [[5, 2], [8, 5]]
    assert seam.shift.tolist() == [2, 0]
    assert "periodic: curves 4 and 2, 2 facets each, a shift by (2, 0)" in str(nf.describe(domain))
    assert nf.describe(domain).unnamed_facets == 0
    space = nf.finite_elements(domain, order=1, dirichlet=["walls"])
    assert space.ndof == 2


def test_a_line_mesh_of_a_msh_comes_round(tmp_path: Path) -> None:
    msh = Msh(
        points=[[x, 0, 0] for x in (0, 1, 2, 3)],
        blocks=[("line", [[0, 1], [1, 2], [2, 3]], [1])],
        names=[(1, 1, "line")],
    )
    link = "$Periodic\n1\n0 2 1\n0\n1\n4 1\n$EndPeriodic\n"
    domain = reading(tmp_path, msh.bytes() + link.encode())
    assert str(domain.seams[0]) == "points 1 and 2, 1 facet each, a shift by (3)"


def test_numbers_of_points_in_a_msh_may_have_gaps(tmp_path: Path) -> None:
    """meshio takes the numbers of periodic points for places in the list of points."""
    head = with_periodic().decode().split("$Nodes")[0]
    tags = [700, 30, 200, 90, 5, 61, 8, 12, 400]
    quads = [[700, 30, 5, 90], [30, 200, 61, 5], [90, 5, 12, 8], [5, 61, 400, 12]]
    walls = [[700, 30], [30, 200], [8, 12], [12, 400]]
    lines = [
        head + "$Nodes",
        "1 9 5 700\n2 1 0\n9",
        *map(str, tags),
        *(" ".join(map(str, point)) for point in POINTS),
        "$EndNodes\n$Elements\n2 8 1 8\n1 1 1\n4",
        *(f"{k} {a} {b}" for k, (a, b) in enumerate(walls, 1)),
        "2 2 3\n4",
        *(f"{k} {' '.join(map(str, quad))}" for k, quad in enumerate(quads, 5)),
        "$EndElements\n$Periodic\n1\n1 2 4\n0\n3\n200 700\n61 90\n400 8\n$EndPeriodic\n",
    ]
    domain = reading(tmp_path, "\n".join(lines).encode())
    assert domain.seams[0].near.tolist() == [[3, 0], [6, 3]]
    assert domain.seams[0].far.tolist() == [[5, 2], [8, 5]]


def test_a_damaged_periodic_section_is_refused(tmp_path: Path) -> None:
    whole = with_periodic(LINK)
    (tmp_path / "cut.msh").write_bytes(whole[:-20])
    refused(tmp_path / "cut.msh", "truncated or damaged")
    for old, new in [(b"$Periodic\n1", b"$Periodic\n99999999999"), (b"\n3\n3 1", b"\n9\n3 1")]:
        assert old in whole
        (tmp_path / "bad.msh").write_bytes(whole.replace(old, new))
        refused(tmp_path / "bad.msh", "truncated or damaged")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    binary=st.booleans(),
    places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4),
    bytes_there=st.binary(min_size=4, max_size=4),
)
def test_a_periodic_section_with_wrong_bytes_is_read_or_refused(
    binary: bool, places: list[float], bytes_there: bytes, tmp_path: Path
) -> None:
    raw = bytearray(with_periodic(LINK, binary=binary))
    start = raw.index(b"$Periodic") + len(b"$Periodic\n")
    for place, byte in zip(places, bytes_there, strict=False):
        index = start + int(place * (len(raw) - start))
        raw[index] = byte if binary else b"0123456789 -.en\n"[byte % 16]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(InputError):
            nf.finite_elements(reading(tmp_path, bytes(raw)), order=1)


def test_periodic_curves_that_close_nothing_are_named(tmp_path: Path) -> None:
    inner = with_periodic((1, 5, 4, [[1, 0], [4, 3], [7, 6]]))
    with pytest.warns(UserWarning, match="curves 4 and 5 are periodic in the file, but they are n"):
        assert reading(tmp_path, inner).seams == ()
    turned_over = with_periodic((1, 2, 4, [[2, 6], [5, 3], [8, 0]]))
    with pytest.warns(UserWarning, match="run in opposite directions; they are passed over"):
        assert reading(tmp_path, turned_over).seams == ()


def test_curves_of_another_shape_or_joined_twice_are_refused(tmp_path: Path) -> None:
    points = [*POINTS[:5], [2, 0.6, 0], *POINTS[6:]]
    (tmp_path / "odd.msh").write_bytes(with_periodic(LINK, points=points))
    words = refused(tmp_path / "odd.msh", "curves 4 and 2 are periodic", "from their partners")
    assert "would lie up to 0.05" in words
    (tmp_path / "twice.msh").write_bytes(with_periodic(LINK, (1, 9, 4, LINK[3])))
    refused(tmp_path / "twice.msh", "curves 4 and 2, and curves 4 and 9", "they share facets")


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nf.periodic(interval(3), ACROSS),
        lambda: nf.periodic(box(1, 2, "quad"), BOTH),
        lambda: nf.periodic(box(3, 2, "triangle6", shape=skewed), BOTH),
        lambda: turned(quarter(2)),
    ],
    ids=["line", "quad", "triangle6", "quarter"],
)
def test_what_is_periodic_comes_back_from_a_file(
    make: Callable[[], nf.Domain], suffix: str, tmp_path: Path
) -> None:
    domain = make()
    nf.write_domain(domain, tmp_path / f"copy{suffix}")
    copy = nf.read_domain(tmp_path / f"copy{suffix}")
    assert np.array_equal(copy.points, domain.points)
    assert np.array_equal(copy.cells, domain.cells)
    assert len(copy.seams) == len(domain.seams) > 0
    for mine, other in zip(domain.seams, copy.seams, strict=True):
        assert mine.name == other.name
        for key in ("near", "far", "turn", "shift"):
            assert np.array_equal(getattr(mine, key), getattr(other, key))


@pytest.mark.parametrize(
    "labels",
    [
        [[1, 0], [0, 2], [0, 0]],
        [[1, 1], [1, 0], [0, 2]],
        [[0.5, 0], [0, 0.5], [0, 0]],
        [[np.nan, 0], [0, np.nan], [0, 0]],
        [[-1, 0], [0, -1], [0, 0]],
        [1, 2, 0],
    ],
)
def test_labels_that_are_no_pairs_are_refused(labels: list, tmp_path: Path) -> None:
    mesh = meshio.Mesh(
        np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]),
        [("line", np.array([[0, 1], [1, 2]]))],
        point_data={"periodic:ends": np.array(labels)},
    )
    mesh.write(tmp_path / "labels.vtu")
    refused(tmp_path / "labels.vtu", "'periodic:ends'", "two columns")


def test_the_channel_of_gmsh_comes_round(tmp_path: Path) -> None:
    """A pump at 0.2 of a channel [0, 2], read at 0.6 and, through the ends, at 1.8."""
    pytest.importorskip("gmsh")
    (tmp_path / "channel.geo").write_text(
        'SetFactory("OpenCASCADE");\n'
        "Rectangle(1) = {0, 0, 0, 2, 1};\n"
        "Periodic Curve {2} = {4} Translate {2, 0, 0};\n"
        'Physical Surface("cavity") = {1}; Physical Curve("walls") = {1, 3};\n'
        "Mesh.MeshSizeMax = 0.06; Mesh.MshFileVersion = 4.1;\n"
    )
    domain = nf.read_domain(mesh_geometry(tmp_path / "channel.geo", folder=tmp_path))
    space = nf.finite_elements(domain, dirichlet=["walls"])
    wave = nf.GPE(space, 0.0, [nf.gaussian_pump([0.2, 0.5], 0.2)], None, 0.2)
    state = nf.solve_steady(wave, ONE).state
    outputs = nf.readout(space, discs=[([1.8, 0.5], 0.15), ([0.6, 0.5], 0.15)]).outputs(state)[0]
    assert outputs == pytest.approx([0.002137, 0.002137], rel=2e-3)  # at points inside the discs
    # the means over the discs themselves, from the values at the nodes of the whole mesh
    mesh = skfem.MeshTri1(
        np.ascontiguousarray(domain.points.T), np.ascontiguousarray(domain.cells.T), sort_t=False
    )
    basis = skfem.CellBasis(mesh, skfem.ElementTriP2())
    radius = 0.15 * np.sqrt((np.arange(20) + 0.5) / 20)
    circle = np.exp(2j * np.pi * np.arange(48) / 48)
    for x in (1.8, 0.6):
        z = x + 0.5j + (radius[:, None] * circle).ravel()
        psi = basis.probes(np.array([z.real, z.imag])) @ space.at_nodes(state)[:, 0]
        assert np.mean(np.abs(psi) ** 2) == pytest.approx(0.0021367, abs=2e-7)


# ---------------------------------------------------------------- what is refused


def with_names(**more: list) -> nf.Domain:
    """A rectangle of 4 x 2 squares, points 0 to 4 along its bottom, with further boundaries."""
    domain = box(4, 2, "quad")
    return replace(domain, boundaries=domain.boundaries | {k: np.array(v) for k, v in more.items()})


def dented() -> nf.Domain:
    return box(4, 2, "quad", shape=lambda r: r + [0, 0.03] * (r == [1, 0.5]).all(axis=1)[:, None])


@pytest.mark.parametrize(
    ("make", "pairs", "words"),
    [
        (lambda: nf.lattice(5), ACROSS, "a graph is closed by its edges"),
        (with_names, [("left", "rigth")], "no boundary called 'rigth'; there is 'right'"),
        (with_names, [("left", "left")], "boundary 'left' is given twice"),
        (with_names, [("left", "right"), ("top", "left")], "boundary 'left' is given twice"),
        (with_names, [("left",)], "give pairs of names"),
        (with_names, ["lr"], "give pairs of names"),
        (with_names, [("left", "bottom")], "they have 3 and 5 points"),
        (
            dented,
            ACROSS,
            r"after a shift by \(1, 0\) these lie up to 0.03 apart.*Translate \{1, 0, 0\}",
        ),
        (
            lambda: with_names(half=[[9, 4]]),
            [("left", "half")],
            r"3 and 2 points, and after a shift by \(1, -0.25\) these lie up to 0.25 apart",
        ),
        (
            lambda: with_names(middle=[[2, 7], [7, 12]]),
            [("left", "middle")],
            "boundary 'middle' cannot be periodic: 2 of its 2 facets lie inside",
        ),
        (
            lambda: with_names(edge=[[0, 1]], next=[[1, 2]]),
            [("edge", "next")],
            "the mesh lies on the same side of both",
        ),
        (
            lambda: with_names(low=[[5, 0]], rim=[[4, 9]]),
            [("left", "right"), ("low", "rim")],
            "left and right, and low and rim, are periodic, but they share facets",
        ),
    ],
)
def test_what_cannot_be_joined(make: Callable[[], nf.Domain], pairs: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        nf.periodic(make(), pairs)


def test_only_named_facets_are_joined() -> None:
    """Between two parts of a boundary a single cell may touch the outside as well."""
    domain = box(4, 3, "quad")
    sides = {name: domain.boundaries[name][[0, 2]] for name in ("left", "right")}
    mesh = nf.periodic(replace(domain, boundaries=sides), ACROSS)
    assert len(mesh.seams[0].near) == 2
    assert nf.describe(mesh).unnamed_facets == 2 + 8


def test_conditions_on_a_periodic_boundary_are_refused() -> None:
    around = np.concatenate(list(with_names().boundaries.values())).tolist()
    domain = nf.periodic(with_names(around=around), ACROSS)
    for options, words in [
        ({"dirichlet": ["left"]}, "dirichlet names boundary 'left', but 2 of its 2 facets"),
        ({"dirichlet": ["around"]}, "dirichlet names boundary 'around', but 4 of its 12 facets"),
        ({"robin": {"right": 1.0}}, r"robin names boundary 'right'.*\(left and right\)"),
    ]:
        with pytest.raises(InputError, match=words):
            nf.finite_elements(domain, **options)
    with pytest.raises(InputError, match="absorber names boundary 'left'"):
        nf.absorbing_layer(nf.finite_elements(domain), "left", 0.3, 1.0)
    opened = nf.finite_elements(nf.periodic(domain, []), dirichlet=["left"])
    assert opened.domain.seams == ()


# ---------------------------------------------------------------- studies

RING = LINE | {
    "domain": {"mesh": "interval.msh", "periodic": [["left", "right"]]},
    "potential": {"initial": {"uniform": [0.2, 0.4]}},
    "pump": [{"center": [0.1], "width": 0.6}, {"center": [6.2], "width": 0.6}],
    "readout": {"disc": [{"center": [7.9], "radius": 0.4}]},
}


def test_a_study_on_a_ring_from_check_to_pictures(tmp_path: Path) -> None:
    path = write_study(tmp_path, RING, training__epochs=3, training__compare_every=1)
    path.write_text(path.read_text().replace("enabled = false", "enabled = true"))
    checked = invoke("check", str(path))
    assert "periodic: left and right, 1 facet each, a shift by (8)" in checked.output
    assert "128 complex unknowns" in checked.output  # 64 quadratic cells
    run = tmp_path / "run"
    result = invoke("train", str(path), "--out", str(run))
    assert result.exit_code == 0, result.output
    assert (run / "figures" / "fields.png").is_file()
    fields = meshio.read(run / "fields.vtu")
    x, density = fields.points[:, 0], fields.point_data["density_1"]
    assert len(x) == 129
    assert density[np.argmin(x)] == density[np.argmax(x)] > 0
    assert load_study(run / "study.toml").domain.periodic == (("left", "right"),)

    # broken off and resumed, it ends the same
    again = tmp_path / "again"
    train_study(load_study(path, ["training.epochs=2", "figures.enabled=false"]), again)
    train_study(load_study(path, ["figures.enabled=false"]), again, resume=True)
    for name in ("history.csv", "fields.vtu"):
        assert (again / name).read_bytes() == (run / name).read_bytes()
    with pytest.raises(InputError, match=r"domain\.periodic was"):
        train_study(load_study(path, ["domain.periodic=[]"]), run, resume=True)


def test_a_trained_ring_is_taken_to_a_finer_one(tmp_path: Path) -> None:
    for cells in (32, 64):
        mesh = nf.periodic(replace(interval(cells, 0.0, 8.0), regions={}), ACROSS)
        nf.write_domain(mesh, tmp_path / f"ring-{cells}.vtu")
    study = RING | {"domain": {"mesh": "ring-32.vtu"}}  # periodic as the file says
    run, coarse, system = trained(tmp_path, study)
    changes = ["domain.mesh=ring-64.vtu", f"potential.initial={run}"]
    changes += [f"pump.{k}.weight={run}" for k in (0, 1)]
    fine = build(load_study(tmp_path / "study.toml", changes))
    assert system.domain.seams
    assert fine.system.domain.seams
    assert fine.system.potential.values == pytest.approx(np.repeat(system.potential.values, 2))
    assert np.array_equal(fine.system.pumps.weights, system.pumps.weights)
    outputs = [
        of.cost.readout.outputs(nf.solve_steady(wave, coarse.task.inputs).state)
        for of, wave in ((coarse, system), (fine, fine.system))
    ]
    assert np.abs(outputs[0] - outputs[1]).max() < 2e-2 * outputs[0].max()


def test_a_sweep_over_open_and_closed_ends(tmp_path: Path) -> None:
    write_study(tmp_path, RING, training__epochs=1)
    (tmp_path / "sweep.toml").write_text(
        'study = "study.toml"\n[grid]\n"domain.periodic" = [[], [["left", "right"]]]\n'
    )
    sweep, out = load_sweep(tmp_path / "sweep.toml"), tmp_path / "sweep"
    check_cases(sweep)
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases:
        run_case(sweep.config(case), str(case_folder(out, case)), str(out / "meshes"))
    summaries = [json.loads(path.read_text()) for path in (out / "cases").glob("*/summary.json")]
    assert sorted(summary["unknowns"] for summary in summaries) == [127, 128]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("domain.periodic=true", "periodic goes with lattice, not with mesh, as true"),
        ("domain.periodic='left'", r"must be true or false \(a lattice\), or pairs"),
        ("domain.periodic=[['left']]", "or pairs of boundaries"),
        ("domain.periodic=[['left', 3]]", "or pairs of boundaries"),
        ("domain={ lattice = [5], periodic = [['wall', 'wall']] }", "a lattice takes true or fals"),
    ],
)
def test_refused_keys(override: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load_study(write_study(tmp_path, RING), [override])


def test_refusals_name_the_key(tmp_path: Path) -> None:
    path = write_study(tmp_path, RING)
    for override, words in [
        ("domain.periodic=[['left', 'rigth']]", "domain.periodic: .*no boundary called 'rigth'"),
        ("domain.robin={ right = 1.0 }", "domain: .*robin names boundary 'right'"),
        (
            "absorber=[{ boundary = 'right', width = 1.0, strength = 0.1 }]",
            "absorber.* names boundary 'right', but 1 of its 1 facets",
        ),
    ]:
        with pytest.raises(InputError, match=words):
            build(load_study(path, [override]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ring = load_study(path)
    assert solve_study(ring, tmp_path / "solved")["largest_residual"] < 1e-8
