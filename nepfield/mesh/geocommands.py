"""What a .geo file may do: draw, but run no commands and write no files, unless it is trusted.

A .geo file is a program. A mesh file comes from a colleague as readily as a study does, so
`nepfield check device.geo` must not run what he wrote for his own machine.
"""

from __future__ import annotations

import os
import re

from nepfield.errors import InputError

TRUST = "NEPFIELD_TRUST_GEOMETRY"
"""Environment variable that admits everything; ``--trust-geometry`` sets it for one command and the
workers that it starts."""

# These are looked for in comments as well: what is a comment to us may be none to Gmsh.
_ANYWHERE = re.compile(
    r"\b(SystemCall|NonBlockingSystemCall|OnelabRun|CreateDir|Parse(?=\s*[\[(])"
    r"|General\.(?:Save\w*|\w*FileName))"
)
_STATEMENTS = re.compile(
    r"\b(Printf|Warning|Error)\b\s*\((?:\"[^\"]*\"|[^\";])*\)\s*>"
    r"|(?:^|[;{}])\s*(Save|Print|Plugin)\b"
)
_COMPUTED = re.compile(r"\b(Include|Merge|ShapeFromFile)\b(?!\s*\(?\s*\"[^\"]*\")")
_DOES = {"Parse": "makes code of text", "Plugin": "runs a plugin", "OnelabRun": "runs a program"}
_DOES |= dict.fromkeys(("SystemCall", "NonBlockingSystemCall"), "runs a command of the system")
_DOES |= dict.fromkeys(("Include", "Merge", "ShapeFromFile"), "reads a file of a computed name")


def check_commands(name: str, text: str, plain: str) -> None:
    """Refuse what does more than draw.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    text, plain : str
        Its content, and that without comments.

    Raises
    ------
    InputError
        It names the command and how to admit it.
    """
    if os.environ.get(TRUST):
        return
    found = _ANYWHERE.search(text) or _STATEMENTS.search(plain) or _COMPUTED.search(plain)
    if found is None:
        return
    command = next(group for group in found.groups() if group)
    line = found.string.count("\n", 0, found.start(found.lastindex or 0)) + 1
    where = f"line {line}: " if found.string is text else ""
    raise InputError(
        f"{name}: {where}{command} {_DOES.get(command, 'writes files')}, and a geometry may only "
        "draw. If you trust this one, add --trust-geometry (in Python: set the environment "
        f"variable {TRUST} = 1)."
    )


def trust_geometries() -> None:
    """Admit every command in geometries, in this process and those that it starts."""
    os.environ[TRUST] = "1"
