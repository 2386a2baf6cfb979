"""The reference of all keys: a page, text for a terminal, and a JSON schema for editors."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nepfield.study.systems.systems import SYSTEMS, study_class
from nepfield.study.text.reference import SectionKeys, chosen_keys, section_schema, study_keys, told
from nepfield.study.text.study import StudyConfig

_HEAD = """# The keys of a study

Made by `nepfield keys --markdown` from the sections themselves; a test keeps it true.
`nepfield keys SECTION --system NAME` prints a part of it, and `nepfield keys --schema` the same as
a JSON schema ([study.schema.json](study.schema.json)), from which editors complete and check: with
Taplo or Even Better TOML write `#:schema study.schema.json` (the path of a copy) as the first line.

A key without a default must be there; "absent" means that it may be left out. Keys with a dimension
also take texts such as "0.1 meV" where the study has a section `[units]`.
`--set section.key=value` replaces any of them, and `--set section.key=` takes one away; entries of
`[[sections]]` count from 0: `--set pump.0.width=0.3`.
"""


def named_system(name: str | None) -> type[StudyConfig]:
    """The study class of a system by its name, ``"gpe"`` by default, or ``"file.py:Name"``.

    Raises
    ------
    InputError
        If there is no such system.
    """
    system = next(iter(SYSTEMS)) if name is None else name
    return study_class({"physics": {"system": system}}, Path("--system"))


def text(study: type[StudyConfig], section: str | None = None, width: int = 100) -> str:
    """The keys of a section, or a list of all sections, for a terminal."""
    if section is None:
        lines = ["sections (nepfield keys SECTION tells their keys):"]
        seen = dict.fromkeys((found.header, found.description) for found in study_keys(study))
        lines += [f"  {header:<24} {words}" for header, words in seen if header]
        return "\n".join([*_terminal(study_keys(study)[0], width), "", *lines])
    parts = ["\n".join(_terminal(found, width)) for found in chosen_keys(study, section)]
    return "\n\n".join(parts)


def _terminal(found: SectionKeys, width: int) -> Iterator[str]:
    if found.header:
        kind = f", with {found.kind}" if found.kind else ""
        yield f"{found.header}{kind}: {told(found)}"
    for key in found.keys:
        default = f" [default: {key.default}]" if key.default else " (must be there)"
        lines = textwrap.wrap(f"{key.description}: {key.takes}{default}", max(40, width - 20))
        for number, line in enumerate(lines):
            yield f"  {key.name if not number else '':<17} {line}"


def page() -> str:
    """The page in Markdown: what all systems share, then each system's own sections."""
    first = {found.header: found for found in study_keys(StudyConfig)}
    parts = [_HEAD, "## Every system\n"]
    shared = {
        header
        for header, found in first.items()
        if sum(_has(study, found) for study in SYSTEMS.values()) > 1 and _told_once(found)
    }
    parts += [_table(found) for header, found in first.items() if header in shared]
    for name, study in SYSTEMS.items():
        parts.append(f'## physics.system = "{name}"\n')
        rest = [found for found in study_keys(study) if not _same(found, first, shared)]
        headers = dict.fromkeys(
            found.header for found in study_keys(study) if _same(found, first, shared)
        )
        alike = ", ".join(f"`{header}`" for header in headers if header)
        parts.append(f"As of every system: name, seed{f', {alike}' if alike else ''}.\n")
        parts += [_table(found) for found in rest]
    return "\n".join(parts)


def _told_once(found: SectionKeys) -> bool:
    """Whether what all systems share is worth a table: a section without keys is not."""
    return bool(found.keys)


def _has(study: type[StudyConfig], found: SectionKeys) -> bool:
    return any(found.header == one.header and found.keys == one.keys for one in study_keys(study))


def _same(found: SectionKeys, first: dict[str, SectionKeys], shared: set[str]) -> bool:
    return found.header in shared and first[found.header].keys == found.keys


def _table(found: SectionKeys) -> str:
    title = f"### `{found.header}`" if found.header else "### Outside of the sections"
    kind = f" with `{found.kind}`" if found.kind else ""
    lines = [f"{title}{kind}\n", f"{_cell(told(found))}.\n"] if found.header else [f"{title}\n"]
    if not found.keys:
        return "\n".join(lines)
    lines += ["| key | what it is | takes | default |", "|---|---|---|---|"]
    lines += [
        f"| `{key.name}` | {_cell(key.description)} | {_cell(key.takes)} | "
        f"{_default(key.default)} |"
        for key in found.keys
    ]
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


def _default(words: str) -> str:
    return "**required**" if not words else words if words == "absent" else f"`{_cell(words)}`"


def schema() -> str:
    """The JSON schema (draft 7) of the studies of all systems, as text."""
    kinds: list[dict[str, Any]] = []
    for number, (name, study) in enumerate(SYSTEMS.items()):
        one = section_schema(study, study)
        physics = one["properties"]["physics"]
        physics["properties"]["system"] = {"const": name, "description": "name of the system"}
        if number:  # the first is the default, and need not be named
            physics["required"] = sorted({*physics.get("required", ()), "system"})
            one["required"] = sorted({*one["required"], "physics"})
        kinds.append({"title": name, **one})
    own = {"type": "string", "pattern": ":", "description": 'a class of your own, "file.py:Name"'}
    physics = {"type": "object", "properties": {"system": own}, "required": ["system"]}
    kinds.append({"title": "own", "properties": {"physics": physics}, "required": ["physics"]})
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "study of nepfield",
        "anyOf": kinds,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
