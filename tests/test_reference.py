"""The reference of the keys of a study: every key, true words, a schema that fits all studies."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.study.systems.keys_page import named_system, page, schema, text
from nepfield.study.systems.systems import SYSTEMS
from nepfield.study.text.keys import flat
from nepfield.study.text.reference import study_keys

ROOT = Path(__file__).parents[1]
STUDIES = sorted((ROOT / "studies").glob("*/study.toml"))


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", *arguments])


def wrong(schema: dict[str, Any], value: Any, where: str = "") -> list[str]:
    """What a JSON schema has against a value; the part of the language that ours are written in."""
    if "anyOf" in schema:
        found = [wrong(one, value, where) for one in schema["anyOf"]]
        return [] if not all(found) else min(found, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r} not in {schema['enum']}"]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where}: {value!r}"]
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
        "number": (int, float),
    }  # fmt: skip
    kind = schema.get("type")
    if kind is not None and (
        not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        return [f"{where}: {value!r} is no {kind}"]
    found = []
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}.{k} is missing" for k in schema.get("required", ()) if k not in value]
        for name, item in value.items():
            if name in properties:
                found += wrong(properties[name], item, f"{where}.{name}")
            elif isinstance(more, dict):
                found += wrong(more, item, f"{where}.{name}")
            elif not more:
                found.append(f"{where}.{name} is unknown")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where}: {len(value)} entries")
        for k, item in enumerate(value):
            found += wrong(schema.get("items", {}), item, f"{where}[{k}]")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = schema.get("minimum", value)
        if value < low or value <= schema.get("exclusiveMinimum", value - 1):
            found.append(f"{where}: {value} is too small")
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_key_is_there_with_words(system: str) -> None:
    every = study_keys(SYSTEMS[system])
    assert len({(found.header, found.kind) for found in every}) == len(every)
    for found in every:
        for key in found.keys:
            assert key.description, (found.header, key.name)
            assert key.takes, (found.header, key.name)
            assert "NoneType" not in key.takes
            assert "Annotated" not in key.takes
            assert "Config" not in key.takes


def test_the_keys_that_were_in_the_source_alone() -> None:
    told = {
        (found.header, key.name): key for found in study_keys(SYSTEMS["gpe"]) for key in found.keys
    }
    assert told["[domain]", "robin"].takes.startswith("a table, to each name a finite number or")
    assert told["[[pump]]", "wavevector"].default == "absent"
    assert "one over a length" in told["[[pump]]", "wavevector"].takes
    assert told["[[pump]]", "input"].takes == "a whole number from 0"
    assert told["[[absorber]]", "strength"].default == ""  # it must be there
    assert "0.1 meV" in told["[potential]", "disorder"].takes
    assert told["[potential.imaginary]", "initial"].default == "0"
    assert told["[solver]", "tolerance"].default == "1e-10"
    assert told["[training]", "rule"].takes.startswith('"nep" or "nep-symmetric"')
    assert told["[training]", "rule"].default == '"nep"'
    assert [found.kind for found in study_keys(SYSTEMS["gpe"]) if found.header == "[[pump]]"][:2]
    other = {
        (found.header, key.name): key
        for found in study_keys(SYSTEMS["oscillators"])
        for key in found.keys
    }
    assert other["[training]", "rule"].default == '"ep"'
    assert ("[coupling]", "initial") in other


def test_all_studies_of_the_repository_are_in_the_reference() -> None:
    assert len(STUDIES) > 10
    for path in STUDIES:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        study = SYSTEMS[data["physics"].get("system", "gpe")]
        known = {
            f"{found.header.strip('[]')}.{key.name}".lstrip(".")
            for found in study_keys(study)
            for key in found.keys
        }
        sections = {
            name: value for name, value in data.items() if not isinstance(value, list)
        }  # fmt: skip
        for key in flat(sections, study):
            parts = key.split(".")
            assert (
                any(".".join(parts[:k]) in known for k in range(1, 4)) or parts[0] == "readout"
            ), key


def test_the_pages_are_as_the_sections_are() -> None:
    kept = (ROOT / "studies" / "KEYS.md").read_text(encoding="utf-8")
    assert kept == page(), "run: nepfield keys --markdown > studies/KEYS.md"
    kept = (ROOT / "studies" / "study.schema.json").read_text(encoding="utf-8")
    assert kept == schema(), "run: nepfield keys --schema > studies/study.schema.json"


def test_the_schema_takes_all_studies_and_refuses_mistakes() -> None:
    whole = json.loads(schema())
    for path in STUDIES:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        assert not wrong(whole, data), path
        system = data["physics"].get("system", "gpe")
        (mine,) = [one for one in whole["anyOf"] if one["title"] == system]
        assert not wrong(mine, data), path
        assert wrong(mine, data | {"trainings": {}})
        assert wrong(mine, data | {"training": data.get("training", {}) | {"epochs": "many"}})
        assert wrong(mine, data | {"training": data.get("training", {}) | {"rule": "no such"}})
        assert wrong(mine, {k: v for k, v in data.items() if k != "name"})
    own = {"name": "x", "physics": {"system": "resistors.py:ResistorStudy"}, "anything": {}}
    assert not wrong(whole, own)
    described = whole["anyOf"][0]["properties"]["physics"]["properties"]["loss"]
    assert described["exclusiveMinimum" if "type" in described else "anyOf"]
    assert "default: absent" in json.dumps(whole["anyOf"][0]["properties"]["pump"])


def test_what_the_command_prints() -> None:
    done = invoke()
    assert done.exit_code == 0
    assert "[[pump]]" in done.stdout
    assert "must be there" in done.stdout
    done = invoke("potential")
    assert "[potential.imaginary]" in done.stdout
    assert "disorder" in done.stdout
    assert "[physics]" not in done.stdout
    assert invoke("coupling", "--system", "oscillators").exit_code == 0
    for arguments, says in (
        (["nothing"], "there is absorber, background, domain"),
        (["pump", "--system", "oscillators"], "no such section of this system"),
        (["--system", "gp"], 'must be "gpe", "oscillators"'),
        (["pump", "--schema"], "go alone"),
    ):
        done = invoke(*arguments)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert says in done.stderr
    assert json.loads(invoke("--schema").stdout)["title"]
    assert max(map(len, text(named_system(None), "pump").splitlines())) <= 120
    with pytest.raises(InputError):
        text(named_system(None), "")
