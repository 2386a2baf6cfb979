"""Parametric geometry: what is meshed, what is kept, and what is refused in which words."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nepfield as nf
from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.mesh import geometry
from nepfield.mesh.geometry import mesh_geometry, read_geometry
from nepfield.mesh.report import cell_measures, describe
from nepfield.study.check import check
from nepfield.study.run.build import build
from nepfield.study.run.jobs import compare_study, solve_study, train_study
from nepfield.study.systems.systems import load_study
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.domains import DomainConfig, build_domain

pytest.importorskip("gmsh", exc_type=ImportError)

MESHES = Path(__file__).parents[1] / "meshes"
SHAPES = ("stadium", "annulus", "lshape", "chambers", "yjunction", "billiard")

BOX = """\
DefineConstant[
  width = {2, Name "Parameters/width", Min 0.1},  // of the box; height = 9 is no parameter
  size = 0.5,
  name = {"whole, all", Name "Parameters/name"}
];
/* DefineConstant[ hidden = 1 ]; */
height = DefineNumber[ 1, Name "Parameters/height of the box" ];
If (width > 50)
  Error("width = %g is too much", width);
  Abort;
EndIf
Point(1) = {0, 0, 0, size};
Point(2) = {width, 0, 0, size};
Point(3) = {width, height, 0, size};
Point(4) = {0, height, 0, size};
Line(1) = {1, 2};
Line(2) = {2, 3};
Line(3) = {3, 4};
Line(4) = {4, 1};
Curve Loop(1) = {1:4};
Plane Surface(1) = {1};
Physical Surface(Str(name)) = {1};
Physical Curve("wall") = {1:4};
Mesh.MshFileVersion = 2.2;
"""

DRAW = '''\
import gmsh

def disc(radius, *, size=0.4, name="all"):
    """A disc."""
    surface = gmsh.model.occ.addDisk(0, 0, 0, radius, radius)
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(2, [surface], name=name)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    if radius > 5:
        raise ValueError("too large a disc")

def anything(**parameters):
    disc(1.0 + len(parameters))

def empty():
    print("draws nothing")

def crash():
    import os
    os.abort()
'''


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box.geo"
    path.write_text(BOX)
    return path


@pytest.fixture
def draw(tmp_path: Path) -> Path:
    path = tmp_path / "draw.py"
    path.write_text(DRAW)
    return path


def area(path: Path) -> float:
    return float(cell_measures(nf.read_domain(path)).sum())


def test_parameters_are_read_from_the_text(box: Path) -> None:
    found = read_geometry(box)
    assert found.parameters == {
        "width": "number", "size": "number", "name": "text", "height": "number",
    }  # fmt: skip


def test_parameters_change_the_mesh(box: Path, tmp_path: Path) -> None:
    values = {"width": 3, "height": 2.5, "size": 0.3, "name": "room"}
    path = mesh_geometry(box, values, tmp_path / "kept")
    domain = nf.read_domain(path)
    assert cell_measures(domain).sum() == pytest.approx(7.5, rel=1e-12)
    assert set(domain.regions) == {"room"}
    default = nf.read_domain(mesh_geometry(box, {}, tmp_path / "kept"))
    assert cell_measures(default).sum() == pytest.approx(2.0, rel=1e-12)
    assert set(default.regions) == {"whole, all"}
    assert describe(domain).cell_size[1] < 0.4 < describe(default).cell_size[1]


def test_meshes_are_kept_by_content(
    box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    first = mesh_geometry(box, {"width": 3}, kept)
    before = first.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(geometry, "_run_gmsh", lambda *_: pytest.fail("meshed again"))
        assert mesh_geometry(str(box), {"width": 3.0}, kept) == first
    assert [path.name for path in kept.iterdir()] == [first.name]
    # other parameters, another text, another version: another mesh
    assert mesh_geometry(box, {"width": 4}, kept) != first
    box.write_text(BOX + "// changed\n")
    changed = mesh_geometry(box, {"width": 3}, kept)
    assert changed != first
    assert changed.read_bytes() == before  # and yet the same mesh, bit by bit
    monkeypatch.setattr(geometry, "_gmsh_version", lambda: "99.9")
    assert mesh_geometry(box, {"width": 3}, kept) != changed


def test_included_files_belong_to_the_content(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "box.geo").write_text(BOX)
    path = tmp_path / "outer.geo"
    path.write_text('// Include "no.geo";\nInclude "part/box.geo";\n')
    first = mesh_geometry(path, {"width": 1}, tmp_path)
    assert area(first) == pytest.approx(1.0)
    changed = BOX.replace("DefineNumber[ 1,", "DefineNumber[ 5,")
    (tmp_path / "part" / "box.geo").write_text(changed)
    assert area(mesh_geometry(path, {"width": 1}, tmp_path)) == pytest.approx(5.0)


def test_a_function_draws(draw: Path, tmp_path: Path) -> None:
    path = mesh_geometry(f"{draw}:disc", {"radius": 2, "size": 0.2}, tmp_path)
    assert area(path) == pytest.approx(4 * np.pi, rel=0.01)
    assert set(nf.read_domain(path).regions) == {"all"}
    assert area(mesh_geometry(f"{draw}:anything", {"a": 1}, tmp_path)) > 11


def test_a_function_that_has_changed_draws_anew(
    draw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second, by one character: bytecode of the older file would be taken for it."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    when = draw.stat().st_mtime_ns
    areas = []
    for radius in ("1.0", "2.0"):
        draw.write_text(DRAW.replace("disc(1.0 +", f"disc({radius} +"))
        os.utime(draw, ns=(when, when))
        areas.append(area(mesh_geometry(f"{draw}:anything", {}, tmp_path / "meshes")))
    assert areas == pytest.approx([np.pi, 4 * np.pi], rel=0.05)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("box.geo", {"widht": 1}, ["no parameter 'widht'", "it defines width, height"]),
        ("box.geo", {"hidden": 1}, ["no parameter 'hidden'"]),
        ("box.geo", {"width": "wide"}, ["width = 'wide' must be a number"]),
        ("box.geo", {"name": 3}, ["name = 3 must be text"]),
        ("box.geo", {"width": 60}, ["box.geo (width = 60.0)", "width = 60 is too much"]),
        ("none.geo", {}, ["none.geo", "cannot be read"]),
        ("box.step", {}, ['"x.geo" or "file.py:function"']),
        ("draw.py", {}, ['"x.geo" or "file.py:function"']),
        ("draw.py:disk", {}, ["no function 'disk'", "it defines disc"]),
        ("draw.py:disc", {}, ["radius has no default", "[domain.parameters]"]),
        ("draw.py:disc", {"radius": 1, "width": 1}, ["no parameter 'width'", "radius"]),
        ("draw.py:disc", {"radius": 9}, ["ValueError: too large a disc", "draw.py, line 10"]),
        ("draw.py:disc", {"radius": "x"}, ["draw.py:disc (radius = 'x')", "fails with"]),
        ("draw.py:empty", {}, ["it draws nothing"]),
        ("draw.py:crash", {}, ["Gmsh broke off with signal 6"]),
        ("broken.geo", {}, ["broken.geo", "Gmsh cannot mesh it", "line 2", "syntax error"]),
        ("solid.geo", {}, ["it draws a solid"]),
    ],
)
@pytest.mark.usefixtures("box", "draw")
def test_refusals(
    tmp_path: Path, name: str, parameters: dict[str, float | str], says: list[str]
) -> None:
    (tmp_path / "broken.geo").write_text("Point(1) = {0, 0, 0};\nLine(1) = {1, };\n")
    (tmp_path / "solid.geo").write_text('SetFactory("OpenCASCADE");\nBox(1) = {0,0,0, 1,1,1};\n')
    kept = tmp_path / "kept"
    with pytest.raises(InputError) as caught:
        mesh_geometry(tmp_path / name, parameters, kept)
    for words in says:
        assert words in str(caught.value)
    assert not kept.exists() or not list(kept.iterdir())


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('SystemCall "touch FILE";', "SystemCall"),
        ('NonBlockingSystemCall "touch FILE";', "NonBlockingSystemCall"),
        ('/* " */ SystemCall "touch FILE"; // " */', "SystemCall"),
        ('Printf("x") > "FILE";', "Printf"),
        ('Printf("%g; %g", 1, 2) >> "FILE";', "Printf"),
        ('Save "FILE";', "Save"),
        ('Print "FILE";', "Print"),
        ('CreateDir "FILE";', "CreateDir"),
        ('Parse["System" "Call"];', "Parse"),
        ('OnelabRun("a", "touch FILE");', "OnelabRun"),
        ('Include StrCat("o", "ther.txt");', "Include"),
        ('Merge "other.txt";', "SystemCall"),
    ],
)
def test_a_geo_file_that_does_more_than_draw(
    box: Path, tmp_path: Path, line: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    (tmp_path / "other.txt").write_text(f'SystemCall "touch {made}";\n')
    box.write_text(line.replace("FILE", str(made)) + "\n" + box.read_text())
    with pytest.raises(InputError, match=rf"{command} .*--trust-geometry"):
        mesh_geometry(box, folder=tmp_path / "meshes")
    result = CliRunner().invoke(app, ["check", str(box)])
    assert result.exit_code == 2
    assert not made.exists()
    if command == "SystemCall" and "touch" in line:
        monkeypatch.setenv("NEPFIELD_TRUST_GEOMETRY", "")
        result = CliRunner().invoke(app, ["check", "--trust-geometry", str(box)])
        assert result.exit_code == 0
        assert made.exists()


def test_words_that_only_sound_like_commands(box: Path, tmp_path: Path) -> None:
    harmless = 'Printf("a > b"); Mesh.SaveAll = 0; // Save and Print the > mesh\nx = 3 > 2;\n'
    box.write_text(harmless + box.read_text())
    assert mesh_geometry(box, folder=tmp_path / "meshes").is_file()


def test_without_gmsh(box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'nepfield\[mesh\]'"):
        mesh_geometry(box, {}, tmp_path)


def test_no_signal_handler_is_left(box: Path, tmp_path: Path) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    mesh_geometry(box, {}, tmp_path)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


# --- the shapes that are shipped


@pytest.mark.parametrize("name", [*SHAPES, "interval"])
def test_shipped_meshes_are_what_their_geometry_gives(name: str, tmp_path: Path) -> None:
    shipped = nf.read_domain(MESHES / f"{name}.msh")
    made = nf.read_domain(mesh_geometry(MESHES / f"{name}.geo", {}, tmp_path))
    assert made.kind == shipped.kind
    assert {n: len(v) for n, v in made.regions.items()} == {
        n: len(v) for n, v in shipped.regions.items()
    }
    np.testing.assert_allclose(made.points, shipped.points, atol=1e-9)
    assert (MESHES / f"{name}.msh").stat().st_size < 200_000
    if name != "interval":
        assert shipped.kind == "triangle6"
        assert len(shipped.regions["cavity"]) == len(shipped.cells)
        assert len(shipped.outer_facets()) == len(shipped.boundaries["wall"])


@pytest.mark.parametrize(
    ("name", "parameters", "exact"),
    [
        ("stadium", {"length": 3, "radius": 1.5}, 9 + np.pi * 1.5**2),
        ("annulus", {"hole_x": 0.8}, np.pi * (9 - 1.2**2)),
        ("lshape", {"width": 2}, 6 * 2 + 4 * 2),
        ("chambers", {"chambers": 4, "opening": 0.7}, 4 * 7.5 + 3 * 0.7 * 0.4),
        ("billiard", {"dent_depth": 0}, 5.5 * 5 + np.pi * 2.5**2 / 2),
    ],
)
def test_shapes_have_the_area_of_their_parameters(
    name: str, parameters: dict[str, float], exact: float, tmp_path: Path
) -> None:
    path = mesh_geometry(MESHES / f"{name}.geo", parameters, tmp_path)
    assert area(path) == pytest.approx(exact, rel=1e-4)


def test_check_tells_the_parameters(box: Path) -> None:
    text = check(box)
    assert "parameters: width, size, name, height" in text
    assert "region 'whole, all'" in text
    assert text.startswith(f"{box}: 2-D")


def test_the_contact_sheet(tmp_path: Path) -> None:
    script = [sys.executable, str(MESHES / "contact_sheet.py"), "-o", str(tmp_path / "all.png")]
    paths = {"PYTHONPATH": str(MESHES.parent)}
    subprocess.run(script, check=True, env=os.environ | paths, stdout=subprocess.DEVNULL)
    assert 20_000 < (tmp_path / "all.png").stat().st_size < 300_000


# --- in a study

STUDY = """\
name = "box"
[domain]
geometry = "box.geo"
[domain.parameters]
width = 3
size = 1
[physics]
loss = 0.1
[[pump]]
center = [0.5, 0.5]
width = 0.5
[[pump]]
center = [2.5, 0.5]
width = 0.5
[readout]
[[readout.disc]]
center = [1.5, 0.5]
radius = 0.3
[task]
name = "xor"
[training]
epochs = 2
[figures]
enabled = false
"""


@pytest.fixture
def study(box: Path, tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    assert box.is_file()
    return path


def test_a_study_of_a_geometry(study: Path, tmp_path: Path) -> None:
    config = load_study(study)
    assert config.domain.geometry == tmp_path / "box.geo"
    run = tmp_path / "run"
    summary = train_study(config, run)
    assert summary["status"] == "finished"
    (mesh,) = (run / "meshes").iterdir()
    again = load_study(run / "study.toml")
    assert again == config
    assert summary["cells"] == len(nf.read_domain(mesh).cells)
    # other commands find the mesh in the run
    compare_study(again, run)
    assert list((run / "meshes").iterdir()) == [mesh]
    assert train_study(load_study(study, ["training.epochs=3"]), run, resume=True)["epochs"] == 3
    with pytest.raises(InputError, match=r"domain.parameters.width was 3 and is now 4"):
        train_study(load_study(study, ["domain.parameters.width=4"]), run, resume=True)
    assert list((run / "meshes").iterdir()) == [mesh]
    solve_study(again, tmp_path / "solved")
    assert (tmp_path / "solved" / "meshes" / mesh.name).read_bytes() == mesh.read_bytes()


def test_a_study_that_is_wrong_leaves_nothing(study: Path, tmp_path: Path) -> None:
    config = load_study(study, ["pump.0.center=[50, 0]"])
    with pytest.raises(InputError, match="pump"):
        train_study(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_messages_name_the_geometry_and_not_our_file(tmp_path: Path) -> None:
    text = BOX.replace("Plane Surface(1) = {1};", "Plane Surface(1) = {1};\n" + (
        "Translate {9, 0, 0} { Duplicata { Surface{1}; } }"
    )).replace("= {1};\nPhysical Curve", "= Surface{:};\nPhysical Curve")  # fmt: skip
    (tmp_path / "two.geo").write_text(text)
    config = DomainConfig.model_validate(
        {"geometry": "two.geo", "parameters": {"width": 1.0}}, context={"folder": tmp_path}
    )
    with pytest.raises(InputError, match=r"two.geo \(width = 1.0\): the mesh falls into 2 pieces"):
        build_domain(config)
    whole = config.model_copy(update={"allow_disconnected": True})
    assert build_domain(whole).source.endswith("two.geo (width = 1.0)")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('domain.geometry="no.geo"', "there is no file"),
        ('domain.geometry="box.step"', 'must be "x.geo" or "file.py:function"'),
        ("domain.geometry=3", 'must be "x.geo" or "file.py:function"'),
        ("domain.parameters.width=true", "must be a finite number or text in quotes"),
        ("domain.parameters.width=nan", "must be a finite number or text in quotes"),
        ("domain.lattice=[3]", "needs exactly one of mesh, geometry, lattice"),
        ('domain={ lattice=[3], parameters={ a=1 } }', "parameters goes with geometry"),
    ],
)  # fmt: skip
def test_keys_of_a_study_are_checked(study: Path, change: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("[", r"\[").replace("(", r"\(")):
        load_study(study, [change])


def test_a_function_in_a_study(study: Path, draw: Path, tmp_path: Path) -> None:
    changes = ['domain.geometry="draw.py:disc"', "domain.parameters={ radius = 4, size = 2 }"]
    config = load_study(study, changes)
    assert draw.is_file()
    assert build(config, tmp_path / "kept").system.space.domain.source.endswith(
        "draw.py:disc (radius = 4, size = 2)"
    )
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "study.toml").write_text(study_to_toml(config, folder))
    assert load_study(folder / "study.toml") == config
    shutil.rmtree(folder)


def test_a_drawing_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "PATIENCE", 1)
    monkeypatch.setattr(geometry, "TIME_LIMIT", 2)
    path = tmp_path / "slow.py"
    path.write_text("import time\n\n\ndef slow():\n    time.sleep(600)\n")
    with (
        pytest.warns(UserWarning, match="at work for 1 s already"),
        pytest.raises(InputError, match="not finished in 2 s"),
    ):
        mesh_geometry(f"{path}:slow", {}, tmp_path / "meshes")
    assert not list((tmp_path / "meshes").iterdir())
